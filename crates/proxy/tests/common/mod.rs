//! A proxy on a bench: datagrams in, datagrams out, time by hand; routes are Rust functions that count how often they ran.
#![allow(dead_code, clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use message::Transport;
use script::outbox::{Batch, Datagram};
use script::{
    CallbackId, Callbacks, Core, CoreConfig, Inbound, Listener, Module, Outbox, Registry, RouteContext,
    RouteKind, RunOutcome, ScriptWorker, Services, Statistics, WorkerState,
};
use transaction::{Now, SocketId, Timestamp};
use trunkline_proxy::{Proxy, Routes, Settings};

pub const PROXY: &str = "10.0.0.1:5060";
pub const ALICE: &str = "10.0.0.2:5060";
pub const BOB: &str = "10.0.0.3:5060";
pub const CAROL: &str = "10.0.0.4:5060";

pub type Callback = Rc<dyn Fn(&mut RouteContext<'_>) -> RunOutcome>;

/// Routes by name, with their counters.
#[derive(Default)]
pub struct Script {
    callbacks: RefCell<HashMap<CallbackId, Callback>>,
    ran: RefCell<HashMap<CallbackId, u64>>,
}

impl ScriptWorker for Script {
    fn attach(&self) {}
    fn detach(&self) {}
    fn run(&self, _: RouteKind, callback: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome {
        *self.ran.borrow_mut().entry(callback).or_default() += 1;
        let found = self.callbacks.borrow().get(&callback).cloned();
        found.map_or(RunOutcome::Missing, |f| f(ctx))
    }
    fn run_event(&self, callback: CallbackId, _: &str, ctx: &mut RouteContext<'_>) -> RunOutcome {
        self.run(RouteKind::Event, callback, ctx)
    }
}

/// The proxy with one worker.
pub struct Bench {
    pub core: Arc<Core>,
    pub proxy: Arc<Proxy>,
    pub script: Rc<Script>,
    pub worker: WorkerState,
    pub outbox: Outbox,
    pub now: Now,
}

impl Bench {
    pub fn new(settings: Settings, request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static) -> Bench {
        Bench::build(settings, request, false, Vec::new())
    }
    /// With these modules.
    pub fn with_modules(
        modules: Vec<Arc<dyn script::Module>>,
        request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
    ) -> Bench {
        Bench::build(Settings::default(), request, false, modules)
    }
    /// With a module.
    pub fn with_module(settings: Settings, module: Arc<dyn Module>) -> Bench {
        Bench::build(settings, |_| RunOutcome::Returned(1), false, vec![module])
    }
    /// With a callback `onsend` that is still to be given.
    pub fn with_onsend(request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static) -> Bench {
        Bench::build(Settings::default(), request, true, Vec::new())
    }
    /// The same with `onsend_route_reply`.
    pub fn with_onsend_of_replies(
        request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
        modules: Vec<Arc<dyn Module>>,
    ) -> Bench {
        let config = CoreConfig { onsend_route_reply: true, ..CoreConfig::default() };
        Bench::build_with(config, Settings::default(), request, true, modules)
    }
    fn build(
        settings: Settings,
        request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
        onsend: bool,
        modules: Vec<Arc<dyn Module>>,
    ) -> Bench {
        Bench::build_with(CoreConfig::default(), settings, request, onsend, modules)
    }
    fn build_with(
        config: CoreConfig,
        settings: Settings,
        request: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
        onsend: bool,
        modules: Vec<Arc<dyn Module>>,
    ) -> Bench {
        let core = Arc::new(Core {
            config: CoreConfig { seed: 7, ..config },
            listeners: vec![Listener {
                transport: Transport::Udp,
                address: PROXY.parse().unwrap(),
                advertise: None,
                name: None,
            }],
            registry: Registry::new(modules),
            statistics: Statistics::default(),
            callbacks: Callbacks::default(),
            names: Default::default(),
            exchange: Default::default(),
        });
        let name = |name: &str| core.callbacks.intern(name.as_bytes()).unwrap();
        let routes = Routes { request: name("request"), reply: None, onsend: onsend.then(|| name("onsend")) };
        let bench = Bench {
            proxy: Arc::new(Proxy::new(core.clone(), routes, settings)),
            core,
            script: Rc::new(Script::default()),
            worker: WorkerState::default(),
            outbox: Outbox::default(),
            now: Now { mono: Timestamp::from_millis(1000), unix_micros: 1_767_323_045_000_000 },
        };
        bench.route("request", request);
        bench
    }
    /// Adds a callback.
    pub fn route(&self, name: &str, f: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static) {
        let id = self.core.callbacks.intern(name.as_bytes()).unwrap();
        self.script.callbacks.borrow_mut().insert(id, Rc::new(f));
    }
    /// How often a callback ran.
    pub fn ran(&self, name: &str) -> u64 {
        let id = self.core.callbacks.intern(name.as_bytes()).unwrap();
        self.script.ran.borrow().get(&id).copied().unwrap_or(0)
    }
    pub fn receive(&self, from: &str, text: &str) {
        let inbound = Inbound {
            source: from.parse().unwrap(),
            local: PROXY.parse().unwrap(),
            socket: SocketId(0),
            transport: Transport::Udp,
        };
        let services = Services {
            core: &self.core,
            transactions: &*self.proxy,
            engine: &*self.script,
            worker: &self.worker,
            outbox: &self.outbox,
        };
        self.proxy.receive(&services, self.now, inbound, wire(text).as_bytes());
    }
    /// What a thread of the server brings to a run.
    pub fn services(&self) -> Services<'_> {
        Services {
            core: &self.core,
            transactions: &*self.proxy,
            engine: &*self.script,
            worker: &self.worker,
            outbox: &self.outbox,
        }
    }
    /// Sends a request or reply into the proxy and gives what came out: `(to, text with \n)`.
    pub fn send(&self, from: &str, text: &str) -> Vec<(String, String)> {
        self.receive(from, text);
        self.out()
    }
    /// What is to be sent.
    pub fn out(&self) -> Vec<(String, String)> {
        let mut batch = Batch::default();
        self.outbox.take(&mut batch);
        let text = |d: &Datagram| String::from_utf8_lossy(batch.bytes(d)).replace("\r\n", "\n");
        batch.items.iter().map(|(hop, d)| (hop.remote.to_string(), text(d))).collect()
    }
    /// Time passes, timers fire in steps of 10 ms.
    pub fn advance(&mut self, ms: u64) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for _ in 0..ms.div_ceil(10) {
            self.now.mono = self.now.mono + std::time::Duration::from_millis(10);
            self.now.unix_micros += 10_000;
            let services = Services {
                core: &self.core,
                transactions: &*self.proxy,
                engine: &*self.script,
                worker: &self.worker,
                outbox: &self.outbox,
            };
            self.proxy.expire(&services, self.now, usize::MAX);
            all.extend(self.out());
        }
        all
    }
    /// A second passes for the modules.
    pub fn tick(&mut self) -> Vec<(String, String)> {
        self.now.mono = self.now.mono + std::time::Duration::from_secs(1);
        self.now.unix_micros += 1_000_000;
        let services = Services {
            core: &self.core,
            transactions: &*self.proxy,
            engine: &*self.script,
            worker: &self.worker,
            outbox: &self.outbox,
        };
        for module in self.core.registry.modules() {
            module.tick(&self.core, self.now);
            module.events(&services, self.now);
        }
        self.out()
    }
    /// An RPC command.
    pub fn rpc(
        &self,
        name: &str,
        params: &[serde_json::Value],
    ) -> Result<serde_json::Value, script::RpcError> {
        let (module, row) = self.core.registry.rpc().find(|(_, row)| row.name == name).unwrap();
        (row.call)(module.as_ref(), &self.core, self.now, params)
    }
    pub fn stat(&self, name: &str) -> i64 {
        self.core.statistics.value(name).unwrap_or_else(|| panic!("no statistic {name}"))
    }
}

