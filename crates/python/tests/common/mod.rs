//! What the engine's tests share: a registry with a few functions, a server of scripts, and the log as text.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use script::pv::Inner;
use script::testing::{Bench, NoTransactions, wire};
use script::{
    Arg, Core, Function, Inbound, Module, Outbox, PseudoVariable, Pv, RouteContext, RouteKind, RunOutcome,
    ScriptEngine, ScriptError, ScriptWorker, Services, Value, WorkerState, ksr_module,
};
use trunkline_python::{Interpreters, Settings};

// ---- the functions of the tests' KSR module ----

/// Functions as the real modules have them, and some that are only for tests.
#[derive(Default)]
pub struct Core1;

#[ksr_module("core", object = "", rows = "ROWS")]
impl Core1 {
    /// Logs at level info.
    #[ksr(no_message)]
    fn info(&self, text: &[u8]) {
        tracing::info!("script: {}", String::from_utf8_lossy(text).trim_end());
    }
    /// Whether the request is an INVITE.
    #[ksr]
    #[allow(non_snake_case)]
    fn is_INVITE(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method_text() == b"INVITE"
    }
    /// Whether the method is among the letters.
    #[ksr(cfg = ["is_method"])]
    fn is_method_in(&self, ctx: &RouteContext<'_>, letters: &[u8]) -> bool {
        ctx.message.method_text().first().is_some_and(|m| letters.contains(m))
    }
}

/// `KSR.pv`.
#[derive(Default)]
pub struct Pv1;

#[ksr_module("pv", rows = "ROWS")]
impl Pv1 {
    /// Value of a pseudo-variable.
    #[ksr(no_message)]
    fn get<'c>(&self, ctx: &'c RouteContext<'_>, name: &'c Pv) -> Value<'c> {
        name.get(ctx)
    }
    /// Sets text.
    #[ksr(no_message)]
    fn sets(&self, ctx: &mut RouteContext<'_>, name: &Pv, value: &[u8]) -> bool {
        name.set(ctx, Value::str(value))
    }
    /// Whether it is null.
    #[ksr(no_message)]
    fn is_null(&self, ctx: &RouteContext<'_>, name: &Pv) -> bool {
        name.get(ctx).is_null()
    }
    /// Value, or the default.
    #[ksr(no_message)]
    fn getvs<'c>(&self, ctx: &'c RouteContext<'_>, name: &'c Pv, default: &'c [u8]) -> Value<'c> {
        let value = name.get(ctx);
        if value.is_null() { Value::str(default) } else { value }
    }
}

/// `KSR.x`.
#[derive(Default)]
pub struct X1;

#[ksr_module("x", rows = "ROWS")]
impl X1 {
    /// Ends the route.
    #[ksr(no_message)]
    fn exit(&self) {}
    /// Ends the route and drops.
    #[ksr(no_message)]
    fn drop(&self, ctx: &mut RouteContext<'_>) {
        ctx.dropped = true;
    }
}

/// `KSR.t`: what tests need.
#[derive(Default)]
pub struct T1;

#[ksr_module("t", rows = "ROWS")]
impl T1 {
    /// Gives its text back.
    #[ksr(no_message)]
    fn echo<'c>(&self, text: &'c [u8]) -> Value<'c> {
        Value::str(text)
    }
    /// Gives its number back.
    #[ksr(no_message, cfg = ["t_number"])]
    fn number(&self, n: i64) -> i64 {
        n
    }
    /// Two of them.
    #[ksr(no_message)]
    fn two(&self, a: i64, b: &[u8]) -> i64 {
        a + b.len() as i64
    }
    /// How many further arguments.
    #[ksr(no_message)]
    fn count(&self, name: &[u8], rest: &[Arg<'_>]) -> Value<'static> {
        Value::owned(format!("{}:{rest:?}", String::from_utf8_lossy(name)))
    }
    /// A list with a null in it.
    #[ksr(no_message)]
    fn list(&self) -> Value<'static> {
        Value::List(vec![Value::Int(1), Value::str(b"two"), Value::Null])
    }
    /// A dict.
    #[ksr(no_message)]
    fn map(&self) -> Value<'static> {
        Value::Map(vec![(b"k".into(), Value::Bool(true)), (b"l".into(), Value::List(vec![]))])
    }
    /// Bytes that are not UTF-8.
    #[ksr(no_message)]
    fn binary(&self) -> Value<'static> {
        Value::str(b"a\xffb")
    }
    /// Length in bytes.
    #[ksr(no_message)]
    fn length(&self, text: &[u8]) -> i64 {
        text.len() as i64
    }
    /// Runs another callback over the message, as `t_relay` runs branch routes.
    #[ksr]
    fn nested(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> i64 {
        let Some(id) = ctx.core.callbacks.intern(name) else { return -2 };
        let kind = std::mem::replace(&mut ctx.kind, RouteKind::Branch);
        let outcome = ctx.engine.run(RouteKind::Branch, id, ctx);
        ctx.kind = kind;
        match outcome {
            RunOutcome::Returned(n) => n,
            _ => -1,
        }
    }
    /// Waits, interpreter released, until the gate is opened; -1 after ten seconds.
    #[ksr(no_message, blocking)]
    fn wait_gate(&self) -> i64 {
        if GATE.wait() { 1 } else { -1 }
    }
    /// Opens the gate.
    #[ksr(no_message)]
    fn open_gate(&self) {
        GATE.open();
    }
    /// Waits, interpreter kept, until another thread is in here too; -1 after so many milliseconds.
    #[ksr(no_message)]
    fn meet(&self, patience: i64) -> i64 {
        if MEETING.wait(Duration::from_millis(patience.unsigned_abs())) { 1 } else { -1 }
    }
    /// Panics.
    #[ksr(no_message)]
    fn broken(&self) -> i64 {
        panic!("a fault inside a KSR function")
    }
    /// A keyword's object cannot be written with a dot.
    #[ksr(no_message)]
    fn lambda(&self) -> i64 {
        1
    }
}

