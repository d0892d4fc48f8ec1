//! Parsed pseudo-variables and formats of one worker, found again by the identity of the script's string.
//!
//! `KSR.pv.get("$ru")` passes the same string object each time, so its address is the key, and the table keeps the string alive
//! so that the address stays its own. Strings made at run time are found by their text. Both levels are bounded: when one is full,
//! it starts anew.

use std::collections::HashMap;
use std::ptr::{NonNull, null_mut};

use pyo3_ffi as c;

use crate::ffi::{Attached, Object};

/// One cache of parsed texts.
pub(crate) struct Literals<T> {
    /// Open addressing; a power of two of `(string, parsed)`, a null string is a free place.
    places: Box<[(*mut c::PyObject, *const T)]>,
    used: usize,
    by_text: HashMap<Box<[u8]>, Box<T>>,
    /// What was thrown out while an outer call may still look at it.
    old: Vec<HashMap<Box<[u8]>, Box<T>>>,
}

impl<T> Literals<T> {
    /// Most texts, and most strings, known at a time.
    const LIMIT: usize = 4096;

    pub fn new() -> Self {
        Literals {
            places: vec![(null_mut(), std::ptr::null()); 256].into(),
            used: 0,
            by_text: HashMap::new(),
            old: Vec::new(),
        }
    }

    #[inline]
    fn place(&self, string: *mut c::PyObject) -> usize {
        // Objects are 16 bytes apart; a multiplication spreads what is left.
        let hash = (string as usize >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash >> (usize::BITS - self.places.len().trailing_zeros())
    }

    /// What this very string was parsed to.
    #[inline]
    pub fn find(&self, string: *mut c::PyObject) -> Option<*const T> {
        let mask = self.places.len() - 1;
        let mut i = self.place(string);
        loop {
            // The table is never full, so a free place ends every search.
            let (key, parsed) = *self.places.get(i & mask)?;
            if key == string {
                return Some(parsed);
            }
            if key.is_null() {
                return None;
            }
            i += 1;
        }
    }

    /// What a text was parsed to.
    pub fn find_text(&self, text: &[u8]) -> Option<*const T> {
        self.by_text.get(text).map(|parsed| &raw const **parsed)
    }

    /// Keeps a parsed text. `nested`: an outer KSR call may hold pointers into this cache. The pointer stays good until the
    /// outermost call ends.
    pub fn insert_text(&mut self, py: Attached<'_>, text: &[u8], parsed: T, nested: bool) -> *const T {
        if self.by_text.len() >= Self::LIMIT {
            if !nested {
                self.old.clear();
            }
            self.forget_strings(py);
            self.old.push(std::mem::take(&mut self.by_text));
        }
        let parsed = self.by_text.entry(text.into()).or_insert_with(|| Box::new(parsed));
        &raw const **parsed
    }

    /// Remembers a string object for a parsed text.
    pub fn insert_string(&mut self, py: Attached<'_>, string: *mut c::PyObject, parsed: *const T) {
        if self.used >= Self::LIMIT {
            self.forget_strings(py);
        }
        if self.used * 2 >= self.places.len() {
            let larger = vec![(null_mut(), std::ptr::null()); self.places.len() * 2].into();
            let smaller = std::mem::replace(&mut self.places, larger);
            for (string, parsed) in smaller.into_iter().filter(|(s, _)| !s.is_null()) {
                self.put(string, parsed);
            }
        }
        // SAFETY: attached; the caller holds the string while this runs.
        if let Some(string) = unsafe { Object::borrowed(py, string) } {
            self.put(string.into_ptr(), parsed);
            self.used += 1;
        }
    }

    fn put(&mut self, string: *mut c::PyObject, parsed: *const T) {
        let mask = self.places.len() - 1;
        let mut i = self.place(string);
        while let Some(place) = self.places.get_mut(i & mask) {
            if place.0.is_null() {
                *place = (string, parsed);
                return;
            }
            i += 1;
        }
    }

    /// Gives all strings back.
    pub fn forget_strings(&mut self, _: Attached<'_>) {
        for place in &mut self.places {
            let (string, _) = std::mem::replace(place, (null_mut(), std::ptr::null()));
            if let Some(string) = NonNull::new(string) {
                // SAFETY: the table owns one reference to each; they are exact `str`, so dropping them runs no Python code.
                drop(unsafe { Object::from_ptr(string) });
            }
        }
        self.used = 0;
    }
}
