//! Kamailio's table layouts and the version table that says which layout a table has.
//!
//! `kamailio.txt` beside this file holds the tables as facts; each backend writes them in its own words.

use std::sync::LazyLock;

use crate::{Condition, Database, Error, Query, Value};

/// A table's layout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Version that the `version` table names.
    pub version: i64,
    /// Kamailio module it is for.
    pub module: String,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Keys and indexes.
    pub indexes: Vec<Index>,
}

/// A column's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: ColumnKind,
    /// Whether it may be NULL.
    pub null: bool,
    /// Value when none is given.
    pub default: Option<String>,
}

/// Type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnKind {
    /// Primary key that counts up.
    Auto,
    /// Integer of up to this many bytes (1, 2, 4).
    Int {
        /// Bytes.
        bytes: u8,
        /// Without negative numbers.
        unsigned: bool,
    },
    /// Floating point number; MySQL's digits, empty none.
    Real(String),
    /// Text of at most this many characters.
    Text(u32),
    /// Long text.
    LongText,
    /// Bytes.
    Blob,
    /// Date and time.
    Time,
}

/// A key or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Name, unique within the table.
    pub name: String,
    /// Whether rows may not repeat in it.
    pub unique: bool,
    /// Columns.
    pub columns: Vec<String>,
}

/// Modules whose tables a new database gets.
pub const USUAL: &[&str] = &[
    "standard",
    "acc",
    "lcr",
    "domain",
    "group",
    "permissions",
    "registrar",
    "usrloc",
    "msilo",
    "alias_db",
    "uri_db",
    "speeddial",
    "avpops",
    "auth_db",
    "pdt",
    "dialog",
    "dispatcher",
    "dialplan",
    "topos",
    "htable",
    "rtpproxy",
    "rtpengine",
    "uac",
];

/// All tables, `version` first.
pub fn tables() -> &'static [Table] {
    static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| read(include_str!("kamailio.txt")));
    &TABLES
}

/// A table by name.
pub fn table(name: &str) -> Option<&'static Table> {
    tables().iter().find(|t| t.name == name)
}

fn read(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let names = |from: usize| words.iter().skip(from).map(|w| (*w).to_owned()).collect();
        match (words.as_slice(), tables.last_mut()) {
            (["table", name, version, module], _) => tables.push(Table {
                name: (*name).into(),
                version: version.parse().unwrap_or(0),
                module: (*module).into(),
                ..Table::default()
            }),
            ([kind @ ("unique" | "index"), name, ..], Some(table)) => table.indexes.push(Index {
                name: (*name).into(),
                unique: *kind == "unique",
                columns: names(2),
            }),
            ([name, kind, rest @ ..], Some(table)) => table.columns.push(Column {
                name: (*name).into(),
                kind: kind_of(kind),
                null: rest.contains(&"null"),
                default: line.split_once(" =").map(|(_, d)| d.trim_start().to_owned()),
            }),
            _ => {}
        }
    }
    tables
}

fn kind_of(word: &str) -> ColumnKind {
    let (name, size) = word.trim_end_matches(')').split_once('(').unwrap_or((word, ""));
    let int = |bytes| ColumnKind::Int { bytes, unsigned: name.ends_with('+') };
    match name.trim_end_matches('+') {
        "auto" => ColumnKind::Auto,
        "tiny" => int(1),
        "small" => int(2),
        "int" => int(4),
        "real" => ColumnKind::Real(size.into()),
        "longtext" => ColumnKind::LongText,
        "blob" => ColumnKind::Blob,
        "time" => ColumnKind::Time,
        _ => ColumnKind::Text(size.parse().unwrap_or(255)),
    }
}

/// How a table's version is not what a module needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionError {
    /// The table has another layout.
    Other {
        /// Table.
        table: String,
        /// Version in the database.
        found: i64,
        /// Version needed.
        wanted: i64,
    },
    /// The `version` table does not name it.
    Unnamed {
        /// Table.
        table: String,
        /// Version needed.
        wanted: i64,
    },
    /// It could not be asked.
    Database(Error),
}

impl std::fmt::Display for VersionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VersionError::Other { table, found, wanted } => write!(
                f,
                "table {table} has version {found} and version {wanted} is needed: see `trunkline db check`"
            ),
            VersionError::Unnamed { table, wanted } => write!(
                f,
                "the version table does not name table {table} (version {wanted} is needed): `trunkline db create` makes it"
            ),
            VersionError::Database(e) => write!(f, "{e}"),
        }
    }
}
impl std::error::Error for VersionError {}

/// Version of a table by the `version` table; `None` when it is not named there.
pub fn version_of(db: &dyn Database, table: &str) -> Result<Option<i64>, Error> {
    let name = [Condition::equal("table_name", Value::text(table))];
    let query = Query {
        table: "version",
        columns: &["table_version"],
        conditions: &name,
        limit: 1,
        ..Query::default()
    };
    let rows = db.query(&query)?;
    Ok(rows.first().and_then(|r| r.first()).and_then(Value::as_int))
}

/// Whether a table has the version that a module needs, by the `version` table as Kamailio does it.
///
/// A database that is away is [`VersionError::Database`]: a module that can live without it goes on. A database in memory has no versions.
pub fn check_version(db: &dyn Database, table: &str, wanted: i64) -> Result<(), VersionError> {
    if db.name() == "memory" {
        return Ok(());
    }
    match version_of(db, table).map_err(VersionError::Database)? {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(VersionError::Other { table: table.into(), found, wanted }),
        None => Err(VersionError::Unnamed { table: table.into(), wanted }),
    }
}

/// Makes a table and names it in the version table, which must be there (or be the one that is made).
pub fn create(db: &dyn Database, table: &Table) -> Result<(), Error> {
    db.create_table(table)?;
    let row = [Value::text(&table.name), Value::Int(table.version)];
    db.replace("version", &["table_name", "table_version"], &row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_read() {
        assert_eq!(tables().first().map(|t| t.name.as_str()), Some("version"));
        let location = table("location").expect("there");
        assert_eq!((location.version, location.columns.len(), location.indexes.len()), (9, 23, 5));
        let expires = location.columns.iter().find(|c| c.name == "expires").expect("there");
        assert_eq!((&expires.kind, expires.null), (&ColumnKind::Time, false));
        assert_eq!(expires.default.as_deref(), Some("2030-05-28 21:32:15"));
        let contact = location.columns.iter().find(|c| c.name == "contact").expect("there");
        assert_eq!((&contact.kind, contact.default.as_deref()), (&ColumnKind::Text(512), Some("")));
        for module in USUAL {
            assert!(tables().iter().any(|t| t.module == *module), "{module}");
        }
    }

    #[test]
    fn versions_are_compared() {
        let db = crate::Memory::new();
        assert_eq!(check_version(&db, "location", 9), Ok(()), "no versions in memory");
        db.create("version", &["table_name", "table_version"], &["table_name"]);
        assert_eq!(version_of(&db, "location"), Ok(None));
        create(&db, table("location").expect("there")).expect("creates");
        assert_eq!(version_of(&db, "location"), Ok(Some(9)));
    }
}
