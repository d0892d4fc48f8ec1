//! `t_newtran` and `t_relay`: a request gets its transaction and its branches.

use std::sync::Arc;

use message::{Method, print};
use script::hooks::tell;
use script::{Interest, Moment, RelayTo, RouteContext, RouteKind, Services};
use transaction::{Input, Kind, LocalReply, NewTransaction, Refused, TransactionId};

use crate::branch::Unsent;
use crate::receive::{print_shared, reply_hop};
use crate::saved::{Saved, State, armed};
use crate::{Proxy, UnmatchedCancel};

/// Kamailio's reason phrase of the automatic 100.
const TRYING: &[u8] = b"trying -- your call is important to us";

/// Services of a context, for steps made from inside a KSR function.
pub(crate) fn services<'s>(ctx: &RouteContext<'s>) -> Services<'s> {
    Services {
        core: ctx.core,
        transactions: ctx.transactions,
        engine: ctx.engine,
        worker: ctx.worker,
        outbox: ctx.outbox,
    }
}

impl Proxy {
    pub(crate) fn relay_request(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        match ctx.kind {
            RouteKind::Failure | RouteKind::BranchFailure => return self.relay_in_decision(ctx, to),
            RouteKind::Request | RouteKind::Event => {}
            kind => {
                tracing::error!(target: "tm", ?kind, "t_relay: not possible in this route");
                return -1;
            }
        }
        match ctx.message.method() {
            Method::Ack => return self.relay_ack(ctx, to),
            Method::Cancel => match self.find_cancelled(ctx) {
                Some(id) => return self.cancel(ctx, id),
                None => match self.settings.unmatched_cancel {
                    UnmatchedCancel::Stateful => {}
                    UnmatchedCancel::Stateless => return self.send_stateless(ctx, to),
                    UnmatchedCancel::Drop => return 1,
                },
            },
            _ => {}
        }
        let made_here = ctx.transaction.is_none();
        let mut trying_due = false;
        if made_here {
            match self.make_transaction(ctx, true) {
                1 => {}
                other => return other,
            }
        } else {
            trying_due = ctx.message.method() == Method::Invite;
        }
        let Some(id) = ctx.transaction else { return -1 };
        // Nobody else adds branches to a transaction that was just made.
        let first = match made_here {
            true => 0,
            false => self.reserve_branches(id, 1 + ctx.branches.len()),
        };
        match self.make_branches(ctx, id, to, first, true) {
            Ok(branches) => {
                if trying_due {
                    self.send_trying(ctx, id);
                }
                // The request may have been changed since t_newtran or by a route: later routes start from what was sent.
                if !made_here || ctx.armed.on_branch.is_some() || self.onsend_route().is_some() {
                    self.save(ctx, id);
                }
                if ctx.watch.meets(Interest::FORWARDED) {
                    tell(ctx, &Moment::Forwarded { branches: branches.len() });
                }
                let input = Input::Relay { branches, armed: armed(ctx) };
                let _ = self.step(&services(ctx), ctx.now, id, input);
                1
            }
            Err(why) => {
                if made_here {
                    let _ = self.step(&services(ctx), ctx.now, id, Input::Release);
                    ctx.transaction = None;
                }
                self.unsent(ctx, why)
            }
        }
    }

    /// Numbers for branches, the first of them. When the transaction is gone they will not be started anyway.
    fn reserve_branches(&self, id: TransactionId, n: usize) -> u16 {
        self.shards.of_id(id, |shard| shard.reserve_branches(id, n as u16)).unwrap_or_default()
    }

    fn unsent(&self, ctx: &mut RouteContext<'_>, why: Unsent) -> i64 {
        ctx.error = match why {
            Unsent::Dropped => None,
            Unsent::Error(code, reason) => Some((code, reason)),
        };
        // Kamailio's t_relay gives the negative code.
        ctx.error.map_or(-1, |(code, _)| -i64::from(code))
    }

    /// In a failure route new branches join the decision (serial forking): the Request-URI if the route changed it, and what
    /// `append_branch` added.
    fn relay_in_decision(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        let Some(id) = ctx.transaction else { return -1 };
        let before = self.shards.of_id(id, |shard| shard.view(id).and_then(|v| v.script().cloned()));
        let sent_before = Saved::from_any(&before).map(Saved::state);
        let same = |a: &script::Branch, b: &script::Branch| a.uri == b.uri && a.dst_uri == b.dst_uri;
        let changed = sent_before.is_none_or(|s| !same(&s.target, &ctx.target))
            && !ctx.branches.iter().any(|b| same(b, &ctx.target));
        if !changed && ctx.branches.is_empty() {
            tracing::warn!(target: "tm", "t_relay in a failure route without append_branch or a changed Request-URI: nothing to send");
            return -1;
        }
        let first = self.reserve_branches(id, usize::from(changed) + ctx.branches.len());
        match self.make_branches(ctx, id, to, first, changed) {
            Ok(mut branches) => {
                ctx.decision.branches.append(&mut branches);
                1
            }
            Err(why) => self.unsent(ctx, why),
        }
    }

    /// An ACK is no transaction of its own: to a non-2xx it ends here (absorbed before the script), to a 2xx it goes end to end.
    fn relay_ack(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        if let Some(found) = self.find(ctx)
            && found.kind == Kind::AckEndToEnd
        {
            let local = self.shards.of_id(found.id, |shard| {
                shard.view(found.id).is_some_and(|v| !v.branches().any(|b| (200..300).contains(&b.code)))
            });
            if local {
                let _ = self.step(&services(ctx), ctx.now, found.id, Input::Ack);
                return 1;
            }
            self.tell_ack(ctx, found.id);
        }
        self.send_stateless(ctx, to)
    }

