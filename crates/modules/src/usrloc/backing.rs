//! Location tables that outlive the process: `db_mode` 1 (written through), 2 (written back) and 3 (in the database only).
//!
//! ```text
//! mode  a REGISTER                                            a lookup        a start
//! 1     memory, database, 200; undone when the write fails    memory          rows are read
//! 2     memory, 200; the writer brings it to the database     memory          rows are read
//! 3     database, 200                                         database        -
//! ```
//! The writer is a thread of its own (`usrloc-db`): it reads the rows when the database was away at the start, writes what changed (mode 2)
//! and deletes rows that have ended. Once a second it is told the time; a database that is slow delays nobody but it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use ::store::{Error, VersionError, check_version};
use script::Listener;

use super::contact::{Contact, Stored};
use super::record::{Aor, Record};
use super::store::{Change, Row, Rows, VERSION};
use super::{Domain, Settings, attributes, parse_socket, socket_text};

/// Where contacts are kept besides memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 1
    Through,
    /// 2
    Back,
    /// 3
    Only,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveError<E> {
    /// What the change itself said.
    Refused(E),
    /// The database did not take it.
    Database(Error),
}

/// Flag of contacts that `save` was told to keep out of the database.
const MEMORY_ONLY: u32 = 1;
/// Changes written in one transaction.
const BATCH: usize = 200;
/// Locks for changes that are written at once.
const TURNS: usize = 1024;

/// The database of the location tables.
#[derive(Debug)]
pub struct Backing {
    mode: Mode,
    rows: Rows,
    listeners: Vec<Listener>,
    skip_remote_socket: bool,
    clean_tcp: bool,
    load: bool,
    check_version: bool,
    /// Contacts have rows in `location_attrs` too.
    with_attributes: bool,
    /// Seconds that ended rows stay.
    delay: u32,
    turns: Box<[Mutex<()>]>,
    /// Rows to delete, with their table. Bounded by [`Backing::GONE`].
    gone: Mutex<Vec<(Box<[u8]>, Box<[u8]>)>>,
    /// Tables whose rows were not read yet.
    unread: Mutex<Vec<Box<[u8]>>>,
    /// Shard at which the writer goes on.
    cursor: AtomicUsize,
    /// A failure was logged and no success since.
    failing: AtomicBool,
    /// Tables of which it was logged that they are missing. Bounded by [`Domains::LIMIT`](super::Domains::LIMIT).
    missing: Mutex<HashSet<String>>,
}

impl Backing {
    /// Most deletions waiting for the database. Further ones are given up, and said: such a contact is back after a restart.
    pub const GONE: usize = 1_000_000;

