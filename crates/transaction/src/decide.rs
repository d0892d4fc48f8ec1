//! What becomes of replies: forwarding, routes in the middle of a decision, cancelling the others, choosing and sending the best.
//!
//! The *Deciding* state: a route runs outside (no lock is held over it) and its [`Outcome`] comes back as an input. In between,
//! replies, CANCEL and timers wait in arrival order; retransmissions are absorbed. Two things that arrive meanwhile beat what the
//! route wants: a 2xx, which is forwarded at once, and a CANCEL, after which no new branch is started.

use std::sync::Arc;

use message::{Message, Method};

use crate::best_reply::{Choice, choose};
use crate::matching;
use crate::transaction::{Env, Maker, Transaction};
use crate::{Action, Armed, Input, Outcome, Route, Timestamp};

/// A deferred queue this long takes no more provisional replies.
const DEFERRED_SOFT: usize = 64;
/// A deferred queue this long takes nothing more: what matters is retransmitted.
const DEFERRED_HARD: usize = 128;

/// What the transaction waits for.
#[derive(Debug)]
pub(crate) struct Deciding {
    pub awaited: Awaited,
    /// When it stops waiting.
    pub until: Timestamp,
    /// Held by `t_suspend`.
    pub suspended: bool,
}

#[derive(Debug)]
pub(crate) enum Awaited {
    OnReply {
        branch: usize,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
    },
    BranchFailure,
    Failure(Choice),
    /// `t_suspend` in the request route.
    Continue,
}

impl Awaited {
    pub fn route(&self) -> Option<Route> {
        match self {
            Awaited::OnReply { .. } => Some(Route::OnReply),
            Awaited::BranchFailure => Some(Route::BranchFailure),
            Awaited::Failure(_) => Some(Route::Failure),
            Awaited::Continue => None,
        }
    }
}

impl Transaction {
    // Deferring.

    pub(crate) fn must_wait(&self, input: &Input) -> bool {
        match &self.deciding {
            None => false,
            // A suspended request without branches can be cancelled and answered like one that was not suspended.
            Some(Deciding { awaited: Awaited::Continue, .. }) if self.branches.is_empty() => {
                !matches!(input, Input::Cancel { .. } | Input::Reply(_))
            }
            Some(_) => true,
        }
    }

    pub(crate) fn defer(&mut self, input: Input, env: &mut Env<'_>) {
        let provisional =
            |input: &Input| matches!(input, Input::ReplyReceived { reply, .. } if reply.status() < 200);
        let repeated = match &input {
            Input::ReplyReceived { branch, reply, .. } if reply.status() >= 200 => {
                self.deferred.iter().any(|waiting| match waiting {
                    Input::ReplyReceived { branch: b, reply: r, .. } => {
                        b == branch && r.status() == reply.status() && r.method() == reply.method()
                    }
                    _ => false,
                })
            }
            Input::Cancel { .. } => {
                self.deferred.iter().any(|waiting| matches!(waiting, Input::Cancel { .. }))
            }
            _ => false,
        };
        if repeated {
            env.counts.absorbed += 1;
            return;
        }
        if self.deferred.len() >= DEFERRED_SOFT {
            if provisional(&input) {
                env.counts.deferred_dropped += 1;
                return;
            }
            if let Some(newest) = self.deferred.iter().rposition(provisional) {
                self.deferred.remove(newest);
                env.counts.deferred_dropped += 1;
            }
        }
        if self.deferred.len() >= DEFERRED_HARD {
            env.counts.deferred_dropped += 1;
            return;
        }
        self.deferred.push_back(input);
    }

    fn run(
        &mut self,
        route: Route,
        branch: Option<usize>,
        reply: Option<Arc<Message>>,
        code: u16,
        awaited: Awaited,
        env: &mut Env<'_>,
    ) {
        // A script may wait for a database, but not for ever.
        let until = env.now + self.timing.max_invite;
        self.deciding = Some(Deciding { awaited, until, suspended: false });
        env.out.push(Action::RunRoute {
            id: self.id,
            route,
            branch: branch.map_or(0, |index| self.number_of(index)),
            from: branch.and_then(|index| self.branches.get(index)).and_then(|branch| branch.from),
            reply,
            code,
            request: Arc::clone(&self.request),
            script: self.script.clone(),
        });
    }

