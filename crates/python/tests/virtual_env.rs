//! Packages of the active virtual environment are found, and `PYTHONPATH` is honoured. One test: Python starts once per process.

mod common;
use std::process::Command;

use common::*;
use script::RunOutcome;

#[test]
fn packages_are_found() {
    let place = write("marker", "");
    let folder = place.parent().expect("folder");
    let environment = folder.join("env");
    let python = env!("TRUNKLINE_PYTHON_EXECUTABLE");
    let made = Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&environment).status();
    if !made.is_ok_and(|s| s.success()) {
        // Debian keeps venv in a package of its own; the parts that count are two files.
        let bin = environment.join("bin");
        std::fs::create_dir_all(&bin).expect("bin");
        std::os::unix::fs::symlink(python, bin.join("python3")).expect("link");
        let home = std::path::Path::new(python).parent().expect("home").display();
        std::fs::write(environment.join("pyvenv.cfg"), format!("home = {home}\n")).expect("pyvenv.cfg");
    }
    let version: Vec<String> = trunkline_python::python_version().split('.').map(str::to_owned).collect();
    let threading = if cfg!(Py_GIL_DISABLED) { "t" } else { "" };
    let packages =
        environment.join(format!("lib/python{}.{}{threading}/site-packages", version[0], version[1]));
    std::fs::create_dir_all(&packages).expect("site-packages");
    std::fs::write(packages.join("in_environment.py"), "VALUE = 20\n").expect("module");
    let path = folder.join("path");
    std::fs::create_dir_all(&path).expect("path");
    std::fs::write(path.join("on_python_path.py"), "VALUE = 3\n").expect("module");
    // SAFETY: the only test of this process, before anything else runs.
    unsafe {
        std::env::set_var("VIRTUAL_ENV", &environment);
        std::env::set_var("PYTHONPATH", &path);
    }
    let text = "import KSR, sys, in_environment, on_python_path\n\
        class H:\n    def ksr_request_route(self, msg):\n        assert sys.prefix != sys.base_prefix, sys.prefix\n\
        \x20       return in_environment.VALUE + on_python_path.VALUE\ndef mod_init(): return H()\n";
    for mode in modes() {
        let server = Server::mode(text, mode);
        let ran = server.station(1).run("ksr_request_route", INVITE);
        assert_eq!(ran.outcome, RunOutcome::Returned(23), "{mode:?}: {}", log());
    }
    assert!(!log().contains("was not made with Python"), "{}", log());
}
