//! The transaction layer as KSR functions see it.

use std::sync::Arc;

use message::{Message, Method, print};
use script::{
    Awaiting, CallIdAct, RelayTo, RequestState, RouteContext, RouteKind, RunOutcome, Services, Tell,
    Transactions, UacRequest, Vars,
};
use transaction::{Counts, Hop, Input, Kind, TransactionId, View};

use crate::receive::reply_hop;
use crate::relay::services;
use crate::saved::{Saved, armed};
use crate::{Proxy, resolve};

impl Transactions for Proxy {
    fn carried_on(
        &self,
        services: &Services<'_>,
        ctx: RouteContext<'_>,
        awaiting: Awaiting,
        outcome: RunOutcome,
    ) {
        self.after_awaiting(services, ctx, awaiting, outcome);
    }
    fn reply_stateless(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64 {
        if !ctx.message.is_request() || !(100..700).contains(&code) {
            return -1;
        }
        if ctx.message.method() == Method::Ack {
            return 1;
        }
        let hop = reply_hop(&ctx.message, ctx.inbound, ctx.force_rport);
        let tag = self.stateless_tag(&ctx.message);
        ctx.outbox.print(hop, |out| {
            let stamp = print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport);
            self.write_reply(
                &ctx.message,
                code,
                reason,
                &tag,
                ctx.edits.reply_rows(),
                stamp,
                ctx.edits.reply_body(),
                out,
            );
        });
        self.counters().sent_stateless(code);
        ctx.replied = true;
        1
    }

    fn to_tag(&self, ctx: &RouteContext<'_>, stateless: bool) -> Option<Vec<u8>> {
        match stateless {
            true => Some(self.stateless_tag(&ctx.message).to_vec()),
            false => ctx.transaction.map(|id| self.transaction_tag(id).to_vec()),
        }
    }

    fn forward_stateless(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        if !ctx.message.is_request() {
            return -1;
        }
        self.send_stateless(ctx, to)
    }

    fn relay(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>, flags: i64) -> i64 {
        // t_relay_to flags: 0x01 no automatic 100, 0x02 no internal reply on failure.
        if flags != 0 {
            let mut options = ctx.options.unwrap_or(self.settings.options);
            options.no_auto_100 |= flags & 1 != 0;
            options.disable_internal_reply |= flags & 2 != 0;
            ctx.options = Some(options);
        }
        self.relay_request(ctx, to)
    }

    fn new_transaction(&self, ctx: &mut RouteContext<'_>) -> i64 {
        self.make_transaction(ctx, false)
    }

    fn check(&self, ctx: &mut RouteContext<'_>) -> i64 {
        if ctx.transaction.is_some() {
            return 1;
        }
        match ctx.message.method() {
            _ if !ctx.message.is_request() => -1,
            Method::Cancel => {
                if self.find_cancelled(ctx).is_some() {
                    1
                } else {
                    -1
                }
            }
            Method::Ack => match self.find(ctx) {
                Some(m) if m.kind == Kind::AckEndToEnd => 1,
                Some(m) => {
                    let _ = self.step(&services(ctx), ctx.now, m.id, Input::Ack);
                    0
                }
                None => -1,
            },
            // Already looked for before the script; only another worker could have made one since, and t_newtran sees that.
            _ if ctx.looked_up => -1,
            _ => match self.find(ctx) {
                Some(m) => {
                    let _ = self.step(&services(ctx), ctx.now, m.id, Input::Retransmission);
                    0
                }
                None => -1,
            },
        }
    }

    fn lookup_request(&self, ctx: &mut RouteContext<'_>) -> i64 {
        if ctx.transaction.is_some() {
            return 1;
        }
        match self.find(ctx) {
            Some(m) => {
                ctx.transaction = Some(m.id);
                1
            }
            None => -1,
        }
    }

    fn lookup_cancel(&self, ctx: &mut RouteContext<'_>, flags: i64) -> i64 {
        if ctx.message.method() != Method::Cancel {
            return -1;
        }
        let Some(id) = self.find_cancelled(ctx) else { return -1 };
        if flags & 1 != 0 {
            let script = self.shards.of_id(id, |s| s.view(id).and_then(|v| v.script().cloned()));
            if let Some(saved) = Saved::from_any(&script) {
                ctx.flags = saved.state().flags;
            }
        }
        1
    }

