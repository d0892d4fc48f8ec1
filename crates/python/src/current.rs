//! What this thread is doing: the message it routes and the worker it is.
//!
//! KSR functions are called by Python without a word about the message; they find it here. A thread of the script's own finds
//! nothing, and neither does a worker outside of a callback.

use std::cell::Cell;
use std::ptr::{null, null_mut};

use script::RouteContext;

use crate::worker::Worker;

thread_local! {
    static CONTEXT: Cell<*mut RouteContext<'static>> = const { Cell::new(null_mut()) };
    static WORKER: Cell<*const Worker> = const { Cell::new(null()) };
}

/// The context of the innermost callback that runs on this thread; null outside of callbacks.
#[inline]
pub(crate) fn context() -> *mut RouteContext<'static> {
    CONTEXT.get()
}

/// The worker attached on this thread; null on other threads.
#[inline]
pub(crate) fn worker() -> *const Worker {
    WORKER.get()
}

/// The rank of the worker attached on this thread.
pub(crate) fn rank() -> Option<i32> {
    let worker = worker();
    // SAFETY: a worker takes its pointer back before it goes.
    (!worker.is_null()).then(|| unsafe { (*worker).rank() })
}

/// Makes `worker` this thread's worker; gives the one before.
pub(crate) fn set_worker(worker: *const Worker) -> *const Worker {
    WORKER.replace(worker)
}

/// While it lives, `context` is this thread's; then the one before again. With null, KSR functions find no message.
pub(crate) struct Entered {
    before: *mut RouteContext<'static>,
}

impl Entered {
    /// Enters. The caller does not touch the context while this lives.
    #[inline]
    pub fn new(context: *mut RouteContext<'_>) -> Entered {
        Entered { before: CONTEXT.replace(context.cast()) }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CONTEXT.set(self.before);
    }
}
