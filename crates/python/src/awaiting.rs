//! `async def` callbacks: what awaits is carried on by the event loop of its interpreter, while the worker that began it routes on.
//!
//! ```text
//! worker       callback gives a coroutine -> Awaits -> carry_on: context parked, both into the queue, loop woken
//! event loop   coroutine steps with its context in place -> finished -> Transactions::carried_on
//! ```
//!
//! There is one loop per interpreter, made when the first callback awaits, on a thread that the server gives. It uses the handler of
//! the worker that awaited first. Where nobody can go on later (branch and onsend routes, callbacks run by a KSR function) the worker
//! drives the coroutine to its end itself.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use pyo3_ffi as c;
use script::{Awaiting, CallbackId, Home, Parked, RouteContext, Value};

use crate::current::Entered;
use crate::engine::Engine;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{Interpreter, ThreadState};
use crate::msg::MessageObject;
use crate::native::{self, Call};
use crate::worker::{Called, Loading, Worker};

/// `child_init` rank under which the event loops count; the rank is not given to the script.
pub(crate) const RANK: i32 = -5;

/// An object on its way to the loop's thread: a counted reference.
struct Sent(NonNull<c::PyObject>);

// SAFETY: taken out of its `Object` on one attached thread and put into one again on another thread of the same interpreter.
unsafe impl Send for Sent {}

impl Sent {
    fn new(object: Object) -> Option<Sent> {
        NonNull::new(object.into_ptr()).map(Sent)
    }
    fn receive(self, _: Attached<'_>) -> Object {
        // SAFETY: the reference was given away by `new`, and is taken back once.
        unsafe { Object::from_ptr(self.0) }
    }
}

/// What comes to a loop.
enum Job {
    /// A callback that awaits.
    CarryOn {
        coroutine: Sent,
        message: Option<Sent>,
        id: CallbackId,
        number: u16,
        parked: Box<Parked>,
        awaiting: Awaiting,
    },
    /// The handler of a loading.
    Loading { number: u16, handler: Sent },
}

/// The way to the loop of one interpreter.
pub(crate) struct Queue {
    interpreter: Interpreter,
    jobs: Mutex<VecDeque<Job>>,
    /// Whether the loop was told since it looked last.
    told: AtomicBool,
    /// Makes the loop look; once it runs.
    wake: Mutex<Option<Sent>>,
    /// Callbacks that await.
    awaiting: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Queue {
    /// How many callbacks await.
    pub fn awaiting(&self) -> usize {
        self.awaiting.load(Ordering::Relaxed)
    }
    /// Which interpreter's it is.
    pub fn interpreter(&self) -> Interpreter {
        self.interpreter
    }
    fn push(&self, py: Attached<'_>, job: Job) {
        lock(&self.jobs).push_back(job);
        if self.told.swap(true, Ordering::SeqCst) {
            return;
        }
        // Not there before the loop runs: it looks by itself when it begins.
        let wake = lock(&self.wake).as_ref().map(|wake| wake.0);
        // SAFETY: attached to its interpreter; the queue keeps its reference for ever.
        if let Some(wake) = wake.and_then(|wake| unsafe { Object::borrowed(py, wake.as_ptr()) })
            && let Err(exception) = wake.call(py, &[])
        {
            tracing::error!("event loop of the script not woken: {}", exception.traceback(py));
        }
    }
    /// Gives the loop the handler of a loading; attached to its interpreter.
    pub fn prepare(&self, py: Attached<'_>, number: u16, handler: Object) {
        if let Some(handler) = Sent::new(handler) {
            self.push(py, Job::Loading { number, handler });
        }
    }
}

/// Makes the queue of an interpreter and starts its loop.
pub(crate) fn begin(
    engine: &Arc<Engine>,
    interpreter: Interpreter,
    start: &dyn Fn(script::Carrier) -> Result<(), String>,
) -> Result<Arc<Queue>, String> {
    let queue = Arc::new(Queue {
        interpreter,
        jobs: Mutex::default(),
        told: AtomicBool::new(false),
        wake: Mutex::new(None),
        awaiting: AtomicUsize::new(0),
    });
    let (engine, theirs) = (engine.clone(), queue.clone());
    start(Box::new(move |home| {
        if let Err(message) = carry(&engine, &theirs, home) {
            tracing::error!("event loop of the script ended: {message}");
        }
    }))?;
    Ok(queue)
}

/// A callback whose coroutine this worker just got, until its caller parks the context.
pub(crate) struct Pending {
    pub coroutine: Object,
    pub message: Option<Object>,
    pub id: CallbackId,
    pub number: u16,
}

impl Pending {
    /// Into the queue.
    pub fn carry_on(self, py: Attached<'_>, queue: &Queue, parked: Parked, awaiting: Awaiting) {
        let Some(coroutine) = Sent::new(self.coroutine) else { return };
        queue.awaiting.fetch_add(1, Ordering::Relaxed);
        let job = Job::CarryOn {
            coroutine,
            message: self.message.and_then(Sent::new),
            id: self.id,
            number: self.number,
            parked: Box::new(parked),
            awaiting,
        };
        queue.push(py, job);
    }
}

/// A callback that the loop carries on.
struct Route {
    context: RouteContext<'static>,
    vars: HashMap<Vec<u8>, Value<'static>>,
    message: Option<Object>,
    id: CallbackId,
    number: u16,
    awaiting: Option<Awaiting>,
    /// Time its steps took, nanoseconds.
    running: u64,
    /// While a step runs: since when, and what was this thread's before.
    step: Option<(Instant, Entered)>,
}

/// The loop's side of the thread.
struct Loop<'h> {
    home: &'h dyn Home,
    worker: &'h Worker,
    queue: &'h Queue,
    /// Boxed: contexts do not move while their callback lives.
    routes: RefCell<HashMap<u64, Box<Route>>>,
    last: Cell<u64>,
    /// Python's function that sends at the end of a round.
    flush_soon: RefCell<Option<Object>>,
}

