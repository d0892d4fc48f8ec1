//! What a script raised: fetched at once, classified, and printed with its traceback.

use pyo3_ffi as c;

use crate::ffi::{Attached, Object};

/// An exception taken from the interpreter (nothing is pending any more).
pub(crate) struct Exception {
    value: Object,
}

impl Exception {
    /// Takes the pending exception. When nothing is pending, that is an error of ours and becomes a `SystemError`.
    pub fn fetch(py: Attached<'_>) -> Exception {
        if let Some(value) = raised(py) {
            return Exception { value };
        }
        // SAFETY: attached; sets an exception that is taken by the next line.
        unsafe { c::PyErr_SetString(c::PyExc_SystemError, c"error without an exception".as_ptr()) };
        Exception { value: raised(py).unwrap_or_else(|| Object::none(py)) }
    }
    /// One that Python code caught.
    pub fn of(value: Object) -> Exception {
        Exception { value }
    }
    /// The exception object.
    pub fn value(&self) -> &Object {
        &self.value
    }
    /// Makes it the pending exception again, for a C function that reports it to Python.
    pub fn raise(self) {
        // SAFETY: an Exception exists only while attached; the value is an exception object (or None, which PyErr_SetObject turns
        // into a SystemError of its own).
        unsafe {
            let value = self.value.as_ptr();
            c::PyErr_SetObject(c::Py_TYPE(value).cast(), value);
        }
    }
    /// `isinstance(self, class)`.
    ///
    /// # Safety
    /// `class` is a live type or tuple of types, or null (never an instance of it).
    pub unsafe fn is(&self, _: Attached<'_>, class: *mut c::PyObject) -> bool {
        // SAFETY: attached; `class` by contract.
        !class.is_null() && unsafe { c::PyErr_GivenExceptionMatches(self.value.as_ptr(), class) != 0 }
    }
    /// `sys.exit()`, `exit()`, `KSR.x.exit()`, `KSR.x.drop()`.
    pub fn is_exit(&self, py: Attached<'_>) -> bool {
        // SAFETY: a static type of the interpreter.
        unsafe { self.is(py, c::PyExc_SystemExit) }
    }
    /// The last line of a traceback: `NameError: name 'x' is not defined`.
    pub fn summary(&self, py: Attached<'_>) -> String {
        let class = self.value.class(py).find(py, "__name__").map(|n| n.text(py)).unwrap_or_default();
        let text = self.value.text(py);
        if text.is_empty() { class } else { format!("{class}: {text}") }
    }
    /// The whole traceback as Python prints it, without the last line end.
    pub fn traceback(&self, py: Attached<'_>) -> String {
        match self.format(py) {
            Ok(text) => text.trim_end().to_owned(),
            // Formatting runs Python code and may fail itself (a __str__ that raises, no memory, deep recursion).
            Err(_) => self.summary(py),
        }
    }
    fn format(&self, py: Attached<'_>) -> Result<String, Exception> {
        let module = Object::import(py, c"traceback")?;
        let none = Object::none(py);
        // SAFETY: attached; a new reference, or null when there is no traceback.
        let traceback = unsafe { Object::new_or_none(py, c::PyException_GetTraceback(self.value.as_ptr())) };
        let lines = module
            .attr(py, c"format_exception")?
            .call(py, &[&self.value.class(py), &self.value, traceback.as_ref().unwrap_or(&none)])?;
        Ok(lines.items(py)?.iter().map(|line| line.text(py)).collect())
    }
    /// The exception and what led to it (`__cause__`, `__context__`), outermost first; bounded.
    pub fn chain(&self, py: Attached<'_>) -> Vec<Object> {
        let mut all = vec![self.value.clone_ref(py)];
        while let Some(last) = all.last().filter(|_| all.len() < 32) {
            let next = ["__cause__", "__context__"]
                .iter()
                .find_map(|name| last.find(py, name).filter(|o| !o.is_none(py)));
            match next {
                Some(next) => all.push(next),
                None => break,
            }
        }
        all
    }
    /// The extension module that refused to be loaded into an interpreter with a lock of its own, if that is what happened.
    /// The module is `?` when Python does not name it.
    pub fn refused_module(&self, py: Attached<'_>) -> Option<String> {
        let mut other = None;
        for link in self.chain(py) {
            // SAFETY: a static type of the interpreter.
            let is_import =
                unsafe { c::PyErr_GivenExceptionMatches(link.as_ptr(), c::PyExc_ImportError) != 0 };
            if !is_import {
                continue;
            }
            let text = link.text(py);
            if let Some(rest) = text.strip_prefix("module ")
                && let Some((name, _)) = rest.split_once(" does not support loading in subinterpreters")
            {
                return Some(name.to_owned());
            }
            // Others refuse in words of their own (numpy: "cannot load module more than once per process").
            let name = link.find(py, "name").filter(|n| !n.is_none(py)).map(|n| n.text(py));
            let missing =
                link.class(py).find(py, "__name__").is_some_and(|n| n.text(py) == "ModuleNotFoundError");
            if !missing {
                other = other.or(Some(name.unwrap_or_else(|| "?".into())));
            }
        }
        other
    }
}

#[cfg(Py_3_12)]
fn raised(py: Attached<'_>) -> Option<Object> {
    // SAFETY: attached; a new reference or null.
    unsafe { Object::new_or_none(py, c::PyErr_GetRaisedException()) }
}

#[cfg(not(Py_3_12))]
fn raised(py: Attached<'_>) -> Option<Object> {
    use std::ptr::null_mut;
    // SAFETY: attached; the three references are new or null, normalising keeps that so.
    unsafe {
        let (mut class, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
        c::PyErr_Fetch(&mut class, &mut value, &mut traceback);
        if class.is_null() {
            return None;
        }
        c::PyErr_NormalizeException(&mut class, &mut value, &mut traceback);
        drop(Object::new_or_none(py, class));
        let value = Object::new_or_none(py, value);
        if let (Some(value), Some(traceback)) = (&value, Object::new_or_none(py, traceback)) {
            c::PyException_SetTraceback(value.as_ptr(), traceback.as_ptr());
        }
        value
    }
}

impl Object {
    /// Takes over a new reference; null is `None` and no exception.
    ///
    /// # Safety
    /// `pointer` is a new reference or null.
    unsafe fn new_or_none(_: Attached<'_>, pointer: *mut c::PyObject) -> Option<Object> {
        // SAFETY: the reference is ours by contract.
        std::ptr::NonNull::new(pointer).map(|p| unsafe { Object::from_ptr(p) })
    }
}

/// Where the script is right now: `route.py:12`, or empty outside of Python code.
pub(crate) fn location(py: Attached<'_>) -> String {
    // SAFETY: attached; the frame is borrowed and alive while its code runs; the code object is a new reference.
    unsafe {
        let frame = c::PyEval_GetFrame();
        if frame.is_null() {
            return String::new();
        }
        let line = c::PyFrame_GetLineNumber(frame);
        let code = Object::new_or_none(py, c::PyFrame_GetCode(frame).cast());
        let file = code.and_then(|code| code.find(py, "co_filename")).map(|f| f.text(py)).unwrap_or_default();
        format!("{file}:{line}")
    }
}

/// The name of the running `threading.Thread`.
pub(crate) fn thread_name(py: Attached<'_>) -> String {
    let name = || {
        let threading = Object::import(py, c"threading")?;
        let thread = threading.attr(py, c"current_thread")?.call(py, &[])?;
        Ok::<_, Exception>(thread.attr(py, c"name")?.text(py))
    };
    name().unwrap_or_else(|_| "?".into())
}
