//! Callbacks that take too long: reported with the place where they are stuck, interrupted, and never the next one instead.

mod common;

use std::sync::{Barrier, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use common::{GATE, INVITE, MEETING, Server, Station, log, modes};
use script::RunOutcome;
use trunkline_python::Interpreters;

/// The gate is one for all tests, and so is the shared interpreter.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

fn wait_for_log(what: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !log().contains(what) {
        assert!(Instant::now() < until, "not logged: {what}\n{}", log());
        std::thread::yield_now();
    }
}

fn server(text: &str, mode: Interpreters, warn_ms: u64, kill_ms: u64) -> Server {
    let set = |s: &mut trunkline_python::Settings| {
        (s.interpreters, s.exec_warn_ms, s.exec_kill_ms) = (mode, warn_ms, kill_ms);
    };
    Server::load(text, set).unwrap_or_else(|e| panic!("script: {e}"))
}

/// A handler whose callbacks are these, `def name(self, msg):` and so on.
fn handler(callbacks: &str) -> String {
    let lines: String = callbacks.lines().map(|l| format!("    {l}\n")).collect();
    format!("import KSR, sys, time\nclass Handler:\n{lines}def mod_init():\n    return Handler()\n")
}

fn exceptions(server: &Server, callback: &str) -> u64 {
    server.counted(callback, "exceptions")
}

fn innocent(station: &Station) {
    assert_eq!(station.run("innocent", INVITE).outcome, RunOutcome::Returned(7), "{}", log());
}

/// Of a server that interrupts after a millisecond: on a busy machine `innocent` may be late itself; whoever is hit by the exception of
/// the run before is not.
fn innocent_or_late(server: &Server, station: &Station) {
    let before = server.counted("innocent", "script_us");
    let outcome = station.run("innocent", INVITE).outcome;
    let took = server.counted("innocent", "script_us") - before;
    assert!(
        outcome == RunOutcome::Returned(7) || (outcome == RunOutcome::Exception && took >= 999),
        "{outcome:?} after {took} us"
    );
}

#[test]
fn a_slow_callback_is_reported_once_with_the_line_it_is_in() {
    let _alone = alone();
    for (n, mode) in modes().into_iter().enumerate() {
        GATE.close();
        let text = handler(&format!(
            "def ksr_request_route(self, msg):\n    return self.outer_{n}()\n\
             def outer_{n}(self):\n    x = 1\n    KSR.t.wait_gate() # stuck here\n    return 3"
        ));
        let server = server(&text, mode, 20, 0);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| server.station(1).run("ksr_request_route", INVITE).outcome);
            let reported = format!("route.py\", line 7, in outer_{n}\n    KSR.t.wait_gate() # stuck here");
            wait_for_log(&reported);
            GATE.open();
            assert_eq!(run.join().expect("worker"), RunOutcome::Returned(3));
        });
        let log = log();
        let at = log.find(&format!("in outer_{n}")).expect("reported");
        let line = log.get(..at).and_then(|before| before.rfind("WARN")).expect("line");
        let line = log.get(line..).unwrap_or_default();
        assert!(
            line.starts_with("WARN callback ksr_request_route of worker 1 has been running for "),
            "{line}"
        );
        assert!(line.contains(" in ksr_request_route\n    return self.outer"), "{line}");
        assert!(line.contains("callback ksr_request_route of worker 1 ended after"), "{line}");
        assert_eq!(log.matches(&format!("in outer_{n}\n")).count(), 1, "{log}");
    }
}

#[test]
fn a_callback_that_keeps_the_lock_is_reported_without_its_stack() {
    let _alone = alone();
    for (n, mode) in modes().into_iter().enumerate() {
        // The interpreter is kept in there, as a regular expression keeps it.
        let text = handler(&format!(
            "def ksr_request_route(self, msg):\n    return 1\n\
             def keeps_{n}(self, msg):\n    return KSR.t.meet(15000)"
        ));
        let server = server(&text, mode, 20, 0);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| server.station(1).run(&format!("keeps_{n}"), INVITE).outcome);
            wait_for_log(&format!("callback keeps_{n} of worker 1 has been running for"));
            assert!(MEETING.wait(Duration::from_secs(10)));
            assert_eq!(run.join().expect("worker"), RunOutcome::Returned(1));
        });
        let log = log();
        let line = log.lines().find(|l| l.contains(&format!("callback keeps_{n} of"))).unwrap_or_default();
        assert!(line.contains("its Python stack cannot be read"), "{line}");
    }
}

#[test]
fn others_are_reported_while_one_keeps_its_interpreter() {
    let _alone = alone();
    for (n, mode) in modes().into_iter().enumerate() {
        let text = handler(&format!(
            "def ksr_request_route(self, msg):\n    return 1\n\
             def waits_{n}(self, msg):\n    KSR.info('waits_{n} is in')\n    return KSR.t.wait_gate()\n\
             def holds_{n}(self, msg):\n    return KSR.t.meet(15000)"
        ));
        GATE.close();
        let server = server(&text, mode, 300, 0);
        // As in the server: all workers are made before the first routes.
        let ready = Barrier::new(2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let station = server.station(1);
                ready.wait();
                station.run(&format!("waits_{n}"), INVITE).outcome
            });
            let holds = scope.spawn(|| {
                let station = server.station(2);
                ready.wait();
                wait_for_log(&format!("script: waits_{n} is in"));
                station.run(&format!("holds_{n}"), INVITE).outcome
            });
            wait_for_log(&format!("callback holds_{n} of worker 2 has been running"));
            wait_for_log(&format!("callback waits_{n} of worker 1 has been running"));
            assert!(MEETING.wait(Duration::from_secs(10)));
            GATE.open();
            assert_eq!(holds.join().expect("worker"), RunOutcome::Returned(1));
            assert_eq!(waits.join().expect("worker"), RunOutcome::Returned(1));
        });
    }
}

