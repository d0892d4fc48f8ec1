//! Timer wheel: seven levels of 64 buckets, the finest 4.2 ms wide, O(1) insert, exact to the nanosecond.
//!
//! There is one entry per transaction, not per timer: a transaction knows its own earliest deadline and is asked again when its
//! entry fires. Nothing is removed: an entry that fires for a transaction that is gone or not due is the caller's to see. A bucket is
//! only a coarse sort; within the present one the exact deadlines are compared, so nothing fires early.

use crate::Timestamp;

const TICK_BITS: u32 = 22;
const LEVEL_BITS: u32 = 6;
const LEVELS: usize = 7;
const SLOTS: usize = 1 << LEVEL_BITS;

/// What fires: the slot of a transaction and its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub at: Timestamp,
    pub slot: u32,
    pub label: u32,
}

#[derive(Debug)]
pub(crate) struct TimerWheel {
    buckets: Vec<Vec<Entry>>,
    occupied: [u64; LEVELS],
    /// The tick up to which everything has fired; entries of this very tick may still wait for their nanosecond.
    tick: u64,
    /// Earliest entry, or earlier than it.
    next: Timestamp,
    len: usize,
}

impl TimerWheel {
    pub fn new() -> TimerWheel {
        TimerWheel {
            buckets: std::iter::repeat_with(Vec::new).take(LEVELS * SLOTS).collect(),
            occupied: [0; LEVELS],
            tick: 0,
            next: Timestamp::NEVER,
            len: 0,
        }
    }

    pub fn insert(&mut self, entry: Entry) {
        self.next = self.next.min(entry.at);
        self.len += 1;
        self.place(entry);
    }

    pub fn next(&self) -> Option<Timestamp> {
        (self.len > 0).then_some(self.next)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The level is the highest digit (base 64) in which the entry's tick differs from the present one: so the bucket of the present
    /// digit is empty on every level but the lowest, and no bucket ever holds two turns of the wheel.
    fn place(&mut self, entry: Entry) {
        let tick = (entry.at.0 >> TICK_BITS).max(self.tick);
        let differing = 63 - ((tick ^ self.tick) | 1).leading_zeros();
        let level = (differing / LEVEL_BITS) as usize;
        let digit = (tick >> (level as u32 * LEVEL_BITS)) as usize % SLOTS;
        if let (Some(bucket), Some(bits)) =
            (self.buckets.get_mut(level * SLOTS + digit), self.occupied.get_mut(level))
        {
            bucket.push(entry);
            *bits |= 1 << digit;
        }
    }

    /// The first bucket that holds anything: its index, its level and the tick at which it begins.
    fn first(&self) -> Option<(usize, usize, u64)> {
        self.occupied.iter().enumerate().find(|(_, bits)| **bits != 0).map(|(level, bits)| {
            let digit = bits.trailing_zeros() as usize;
            let shift = level as u32 * LEVEL_BITS;
            let above = self.tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
            (level * SLOTS + digit, level, above | (digit as u64) << shift)
        })
    }

    /// Moves what is due at `now` to `due`, earliest first.
    pub fn expire(&mut self, now: Timestamp, due: &mut Vec<Entry>) {
        if now < self.next {
            return;
        }
        let from = due.len();
        let now_tick = now.0 >> TICK_BITS;
        while let Some((index, level, start)) = self.first() {
            if start > now_tick {
                break;
            }
            let Some(bucket) = self.buckets.get_mut(index) else { break };
            let mut entries = std::mem::take(bucket);
            if let Some(bits) = self.occupied.get_mut(level) {
                *bits &= !(1 << (index % SLOTS));
            }
            self.tick = self.tick.max(start);
            let mut waiting = false;
            entries.retain(|entry| {
                if entry.at <= now {
                    due.push(*entry);
                    return false;
                }
                waiting = true;
                true
            });
            // What is left lies later in this tick, or has to go down a level.
            for entry in entries.drain(..) {
                self.place(entry);
            }
            if let Some(bucket) = self.buckets.get_mut(index) {
                // Gives the bucket its storage back, if nothing was placed into it again.
                if bucket.is_empty() {
                    *bucket = entries;
                }
            }
            if waiting && level == 0 {
                break;
            }
        }
        self.tick = self.tick.max(now_tick.min(self.first().map_or(now_tick, |(.., start)| start)));
        if let Some(fired) = due.get_mut(from..) {
            self.len -= fired.len();
            fired.sort_by_key(|entry| entry.at);
        }
        self.next = match self.first() {
            Some((index, ..)) => {
                self.buckets.get(index).and_then(|b| b.iter().map(|e| e.at).min()).unwrap_or(Timestamp::NEVER)
            }
            None => Timestamp::NEVER,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn fires_exactly_and_in_order_whatever_the_steps() {
        for seed in 1..40_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut wheel = TimerWheel::new();
            let mut waiting: Vec<Timestamp> = Vec::new();
            let mut now = Timestamp(random(&mut state) % 1_000_000_000_000);
            for round in 0..400 {
                for _ in 0..random(&mut state) % 4 {
                    let reach = 1u64 << (random(&mut state) % 42);
                    let at = Timestamp(now.0 + random(&mut state) % reach);
                    wheel.insert(Entry { at, slot: round, label: 0 });
                    waiting.push(at);
                }
                assert_eq!(wheel.next().is_some(), !waiting.is_empty());
                // Half of the time exactly to the next timeout, as an event loop would.
                now = match wheel.next() {
                    Some(next) if random(&mut state).is_multiple_of(2) => next.max(now),
                    _ => Timestamp(now.0 + random(&mut state) % (1 << (random(&mut state) % 40))),
                };
                let mut due = Vec::new();
                wheel.expire(now, &mut due);
                let mut expected: Vec<_> = waiting.iter().copied().filter(|at| *at <= now).collect();
                expected.sort();
                assert_eq!(
                    due.iter().map(|e| e.at).collect::<Vec<_>>(),
                    expected,
                    "seed {seed} round {round}"
                );
                waiting.retain(|at| *at > now);
                assert_eq!(wheel.len(), waiting.len());
                assert_eq!(wheel.next(), waiting.iter().copied().min(), "seed {seed} round {round}");
            }
        }
    }

    #[test]
    fn an_entry_of_the_past_fires_at_once() {
        let mut wheel = TimerWheel::new();
        let mut due = Vec::new();
        wheel.insert(Entry { at: Timestamp::from_millis(5000), slot: 1, label: 0 });
        wheel.expire(Timestamp::from_millis(9000), &mut due);
        wheel.insert(Entry { at: Timestamp::from_millis(1), slot: 2, label: 0 });
        assert_eq!(wheel.next(), Some(Timestamp::from_millis(1)));
        wheel.expire(Timestamp::from_millis(9000), &mut due);
        assert_eq!(due.iter().map(|e| e.slot).collect::<Vec<_>>(), [1, 2]);
    }
}
