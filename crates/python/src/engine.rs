//! The engine: the script loaded, the interpreters its workers use, and what it tells operators.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use script::{CallbackId, Core, ScriptEngine, ScriptError, ScriptWorker};
use serde_json::{Value as Json, json};

use crate::callbacks::{self, WorkerCounters};
use crate::ffi::{Attached, Object};
use crate::interpreter::{self, Interpreter, ThreadState};
use crate::load::{self, Failure, Loaded};
use crate::overrun::Overruns;
use crate::pulse::Pulse;
use crate::worker::{Parts, Worker};
use crate::{Interpreters, Settings, check, gil, ksr, threads};

/// Which interpreters the workers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One for all.
    Shared,
    /// One each, with a lock of its own.
    PerWorker,
}

/// See [`crate::load`].
struct Engine {
    settings: Settings,
    core: Arc<Core>,
    source: Vec<u8>,
    main: Interpreter,
    mode: Mode,
    why: String,
    /// The interpreter that was made at the start: the shared one, or the first worker's.
    ready: Mutex<Option<Loaded>>,
    /// Interpreters are made one after the other: start-up only, no worker routes yet in the interpreter that is made.
    making: Mutex<()>,
    methods: RwLock<HashSet<Box<str>>>,
    dynamic: bool,
    /// Callbacks the script has, by the names of core parameters and by the literals it arms.
    found: Vec<String>,
    workers: Mutex<Vec<Arc<WorkerCounters>>>,
    overruns: Arc<Overruns>,
}

/// Starts Python, loads the script into the first interpreter and runs its `mod_init`.
pub(crate) fn load(mut settings: Settings, core: Arc<Core>) -> Result<Arc<dyn ScriptEngine>, ScriptError> {
    let error = |message: String| ScriptError { message };
    if !matches!(settings.threads_mode, 0 | 1) {
        return Err(error(format!(
            "threads_mode is {}; it is 0 (script threads do not run) or 1 (they run)",
            settings.threads_mode
        )));
    }
    let source = std::fs::read(&settings.script)
        .map_err(|e| error(format!("cannot read the script {}: {e}", settings.script.display())))?;
    // Tracebacks show the script's lines wherever the process goes later (`-w`).
    settings.script = std::path::absolute(&settings.script).unwrap_or(settings.script);
    let main = interpreter::start(&settings.script)?;
    threads::set_mode(settings.threads_mode);
    ksr::bind(&core);
    let survey = check::survey(main, &settings.script, &source).ok();
    let (mode, why, loaded) = choose(main, &settings, &source).map_err(|failure| error(failure.message))?;

    let methods: HashSet<Box<str>> = loaded.methods.iter().map(|m| m.as_str().into()).collect();
    let mut found: Vec<String> = [
        &settings.request_callback,
        &settings.reply_callback,
        &settings.onsend_callback,
        &settings.script_child_init,
    ]
    .into_iter()
    .filter(|name| methods.contains(name.as_str()))
    .cloned()
    .collect();
    for name in survey.iter().flat_map(|s| s.armed()) {
        if methods.contains(name) && !found.iter().any(|f| f == name) {
            found.push(name.to_owned());
        }
    }
    let dynamic = loaded.dynamic;
    let overruns = Overruns::new(core.clone(), settings.exec_warn_ms, settings.exec_kill_ms);
    Ok(Arc::new(Shared(Arc::new(Engine {
        settings,
        core,
        source,
        main,
        mode,
        why,
        ready: Mutex::new(Some(loaded)),
        making: Mutex::new(()),
        methods: RwLock::new(methods),
        dynamic,
        found,
        workers: Mutex::new(Vec::new()),
        overruns,
    }))))
}

