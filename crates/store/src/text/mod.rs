//! Kamailio's text files (`db_text`): `text:///folder`, one file per table. Read only: for moving to a database.
//!
//! A file's first line names the columns, `id(int,auto) username(string) expires(int,null)`; each further line is a row, its values between
//! colons. A backslash stands before a colon or itself, `\n`, `\r`, `\t` and `\0` are what they are in C. A null column may be left empty.

mod file;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::{Capabilities, Condition, Database, Error, Memory, Query, Rows, Value};

/// A folder of tables.
pub struct Text {
    folder: PathBuf,
    /// Tables as read, and when their files were changed last. No more than there are files.
    tables: Mutex<HashMap<String, (Option<SystemTime>, Arc<Memory>)>>,
}

impl Text {
    /// The folder of a URL.
    pub fn open(url: &str) -> Result<Text, Error> {
        let folder = url.strip_prefix("text://").filter(|p| !p.is_empty());
        let folder =
            folder.ok_or_else(|| Error::BadUrl(format!("{url}: text files are text:///absolute/folder")))?;
        Ok(Text { folder: folder.into(), tables: Mutex::default() })
    }
    fn table(&self, name: &str) -> Result<Arc<Memory>, Error> {
        let missing = || Error::NoTable(name.into());
        // A name, not a path.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(missing());
        }
        let path = self.folder.join(name);
        let changed = match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => meta.modified().ok(),
            Ok(_) => return Err(missing()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.folder.is_dir() => {
                return Err(missing());
            }
            Err(e) => return Err(Error::Unavailable(format!("{}: {e}", path.display()))),
        };
        let mut tables = self.tables.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, table)) = tables.get(name).filter(|(at, _)| *at == changed && changed.is_some()) {
            return Ok(table.clone());
        }
        let bytes =
            std::fs::read(&path).map_err(|e| Error::Unavailable(format!("{}: {e}", path.display())))?;
        let table = Arc::new(file::read(name, &bytes)?);
        tables.insert(name.into(), (changed, table.clone()));
        Ok(table)
    }
}

const READ_ONLY: Error =
    Error::Unsupported("be written: text files are only read, `trunkline db migrate` moves them");

impl Database for Text {
    fn name(&self) -> &'static str {
        "text"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { replace: false, affected_rows: false, durable: true }
    }
    fn query(&self, query: &Query<'_>) -> Result<Rows, Error> {
        self.table(query.table)?.query(query)
    }
    fn insert(&self, _: &str, _: &[&str], _: &[Value]) -> Result<(), Error> {
        Err(READ_ONLY)
    }
    fn replace(&self, _: &str, _: &[&str], _: &[Value]) -> Result<(), Error> {
        Err(READ_ONLY)
    }
    fn update(&self, _: &str, _: &[&str], _: &[Value], _: &[Condition<'_>]) -> Result<u64, Error> {
        Err(READ_ONLY)
    }
    fn delete(&self, _: &str, _: &[Condition<'_>]) -> Result<u64, Error> {
        Err(READ_ONLY)
    }
    fn tables(&self) -> Result<Vec<String>, Error> {
        let failed = |e: std::io::Error| Error::Unavailable(format!("{}: {e}", self.folder.display()));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let (true, Ok(name)) = (entry.path().is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
    fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        self.table(table)?.columns(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_database() {
        let folder = std::env::temp_dir().join(format!("trunkline-text-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let rows = "id(int,auto) username(string) password(string,null) expires(int)\n\
                    1:alice:a\\:b\\\\c:10\n2:bob::-3\n";
        std::fs::write(folder.join("subscriber"), rows).expect("a file");
        let db = Text::open(&format!("text://{}", folder.display())).expect("opens");
        assert_eq!(db.tables().expect("lists"), ["subscriber"]);
        assert_eq!(db.columns("subscriber").expect("lists"), ["id", "username", "password", "expires"]);
        let query = |conditions: &[Condition<'_>]| {
            let columns = &["username", "password", "expires"];
            db.query(&Query { table: "subscriber", columns, conditions, ..Query::default() })
        };
        let alice = vec![Value::text("alice"), Value::text("a:b\\c"), Value::Int(10)];
        let bob = vec![Value::text("bob"), Value::Null, Value::Int(-3)];
        assert_eq!(query(&[]), Ok(vec![alice, bob.clone()]));
        assert_eq!(query(&[Condition::equal("password", Value::Null)]), Ok(vec![bob]));
        for bad in ["nothing", "../subscriber", "", ".", "a\0b"] {
            assert_eq!(db.columns(bad), Err(Error::NoTable(bad.into())));
        }
        assert!(matches!(db.delete("subscriber", &[]), Err(Error::Unsupported(_))));
        std::fs::write(folder.join("broken"), "id(int\n1:2\n").expect("a file");
        assert!(matches!(db.columns("broken"), Err(Error::Backend(_))));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
