//! One hash table: items in shards, each behind a lock of its own that is held for one item, never over a script.
//!
//! An item that ended is not there for anybody from the second after its last; the sweep only gives its memory back. What ends next is
//! known from a heap per shard, so nothing is ever scanned for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use script::Value;

use super::settings::Definition;

/// Most items of one table; at that a new key is refused.
pub const LIMIT: usize = 1 << 22;
/// Longest key and longest text of a value; longer ones are refused.
pub const TEXT_LIMIT: usize = 1 << 16;
/// Locks per table. Kamailio has one for each of its slots; here `size` only says how items are shown.
const SHARDS: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Integer.
    Int(i64),
    /// Text.
    Str(Box<[u8]>),
}

impl Stored {
    /// From what a script gives; `None` for what a table does not keep.
    pub fn from_value(value: &Value<'_>) -> Option<Stored> {
        match value {
            Value::Int(n) => Some(Stored::Int(*n)),
            Value::Bool(b) => Some(Stored::Int(i64::from(*b))),
            Value::Str(s) => Some(Stored::Str(s.as_ref().into())),
            _ => None,
        }
    }
    /// For a script.
    pub fn to_value(&self) -> Value<'static> {
        match self {
            Stored::Int(n) => Value::Int(*n),
            Stored::Str(s) => Value::owned(s.to_vec()),
        }
    }
}

/// One item.
#[derive(Debug)]
pub struct Item {
    hash: u64,
    key: Box<[u8]>,
    /// Its value.
    pub value: Stored,
    /// Unix time of its last second, 0 for ever.
    pub expires: u32,
    /// When the heap comes to it, 0 never.
    queued: u32,
}

impl Item {
    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
    fn ended(&self, now: u32) -> bool {
        self.expires != 0 && self.expires < now
    }
}

#[derive(Debug, Default)]
struct Shard {
    items: HashTable<Item>,
    /// When to look at which item; an entry may be of an item that is gone or lives longer by now.
    due: BinaryHeap<Reverse<(u32, u64)>>,
}

impl Shard {
    fn find(&mut self, hash: u64, key: &[u8]) -> Option<&mut Item> {
        self.items.find_mut(hash, |i| *i.key == *key)
    }
    /// Sees to it that the heap comes to the item in time.
    fn queue(&mut self, hash: u64, key: &[u8]) {
        let Some(item) = self.items.find_mut(hash, |i| *i.key == *key) else { return };
        if item.expires == 0 || (item.queued != 0 && item.queued <= item.expires) {
            return;
        }
        item.queued = item.expires;
        let entry = Reverse((item.expires, hash));
        // Keys that come and go before their time leave entries behind.
        if self.due.len() > 2 * self.items.len() + 64 {
            self.due = self
                .items
                .iter_mut()
                .filter(|i| i.expires != 0)
                .map(|i| {
                    i.queued = i.expires;
                    Reverse((i.expires, i.hash))
                })
                .collect();
            return;
        }
        self.due.push(entry);
    }
}

/// How long a written item is to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// As the table says.
    Auto,
    /// So many seconds from now, if the table's items end at all.
    Seconds(u32),
    /// To this Unix time, 0 for ever: as read from a database.
    Until(u32),
}

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The table holds [`LIMIT`] items.
    Full,
    /// Key or value is longer than [`TEXT_LIMIT`].
    TooLong,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    definition: Definition,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    count: AtomicUsize,
    full: AtomicBool,
}

