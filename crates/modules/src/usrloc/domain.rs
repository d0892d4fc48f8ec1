//! A location table in memory: shards of records behind one short lock each.
//!
//! A message locks the one shard its address-of-record falls into, for as long as it takes to look at or change that record; no
//! function here calls a script or takes another lock than the one of [`Agents`].

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use script::{Statistic, Statistics};

use super::backing::{Backing, Mode, SaveError};
use super::contact::{Agents, Contact, ContactInfo, Ruid, RuidFormat, Stored, TooLong};
use super::expiry::{Due, ExpiryHeap, NOWHERE};
use super::record::{Aor, Matching, Order, Record};
use super::records::Records;

/// What all tables share.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// `matching_mode`.
    pub matching: Matching,
    /// `desc_time_order`.
    pub order: Order,
    /// `cseq_delay` in seconds.
    pub cseq_delay: u32,
    /// `use_domain`.
    pub use_domain: bool,
    /// Shards are 2 to the power of this.
    pub shard_bits: u32,
    /// Random per start, so that nobody can choose names that fall into one bucket.
    pub seed: u64,
    /// How record ids look.
    pub ruid: RuidFormat,
}

#[derive(Debug, Default)]
struct Shard {
    records: Records,
    expiry: ExpiryHeap,
}

/// Counters of a table, Kamailio's names.
#[derive(Debug)]
struct Counters {
    users: Statistic,
    contacts: Statistic,
    expires: Statistic,
    registered_users: Statistic,
}

/// A location table.
#[derive(Debug)]
pub struct Domain {
    name: Box<[u8]>,
    rules: Rules,
    shards: Box<[Mutex<Shard>]>,
    agents: Agents,
    next_ruid: AtomicU64,
    counters: Counters,
    /// Where its rows are kept as well, if anywhere.
    backing: Option<Arc<Backing>>,
}

/// The record of one address-of-record while its shard is locked. Made when absent, gone again when it is left empty.
pub struct Entry<'d> {
    domain: &'d Domain,
    record: &'d mut Record,
}

impl Domain {
    /// Most contacts of a table (about 5 GB). Beyond it REGISTER requests that add one are refused, refreshes go on.
    pub const LIMIT: i64 = 1 << 24;