fn choose(main: Interpreter, settings: &Settings, source: &[u8]) -> Result<(Mode, String, Loaded), Failure> {
    let isolated = || -> Result<Loaded, Failure> {
        let interpreter =
            interpreter::isolated(main).map_err(|message| Failure { message, refused: None })?;
        load::load(interpreter, settings, source)
    };
    let shared = |why: String| load::load(main, settings, source).map(|loaded| (Mode::Shared, why, loaded));
    match settings.interpreters {
        Interpreters::Shared => shared("as configured".into()),
        Interpreters::PerWorker if !interpreter::OWN_GIL => Err(Failure {
            message: format!(
                "interpreters is per_worker, which needs Python 3.13 or later; this is {}: use auto or shared",
                interpreter::full_version()
            ),
            refused: None,
        }),
        Interpreters::PerWorker => match isolated() {
            Ok(loaded) => Ok((Mode::PerWorker, "as configured".into(), loaded)),
            Err(Failure { message, refused: Some(module) }) => Err(Failure {
                message: format!(
                    "{message}\nextension module {module} does not load into an interpreter of its own per worker: set \
                     modparam(\"app_python3\", \"interpreters\", \"shared\")"
                ),
                refused: Some(module),
            }),
            Err(failure) => Err(failure),
        },
        Interpreters::Auto if interpreter::FREE_THREADED => {
            shared("free-threaded build: callbacks run in parallel in one interpreter".into())
        }
        Interpreters::Auto if !interpreter::OWN_GIL => shared(format!(
            "Python {} has one lock for all workers; 3.13 and later give each its own",
            interpreter::version()
        )),
        Interpreters::Auto => match isolated() {
            Ok(loaded) => {
                Ok((Mode::PerWorker, "each worker has an interpreter and a lock of its own".into(), loaded))
            }
            Err(Failure { refused: Some(module), .. }) => {
                let result = shared(format!(
                    "extension module {module} does not load into an interpreter of its own per worker"
                ))?;
                tracing::warn!(
                    "all workers share one Python interpreter and its lock: extension module {module} does not support \
                     more than one"
                );
                Ok(result)
            }
            Err(failure) => Err(failure),
        },
    }
}

impl Engine {
    /// An interpreter with the script loaded, for a worker of its own.
    fn interpreter(&self) -> Result<Loaded, ScriptError> {
        if let Some(ready) = self.ready.lock().unwrap_or_else(|e| e.into_inner()).take() {
            return Ok(ready);
        }
        let _one_at_a_time = self.making.lock().unwrap_or_else(|e| e.into_inner());
        let interpreter = interpreter::isolated(self.main).map_err(|message| ScriptError { message })?;
        load::load(interpreter, &self.settings, &self.source).map_err(|f| ScriptError { message: f.message })
    }

    fn make_worker(&self, rank: i32) -> Result<Box<Worker>, ScriptError> {
        let error = |message: String| ScriptError { message };
        let own;
        let (interpreter, handler, ksr) = match self.mode {
            Mode::PerWorker => {
                own = self.interpreter()?;
                (own.interpreter, own.handler, own.ksr)
            }
            Mode::Shared => {
                let ready = self.ready.lock().unwrap_or_else(|e| e.into_inner());
                ready
                    .as_ref()
                    .map(|l| (l.interpreter, l.handler, l.ksr))
                    .ok_or_else(|| error("no script".into()))?
            }
        };
        let state = ThreadState::of(interpreter).map_err(error)?;
        let counters = Arc::new(WorkerCounters::new(rank));
        let made = state.with(|py| {
            // SAFETY: attached to the handler's interpreter; a worker of its own takes the reference over, the shared handler stays
            // with the engine and is counted once more.
            let handler = unsafe {
                match self.mode {
                    Mode::PerWorker => Object::from_ptr(handler),
                    Mode::Shared => match Object::borrowed(py, handler.as_ptr()) {
                        Some(handler) => load::copied(py, &handler),
                        None => return Err("no handler".to_owned()),
                    },
                }
            };
            // SAFETY: attached to its interpreter; its reference stays where it is.
            let ksr = unsafe { Object::borrowed(py, ksr.as_ptr()) }.ok_or("no KSR")?;
            let pulse = self.overruns.pulse(py, counters.clone(), interpreter, state);
            self.parts(py, handler, &ksr, state, &counters, pulse)
        });
        let worker = made.map_err(error)?;
        // Attached as the worker, so that KSR functions and pseudo-variables in child_init use its caches.
        worker
            .attached(|py, handler| {
                handler.map_or(Ok(()), |handler| load::child_init(py, handler, &self.settings, rank))
            })
            .map_err(error)?;
        self.workers.lock().unwrap_or_else(|e| e.into_inner()).push(counters);
        Ok(worker)
    }

