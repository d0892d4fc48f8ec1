//! Threads of the script: with `threads_mode` 1 they run, with 0 they make no progress, wherever they were started.
mod common;

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use common::*;
use script::RunOutcome;
use trunkline_python::Interpreters;

/// `threads_mode` is one per process, as the script is.
static ONE_SCRIPT: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_SCRIPT.lock().unwrap_or_else(|e| e.into_inner())
}

/// Threads from everywhere a script can start one, each counting in a name of its own.
const TICKING: &str = r#"
import KSR, threading, time, asyncio, concurrent.futures, _thread

TICKS = {}

def tick(name):
    while True:
        TICKS[name] = TICKS.get(name, 0) + 1
        time.sleep(0.0005)

def spin(name):
    while True:
        TICKS[name] = TICKS.get(name, 0) + 1

async def tock(name):
    while True:
        TICKS[name] = TICKS.get(name, 0) + 1
        await asyncio.sleep(0.0005)

def timer():
    TICKS["timer"] = TICKS.get("timer", 0) + 1
    threading.Timer(0.0005, timer).start()

def start(name, target=tick):
    threading.Thread(target=target, args=(name,), name=name, daemon=True).start()

start("import")

class Handler:
    def __init__(self):
        start("mod_init")
        start("spin", spin)
        threading.Thread(target=lambda: asyncio.run(tock("asyncio")), daemon=True).start()
        self.executor = concurrent.futures.ThreadPoolExecutor(1)
        self.executor.submit(tick, "executor")
        _thread.start_new_thread(tick, ("low",))
        threading.Timer(0.0005, timer).start()
        self.started = False
    def child_init(self, rank):
        self.rank = rank
        start("child_init")
        return 0
    def ksr_request_route(self, msg):
        if not self.started:
            self.started = True
            start("callback")
        return sum(TICKS.values())
    def least(self, msg):
        """What the slowest of the threads has counted."""
        names = ["import", "mod_init", "spin", "asyncio", "executor", "low", "timer", "child_init", "callback"]
        return min(TICKS.get(n, 0) for n in names)
    def blocks(self, msg):
        time.sleep(0.2)
        return sum(TICKS.values())
    def computes(self, msg):
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
        return sum(TICKS.values())

def mod_init():
    return Handler()
"#;

fn returned(ran: &Ran) -> i64 {
    match ran.outcome {
        RunOutcome::Returned(n) => n,
        other => panic!("{other:?}: {}", log()),
    }
}

fn load(text: &str, mode: Interpreters, threads_mode: i64) -> Server {
    let server = Server::load(text, |s| {
        s.interpreters = mode;
        s.threads_mode = threads_mode;
    });
    server.unwrap_or_else(|e| panic!("script: {e}"))
}

/// Routes until the slowest thread has counted `more`; fails after a minute.
fn progress(station: &Station, more: i64) {
    let goal = returned(&station.run("least", INVITE)) + more;
    let end = Instant::now() + Duration::from_secs(60);
    while returned(&station.run("least", INVITE)) < goal {
        assert!(Instant::now() < end, "a thread makes no progress: {}", log());
    }
}

#[test]
fn with_mode_1_they_run() {
    let _alone = alone();
    for mode in modes() {
        let server = load(TICKING, mode, 1);
        let station = server.station(1);
        station.run("ksr_request_route", INVITE);
        // Under load: callbacks one after the other, the worker attached all the time.
        station.worker.attach();
        progress(&station, 20);
        station.worker.detach();
        // While the worker is idle (it is detached then): it looks again only when a thread of the script says so.
        let before = returned(&station.run("least", INVITE));
        let end = Instant::now() + Duration::from_secs(60);
        while returned(&station.run("least", INVITE)) < before + 20 {
            std::thread::yield_now();
            assert!(Instant::now() < end);
        }
        let report = server.engine.rpc_threads();
        let rows = report["threads"].as_array().expect("rows").clone();
        let row = |name: &str| {
            rows.iter()
                .rev()
                .find(|r| r["name"] == name)
                .unwrap_or_else(|| panic!("{name}: {report}"))
                .clone()
        };
        assert_eq!(row("callback")["worker"], 1);
        assert_eq!(row("callback")["state"], "running");
        assert!(row("callback")["started_at"].as_str().is_some_and(|p| p.contains("route.py:")), "{report}");
        assert_eq!(row("import")["worker"], "-");
    }
}

