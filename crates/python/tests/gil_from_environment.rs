//! A free-threaded Python that was told to use its global lock says so. One test: Python starts once per process.
#![cfg(Py_GIL_DISABLED)]

mod common;
use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

#[test]
fn python_gil_1_is_told() {
    // SAFETY: the only test of this process, before anything else runs.
    unsafe { std::env::set_var("PYTHON_GIL", "1") };
    let text = "import KSR, sys\nclass H:\n    def ksr_request_route(self, msg):\n        return sys._is_gil_enabled()\n\
        def mod_init(): return H()\n";
    let server = Server::mode(text, Interpreters::Auto);
    assert_eq!(server.station(1).run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1));
    let gil = &server.engine.rpc_engine()["gil"];
    assert_eq!(gil, "free-threaded, but switched on by PYTHON_GIL=1 in the environment");
    assert!(log().contains("PYTHON_GIL=1 in the environment switched Python's global lock on"), "{}", log());
}
