//! What every backend has to do the same way. [`create`] makes the table, [`run`] is the test.

use crate::schema::{Column, ColumnKind, Index, Table};
use crate::{Compare, Condition, Database, Error, Query, Value, Write};

const TABLE: &str = "battery";
const COLUMNS: &[&str] = &["username", "contact", "expires", "q"];

/// Text that somebody means harm with.
const HOSTILE: &[&[u8]] = &[
    b"'",
    b"\"",
    b"`",
    b"\\",
    b"\\'; DROP TABLE battery; --",
    b"' OR '1'='1",
    b"%",
    b"%s%n%_",
    b"_",
    b"a\0b",
    b"\0",
    b"\r\nX: y",
    b"$1 ? :name @x",
    b"\xff\xfe",
    "\u{1F600} \u{e9}\u{301}".as_bytes(),
    b"NULL",
    b"",
];

/// The table of the battery.
pub fn layout() -> Table {
    let column = |name: &str, kind, null, default: Option<&str>| Column {
        name: name.into(),
        kind,
        null,
        default: default.map(str::to_owned),
    };
    Table {
        name: TABLE.into(),
        version: 1,
        module: "battery".into(),
        columns: vec![
            column("id", ColumnKind::Auto, false, None),
            column("username", ColumnKind::Text(64), false, Some("")),
            column("contact", ColumnKind::Text(255), false, Some("")),
            column("expires", ColumnKind::Int { bytes: 4, unsigned: false }, false, Some("0")),
            column("q", ColumnKind::Real("10,2".into()), true, None),
            column("at", ColumnKind::Time, true, None),
            column("note", ColumnKind::LongText, true, None),
        ],
        indexes: vec![Index {
            name: "account_idx".into(),
            unique: true,
            columns: vec!["username".into(), "contact".into()],
        }],
    }
}

/// Makes the table.
pub fn create(db: &dyn Database) {
    let made = db.create_table(&layout());
    assert!(matches!(made, Ok(()) | Err(Error::Duplicate(_) | Error::Backend(_))), "{made:?}");
}

/// Panics at the first thing a backend does otherwise.
pub fn run(db: &dyn Database) {
    db.delete(TABLE, &[]).unwrap_or_else(|e| panic!("delete: {e}"));
    rows(db);
    nulls(db);
    times(db);
    hostile(db);
    together(db);
    let columns = db.columns(TABLE).unwrap_or_else(|e| panic!("columns: {e}"));
    assert!(columns.iter().any(|c| c == "contact") && columns.len() == 7, "{columns:?}");
    assert!(db.tables().unwrap_or_else(|e| panic!("tables: {e}")).iter().any(|t| t == TABLE));
}

fn row(user: &str, contact: &str, expires: i64, q: Value) -> Vec<Value> {
    vec![Value::text(user), Value::text(contact), Value::Int(expires), q]
}

