//! One run of a route over one message: what KSR functions read and change.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use message::{Edits, Message, Transport, Uri};
use transaction::{Hop, Now, Options, Outcome, SocketId, Timing, TransactionId};

use crate::ip_text::IpText;
use crate::value::Value;
use crate::{CallbackId, Core, Outbox, RouteKind, ScriptWorker, Transactions, Vars};

/// How a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// Sender.
    pub source: SocketAddr,
    /// Our address it was sent to.
    pub local: SocketAddr,
    /// Our socket.
    pub socket: SocketId,
    /// Transport.
    pub transport: Transport,
}

impl Inbound {
    /// Back to the sender through the same socket.
    pub fn back(&self) -> Hop {
        Hop { transport: self.transport, remote: self.source, socket: self.socket }
    }
}

/// One member of the destination set: the Request-URI with what goes with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Branch {
    /// Request-URI; in [`RouteContext::target`] empty means: as received.
    pub uri: Vec<u8>,
    /// `$du`, the outbound proxy; empty none.
    pub dst_uri: Vec<u8>,
    /// Path set (RFC 3327) as Route values, comma separated; empty none.
    pub path: Vec<u8>,
    /// q in thousandths, -1 unset.
    pub q: i32,
    /// Branch flags.
    pub flags: u32,
    /// Socket forced for sending.
    pub socket: Option<SocketId>,
    /// `+sip.instance`.
    pub instance: Vec<u8>,
    /// `reg-id`.
    pub reg_id: u32,
    /// Location record id.
    pub ruid: Vec<u8>,
    /// User-Agent of the location record.
    pub location_ua: Vec<u8>,
}

/// Routes armed by `t_on_*`; each holds for what follows until it is armed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArmedRoutes {
    /// `t_on_branch`
    pub on_branch: Option<CallbackId>,
    /// `t_on_reply`
    pub on_reply: Option<CallbackId>,
    /// `t_on_failure`
    pub on_failure: Option<CallbackId>,
    /// `t_on_branch_failure`
    pub on_branch_failure: Option<CallbackId>,
}

/// Things keyed by their type: modules keep their state of one message or one worker here without the core naming them.
///
/// A message has a handful of them, so a list is quicker than a hash.
#[derive(Default)]
pub struct Slots(Vec<(TypeId, Box<dyn Any + Send>)>);

impl Slots {
    /// The slot of a type, made when absent.
    pub fn slot<T: Any + Send + Default>(&mut self) -> &mut T {
        let id = TypeId::of::<T>();
        let at = match self.0.iter().position(|(t, _)| *t == id) {
            Some(at) => at,
            None => {
                self.0.push((id, Box::<T>::default()));
                self.0.len() - 1
            }
        };
        match self.0.get_mut(at).and_then(|(_, any)| any.downcast_mut::<T>()) {
            Some(t) => t,
            None => unreachable!("slot keyed by its own type"),
        }
    }
    /// The slot of a type if it was made.
    pub fn peek<T: Any>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        self.0.iter().find(|(t, _)| *t == id)?.1.downcast_ref()
    }
}

/// What belongs to one worker and outlives messages: `$var(...)`, iterators, module scratch.
#[derive(Default)]
pub struct WorkerState {
    /// `$var(name)`, `$vn(name)`, `$vz(name)`.
    pub vars: RefCell<HashMap<Vec<u8>, Value<'static>>>,
    /// Module scratch.
    pub slots: RefCell<Slots>,
    /// Rank given to `child_init`.
    pub rank: i32,
    /// Number of the message in this worker, `$mi`.
    pub message_number: std::cell::Cell<u64>,
    /// The loading of the script whose callback runs; 0 outside of callbacks.
    pub generation: std::cell::Cell<u16>,
    /// Room for what steps of transactions want done; taken while one is at it.
    pub actions: std::cell::Cell<Vec<transaction::Action>>,
    /// Room for the changes to the next request; taken while one is at work.
    pub edits: std::cell::Cell<Edits>,
}

