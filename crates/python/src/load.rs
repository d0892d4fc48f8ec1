//! Loading a script into an interpreter: `sys.path`, import, `mod_init`, and what can go wrong.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use pyo3_ffi as c;

use crate::exceptions::Exception;
use crate::ffi::{Attached, Object};
use crate::interpreter::{Interpreter, ThreadState};
use crate::{Flavour, Settings, gil, native, threads};

/// A script that is ready in an interpreter.
pub(crate) struct Loaded {
    pub interpreter: Interpreter,
    /// What `mod_init` returned (or the module itself): one reference.
    pub handler: NonNull<c::PyObject>,
    /// The `KSR` module the script imported: one reference.
    pub ksr: NonNull<c::PyObject>,
    /// The script's name in `sys.modules`.
    pub module: String,
    /// Names of the handler's callables.
    pub methods: Vec<String>,
    /// Whether the handler makes up attributes (`__getattr__`), so that `methods` is not all.
    pub dynamic: bool,
}

// SAFETY: the handler is only touched while attached to its interpreter.
unsafe impl Send for Loaded {}

impl Loaded {
    /// For loading it anew in the same place.
    pub fn before(&self) -> Before {
        Before { interpreter: self.interpreter, ksr: self.ksr, module: self.module.clone() }
    }
}

/// Why a script could not be loaded.
pub(crate) struct Failure {
    /// Ready to print.
    pub message: String,
    /// The extension module that does not load into an interpreter with a lock of its own.
    pub refused: Option<String>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), refused: None }
    }
}

/// Loads the script anew beside `before`, which goes on in its interpreter: a fresh namespace, the modules of its folder imported anew.
/// When that fails the interpreter is as it was. On a thread that is not attached.
pub(crate) fn load_anew(before: &Before, settings: &Settings, source: &[u8]) -> Result<Loaded, Failure> {
    let state = ThreadState::of(before.interpreter).map_err(Failure::new)?;
    let loaded = state.with(|py| {
        let failed = |exception: Exception| Failure::new(exception.traceback(py));
        let folder = folder(py, &settings.script).map_err(failed)?;
        let name = Object::str(py, before.module.as_bytes()).map_err(failed)?;
        let modules = own_modules(py).map_err(failed)?;
        // SAFETY: attached to its interpreter; the reference stays with the engine.
        let ksr = unsafe { Object::borrowed(py, before.ksr.as_ptr()) }.unwrap_or_else(|| Object::none(py));
        let begun = modules
            .attr(py, c"begin")
            .and_then(|begin| begin.call(py, &[&folder, &name, &ksr]))
            .map_err(failed)?;
        let loaded = load_attached(py, before.interpreter, settings, source, Some(ksr));
        let ended = Object::int(py, i64::from(loaded.is_err()))
            .and_then(|failed| modules.attr(py, c"end")?.call(py, &[&folder, &name, &begun, &failed]));
        if let Err(exception) = ended {
            tracing::error!("after a reload: {}", exception.traceback(py));
        }
        loaded
    });
    state.delete();
    loaded
}

/// Where a script was loaded before.
#[derive(Clone)]
pub(crate) struct Before {
    pub interpreter: Interpreter,
    pub ksr: NonNull<c::PyObject>,
    pub module: String,
}

// SAFETY: the module is only touched while attached to its interpreter.
unsafe impl Send for Before {}

/// Gives a handler back that no worker took, on a thread that is not attached.
pub(crate) fn let_go(interpreter: Interpreter, handler: NonNull<c::PyObject>) {
    let Ok(state) = ThreadState::of(interpreter) else { return };
    // SAFETY: attached to its interpreter; the reference is given back once.
    state.with(|_| unsafe { drop(Object::from_ptr(handler)) });
    state.delete();
}

fn own_modules(py: Attached<'_>) -> Result<Object, Exception> {
    native::module(py, "_trunkline_own_modules", include_str!("own_modules.py"))
}

/// Loads the script into `interpreter` and runs `mod_init`, on a thread that is not attached.
pub(crate) fn load(interpreter: Interpreter, settings: &Settings, source: &[u8]) -> Result<Loaded, Failure> {
    let state = ThreadState::of(interpreter).map_err(Failure::new)?;
    let loaded = state.with(|py| load_attached(py, interpreter, settings, source, None));
    state.delete();
    loaded
}

