//! A server that dies and comes back: what waits, what fails, what is repeated, and what is said about it.

mod common;

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use store::{Condition, Database, Error, Query, Value, battery, open};
use tracing::{Event, Metadata, Subscriber, field, span};
use trunkline_store as store;

/// Log lines of the store.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl field::Visit for &Lines {
    fn record_debug(&mut self, field: &field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().expect("lock").push(format!("{value:?}"));
        }
    }
}

struct Log(&'static Lines);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "database"
    }
    fn event(&self, event: &Event<'_>) {
        let mut lines = self.0;
        event.record(&mut lines);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn control(what: &str, kind: &str) {
    let script = std::env::var("TRUNKLINE_TEST_DATABASES").expect("set with the servers");
    let status = Command::new(script).args([what, kind]).status().expect("runs");
    assert!(status.success(), "{what} {kind}");
}

fn outage(kind: &str, db: &dyn Database, lines: &Lines) {
    battery::create(db);
    db.delete("battery", &[]).expect("empty");
    let columns = &["username", "contact"];
    let row = |n: i64| [Value::text("u"), Value::text(n.to_string())];
    let count = |db: &dyn Database| {
        let alice = [Condition::equal("username", Value::text("u"))];
        db.query(&Query { table: "battery", columns, conditions: &alice, ..Query::default() })
            .map(|r| r.len())
    };
    let mut written = 0;
    // Several connections, all of which break at once.
    let together = |db: &dyn Database| {
        let results = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| count(db))).collect();
            threads.into_iter().map(|t| t.join().expect("ends")).collect::<Vec<_>>()
        });
        results.into_iter().collect::<Result<Vec<_>, _>>()
    };
    for round in 0..2 {
        assert_eq!(db.insert("battery", columns, &row(written)), Ok(()));
        written += 1;
        together(db).expect("all read");
        control("stop", kind);
        assert!(matches!(count(db), Err(Error::Unavailable(_))));
        // So many that a wait in each would be noticed.
        for _ in 0..10_000 {
            assert!(matches!(db.insert("battery", columns, &row(-1)), Err(Error::Unavailable(_))));
        }
        control("start", kind);
        // The back-off ends, and the next call finds it.
        while let Err(e) = count(db) {
            assert!(matches!(e, Error::Unavailable(_)), "{e}");
            std::thread::park_timeout(Duration::from_millis(2));
        }
        assert_eq!(together(db).expect("all read"), vec![written as usize; 6], "nothing is lost or doubled");
        // Broken behind our back while idle: reads and keyed replaces do not notice.
        control("stop", kind);
        control("start", kind);
        if round == 0 {
            assert_eq!(count(db), Ok(written as usize));
        } else {
            assert_eq!(db.replace("battery", columns, &row(0)), Ok(()));
        }
    }
    let mut said: Vec<String> = std::mem::take(&mut *lines.0.lock().expect("lock"));
    // Another test's server is silent meanwhile.
    said.retain(|l| l.contains("/outage "));
    let away = said.iter().filter(|l| l.contains("cannot be reached")).count();
    let back = said.iter().filter(|l| l.contains("is back after")).count();
    assert_eq!((away, back, said.len()), (2, 2, 4), "one line for each change: {said:#?}");
    assert!(said.iter().all(|l| !l.contains("secret")), "{said:#?}");
}

/// One test, as both stop and start servers that the log lines are about.
#[test]
fn servers_die_and_come_back() {
    let (Some(mysql), Some(postgres)) =
        (common::server("mysql", "outage"), common::server("postgres", "outage"))
    else {
        return;
    };
    static LINES: Lines = Lines(Mutex::new(Vec::new()));
    tracing::subscriber::set_global_default(Log(&LINES)).expect("first");
    outage("mysql", &*open(&mysql).expect("opens"), &LINES);
    outage("postgres", &*open(&postgres).expect("opens"), &LINES);
    hung("mysql", &*open(&format!("{mysql}?timeout=0.3&connect_timeout=0.3")).expect("opens"));
    hung("postgres", &*open(&format!("{postgres}?timeout=0.3&connect_timeout=0.3")).expect("opens"));
}

/// An answer that comes after all is not taken for that of a later question.
fn hung(kind: &str, db: &dyn Database) {
    let columns = &["username"];
    let find = |user: &str| {
        let conditions = [Condition::equal("username", Value::text(user))];
        db.query(&Query { table: "battery", columns, conditions: &conditions, ..Query::default() })
    };
    db.delete("battery", &[]).expect("empty");
    for user in ["one", "two"] {
        assert_eq!(db.insert("battery", columns, &[Value::text(user)]), Ok(()));
    }
    control("pause", kind);
    for _ in 0..1000 {
        assert!(matches!(find("one"), Err(Error::Unavailable(_))));
    }
    control("resume", kind);
    while let Err(e) = find("two") {
        assert!(matches!(e, Error::Unavailable(_)), "{e}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
    for user in ["two", "one", "two"] {
        assert_eq!(find(user), Ok(vec![vec![Value::text(user)]]));
    }
}

#[test]
fn a_silent_server_is_waited_for_once() {
    for kind in ["mysql", "postgres"] {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = silent.local_addr().expect("bound").port();
        let url = format!("{kind}://u:p@127.0.0.1:{port}/d?connect_timeout=0.2&timeout=0.2");
        let db = open(&url).expect("opens");
        for _ in 0..100 {
            assert!(matches!(db.tables(), Err(Error::Unavailable(_))), "{kind}");
        }
        silent.set_nonblocking(true).expect("a setting");
        let asked = std::iter::from_fn(|| silent.accept().ok()).count();
        assert!((1..=2).contains(&asked), "{kind} was asked {asked} times");
    }
}