fn rows(db: &dyn Database) {
    let all = || {
        let query = Query { table: TABLE, columns: COLUMNS, order_by: Some("expires"), ..Query::default() };
        db.query(&query).unwrap_or_else(|e| panic!("query: {e}"))
    };
    let rows = [
        row("alice", "sip:a@192.0.2.1", 30, Value::Float(0.5)),
        row("alice", "sip:b@192.0.2.1", 10, Value::Null),
        row("bob", "sip:c@192.0.2.1", 20, Value::Float(1.0)),
    ];
    for row in &rows {
        assert_eq!(db.insert(TABLE, COLUMNS, row), Ok(()));
    }
    assert_eq!(all(), vec![rows[1].clone(), rows[2].clone(), rows[0].clone()], "values come back, ordered");

    assert!(matches!(db.insert(TABLE, COLUMNS, &rows[0]), Err(Error::Duplicate(_))), "the key is unique");
    assert!(matches!(db.insert(TABLE, &["username"], &[]), Err(Error::BadRow(_))), "lengths are checked");
    assert!(matches!(db.delete("no_such_table", &[]), Err(Error::NoTable(_))), "unknown table");
    let no_column = [Condition::equal("no_such_column", Value::Null)];
    assert!(matches!(db.delete(TABLE, &no_column), Err(Error::NoColumn { .. })), "unknown column");

    let alice = [Condition::equal("username", Value::text("alice"))];
    let contacts = |conditions: &[Condition<'_>], limit| {
        let query =
            Query { table: TABLE, columns: &["contact"], conditions, order_by: Some("expires"), limit };
        db.query(&query).unwrap_or_else(|e| panic!("query: {e}")).len()
    };
    assert_eq!(contacts(&alice, 0), 2, "equal");
    assert_eq!(contacts(&alice, 1), 1, "limit");
    for (compare, count) in [
        (Compare::Equal, 1),
        (Compare::NotEqual, 2),
        (Compare::Less, 1),
        (Compare::LessOrEqual, 2),
        (Compare::Greater, 1),
        (Compare::GreaterOrEqual, 2),
    ] {
        let condition = [Condition { column: "expires", compare, value: Value::Int(20) }];
        assert_eq!(contacts(&condition, 0), count, "{compare:?}");
    }

    if db.capabilities().replace {
        let new = row("alice", "sip:a@192.0.2.1", 40, Value::Float(0.25));
        assert_eq!(db.replace(TABLE, COLUMNS, &new), Ok(()));
        assert_eq!(all().last(), Some(&new), "replace overwrites");
        assert_eq!(all().len(), 3, "replace adds no second row");
    }
    let count = db.update(TABLE, &["expires"], &[Value::Int(99)], &alice).unwrap_or_else(|e| panic!("{e}"));
    if db.capabilities().affected_rows {
        assert_eq!(count, 2, "rows updated");
        let again = db.update(TABLE, &["expires"], &[Value::Int(99)], &alice);
        assert_eq!(again, Ok(2), "rows that had the value already count");
    }
    assert_eq!(contacts(&[Condition::equal("expires", Value::Int(99))], 0), 2, "updated values");
    let count = db.delete(TABLE, &alice).unwrap_or_else(|e| panic!("{e}"));
    if db.capabilities().affected_rows {
        assert_eq!(count, 2, "rows deleted");
    }
    assert_eq!(all().len(), 1, "the others stay");
}

fn nulls(db: &dyn Database) {
    assert_eq!(db.insert(TABLE, COLUMNS, &row("null", "1", 1, Value::Null)), Ok(()));
    assert_eq!(db.insert(TABLE, COLUMNS, &row("null", "2", 2, Value::Float(0.75))), Ok(()));
    let count = |compare, value| {
        let conditions =
            [Condition::equal("username", Value::text("null")), Condition { column: "q", compare, value }];
        let query = Query { table: TABLE, columns: &["q"], conditions: &conditions, ..Query::default() };
        db.query(&query).unwrap_or_else(|e| panic!("query: {e}")).len()
    };
    assert_eq!(count(Compare::Equal, Value::Null), 1, "NULL is NULL");
    assert_eq!(count(Compare::NotEqual, Value::Null), 1, "what is not NULL");
    assert_eq!(count(Compare::NotEqual, Value::Float(0.5)), 1, "NULL differs from nothing");
    assert_eq!(db.count(TABLE, &[Condition::equal("username", Value::text("null"))]), Ok(2), "counted");
}