    fn reply(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64 {
        if !(100..700).contains(&code) {
            return -1;
        }
        if ctx.transaction.is_none() {
            match self.make_transaction(ctx, false) {
                1 => {}
                other => return other,
            }
        }
        let Some(id) = ctx.transaction else { return -1 };
        let answered = self.shards.of_id(id, |shard| shard.view(id).is_none_or(|v| v.status() >= 200));
        if answered {
            tracing::warn!(target: "tm", call_id = %String::from_utf8_lossy(ctx.message.call_id()), code, "t_reply: the transaction has its final reply already");
            return -1;
        }
        let Some(request) = self.request(ctx) else { return -1 };
        let reply = match ctx.kind {
            // The context of a reply route is the reply's; the request's side is in the transaction.
            RouteKind::OnReply | RouteKind::Reply => {
                self.internal_reply(id, &request, code, &String::from_utf8_lossy(reason))
            }
            _ => self.transaction_reply(ctx, id, &request, code, reason),
        };
        ctx.replied = true;
        if !ctx.watch.is_none() {
            // Who hears of the reply sees the request as it is now.
            if matches!(ctx.kind, RouteKind::Request | RouteKind::Event) {
                self.save(ctx, id);
            }
            self.tell_refused(ctx, id, code);
        }
        match ctx.kind {
            RouteKind::Failure | RouteKind::BranchFailure => ctx.decision.reply = Some(reply),
            _ => {
                if self.step(&services(ctx), ctx.now, id, Input::Reply(reply)).is_err() {
                    return -1;
                }
            }
        }
        1
    }

    fn retransmit_reply(&self, ctx: &mut RouteContext<'_>) -> i64 {
        match ctx.transaction.or_else(|| self.find(ctx).map(|m| m.id)) {
            Some(id) => match self.step(&services(ctx), ctx.now, id, Input::Retransmission) {
                Ok(()) => 1,
                Err(_) => -1,
            },
            None => -1,
        }
    }

    fn release(&self, ctx: &mut RouteContext<'_>) -> i64 {
        let Some(id) = ctx.transaction.take() else { return -1 };
        match self.step(&services(ctx), ctx.now, id, Input::Release) {
            Ok(()) => 1,
            Err(_) => -1,
        }
    }

    fn cancel_branches(&self, ctx: &mut RouteContext<'_>, which: &[u8]) -> i64 {
        let Some(id) = ctx.transaction else { return -1 };
        let rows: Arc<[u8]> = Arc::from(&b""[..]);
        let here = ctx.branch_index;
        let only: Vec<Option<u16>> = match which {
            b"this" => vec![Some(here)],
            b"others" => self.shards.of_id(id, |s| {
                s.view(id)
                    .map(|v| {
                        v.branches()
                            .filter(|b| b.pending && b.number != here)
                            .map(|b| Some(b.number))
                            .collect()
                    })
                    .unwrap_or_default()
            }),
            _ => vec![None],
        };
        for only in only {
            let _ =
                self.step(&services(ctx), ctx.now, id, Input::CancelBranches { only, rows: rows.clone() });
        }
        1
    }

    fn uac_send(&self, ctx: &mut RouteContext<'_>, request: &UacRequest<'_>) -> i64 {
        self.send_local(ctx, request, None)
    }

    fn send_request(&self, ctx: &mut RouteContext<'_>, request: &UacRequest<'_>, tell: Tell) -> i64 {
        self.send_local(ctx, request, Some(tell))
    }

    fn replicate(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> i64 {
        let Some(hop) = resolve::resolve(ctx, uri, None) else { return -1 };
        // A copy of its own, whose replies end here: stateless but for its branch, which names no transaction.
        let mut via = Vec::new();
        self.write_via(ctx, hop, &mut via);
        via.extend_from_slice(b"z9hG4bKr");
        via.extend_from_slice(&self.stateless_tag(&ctx.message)[4..]);
        ctx.outbox.print(hop, |out| {
            let how = print::Forward {
                uri: (!ctx.target.uri.is_empty()).then_some(&ctx.target.uri[..]),
                via: Some(&via),
                via_stamp: print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport),
            };
            print::request(&ctx.message, &ctx.edits, &how, out);
        });
        1
    }

    fn suspend(&self, ctx: &mut RouteContext<'_>) -> i64 {
        if ctx.transaction.is_none() && self.make_transaction(ctx, true) != 1 {
            return -1;
        }
        let Some(id) = ctx.transaction else { return -1 };
        self.save(ctx, id);
        match self.step(&services(ctx), ctx.now, id, Input::Suspend) {
            Ok(()) => 1,
            Err(_) => -1,
        }
    }

    fn resume(&self, ctx: &mut RouteContext<'_>, index: u32, label: u32, callback: &[u8]) -> i64 {
        let id = TransactionId { index, label };
        let Some(callback) = ctx.callback(callback) else { return -1 };
        let found = self.shards.of_id(id, |s| {
            s.view(id).filter(|v| v.is_suspended()).map(|v| (v.request().clone(), v.script().cloned()))
        });
        let Some((request, script)) = found else { return -1 };
        let Some(saved) = Saved::from_any(&script) else { return -1 };
        let state = saved.state();
        let mut inner =
            RouteContext::new(&services(ctx), RouteKind::Failure, request, state.inbound, ctx.now);
        state.restore(&mut inner);
        inner.transaction = Some(id);
        inner.looked_up = true;
        inner.vars = saved.vars();
        self.run(&mut inner, callback);
        saved.update(|s| {
            s.armed = inner.armed;
            s.flags = inner.flags;
            s.target = inner.target.clone();
            s.edits = inner.edits.clone();
            s.record_route = inner.record_route.clone();
            s.watch = inner.watch;
            s.kept = inner.kept.clone();
        });
        let mut decision = std::mem::take(&mut inner.decision);
        decision.armed = armed(&inner);
        match self.step(&services(ctx), ctx.now, id, Input::Routed(decision)) {
            Ok(()) => 1,
            Err(_) => -1,
        }
    }

    fn by_callid(&self, ctx: &mut RouteContext<'_>, call_id: &[u8], cseq: u32, act: CallIdAct<'_>) -> i64 {
        let Some(id) = self.shards.of_request(call_id, cseq, |s| s.lookup_callid(call_id, cseq)) else {
            return -1;
        };
        let input = match act {
            CallIdAct::Cancel { reason, flag } => {
                if (0..32).contains(&flag) {
                    let script = self.shards.of_id(id, |s| s.view(id).and_then(|v| v.script().cloned()));
                    if let Some(saved) = Saved::from_any(&script) {
                        saved.update(|s| s.flags |= 1 << flag);
                    }
                }
                let rows = if reason > 0 { format!("Reason: SIP;cause={reason}\r\n") } else { String::new() };
                Input::CancelBranches { only: None, rows: rows.into_bytes().into() }
            }
            CallIdAct::Reply { code, reason } => {
                let Some(request) = self.shards.of_id(id, |s| s.view(id).map(|v| v.request().clone())) else {
                    return -1;
                };
                Input::Reply(self.internal_reply(id, &request, code, &String::from_utf8_lossy(reason)))
            }
        };
        match self.step(&services(ctx), ctx.now, id, input) {
            Ok(()) => 1,
            Err(_) => -1,
        }
    }

    fn view(&self, ctx: &RouteContext<'_>, f: &mut dyn FnMut(Option<&View<'_>>)) {
        match ctx.transaction {
            Some(id) => self.shards.of_id(id, |shard| f(shard.view(id).as_ref())),
            None => f(None),
        }
    }

