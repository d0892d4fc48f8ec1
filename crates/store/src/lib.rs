//! Databases as modules see them: blocking calls over typed values and column lists, so that a location table or a subscriber table
//! does not care where it is kept.
//!
//! [`Memory`] keeps tables in the process. Other backends come with their own crates behind the same [`Database`]; the `battery` module (feature `testing`) is what
//! every one of them has to pass.
#![forbid(unsafe_code)]

pub mod journal;
mod memory;
mod open;
mod worker;

#[cfg(any(test, feature = "testing"))]
pub mod battery;

pub use journal::Journal;
pub use memory::Memory;
pub use open::{open, substitute};
pub use worker::Worker;

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
    /// `=`; NULL equals NULL.
    Equal,
    /// `!=`
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
}
