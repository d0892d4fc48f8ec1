//! Items from a database table and back: rows of key, kind of key, type of value, value, end.
//!
//! The database may be down at the start: loading is tried again later, a table is empty until then. Nothing here runs with a lock
//! held.

use std::collections::HashMap;

use store::{Condition, Database, Error, Query, Value};

use super::settings::Settings;
use super::table::{Life, Stored, Table};

/// Longest pause between two attempts to load, seconds.
const PAUSE_LIMIT: u32 = 60;

/// A table that still has to be loaded.
#[derive(Debug)]
pub struct Pending {
    /// Which.
    pub table: usize,
    /// Not before this time.
    pub at: u32,
    /// Pause after the next failure.
    pub pause: u32,
}

impl Pending {
    /// To be loaded at once.
    pub fn new(table: usize) -> Pending {
        Pending { table, at: 0, pause: 1 }
    }
    /// It did not work: later, ever less often.
    pub fn put_off(&mut self, now: u32) {
        self.at = now.saturating_add(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_LIMIT);
    }
}

/// An item as read.
type Row = (Vec<u8>, Stored, Life);

/// Reads all items of a table.
pub fn read(db: &dyn Database, settings: &Settings, table: &Table, now: u32) -> Result<Vec<Row>, Error> {
    let definition = table.definition();
    if !definition.cols.is_empty() {
        return read_columns(db, table);
    }
    let expires = settings.db_expires && definition.autoexpire > 0;
    let mut columns: Vec<&str> = vec![
        &settings.key_name_column,
        &settings.key_type_column,
        &settings.value_type_column,
        &settings.key_value_column,
    ];
    if expires {
        columns.push(&settings.expires_column);
    }
    let query = Query {
        table: &definition.dbtable,
        columns: &columns,
        order_by: Some(&settings.key_name_column),
        ..Query::default()
    };
    let mut items: Vec<Row> = Vec::new();
    // By name: a database that takes `list` and `List` for one when it sorts gives their rows mixed.
    let mut arrays: HashMap<Vec<u8>, i64> = HashMap::new();
    for row in db.query(&query)? {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().unwrap_or(Value::Null);
        let (name, kind, is_int, value) = (cell(), cell(), cell(), cell());
        let Some(name) = text(&name).filter(|n| !n.is_empty()) else {
            tracing::error!(target: "htable", table = %definition.dbtable, "a row without a key was left out");
            continue;
        };
        let end = cell().as_int().unwrap_or(0);
        if end != 0 && end < i64::from(now) {
            continue;
        }
        let value = text(&value).unwrap_or_default();
        let value = if is_int.as_int() == Some(1) {
            Stored::Int(leading_number(&value))
        } else {
            Stored::Str(value.into())
        };
        let life = match u32::try_from(end) {
            Ok(end) if expires && end > 0 => Life::Until(end),
            _ => Life::Auto,
        };
        if kind.as_int() != Some(1) {
            items.push((name, value, life));
            continue;
        }
        let count = arrays.entry(name.clone()).or_default();
        items.push(([&name[..], format!("[{count}]").as_bytes()].concat(), value, life));
        *count += 1;
    }
    let suffix = settings.array_size_suffix.as_bytes();
    let size = |(name, count): (Vec<u8>, i64)| ([&name[..], suffix].concat(), Stored::Int(count), Life::Auto);
    items.extend(arrays.into_iter().map(size));
    Ok(items)
}

/// `cols`: the first is the key, the others with commas between are the value.
fn read_columns(db: &dyn Database, table: &Table) -> Result<Vec<Row>, Error> {
    let definition = table.definition();
    let columns: Vec<&str> = definition.cols.iter().map(String::as_str).collect();
    let query = Query { table: &definition.dbtable, columns: &columns, ..Query::default() };
    let rows = db.query(&query)?;
    let item = |row: Vec<Value>| {
        let (key, values) = row.split_first()?;
        let value = match values {
            [Value::Int(n)] => Stored::Int(*n),
            _ => {
                let texts: Vec<Vec<u8>> = values.iter().map(|v| text(v).unwrap_or_default()).collect();
                Stored::Str(texts.join(&b","[..]).into())
            }
        };
        Some((text(key)?, value, Life::Auto))
    };
    Ok(rows.into_iter().filter_map(item).collect())
}

/// Writes all items of a table in the place of what the database table has.
pub fn write(db: &dyn Database, settings: &Settings, table: &Table, now: u32) -> Result<(), Error> {
    let definition = table.definition();
    if !definition.cols.is_empty() {
        return Err(Error::Unsupported("write a table that is read with its own columns"));
    }
    let expires = settings.db_expires && definition.autoexpire > 0;
    let mut columns: Vec<&str> = vec![
        &settings.key_name_column,
        &settings.key_type_column,
        &settings.value_type_column,
        &settings.key_value_column,
    ];
    if expires {
        columns.push(&settings.expires_column);
    }
    let mut rows = Vec::with_capacity(table.len());
    table.each(now, |item| {
        let (kind, value) = match &item.value {
            Stored::Int(n) => (1, n.to_string().into_bytes()),
            Stored::Str(s) => (0, s.to_vec()),
        };
        let mut row = vec![Value::text(item.key()), Value::Int(0), Value::Int(kind), Value::Text(value)];
        if expires {
            row.push(Value::Int(i64::from(item.expires)));
        }
        rows.push(row);
        true
    });
    let all: &[Condition<'_>] = &[];
    db.delete(&definition.dbtable, all)?;
    let mut outcome = Ok(());
    for row in rows {
        match db.insert(&definition.dbtable, &columns, &row) {
            Ok(()) => {}
            Err(gone @ Error::Unavailable(_)) => return Err(gone),
            // A row that does not fit must not cost the others.
            Err(why) => outcome = outcome.and(Err(why)),
        }
    }
    outcome
}

fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::Int(n) | Value::Time(n) => Some(n.to_string().into_bytes()),
        Value::Float(f) => Some(f.to_string().into_bytes()),
        Value::Text(t) => Some(t.clone()),
    }
}

/// The number a text begins with, 0 when it begins with none.
fn leading_number(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()) + text.len() - digits.len();
    text.get(..end).and_then(|t| t.parse().ok()).unwrap_or(0)
}
