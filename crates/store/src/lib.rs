//! Databases as modules see them: blocking calls over typed values and column lists, so that a location table or a subscriber table
//! does not care where it is kept.
//!
//! [`open`] makes the database of a URL: `sqlite.rs`, `postgres.rs` and `mysql.rs` over `sql/`, `text/` reads Kamailio's text files, [`Memory`]
//! keeps tables in the process. [`schema`] knows Kamailio's tables. The `battery` module (feature `testing`) is what every backend has to pass.
#![forbid(unsafe_code)]

pub mod journal;
mod memory;
#[cfg(feature = "mysql")]
mod mysql;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
pub mod schema;
#[cfg(any(feature = "sqlite", feature = "mysql", feature = "postgres"))]
#[cfg_attr(not(all(feature = "sqlite", feature = "mysql", feature = "postgres")), allow(dead_code))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod text;
#[cfg_attr(not(all(feature = "mysql", feature = "postgres")), allow(dead_code))]
mod time;
#[cfg_attr(not(all(feature = "mysql", feature = "postgres")), allow(dead_code))]
mod url;
mod worker;

#[cfg(any(test, feature = "testing"))]
pub mod battery;

pub use journal::Journal;
pub use memory::Memory;
pub use open::{expect_threads, open, open_or_create, set_timeouts, substitute};
pub use schema::{VersionError, check_version};
pub use url::without_password;
pub use worker::Worker;

/// A Unix time as people read it, in local time: `2030-05-28 21:32:15`.
pub fn local_time(unix: i64) -> String {
    time::text(unix).unwrap_or_else(|| unix.to_string())
}

/// A column's value.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Value {
    /// NULL.
    Null,
    /// Integer.
    Int(i64),
    /// Floating point number.
    Float(f64),
    /// Text or bytes.
    Text(Vec<u8>),
    /// Unix time in seconds.
    Time(i64),
}

impl Value {
    /// Text from anything that is bytes.
    pub fn text(text: impl AsRef<[u8]>) -> Value {
        Value::Text(text.as_ref().to_vec())
    }
    /// As bytes; `None` for anything but text.
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }
    /// As an integer: integers and times.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) | Value::Time(n) => Some(*n),
            _ => None,
        }
    }
    /// As a floating point number: numbers.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(f) => Some(*f),
            Value::Int(n) => Some(*n as f64),
            _ => None,
        }
    }
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `=`; NULL equals NULL and nothing else.
    Equal,
    /// `!=`; NULL differs from nothing, all else differs from NULL.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// One comparison; several are joined by AND.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition<'a> {
    /// Column.
    pub column: &'a str,
    /// Operator.
    pub compare: Compare,
    /// Right side.
    pub value: Value,
}

impl<'a> Condition<'a> {
    /// `column = value`
    pub fn equal(column: &'a str, value: Value) -> Condition<'a> {
        Condition { column, compare: Compare::Equal, value }
    }
}

/// What to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// Table.
    pub table: &'a str,
    /// Columns in the order of the answer.
    pub columns: &'a [&'a str],
    /// All must hold; empty: every row.
    pub conditions: &'a [Condition<'a>],
    /// Ascending order by this column.
    pub order_by: Option<&'a str>,
    /// Most rows, 0 all.
    pub limit: usize,
}

/// Rows in the column order of their query.
pub type Rows = Vec<Vec<Value>>;

/// A change to rows, for [`Database::atomically`].
#[derive(Debug, Clone, Copy)]
pub enum Write<'a> {
    /// [`Database::insert`]
    Insert {
        /// Table.
        table: &'a str,
        /// Columns of the row.
        columns: &'a [&'a str],
        /// Values.
        row: &'a [Value],
    },
    /// [`Database::replace`]
    Replace {
        /// Table.
        table: &'a str,
        /// Columns of the row.
        columns: &'a [&'a str],
        /// Values.
        row: &'a [Value],
    },
    /// [`Database::update`]
    Update {
        /// Table.
        table: &'a str,
        /// Columns to set.
        columns: &'a [&'a str],
        /// Values.
        row: &'a [Value],
        /// All must hold.
        conditions: &'a [Condition<'a>],
    },
    /// [`Database::delete`]
    Delete {
        /// Table.
        table: &'a str,
        /// All must hold.
        conditions: &'a [Condition<'a>],
    },
}