thread_local! {
    static LOOP: Cell<*const Loop<'static>> = const { Cell::new(null()) };
}

/// The life of the loop's thread.
fn carry(engine: &Arc<Engine>, queue: &Queue, home: &dyn Home) -> Result<(), String> {
    let state = ThreadState::of(queue.interpreter)?;
    let worker = engine.loop_worker(queue.interpreter, state, RANK)?;
    worker.attach_now();
    // SAFETY: attached just above, by this thread's own state.
    let py = unsafe { Attached::assume() };
    let this = Loop {
        home,
        worker: &worker,
        queue,
        routes: RefCell::default(),
        last: Cell::new(0),
        flush_soon: RefCell::default(),
    };
    LOOP.set((&raw const this).cast());
    let ended = module(py).and_then(|module| {
        let functions = native::object(
            py,
            &[
                (c"ready", call_ready as Call),
                (c"jobs", call_jobs as Call),
                (c"enter", call_enter as Call),
                (c"leave", call_leave as Call),
                (c"finish", call_finish as Call),
                (c"expired", call_expired as Call),
                (c"flush", call_flush as Call),
                (c"log", native::call_log as Call),
            ],
        )?;
        let limit = Object::int(py, engine.await_timeout())?;
        module.attr(py, c"run")?.call(py, &[&functions, &limit])
    });
    LOOP.set(null());
    match ended {
        Ok(_) => Ok(()),
        Err(exception) => Err(exception.traceback(py)),
    }
}

fn module(py: Attached<'_>) -> Result<Object, Exception> {
    native::module(py, "_trunkline_awaiting", include_str!("awaiting.py"))
}

/// Runs a coroutine to its end on this thread.
pub(crate) fn drive(py: Attached<'_>, coroutine: &Object) -> Result<Object, Exception> {
    module(py)?.attr(py, c"drive")?.call(py, &[coroutine])
}

impl Loop<'_> {
    /// Takes a job in; for a callback, its coroutine and number.
    fn accept(&self, py: Attached<'_>, job: Job) -> Option<(Object, u64)> {
        match job {
            Job::Loading { number, handler } => {
                self.worker.add_loading(py, Loading::new(number, handler.receive(py)));
                None
            }
            Job::CarryOn { coroutine, message, id, number, parked, awaiting } => {
                let services = self.home.services(self.worker);
                let (context, vars) = parked.on(&services);
                // SAFETY: only the lifetime changes. What the context borrows lives as long as this thread's loop, which outlives every
                // route: `carry` owns both, and routes are dropped with the loop.
                let context =
                    unsafe { std::mem::transmute::<RouteContext<'_>, RouteContext<'static>>(context) };
                let key = self.last.get() + 1;
                self.last.set(key);
                let mut route = Box::new(Route {
                    context,
                    vars,
                    message: message.map(|m| m.receive(py)),
                    id,
                    number,
                    awaiting: Some(awaiting),
                    running: 0,
                    step: None,
                });
                if let Some(message) = &route.message {
                    // SAFETY: a message object; the context stays where it is until the message is closed.
                    unsafe { MessageObject::show(message.as_ptr(), &raw mut route.context) };
                }
                self.routes.borrow_mut().insert(key, route);
                Some((coroutine.receive(py), key))
            }
        }
    }

    fn enter(&self, key: u64) {
        self.home.step();
        let mut routes = self.routes.borrow_mut();
        let Some(route) = routes.get_mut(&key) else { return };
        let route = &mut **route;
        route.context.now = self.home.now();
        std::mem::swap(&mut route.vars, &mut *route.context.worker.vars.borrow_mut());
        let begin = Instant::now();
        self.worker.begin_step(&route.context, route.id, route.number, begin);
        route.step = Some((begin, Entered::new(&raw mut route.context)));
    }

    fn leave(&self, py: Attached<'_>, key: u64) {
        {
            let mut routes = self.routes.borrow_mut();
            let Some(route) = routes.get_mut(&key) else { return };
            let route = &mut **route;
            if let Some((begin, entered)) = route.step.take() {
                drop(entered);
                route.running += begin.elapsed().as_nanos() as u64;
            }
            self.worker.end_step(py, &route.context);
            std::mem::swap(&mut route.vars, &mut *route.context.worker.vars.borrow_mut());
        }
        self.home.step();
        self.send(py);
    }

    /// What was printed is sent when this round of the loop is over.
    fn send(&self, py: Attached<'_>) {
        let services = self.home.services(self.worker);
        if services.outbox.is_empty() {
            return;
        }
        let soon = self.flush_soon.borrow().as_ref().map(|f| f.clone_ref(py));
        let asked = soon.map(|soon| soon.call(py, &[]));
        if !matches!(asked, Some(Ok(_))) {
            self.home.flush();
        }
    }

    /// The callback's end, and what comes after it.
    fn finish(&self, py: Attached<'_>, key: u64, result: Result<Object, Exception>) {
        let Some(mut route) = self.routes.borrow_mut().remove(&key) else { return };
        self.queue.awaiting.fetch_sub(1, Ordering::Relaxed);
        if let Some(message) = route.message.take() {
            // SAFETY: a message object.
            unsafe { MessageObject::show(message.as_ptr(), null_mut()) };
        }
        let called = Called { result: result.map(Some), message: None };
        let outcome = self.worker.conclude_awaited(py, called, route.id, &route.context, route.running);
        let Some(awaiting) = route.awaiting.take() else { return };
        self.home.step();
        let context = route.context;
        std::mem::swap(&mut route.vars, &mut *context.worker.vars.borrow_mut());
        let worker = context.worker;
        let services = self.home.services(self.worker);
        services.transactions.carried_on(&services, context, awaiting, outcome);
        std::mem::swap(&mut route.vars, &mut *worker.vars.borrow_mut());
        self.home.step();
        self.send(py);
    }
}