    pub(crate) fn suspend(&mut self, env: &mut Env<'_>) {
        let until = env.now + self.timing.fr;
        match &mut self.deciding {
            Some(deciding) => {
                deciding.until = until;
                deciding.suspended = true;
            }
            None if self.done => {}
            None => {
                let until = until.min(self.limit);
                self.deciding = Some(Deciding { awaited: Awaited::Continue, until, suspended: true });
            }
        }
    }

    // Replies.

    /// A reply that the branch's machine found to be news. The reply route sees a 100 too, as in Kamailio.
    pub(crate) fn reply_passed_up(
        &mut self,
        index: usize,
        code: u16,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
        env: &mut Env<'_>,
    ) {
        if self.armed.on_reply {
            let awaited = Awaited::OnReply { branch: index, reply: Arc::clone(&reply), forward };
            self.run(Route::OnReply, Some(index), Some(reply), code, awaited, env);
            return;
        }
        self.reply_accepted(index, code, reply, forward, env);
    }

    /// A reply after its route.
    fn reply_accepted(
        &mut self,
        index: usize,
        code: u16,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
        env: &mut Env<'_>,
    ) {
        match code {
            ..200 => self.provisional(index, code, reply, forward, env),
            200..=299 => self.success(index, code, reply, forward, env),
            _ => {
                let Some(branch) = self.branches.get_mut(index) else { return };
                if !branch.is_pending() {
                    return;
                }
                branch.result = Some(code);
                branch.reply = Some(reply);
                branch.forward = forward;
                self.branch_ended(index, env);
            }
        }
    }

    fn provisional(
        &mut self,
        index: usize,
        code: u16,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
        env: &mut Env<'_>,
    ) {
        let pending = self.branches.get(index).is_some_and(|branch| branch.is_pending());
        // "a stateful proxy MUST NOT forward any 100 (Trying) response" (§16.7 step 5)
        // and who gave up is not told that it rings (as Kamailio)
        if code == 100 || self.done || !pending || self.finalizing.is_some() || self.canceled.is_some() {
            return;
        }
        // "A SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE request"
        // (RFC 4320 §4.1)
        if !self.is_invite() && !self.options.noninvite_408 {
            return;
        }
        if let Some(bytes) = forward {
            let number = self.number_of(index);
            self.send_upstream(code, bytes, Maker::Branch(number, &reply), env);
            if self.armed.told {
                env.out.push(Action::Provisional { id: self.id, branch: number, reply });
            }
        }
    }

    fn success(
        &mut self,
        index: usize,
        code: u16,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
        env: &mut Env<'_>,
    ) {
        if self.done && !self.is_invite() {
            return;
        }
        let (invite, local) = (self.is_invite(), self.is_local());
        if let Some(branch) = self.branches.get_mut(index) {
            branch.result = Some(code);
            branch.reply = local.then(|| Arc::clone(&reply));
            branch.success = invite.then(|| matching::to_tag(&reply).into());
        }
        if self.is_local() {
            // Every 2xx to an INVITE is told, retransmissions too: each wants its ACK.
            self.local_final(code, Some(Arc::clone(&reply)), env);
        } else if let Some(bytes) = forward {
            self.send_upstream(code, bytes, Maker::Branch(self.number_of(index), &reply), env);
        }
        if !self.done {
            self.completed(code, Some(self.number_of(index)), Some(reply), env);
            self.cancel_others(Some(index), code, env);
        }
    }

    fn local_final(&mut self, code: u16, reply: Option<Arc<Message>>, env: &mut Env<'_>) {
        env.out.push(Action::LocalFinal { id: self.id, code, reply, script: self.script.clone() });
    }

