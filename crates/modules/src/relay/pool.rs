//! The nodes of a module: from its parameters or from a table, asked once at the start whether they are there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use script::exchange::AskError;
use store::{Database, Query, Value};

use super::{Node, Sets, State, order};

/// Where the sets of a module come from.
#[derive(Default)]
pub(crate) struct Pool {
    sets: RwLock<Arc<Sets>>,
    source: Option<Source>,
    loaded: AtomicBool,
    tested: AtomicBool,
    complained: AtomicBool,
}

/// A table of nodes.
struct Source {
    database: Arc<dyn Database>,
    table: String,
    columns: Columns,
}

/// Its columns.
pub(crate) struct Columns {
    /// Number of the set.
    pub set: String,
    /// URL of the node.
    pub url: String,
    /// Weight.
    pub weight: String,
    /// Not 0: an operator took it out. `None`: there is no such column.
    pub disabled: Option<String>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool").field(&self.sets()).finish()
    }
}

impl Pool {
    /// The sets as they stand.
    pub fn sets(&self) -> Arc<Sets> {
        self.sets.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
    /// Takes a parameter, see [`Sets::add`].
    pub fn add(&mut self, text: &str, default: i64) -> Result<(), String> {
        let sets = self.sets.get_mut().unwrap_or_else(|e| e.into_inner());
        match Arc::get_mut(sets) {
            Some(sets) => sets.add(text, default),
            None => Err("the sets are in use".into()),
        }
    }
    /// From now on the sets come from this table.
    pub fn read_from(&mut self, url: &str, table: &str, columns: Columns) -> Result<(), String> {
        let database = store::open(url).map_err(|e| e.to_string())?;
        self.source = Some(Source { database, table: table.to_owned(), columns });
        Ok(())
    }
    /// Whether the sets come from a table.
    pub fn has_table(&self) -> bool {
        self.source.is_some()
    }

    /// Reads the table again; nodes that were there keep their state. Blocks.
    pub fn load(&self, module: &str) -> Result<(), String> {
        let Some(source) = &self.source else { return Ok(()) };
        let c = &source.columns;
        let mut columns = vec![c.set.as_str(), c.url.as_str(), c.weight.as_str()];
        columns.extend(c.disabled.as_deref());
        let query = Query { table: &source.table, columns: &columns, ..Query::default() };
        let rows = source.database.query(&query).map_err(|e| e.to_string())?;
        let mut sets = Sets::default();
        for row in rows {
            let number = |at: usize| row.get(at).and_then(Value::as_int);
            let url = row.get(1).and_then(Value::as_text).and_then(|t| std::str::from_utf8(t).ok());
            let node = url.ok_or_else(|| "a row without url".to_owned()).and_then(Node::parse);
            let mut node = match node {
                Ok(node) => node,
                Err(why) => {
                    tracing::error!(target: "relay", module, table = %source.table, "row left out: {why}");
                    continue;
                }
            };
            if let Some(weight) = number(2).and_then(|w| u32::try_from(w).ok()) {
                node.weight = weight;
            }
            let off = c.disabled.is_some() && number(3).is_some_and(|d| d != 0);
            if off {
                node.switch(false);
            }
            sets.push(number(0).unwrap_or(0), node)?;
        }
        let mut current = self.sets.write().unwrap_or_else(|e| e.into_inner());
        sets.remember(&current);
        *current = Arc::new(sets);
        drop(current);
        self.loaded.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the table if that is still to be done, and asks every node once whether it is there: before the first call would have to wait
    /// for that. Blocks.
    pub fn tick(&self, module: &str, is_there: impl Fn(&Node)) {
        if self.source.is_some() && !self.loaded.load(Ordering::Relaxed) {
            match self.load(module) {
                Ok(()) if self.complained.swap(false, Ordering::Relaxed) => {
                    tracing::info!(target: "relay", module, "the table of relays is read");
                }
                Ok(()) => {}
                Err(why) => {
                    if !self.complained.swap(true, Ordering::Relaxed) {
                        tracing::error!(target: "relay", module, "the table of relays cannot be read yet: {why}");
                    }
                    return;
                }
            }
        }
        if !self.tested.swap(true, Ordering::Relaxed) {
            for (_, node) in self.sets().nodes().filter(|(_, n)| n.state() == State::Unknown) {
                is_there(node);
            }
        }
    }

    /// Asks the nodes of a set in the order of a call until one answers. `is_there` sees to nodes that were away; `until` is when one that
    /// does not answer is tried again. `None` when no node answered; it is logged then.
    pub fn ask<A>(
        &self,
        how: &Attempt<'_>,
        is_there: impl Fn(&Node) -> bool,
        ask: impl Fn(&Node) -> Result<A, AskError>,
    ) -> Option<(String, A)> {
        let sets = self.sets();
        let nodes = sets.set(how.set).unwrap_or_default();
        let mut all = order(nodes, how.call);
        // A call that is at a node already stays there, if need be also when no new calls go to it.
        let at = how.first.and_then(|url| all.iter().position(|n| n.url == url));
        if let Some(at) = at {
            let first = all.remove(at);
            all.insert(0, first);
        }
        let stays = |n: &Node| how.first == Some(n.url.as_str()) && how.stays;
        let may = |n: &Node| n.may_be_tried(how.now) || stays(n);
        let one = |node: &Node| {
            let known = matches!(node.state(), State::Up | State::Off);
            let mine = || node.claim(how.now) || (how.desperate && node.claim_early(how.now));
            if !(known || mine() && is_there(node)) {
                return None;
            }
            match ask(node) {
                Ok(answer) => return Some((node.url.clone(), answer)),
                Err(AskError::Busy) => {
                    tracing::info!(target: "relay", module = how.module, node = %node.url, "RTP relay is at its limit")
                }
                Err(why) => node.down(how.module, &why.to_string(), how.until),
            }
            None
        };
        let (willing, away): (Vec<&Node>, Vec<&Node>) = all.into_iter().partition(|n| may(n));
        if let Some(found) = willing.into_iter().take(how.limit).find_map(one) {
            return Some(found);
        }
        let away = away.into_iter().filter(|n| n.state() == State::Down && how.desperate);
        if let Some(found) = away.take(how.limit).find_map(one) {
            return Some(found);
        }
        tracing::error!(target: "relay", module = how.module, set = how.set, call_id = %String::from_utf8_lossy(how.call), "no RTP relay answers");
        None
    }
}

/// A question about a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// Name of the module, for the log.
    pub module: &'static str,
    /// The set.
    pub set: i64,
    /// What the node is chosen by.
    pub call: &'a [u8],
    /// Second of the monotonic clock.
    pub now: u64,
    /// Second from which a node that does not answer now is tried again.
    pub until: u64,
    /// Most nodes to ask.
    pub limit: usize,
    /// Node the call is at already.
    pub first: Option<&'a str>,
    /// It is asked also when an operator took it out.
    pub stays: bool,
    /// When no node answers, those that are left alone are asked whether they are back.
    pub desperate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Memory;

    #[test]
    fn nodes_of_a_table_keep_their_state() {
        let columns = ["setid", "url", "weight", "disabled"];
        let memory = Memory::new();
        memory.create("rtpengine", &columns, &["setid", "url"]);
        let database: Arc<dyn Database> = Arc::new(memory);
        store::substitute("memory://relays", &database);
        let row =
            |url: &str, disabled: i64| [Value::Int(1), Value::text(url), Value::Int(2), Value::Int(disabled)];
        let mut pool = Pool::default();
        let names = Columns {
            set: "setid".into(),
            url: "url".into(),
            weight: "weight".into(),
            disabled: Some("disabled".into()),
        };
        pool.read_from("memory://relays", "rtpengine", names).expect("a database");
        for (url, disabled) in [("udp:a:1", 0), ("udp:b:1", 1), ("nonsense", 0)] {
            database.insert("rtpengine", &columns, &row(url, disabled)).expect("inserted");
        }
        pool.tick("m", |node| node.up("m"));
        let states = |pool: &Pool| {
            pool.sets().nodes().map(|(s, n)| (s, n.url.clone(), n.weight, n.state())).collect::<Vec<_>>()
        };
        let expected =
            vec![(1, "udp:a:1".to_owned(), 2, State::Up), (1, "udp:b:1".to_owned(), 2, State::Off)];
        assert_eq!(states(&pool), expected);
        database.insert("rtpengine", &columns, &row("udp:c:1", 0)).expect("inserted");
        pool.load("m").expect("read");
        assert_eq!(
            states(&pool).iter().map(|s| s.3).collect::<Vec<_>>(),
            [State::Up, State::Off, State::Unknown]
        );
    }

    #[test]
    fn the_next_node_takes_the_calls_of_one_that_does_not_answer() {
        let mut pool = Pool::default();
        pool.add("udp:a:1 udp:b:1 udp:c:1=0", 0).expect("fine");
        let at = |now: u64| Attempt {
            module: "m",
            set: 0,
            call: b"call",
            now,
            until: now + 60,
            limit: 10,
            first: None,
            stays: false,
            desperate: false,
        };
        let asked = std::sync::Mutex::new(Vec::new());
        let ask = |fails: &'static str, now: u64| {
            let found = pool.ask(
                &at(now),
                |n| {
                    n.up("m");
                    true
                },
                |n| {
                    asked.lock().expect("lock").push(n.url.clone());
                    if n.url == fails { Err(AskError::Timeout) } else { Ok(()) }
                },
            );
            (found.map(|f| f.0), std::mem::take(&mut *asked.lock().expect("lock")))
        };
        let (first, _) = ask("", 0);
        let first: &'static str = first.expect("a node").leak();
        let (second, both) = ask(first, 1);
        assert_eq!(both, [first.to_owned(), second.clone().expect("a node")]);
        // It is left alone for a minute, then it has its calls back.
        assert_eq!(ask("", 60).1, [second.expect("a node")]);
        assert_eq!(ask("", 61).1, [first]);
        assert_eq!(pool.ask(&Attempt { set: 9, ..at(0) }, |_| true, |_| Ok(())), None);
    }
}
