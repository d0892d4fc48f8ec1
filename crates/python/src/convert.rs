//! Values between Python and KSR functions.

use pyo3_ffi as c;
use script::{Arg, Core, Format, Param, ParamKind, Pv, Value};

use crate::current;
use crate::ffi::{Attached, Object, bytes_of};

/// Why an argument was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not the kind of value the parameter takes; the Python type that came.
    Type(String),
    /// An integer beyond 64 bits.
    Range,
    /// Text that does not parse as a pseudo-variable or format; the text and why.
    Text(String, String),
}

/// Things made for one call that its arguments borrow from.
#[derive(Default)]
#[allow(clippy::vec_box)] // arguments point to the values, which must not move when the vector grows
pub(crate) struct Temporaries {
    objects: Vec<Object>,
    pvs: Vec<Box<Pv>>,
    formats: Vec<Box<Format>>,
}

/// One argument as the row wants it.
///
/// # Safety
/// Attached; `object` is alive, and stays so, as do `temporaries`, for as long as the argument is used. `texts`: numbers may come
/// as text (`msg.call_function`).
#[inline]
pub(crate) unsafe fn argument<'a>(
    py: Attached<'_>,
    core: &Core,
    param: &Param,
    object: *mut c::PyObject,
    temporaries: &mut Temporaries,
    texts: bool,
) -> Result<Arg<'a>, Refusal> {
    // SAFETY: attached, `object` alive (contract); the text lives as long as the object or as `temporaries`.
    unsafe {
        match param.kind {
            ParamKind::Int => integer(py, object, texts).map(Arg::Int),
            ParamKind::Str => text(py, object, temporaries).map(Arg::Str),
            ParamKind::Rest if c::PyLong_Check(object) != 0 => integer(py, object, false).map(Arg::Int),
            ParamKind::Rest => text(py, object, temporaries).map(Arg::Str),
            ParamKind::Pv => {
                let worker = current::worker();
                if !worker.is_null()
                    && let Some(pv) = (*(*worker).pvs.get()).find(object)
                {
                    return Ok(Arg::Pv(&*pv));
                }
                let text = text(py, object, temporaries)?;
                let parse = || core.registry.parse_pv(text).map_err(|why| Refusal::Text(lossy(text), why));
                if worker.is_null() {
                    return Ok(Arg::Pv(kept(&mut temporaries.pvs, parse()?)));
                }
                let cache = &mut *(*worker).pvs.get();
                let pv = match cache.find_text(text) {
                    Some(pv) => pv,
                    None => cache.insert_text(py, text, parse()?, (*worker).is_nested()),
                };
                if is_literal(object) {
                    cache.insert_string(py, object, pv);
                }
                Ok(Arg::Pv(&*pv))
            }
            ParamKind::Format => {
                let worker = current::worker();
                if !worker.is_null()
                    && let Some(format) = (*(*worker).formats.get()).find(object)
                {
                    return Ok(Arg::Format(&*format));
                }
                let text = text(py, object, temporaries)?;
                let parse =
                    || core.registry.parse_format(text).map_err(|why| Refusal::Text(lossy(text), why));
                if worker.is_null() {
                    return Ok(Arg::Format(kept(&mut temporaries.formats, parse()?)));
                }
                let cache = &mut *(*worker).formats.get();
                let format = match cache.find_text(text) {
                    Some(format) => format,
                    None => cache.insert_text(py, text, parse()?, (*worker).is_nested()),
                };
                if is_literal(object) {
                    cache.insert_string(py, object, format);
                }
                Ok(Arg::Format(&*format))
            }
        }
    }
}

#[allow(clippy::vec_box)]
fn kept<'a, T>(all: &mut Vec<Box<T>>, value: T) -> &'a T {
    all.push(Box::new(value));
    let last: *const T = match all.last() {
        Some(last) => &raw const **last,
        None => unreachable!("pushed above"),
    };
    // SAFETY: boxed, so it does not move while `all` (the call's temporaries) lives, and arguments do not outlive the call.
    unsafe { &*last }
}

