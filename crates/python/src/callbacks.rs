//! How often each callback ran, how long, and how long it waited: the proof that the script routes.
//!
//! Each worker writes counters of its own (no contention, plain loads and stores); readers add them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use script::{CallbackId, Callbacks};
use serde_json::{Value as Json, json};

/// Counters of one callback in one worker. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct CallbackCounters {
    calls: AtomicU64,
    exceptions: AtomicU64,
    /// From entering the script to its return, nested callbacks and KSR functions included.
    running: AtomicU64,
    /// Waiting for the interpreter before and during it.
    waiting: AtomicU64,
    longest: AtomicU64,
}

/// Only its worker writes a counter, so adding needs no locked instruction.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl CallbackCounters {
    /// A run that awaited ended on the event loop; it was counted when it began.
    pub fn carried_on(&self, running: u64, raised: bool) {
        add(&self.running, running);
        if raised {
            add(&self.exceptions, 1);
        }
        if running > self.longest.load(Relaxed) {
            self.longest.store(running, Relaxed);
        }
    }
    /// One run ended.
    pub fn ran(&self, running: u64, waiting: u64, raised: bool) {
        add(&self.calls, 1);
        add(&self.running, running);
        if waiting > 0 {
            add(&self.waiting, waiting);
        }
        if raised {
            add(&self.exceptions, 1);
        }
        if running > self.longest.load(Relaxed) {
            self.longest.store(running, Relaxed);
        }
    }
}

/// What one worker counts and is doing.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    pub rank: i32,
    /// The callback that runs now (its id + 1), 0 none: for whoever watches for stuck scripts.
    pub running: AtomicU32,
    /// Callbacks in the order in which they first ran here.
    callbacks: Mutex<Vec<(CallbackId, Arc<CallbackCounters>)>>,
}

impl WorkerCounters {
    pub fn new(rank: i32) -> WorkerCounters {
        WorkerCounters { rank, ..WorkerCounters::default() }
    }
    /// The counters of a callback, whichever loading of the script it belongs to; made at its first run.
    pub fn callback(&self, id: CallbackId) -> Arc<CallbackCounters> {
        let id = id.of(0);
        let mut all = self.callbacks.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, found)) = all.iter().find(|(other, _)| *other == id) {
            return found.clone();
        }
        let made = Arc::new(CallbackCounters::default());
        all.push((id, made.clone()));
        made
    }
}

/// Sums over workers.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    calls: u64,
    exceptions: u64,
    running: u64,
    waiting: u64,
    longest: u64,
}

impl Sum {
    fn add(&mut self, c: &CallbackCounters) {
        self.calls += c.calls.load(Relaxed);
        self.exceptions += c.exceptions.load(Relaxed);
        self.running += c.running.load(Relaxed);
        self.waiting += c.waiting.load(Relaxed);
        self.longest = self.longest.max(c.longest.load(Relaxed));
    }
    fn json(&self, name: &str) -> Json {
        json!({
            "name": name,
            "calls": self.calls,
            "exceptions": self.exceptions,
            "script_us": self.running / 1000,
            "waiting_us": self.waiting / 1000,
            "longest_us": self.longest / 1000,
        })
    }
}

/// For `kemi.callbacks`: totals per callback, and the same per worker. Callbacks the script has (`found`) are listed before they ran:
/// a zero there says that nothing came to them.
pub(crate) fn report<'f>(
    names: &Callbacks,
    found: impl Iterator<Item = &'f String>,
    workers: &[Arc<WorkerCounters>],
) -> Json {
    let mut totals: BTreeMap<CallbackId, Sum> = BTreeMap::new();
    let mut each = Vec::new();
    for worker in workers {
        let callbacks = worker.callbacks.lock().unwrap_or_else(|e| e.into_inner());
        let mut rows = Vec::new();
        for (id, counters) in callbacks.iter() {
            totals.entry(*id).or_default().add(counters);
            let mut one = Sum::default();
            one.add(counters);
            rows.push(one.json(&names.name(*id)));
        }
        each.push(json!({ "rank": worker.rank, "callbacks": rows }));
    }
    let mut rows: Vec<(String, Sum)> =
        totals.into_iter().map(|(id, sum)| (names.name(id).to_string(), sum)).collect();
    for name in found {
        if !rows.iter().any(|(n, _)| n == name) {
            rows.push((name.clone(), Sum::default()));
        }
    }
    let totals: Vec<Json> = rows.iter().map(|(name, sum)| sum.json(name)).collect();
    json!({ "callbacks": totals, "workers": each })
}
