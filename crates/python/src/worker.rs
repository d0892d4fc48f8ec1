//! One worker's side of the engine: a thread state for life, its handler object, its callbacks found once.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Instant;

use pyo3_ffi as c;
use script::{
    Awaiting, CallbackId, Core, Format, Parked, Pv, RouteContext, RouteKind, RunOutcome, ScriptError,
    ScriptWorker,
};

use crate::awaiting::{self, Pending};
use crate::callbacks::{CallbackCounters, WorkerCounters};
use crate::current::{self, Entered};
use crate::engine::Engine;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{Interpreter, ThreadState};
use crate::literals::Literals;
use crate::msg::MessageObject;
use crate::overrun;
use crate::pulse::Pulse;
use crate::{Flavour, OnException};

/// A callback this worker has run before. Both live as long as the worker: `method` is one reference, given back with it, and
/// `counters` belongs to the worker's own counters.
#[derive(Clone, Copy)]
struct Found {
    method: NonNull<c::PyObject>,
    counters: NonNull<CallbackCounters>,
}

/// A worker. It lives and dies on its thread (raw pointers keep it from being sent).
pub(crate) struct Worker {
    core: Arc<Core>,
    engine: Arc<Engine>,
    /// The number of the loading that routes.
    current: Arc<AtomicU16>,
    interpreter: Interpreter,
    counters: Arc<WorkerCounters>,
    state: ThreadState,
    attached: Cell<bool>,
    /// Callbacks running inside each other.
    depth: Cell<u32>,
    /// The script, and its earlier loadings as long as what they armed may run; the newest last.
    loadings: UnsafeCell<Vec<Loading>>,
    /// A callback that awaits, until its caller parks the context.
    pending: UnsafeCell<Option<Pending>>,
    flavour: Flavour,
    on_exception: OnException,
    pulse: Option<Arc<Pulse>>,
    /// Parsed pseudo-variables by the script's strings. Touched only while attached, from this thread, never across a call.
    pub pvs: UnsafeCell<Literals<Pv>>,
    /// The same for texts with pseudo-variables.
    pub formats: UnsafeCell<Literals<Format>>,
    message_type: Option<Object>,
    /// Message objects that no script kept, to be used again.
    messages: UnsafeCell<Vec<Object>>,
    /// Copies made by `msg.copy()`, closed when the callback returns.
    copies: UnsafeCell<Vec<Object>>,
    drop_class: Option<Object>,
    /// Time spent waiting for the interpreter since the last run was counted, nanoseconds.
    waited: Cell<u64>,
    /// When the thread was attached, while nothing has happened since: the callback it was for begins then.
    attached_at: Cell<Option<Instant>>,
}

/// One loading of the script in this worker: its handler object and the callbacks found in it.
pub(crate) struct Loading {
    number: u16,
    handler: Object,
    callbacks: Vec<Option<Found>>,
}

impl Loading {
    pub fn new(number: u16, handler: Object) -> Loading {
        Loading { number, handler, callbacks: Vec::new() }
    }
    /// Gives all references back; attached.
    fn forget(self, _: Attached<'_>) {
        for found in self.callbacks.into_iter().flatten() {
            // SAFETY: attached; `find` put one reference there.
            drop(unsafe { Object::from_ptr(found.method) });
        }
    }
}

/// What a worker starts with, made while attached with its own thread state.
pub(crate) struct Parts {
    pub core: Arc<Core>,
    pub engine: Arc<Engine>,
    pub current: Arc<AtomicU16>,
    pub interpreter: Interpreter,
    pub counters: Arc<WorkerCounters>,
    pub state: ThreadState,
    pub number: u16,
    /// None for an event loop, which is sent the handlers of its workers.
    pub handler: Option<Object>,
    pub message_type: Object,
    pub drop_class: Object,
    pub flavour: Flavour,
    pub on_exception: OnException,
    pub pulse: Option<Arc<Pulse>>,
}

