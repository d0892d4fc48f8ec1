//! The server above sockets: receive, match, route, relay. Sans-I/O: datagrams and the time come in, datagrams go out through an
//! [`script::Outbox`]; many workers share one [`Proxy`].
//!
//! The way of a request: [`receive`](Proxy::receive) parses and checks it, absorbs what a transaction already knows, runs the
//! script without any lock held; `t_relay` ([`relay`]) makes the transaction in its shard and its branches; what a transaction
//! wants done comes back as actions ([`actions`]).
#![forbid(unsafe_code)]

mod actions;
mod branch;
mod calls;
mod counters;
mod forward;
mod hooks;
mod local;
mod loops;
mod onsend;
mod receive;
mod relay;
mod reply;
mod resolve;
mod saved;
mod shards;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use script::{CallbackId, Core, Listener};
use transaction::{Options, Timing};

use counters::Counters;
use shards::Shards;

/// The callbacks that route messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routes {
    /// `ksr_request_route`.
    pub request: CallbackId,
    /// `ksr_reply_route`, when the script has it.
    pub reply: Option<CallbackId>,
    /// `ksr_onsend_route`, when the script has it.
    pub onsend: Option<CallbackId>,
}

/// What `tm` and `app_python3` parameters decide about the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Timers.
    pub timing: Timing,
    /// Switches of new transactions.
    pub options: Options,
    /// Most live transactions; above it new requests get 503 with Retry-After.
    pub max_transactions: usize,
    /// Value of Retry-After at the bound, seconds.
    pub retry_after: u32,
    /// Answer 500 when a script raised and nothing was answered yet.
    pub answer_exceptions: bool,
    /// `unmatched_cancel`: what `t_relay` does with a CANCEL that has no INVITE here.
    pub unmatched_cancel: UnmatchedCancel,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            timing: Timing::default(),
            options: Options::default(),
            max_transactions: 1 << 20,
            retry_after: 10,
            answer_exceptions: true,
            unmatched_cancel: UnmatchedCancel::Stateful,
        }
    }
}

/// `modparam("tm", "unmatched_cancel", N)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmatchedCancel {
    /// 0: relayed with a transaction of its own.
    Stateful,
    /// 1: relayed without one.
    Stateless,
    /// 2: dropped.
    Drop,
}

/// The proxy: one per process.
pub struct Proxy {
    core: Arc<Core>,
    request: CallbackId,
    /// Name of `ksr_reply_route` plus 1; 0 when the script has none.
    reply: AtomicU32,
    /// As `reply`, for `ksr_onsend_route`.
    onsend: AtomicU32,
    settings: Settings,
    shards: Arc<Shards>,
    counters: Counters,
    /// Requests of our own so far.
    local_requests: AtomicU64,
    /// `SIP/2.0/UDP host[:port];branch=` by listener: what our Via starts with.
    via: Vec<Vec<u8>>,
    /// `server_header` with CRLF, empty when `server_signature` is off.
    server_row: Vec<u8>,
}

impl Proxy {
    /// A proxy over these sockets and modules.
    pub fn new(core: Arc<Core>, routes: Routes, settings: Settings) -> Proxy {
        let shards = Arc::new(Shards::new(core.config.seed, settings.max_transactions));
        if core.config.onsend_route_reply {
            shards.each(|shard| shard.tell_forwards());
        }
        counters::register_gauges(&core.statistics, &shards);
        let counters = Counters::new(&core.statistics);
        let via = core.listeners.iter().map(via_start).collect();
        let mut server_row = Vec::new();
        if core.config.server_signature && !core.config.server_header.is_empty() {
            server_row.extend_from_slice(&core.config.server_header);
            server_row.extend_from_slice(b"\r\n");
        }
        let proxy = Proxy {
            core,
            request: routes.request,
            reply: AtomicU32::new(0),
            onsend: AtomicU32::new(0),
            settings,
            shards,
            counters,
            local_requests: AtomicU64::new(0),
            via,
            server_row,
        };
        proxy.set_routes(routes.reply, routes.onsend);
        proxy
    }
    /// Which optional callbacks the script has, after it was loaded anew.
    pub fn set_routes(&self, reply: Option<CallbackId>, onsend: Option<CallbackId>) {
        let number = |id: Option<CallbackId>| id.map_or(0, |id| id.name + 1);
        self.reply.store(number(reply), Relaxed);
        self.onsend.store(number(onsend), Relaxed);
    }
    fn reply_route(&self) -> Option<CallbackId> {
        self.reply.load(Relaxed).checked_sub(1).map(CallbackId::new)
    }
    fn onsend_route(&self) -> Option<CallbackId> {
        self.onsend.load(Relaxed).checked_sub(1).map(CallbackId::new)
    }
    /// Process-wide state.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// The port is left out when it is the transport's default, as Kamailio does.
fn via_start(listener: &Listener) -> Vec<u8> {
    let mut out = format!("SIP/2.0/{} {}", listener.transport.as_str(), listener.via_host());
    if listener.via_port() != listener.transport.default_port() {
        out += &format!(":{}", listener.via_port());
    }
    out += ";branch=";
    out.into_bytes()
}
