//! Several workers at once: every callback runs, nobody waits for ever, and each mode keeps its promise about who shares what.

mod common;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

const SCRIPT: &str = r#"
import KSR
import json, logging, datetime
loads = 0
total = 0

class Handler:
    def child_init(self, rank):
        self.rank = rank

    def ksr_request_route(self, msg):
        global total
        total += 1
        if KSR.pv.get("$ru") != "sip:bob@b.org" or not KSR.is_INVITE():
            return -1
        json.dumps({"a": [1, 2, 3], "m": msg.Method})
        KSR.pv.sets("$ru", "sip:%d@b.org" % self.rank)
        return self.rank

    def total(self, msg):
        return total

    def wait(self, msg):
        return KSR.t.wait_gate()

    def open(self, msg):
        KSR.t.open_gate()
        return 1

def mod_init():
    global loads
    loads += 1
    assert loads == 1
    return Handler()
"#;

/// Joins a thread, or fails when it hangs.
fn finish<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || tx.send(f()));
    match rx.recv_timeout(Duration::from_secs(60)) {
        Ok(value) => value,
        Err(e) => panic!("{what}: {e}: {}", log()),
    }
}

#[test]
fn run_side_by_side() {
    const WORKERS: i32 = 4;
    const RUNS: u64 = 3000;
    for mode in modes() {
        let server = Arc::new(Server::mode(SCRIPT, mode));
        let s = server.clone();
        let totals = finish("workers", move || {
            let threads: Vec<_> = (1..=WORKERS)
                .map(|rank| {
                    let server = s.clone();
                    std::thread::spawn(move || {
                        let station = server.station(rank);
                        for i in 0..RUNS {
                            // Batches of 16, detached in between as a worker that waits for datagrams.
                            if i % 16 == 0 {
                                station.worker.detach();
                                station.worker.attach();
                            }
                            let ran = station.run("ksr_request_route", INVITE);
                            assert_eq!(ran.outcome, RunOutcome::Returned(i64::from(rank)));
                            assert_eq!(ran.ruri, format!("sip:{rank}@b.org"));
                        }
                        station.worker.detach();
                        match station.run("total", INVITE).outcome {
                            RunOutcome::Returned(n) => n as u64,
                            other => panic!("{other:?}"),
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("worker")).collect::<Vec<u64>>()
        });
        assert_eq!(server.counted("ksr_request_route", "calls"), RUNS * WORKERS as u64);
        match mode {
            // Module globals are each worker's own.
            Interpreters::PerWorker => assert_eq!(totals, vec![RUNS; WORKERS as usize]),
            // All workers share them (and `+=` is only as atomic as Python makes it).
            _ => assert!(totals.iter().max() > Some(&RUNS), "{totals:?}"),
        }
    }
}

#[test]
fn a_blocking_function_lets_others_run() {
    for mode in modes() {
        GATE.close();
        let server = Arc::new(Server::mode(SCRIPT, mode));
        let waiting = {
            let server = server.clone();
            std::thread::spawn(move || {
                let station = server.station(1);
                station.worker.attach();
                station.run("wait", INVITE).outcome
            })
        };
        let opened = {
            let server = server.clone();
            finish("second worker", move || {
                let station = server.station(2);
                station.run("open", INVITE).outcome
            })
        };
        assert_eq!(opened, RunOutcome::Returned(1));
        // -1 is the gate's own time limit: nobody could open it.
        assert_eq!(waiting.join().expect("worker"), RunOutcome::Returned(1), "{mode:?}");
    }
}

#[test]
fn a_message_that_another_thread_keeps_is_not_used_again() {
    let text = r#"
import KSR, sys, threading
sys.setswitchinterval(1e-5)
current = None
kept = []
again = False
stop = False
runs = 0

class Handler:
    def ksr_request_route(self, msg):
        global current, again, runs
        runs += 1
        again = again or any(msg is other for other in kept)
        before = len(kept)
        current = msg
        # The other times it is chance whether the thread gets it, and when.
        while runs % 10 == 0 and len(kept) == before:
            pass
        current = None

    def verdict(self, msg):
        global stop
        stop = True
        return -1 if again else len(kept)

def keep():
    while not stop:
        msg = current
        if msg is not None and not (kept and kept[-1] is msg):
            kept.append(msg)

def mod_init():
    threading.Thread(target=keep, daemon=True).start()
    return Handler()
"#;
    for mode in modes() {
        let server = Server::load(text, |s| {
            s.interpreters = mode;
            s.threads_mode = 1;
        });
        let server = server.unwrap_or_else(|e| panic!("script: {e}"));
        let verdict = finish("a thread that keeps messages", move || {
            let station = server.station(1);
            for i in 0..1000 {
                if i % 50 == 0 {
                    station.worker.detach();
                    station.worker.attach();
                }
                assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1));
            }
            station.run("verdict", INVITE).outcome
        });
        assert!(matches!(verdict, RunOutcome::Returned(100..)), "{mode:?}: {verdict:?}");
    }
}

#[test]
fn come_and_go() {
    for mode in modes() {
        let server = Arc::new(Server::mode(SCRIPT, mode));
        let s = server.clone();
        finish("workers", move || {
            for rank in 0..6 {
                let server = s.clone();
                let ran =
                    std::thread::spawn(move || server.station(rank).run("ksr_request_route", INVITE).outcome);
                assert_eq!(ran.join().expect("worker"), RunOutcome::Returned(i64::from(rank)));
            }
        });
        assert_eq!(server.counted("ksr_request_route", "calls"), 6);
    }
}