impl Worker {
    /// A worker that is not attached yet. The caller detaches afterwards.
    pub fn new(_: Attached<'_>, parts: Parts) -> Box<Worker> {
        Box::new(Worker {
            core: parts.core,
            engine: parts.engine,
            current: parts.current,
            interpreter: parts.interpreter,
            counters: parts.counters,
            state: parts.state,
            attached: Cell::new(false),
            depth: Cell::new(0),
            loadings: UnsafeCell::new(
                parts.handler.map(|handler| Loading::new(parts.number, handler)).into_iter().collect(),
            ),
            pending: UnsafeCell::new(None),
            flavour: parts.flavour,
            on_exception: parts.on_exception,
            pulse: parts.pulse,
            pvs: UnsafeCell::new(Literals::new()),
            formats: UnsafeCell::new(Literals::new()),
            message_type: Some(parts.message_type),
            messages: UnsafeCell::new(Vec::new()),
            copies: UnsafeCell::new(Vec::new()),
            drop_class: Some(parts.drop_class),
            waited: Cell::new(0),
            attached_at: Cell::new(None),
        })
    }

    /// Its `child_init` rank.
    pub fn rank(&self) -> i32 {
        self.counters.rank
    }

    /// Whether an outer callback of this worker is in the middle of a KSR function.
    pub fn is_nested(&self) -> bool {
        self.depth.get() > 1
    }

    /// Lets go of the interpreter around a KSR function that may wait.
    pub fn release(&self) {
        self.detach();
    }

    /// Takes it back.
    pub fn reacquire(&self) {
        self.attach_now();
    }

    /// A copy of a message object to be closed with the callback.
    pub fn close_later(&self, copy: Object) {
        // SAFETY: only this thread, attached, and no reference into the list is held across a call.
        unsafe { (*self.copies.get()).push(copy) }
    }

    /// Runs `child_init` of a loading, attached as this worker, so that KSR functions and pseudo-variables in it use its caches.
    pub fn child_init(&self, number: u16) -> Result<(), String> {
        let before = self.attached.get();
        self.attach_now();
        // SAFETY: attached above, by this thread's own state.
        let py = unsafe { Attached::assume() };
        // SAFETY: only this thread; the reference ends with the statement.
        let handler = unsafe { &*self.loadings.get() }
            .iter()
            .find(|l| l.number == number)
            .map(|l| l.handler.clone_ref(py));
        let result = handler.map_or(Ok(()), |handler| self.engine.child_init(py, &handler, self.rank()));
        if !before {
            self.detach();
        }
        result
    }

    /// The number of the loading that a callback belongs to.
    #[inline]
    fn number_of(&self, id: CallbackId) -> u16 {
        if id.generation == 0 { self.current.load(Acquire) } else { id.generation }
    }

    /// The method for a callback, looked up once. `Ok(None)` when the handler has none.
    fn find(&self, py: Attached<'_>, id: CallbackId, number: u16) -> Result<Option<Found>, Exception> {
        let index = id.name as usize;
        // SAFETY: only this thread; the references end before anything runs.
        let Some(loading) = (unsafe { &*self.loadings.get() }).iter().rev().find(|l| l.number == number)
        else {
            // Armed so many reloads ago that its script is gone.
            // SAFETY: as above.
            let newest = unsafe { &*self.loadings.get() }.last().map(|l| l.number);
            return newest.filter(|n| *n != number).map_or(Ok(None), |newest| self.find(py, id, newest));
        };
        if let Some(Some(found)) = loading.callbacks.get(index) {
            return Ok(Some(*found));
        }
        let handler = loading.handler.clone_ref(py);
        let name = Object::str(py, self.core.callbacks.name(id).as_bytes())?;
        // SAFETY: attached; a new reference, or null with an exception.
        let method = unsafe { Object::new(py, c::PyObject_GetAttr(handler.as_ptr(), name.as_ptr())) };
        let method = match method {
            Ok(method) => method,
            // SAFETY: a static type.
            Err(e) if unsafe { e.is(py, c::PyExc_AttributeError) } => return Ok(None),
            Err(e) => return Err(e),
        };
        let Some(method) = NonNull::new(method.into_ptr()) else { return Ok(None) };
        let found = Found { method, counters: NonNull::from(&*self.counters.callback(id)) };
        // SAFETY: as above; looking the attribute up may have run Python code, so the loading is looked for again.
        let loadings = unsafe { &mut *self.loadings.get() };
        if let Some(loading) = loadings.iter_mut().find(|l| l.number == number) {
            if loading.callbacks.len() <= index {
                loading.callbacks.resize(index + 1, None);
            }
            if let Some(place) = loading.callbacks.get_mut(index) {
                *place = Some(found);
            }
        }
        Ok(Some(found))
    }