    /// The transaction the request belongs to.
    pub(crate) fn find(&self, ctx: &RouteContext<'_>) -> Option<transaction::Match> {
        let cseq = ctx.message.cseq().ok()?;
        self.shards.of_request(ctx.message.call_id(), cseq.number, |shard| shard.match_request(&ctx.message))
    }

    /// The INVITE a CANCEL means.
    pub(crate) fn find_cancelled(&self, ctx: &RouteContext<'_>) -> Option<TransactionId> {
        let cseq = ctx.message.cseq().ok()?;
        self.shards.of_request(ctx.message.call_id(), cseq.number, |shard| shard.match_cancel(&ctx.message))
    }

    /// Answers the CANCEL and lets the INVITE's transaction cancel its branches (RFC 3261 §16.10).
    fn cancel(&self, ctx: &mut RouteContext<'_>, id: TransactionId) -> i64 {
        // The reply's To tag is the one of the INVITE's replies (§9.2).
        let tag = self.transaction_tag(id);
        // "If the transaction for the original request still exists [and has been answered], the CANCEL request has no effect [..]"
        let late = self.shards.of_id(id, |shard| shard.view(id).is_none_or(|v| v.status() >= 200));
        let reason: &[u8] = if late { b"ok -- no more pending branches" } else { b"canceling" };
        let hop = reply_hop(&ctx.message, ctx.inbound, ctx.force_rport);
        ctx.outbox.print(hop, |out| {
            let stamp = print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport);
            self.write_reply(&ctx.message, 200, reason, &tag, ctx.edits.reply_rows(), stamp, None, out);
        });
        ctx.replied = true;
        tell(ctx, &Moment::Cancel);
        let mut rows = Vec::new();
        for h in ctx.message.headers_named(message::HeaderName::Reason) {
            rows.extend_from_slice(b"Reason: ");
            rows.extend_from_slice(h.value);
            rows.extend_from_slice(b"\r\n");
        }
        let _ = self.step(&services(ctx), ctx.now, id, Input::Cancel { rows: rows.into() });
        1
    }

    pub(crate) fn send_trying(&self, ctx: &mut RouteContext<'_>, id: TransactionId) {
        let options = ctx.options.unwrap_or(self.settings.options);
        let status = self.shards.of_id(id, |s| s.view(id).map_or(200, |v| v.status()));
        if options.no_auto_100 || status != 0 {
            return;
        }
        let bytes = self.trying(ctx);
        let _ = self.step(&services(ctx), ctx.now, id, Input::Reply(LocalReply { code: 100, bytes }));
    }

    fn trying(&self, ctx: &RouteContext<'_>) -> Arc<[u8]> {
        print_shared(|out| {
            let stamp = print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport);
            self.write_reply(&ctx.message, 100, TRYING, b"", b"", stamp, None, out);
        })
    }

    /// Makes the context's transaction: 1 made, 0 the request is taken care of (a retransmission, or refused with 503), -1 not possible.
    pub(crate) fn make_transaction(&self, ctx: &mut RouteContext<'_>, with_trying: bool) -> i64 {
        if ctx.transaction.is_some() {
            return 1;
        }
        let method = ctx.message.method();
        let Ok(cseq) = ctx.message.cseq().map(|cseq| cseq.number) else { return -1 };
        if method == Method::Ack {
            return -1;
        }
        tell(ctx, &Moment::Created);
        let options = ctx.options.unwrap_or(self.settings.options);
        let trying =
            (with_trying && method == Method::Invite && !options.no_auto_100).then(|| self.trying(ctx));
        let new = NewTransaction {
            request: ctx.message.clone(),
            reply_to: reply_hop(&ctx.message, ctx.inbound, ctx.force_rport),
            timing: ctx.timing.unwrap_or_else(|| self.core.config.timing.apply(self.settings.timing)),
            options,
            script: Some(Arc::new(Saved::of(ctx))),
            local: false,
            trying,
        };
        let mut actions = ctx.worker.actions.take();
        let created = self.shards.of_request(ctx.message.call_id(), cseq, |shard| {
            let created = shard.create(new, ctx.now.mono, &mut actions);
            if let Err(Refused::Duplicate(id)) = created {
                let _ = shard.step(id, Input::Retransmission, ctx.now.mono, &mut actions);
            }
            created
        });
        self.perform(&services(ctx), ctx.now, actions);
        match created {
            Ok(id) => {
                ctx.transaction = Some(id);
                1
            }
            Err(Refused::Duplicate(_)) => 0,
            Err(Refused::Full) => {
                let rows = format!("Retry-After: {}\r\n", self.settings.retry_after);
                self.answer(
                    ctx.outbox,
                    &ctx.message,
                    ctx.inbound,
                    ctx.force_rport,
                    503,
                    b"Service Unavailable",
                    rows.as_bytes(),
                );
                ctx.replied = true;
                0
            }
        }
    }

    /// Hands the context's state to the transaction for the routes to come.
    pub(crate) fn save(&self, ctx: &RouteContext<'_>, id: TransactionId) {
        let script = self.shards.of_id(id, |shard| shard.view(id).and_then(|v| v.script().cloned()));
        if let Some(saved) = Saved::from_any(&script) {
            saved.update(|s| *s = State::of(ctx));
            if let Some(vars) = &ctx.vars {
                saved.set_vars(vars);
            }
        }
    }
}
