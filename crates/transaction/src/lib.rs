//! RFC 3261 §17 machines and Kamailio's T: one server transaction with its branches, and the timers that drive it.
//!
//! Sans-I/O: [`Shard::step`] takes an [`Input`] and the time, and appends [`Action`]s. A route that must run in the middle of a
//! decision is an output ([`Action::RunRoute`]) and its result an input ([`Input::Routed`]); in between the transaction is *Deciding*:
//! retransmissions are absorbed, everything else is deferred in order. No I/O, no clock, no locks.
#![forbid(unsafe_code)]

mod best_reply;
mod branch;
mod decide;
mod invite_client;
mod invite_server;
mod machine;
mod matching;
mod noninvite_client;
mod noninvite_server;
mod shard;
#[cfg(test)]
mod state_tables;
pub mod time;
mod transaction;
mod view;
mod wheel;

pub use shard::{Counts, Kind, Match, Refused, Shard, Unknown};
pub use time::{Now, Timestamp};
pub use view::{BranchView, View};

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use message::{Message, Method, Transport};

/// Where a datagram goes, and from which of our sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Transport.
    pub transport: Transport,
    /// Peer.
    pub remote: SocketAddr,
    /// Index of the listener to send from.
    pub socket: SocketId,
}

/// Index of a listener in the server's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SocketId(pub u16);

/// A transaction's name: slot and generation, also what stands in our Via branch. Kamailio's `index:label`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId {
    /// Shard number and slot.
    pub index: u32,
    /// Generation, random at start: an old branch never finds a new transaction.
    pub label: u32,
}

impl TransactionId {
    /// Appends `z9hG4bK-<index>.<label>.<branch>` (hex).
    pub fn write_branch(self, branch: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(b"z9hG4bK-");
        write_hex(self.index, out);
        out.push(b'.');
        write_hex(self.label, out);
        out.push(b'.');
        write_hex(u32::from(branch), out);
    }
    /// Reads back what [`TransactionId::write_branch`] wrote.
    pub fn parse_branch(text: &[u8]) -> Option<(TransactionId, u16)> {
        let mut fields = text.strip_prefix(b"z9hG4bK-")?.split(|b| *b == b'.').map(parse_hex);
        let (index, label, branch) = (fields.next()??, fields.next()??, fields.next()??);
        let branch = u16::try_from(branch).ok()?;
        fields.next().is_none().then_some((TransactionId { index, label }, branch))
    }
}

fn write_hex(number: u32, out: &mut Vec<u8>) {
    let digits = (32 - (number | 1).leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        let nibble = (number >> (digit * 4) & 0xF) as u8;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

fn parse_hex(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    text.iter().try_fold(0, |number, b| Some(number << 4 | (*b as char).to_digit(16)?))
}

/// Timer values; parameters of Kamailio's `tm` in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `retr_timer1` (T1), default 500 ms.
    pub t1: Duration,
    /// `retr_timer2` (T2), default 4 s.
    pub t2: Duration,
    /// T4, 5 s (RFC 3261 table 4).
    pub t4: Duration,
    /// `fr_timer`: no final reply to a non-INVITE, or no reply at all to an INVITE; default 30 s.
    pub fr: Duration,
    /// `fr_inv_timer`: no final reply to an INVITE after a provisional one; default 120 s. Restarted by every 101..199 (Timer C, §16.8).
    pub fr_inv: Duration,
    /// `wt_timer`: how long a finished transaction is kept to absorb late messages; default 5 s.
    pub wait: Duration,
    /// `max_inv_lifetime`, `max_noninv_lifetime`: hard limits; default 180 s and 32 s.
    pub max_invite: Duration,
    /// Hard limit of a non-INVITE transaction.
    pub max_noninvite: Duration,
}

impl Default for Timing {
    /// RFC 3261 table 4 and Kamailio's defaults.
    fn default() -> Timing {
        Timing {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            fr: Duration::from_secs(30),
            fr_inv: Duration::from_secs(120),
            wait: Duration::from_secs(5),
            max_invite: Duration::from_secs(180),
            max_noninvite: Duration::from_secs(32),
        }
    }
}

/// Per-transaction switches (`t_set_*`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Do not send 100 automatically (`t_set_auto_inv_100(0)`).
    pub no_auto_100: bool,
    /// `t_set_disable_6xx`: treat 6xx as other failures (RFC 3261 §16.7 step 5).
    pub disable_6xx: bool,
    /// `t_set_no_auto_ack`.
    pub no_auto_ack: bool,
    /// `t_set_disable_internal_reply`: do not answer 408/500 by ourselves.
    pub disable_internal_reply: bool,
    /// With `disable_6xx`: cancel the remaining branches on a 6xx all the same. (Without it that is always done.)
    pub cancel_on_6xx: bool,
    /// As Kamailio, against RFC 4320: forward 101..199 and send 408 on a non-INVITE.
    pub noninvite_408: bool,
    /// Forward a 503 as it is (`remap_503_500` = 0) instead of as 500 (RFC 3261 §16.7 step 6).
    pub keep_503: bool,
    /// Earlier branches stay candidates when the failure route starts a new leg (`failure_reply_mode` 0). By default they are forgotten
    /// (mode 3).
    pub keep_replies: bool,
    /// No `Reason` in CANCELs that a final reply causes (`local_cancel_reason` = 0).
    pub no_cancel_reason: bool,
    /// As Kamailio: finished machines absorb for `wait` only instead of the 64*T1 of timers D, J, L and M.
    pub short_wait: bool,
}

