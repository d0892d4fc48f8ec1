//! Callbacks that take too long: reported with the place where they are stuck (`exec_warn_ms`), interrupted (`exec_kill_ms`).
//!
//! The watch thread looks at the workers' pulses when something may be due and never waits for an interpreter. What needs one, reading a
//! stack and setting an exception, is done by a thread made for it, one per worker at most: where the script is in C code that keeps
//! the interpreter's lock, that thread waits, and the watch reports without a stack.

use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use pyo3_ffi as c;
use script::{CallbackId, Core};

use crate::callbacks::WorkerCounters;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{Interpreter, ThreadState};
use crate::pulse::Pulse;
use crate::stack;

/// How long a report waits for the interpreter.
const PATIENCE: u64 = 200_000_000;
/// The longest sleep.
const SECOND: u64 = 1_000_000_000;
/// Looks at which nobody ran a callback before the watch goes to sleep.
const QUIET: u32 = 3;

/// Where the watch sleeps while no callback runs.
#[derive(Default)]
pub(crate) struct Bed {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Bed {
    /// A callback begins. A plain read, no barrier: a watch that lies down in this very moment may miss it, and sleeps a second at most.
    #[inline]
    pub fn rouse(&self) {
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
    fn sleep(&self, nothing_runs: impl FnOnce() -> bool) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if nothing_runs() {
            std::thread::park_timeout(Duration::from_nanos(SECOND));
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// Limits of one engine and the pulses of its workers.
pub(crate) struct Overruns {
    core: Arc<Core>,
    /// Nanoseconds; `None` is off.
    warn: Option<u64>,
    kill: Option<u64>,
    base: Instant,
    bed: Arc<Bed>,
    /// Workers the watch has not seen yet.
    new: Mutex<Vec<Weak<Pulse>>>,
    watched: OnceLock<()>,
}

impl Overruns {
    /// With the limits in milliseconds; 0 is off.
    pub fn new(core: Arc<Core>, warn_ms: u64, kill_ms: u64) -> Arc<Overruns> {
        let limit = |ms: u64| (ms > 0).then(|| ms.saturating_mul(1_000_000));
        Arc::new(Overruns {
            core,
            warn: limit(warn_ms),
            kill: limit(kill_ms),
            base: Instant::now(),
            bed: Arc::default(),
            new: Mutex::default(),
            watched: OnceLock::new(),
        })
    }

    /// For a new worker, on its thread; `None` when both limits are off. One that is not `mortal` is only reported.
    pub fn pulse(
        self: &Arc<Self>,
        py: Attached<'_>,
        counters: Arc<WorkerCounters>,
        interpreter: Interpreter,
        state: ThreadState,
        mortal: bool,
    ) -> Option<Arc<Pulse>> {
        let shortest = self.shortest()?;
        // What a report writes a stack with, down to what Python imports for it at the first time: that took longer than a report may.
        for module in [c"traceback", c"linecache", c"tokenize"] {
            if let Err(exception) = Object::import(py, module) {
                tracing::warn!("reports of slow callbacks will have no stack: {}", exception.summary(py));
            }
        }
        let mortal = mortal && self.kill.is_some();
        let made = Pulse::new(py, counters, interpreter, state, self.base, self.bed.clone(), mortal);
        let pulse = match made {
            Ok(pulse) => Arc::new(pulse),
            Err(exception) => {
                tracing::warn!("callbacks that take too long are not noticed: {}", exception.summary(py));
                return None;
            }
        };
        self.new.lock().unwrap_or_else(|e| e.into_inner()).push(Arc::downgrade(&pulse));
        self.watched.get_or_init(|| {
            let (all, bed) = (Arc::downgrade(self), self.bed.clone());
            let thread = std::thread::Builder::new().name("script".into());
            if let Err(e) = thread.spawn(move || watch(&all, &bed, shortest)) {
                tracing::warn!("callbacks that take too long are not noticed: no thread: {e}");
            }
        });
        Some(pulse)
    }

    fn shortest(&self) -> Option<u64> {
        [self.warn, self.kill].into_iter().flatten().min()
    }
}

/// The life of the watch; it ends with the engine.
fn watch(all: &Weak<Overruns>, bed: &Bed, shortest: u64) {
    bed.thread.get_or_init(std::thread::current);
    let mut rows: Vec<Row> = Vec::new();
    let mut quiet = 0;
    loop {
        let Some(overruns) = all.upgrade() else { return };
        let new = std::mem::take(&mut *overruns.new.lock().unwrap_or_else(|e| e.into_inner()));
        rows.extend(new.into_iter().map(Row::new));
        // A run that begins after this look is not due before the shorter limit has passed.
        let mut next = shortest.min(SECOND);
        let mut busy = false;
        rows.retain_mut(|row| {
            let Some(pulse) = row.pulse.upgrade() else { return false };
            let (soonest, active) = row.look(&overruns, &pulse);
            next = next.min(soonest);
            busy |= active;
            true
        });
        drop(overruns);
        quiet = if busy { 0 } else { quiet + 1 };
        if quiet < QUIET {
            std::thread::park_timeout(Duration::from_nanos(next.max(100_000)));
        } else {
            let idle = |row: &Row| row.pulse.upgrade().is_none_or(|p| p.running().is_none());
            bed.sleep(|| rows.iter().all(idle));
        }
    }
}

/// What the watch knows of a worker.
struct Row {
    pulse: Weak<Pulse>,
    run: u64,
    warned: bool,
    strikes: u64,
    report: Option<Arc<Report>>,
}

impl Row {
    fn new(pulse: Weak<Pulse>) -> Row {
        Row { pulse, run: 0, warned: false, strikes: 0, report: None }
    }

    /// Does what is due; nanoseconds until something may be, and whether the worker ran a callback since the last look.
    fn look(&mut self, all: &Overruns, pulse: &Arc<Pulse>) -> (u64, bool) {
        let now = pulse.now();
        let mut soonest = u64::MAX;
        self.report.take_if(|r| r.done.load(Ordering::Acquire));
        if let Some(report) = self.report.as_ref().filter(|r| !r.told.load(Ordering::Relaxed)) {
            let waited = now.saturating_sub(report.since);
            if waited >= PATIENCE {
                report.without_stack(&all.core);
            } else {
                soonest = PATIENCE - waited;
            }
        }
        let Some((run, began)) = pulse.running() else { return (soonest, self.report.is_some()) };
        let age = now.saturating_sub(began);
        if run != self.run {
            (self.run, self.warned, self.strikes) = (run, false, 0);
        }
        let warn = all.warn.is_some_and(|limit| !self.warned && age >= limit);
        let kill = all.kill.is_some_and(|limit| age / limit > self.strikes);
        if warn || kill {
            self.warned |= warn;
            let first = kill && self.strikes == 0;
            self.strikes = all.kill.map_or(0, |limit| age / limit);
            self.due(all, pulse, Due { run, began, now, warn, kill, first });
            if self.report.is_some() {
                soonest = soonest.min(PATIENCE);
            }
        }
        if let Some(limit) = all.warn.filter(|_| !self.warned) {
            soonest = soonest.min(limit.saturating_sub(age));
        }
        if let Some(limit) = all.kill {
            soonest = soonest.min(limit.saturating_mul(self.strikes + 1).saturating_sub(age));
        }
        (soonest, true)
    }

    fn due(&mut self, all: &Overruns, pulse: &Arc<Pulse>, due: Due) {
        if let Some(report) = &self.report {
            // It still waits for the interpreter: what it comes for then may be more, but not less.
            if report.run == due.run {
                report.first.fetch_or(due.first, Ordering::Relaxed);
                report.strike.fetch_or(due.kill, Ordering::AcqRel);
                return;
            }
        }
        let report = Arc::new(Report {
            pulse: pulse.clone(),
            run: due.run,
            began: due.began,
            callback: pulse.counters.running.load(Ordering::Relaxed),
            since: due.now,
            told: AtomicBool::new(!due.warn),
            strike: AtomicBool::new(due.kill),
            first: AtomicBool::new(due.first),
            done: AtomicBool::new(false),
        });
        if self.report.is_some() {
            return report.without_stack(&all.core);
        }
        let (core, theirs) = (all.core.clone(), report.clone());
        let thread = std::thread::Builder::new().name("script report".into());
        match thread.spawn(move || theirs.make(&core)) {
            Ok(_) => self.report = Some(report),
            Err(e) => {
                tracing::error!("a callback takes too long, and there is no thread to look at it: {e}");
                report.without_stack(&all.core);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Due {
    run: u64,
    began: u64,
    now: u64,
    warn: bool,
    kill: bool,
    /// The first strike of this run.
    first: bool,
}

/// One look into an interpreter.
struct Report {
    pulse: Arc<Pulse>,
    run: u64,
    began: u64,
    /// Its id + 1.
    callback: u32,
    since: u64,
    /// Whether the run was reported, or need not be. Who sets it writes the line.
    told: AtomicBool,
    strike: AtomicBool,
    /// Whether the strike is the first of this run.
    first: AtomicBool,
    done: AtomicBool,
}

impl Report {
    /// On a thread of its own: it may wait for the interpreter for as long as the script pleases.
    fn make(&self, core: &Core) {
        match ThreadState::of(self.pulse.interpreter) {
            Ok(state) => {
                state.with(|py| self.attached(py, core));
                state.delete();
            }
            Err(e) => tracing::error!("a callback takes too long, and nobody can look at it: {e}"),
        }
        self.done.store(true, Ordering::Release);
    }

    fn attached(&self, py: Attached<'_>, core: &Core) {
        if !self.pulse.is_in(self.run) {
            return self.without_stack(core);
        }
        if !self.told.load(Ordering::Relaxed) {
            match stack::of(py, &self.pulse, self.run) {
                Some(stack) => self.tell(core, &format!(", it is here:\n{stack}")),
                None => self.without_stack(core),
            }
        }
        if self.strike.load(Ordering::Acquire) {
            match timeout_class(py) {
                Ok(class) => {
                    if self.pulse.strike(py, self.run, &class) && self.first.load(Ordering::Relaxed) {
                        self.log(core, " and is interrupted (exec_kill_ms)");
                    }
                }
                Err(exception) => tracing::error!("no exception to strike with: {}", exception.summary(py)),
            }
        }
    }

    fn without_stack(&self, core: &Core) {
        if self.pulse.is_in(self.run) {
            self.tell(
                core,
                "; its Python stack cannot be read: the interpreter's lock could not be had for 200 ms, so this callback, or another \
                 thread of the same interpreter, is in C code that keeps it",
            );
        } else {
            self.tell(core, ", and ended before anybody could look at it");
        }
    }

    fn tell(&self, core: &Core, what: &str) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.pulse.report(self.run);
            self.log(core, what);
        }
    }

    fn log(&self, core: &Core, what: &str) {
        let ms = self.pulse.now().saturating_sub(self.began) / 1_000_000;
        let name = self.callback.checked_sub(1).map(|id| core.callbacks.name(CallbackId::new(id)));
        let (name, rank) = (name.as_deref().unwrap_or("?"), self.pulse.counters.rank);
        tracing::warn!("callback {name} of worker {rank} has been running for {ms} ms{what}");
    }
}

const TIMEOUT: &CStr = c"KSR.x.Timeout";

/// What ends a callback past `exec_kill_ms`: one class per interpreter, the same for every script that is loaded into it. Not an
/// `Exception`, so that a script's `except Exception` does not keep it.
pub(crate) fn timeout_class(py: Attached<'_>) -> Result<Object, Exception> {
    // SAFETY: attached; the dict is borrowed from the interpreter, or null when there is no memory; the name is a str; what the dict
    // gives is borrowed, and counted before anything else runs.
    unsafe {
        let kept = Object::borrowed(py, c::PyInterpreterState_GetDict(c::PyInterpreterState_Get()));
        if let Some(kept) = &kept
            && let Some(class) =
                kept.attr(py, c"get")?.call(py, &[&Object::str(py, TIMEOUT.to_bytes())?]).ok()
            && !class.is_none(py)
        {
            return Ok(class);
        }
        let class = Object::new(
            py,
            c::PyErr_NewExceptionWithDoc(
                TIMEOUT.as_ptr(),
                c"The callback ran longer than exec_kill_ms.".as_ptr(),
                c::PyExc_BaseException,
                null_mut(),
            ),
        )?;
        match kept {
            // Two threads may have got here at once: both get the one that was first.
            Some(kept) => {
                let name = Object::str(py, TIMEOUT.to_bytes())?;
                kept.attr(py, c"setdefault")?.call(py, &[&name, &class])
            }
            None => Ok(class),
        }
    }
}

/// Whether the exception is that.
pub(crate) fn is_timeout(py: Attached<'_>, exception: &Exception) -> bool {
    // SAFETY: a live class.
    timeout_class(py).is_ok_and(|class| unsafe { exception.is(py, class.as_ptr()) })
}