/// Whether somebody besides the call itself holds the string: then it is likely a literal and worth remembering. A string just made
/// (an f-string) would only fill the table.
///
/// # Safety
/// `object` is alive.
unsafe fn is_literal(object: *mut c::PyObject) -> bool {
    // SAFETY: alive by contract. Subclasses of str are left out: dropping them may run Python code.
    unsafe { c::PyUnicode_CheckExact(object) != 0 && c::Py_REFCNT(object) > 1 }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// # Safety
/// Attached; `object` is alive.
#[inline]
unsafe fn integer(py: Attached<'_>, object: *mut c::PyObject, texts: bool) -> Result<i64, Refusal> {
    // SAFETY: attached and alive; the type is checked before the conversion.
    unsafe {
        if c::PyLong_Check(object) != 0 {
            let mut overflow = 0;
            let value = c::PyLong_AsLongLongAndOverflow(object, &mut overflow);
            return if overflow == 0 { Ok(value) } else { Err(Refusal::Range) };
        }
        if texts
            && let Some(number) = Object::borrowed(py, object)
            && let Ok(number) = number.text(py).trim().parse()
        {
            return Ok(number);
        }
        Err(Refusal::Type(type_name(py, object)))
    }
}

/// # Safety
/// As [`argument`].
#[inline]
unsafe fn text<'a>(
    py: Attached<'_>,
    object: *mut c::PyObject,
    temporaries: &mut Temporaries,
) -> Result<&'a [u8], Refusal> {
    // SAFETY: attached and alive. The UTF-8 form belongs to the string object and lives as long; `bytes` do not change; an encoded
    // copy is kept by `temporaries`.
    unsafe {
        if c::PyUnicode_Check(object) != 0 {
            let mut size = 0;
            let data = c::PyUnicode_AsUTF8AndSize(object, &mut size);
            if !data.is_null() {
                return Ok(std::slice::from_raw_parts(data.cast(), size as usize));
            }
            // Bytes of the wire that are not UTF-8 came in as lone surrogates; they go out as they came.
            c::PyErr_Clear();
            let encoded =
                c::PyUnicode_AsEncodedString(object, c"utf-8".as_ptr(), c"surrogateescape".as_ptr());
            let encoded = Object::new(py, encoded)
                .map_err(|_| Refusal::Type("str with characters that have no UTF-8 form".into()))?;
            let bytes: *const [u8] = bytes_of(&encoded);
            temporaries.objects.push(encoded);
            return Ok(&*bytes);
        }
        if c::PyBytes_Check(object) != 0 {
            let data = c::PyBytes_AsString(object);
            return Ok(std::slice::from_raw_parts(data.cast(), c::PyBytes_Size(object) as usize));
        }
        Err(Refusal::Type(type_name(py, object)))
    }
}

/// # Safety
/// `object` is alive.
unsafe fn type_name(py: Attached<'_>, object: *mut c::PyObject) -> String {
    // SAFETY: alive by contract.
    let object = unsafe { Object::borrowed(py, object) };
    object.and_then(|o| o.class(py).find(py, "__name__")).map(|n| n.text(py)).unwrap_or_default()
}

/// A result for Python: a new reference, or null with an exception set (no memory).
#[inline]
pub(crate) fn to_python(py: Attached<'_>, value: Value<'_>) -> *mut c::PyObject {
    // SAFETY: attached; singletons are counted, constructors give new references or null.
    unsafe {
        match value {
            Value::Str(text) => c::PyUnicode_DecodeUTF8(
                text.as_ptr().cast(),
                text.len() as c::Py_ssize_t,
                c"surrogateescape".as_ptr(),
            ),
            Value::Int(number) => c::PyLong_FromLongLong(number),
            Value::Bool(true) => counted(c::Py_True()),
            Value::Bool(false) => counted(c::Py_False()),
            Value::Null => counted(c::Py_None()),
            Value::List(_) | Value::Map(_) => collection(py, value),
        }
    }
}

/// # Safety
/// `object` is alive.
#[inline]
pub(crate) unsafe fn counted(object: *mut c::PyObject) -> *mut c::PyObject {
    // SAFETY: alive by contract.
    unsafe { c::Py_INCREF(object) };
    object
}

/// Lists and dicts. Making one may start a garbage collection, which may run Python code, which may call KSR functions: while the
/// value is borrowed from the context, that code finds no context.
fn collection(py: Attached<'_>, value: Value<'_>) -> *mut c::PyObject {
    let _entered = current::Entered::new(std::ptr::null_mut());
    let object = |value| {
        // SAFETY: `to_python` gives a new reference or null with an exception.
        unsafe { Object::new(py, to_python(py, value)) }
    };
    let made = || {
        // SAFETY: attached; each slot of the new list is filled once, with a reference of its own.
        unsafe {
            match value {
                Value::List(items) => {
                    let list = Object::new(py, c::PyList_New(0))?;
                    for item in items {
                        c::PyList_Append(list.as_ptr(), object(item)?.as_ptr());
                    }
                    Ok(list)
                }
                Value::Map(items) => {
                    let dict = Object::new(py, c::PyDict_New())?;
                    for (key, item) in items {
                        let key = Object::str(py, &key)?;
                        c::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), object(item)?.as_ptr());
                    }
                    Ok(dict)
                }
                other => object(other),
            }
        }
    };
    match made() {
        Ok(made) => made.into_ptr(),
        Err(exception) => {
            let exception: crate::exceptions::Exception = exception;
            exception.raise();
            std::ptr::null_mut()
        }
    }
}
