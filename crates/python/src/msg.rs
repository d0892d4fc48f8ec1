//! The `msg` object that callbacks get: a window on the message, closed when the callback returns.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3_ffi as c;
use script::RouteContext;

use crate::exceptions::Exception;
use crate::ffi::{Attached, Object, bytes_of};
use crate::{current, ksr};

/// `msg`.
#[repr(C)]
pub(crate) struct MessageObject {
    base: c::PyObject,
    /// The context it shows; null when its callback is over. Only compared with the thread's own context, never followed: a
    /// message kept too long, or used by another thread, is refused.
    context: AtomicPtr<RouteContext<'static>>,
}

impl MessageObject {
    /// A new, closed one.
    pub fn make(py: Attached<'_>, class: &Object) -> Result<Object, Exception> {
        // SAFETY: attached; zeroed memory of the type's size is a valid MessageObject (a null context).
        unsafe { Object::new(py, c::PyType_GenericAlloc(class.as_ptr().cast(), 0)) }
    }
    /// Opens it on a context, or closes it (null).
    ///
    /// # Safety
    /// `message` was made by [`MessageObject::make`].
    pub unsafe fn show(message: *mut c::PyObject, context: *mut RouteContext<'static>) {
        // SAFETY: by contract.
        unsafe { (*message.cast::<MessageObject>()).context.store(context, Relaxed) }
    }
}

/// The context of an open message object, on the thread that runs its callback; otherwise raises and gives `None`.
///
/// # Safety
/// Attached; `this` is a message object. The reference is used before anything else runs on the context.
unsafe fn context<'a>(this: *mut c::PyObject) -> Option<&'a mut RouteContext<'static>> {
    // SAFETY: the thread's own context is valid while its callback runs, and the pointer is that one.
    unsafe {
        let shown = (*this.cast::<MessageObject>()).context.load(Relaxed);
        let own = current::context();
        if own.is_null() || shown != own {
            let why = if shown.is_null() {
                c"this msg is no longer valid: the callback that got it has returned"
            } else {
                c"this msg belongs to another thread or to an outer callback"
            };
            c::PyErr_SetString(c::PyExc_RuntimeError, why.as_ptr());
            return None;
        }
        Some(&mut *own)
    }
}

fn give(py: Attached<'_>, text: &[u8]) -> *mut c::PyObject {
    raised(Object::str(py, text))
}

fn raised(result: Result<Object, Exception>) -> *mut c::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(exception) => {
            exception.raise();
            null_mut()
        }
    }
}

fn runtime_error(text: &std::ffi::CStr) -> *mut c::PyObject {
    // SAFETY: called from getters and methods, which CPython calls attached.
    unsafe { c::PyErr_SetString(c::PyExc_RuntimeError, text.as_ptr()) };
    null_mut()
}

/// A getter: attached, `this` is a message object (CPython checks), closure unused.
macro_rules! getter {
    ($name:ident, |$py:ident, $ctx:ident| $body:expr) => {
        unsafe extern "C" fn $name(this: *mut c::PyObject, _: *mut c_void) -> *mut c::PyObject {
            // SAFETY: CPython calls getters attached and with an object of their type.
            unsafe {
                let $py = Attached::assume();
                match context(this) {
                    Some($ctx) => $body,
                    None => null_mut(),
                }
            }
        }
    };
}

getter!(kind, |py, ctx| give(py, if ctx.message.is_request() { b"SIP_REQUEST" } else { b"SIP_REPLY" }));
getter!(method, |py, ctx| if ctx.message.is_request() {
    give(py, ctx.message.method_text())
} else {
    runtime_error(c"msg.Method: this is a reply")
});
getter!(status, |py, ctx| if ctx.message.is_request() {
    runtime_error(c"msg.Status: this is a request")
} else {
    give(py, ctx.message.status().to_string().as_bytes())
});
getter!(ruri, |py, ctx| if ctx.message.is_request() {
    give(py, ctx.message.request_uri())
} else {
    runtime_error(c"msg.RURI: this is a reply")
});
getter!(source, |py, ctx| address(py, ctx.inbound.source));
getter!(destination, |py, ctx| address(py, ctx.inbound.local));

