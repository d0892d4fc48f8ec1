//! What a transaction wants done: send, run a route, make a reply. No lock is held here; results go back as inputs.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use message::{Edits, HeaderName, Message, print};
use script::hooks::tell;
use script::{
    Awaiting, Branch, Inbound, Interest, Moment, Parked, RouteContext, RouteKind, RunOutcome, Services, Tell,
};
use transaction::{Action, Hop, Input, LocalReply, Now, Outcome, Route, Timestamp, TransactionId};

use crate::hooks::Told;
use crate::receive::print_shared;
use crate::saved::{Saved, armed};
use crate::{Proxy, shards};

/// Room for so many actions is kept by a worker.
const KEPT_ACTIONS: usize = 64;

/// A route a transaction waits for.
struct Wanted {
    id: TransactionId,
    route: Route,
    branch: u16,
    reply: Option<Arc<Message>>,
    from: Option<Hop>,
    code: u16,
    request: Arc<Message>,
    script: Option<Arc<dyn Any + Send + Sync>>,
}

impl Proxy {
    /// Fires the timers that are due, shard by shard, until `most` transactions have been looked at. Until the last is done
    /// [`Proxy::soonest`] says that something is due: when a route that a timer runs takes long, another thread finds the other shards.
    pub fn expire(&self, services: &Services<'_>, now: Now, most: usize) {
        let mut looked = 0;
        for number in self.shards.due(now.mono) {
            let mut actions = services.worker.actions.take();
            looked += self.shards.with(number, |shard| shard.expire(now.mono, &mut actions));
            self.perform(services, now, actions);
            if looked >= most {
                self.shards.stop_at(number);
                break;
            }
        }
        self.shards.recount();
    }