/// One run of a route. Nested routes (a branch route inside `t_relay`) run on the same context with `kind` and target swapped.
pub struct RouteContext<'s> {
    /// Process-wide state.
    pub core: &'s Core,
    /// The transaction layer.
    pub transactions: &'s dyn Transactions,
    /// The engine, for nested routes.
    pub engine: &'s dyn ScriptWorker,
    /// This worker's own state.
    pub worker: &'s WorkerState,
    /// Datagrams to send.
    pub outbox: &'s Outbox,
    /// Which route runs.
    pub kind: RouteKind,
    /// Time of this message.
    pub now: Now,
    /// The message: in failure and branch routes the request, in reply routes the reply.
    pub message: Arc<Message>,
    /// Whether `message` is a stand-in (`mod_init`, timers, threads).
    pub faked: bool,
    /// How it came in; changed with [`RouteContext::set_inbound`].
    pub inbound: Inbound,
    /// Changes so far.
    pub edits: Edits,
    /// Record-Route asked for; goes with `edits` wherever they go. Whoever prints a branch writes it before the first header row.
    pub record_route: Option<crate::RecordRoute>,
    /// Request-URI and what goes with it.
    pub target: Branch,
    /// Further branches (`append_branch`, `lookup`).
    pub branches: Vec<Branch>,
    /// Message flags (`setflag`).
    pub flags: u32,
    /// Script flags (`setsflag`).
    pub script_flags: u32,
    /// Extended flags (`setxflag`), 64 of them.
    pub xflags: [u32; 2],
    /// `force_rport` was called.
    pub force_rport: bool,
    /// `add_local_rport` was called: our Via asks for `rport`.
    pub local_rport: bool,
    /// `set_drop`, `drop`: a reply is not forwarded, a branch is not sent.
    pub dropped: bool,
    /// A stateless reply went out for this request.
    pub replied: bool,
    /// Routes armed so far.
    pub armed: ArmedRoutes,
    /// The transaction, once it is known or made.
    pub transaction: Option<TransactionId>,
    /// Whether the lookup of a transaction was already made for this message.
    pub looked_up: bool,
    /// Index of the branch a branch, reply or failure route is about.
    pub branch_index: u16,
    /// Failure and branch-failure routes: the reply (`None` for a timeout) and its code (408 for a timeout).
    pub reply: Option<Arc<Message>>,
    /// Code that goes with `reply`.
    pub reply_code: u16,
    /// AVPs and XAVPs, made when first used.
    pub vars: Option<Arc<Vars>>,
    /// Result of the last function, `$rc`.
    pub last_result: i64,
    /// Why the last relay or reply failed: the answer `sl_reply_error` and `t_reply_error` give. `None`: 500.
    pub error: Option<(u16, &'static str)>,
    /// Timers set by `t_set_fr` and the like before the transaction exists.
    pub timing: Option<Timing>,
    /// Switches set by `t_set_*` before the transaction exists.
    pub options: Option<Options>,
    /// Failure, branch-failure and onreply routes: what the route decided, handed back to the transaction when it ends.
    pub decision: Outcome,
    /// Module state of this message.
    pub slots: Slots,
    /// Onsend routes: where the message goes, and what is sent.
    pub sending: Option<(Hop, Arc<[u8]>)>,
    /// What modules want to hear of the transaction.
    pub watch: crate::Interest,
    /// What modules keep with the request and its transaction.
    pub kept: crate::Kept,
    /// Advertised address set by `set_advertised_address` / `_port`.
    pub advertise: (Option<String>, Option<u16>),
    /// Whether the caller of the engine can go on later: an `async def` callback may then end its run as [`RunOutcome::Awaits`].
    ///
    /// [`RunOutcome::Awaits`]: crate::RunOutcome::Awaits
    pub may_await: bool,
    /// Set by `KSR.x.exit()` and `KSR.x.drop()`: the engine looks here after each call, takes it and ends the route.
    pub unwind: Option<Unwind>,
    /// Text of the sender's address, see [`RouteContext::source_ip`].
    source_ip: IpText,
    /// Text of our address, see [`RouteContext::local_ip`].
    local_ip: IpText,
    /// `set_reply_close`, `set_reply_no_connect`, `set_forward_close`, `set_forward_no_connect`: bits of [`SendFlags`].
    pub send_flags: SendFlags,
}

