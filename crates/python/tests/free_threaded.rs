//! Free-threaded builds: the lock is off and stays off, and callbacks that really run at the same time harm nobody.
#![cfg(Py_GIL_DISABLED)]

mod common;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

/// One test after the other: while a module is made, for another test's script, the lock is on for a moment.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

#[test]
fn the_lock_is_off() {
    let _alone = alone();
    let text = "import KSR, sys, json, ssl, ctypes\n";
    let text = format!(
        "{text}assert sys._is_gil_enabled() is False\n\
         class Handler:\n    def child_init(self, rank):\n        assert sys._is_gil_enabled() is False\n\
         \x20   def ksr_request_route(self, msg):\n        KSR.pv.get('$ru')\n        return sys._is_gil_enabled()\n\
         def mod_init():\n    return Handler()\n"
    );
    for mode in [Interpreters::Auto, Interpreters::Shared, Interpreters::PerWorker] {
        let server = Server::mode(&text, mode);
        assert_eq!(server.station(1).run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(0));
        assert_eq!(server.engine.rpc_engine()["gil"], "free-threaded");
        assert!(server.engine.describe().contains("free-threaded"), "{}", server.engine.describe());
    }
}

#[test]
fn auto_is_one_interpreter_for_all() {
    let _alone = alone();
    let text = "class H:\n    def ksr_request_route(self, msg): pass\ndef mod_init(): return H()\n";
    let rpc = Server::mode(text, Interpreters::Auto).engine.rpc_engine();
    assert_eq!(rpc["interpreters"], "shared");
    assert!(rpc["why"].as_str().is_some_and(|why| why.contains("in parallel")), "{rpc}");
}

/// Everything workers can meet in: strings and their parsed forms, messages of each other, exceptions, the garbage collector.
#[test]
fn workers_in_each_others_way() {
    let _alone = alone();
    const WORKERS: i32 = 4;
    const RUNS: u64 = 2000;
    let text = r#"
import KSR, gc, threading
# Made at run time, so nobody has their UTF-8 form or what they mean yet.
names = ["$" + "ru"] * 3 + ["".join(("$", "rm"))] * 3
words = ["\u00e9" * n for n in range(1, 200)]
slots = [None] * 8
refused = 0

class Handler:
    def child_init(self, rank):
        self.rank = rank
        self.runs = 0

    def ksr_request_route(self, msg):
        global refused
        self.runs += 1
        slots[self.rank] = msg
        for i, name in enumerate(names):
            assert KSR.pv.get(name) == ("sip:bob@b.org" if i < 3 else "INVITE")
        word = words[self.runs % len(words)]
        assert KSR.t.length(word) == 2 * len(word)
        assert KSR.pv.get("$ru{s.len}x%d" % self.runs) is None
        other = slots[(self.rank + 1) % 4]
        try:
            if other is not None:
                other.Method
        except RuntimeError:
            refused += 1
        if self.runs % 500 == 0:
            gc.collect()
        if self.runs % 100 == 0:
            raise ValueError(self.runs)
        return self.rank

    def refused(self, msg):
        return refused

def mod_init():
    return Handler()
"#;
    let server = Arc::new(Server::mode(text, Interpreters::Shared));
    let workers: Vec<_> = (0..WORKERS)
        .map(|rank| {
            let server = server.clone();
            std::thread::spawn(move || {
                let station = server.station(rank);
                for i in 1..=RUNS {
                    if i % 16 == 0 {
                        station.worker.detach();
                        station.worker.attach();
                    }
                    let expected =
                        if i % 100 == 0 { RunOutcome::Exception } else { RunOutcome::Returned(rank.into()) };
                    assert_eq!(station.run("ksr_request_route", INVITE).outcome, expected, "{}", log());
                }
                // Not while it waits for the others.
                station.worker.detach();
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("worker");
    }
    assert_eq!(server.counted("ksr_request_route", "calls"), RUNS * WORKERS as u64);
    assert_eq!(server.counted("ksr_request_route", "exceptions"), RUNS / 100 * WORKERS as u64);
    let RunOutcome::Returned(refused) = server.station(0).run("refused", INVITE).outcome else {
        panic!("{}", log())
    };
    assert!(refused > 0, "no worker met a message of another");
    assert_eq!(server.engine.rpc_engine()["gil"], "free-threaded");
}

/// Held threads have numbers of their own, also when workers start them at the same moment.
#[test]
fn held_threads_are_told_apart() {
    let _alone = alone();
    let text = r#"
import KSR, threading
idents = []

class Handler:
    def ksr_request_route(self, msg):
        for _ in range(20):
            thread = threading.Thread(target=print)
            thread.start()
            idents.append(thread.ident)

    def count(self, msg):
        return len(set(idents))

def mod_init():
    return Handler()
"#;
    let server = Arc::new(Server::mode(text, Interpreters::Shared));
    let start = Arc::new(Barrier::new(2));
    let workers = [1, 2].map(|rank| {
        let (server, start) = (server.clone(), start.clone());
        std::thread::spawn(move || {
            let station = server.station(rank);
            start.wait();
            for _ in 0..20 {
                assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1));
            }
        })
    });
    for worker in workers {
        worker.join().expect("worker");
    }
    assert_eq!(server.station(1).run("count", INVITE).outcome, RunOutcome::Returned(800));
}
