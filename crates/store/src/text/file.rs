//! One text file: columns, then rows.

use crate::{Database, Error, Memory, Value};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Int,
    Double,
    Text,
}

/// Reads a table. An error names the line.
pub(super) fn read(table: &str, bytes: &[u8]) -> Result<Memory, Error> {
    let bad = |line: usize, why: &str| Error::Backend(format!("text file {table}, line {line}: {why}"));
    let mut lines = bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).enumerate();
    let header = lines.next().map(|(_, l)| String::from_utf8_lossy(l).into_owned()).unwrap_or_default();
    let mut columns = Vec::new();
    for word in header.split_whitespace() {
        let (name, rest) = word.split_once('(').ok_or_else(|| bad(1, "a column is name(type)"))?;
        let rest = rest.strip_suffix(')').ok_or_else(|| bad(1, "a column is name(type)"))?;
        let mut words = rest.split(',');
        let kind = match words.next() {
            Some("int" | "time") => Kind::Int,
            Some("double" | "float") => Kind::Double,
            Some("string" | "str" | "blob") => Kind::Text,
            _ => return Err(bad(1, "types are int, double, string, blob")),
        };
        columns.push((name.to_owned(), kind, words.any(|w| w == "null")));
    }
    if columns.is_empty() {
        return Err(bad(1, "there are no columns"));
    }
    let memory = Memory::new();
    let names: Vec<&str> = columns.iter().map(|c| c.0.as_str()).collect();
    memory.create(table, &names, &[]);
    for (i, line) in lines.filter(|(_, l)| !l.is_empty()) {
        let cells = split(line);
        if cells.len() != columns.len() {
            let why = format!("{} values for {} columns", cells.len(), columns.len());
            return Err(bad(i + 1, &why));
        }
        let mut row = Vec::with_capacity(cells.len());
        for (cell, (name, kind, null)) in cells.into_iter().zip(&columns) {
            row.push(
                value(cell, *kind, *null)
                    .ok_or_else(|| bad(i + 1, &format!("column {name} is no number")))?,
            );
        }
        memory.insert(table, &names, &row)?;
    }
    Ok(memory)
}

fn value(cell: Vec<u8>, kind: Kind, null: bool) -> Option<Value> {
    if cell.is_empty() && (null || kind != Kind::Text) {
        return Some(Value::Null);
    }
    let number = || std::str::from_utf8(&cell).ok();
    match kind {
        Kind::Int => number()?.trim().parse().ok().map(Value::Int),
        Kind::Double => number()?.trim().parse().ok().map(Value::Float),
        Kind::Text => Some(Value::Text(cell)),
    }
}

/// The values of a row.
fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let mut cells = vec![Vec::new()];
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b':' => {
                cells.push(Vec::new());
                continue;
            }
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        };
        if let Some(cell) = cells.last_mut() {
            cell.push(byte);
        }
    }
    cells
}
