//! Who reads a socket: one worker at a time while the script is quick, all of them when it is not.
//!
//! With every worker blocked in `recvmmsg`, the system wakes a cold one for each datagram, though the busy one would be back in
//! microseconds; batches stay at one and each datagram costs a wake-up. So one worker reads, and goes on reading; another joins when a
//! batch shows that there is work for two (it takes long, or the socket fills up faster than it is read), when the reader is stuck, or when messages take long (a script that waits for a database):
//! then the gate stands open and all read, as many as there are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Work in a batch that is worth the wake-up of another worker. Below it, the second of two workers on two processors shared with
/// the peers costs more than it gives, and whoever is preempted in the middle of a batch delays it by a scheduler's slice.
const WORTH_SHARING: Duration = Duration::from_micros(500);
/// Mean time per message above which reading in turn would cost more than it saves.
const QUICK: Duration = Duration::from_micros(100);

/// The gate of one socket.
#[derive(Debug, Default)]
pub struct Turnstile {
    inside: Mutex<Inside>,
    bell: Condvar,
    open: AtomicBool,
    /// Whether the last batch was as big as one can be.
    full: AtomicBool,
    mean_ns: AtomicU64,
}

#[derive(Debug, Default)]
struct Inside {
    reader: Option<i32>,
    closing: bool,
}

impl Turnstile {
    /// Waits until this worker (by its rank) may read. False when it was `called` away meanwhile and may not.
    pub fn enter(&self, rank: i32, called: impl Fn() -> bool) -> bool {
        if self.open.load(Ordering::Acquire) {
            return true;
        }
        let mut inside = self.inside();
        while inside.reader.is_some_and(|r| r != rank)
            && !inside.closing
            && !self.open.load(Ordering::Acquire)
        {
            if called() {
                return false;
            }
            inside = self.bell.wait(inside).unwrap_or_else(|e| e.into_inner());
        }
        if inside.reader.is_none() {
            inside.reader = Some(rank);
        }
        true
    }
    /// Has all who wait look whether they are called.
    pub fn ring(&self) {
        let _inside = self.inside();
        self.bell.notify_all();
    }
    /// The worker has read so many datagrams; `full` when more may be waiting. It lets another in beside it when they are work for two:
    /// long in themselves, or the second full batch on end.
    pub fn has_read(&self, rank: i32, datagrams: usize, full: bool) {
        let behind = self.full.load(Ordering::Relaxed) && full;
        self.full.store(full, Ordering::Relaxed);
        let work = self.mean_ns.load(Ordering::Relaxed).saturating_mul(datagrams as u64);
        if behind || work >= WORTH_SHARING.as_nanos() as u64 {
            self.leave(rank);
        }
    }
    /// The worker reads no more for now: it is done, or stuck in a message.
    pub fn leave(&self, rank: i32) {
        let mut inside = self.inside();
        if inside.reader == Some(rank) {
            inside.reader = None;
            drop(inside);
            self.bell.notify_one();
        }
    }
    /// The worker took this long for so many messages.
    pub fn took(&self, time: Duration, messages: usize) {
        if messages == 0 {
            return;
        }
        let each = (u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / messages as u64).min(1 << 40);
        // Workers may overwrite each other's mean: a sample less does not matter.
        let mean = (self.mean_ns.load(Ordering::Relaxed) * 7 + each) / 8;
        self.mean_ns.store(mean, Ordering::Relaxed);
        let slow = mean > QUICK.as_nanos() as u64;
        if slow != self.open.load(Ordering::Relaxed) {
            let _inside = self.inside();
            self.open.store(slow, Ordering::Release);
            self.bell.notify_all();
        }
    }
    /// The server stops: everybody may read what is left.
    pub fn close(&self) {
        self.inside().closing = true;
        self.bell.notify_all();
    }
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    fn waits(gate: &Arc<Turnstile>, rank: i32) -> std::sync::mpsc::Receiver<i32> {
        let (send, receive) = channel();
        let gate = gate.clone();
        std::thread::spawn(move || {
            assert!(gate.enter(rank, || false));
            let _ = send.send(rank);
        });
        receive
    }

    #[test]
    fn one_reads_until_there_is_work_for_two() {
        let gate = Arc::new(Turnstile::default());
        assert!(gate.enter(1, || false));
        assert!(gate.enter(1, || false));
        let second = waits(&gate, 2);
        gate.has_read(1, 32, true);
        gate.has_read(1, 31, false);
        gate.has_read(1, 32, true);
        assert!(second.try_recv().is_err());
        gate.has_read(1, 32, true);
        assert_eq!(second.recv(), Ok(2));
        // The first waits its turn now, until the second leaves.
        let first = waits(&gate, 1);
        gate.leave(2);
        assert_eq!(first.recv(), Ok(1));
    }

    #[test]
    fn who_waits_can_be_called_away() {
        let gate = Arc::new(Turnstile::default());
        assert!(gate.enter(1, || false));
        let called = Arc::new(AtomicBool::new(false));
        let (send, receive) = channel();
        let (theirs, order) = (gate.clone(), called.clone());
        std::thread::spawn(move || send.send(theirs.enter(2, || order.load(Ordering::SeqCst))));
        gate.ring();
        assert!(receive.try_recv().is_err());
        called.store(true, Ordering::SeqCst);
        gate.ring();
        assert_eq!(receive.recv(), Ok(false));
    }

    #[test]
    fn a_few_messages_that_take_long_are_work_for_two() {
        let gate = Arc::new(Turnstile::default());
        assert!(gate.enter(1, || false));
        let second = waits(&gate, 2);
        for _ in 0..50 {
            gate.took(Duration::from_micros(800), 10);
        }
        gate.has_read(1, 3, false);
        assert!(second.try_recv().is_err());
        gate.has_read(1, 10, false);
        assert_eq!(second.recv(), Ok(2));
    }

    #[test]
    fn a_slow_script_opens_the_gate_and_a_quick_one_closes_it() {
        let gate = Arc::new(Turnstile::default());
        assert!(gate.enter(1, || false));
        let second = waits(&gate, 2);
        gate.took(Duration::from_millis(5), 1);
        assert_eq!(second.recv(), Ok(2));
        assert!(gate.enter(3, || false));
        for _ in 0..100 {
            gate.took(Duration::from_micros(20), 1);
        }
        let fourth = waits(&gate, 4);
        assert!(fourth.try_recv().is_err());
        gate.close();
        assert_eq!(fourth.recv(), Ok(4));
    }
}
