//! Which threads of a script run: a row of Markdown for each `threads_mode` and `interpreters` of the Python this was built with, over ten
//! idle seconds and ten under load.
//!
//! `PYO3_PYTHON=/path/to/python cargo run -p trunkline-python --example thread_table [SECONDS]`

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use script::{RouteKind, RunOutcome};

const WORKERS: i32 = 2;

/// A thread from everywhere a script can start one, of every kind. `moved` says how many of an interpreter's threads have made progress
/// since it was last asked, `ticks` how often.
const SCRIPT: &str = r#"
import KSR, asyncio, concurrent.futures, threading, time

TICKS = {}
SEEN = {}

def sleeps(name):
    TICKS[name] = 0
    while True:
        TICKS[name] += 1
        time.sleep(0.001)

def computes(name):
    TICKS[name] = 0
    while True:
        for i in range(1000):
            pass
        TICKS[name] += 1

async def awaits(name):
    TICKS[name] = 0
    while True:
        TICKS[name] += 1
        await asyncio.sleep(0.001)

def start(target, name):
    threading.Thread(target=target, args=(name,), daemon=True).start()

start(sleeps, "import")

class Handler:
    def __init__(self):
        start(sleeps, "mod_init")
        start(computes, "computes")
        start(lambda name: asyncio.run(awaits(name)), "asyncio")
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.pool.submit(sleeps, "pool")
        self.ran = False
    def child_init(self, rank):
        start(sleeps, "child_init %d" % rank)
        self.name = "callback %d" % rank
        return 0
    def ksr_request_route(self, msg):
        if not self.ran:
            self.ran = True
            start(sleeps, self.name)
        return 1 if KSR.pv.get("$ru") else -1
    def moved(self, msg):
        global SEEN
        before, SEEN = SEEN, dict(TICKS)
        return sum(1 for name, ticks in SEEN.items() if ticks > before.get(name, 0))
    def ticks(self, msg):
        return sum(TICKS.copy().values())

def mod_init():
    return Handler()
"#;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, threads_mode, seconds] = args.as_slice() {
        let seconds = seconds.parse().expect("seconds");
        row(mode, threads_mode.parse().expect("threads_mode"), Duration::from_secs(seconds));
        return ExitCode::SUCCESS;
    }
    let seconds = args.first().map_or("10", String::as_str);
    println!(
        "| Python | `interpreters` | `threads_mode` | threads that ran: idle | ticks | under load | ticks | routed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for mode in modes() {
        for threads_mode in ["0", "1"] {
            // Each in a process of its own: threads of a script end with it.
            let mode = format!("{mode:?}");
            let me = std::env::current_exe().expect("this program");
            let status =
                Command::new(me).args([&mode, threads_mode, seconds]).status().expect("this program");
            if !status.success() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// What a worker is told to do; it answers with a number.
#[derive(Clone, Copy)]
enum Task {
    /// Run a callback: what it returns.
    Ask(&'static str),
    /// Run the request route for this long, in batches as under load: how often.
    Route(Duration),
}

/// A worker on its thread, detached from its interpreter while it has nothing to do.
struct Worker {
    tasks: Sender<Task>,
    answers: Receiver<u64>,
}

impl Worker {
    fn start(server: &Arc<Server>, rank: i32) -> Worker {
        let (tasks, told) = channel();
        let (tell, answers) = channel();
        let server = server.clone();
        std::thread::spawn(move || {
            let station = server.station(rank);
            while let Ok(task) = told.recv() {
                let answer = match task {
                    Task::Ask(callback) => returned(&station.run(callback, INVITE)),
                    Task::Route(during) => route(&server, &station, during),
                };
                station.worker.detach();
                if tell.send(answer).is_err() {
                    return;
                }
            }
        });
        Worker { tasks, answers }
    }
    fn give(&self, task: Task) {
        self.tasks.send(task).expect("a worker");
    }
    fn answer(&self) -> u64 {
        self.answers.recv().unwrap_or_else(|e| panic!("worker: {e}: {}", log()))
    }
}

fn returned(ran: &Ran) -> u64 {
    match ran.outcome {
        RunOutcome::Returned(n) => u64::try_from(n).expect("a number"),
        other => panic!("{other:?}: {}", log()),
    }
}

fn route(server: &Server, station: &Station, during: Duration) -> u64 {
    let id = server.core.callbacks.intern(b"ksr_request_route").expect("name");
    let until = Instant::now() + during;
    let mut routed = 0;
    while Instant::now() < until {
        station.with(INVITE, |ctx| {
            for _ in 0..16 {
                assert_eq!(station.worker.run(RouteKind::Request, id, ctx), RunOutcome::Returned(1));
            }
        });
        station.worker.detach();
        routed += 16;
    }
    routed
}

/// The sum of what workers answer.
fn all(workers: &[Worker], task: Task) -> u64 {
    workers.iter().for_each(|worker| worker.give(task));
    workers.iter().map(Worker::answer).sum()
}

fn row(mode: &str, threads_mode: i64, during: Duration) {
    let mode = modes().into_iter().find(|m| format!("{m:?}") == mode).expect("an interpreter mode");
    let server = Server::load(SCRIPT, |s| {
        s.interpreters = mode;
        s.threads_mode = threads_mode;
    });
    let server = Arc::new(server.unwrap_or_else(|e| panic!("script: {e}")));
    let workers: Vec<Worker> = (1..=WORKERS).map(|rank| Worker::start(&server, rank)).collect();
    all(&workers, Task::Ask("ksr_request_route"));
    let started = server.engine.rpc_threads()["started"].as_u64().expect("a number");
    let about = server.engine.rpc_engine();
    // Where all share an interpreter one of them tells of all its threads.
    let asked =
        if about["interpreters"] == "shared" { workers.get(..1).unwrap_or(&workers) } else { &workers };

    let measure = |wait: &dyn Fn() -> u64| {
        all(asked, Task::Ask("moved"));
        let before = all(asked, Task::Ask("ticks"));
        let routed = wait();
        let ticks = all(asked, Task::Ask("ticks")) - before;
        let ran = all(asked, Task::Ask("moved"));
        let verdict = if ran == started {
            "all"
        } else if ran == 0 {
            "none"
        } else {
            "SOME"
        };
        (format!("{verdict} of {started} | {ticks}"), routed)
    };
    let (idle, _) = measure(&|| {
        std::thread::sleep(during);
        0
    });
    let (load, routed) = measure(&|| all(&workers, Task::Route(during)));
    let free = if about["gil"] == "free-threaded" { "t" } else { "" };
    let version = trunkline_python::python_version();
    let interpreters = about["interpreters"].as_str().unwrap_or_default();
    println!("| {version}{free} | {interpreters} | {threads_mode} | {idle} | {load} | {routed} |");
}
