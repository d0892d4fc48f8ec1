//! Values between Python and KSR functions.

use pyo3_ffi as c;
use script::{Arg, Core, Format, Param, ParamKind, Pv, Value};

use crate::current;
use crate::ffi::{Attached, Object, bytes_of};
use crate::literals::Literals;
use crate::worker::Worker;

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

/// Things made for one call that its arguments borrow from. Most calls need none.
#[derive(Default)]
pub(crate) struct Temporaries(Option<Box<Made>>);

#[derive(Default)]
#[allow(clippy::vec_box)] // arguments point to the values, which must not move when the vector grows
struct Made {
    objects: Vec<Object>,
    pvs: Vec<Box<Pv>>,
    formats: Vec<Box<Format>>,
}

impl Temporaries {
    #[cold]
    fn made(&mut self) -> &mut Made {
        self.0.get_or_insert_default()
    }
}

/// Converts one argument to what the row wants, in place: the hot path moves it once.
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
    out: &mut Arg<'a>,
) -> Result<(), Box<Refusal>> {
    // SAFETY: attached, `object` alive (contract); the text lives as long as the object or as `temporaries`.
    unsafe {
        match param.kind {
            ParamKind::Int => *out = Arg::Int(integer(py, object, texts)?),
            ParamKind::Str => *out = Arg::Str(text(py, object, temporaries)?),
            ParamKind::Rest if c::PyLong_Check(object) != 0 => *out = Arg::Int(integer(py, object, false)?),
            ParamKind::Rest => *out = Arg::Str(text(py, object, temporaries)?),
            ParamKind::Pv => {
                let worker = current::worker();
                let known = if worker.is_null() { None } else { (*(*worker).pvs.get()).find(object) };
                let pv = match known {
                    Some(pv) => pv,
                    None => parsed(
                        py,
                        object,
                        temporaries,
                        |w| w.pvs.get(),
                        |m| &mut m.pvs,
                        |text| core.registry.parse_pv(text),
                    )?,
                };
                *out = Arg::Pv(&*pv);
            }
            ParamKind::Format => {
                let worker = current::worker();
                let known = if worker.is_null() { None } else { (*(*worker).formats.get()).find(object) };
                let format = match known {
                    Some(format) => format,
                    None => parsed(
                        py,
                        object,
                        temporaries,
                        |w| w.formats.get(),
                        |m| &mut m.formats,
                        |text| core.registry.parse_format(text),
                    )?,
                };
                *out = Arg::Format(&*format);
            }
        }
    }
    Ok(())
}

/// A text that is not known by its string object: found by its text, or parsed.
///
/// # Safety
/// As [`argument`]; the result is good for as long as an argument.
#[cold]
#[allow(clippy::vec_box)]
unsafe fn parsed<T>(
    py: Attached<'_>,
    object: *mut c::PyObject,
    temporaries: &mut Temporaries,
    cache: fn(&Worker) -> *mut Literals<T>,
    own: fn(&mut Made) -> &mut Vec<Box<T>>,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<*const T, Box<Refusal>> {
    // SAFETY: attached, `object` alive; the worker is this thread's, and its caches are touched by nobody else: parsing runs no Python
    // code.
    unsafe {
        let text = text(py, object, temporaries)?;
        let parse = || parse(text).map_err(|why| Box::new(Refusal::Text(lossy(text), why)));
        let worker = current::worker();
        if worker.is_null() {
            let own = own(temporaries.made());
            own.push(Box::new(parse()?));
            // Boxed, so it does not move while the call's temporaries live.
            return Ok(own.last().map_or(std::ptr::null(), |last| &raw const **last));
        }
        let cache = &mut *cache(&*worker);
        let found = match cache.find_text(text) {
            Some(found) => found,
            None => cache.insert_text(py, text, parse()?, (*worker).is_nested()),
        };
        if is_literal(object) {
            cache.insert_string(py, object, found);
        }
        Ok(found)
    }
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
unsafe fn integer(py: Attached<'_>, object: *mut c::PyObject, texts: bool) -> Result<i64, Box<Refusal>> {
    // SAFETY: attached and alive; the type is checked before the conversion.
    unsafe {
        if c::PyLong_Check(object) != 0 {
            let mut overflow = 0;
            let value = c::PyLong_AsLongLongAndOverflow(object, &mut overflow);
            return if overflow == 0 { Ok(value) } else { Err(Box::new(Refusal::Range)) };
        }
        if texts
            && let Some(number) = Object::borrowed(py, object)
            && let Ok(number) = number.text(py).trim().parse()
        {
            return Ok(number);
        }
        Err(Box::new(Refusal::Type(type_name(py, object))))
    }
}

/// # Safety
/// As [`argument`].
#[inline]
unsafe fn text<'a>(
    py: Attached<'_>,
    object: *mut c::PyObject,
    temporaries: &mut Temporaries,
) -> Result<&'a [u8], Box<Refusal>> {
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
                .map_err(|_| Box::new(Refusal::Type("str with characters that have no UTF-8 form".into())))?;
            let bytes: *const [u8] = bytes_of(&encoded);
            temporaries.made().objects.push(encoded);
            return Ok(&*bytes);
        }
        if c::PyBytes_Check(object) != 0 {
            let data = c::PyBytes_AsString(object);
            return Ok(std::slice::from_raw_parts(data.cast(), c::PyBytes_Size(object) as usize));
        }
        Err(Box::new(Refusal::Type(type_name(py, object))))
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
