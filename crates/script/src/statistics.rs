//! Named counters, Kamailio's `group:name`; the one list of what is counted is made at start-up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// A counter; cheap to clone and to add to.
#[derive(Debug, Clone, Default)]
pub struct Statistic(Arc<AtomicI64>);

impl Statistic {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }
    /// Adds (or, negative, takes away).
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    /// Current value.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// A number that is computed when asked for.
pub type Gauge = Box<dyn Fn() -> i64 + Send + Sync>;

enum Row {
    Counter(Statistic),
    Gauge(Gauge),
}

impl Row {
    fn value(&self) -> i64 {
        match self {
            Row::Counter(s) => s.value(),
            Row::Gauge(f) => f(),
        }
    }
}

/// All counters by `(group, name)`, with their documentation.
#[derive(Default)]
pub struct Statistics {
    rows: Mutex<BTreeMap<(String, String), (Row, String)>>,
}

impl Statistics {
    /// Makes or finds a counter. Done at start-up, kept by who counts.
    pub fn register(&self, group: &str, name: &str, doc: &str) -> Statistic {
        let mut rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        let key = (group.into(), name.into());
        if let Some((Row::Counter(known), _)) = rows.get(&key) {
            return known.clone();
        }
        let made = Statistic::default();
        rows.insert(key, (Row::Counter(made.clone()), doc.into()));
        made
    }
    /// Adds a number that is computed when asked for. It must not ask for statistics itself.
    pub fn gauge(&self, group: &str, name: &str, doc: &str, value: Gauge) {
        let mut rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.insert((group.into(), name.into()), (Row::Gauge(value), doc.into()));
    }
    /// A value by name, in whatever group.
    pub fn value(&self, name: &str) -> Option<i64> {
        let rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.iter().find(|((_, n), _)| n == name).map(|(_, (row, _))| row.value())
    }
    /// `(group, name, value, doc)` of all, or of one group.
    pub fn list(&self, group: Option<&str>) -> Vec<(String, String, i64, String)> {
        let rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.iter()
            .filter(|((g, _), _)| group.is_none_or(|w| w == g))
            .map(|((g, n), (row, d))| (g.clone(), n.clone(), row.value(), d.clone()))
            .collect()
    }
}

impl std::fmt::Debug for Statistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list(None).iter().map(|(g, n, v, _)| format!("{g}:{n}={v}"))).finish()
    }
}