    fn parts(
        &self,
        py: Attached<'_>,
        handler: Object,
        ksr: &Object,
        state: ThreadState,
        counters: &Arc<WorkerCounters>,
        pulse: Option<Arc<Pulse>>,
    ) -> Result<Box<Worker>, String> {
        let part = |object: &Object, name: &str| object.find(py, name).ok_or(format!("KSR has no {name}"));
        let drop_class = part(&part(ksr, "x")?, "Drop")?;
        Ok(Worker::new(
            py,
            Parts {
                core: self.core.clone(),
                counters: counters.clone(),
                state,
                handler,
                message_type: part(ksr, "_Message")?,
                drop_class,
                flavour: self.settings.flavour,
                on_exception: self.settings.on_exception,
                pulse,
            },
        ))
    }

    /// Why these interpreters; what is loaded later can take their advantage away.
    fn why(&self) -> String {
        match gil::switched_on() {
            Some(reason) => {
                format!("{}, but {reason} switched the global lock on: callbacks take turns", self.why)
            }
            None => self.why.clone(),
        }
    }

    fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Shared => "shared",
            Mode::PerWorker => "per_worker",
        }
    }
}

/// What the server holds.
struct Shared(Arc<Engine>);

impl ScriptEngine for Shared {
    fn name(&self) -> &'static str {
        "python"
    }
    fn describe(&self) -> String {
        let e = &self.0;
        format!(
            "Python {}{} routes with {}; interpreters {} ({}); threads_mode {}",
            interpreter::full_version(),
            if interpreter::FREE_THREADED { " free-threaded" } else { "" },
            e.settings.script.display(),
            e.mode_name(),
            e.why(),
            e.settings.threads_mode
        )
    }
    fn found(&self) -> Vec<String> {
        self.0.found.clone()
    }
    fn has(&self, callback: CallbackId) -> bool {
        let e = &self.0;
        let name = e.core.callbacks.name(callback);
        e.dynamic || e.methods.read().unwrap_or_else(|p| p.into_inner()).contains(&*name)
    }
    fn worker(&self, rank: i32, _: &Arc<Core>) -> Result<Box<dyn ScriptWorker>, ScriptError> {
        Ok(self.0.make_worker(rank)?)
    }
    fn rpc_engine(&self) -> Json {
        let e = &self.0;
        json!({
            "engine": "python",
            "version": interpreter::full_version(),
            "build": interpreter::build(),
            "gil": match (gil::switched_on(), e.mode) {
                (Some(reason), _) => format!("free-threaded, but switched on by {reason}"),
                (None, _) if interpreter::FREE_THREADED => "free-threaded".into(),
                (None, Mode::PerWorker) => "one per worker".into(),
                (None, Mode::Shared) => "one for all workers".into(),
            },
            "interpreters": e.mode_name(),
            "why": e.why(),
            "script": e.settings.script.display().to_string(),
            "callbacks": e.found,
            "threads_mode": e.settings.threads_mode,
            "workers": e.workers.lock().unwrap_or_else(|p| p.into_inner()).len(),
        })
    }
    fn rpc_threads(&self) -> Json {
        threads::report(self.0.settings.threads_mode)
    }
    fn rpc_callbacks(&self) -> Json {
        let workers = self.0.workers.lock().unwrap_or_else(|p| p.into_inner()).clone();
        // `child_init` is no callback of a message; it is not counted.
        let counted = self.0.found.iter().filter(|name| **name != self.0.settings.script_child_init);
        callbacks::report(&self.0.core.callbacks, counted, &workers)
    }
}