    /// Cancels what is still pending (§16.7 step 10).
    pub(crate) fn cancel_others(&mut self, except: Option<usize>, code: u16, env: &mut Env<'_>) {
        if !self.is_invite() || self.branches.iter().all(|branch| !branch.is_pending()) {
            return;
        }
        let rows: Arc<[u8]> = match (&self.canceled, self.options.no_cancel_reason) {
            (Some(rows), _) => Arc::clone(rows),
            (None, true) => Arc::default(),
            (None, false) => cancel_reason(code),
        };
        for index in 0..self.branches.len() {
            if Some(index) != except {
                self.cancel_branch(index, &rows, env);
            }
        }
    }

    // The end of a branch.

    /// Timer B, C or F.
    pub(crate) fn branch_timeout(&mut self, index: usize, env: &mut Env<'_>) {
        let code = if self.canceled.is_some() { 487 } else { 408 };
        let Some(branch) = self.branches.get_mut(index) else { return };
        branch.timed_out = true;
        if !branch.is_pending() {
            return;
        }
        self.cancel_branch(index, &Arc::default(), env);
        if let Some(branch) = self.branches.get_mut(index) {
            branch.result = Some(code);
        }
        self.branch_ended(index, env);
    }

    /// A branch has a final result of 300 or more.
    pub(crate) fn branch_ended(&mut self, index: usize, env: &mut Env<'_>) {
        let Some((code, reply)) =
            self.branches.get(index).and_then(|branch| Some((branch.result?, branch.reply.clone())))
        else {
            return;
        };
        if self.done {
            return;
        }
        if code >= 600 && (!self.options.disable_6xx || self.options.cancel_on_6xx) {
            // "If a 6xx response is received, ... the stateful proxy SHOULD cancel all client pending transactions" (§16.7 step 5)
            self.cancel_others(Some(index), code, env);
        }
        if self.armed.branch_failure {
            self.run(Route::BranchFailure, Some(index), reply, code, Awaited::BranchFailure, env);
            return;
        }
        self.check_complete(env);
    }

    fn has_6xx(&self) -> bool {
        !self.options.disable_6xx
            && self.branches.iter().skip(self.leg).any(|branch| branch.result.is_some_and(|code| code >= 600))
    }

    /// When all branches are final and none succeeded: the failure route, or the best reply.
    pub(crate) fn check_complete(&mut self, env: &mut Env<'_>) {
        if self.done
            || self.deciding.is_some()
            || self.finalizing.is_some()
            || self.branches.iter().any(|branch| branch.is_pending())
        {
            return;
        }
        let Some(choice) = self.choice() else { return };
        self.fail(choice, env);
    }

    pub(crate) fn choice(&self) -> Option<Choice> {
        choose(&self.branches, self.leg, self.options.disable_6xx)
    }

    fn fail(&mut self, choice: Choice, env: &mut Env<'_>) {
        let reply = choice
            .branch
            .and_then(|index| self.branches.get(index))
            .and_then(|branch| branch.reply.clone())
            .filter(|_| choice.received);
        if !self.armed.failure {
            if self.armed.told {
                let branch = choice.branch.map_or(0, |index| self.number_of(index));
                env.out.push(Action::Failing { id: self.id, code: choice.code, branch, reply });
            }
            self.finalize(choice, env);
            return;
        }
        self.armed.failure = false;
        self.run(Route::Failure, choice.branch, reply, choice.code, Awaited::Failure(choice), env);
    }

    /// Sends the best reply, or has it made.
    fn finalize(&mut self, choice: Choice, env: &mut Env<'_>) {
        if self.done || self.finalizing.is_some() {
            return;
        }
        let branch = choice.branch.and_then(|index| self.branches.get(index));
        if self.is_local() {
            let reply = branch.and_then(|branch| branch.reply.clone()).filter(|_| choice.received);
            self.local_final(choice.code, reply, env);
            self.status = choice.code;
            self.completed(choice.code, choice.branch.map(|index| self.number_of(index)), None, env);
            return;
        }
        let forward = branch.and_then(|branch| branch.forward.clone());
        match (choice.branch, forward) {
            (Some(index), Some(bytes)) => self.forward_best(index, choice.code, bytes, env),
            _ => self.answer_for_nobody(choice.code, env),
        }
    }