/// `\n` to CRLF.
pub fn wire(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A request from alice to `user` at bob's, with this branch and more rows.
pub fn request(method: &str, uri: &str, branch: &str, rows: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bK{branch}\nMax-Forwards: 70\nFrom: <sip:alice@a>;tag=ta\n\
         To: <sip:bob@b>\nCall-ID: {branch}\nCSeq: 1 {method}\nContact: <sip:alice@{ALICE}>\n{rows}Content-Length: 0\n\n"
    )
}

/// A reply to what was sent: the Vias and the rest copied.
pub fn reply(request: &str, status: &str, tag: &str) -> String {
    let mut out = format!("SIP/2.0 {status}\n");
    for line in request.lines().skip(1).take_while(|l| !l.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains(&name) {
            out += &format!("{line}\n");
        } else if name == "To" {
            out += &if line.contains("tag=") { format!("{line}\n") } else { format!("{line};tag={tag}\n") };
        }
    }
    out + "Content-Length: 0\n\n"
}

/// First lines with their destinations, for comparing.
pub fn lines(out: &[(String, String)]) -> Vec<String> {
    out.iter().map(|(to, m)| format!("{to} {}", m.lines().next().unwrap_or_default())).collect()
}

/// The relaying route: `t_relay`, 500-like error when it fails.
pub fn relay(ctx: &mut RouteContext<'_>) -> RunOutcome {
    use script::RelayTo;
    let result = ctx.transactions.relay(ctx, RelayTo::Uris, 0);
    if result < 0 {
        let (code, reason) = ctx.error.unwrap_or((500, "Server error"));
        ctx.transactions.reply_stateless(ctx, code, reason.as_bytes());
    }
    RunOutcome::Returned(1)
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A module set up with these parameters.
pub fn module(
    name: &str,
    params: &[(&str, script::ParamValue)],
    before: &[Arc<dyn script::Module>],
) -> Arc<dyn script::Module> {
    let mut module = modules::create(name).unwrap();
    for (name, value) in params {
        module.set_param(name, value.clone()).unwrap();
    }
    let now = transaction::Now {
        mono: transaction::Timestamp::from_millis(1000),
        unix_micros: 1_767_323_045_000_000,
    };
    let setup = script::Setup { config: &CoreConfig::default(), listeners: &[], modules: before, now };
    module.setup(&setup).unwrap();
    module.into()
}

pub fn int(n: i64) -> script::ParamValue {
    script::ParamValue::Int(n)
}

pub fn text(s: &str) -> script::ParamValue {
    script::ParamValue::Str(s.into())
}

/// Calls a KSR function.
pub fn ksr(ctx: &mut RouteContext<'_>, object: &str, name: &str, args: &[script::Arg<'_>]) -> i64 {
    let core = ctx.core;
    let (module, row) = core.registry.function(object, name).unwrap();
    (row.call)(module.as_ref(), ctx, args).to_int().unwrap_or(0)
}

/// What a pseudo-variable has, as text.
pub fn pv(ctx: &RouteContext<'_>, name: &str) -> String {
    let pv = ctx.core.registry.parse_pv(name.as_bytes()).unwrap();
    let value = pv.get(ctx);
    if value.is_null() { "null".into() } else { String::from_utf8_lossy(&value.to_text()).into_owned() }
}

/// A route that tracks the call, as scripts do it.
pub fn tracked(ctx: &mut RouteContext<'_>) -> RunOutcome {
    if ctx.message.to().unwrap().tag().is_some() {
        ksr(ctx, "rr", "loose_route", &[]);
    } else if ctx.message.method() == message::Method::Invite {
        ksr(ctx, "rr", "record_route", &[]);
        ksr(ctx, "dialog", "dlg_manage", &[]);
    }
    relay(ctx)
}
