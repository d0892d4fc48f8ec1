//! One worker's run as others may see it: since when it lasts, and how an exception gets into this run and into no other.
//!
//! ```text
//!   worker     idle --begin--> running ------------------end--> idle
//!   watch                         \--strike--> striking --> struck --end--> idle
//! ```
//!
//! Python delivers an asynchronous exception to a thread, not to a run: one that is set when the run has just ended would hit the next.
//! So who strikes first claims the run by its number, which only works while it lasts, and the end of a run that was claimed waits until
//! the exception is set and takes it back if it was not delivered. Where a lock guards the interpreter both happen under it; on
//! free-threaded builds it is these steps alone that keep the order.

use std::ffi::c_long;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::Instant;

use pyo3_ffi as c;

use crate::callbacks::WorkerCounters;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{Interpreter, ThreadState};
use crate::overrun::Bed;

const IDLE: u64 = 0;
const RUNNING: u64 = 1;
const STRIKING: u64 = 2;
const STRUCK: u64 = 3;
const PHASES: u64 = 3;

/// The outermost callback a worker is in.
pub(crate) struct Pulse {
    pub counters: Arc<WorkerCounters>,
    pub interpreter: Interpreter,
    /// The worker's own; alive while it is in a run.
    pub state: ThreadState,
    /// Python's number of the worker's thread.
    thread: i64,
    base: Instant,
    bed: Arc<Bed>,
    /// Whether anybody may strike.
    mortal: bool,
    /// When the run began, nanoseconds after `base`.
    began: AtomicU64,
    /// Number of the run, and in the last two bits what becomes of it.
    phase: AtomicU64,
    /// The run that was reported as too long.
    reported: AtomicU64,
    /// An exception was set by the worker itself: see [`Pulse::pass_on`].
    passed_on: AtomicBool,
}

impl Pulse {
    /// Of the worker whose thread this is, attached to the interpreter that it routes in.
    pub fn new(
        py: Attached<'_>,
        counters: Arc<WorkerCounters>,
        interpreter: Interpreter,
        state: ThreadState,
        base: Instant,
        bed: Arc<Bed>,
        mortal: bool,
    ) -> Result<Pulse, Exception> {
        let thread = Object::import(py, c"_thread")?.attr(py, c"get_ident")?.call(py, &[])?;
        Ok(Pulse {
            counters,
            interpreter,
            state,
            thread: thread.as_int(py).unwrap_or_default(),
            base,
            bed,
            mortal,
            began: AtomicU64::new(0),
            phase: AtomicU64::new(IDLE),
            reported: AtomicU64::new(0),
            passed_on: AtomicBool::new(false),
        })
    }

    /// The worker enters its outermost callback.
    #[inline]
    pub fn begin(&self, at: Instant) {
        let run = (self.phase.load(Ordering::Relaxed) >> 2) + 1;
        self.began.store(at.saturating_duration_since(self.base).as_nanos() as u64, Ordering::Relaxed);
        self.phase.store(run << 2 | RUNNING, Ordering::Release);
        self.bed.rouse();
    }

    /// The worker has left it, with or without an exception, and runs no more of the script for this message. Whether the run was
    /// reported as too long.
    #[inline]
    pub fn end(&self, py: Attached<'_>) -> bool {
        let state = self.phase.load(Ordering::Relaxed);
        let run = state >> 2;
        if !self.mortal {
            self.phase.store(run << 2 | IDLE, Ordering::Release);
        } else if self
            .phase
            .compare_exchange(run << 2 | RUNNING, run << 2 | IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
            || self.passed_on.load(Ordering::Relaxed)
        {
            self.end_struck(py, run);
        }
        self.reported.load(Ordering::Relaxed) == run
    }

    #[cold]
    fn end_struck(&self, _: Attached<'_>, run: u64) {
        // A matter of nanoseconds: between the claim and the exception no Python code runs.
        while self.phase.load(Ordering::Acquire) & PHASES == STRIKING {
            std::thread::yield_now();
        }
        // SAFETY: attached to the interpreter of this thread's state. Null takes back what was not delivered yet.
        unsafe { c::PyThreadState_SetAsyncExc(self.thread as c_long, null_mut()) };
        self.passed_on.store(false, Ordering::Relaxed);
        self.phase.store(run << 2 | IDLE, Ordering::Release);
    }

    /// Ends this run by an exception of this class at its next step in Python; `false` when it is over. The caller is attached to the
    /// worker's interpreter.
    pub fn strike(&self, _: Attached<'_>, run: u64, class: &Object) -> bool {
        let claim = |phase| {
            let (from, to) = (run << 2 | phase, run << 2 | STRIKING);
            self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !self.mortal {
            return false;
        }
        // Again when the script caught the first, or has not come back from C code since.
        if !claim(RUNNING) && !claim(STRUCK) {
            return false;
        }
        // SAFETY: attached; the worker's thread state belongs to the same interpreter and is alive: its run cannot end before the
        // phase below.
        unsafe { c::PyThreadState_SetAsyncExc(self.thread as c_long, class.as_ptr()) };
        self.phase.store(run << 2 | STRUCK, Ordering::Release);
        true
    }

    /// A callback inside of another was struck: the outer one, which is as late, is to end too. Called by the worker.
    pub fn pass_on(&self, _: Attached<'_>, class: &Object) {
        if !self.mortal {
            return;
        }
        self.passed_on.store(true, Ordering::Relaxed);
        // SAFETY: attached with this thread's state; `end` takes back what is not delivered until then.
        unsafe { c::PyThreadState_SetAsyncExc(self.thread as c_long, class.as_ptr()) };
    }

    /// Number and begin of the run that lasts.
    pub fn running(&self) -> Option<(u64, u64)> {
        let state = self.phase.load(Ordering::Acquire);
        let began = self.began.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let same = self.phase.load(Ordering::Relaxed) >> 2 == state >> 2;
        (state & PHASES != IDLE && same).then_some((state >> 2, began))
    }

    /// Whether this run lasts.
    pub fn is_in(&self, run: u64) -> bool {
        let state = self.phase.load(Ordering::Acquire);
        state >> 2 == run && state & PHASES != IDLE
    }

    /// Notes that the run was reported.
    pub fn report(&self, run: u64) {
        self.reported.store(run, Ordering::Relaxed);
    }

    /// Nanoseconds on the clock of [`Pulse::running`].
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }
}