/// How a function ends the route that called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwind {
    /// `KSR.x.exit()`: as `sys.exit()`.
    Exit,
    /// `KSR.x.drop()`: the message goes no further.
    Drop,
}

/// What scripts ask of the connection that carries a reply or the forwarded request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// Close the connection after the reply.
    pub reply_close: bool,
    /// Do not open a connection for the reply.
    pub reply_no_connect: bool,
    /// Close the connection after the forwarded request.
    pub forward_close: bool,
    /// Do not open a connection for the forwarded request.
    pub forward_no_connect: bool,
}

impl<'s> RouteContext<'s> {
    /// A context for a message that was just received. `services` is the worker's bundle.
    pub fn new(
        services: &Services<'s>,
        kind: RouteKind,
        message: Arc<Message>,
        inbound: Inbound,
        now: Now,
    ) -> Self {
        RouteContext {
            core: services.core,
            transactions: services.transactions,
            engine: services.engine,
            worker: services.worker,
            outbox: services.outbox,
            kind,
            now,
            message,
            faked: false,
            inbound,
            edits: Edits::new(),
            record_route: None,
            target: Branch { q: -1, ..Branch::default() },
            branches: Vec::new(),
            flags: 0,
            script_flags: 0,
            xflags: [0; 2],
            force_rport: false,
            local_rport: false,
            dropped: false,
            replied: false,
            armed: ArmedRoutes::default(),
            transaction: None,
            looked_up: false,
            branch_index: 0,
            reply: None,
            reply_code: 0,
            vars: None,
            last_result: 0,
            error: None,
            timing: None,
            options: None,
            decision: Outcome::default(),
            slots: Slots::default(),
            sending: None,
            watch: crate::Interest::NONE,
            kept: crate::Kept::default(),
            advertise: (None, None),
            may_await: false,
            unwind: None,
            source_ip: IpText::default(),
            local_ip: IpText::default(),
            send_flags: SendFlags::default(),
        }
    }
    /// The sender's address as text, `$si`; written once per context.
    pub fn source_ip(&self) -> &[u8] {
        self.source_ip.of(self.inbound.source.ip())
    }
    /// Our address the message came to as text, `$Ri`; written once per context.
    pub fn local_ip(&self) -> &[u8] {
        self.local_ip.of(self.inbound.local.ip())
    }
    /// Another sender, as `$rcv` and replayed messages have it.
    pub fn set_inbound(&mut self, inbound: Inbound) {
        self.inbound = inbound;
        self.source_ip = IpText::default();
        self.local_ip = IpText::default();
    }
    /// The callback of that name in the script that runs, also when a newer one routes by now. `None` when it cannot be a name.
    pub fn callback(&self, name: &[u8]) -> Option<CallbackId> {
        self.core.callbacks.intern(name).map(|id| id.of(self.worker.generation.get()))
    }
    /// The Request-URI as it stands: changed or as received. Empty for replies.
    pub fn request_uri(&self) -> &[u8] {
        if self.target.uri.is_empty() { self.message.request_uri() } else { &self.target.uri }
    }
    /// The Request-URI as it stands, parsed; as received it is parsed once.
    pub fn parse_request_uri(&self) -> Result<Uri<'_>, message::Fault> {
        if self.target.uri.is_empty() {
            self.message.parse_request_uri()
        } else {
            Uri::parse(&self.target.uri)
        }
    }
    /// Where the request goes next: `$du` if set, else the Request-URI.
    pub fn next_hop_uri(&self) -> &[u8] {
        if self.target.dst_uri.is_empty() { self.request_uri() } else { &self.target.dst_uri }
    }
    /// The AVP lists, made when absent and then shared with the transaction if there is one.
    pub fn vars(&mut self) -> &Vars {
        if self.vars.is_none() {
            let made = Arc::new(Vars::default());
            if self.transaction.is_some() {
                self.transactions.attach_vars(self, &made);
            }
            self.vars = Some(made);
        }
        match &self.vars {
            Some(v) => v,
            None => unreachable!("made above"),
        }
    }
    /// The socket a request goes out from when none is forced: the one it came in on if the family fits, else the first of that
    /// family and transport.
    pub fn send_socket(&self, transport: Transport, remote: SocketAddr) -> Option<SocketId> {
        let fits = |i: usize| {
            self.core
                .listeners
                .get(i)
                .is_some_and(|l| l.transport == transport && l.address.is_ipv4() == remote.is_ipv4())
        };
        if let Some(s) = self.target.socket.filter(|s| fits(s.0 as usize)) {
            return Some(s);
        }
        if fits(self.inbound.socket.0 as usize) {
            return Some(self.inbound.socket);
        }
        (0..self.core.listeners.len()).find(|i| fits(*i)).map(|i| SocketId(i as u16))
    }
    /// Whether a host and port name this server: listeners, advertised addresses, aliases (Kamailio's `is_myself`).
    pub fn is_myself(&self, host: &[u8], port: Option<u16>, transport: Option<Transport>) -> bool {
        self.core.is_myself(host, port, transport)
    }
    /// Whether the host of a URI is this server.
    pub fn is_myself_uri(&self, uri: &[u8]) -> bool {
        Uri::parse(uri).is_ok_and(|u| self.core.is_myself(u.host, Some(u.port_or_default()), u.transport()))
    }
}

