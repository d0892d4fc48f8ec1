//! Rows of location tables, and the database they are kept in. Nothing else in this module names a database's columns.
//!
//! A row is found by its record id (`ruid`), which is unique in Kamailio's table: writing it again overwrites it.

use std::sync::Arc;

use ::store::{Compare, Condition, Database, Error, Query, Value, Write};

use super::contact::{ALL_METHODS, Attributes, ContactInfo, PERMANENT, Q_UNSET};
use super::{Settings, attributes};

/// Version of Kamailio's location table.
pub const VERSION: i64 = 9;
/// Longest User-Agent kept in a row: a longer one is cut, as nothing depends on it.
const LONGEST_AGENT: usize = 255;

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
    /// TCP connection, -1 none.
    pub connection: i32,
    /// Fields of `xavp_contact`.
    pub attributes: Attributes,
}

impl Row {
    /// As a table takes it. The socket is the caller's.
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
            connection: self.connection,
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

/// How many columns a row fills.
const COLUMNS: usize = 22;

/// Rows in tables of a database, with the columns that the parameters name.
pub struct Rows {
    database: Arc<dyn Database>,
    columns: [String; COLUMNS],
    /// Rows read at a time.
    page: usize,
    use_domain: bool,
    server_id: u32,
    /// Only rows of this server are loaded and cleaned.
    only_ours: bool,
    /// Contacts have rows in `location_attrs` too.
    with_attributes: bool,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rows in {}", self.database.name())
    }
}