    fn run_attached(
        &self,
        py: Attached<'_>,
        id: CallbackId,
        event: Option<&str>,
        ctx: &mut RouteContext<'_>,
    ) -> RunOutcome {
        let context: *mut RouteContext<'static> = (&raw mut *ctx).cast();
        // Only this thread writes it: no locked instruction is needed.
        let running_before = self.counters.running.load(Relaxed);
        self.counters.running.store(id.name + 1, Relaxed);
        let number = self.number_of(id);
        let generation = &ctx.worker.generation;
        let generation_before = generation.replace(number);
        self.depth.set(self.depth.get() + 1);
        let entered = Entered::new(context);
        let begin = self.attached_at.take().unwrap_or_else(Instant::now);
        let pulse = self.pulse.as_ref().filter(|_| self.depth.get() == 1);
        if let Some(pulse) = pulse {
            pulse.begin(begin);
        }
        let may_await = ctx.may_await && self.depth.get() == 1 && self.engine.can_carry_on();
        let found = self.find(py, id, number);
        let mut called = match &found {
            Ok(Some(found)) => self.call(py, found, event, context),
            Ok(None) | Err(_) => Called { result: Ok(None), message: None },
        };
        if !may_await
            && let Ok(Some(coroutine)) = &called.result
            && is_coroutine(coroutine)
        {
            called.result = awaiting::drive(py, coroutine).map(Some);
        }
        // Before anything else runs Python code: nobody may interrupt the printing of a traceback.
        let was_reported = pulse.is_some_and(|pulse| pulse.end(py));
        let ended = match found {
            Err(exception) => Ended::Raised(self.explain(py, &exception)),
            Ok(None) => Ended::Missing,
            Ok(Some(found)) => {
                let ended = self.ended(py, called, may_await.then_some((id, number)));
                let running = begin.elapsed().as_nanos() as u64;
                let raised = matches!(ended, Ended::Raised(_));
                // SAFETY: the worker's counters keep each callback's for as long as they live.
                unsafe { found.counters.as_ref() }.ran(running, self.waited.take(), raised);
                ended
            }
        };
        drop(entered);
        self.depth.set(self.depth.get() - 1);
        self.counters.running.store(running_before, Relaxed);
        generation.set(generation_before);
        if was_reported {
            tracing::warn!(
                call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                "callback {} of worker {} ended after {} ms",
                self.core.callbacks.name(id),
                self.counters.rank,
                begin.elapsed().as_millis()
            );
        }
        self.conclude(ended, id, ctx)
    }

    /// How a call ended, with its log line.
    fn conclude(&self, ended: Ended, id: CallbackId, ctx: &RouteContext<'_>) -> RunOutcome {
        match ended {
            Ended::Outcome(RunOutcome::Exit) => {
                // Without a reply before it the peer hears nothing: who looks for the reason finds it here.
                tracing::debug!(
                    call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                    "callback {} ended itself by sys.exit() or KSR.x.exit()",
                    self.core.callbacks.name(id),
                );
                RunOutcome::Exit
            }
            Ended::Outcome(outcome) => outcome,
            Ended::Missing => RunOutcome::Missing,
            Ended::Raised(traceback) => {
                // From here on no Python code runs, so `ctx` is ours alone again.
                tracing::error!(
                    call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                    "exception in callback {}, the route ends ($rm {}, $ru {}, $ci {}):\n{traceback}",
                    self.core.callbacks.name(id),
                    String::from_utf8_lossy(ctx.message.method_text()),
                    String::from_utf8_lossy(ctx.request_uri()),
                    String::from_utf8_lossy(ctx.message.call_id()),
                );
                match self.on_exception {
                    OnException::Reply => RunOutcome::Exception,
                    OnException::Drop => RunOutcome::Exit,
                }
            }
        }
    }

