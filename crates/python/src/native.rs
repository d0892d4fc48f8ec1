//! Functions of the engine that its own Python modules call.

use std::ffi::CStr;
use std::ptr::null_mut;

use pyo3_ffi as c;

use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};

/// A function as CPython calls it.
pub(crate) type Call =
    unsafe extern "C" fn(*mut c::PyObject, *mut *mut c::PyObject, c::Py_ssize_t) -> *mut c::PyObject;

/// An object with these functions.
pub(crate) fn object(py: Attached<'_>, functions: &[(&'static CStr, Call)]) -> Result<Object, Exception> {
    let types = Object::import(py, c"types")?;
    let object = types.attr(py, c"SimpleNamespace")?.call(py, &[])?;
    for (name, function) in functions {
        let definition = c::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunctionFast: *function },
            ml_flags: c::METH_FASTCALL,
            ml_doc: null_mut(),
        };
        // CPython keeps a pointer to it; made once or twice per interpreter, which live as long as the process.
        let definition = Box::leak(Box::new(definition));
        // SAFETY: attached; a new reference or null.
        let function = unsafe { Object::new(py, c::PyCFunction_NewEx(definition, null_mut(), null_mut()))? };
        object.set(py, &name.to_string_lossy(), &function)?;
    }
    Ok(object)
}

/// A module of ours, made when the interpreter has it not yet. Others see it when it is complete: workers that share an interpreter may
/// ask for it at the same time.
pub(crate) fn module(py: Attached<'_>, name: &str, source: &str) -> Result<Object, Exception> {
    let key = Object::str(py, name.as_bytes())?;
    let modules = Object::import(py, c"sys")?.attr(py, c"modules")?;
    let known = modules.attr(py, c"get")?.call(py, &[&key])?;
    if !known.is_none(py) {
        return Ok(known);
    }
    let builtins = Object::import(py, c"builtins")?;
    let file = Object::str(py, format!("<trunkline {name}>").as_bytes())?;
    let code = builtins
        .attr(py, c"compile")?
        .call(py, &[&Object::str(py, source.as_bytes())?, &file, &Object::str(py, b"exec")?])?;
    let made = Object::import(py, c"types")?.attr(py, c"ModuleType")?.call(py, &[&key])?;
    builtins.attr(py, c"exec")?.call(py, &[&code, &made.attr(py, c"__dict__")?])?;
    modules.attr(py, c"setdefault")?.call(py, &[&key, &made])
}

/// The arguments of a call, each counted.
///
/// # Safety
/// Attached; `count` live arguments.
pub(crate) unsafe fn arguments(
    py: Attached<'_>,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> Vec<Object> {
    // SAFETY: by contract.
    unsafe {
        let args = if count == 0 { &[][..] } else { std::slice::from_raw_parts(args, count as usize) };
        args.iter().filter_map(|a| Object::borrowed(py, *a)).collect()
    }
}

/// The result of a call, an exception raised again.
pub(crate) fn give(result: Result<Object, Exception>) -> *mut c::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(exception) => {
            exception.raise();
            null_mut()
        }
    }
}

/// `function!(name, |py, args| body)`: a function that CPython calls. A panic in it is logged and becomes `None`.
macro_rules! function {
    ($name:ident, |$py:ident, $args:ident| $body:expr) => {
        pub(crate) unsafe extern "C" fn $name(
            _: *mut pyo3_ffi::PyObject,
            args: *mut *mut pyo3_ffi::PyObject,
            count: pyo3_ffi::Py_ssize_t,
        ) -> *mut pyo3_ffi::PyObject {
            // SAFETY: CPython calls functions attached and with `count` live arguments.
            let ($py, $args) = unsafe {
                let py = $crate::ffi::Attached::assume();
                (py, $crate::native::arguments(py, args, count))
            };
            let body = || -> Result<$crate::ffi::Object, $crate::exceptions::Exception> { $body };
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
                Ok(result) => $crate::native::give(result),
                Err(_) => {
                    tracing::error!("{} failed inside. Please report this", stringify!($name));
                    $crate::native::give(Ok($crate::ffi::Object::none($py)))
                }
            }
        }
    };
}
pub(crate) use function;

function!(call_log, |py, args| {
    let text = args.get(1).map(|a| a.text(py)).unwrap_or_default();
    match args.first().map(|a| a.text(py)).as_deref() {
        Some("error") => tracing::error!("{text}"),
        _ => tracing::warn!("{text}"),
    }
    Ok(Object::none(py))
});