#[test]
fn an_endless_loop_is_interrupted() {
    let _alone = alone();
    for mode in modes() {
        let server = server(
            &handler(
                "def ksr_request_route(self, msg):\n    while True:\n        pass\n\
                 def innocent(self, msg):\n    return 7",
            ),
            mode,
            0,
            100,
        );
        let station = server.station(1);
        for round in 1..=3 {
            assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Exception);
            assert_eq!(exceptions(&server, "ksr_request_route"), round);
            innocent(&station);
        }
        assert!(log().contains("KSR.x.Timeout"), "{}", log());
        assert!(log().contains("(it ran longer than exec_kill_ms)"), "{}", log());
    }
}

#[test]
fn a_loop_that_catches_exceptions_is_interrupted() {
    let _alone = alone();
    for mode in modes() {
        let server = server(
            &handler(
                "def ksr_request_route(self, msg):\n    while True:\n        try:\n            while True:\n                \
                 pass\n        except Exception:\n            pass\n\
                 def stubborn(self, msg):\n    for n in range(3):\n        try:\n            while True:\n                pass\n        \
                 except BaseException as e:\n            assert type(e) is KSR.x.Timeout\n    return 3\n\
                 def innocent(self, msg):\n    return 7",
            ),
            mode,
            0,
            100,
        );
        let station = server.station(1);
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Exception);
        innocent(&station);
        // Who catches it goes on, and is struck again.
        assert_eq!(station.run("stubborn", INVITE).outcome, RunOutcome::Returned(3));
        innocent(&station);
    }
}

#[test]
fn the_outer_callback_ends_with_the_one_inside_of_it() {
    let _alone = alone();
    for mode in modes() {
        let server = server(
            &handler(
                "def ksr_request_route(self, msg):\n    KSR.t.nested('inner')\n    for n in range(10**5):\n        pass\n    \
                 return 1\n\
                 def inner(self, msg):\n    while True:\n        pass\n\
                 def innocent(self, msg):\n    return 7",
            ),
            mode,
            0,
            100,
        );
        let station = server.station(1);
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Exception);
        assert_eq!(exceptions(&server, "inner"), 1);
        assert_eq!(exceptions(&server, "ksr_request_route"), 1);
        innocent(&station);
    }
}

#[test]
fn a_run_that_ends_when_it_is_struck_never_harms_the_next() {
    let _alone = alone();
    for mode in modes() {
        // A short switch interval lets who strikes in at once; runs get longer until they are struck and shorter until they are not, so
        // that strikes fall all around their ends.
        let server = server(
            &handler(
                "def child_init(self, rank):\n    sys.setswitchinterval(1e-6)\n    self.length = 0.001\n    self.struck = False\n    \
                 return 0\n\
                 def ksr_request_route(self, msg):\n    self.length += -2e-5 if self.struck else 2e-5\n    self.struck = True\n    \
                 until = time.perf_counter() + self.length\n    while time.perf_counter() < until:\n        pass\n    \
                 self.struck = False\n    return 1\n\
                 def innocent(self, msg):\n    for n in range(50):\n        pass\n    return 7",
            ),
            mode,
            0,
            1,
        );
        let station = server.station(1);
        let (mut struck, mut spared) = (0, 0);
        for _ in 0..2000 {
            match station.run("ksr_request_route", INVITE).outcome {
                RunOutcome::Returned(1) => spared += 1,
                RunOutcome::Exception => struck += 1,
                other => panic!("{other:?}"),
            }
            innocent_or_late(&server, &station);
        }
        assert!(struck > 50 && spared > 50, "{struck} struck, {spared} spared");
        assert_eq!(exceptions(&server, "ksr_request_route"), struck);
    }
}

/// A callback that is C code from end to end: an exception that is set while it sleeps is never delivered to it.
#[test]
fn what_a_run_did_not_notice_is_taken_back() {
    let _alone = alone();
    for mode in modes() {
        let text = "import KSR, functools, time\nksr_request_route = functools.partial(time.sleep, 0.05)\n\
                    brief = [functools.partial(time.sleep, 0.0009 + n * 0.00001) for n in range(40)]\n\
                    globals().update({'brief_%d' % n: sleep for n, sleep in enumerate(brief)})\n\
                    def innocent():\n    for n in range(50):\n        pass\n    return 7\n";
        let set = |kill_ms| {
            move |s: &mut trunkline_python::Settings| {
                s.flavour = trunkline_python::Flavour::Functions;
                (s.interpreters, s.exec_warn_ms, s.exec_kill_ms) = (mode, 0, kill_ms);
            }
        };
        let patient = Server::load(text, set(20)).unwrap_or_else(|e| panic!("script: {e}"));
        let station = patient.station(31);
        for _ in 0..5 {
            assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1));
            innocent(&station);
        }
        assert!(log().contains("callback ksr_request_route of worker 31 has been running"), "{}", log());
        drop(station);
        let quick = Server::load(text, set(1)).unwrap_or_else(|e| panic!("script: {e}"));
        let station = quick.station(32);
        for n in 0..2000 {
            let outcome = station.run(&format!("brief_{}", n % 40), INVITE).outcome;
            assert_eq!(outcome, RunOutcome::Returned(1));
            innocent_or_late(&quick, &station);
        }
        assert!(log().contains(" of worker 32 has been running"), "{}", log());
    }
}
