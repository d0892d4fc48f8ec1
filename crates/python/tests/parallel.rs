//! Two workers inside of the script at one moment: each waits in a KSR function, without giving the interpreter away, until the other
//! is there too. Workers that take turns cannot do that.
//!
//! One test: what others do to the interpreter (a module made, on a free-threaded build) would wait for the worker that waits here.

mod common;
use std::sync::{Arc, Barrier};

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

#[test]
fn run_in_parallel_where_there_is_no_common_lock() {
    let text = "import KSR, gc\nclass Handler:\n    def ksr_request_route(self, msg):\n        return KSR.t.meet({patience})\n\
        def mod_init():\n    gc.disable()\n    return Handler()\n";
    for mode in modes() {
        let parallel = cfg!(Py_GIL_DISABLED) || mode == Interpreters::PerWorker;
        // A collection in a free-threaded build stops all threads where they are; it would wait for the one that waits here.
        let text = text.replace("{patience}", if parallel { "30000" } else { "200" });
        let server = Arc::new(Server::mode(&text, mode));
        let start = Arc::new(Barrier::new(2));
        let threads = [1, 2].map(|rank| {
            let (server, start) = (server.clone(), start.clone());
            std::thread::spawn(move || {
                let station = server.station(rank);
                start.wait();
                station.run("ksr_request_route", INVITE).outcome
            })
        });
        let met = threads.map(|thread| thread.join().expect("worker"));
        let expected = if parallel { 1 } else { -1 };
        assert_eq!(met, [RunOutcome::Returned(expected), RunOutcome::Returned(expected)], "{mode:?}");
    }
}