#[test]
fn with_mode_0_they_make_no_progress() {
    let _alone = alone();
    for mode in modes() {
        let server = load(TICKING, mode, 0);
        let station = server.station(1);
        for _ in 0..500 {
            assert_eq!(returned(&station.run("ksr_request_route", INVITE)), 0, "{mode:?}");
        }
        assert_eq!(returned(&station.run("blocks", INVITE)), 0, "{mode:?}");
        assert_eq!(returned(&station.run("computes", INVITE)), 0, "{mode:?}");
        let report = server.engine.rpc_threads();
        let held =
            report["threads"].as_array().expect("rows").iter().filter(|r| r["state"] == "held").count();
        assert!(held >= 9, "{report}");
        assert!(log().contains("thread import of the script, started at"), "{}", log());
        assert!(log().contains("modparam(\"app_python3\", \"threads_mode\", 1)"));
    }
}

#[test]
fn a_held_thread_looks_started_and_nobody_waits_for_it() {
    let _alone = alone();
    let text = r#"
import KSR, threading
class Handler:
    def ksr_request_route(self, msg):
        ran = []
        t = threading.Thread(target=ran.append, args=(1,), name="held one")
        assert not t.is_alive()
        t.start()
        assert t.is_alive(), "alive"
        t.join(0.01)
        assert t.is_alive(), "still alive"
        assert t.ident is not None and not ran
        assert t in threading.enumerate()
        assert "started" in repr(t)
        try:
            t.start()
        except RuntimeError:
            pass
        else:
            assert False, "started twice"
        timer = threading.Timer(0, ran.append, (2,))
        timer.start()
        timer.cancel()
        assert not ran
        # Threads nobody waits for cost a script that starts one per call no threads of the system.
        for n in range(3000):
            threading.Thread(target=ran.append, args=(n,)).start()
        assert len(threading.enumerate()) < 1100
        return 5
def mod_init():
    return Handler()
"#;
    for mode in modes() {
        let server = load(text, mode, 0);
        assert_eq!(returned(&server.station(1).run("ksr_request_route", INVITE)), 5, "{}", log());
        assert!(log().contains("thread held one of the script, started at"));
    }
}

#[test]
fn what_a_thread_raises_is_logged_and_it_leaves_the_list() {
    let _alone = alone();
    let text = r#"
import KSR, threading
def fails():
    raise ValueError("from the thread")
class Handler:
    def ksr_request_route(self, msg):
        t = threading.Thread(target=fails, name="failing")
        t.start()
        t.join()
        return 6
def mod_init():
    return Handler()
"#;
    for mode in modes() {
        let server = load(text, mode, 1);
        assert_eq!(returned(&server.station(1).run("ksr_request_route", INVITE)), 6);
        assert!(log().contains("exception in thread failing of the script"), "{}", log());
        assert!(log().contains("ValueError: from the thread"));
        let report = server.engine.rpc_threads();
        assert!(
            report["threads"].as_array().expect("rows").iter().all(|r| r["name"] != "failing"),
            "{report}"
        );
    }
}

#[test]
fn a_script_cannot_end_or_fork_the_server_or_take_its_signals() {
    let _alone = alone();
    let text = r#"
import KSR, os, signal
signal.signal(signal.SIGTERM, lambda *_: None)
signal.alarm(1)
class Handler:
    def ksr_request_route(self, msg):
        try:
            os.fork()
        except RuntimeError as e:
            assert "subprocess" in str(e)
        else:
            return 0
        import subprocess
        assert subprocess.run(["true"]).returncode == 0
        return 8
    def leaves(self, msg):
        os._exit(3)
def mod_init():
    return Handler()
"#;
    for mode in modes() {
        let server = load(text, mode, 0);
        let station = server.station(1);
        assert_eq!(returned(&station.run("ksr_request_route", INVITE)), 8, "{}", log());
        assert_eq!(station.run("leaves", INVITE).outcome, RunOutcome::Exit);
        assert!(log().contains("os._exit() called at"), "{}", log());
        assert!(log().contains("signals are the server's"));
    }
}