/// What a worker brings to every run.
#[derive(Clone, Copy)]
pub struct Services<'s> {
    /// Process-wide state.
    pub core: &'s Core,
    /// The transaction layer.
    pub transactions: &'s dyn Transactions,
    /// This worker's side of the engine.
    pub engine: &'s dyn ScriptWorker,
    /// This worker's state.
    pub worker: &'s WorkerState,
    /// This worker's datagrams.
    pub outbox: &'s Outbox,
}

impl Core {
    /// Kamailio's `is_myself`: host against listeners, advertised hosts and aliases; port when both sides give one.
    pub fn is_myself(&self, host: &[u8], port: Option<u16>, transport: Option<Transport>) -> bool {
        let host = strip_brackets(host);
        let ip: Option<std::net::IpAddr> = std::str::from_utf8(host).ok().and_then(|h| h.parse().ok());
        let port = port.filter(|p| *p != 0);
        for l in &self.listeners {
            if transport.is_some_and(|t| t != l.transport) {
                continue;
            }
            if ip.is_some_and(|i| i == l.address.ip()) && port.is_none_or(|p| p == l.address.port()) {
                return true;
            }
            if let Some((h, p)) = &l.advertise
                && strip_brackets(h.as_bytes()).eq_ignore_ascii_case(host)
                && port.is_none_or(|q| q == *p)
            {
                return true;
            }
        }
        let fits = |p: &Option<u16>, t: &Option<Transport>| {
            p.is_none_or(|p| port.is_none_or(|q| p == q))
                && t.is_none_or(|t| transport.is_none_or(|u| t == u))
        };
        let aliases = &self.config.aliases;
        aliases.iter().any(|(h, p, t)| strip_brackets(h.as_bytes()).eq_ignore_ascii_case(host) && fits(p, t))
            || self
                .config
                .subdomains
                .get()
                .is_some_and(|all| all.iter().any(|(domain, p, t)| is_of_domain(host, domain) && fits(p, t)))
            || self.config.local_hosts.contains(host)
    }
}

/// Whether a host is this domain or one of its subdomains.
fn is_of_domain(host: &[u8], domain: &str) -> bool {
    let Some(start) = host.len().checked_sub(domain.len()) else { return false };
    let (front, end) = host.split_at(start);
    end.eq_ignore_ascii_case(domain.as_bytes()) && (front.is_empty() || front.ends_with(b"."))
}

fn strip_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host)
}