    /// What a call ended with. A coroutine that may await is kept for its caller, with the callback's id and loading.
    fn ended(&self, py: Attached<'_>, called: Called, may_await: Option<(CallbackId, u16)>) -> Ended {
        let Called { result, message } = called;
        let ended = match (result, may_await) {
            (Ok(Some(coroutine)), Some((id, number))) if is_coroutine(&coroutine) => {
                if let Some(message) = &message {
                    // SAFETY: a message object; it is opened again on the parked context.
                    unsafe { MessageObject::show(message.as_ptr(), null_mut()) };
                }
                // SAFETY: only this thread; no reference into it is held.
                unsafe { *self.pending.get() = Some(Pending { coroutine, message, id, number }) };
                return Ended::Outcome(RunOutcome::Awaits);
            }
            (Ok(value), _) => self.returned(py, value),
            (Err(exception), _) => self.raised(py, exception),
        };
        if let Some(message) = message {
            self.close_message(py, message);
        }
        ended
    }

    /// The end of a callback that awaited, on the event loop; `running` is the time its steps took.
    pub fn conclude_awaited(
        &self,
        py: Attached<'_>,
        called: Called,
        id: CallbackId,
        ctx: &RouteContext<'_>,
        running: u64,
    ) -> RunOutcome {
        let ended = self.ended(py, called, None);
        self.counters.callback(id).carried_on(running, matches!(ended, Ended::Raised(_)));
        self.conclude(ended, id, ctx)
    }

    /// A step of a callback begins on the event loop: nested callbacks are nested, and what it arms belongs to its loading.
    pub fn begin_step(&self, ctx: &RouteContext<'_>, id: CallbackId, number: u16, at: Instant) {
        if let Some(pulse) = &self.pulse {
            pulse.begin(at);
        }
        self.depth.set(self.depth.get() + 1);
        self.counters.running.store(id.name + 1, Relaxed);
        ctx.worker.generation.set(number);
    }

    /// The step has ended.
    pub fn end_step(&self, py: Attached<'_>, ctx: &RouteContext<'_>) {
        if let Some(pulse) = &self.pulse {
            pulse.end(py);
        }
        ctx.worker.generation.set(0);
        self.counters.running.store(0, Relaxed);
        self.depth.set(self.depth.get() - 1);
    }

    /// The handler of a loading, for an event loop; that of the first worker that sends one is kept.
    pub fn add_loading(&self, py: Attached<'_>, loading: Loading) {
        // SAFETY: only this thread; the references end before anything runs.
        if unsafe { &*self.loadings.get() }.iter().any(|l| l.number == loading.number) {
            return loading.forget(py);
        }
        self.prune(py);
        // SAFETY: as above.
        unsafe { (*self.loadings.get()).push(loading) };
    }

    /// Lets go of loadings that can no longer run.
    fn prune(&self, py: Attached<'_>) {
        let kept = self.engine.kept();
        // SAFETY: only this thread; the reference ends before anything runs.
        let all = std::mem::take(unsafe { &mut *self.loadings.get() });
        let (keep, go): (Vec<Loading>, Vec<Loading>) =
            all.into_iter().partition(|l| kept.contains(&l.number));
        // SAFETY: as above.
        unsafe { *self.loadings.get() = keep };
        go.into_iter().for_each(|l| l.forget(py));
    }

    fn call(
        &self,
        py: Attached<'_>,
        found: &Found,
        event: Option<&str>,
        context: *mut RouteContext<'static>,
    ) -> Called {
        let event = match event.map(|name| Object::str(py, name.as_bytes())).transpose() {
            Ok(event) => event,
            Err(exception) => return Called { result: Err(exception), message: None },
        };
        let last = event.as_ref().map_or(null_mut(), Object::as_ptr);
        if self.flavour == Flavour::Functions {
            let args = [null_mut(), last];
            // SAFETY: the place before the arguments may be used by the callee (PY_VECTORCALL_ARGUMENTS_OFFSET).
            let result = unsafe { vectorcall(py, found.method, &args, usize::from(event.is_some())) };
            return Called { result: result.map(Some), message: None };
        }
        let message = match self.open_message(py, context) {
            Ok(message) => message,
            Err(exception) => return Called { result: Err(exception), message: None },
        };
        let args = [null_mut(), message.as_ptr(), last];
        // SAFETY: as above.
        let result = unsafe { vectorcall(py, found.method, &args, 1 + usize::from(event.is_some())) };
        Called { result: result.map(Some), message: Some(message) }
    }

