//! An extension module that does not declare that it works without the global lock switches it on for the whole process: it is named.
//! One test, because there is no way back.
#![cfg(Py_GIL_DISABLED)]

mod common;
use std::path::Path;
use std::process::Command;

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

/// Builds an extension module, with the slot that declares that it needs no lock or without.
fn build(folder: &Path, name: &str, slots: &str) {
    let source = format!(
        "#include <Python.h>\nstatic PyModuleDef_Slot slots[] = {{ {slots} {{0, NULL}} }};\n\
         static struct PyModuleDef def = {{ PyModuleDef_HEAD_INIT, \"{name}\", NULL, 0, NULL, slots }};\n\
         PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModuleDef_Init(&def); }}\n"
    );
    let file = folder.join(format!("{name}.c"));
    std::fs::write(&file, source).expect("source");
    let include = Command::new(env!("TRUNKLINE_PYTHON_EXECUTABLE"))
        .args(["-c", "import sysconfig; print(sysconfig.get_path('include'))"])
        .output()
        .expect("python");
    let include = String::from_utf8(include.stdout).expect("path");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-I", include.trim(), "-o"])
        .arg(folder.join(format!("{name}.so")))
        .arg(&file)
        .status();
    assert!(built.expect("cc").success());
}

#[test]
fn the_module_is_named() {
    let script = write(
        "route.py",
        r#"
import KSR, sys, warnings
# A script may silence Python's own warning.
warnings.simplefilter("ignore")
import declares_it
assert sys._is_gil_enabled() is False

class Handler:
    def ksr_request_route(self, msg):
        return sys._is_gil_enabled()
    def broken(self, msg):
        import not_a_library
    def late(self, msg):
        import declares_nothing
        return sys._is_gil_enabled()
    def later(self, msg):
        import declares_nothing_either
        return sys._is_gil_enabled()

def mod_init():
    return Handler()
"#,
    );
    let folder = script.parent().expect("folder");
    build(folder, "declares_it", "{Py_mod_gil, Py_MOD_GIL_NOT_USED},");
    build(folder, "declares_nothing", "");
    build(folder, "declares_nothing_either", "");
    std::fs::write(folder.join("not_a_library.so"), "no library").expect("file");

    let server = match Server::load("", |s| {
        s.script = script.clone();
        s.interpreters = Interpreters::Auto;
    }) {
        Ok(server) => server,
        Err(e) => panic!("{e}"),
    };
    let gil = || server.engine.rpc_engine()["gil"].clone();
    let station = server.station(1);
    assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(0));
    assert_eq!(station.run("broken", INVITE).outcome, RunOutcome::Exception);
    assert!(log().contains("ImportError") && log().contains("not_a_library.so"), "{}", log());
    assert_eq!(gil(), "free-threaded");
    assert!(!log().contains("global lock"), "{}", log());

    assert_eq!(station.run("late", INVITE).outcome, RunOutcome::Returned(1), "{}", log());
    assert_eq!(gil(), "free-threaded, but switched on by extension module declares_nothing");
    assert!(
        log().contains("WARN extension module declares_nothing switched Python's global lock on"),
        "{}",
        log()
    );
    assert!(server.engine.describe().contains("but extension module declares_nothing switched"));

    assert_eq!(station.run("later", INVITE).outcome, RunOutcome::Returned(1));
    assert_eq!(gil(), "free-threaded, but switched on by extension module declares_nothing");
    assert!(!log().contains("declares_nothing_either"), "{}", log());
}
