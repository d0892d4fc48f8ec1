//! A thin, owned view of CPython's objects: references that are counted, calls that return a `Result`.
//!
//! [`Attached`] is the proof that the calling thread is attached to an interpreter; everything that touches an object asks for
//! it. [`Object`] is a strong reference. Both are bound to their thread.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;

use pyo3_ffi as c;

use crate::exceptions::Exception;

/// Proof that this thread is attached to an interpreter while `'a` lasts.
#[derive(Clone, Copy)]
pub(crate) struct Attached<'a>(PhantomData<*const &'a ()>);

impl Attached<'_> {
    /// # Safety
    /// The calling thread is attached to an interpreter for as long as the value is used.
    pub unsafe fn assume() -> Self {
        Attached(PhantomData)
    }
}

/// A strong reference to a Python object. It is made and dropped while attached to the object's interpreter.
pub(crate) struct Object(NonNull<c::PyObject>);

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the type's contract: a counted reference, dropped while attached.
        unsafe { c::Py_DECREF(self.0.as_ptr()) }
    }
}

impl Object {
    /// Takes over what a C function returned: a new reference, or null with an exception set.
    ///
    /// # Safety
    /// `pointer` is exactly that.
    pub unsafe fn new(py: Attached<'_>, pointer: *mut c::PyObject) -> Result<Object, Exception> {
        NonNull::new(pointer).map(Object).ok_or_else(|| Exception::fetch(py))
    }
    /// Counts a borrowed reference.
    ///
    /// # Safety
    /// `pointer` is a live object of the interpreter the thread is attached to.
    pub unsafe fn borrowed(_: Attached<'_>, pointer: *mut c::PyObject) -> Option<Object> {
        let pointer = NonNull::new(pointer)?;
        // SAFETY: live by contract.
        unsafe { c::Py_INCREF(pointer.as_ptr()) };
        Some(Object(pointer))
    }
    /// `None`.
    pub fn none(_: Attached<'_>) -> Object {
        // SAFETY: None lives forever; counting it is harmless on every version.
        unsafe {
            let none = c::Py_None();
            c::Py_INCREF(none);
            Object(NonNull::new_unchecked(none))
        }
    }
    /// The raw pointer, still owned by `self`.
    pub fn as_ptr(&self) -> *mut c::PyObject {
        self.0.as_ptr()
    }
    /// The raw pointer with its reference.
    pub fn into_ptr(self) -> *mut c::PyObject {
        let pointer = self.0.as_ptr();
        std::mem::forget(self);
        pointer
    }
    /// Takes a reference back that [`Object::into_ptr`] gave away.
    ///
    /// # Safety
    /// `pointer` came from `into_ptr` and was not given back yet.
    pub unsafe fn from_ptr(pointer: NonNull<c::PyObject>) -> Object {
        Object(pointer)
    }
    /// One more reference.
    pub fn clone_ref(&self, _: Attached<'_>) -> Object {
        // SAFETY: `self` keeps it alive.
        unsafe { c::Py_INCREF(self.as_ptr()) };
        Object(self.0)
    }

    /// Whether nobody else has a reference: what nobody has, nobody can get. `self` was made by this thread.
    pub fn is_only_reference(&self, _: Attached<'_>) -> bool {
        // SAFETY: a live object. Free-threaded builds count references made by the object's thread apart from those made by others,
        // and cannot be asked for both in one step, so their sum proves nothing. What is asked here is CPython's own rule: a reference
        // of another thread was either made by this one, then the first count is more than one, or by another, then the second
        // is not zero; and when the two were merged the second has a flag.
        #[cfg(Py_GIL_DISABLED)]
        unsafe {
            use std::sync::atomic::Ordering::Relaxed;
            let object = self.as_ptr();
            (*object).ob_ref_local.load(Relaxed) == 1 && (*object).ob_ref_shared.load(Relaxed) == 0
        }
        // SAFETY: a live object, and nobody else counts while this thread is attached.
        #[cfg(not(Py_GIL_DISABLED))]
        unsafe {
            c::Py_REFCNT(self.as_ptr()) == 1
        }
    }

    /// `import name`.
    pub fn import(py: Attached<'_>, name: &CStr) -> Result<Object, Exception> {
        // SAFETY: attached; a new reference or null.
        unsafe { Object::new(py, c::PyImport_ImportModule(name.as_ptr())) }
    }
    /// A `str` from UTF-8, other bytes by `surrogateescape`.
    pub fn str(py: Attached<'_>, text: &[u8]) -> Result<Object, Exception> {
        // SAFETY: the slice is valid for its length; a new reference or null.
        unsafe {
            Object::new(
                py,
                c::PyUnicode_DecodeUTF8(
                    text.as_ptr().cast(),
                    text.len() as c::Py_ssize_t,
                    c"surrogateescape".as_ptr(),
                ),
            )
        }
    }
    /// A `bytes`.
    pub fn bytes(py: Attached<'_>, text: &[u8]) -> Result<Object, Exception> {
        // SAFETY: the slice is valid for its length; a new reference or null.
        unsafe {
            Object::new(py, c::PyBytes_FromStringAndSize(text.as_ptr().cast(), text.len() as c::Py_ssize_t))
        }
    }
    /// An `int`.
    pub fn int(py: Attached<'_>, value: i64) -> Result<Object, Exception> {
        // SAFETY: attached; a new reference or null.
        unsafe { Object::new(py, c::PyLong_FromLongLong(value)) }
    }

