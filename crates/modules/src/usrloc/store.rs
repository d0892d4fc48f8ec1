//! The seam for location tables that outlive the process: rows of contacts, and where they are kept.
//!
//! `db_mode` 1 (write-through) and 2 (write-back) will load all rows at start and write [`Change`]s at once or by the timer; nothing
//! else in this module names a database. [`DatabaseStore`] puts rows into any [`store::Database`].

use ::store::{Condition, Database, Error, Query, Value};

use super::contact::{ContactInfo, PERMANENT, Q_UNSET};

/// A stored contact.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Record id as text: it may come from another run or another server.
    pub ruid: Vec<u8>,
    /// Address-of-record.
    pub aor: Vec<u8>,
    /// Contact URI.
    pub contact: Vec<u8>,
    /// `received`, empty none.
    pub received: Vec<u8>,
    /// Path, empty none.
    pub path: Vec<u8>,
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// Instance, empty none.
    pub instance: Vec<u8>,
    /// User-Agent.
    pub user_agent: Vec<u8>,
    /// Socket as text, empty none.
    pub socket: Vec<u8>,
    /// Unix time of its end.
    pub expires: u32,
    /// Unix time of the last REGISTER.
    pub modified: u32,
    /// CSeq.
    pub cseq: u32,
    /// q in thousandths.
    pub q: i16,
    /// Record flags.
    pub flags: u32,
    /// Branch flags.
    pub cflags: u32,
    /// Method bits.
    pub methods: u32,
    /// `reg-id`.
    pub reg_id: u32,
}

impl Row {
    /// As a table takes it. Socket and connection are the caller's.
    pub fn info(&self) -> ContactInfo<'_> {
        ContactInfo {
            uri: &self.contact,
            received: &self.received,
            path: &self.path,
            call_id: &self.call_id,
            instance: &self.instance,
            user_agent: &self.user_agent,
            expires: self.expires,
            cseq: self.cseq,
            q: self.q,
            flags: self.flags,
            cflags: self.cflags,
            methods: self.methods,
            reg_id: self.reg_id,
            socket: None,
            connection: -1,
            modified: self.modified,
        }
    }
}

/// What happened to a contact.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new or was refreshed.
    Write(Box<Row>),
    /// It is gone: its record id.
    Delete(Vec<u8>),
}

/// Where rows of location tables are kept. Calls may block.
pub trait LocationStore: Send + Sync {
    /// Hands over every row that had not ended at `now`.
    fn load(&self, table: &str, now: u32, each: &mut dyn FnMut(Row)) -> Result<(), Error>;
    /// Writes changes in order. Stops at the first error and says how many were done before.
    fn write(&self, table: &str, changes: &[Change]) -> Result<(), (usize, Error)>;
    /// Deletes rows that had ended at `now`; says how many.
    fn delete_ended(&self, table: &str, now: u32) -> Result<u64, Error>;
}

/// Columns of Kamailio's location table that rows fill, default names.
pub const COLUMNS: [&str; 17] = [
    "ruid",
    "username",
    "contact",
    "received",
    "path",
    "callid",
    "instance",
    "user_agent",
    "socket",
    "expires",
    "last_modified",
    "cseq",
    "q",
    "flags",
    "cflags",
    "methods",
    "reg_id",
];

/// Rows in tables of a database, keyed by record id.
pub struct DatabaseStore<'d> {
    database: &'d dyn Database,
}

