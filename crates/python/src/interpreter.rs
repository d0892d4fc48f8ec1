//! CPython in this process: started once, then one interpreter for all workers or one per worker; and thread states.
//!
//! CPython is a process-wide thing, so this file holds the process-wide state there is. It is never finalised: at exit the
//! process just ends, because `Py_FinalizeEx` waits for script threads and may never return.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::thread::ThreadId;

use pyo3_ffi as c;
use script::ScriptError;

use crate::ffi::{Attached, Object};

/// An interpreter; they live as long as the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interpreter(NonNull<c::PyInterpreterState>);

// SAFETY: interpreters are never deleted, and the pointer is only given to functions that may be called from any thread.
unsafe impl Send for Interpreter {}
// SAFETY: as above.
unsafe impl Sync for Interpreter {}

/// A thread state of one thread in one interpreter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadState {
    pointer: NonNull<c::PyThreadState>,
    /// Whether it may be deleted: the state that Python was started with stays.
    ours: bool,
}

/// The state of the thread that started Python.
struct Main {
    state: ThreadState,
    thread: ThreadId,
    interpreter: Interpreter,
}

// SAFETY: a pointer that is only used where the methods' contracts say: attaching is for the thread that made it.
unsafe impl Send for ThreadState {}
// SAFETY: as above; it never changes.
unsafe impl Sync for ThreadState {}

static MAIN: OnceLock<Result<Main, String>> = OnceLock::new();

/// Starts Python when that did not happen yet, and gives the main interpreter. The first caller's thread becomes Python's main
/// thread. Leaves the caller detached.
pub(crate) fn start(script: &Path) -> Result<Interpreter, ScriptError> {
    match MAIN.get_or_init(|| initialise(script)) {
        Ok(main) => Ok(main.interpreter),
        Err(message) => Err(ScriptError { message: format!("Python could not be started: {message}") }),
    }
}

fn initialise(script: &Path) -> Result<Main, String> {
    // SAFETY: called once (OnceLock) before any other use of Python; the configuration structures are initialised by CPython
    // before they are used, and cleared afterwards. Strings are copied by the PyConfig functions.
    unsafe {
        if c::PyImport_AppendInittab(c"KSR".as_ptr(), Some(crate::ksr::PyInit_KSR)) != 0 {
            return Err("no memory".into());
        }
        let mut preconfig = std::mem::zeroed::<c::PyPreConfig>();
        c::PyPreConfig_InitPythonConfig(&mut preconfig);
        preconfig.parse_argv = 0;
        preconfig.utf8_mode = 1;
        check(c::Py_PreInitialize(&preconfig))?;

        let mut config = std::mem::zeroed::<c::PyConfig>();
        c::PyConfig_InitPythonConfig(&mut config);
        config.parse_argv = 0;
        // SIGINT and SIGTERM are the server's.
        config.install_signal_handlers = 0;
        config.pathconfig_warnings = 0;
        // A script's print() shall be seen when it happens.
        config.buffered_stdio = 0;
        let result = configure(&mut config, script).and_then(|()| check(c::Py_InitializeFromConfig(&config)));
        c::PyConfig_Clear(&mut config);
        result?;
        let interpreter = NonNull::new(c::PyInterpreterState_Get()).ok_or("no interpreter")?;
        let state = NonNull::new(c::PyEval_SaveThread()).ok_or("no thread state")?;
        Ok(Main {
            state: ThreadState { pointer: state, ours: false },
            thread: std::thread::current().id(),
            interpreter: Interpreter(interpreter),
        })
    }
}

/// # Safety
/// `config` is initialised.
unsafe fn configure(config: *mut c::PyConfig, script: &Path) -> Result<(), String> {
    let path = |path: &Path| {
        CString::new(path.as_os_str().as_bytes()).map_err(|_| "a path with a NUL byte".to_owned())
    };
    // SAFETY: `config` is valid by contract; CPython copies the texts.
    unsafe {
        // The program's name decides where Python looks for its library and for `pyvenv.cfg`.
        if let Some(program) = program() {
            let program = path(&program)?;
            check(c::PyConfig_SetBytesString(config, &raw mut (*config).program_name, program.as_ptr()))?;
        }
        let script = path(script)?;
        let mut argv = [script.as_ptr()];
        check(c::PyConfig_SetBytesArgv(config, 1, argv.as_mut_ptr()))
    }
}

/// The Python whose installation is used: the one of the active virtual environment, else the one this was built against.
fn program() -> Option<std::path::PathBuf> {
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV").filter(|v| !v.is_empty()) {
        let environment = Path::new(&environment);
        let python = environment.join("bin/python3");
        if environment.join("pyvenv.cfg").exists() && python.exists() {
            // A free-threaded build has folders of its own: its extension modules are others.
            let version = format!("{}{}", version(), if FREE_THREADED { "t" } else { "" });
            if !environment.join(format!("lib/python{version}")).exists() {
                tracing::warn!(
                    "VIRTUAL_ENV {} was not made with Python {version}: its packages are not found; make it anew with that \
                     version",
                    environment.display()
                );
            }
            return Some(python);
        }
        tracing::warn!("VIRTUAL_ENV {} is not a virtual environment; ignored", environment.display());
    }
    Some(std::path::PathBuf::from(env!("TRUNKLINE_PYTHON_EXECUTABLE")))
        .filter(|p| p.is_absolute() && p.exists())
}

/// `3.11`: what this was built against (the C API's layout fixes the minor version).
pub(crate) fn version() -> String {
    full_version().split('.').take(2).collect::<Vec<_>>().join(".")
}

