//! The `KSR` module: one object per KSR module, one built-in function per row of the registry.
//!
//! All functions are one C function, [`trampoline`]; the row it stands for hangs on the function's `self`. The hot path of a script
//! goes through here, so it allocates nothing: arguments are borrowed from Python's objects, pseudo-variables are found parsed,
//! results become Python objects straight from the message's bytes.

use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::{Arc, RwLock};

use pyo3_ffi as c;
use script::{Arg, Core, Function, Module, ParamKind, Returns, RouteContext, Value};

use crate::convert::{Refusal, Temporaries, argument, counted, to_python};
use crate::exceptions::{Exception, location, thread_name};
use crate::ffi::{Attached, Object};
use crate::{current, msg, outside, overrun};

/// More parameters than any function of Kamailio has.
const MAX_PARAMS: usize = 12;

/// What a function raises after it did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raises {
    Nothing,
    /// `KSR.x.exit()`
    Exit,
    /// `KSR.x.drop()`
    Drop,
}

/// A row with the module instance it belongs to, and what CPython wants to know about it.
pub(crate) struct Bound {
    pub function: &'static Function,
    module: Arc<dyn Module>,
    core: Arc<Core>,
    raises: Raises,
    /// Parameters that must be given.
    required: usize,
    /// Whether further arguments are taken.
    rest: bool,
    /// Whether the interpreter is released around it.
    waits: bool,
    /// CPython keeps a pointer to it.
    definition: UnsafeCell<c::PyMethodDef>,
    _name: CString,
    _doc: CString,
}

// SAFETY: the definition is read by CPython and never written after it was made; the rest is Sync by its types.
unsafe impl Sync for Bound {}
// SAFETY: as above; the strings it points to are owned by the same value.
unsafe impl Send for Bound {}

/// The rows that a `KSR` module made from now on will have. Built-in functions point to them for ever, so they are never freed;
/// this happens once per loaded script, not per reload of it.
static ROWS: RwLock<&'static [Bound]> = RwLock::new(&[]);

/// Binds the registry's rows.
pub(crate) fn bind(core: &Arc<Core>) {
    let rows: Vec<Bound> = core
        .registry
        .functions()
        // Where two rows have one name the registry's first counts.
        .filter(|(_, f)| {
            core.registry.function(f.object, f.name).is_some_and(|(_, first)| std::ptr::eq(first, *f))
        })
        .filter_map(|(m, f)| Bound::new(core, m, f))
        .collect();
    *ROWS.write().unwrap_or_else(|e| e.into_inner()) = rows.leak();
}

fn rows() -> &'static [Bound] {
    *ROWS.read().unwrap_or_else(|e| e.into_inner())
}

impl Bound {
    fn new(core: &Arc<Core>, module: &Arc<dyn Module>, function: &'static Function) -> Option<Bound> {
        if function.params.len() > MAX_PARAMS {
            tracing::error!("{} has too many parameters and is left out", function.path());
            return None;
        }
        let name = CString::new(function.name).ok()?;
        let rest = function.params.last().is_some_and(|p| p.kind == ParamKind::Rest);
        let required = function.params.len() - usize::from(rest);
        let parameters: Vec<String> = function
            .params
            .iter()
            .enumerate()
            .map(|(i, p)| if i < required { p.name.to_owned() } else { format!("*{}", p.name) })
            .collect();
        // The first line is what `inspect.signature` reads.
        let mut signature = parameters;
        if required > 0 {
            signature.insert(required, "/".into());
        }
        let doc = format!("{}({})\n--\n\n{}", function.name, signature.join(", "), function.doc.trim());
        let doc = CString::new(doc.replace('\0', " ")).ok()?;
        let definition = c::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunctionFast: trampoline },
            ml_flags: c::METH_FASTCALL,
            ml_doc: doc.as_ptr(),
        };
        let raises = match (function.object, function.name) {
            ("x", "exit") => Raises::Exit,
            ("x", "drop") => Raises::Drop,
            _ => Raises::Nothing,
        };
        Some(Bound {
            function,
            waits: module.waits(function),
            module: module.clone(),
            core: core.clone(),
            raises,
            required,
            rest,
            definition: UnsafeCell::new(definition),
            _name: name,
            _doc: doc,
        })
    }
}

