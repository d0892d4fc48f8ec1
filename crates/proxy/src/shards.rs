//! The transaction table's locks. Every shard guard is made and dropped in this file, so that no script can run under one:
//! [`unlocked`] is asserted before every run of a script (the law that makes deadlock impossible).

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use transaction::{Counts, Shard, Timestamp, TransactionId};

/// Power of two; with two dozen workers the chance to meet in one is small and a step takes well under a microsecond.
const SHARDS: u32 = 64;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread holds no shard.
pub(crate) fn unlocked() -> bool {
    DEPTH.get() == 0
}

/// The shards behind their locks.
pub(crate) struct Shards {
    shards: Vec<Mutex<Shard>>,
    /// For each shard: no timer is due before. Written under its lock; side by side, so that who looks for what is due touches no shard
    /// in vain.
    next: Vec<AtomicU64>,
    /// No timer is due before; lowered by every step, raised by [`Shards::recount`].
    soonest: AtomicU64,
    /// See [`Shards::stop_at`].
    turn: AtomicU32,
}

struct Guard<'a>(MutexGuard<'a, Shard>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl Shards {
    pub(crate) fn new(seed: u64, capacity: usize) -> Shards {
        let each = capacity.div_ceil(SHARDS as usize).max(1);
        let shards = (0..SHARDS).map(|n| Mutex::new(Shard::new(n, SHARDS, seed, each))).collect();
        let never = || AtomicU64::new(Timestamp::NEVER.0);
        Shards {
            shards,
            next: (0..SHARDS).map(|_| never()).collect(),
            soonest: never(),
            turn: AtomicU32::new(0),
        }
    }
    /// Works on the shard of a request.
    pub(crate) fn of_request<R>(&self, call_id: &[u8], cseq: u32, f: impl FnOnce(&mut Shard) -> R) -> R {
        self.with(Shard::select(call_id, cseq, SHARDS), f)
    }
    /// The same, but `None` when that shard holds no transaction at all: every transaction has a timer. Asked without its lock; one that
    /// another worker makes at this moment may be missed.
    pub(crate) fn of_request_if_any<R>(
        &self,
        call_id: &[u8],
        cseq: u32,
        f: impl FnOnce(&mut Shard) -> R,
    ) -> Option<R> {
        let number = Shard::select(call_id, cseq, SHARDS);
        let next = self.next.get((number & (SHARDS - 1)) as usize)?;
        (next.load(Ordering::Acquire) != Timestamp::NEVER.0).then(|| self.with(number, f))
    }
    /// Works on the shard of a transaction.
    pub(crate) fn of_id<R>(&self, id: TransactionId, f: impl FnOnce(&mut Shard) -> R) -> R {
        self.with(Shard::of_id(id, SHARDS), f)
    }
    /// Works on each shard in turn.
    pub(crate) fn each(&self, mut f: impl FnMut(&mut Shard)) {
        for n in 0..SHARDS {
            self.with(n, &mut f);
        }
    }
    /// Numbers of the shards in which something is due, from where [`Shards::stop_at`] was told last.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        let first = self.turn.load(Ordering::Relaxed);
        let is_due = move |n: &u32| {
            self.next.get(*n as usize).is_some_and(|next| next.load(Ordering::Relaxed) <= now.0)
        };
        (0..SHARDS).map(move |n| (first + n) & (SHARDS - 1)).filter(is_due)
    }
    /// Who was at this shard goes no further: the next begins here.
    pub(crate) fn stop_at(&self, number: u32) {
        self.turn.store(number, Ordering::Relaxed);
    }
    /// Works on one shard.
    pub(crate) fn with<R>(&self, number: u32, f: impl FnOnce(&mut Shard) -> R) -> R {
        debug_assert!(unlocked(), "a thread never holds two shards");
        let index = (number & (SHARDS - 1)) as usize;
        DEPTH.set(DEPTH.get() + 1);
        // A panic inside a step poisons the lock; the shard's slab is still usable, and other calls go on.
        let mut guard = Guard(self.shards[index].lock().unwrap_or_else(|e| e.into_inner()));
        let result = f(&mut guard.0);
        let next = guard.0.next_timeout().unwrap_or(Timestamp::NEVER).0;
        if next != self.next[index].load(Ordering::Relaxed) {
            self.next[index].store(next, Ordering::SeqCst);
            if next < self.soonest.load(Ordering::SeqCst) {
                self.soonest.fetch_min(next, Ordering::SeqCst);
            }
        }
        result
    }
    /// No timer is due before.
    pub(crate) fn soonest(&self) -> Timestamp {
        Timestamp(self.soonest.load(Ordering::SeqCst))
    }
    /// Finds the earliest timer anew. A shard's timer that is set meanwhile counts: its own number is written before it lowers the sum.
    pub(crate) fn recount(&self) {
        self.soonest.store(Timestamp::NEVER.0, Ordering::SeqCst);
        let soonest = self.next.iter().map(|next| next.load(Ordering::SeqCst)).min();
        self.soonest.fetch_min(soonest.unwrap_or(Timestamp::NEVER.0), Ordering::SeqCst);
    }
    /// Sum over all shards.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.each(|s| sum.add(&s.counts()));
        sum
    }
}