    /// `self.name`.
    pub fn attr(&self, py: Attached<'_>, name: &CStr) -> Result<Object, Exception> {
        // SAFETY: attached; a new reference or null.
        unsafe { Object::new(py, c::PyObject_GetAttrString(self.as_ptr(), name.as_ptr())) }
    }
    /// `self.name` when it exists; any exception on the way counts as absent.
    pub fn find(&self, py: Attached<'_>, name: &str) -> Option<Object> {
        let name = CString::new(name).ok()?;
        self.attr(py, &name).ok()
    }
    /// `self.name = value`.
    pub fn set(&self, py: Attached<'_>, name: &str, value: &Object) -> Result<(), Exception> {
        let name = Object::str(py, name.as_bytes())?;
        // SAFETY: attached, live objects.
        match unsafe { c::PyObject_SetAttr(self.as_ptr(), name.as_ptr(), value.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Exception::fetch(py)),
        }
    }
    /// `self(*args)`.
    pub fn call(&self, py: Attached<'_>, args: &[&Object]) -> Result<Object, Exception> {
        // SAFETY: a tuple of the right length, each slot filled once with a reference of its own (PyTuple_SetItem takes it over).
        unsafe {
            let tuple = Object::new(py, c::PyTuple_New(args.len() as c::Py_ssize_t))?;
            for (i, arg) in args.iter().enumerate() {
                c::PyTuple_SetItem(tuple.as_ptr(), i as c::Py_ssize_t, arg.clone_ref(py).into_ptr());
            }
            Object::new(py, c::PyObject_Call(self.as_ptr(), tuple.as_ptr(), std::ptr::null_mut()))
        }
    }
    /// `callable(self)`.
    pub fn is_callable(&self, _: Attached<'_>) -> bool {
        // SAFETY: attached, live object.
        unsafe { c::PyCallable_Check(self.as_ptr()) != 0 }
    }
    /// `self is None`.
    pub fn is_none(&self, _: Attached<'_>) -> bool {
        // SAFETY: reads a constant address.
        self.as_ptr() == unsafe { c::Py_None() }
    }
    /// As an integer if it is an `int` (or `bool`) that fits.
    pub fn as_int(&self, _: Attached<'_>) -> Option<i64> {
        // SAFETY: attached, live object; the type is checked first.
        unsafe {
            if c::PyLong_Check(self.as_ptr()) == 0 {
                return None;
            }
            let mut overflow = 0;
            let value = c::PyLong_AsLongLongAndOverflow(self.as_ptr(), &mut overflow);
            (overflow == 0).then_some(value)
        }
    }
    /// `str(self)` for people: undecodable characters replaced, empty when even that fails.
    pub fn text(&self, py: Attached<'_>) -> String {
        // SAFETY: attached; PyObject_Str gives a new str or null; the bytes object stays alive while it is copied.
        unsafe {
            let Ok(text) = Object::new(py, c::PyObject_Str(self.as_ptr())) else { return String::new() };
            let encoded =
                c::PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"surrogateescape".as_ptr());
            let Ok(encoded) = Object::new(py, encoded) else { return String::new() };
            String::from_utf8_lossy(bytes_of(&encoded)).into_owned()
        }
    }
    /// The members of a list, tuple or other sequence.
    pub fn items(&self, py: Attached<'_>) -> Result<Vec<Object>, Exception> {
        // SAFETY: PySequence_Size and PySequence_GetItem report errors by -1 and null.
        unsafe {
            let n = c::PySequence_Size(self.as_ptr());
            if n < 0 {
                return Err(Exception::fetch(py));
            }
            (0..n).map(|i| Object::new(py, c::PySequence_GetItem(self.as_ptr(), i))).collect()
        }
    }
    /// `type(self)`.
    pub fn class(&self, py: Attached<'_>) -> Object {
        // SAFETY: a live object has a live type.
        unsafe {
            let class = c::Py_TYPE(self.as_ptr()).cast::<c::PyObject>();
            Object::borrowed(py, class).unwrap_or_else(|| Object::none(py))
        }
    }
}

/// The bytes of a `bytes` object; empty for anything else.
///
/// # Safety
/// Attached.
pub(crate) unsafe fn bytes_of(object: &Object) -> &[u8] {
    // SAFETY: the type is checked; the bytes live as long as the object and do not change.
    unsafe {
        if c::PyBytes_Check(object.as_ptr()) == 0 {
            return &[];
        }
        let data = c::PyBytes_AsString(object.as_ptr());
        std::slice::from_raw_parts(data.cast(), c::PyBytes_Size(object.as_ptr()) as usize)
    }
}
