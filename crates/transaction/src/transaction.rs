//! T: one server transaction, its branches, and what becomes of the inputs. The decisions about replies are in `decide`.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use message::{Message, Method};

use crate::branch::{Branch, Cancel};
use crate::decide::Deciding;
use crate::invite_server::{self, InviteServer};
use crate::machine::{Ask, Setting};
use crate::matching;
use crate::noninvite_server::{self, NonInviteServer};
use crate::{
    Action, Armed, Counts, Forward, Hop, Input, LocalReply, NewBranch, NewTransaction, Options, Timestamp,
    Timing, TransactionId,
};

/// Most branches of one transaction; Kamailio's `max_branches` allows 31.
pub(crate) const MAX_BRANCHES: usize = 31;

/// The world around one step.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub now: Timestamp,
    pub out: &'a mut Vec<Action>,
    pub counts: &'a mut Counts,
    /// [`Shard::tell_forwards`](crate::Shard::tell_forwards)
    pub forwards: bool,
}

/// Who made a reply that goes upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Maker<'r> {
    Us,
    /// The callee of the branch with this number.
    Branch(u16, &'r Arc<Message>),
}

#[derive(Debug)]
pub(crate) enum Server {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
    /// A request of our own has no server side.
    Local,
}

#[derive(Debug)]
pub(crate) struct Transaction {
    pub id: TransactionId,
    pub request: Arc<Message>,
    pub method: Method,
    pub reply_to: Hop,
    pub timing: Timing,
    pub options: Options,
    pub armed: Armed,
    pub script: Option<Arc<dyn Any + Send + Sync>>,
    pub created: Timestamp,
    pub server: Server,
    /// The last reply sent upstream, for retransmissions.
    pub last_reply: Option<Arc<[u8]>>,
    /// Its code.
    pub status: u16,
    /// The final reply was made here, not forwarded.
    pub replied_locally: bool,
    pub branches: Vec<Branch>,
    /// The number of the next branch.
    pub next_number: u16,
    /// First branch of the present leg of serial forking: earlier replies no longer take part in the choice (`failure_reply_mode` 3).
    pub leg: usize,
    /// A CANCEL came; header rows for the CANCELs to send.
    pub canceled: Option<Arc<[u8]>>,
    /// The final reply went out (or it was decided that none will).
    pub done: bool,
    /// A final reply was asked for from the caller, which prints it; the branch it comes from, if any.
    pub finalizing: Option<Option<u16>>,
    pub deciding: Option<Deciding>,
    pub deferred: VecDeque<Input>,
    /// Hard limit; afterwards the guard against a caller that never answers.
    pub limit: Timestamp,
}

impl Transaction {
    pub fn new(id: TransactionId, new: NewTransaction, now: Timestamp) -> Transaction {
        let method = new.request.method();
        let (server, lifetime) = match (new.local, method) {
            (true, Method::Invite) => (Server::Local, new.timing.max_invite),
            (true, _) => (Server::Local, new.timing.max_noninvite),
            (false, Method::Invite) => (Server::Invite(InviteServer::new()), new.timing.max_invite),
            (false, _) => (Server::NonInvite(NonInviteServer::new()), new.timing.max_noninvite),
        };
        Transaction {
            id,
            request: new.request,
            method,
            reply_to: new.reply_to,
            timing: new.timing,
            options: new.options,
            armed: Armed::default(),
            script: new.script,
            created: now,
            server,
            last_reply: None,
            status: 0,
            replied_locally: false,
            branches: Vec::new(),
            next_number: 0,
            leg: 0,
            canceled: None,
            done: false,
            finalizing: None,
            deciding: None,
            deferred: VecDeque::new(),
            limit: now + lifetime,
        }
    }

