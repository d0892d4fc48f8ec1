//! A bench for unit tests of KSR functions: a context made from the text of a message, with a transaction layer that does nothing but
//! write down what it was asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use message::{Message, Transport};
use transaction::{Counts, Hop, Now, SocketId, Timestamp, View};

use crate::engine::NoScript;
use crate::{
    Arg, CallIdAct, Callbacks, Core, CoreConfig, Inbound, Listener, Module, Outbox, ParamKind, Registry,
    RelayTo, RouteContext, RouteKind, Services, Statistics, Tell, Transactions, UacRequest, Value, Vars,
    WorkerState,
};

/// Unix time of every bench: 2026-01-02 03:04:05 UTC.
pub const UNIX_TIME: u64 = 1_767_323_045;

/// Everything a context borrows.
pub struct Bench {
    /// Process-wide state: listeners udp and tcp 127.0.0.1:5060, udp [::1]:5060.
    pub core: Core,
    /// Writes down what it was asked; answers -1 to everything.
    pub transactions: NoTransactions,
    /// Datagrams sent.
    pub outbox: Outbox,
    /// Worker state.
    pub worker: WorkerState,
    /// Time given to contexts.
    pub now: Now,
    engine: NoScript,
}

impl Bench {
    /// A bench with these modules and default core parameters.
    pub fn new(modules: Vec<Arc<dyn Module>>) -> Bench {
        Bench::with_config(modules, CoreConfig::default())
    }
    /// A bench with core parameters.
    pub fn with_config(modules: Vec<Arc<dyn Module>>, config: CoreConfig) -> Bench {
        config.levels.set_debug(config.debug);
        let listen = |transport, address: &str| Listener {
            transport,
            address: address.parse().unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060)),
            advertise: None,
            name: None,
        };
        Bench {
            core: Core {
                config,
                listeners: vec![
                    listen(Transport::Udp, "127.0.0.1:5060"),
                    listen(Transport::Tcp, "127.0.0.1:5060"),
                    listen(Transport::Udp, "[::1]:5060"),
                ],
                registry: Registry::new(modules),
                statistics: Statistics::default(),
                callbacks: Callbacks::default(),
                names: Default::default(),
                exchange: Default::default(),
            },
            transactions: NoTransactions::default(),
            outbox: Outbox::default(),
            worker: WorkerState::default(),
            now: Now { mono: Timestamp::from_millis(1000), unix_micros: UNIX_TIME * 1_000_000 },
            engine: NoScript,
        }
    }
    /// A context in the request route, received from 127.0.0.1:5070 over UDP. `\n` in the text becomes CRLF; an empty line at the end is
    /// added when there is none.
    pub fn request(&self, text: &str) -> RouteContext<'_> {
        self.context(RouteKind::Request, text)
    }
    /// A context in the reply route.
    pub fn reply(&self, text: &str) -> RouteContext<'_> {
        self.context(RouteKind::Reply, text)
    }
    /// A context in any route.
    pub fn context(&self, kind: RouteKind, text: &str) -> RouteContext<'_> {
        let message = match Message::parse(&wire(text)) {
            Ok(m) => m,
            Err(e) => panic!("test message: {e:?}\n{text}"),
        };
        let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5070);
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);
        let inbound = Inbound { source, local, socket: SocketId(0), transport: Transport::Udp };
        RouteContext::new(&self.services(), kind, Arc::new(message), inbound, self.now)
    }
    /// What a worker would bring.
    pub fn services(&self) -> Services<'_> {
        Services {
            core: &self.core,
            transactions: &self.transactions,
            engine: &self.engine,
            worker: &self.worker,
            outbox: &self.outbox,
        }
    }
    /// Calls `KSR.<path>` with arguments converted as an engine does it. Panics when there is no such function or an argument does not
    /// fit: this is for tests.
    pub fn call(&self, ctx: &mut RouteContext<'_>, path: &str, args: &[Value<'_>]) -> Value<'static> {
        let (object, name) = path.rsplit_once('.').unwrap_or(("", path));
        let Some((module, row)) = self.core.registry.function(object, name) else {
            panic!("no function KSR.{path}");
        };
        let registry = &self.core.registry;
        let rest = row.params.last().is_some_and(|p| p.kind == ParamKind::Rest);
        assert!(args.len() == row.params.len() || rest, "KSR.{path} takes {} arguments", row.params.len());
        let texts: Vec<_> = args.iter().map(|a| a.to_text()).collect();
        let kind = |i: usize| row.params.get(i).map_or(ParamKind::Rest, |p| p.kind);
        let mut pvs = Vec::new();
        let mut formats = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let ok = |e: String| -> ! { panic!("KSR.{path} argument {i}: {e}") };
            match kind(i) {
                ParamKind::Pv => {
                    pvs.push(registry.parse_pv(text).unwrap_or_else(|_| crate::Pv::unknown(text)))
                }
                ParamKind::Format => formats.push(registry.parse_format(text).unwrap_or_else(|e| ok(e))),
                _ => {}
            }
        }
        let (mut pvs, mut formats) = (pvs.iter(), formats.iter());
        let mut list = Vec::new();
        for (i, (value, text)) in args.iter().zip(&texts).enumerate() {
            let int = value.to_int();
            list.push(match (kind(i), value) {
                (ParamKind::Int, _) => {
                    Arg::Int(int.unwrap_or_else(|| panic!("KSR.{path} argument {i}: not an int")))
                }
                (ParamKind::Pv, _) => Arg::Pv(pvs.next().unwrap_or_else(|| unreachable!("one per Pv"))),
                (ParamKind::Format, _) => {
                    Arg::Format(formats.next().unwrap_or_else(|| unreachable!("one per Format")))
                }
                (ParamKind::Rest, Value::Int(n)) => Arg::Int(*n),
                (ParamKind::Rest | ParamKind::Str, _) => Arg::Str(text),
            });
        }
        (row.call)(module.as_ref(), ctx, &list).into_owned()
    }
    /// Evaluates a pseudo-variable. Panics when it does not parse.
    pub fn pv(&self, ctx: &RouteContext<'_>, text: &str) -> Value<'static> {
        match self.core.registry.parse_pv(text.as_bytes()) {
            Ok(pv) => pv.get(ctx).into_owned(),
            Err(e) => panic!("{text}: {e}"),
        }
    }
    /// Assigns a pseudo-variable. Panics when it does not parse.
    pub fn set_pv(&self, ctx: &mut RouteContext<'_>, text: &str, value: Value<'_>) -> bool {
        match self.core.registry.parse_pv(text.as_bytes()) {
            Ok(pv) => pv.set(ctx, value),
            Err(e) => panic!("{text}: {e}"),
        }
    }
    /// Evaluates text with pseudo-variables.
    pub fn format(&self, ctx: &RouteContext<'_>, text: &str) -> String {
        match self.core.registry.parse_format(text.as_bytes()) {
            Ok(format) => {
                let mut out = Vec::new();
                format.write(ctx, &mut out);
                String::from_utf8_lossy(&out).into_owned()
            }
            Err(e) => panic!("{text}: {e}"),
        }
    }
    /// The request as it would be forwarded with the context's edits.
    pub fn printed(&self, ctx: &RouteContext<'_>) -> String {
        let mut out = Vec::new();
        message::print::request(&ctx.message, &ctx.edits, &Default::default(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Test text as it stands on the wire.
pub fn wire(text: &str) -> Vec<u8> {
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    if !text.contains("\r\n\r\n") {
        text.push_str(if text.ends_with("\r\n") { "\r\n" } else { "\r\n\r\n" });
    }
    text.into_bytes()
}

/// A transaction layer without transactions.
#[derive(Debug, Default)]
pub struct NoTransactions {
    calls: Mutex<Vec<String>>,
}

impl NoTransactions {
    /// What was asked since the last call, for example `reply_stateless 404 Not Found`.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(|e| e.into_inner()))
    }
    fn note(&self, what: String) -> i64 {
        self.calls.lock().unwrap_or_else(|e| e.into_inner()).push(what);
        -1
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn to_text(to: RelayTo<'_>) -> String {
    match to {
        RelayTo::Uris => "uris".into(),
        RelayTo::Proxy(p) => format!("proxy {}", text(p)),
        RelayTo::Transport(t) => format!("transport {}", t.lower()),
    }
}

impl Transactions for NoTransactions {
    fn reply_stateless(&self, _: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64 {
        self.note(format!("reply_stateless {code} {}", text(reason)))
    }
    fn forward_stateless(&self, _: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        self.note(format!("forward_stateless {}", to_text(to)))
    }
    fn relay(&self, _: &mut RouteContext<'_>, to: RelayTo<'_>, flags: i64) -> i64 {
        self.note(format!("relay {} {flags}", to_text(to)))
    }
    fn new_transaction(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("new_transaction".into())
    }
    fn check(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("check".into())
    }
    fn lookup_request(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("lookup_request".into())
    }
    fn lookup_cancel(&self, _: &mut RouteContext<'_>, flags: i64) -> i64 {
        self.note(format!("lookup_cancel {flags}"))
    }
    fn reply(&self, _: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> i64 {
        self.note(format!("reply {code} {}", text(reason)))
    }
    fn retransmit_reply(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("retransmit_reply".into())
    }
    fn release(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("release".into())
    }
    fn cancel_branches(&self, _: &mut RouteContext<'_>, which: &[u8]) -> i64 {
        self.note(format!("cancel_branches {}", text(which)))
    }
    fn uac_send(&self, _: &mut RouteContext<'_>, request: &UacRequest<'_>) -> i64 {
        self.note(format!("uac_send {} {}", text(request.method), text(request.ruri)))
    }
    fn send_request(&self, _: &mut RouteContext<'_>, request: &UacRequest<'_>, tell: Tell) -> i64 {
        self.note(format!(
            "send_request {} {} {} {}",
            text(request.method),
            text(request.ruri),
            tell.module,
            tell.token
        ));
        1
    }
    fn replicate(&self, _: &mut RouteContext<'_>, uri: &[u8]) -> i64 {
        self.note(format!("replicate {}", text(uri)))
    }
    fn suspend(&self, _: &mut RouteContext<'_>) -> i64 {
        self.note("suspend".into())
    }
    fn resume(&self, _: &mut RouteContext<'_>, index: u32, label: u32, callback: &[u8]) -> i64 {
        self.note(format!("resume {index}:{label} {}", text(callback)))
    }
    fn by_callid(&self, _: &mut RouteContext<'_>, call_id: &[u8], cseq: u32, act: CallIdAct<'_>) -> i64 {
        self.note(format!("by_callid {} {cseq} {act:?}", text(call_id)))
    }
    fn view(&self, _: &RouteContext<'_>, f: &mut dyn FnMut(Option<&View<'_>>)) {
        f(None);
    }
    fn attach_vars(&self, _: &RouteContext<'_>, _: &Arc<Vars>) {}
    fn update(&self, _: &mut RouteContext<'_>) {}
    fn resolve(&self, _: &RouteContext<'_>, uri: &[u8]) -> Option<Hop> {
        let uri = message::Uri::parse(uri).ok()?;
        let remote = SocketAddr::new(uri.ip()?, uri.port_or_default());
        Some(Hop { transport: uri.transport().unwrap_or(Transport::Udp), remote, socket: SocketId(0) })
    }
    fn counts(&self) -> Counts {
        Counts::default()
    }
    fn request(&self, _: &RouteContext<'_>) -> Option<Arc<Message>> {
        None
    }
}