fn load_attached(
    py: Attached<'_>,
    interpreter: Interpreter,
    settings: &Settings,
    source: &[u8],
    ksr: Option<Object>,
) -> Result<Loaded, Failure> {
    let script = settings.script.display();
    threads::guard(py, settings.threads_mode)
        .map_err(|exception| Failure::new(format!("guards: {}", exception.traceback(py))))?;
    gil::watch(py);
    let (module, ksr) = import(py, &settings.script, source, ksr).map_err(|exception| Failure {
        message: if is_syntax_error(py, &exception) {
            syntax_error(py, &exception)
        } else {
            format!("{script} could not be imported:\n{}", exception.traceback(py))
        },
        refused: exception.refused_module(py),
    })?;
    let module_name = module.find(py, "__name__").map(|n| n.text(py)).unwrap_or_default();
    let init = module.find(py, &settings.script_init).filter(|f| f.is_callable(py));
    let handler = match (settings.flavour, init) {
        (Flavour::Handler, None) => {
            return Err(Failure::new(format!(
                "{script} has no function {}(): it must return the object whose methods route \
                 (def {0}(): return MyRouting())",
                settings.script_init
            )));
        }
        (flavour, init) => {
            let result = init.map(|init| init.call(py, &[])).transpose().map_err(|exception| Failure {
                message: format!(
                    "{}() of {script} failed:\n{}",
                    settings.script_init,
                    exception.traceback(py)
                ),
                refused: exception.refused_module(py),
            })?;
            match (flavour, result) {
                (Flavour::Functions, _) | (_, None) => module,
                (Flavour::Handler, Some(handler)) => handler,
            }
        }
    };
    if handler.is_none(py) {
        return Err(Failure::new(format!(
            "{}() of {script} returned None: it must return the object whose methods route",
            settings.script_init
        )));
    }
    if !handler.find(py, &settings.request_callback).is_some_and(|f| f.is_callable(py)) {
        return Err(Failure::new(format!(
            "{script} has no callback {}{}: no request would be routed",
            settings.request_callback,
            match settings.flavour {
                Flavour::Handler => "(self, msg) in the object that mod_init() returned",
                Flavour::Functions => "()",
            }
        )));
    }
    let methods = methods(py, &handler).unwrap_or_default();
    let dynamic = handler.class(py).find(py, "__getattr__").is_some();
    let handler = NonNull::new(handler.into_ptr()).ok_or_else(|| Failure::new("no handler"))?;
    let ksr = NonNull::new(ksr.into_ptr()).ok_or_else(|| Failure::new("no KSR"))?;
    Ok(Loaded { interpreter, handler, ksr, module: module_name, methods, dynamic })
}

/// The script's folder as Python sees it.
fn folder(py: Attached<'_>, script: &Path) -> Result<Object, Exception> {
    let folder = script.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Object::str(py, folder.as_os_str().as_bytes())
}

/// Executes the script as a module under its own name, its folder first in `sys.path`. Gives it and its `KSR`, the one given or a new
/// one.
fn import(
    py: Attached<'_>,
    script: &Path,
    source: &[u8],
    ksr: Option<Object>,
) -> Result<(Object, Object), Exception> {
    let folder = folder(py, script)?;
    let sys = Object::import(py, c"sys")?;
    let path = sys.attr(py, c"path")?;
    let first = path.items(py)?.into_iter().next();
    if first.is_none_or(|first| first.text(py) != folder.text(py)) {
        path.attr(py, c"insert")?.call(py, &[&Object::int(py, 0)?, &folder])?;
    }
    let known = sys.attr(py, c"modules")?;
    let ksr = match ksr {
        Some(ksr) => ksr,
        None => {
            // A module made for an earlier script in this interpreter would still have that one's functions.
            known.attr(py, c"pop")?.call(py, &[&Object::str(py, b"KSR")?, &Object::none(py)])?;
            Object::import(py, c"KSR")?
        }
    };

    let file = Object::str(py, script.as_os_str().as_bytes())?;
    // SAFETY: attached; a new reference or null.
    let argv = unsafe { Object::new(py, c::PyList_New(0))? };
    argv.attr(py, c"append")?.call(py, &[&file])?;
    sys.set(py, "argv", &argv)?;
    let compile = Object::import(py, c"builtins")?.attr(py, c"compile")?;
    let code = compile.call(py, &[&Object::bytes(py, source)?, &file, &Object::str(py, b"exec")?])?;
    let mut name = script.file_stem().map(|s| s.as_bytes().to_vec()).unwrap_or_default();
    // A script named like a module that is already there must not write into it.
    // SAFETY: attached; a temporary str.
    while unsafe { c::PyMapping_HasKey(known.as_ptr(), Object::str(py, &name)?.as_ptr()) } != 0 {
        name.extend_from_slice(b"_script");
    }
    let name = Object::str(py, &name)?;
    // SAFETY: attached; a new reference or null.
    let module = unsafe {
        Object::new(
            py,
            c::PyImport_ExecCodeModuleObject(
                name.as_ptr(),
                code.as_ptr(),
                file.as_ptr(),
                std::ptr::null_mut(),
            ),
        )?
    };
    Ok((module, ksr))
}

