//! Which nonces were used: tables of fixed size, one place per nonce, the oldest given away first. No lock: a place is an atomic.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Numbers nonces and remembers their use.
#[derive(Debug)]
pub struct Tracker {
    next: AtomicU32,
    /// For `nonce_count`.
    pub count: Option<Counts>,
    /// For `one_time_nonce`.
    pub once: Option<Onces>,
}

impl Tracker {
    /// Tables of `2^order` places.
    pub fn new(count: Option<u32>, once: Option<u32>) -> Tracker {
        let places = |order: u32| 1usize << order;
        Tracker {
            next: AtomicU32::new(0),
            count: count.map(|order| Counts((0..places(order)).map(|_| AtomicU8::new(0)).collect())),
            once: once
                .map(|order| Onces((0..places(order).div_ceil(64)).map(|_| AtomicU64::new(0)).collect())),
        }
    }
    /// The number of a new nonce; its places are free.
    pub fn next(&self) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(seen) = self.count.as_ref().and_then(|c| c.place(number)) {
            seen.store(0, Ordering::Relaxed);
        }
        if let Some((word, bit)) = self.once.as_ref().and_then(|o| o.place(number)) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
        number
    }
    /// Whether the nonce with this number still has its place in a table of that many.
    pub fn lives(&self, number: u32, places: usize) -> bool {
        (self.next.load(Ordering::Relaxed).wrapping_sub(number) as usize).wrapping_sub(1) < places
    }
}

/// The highest `nc` seen of each nonce.
#[derive(Debug)]
pub struct Counts(Box<[AtomicU8]>);

impl Counts {
    /// How many places.
    pub fn places(&self) -> usize {
        self.0.len()
    }
    fn place(&self, number: u32) -> Option<&AtomicU8> {
        // Their number is a power of two.
        self.0.get(number as usize & (self.0.len() - 1))
    }
    /// Takes `nc` when it is higher than any before.
    pub fn advance(&self, number: u32, nc: u8) -> bool {
        self.place(number).is_some_and(|seen| seen.fetch_max(nc, Ordering::Relaxed) < nc)
    }
}

/// One bit for each nonce: used.
#[derive(Debug)]
pub struct Onces(Box<[AtomicU64]>);

impl Onces {
    /// How many places.
    pub fn places(&self) -> usize {
        self.0.len() * 64
    }
    fn place(&self, number: u32) -> Option<(&AtomicU64, u64)> {
        let at = number as usize & (self.places() - 1);
        Some((self.0.get(at / 64)?, 1 << (at % 64)))
    }
    /// False when it was taken before.
    pub fn take(&self, number: u32) -> bool {
        self.place(number).is_some_and(|(word, bit)| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_away() {
        let tracker = Tracker::new(Some(2), Some(6));
        let (count, once) = (tracker.count.as_ref().expect("made"), tracker.once.as_ref().expect("made"));
        assert_eq!((count.places(), once.places()), (4, 64));
        let first = tracker.next();
        assert!(count.advance(first, 3) && !count.advance(first, 3) && once.take(first) && !once.take(first));
        assert!(tracker.lives(first, 4) && !tracker.lives(first + 1, 4), "numbers to come are not alive");
        let last = (0..4).map(|_| tracker.next()).last().expect("some");
        assert!(!tracker.lives(first, 4) && tracker.lives(first, 64));
        assert!(count.advance(last, 1), "the place is free again");
        assert!(!once.take(first) && once.take(last));
    }
    #[test]
    fn of_two_at_once_one_wins() {
        let tracker = Tracker::new(Some(4), Some(4));
        let number = tracker.next();
        let won: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| tracker.count.as_ref().is_some_and(|c| c.advance(number, 1))))
                .collect();
            threads.into_iter().map(|t| usize::from(t.join().expect("ends"))).sum()
        });
        assert_eq!(won, 1);
    }
}
