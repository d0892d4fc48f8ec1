//! What SQL databases have in common: statements with bound parameters, columns whose types are known, connections in a pool.
//!
//! A backend (`sqlite.rs`, `postgres.rs`, `mysql.rs`) opens connections and runs statements; everything else is here. A value is brought
//! into its column's type before it is sent, so that nothing is cut or guessed by the server.

mod build;
pub(crate) mod layout;
mod pool;
mod server;

pub(crate) use build::Statement;
pub(crate) use pool::Pool;
pub(crate) use server::Server;

use crate::schema::Table;
use crate::{Error, Rows};

/// What a column keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integers.
    Int,
    /// Floating point numbers.
    Float,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Date and time.
    Time,
}

/// A column of a table that is there.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub name: String,
    pub kind: Kind,
    /// Type to cast to when it is read, where the client library does not read the column's own.
    pub cast: Option<&'static str>,
}

/// A table that is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    pub columns: Vec<Column>,
    /// Sets of columns that are unique, the primary key last.
    pub unique: Vec<Vec<String>>,
}

/// What a dialect does its own way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// Around names.
    pub quote: char,
    /// `$1` rather than `?`.
    pub numbered: bool,
    /// How a row is replaced.
    pub replace: Replace,
    /// Whether text must be UTF-8, and whether it may hold NUL.
    pub text: TextRule,
}

/// How a row is added or, when its key is there, overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    /// `ON CONFLICT DO UPDATE`, any key.
    Conflict,
    /// `ON CONFLICT (key) DO UPDATE`.
    ConflictOf,
    /// `ON DUPLICATE KEY UPDATE`.
    DuplicateKey,
}

/// What text columns take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextRule {
    /// All bytes.
    Bytes,
    /// UTF-8.
    Utf8,
    /// UTF-8 without NUL.
    Utf8NoNul,
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is of no more use. `sent`: the server may have done it.
    Lost { why: String, sent: bool },
    /// The server did not answer in time; it may have done it.
    TimedOut(String),
    /// The server's answer; the connection is fine.
    Refused(Error),
}

impl Failure {
    pub fn backend(why: impl std::fmt::Display) -> Failure {
        Failure::Refused(Error::Backend(why.to_string()))
    }
}

/// Opens connections.
pub(crate) trait Connect: Send + Sync + 'static {
    type Connection: Connection;
    fn name(&self) -> &'static str;
    fn dialect(&self) -> Dialect;
    /// Waits no longer than `connect_timeout`. Any error counts as "cannot be reached".
    fn connect(&self) -> Result<Self::Connection, String>;
    /// The statements that make a table and its indexes.
    fn layout(&self, table: &Table) -> Vec<String>;
    /// The statements after which the next row gets a free number.
    fn renumber(&self, table: &Table) -> Vec<String> {
        let _ = table;
        Vec::new()
    }
}

/// A connection, used by one thread at a time.
pub(crate) trait Connection: Send {
    /// Whether it still stands, asked after it was idle.
    fn alive(&mut self) -> bool;
    /// Names of all tables.
    fn tables(&mut self) -> Result<Vec<String>, Failure>;
    /// A table, `None` when there is none.
    fn describe(&mut self, table: &str) -> Result<Option<Description>, Failure>;
    /// Rows of a SELECT; `statement.kinds` are the columns'.
    fn read(&mut self, statement: &Statement) -> Result<Rows, Failure>;
    /// Runs a statement that changes rows and says how many.
    fn write(&mut self, statement: &Statement) -> Result<u64, Failure>;
    /// Runs text of our own, without parameters: BEGIN, CREATE TABLE.
    fn execute(&mut self, sql: &str) -> Result<(), Failure>;
}
