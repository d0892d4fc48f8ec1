//! The Python engine as scripts and configurations name it: where the script is, and callbacks run by name.
//!
//! The engine itself is the `python` crate; the server reads these settings and starts it. `app_python3s` is the flavour whose
//! callbacks are functions of the script's module instead of methods of a handler object.

use script::context::Unwind;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, RouteKind, RunOutcome,
    SetupError, ksr_module,
};

/// Runs a callback of the script by its name; with `param` as `(msg, param)`.
///
/// Its result when it returned, 1 when it ended itself (`sys.exit()`), -1 when there is none or it raised.
pub(crate) fn run_callback(ctx: &mut RouteContext<'_>, name: &[u8], param: Option<&[u8]>) -> Outcome {
    Outcome(match run(ctx, name, param) {
        RunOutcome::Returned(n) => n,
        RunOutcome::Exit | RunOutcome::Drop => 1,
        RunOutcome::Exception | RunOutcome::Missing | RunOutcome::Awaits => -1,
    })
}

fn run(ctx: &mut RouteContext<'_>, name: &[u8], param: Option<&[u8]>) -> RunOutcome {
    let Some(callback) = ctx.callback(name) else { return RunOutcome::Missing };
    let engine = ctx.engine;
    let outcome = match param {
        Some(param) => engine.run_event(callback, &String::from_utf8_lossy(param), ctx),
        None => {
            let kind = if ctx.faked { RouteKind::Event } else { ctx.kind };
            engine.run(kind, callback, ctx)
        }
    };
    match outcome {
        RunOutcome::Missing => {
            let name = String::from_utf8_lossy(name);
            tracing::error!(target: "app_python3", callback = %name, "the script has no such callback");
        }
        RunOutcome::Drop => ctx.unwind = Some(Unwind::Drop),
        _ => {}
    }
    outcome
}

/// As [`run_callback`]; `sys.exit()` in the callback ends the caller's route too.
fn run_through(ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
    Outcome(match run(ctx, name, None) {
        RunOutcome::Returned(n) => n,
        RunOutcome::Exit => {
            ctx.unwind = Some(Unwind::Exit);
            1
        }
        RunOutcome::Drop => 1,
        RunOutcome::Exception | RunOutcome::Missing | RunOutcome::Awaits => -1,
    })
}

/// Module `app_python3`.
#[derive(Debug, Default)]
pub struct AppPython3 {
    settings: Settings,
}

/// Parameters of `app_python3`.
#[derive(Debug, Clone, PartialEq, Eq, ModParams)]
pub struct Settings {
    /// Path of the script. A relative one is looked for in the working directory, then beside the configuration.
    pub load: String,
    /// Other name of `load`.
    pub script_name: Option<String>,
    /// Function of the script that makes the handler object, run once per interpreter. Default `mod_init`.
    pub mod_init_function: String,
    /// Method of the handler object that is run once per worker, with its rank. Default `child_init`.
    pub child_init_method: String,
    /// Whether threads of the script run: 0 they do not, 1 they do. Default 0.
    pub threads_mode: i64,
    /// `per_worker`: an interpreter with a lock of its own for each worker (Python 3.13 and later); `shared`: one for all; `auto`
    /// (default): the best the Python and the script's extension modules allow. Not in Kamailio.
    pub interpreters: String,
    /// What the peer gets when the script raised and the request has no reply yet: `reply` (500, default) or `drop` (nothing, as
    /// Kamailio does). Not in Kamailio.
    pub on_exception: String,
    /// Seconds an `async def` callback may await before it is cancelled and ends as with an exception; 0 for ever. Default 60. Not in
    /// Kamailio.
    pub await_timeout: i64,
    /// 1: the script is loaded anew (as by `app_python.reload`) within a second after its file has changed. Default 0. Not in Kamailio.
    pub reload_on_change: i64,
    /// Milliseconds after which a callback that still runs is logged, with the line of the script it is in; 0 is off. Default 1000. Not in
    /// Kamailio.
    pub exec_warn_ms: i64,
    /// Milliseconds after which a callback is ended by the exception `KSR.x.Timeout`, which passes through `except Exception`; 0 is
    /// off. Default 0. Not in Kamailio.
    pub exec_kill_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            load: String::new(),
            script_name: None,
            mod_init_function: "mod_init".into(),
            child_init_method: "child_init".into(),
            threads_mode: 0,
            interpreters: "auto".into(),
            on_exception: "reply".into(),
            await_timeout: 60,
            reload_on_change: 0,
            exec_warn_ms: 1000,
            exec_kill_ms: 0,
        }
    }
}