impl Table {
    /// An empty table.
    pub fn new(definition: Definition) -> Table {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Table {
            definition,
            hasher: RandomState::new(),
            shards,
            count: AtomicUsize::new(0),
            full: AtomicBool::new(false),
        }
    }
    /// What the configuration says.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }
    /// Name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.at((hash >> 48) as usize % SHARDS)
    }
    fn at(&self, index: usize) -> MutexGuard<'_, Shard> {
        // One exists for every index below SHARDS.
        self.shards[index % SHARDS].lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Number of the slot that shows an item.
    fn slot(&self, hash: u64) -> usize {
        (hash & ((1 << self.definition.size) - 1)) as usize
    }
    /// Slots as operators see them.
    pub fn slots(&self) -> usize {
        1 << self.definition.size
    }
    /// Looks at an item that is there.
    pub fn look<R>(&self, key: &[u8], now: u32, f: impl FnOnce(&Item) -> R) -> Option<R> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        shard.find(hash, key).filter(|i| !i.ended(now)).map(|i| f(i))
    }
    /// The value, or what stands for one that is not there.
    pub fn get(&self, key: &[u8], now: u32) -> Option<Stored> {
        self.look(key, now, |i| i.value.clone()).or(self.definition.initval.map(Stored::Int))
    }
    /// When an item ends, for one that is written now.
    fn end(&self, now: u32, life: Life) -> u32 {
        match (self.definition.autoexpire, life) {
            (_, Life::Until(at)) => at,
            (0, _) => 0,
            (auto, Life::Auto) => now.saturating_add(auto),
            (_, Life::Seconds(n)) => now.saturating_add(n),
        }
    }
    /// Writes an item.
    pub fn set(&self, key: &[u8], value: Stored, life: Life, now: u32) -> Result<(), Refused> {
        let life = if life == Life::Seconds(0) { Life::Auto } else { life };
        self.change(key, life, now, |_| Some(value)).map(drop)
    }
    /// Adds to an integer, which starts from `initval`. `None` when there is none, or text.
    pub fn add(&self, key: &[u8], by: i64, now: u32) -> Option<i64> {
        let initval = self.definition.initval;
        let changed = self.change(key, Life::Auto, now, |old| match old {
            Some(Stored::Int(n)) => Some(Stored::Int(n.wrapping_add(by))),
            Some(Stored::Str(_)) => None,
            None => initval.map(|n| Stored::Int(n.wrapping_add(by))),
        });
        match changed {
            Ok(Some(Stored::Int(n))) => Some(n),
            _ => None,
        }
    }
    /// Writes what `f` makes of the value that is there; `None` leaves everything as it is.
    fn change(
        &self,
        key: &[u8],
        life: Life,
        now: u32,
        f: impl FnOnce(Option<&Stored>) -> Option<Stored>,
    ) -> Result<Option<Stored>, Refused> {
        let hash = self.hasher.hash_one(key);
        let mut guard = self.shard(hash);
        let shard = &mut *guard;
        let full = self.count.load(Ordering::Relaxed) >= LIMIT;
        let fits = |v: &Stored| !matches!(v, Stored::Str(s) if s.len() > TEXT_LIMIT);
        let result = match shard.items.entry(hash, |i| *i.key == *key, |i| i.hash) {
            Entry::Occupied(mut known) => {
                let item = known.get_mut();
                let ended = item.ended(now);
                let Some(value) = f((!ended).then_some(&item.value)) else { return Ok(None) };
                if !fits(&value) {
                    return Err(Refused::TooLong);
                }
                if self.definition.updateexpire || ended || life != Life::Auto {
                    item.expires = self.end(now, life);
                }
                item.value = value.clone();
                value
            }
            Entry::Vacant(free) => {
                let Some(value) = f(None) else { return Ok(None) };
                if key.len() > TEXT_LIMIT || !fits(&value) {
                    return Err(Refused::TooLong);
                }
                if full {
                    drop(guard);
                    self.tell_full();
                    return Err(Refused::Full);
                }
                let expires = self.end(now, life);
                free.insert(Item { hash, key: key.into(), value: value.clone(), expires, queued: 0 });
                self.count.fetch_add(1, Ordering::Relaxed);
                value
            }
        };
        shard.queue(hash, key);
        Ok(Some(result))
    }
    fn tell_full(&self) {
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::error!(target: "htable", table = %self.name(), limit = LIMIT, "the table is full: new keys are refused");
        }
    }
    fn lost(&self, items: usize) {
        if items > 0 {
            self.count.fetch_sub(items, Ordering::Relaxed);
            self.full.store(false, Ordering::Relaxed);
        }
    }
    /// Lets an item that is there end in so many seconds; 0 never. Nothing happens in a table whose items do not end.
    pub fn set_expiry(&self, key: &[u8], seconds: u32, now: u32) {
        if self.definition.autoexpire == 0 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        if let Some(item) = shard.find(hash, key).filter(|i| !i.ended(now)) {
            item.expires = if seconds == 0 { 0 } else { now.saturating_add(seconds) };
        }
        shard.queue(hash, key);
    }
    /// Seconds an item still has, 0 for one that is not there or lives for ever.
    pub fn expiry(&self, key: &[u8], now: u32) -> u32 {
        self.look(key, now, |i| i.expires.saturating_sub(now)).unwrap_or(0)
    }
    /// Takes an item out. False when it was not there.
    pub fn remove(&self, key: &[u8], now: u32) -> bool {
        let hash = self.hasher.hash_one(key);
        let removed = match self.shard(hash).items.find_entry(hash, |i| *i.key == *key) {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        self.lost(usize::from(removed.is_some()));
        removed.is_some_and(|i| !i.ended(now))
    }
    /// Takes out all items for which this holds.
    pub fn remove_where(&self, mut f: impl FnMut(&Item) -> bool) {
        for index in 0..SHARDS {
            let mut removed = 0;
            self.at(index).items.retain(|i| {
                let goes = f(i);
                removed += usize::from(goes);
                !goes
            });
            self.lost(removed);
        }
    }
    /// Takes out everything.
    pub fn clear(&self) {
        for index in 0..SHARDS {
            let old = std::mem::take(&mut *self.at(index));
            self.lost(old.items.len());
        }
    }
    /// Looks at all items that are there, until `f` says false.
    pub fn each(&self, now: u32, mut f: impl FnMut(&Item) -> bool) {
        for index in 0..SHARDS {
            if !self.each_of(index, now, &mut f) {
                return;
            }
        }
    }
    fn each_of(&self, index: usize, now: u32, f: &mut dyn FnMut(&Item) -> bool) -> bool {
        self.at(index).items.iter().filter(|i| !i.ended(now)).all(f)
    }
    /// The keys of one part of the table; `None` when there is no such part. Iterators go through it part by part.
    pub fn keys(&self, part: usize, now: u32) -> Option<Vec<Box<[u8]>>> {
        let mut keys = Vec::new();
        (part < SHARDS).then(|| {
            self.each_of(part, now, &mut |i| {
                keys.push(i.key.clone());
                true
            });
            keys
        })
    }
    /// Puts other items in the place of all that are there, part by part.
    pub fn replace(&self, items: Vec<(Vec<u8>, Stored, Life)>, now: u32) {
        self.clear();
        for (key, value, life) in items {
            if let Err(why) = self.set(&key, value, life, now) {
                tracing::error!(target: "htable", table = %self.name(), ?why, "an item of the database was not taken");
            }
        }
    }
    /// Number of items.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Items by slot, as operators see them.
    pub fn by_slot<T>(&self, now: u32, mut f: impl FnMut(&Item) -> T) -> Vec<(usize, Vec<T>)> {
        let mut slots = std::collections::BTreeMap::<usize, Vec<T>>::new();
        self.each(now, |i| {
            slots.entry(self.slot(i.hash)).or_default().push(f(i));
            true
        });
        slots.into_iter().collect()
    }
    /// Takes out items that ended, at most `budget` of them; gives how many were looked at. A lock is held for a few of them at a time.
    pub fn sweep(&self, now: u32, budget: usize, ended: &mut dyn FnMut(Item)) -> usize {
        const AT_ONCE: usize = 64;
        let mut looked = 0;
        for index in 0..SHARDS {
            loop {
                let mut gone = Vec::new();
                let mut more = false;
                let mut shard = self.at(index);
                let shard_ref = &mut *shard;
                for n in 0.. {
                    let due = shard_ref.due.peek().filter(|Reverse((at, _))| *at < now);
                    let Some(Reverse((_, hash))) = due.copied() else { break };
                    if n == AT_ONCE {
                        more = true;
                        break;
                    }
                    shard_ref.due.pop();
                    looked += 1;
                    // An item whose entry this was: it ended, or lives longer by now and gets an entry again.
                    let later = shard_ref.items.find_mut(hash, |i| i.hash == hash && !i.ended(now));
                    if let Some(item) = later.filter(|i| i.queued != 0 && i.queued < now) {
                        item.queued = item.expires;
                        if item.expires != 0 {
                            let entry = Reverse((item.expires, hash));
                            shard_ref.due.push(entry);
                        }
                    }
                    while let Ok(entry) = shard_ref.items.find_entry(hash, |i| i.hash == hash && i.ended(now))
                    {
                        gone.push(entry.remove().0);
                    }
                }
                drop(shard);
                self.lost(gone.len());
                gone.into_iter().for_each(&mut *ended);
                if looked >= budget {
                    return looked;
                }
                if !more {
                    break;
                }
            }
        }
        looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::new(Definition::parse(text).expect("a definition"))
    }
    fn int(n: i64) -> Stored {
        Stored::Int(n)
    }

    #[test]
    fn items_end_in_the_second_after_their_last() {
        let t = table("a=>autoexpire=3");
        t.set(b"k", int(1), Life::Auto, 100).expect("fits");
        assert_eq!(t.get(b"k", 103), Some(int(1)));
        assert_eq!(t.get(b"k", 104), None);
        assert_eq!(t.add(b"k", 1, 104), None, "an item that ended is not there");
        t.set(b"k", int(2), Life::Auto, 102).expect("fits");
        assert_eq!((t.expiry(b"k", 102), t.get(b"k", 105)), (3, Some(int(2))));
        t.set_expiry(b"k", 0, 102);
        assert_eq!(t.get(b"k", u32::MAX), Some(int(2)));
    }

    #[test]
    fn writing_may_leave_the_end_where_it_is() {
        let t = table("a=>autoexpire=3;updateexpire=0;initval=7");
        assert_eq!(t.add(b"k", 1, 100), Some(8));
        assert_eq!(t.add(b"k", 1, 102), Some(9));
        assert_eq!(t.get(b"k", 104), Some(int(7)), "ended: what stands for nothing");
        assert_eq!((t.add(b"k", -1, 104), t.expiry(b"k", 104)), (Some(6), 3));
    }

    #[test]
    fn the_sweep_takes_what_ended_and_nothing_else() {
        let t = table("a=>autoexpire=3");
        for n in 0..1000i64 {
            t.set(format!("k{n}").as_bytes(), int(n), Life::Auto, 100).expect("fits");
        }
        for n in 0..500i64 {
            t.set(format!("k{n}").as_bytes(), int(n), Life::Seconds(60), 101).expect("fits");
        }
        let mut ended = 0;
        assert_eq!(t.sweep(103, 10_000, &mut |_| ended += 1), 0);
        let mut looked = 0;
        while t.sweep(104, 100, &mut |_| ended += 1) > 0 {
            looked += 1;
        }
        assert!(looked >= 5, "the budget ends a sweep");
        assert_eq!((ended, t.len()), (500, 500));
        t.sweep(162, 10_000, &mut |_| ended += 1);
        assert_eq!((ended, t.len()), (1000, 0));
    }

    #[test]
    fn keys_that_come_and_go_leave_nothing_behind() {
        let t = table("a=>autoexpire=3600");
        for n in 0..100_000 {
            let key = format!("k{n}");
            t.set(key.as_bytes(), int(1), Life::Auto, 100).expect("fits");
            assert!(t.remove(key.as_bytes(), 100));
        }
        let entries: usize = (0..SHARDS).map(|i| t.at(i).due.len()).sum();
        assert!(entries <= SHARDS * 66, "{entries}");
    }

    #[test]
    fn many_count_at_once() {
        let t = table("a=>autoexpire=3;initval=0");
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for n in 0..5000 {
                        t.add(format!("k{}", n % 10).as_bytes(), 1, 100);
                        t.sweep(100, 10, &mut |_| panic!("nothing ended"));
                    }
                });
            }
        });
        let sum: i64 = (0..10)
            .filter_map(|n| match t.get(format!("k{n}").as_bytes(), 100) {
                Some(Stored::Int(n)) => Some(n),
                _ => None,
            })
            .sum();
        assert_eq!((sum, t.len()), (20_000, 10));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let t = table("a=>");
        let long = vec![b'x'; TEXT_LIMIT + 1];
        assert_eq!(t.set(&long, int(1), Life::Auto, 1), Err(Refused::TooLong));
        assert_eq!(t.set(b"k", Stored::Str(long.into()), Life::Auto, 1), Err(Refused::TooLong));
        assert!(t.is_empty());
    }
}
