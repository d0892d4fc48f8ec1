//! What every backend has to do the same way. Call [`create`] to have the tables made, then [`run`].

use crate::{Compare, Condition, Database, Error, Query, Value};

const TABLE: &str = "battery";
const COLUMNS: &[&str] = &["username", "contact", "expires", "q"];

/// Names the tables to make: name, columns, key.
pub fn create(mut make: impl FnMut(&str, &[&str], &[&str])) {
    make(TABLE, COLUMNS, &["username", "contact"]);
}

/// Panics at the first thing a backend does otherwise.
pub fn run(db: &dyn Database) {
    let all = || {
        let query = Query { table: TABLE, columns: COLUMNS, order_by: Some("expires"), ..Query::default() };
        db.query(&query).unwrap_or_else(|e| panic!("query: {e}"))
    };
    let row = |user: &str, contact: &str, expires: i64, q: Value| {
        vec![Value::text(user), Value::text(contact), Value::Int(expires), q]
    };
    db.delete(TABLE, &[]).unwrap_or_else(|e| panic!("delete: {e}"));

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
    }
    let count = db.update(TABLE, &["expires"], &[Value::Int(99)], &alice).unwrap_or_else(|e| panic!("{e}"));
    if db.capabilities().affected_rows {
        assert_eq!(count, 2, "rows updated");
    }
    assert_eq!(contacts(&[Condition::equal("expires", Value::Int(99))], 0), 2, "updated values");
    let count = db.delete(TABLE, &alice).unwrap_or_else(|e| panic!("{e}"));
    if db.capabilities().affected_rows {
        assert_eq!(count, 2, "rows deleted");
    }
    assert_eq!(all().len(), 1, "the others stay");
}