/// `KSR.async`: a Python keyword.
#[derive(Default)]
pub struct Async1;

#[ksr_module("async", rows = "ROWS")]
impl Async1 {
    /// One.
    #[ksr(no_message)]
    fn one(&self) -> i64 {
        1
    }
}

pub struct Gate(Mutex<bool>, Condvar);
pub static GATE: Gate = Gate(Mutex::new(false), Condvar::new());
impl Gate {
    fn wait(&self) -> bool {
        let open = self.0.lock().expect("gate");
        let (open, _) = self.1.wait_timeout_while(open, Duration::from_secs(10), |o| !*o).expect("gate");
        *open
    }
    pub fn open(&self) {
        *self.0.lock().expect("gate") = true;
        self.1.notify_all();
    }
    pub fn close(&self) {
        *self.0.lock().expect("gate") = false;
    }
}

/// Where two threads meet. Who has waited in vain is gone again.
pub struct Meeting(Mutex<u32>, Condvar);
pub static MEETING: Meeting = Meeting(Mutex::new(0), Condvar::new());
impl Meeting {
    pub fn wait(&self, patience: Duration) -> bool {
        let mut here = self.0.lock().expect("meeting");
        *here += 1;
        if *here == 2 {
            *here = 0;
            self.1.notify_all();
            return true;
        }
        let (mut here, waited) =
            self.1.wait_timeout_while(here, patience, |here| *here == 1).expect("meeting");
        if waited.timed_out() {
            *here = 0;
        }
        !waited.timed_out()
    }
}

macro_rules! module {
    ($name:ident, $module:literal $(, $pvs:expr)?) => {
        impl Module for $name {
            fn name(&self) -> &'static str {
                $module
            }
            fn functions(&self) -> &'static [Function] {
                Self::ROWS
            }
            $(fn pseudo_variables(&self) -> &'static [PseudoVariable] {
                $pvs
            })?
        }
    };
}
module!(Core1, "core", PVS);
module!(Pv1, "pv");
module!(X1, "x");
module!(T1, "t");
module!(Async1, "async");

const PVS: &[PseudoVariable] = &[
    PseudoVariable {
        module: "core",
        name: "ru",
        doc: "Request-URI.",
        inner: Inner::None,
        get: |ctx, _| Value::str(ctx.request_uri()),
        set: Some(|ctx, _, value| {
            ctx.target.uri = value.to_text().into_owned();
            true
        }),
    },
    PseudoVariable {
        module: "core",
        name: "rm",
        doc: "Method.",
        inner: Inner::None,
        get: |ctx, _| Value::str(ctx.message.method_text()),
        set: None,
    },
    PseudoVariable {
        module: "core",
        name: "null",
        doc: "Null.",
        inner: Inner::None,
        get: |_, _| Value::Null,
        set: None,
    },
];

// ---- scripts and their server ----

/// A loaded script.
pub struct Server {
    pub engine: Arc<dyn ScriptEngine>,
    pub core: Arc<Core>,
    pub script: PathBuf,
}

/// Every interpreters mode this Python has.
pub fn modes() -> Vec<Interpreters> {
    let minor: u32 =
        trunkline_python::python_version().split('.').nth(1).and_then(|m| m.parse().ok()).unwrap_or(0);
    if minor >= 13 { vec![Interpreters::Shared, Interpreters::PerWorker] } else { vec![Interpreters::Shared] }
}

/// A script in a folder of its own.
pub fn write(name: &str, text: &str) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = option_env!("CARGO_TARGET_TMPDIR")
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir_all(&folder).expect("folder for scripts");
    let file = folder.join(name);
    std::fs::write(&file, text).expect("script written");
    file
}

pub fn modules() -> Vec<Arc<dyn Module>> {
    vec![Arc::new(Core1), Arc::new(Pv1), Arc::new(X1), Arc::new(T1), Arc::new(Async1)]
}