/// What [`Shard::create`] needs.
#[derive(Debug, Clone)]
pub struct NewTransaction {
    /// The request.
    pub request: Arc<Message>,
    /// Where it came from: replies go back there (already resolved by RFC 3261 §18.2.2 and RFC 3581).
    pub reply_to: Hop,
    /// Timers, possibly changed by `t_set_fr`.
    pub timing: Timing,
    /// Switches.
    pub options: Options,
    /// What the script attached: route names armed, flags, AVPs. Opaque here, handed out with every [`Action::RunRoute`].
    pub script: Option<Arc<dyn Any + Send + Sync>>,
    /// A UAC transaction of our own (`t_uac_send`): no server side, replies are not forwarded.
    pub local: bool,
    /// The 100 to send at once (INVITE, unless `options.no_auto_100`), printed by the caller.
    pub trying: Option<Arc<[u8]>>,
}

/// A branch to start.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// Its number, as printed into its Via branch; see [`Shard::reserve_branches`].
    pub number: u16,
    /// Bytes to send, Via included.
    pub bytes: Arc<[u8]>,
    /// Where to.
    pub hop: Hop,
    /// The branch's Request-URI (for `$T_branch`, blind UAC info, `t_relay` failover).
    pub uri: Arc<[u8]>,
    /// What the script attached to the branch (branch flags, ruid, path). Opaque here.
    pub script: Option<Arc<dyn Any + Send + Sync>>,
}

/// Routes a transaction can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `t_on_reply`, for each reply of a branch (a 100 too) before it is worked on.
    OnReply,
    /// `t_on_branch_failure`, when one branch got its final reply >= 300 or timed out.
    BranchFailure,
    /// `t_on_failure`, when all branches are final and the best is >= 300 (or a timeout).
    Failure,
}

/// A local reply, printed by the caller.
#[derive(Debug, Clone)]
pub struct LocalReply {
    /// Status code.
    pub code: u16,
    /// Bytes.
    pub bytes: Arc<[u8]>,
}

/// What came out of a route.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// OnReply: drop this (provisional) reply. Failure: `t_drop_replies` etc. are in `drop_replies`.
    pub drop: bool,
    /// OnReply: the reply as it is to be forwarded (edits applied).
    pub forward: Option<Arc<[u8]>>,
    /// Branches added by the route (`append_branch` + `t_relay`), already printed.
    pub branches: Vec<NewBranch>,
    /// A reply made by the route (`t_reply`).
    pub reply: Option<LocalReply>,
    /// Forget replies collected so far when the best is chosen, or keep them (`t_drop_replies`); `None`: as [`Options::keep_replies`]
    /// says.
    pub drop_replies: Option<bool>,
    /// The routes armed for what follows. After a failure route `failure` and `branch_failure` hold only when armed again here, `on_reply`
    /// persists; after other routes this comes on top of what was armed. [`Shard::set_armed`] disarms.
    pub armed: Armed,
}

/// Which routes are armed. Names stay with the script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Armed {
    /// `t_on_reply` is set.
    pub on_reply: bool,
    /// `t_on_failure` is set.
    pub failure: bool,
    /// `t_on_branch_failure` is set.
    pub branch_failure: bool,
    /// Somebody wants to hear of replies: of [`Action::Provisional`], [`Action::Failing`], and what [`Action::Completed`] sent.
    pub told: bool,
}

/// What can happen to a transaction.
#[allow(missing_docs)] // the fields bear their names
#[derive(Debug, Clone)]
pub enum Input {
    /// `t_relay`: start these branches (also more of them later: serial forking). The `Armed` replaces what was armed.
    Relay { branches: Vec<NewBranch>, armed: Armed },
    /// `t_reply`, or an automatic local answer.
    Reply(LocalReply),
    /// The request again: the last reply is sent again.
    Retransmission,
    /// ACK to a non-2xx final reply of ours (or to a 2xx we generated).
    Ack,
    /// A CANCEL that matched this INVITE transaction (the CANCEL itself was answered 200 by the caller). `rows` go into the CANCELs sent (Reason).
    Cancel { rows: Arc<[u8]> },
    /// A reply to a branch. `forward` is the reply printed without our Via, `None` for a 100.
    ReplyReceived { branch: u16, reply: Arc<Message>, from: Hop, forward: Option<Arc<[u8]>> },
    /// A branch could not be sent (transport error, RFC 3261 §16.9): counts as 503 of that branch.
    SendFailed { branch: u16 },
    /// The result of [`Action::RunRoute`].
    Routed(Outcome),
    /// `t_cancel_branches`: `None` all.
    CancelBranches { only: Option<u16>, rows: Arc<[u8]> },
    /// `t_release`, or the request route ended without reply and without branches.
    Release,
    /// `t_suspend`: hold the request without branches; ended by `Routed` or the fr timer.
    Suspend,
}