    /// The database that the parameters name; `None` for `db_mode` 0.
    pub fn new(
        settings: &Settings,
        listeners: &[Listener],
        server_id: u32,
    ) -> Result<Option<Backing>, Error> {
        let mode = match settings.db_mode {
            1 => Mode::Through,
            2 => Mode::Back,
            3 => Mode::Only,
            _ => return Ok(None),
        };
        let database = ::store::open(&settings.db_url)?;
        if database.name() == "text" {
            return Err(Error::BadUrl(
                "text files are only read: `trunkline db migrate` moves them to SQLite".into(),
            ));
        }
        Ok(Some(Backing {
            mode,
            rows: Rows::new(database, settings, server_id),
            listeners: listeners.to_vec(),
            skip_remote_socket: settings.skip_remote_socket,
            clean_tcp: settings.db_clean_tcp,
            load: settings.db_load && mode != Mode::Only,
            check_version: settings.version_table,
            with_attributes: settings.xavp_contact.is_some(),
            delay: if mode == Mode::Only { settings.rm_expired_delay } else { 0 },
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            gone: Mutex::default(),
            unread: Mutex::default(),
            cursor: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            missing: Mutex::default(),
        }))
    }
    /// How it is kept.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// The rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }
    /// The turn to change records of this kind, for as long as it is held.
    pub(super) fn turn(&self, hash: u32) -> Option<MutexGuard<'_, ()>> {
        self.turns.get(hash as usize % TURNS).map(|t| t.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Whether the table has the layout that is needed. A database that is away cannot be asked, which is fine.
    pub fn check(&self, table: &str) -> Result<(), String> {
        if !self.check_version {
            return Ok(());
        }
        let attributes = self.with_attributes.then_some((attributes::TABLE, attributes::VERSION));
        for (table, wanted) in [(table, VERSION)].into_iter().chain(attributes) {
            match check_version(self.rows.database(), table, wanted) {
                Ok(()) | Err(VersionError::Database(Error::Unavailable(_))) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    }

    /// A table was made: its rows are to be read. Tries at once.
    pub(super) fn opened(&self, domain: &Domain, now: u32) {
        if self.clean_tcp
            && let Err(e) = self.rows.delete_connected(&name(domain))
        {
            self.failed("contacts over TCP stay in the database", &e);
        }
        if self.load && !self.read(domain, now) {
            self.unread.lock().unwrap_or_else(|e| e.into_inner()).push(domain.name().into());
        }
    }

    /// Reads a table's rows into it. Contacts that are there already stay.
    fn read(&self, domain: &Domain, now: u32) -> bool {
        let (mut count, mut left) = (0u64, 0u64);
        let result = self.rows.load(&name(domain), now, &mut |row| {
            if domain.is_full() || !self.take(domain, &row) {
                left += 1;
            } else {
                count += 1;
            }
        });
        match result {
            Ok(()) => {
                self.succeeded();
                let table = String::from_utf8_lossy(domain.name());
                tracing::info!(target: "usrloc", "{count} contacts read into table {table}, {left} left out");
                true
            }
            Err(e) => {
                self.failed("contacts could not be read, which is tried again", &e);
                false
            }
        }
    }
    fn take(&self, domain: &Domain, row: &Row) -> bool {
        let Some(contact) = self.contact(domain, row) else { return false };
        domain.change(&row.aor, |entry| {
            let ruid = &domain.rules().ruid;
            let known = entry.contacts().iter().any(|c| c.has_ruid(&row.ruid, ruid))
                || entry.position(&row.info()).is_some();
            if known || entry.contacts().len() >= Record::LIMIT {
                return false;
            }
            entry.record().add(contact, domain.rules().order);
            true
        })
    }
    /// A row as a contact; `None` when it is not for this server or too long.
    fn contact(&self, domain: &Domain, row: &Row) -> Option<Contact> {
        let socket = parse_socket(&self.listeners, &row.socket).filter(|_| !row.socket.is_empty());
        if self.skip_remote_socket && socket.is_none() && !row.socket.is_empty() {
            return None;
        }
        let info = super::ContactInfo { socket, ..row.info() };
        let mut contact = Contact::with_ruid_text(&info, domain.number(), &row.ruid, domain.agents()).ok()?;
        contact.set_attributes(row.attributes.clone());
        contact.stored = Stored::Saved;
        Some(contact)
    }
    /// The record of an address-of-record as the database has it now.
    pub(super) fn fetch(&self, domain: &Domain, aor: &[u8], mut record: Record) -> Result<Record, Error> {
        let rows =
            self.rows.of(&name(domain), aor).inspect_err(|e| self.failed("contacts could not be read", e))?;
        for row in rows.iter().take(Record::LIMIT) {
            if let Some(contact) = self.contact(domain, row) {
                record.add(contact, domain.rules().order);
            }
        }
        record.aor = Aor::from_slice(aor);
        self.succeeded();
        Ok(record)
    }

    /// What has to be written so that the database has `after`.
    pub(super) fn changes(
        &self,
        domain: &Domain,
        aor: &[u8],
        before: &[Contact],
        after: &[Contact],
    ) -> Vec<Change> {
        let format = &domain.rules().ruid;
        let gone = before.iter().filter(|b| !after.iter().any(|a| a.ruid() == b.ruid()));
        let mut changes: Vec<Change> = gone.map(|b| Change::Delete(b.ruid_text(format))).collect();
        for contact in after.iter().filter(|c| c.flags & MEMORY_ONLY == 0 && c.stored != Stored::Saved) {
            changes.push(Change::Write(Box::new(self.row(domain, aor, contact))));
        }
        changes
    }
    fn row(&self, domain: &Domain, aor: &[u8], contact: &Contact) -> Row {
        let mut socket = Vec::new();
        if let Some(listener) = contact.socket().and_then(|s| self.listeners.get(usize::from(s.0))) {
            socket_text(listener, &mut socket);
        }
        Row {
            ruid: contact.ruid_text(&domain.rules().ruid),
            aor: aor.into(),
            contact: contact.uri().into(),
            received: contact.received().into(),
            path: contact.path().into(),
            call_id: contact.call_id().into(),
            instance: contact.instance().into(),
            user_agent: contact.user_agent().into(),
            socket,
            expires: contact.expires,
            modified: contact.modified,
            cseq: contact.cseq,
            q: contact.q,
            flags: contact.flags,
            cflags: contact.cflags,
            methods: contact.methods,
            reg_id: contact.reg_id,
            connection: contact.connection,
            attributes: contact.attributes().to_vec(),
        }
    }
    /// Writes changes, all or none.
    pub(super) fn write(&self, domain: &Domain, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let result = self.rows.write(&name(domain), changes);
        match &result {
            Ok(()) => self.succeeded(),
            // One row that does not fit says nothing about the next.
            Err(Error::BadRow(why)) => {
                tracing::warn!(target: "usrloc", "a contact cannot be kept in the database: {why}")
            }
            Err(e) => self.failed("contacts cannot be written", e),
        }
        result
    }

    /// A contact ended in memory, perhaps before its row says so: keep-alives were not answered.
    pub(super) fn ended(&self, domain: &Domain, contact: &Contact) {
        if self.mode != Mode::Only && contact.stored != Stored::New {
            self.delete_later(domain, contact);
        }
    }
    /// A contact that the database knows is gone.
    pub(super) fn delete_later(&self, domain: &Domain, contact: &Contact) {
        let mut gone = self.gone.lock().unwrap_or_else(|e| e.into_inner());
        if gone.len() < Self::GONE {
            gone.push((domain.name().into(), contact.ruid_text(&domain.rules().ruid).into()));
        } else if gone.len() == Self::GONE {
            tracing::error!(target: "usrloc", "too many contacts wait to be deleted from the database: further ones stay in it");
        }
    }

    /// What the writer does once a second. `turn`: shards to see to; `clean`: ended rows are due to be deleted.
    pub fn work(&self, domains: &[std::sync::Arc<Domain>], now: u32, turn: usize, clean: bool) {
        let unread = std::mem::take(&mut *self.unread.lock().unwrap_or_else(|e| e.into_inner()));
        for table in unread {
            let domain = domains.iter().find(|d| *d.name() == *table);
            if domain.is_some_and(|d| !self.read(d, now)) {
                self.unread.lock().unwrap_or_else(|e| e.into_inner()).push(table);
            }
        }
        let mut fine = self.delete_gone(domains);
        if self.mode == Mode::Back {
            let start = self.cursor.load(Ordering::Relaxed);
            let shards = domains.first().map_or(0, |d| d.shards());
            let mut done = 0;
            while fine && done < turn.min(shards) {
                let shard = (start + done) & (shards - 1);
                fine = domains.iter().all(|d| self.flush(d, shard));
                done += usize::from(fine);
            }
            self.cursor.store((start + done) & shards.saturating_sub(1), Ordering::Relaxed);
        }
        if clean && fine {
            for domain in domains {
                if let Err(e) = self.rows.delete_ended(&name(domain), now.saturating_sub(self.delay)) {
                    self.failed("ended contacts stay in the database", &e);
                }
            }
        }
    }
    /// Writes all that changed. Returns whether the database has all of it.
    pub fn flush_all(&self, domains: &[std::sync::Arc<Domain>]) -> bool {
        if self.mode != Mode::Back {
            return self.delete_gone(domains);
        }
        self.delete_gone(domains) && domains.iter().all(|d| (0..d.shards()).all(|s| self.flush(d, s)))
    }
    fn delete_gone(&self, domains: &[std::sync::Arc<Domain>]) -> bool {
        loop {
            let mut gone = self.gone.lock().unwrap_or_else(|e| e.into_inner());
            let from = gone.len().saturating_sub(BATCH);
            let batch = gone.split_off(from);
            drop(gone);
            if batch.is_empty() {
                return true;
            }
            for domain in domains {
                let of_it = batch.iter().filter(|(table, _)| **table == *domain.name());
                let changes: Vec<Change> = of_it.map(|(_, ruid)| Change::Delete(ruid.to_vec())).collect();
                if self.write(domain, &changes).is_err() {
                    // Deleting twice does no harm.
                    self.gone.lock().unwrap_or_else(|e| e.into_inner()).extend(batch);
                    return false;
                }
            }
        }
    }
    /// Writes what changed in one shard.
    fn flush(&self, domain: &Domain, shard: usize) -> bool {
        let mut changes: Vec<Change> = Vec::new();
        domain.each_of_shard(shard, |record| {
            let aor = record.aor.clone();
            for contact in record.contacts_mut() {
                if contact.stored != Stored::Saved && contact.flags & MEMORY_ONLY == 0 {
                    changes.push(Change::Write(Box::new(self.row(domain, &aor, contact))));
                    // A REGISTER that comes while this is written makes it `Changed` again.
                    contact.stored = Stored::Saved;
                }
            }
        });
        let mut written = 0;
        for batch in changes.chunks(BATCH) {
            let result = match self.write(domain, batch) {
                // One that does not fit must not hold up the others: it stays in memory only.
                Err(Error::BadRow(_)) if batch.len() > 1 => batch
                    .chunks(1)
                    .map(|one| self.write(domain, one))
                    .find(|r| !matches!(r, Ok(()) | Err(Error::BadRow(_))))
                    .unwrap_or(Ok(())),
                Err(Error::BadRow(_)) => Ok(()),
                other => other,
            };
            if result.is_err() {
                break;
            }
            written += batch.len();
        }
        let unwritten = changes.get(written..).unwrap_or_default();
        for change in unwritten {
            let Change::Write(row) = change else { continue };
            domain.change(&row.aor, |entry| {
                let format = &domain.rules().ruid;
                for contact in
                    entry.record().contacts_mut().iter_mut().filter(|c| c.has_ruid(&row.ruid, format))
                {
                    contact.stored = Stored::Changed;
                }
            });
        }
        unwritten.is_empty()
    }

    /// Says once that the database does not have a table.
    pub(super) fn missing(&self, table: &str, e: &Error) {
        let mut missing = self.missing.lock().unwrap_or_else(|e| e.into_inner());
        if missing.len() < super::Domains::LIMIT && missing.insert(table.to_owned()) {
            tracing::error!(target: "usrloc", "location table {table}: {e}; `trunkline db create` makes it");
        }
    }
    /// Says once that something fails. A database that is away is what its own log line says.
    fn failed(&self, what: &str, e: &Error) {
        if !self.failing.swap(true, Ordering::Relaxed) && !matches!(e, Error::Unavailable(_)) {
            tracing::error!(target: "usrloc", "{what}: {e}");
        }
    }
    fn succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Relaxed);
        }
    }
}

fn name(domain: &Domain) -> String {
    String::from_utf8_lossy(domain.name()).into_owned()
}