impl AppPython3 {
    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

#[ksr_module("app_python3")]
impl AppPython3 {
    /// Runs the script's callback of that name over this message: `handler.method(msg)`.
    ///
    /// Returns what it returned; 1 when it ended itself with `sys.exit()`; -1 when there is none or it raised.
    #[ksr(cfg = ["python_exec"])]
    fn exec(&self, ctx: &mut RouteContext<'_>, method: &[u8]) -> Outcome {
        run_callback(ctx, method, None)
    }
    /// As `exec`; `sys.exit()` in the callback also ends the route that called it.
    #[ksr(cfg = ["python_exec"])]
    fn execx(&self, ctx: &mut RouteContext<'_>, method: &[u8]) -> Outcome {
        run_through(ctx, method)
    }
    /// As `exec`, with one parameter: `handler.method(msg, p1)`.
    #[ksr(cfg = ["python_exec"])]
    fn exec_p1(&self, ctx: &mut RouteContext<'_>, method: &[u8], p1: &[u8]) -> Outcome {
        run_callback(ctx, method, Some(p1))
    }
}

impl Module for AppPython3 {
    fn name(&self) -> &'static str {
        "app_python3"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

/// Module `app_python3s`: callbacks are functions of the script, without handler object.
#[derive(Debug, Default)]
pub struct AppPython3s {
    settings: FunctionsSettings,
}

/// Parameters of `app_python3s`.
#[derive(Debug, Clone, PartialEq, Eq, ModParams)]
pub struct FunctionsSettings {
    /// Path of the script. A relative one is looked for in the working directory, then beside the configuration.
    pub load: String,
    /// Function of the script that is run once per interpreter. Default `mod_init`.
    pub script_init: String,
    /// Function of the script that is run once per worker, with its rank. Default `child_init`.
    pub script_child_init: String,
    /// Whether threads of the script run: 0 they do not, 1 they do. Default 0.
    pub threads_mode: i64,
    /// As in `app_python3`. Not in Kamailio.
    pub interpreters: String,
    /// As in `app_python3`. Not in Kamailio.
    pub on_exception: String,
    /// As in `app_python3`. Not in Kamailio.
    pub await_timeout: i64,
    /// 1: the script is loaded anew (as by `app_python.reload`) within a second after its file has changed. Default 0. Not in Kamailio.
    pub reload_on_change: i64,
    /// As in `app_python3`. Not in Kamailio.
    pub exec_warn_ms: i64,
    /// As in `app_python3`. Not in Kamailio.
    pub exec_kill_ms: i64,
}

impl Default for FunctionsSettings {
    fn default() -> Self {
        FunctionsSettings {
            load: String::new(),
            script_init: "mod_init".into(),
            script_child_init: "child_init".into(),
            threads_mode: 0,
            interpreters: "auto".into(),
            on_exception: "reply".into(),
            await_timeout: 60,
            reload_on_change: 0,
            exec_warn_ms: 1000,
            exec_kill_ms: 0,
        }
    }
}

impl AppPython3s {
    /// What the configuration says.
    pub fn settings(&self) -> &FunctionsSettings {
        &self.settings
    }
}

#[ksr_module("app_python3s")]
impl AppPython3s {
    /// Runs the script's function of that name over this message: `method()`.
    ///
    /// Returns what it returned; 1 when it ended itself with `sys.exit()`; -1 when there is none or it raised.
    #[ksr(cfg = ["python_exec"])]
    fn exec(&self, ctx: &mut RouteContext<'_>, method: &[u8]) -> Outcome {
        run_callback(ctx, method, None)
    }
    /// As `exec`; `sys.exit()` in the function also ends the route that called it.
    #[ksr(cfg = ["python_exec"])]
    fn execx(&self, ctx: &mut RouteContext<'_>, method: &[u8]) -> Outcome {
        run_through(ctx, method)
    }
    /// As `exec`, with one parameter: `method(p1)`.
    #[ksr(cfg = ["python_exec"])]
    fn exec_p1(&self, ctx: &mut RouteContext<'_>, method: &[u8], p1: &[u8]) -> Outcome {
        run_callback(ctx, method, Some(p1))
    }
}

impl Module for AppPython3s {
    fn name(&self) -> &'static str {
        "app_python3s"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        FunctionsSettings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use script::{CallbackId, ScriptWorker, Value};
    use std::cell::RefCell;
    use std::sync::Arc;