/// This thread's loop. `f` runs Python code at most through the loop's own references.
fn with<R>(f: impl FnOnce(&Loop<'static>) -> R) -> Option<R> {
    let this = LOOP.get();
    // SAFETY: set by `carry` for as long as its loop lives, and only seen on its thread.
    (!this.is_null()).then(|| f(unsafe { &*this }))
}

fn key(py: Attached<'_>, args: &[Object]) -> u64 {
    args.first().and_then(|n| n.as_int(py)).unwrap_or(0) as u64
}

native::function!(call_ready, |py, args| {
    let mut args = args.into_iter();
    let (wake, soon) = (args.next(), args.next());
    with(|this| {
        *lock(&this.queue.wake) = wake.and_then(Sent::new);
        *this.flush_soon.borrow_mut() = soon;
    });
    Ok(Object::none(py))
});

native::function!(call_jobs, |py, _args| {
    let accepted = with(|this| {
        this.queue.told.store(false, Ordering::SeqCst);
        let jobs = std::mem::take(&mut *lock(&this.queue.jobs));
        jobs.into_iter().filter_map(|job| this.accept(py, job)).collect::<Vec<_>>()
    });
    // SAFETY: attached; a new list or null; PyTuple_Pack counts its own references, PyList_Append too.
    unsafe {
        let list = Object::new(py, c::PyList_New(0))?;
        for (coroutine, key) in accepted.unwrap_or_default() {
            let key = Object::int(py, key as i64)?;
            let pair = Object::new(py, c::PyTuple_Pack(2, coroutine.as_ptr(), key.as_ptr()))?;
            c::PyList_Append(list.as_ptr(), pair.as_ptr());
        }
        Ok(list)
    }
});

native::function!(call_enter, |py, args| {
    with(|this| this.enter(key(py, &args)));
    Ok(Object::none(py))
});

native::function!(call_leave, |py, args| {
    with(|this| this.leave(py, key(py, &args)));
    Ok(Object::none(py))
});

native::function!(call_finish, |py, args| {
    let number = key(py, &args);
    let mut args = args.into_iter().skip(1);
    let (result, error) = (args.next(), args.next().filter(|e| !e.is_none(py)));
    let result = match (error, result) {
        (Some(error), _) => Err(Exception::of(error)),
        (None, Some(result)) => Ok(result),
        (None, None) => Ok(Object::none(py)),
    };
    with(|this| this.finish(py, number, result));
    Ok(Object::none(py))
});

native::function!(call_expired, |py, args| {
    with(|this| {
        let routes = this.routes.borrow();
        let Some(route) = routes.get(&key(py, &args)) else { return };
        tracing::error!(
            call_id = %String::from_utf8_lossy(route.context.message.call_id()),
            "callback {} awaited longer than await_timeout and is cancelled",
            route.context.core.callbacks.name(route.id)
        );
    });
    Ok(Object::none(py))
});

native::function!(call_flush, |py, _args| {
    with(|this| this.home.flush());
    Ok(Object::none(py))
});
