//! Threads of the script: listed, and held where `threads_mode` is 0.
//!
//! A held thread is never given to the system: `Thread.start()` marks it as started and returns. So it makes no progress whatever the
//! server does, in every interpreter mode and build, and no worker and no shutdown waits for it. `guards.py` does that in the
//! interpreter; here is the list of all of them, which `kemi.threads` reads without an interpreter.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use pyo3_ffi as c;
use serde_json::{Value as Json, json};

use crate::current;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::native::{self, Call};

/// Threads kept in the list. Of more, those that ended are forgotten first, then the oldest.
const KEPT: usize = 1000;

struct ScriptThread {
    number: u64,
    name: String,
    place: String,
    /// `child_init` rank of the worker whose callback started it; `None` at import, in `mod_init` and from other threads.
    worker: Option<i32>,
    held: bool,
    ended: bool,
}

/// All threads of the process's scripts, as the interpreter is one per process.
static LIST: Mutex<VecDeque<ScriptThread>> = Mutex::new(VecDeque::new());
static STARTED: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);
/// Whether threads that are started from now on are held.
static HOLD: AtomicBool = AtomicBool::new(true);

fn list() -> MutexGuard<'static, VecDeque<ScriptThread>> {
    LIST.lock().unwrap_or_else(|e| e.into_inner())
}

/// `threads_mode` of the script that is loaded.
pub(crate) fn set_mode(threads_mode: i64) {
    HOLD.store(threads_mode == 0, Ordering::SeqCst);
}

/// Notes a thread's start; its number.
fn started(name: String, place: String, held: bool) -> u64 {
    let number = STARTED.fetch_add(1, Ordering::Relaxed) + 1;
    let worker = current::rank();
    if held {
        HELD.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "thread {name} of the script, started at {place}, does not run: threads_mode is 0; \
             modparam(\"app_python3\", \"threads_mode\", 1) lets threads run"
        );
    } else {
        tracing::debug!("thread {name} of the script started at {place}");
    }
    let mut list = list();
    if list.len() >= KEPT {
        let gone = list.iter().position(|t| t.ended).unwrap_or(0);
        list.remove(gone);
    }
    list.push_back(ScriptThread { number, name, place, worker, held, ended: false });
    number
}

fn ended(number: u64) {
    // Numbers rise, but two threads may have got here in the other order.
    if let Some(thread) = list().iter_mut().rev().find(|t| t.number == number) {
        thread.ended = true;
    }
}

/// For `kemi.threads`.
pub(crate) fn report(threads_mode: i64) -> Json {
    let list = list();
    let rows: Vec<Json> = list
        .iter()
        .filter(|t| !t.ended)
        .map(|t| {
            json!({
                "name": t.name,
                "worker": t.worker.map_or(json!("-"), |rank| json!(rank)),
                "started_at": t.place,
                "state": if t.held { "held" } else { "running" },
            })
        })
        .collect();
    json!({
        "threads_mode": threads_mode,
        "started": STARTED.load(Ordering::Relaxed),
        "held": HELD.load(Ordering::Relaxed),
        "threads": rows,
    })
}

/// Puts the guards into the interpreter this thread is attached to, before a script is imported.
pub(crate) fn guard(py: Attached<'_>, threads_mode: i64) -> Result<(), Exception> {
    let guards = native::module(py, "_trunkline_guards", include_str!("guards.py"))?;
    let functions = native::object(
        py,
        &[
            (c"started", call_started as Call),
            (c"ended", call_ended as Call),
            (c"log", native::call_log as Call),
            (c"holds", call_holds as Call),
        ],
    )?;
    guards.attr(py, c"install")?.call(py, &[&functions])?;
    if threads_mode == 1 {
        // The time a worker waits for a busy thread of the script where they share a lock; Python's default is ten times that.
        let sys = Object::import(py, c"sys")?;
        // SAFETY: attached; a new reference or null.
        let interval = unsafe { Object::new(py, c::PyFloat_FromDouble(0.0005))? };
        sys.attr(py, c"setswitchinterval")?.call(py, &[&interval])?;
    }
    Ok(())
}

native::function!(call_started, |py, args| {
    let text = |i: usize| args.get(i).map(|a: &Object| a.text(py)).unwrap_or_default();
    let held = args.get(2).and_then(|h| h.as_int(py)).is_some_and(|h| h != 0);
    Object::int(py, started(text(0), text(1), held) as i64)
});

native::function!(call_ended, |py, args| {
    if let Some(number) = args.first().and_then(|n| n.as_int(py)) {
        ended(number as u64);
    }
    Ok(Object::none(py))
});

native::function!(call_holds, |py, _args| Object::int(py, i64::from(HOLD.load(Ordering::SeqCst))));
