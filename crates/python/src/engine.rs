//! The engine: the script loaded, the interpreters its workers use, and what it tells operators.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard};

use script::{CallbackId, Carriers, Core, ScriptEngine, ScriptError, ScriptWorker};
use serde_json::{Value as Json, json};

use crate::awaiting::{self, Queue};
use crate::callbacks::{self, WorkerCounters};
use crate::ffi::{Attached, Object};
use crate::interpreter::{self, Interpreter, ThreadState};
use crate::load::{self, Before, Failure, Loaded};
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
pub(crate) struct Engine {
    settings: Settings,
    core: Arc<Core>,
    main: Interpreter,
    mode: Mode,
    why: String,
    /// The interpreter that was made at the start: the shared one, or the first worker's.
    ready: Mutex<Option<Loaded>>,
    /// Interpreters are made one after the other: start-up only, no worker routes yet in the interpreter that is made.
    making: Mutex<()>,
    /// The script that routes.
    script: RwLock<Script>,
    /// Its number; workers look here before every callback.
    current: Arc<AtomicU16>,
    /// The number given last.
    last: AtomicU16,
    /// Numbers of the loadings that routed, oldest first, at most [`KEPT`]: the callbacks of these are kept for what they armed.
    kept: Mutex<Vec<u16>>,
    /// Where the script was loaded for workers.
    places: Mutex<Vec<Before>>,
    /// A loading that workers are getting ready for.
    coming: Mutex<Option<Coming>>,
    workers: Mutex<Vec<Arc<WorkerCounters>>>,
    /// Starts the threads of event loops.
    carriers: OnceLock<Carriers>,
    /// Event loops, one per interpreter that has one.
    queues: Mutex<Vec<Arc<Queue>>>,
    overruns: Arc<Overruns>,
}

/// Loadings whose callbacks can still run. A transaction that outlives this many reloads goes on with the newest.
const KEPT: usize = 8;
/// The loading of the start.
const FIRST: u16 = 1;

/// What is known of a loaded script.
struct Script {
    source: Vec<u8>,
    methods: HashSet<Box<str>>,
    dynamic: bool,
    /// Callbacks it has, by the names of core parameters and by the literals it arms.
    found: Vec<String>,
}

/// A script loaded beside the one that routes.
struct Coming {
    number: u16,
    script: Script,
    loaded: Vec<Loaded>,
}