impl Rows {
    /// Rows in a database.
    pub fn new(database: Arc<dyn Database>, settings: &Settings, server_id: u32) -> Rows {
        let s = settings;
        let columns = [
            &s.ruid_column,
            &s.user_column,
            &s.domain_column,
            &s.contact_column,
            &s.received_column,
            &s.path_column,
            &s.callid_column,
            &s.instance_column,
            &s.user_agent_column,
            &s.socket_column,
            &s.expires_column,
            "last_modified",
            &s.cseq_column,
            &s.q_column,
            &s.flags_column,
            &s.cflags_column,
            &s.methods_column,
            &s.reg_id_column,
            &s.connection_id_column,
            &s.server_id_column,
            &s.keepalive_column,
            &s.partition_column,
        ]
        .map(str::to_owned);
        Rows {
            database,
            columns,
            page: (s.fetch_rows as usize).clamp(10, 100_000),
            use_domain: s.use_domain,
            server_id,
            only_ours: s.server_id_filter,
            with_attributes: s.xavp_contact.is_some(),
        }
    }
    /// The database.
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }
    fn names(&self) -> [&str; COLUMNS] {
        self.columns.each_ref().map(String::as_str)
    }
    fn column(&self, at: usize) -> &str {
        self.columns.get(at).map_or("", String::as_str)
    }
    fn ours(&self) -> Option<Condition<'_>> {
        self.only_ours.then(|| Condition::equal(self.column(19), Value::Int(i64::from(self.server_id))))
    }
    fn user_and_domain<'a>(&self, aor: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let at = aor.iter().rposition(|b| *b == b'@').filter(|_| self.use_domain);
        match at.and_then(|at| aor.split_at_checked(at)) {
            Some((user, domain)) => (user, domain.get(1..).unwrap_or_default()),
            None if self.use_domain => (b"", aor),
            None => (aor, b""),
        }
    }

    /// Hands over every row that had not ended at `now`, a page at a time.
    pub fn load(&self, table: &str, now: u32, each: &mut dyn FnMut(Row)) -> Result<(), Error> {
        let names = self.names();
        let mut after = Value::text("");
        loop {
            let above = Condition { column: self.column(0), compare: Compare::Greater, value: after.clone() };
            let mut conditions = vec![above];
            conditions.extend(self.ours());
            let (order_by, limit) = (Some(self.column(0)), self.page);
            let page = Query { table, columns: &names, conditions: &conditions, order_by, limit };
            let rows = self.database.query(&page)?;
            let more = rows.len() >= self.page;
            let Some(last) = rows.last().and_then(|r| r.first()).cloned() else { return Ok(()) };
            let mut attributes = match self.with_attributes {
                true => attributes::of(self.database(), &after, &last)?,
                false => Default::default(),
            };
            for mut row in rows.into_iter().map(|r| self.row(r)).filter(|r| is_valid(r, now)) {
                row.attributes = attributes.remove(&row.ruid).unwrap_or_default();
                each(row);
            }
            if !more {
                return Ok(());
            }
            after = last;
        }
    }
    /// The rows of one address-of-record.
    pub fn of(&self, table: &str, aor: &[u8]) -> Result<Vec<Row>, Error> {
        let (user, domain) = self.user_and_domain(aor);
        let mut conditions = vec![Condition::equal(self.column(1), Value::text(user))];
        if self.use_domain {
            conditions.push(Condition::equal(self.column(2), Value::text(domain)));
        }
        conditions.extend(self.ours());
        let names = self.names();
        let query = Query {
            table,
            columns: &names,
            conditions: &conditions,
            order_by: Some("last_modified"),
            limit: 0,
        };
        let mut rows: Vec<Row> = self.database.query(&query)?.into_iter().map(|r| self.row(r)).collect();
        if self.with_attributes {
            for row in &mut rows {
                row.attributes = self.attributes_of(&row.ruid)?;
            }
        }
        Ok(rows)
    }
    /// Makes changes, all or none.
    pub fn write(&self, table: &str, changes: &[Change]) -> Result<(), Error> {
        enum Made<'c> {
            Row(Box<[Value; COLUMNS]>),
            Gone([Condition<'c>; 1]),
            Attribute(Box<[Value; 7]>),
            AttributesGone([Condition<'c>; 1]),
        }
        let columns = self.names();
        let mut made: Vec<Made<'_>> = Vec::with_capacity(changes.len());
        for change in changes {
            let ruid = match change {
                Change::Write(row) => {
                    made.push(Made::Row(Box::new(self.values(row))));
                    &row.ruid
                }
                Change::Delete(ruid) => {
                    made.push(Made::Gone([Condition::equal(self.column(0), Value::text(ruid))]));
                    ruid
                }
            };
            if !self.with_attributes {
                continue;
            }
            made.push(Made::AttributesGone([Condition::equal("ruid", Value::text(ruid))]));
            if let Change::Write(row) = change {
                let user = self.user_and_domain(&row.aor);
                let rows = attributes::rows(ruid, user, row.modified, &row.attributes);
                made.extend(rows.map(|r| Made::Attribute(Box::new(r))));
            }
        }
        let attributes = attributes::TABLE;
        let writes: Vec<Write<'_>> = made
            .iter()
            .map(|m| match m {
                Made::Row(row) => Write::Replace { table, columns: &columns, row: row.as_slice() },
                Made::Gone(conditions) => Write::Delete { table, conditions },
                Made::Attribute(row) => {
                    Write::Insert { table: attributes, columns: &attributes::COLUMNS, row: row.as_slice() }
                }
                Made::AttributesGone(conditions) => Write::Delete { table: attributes, conditions },
            })
            .collect();
        self.database.atomically(&writes).map(|_| ())
    }
    fn attributes_of(&self, ruid: &[u8]) -> Result<Attributes, Error> {
        // The smallest text below a record id is all of it but the last byte.
        let before = Value::text(ruid.split_last().map_or(&b""[..], |(_, rest)| rest));
        let mut found = attributes::of(self.database(), &before, &Value::text(ruid))?;
        Ok(found.remove(ruid).unwrap_or_default())
    }
    /// Deletes rows that had ended at `now`; says how many.
    pub fn delete_ended(&self, table: &str, now: u32) -> Result<u64, Error> {
        let expires = |compare, n: u32| Condition {
            column: self.column(10),
            compare,
            value: Value::Time(i64::from(n)),
        };
        let mut conditions = vec![expires(Compare::LessOrEqual, now), expires(Compare::Greater, PERMANENT)];
        conditions.extend(self.ours());
        if self.with_attributes {
            let ruid = [self.column(0)];
            let query = Query { table, columns: &ruid, conditions: &conditions, ..Query::default() };
            let ended = self.database.query(&query)?;
            for page in ended.chunks(self.page) {
                let gone: Vec<[Condition<'_>; 1]> =
                    page.iter().flatten().map(|ruid| [Condition::equal("ruid", ruid.clone())]).collect();
                let writes: Vec<Write<'_>> =
                    gone.iter().map(|c| Write::Delete { table: attributes::TABLE, conditions: c }).collect();
                self.database.atomically(&writes)?;
            }
        }
        self.database.delete(table, &conditions)
    }
    /// Deletes rows of contacts that were reached over a connection.
    pub fn delete_connected(&self, table: &str) -> Result<u64, Error> {
        let connected =
            Condition { column: self.column(18), compare: Compare::GreaterOrEqual, value: Value::Int(0) };
        let conditions: Vec<_> = std::iter::once(connected).chain(self.ours()).collect();
        self.database.delete(table, &conditions)
    }
    /// How many rows there are, and how many of them had ended at `now`.
    pub fn count(&self, table: &str, now: u32) -> Result<(u64, u64), Error> {
        let ended = [
            Condition {
                column: self.column(10),
                compare: Compare::LessOrEqual,
                value: Value::Time(i64::from(now)),
            },
            Condition { column: self.column(10), compare: Compare::Greater, value: Value::Time(0) },
        ];
        Ok((self.database.count(table, &[])?, self.database.count(table, &ended)?))
    }
    /// How many addresses-of-record have rows that had not ended at `now`.
    pub fn users(&self, table: &str, now: u32) -> Result<u64, Error> {
        let mut users = std::collections::HashSet::new();
        self.load(table, now, &mut |row| {
            users.insert(row.aor);
        })?;
        Ok(users.len() as u64)
    }

    fn values(&self, row: &Row) -> [Value; COLUMNS] {
        let text = |t: &[u8]| Value::text(t);
        let or_null = |t: &[u8]| if t.is_empty() { Value::Null } else { Value::text(t) };
        // Integers of the database have 32 bits and a sign: the bits are what is kept.
        let bits = |n: u32| Value::Int(i64::from(n as i32));
        let (user, domain) = self.user_and_domain(&row.aor);
        let agent = String::from_utf8_lossy(&row.user_agent).replace('\0', "");
        let end = agent.char_indices().nth(LONGEST_AGENT).map_or(agent.len(), |(at, _)| at);
        [
            text(&row.ruid),
            text(user),
            or_null(domain),
            text(&row.contact),
            or_null(&row.received),
            or_null(&row.path),
            text(&row.call_id),
            or_null(&row.instance),
            text(agent.as_bytes().get(..end).unwrap_or_default()),
            or_null(&row.socket),
            Value::Time(i64::from(row.expires)),
            Value::Time(i64::from(row.modified)),
            bits(row.cseq),
            Value::Float(if row.q == Q_UNSET { -1.0 } else { f64::from(row.q) / 1000.0 }),
            bits(row.flags),
            bits(row.cflags),
            if row.methods == ALL_METHODS { Value::Null } else { bits(row.methods) },
            bits(row.reg_id),
            Value::Int(i64::from(row.connection)),
            bits(self.server_id),
            Value::Int(0),
            Value::Int(0),
        ]
    }
    fn row(&self, values: Vec<Value>) -> Row {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(Value::Null);
        let text = |v: Value| v.as_text().unwrap_or_default().to_vec();
        let bits = |v: Value| v.as_int().map_or(0, |n| n as u32);
        let time = |v: Value| v.as_int().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (ruid, user, domain) = (text(next()), text(next()), text(next()));
        let aor = match (self.use_domain, user.is_empty()) {
            (false, _) => user,
            (true, true) => domain,
            (true, false) => [user.as_slice(), b"@", &domain].concat(),
        };
        Row {
            ruid,
            aor,
            contact: text(next()),
            received: text(next()),
            path: text(next()),
            call_id: text(next()),
            instance: text(next()),
            user_agent: text(next()),
            socket: text(next()),
            expires: time(next()),
            modified: time(next()),
            cseq: bits(next()),
            q: match next().as_float() {
                Some(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as i16,
                _ => Q_UNSET,
            },
            flags: bits(next()),
            cflags: bits(next()),
            methods: match next() {
                Value::Null => ALL_METHODS,
                n => bits(n),
            },
            reg_id: bits(next()),
            connection: next().as_int().and_then(|n| i32::try_from(n).ok()).unwrap_or(-1),
            attributes: Attributes::new(),
        }
    }
}

fn is_valid(row: &Row, now: u32) -> bool {
    row.expires == PERMANENT || row.expires > now
}

#[cfg(test)]
mod tests {
    use script::vars::VarValue;

    use super::*;

    /// A database in memory with a location table.
    fn database() -> Arc<dyn Database> {
        let database = ::store::Memory::new();
        for table in ["location", attributes::TABLE] {
            database.create_table(::store::schema::table(table).expect("known")).expect("made");
        }
        Arc::new(database)
    }

    #[test]
    fn rows_survive_the_database() {
        for use_domain in [false, true] {
            let settings = Settings { use_domain, fetch_rows: 10, ..Settings::default() };
            let rows = Rows::new(database(), &settings, 1);
            let aor = if use_domain { b"alice@example.com".to_vec() } else { b"alice".to_vec() };
            let row = |ruid: &str, expires| Row {
                ruid: ruid.into(),
                aor: aor.clone(),
                contact: b"sip:a@192.0.2.1".to_vec(),
                expires,
                q: 250,
                methods: 0x8000_0001,
                cseq: u32::MAX,
                connection: -1,
                ..Row::default()
            };
            let (short, long, always) = (row("uloc-1", 100), row("uloc-2", 300), row("uloc-3", PERMANENT));
            let changes =
                [short.clone(), long.clone(), always.clone()].map(|row| Change::Write(Box::new(row)));
            assert_eq!(rows.write("location", &changes), Ok(()));
            let refreshed = Row { expires: 400, methods: ALL_METHODS, ..long };
            assert_eq!(rows.write("location", &[Change::Write(Box::new(refreshed.clone()))]), Ok(()));
            let load = |now| {
                let mut found = Vec::new();
                assert_eq!(rows.load("location", now, &mut |r| found.push(r)), Ok(()));
                found
            };
            assert_eq!(load(50), [short, refreshed.clone(), always]);
            assert_eq!(rows.of("location", &aor).map(|r| r.len()), Ok(3));
            assert_eq!(rows.of("location", b"bob@example.com").map(|r| r.len()), Ok(0));
            assert_eq!(rows.delete_ended("location", 100), Ok(1));
            assert_eq!(rows.write("location", &[Change::Delete(b"uloc-3".to_vec())]), Ok(()));
            assert_eq!(load(50), [refreshed]);
            let missing = rows.write("nowhere", &[Change::Delete(b"x".to_vec())]);
            assert!(matches!(missing, Err(Error::NoTable(_))));
        }
    }

    #[test]
    fn attributes_go_with_their_contact() {
        let settings = Settings { xavp_contact: Some("ul".into()), fetch_rows: 10, ..Settings::default() };
        let rows = Rows::new(database(), &settings, 0);
        let field = |name: &str, value| (name.as_bytes().into(), value);
        let attributes = vec![
            field("a", VarValue::Str(b"newer"[..].into())),
            field("n", VarValue::Int(5)),
            field("a", VarValue::Str(b"older"[..].into())),
        ];
        let row = |i: usize, attributes: &Attributes| {
            let ruid = format!("r{i:02}").into_bytes();
            Change::Write(Box::new(Row {
                ruid,
                aor: b"u".to_vec(),
                expires: 9,
                attributes: attributes.clone(),
                ..Row::default()
            }))
        };
        for i in 0..15 {
            assert_eq!(rows.write("location", &[row(i, &attributes)]), Ok(()));
        }
        assert_eq!(rows.write("location", &[row(3, &Attributes::new()), row(4, &attributes)]), Ok(()));
        let mut found = Vec::new();
        assert_eq!(rows.load("location", 1, &mut |r| found.push(r.attributes)), Ok(()));
        assert_eq!((found.len(), found.iter().filter(|a| **a == attributes).count()), (15, 14));
        assert!(found[3].is_empty());
        assert_eq!(rows.of("location", b"u").map(|r| r[4].attributes == attributes), Ok(true));
        assert_eq!(rows.write("location", &[Change::Delete(b"r04".to_vec())]), Ok(()));
        assert_eq!(rows.database().count(attributes::TABLE, &[]), Ok(3 * 13));
        assert_eq!(rows.delete_ended("location", 9), Ok(14));
        assert_eq!(rows.database().count(attributes::TABLE, &[]), Ok(0));
    }

    #[test]
    fn all_pages_are_read() {
        let rows = Rows::new(database(), &Settings { fetch_rows: 10, ..Settings::default() }, 0);
        for i in 0..35 {
            let row = Row { ruid: format!("r{i:02}").into_bytes(), expires: 9, ..Row::default() };
            assert_eq!(rows.write("location", &[Change::Write(Box::new(row))]), Ok(()));
        }
        let mut count = 0;
        assert_eq!(rows.load("location", 1, &mut |_| count += 1), Ok(()));
        assert_eq!(count, 35);
    }
}
