//! The file of a journal: a row a line, oldest first.
//!
//! ```text
//! acc<TAB>method=tINVITE<TAB>sip_code=t200<TAB>time=d1767323045<TAB>cost=n
//! ```
//!
//! The table, then columns with a letter for the type of the value: `n` NULL, `i` integer, `f` floating point, `t` text, `d` Unix time. `%`,
//! tab, line feed and carriage return, and `=` in names, are written `%xx`. A line without its line feed was cut off by the end of
//! the process and is no row. How many bytes of the file are done with stands in `<file>.at`; when all are, the file is emptied.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Row;
use crate::Value;

/// Rows on the disk.
pub(super) struct Backlog {
    path: PathBuf,
    limit: u64,
    /// Bytes that are done with.
    at: u64,
    /// Bytes with whole rows.
    end: u64,
    rows: u64,
    file: Option<File>,
    at_file: Option<File>,
}

impl Backlog {
    /// What a former process left; nothing when there is no such file.
    pub(super) fn open(path: PathBuf, limit: u64) -> Backlog {
        let mut backlog = Backlog { path, limit, at: 0, end: 0, rows: 0, file: None, at_file: None };
        let at = std::fs::read_to_string(backlog.at_path()).ok().and_then(|t| t.trim().parse().ok());
        backlog.at = at.unwrap_or(0);
        if let Ok(file) = File::open(&backlog.path) {
            backlog.survey(file);
        }
        if backlog.at > backlog.end {
            backlog.at = backlog.end;
        }
        backlog
    }

    fn survey(&mut self, file: File) {
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while let Ok(n) = reader.read_until(b'\n', &mut line) {
            if n == 0 || line.last() != Some(&b'\n') {
                break;
            }
            self.end += n as u64;
            self.rows += u64::from(self.end > self.at);
            line.clear();
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// Rows that wait.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn at_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".at");
        name.into()
    }

    /// How many of these rows still fit.
    pub(super) fn room(&self, rows: &[Row]) -> usize {
        let mut end = self.end;
        let mut line = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            line.clear();
            write_row(row, &mut line);
            end += line.len() as u64;
            if end > self.limit {
                return i;
            }
        }
        rows.len()
    }

    /// Writes rows behind the others and syncs them to the disk.
    pub(super) fn append(&mut self, rows: &[Row]) -> std::io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let end = self.end;
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                if let Some(folder) = self.path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                none.insert(
                    OpenOptions::new()
                        .create(true)
                        .truncate(false)
                        .read(true)
                        .write(true)
                        .open(&self.path)?,
                )
            }
        };
        let mut lines = Vec::new();
        rows.iter().for_each(|row| write_row(row, &mut lines));
        // Over whatever a cut-off line left there.
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&lines)?;
        file.sync_data()?;
        self.end += lines.len() as u64;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// The oldest rows, each with where it ends; `None` for a line that is no row.
    pub(super) fn read(&mut self, most: usize) -> std::io::Result<Vec<(Option<Row>, u64)>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut reader = BufReader::new(file.take(self.end - self.at));
        let (mut at, mut rows, mut line) = (self.at, Vec::new(), Vec::new());
        while rows.len() < most {
            line.clear();
            let n = reader.read_until(b'\n', &mut line)?;
            if n == 0 {
                break;
            }
            at += n as u64;
            rows.push((read_row(line.strip_suffix(b"\n").unwrap_or(&line)), at));
        }
        if rows.is_empty() && self.rows > 0 {
            // Somebody else shortened the file.
            self.rows = 0;
        }
        Ok(rows)
    }

    /// The row that ends there is done with. Not synced: a process that dies leaves it to the system, and a machine that does
    /// repeats some rows.
    pub(super) fn done(&mut self, end: u64) {
        self.at = end;
        self.rows = self.rows.saturating_sub(1);
        if self.at < self.end {
            let path = self.at_path();
            let file = match &mut self.at_file {
                Some(file) => Some(file),
                none => File::create(path).ok().map(|file| none.insert(file)),
            };
            if let Some(file) = file {
                // As long each time, so that a shorter number leaves no digits of a longer one.
                let text = format!("{end:020}\n");
                let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
            }
            return;
        }
        (self.at, self.end, self.rows) = (0, 0, 0);
        self.at_file = None;
        // The rows first: without the number all of them would be inserted again.
        match &self.file {
            Some(file) => drop(file.set_len(0)),
            None => drop(OpenOptions::new().write(true).truncate(true).open(&self.path)),
        }
        let _ = std::fs::remove_file(self.at_path());
    }
}

fn write_row(row: &Row, out: &mut Vec<u8>) {
    escape(row.table.as_bytes(), true, out);
    for (column, value) in row.columns.iter().zip(&row.values) {
        out.push(b'\t');
        escape(column.as_bytes(), true, out);
        out.push(b'=');
        match value {
            Value::Null => out.push(b'n'),
            Value::Int(n) => out.extend_from_slice(format!("i{n}").as_bytes()),
            Value::Float(f) => out.extend_from_slice(format!("f{f}").as_bytes()),
            Value::Time(t) => out.extend_from_slice(format!("d{t}").as_bytes()),
            Value::Text(text) => {
                out.push(b't');
                escape(text, false, out);
            }
        }
    }
    out.push(b'\n');
}

fn read_row(line: &[u8]) -> Option<Row> {
    let mut fields = line.split(|b| *b == b'\t');
    let table = String::from_utf8(unescape(fields.next()?)?).ok().filter(|t| !t.is_empty())?;
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for field in fields {
        let equals = field.iter().position(|b| *b == b'=')?;
        let (name, value) = (field.get(..equals)?, field.get(equals + 1..)?);
        let (kind, text) = value.split_first()?;
        let number = || std::str::from_utf8(text).ok();
        columns.push(String::from_utf8(unescape(name)?).ok()?);
        values.push(match kind {
            b'n' => Value::Null,
            b'i' => Value::Int(number()?.parse().ok()?),
            b'f' => Value::Float(number()?.parse().ok()?),
            b'd' => Value::Time(number()?.parse().ok()?),
            b't' => Value::Text(unescape(text)?),
            _ => return None,
        });
    }
    let columns: Arc<[String]> = columns.into();
    Some(Row { table: table.into(), columns, values })
}

fn escape(text: &[u8], name: bool, out: &mut Vec<u8>) {
    for b in text {
        match b {
            b'%' | b'\t' | b'\n' | b'\r' => out.extend_from_slice(format!("%{b:02x}").as_bytes()),
            b'=' if name => out.extend_from_slice(b"%3d"),
            _ => out.push(*b),
        }
    }
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(b) = bytes.next() {
        if *b != b'%' {
            out.push(*b);
            continue;
        }
        let digit = |b: Option<&u8>| (*b? as char).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let columns: Arc<[String]> = ["a=b", "c%", "d", "e", "f"].map(str::to_owned).into();
        let values = vec![
            Value::Text(b"\0\xff%\t=\r\n".to_vec()),
            Value::Null,
            Value::Int(-5),
            Value::Float(0.25),
            Value::Time(7),
        ];
        let row = Row { table: "t\t".into(), columns, values };
        let mut line = Vec::new();
        write_row(&row, &mut line);
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "one line");
        assert_eq!(read_row(&line[..line.len() - 1]), Some(row));
        for bad in ["", "t\tx", "t\ta=q", "t\ta=i", "t\ta=t%4", "t\ta="] {
            assert_eq!(read_row(bad.as_bytes()), None, "{bad}");
        }
    }
}