    /// An empty table whose counters stand in `statistics`.
    pub fn new(name: &[u8], rules: Rules, statistics: &Statistics) -> Domain {
        Domain::backed(name, rules, statistics, None)
    }
    /// As [`Domain::new`], with rows kept in a database too.
    pub fn backed(
        name: &[u8],
        rules: Rules,
        statistics: &Statistics,
        backing: Option<Arc<Backing>>,
    ) -> Domain {
        let text = String::from_utf8_lossy(name);
        let level = |what: &str, doc: &str| statistics.level("usrloc", what, doc);
        let counters = Counters {
            users: level(&format!("{text}_users"), "Addresses-of-record in this location table."),
            contacts: level(&format!("{text}_contacts"), "Contacts in this location table."),
            expires: statistics.register(
                "usrloc",
                &format!("{text}_expires"),
                "Contacts of this location table that ended without being renewed.",
            ),
            registered_users: level("registered_users", "Addresses-of-record in all location tables."),
        };
        let shards = 1usize << rules.shard_bits.min(12);
        Domain {
            name: name.into(),
            rules,
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            agents: Agents::default(),
            next_ruid: AtomicU64::new(1),
            counters,
            backing,
        }
    }
    /// Table name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }
    /// What all tables share.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
    /// Number of shards, `Size` of `ul.dump`.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }
    /// Addresses-of-record.
    pub fn users(&self) -> i64 {
        self.counters.users.value()
    }
    /// Whether no further contact is taken.
    pub fn is_full(&self) -> bool {
        self.contacts() >= Domain::LIMIT
    }
    /// Contacts.
    pub fn contacts(&self) -> i64 {
        self.counters.contacts.value()
    }
    /// Hash of an address-of-record.
    pub fn hash(&self, aor: &[u8]) -> u32 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.rules.seed);
        hasher.write(aor);
        hasher.finish() as u32
    }

    /// Looks at the record of an address-of-record.
    ///
    /// In `db_mode` 3 this asks the database; while that is away there is no record.
    pub fn read<R>(&self, aor: &[u8], f: impl FnOnce(Option<&Record>) -> R) -> R {
        let hash = self.hash(aor);
        if let Some(backing) = self.backing.as_ref().filter(|b| b.mode() == Mode::Only) {
            let record = backing.fetch(self, aor, Record::new(hash));
            return f(record.as_ref().ok().filter(|r| !r.contacts().is_empty()));
        }
        let shard = self.lock(hash);
        f(shard.records.find(hash, |r| &*r.aor == aor))
    }
    /// Looks at the first record with this hash that `wanted` takes: a temporary GRUU carries the hash instead of the name.
    pub fn read_by_hash<R>(
        &self,
        hash: u32,
        wanted: impl Fn(&Record) -> bool,
        f: impl FnOnce(Option<&Record>) -> R,
    ) -> R {
        let shard = self.lock(hash);
        f(shard.records.find(hash, wanted))
    }

    /// Changes the record of an address-of-record.
    pub fn change<R>(&self, aor: &[u8], f: impl FnOnce(&mut Entry<'_>) -> R) -> R {
        let hash = self.hash(aor);
        let mut guard = self.lock(hash);
        let shard = &mut *guard;
        let same = |r: &Record| &*r.aor == aor;
        let Some(record) = shard.records.find_mut(hash, same) else {
            let mut record = Record::new(hash);
            let result = f(&mut Entry { domain: self, record: &mut record });
            if !record.contacts().is_empty() {
                record.aor = Aor::from_slice(aor);
                self.count(1, record.contacts().len() as i64);
                shard.insert(Box::new(record));
            }
            return result;
        };
        let before = record.contacts().len() as i64;
        let result = f(&mut Entry { domain: self, record });
        let (after, slot, at) = (record.contacts().len() as i64, record.slot, record.deadline());
        let sooner = at < record.due;
        if after == 0 {
            shard.records.take(hash, same);
            shard.expiry.remove(slot, &mut moves(&mut shard.records));
        } else if sooner {
            record.due = at;
            shard.expiry.change(slot, at, &mut moves(&mut shard.records));
        }
        if after != before {
            self.count(if after == 0 { -1 } else { 0 }, after - before);
        }
        result
    }

    /// Changes the record of an address-of-record and sees to its rows in the database as `db_mode` says. An error means that nothing has
    /// changed, here and there.
    ///
    /// One change at a time is made to a record whose rows are written at once: the lock of its kind is held while the database works, and
    /// nothing but other changes waits for it.
    pub fn save<R, E>(
        &self,
        aor: &[u8],
        f: impl FnOnce(&mut Entry<'_>) -> Result<R, E>,
    ) -> Result<R, SaveError<E>> {
        let Some(backing) = &self.backing else { return self.change(aor, f).map_err(SaveError::Refused) };
        let hash = self.hash(aor);
        match backing.mode() {
            Mode::Back => self
                .change(aor, |entry| {
                    let known = |c: &&Contact| c.stored != Stored::New;
                    let before: Vec<Contact> = entry.contacts().iter().filter(known).cloned().collect();
                    let result = f(entry)?;
                    let stays = |b: &Contact| entry.contacts().iter().any(|c| c.ruid() == b.ruid());
                    before.iter().filter(|b| !stays(b)).for_each(|gone| backing.delete_later(self, gone));
                    Ok(result)
                })
                .map_err(SaveError::Refused),
            Mode::Through => {
                let _turn = backing.turn(hash);
                let mut before = Vec::new();
                let mut changes = Vec::new();
                let result = self.change(aor, |entry| {
                    before = entry.contacts().to_vec();
                    let result = f(entry)?;
                    changes = backing.changes(self, aor, &before, entry.contacts());
                    entry.record.settle();
                    Ok(result)
                });
                let result = result.map_err(SaveError::Refused)?;
                if let Err(e) = backing.write(self, &changes) {
                    self.change(aor, |entry| entry.record.restore(before));
                    return Err(SaveError::Database(e));
                }
                Ok(result)
            }
            Mode::Only => {
                let _turn = backing.turn(hash);
                let mut record = backing.fetch(self, aor, Record::new(hash)).map_err(SaveError::Database)?;
                let before = record.contacts().to_vec();
                let result =
                    f(&mut Entry { domain: self, record: &mut record }).map_err(SaveError::Refused)?;
                let changes = backing.changes(self, aor, &before, record.contacts());
                backing.write(self, &changes).map_err(SaveError::Database)?;
                Ok(result)
            }
        }
    }
    /// Where its rows are kept as well.
    pub fn backing(&self) -> Option<&Arc<Backing>> {
        self.backing.as_ref()
    }
    /// A number for a contact that has none of this run.
    pub(super) fn number(&self) -> Ruid {
        Ruid(self.next_ruid.fetch_add(1, Ordering::Relaxed))
    }
    /// Shared texts of User-Agent headers.
    pub(super) fn agents(&self) -> &Agents {
        &self.agents
    }
    /// Shows every record of one shard to `f`, to be changed.
    pub(super) fn each_of_shard(&self, shard: usize, mut f: impl FnMut(&mut Record)) {
        let Some(shard) = self.shards.get(shard) else { return };
        let mut shard = shard.lock().unwrap_or_else(|e| e.into_inner());
        shard.records.for_each_mut(&mut f);
    }

    /// Removes ended contacts of one shard, looking at no more than `budget` records. Returns how many it looked at.
    pub fn expire(
        &self,
        shard: usize,
        now: u32,
        budget: usize,
        ended: &mut dyn FnMut(&[u8], Contact),
    ) -> usize {
        /// Records looked at while a shard is locked: workers may be waiting for it.
        const AT_A_TIME: usize = 256;
        let Some(shard) = self.shards.get(shard) else { return 0 };
        let mut looked = 0;
        while looked < budget {
            let some = AT_A_TIME.min(budget - looked);
            let mut shard = shard.lock().unwrap_or_else(|e| e.into_inner());
            let found = self.expire_some(&mut shard, now, some, ended);
            looked += found;
            if found < some {
                break;
            }
        }
        looked
    }

    fn expire_some(
        &self,
        shard: &mut Shard,
        now: u32,
        most: usize,
        ended: &mut dyn FnMut(&[u8], Contact),
    ) -> usize {
        let mut looked = 0;
        while looked < most
            && let Some(due) = shard.expiry.first()
            && due.at <= now
        {
            looked += 1;
            let Some(record) = shard.records.find_mut(due.hash, |r| r.slot == 0) else {
                // Never so: every entry has its record. Dropping the entry keeps the loop finite.
                shard.expiry.remove(0, &mut moves(&mut shard.records));
                continue;
            };
            let mut count = 0;
            record.take_expired(now, &mut |aor, contact| {
                count += 1;
                ended(aor, contact);
            });
            let gone = record.contacts().is_empty();
            let at = record.deadline();
            record.due = at;
            if gone {
                shard.records.take(due.hash, |r| r.slot == 0);
                shard.expiry.remove(0, &mut moves(&mut shard.records));
            } else {
                shard.expiry.change(0, at, &mut moves(&mut shard.records));
            }
            self.counters.expires.add(count);
            self.count(if gone { -1 } else { 0 }, -count);
        }
        looked
    }

    /// Looks at every record, one shard after the other; each is locked on its own.
    pub fn for_each(&self, mut f: impl FnMut(&Record)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(|e| e.into_inner());
            shard.records.iter().for_each(&mut f);
        }
    }
    /// Looks at every record of one shard.
    pub fn for_each_in(&self, shard: usize, mut f: impl FnMut(&Record)) {
        if let Some(shard) = self.shards.get(shard) {
            let shard = shard.lock().unwrap_or_else(|e| e.into_inner());
            shard.records.iter().for_each(&mut f);
        }
    }
    /// Most records in one shard, `Max-Slots` of `ul.dump`.
    pub fn longest_shard(&self) -> usize {
        self.shards
            .iter()
            .map(|s| s.lock().unwrap_or_else(|e| e.into_inner()).records.len())
            .max()
            .unwrap_or(0)
    }

    fn lock(&self, hash: u32) -> std::sync::MutexGuard<'_, Shard> {
        let at = hash as usize & (self.shards.len() - 1);
        // At least one shard, and a power of two of them: the index holds.
        let shard = self.shards.get(at).unwrap_or_else(|| unreachable!("masked index"));
        shard.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn count(&self, users: i64, contacts: i64) {
        if users != 0 {
            self.counters.users.add(users);
            self.counters.registered_users.add(users);
        }
        self.counters.contacts.add(contacts);
    }
}

