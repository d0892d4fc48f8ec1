//! `sht_lock` and `sht_unlock`: who holds a key's lock keeps other holders out, and nobody else.
//!
//! Readers and writers of single items never wait for it. A lock belongs to the run of a route: it goes when that ends, however it
//! ends. Who waits gives up after [`PATIENCE`], so that two routes that wait for each other go on.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long `sht_lock` waits for another route.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Most locks that one run of a route can hold.
const LIMIT: usize = 256;

/// The locked keys of one table.
#[derive(Debug, Default)]
pub struct Locks {
    keys: Mutex<HashSet<Arc<[u8]>>>,
    freed: Condvar,
}

impl Locks {
    fn keys(&self) -> MutexGuard<'_, HashSet<Arc<[u8]>>> {
        self.keys.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Takes a key's lock; `None` when another holds it for longer than `patience`.
    fn take(self: &Arc<Locks>, key: &[u8], patience: Duration) -> Option<Held> {
        let key: Arc<[u8]> = key.into();
        let free = self.freed.wait_timeout_while(self.keys(), patience, |keys| keys.contains(&key));
        let (mut keys, _) = free.unwrap_or_else(|e| e.into_inner());
        keys.insert(key.clone()).then(|| Held { locks: self.clone(), key, times: 1 })
    }
}

#[derive(Debug)]
struct Held {
    locks: Arc<Locks>,
    key: Arc<[u8]>,
    times: u32,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.keys().remove(&self.key);
        self.locks.freed.notify_all();
    }
}

/// The locks of one run of a route.
#[derive(Debug, Default)]
pub struct Holder(Vec<Held>);

impl Holder {
    fn position(&self, locks: &Arc<Locks>, key: &[u8]) -> Option<usize> {
        self.0.iter().position(|h| *h.key == *key && Arc::ptr_eq(&h.locks, locks))
    }
    /// Takes a lock, or once more one that is held already.
    pub fn lock(&mut self, locks: &Arc<Locks>, key: &[u8], patience: Duration) -> bool {
        if let Some(held) = self.position(locks, key).and_then(|at| self.0.get_mut(at)) {
            held.times = held.times.saturating_add(1);
            return true;
        }
        if self.0.len() >= LIMIT {
            return false;
        }
        match locks.take(key, patience) {
            Some(held) => self.0.push(held),
            None => return false,
        }
        true
    }
    /// Gives a lock back, when it was taken as often as it is given back now.
    pub fn unlock(&mut self, locks: &Arc<Locks>, key: &[u8]) {
        let Some(at) = self.position(locks, key) else { return };
        if let Some(held) = self.0.get_mut(at).filter(|h| h.times > 1) {
            held.times -= 1;
            return;
        }
        self.0.swap_remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn one_holder_at_a_time_who_may_take_it_again() {
        let locks = Arc::new(Locks::default());
        let (mut a, mut b) = (Holder::default(), Holder::default());
        assert!(a.lock(&locks, b"k", AT_ONCE) && a.lock(&locks, b"k", AT_ONCE));
        assert!(!b.lock(&locks, b"k", AT_ONCE) && b.lock(&locks, b"other", AT_ONCE));
        a.unlock(&locks, b"k");
        assert!(!b.lock(&locks, b"k", AT_ONCE), "taken twice, given back once");
        a.unlock(&locks, b"k");
        a.unlock(&locks, b"k");
        assert!(b.lock(&locks, b"k", AT_ONCE));
    }

    #[test]
    fn a_route_that_ends_gives_back_what_it_holds() {
        let locks = Arc::new(Locks::default());
        let mut a = Holder::default();
        assert!(a.lock(&locks, b"k", AT_ONCE));
        let waiting = locks.clone();
        let waits =
            std::thread::spawn(move || Holder::default().lock(&waiting, b"k", Duration::from_secs(60)));
        drop(a);
        assert!(waits.join().expect("no panic"), "and wakes who waits for it");
    }
}