/// The `self` of a KSR function.
#[repr(C)]
struct RowObject {
    base: c::PyObject,
    bound: &'static Bound,
    /// The exception class it raises, or null. Never freed: rows live as long as their interpreter.
    raises: *mut c::PyObject,
}

// ---- the call ----------------------------------------------------------------------------------------------------------

/// Every KSR function.
unsafe extern "C" fn trampoline(
    this: *mut c::PyObject,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: CPython calls this attached, with the `self` the function was made with and `count` live arguments.
    unsafe {
        // Only the fields that never change: the object's head is Python's, and other threads count in it.
        let row = this.cast::<RowObject>();
        let (bound, raises) = ((*row).bound, (*row).raises);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let args = if count == 0 { &[][..] } else { std::slice::from_raw_parts(args, count as usize) };
            call(Attached::assume(), bound, args, false)
        }));
        match result {
            Ok(value) if raises.is_null() => value,
            Ok(value) => {
                c::Py_XDECREF(value);
                c::PyErr_SetNone(raises);
                null_mut()
            }
            Err(_) => {
                tracing::error!(
                    "{} failed inside; it returned False. Please report this",
                    bound.function.path()
                );
                counted(c::Py_False())
            }
        }
    }
}

/// Calls a row with Python arguments. Never raises but for want of memory. `texts`: numbers may come as text.
///
/// # Safety
/// Attached; the arguments are alive.
#[inline]
pub(crate) unsafe fn call(
    py: Attached<'_>,
    bound: &'static Bound,
    args: &[*mut c::PyObject],
    texts: bool,
) -> *mut c::PyObject {
    // Most functions take nothing, or one or two arguments: those get an array that just fits.
    // SAFETY: by contract.
    unsafe {
        match bound.required {
            _ if bound.rest => call_rest(py, bound, args, texts),
            0 => finish(py, bound, &[]),
            1 => call_with::<1>(py, bound, args, texts),
            2 => call_with::<2>(py, bound, args, texts),
            3 => call_with::<3>(py, bound, args, texts),
            4 => call_with::<4>(py, bound, args, texts),
            5 => call_with::<5>(py, bound, args, texts),
            6 => call_with::<6>(py, bound, args, texts),
            _ => call_rest(py, bound, args, texts),
        }
    }
}

/// A function of `N` parameters. Too many arguments are ignored, as in Kamailio.
///
/// # Safety
/// As [`call`].
#[inline]
unsafe fn call_with<const N: usize>(
    py: Attached<'_>,
    bound: &'static Bound,
    args: &[*mut c::PyObject],
    texts: bool,
) -> *mut c::PyObject {
    let function = bound.function;
    let (Some(objects), Some(params)) = (args.first_chunk::<N>(), function.params.first_chunk::<N>()) else {
        return refuse_count(py, bound, args.len());
    };
    let mut temporaries = Temporaries::default();
    let mut values = [Arg::Int(0); N];
    for i in 0..N {
        // SAFETY: the arguments are alive for the whole call, and the values do not outlive it.
        let converted = unsafe {
            argument(py, &bound.core, &params[i], objects[i], &mut temporaries, texts, &mut values[i])
        };
        if let Err(refusal) = converted {
            return refuse(py, function, i, args, *refusal);
        }
    }
    finish(py, bound, &values)
}

/// A function that takes further arguments, or very many.
///
/// # Safety
/// As [`call`].
unsafe fn call_rest(
    py: Attached<'_>,
    bound: &'static Bound,
    args: &[*mut c::PyObject],
    texts: bool,
) -> *mut c::PyObject {
    let function = bound.function;
    let count = if bound.rest { args.len() } else { bound.required };
    if args.len() < bound.required || count > MAX_PARAMS {
        return refuse_count(py, bound, args.len());
    }
    let mut temporaries = Temporaries::default();
    let mut values = [Arg::Int(0); MAX_PARAMS];
    for (i, (value, object)) in values.iter_mut().zip(args).take(count).enumerate() {
        let Some(param) = function.params.get(i).or(function.params.last()) else { break };
        // SAFETY: the arguments are alive for the whole call, and the values do not outlive it.
        let converted = unsafe { argument(py, &bound.core, param, *object, &mut temporaries, texts, value) };
        if let Err(refusal) = converted {
            return refuse(py, function, i, args, *refusal);
        }
    }
    finish(py, bound, values.get(..count).unwrap_or_default())
}