/// Names that can be called on the handler, found without running properties of the script.
fn methods(py: Attached<'_>, handler: &Object) -> Result<Vec<String>, Exception> {
    // SAFETY: attached; a new list or null.
    let names = unsafe { Object::new(py, c::PyObject_Dir(handler.as_ptr()))? };
    let class = handler.class(py);
    let own = handler.find(py, "__dict__");
    let mut found = Vec::new();
    for name in names.items(py)? {
        let text = name.text(py);
        if text.starts_with("__") {
            continue;
        }
        // SAFETY: attached; a new reference or null.
        let in_own = own.as_ref().and_then(|own| unsafe {
            Object::new(py, c::PyObject_GetItem(own.as_ptr(), name.as_ptr())).ok()
        });
        if in_own.or_else(|| class.find(py, &text)).is_some_and(|f| f.is_callable(py)) {
            found.push(text);
        }
    }
    Ok(found)
}

fn is_syntax_error(py: Attached<'_>, exception: &Exception) -> bool {
    // SAFETY: a static type.
    unsafe { exception.is(py, c::PyExc_SyntaxError) }
}

/// `route.py:12:7: SyntaxError: invalid syntax` and the line with a mark.
pub(crate) fn syntax_error(py: Attached<'_>, exception: &Exception) -> String {
    let value = exception.value();
    let field =
        |name| value.find(py, name).filter(|f| !f.is_none(py)).map(|f| f.text(py)).unwrap_or_default();
    let class = value.class(py).find(py, "__name__").map(|n| n.text(py)).unwrap_or_default();
    let (line, column) = (field("lineno"), field("offset"));
    let mut message = format!("{}:{line}:{column}: {class}: {}", field("filename"), field("msg"));
    let text = field("text");
    let shown = text.trim_end();
    if !shown.is_empty() {
        let column: usize = column.parse().unwrap_or(1);
        // Tabs stay tabs, so that the mark stands under its place.
        let indent: String = shown
            .chars()
            .take(column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        message.push_str(&format!("\n    {shown}\n    {indent}^"));
    }
    message
}

/// `copy.copy(handler)`: a worker's own handler where the interpreter is shared. What cannot be copied is used as it is.
pub(crate) fn copied(py: Attached<'_>, handler: &Object) -> Object {
    let copy = || Object::import(py, c"copy")?.attr(py, c"copy")?.call(py, &[handler]);
    copy().unwrap_or_else(|exception: Exception| {
        tracing::warn!(
            "the handler object cannot be copied ({}): all workers share it, attributes set in child_init too",
            exception.summary(py)
        );
        handler.clone_ref(py)
    })
}

/// Calls `child_init(rank)` when the handler has it. A negative result is a failure, as in Kamailio.
pub(crate) fn child_init(
    py: Attached<'_>,
    handler: &Object,
    settings: &Settings,
    rank: i32,
) -> Result<(), String> {
    let Ok(name) = CString::new(settings.script_child_init.as_str()) else { return Ok(()) };
    let Ok(method) = handler.attr(py, &name) else { return Ok(()) };
    let result = Object::int(py, i64::from(rank)).and_then(|rank| method.call(py, &[&rank]));
    match result {
        Ok(value) => match value.as_int(py) {
            Some(code) if code < 0 => Err(format!(
                "{}({rank}) of {} returned {code}",
                settings.script_child_init,
                settings.script.display()
            )),
            _ => Ok(()),
        },
        Err(exception) => Err(format!(
            "{}({rank}) of {} failed:\n{}",
            settings.script_child_init,
            settings.script.display(),
            exception.traceback(py)
        )),
    }
}
