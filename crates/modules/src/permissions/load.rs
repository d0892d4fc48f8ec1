//! Reading the tables and files: at the start, by RPC, and the files when they are first asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use script::SetupError;
use store::{Condition, Query, Value as Cell};

use super::rules::{Pair, Rules};
use super::{Tables, address, trusted};
use crate::database::{to_int, to_text};

/// Bits of `load_backends`.
mod backends {
    pub const ADDRESS: i64 = 1;
    pub const TRUSTED: i64 = 2;
    pub const ALLOW: i64 = 4;
    pub const DENY: i64 = 8;
}

/// Why a table was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotLoaded {
    /// There is neither a database nor a file, or it is not to be loaded.
    NoSource,
    /// It cannot be read now.
    Failed(String),
}

impl Tables {
    /// A database that is down does not stop the start; a file that is not there does.
    pub(super) fn load_at_start(&self) -> Result<(), SetupError> {
        match self.load_addresses() {
            Err(NotLoaded::Failed(why)) if self.settings.address_file.is_some() => {
                return Err(SetupError(format!("address_file: {why}")));
            }
            Err(NotLoaded::Failed(_)) => self.pending[0].store(true, Ordering::Relaxed),
            Err(NotLoaded::NoSource) | Ok(()) => {}
        }
        if let Err(NotLoaded::Failed(_)) = self.load_trusted() {
            self.pending[1].store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn load_pending(&self) {
        let [addresses, trusted] = &self.pending;
        if addresses.load(Ordering::Relaxed) {
            addresses.store(self.load_addresses().is_err(), Ordering::Relaxed);
        }
        if trusted.load(Ordering::Relaxed) {
            trusted.store(self.load_trusted().is_err(), Ordering::Relaxed);
        }
    }

    /// Reads the address table or file and puts it in the place of the one before.
    pub(super) fn load_addresses(&self) -> Result<(), NotLoaded> {
        let settings = &self.settings;
        if settings.load_backends & backends::ADDRESS == 0 {
            return Err(NotLoaded::NoSource);
        }
        let rows = match (&settings.address_file, &self.database) {
            (Some(file), _) => self.read_address_file(file)?,
            (None, Some(database)) => {
                let columns = [
                    &settings.grp_col[..],
                    &settings.ip_addr_col,
                    &settings.mask_col,
                    &settings.port_col,
                    &settings.tag_col,
                ];
                let query = Query { table: &settings.address_table, columns: &columns, ..Query::default() };
                let rows = database.query(&query).map_err(|e| NotLoaded::Failed(e.to_string()))?;
                rows.iter().map(|row| address_row(row)).collect()
            }
            (None, None) => return Err(NotLoaded::NoSource),
        };
        let table = address::Table::new(rows, settings.max_subnets, |row, why| {
            tracing::error!(target: "permissions", group = row.group, address = row.address, mask = row.mask, "address left out: {why}");
        });
        self.addresses.store(Arc::new(table));
        Ok(())
    }

    fn read_address_file(&self, file: &str) -> Result<Vec<address::Row>, NotLoaded> {
        let path = self.path(file.as_bytes());
        let text = std::fs::read_to_string(&path)
            .map_err(|e| NotLoaded::Failed(format!("{}: {e}", path.display())))?;
        Ok(address::parse_file(&text, |line, why| {
            tracing::error!(target: "permissions", file, line, "{why}");
        }))
    }

    /// Reads the trusted table and puts it in the place of the one before.
    pub(super) fn load_trusted(&self) -> Result<(), NotLoaded> {
        if self.settings.load_backends & backends::TRUSTED == 0 || self.settings.db_mode != 1 {
            return Err(NotLoaded::NoSource);
        }
        let rules = self.read_trusted(&[], None)?;
        self.trusted.store(Arc::new(trusted::Table::new(rules)));
        Ok(())
    }

    /// The rules for a source address, straight from the database; `None` when there is none or it does not answer.
    pub(super) fn ask_trusted(&self, source: &[u8]) -> Option<Vec<trusted::Rule>> {
        let conditions = [Condition::equal(&self.settings.source_col, Cell::text(source))];
        self.read_trusted(&conditions, Some(&self.settings.priority_col)).ok()
    }

    fn read_trusted(
        &self,
        conditions: &[Condition<'_>],
        order_by: Option<&str>,
    ) -> Result<Vec<trusted::Rule>, NotLoaded> {
        let settings = &self.settings;
        let database = self.database.as_ref().ok_or(NotLoaded::NoSource)?;
        let columns = [
            &settings.source_col[..],
            &settings.proto_col,
            &settings.from_col,
            &settings.ruri_col,
            &settings.tag_col,
            &settings.priority_col,
        ];
        let query =
            Query { table: &settings.trusted_table, columns: &columns, conditions, order_by, limit: 0 };
        let rows = database.query(&query).map_err(|e| NotLoaded::Failed(e.to_string()))?;
        let rules = rows.iter().filter_map(|row| {
            let row = trusted_row(row);
            let source = String::from_utf8_lossy(&row.source).into_owned();
            trusted::Rule::new(row).unwrap_or_else(|why| {
                tracing::error!(target: "permissions", source, "trusted peer left out: {why}");
                None
            })
        });
        Ok(rules.collect())
    }

    /// The files of a name with their endings; read when first asked for.
    pub(super) fn files(&self, basename: &[u8]) -> Arc<Pair> {
        let allow = [basename, self.settings.allow_suffix.as_bytes()].concat();
        let deny = [basename, self.settings.deny_suffix.as_bytes()].concat();
        self.two_files(&allow, &deny)
    }

    /// The files of a name if they were read before, for RPC.
    pub(super) fn known_files(&self, basename: &[u8]) -> Option<Arc<Pair>> {
        let allow = [basename, self.settings.allow_suffix.as_bytes()].concat();
        let deny = [basename, self.settings.deny_suffix.as_bytes()].concat();
        let files = self.files.read().unwrap_or_else(|e| e.into_inner());
        files.get(&key(&allow, &deny)).cloned()
    }

    pub(super) fn default_files(&self) -> Arc<Pair> {
        self.two_files(
            self.settings.default_allow_file.as_bytes(),
            self.settings.default_deny_file.as_bytes(),
        )
    }

    pub(super) fn two_files(&self, allow: &[u8], deny: &[u8]) -> Arc<Pair> {
        /// Most pairs of files that are kept; a script that makes up names has further ones read every time.
        const LIMIT: usize = 256;
        let key = key(allow, deny);
        if let Some(known) = self.files.read().unwrap_or_else(|e| e.into_inner()).get(&key) {
            return known.clone();
        }
        let pair = Arc::new(Pair {
            allow: self.rules(allow, backends::ALLOW),
            deny: self.rules(deny, backends::DENY),
        });
        let mut files = self.files.write().unwrap_or_else(|e| e.into_inner());
        if files.len() < LIMIT {
            files.insert(key, pair.clone());
        }
        pair
    }

    /// No file, no rules, as documented: permissions are turned off by not having files.
    fn rules(&self, name: &[u8], backend: i64) -> Rules {
        if self.settings.load_backends & backend == 0 {
            return Rules::default();
        }
        let path = self.path(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(target: "permissions", file = %path.display(), "there is no such file: no rules");
                return Rules::default();
            }
            Err(error) => {
                tracing::error!(target: "permissions", file = %path.display(), %error, "the file cannot be read: no rules");
                return Rules::default();
            }
        };
        Rules::parse(&text, |line, why| {
            tracing::error!(target: "permissions", file = %path.display(), line, "rule left out: {why}");
        })
    }

    /// A name without a folder is beside the configuration.
    fn path(&self, name: &[u8]) -> PathBuf {
        let name = String::from_utf8_lossy(name).into_owned();
        self.folder.join(name)
    }
}

fn key(allow: &[u8], deny: &[u8]) -> Vec<u8> {
    [allow, b"\0", deny].concat()
}

fn tag(cell: Option<&Cell>) -> Option<Vec<u8>> {
    cell.filter(|c| **c != Cell::Null).map(|c| to_text(Some(c)))
}

fn address_row(row: &[Cell]) -> address::Row {
    address::Row {
        group: to_int(row.first()).unwrap_or(0),
        address: String::from_utf8_lossy(&to_text(row.get(1))).into_owned(),
        mask: to_int(row.get(2)).unwrap_or(0),
        port: to_int(row.get(3)).and_then(|p| u16::try_from(p).ok()).unwrap_or(0),
        tag: tag(row.get(4)),
    }
}

fn trusted_row(row: &[Cell]) -> trusted::Row {
    trusted::Row {
        source: to_text(row.first()),
        transport: to_text(row.get(1)),
        from: to_text(row.get(2)),
        ruri: to_text(row.get(3)),
        tag: tag(row.get(4)),
        priority: to_int(row.get(5)).unwrap_or(0),
    }
}
