//! What modules hear of the life of requests and their transactions: accounting and dialogs are built on it.
//!
//! A module says once what it may want to hear ([`Module::interest`](crate::Module::interest)) and, while a transaction is made, what
//! it wants to hear of this one ([`RouteContext::watch`]). A moment that nobody wants costs a test of a number. Nothing is told while
//! a lock is held, so whoever hears may ask the transaction layer, send requests and run event callbacks of the script.
//!
//! The context is that of the request as its routes left it: flags, edits, target, AVPs; `ctx.reply` and `ctx.reply_code` are the
//! reply the moment is about.

use std::any::Any;
use std::ops::BitOr;
use std::sync::Arc;

use message::Message;

use crate::RouteContext;

/// A set of [`Moment`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest(u16);

impl Interest {
    /// Nothing.
    pub const NONE: Interest = Interest(0);
    /// [`Moment::Created`]
    pub const CREATED: Interest = Interest(1);
    /// [`Moment::Forwarded`]
    pub const FORWARDED: Interest = Interest(2);
    /// [`Moment::Provisional`]
    pub const PROVISIONAL: Interest = Interest(4);
    /// [`Moment::Failing`]
    pub const FAILING: Interest = Interest(8);
    /// [`Moment::Final`]
    pub const FINAL: Interest = Interest(16);
    /// [`Moment::Cancel`]
    pub const CANCEL: Interest = Interest(32);
    /// [`Moment::Ack`]
    pub const ACK: Interest = Interest(64);
    /// [`Moment::Freed`]
    pub const FREED: Interest = Interest(128);
    /// [`Moment::LooseRouted`]
    pub const LOOSE_ROUTED: Interest = Interest(256);
    /// [`Moment::RouteEnded`]
    pub const ROUTE_ENDED: Interest = Interest(512);
    /// [`Moment::Dialog`]
    pub const DIALOG: Interest = Interest(1024);

    /// Union, usable in constants.
    pub const fn or(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
    /// Whether any of the other's moments is in this set.
    pub const fn meets(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }
    /// Whether there is nothing in it.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        self.or(other)
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// A transaction is about to be made for the request of the context, which is the route's own: who wants to hear more of it adds to
    /// [`RouteContext::watch`] now.
    Created,
    /// Branches of the request are about to be sent. The context is the route's own.
    Forwarded {
        /// How many.
        branches: usize,
    },
    /// A provisional reply (101..199) was forwarded. `ctx.reply` is that reply, `ctx.branch_index` its branch.
    Provisional,
    /// All branches of an INVITE's present leg are final and the best reply is `ctx.reply_code` (300 or more), or such a reply was made
    /// here. It is told before the failure route runs, which sees the flags as this leaves them. `ctx.reply` is `None` for a reply made
    /// here.
    Failing,
    /// The final reply was sent: `ctx.reply_code`, and `ctx.reply` unless it was made here.
    Final,
    /// A CANCEL found its INVITE. The context is the CANCEL's.
    Cancel,
    /// An ACK to a 2xx is about to be forwarded. The context is the ACK's; the transaction and AVPs are those of its INVITE.
    Ack,
    /// The transaction is gone. There is nothing to ask about it any more.
    Freed,
    /// `loose_route` followed a Route set. The context is the route's own.
    LooseRouted {
        /// URI parameters of this server's own Route; empty when there was none.
        params: &'a [u8],
    },
    /// The request route has ended. The context is the route's own.
    RouteEnded,
    /// Something happened to the dialog of the context ([`RouteContext::kept`]).
    Dialog(DialogMoment),
}

/// What happened to a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogMoment {
    /// It was made: its INVITE is on the way.
    Made,
    /// A 2xx confirmed it.
    Confirmed,
    /// The ACK to that 2xx came.
    Acknowledged,
    /// Its INVITE failed.
    Failed,
    /// A BYE ended it.
    Ended,
    /// Its time ran out.
    Expired,
}

impl Moment<'_> {
    /// The set it alone makes.
    pub const fn interest(&self) -> Interest {
        match self {
            Moment::Created => Interest::CREATED,
            Moment::Forwarded { .. } => Interest::FORWARDED,
            Moment::Provisional => Interest::PROVISIONAL,
            Moment::Failing => Interest::FAILING,
            Moment::Final => Interest::FINAL,
            Moment::Cancel => Interest::CANCEL,
            Moment::Ack => Interest::ACK,
            Moment::Freed => Interest::FREED,
            Moment::LooseRouted { .. } => Interest::LOOSE_ROUTED,
            Moment::RouteEnded => Interest::ROUTE_ENDED,
            Moment::Dialog(_) => Interest::DIALOG,
        }
    }
}

/// Tells all modules that want to hear of it, in load order.
pub fn tell(ctx: &mut RouteContext<'_>, moment: &Moment<'_>) {
    let core = ctx.core;
    let wanted = moment.interest();
    if !core.registry.interest().meets(wanted) {
        return;
    }
    for module in core.registry.listeners(wanted) {
        module.hear(ctx, moment);
    }
}

/// As [`tell`], about a reply: it is in the context for as long as the modules hear of it.
pub fn tell_reply(ctx: &mut RouteContext<'_>, moment: &Moment<'_>, code: u16, reply: Option<Arc<Message>>) {
    let before = (ctx.reply_code, ctx.reply.take());
    (ctx.reply_code, ctx.reply) = (code, reply);
    tell(ctx, moment);
    (ctx.reply_code, ctx.reply) = before;
}

/// What modules keep with a request for as long as it or its transaction lives, keyed by type.
#[derive(Clone, Default)]
pub struct Kept(Vec<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// What is kept of that type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.iter().find_map(|any| any.clone().downcast().ok())
    }
    /// The same without a share of it.
    pub fn peek<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.iter().find_map(|any| any.downcast_ref())
    }
    /// Keeps it, in the place of what was kept of that type.
    pub fn put<T: Any + Send + Sync>(&mut self, it: Arc<T>) {
        self.remove::<T>();
        self.0.push(it);
    }
    /// Keeps nothing of that type.
    pub fn remove<T: Any + Send + Sync>(&mut self) {
        self.0.retain(|any| !any.is::<T>());
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} kept", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_where_they_share_a_moment() {
        let both = Interest::FINAL | Interest::ACK;
        assert!(both.meets(Moment::Final.interest()) && both.meets(Moment::Ack.interest()));
        assert!(!both.meets(Moment::Created.interest()) && !Interest::NONE.meets(both));
    }

    #[test]
    fn one_thing_is_kept_of_each_type() {
        let mut kept = Kept::default();
        kept.put(Arc::new(1_u32));
        kept.put(Arc::new("a"));
        kept.put(Arc::new(2_u32));
        assert_eq!((kept.get::<u32>().as_deref(), kept.peek::<&str>()), (Some(&2), Some(&"a")));
        kept.remove::<u32>();
        assert_eq!(kept.get::<u32>(), None);
    }
}
