//! Kamailio's KEMI Python engine: a script that says `import KSR` routes, inside this process.
//!
//! [`load`] starts CPython, imports the script and gives a [`script::ScriptEngine`]; each worker thread makes its own
//! [`script::ScriptWorker`] from it. [`check`] reads a script without running it.
//!
//! | file | what |
//! |---|---|
//! | `interpreter` | CPython in this process: start, one interpreter per worker or one for all, thread states |
//! | `gil` | free-threaded builds: what switched the global lock on |
//! | `load`, `engine` | the script imported, `mod_init`, `child_init`; which interpreters and why |
//! | `worker`, `current` | a worker: attach once per batch, run callbacks; what this thread is doing |
//! | `ksr`, `convert`, `literals` | the `KSR` module: one C function over the registry's rows; values; parsed literals |
//! | `msg`, `outside` | the `msg` object; KSR functions where there is no message |
//! | `threads`, `guards.py` | threads of the script, held or listed; what a script may not do to the process |
//! | `awaiting`, `awaiting.py` | `async def` callbacks: the event loop that carries on what awaits |
//! | `overrun`, `pulse`, `stack` | callbacks that take too long: reported with their stack, interrupted |
//! | `callbacks`, `exceptions` | counters per callback; tracebacks |
//! | `check` | what a script uses, by its syntax tree |
//! | `ffi` | owned references and the proof of being attached |
//!
//! The C API is used through `pyo3-ffi`, without `pyo3`, whose statics assume one interpreter.

use std::path::PathBuf;
use std::sync::Arc;

use script::{Core, ScriptEngine, ScriptError};

mod awaiting;
mod callbacks;
mod check;
mod convert;
mod current;
mod engine;
mod exceptions;
mod ffi;
mod gil;
mod interpreter;
mod ksr;
mod literals;
mod load;
mod msg;
mod native;
mod outside;
mod overrun;
mod pulse;
mod stack;
mod threads;
mod worker;

pub use check::{Problem, Report};

/// Module parameter `interpreters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpreters {
    /// Free-threaded builds: shared. 3.13 and later: per worker, or shared when an extension module refuses. Older: shared.
    #[default]
    Auto,
    /// One interpreter with a lock of its own per worker (3.13 and later).
    PerWorker,
    /// One interpreter for all workers.
    Shared,
}

impl std::str::FromStr for Interpreters {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Interpreters::Auto),
            "per_worker" => Ok(Interpreters::PerWorker),
            "shared" => Ok(Interpreters::Shared),
            other => Err(format!("interpreters is {other:?}; it is auto, per_worker or shared")),
        }
    }
}

/// Module parameter `on_exception`: what the peer gets when a script raised and the request has no reply yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnException {
    /// A 500 (the run ends as [`script::RunOutcome::Exception`]).
    #[default]
    Reply,
    /// Nothing, as Kamailio does (the run ends as [`script::RunOutcome::Exit`]).
    Drop,
}

impl std::str::FromStr for OnException {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "reply" => Ok(OnException::Reply),
            "drop" => Ok(OnException::Drop),
            other => Err(format!("on_exception is {other:?}; it is reply or drop")),
        }
    }
}

/// How the script is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// `app_python3`: `mod_init()` returns an object; its methods are called as `(msg)` or `(msg, evname)`.
    #[default]
    Handler,
    /// `app_python3s`: functions of the module, called without arguments or as `(evname)`.
    Functions,
}

/// What the configuration says about the script.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `modparam("app_python3", "load", "...")`.
    pub script: PathBuf,
    /// `interpreters`.
    pub interpreters: Interpreters,
    /// `threads_mode`: 0, threads of the script are held, they make no progress; 1, they run. Others are refused by [`load`].
    pub threads_mode: i64,
    /// `on_exception`.
    pub on_exception: OnException,
    /// `await_timeout`: seconds an `async def` callback may await, 0 for ever.
    pub await_timeout: i64,
    /// `reload_on_change`: the server loads the script anew when its file has changed.
    pub reload_on_change: bool,
    /// `exec_warn_ms`: milliseconds after which a callback that still runs is reported; 0 is off.
    pub exec_warn_ms: u64,
    /// `exec_kill_ms`: milliseconds after which it is interrupted; 0 is off.
    pub exec_kill_ms: u64,
    /// `app_python3` or `app_python3s`.
    pub flavour: Flavour,
    /// `script_init`, default `mod_init`.
    pub script_init: String,
    /// `script_child_init`, default `child_init`.
    pub script_child_init: String,
    /// `kemi.request_callback`, default `ksr_request_route`.
    pub request_callback: String,
    /// `kemi.reply_callback`, default `ksr_reply_route`.
    pub reply_callback: String,
    /// `kemi.onsend_callback`, default `ksr_onsend_route`.
    pub onsend_callback: String,
}

impl Settings {
    /// Defaults for a script.
    pub fn new(script: impl Into<PathBuf>) -> Settings {
        Settings {
            script: script.into(),
            interpreters: Interpreters::default(),
            threads_mode: 0,
            on_exception: OnException::default(),
            await_timeout: 60,
            reload_on_change: false,
            exec_warn_ms: 1000,
            exec_kill_ms: 0,
            flavour: Flavour::default(),
            script_init: "mod_init".into(),
            script_child_init: "child_init".into(),
            request_callback: "ksr_request_route".into(),
            reply_callback: "ksr_reply_route".into(),
            onsend_callback: "ksr_onsend_route".into(),
        }
    }
}

/// Starts Python, imports the script and runs its `mod_init`. The first call's thread becomes Python's main thread.
///
/// # Errors
/// Ready to print: a syntax error with file, line, column and the line; a traceback of the import or of `mod_init`; no `mod_init`, no
/// request callback; a parameter out of its range.
pub fn load(settings: Settings, core: Arc<Core>) -> Result<Arc<dyn ScriptEngine>, ScriptError> {
    engine::load(settings, core)
}

/// Reads a script without running it: which callbacks it has, which KSR functions it uses, and what is wrong with that.
///
/// `elsewhere` are the functions of modules that exist but are not loaded, so that the advice can be "load it".
///
/// # Errors
/// Everything found, in the order of lines.
pub fn check(
    settings: &Settings,
    registry: &script::Registry,
    elsewhere: &[&'static script::Function],
) -> Result<Report, Vec<Problem>> {
    check::check(settings, registry, elsewhere)
}

/// Version of the Python this was built against, for example `3.11.7`.
pub fn python_version() -> String {
    interpreter::full_version()
}