/// Calls the row on this thread's message.
#[inline]
fn finish(py: Attached<'_>, bound: &'static Bound, values: &[Arg<'_>]) -> *mut c::PyObject {
    let function = bound.function;
    let context = current::context();
    if context.is_null() {
        return call_outside(py, bound, values);
    }
    // SAFETY: the pointer was set by the callback that runs on this thread, from a unique reference that nobody uses until the
    // callback returns; nested callbacks set their own.
    let context: &mut RouteContext<'_> = unsafe { &mut *context };
    if bound.waits {
        let value = released(|| (function.call)(&*bound.module, context, values));
        return to_python(py, value);
    }
    to_python(py, (function.call)(&*bound.module, context, values))
}

/// Runs `f` with the interpreter released.
fn released<R>(f: impl FnOnce() -> R) -> R {
    let worker = current::worker();
    // SAFETY: attached. A worker pointer is good while its worker is attached on this thread. A thread of the script detaches the
    // state it came with, and attaches it again.
    unsafe {
        if worker.is_null() {
            let state = c::PyEval_SaveThread();
            let result = catch_unwind(AssertUnwindSafe(f));
            c::PyEval_RestoreThread(state);
            return result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        (*worker).release();
        let result = catch_unwind(AssertUnwindSafe(f));
        (*worker).reacquire();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Without a message: `mod_init`, `child_init`, threads of the script.
#[cold]
fn call_outside(py: Attached<'_>, bound: &'static Bound, values: &[Arg<'_>]) -> *mut c::PyObject {
    let function = bound.function;
    if function.needs_message {
        tracing::error!(
            "{} needs a SIP message and was called outside of a callback, in thread {} ({}); it returned False",
            function.path(),
            thread_name(py),
            location(py)
        );
        return answer(py, &Value::Bool(false));
    }
    let result = outside::with(&bound.core, |context| {
        let value = if bound.waits {
            released(|| (function.call)(&*bound.module, context, values))
        } else {
            (function.call)(&*bound.module, context, values)
        };
        to_python(py, value)
    });
    result.unwrap_or_else(|| answer(py, &Value::Bool(false)))
}

fn answer(py: Attached<'_>, value: &Value<'_>) -> *mut c::PyObject {
    to_python(py, value.clone())
}

#[cold]
fn refuse_count(py: Attached<'_>, bound: &Bound, count: usize) -> *mut c::PyObject {
    let function = bound.function;
    let names: Vec<&str> = function.params.iter().map(|p| p.name).collect();
    tracing::error!(
        "{} takes {}{} arguments ({}), got {count}, at {}; it returned False",
        function.path(),
        if bound.rest { "at least " } else { "" },
        bound.required,
        names.join(", "),
        location(py)
    );
    answer(py, &Value::Bool(false))
}

#[cold]
fn refuse(
    py: Attached<'_>,
    function: &Function,
    index: usize,
    args: &[*mut c::PyObject],
    refusal: Refusal,
) -> *mut c::PyObject {
    use ParamKind::*;
    let (name, kind) = function.params.get(index).map_or(("?", Str), |p| (p.name, p.kind));
    let wanted = match kind {
        Int => "an int",
        Rest => "an int or a str",
        Str => "a str",
        Pv => "the name of a pseudo-variable",
        Format => "a str with pseudo-variables",
    };
    let path = function.path();
    let number = index + 1;
    match refusal {
        Refusal::Type(got) => {
            tracing::error!(
                "{path}: argument {number} ({name}) must be {wanted}, got {got}, at {}; it returned False",
                location(py)
            )
        }
        Refusal::Range => {
            tracing::error!(
                "{path}: argument {number} ({name}) does not fit 64 bits, at {}; it returned False",
                location(py)
            )
        }
        Refusal::Text(text, why) => {
            tracing::error!("{path}: argument {number} ({name}) {text:?}: {why}, at {}", location(py));
            return unknown_pv(py, function, args);
        }
    }
    answer(py, &Value::Bool(false))
}

/// What Kamailio's functions give for a pseudo-variable that does not exist: as if it were null.
fn unknown_pv(py: Attached<'_>, function: &Function, args: &[*mut c::PyObject]) -> *mut c::PyObject {
    let value = match (function.object, function.name) {
        ("pv", "is_null") => Value::Bool(true),
        ("pv", "gete") => Value::str(b""),
        ("pv", "getw") => Value::str(b"<null>"),
        ("pv", "getvs" | "getvn") => {
            return match args.get(1) {
                // SAFETY: the caller's argument is alive.
                Some(default) => unsafe { counted(*default) },
                None => answer(py, &Value::Null),
            };
        }
        _ => match function.returns {
            Returns::Int => Value::Int(-1),
            Returns::Bool => Value::Bool(false),
            Returns::None | Returns::Xval => Value::Null,
        },
    };
    answer(py, &value)
}

/// The row that has this name in the native route language; with that many parameters if there are several.
pub(crate) fn by_cfg_name(name: &str, count: usize) -> Option<&'static Bound> {
    let named = || rows().iter().filter(|b| b.function.cfg.contains(&name));
    named().find(|b| b.function.params.len() == count).or_else(|| named().next())
}

// ---- the module --------------------------------------------------------------------------------------------------------

/// What `import KSR` calls first.
#[allow(non_snake_case)]
pub(crate) unsafe extern "C" fn PyInit_KSR() -> *mut c::PyObject {
    // SAFETY: the definition is static; CPython writes its own bookkeeping into it, under its own locks.
    unsafe { c::PyModuleDef_Init(&raw mut DEFINITION) }
}

static mut DEFINITION: c::PyModuleDef = c::PyModuleDef {
    m_base: c::PyModuleDef_HEAD_INIT,
    m_name: c"KSR".as_ptr(),
    m_doc: c"Kamailio's KEMI interface, provided by Trunkline.".as_ptr(),
    m_size: 0,
    m_methods: null_mut(),
    m_slots: (&raw mut SLOTS).cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

#[cfg(Py_3_13)]
static mut SLOTS: [c::PyModuleDef_Slot; 4] = [
    c::PyModuleDef_Slot { slot: c::Py_mod_exec, value: execute as *mut c_void },
    c::PyModuleDef_Slot {
        slot: c::Py_mod_multiple_interpreters,
        value: c::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
    },
    c::PyModuleDef_Slot { slot: c::Py_mod_gil, value: c::Py_MOD_GIL_NOT_USED },
    c::PyModuleDef_Slot { slot: 0, value: null_mut() },
];

#[cfg(all(Py_3_12, not(Py_3_13)))]
static mut SLOTS: [c::PyModuleDef_Slot; 3] = [
    c::PyModuleDef_Slot { slot: c::Py_mod_exec, value: execute as *mut c_void },
    c::PyModuleDef_Slot {
        slot: c::Py_mod_multiple_interpreters,
        value: c::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
    },
    c::PyModuleDef_Slot { slot: 0, value: null_mut() },
];

#[cfg(not(Py_3_12))]
static mut SLOTS: [c::PyModuleDef_Slot; 2] = [
    c::PyModuleDef_Slot { slot: c::Py_mod_exec, value: execute as *mut c_void },
    c::PyModuleDef_Slot { slot: 0, value: null_mut() },
];

/// Fills a new `KSR` module, in whichever interpreter it is imported.
unsafe extern "C" fn execute(module: *mut c::PyObject) -> c_int {
    // SAFETY: CPython calls this attached, with the new module.
    let filled = unsafe {
        let py = Attached::assume();
        Object::borrowed(py, module).map_or(Ok(()), |module| fill(py, &module))
    };
    match filled {
        Ok(()) => 0,
        Err(exception) => {
            exception.raise();
            -1
        }
    }
}

fn fill(py: Attached<'_>, ksr: &Object) -> Result<(), Exception> {
    let row_type = row_type(py)?;
    ksr.set(py, "__version__", &Object::str(py, b"1.0")?)?;
    ksr.set(py, "_Message", &msg::make_type(py)?)?;
    let mut objects: HashMap<&str, Object> = HashMap::new();
    objects.insert("", ksr.clone_ref(py));
    let x = submodule(py, ksr, "x")?;
    // Derived from SystemExit, so that they pass through a script's `except Exception`.
    let exit = exception_class(py, "KSR.x.Exit")?;
    let drop = exception_class(py, "KSR.x.Drop")?;
    x.set(py, "Exit", &exit)?;
    x.set(py, "Drop", &drop)?;
    x.set(py, "Timeout", &overrun::timeout_class(py)?)?;
    objects.insert("x", x);
    for bound in rows() {
        let object = match objects.entry(bound.function.object) {
            std::collections::hash_map::Entry::Occupied(e) => e.into_mut(),
            std::collections::hash_map::Entry::Vacant(e) => {
                let name = *e.key();
                e.insert(submodule(py, ksr, name)?)
            }
        };
        let raises = match bound.raises {
            Raises::Nothing => None,
            Raises::Exit => Some(&exit),
            Raises::Drop => Some(&drop),
        };
        object.set(py, bound.function.name, &function(py, &row_type, bound, raises, object)?)?;
    }
    Ok(())
}

fn submodule(py: Attached<'_>, ksr: &Object, name: &str) -> Result<Object, Exception> {
    let full = Object::str(py, format!("KSR.{name}").as_bytes())?;
    // SAFETY: attached; a new reference or null.
    let module = unsafe { Object::new(py, c::PyModule_NewObject(full.as_ptr()))? };
    // `async` is a keyword, so scripts reach it by getattr(KSR, "async").
    ksr.set(py, name, &module)?;
    Ok(module)
}

fn exception_class(py: Attached<'_>, name: &str) -> Result<Object, Exception> {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: attached; a new reference or null.
    unsafe { Object::new(py, c::PyErr_NewException(name.as_ptr(), c::PyExc_SystemExit, null_mut())) }
}

fn function(
    py: Attached<'_>,
    row_type: &Object,
    bound: &'static Bound,
    raises: Option<&Object>,
    object: &Object,
) -> Result<Object, Exception> {
    let module = object.attr(py, c"__name__")?;
    // SAFETY: attached. The allocated object has the layout of RowObject (its type's basicsize) and its fields are set before
    // anything can see it. The method definition lives for ever.
    unsafe {
        let row = Object::new(py, c::PyType_GenericAlloc(row_type.as_ptr().cast(), 0))?;
        let fields = row.as_ptr().cast::<RowObject>();
        (&raw mut (*fields).bound).write(bound);
        (&raw mut (*fields).raises).write(raises.map_or(null_mut(), |class| class.clone_ref(py).into_ptr()));
        Object::new(py, c::PyCFunction_NewEx(bound.definition.get(), row.as_ptr(), module.as_ptr()))
    }
}

fn row_type(py: Attached<'_>) -> Result<Object, Exception> {
    let mut slots = [
        c::PyType_Slot { slot: c::Py_tp_dealloc, pfunc: free_row as *mut c_void },
        c::PyType_Slot { slot: 0, pfunc: null_mut() },
    ];
    let mut spec = c::PyType_Spec {
        name: c"KSR.row".as_ptr(),
        basicsize: size_of::<RowObject>() as c_int,
        itemsize: 0,
        flags: c::Py_TPFLAGS_DEFAULT as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: attached; the specification is copied (its name is static).
    unsafe { Object::new(py, c::PyType_FromSpec(&mut spec)) }
}

/// Frees an object of a heap type without members of its own.
pub(crate) unsafe extern "C" fn free_row(object: *mut c::PyObject) {
    // SAFETY: called by CPython once, when the last reference is gone; instances of heap types own one reference to their type.
    unsafe {
        let class = c::Py_TYPE(object);
        c::PyObject_Free(object.cast());
        c::Py_DECREF(class.cast());
    }
}