    fn open_message(
        &self,
        py: Attached<'_>,
        context: *mut RouteContext<'static>,
    ) -> Result<Object, Exception> {
        // SAFETY: only this thread; the reference ends with the statement.
        let pooled = unsafe { (*self.messages.get()).pop() };
        let message = match (pooled, &self.message_type) {
            (Some(message), _) => message,
            (None, Some(class)) => MessageObject::make(py, class)?,
            (None, None) => Object::none(py),
        };
        // SAFETY: made by MessageObject::make, now or earlier (the worker has its type until it is dropped).
        unsafe { MessageObject::show(message.as_ptr(), context) };
        Ok(message)
    }

    fn close_message(&self, py: Attached<'_>, message: Object) {
        // SAFETY: a message object; copies belong to this run or an outer one of this thread; attached.
        unsafe {
            MessageObject::show(message.as_ptr(), null_mut());
            if self.depth.get() == 1 {
                for copy in std::mem::take(&mut *self.copies.get()) {
                    MessageObject::show(copy.as_ptr(), null_mut());
                }
            }
            // The script did not keep it, so nobody can tell that it is used again.
            if message.is_only_reference(py) {
                (*self.messages.get()).push(message);
            }
        }
    }

    fn returned(&self, py: Attached<'_>, value: Option<Object>) -> Ended {
        let Some(value) = value else { return Ended::Missing };
        if let Some(number) = value.as_int(py) {
            return Ended::Outcome(RunOutcome::Returned(number));
        }
        Ended::Outcome(RunOutcome::Returned(1))
    }

    fn raised(&self, py: Attached<'_>, exception: Exception) -> Ended {
        if !exception.is_exit(py) {
            if self.is_nested()
                && let Some(pulse) = &self.pulse
                && let Ok(class) = overrun::timeout_class(py)
                // SAFETY: a live class.
                && unsafe { exception.is(py, class.as_ptr()) }
            {
                let explained = self.explain(py, &exception);
                pulse.pass_on(py, &class);
                return Ended::Raised(explained);
            }
            return Ended::Raised(self.explain(py, &exception));
        }
        // SAFETY: a live type.
        let dropped =
            self.drop_class.as_ref().is_some_and(|class| unsafe { exception.is(py, class.as_ptr()) });
        Ended::Outcome(if dropped { RunOutcome::Drop } else { RunOutcome::Exit })
    }

    fn explain(&self, py: Attached<'_>, exception: &Exception) -> String {
        let mut text = exception.traceback(py);
        // SAFETY: a static type.
        if unsafe { exception.is(py, c::PyExc_ImportError) }
            && text.contains("does not support loading in subinterpreters")
        {
            text.push_str(
                "\n(this extension module needs modparam(\"app_python3\", \"interpreters\", \"shared\"), or an import at \
                 the top of the script, where it is found at start-up)",
            );
        }
        if overrun::is_timeout(py, exception) {
            text.push_str("\n(it ran longer than exec_kill_ms)");
        }
        text
    }

    /// Attaches this thread, and says when it was; `None` when it is already.
    pub fn attach_now(&self) -> Option<Instant> {
        self.attached_at.set(None);
        if self.attached.get() {
            return None;
        }
        let other = current::worker();
        if !other.is_null() {
            // Two workers on one thread (tests do that): the other one makes room.
            // SAFETY: a worker takes its pointer back before it goes.
            unsafe { (*other).detach() };
        }
        let begin = Instant::now();
        // SAFETY: this thread's state; not attached (checked).
        unsafe { self.state.attach() };
        let end = Instant::now();
        self.waited.set(self.waited.get() + end.duration_since(begin).as_nanos() as u64);
        self.attached.set(true);
        current::set_worker(self);
        Some(end)
    }

    fn run_callback(&self, id: CallbackId, event: Option<&str>, ctx: &mut RouteContext<'_>) -> RunOutcome {
        let before = self.attached.get();
        if !before {
            self.attached_at.set(self.attach_now());
        }
        // SAFETY: attached with this thread's own state.
        let outcome = self.run_attached(unsafe { Attached::assume() }, id, event, ctx);
        if !before {
            self.detach();
        }
        outcome
    }
}

/// What a callback gave, and the message object it was given.
pub(crate) struct Called {
    pub result: Result<Option<Object>, Exception>,
    pub message: Option<Object>,
}

/// Whether a callback is an `async def`.
fn is_coroutine(value: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { c::PyCoro_CheckExact(value.as_ptr()) != 0 }
}

