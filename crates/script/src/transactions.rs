//! What the transaction layer offers to KSR functions (tm, tmx, sl). The proxy implements it; modules only call it, so no module
//! ever sees a lock.

use std::sync::Arc;

use message::Message;
use transaction::{Hop, View};

use crate::{Awaiting, RouteContext, RunOutcome, Services, Vars};

/// Where `t_relay_*` and `forward_*` send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayTo<'a> {
    /// By Request-URI, `$du`, Path and branches.
    Uris,
    /// To this next hop whatever the URIs say: `t_relay_to_proxy("udp:1.2.3.4:5060")`.
    Proxy(&'a [u8]),
    /// By URIs over this transport: `t_relay_to_udp` and the like.
    Transport(message::Transport),
}

/// A request to make ourselves (`t_uac_send`).
#[derive(Debug, Clone, Copy)]
pub struct UacRequest<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Request-URI.
    pub ruri: &'a [u8],
    /// Next hop URI, empty: the Request-URI.
    pub next_hop: &'a [u8],
    /// `udp:ip:port` of our socket, empty: default.
    pub socket: &'a [u8],
    /// Header rows with CRLF: From, To and more.
    pub rows: &'a [u8],
    /// Body.
    pub body: &'a [u8],
}

/// Whom to tell how a request of our own ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tell {
    /// Name of the module whose [`local_reply`](crate::Module::local_reply) is called.
    pub module: &'static str,
    /// What it is to be told to know the request by.
    pub token: u64,
}

/// The transaction layer. Returns are Kamailio's ints.
pub trait Transactions: Send + Sync {
    /// A reply without a transaction. Returns 1, or -1 when it could not be made. Silent for ACK.
    fn reply_stateless(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64;
    /// `forward()`: the request without a transaction.
    fn forward_stateless(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64;
    /// `t_relay` and variants: makes the transaction if there is none, runs branch routes, sends.
    fn relay(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>, flags: i64) -> i64;
    /// `t_newtran`: 1 made, 0 a retransmission (absorbed), -1 error.
    fn new_transaction(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// `t_check_trans`: 1 known (CANCEL with its INVITE, ACK to a 2xx), 0 absorbed, -1 unknown.
    fn check(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// `t_lookup_request`: 1 when the request belongs to a known transaction.
    fn lookup_request(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// `t_lookup_cancel`: 1 when the CANCEL's INVITE is known. `flags` 1: copy message flags from the INVITE.
    fn lookup_cancel(&self, ctx: &mut RouteContext<'_>, flags: i64) -> i64;
    /// `t_reply`: a reply within the transaction (made if needed).
    fn reply(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64;
    /// `t_retransmit_reply`.
    fn retransmit_reply(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// `t_release`.
    fn release(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// A route that awaited has ended: what comes after it. `ctx` is where the callback left it.
    fn carried_on(
        &self,
        services: &Services<'_>,
        ctx: RouteContext<'_>,
        awaiting: Awaiting,
        outcome: RunOutcome,
    ) {
        let _ = (services, ctx, awaiting, outcome);
    }
    /// `t_cancel_branches`: `all`, `others`, `this`.
    fn cancel_branches(&self, ctx: &mut RouteContext<'_>, which: &[u8]) -> i64;
    /// `t_uac_send`.
    fn uac_send(&self, ctx: &mut RouteContext<'_>, request: &UacRequest<'_>) -> i64;
    /// As [`uac_send`](Transactions::uac_send), and a module is told how it ended. `ctx` may be a [stand-in](RouteContext::stand_in); its
    /// `timing`, if set, holds for the transaction. 1: sent, and the module will be told. Otherwise (-1) it will not: the next hop cannot be
    /// resolved, the request is no request, or there are as many transactions as there may be.
    fn send_request(&self, ctx: &mut RouteContext<'_>, request: &UacRequest<'_>, tell: Tell) -> i64 {
        let _ = (ctx, request, tell);
        -1
    }
    /// `t_replicate`: relay a copy whose replies are not forwarded.
    fn replicate(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> i64;
    /// `t_suspend`: 1, and `$T(id_index)`/`$T(id_label)` name it.
    fn suspend(&self, ctx: &mut RouteContext<'_>) -> i64;
    /// `t_continue`: runs `callback` over the suspended request, on this worker.
    fn resume(&self, ctx: &mut RouteContext<'_>, index: u32, label: u32, callback: &[u8]) -> i64;
    /// `t_cancel_callid` (`reply` 0) and `t_reply_callid`: 1 when the transaction was found.
    fn by_callid(&self, ctx: &mut RouteContext<'_>, call_id: &[u8], cseq: u32, act: CallIdAct<'_>) -> i64;
    /// Facts of the context's transaction; `f` is called once with `None` when there is none. `f` must not call back.
    fn view(&self, ctx: &RouteContext<'_>, f: &mut dyn FnMut(Option<&View<'_>>));
    /// Shares AVP lists made after the transaction was.
    fn attach_vars(&self, ctx: &RouteContext<'_>, vars: &Arc<Vars>);
    /// Takes over what the context has armed and set for the transaction (`t_on_*`, `t_set_fr`, ...) when it already exists.
    fn update(&self, ctx: &mut RouteContext<'_>);
    /// Resolves a URI to the next hop: address, transport and socket. `None` when it cannot be resolved (478).
    fn resolve(&self, ctx: &RouteContext<'_>, uri: &[u8]) -> Option<Hop>;
    /// `tm.stats`.
    fn counts(&self) -> transaction::Counts;
    /// The request of the context's transaction with what it came with, for `$T_req(...)`.
    fn request_state(&self, ctx: &RouteContext<'_>) -> Option<RequestState> {
        let _ = ctx;
        None
    }
    /// The To tag of replies made here to the context's request: without a transaction, or the transaction's. `None`: not known.
    fn to_tag(&self, ctx: &RouteContext<'_>, stateless: bool) -> Option<Vec<u8>> {
        let _ = (ctx, stateless);
        None
    }
    /// The request of the context's transaction.
    fn request(&self, ctx: &RouteContext<'_>) -> Option<Arc<Message>>;
}

/// A transaction's request as it stands.
#[derive(Debug, Clone)]
pub struct RequestState {
    /// The request.
    pub message: Arc<Message>,
    /// How it came in.
    pub inbound: crate::Inbound,
    /// Request-URI and what goes with it.
    pub target: crate::Branch,
    /// Message flags.
    pub flags: u32,
}

/// What [`Transactions::by_callid`] does with the transaction it finds.
#[derive(Debug, Clone, Copy)]
pub enum CallIdAct<'a> {
    /// Cancel its branches; `reason` code of the Reason header, 0 none. `flag` is set in the INVITE's message flags, -1 none.
    Cancel {
        /// Reason code.
        reason: i64,
        /// Message flag.
        flag: i64,
    },
    /// Answer it.
    Reply {
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: &'a [u8],
    },
}