    /// Ends every run as told and writes down what ran.
    struct Told(RunOutcome, RefCell<Vec<String>>);
    impl ScriptWorker for Told {
        fn attach(&self) {}
        fn detach(&self) {}
        fn run(&self, kind: RouteKind, callback: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome {
            self.1.borrow_mut().push(format!("{kind:?} {}", ctx.core.callbacks.name(callback)));
            self.0
        }
        fn run_event(&self, callback: CallbackId, event: &str, ctx: &mut RouteContext<'_>) -> RunOutcome {
            self.1.borrow_mut().push(format!("event {} {event}", ctx.core.callbacks.name(callback)));
            self.0
        }
    }

    #[test]
    fn callbacks_run_by_name() {
        for object in ["app_python3", "app_python3s"] {
            let bench = Bench::new(vec![Arc::new(AppPython3::default()), Arc::new(AppPython3s::default())]);
            for (outcome, exec, execx, unwind) in [
                (RunOutcome::Returned(7), 7, 7, None),
                (RunOutcome::Exit, 1, 1, Some(Unwind::Exit)),
                (RunOutcome::Drop, 1, 1, Some(Unwind::Drop)),
                (RunOutcome::Exception, -1, -1, None),
                (RunOutcome::Missing, -1, -1, None),
            ] {
                let engine = Told(outcome, RefCell::default());
                let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
                ctx.engine = &engine;
                let args = [Value::str(b"f"), Value::str(b"x")];
                assert_eq!(bench.call(&mut ctx, &format!("{object}.exec"), &args[..1]).to_int(), Some(exec));
                assert_eq!(bench.call(&mut ctx, &format!("{object}.exec_p1"), &args).to_int(), Some(exec));
                ctx.unwind = None;
                assert_eq!(
                    bench.call(&mut ctx, &format!("{object}.execx"), &args[..1]).to_int(),
                    Some(execx)
                );
                assert_eq!(ctx.unwind, unwind);
                assert_eq!(engine.1.into_inner(), ["Request f", "event f x", "Request f"]);
            }
        }
    }
    #[test]
    fn settings() {
        let mut m = AppPython3::default();
        m.set_param("load", ParamValue::Str("/x.py".into())).expect("declared");
        m.set_param("threads_mode", ParamValue::Int(1)).expect("declared");
        assert_eq!((m.settings().load.as_str(), m.settings().threads_mode), ("/x.py", 1));
        let mut m = AppPython3s::default();
        m.set_param("script_init", ParamValue::Str("init".into())).expect("declared");
        assert_eq!(m.settings().script_init, "init");
        assert!(m.set_param("mod_init_function", ParamValue::Str("init".into())).is_err());
    }
}