impl Server {
    pub fn load(text: &str, set: impl FnOnce(&mut Settings)) -> Result<Server, ScriptError> {
        capture();
        let script = write("route.py", text);
        let mut settings = Settings::new(&script);
        set(&mut settings);
        let core = Arc::new(Bench::new(modules()).core);
        // A server loads one script; tests of one process would meet in sys.path and sys.modules.
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(|e| e.into_inner());
        let engine = trunkline_python::load(settings, core.clone())?;
        Ok(Server { engine, core, script })
    }
    pub fn mode(text: &str, mode: Interpreters) -> Server {
        match Server::load(text, |s| s.interpreters = mode) {
            Ok(server) => server,
            Err(e) => panic!("script: {e}"),
        }
    }
    /// The worker's side on this thread.
    pub fn station(&self, rank: i32) -> Station {
        let worker = self.engine.worker(rank, &self.core).expect("worker");
        Station {
            worker,
            core: self.core.clone(),
            transactions: NoTransactions::default(),
            state: WorkerState::default(),
            outbox: Outbox::default(),
        }
    }
    /// A counter of a callback, summed over workers.
    pub fn counted(&self, callback: &str, what: &str) -> u64 {
        let report = self.engine.rpc_callbacks();
        let rows = report["callbacks"].as_array().cloned().unwrap_or_default();
        rows.iter().find(|r| r["name"] == callback).and_then(|r| r[what].as_u64()).unwrap_or(0)
    }
}

/// A worker with what a context needs.
pub struct Station {
    pub worker: Box<dyn ScriptWorker>,
    core: Arc<Core>,
    transactions: NoTransactions,
    state: WorkerState,
    outbox: Outbox,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub outcome: RunOutcome,
    pub ruri: String,
    pub dst: String,
    pub dropped: bool,
}

pub const INVITE: &str = "INVITE sip:bob@b.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\n\
    From: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>\nCall-ID: call-1\nCSeq: 1 INVITE\nX-Bin: caf\u{e9}\nContent-Length: 0\n";
pub const OK: &str = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\n\
    From: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>;tag=tt\nCall-ID: call-1\nCSeq: 1 INVITE\nContent-Length: 0\n";

impl Station {
    pub fn with<R>(&self, text: &str, f: impl FnOnce(&mut RouteContext<'_>) -> R) -> R {
        let message = message::Message::parse(&wire(text)).expect("message");
        let services = Services {
            core: &self.core,
            transactions: &self.transactions,
            engine: self.worker.as_ref(),
            worker: &self.state,
            outbox: &self.outbox,
        };
        let inbound = Inbound {
            source: ([127, 0, 0, 1], 5070).into(),
            local: ([127, 0, 0, 1], 5060).into(),
            socket: transaction::SocketId(0),
            transport: message::Transport::Udp,
        };
        let now = transaction::Now::default();
        f(&mut RouteContext::new(&services, RouteKind::Request, Arc::new(message), inbound, now))
    }
    pub fn run(&self, callback: &str, text: &str) -> Ran {
        let id = self.core.callbacks.intern(callback.as_bytes()).expect("name");
        self.with(text, |ctx| {
            let outcome = self.worker.run(RouteKind::Request, id, ctx);
            Ran {
                outcome,
                ruri: String::from_utf8_lossy(ctx.request_uri()).into_owned(),
                dst: String::from_utf8_lossy(&ctx.target.dst_uri).into_owned(),
                dropped: ctx.dropped,
            }
        })
    }
    pub fn event(&self, callback: &str, event: &str) -> RunOutcome {
        let id = self.core.callbacks.intern(callback.as_bytes()).expect("name");
        self.with(INVITE, |ctx| self.worker.run_event(id, event, ctx))
    }
}

/// Runs a handler method whose body is `body` and expects it to return true: for tests that assert inside of Python.
pub fn check_in_python(body: &str) {
    let lines: String = body.lines().map(|l| format!("        {l}\n")).collect();
    let text = format!(
        "import KSR, sys\nclass Handler:\n    def ksr_request_route(self, msg):\n{lines}        return 77\n\
         def mod_init():\n    return Handler()\n"
    );
    for mode in modes() {
        let server = Server::mode(&text, mode);
        let ran = server.station(1).run("ksr_request_route", INVITE);
        assert_eq!(ran.outcome, RunOutcome::Returned(77), "{mode:?}: {}", log());
        assert_eq!(server.counted("ksr_request_route", "calls"), 1);
    }
}

// ---- the log ----

static LOG: Mutex<String> = Mutex::new(String::new());

/// What was logged so far.
pub fn log() -> String {
    LOG.lock().unwrap_or_else(|e| e.into_inner()).clone()
}

struct Capture;

struct Text(String);
impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?} ")
        } else {
            write!(self.0, "{}={value:?} ", field.name())
        };
    }
}
impl tracing::Subscriber for Capture {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(format!("{} ", event.metadata().level()));
        event.record(&mut text);
        let mut log = LOG.lock().unwrap_or_else(|e| e.into_inner());
        log.push_str(&text.0);
        log.push('\n');
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = tracing::subscriber::set_global_default(Capture);
    });
}