/// `3.11.7`.
pub(crate) fn full_version() -> String {
    build().split(' ').next().unwrap_or_default().to_owned()
}

/// `3.11.7 (main, ...) [GCC ...]`.
pub(crate) fn build() -> String {
    // SAFETY: a static string, available before Python is started.
    unsafe { std::ffi::CStr::from_ptr(c::Py_GetVersion()).to_string_lossy().into_owned() }
}

/// Whether this is a free-threaded build.
pub(crate) const FREE_THREADED: bool = cfg!(Py_GIL_DISABLED);

/// Whether interpreters with a lock of their own are offered. 3.12 has them, but 3.12.1 aborts when such interpreters import
/// common standard modules.
pub(crate) const OWN_GIL: bool = cfg!(Py_3_13);

fn check(status: c::PyStatus) -> Result<(), String> {
    // SAFETY: only reads the status it is given; its texts are static.
    unsafe {
        if c::PyStatus_Exception(status) == 0 {
            return Ok(());
        }
        let text = |p: *const std::ffi::c_char| {
            (!p.is_null()).then(|| std::ffi::CStr::from_ptr(p).to_string_lossy().into_owned())
        };
        Err([text(status.func), text(status.err_msg)].into_iter().flatten().collect::<Vec<_>>().join(": "))
    }
}

/// A further interpreter with a lock of its own.
#[cfg(Py_3_13)]
pub(crate) fn isolated(main: Interpreter) -> Result<Interpreter, String> {
    let config = c::PyInterpreterConfig {
        use_main_obmalloc: 0,
        // A forked child of such an interpreter dies in a fatal error; without this os.fork() raises, subprocess works.
        allow_fork: 0,
        allow_exec: 0,
        allow_threads: 1,
        // Only a finalised interpreter has trouble with them, and ours are never finalised.
        allow_daemon_threads: 1,
        check_multi_interp_extensions: 1,
        gil: c::PyInterpreterConfig_OWN_GIL,
    };
    let state = ThreadState::of(main)?;
    // SAFETY: attached to the main interpreter, as the function asks. On success the thread is attached to the new interpreter
    // and the state of the main one is detached; on failure the state of the main one is current again.
    let made = unsafe {
        c::PyEval_RestoreThread(state.pointer.as_ptr());
        let mut new = std::ptr::null_mut();
        let status = c::Py_NewInterpreterFromConfig(&mut new, &config);
        match check(status) {
            Ok(()) => {
                let interpreter =
                    NonNull::new(c::PyInterpreterState_Get()).ok_or("no interpreter".to_owned());
                // The state it was made with is not needed again: every thread makes its own.
                c::PyEval_SaveThread();
                interpreter.map(Interpreter)
            }
            Err(e) => {
                c::PyEval_SaveThread();
                Err(e)
            }
        }
    };
    state.delete();
    made
}

/// Before 3.13 there is none that could be offered.
#[cfg(not(Py_3_13))]
pub(crate) fn isolated(_: Interpreter) -> Result<Interpreter, String> {
    Err(format!("Python {} has no interpreters with a lock of their own", version()))
}

impl ThreadState {
    /// This thread's state in an interpreter: the main one on the thread that started Python, else a new one.
    pub fn of(interpreter: Interpreter) -> Result<ThreadState, String> {
        if let Some(Ok(main)) = MAIN.get()
            && main.interpreter == interpreter
            && main.thread == std::thread::current().id()
        {
            return Ok(main.state);
        }
        // SAFETY: the interpreter is alive; this function needs no attachment.
        let pointer = unsafe { c::PyThreadState_New(interpreter.0.as_ptr()) };
        NonNull::new(pointer).map(|pointer| ThreadState { pointer, ours: true }).ok_or("no memory".into())
    }
    /// Attaches this thread. Waits for the interpreter's lock.
    ///
    /// # Safety
    /// The state is this thread's, and the thread is not attached.
    pub unsafe fn attach(self) {
        // SAFETY: by contract.
        unsafe { c::PyEval_RestoreThread(self.pointer.as_ptr()) }
    }
    /// Detaches this thread.
    ///
    /// # Safety
    /// The thread is attached with this state.
    pub unsafe fn detach(self) {
        // SAFETY: by contract.
        unsafe { c::PyEval_SaveThread() };
    }
    /// Attaches for the length of a closure, on the thread the state was made on.
    pub fn with<R>(self, f: impl FnOnce(Attached<'_>) -> R) -> R {
        // SAFETY: states are used on the thread that made them; callers of `with` are not attached (load, check, start of a worker).
        unsafe {
            self.attach();
            let result = f(Attached::assume());
            self.detach();
            result
        }
    }
    /// The innermost Python frame of the state's thread, which may be another than the caller's.
    ///
    /// # Safety
    /// The caller is attached to the state's interpreter; the state was not given back, and its thread does not go on meanwhile.
    pub unsafe fn frame(self, _: Attached<'_>) -> Option<Object> {
        // SAFETY: by contract; a new reference, or null without an exception.
        unsafe {
            let frame = c::PyThreadState_GetFrame(self.pointer.as_ptr());
            NonNull::new(frame.cast()).map(|frame| Object::from_ptr(frame))
        }
    }
    /// Gives the state back. The thread is not attached.
    pub fn delete(self) {
        if !self.ours {
            return;
        }
        // SAFETY: ours, on this thread, not attached; DeleteCurrent detaches and frees it.
        unsafe {
            self.attach();
            c::PyThreadState_Clear(self.pointer.as_ptr());
            c::PyThreadState_DeleteCurrent();
        }
    }
}
