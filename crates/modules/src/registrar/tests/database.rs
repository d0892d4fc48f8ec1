//! `db_mode` 1 to 3: what is in memory and what in the database, also when the database is away.

use std::sync::atomic::{AtomicBool, Ordering};

use store::{Condition, Database, Error, Memory, Query, Rows, Value as Cell, schema};

use super::*;

/// A database that can be away.
struct Flaky {
    memory: Memory,
    away: AtomicBool,
}

impl Flaky {
    fn there(&self) -> Result<&Memory, Error> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::Unavailable("it is away".into()));
        }
        Ok(&self.memory)
    }
    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }
    fn contacts(&self) -> Vec<String> {
        let query = Query {
            table: "location",
            columns: &["contact", "ruid"],
            order_by: Some("contact"),
            ..Query::default()
        };
        let rows = self.memory.query(&query).expect("rows");
        let show = |cells: Vec<Cell>| {
            cells.iter().map(|c| text(c.as_text().unwrap_or_default())).collect::<Vec<_>>()
        };
        rows.into_iter().map(|row| show(row).join(" ")).collect()
    }
}

impl Database for Flaky {
    fn name(&self) -> &'static str {
        self.memory.name()
    }
    fn capabilities(&self) -> store::Capabilities {
        self.memory.capabilities()
    }
    fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
        self.there()?.query(query)
    }
    fn insert(&self, table: &str, columns: &[&str], row: &[Cell]) -> Result<(), Error> {
        self.there()?.insert(table, columns, row)
    }
    fn replace(&self, table: &str, columns: &[&str], row: &[Cell]) -> Result<(), Error> {
        self.there()?.replace(table, columns, row)
    }
    fn update(
        &self,
        table: &str,
        columns: &[&str],
        row: &[Cell],
        conditions: &[Condition<'_>],
    ) -> Result<u64, Error> {
        self.there()?.update(table, columns, row, conditions)
    }
    fn delete(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
        self.there()?.delete(table, conditions)
    }
    fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        self.there()?.columns(table)
    }
}

/// A database and its URL.
fn database(name: &str) -> (Arc<Flaky>, String, Arc<dyn Database>) {
    let flaky = Arc::new(Flaky { memory: Memory::new(), away: AtomicBool::new(false) });
    flaky.memory.create_table(schema::table("location").expect("known")).expect("made");
    let url = format!("memory://registrar-{name}");
    let shared: Arc<dyn Database> = flaky.clone();
    store::substitute(&url, &shared);
    (flaky, url, shared)
}

fn office(mode: i64, url: &str) -> Office {
    let office = Office::new(&[
        ("usrloc", "db_mode", int(mode)),
        ("usrloc", "db_url", string(url)),
        ("usrloc", "preload", string("location")),
    ]);
    office.usrloc().start(&office.bench.core, office.bench.now).expect("starts");
    office
}

impl Office {
    fn usrloc(&self) -> &Usrloc {
        self.bench.core.registry.module().expect("loaded")
    }
    fn stop(&self) {
        self.usrloc().stop(&self.bench.core, self.bench.now);
    }
}

const B: &str = "Contact: <sip:b@192.0.2.1>";
const NONE: [String; 0] = [];

#[test]
fn written_through_or_not_at_all() {
    let (db, url, _kept) = database("through");
    let first = office(1, &url);
    assert_eq!(first.alice(1, &[A]).status, "200 OK");
    assert_eq!(db.contacts(), ["sip:a@192.0.2.1:5070 uloc-6b02c74d-1a2b-1"]);

    db.set_away(true);
    let refused = first.alice(2, &[B]);
    assert_eq!((refused.result, refused.status.as_str()), (-1, "503 Service Unavailable"));
    assert_eq!(refused.rows, ["P-Registrar-Error: Location database is away"]);
    assert_eq!(first.alice(2, &["Contact: *", "Expires: 0"]).status, "503 Service Unavailable");
    assert_eq!(first.alice(2, &[&format!("{A};expires=0")]).status, "503 Service Unavailable");
    assert_eq!(first.targets("sip:alice@h"), ["sip:a@192.0.2.1:5070"], "as it was, without asking");
    db.set_away(false);

    // Another run: what was acknowledged is there, under its old id, and is refreshed in place.
    first.stop();
    let second = office(1, &url);
    assert_eq!(second.targets("sip:alice@h"), ["sip:a@192.0.2.1:5070"]);
    assert_eq!(second.alice(3, &[A, B]).status, "200 OK");
    assert_eq!(db.contacts().len(), 2);
    assert_eq!(db.contacts()[0], "sip:a@192.0.2.1:5070 uloc-6b02c74d-1a2b-1");
    assert_eq!(second.alice(4, &[&format!("{B};expires=0")]).status, "200 OK");
    assert_eq!(db.contacts(), ["sip:a@192.0.2.1:5070 uloc-6b02c74d-1a2b-1"]);
    assert_eq!(second.alice(5, &["Contact: *", "Expires: 0"]).status, "200 OK");
    assert_eq!(db.contacts(), NONE);
    let mut ctx = second.context("<sip:bob@bench.test>", "c", 1, &[A]);
    second.save(&mut ctx, crate::registrar::save_flags::MEMORY_ONLY);
    assert_eq!((db.contacts(), second.targets("sip:bob@h").len()), (vec![], 1), "not into the database");
    second.stop();
}