impl Script {
    fn new(settings: &Settings, main: Interpreter, source: Vec<u8>, loaded: &Loaded) -> Script {
        let survey = check::survey(main, &settings.script, &source).ok();
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
        Script { source, methods, dynamic: loaded.dynamic, found }
    }
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
    let (mode, why, loaded) = choose(main, &settings, &source).map_err(|failure| error(failure.message))?;
    let script = Script::new(&settings, main, source, &loaded);
    let overruns = Overruns::new(core.clone(), settings.exec_warn_ms, settings.exec_kill_ms);
    Ok(Arc::new(Shared(Arc::new(Engine {
        settings,
        core,
        main,
        mode,
        why,
        ready: Mutex::new(Some(loaded)),
        making: Mutex::new(()),
        script: RwLock::new(script),
        current: Arc::new(AtomicU16::new(FIRST)),
        last: AtomicU16::new(FIRST),
        kept: Mutex::new(vec![FIRST]),
        places: Mutex::new(Vec::new()),
        coming: Mutex::new(None),
        workers: Mutex::new(Vec::new()),
        carriers: OnceLock::new(),
        queues: Mutex::new(Vec::new()),
        overruns,
    }))))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// The handler that workers share, counted. The lock over where it comes from is held: without a global lock another thread may let go
/// of it at any moment.
fn shared_handler(py: Attached<'_>, loaded: Option<&Loaded>) -> Option<Object> {
    // SAFETY: attached; whoever lets go of the reference takes it out from behind the lock first.
    loaded.and_then(|loaded| unsafe { Object::borrowed(py, loaded.handler.as_ptr()) })
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
        let source = self.script().source.clone();
        load::load(interpreter, &self.settings, &source).map_err(|f| ScriptError { message: f.message })
    }
    fn script(&self) -> RwLockReadGuard<'_, Script> {
        self.script.read().unwrap_or_else(|e| e.into_inner())
    }
    /// Loadings that may still run, oldest first.
    pub(crate) fn kept(&self) -> Vec<u16> {
        lock(&self.kept).clone()
    }
    /// The number of the loading that routes.
    pub(crate) fn current(&self) -> u16 {
        self.current.load(Ordering::Acquire)
    }
    /// The handler of a coming loading for a worker in this interpreter, attached to it: its own, or a copy where one is shared.
    pub(crate) fn handler(
        &self,
        py: Attached<'_>,
        number: u16,
        interpreter: Interpreter,
    ) -> Result<Object, String> {
        let found = {
            let mut coming = lock(&self.coming);
            let coming = coming.as_mut().filter(|c| c.number == number).ok_or("that loading was given up")?;
            let at = coming.loaded.iter().position(|l| l.interpreter == interpreter);
            let at = at.ok_or("the script was not loaded for this worker")?;
            match self.mode {
                Mode::PerWorker => {
                    let own = coming.loaded.swap_remove(at);
                    // SAFETY: attached to the handler's interpreter; the reference is taken over, for it left the list.
                    return Ok(unsafe { Object::from_ptr(own.handler) });
                }
                Mode::Shared => shared_handler(py, coming.loaded.get(at)),
            }
        };
        Ok(load::copied(py, &found.ok_or("no handler")?))
    }
    /// Whether callbacks may await.
    pub(crate) fn can_carry_on(&self) -> bool {
        self.carriers.get().is_some()
    }
    /// Seconds a callback may await.
    pub(crate) fn await_timeout(&self) -> i64 {
        self.settings.await_timeout
    }
    /// The way to the event loop of an interpreter, if it has one.
    pub(crate) fn queue(&self, interpreter: Interpreter) -> Option<Arc<Queue>> {
        lock(&self.queues).iter().find(|q| q.interpreter() == interpreter).cloned()
    }
    /// The same, made when it has none; then with true, and the handlers are to be sent there.
    pub(crate) fn queue_or_begin(
        self: &Arc<Self>,
        interpreter: Interpreter,
    ) -> Result<(Arc<Queue>, bool), String> {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.iter().find(|q| q.interpreter() == interpreter) {
            return Ok((queue.clone(), false));
        }
        let start = self.carriers.get().ok_or("this server does not carry on what awaits")?;
        let queue = awaiting::begin(self, interpreter, start)?;
        queues.push(queue.clone());
        Ok((queue, true))
    }
    /// The event loop's side of the engine in its interpreter, on its thread.
    pub(crate) fn loop_worker(
        self: &Arc<Self>,
        interpreter: Interpreter,
        state: ThreadState,
        rank: i32,
    ) -> Result<Box<Worker>, String> {
        let ksr = lock(&self.places)
            .iter()
            .find(|p| p.interpreter == interpreter)
            .map(|p| p.ksr)
            .ok_or("no worker has loaded the script there")?;
        let counters = Arc::new(WorkerCounters::new(rank));
        let worker = state.with(|py| {
            // SAFETY: attached to its interpreter; its reference stays where it is.
            let ksr = unsafe { Object::borrowed(py, ksr.as_ptr()) }.ok_or("no KSR")?;
            // An exception between two steps would hit the loop itself: a step that takes too long is only reported.
            let pulse = self.overruns.pulse(py, counters.clone(), interpreter, state, false);
            self.parts(py, None, &ksr, interpreter, state, &counters, pulse)
        })?;
        lock(&self.workers).push(counters);
        Ok(worker)
    }
    /// Calls `child_init` of a handler, attached as its worker.
    pub(crate) fn child_init(&self, py: Attached<'_>, handler: &Object, rank: i32) -> Result<(), String> {
        load::child_init(py, handler, &self.settings, rank)
    }

    /// The script as it is on the disk now, in every interpreter that has it.
    fn load_anew(&self) -> Result<u16, ScriptError> {
        let error = |message: String| ScriptError { message };
        if lock(&self.coming).is_some() {
            return Err(error("a reload is already under way".into()));
        }
        let source = std::fs::read(&self.settings.script)
            .map_err(|e| error(format!("cannot read the script {}: {e}", self.settings.script.display())))?;
        let places = lock(&self.places).clone();
        let mut all: Vec<Loaded> = Vec::new();
        for before in &places {
            match load::load_anew(before, &self.settings, &source) {
                Ok(loaded) => all.push(loaded),
                Err(failure) => {
                    all.into_iter().for_each(|l| load::let_go(l.interpreter, l.handler));
                    return Err(error(failure.message));
                }
            }
        }
        let Some(first) = all.first() else { return Err(error("no worker has loaded the script".into())) };
        let script = Script::new(&self.settings, self.main, source, first);
        // Numbers begin anew after 65,535 reloads; 0 means the script that routes.
        let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(FIRST);
        *lock(&self.coming) = Some(Coming { number, script, loaded: all });
        Ok(number)
    }
    fn switch(&self, number: u16) {
        let Some(coming) = lock(&self.coming).take_if(|c| c.number == number) else { return };
        *self.script.write().unwrap_or_else(|e| e.into_inner()) = coming.script;
        {
            let mut kept = lock(&self.kept);
            kept.push(number);
            if kept.len() > KEPT {
                kept.remove(0);
            }
        }
        self.current.store(number, Ordering::Release);
        // The original whose copies the workers have; of the one before, they have theirs.
        for loaded in coming.loaded {
            if self.mode == Mode::PerWorker {
                load::let_go(loaded.interpreter, loaded.handler);
                continue;
            }
            let before = lock(&self.ready).replace(loaded);
            if let Some(before) = before {
                load::let_go(before.interpreter, before.handler);
            }
        }
    }
    fn give_up(&self, number: u16) {
        let Some(coming) = lock(&self.coming).take_if(|c| c.number == number) else { return };
        coming.loaded.into_iter().for_each(|l| load::let_go(l.interpreter, l.handler));
    }

    fn make_worker(self: &Arc<Self>, rank: i32) -> Result<Box<Worker>, ScriptError> {
        let error = |message: String| ScriptError { message };
        let (place, own) = match self.mode {
            Mode::PerWorker => {
                let own = self.interpreter()?;
                (own.before(), Some(own.handler))
            }
            Mode::Shared => {
                let place = lock(&self.ready).as_ref().map(Loaded::before);
                (place.ok_or_else(|| error("no script".into()))?, None)
            }
        };
        let (interpreter, ksr) = (place.interpreter, place.ksr);
        let state = ThreadState::of(interpreter).map_err(error)?;
        let counters = Arc::new(WorkerCounters::new(rank));
        let made = state.with(|py| {
            let handler = match own {
                // SAFETY: attached to its interpreter; the reference is the worker's from now on.
                Some(own) => unsafe { Object::from_ptr(own) },
                None => {
                    let shared = shared_handler(py, lock(&self.ready).as_ref());
                    load::copied(py, &shared.ok_or("no handler")?)
                }
            };
            // SAFETY: attached to its interpreter; its reference stays where it is.
            let ksr = unsafe { Object::borrowed(py, ksr.as_ptr()) }.ok_or("no KSR")?;
            let pulse = self.overruns.pulse(py, counters.clone(), interpreter, state, true);
            self.parts(py, Some(handler), &ksr, interpreter, state, &counters, pulse)
        });
        let worker = made.map_err(error)?;
        // Attached as the worker, so that KSR functions and pseudo-variables in child_init use its caches.
        worker.child_init(FIRST).map_err(error)?;
        // The main thread's side routes nothing.
        let mut places = lock(&self.places);
        if rank != 0 && !places.iter().any(|p| p.interpreter == interpreter) {
            places.push(place);
        }
        drop(places);
        self.workers.lock().unwrap_or_else(|e| e.into_inner()).push(counters);
        Ok(worker)
    }

    fn parts(
        self: &Arc<Self>,
        py: Attached<'_>,
        handler: Option<Object>,
        ksr: &Object,
        interpreter: Interpreter,
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
                engine: self.clone(),
                current: self.current.clone(),
                interpreter,
                counters: counters.clone(),
                state,
                number: FIRST,
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
        self.0.script().found.clone()
    }
    fn has(&self, callback: CallbackId) -> bool {
        let e = &self.0;
        let name = e.core.callbacks.name(callback);
        let script = e.script();
        script.dynamic || script.methods.contains(&*name)
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
            "callbacks": e.script().found,
            "loaded": e.current(),
            "awaiting": self.awaiting(),
            "threads_mode": e.settings.threads_mode,
            "workers": e.workers.lock().unwrap_or_else(|p| p.into_inner()).len(),
        })
    }
    fn load_anew(&self) -> Result<u16, ScriptError> {
        self.0.load_anew()
    }
    fn set_carriers(&self, carriers: Carriers) {
        let _ = self.0.carriers.set(carriers);
    }
    fn awaiting(&self) -> usize {
        lock(&self.0.queues).iter().map(|q| q.awaiting()).sum()
    }
    fn switch(&self, generation: u16) {
        self.0.switch(generation);
    }
    fn give_up(&self, generation: u16) {
        self.0.give_up(generation);
    }
    fn rpc_threads(&self) -> Json {
        threads::report(self.0.settings.threads_mode)
    }
    fn rpc_callbacks(&self) -> Json {
        let workers = self.0.workers.lock().unwrap_or_else(|p| p.into_inner()).clone();
        // `child_init` is no callback of a message; it is not counted.
        let script = self.0.script();
        let counted = script.found.iter().filter(|name| **name != self.0.settings.script_child_init);
        callbacks::report(&self.0.core.callbacks, counted, &workers)
    }
}
