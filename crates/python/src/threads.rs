//! Threads of the script: listed, and held where `threads_mode` is 0.
//!
//! A held thread is never given to the system: `Thread.start()` marks it as started and returns. So it makes no progress whatever the
//! server does, in every interpreter mode and build, and no worker and no shutdown waits for it. `guards.py` does that in the
//! interpreter; here is the list of all of them, which `kemi.threads` reads without an interpreter.

use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use pyo3_ffi as c;
use serde_json::{Value as Json, json};

use crate::current;
use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};

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

const GUARDS: &str = include_str!("guards.py");

/// Puts the guards into the interpreter this thread is attached to, before a script is imported.
pub(crate) fn guard(py: Attached<'_>, threads_mode: i64) -> Result<(), Exception> {
    let modules = Object::import(py, c"sys")?.attr(py, c"modules")?;
    let name = Object::str(py, b"_trunkline_guards")?;
    let known = modules.attr(py, c"get")?.call(py, &[&name])?;
    let guards = if known.is_none(py) {
        let made = Object::module(py, "_trunkline_guards", "<trunkline guards>", GUARDS)?;
        made.attr(py, c"install")?.call(py, &[&native(py)?])?;
        made
    } else {
        known
    };
    if threads_mode == 1 {
        // The time a worker waits for a busy thread of the script where they share a lock; Python's default is ten times that.
        let sys = Object::import(py, c"sys")?;
        // SAFETY: attached; a new reference or null.
        let interval = unsafe { Object::new(py, c::PyFloat_FromDouble(0.0005))? };
        sys.attr(py, c"setswitchinterval")?.call(py, &[&interval])?;
    }
    drop(guards);
    Ok(())
}

/// The object with the functions that `guards.py` calls.
fn native(py: Attached<'_>) -> Result<Object, Exception> {
    let types = Object::import(py, c"types")?;
    let object = types.attr(py, c"SimpleNamespace")?.call(py, &[])?;
    for (name, function) in [
        (c"started", call_started as Call),
        (c"ended", call_ended as Call),
        (c"log", call_log as Call),
        (c"holds", call_holds as Call),
    ] {
        let definition = c::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunctionFast: function },
            ml_flags: c::METH_FASTCALL,
            ml_doc: null_mut(),
        };
        // CPython keeps a pointer to it; made once per interpreter, which live as long as the process.
        let definition = Box::leak(Box::new(definition));
        // SAFETY: attached; a new reference or null.
        let function = unsafe { Object::new(py, c::PyCFunction_NewEx(definition, null_mut(), null_mut()))? };
        object.set(py, &name.to_string_lossy(), &function)?;
    }
    Ok(object)
}

type Call = unsafe extern "C" fn(*mut c::PyObject, *mut *mut c::PyObject, c::Py_ssize_t) -> *mut c::PyObject;

/// The arguments of a call, each counted.
///
/// # Safety
/// Attached; `count` live arguments.
unsafe fn arguments(py: Attached<'_>, args: *mut *mut c::PyObject, count: c::Py_ssize_t) -> Vec<Object> {
    // SAFETY: by contract.
    unsafe {
        let args = if count == 0 { &[][..] } else { std::slice::from_raw_parts(args, count as usize) };
        args.iter().filter_map(|a| Object::borrowed(py, *a)).collect()
    }
}

fn give(result: Result<Object, Exception>) -> *mut c::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(exception) => {
            exception.raise();
            null_mut()
        }
    }
}

unsafe extern "C" fn call_started(
    _: *mut c::PyObject,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: CPython calls functions attached and with `count` live arguments.
    unsafe {
        let py = Attached::assume();
        let args = arguments(py, args, count);
        let text = |i: usize| args.get(i).map(|a: &Object| a.text(py)).unwrap_or_default();
        let held = args.get(2).and_then(|h| h.as_int(py)).is_some_and(|h| h != 0);
        let number = started(text(0), text(1), held);
        give(Object::int(py, number as i64))
    }
}

unsafe extern "C" fn call_ended(
    _: *mut c::PyObject,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: as above.
    unsafe {
        let py = Attached::assume();
        if let Some(number) = arguments(py, args, count).first().and_then(|n| n.as_int(py)) {
            ended(number as u64);
        }
        Object::none(py).into_ptr()
    }
}

unsafe extern "C" fn call_log(
    _: *mut c::PyObject,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: as above.
    unsafe {
        let py = Attached::assume();
        let args = arguments(py, args, count);
        let text = args.get(1).map(|a| a.text(py)).unwrap_or_default();
        match args.first().map(|a| a.text(py)).as_deref() {
            Some("error") => tracing::error!("{text}"),
            _ => tracing::warn!("{text}"),
        }
        Object::none(py).into_ptr()
    }
}

unsafe extern "C" fn call_holds(
    _: *mut c::PyObject,
    _: *mut *mut c::PyObject,
    _: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: attached; True and False live for ever and are counted.
    unsafe {
        let value = if HOLD.load(Ordering::SeqCst) { c::Py_True() } else { c::Py_False() };
        c::Py_INCREF(value);
        value
    }
}
