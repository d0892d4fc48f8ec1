//! The Python stack of another thread, while that thread goes on.

use pyo3_ffi as c;

use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::pulse::Pulse;

/// Innermost frames that are shown.
const SHOWN: usize = 60;

/// A frame: its code, and the line it is in.
struct Frame {
    code: Object,
    line: i32,
}

/// The stack of a worker's thread while it is in this run, of the interpreter the caller is attached to: outermost frame first, as a
/// traceback prints it. Empty when the thread runs no Python code, `None` when the run is over.
///
/// `sys._current_frames()` is no help: it makes frame objects for the threads of all interpreters, under the lock of one.
pub(crate) fn of(py: Attached<'_>, pulse: &Pulse, run: u64) -> Option<String> {
    let (mut frames, more) = collect(py, pulse, run)?;
    frames.reverse();
    let mut text = if more { "  (outer frames left out)\n".to_owned() } else { String::new() };
    text.push_str(&format(py, &frames).unwrap_or_else(|_| plain(py, &frames)));
    text.truncate(text.trim_end().len());
    Some(text)
}

/// Innermost frames first, and whether there are more.
type Frames = (Vec<Frame>, bool);

/// With a lock around the interpreter the thread stands still while this runs, as nothing in here gives the lock away.
#[cfg(not(Py_GIL_DISABLED))]
fn collect(py: Attached<'_>, pulse: &Pulse, run: u64) -> Option<Frames> {
    let _no_finalizers = NoCollection::new(py);
    // SAFETY: attached; the worker needs the lock to go on or to end its run.
    pulse.is_in(run).then(|| unsafe { walk(py, pulse) })
}

/// Before 3.12 making an object may collect garbage, whose finalizers are Python code that gives the lock away.
#[cfg(not(Py_GIL_DISABLED))]
struct NoCollection {
    #[cfg(all(Py_3_10, not(Py_3_12)))]
    was_on: bool,
}

#[cfg(not(Py_GIL_DISABLED))]
impl NoCollection {
    fn new(_: Attached<'_>) -> NoCollection {
        NoCollection {
            // SAFETY: attached.
            #[cfg(all(Py_3_10, not(Py_3_12)))]
            was_on: unsafe { c::PyGC_Disable() } != 0,
        }
    }
}

#[cfg(not(Py_GIL_DISABLED))]
impl Drop for NoCollection {
    fn drop(&mut self) {
        #[cfg(all(Py_3_10, not(Py_3_12)))]
        if self.was_on {
            // SAFETY: attached: it lives for the length of `collect`.
            unsafe { c::PyGC_Enable() };
        }
    }
}

/// Without the lock the thread would change its frames meanwhile. The one place where CPython stops all threads and calls others is its
/// visit of the heap: the walk is made at the first object, and then the visit ends.
#[cfg(Py_GIL_DISABLED)]
fn collect(_: Attached<'_>, pulse: &Pulse, run: u64) -> Option<Frames> {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn PyUnstable_GC_VisitObjects(
            callback: unsafe extern "C" fn(*mut c::PyObject, *mut c_void) -> c_int,
            arg: *mut c_void,
        );
    }
    struct Visit<'a> {
        pulse: &'a Pulse,
        run: u64,
        found: Option<Frames>,
    }
    unsafe extern "C" fn visit(_: *mut c::PyObject, arg: *mut c_void) -> c_int {
        // SAFETY: `arg` is the Visit below, used by nobody else during the call; the calling thread is attached and the others are
        // stopped, so the worker cannot end its run.
        unsafe {
            let visit = &mut *arg.cast::<Visit<'_>>();
            if visit.pulse.is_in(visit.run) {
                visit.found = Some(walk(Attached::assume(), visit.pulse));
            }
        }
        0
    }
    let mut all = Visit { pulse, run, found: None };
    // SAFETY: attached; `all` outlives the call.
    unsafe { PyUnstable_GC_VisitObjects(visit, (&raw mut all).cast()) };
    all.found
}

/// # Safety
/// Attached to the worker's interpreter; the worker is in a run and does not go on meanwhile.
unsafe fn walk(py: Attached<'_>, pulse: &Pulse) -> Frames {
    let mut frames = Vec::with_capacity(SHOWN);
    // SAFETY: by contract.
    let mut next = unsafe { pulse.state.frame(py) };
    while let Some(frame) = next.take() {
        if frames.len() == SHOWN {
            return (frames, true);
        }
        let pointer = frame.as_ptr().cast::<c::PyFrameObject>();
        // SAFETY: by contract a frame; PyFrame_GetCode gives a new reference, PyFrame_GetBack a new one or null, without an exception.
        unsafe {
            let line = c::PyFrame_GetLineNumber(pointer);
            if let Ok(code) = Object::new(py, c::PyFrame_GetCode(pointer).cast()) {
                frames.push(Frame { code, line });
            }
            next = std::ptr::NonNull::new(c::PyFrame_GetBack(pointer).cast()).map(|p| Object::from_ptr(p));
        }
    }
    (frames, false)
}

fn place(py: Attached<'_>, frame: &Frame) -> [String; 2] {
    ["co_filename", "co_name"].map(|name| frame.code.find(py, name).map(|n| n.text(py)).unwrap_or_default())
}

/// As Python prints a traceback, with the lines of the source.
fn format(py: Attached<'_>, frames: &[Frame]) -> Result<String, Exception> {
    // SAFETY: attached; a new list or null.
    let list = unsafe { Object::new(py, c::PyList_New(0))? };
    let append = list.attr(py, c"append")?;
    let tuple = Object::import(py, c"builtins")?.attr(py, c"tuple")?;
    for frame in frames {
        let [file, name] = place(py, frame);
        // SAFETY: as above.
        let row = unsafe { Object::new(py, c::PyList_New(0))? };
        let add = row.attr(py, c"append")?;
        let line = Object::int(py, i64::from(frame.line))?;
        for part in
            [&Object::str(py, file.as_bytes())?, &line, &Object::str(py, name.as_bytes())?, &Object::none(py)]
        {
            add.call(py, &[part])?;
        }
        append.call(py, &[&tuple.call(py, &[&row])?])?;
    }
    let lines = Object::import(py, c"traceback")?.attr(py, c"format_list")?.call(py, &[&list])?;
    Ok(lines.items(py)?.iter().map(|line| line.text(py)).collect())
}

/// When even that fails.
fn plain(py: Attached<'_>, frames: &[Frame]) -> String {
    let line = |frame: &Frame| {
        let [file, name] = place(py, frame);
        format!("  File \"{file}\", line {}, in {name}\n", frame.line)
    };
    frames.iter().map(line).collect()
}
