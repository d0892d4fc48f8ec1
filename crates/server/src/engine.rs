//! The script engine: its settings from the configuration, the checks before it is loaded, and lazy attachment.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cfg::{Config, Diagnostic, Severity, Value};
use script::{
    Awaiting, CallbackId, Core, Function, Parked, Registry, RouteContext, RouteKind, RunOutcome, ScriptError,
    ScriptWorker,
};

/// Modules that bring Python, with how their scripts are written.
const PYTHON: [(&str, python::Flavour); 2] =
    [("app_python3", python::Flavour::Handler), ("app_python3s", python::Flavour::Functions)];

/// Stack of the threads that run the script. Memory is taken as it is used. Python 3.13 needs up to 2.5 KB for a level of a recursion
/// that passes through C, and the guards allow a script 10,000 levels: it must meet `RecursionError` before the end of the stack.
pub const STACK: usize = 64 << 20;

/// Settings of the Python engine; `None` when a finding says why there are none.
pub fn python_settings(
    config: &Config,
    working: Option<&Path>,
    found: &mut Vec<Diagnostic>,
) -> Option<python::Settings> {
    let (row, flavour) = PYTHON.iter().find_map(|(name, flavour)| Some((config.module(name)?, *flavour)))?;
    let module = row.name.as_str();
    let Some(load) = last(config, module, "load") else {
        let message = format!("module {module} has no script to run");
        found.push(
            config
                .diagnostic(Severity::Error, row.span, message)
                .with_hint(format!("add 'modparam(\"{module}\", \"load\", \"/path/to/script.py\")'")),
        );
        return None;
    };
    let written = load.value.as_str().unwrap_or_default();
    let path = script_path(written, config.path(), working);
    if let Err(e) = std::fs::File::open(&path).and_then(|f| f.metadata()).and_then(|m| {
        if m.is_dir() { Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)) } else { Ok(()) }
    }) {
        let message = format!("cannot read the script {}: {e}", path.display());
        found.push(config.diagnostic(Severity::Error, load.value_span, message));
        return None;
    }
    let mut s = python::Settings::new(path);
    s.flavour = flavour;
    let text = |name: &str| last(config, module, name).and_then(|p| p.value.as_str()).map(str::to_owned);
    if let Some(name) = text("mod_init_function").or_else(|| text("script_init")) {
        s.script_init = name;
    }
    if let Some(name) = text("child_init_method").or_else(|| text("script_child_init")) {
        s.script_child_init = name;
    }
    if let Some(p) = last(config, module, "threads_mode") {
        s.threads_mode = p.value.as_int().unwrap_or(0);
        if !(0..=1).contains(&s.threads_mode) {
            let message = format!("threads_mode is {}; it is 0 or 1", s.threads_mode);
            found.push(config.diagnostic(Severity::Error, p.value_span, message));
        }
    }
    if let Some(seconds) = last(config, module, "await_timeout").and_then(|p| p.value.as_int()) {
        s.await_timeout = seconds.max(0);
    }
    s.reload_on_change =
        last(config, module, "reload_on_change").and_then(|p| p.value.as_int()).is_some_and(|n| n != 0);
    for (name, slot) in [("exec_warn_ms", &mut s.exec_warn_ms), ("exec_kill_ms", &mut s.exec_kill_ms)] {
        let Some(p) = last(config, module, name) else { continue };
        match u64::try_from(p.value.as_int().unwrap_or(0)) {
            Ok(ms) => *slot = ms,
            Err(_) => {
                let message = format!("{name} is negative; it is milliseconds, 0 is off");
                found.push(config.diagnostic(Severity::Error, p.value_span, message));
            }
        }
    }
    choice(config, module, "interpreters", &mut s.interpreters, found);
    choice(config, module, "on_exception", &mut s.on_exception, found);
    for (what, slot) in [("reply_route", &mut s.reply_callback), ("onsend_route", &mut s.onsend_callback)] {
        if let Some(name) = config.kemi_callback(what) {
            slot.clear();
            slot.push_str(name);
        }
    }
    Some(s)
}

fn last<'a>(config: &'a Config, module: &'a str, name: &str) -> Option<&'a cfg::ModParam> {
    config.modparams_of(module).filter(|p| p.name == name).last()
}

fn choice<T: FromStr<Err = String>>(
    config: &Config,
    module: &str,
    name: &str,
    slot: &mut T,
    found: &mut Vec<Diagnostic>,
) {
    let Some(p) = last(config, module, name) else { return };
    let Value::Str(text) = &p.value else { return };
    match text.parse() {
        Ok(v) => *slot = v,
        Err(e) => found.push(config.diagnostic(Severity::Error, p.value_span, e)),
    }
}