impl<'a> Write<'a> {
    /// Its table.
    pub fn table(&self) -> &'a str {
        match self {
            Write::Insert { table, .. }
            | Write::Replace { table, .. }
            | Write::Update { table, .. }
            | Write::Delete { table, .. } => table,
        }
    }
}

/// What a backend can do beyond reading and writing rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// [`Database::replace`].
    pub replace: bool,
    /// The numbers of rows that `update` and `delete` return are true.
    pub affected_rows: bool,
    /// What is written outlives the process.
    pub durable: bool,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The URL names no database that there could be.
    BadUrl(String),
    /// The database cannot be reached; trying again later may help.
    Unavailable(String),
    /// There is no such table.
    NoTable(String),
    /// The table has no such column.
    NoColumn {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// A row with this key is there already.
    Duplicate(String),
    /// Row and column list differ in length, or a value does not fit.
    BadRow(String),
    /// The backend cannot do this, see [`Capabilities`].
    Unsupported(&'static str),
    /// What the backend said.
    Backend(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::BadUrl(why) => write!(f, "{why}"),
            Error::Unavailable(why) => write!(f, "the database cannot be reached: {why}"),
            Error::NoTable(table) => write!(f, "there is no table {table}"),
            Error::NoColumn { table, column } => write!(f, "table {table} has no column {column}"),
            Error::Duplicate(what) => write!(f, "there is already a row with {what}"),
            Error::BadRow(why) => write!(f, "bad row: {why}"),
            Error::Unsupported(what) => write!(f, "the database cannot {what}"),
            Error::Backend(text) => write!(f, "the database says: {text}"),
        }
    }
}
impl std::error::Error for Error {}

/// A database. Calls block; callers that must not wait use it from a thread of their own.
pub trait Database: Send + Sync {
    /// `memory`, `sqlite`, ...
    fn name(&self) -> &'static str;
    /// What it can do.
    fn capabilities(&self) -> Capabilities;
    /// Reads rows.
    fn query(&self, query: &Query<'_>) -> Result<Rows, Error>;
    /// Adds a row. A row with the same key is [`Error::Duplicate`].
    fn insert(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error>;
    /// Adds a row or, when its key is there, overwrites the given columns.
    fn replace(&self, table: &str, columns: &[&str], row: &[Value]) -> Result<(), Error>;
    /// Sets columns of the rows for which all conditions hold. Returns how many there were.
    fn update(
        &self,
        table: &str,
        columns: &[&str],
        row: &[Value],
        conditions: &[Condition<'_>],
    ) -> Result<u64, Error>;
    /// Deletes the rows for which all conditions hold. Returns how many there were.
    fn delete(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error>;
    /// Makes several changes, all or none; says how many rows each changed. A backend without transactions makes them in order and stops at
    /// the first error.
    fn atomically(&self, writes: &[Write<'_>]) -> Result<Vec<u64>, Error> {
        let one = |write: &Write<'_>| match *write {
            Write::Insert { table, columns, row } => self.insert(table, columns, row).map(|()| 1),
            Write::Replace { table, columns, row } => self.replace(table, columns, row).map(|()| 1),
            Write::Update { table, columns, row, conditions } => self.update(table, columns, row, conditions),
            Write::Delete { table, conditions } => self.delete(table, conditions),
        };
        writes.iter().map(one).collect()
    }
    /// How many rows there are for which all conditions hold.
    fn count(&self, table: &str, conditions: &[Condition<'_>]) -> Result<u64, Error> {
        Ok(self.query(&Query { table, conditions, ..Query::default() })?.len() as u64)
    }
    /// After rows were added with row numbers of their own: the next row gets a number that is free.
    fn renumber(&self, table: &schema::Table) -> Result<(), Error> {
        let _ = table;
        Ok(())
    }
    /// Names of the tables.
    fn tables(&self) -> Result<Vec<String>, Error> {
        Err(Error::Unsupported("list its tables"))
    }
    /// Names of a table's columns, as the table is now.
    fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        let _ = table;
        Err(Error::Unsupported("list a table's columns"))
    }
    /// Makes a table. One that is there already is an error.
    fn create_table(&self, table: &schema::Table) -> Result<(), Error> {
        let _ = table;
        Err(Error::Unsupported("make tables"))
    }
}
