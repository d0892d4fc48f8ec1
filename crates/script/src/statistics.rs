//! Named counters, Kamailio's `group:name`; the one list of what is counted is made at start-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

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

/// How a number moves. Kamailio calls both statistics; Prometheus must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the server runs.
    Counter,
    /// It goes up and down.
    Level,
}

/// One statistic as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Kamailio's group.
    pub group: String,
    /// Name in the group.
    pub name: String,
    /// How it moves.
    pub kind: Kind,
    /// Value now.
    pub value: i64,
    /// What it counts.
    pub doc: String,
}

enum Source {
    Kept(Statistic),
    Computed(Gauge),
}

struct Row {
    source: Source,
    kind: Kind,
    doc: String,
}

impl Row {
    fn value(&self) -> i64 {
        match &self.source {
            Source::Kept(s) => s.value(),
            Source::Computed(f) => f(),
        }
    }
}

/// All counters by `(group, name)`, with their documentation.
#[derive(Default)]
pub struct Statistics {
    rows: Mutex<BTreeMap<(String, String), Row>>,
}

impl Statistics {
    /// Makes or finds a counter. Done at start-up, kept by who counts.
    pub fn register(&self, group: &str, name: &str, doc: &str) -> Statistic {
        self.keep(group, name, doc, Kind::Counter)
    }
    /// The same for a number that also goes down: what is there now, or a setting.
    pub fn level(&self, group: &str, name: &str, doc: &str) -> Statistic {
        self.keep(group, name, doc, Kind::Level)
    }
    fn keep(&self, group: &str, name: &str, doc: &str, kind: Kind) -> Statistic {
        let mut rows = self.rows();
        let key = (group.into(), name.into());
        if let Some(Row { source: Source::Kept(known), .. }) = rows.get(&key) {
            return known.clone();
        }
        let made = Statistic::default();
        rows.insert(key, Row { source: Source::Kept(made.clone()), kind, doc: doc.into() });
        made
    }
    /// Adds a number that is computed when asked for. It must not ask for statistics itself.
    pub fn computed(&self, group: &str, name: &str, doc: &str, kind: Kind, value: Gauge) {
        let row = Row { source: Source::Computed(value), kind, doc: doc.into() };
        self.rows().insert((group.into(), name.into()), row);
    }
    /// A value by name, in whatever group.
    pub fn value(&self, name: &str) -> Option<i64> {
        self.rows().iter().find(|((_, n), _)| n == name).map(|(_, row)| row.value())
    }
    /// A kept counter by group and name; not one that is computed.
    pub fn find(&self, group: &str, name: &str) -> Option<Statistic> {
        match &self.rows().get(&(group.to_owned(), name.to_owned()))?.source {
            Source::Kept(s) => Some(s.clone()),
            Source::Computed(_) => None,
        }
    }
    /// `(group, name, value, doc)` of all, or of one group.
    pub fn list(&self, group: Option<&str>) -> Vec<(String, String, i64, String)> {
        self.rows()
            .iter()
            .filter(|((g, _), _)| group.is_none_or(|w| w == g))
            .map(|((g, n), row)| (g.clone(), n.clone(), row.value(), row.doc.clone()))
            .collect()
    }
    /// All of them, by group and name.
    pub fn readings(&self) -> Vec<Reading> {
        self.rows()
            .iter()
            .map(|((group, name), row)| Reading {
                group: group.clone(),
                name: name.clone(),
                kind: row.kind,
                value: row.value(),
                doc: row.doc.clone(),
            })
            .collect()
    }
    fn rows(&self) -> MutexGuard<'_, BTreeMap<(String, String), Row>> {
        self.rows.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl std::fmt::Debug for Statistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list(None).iter().map(|(g, n, v, _)| format!("{g}:{n}={v}"))).finish()
    }
}
