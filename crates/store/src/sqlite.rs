//! SQLite: `sqlite:///absolute/path`, `sqlite://relative/path`; the library is built in.
//!
//! Times are Julian days, as Kamailio's driver writes them. The file is kept in write-ahead mode, so that readers and a writer do not wait
//! for each other; writers of this process queue here rather than poll the file's lock.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql, ffi};

use crate::schema::{ColumnKind, Table};
use crate::sql::{
    Column, Connect, Connection, Description, Dialect, Failure, Kind, Pool, Replace, Server, Statement,
    TextRule, layout,
};
use crate::url::Options;
use crate::{Error, Rows, Value, time};

/// Prepared statements kept by a connection.
const STATEMENTS: usize = 64;
/// Julian day of the Unix epoch.
const EPOCH: f64 = 2_440_587.5;

/// The database of a URL. `create`: a file that is not there is made.
pub(crate) fn open(url: &str, create: bool) -> Result<Server<Sqlite>, Error> {
    let (url, options) = Options::split("sqlite", url)?;
    let path = url.strip_prefix("sqlite://").filter(|p| !p.is_empty());
    let path =
        path.ok_or_else(|| Error::BadUrl(format!("{url}: SQLite is sqlite:///absolute/path/of/the.file")))?;
    let (timeout, limit) = (options.timeout, options.pool);
    let connect = Sqlite { path: path.into(), create, options, writer: Arc::default() };
    Ok(Server::new(Pool::new(connect, url.to_owned(), limit, timeout), timeout))
}

pub(crate) struct Sqlite {
    path: String,
    create: bool,
    options: Options,
    writer: Arc<Mutex<()>>,
}

pub(crate) struct SqliteConnection {
    connection: rusqlite::Connection,
    writer: Arc<Mutex<()>>,
    /// Between BEGIN and COMMIT.
    in_transaction: bool,
}

impl Connect for Sqlite {
    type Connection = SqliteConnection;
    fn name(&self) -> &'static str {
        "sqlite"
    }
    fn dialect(&self) -> Dialect {
        Dialect { quote: '"', numbered: false, replace: Replace::Conflict, text: TextRule::Bytes }
    }
    fn connect(&self) -> Result<SqliteConnection, String> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, self.create);
        if !self.create && !std::path::Path::new(&self.path).exists() {
            return Err(format!("there is no file {} (`trunkline db create` makes it)", self.path));
        }
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let connection = rusqlite::Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(self.options.timeout.min(Duration::from_secs(600)))?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            // Where the folder cannot be written the file stays in its mode.
            let _ = connection.pragma_update(None, "journal_mode", "WAL");
            let level = if self.options.full_sync { "FULL" } else { "NORMAL" };
            connection.pragma_update(None, "synchronous", level)?;
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
            Ok(connection)
        };
        let connection = open().map_err(|e| format!("{}: {e}", self.path))?;
        Ok(SqliteConnection { connection, writer: self.writer.clone(), in_transaction: false })
    }
    fn layout(&self, table: &Table) -> Vec<String> {
        let columns = table.columns.iter().map(|c| {
            let kind = match &c.kind {
                ColumnKind::Auto => return format!("\"{}\" INTEGER PRIMARY KEY NOT NULL", c.name),
                ColumnKind::Int { bytes: 1 | 2, .. } => "SMALLINT".to_owned(),
                ColumnKind::Int { .. } => "INTEGER".to_owned(),
                ColumnKind::Real(_) => "REAL".to_owned(),
                ColumnKind::Text(n) => format!("VARCHAR({n})"),
                ColumnKind::LongText => "TEXT".to_owned(),
                ColumnKind::Blob => "BLOB".to_owned(),
                ColumnKind::Time => "TIMESTAMP WITHOUT TIME ZONE".to_owned(),
            };
            layout::column(c, '"', &kind)
        });
        layout::table(table, '"', columns, true)
    }
}

impl SqliteConnection {
    /// A turn to write; in a transaction it was taken when that began.
    fn turn(writer: &Mutex<()>) -> MutexGuard<'_, ()> {
        writer.lock().unwrap_or_else(|e| e.into_inner())
    }
}

struct Param<'a>(&'a Value, Kind);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Float(f) => ValueRef::Real(*f),
            Value::Time(n) => ValueRef::Real(*n as f64 / 86_400.0 + EPOCH),
            Value::Text(t) if self.1 == Kind::Bytes => ValueRef::Blob(t),
            Value::Text(t) => ValueRef::Text(t),
        }))
    }
}

fn value(cell: ValueRef<'_>, kind: Kind) -> Value {
    match (kind, cell) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Time, ValueRef::Real(days)) => Value::Time(((days - EPOCH) * 86_400.0).round() as i64),
        // Somebody else's Unix time; as a Julian day this small a number is a time as well.
        (Kind::Time, ValueRef::Integer(n)) if n > 10_000_000 => Value::Time(n),
        (Kind::Time, ValueRef::Integer(n)) => Value::Time(((n as f64 - EPOCH) * 86_400.0).round() as i64),
        (Kind::Time, ValueRef::Text(t)) => {
            std::str::from_utf8(t).ok().and_then(time::parse).map_or(Value::Null, Value::Time)
        }
        (Kind::Float, ValueRef::Integer(n)) => Value::Float(n as f64),
        (_, ValueRef::Integer(n)) => Value::Int(n),
        (_, ValueRef::Real(f)) => Value::Float(f),
        (_, ValueRef::Text(t) | ValueRef::Blob(t)) => Value::text(t),
    }
}