#[test]
fn written_back_by_the_writer_and_at_the_end() {
    let (db, url, _kept) = database("back");
    let first = office(2, &url);
    db.set_away(true);
    assert_eq!(first.alice(1, &[A, B]).status, "200 OK", "nothing waits for the database");
    let (backing, domains) =
        (first.usrloc().domains().backing().expect("has one"), first.usrloc().domains().all());
    assert!(!backing.flush_all(&domains));
    db.set_away(false);
    assert!(backing.flush_all(&domains), "what could not be written is written now");
    assert_eq!(db.contacts().len(), 2);
    assert_eq!(first.alice(2, &[&format!("{A};expires=0")]).status, "200 OK");
    assert_eq!(first.alice(3, &[B, "Expires: 7000"]).status, "200 OK");
    assert_eq!(db.contacts().len(), 2, "not yet");
    first.stop();
    assert_eq!(db.contacts(), ["sip:b@192.0.2.1 uloc-6b02c74d-1a2b-2"]);

    // The database is away at the start: rows are read when it is back.
    db.set_away(true);
    let second = office(2, &url);
    assert_eq!(second.targets("sip:alice@h").len(), 0);
    db.set_away(false);
    let (backing, domains) =
        (second.usrloc().domains().backing().expect("has one"), second.usrloc().domains().all());
    backing.work(&domains, unix(second.bench.now), 0, false);
    assert_eq!(second.targets("sip:alice@h"), ["sip:b@192.0.2.1"]);
    // Its end comes in memory and in the database.
    backing.work(&domains, unix(second.bench.now) + 7000, 1024, true);
    assert_eq!(db.contacts(), NONE);
    second.stop();
}

#[test]
fn in_the_database_only() {
    let (db, url, _kept) = database("only");
    let (one, two) = (office(3, &url), office(3, &url));
    assert_eq!(one.alice(1, &[A]).status, "200 OK");
    assert_eq!(two.targets("sip:alice@h"), ["sip:a@192.0.2.1:5070"], "another server on this database");
    assert_eq!(two.alice(2, &[A, B]).result, 1);
    assert_eq!(one.targets("sip:alice@h").len(), 2);
    assert_eq!(one.usrloc().domains().find(b"location").map(|d| d.contacts()), Some(0));
    db.set_away(true);
    assert_eq!(one.targets("sip:alice@h").len(), 0);
    assert_eq!(one.alice(3, &[A]).status, "503 Service Unavailable");
    db.set_away(false);
    assert_eq!(one.alice(3, &["Contact: *", "Expires: 0"]).status, "200 OK");
    assert_eq!(db.contacts(), NONE);
    one.stop();
    two.stop();
}

/// Keep-alives that nobody answers end a contact before its time: its row goes too.
#[test]
fn a_contact_that_ends_early_does_not_come_back() {
    for mode in [1, 2] {
        let (db, url, _kept) = database(&format!("early{mode}"));
        let office = office(mode, &url);
        assert_eq!(office.alice(1, &[A]).status, "200 OK");
        let (backing, domains) =
            (office.usrloc().domains().backing().expect("has one"), office.usrloc().domains().all());
        assert!(backing.flush_all(&domains));
        let now = unix(office.bench.now);
        domains[0].change(b"alice", |entry| {
            if let Some(contact) = entry.record().contact(0) {
                contact.expires = now;
            }
        });
        for _ in 0..60 {
            office.usrloc().tick(&office.bench.core, office.bench.now);
        }
        assert_eq!(office.targets("sip:alice@h").len(), 0);
        office.stop();
        assert_eq!(db.contacts(), NONE, "db_mode {mode}");
    }
}

/// Released interpreters cost time: only what may wait is called that way.
#[test]
fn only_what_may_wait_is_said_to() {
    let (_db, url, _kept) = database("waits");
    let waiting = |mode| {
        let office = Office::new(&[("usrloc", "db_mode", int(mode)), ("usrloc", "db_url", string(&url))]);
        let registrar = office.bench.core.registry.module::<Registrar>().expect("loaded");
        let rows = registrar.functions().iter().filter(|f| registrar.waits(f));
        rows.map(|f| f.name).filter(|n| ["save", "lookup", "unregister"].contains(n)).collect::<Vec<_>>()
    };
    assert_eq!(waiting(0), Vec::<&str>::new());
    assert_eq!(waiting(1), ["save", "unregister"]);
    assert_eq!(waiting(2), Vec::<&str>::new());
    assert_eq!(waiting(3), ["save", "lookup", "unregister"]);
}
