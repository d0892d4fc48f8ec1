//! Which node a call is at, so that it stays there when nodes come and go.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Locks of the table.
const SHARDS: usize = 64;
/// Most calls in the table; beyond it a call's node is what the weights say.
const LIMIT: usize = 1_000_000;

/// The table.
#[derive(Debug)]
pub(super) struct Calls {
    shards: Vec<Mutex<HashMap<Box<[u8]>, At>>>,
    /// Shard that is cleared next.
    cursor: AtomicUsize,
}

#[derive(Debug)]
struct At {
    node: Box<str>,
    /// Second of the monotonic clock.
    until: u64,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), cursor: AtomicUsize::new(0) }
    }
}

impl Calls {
    fn with<R>(&self, call: &[u8], f: impl FnOnce(&mut HashMap<Box<[u8]>, At>) -> R) -> Option<R> {
        let sum = call.iter().fold(0usize, |n, b| n.wrapping_mul(31).wrapping_add(usize::from(*b)));
        let shard = self.shards.get(sum % SHARDS)?;
        Some(f(&mut shard.lock().unwrap_or_else(|e| e.into_inner())))
    }
    /// URL of the node a call is at.
    pub fn node(&self, call: &[u8], now: u64) -> Option<String> {
        self.with(call, |calls| calls.get(call).filter(|at| at.until > now).map(|at| at.node.to_string()))?
    }
    /// The call is at this node from now on.
    pub fn put(&self, call: &[u8], node: &str, until: u64) {
        self.with(call, |calls| {
            if calls.len() < LIMIT / SHARDS || calls.contains_key(call) {
                calls.insert(call.into(), At { node: node.into(), until });
            }
        });
    }
    /// The call is over.
    pub fn remove(&self, call: &[u8]) {
        self.with(call, |calls| calls.remove(call));
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(|e| e.into_inner()).len()).sum()
    }
    /// Once a second: forgets calls of one shard that nobody ended.
    pub fn clear(&self, now: u64) {
        let at = self.cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
        if let Some(shard) = self.shards.get(at) {
            shard.lock().unwrap_or_else(|e| e.into_inner()).retain(|_, at| at.until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_kept_for_a_while() {
        let calls = Calls::default();
        calls.put(b"a", "udp:h:1", 10);
        calls.put(b"b", "udp:h:2", 20);
        assert_eq!(calls.node(b"a", 9).as_deref(), Some("udp:h:1"));
        assert_eq!(calls.node(b"a", 10), None);
        (0..SHARDS).for_each(|_| calls.clear(10));
        assert_eq!(calls.len(), 1);
        calls.remove(b"b");
        assert_eq!(calls.len(), 0);
    }
}