fn address(py: Attached<'_>, address: std::net::SocketAddr) -> *mut c::PyObject {
    let ip = Object::str(py, address.ip().to_string().as_bytes());
    let port = Object::int(py, i64::from(address.port()));
    match (ip, port) {
        // SAFETY: attached; PyTuple_Pack counts its own references.
        (Ok(ip), Ok(port)) => unsafe { c::PyTuple_Pack(2, ip.as_ptr(), port.as_ptr()) },
        (Err(exception), _) | (_, Err(exception)) => raised(Err(exception)),
    }
}

unsafe extern "C" fn copy(this: *mut c::PyObject, _: *mut c::PyObject) -> *mut c::PyObject {
    // SAFETY: CPython calls methods attached and with an object of their type. A copy is open as long as the original: it is closed
    // by comparison with the thread's context only, so it must be told apart; it shows the same context object.
    unsafe {
        let py = Attached::assume();
        if context(this).is_none() {
            return null_mut();
        }
        let worker = current::worker();
        let Some(class) = Object::borrowed(py, c::Py_TYPE(this).cast()) else { return null_mut() };
        let made = MessageObject::make(py, &class);
        if let Ok(made) = &made {
            MessageObject::show(made.as_ptr(), current::context());
            if !worker.is_null() {
                (*worker).close_later(made.clone_ref(py));
            }
        }
        raised(made)
    }
}

/// One text argument, as bytes.
///
/// # Safety
/// Attached; `object` is alive.
unsafe fn text(py: Attached<'_>, object: *mut c::PyObject) -> Option<Vec<u8>> {
    // SAFETY: attached and alive; results are checked.
    unsafe {
        if c::PyUnicode_Check(object) == 0 {
            c::PyErr_SetString(c::PyExc_TypeError, c"a str is expected".as_ptr());
            return None;
        }
        let encoded = c::PyUnicode_AsEncodedString(object, c"utf-8".as_ptr(), c"surrogateescape".as_ptr());
        match Object::new(py, encoded) {
            Ok(bytes) => Some(bytes_of(&bytes).to_vec()),
            Err(exception) => {
                exception.raise();
                None
            }
        }
    }
}

unsafe extern "C" fn rewrite_ruri(this: *mut c::PyObject, uri: *mut c::PyObject) -> *mut c::PyObject {
    // SAFETY: CPython calls methods attached and with an object of their type.
    unsafe {
        let py = Attached::assume();
        let Some(uri) = text(py, uri) else { return null_mut() };
        let Some(ctx) = context(this) else { return null_mut() };
        if !ctx.message.is_request() {
            return runtime_error(c"msg.rewrite_ruri: this is a reply");
        }
        ctx.target.uri = uri;
        Object::none(py).into_ptr()
    }
}

unsafe extern "C" fn set_dst_uri(this: *mut c::PyObject, uri: *mut c::PyObject) -> *mut c::PyObject {
    // SAFETY: CPython calls methods attached and with an object of their type.
    unsafe {
        let py = Attached::assume();
        let Some(uri) = text(py, uri) else { return null_mut() };
        let Some(ctx) = context(this) else { return null_mut() };
        if !ctx.message.is_request() {
            return runtime_error(c"msg.set_dst_uri: this is a reply");
        }
        ctx.target.dst_uri = uri;
        Object::none(py).into_ptr()
    }
}

unsafe extern "C" fn header(this: *mut c::PyObject, name: *mut c::PyObject) -> *mut c::PyObject {
    // SAFETY: CPython calls methods attached and with an object of their type.
    unsafe {
        let py = Attached::assume();
        let Some(name) = text(py, name) else { return null_mut() };
        let Some(ctx) = context(this) else { return null_mut() };
        let value = ctx.message.headers_by_text(&name).next().map(|h| h.value);
        value.map_or_else(|| Object::none(py).into_ptr(), |value| give(py, value))
    }
}

