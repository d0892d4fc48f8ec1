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

/// All counters by `(group, name)`, with their documentation.
#[derive(Debug, Default)]
pub struct Statistics {
    rows: Mutex<BTreeMap<(String, String), (Statistic, String)>>,
}

impl Statistics {
    /// Makes or finds a counter. Done at start-up, kept by who counts.
    pub fn register(&self, group: &str, name: &str, doc: &str) -> Statistic {
        let mut rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.entry((group.into(), name.into()))
            .or_insert_with(|| (Statistic::default(), doc.into()))
            .0
            .clone()
    }
    /// A counter by name.
    pub fn get(&self, name: &str) -> Option<Statistic> {
        let rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.iter().find(|((_, n), _)| n == name).map(|(_, (s, _))| s.clone())
    }
    /// `(group, name, value, doc)` of all, or of one group.
    pub fn list(&self, group: Option<&str>) -> Vec<(String, String, i64, String)> {
        let rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.iter()
            .filter(|((g, _), _)| group.is_none_or(|w| w == g))
            .map(|((g, n), (s, d))| (g.clone(), n.clone(), s.value(), d.clone()))
            .collect()
    }
}