    fn forward_best(&mut self, index: usize, code: u16, bytes: Arc<[u8]>, env: &mut Env<'_>) {
        if matches!(code, 401 | 407) {
            let challenged = |(i, branch): (usize, &crate::branch::Branch)| {
                (i != index && matches!(branch.result, Some(401 | 407)))
                    .then(|| branch.reply.clone())
                    .flatten()
            };
            let others: Vec<_> =
                self.branches.iter().enumerate().skip(self.leg).filter_map(challenged).collect();
            if let (false, Some(best)) =
                (others.is_empty(), self.branches.get(index).and_then(|branch| branch.reply.clone()))
            {
                let number = self.number_of(index);
                self.finalizing = Some(Some(number));
                self.limit = env.now + self.timing.wait;
                let replies = std::iter::once(best).chain(others).collect();
                env.out.push(Action::MergeAuth { id: self.id, branch: number, replies });
                return;
            }
        }
        let (code, bytes) = match code {
            503 if !self.options.keep_503 => (500, as_500(bytes)),
            _ => (code, bytes),
        };
        let number = self.number_of(index);
        let reply = self.failure_of(number);
        let maker = reply.as_ref().map_or(Maker::Us, |reply| Maker::Branch(number, reply));
        self.send_upstream(code, bytes, maker, env);
        self.completed(code, Some(number), reply, env);
    }

    /// A final reply where no branch gave one.
    fn answer_for_nobody(&mut self, code: u16, env: &mut Env<'_>) {
        if self.canceled.is_some() && code < 500 {
            self.ask_reply(487, "Request Terminated", env);
            return;
        }
        // "A SIP element MUST NOT send a 408 (Request Timeout) final response to a non-INVITE request" (RFC 4320 §4.2: the client
        // has timed out by then)
        let unwanted = code == 408 && !self.is_invite() && !self.options.noninvite_408;
        if self.options.disable_internal_reply || unwanted {
            env.out.push(Action::Completed { id: self.id, code, branch: None, local: true, reply: None });
            self.end_silently(env);
            return;
        }
        match code {
            408 => self.ask_reply(408, "Request Timeout", env),
            503 if self.options.keep_503 => self.ask_reply(503, "Service Unavailable", env),
            _ => self.ask_reply(500, "Server Internal Error", env),
        }
    }

    // The outcome of a route.

    pub(crate) fn routed(&mut self, deciding: Deciding, outcome: Outcome, env: &mut Env<'_>) {
        match deciding.awaited {
            Awaited::OnReply { branch, reply, forward } => {
                self.arm_more(outcome.armed);
                self.after_on_reply(branch, reply, forward, outcome, env);
            }
            Awaited::BranchFailure => {
                self.arm_more(outcome.armed);
                if self.late_success(env) {
                    return;
                }
                // "... and it MUST NOT create any new branches in this context" (§16.7 step 5, 6xx)
                if !self.has_6xx() && !self.cancel_waits() {
                    self.start_branches(outcome.branches, env);
                }
                if let Some(reply) = outcome.reply {
                    self.apply(Input::Reply(reply), env);
                }
                self.check_complete(env);
            }
            Awaited::Failure(choice) => self.after_failure(choice, outcome, env),
            Awaited::Continue => {
                self.arm_more(outcome.armed);
                let nothing = outcome.branches.is_empty() && outcome.reply.is_none();
                if !self.cancel_waits() {
                    self.start_branches(outcome.branches, env);
                }
                if let Some(reply) = outcome.reply {
                    self.apply(Input::Reply(reply), env);
                }
                if nothing {
                    self.apply(Input::Release, env);
                }
                self.check_complete(env);
            }
        }
    }

    /// Routes armed by a route that is not the failure route come on top of those that still hold.
    fn arm_more(&mut self, armed: Armed) {
        self.armed.on_reply |= armed.on_reply;
        self.armed.failure |= armed.failure;
        self.armed.branch_failure |= armed.branch_failure;
        self.armed.told |= armed.told;
    }