/// A relative script is looked for in the working directory (`-w`), as Kamailio does, then beside the configuration. The path is
/// absolute: the server changes its working directory before it loads the script.
fn script_path(written: &str, config: &Path, working: Option<&Path>) -> PathBuf {
    let written = Path::new(written);
    let beside = config.parent().map(|dir| dir.join(written));
    let places = [working.map(|dir| dir.join(written)), Some(written.to_owned()), beside];
    let found = places.into_iter().flatten().find(|p| p.exists());
    let path = found.unwrap_or_else(|| written.to_owned());
    std::path::absolute(&path).unwrap_or(path)
}

/// Reads the script without running it; problems become findings of this severity, errors if it is no Python at all.
/// As warnings, those about the script as a whole (no `mod_init`) are left out: loading it says so, and for certain.
pub fn check_script(
    settings: &python::Settings,
    registry: &Registry,
    severity: Severity,
    found: &mut Vec<Diagnostic>,
) -> Option<python::Report> {
    let loaded: Vec<&str> = registry.modules().iter().map(|m| m.name()).collect();
    let elsewhere: Vec<&'static Function> = modules::names()
        .filter(|n| !loaded.contains(n))
        .filter_map(modules::create)
        .flat_map(|m| m.functions())
        .collect();
    match python::check(settings, registry, &elsewhere) {
        Ok(report) => Some(report),
        Err(problems) => {
            let sources = std::fs::read_to_string(&settings.script).unwrap_or_default();
            let told = |p: &python::Problem| p.line > 0 || severity == Severity::Error;
            found.extend(problems.into_iter().filter(told).map(|p| {
                let severity = if p.fatal { Severity::Error } else { severity };
                let mut d = Diagnostic::about_file(severity, &p.file, p.message);
                (d.line, d.column, d.width) = (p.line, p.column, 1);
                if let Some(line) = p.line.checked_sub(1).and_then(|n| sources.lines().nth(n as usize)) {
                    d.source_line = line.to_owned();
                }
                if p.hint.is_empty() { d } else { d.with_hint(p.hint) }
            }));
            None
        }
    }
}

/// What `tm`'s parameters and the script's settings decide about the proxy.
pub fn proxy_settings(core: &Core, script: &python::Settings) -> proxy::Settings {
    let mut s = proxy::Settings {
        answer_exceptions: script.on_exception == python::OnException::Reply,
        ..proxy::Settings::default()
    };
    let Some(tm) = core.registry.module::<modules::tm::Tm>() else { return s };
    let tm = tm.settings();
    s.timing = tm.timing();
    s.options = tm.options();
    s.max_transactions = usize::try_from(tm.max_transactions).unwrap_or(s.max_transactions);
    s.retry_after = u32::try_from(tm.retry_after).unwrap_or(s.retry_after);
    s.unmatched_cancel = match tm.unmatched_cancel {
        1 => proxy::UnmatchedCancel::Stateless,
        2 => proxy::UnmatchedCancel::Drop,
        _ => proxy::UnmatchedCancel::Stateful,
    };
    s
}

/// Attaches to the interpreter when the first callback of a batch runs and stays attached until [`Lazy::release`]: what needs no script
/// (retransmissions, ACKs, replies without a callback) never waits for the interpreter.
pub struct Lazy {
    worker: Box<dyn ScriptWorker>,
    attached: Cell<bool>,
}

impl Lazy {
    /// Around a worker's side of the engine.
    pub fn new(worker: Box<dyn ScriptWorker>) -> Lazy {
        Lazy { worker, attached: Cell::new(false) }
    }
    /// Detaches if attached; before anything that blocks.
    pub fn release(&self) {
        if self.attached.replace(false) {
            self.worker.detach();
        }
    }
}

impl ScriptWorker for Lazy {
    fn attach(&self) {
        if !self.attached.replace(true) {
            self.worker.attach();
        }
    }
    fn detach(&self) {
        self.release();
    }
    fn run(&self, kind: RouteKind, callback: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome {
        self.attach();
        self.worker.run(kind, callback, ctx)
    }
    fn run_event(&self, callback: CallbackId, event: &str, ctx: &mut RouteContext<'_>) -> RunOutcome {
        self.attach();
        self.worker.run_event(callback, event, ctx)
    }
    fn has(&self, callback: CallbackId) -> bool {
        self.attach();
        self.worker.has(callback)
    }
    fn carry_on(&self, context: Parked, awaiting: Awaiting) {
        self.worker.carry_on(context, awaiting);
    }
    fn prepare(&self, generation: u16) -> Result<(), ScriptError> {
        self.attach();
        self.worker.prepare(generation)
    }
}
