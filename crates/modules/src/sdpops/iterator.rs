//! Iterators over the lines of the SDP, a few of them per worker, told apart by their names.

use std::sync::Arc;

use message::Message;
use script::{Outcome, RouteContext, Value, ksr_module};

use super::SdpOps;
use crate::sdp::Sdp;

/// Iterators that can be open at a time in a worker.
const LIMIT: usize = 4;

/// Open iterators of a worker.
#[derive(Debug, Default)]
struct Iterators(Vec<Open>);

/// An open iterator: over which message, and where it stands.
#[derive(Debug)]
struct Open {
    name: Box<[u8]>,
    message: Arc<Message>,
    /// 0 before the first line, `n` at the n-th, one more than there are: at the end.
    at: usize,
}

/// Offsets of the n-th line with its end.
fn span(message: &Message, at: usize) -> Option<(u32, u32)> {
    Sdp::of(message)?.lines().nth(at.checked_sub(1)?).map(|l| (l.start, l.next))
}

fn with_open<R>(ctx: &RouteContext<'_>, name: &[u8], f: impl FnOnce(&mut Open) -> R) -> Option<R> {
    let mut slots = ctx.worker.slots.borrow_mut();
    slots.slot::<Iterators>().0.iter_mut().find(|o| *o.name == *name).map(f)
}

/// Where an iterator stands, if it is over the message the route works on.
fn here(ctx: &RouteContext<'_>, name: &[u8]) -> Option<(u32, u32)> {
    let (message, at) = with_open(ctx, name, |o| (o.message.clone(), o.at))?;
    Arc::ptr_eq(&message, &ctx.message).then(|| span(&message, at)).flatten()
}

/// The line that an iterator stands on.
pub(super) fn value(ctx: &RouteContext<'_>, name: &[u8]) -> Value<'static> {
    let found = with_open(ctx, name, |o| (o.message.clone(), o.at)).and_then(|(message, at)| {
        let (start, end) = span(&message, at)?;
        Some(message.as_bytes().get(start as usize..end as usize)?.to_vec())
    });
    found.map_or(Value::Null, Value::owned)
}

#[ksr_module("sdpops", rows = "ITERATOR")]
impl SdpOps {
    /// Opens an iterator over the lines of the SDP, before the first one. Four can be open in a worker. Returns 1, or -1 without SDP or when
    /// there are too many.
    #[ksr(cfg = ["sdp_iterator_start"])]
    fn sdp_iterator_start(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        if Sdp::of(&ctx.message).is_none() {
            return Outcome::FALSE;
        }
        let message = Arc::clone(&ctx.message);
        let mut slots = ctx.worker.slots.borrow_mut();
        let open = &mut slots.slot::<Iterators>().0;
        let full = open.len() >= LIMIT;
        match open.iter_mut().find(|o| *o.name == *iname) {
            Some(known) => (known.message, known.at) = (message, 0),
            None if !full => open.push(Open { name: iname.into(), message, at: 0 }),
            None => {
                tracing::error!(target: "sdpops", LIMIT, "too many open iterators; close them with sdp_iterator_end");
                return Outcome::FALSE;
            }
        }
        Outcome::TRUE
    }
    /// Closes an iterator. Returns 1, or -1 when it is not open.
    #[ksr(cfg = ["sdp_iterator_end"])]
    fn sdp_iterator_end(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        let mut slots = ctx.worker.slots.borrow_mut();
        let open = &mut slots.slot::<Iterators>().0;
        let before = open.len();
        open.retain(|o| *o.name != *iname);
        Outcome::from(open.len() < before)
    }
    /// Moves to the next line; to the first one right after the start. Returns 1, or -1 at the end.
    #[ksr(cfg = ["sdp_iterator_next"])]
    fn sdp_iterator_next(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        let moved = with_open(ctx, iname, |open| {
            let count = Sdp::of(&open.message).map_or(0, |s| s.lines().count());
            open.at = (open.at + 1).min(count + 1);
            open.at <= count
        });
        Outcome::from(moved.unwrap_or(false))
    }
    /// Removes the line an iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["sdp_iterator_rm"])]
    fn sdp_iterator_rm(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        let Some((start, end)) = here(ctx, iname) else { return Outcome::FALSE };
        ctx.edits.remove(start, end);
        Outcome::TRUE
    }
    /// Adds text (with its line end) behind the line an iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["sdp_iterator_append"])]
    fn sdp_iterator_append(&self, ctx: &mut RouteContext<'_>, iname: &[u8], text: &[u8]) -> Outcome {
        let Some((_, end)) = here(ctx, iname) else { return Outcome::FALSE };
        ctx.edits.insert(end, text);
        Outcome::TRUE
    }
    /// Adds text (with its line end) before the line an iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["sdp_iterator_insert"])]
    fn sdp_iterator_insert(&self, ctx: &mut RouteContext<'_>, iname: &[u8], text: &[u8]) -> Outcome {
        let Some((start, _)) = here(ctx, iname) else { return Outcome::FALSE };
        ctx.edits.insert(start, text);
        Outcome::TRUE
    }
    /// The line an iterator stands on, with its line end; null when it stands on none.
    #[ksr]
    fn sdp_iterator_value<'c>(&'c self, ctx: &'c mut RouteContext<'_>, iname: &'c [u8]) -> Value<'c> {
        value(ctx, iname)
    }
}
