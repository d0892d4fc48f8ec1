//! `db migrate`: all rows into another database.

use store::schema::{self, Table};
use store::{Compare, Condition, Database, Error, Query, Rows, Value, Write};

use crate::say;

/// Rows read and written at a time.
const BATCH: usize = 500;
/// Rows between two words about a long table.
const WORD: u64 = 20_000;

/// Copies tables; an error says that not everything was.
pub fn run(from: &dyn Database, to: &dyn Database, only: &[String]) -> Result<(), String> {
    let there = from.tables().map_err(|e| format!("reading: {e}"))?;
    if let Some(missing) = only.iter().find(|t| !there.contains(t)) {
        return Err(format!("reading: there is no table {missing}"));
    }
    let wanted = |name: &String| only.is_empty() || only.contains(name);
    let (mut left, mut rows) = (0, 0);
    if let Some(version) = schema::table("version")
        && matches!(to.columns("version"), Err(Error::NoTable(_)))
    {
        schema::create(to, version).map_err(|e| format!("writing: table version: {e}"))?;
    }
    for name in there.iter().filter(|name| *name != "version" && wanted(name)) {
        match copy(from, to, name) {
            Ok(n) => {
                rows += n;
                say::out(format_args!("copied   {name}: {n} rows"));
            }
            Err(why) => {
                left += 1;
                say::out(format_args!("left     {name}: {why}"));
            }
        }
    }
    match left {
        0 => {
            say::out(format_args!("{rows} rows copied"));
            Ok(())
        }
        _ => Err(format!("{rows} rows copied; {left} tables were left, see above")),
    }
}

fn copy(from: &dyn Database, to: &dyn Database, name: &str) -> Result<u64, String> {
    let reading = |e: Error| format!("reading: {e}");
    let writing = |e: Error| format!("writing: {e}");
    let theirs = from.columns(name).map_err(reading)?;
    let layout = schema::table(name);
    if let Some(table) = layout {
        let version = match schema::version_of(from, name) {
            Err(Error::NoTable(_)) => None,
            other => other.map_err(reading)?,
        };
        if let Some(found) = version.filter(|v| *v != table.version) {
            return Err(format!("it has version {found}, and {} is wanted", table.version));
        }
    }
    let ours = match (to.columns(name), layout) {
        (Err(Error::NoTable(_)), Some(table)) => {
            schema::create(to, table).map_err(writing)?;
            to.columns(name)
        }
        (Err(Error::NoTable(_)), None) => {
            return Err("it is no table of Kamailio's: make it there first".into());
        }
        (other, _) => other,
    }
    .map_err(writing)?;
    if to.count(name, &[]).map_err(writing)? > 0 {
        return Err("the other database has rows in it".into());
    }
    let lost: Vec<&str> = theirs.iter().filter(|c| !ours.contains(c)).map(String::as_str).collect();
    if !lost.is_empty() {
        return Err(format!("the other database's table has no column {}", lost.join(", ")));
    }
    let columns: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let mut done = 0;
    each_batch(from, name, &columns, layout, &mut |rows| {
        // A NULL where the layout wants a value becomes the layout's default: text files have no other way to say nothing.
        let writes: Vec<(Vec<&str>, Vec<Value>)> =
            rows.into_iter().map(|row| said(&columns, row, layout)).collect();
        let writes: Vec<Write<'_>> =
            writes.iter().map(|(columns, row)| Write::Insert { table: name, columns, row }).collect();
        to.atomically(&writes).map_err(|e| format!("writing, after {done} rows: {e}"))?;
        let before = done;
        done += writes.len() as u64;
        if before / WORD != done / WORD {
            say::err(format_args!("  {name}: {done} rows"));
        }
        Ok(())
    })?;
    if let Some(table) = layout {
        to.renumber(table).map_err(writing)?;
    }
    Ok(done)
}

/// A row without the NULLs that its table does not take.
fn said<'c>(columns: &[&'c str], row: Vec<Value>, layout: Option<&Table>) -> (Vec<&'c str>, Vec<Value>) {
    let takes_null =
        |name: &str| layout.and_then(|t| t.columns.iter().find(|c| c.name == name)).is_none_or(|c| c.null);
    let cells = columns.iter().zip(row);
    cells.filter(|(name, value)| *value != Value::Null || takes_null(name)).map(|(n, v)| (*n, v)).unzip()
}

/// Hands over all rows, a part at a time where they are numbered.
fn each_batch(
    from: &dyn Database,
    table: &str,
    columns: &[&str],
    layout: Option<&Table>,
    f: &mut dyn FnMut(Rows) -> Result<(), String>,
) -> Result<(), String> {
    let reading = |e: Error| format!("reading: {e}");
    let is_auto = |t: &Table| t.columns.iter().any(|c| c.name == "id" && c.kind == schema::ColumnKind::Auto);
    let id = columns.iter().position(|c| *c == "id").filter(|_| layout.is_some_and(is_auto));
    let Some(id) = id else {
        let mut rows = from.query(&Query { table, columns, ..Query::default() }).map_err(reading)?;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(BATCH));
            f(rows)?;
            rows = rest;
        }
        return Ok(());
    };
    let mut after = i64::MIN;
    loop {
        let conditions = [Condition { column: "id", compare: Compare::Greater, value: Value::Int(after) }];
        let first = after == i64::MIN;
        let conditions = if first { &[][..] } else { &conditions[..] };
        let rows = from
            .query(&Query { table, columns, conditions, order_by: Some("id"), limit: BATCH })
            .map_err(reading)?;
        let last = rows.last().and_then(|r| r.get(id)).and_then(Value::as_int);
        let more = rows.len() == BATCH;
        f(rows)?;
        match last {
            Some(last) if more => after = last,
            _ => return Ok(()),
        }
    }
}