    pub fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }

    pub fn is_local(&self) -> bool {
        matches!(self.server, Server::Local)
    }

    /// Something happened. While a route runs, all but retransmissions waits for its outcome.
    pub fn step(&mut self, input: Input, env: &mut Env<'_>) {
        match input {
            Input::Retransmission => self.retransmission(env),
            Input::Ack => {
                self.server_step(invite_server::Input::Ack, env);
            }
            Input::Routed(outcome) => {
                if let Some(deciding) = self.deciding.take() {
                    self.routed(deciding, outcome, env);
                    self.drain(env);
                }
            }
            Input::Suspend => self.suspend(env),
            input if self.must_wait(&input) => self.defer(input, env),
            input => self.apply(input, env),
        }
    }

    /// Works off what was deferred, until another route has to run.
    pub fn drain(&mut self, env: &mut Env<'_>) {
        while self.deciding.is_none() {
            let Some(input) = self.deferred.pop_front() else { return };
            self.apply(input, env);
        }
    }

    pub fn apply(&mut self, input: Input, env: &mut Env<'_>) {
        match input {
            Input::Relay { branches, armed } => {
                self.armed = armed;
                self.start_branches(branches, env);
                self.check_complete(env);
            }
            Input::Reply(reply) => self.local_reply(reply, env),
            Input::Cancel { rows } => self.on_cancel(rows, env),
            Input::ReplyReceived { branch, reply, from, forward } => {
                if let Some(known) = self.branches.get_mut(usize::from(branch)) {
                    known.from = Some(from);
                }
                self.on_reply(branch, reply, forward, env)
            }
            Input::SendFailed { branch } => self.send_failed(branch, env),
            Input::CancelBranches { only, rows } => {
                for index in 0..self.branches.len() {
                    if only.is_none_or(|only| self.number_of(index) == only) {
                        self.cancel_branch(index, &rows, env);
                    }
                }
            }
            Input::Release => {
                if self.branches.is_empty() && self.finalizing.is_none() {
                    self.end_silently(env);
                }
            }
            Input::Retransmission | Input::Ack | Input::Routed(_) | Input::Suspend => {}
        }
    }

    pub fn setting(&self, now: Timestamp) -> Setting<'_> {
        Setting {
            now,
            timing: &self.timing,
            reliable: self.reply_to.transport.is_reliable(),
            limit: self.limit,
            short_wait: self.options.short_wait,
        }
    }

    /// A branch and the circumstances to step it in.
    pub fn branch_and_setting(&mut self, index: usize, now: Timestamp) -> Option<(&mut Branch, Setting<'_>)> {
        let branch = self.branches.get_mut(index)?;
        let setting = Setting {
            now,
            timing: &self.timing,
            reliable: branch.hop.transport.is_reliable(),
            limit: self.limit,
            short_wait: self.options.short_wait,
        };
        Some((branch, setting))
    }

    /// Where the branch of that number is: nearly always there.
    pub fn index_of(&self, number: u16) -> Option<usize> {
        let there = usize::from(number);
        if self.branches.get(there).is_some_and(|branch| branch.number == number) {
            return Some(there);
        }
        self.branches.iter().position(|branch| branch.number == number)
    }

    /// The failure reply a branch got.
    pub fn failure_of(&self, number: u16) -> Option<Arc<Message>> {
        self.branches.get(self.index_of(number)?)?.reply.clone()
    }

    /// The number of a branch for the outside; 0 when there is none.
    pub fn number_of(&self, index: usize) -> u16 {
        self.branches.get(index).map_or(0, |branch| branch.number)
    }

    // The server side.

    fn server_step(&mut self, input: invite_server::Input, env: &mut Env<'_>) -> Ask {
        let setting = Setting {
            now: env.now,
            timing: &self.timing,
            reliable: self.reply_to.transport.is_reliable(),
            limit: self.limit,
            short_wait: self.options.short_wait,
        };
        match &mut self.server {
            Server::Invite(machine) => machine.step(input, &setting),
            Server::NonInvite(machine) => {
                let input = match input {
                    invite_server::Input::Retransmission => noninvite_server::Input::Retransmission,
                    invite_server::Input::Reply { code, .. } => noninvite_server::Input::Reply { code },
                    invite_server::Input::Timer => noninvite_server::Input::Timer,
                    invite_server::Input::Silent => noninvite_server::Input::Silent,
                    invite_server::Input::Ack => return Ask::NOTHING,
                };
                machine.step(input, &setting)
            }
            Server::Local => Ask::NOTHING,
        }
    }

    fn retransmission(&mut self, env: &mut Env<'_>) {
        env.counts.absorbed += 1;
        if self.server_step(invite_server::Input::Retransmission, env).transmit {
            self.transmit_last(env);
        }
    }

    fn transmit_last(&self, env: &mut Env<'_>) {
        if let Some(bytes) = &self.last_reply {
            env.out.push(Action::Transmit { hop: self.reply_to, bytes: Arc::clone(bytes) });
        }
    }

    /// Sends a reply upstream as the server machine allows.
    pub fn send_upstream(&mut self, code: u16, bytes: Arc<[u8]>, maker: Maker<'_>, env: &mut Env<'_>) {
        if self.is_local() {
            self.status = code;
            return;
        }
        let local = matches!(maker, Maker::Us);
        if self.server_step(invite_server::Input::Reply { code, local }, env).transmit {
            env.out.push(match maker {
                Maker::Branch(branch, reply) if env.forwards && !self.done => {
                    self.forward(branch, reply, Arc::clone(&bytes))
                }
                _ => Action::Transmit { hop: self.reply_to, bytes: Arc::clone(&bytes) },
            });
            self.status = code;
            self.last_reply = Some(bytes);
        } else if self.is_invite() && (200..300).contains(&code) {
            // "After a final response has been sent on the server transaction, the following responses MUST be forwarded
            // immediately: any 2xx response to an INVITE request" (§16.7 step 5)
            env.out.push(Action::Transmit { hop: self.reply_to, bytes });
        }
    }

    fn forward(&self, branch: u16, reply: &Arc<Message>, bytes: Arc<[u8]>) -> Action {
        Action::Forward(Box::new(Forward {
            id: self.id,
            branch,
            from: self.index_of(branch).and_then(|index| self.branches.get(index)?.from),
            reply: Arc::clone(reply),
            hop: self.reply_to,
            bytes,
            script: self.script.clone(),
        }))
    }

    /// Marks the final reply as sent and tells.
    pub fn completed(
        &mut self,
        code: u16,
        branch: Option<u16>,
        reply: Option<Arc<Message>>,
        env: &mut Env<'_>,
    ) {
        self.finish(env);
        self.replied_locally = branch.is_none();
        if let Some(count) =
            usize::from(code / 100).checked_sub(2).and_then(|class| env.counts.final_class.get_mut(class))
        {
            *count += 1;
        }
        if branch.is_none() {
            env.counts.replied_locally += 1;
        }
        let reply = reply.filter(|_| self.armed.told);
        env.out.push(Action::Completed { id: self.id, code, branch, local: branch.is_none(), reply });
    }

    fn finish(&mut self, env: &mut Env<'_>) {
        if !self.done {
            self.done = true;
            env.counts.waiting += 1;
            for branch in &mut self.branches {
                branch.forward = None;
            }
        }
        self.finalizing = None;
        self.limit = Timestamp::NEVER;
    }

    /// The transaction ends without a final reply.
    pub fn end_silently(&mut self, env: &mut Env<'_>) {
        if self.done {
            return;
        }
        self.server_step(invite_server::Input::Silent, env);
        self.finish(env);
    }

    fn local_reply(&mut self, reply: LocalReply, env: &mut Env<'_>) {
        if self.done {
            return;
        }
        let LocalReply { code, bytes } = reply;
        if code < 200 {
            self.send_upstream(code, bytes, Maker::Us, env);
            return;
        }
        let branch = self.finalizing.take().flatten();
        let reply = branch.and_then(|number| self.failure_of(number));
        let maker =
            branch.zip(reply.as_ref()).map_or(Maker::Us, |(number, reply)| Maker::Branch(number, reply));
        self.send_upstream(code, bytes, maker, env);
        self.completed(code, branch, reply, env);
        self.cancel_others(None, code, env);
    }

    fn on_cancel(&mut self, rows: Arc<[u8]>, env: &mut Env<'_>) {
        // "If [a final response was sent], the CANCEL request has no effect on the processing of the original request" (§9.2), and
        // a CANCEL has an effect on an INVITE only.
        if self.done || !self.is_invite() || self.canceled.is_some() {
            return;
        }
        self.canceled = Some(Arc::clone(&rows));
        if self.branches.iter().all(|branch| !branch.is_pending()) {
            if self.finalizing.is_none() {
                self.ask_reply(487, "Request Terminated", env);
            }
            return;
        }
        for index in 0..self.branches.len() {
            self.cancel_branch(index, &rows, env);
        }
    }

    /// Asks the caller to print a final reply.
    pub fn ask_reply(&mut self, code: u16, reason: &'static str, env: &mut Env<'_>) {
        self.finalizing = Some(None);
        self.limit = env.now + self.timing.wait;
        env.out.push(Action::MakeReply { id: self.id, code, reason, request: Arc::clone(&self.request) });
    }

    // Branches.

    /// Starts branches, unless the caller has its answer or wants none any more.
    pub fn start_branches(&mut self, new: Vec<NewBranch>, env: &mut Env<'_>) {
        if self.done || self.canceled.is_some() || self.finalizing.is_some() {
            return;
        }
        let invite = self.is_invite();
        self.branches.reserve_exact(new.len().min(MAX_BRANCHES.saturating_sub(self.branches.len())));
        for branch in new {
            if self.branches.len() >= MAX_BRANCHES {
                return;
            }
            // Replies could not be told apart.
            if self.index_of(branch.number).is_some() {
                continue;
            }
            self.next_number = self.next_number.max(branch.number.saturating_add(1));
            env.out.push(Action::Transmit { hop: branch.hop, bytes: Arc::clone(&branch.bytes) });
            let branch = Branch::new(branch, invite, &self.setting(env.now));
            self.branches.push(branch);
        }
    }

    fn on_reply(&mut self, number: u16, reply: Arc<Message>, forward: Option<Arc<[u8]>>, env: &mut Env<'_>) {
        env.counts.replies_received += 1;
        let Some(index) = self.index_of(number) else { return };
        let code = reply.status();
        let (invite, auto_ack) = (self.is_invite(), !(self.options.no_auto_ack && self.is_local()));
        let Some((branch, setting)) = self.branch_and_setting(index, env.now) else { return };
        if invite && reply.method() == Method::Cancel {
            branch.on_cancel_reply(code, &setting);
            return;
        }
        let ask = branch.on_reply(code, &setting);
        if ask.ack
            && auto_ack
            && let Some(bytes) = branch.ack(&reply)
        {
            env.out.push(Action::Transmit { hop: branch.hop, bytes });
        }
        if code >= 200 {
            // Nothing is sent of it again: the ACK has been made, and a CANCEL would be too late.
            branch.bytes = Arc::default();
        }
        if !ask.pass_up {
            return;
        }
        branch.replied = true;
        branch.last_code = code;
        if code < 200
            && let Some(bytes) = branch.wanted_cancel(&setting)
        {
            env.out.push(Action::Transmit { hop: branch.hop, bytes });
        }
        self.reply_passed_up(index, code, reply, forward, env);
    }

    fn send_failed(&mut self, number: u16, env: &mut Env<'_>) {
        let Some(index) = self.index_of(number) else { return };
        let Some((branch, setting)) = self.branch_and_setting(index, env.now) else { return };
        if !branch.is_pending() {
            return;
        }
        branch.on_transport_error(&setting);
        // "a proxy MUST [treat a transport error] as if it had received a ... 503 (Service Unavailable)" (§16.9)
        branch.result = Some(503);
        self.branch_ended(index, env);
    }

    pub fn cancel_branch(&mut self, index: usize, rows: &Arc<[u8]>, env: &mut Env<'_>) {
        let Some((branch, setting)) = self.branch_and_setting(index, env.now) else { return };
        if !branch.is_pending() {
            return;
        }
        if let Some(bytes) = branch.cancel(rows, &setting) {
            env.out.push(Action::Transmit { hop: branch.hop, bytes });
        }
    }

    // Timers.

    /// The earliest moment at which [`Transaction::expire`] has something to do.
    pub fn next(&self) -> Timestamp {
        if let Some(deciding) = &self.deciding {
            return deciding.until;
        }
        let server = match &self.server {
            Server::Invite(machine) => machine.next(),
            Server::NonInvite(machine) => machine.next(),
            Server::Local => Timestamp::NEVER,
        };
        let limit = if self.awaits_branches() { Timestamp::NEVER } else { self.limit };
        self.branches.iter().map(Branch::next).fold(server.min(limit), Timestamp::min)
    }

    pub fn expire(&mut self, env: &mut Env<'_>) {
        if let Some(deciding) = self.deciding.take_if(|deciding| env.now >= deciding.until) {
            self.undecided(deciding, env);
            self.drain(env);
        }
        if self.deciding.is_some() {
            return;
        }
        let ask = self.server_step(invite_server::Input::Timer, env);
        env.counts.no_ack += u64::from(ask.no_ack);
        if ask.transmit {
            env.counts.retransmitted += 1;
            self.transmit_last(env);
        }
        for index in 0..self.branches.len() {
            self.branch_timer(index, env);
            if self.deciding.is_some() {
                return;
            }
        }
        // A request that nobody ever relayed or answered, or a reply that the caller never printed.
        if env.now >= self.limit && !self.awaits_branches() {
            self.end_silently(env);
        }
    }

    /// Whether branches, which end by themselves, have to end before anything else can.
    fn awaits_branches(&self) -> bool {
        self.finalizing.is_none() && self.branches.iter().any(Branch::is_pending)
    }

    fn branch_timer(&mut self, index: usize, env: &mut Env<'_>) {
        let Some((branch, setting)) = self.branch_and_setting(index, env.now) else { return };
        if env.now < branch.next() {
            return;
        }
        let hop = branch.hop;
        if branch.on_cancel_timer(&setting)
            && let Cancel::Sent { bytes, .. } = &branch.cancel
        {
            env.counts.retransmitted += 1;
            env.out.push(Action::Transmit { hop, bytes: Arc::clone(bytes) });
        }
        let ask = branch.on_timer(&setting);
        if ask.transmit {
            env.counts.retransmitted += 1;
            env.out.push(Action::Transmit { hop, bytes: Arc::clone(&branch.bytes) });
        }
        if ask.timeout {
            self.branch_timeout(index, env);
        }
    }

    /// `t_set_fr` and its like. Lifetimes count from the creation.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
        if !self.done && self.finalizing.is_none() {
            let lifetime = if self.is_invite() { timing.max_invite } else { timing.max_noninvite };
            self.limit = self.created + lifetime;
        }
    }

    /// To tag of the last reply sent, for RFC 2543 ACKs.
    pub fn last_reply_to_tag(&self) -> Option<Vec<u8>> {
        let reply = Message::parse(self.last_reply.as_ref()?).ok()?;
        Some(matching::to_tag(&reply).to_vec())
    }

    /// Whether a 2xx with this To tag was sent upstream.
    pub fn has_success(&self, to_tag: &[u8]) -> bool {
        let forwarded = self.branches.iter().any(|branch| branch.success.as_deref() == Some(to_tag));
        forwarded
            || (self.replied_locally
                && (200..300).contains(&self.status)
                && self.last_reply_to_tag().as_deref() == Some(to_tag))
    }

    /// Whether nothing will be sent any more of its own accord: it is there to absorb what comes late.
    pub fn only_waits(&self) -> bool {
        let retransmits = matches!(&self.server, Server::Invite(m) if m.deadlines.again != Timestamp::NEVER);
        self.done && self.deciding.is_none() && !retransmits && !self.branches.iter().any(Branch::is_pending)
    }

    /// Nothing can happen here any more.
    pub fn is_terminated(&self) -> bool {
        self.done
            && self.deciding.is_none()
            && match &self.server {
                Server::Invite(machine) => machine.state == invite_server::State::Terminated,
                Server::NonInvite(machine) => machine.state == noninvite_server::State::Terminated,
                Server::Local => true,
            }
            && self.branches.iter().all(Branch::is_terminated)
    }
}