    /// Looks at live transactions, at most `limit` of them. `f` must not call back.
    pub fn for_transactions(&self, limit: usize, mut f: impl FnMut(&transaction::View<'_>)) {
        let mut left = limit;
        self.shards.each(|shard| {
            for view in shard.views().take(left) {
                left -= 1;
                f(&view);
            }
        });
    }

    /// No timer is due before; [`Timestamp::NEVER`] when none is running.
    pub fn soonest(&self) -> Timestamp {
        self.shards.soonest()
    }

    /// Does what comes out of a step, and what comes out of that.
    pub(crate) fn perform(&self, services: &Services<'_>, now: Now, actions: Vec<Action>) {
        if actions.is_empty() {
            return services.worker.actions.set(actions);
        }
        debug_assert!(shards::unlocked());
        let mut queue: VecDeque<Action> = actions.into();
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Transmit { hop, bytes } => services.outbox.push(hop, bytes),
                Action::Forward(forward) => self.forward_reply(services, now, *forward),
                Action::RunRoute { id, route, branch, reply, from, code, request, script } => {
                    let wanted = Wanted { id, route, branch, reply, from, code, request, script };
                    // None: it awaits, and the transaction waits for it.
                    if let Some(outcome) = self.run_wanted(services, now, wanted) {
                        self.feed(now, id, Input::Routed(outcome), &mut queue);
                    }
                }
                Action::MakeReply { id, code, reason, request } => {
                    let reply = self.internal_reply(id, &request, code, reason);
                    self.feed(now, id, Input::Reply(reply), &mut queue);
                }
                Action::MergeAuth { id, replies, .. } => {
                    if let Some(reply) = merge_auth(&replies) {
                        self.feed(now, id, Input::Reply(reply), &mut queue);
                    }
                }
                Action::Provisional { id, branch, reply } => {
                    let code = reply.status();
                    let told = Told { id, moment: Moment::Provisional, branch, code, reply: Some(reply) };
                    self.tell_of(services, now, told);
                }
                Action::Failing { id, code, branch, reply } => {
                    self.tell_of(services, now, Told { id, moment: Moment::Failing, branch, code, reply });
                }
                Action::Completed { id, code, branch, reply, .. } => {
                    let branch = branch.unwrap_or(0);
                    self.tell_of(services, now, Told { id, moment: Moment::Final, branch, code, reply });
                }
                Action::Freed { id, request, script, .. } => {
                    let told = Told { id, moment: Moment::Freed, branch: 0, code: 0, reply: None };
                    if self.heard(&told.moment) {
                        self.tell_with(services, now, told, request, &script);
                    }
                }
                Action::LocalFinal { code, reply, script, .. } => {
                    tracing::debug!(target: "tm", code, "request of our own completed");
                    if let Some(tell) = script.as_ref().and_then(|s| s.downcast_ref::<Tell>()) {
                        self.tell_local_end(services, now, *tell, code, reply);
                    }
                }
            }
        }
        // What one step needs is kept for the next; a burst's is not.
        if queue.capacity() <= KEPT_ACTIONS {
            services.worker.actions.set(queue.into());
        }
    }

    /// A step whose actions join the queue. The transaction may be gone by now: then there is nothing left to do.
    fn feed(&self, now: Now, id: TransactionId, input: Input, queue: &mut VecDeque<Action>) {
        let mut actions = Vec::new();
        let _ = self.shards.of_id(id, |shard| shard.step(id, input, now.mono, &mut actions));
        queue.extend(actions);
    }

    fn run_wanted(&self, services: &Services<'_>, now: Now, wanted: Wanted) -> Option<Outcome> {
        let Some(saved) = Saved::from_any(&wanted.script) else { return Some(Outcome::default()) };
        let state = saved.state();
        let (kind, callback) = match wanted.route {
            Route::OnReply => (RouteKind::OnReply, state.armed.on_reply),
            Route::BranchFailure => (RouteKind::BranchFailure, state.armed.on_branch_failure),
            Route::Failure => (RouteKind::Failure, state.armed.on_failure),
        };
        let message = match (wanted.route, &wanted.reply) {
            (Route::OnReply, Some(reply)) => reply.clone(),
            _ => wanted.request.clone(),
        };
        let mut ctx = RouteContext::new(services, kind, message, state.inbound, now);
        let inbound = state.inbound;
        let branch = self.shards.of_id(wanted.id, |shard| {
            shard.view(wanted.id).and_then(|v| v.branch(wanted.branch)).and_then(|b| b.script.cloned())
        });
        state.restore(&mut ctx);
        ctx.transaction = Some(wanted.id);
        ctx.looked_up = true;
        ctx.vars = saved.vars();
        ctx.branch_index = wanted.branch;
        ctx.reply = wanted.reply.clone();
        ctx.reply_code = wanted.code;
        match wanted.route {
            Route::OnReply => {
                // The reply is the message here: its own changes, its own source.
                ctx.edits = Edits::new();
                ctx.record_route = None;
                ctx.set_inbound(wanted.from.map_or(inbound, |hop| self.reply_inbound(hop)));
                ctx.target.flags = branch_flags(&branch);
            }
            // One shot: the route must arm itself again. The branch failure route holds for all branches of a leg (Kamailio, observed).
            Route::Failure => {
                // What they change here, the route sees.
                if ctx.watch.meets(Interest::FAILING) {
                    tell(&mut ctx, &Moment::Failing);
                }
                ctx.armed.on_failure = None;
                ctx.armed.on_branch = None;
                ctx.armed.on_branch_failure = None;
            }
            Route::BranchFailure => {
                ctx.target.flags = branch_flags(&branch);
            }
        }
        let Some(callback) = callback else {
            return Some(Outcome { armed: armed(&ctx), ..Outcome::default() });
        };
        ctx.may_await = true;
        let outcome = self.run(&mut ctx, callback);
        if outcome == RunOutcome::Awaits {
            let engine = ctx.engine;
            let id = wanted.id;
            engine.carry_on(Parked::of(ctx), Awaiting::Decision(id, Arc::new(wanted)));
            return None;
        }
        Some(self.decision(&mut ctx, &wanted, outcome))
    }

    /// A route of a transaction that awaited has ended.
    pub(crate) fn decided(
        &self,
        services: &Services<'_>,
        ctx: &mut RouteContext<'_>,
        id: TransactionId,
        wanted: &Arc<dyn Any + Send + Sync>,
        outcome: RunOutcome,
    ) {
        let Some(wanted) = wanted.downcast_ref::<Wanted>() else { return };
        let decision = self.decision(ctx, wanted, outcome);
        let _ = self.step(services, ctx.now, id, Input::Routed(decision));
    }

    /// What a route of a transaction decided, and what it leaves for the next.
    fn decision(&self, ctx: &mut RouteContext<'_>, wanted: &Wanted, outcome: RunOutcome) -> Outcome {
        let Some(saved) = Saved::from_any(&wanted.script) else { return Outcome::default() };
        if outcome == RunOutcome::Exception {
            self.counters().script_errors.inc();
        }
        let keep_flags = wanted.route != Route::OnReply;
        saved.update(|s| {
            s.armed = ctx.armed;
            s.flags = ctx.flags;
            s.xflags = ctx.xflags;
            if keep_flags {
                s.target = ctx.target.clone();
                s.edits = ctx.edits.clone();
                s.record_route = ctx.record_route.clone();
                s.watch = ctx.watch;
                s.kept = ctx.kept.clone();
            }
        });
        let mut decision = std::mem::take(&mut ctx.decision);
        decision.armed = armed(ctx);
        decision.drop |= ctx.dropped || outcome == RunOutcome::Drop;
        if wanted.route == Route::OnReply
            && (!ctx.edits.is_empty()
                || !Arc::ptr_eq(&ctx.message, wanted.reply.as_ref().unwrap_or(&ctx.message)))
        {
            decision.forward =
                Some(print_shared(|out| print::forwarded_reply(&ctx.message, &ctx.edits, out)));
        }
        decision
    }

    pub(crate) fn reply_inbound(&self, hop: Hop) -> Inbound {
        let local = self
            .core
            .listeners
            .get(hop.socket.0 as usize)
            .map_or_else(|| std::net::SocketAddr::from(([0, 0, 0, 0], 0)), |l| l.address);
        Inbound { source: hop.remote, local, socket: hop.socket, transport: hop.transport }
    }
}

fn branch_flags(branch: &Option<Arc<dyn Any + Send + Sync>>) -> u32 {
    branch.as_ref().and_then(|b| b.downcast_ref::<Branch>()).map_or(0, |b| b.flags)
}

/// RFC 3261 §16.7 step 7: the chosen 401 or 407 carries the challenges of the others too.
fn merge_auth(replies: &[Arc<Message>]) -> Option<LocalReply> {
    let (chosen, others) = replies.split_first()?;
    let mut edits = Edits::new();
    for other in others {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for h in other.headers_named(name) {
                let mut row = name.as_str().as_bytes().to_vec();
                row.extend_from_slice(b": ");
                row.extend_from_slice(h.value);
                row.extend_from_slice(b"\r\n");
                edits.insert(chosen.headers_end(), &row);
            }
        }
    }
    let bytes = print_shared(|out| print::forwarded_reply(chosen, &edits, out));
    Some(LocalReply { code: chosen.status(), bytes })
}
