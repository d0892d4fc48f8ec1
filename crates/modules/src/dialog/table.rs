//! All dialogs: found by the name we gave them, and by Call-ID; and the wheel that looks at each when its time has come.
//!
//! A dialog lives in the shard of its Call-ID. Each stands in one bucket of the wheel, at most [`LOOK_AGAIN`] seconds away: a timeout that
//! is put off costs nothing, one that is brought forward a second entry. Nothing here is ever scanned but for lists that operators ask for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::dialog::{Dialog, Direction};

/// Power of two.
const SHARDS: usize = 64;
/// Most dialogs at a time.
const MAX_DIALOGS: usize = 1 << 21;
/// Most dialogs of one Call-ID: forks that come here several times.
const MAX_SAME_CALL: usize = 64;
/// A dialog is looked at after so many seconds at the latest.
const LOOK_AGAIN: i64 = 300;
/// Buckets of the wheel, one for each second; more than [`LOOK_AGAIN`].
const BUCKETS: usize = 512;

/// The name of a dialog: `h_entry`, `h_id`.
pub(super) type Key = (u32, u32);

#[derive(Default)]
struct Shard {
    by_key: HashMap<Key, Arc<Dialog>>,
    by_call: HashMap<Box<[u8]>, Vec<Arc<Dialog>>>,
}

/// All dialogs.
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    entries: u32,
    seed: u64,
    count: AtomicUsize,
    next: AtomicU32,
    step: u32,
    wheel: Mutex<Wheel>,
}

struct Wheel {
    buckets: Vec<Vec<Key>>,
    /// The last second that was taken.
    now: i64,
}

impl Table {
    pub(super) fn new(entries: u32, seed: u64, first: u32, step: u32, now: i64) -> Table {
        Table {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            entries: entries.max(1),
            seed,
            count: AtomicUsize::new(0),
            next: AtomicU32::new(first),
            step: step.max(1),
            wheel: Mutex::new(Wheel { buckets: vec![Vec::new(); BUCKETS], now }),
        }
    }

    fn entry_of(&self, call_id: &[u8]) -> u32 {
        // FNV-1a: rows of a database find the same entry after a restart.
        let hash = call_id
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        ((hash ^ hash >> 32) as u32) & (self.entries - 1)
    }

    fn shard(&self, entry: u32) -> MutexGuard<'_, Shard> {
        let at = entry as usize & (SHARDS - 1);
        // There are SHARDS of them.
        self.shards[at].lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A name for a new dialog.
    pub(super) fn name(&self, call_id: &[u8]) -> Key {
        let id = self.next.fetch_add(self.step, Ordering::Relaxed).wrapping_add(self.seed as u32 & 0x3fff);
        (self.entry_of(call_id), if id == 0 { 1 } else { id })
    }