/// How a call ended, before the log line about it.
enum Ended {
    Outcome(RunOutcome),
    Missing,
    Raised(String),
}

/// # Safety
/// Attached; `args[0]` is scratch space, `args[1..=count]` are live objects, as is `callable`.
unsafe fn vectorcall(
    py: Attached<'_>,
    callable: NonNull<c::PyObject>,
    args: &[*mut c::PyObject],
    count: usize,
) -> Result<Object, Exception> {
    // SAFETY: by contract. The callee may write args[0] and restores it, which the offset flag allows; the array is the caller's
    // own, and only written through this pointer.
    unsafe {
        let first = args.as_ptr().add(1);
        let flags = count | c::PY_VECTORCALL_ARGUMENTS_OFFSET;
        Object::new(py, c::PyObject_Vectorcall(callable.as_ptr(), first, flags, null_mut()))
    }
}

impl ScriptWorker for Worker {
    fn attach(&self) {
        if let Some(at) = self.attach_now() {
            self.attached_at.set(Some(at));
        }
    }
    fn detach(&self) {
        if !self.attached.get() {
            return;
        }
        current::set_worker(std::ptr::null());
        self.attached.set(false);
        // SAFETY: attached with this state.
        unsafe { self.state.detach() };
    }
    fn run(&self, _: RouteKind, callback: CallbackId, ctx: &mut RouteContext<'_>) -> RunOutcome {
        self.run_callback(callback, None, ctx)
    }
    fn run_event(&self, callback: CallbackId, event: &str, ctx: &mut RouteContext<'_>) -> RunOutcome {
        self.run_callback(callback, Some(event), ctx)
    }
    fn has(&self, callback: CallbackId) -> bool {
        self.attach_now();
        // SAFETY: attached just above, on this worker's own thread.
        let py = unsafe { Attached::assume() };
        matches!(self.find(py, callback, self.number_of(callback)), Ok(Some(_)))
    }
    fn carry_on(&self, context: Parked, awaiting: Awaiting) {
        // SAFETY: only this thread; no reference into it is held.
        let Some(pending) = (unsafe { (*self.pending.get()).take() }) else { return };
        let before = self.attached.get();
        self.attach_now();
        // SAFETY: attached just above, on this worker's own thread.
        let py = unsafe { Attached::assume() };
        match self.engine.queue_or_begin(self.interpreter) {
            Ok((queue, begun)) => {
                if begun {
                    // SAFETY: only this thread; the reference ends with the statement.
                    let all: Vec<(u16, Object)> = unsafe { &*self.loadings.get() }
                        .iter()
                        .map(|l| (l.number, l.handler.clone_ref(py)))
                        .collect();
                    all.into_iter().for_each(|(number, handler)| queue.prepare(py, number, handler));
                }
                pending.carry_on(py, &queue, context, awaiting);
            }
            Err(message) => tracing::error!("a callback that awaits is lost: {message}"),
        }
        if !before {
            self.detach();
        }
    }
    fn prepare(&self, number: u16) -> Result<(), ScriptError> {
        let error = |message: String| ScriptError { message };
        let before = self.attached.get();
        self.attach_now();
        // SAFETY: attached just above, on this worker's own thread.
        let py = unsafe { Attached::assume() };
        self.prune(py);
        let result = self.engine.handler(py, number, self.interpreter).and_then(|handler| {
            let theirs = handler.clone_ref(py);
            // SAFETY: only this thread, and no callback runs: workers are prepared between messages.
            unsafe { (*self.loadings.get()).push(Loading::new(number, handler)) };
            self.child_init(number)?;
            if let Some(queue) = self.engine.queue(self.interpreter) {
                queue.prepare(py, number, theirs);
            }
            Ok(())
        });
        if !before {
            self.detach();
        }
        result.map_err(error)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.attach_now();
        // SAFETY: attached; each reference is given back once.
        unsafe {
            let py = Attached::assume();
            self.pvs.get_mut().forget_strings(py);
            self.formats.get_mut().forget_strings(py);
            std::mem::take(self.loadings.get_mut()).into_iter().for_each(|l| l.forget(py));
        }
        self.messages.get_mut().clear();
        self.copies.get_mut().clear();
        self.message_type = None;
        self.drop_class = None;
        self.detach();
        self.state.delete();
    }
}
