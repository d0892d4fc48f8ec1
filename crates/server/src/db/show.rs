//! `db show`: tables, or the rows of one.

use store::{Database, Error, Query, Value, schema};

use crate::say;

/// Columns that are not for every screen.
const SECRET: &[&str] = &["password", "ha1", "ha1b", "auth_ha1", "auth_password"];
/// A longer value is cut in the print.
const WIDEST: usize = 60;

/// Prints the tables, or rows of `table`.
pub fn run(db: &dyn Database, table: Option<&str>, limit: usize, secrets: bool) -> Result<(), String> {
    match table {
        Some(table) => rows(db, table, limit, secrets),
        None => tables(db),
    }
    .map_err(|e| e.to_string())
}

fn tables(db: &dyn Database) -> Result<(), Error> {
    let mut print = vec![["table", "version", "rows"].map(str::to_owned).to_vec()];
    for name in db.tables()? {
        let version = match schema::version_of(db, &name) {
            Ok(Some(v)) => v.to_string(),
            Ok(None) | Err(Error::NoTable(_)) => "-".into(),
            Err(e) => return Err(e),
        };
        let rows = match db.count(&name, &[]) {
            Ok(n) => n.to_string(),
            // A file that is no table, in a folder of text files.
            Err(Error::Backend(_)) => "-".into(),
            Err(e) => return Err(e),
        };
        print.push(vec![name, version, rows]);
    }
    aligned(&print);
    Ok(())
}

fn rows(db: &dyn Database, table: &str, limit: usize, secrets: bool) -> Result<(), Error> {
    let columns = db.columns(table)?;
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let order_by = names.first().copied();
    let query = Query { table, columns: &names, order_by, limit, ..Query::default() };
    let found = db.query(&query)?;
    let mut print = vec![columns.clone()];
    for row in &found {
        let cell = |(value, name): (&Value, &&str)| {
            if !secrets && SECRET.contains(name) && !matches!(value.as_text(), Some([]) | None) {
                return "(hidden)".to_owned();
            }
            text(value)
        };
        print.push(row.iter().zip(&names).map(cell).collect());
    }
    aligned(&print);
    let all = db.count(table, &[])?;
    if all > found.len() as u64 {
        say::out(format_args!("{} of {all} rows; --limit shows more", found.len()));
    }
    Ok(())
}

/// A value for people.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "NULL".into(),
        Value::Int(n) => n.to_string(),
        Value::Float(f) => f.to_string(),
        Value::Time(n) => store::local_time(*n),
        Value::Text(t) => String::from_utf8_lossy(t).into_owned(),
    };
    let safe = printable(&text);
    match safe.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}...", safe.get(..end).unwrap_or_default()),
        None => safe,
    }
}

/// Text with its control characters shown, not obeyed.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// Prints rows with their columns below each other.
fn aligned(rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            match widths.get_mut(i) {
                Some(width) => *width = (*width).max(cell.chars().count()),
                None => widths.push(cell.chars().count()),
            }
        }
    }
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        say::out(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