    /// Takes a dialog in; false when there are too many.
    pub(super) fn insert(&self, dialog: Arc<Dialog>) -> bool {
        if self.count.load(Ordering::Relaxed) >= MAX_DIALOGS {
            return false;
        }
        let mut shard = self.shard(dialog.entry);
        let same = shard.by_call.entry(dialog.call_id.clone()).or_default();
        if same.len() >= MAX_SAME_CALL {
            return false;
        }
        same.push(dialog.clone());
        if shard.by_key.insert((dialog.entry, dialog.id), dialog).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Forgets a dialog; whether it was there.
    pub(super) fn remove(&self, dialog: &Dialog) -> bool {
        let mut shard = self.shard(dialog.entry);
        if let Some(same) = shard.by_call.get_mut(&dialog.call_id) {
            same.retain(|d| !std::ptr::eq(&**d, dialog));
            if same.is_empty() {
                shard.by_call.remove(&dialog.call_id);
            }
        }
        let there = shard.by_key.remove(&(dialog.entry, dialog.id)).is_some();
        if there {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        there
    }

    /// By name.
    pub(super) fn get(&self, key: Key) -> Option<Arc<Dialog>> {
        self.shard(key.0).by_key.get(&key).cloned()
    }

    /// By Call-ID and tags.
    pub(super) fn find(
        &self,
        call_id: &[u8],
        from_tag: &[u8],
        to_tag: &[u8],
    ) -> Option<(Arc<Dialog>, Direction)> {
        self.of_call(call_id).into_iter().find_map(|dialog| {
            dialog.direction(call_id, from_tag, to_tag).map(|direction| (dialog, direction))
        })
    }

    /// All of a Call-ID, newest first.
    pub(super) fn of_call(&self, call_id: &[u8]) -> Vec<Arc<Dialog>> {
        let shard = self.shard(self.entry_of(call_id));
        shard.by_call.get(call_id).map(|same| same.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// All of them, by name; for operators. No lock is held over what is done with them.
    pub(super) fn all(&self) -> Vec<Arc<Dialog>> {
        let mut all: Vec<Arc<Dialog>> = Vec::with_capacity(self.count.load(Ordering::Relaxed));
        for shard in &self.shards {
            all.extend(shard.lock().unwrap_or_else(|e| e.into_inner()).by_key.values().cloned());
        }
        all.sort_by_key(|d| (d.entry, d.id));
        all
    }

    /// Has a dialog looked at when this moment has come, or earlier.
    pub(super) fn schedule(&self, dialog: &Dialog, at: i64) {
        let mut facts = dialog.facts();
        let mut wheel = self.wheel.lock().unwrap_or_else(|e| e.into_inner());
        let at = at.clamp(wheel.now + 1, wheel.now + LOOK_AGAIN);
        if facts.bucket != 0 && facts.bucket <= at && facts.bucket > wheel.now {
            return;
        }
        facts.bucket = at;
        drop(facts);
        if let Some(bucket) = wheel.buckets.get_mut(at as usize % BUCKETS) {
            bucket.push((dialog.entry, dialog.id));
        }
    }

    /// Those whose moment has come up to now. They are in no bucket any more.
    pub(super) fn due(&self, now: i64) -> Vec<Arc<Dialog>> {
        let mut keys = Vec::new();
        {
            let mut wheel = self.wheel.lock().unwrap_or_else(|e| e.into_inner());
            // A clock that jumped: every bucket once is all there is.
            let from = wheel.now.max(now - BUCKETS as i64);
            for second in from + 1..=now {
                if let Some(bucket) = wheel.buckets.get_mut(second as usize % BUCKETS) {
                    keys.append(bucket);
                }
            }
            wheel.now = now.max(wheel.now);
        }
        let taken = keys.into_iter().filter_map(|key| self.get(key));
        taken
            .filter(|dialog| {
                let mut facts = dialog.facts();
                let mine = facts.bucket != 0 && facts.bucket <= now;
                if mine {
                    facts.bucket = 0;
                }
                mine
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialog::Facts;
    use super::*;

    fn dialog(table: &Table, call_id: &str, tag: &str) -> Arc<Dialog> {
        let key = table.name(call_id.as_bytes());
        let facts = Facts::new(100, 10);
        let d = Dialog::new(
            key,
            call_id.as_bytes(),
            tag.as_bytes(),
            b"sip:a@a",
            b"sip:b@b",
            b"sip:b@b",
            1,
            facts,
        );
        let d = Arc::new(d);
        assert!(table.insert(d.clone()));
        d
    }

    #[test]
    fn dialogs_are_found_by_name_and_by_tags_in_both_directions() {
        let table = Table::new(16, 7, 0, 1, 100);
        let (one, two) = (dialog(&table, "c1", "f1"), dialog(&table, "c1", "f2"));
        two.facts().to_tag = b"t2"[..].into();
        assert!(table.get((one.entry, one.id)).is_some_and(|d| Arc::ptr_eq(&d, &one)));
        let found = |f: &[u8], t: &[u8]| table.find(b"c1", f, t).map(|(d, way)| (d.id, way));
        assert_eq!(found(b"f2", b"t2"), Some((two.id, Direction::Downstream)));
        assert_eq!(found(b"t2", b"f2"), Some((two.id, Direction::Upstream)));
        assert_eq!(found(b"f1", b""), Some((one.id, Direction::Downstream)), "a CANCEL");
        assert_eq!((found(b"f2", b"other"), found(b"x", b"f2"), found(b"x", b"")), (None, None, None));
        assert!(table.remove(&two) && !table.remove(&two));
        assert_eq!(found(b"f2", b"t2"), None);
    }

    #[test]
    fn the_wheel_gives_each_dialog_once_and_in_time() {
        let table = Table::new(16, 7, 0, 1, 100);
        let d = dialog(&table, "c", "f");
        table.schedule(&d, 110);
        table.schedule(&d, 5000);
        assert!(table.due(109).is_empty());
        table.schedule(&d, 105);
        assert_eq!(table.due(112).len(), 1, "brought forward, and one entry left over");
        assert!(table.due(200).is_empty());
        table.schedule(&d, 100_000);
        assert_eq!(table.due(200 + LOOK_AGAIN).len(), 1, "looked at again before the time");
    }
}