impl Shard {
    fn insert(&mut self, mut record: Box<Record>) {
        record.due = record.deadline();
        let due = Due { at: record.due, hash: record.hash };
        self.records.insert(record);
        self.expiry.push(due, &mut moves(&mut self.records));
    }
}

/// Tells records where their heap entry went.
fn moves(records: &mut Records) -> impl FnMut(u32, u32, u32) + '_ {
    |hash, from, to| {
        if let Some(record) = records.find_mut(hash, |r| r.slot == from) {
            record.slot = to;
        }
    }
}

impl Entry<'_> {
    /// The record. While it is new its address-of-record is empty.
    pub fn record(&mut self) -> &mut Record {
        self.record
    }
    /// Bindings in order.
    pub fn contacts(&self) -> &[Contact] {
        self.record.contacts()
    }
    /// Hash of the address-of-record.
    pub fn hash(&self) -> u32 {
        self.record.hash
    }
    /// The binding that a contact is about.
    pub fn position(&self, info: &ContactInfo<'_>) -> Option<usize> {
        self.record.position(info, self.domain.rules.matching)
    }
    /// Adds a binding with a new record id and returns its place.
    pub fn insert(&mut self, info: &ContactInfo<'_>) -> Result<usize, TooLong> {
        let id = self.domain.next_ruid.fetch_add(1, Ordering::Relaxed);
        self.insert_as(info, Ruid(id))
    }
    /// Adds a binding on behalf of an operator: its record id begins with `ulcx`.
    pub fn insert_by_rpc(&mut self, info: &ContactInfo<'_>) -> Result<usize, TooLong> {
        let id = self.domain.next_ruid.fetch_add(1, Ordering::Relaxed);
        self.insert_as(info, Ruid(id | Ruid::BY_RPC))
    }
    fn insert_as(&mut self, info: &ContactInfo<'_>, ruid: Ruid) -> Result<usize, TooLong> {
        self.record.insert(info, ruid, self.domain.rules.order, &self.domain.agents)
    }
    /// Refreshes a binding and returns its new place.
    pub fn update(&mut self, at: usize, info: &ContactInfo<'_>) -> Result<usize, TooLong> {
        self.record.update(at, info, self.domain.rules.order, &self.domain.agents)
    }
}

// A record outside the heap must not be found by a place.
const _: () = assert!(NOWHERE == u32::MAX);