/// A branch's reply on its way to the caller.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Transaction.
    pub id: TransactionId,
    /// Number of the branch.
    pub branch: u16,
    /// The reply as it came.
    pub reply: Arc<Message>,
    /// Who sent it.
    pub from: Option<Hop>,
    /// Where it goes.
    pub hop: Hop,
    /// What is sent.
    pub bytes: Arc<[u8]>,
    /// What the script attached.
    pub script: Option<Arc<dyn Any + Send + Sync>>,
}

/// What is to be done, in this order.
#[allow(missing_docs)] // the fields bear their names
#[derive(Debug, Clone)]
pub enum Action {
    /// Send bytes.
    Transmit { hop: Hop, bytes: Arc<[u8]> },
    /// Send bytes made of a branch's reply. In place of `Transmit` for each reply that the caller gets the first time, but for 2xx after
    /// the first; only with [`Shard::tell_forwards`].
    Forward(Box<Forward>),
    /// Run a route and come back with [`Input::Routed`]. `code` is the reply's code or the internal one (408).
    RunRoute {
        id: TransactionId,
        route: Route,
        branch: u16,
        reply: Option<Arc<Message>>,
        /// Who sent the reply.
        from: Option<Hop>,
        code: u16,
        request: Arc<Message>,
        script: Option<Arc<dyn Any + Send + Sync>>,
    },
    /// Make a local reply with this code and give it back with [`Input::Reply`] (100, 408, 487, 500, ...). Reason by RFC.
    MakeReply { id: TransactionId, code: u16, reason: &'static str, request: Arc<Message> },
    /// The best reply is a 401 or 407 and other branches were challenged too (RFC 3261 §16.7 step 7): print `replies[0]` with the
    /// WWW-Authenticate and Proxy-Authenticate rows of the others added, and give it back with [`Input::Reply`].
    MergeAuth { id: TransactionId, branch: u16, replies: Vec<Arc<Message>> },
    /// A provisional reply was sent to the caller. Only with [`Armed::told`].
    Provisional { id: TransactionId, branch: u16, reply: Arc<Message> },
    /// All branches are final, none succeeded and no failure route is armed; the best reply is sent next. Only with [`Armed::told`].
    Failing { id: TransactionId, code: u16, branch: u16, reply: Option<Arc<Message>> },
    /// A final reply was chosen and sent to the caller: for accounting and statistics. `reply` only with [`Armed::told`], and only when it
    /// was not made here.
    Completed { id: TransactionId, code: u16, branch: Option<u16>, local: bool, reply: Option<Arc<Message>> },
    /// A local (UAC) transaction got its final reply (`None`: timeout, code 408).
    LocalFinal {
        id: TransactionId,
        code: u16,
        reply: Option<Arc<Message>>,
        script: Option<Arc<dyn Any + Send + Sync>>,
    },
    /// The transaction is gone; its request with the method, and what the script attached.
    Freed {
        id: TransactionId,
        method: Method,
        request: Arc<Message>,
        script: Option<Arc<dyn Any + Send + Sync>>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_written_and_read_back() {
        for (index, label, branch) in
            [(0, 0, 0), (1, 0xdead_beef, 2), (u32::MAX, u32::MAX, u16::MAX), (16, 15, 31)]
        {
            let id = TransactionId { index, label };
            let mut text = Vec::new();
            id.write_branch(branch, &mut text);
            assert_eq!(TransactionId::parse_branch(&text), Some((id, branch)), "{}", text.escape_ascii());
        }
        let mut text = Vec::new();
        TransactionId { index: 0x1a, label: 0xff00 }.write_branch(0, &mut text);
        assert_eq!(text, b"z9hG4bK-1a.ff00.0");
        for bad in [
            &b"z9hG4bK"[..],
            b"z9hG4bK-",
            b"z9hG4bK-1.2",
            b"z9hG4bK-1.2.3.4",
            b"z9hG4bK-1.2.10000",
            b"z9hG4bK-..",
            b"z9hG4bK-123456789.1.1",
            b"z9hG4bK-g.1.1",
        ] {
            assert_eq!(TransactionId::parse_branch(bad), None, "{}", bad.escape_ascii());
        }
    }
}