    fn attach_vars(&self, ctx: &RouteContext<'_>, vars: &Arc<Vars>) {
        let Some(id) = ctx.transaction else { return };
        let script = self.shards.of_id(id, |shard| shard.view(id).and_then(|v| v.script().cloned()));
        if let Some(saved) = Saved::from_any(&script) {
            saved.set_vars(vars);
        }
    }

    fn update(&self, ctx: &mut RouteContext<'_>) {
        let Some(id) = ctx.transaction else { return };
        // While a route of the transaction runs, its decision carries what it armed.
        if matches!(ctx.kind, RouteKind::Failure | RouteKind::BranchFailure | RouteKind::OnReply) {
            return;
        }
        let (timing, options, routes, told) = (ctx.timing, ctx.options, ctx.armed, armed(ctx));
        let script = self.shards.of_id(id, |shard| {
            if let Some(t) = timing {
                shard.set_timing(id, t);
            }
            if let Some(o) = options {
                shard.set_options(id, o);
            }
            shard.set_armed(id, told);
            shard.view(id).and_then(|v| v.script().cloned())
        });
        if let Some(saved) = Saved::from_any(&script) {
            saved.update(|s| s.armed = routes);
        }
    }

    fn resolve(&self, ctx: &RouteContext<'_>, uri: &[u8]) -> Option<Hop> {
        resolve::resolve(ctx, uri, None)
    }

    fn counts(&self) -> Counts {
        self.shards.counts()
    }

    fn request_state(&self, ctx: &RouteContext<'_>) -> Option<RequestState> {
        let id = match ctx.transaction {
            Some(id) => id,
            None if ctx.message.method() == Method::Cancel => self.find_cancelled(ctx)?,
            None => return None,
        };
        let (message, script) = self
            .shards
            .of_id(id, |shard| shard.view(id).map(|v| (v.request().clone(), v.script().cloned())))?;
        let state = Saved::from_any(&script)?.state();
        Some(RequestState { message, inbound: state.inbound, target: state.target, flags: state.flags })
    }

    fn request(&self, ctx: &RouteContext<'_>) -> Option<Arc<Message>> {
        let id = ctx.transaction?;
        self.shards.of_id(id, |shard| shard.view(id).map(|v| v.request().clone()))
    }
}