unsafe extern "C" fn call_function(
    this: *mut c::PyObject,
    args: *mut *mut c::PyObject,
    count: c::Py_ssize_t,
) -> *mut c::PyObject {
    // SAFETY: CPython calls methods attached, with an object of their type and `count` live arguments.
    unsafe {
        let py = Attached::assume();
        let args = if count == 0 { &[][..] } else { std::slice::from_raw_parts(args, count as usize) };
        let Some((name, args)) = args.split_first() else {
            c::PyErr_SetString(c::PyExc_TypeError, c"call_function() needs the name of a function".as_ptr());
            return null_mut();
        };
        let Some(name) = text(py, *name) else { return null_mut() };
        if context(this).is_none() {
            return null_mut();
        }
        match ksr::by_cfg_name(&String::from_utf8_lossy(&name), args.len()) {
            Some(bound) => ksr::call(py, bound, args, true),
            None => runtime_error(c"no such function"),
        }
    }
}

/// The type of `msg` in one interpreter.
pub(crate) fn make_type(py: Attached<'_>) -> Result<Object, Exception> {
    let get = |name: &'static std::ffi::CStr, get: c::getter, doc: &'static std::ffi::CStr| c::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: doc.as_ptr(),
        closure: null_mut(),
    };
    // CPython keeps pointers to both tables for as long as the type lives, which is for ever; they are made once per interpreter.
    let getters = Box::leak(Box::new([
        get(c"Type", kind, c"SIP_REQUEST or SIP_REPLY"),
        get(c"Method", method, c"Method of a request"),
        get(c"Status", status, c"Status code of a reply, as text"),
        get(c"RURI", ruri, c"Request-URI as received"),
        get(c"src_address", source, c"(address, port) of the sender"),
        get(c"dst_address", destination, c"(address, port) it was sent to"),
        // SAFETY: all zero ends the table.
        unsafe { std::mem::zeroed() },
    ]));
    let one = |name: &'static std::ffi::CStr, f: c::PyCFunction, flags, doc: &'static std::ffi::CStr| {
        c::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunction: f },
            ml_flags: flags,
            ml_doc: doc.as_ptr(),
        }
    };
    let methods = Box::leak(Box::new([
        one(c"copy", copy, c::METH_NOARGS, c"Another object for the same message"),
        one(c"rewrite_ruri", rewrite_ruri, c::METH_O, c"Sets the Request-URI"),
        one(c"set_dst_uri", set_dst_uri, c::METH_O, c"Sets the next hop"),
        one(c"getHeader", header, c::METH_O, c"Value of the first header of that name, or None"),
        c::PyMethodDef {
            ml_name: c"call_function".as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunctionFast: call_function },
            ml_flags: c::METH_FASTCALL,
            ml_doc: c"Calls a function of the native route language by its name".as_ptr(),
        },
        // SAFETY: all zero ends the table.
        unsafe { std::mem::zeroed() },
    ]));
    let mut slots = [
        c::PyType_Slot { slot: c::Py_tp_dealloc, pfunc: ksr::free_row as *mut c_void },
        c::PyType_Slot { slot: c::Py_tp_getset, pfunc: getters.as_mut_ptr().cast() },
        c::PyType_Slot { slot: c::Py_tp_methods, pfunc: methods.as_mut_ptr().cast() },
        c::PyType_Slot {
            slot: c::Py_tp_doc,
            pfunc: c"The message a callback is about".as_ptr() as *mut c_void,
        },
        c::PyType_Slot { slot: 0, pfunc: null_mut() },
    ];
    let mut spec = c::PyType_Spec {
        name: c"Router.msg".as_ptr(),
        basicsize: size_of::<MessageObject>() as c_int,
        itemsize: 0,
        flags: c::Py_TPFLAGS_DEFAULT as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: attached; the specification is copied, the tables it points to live on.
    unsafe { Object::new(py, c::PyType_FromSpec(&mut spec)) }
}
