//! The global lock of a free-threaded build: off, until something switches it on.
//!
//! Python switches it on, for good and for the whole interpreter, when an extension module is loaded that does not declare that it
//! works without. Nothing else changes, workers just take turns again, so it has to be said aloud: which module it was. Python's own
//! warning is no help where a script filters or redirects warnings, so the loading of extension modules is watched instead.
//!
//! While any module is being made the lock is on, only for that time when the module turns out to be sound; so it is looked at when
//! no module is being made: see [`Loads`].

use std::sync::Mutex;

#[cfg(not(Py_GIL_DISABLED))]
use crate::ffi::Attached;

#[cfg(Py_GIL_DISABLED)]
pub(crate) use watch::watch;

/// Why the lock of this free-threaded process is on: the first reason found, for good.
static ON: Mutex<Option<String>> = Mutex::new(None);

/// Why a free-threaded Python has its global lock switched on; `None` while it is off, and on other builds.
pub(crate) fn switched_on() -> Option<String> {
    ON.lock().unwrap_or_else(|e| e.into_inner()).clone()
}

/// Other builds always have the lock.
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) fn watch(_: Attached<'_>) {}

/// Extension modules being made in one interpreter, and which of them may have switched the lock on.
///
/// A module is a suspect when the lock was on as soon as it was made. Modules that were made meanwhile, by other threads or by the
/// module's own start-up code, can be the reason too; the matter is settled when none is being made any more.
#[cfg(any(test, Py_GIL_DISABLED))]
#[derive(Debug, Default, PartialEq, Eq)]
struct Loads {
    being_made: u32,
    /// How many were begun so far.
    begun: u64,
    suspects: Vec<String>,
}

#[cfg(any(test, Py_GIL_DISABLED))]
impl Loads {
    fn begin(&mut self) {
        self.being_made += 1;
        self.begun += 1;
    }
    /// A module was made, and the lock was seen on or off afterwards. When no other is being made but there are suspects, the
    /// caller looks at the lock once more and calls [`Loads::settle`] with the number that this gives.
    fn end(&mut self, module: Option<String>, on: bool) -> Option<u64> {
        self.being_made = self.being_made.saturating_sub(1);
        if on {
            self.suspects.extend(module);
        } else {
            // Had one of them switched it on, it would be on.
            self.suspects.clear();
        }
        (self.being_made == 0 && !self.suspects.is_empty()).then_some(self.begun)
    }
    /// The modules that are the reason. Empty when it was none of them, or when another was begun meanwhile, whose end settles it.
    fn settle(&mut self, begun: u64, on: bool) -> Vec<String> {
        if begun != self.begun {
            return Vec::new();
        }
        let suspects = std::mem::take(&mut self.suspects);
        if on { suspects } else { Vec::new() }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod watch {
    use std::ffi::{CStr, c_void};
    use std::ptr::null_mut;
    use std::sync::Mutex;

    use pyo3_ffi as c;

    use super::{Loads, ON};
    use crate::exceptions::Exception;
    use crate::ffi::{Attached, Object};

    const NAME: &CStr = c"trunkline.gil";

    /// What the watching functions of one interpreter share. It lives as long as the interpreter, which is for ever.
    struct Watch {
        loads: Mutex<Loads>,
        is_enabled: Object,
    }

    /// One watched function of `_imp`.
    struct Watched {
        watch: &'static Watch,
        original: Object,
        /// Whether what it makes can be the reason. Python's own built-in modules and `KSR` declare that they need no lock.
        suspicious: bool,
    }

    /// Watches the extension modules of this interpreter from now on. Once is enough; more does nothing.
    pub(crate) fn watch(py: Attached<'_>) {
        if let Err(exception) = install(py) {
            tracing::warn!(
                "extension modules are not watched for the global lock: {}",
                exception.summary(py)
            );
        }
    }

    fn install(py: Attached<'_>) -> Result<(), Exception> {
        let imp = Object::import(py, c"_imp")?;
        let make = imp.attr(py, c"create_dynamic")?;
        // SAFETY: attached; any object may be asked.
        let ours = make
            .find(py, "__self__")
            .is_some_and(|of| unsafe { c::PyCapsule_IsValid(of.as_ptr(), NAME.as_ptr()) } != 0);
        if ours {
            return Ok(());
        }
        let is_enabled = Object::import(py, c"sys")?.attr(py, c"_is_gil_enabled")?;
        let watch = Box::leak(Box::new(Watch { loads: Mutex::default(), is_enabled }));
        if watch.on(py) {
            report("PYTHON_GIL=1 in the environment".to_owned(), "unset it");
        }
        let watch: &'static Watch = watch;
        replace(py, &imp, c"create_builtin", watch, false)?;
        replace(py, &imp, c"create_dynamic", watch, true)
    }

    fn replace(
        py: Attached<'_>,
        imp: &Object,
        name: &'static CStr,
        watch: &'static Watch,
        suspicious: bool,
    ) -> Result<(), Exception> {
        let original = imp.attr(py, name)?;
        let watched = Box::leak(Box::new(Watched { watch, original, suspicious }));
        let definition = Box::leak(Box::new(c::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: c::PyMethodDefPointer { PyCFunctionFast: create },
            ml_flags: c::METH_FASTCALL,
            ml_doc: c"Python's own, watched for modules that need the global lock.".as_ptr(),
        }));
        // SAFETY: attached; the definition and what the capsule points to live for ever, and the capsule has no destructor.
        let function = unsafe {
            let capsule = (&raw mut *watched).cast::<c_void>();
            let capsule = Object::new(py, c::PyCapsule_New(capsule, NAME.as_ptr(), None))?;
            Object::new(py, c::PyCFunction_NewEx(definition, capsule.as_ptr(), null_mut()))?
        };
        imp.set(py, name.to_str().unwrap_or_default(), &function)
    }

    /// `_imp.create_dynamic(spec[, file])`, `_imp.create_builtin(spec)`: Python's own, and a look at the lock afterwards.
    unsafe extern "C" fn create(
        this: *mut c::PyObject,
        args: *mut *mut c::PyObject,
        count: c::Py_ssize_t,
    ) -> *mut c::PyObject {
        // SAFETY: CPython calls this attached, with the capsule the function was made with and `count` live arguments. The capsule's
        // pointer is a `Watched` that is never freed; no reference to it outlives the call.
        unsafe {
            let py = Attached::assume();
            let watched = c::PyCapsule_GetPointer(this, NAME.as_ptr()).cast::<Watched>();
            let Some(watched) = watched.as_ref() else { return null_mut() };
            let spec = if count > 0 { Object::borrowed(py, *args) } else { None };
            watched.watch.locked(Loads::begin);
            let made = c::PyObject_Vectorcall(watched.original.as_ptr(), args, count as usize, null_mut());
            // The result or the exception is the caller's; looking at the lock must not touch either.
            let made = Object::new(py, made);
            watched.watch.look(py, spec.filter(|_| watched.suspicious).as_ref());
            match made {
                Ok(module) => module.into_ptr(),
                Err(exception) => {
                    exception.raise();
                    null_mut()
                }
            }
        }
    }

    impl Watch {
        /// Never held while Python runs: code that Python runs may load modules.
        fn locked<R>(&self, f: impl FnOnce(&mut Loads) -> R) -> R {
            f(&mut self.loads.lock().unwrap_or_else(|e| e.into_inner()))
        }
        fn on(&self, py: Attached<'_>) -> bool {
            self.is_enabled.call(py, &[]).ok().and_then(|on| on.as_int(py)) == Some(1)
        }
        fn look(&self, py: Attached<'_>, spec: Option<&Object>) {
            let module = spec.and_then(|spec| spec.find(py, "name")).map(|name| name.text(py));
            let on = self.on(py);
            if let Some(begun) = self.locked(|loads| loads.end(module, on)) {
                let on = self.on(py);
                let found = self.locked(|loads| loads.settle(begun, on));
                if !found.is_empty() {
                    report(
                        format!("extension module {}", found.join(" or ")),
                        "use a release of it for free-threaded Python, or start with PYTHON_GIL=0 in the environment if you know \
                         that it is safe without",
                    );
                }
            }
        }
    }

    /// Once: the lock stays on, and what is loaded later is not the reason.
    fn report(reason: String, advice: &str) {
        let mut on = ON.lock().unwrap_or_else(|e| e.into_inner());
        if on.is_some() {
            return;
        }
        tracing::warn!(
            "{reason} switched Python's global lock on: only one worker at a time runs the script from now on; {advice}"
        );
        *on = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn one_module_at_a_time() {
        let mut loads = Loads::default();
        loads.begin();
        assert_eq!(loads.end(some("sound"), false), None);
        loads.begin();
        let begun = loads.end(some("old"), true).expect("to be settled");
        assert_eq!(loads.settle(begun, true), ["old"]);
        // The next one finds the lock on as well and is asked about again; the first answer counts.
        loads.begin();
        assert!(loads.end(some("later"), true).is_some());
    }

    #[test]
    fn a_lock_that_is_on_while_another_is_made_says_nothing() {
        let mut loads = Loads::default();
        loads.begin();
        loads.begin();
        assert_eq!(loads.end(some("inner"), true), None);
        assert_eq!(loads.end(some("outer"), false), None);
        assert_eq!(loads, Loads { begun: 2, ..Loads::default() });
        // Both are made while the lock stays on: it was one of the two.
        loads.begin();
        loads.begin();
        assert_eq!(loads.end(some("inner"), true), None);
        let begun = loads.end(some("outer"), true).expect("to be settled");
        assert_eq!(loads.settle(begun, true), ["inner", "outer"]);
    }

    #[test]
    fn what_was_seen_before_another_began_is_not_believed() {
        let mut loads = Loads::default();
        loads.begin();
        // Seen on because a second thread is making a module, which ends first.
        loads.begin();
        assert_eq!(loads.end(some("second"), false), None);
        let begun = loads.end(some("first"), true).expect("to be settled");
        assert_eq!(loads.settle(begun, false), [""; 0]);
        loads.begin();
        let begun = loads.end(some("third"), true).expect("to be settled");
        loads.begin();
        assert_eq!(loads.settle(begun, true), [""; 0]);
        // Built-in modules are no suspects, but those before them still are.
        let begun = loads.end(None, true).expect("to be settled");
        assert_eq!(loads.settle(begun, true), ["third"]);
    }
}