    fn after_on_reply(
        &mut self,
        index: usize,
        reply: Arc<Message>,
        forward: Option<Arc<[u8]>>,
        outcome: Outcome,
        env: &mut Env<'_>,
    ) {
        let code = reply.status();
        if let Some(reply) = outcome.reply {
            self.apply(Input::Reply(reply), env);
        }
        if code >= 300 && !self.has_6xx() {
            self.start_branches(outcome.branches, env);
        }
        if !(outcome.drop && code < 200) {
            self.reply_accepted(index, code, reply, outcome.forward.or(forward), env);
        }
    }

    fn after_failure(&mut self, choice: Choice, outcome: Outcome, env: &mut Env<'_>) {
        if self.late_success(env) {
            return;
        }
        // One shot each, but the reply route holds for the branches of every leg, as in Kamailio.
        self.armed = Armed {
            on_reply: self.armed.on_reply || outcome.armed.on_reply,
            told: self.armed.told || outcome.armed.told,
            ..outcome.armed
        };
        if let Some(reply) = outcome.reply {
            self.apply(Input::Reply(reply), env);
        }
        if self.done {
            return;
        }
        let canceled = self.cancel_waits();
        if outcome.branches.is_empty() {
            self.finalize(choice, env);
        } else if canceled || self.canceled.is_some() {
            // The caller has given up: nobody else is tried.
            self.take_cancel();
            self.ask_reply(487, "Request Terminated", env);
        } else {
            if outcome.drop_replies.unwrap_or(!self.options.keep_replies) {
                self.leg = self.branches.len();
            }
            self.start_branches(outcome.branches, env);
            if self.branches.len() == self.leg {
                // No room for another branch.
                self.leg = 0;
                self.finalize(choice, env);
            }
            self.check_complete(env);
        }
    }

    /// A 2xx that came while the route ran is worked on first: it wins over what the route wants.
    fn late_success(&mut self, env: &mut Env<'_>) -> bool {
        let position = self.deferred.iter().position(|input| {
            matches!(input, Input::ReplyReceived { reply, .. }
                if (200..300).contains(&reply.status()) && reply.method() != Method::Cancel)
        });
        let Some(input) = position.and_then(|position| self.deferred.remove(position)) else {
            return false;
        };
        self.apply(input, env);
        // Forwarded, or on its way through the reply route.
        self.done || self.deciding.is_some()
    }

    fn cancel_waits(&self) -> bool {
        self.is_invite() && self.deferred.iter().any(|input| matches!(input, Input::Cancel { .. }))
    }

    fn take_cancel(&mut self) {
        let position = self.deferred.iter().position(|input| matches!(input, Input::Cancel { .. }));
        if let Some(Input::Cancel { rows }) = position.and_then(|position| self.deferred.remove(position)) {
            self.canceled = Some(rows);
        }
    }

    /// The route never came back, or nobody continued the suspended request.
    pub(crate) fn undecided(&mut self, deciding: Deciding, env: &mut Env<'_>) {
        match deciding.awaited {
            Awaited::Continue if self.branches.is_empty() => {
                if self.finalizing.is_none() {
                    self.fail(Choice::TIMEOUT, env);
                }
            }
            Awaited::Continue => self.check_complete(env),
            awaited => {
                // A script that does not come back is not asked again.
                self.armed = Armed { told: self.armed.told, ..Armed::default() };
                self.routed(Deciding { awaited, ..deciding }, Outcome::default(), env);
            }
        }
    }
}

/// `Reason` (RFC 3326) as Kamailio writes it into CANCELs that a final reply causes.
fn cancel_reason(code: u16) -> Arc<[u8]> {
    match code {
        200 => b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"[..].into(),
        _ => format!("Reason: SIP;cause={code}\r\n").into_bytes().into(),
    }
}

/// "If the only response that was received is a 503, the proxy SHOULD generate a 500 response" (§16.7 step 6). As Kamailio, only the
/// code changes.
fn as_500(bytes: Arc<[u8]>) -> Arc<[u8]> {
    let Some(rest) = bytes.strip_prefix(b"SIP/2.0 503") else { return bytes };
    let mut changed = Vec::with_capacity(bytes.len());
    changed.extend_from_slice(b"SIP/2.0 500");
    changed.extend_from_slice(rest);
    changed.into()
}