impl<'d> DatabaseStore<'d> {
    /// Over this database.
    pub fn new(database: &'d dyn Database) -> DatabaseStore<'d> {
        DatabaseStore { database }
    }
    fn put(&self, table: &str, row: &Row) -> Result<(), Error> {
        let text = |t: &[u8]| if t.is_empty() { Value::Null } else { Value::text(t) };
        let int = |n: u32| Value::Int(i64::from(n));
        let values = [
            text(&row.ruid),
            text(&row.aor),
            text(&row.contact),
            text(&row.received),
            text(&row.path),
            text(&row.call_id),
            text(&row.instance),
            text(&row.user_agent),
            text(&row.socket),
            Value::Time(i64::from(row.expires)),
            Value::Time(i64::from(row.modified)),
            int(row.cseq),
            Value::Float(if row.q == Q_UNSET { -1.0 } else { f64::from(row.q) / 1000.0 }),
            int(row.flags),
            int(row.cflags),
            int(row.methods),
            int(row.reg_id),
        ];
        if self.database.capabilities().replace {
            return self.database.replace(table, &COLUMNS, &values);
        }
        match self.database.insert(table, &COLUMNS, &values) {
            Err(Error::Duplicate(_)) => {
                let same = [Condition::equal("ruid", text(&row.ruid))];
                self.database.update(table, &COLUMNS, &values, &same).map(|_| ())
            }
            other => other,
        }
    }
}

impl LocationStore for DatabaseStore<'_> {
    fn load(&self, table: &str, now: u32, each: &mut dyn FnMut(Row)) -> Result<(), Error> {
        for values in self.database.query(&Query { table, columns: &COLUMNS, ..Query::default() })? {
            let mut values = values.into_iter();
            let mut next = || values.next().unwrap_or(Value::Null);
            let text = |v: Value| v.as_text().unwrap_or_default().to_vec();
            let int = |v: Value| v.as_int().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let row = Row {
                ruid: text(next()),
                aor: text(next()),
                contact: text(next()),
                received: text(next()),
                path: text(next()),
                call_id: text(next()),
                instance: text(next()),
                user_agent: text(next()),
                socket: text(next()),
                expires: int(next()),
                modified: int(next()),
                cseq: int(next()),
                q: match next().as_float() {
                    Some(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as i16,
                    _ => Q_UNSET,
                },
                flags: int(next()),
                cflags: int(next()),
                methods: int(next()),
                reg_id: int(next()),
            };
            if row.expires == PERMANENT || row.expires > now {
                each(row);
            }
        }
        Ok(())
    }
    fn write(&self, table: &str, changes: &[Change]) -> Result<(), (usize, Error)> {
        for (done, change) in changes.iter().enumerate() {
            let result = match change {
                Change::Write(row) => self.put(table, row),
                Change::Delete(ruid) => {
                    self.database.delete(table, &[Condition::equal("ruid", Value::text(ruid))]).map(|_| ())
                }
            };
            result.map_err(|e| (done, e))?;
        }
        Ok(())
    }
    fn delete_ended(&self, table: &str, now: u32) -> Result<u64, Error> {
        use ::store::Compare::{Greater, LessOrEqual};
        let condition =
            |compare, n: u32| Condition { column: "expires", compare, value: Value::Time(i64::from(n)) };
        self.database.delete(table, &[condition(LessOrEqual, now), condition(Greater, PERMANENT)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_database() {
        let database = ::store::Memory::new();
        database.create("location", &COLUMNS, &["ruid"]);
        let store = DatabaseStore::new(&database);
        let row = |ruid: &str, expires| Row {
            ruid: ruid.into(),
            aor: b"alice".to_vec(),
            contact: b"sip:a@192.0.2.1".to_vec(),
            expires,
            q: 250,
            methods: u32::MAX,
            ..Row::default()
        };
        let (short, long, always) = (row("uloc-1", 100), row("uloc-2", 300), row("uloc-3", PERMANENT));
        let changes = [short.clone(), long.clone(), always.clone()].map(|row| Change::Write(Box::new(row)));
        assert_eq!(store.write("location", &changes), Ok(()));
        let refreshed = Row { expires: 400, ..long };
        assert_eq!(store.write("location", &[Change::Write(Box::new(refreshed.clone()))]), Ok(()));
        let load = |now| {
            let mut rows = Vec::new();
            assert_eq!(store.load("location", now, &mut |r| rows.push(r)), Ok(()));
            rows
        };
        assert_eq!(load(50), [short, refreshed.clone(), always.clone()]);
        assert_eq!(store.delete_ended("location", 100), Ok(1));
        assert_eq!(store.write("location", &[Change::Delete(b"uloc-3".to_vec())]), Ok(()));
        assert_eq!(load(50), [refreshed]);
        let missing = store.write("nowhere", &[Change::Delete(b"x".to_vec())]);
        assert!(matches!(missing, Err((0, Error::NoTable(_)))));
    }
}
