//! What the engine costs: nanoseconds per KSR call inside of a callback, and per empty callback.
//!
//! `cargo run --release -p trunkline-python --example cost [shared|per_worker|auto]`

use std::sync::{Arc, Barrier};
use std::time::Instant;

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use script::RunOutcome;

const SCRIPT: &str = r#"
import KSR
from time import perf_counter_ns as now

N = 2000

def measure(label, f):
    best = min(f() for _ in range(1500))
    print("%-28s %6.1f ns" % (label, best / N))

class Handler:
    def ksr_request_route(self, msg):
        return 1
    def measure(self, msg):
        def loop():
            t = now()
            for i in range(N): pass
            return now() - t
        def get():
            t = now()
            for i in range(N): KSR.pv.get("$ru")
            return now() - t
        def get_rm():
            t = now()
            for i in range(N): KSR.pv.get("$rm")
            return now() - t
        def made():
            name = "$r"
            t = now()
            for i in range(N): KSR.pv.get(name + "u")
            return now() - t
        def sets():
            t = now()
            for i in range(N): KSR.pv.sets("$ru", "sip:bob@example.org")
            return now() - t
        def method_in():
            t = now()
            for i in range(N): KSR.is_method_in("IABC")
            return now() - t
        def invite():
            t = now()
            for i in range(N): KSR.is_INVITE()
            return now() - t
        def number():
            t = now()
            for i in range(N): KSR.t.number(12)
            return now() - t
        def method():
            t = now()
            for i in range(N): msg.Method
            return now() - t
        measure("empty loop", loop)
        measure('KSR.pv.get("$ru")', get)
        measure('KSR.pv.get("$rm")', get_rm)
        measure('KSR.pv.get(name + "u")', made)
        measure('KSR.pv.sets("$ru", text)', sets)
        measure('KSR.is_method_in("IABC")', method_in)
        measure("KSR.is_INVITE()", invite)
        measure("KSR.t.number(12)", number)
        measure("msg.Method", method)
        return 1

def mod_init():
    return Handler()
"#;

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_else(|| "auto".into());
    let mode = mode.parse().expect("shared, per_worker or auto");
    let server = Arc::new(Server::mode(SCRIPT, mode));
    println!("{}", server.engine.describe());
    let threads = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1);
    let station = server.station(0);
    assert_eq!(station.run("measure", INVITE).outcome, RunOutcome::Returned(1), "{}", log());
    const RUNS: u32 = 2_000;
    let id = server.core.callbacks.intern(b"ksr_request_route").expect("name");
    station.with(INVITE, |ctx| {
        for (label, detached) in [("empty callback, attached", false), ("empty callback, detached", true)] {
            let mut best = f64::MAX;
            for _ in 0..1500 {
                if detached {
                    station.worker.detach()
                } else {
                    station.worker.attach()
                }
                let begin = Instant::now();
                for _ in 0..RUNS {
                    station.worker.run(script::RouteKind::Request, id, ctx);
                }
                best = best.min(begin.elapsed().as_nanos() as f64 / f64::from(RUNS));
            }
            println!("{label:28} {best:6.1} ns");
        }
    });
    drop(station);
    if threads > 1 {
        // Workers side by side, in batches of 16 as under load.
        const SIDE_BY_SIDE: u32 = 300_000;
        let start = Arc::new(Barrier::new(threads as usize + 1));
        let workers: Vec<_> = (0..threads)
            .map(|rank| {
                let (server, start) = (server.clone(), start.clone());
                std::thread::spawn(move || {
                    let station = server.station(rank);
                    start.wait();
                    station.with(INVITE, |ctx| {
                        for i in 0..SIDE_BY_SIDE {
                            if i % 16 == 0 {
                                station.worker.detach();
                                station.worker.attach();
                            }
                            station.worker.run(script::RouteKind::Request, id, ctx);
                        }
                    });
                    station.worker.detach();
                })
            })
            .collect();
        start.wait();
        let begin = Instant::now();
        for worker in workers {
            worker.join().expect("worker");
        }
        let each = begin.elapsed().as_nanos() as f64 / f64::from(SIDE_BY_SIDE) / f64::from(threads);
        println!("empty callback, {threads} workers    {each:6.1} ns of wall time per run");
    }
}