/// What a declared type keeps.
fn kind_of(declared: &str) -> Kind {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|w| declared.contains(w));
    if has(&["TIMESTAMP", "DATE"]) {
        Kind::Time
    } else if has(&["INT", "SERIAL", "BOOL"]) {
        Kind::Int
    } else if has(&["REAL", "FLOA", "DOUB", "NUMERIC", "DECIMAL"]) {
        Kind::Float
    } else if has(&["BLOB", "BINARY"]) {
        Kind::Bytes
    } else {
        Kind::Text
    }
}

fn failure(e: rusqlite::Error) -> Failure {
    let text = e.to_string();
    let rusqlite::Error::SqliteFailure(code, _) = &e else { return Failure::backend(text) };
    match code.code {
        ErrorCode::ConstraintViolation => Failure::Refused(match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => {
                Error::Duplicate(text.rsplit(": ").next().unwrap_or(&text).to_owned())
            }
            _ => Error::BadRow(text),
        }),
        ErrorCode::TypeMismatch | ErrorCode::TooBig => Failure::Refused(Error::BadRow(text)),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Failure::Refused(Error::Unavailable(format!("another program holds the file: {text}")))
        }
        ErrorCode::DiskFull | ErrorCode::ReadOnly => Failure::Refused(Error::Unavailable(text)),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => Failure::Lost { why: text, sent: false },
        _ => Failure::backend(text),
    }
}

impl Connection for SqliteConnection {
    fn alive(&mut self) -> bool {
        true
    }
    fn tables(&mut self) -> Result<Vec<String>, Failure> {
        let sql =
            "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = self.connection.prepare(sql).map_err(failure)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(failure)?;
        names.collect::<Result<_, _>>().map_err(failure)
    }
    fn describe(&mut self, table: &str) -> Result<Option<Description>, Failure> {
        let ask = |sql: &str, argument: &str| -> rusqlite::Result<Vec<(String, String, i64)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([argument], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            rows.collect()
        };
        let columns = ask("SELECT name, type, pk FROM pragma_table_info(?)", table).map_err(failure)?;
        if columns.is_empty() {
            return Ok(None);
        }
        let mut unique = Vec::new();
        let indexes =
            "SELECT name, '', \"unique\" FROM pragma_index_list(?) WHERE origin <> 'pk' AND partial = 0";
        for (index, _, is_unique) in ask(indexes, table).map_err(failure)? {
            if is_unique == 1 {
                let columns = ask("SELECT name, '', 0 FROM pragma_index_info(?)", &index).map_err(failure)?;
                unique.push(columns.into_iter().map(|c| c.0).collect());
            }
        }
        let mut primary: Vec<_> = columns.iter().filter(|c| c.2 > 0).collect();
        primary.sort_by_key(|c| c.2);
        unique.push(primary.into_iter().map(|c| c.0.clone()).collect());
        let column =
            |c: &(String, String, i64)| Column { name: c.0.clone(), kind: kind_of(&c.1), cast: None };
        Ok(Some(Description { columns: columns.iter().map(column).collect(), unique }))
    }
    fn read(&mut self, statement: &Statement) -> Result<Rows, Failure> {
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(failure)?;
        let params = statement.params.iter().map(|(v, k)| Param(v, *k));
        let mut found = prepared.query(rusqlite::params_from_iter(params)).map_err(failure)?;
        let mut rows = Rows::new();
        while let Some(row) = found.next().map_err(failure)? {
            let cells = statement.kinds.iter().enumerate();
            let cell = |(i, kind): (usize, &Kind)| row.get_ref(i).map(|c| value(c, *kind));
            rows.push(cells.map(cell).collect::<Result<_, _>>().map_err(failure)?);
        }
        Ok(rows)
    }
    fn write(&mut self, statement: &Statement) -> Result<u64, Failure> {
        let _turn = (!self.in_transaction).then(|| Self::turn(&self.writer));
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(failure)?;
        let params = statement.params.iter().map(|(v, k)| Param(v, *k));
        prepared.execute(rusqlite::params_from_iter(params)).map(|n| n as u64).map_err(failure)
    }
    fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        match sql {
            "BEGIN" => {
                self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failure)?;
                self.in_transaction = true;
            }
            // SQLite has taken it back itself.
            "ROLLBACK" if self.connection.is_autocommit() => self.in_transaction = false,
            "COMMIT" | "ROLLBACK" => {
                self.connection.execute_batch(sql).map_err(failure)?;
                self.in_transaction = false;
            }
            _ => self.connection.execute_batch(sql).map_err(failure)?,
        }
        Ok(())
    }
}
