//! Calls that count as load of a destination, by Call-ID (algorithm 10): from its INVITE to its BYE, or until they are too old.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::destination::Destination;

/// Most calls that are counted at a time; further ones are not counted, which is logged once.
pub const LIMIT: usize = 1 << 20;
const SHARDS: usize = 64;

#[derive(Debug)]
struct Call {
    destination: Arc<Destination>,
    expires: u32,
    confirmed: bool,
}

/// The calls. Counting goes with the call: whoever drops the entry takes the load from the destination.
#[derive(Debug)]
pub struct Calls {
    shards: Box<[Mutex<HashMap<Box<[u8]>, Call>>]>,
    full: AtomicU32,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), full: AtomicU32::new(0) }
    }
}

impl Calls {
    fn shard(&self, call_id: &[u8]) -> MutexGuard<'_, HashMap<Box<[u8]>, Call>> {
        let at = super::select::hash(&[call_id]) as usize % SHARDS;
        // One for every number below SHARDS.
        self.shards[at].lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Counts a call, or moves it to another destination.
    pub fn set(&self, call_id: &[u8], destination: &Arc<Destination>, expires: u32) -> bool {
        let mut shard = self.shard(call_id);
        if let Some(call) = shard.get_mut(call_id) {
            call.destination.add_load(-1);
            destination.add_load(1);
            call.destination = destination.clone();
            call.expires = expires;
            return true;
        }
        if shard.len() >= LIMIT / SHARDS {
            if self.full.swap(1, Ordering::Relaxed) == 0 {
                tracing::error!(target: "dispatcher", limit = LIMIT, "too many calls: further ones do not count as load");
            }
            return false;
        }
        destination.add_load(1);
        shard.insert(call_id.into(), Call { destination: destination.clone(), expires, confirmed: false });
        true
    }
    /// A call was answered: it counts for longer. False when it does not count.
    pub fn confirm(&self, call_id: &[u8], expires: u32) -> bool {
        let mut shard = self.shard(call_id);
        let Some(call) = shard.get_mut(call_id) else { return false };
        if !std::mem::replace(&mut call.confirmed, true) {
            call.expires = expires;
        }
        true
    }
    /// A call ended. False when it did not count.
    pub fn remove(&self, call_id: &[u8]) -> bool {
        let removed = self.shard(call_id).remove(call_id);
        if let Some(call) = &removed {
            call.destination.add_load(-1);
            self.full.store(0, Ordering::Relaxed);
        }
        removed.is_some()
    }
    /// Forgets calls that are too old, one shard at a time.
    pub fn expire(&self, now: u32) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(|e| e.into_inner()).retain(|_, call| {
                let stays = call.expires > now;
                if !stays {
                    call.destination.add_load(-1);
                }
                stays
            });
        }
    }
    /// Forgets all: after a reload they are other destinations.
    pub fn clear(&self) {
        self.expire(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_once_wherever_it_goes() {
        let make = |uri: &str| Arc::new(Destination::new(uri, 0, 0, "", &[]).expect("makes sense"));
        let (a, b) = (make("sip:192.0.2.1"), make("sip:192.0.2.2"));
        let calls = Calls::default();
        assert!(calls.set(b"1", &a, 10) && calls.set(b"2", &a, 10) && calls.set(b"1", &b, 10));
        assert_eq!((a.load(), b.load()), (1, 1));
        assert!(calls.confirm(b"1", 100) && !calls.confirm(b"nope", 100));
        calls.expire(10);
        assert_eq!((a.load(), b.load()), (0, 1), "the call that was not answered is too old");
        assert!(calls.remove(b"1") && !calls.remove(b"1"));
        assert_eq!(b.load(), 0);
    }
}
