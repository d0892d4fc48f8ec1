//! One worker's side of the engine: a thread state for life, its handler object, its callbacks found once.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use pyo3_ffi as c;
use script::{CallbackId, Core, Format, Pv, RouteContext, RouteKind, RunOutcome, ScriptWorker};

use crate::callbacks::{CallbackCounters, WorkerCounters};
use crate::current::{self, Entered};
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::ThreadState;
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
    counters: Arc<WorkerCounters>,
    state: ThreadState,
    attached: Cell<bool>,
    /// Callbacks running inside each other.
    depth: Cell<u32>,
    handler: Option<Object>,
    flavour: Flavour,
    on_exception: OnException,
    pulse: Option<Arc<Pulse>>,
    callbacks: UnsafeCell<Vec<Option<Found>>>,
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
}

/// What a worker starts with, made while attached with its own thread state.
pub(crate) struct Parts {
    pub core: Arc<Core>,
    pub counters: Arc<WorkerCounters>,
    pub state: ThreadState,
    pub handler: Object,
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
            counters: parts.counters,
            state: parts.state,
            attached: Cell::new(false),
            depth: Cell::new(0),
            handler: Some(parts.handler),
            flavour: parts.flavour,
            on_exception: parts.on_exception,
            pulse: parts.pulse,
            callbacks: UnsafeCell::new(Vec::new()),
            pvs: UnsafeCell::new(Literals::new()),
            formats: UnsafeCell::new(Literals::new()),
            message_type: Some(parts.message_type),
            messages: UnsafeCell::new(Vec::new()),
            copies: UnsafeCell::new(Vec::new()),
            drop_class: Some(parts.drop_class),
            waited: Cell::new(0),
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
        self.attach();
    }

    /// A copy of a message object to be closed with the callback.
    pub fn close_later(&self, copy: Object) {
        // SAFETY: only this thread, attached, and no reference into the list is held across a call.
        unsafe { (*self.copies.get()).push(copy) }
    }

    /// Runs `f` attached as this worker, outside of a callback (`child_init`).
    pub fn attached<R>(&self, f: impl FnOnce(Attached<'_>, Option<&Object>) -> R) -> R {
        let before = self.attached.get();
        self.attach();
        // SAFETY: attached above, by this thread's own state.
        let result = f(unsafe { Attached::assume() }, self.handler.as_ref());
        if !before {
            self.detach();
        }
        result
    }

    /// The method for a callback, looked up once. `Ok(None)` when the handler has none.
    fn find(&self, py: Attached<'_>, id: CallbackId) -> Result<Option<Found>, Exception> {
        let index = id.0 as usize;
        // SAFETY: only this thread; the reference ends before anything runs.
        if let Some(Some(found)) = unsafe { &*self.callbacks.get() }.get(index) {
            return Ok(Some(*found));
        }
        let Some(handler) = &self.handler else { return Ok(None) };
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
        // SAFETY: as above.
        let callbacks = unsafe { &mut *self.callbacks.get() };
        if callbacks.len() <= index {
            callbacks.resize(index + 1, None);
        }
        if let Some(place) = callbacks.get_mut(index) {
            *place = Some(found);
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
        self.counters.running.store(id.0 + 1, Relaxed);
        self.depth.set(self.depth.get() + 1);
        let entered = Entered::new(context);
        let begin = Instant::now();
        let pulse = self.pulse.as_ref().filter(|_| self.depth.get() == 1);
        if let Some(pulse) = pulse {
            pulse.begin(begin);
        }
        let found = self.find(py, id);
        let result = match &found {
            Ok(Some(found)) => self.call(py, found, event, context).map(Some),
            Ok(None) => Ok(None),
            Err(_) => Ok(None),
        };
        // Before anything else runs Python code: nobody may interrupt the printing of a traceback.
        let was_reported = pulse.is_some_and(|pulse| pulse.end(py));
        let ended = match (found, result) {
            (Err(exception), _) => Ended::Raised(self.explain(py, &exception)),
            (Ok(None), _) => Ended::Missing,
            (Ok(Some(found)), result) => {
                let ended = match result {
                    Ok(value) => self.returned(py, value),
                    Err(exception) => self.raised(py, exception),
                };
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
        if was_reported {
            tracing::warn!(
                call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                "callback {} of worker {} ended after {} ms",
                self.core.callbacks.name(id),
                self.counters.rank,
                begin.elapsed().as_millis()
            );
        }
        match ended {
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

    fn call(
        &self,
        py: Attached<'_>,
        found: &Found,
        event: Option<&str>,
        context: *mut RouteContext<'static>,
    ) -> Result<Object, Exception> {
        let event = event.map(|name| Object::str(py, name.as_bytes())).transpose()?;
        if self.flavour == Flavour::Functions {
            let args = [null_mut(), event.as_ref().map_or(null_mut(), Object::as_ptr)];
            // SAFETY: the place before the arguments may be used by the callee (PY_VECTORCALL_ARGUMENTS_OFFSET).
            return unsafe { vectorcall(py, found.method, &args, usize::from(event.is_some())) };
        }
        let message = self.open_message(py, context)?;
        let args = [null_mut(), message.as_ptr(), event.as_ref().map_or(null_mut(), Object::as_ptr)];
        // SAFETY: as above.
        let result = unsafe { vectorcall(py, found.method, &args, 1 + usize::from(event.is_some())) };
        self.close_message(py, message);
        result
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
        // SAFETY: a live object.
        if unsafe { c::PyCoro_CheckExact(value.as_ptr()) } != 0 {
            return Ended::Raised(
                "an `async def` callback is not supported yet: make it a plain `def`".into(),
            );
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

    fn run_callback(&self, id: CallbackId, event: Option<&str>, ctx: &mut RouteContext<'_>) -> RunOutcome {
        let before = self.attached.get();
        if !before {
            self.attach();
        }
        // SAFETY: attached with this thread's own state.
        let outcome = self.run_attached(unsafe { Attached::assume() }, id, event, ctx);
        if !before {
            self.detach();
        }
        outcome
    }
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
        if self.attached.get() {
            return;
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
        self.waited.set(self.waited.get() + begin.elapsed().as_nanos() as u64);
        self.attached.set(true);
        current::set_worker(self);
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
        self.attach();
        // SAFETY: attached just above, on this worker's own thread.
        let py = unsafe { Attached::assume() };
        matches!(self.find(py, callback), Ok(Some(_)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.attach();
        // SAFETY: attached; each reference is given back once.
        unsafe {
            let py = Attached::assume();
            self.pvs.get_mut().forget_strings(py);
            self.formats.get_mut().forget_strings(py);
            for found in std::mem::take(self.callbacks.get_mut()).into_iter().flatten() {
                drop(Object::from_ptr(found.method));
            }
        }
        self.messages.get_mut().clear();
        self.copies.get_mut().clear();
        self.handler = None;
        self.message_type = None;
        self.drop_class = None;
        self.detach();
        self.state.delete();
    }
}