fn times(db: &dyn Database) {
    let columns = &["username", "contact", "at"];
    for (i, at) in [0, 1_000_000_000, 1_795_653_714, 4_000_000_000].into_iter().enumerate() {
        let row = [Value::text("time"), Value::text(i.to_string()), Value::Time(at)];
        assert_eq!(db.insert(TABLE, columns, &row), Ok(()), "{at}");
    }
    let found = |compare, at| {
        let conditions = [
            Condition::equal("username", Value::text("time")),
            Condition { column: "at", compare, value: Value::Time(at) },
        ];
        let query =
            Query { table: TABLE, columns: &["at"], conditions: &conditions, order_by: Some("at"), limit: 0 };
        let rows = db.query(&query).unwrap_or_else(|e| panic!("query: {e}"));
        rows.into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(found(Compare::Equal, 1_795_653_714), [Value::Time(1_795_653_714)]);
    assert_eq!(found(Compare::Less, 1_795_653_714), [Value::Time(0), Value::Time(1_000_000_000)]);
    assert_eq!(found(Compare::GreaterOrEqual, 1_795_653_714).len(), 2);
}

/// A text is kept as it is or refused; never cut, never changed, never run.
fn hostile(db: &dyn Database) {
    let long = vec![b'x'; 10_000];
    let texts: Vec<&[u8]> = HOSTILE.iter().copied().chain([long.as_slice()]).collect();
    let columns = &["username", "contact", "note"];
    for (i, text) in texts.iter().enumerate() {
        let user = format!("hostile-{i}");
        let row = [Value::text(&user), Value::text(text), Value::text(text)];
        let conditions = [
            Condition::equal("contact", Value::text(text)),
            Condition::equal("username", Value::text(&user)),
        ];
        let query = Query { table: TABLE, columns, conditions: &conditions, ..Query::default() };
        match db.insert(TABLE, columns, &row) {
            Ok(()) => {
                assert_eq!(db.query(&query), Ok(vec![row.to_vec()]), "{text:?} comes back");
                let same = db.update(TABLE, columns, &row, &conditions);
                assert_eq!(same, Ok(1), "{text:?} is found");
                assert_eq!(db.delete(TABLE, &conditions), Ok(1), "{text:?} is deleted, and nothing else");
            }
            Err(Error::BadRow(_)) => {
                let by_user = Query { conditions: &conditions[1..], ..query };
                assert_eq!(db.query(&by_user), Ok(vec![]), "{text:?} is not there in part");
                assert_eq!(db.query(&query), Ok(vec![]), "{text:?} is not found");
            }
            other => panic!("{text:?}: {other:?}"),
        }
        // Names are never taken from outside, and do no harm if they are.
        let Ok(name) = std::str::from_utf8(text) else { continue };
        assert!(matches!(db.delete(name, &[]), Err(Error::NoTable(_))), "{name:?}");
        let column = [Condition::equal(name, Value::Null)];
        assert!(matches!(db.delete(TABLE, &column), Err(Error::NoColumn { .. })), "{name:?}");
    }
    let long = [Value::text("long"), Value::text("note"), Value::text(&long)];
    assert_eq!(db.insert(TABLE, columns, &long), Ok(()), "a long text where there is room");
    let conditions = [Condition::equal("username", Value::text("long"))];
    let query = Query { table: TABLE, columns, conditions: &conditions, ..Query::default() };
    assert_eq!(db.query(&query), Ok(vec![long.to_vec()]));
    let text_in_number = [Value::text("long"), Value::text("bad"), Value::text("1; DROP TABLE battery")];
    let result = db.insert(TABLE, &["username", "contact", "expires"], &text_in_number);
    assert!(matches!(result, Err(Error::BadRow(_))) || db.name() == "memory", "{result:?}");
}

fn together(db: &dyn Database) {
    let (one, two) = (row("both", "1", 1, Value::Null), row("both", "2", 2, Value::Null));
    let add = |row| Write::Insert { table: TABLE, columns: COLUMNS, row };
    assert_eq!(db.atomically(&[add(&one), add(&two)]), Ok(vec![1, 1]));
    let both = [Condition::equal("username", Value::text("both"))];
    let gone = Write::Delete { table: TABLE, conditions: &both };
    let failed = db.atomically(&[gone, add(&one), add(&one)]);
    assert!(matches!(failed, Err(Error::Duplicate(_))), "{failed:?}");
    if db.capabilities().durable {
        let query = Query { table: TABLE, columns: COLUMNS, conditions: &both, ..Query::default() };
        assert_eq!(db.query(&query).map(|r| r.len()), Ok(2), "all or none");
    }
    assert!(db.atomically(&[gone]).is_ok_and(|n| n.len() == 1));
    assert_eq!(db.atomically(&[]), Ok(vec![]));
    if db.capabilities().durable {
        let number = [Value::Int(1_000_000), Value::text("numbered"), Value::text("1")];
        assert_eq!(db.insert(TABLE, &["id", "username", "contact"], &number), Ok(()));
        assert_eq!(db.renumber(&layout()), Ok(()));
        assert_eq!(db.insert(TABLE, COLUMNS, &row("numbered", "2", 2, Value::Null)), Ok(()), "a free number");
        let id = [Condition { column: "id", compare: Compare::Greater, value: Value::Int(1_000_000) }];
        assert_eq!(db.count(TABLE, &id), Ok(1));
    }
}
