//! The records of a shard by the hashes of their addresses-of-record.
//!
//! Chains, half as many records as chains, so that to find a record is to touch two places in memory: the head of its chain and the record. With
//! a hundred thousand contacts each of them is a wait for memory far from the processor, and a sixth of what a REGISTER costs.
//!
//! The table grows by a chain at a time (linear hashing, W. Litwin 1980): no REGISTER waits while a table is made anew. It never shrinks.

use super::record::Record;

/// Chains per record.
const SPARSE: usize = 2;

/// A table of records.
#[derive(Debug, Default)]
pub struct Records {
    heads: Vec<Option<Box<Record>>>,
    len: usize,
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }
    /// The first record with this hash that `wanted` takes.
    pub fn find(&self, hash: u32, wanted: impl Fn(&Record) -> bool) -> Option<&Record> {
        chain(self.heads.get(place(hash, self.heads.len()))?).find(|r| r.hash == hash && wanted(r))
    }
    /// As [`Records::find`].
    pub fn find_mut(&mut self, hash: u32, wanted: impl Fn(&Record) -> bool) -> Option<&mut Record> {
        self.link(hash, wanted)?.as_deref_mut()
    }
    /// Takes the first record with this hash that `wanted` takes out.
    pub fn take(&mut self, hash: u32, wanted: impl Fn(&Record) -> bool) -> Option<Box<Record>> {
        let link = self.link(hash, wanted)?;
        let mut record = link.take()?;
        *link = record.next.take();
        self.len -= 1;
        Some(record)
    }
    /// Puts a record in.
    pub fn insert(&mut self, record: Box<Record>) {
        self.len += 1;
        while self.heads.len() < self.len * SPARSE {
            self.split();
        }
        self.hang(record);
    }
    /// All records, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.heads.iter().flat_map(chain)
    }
    /// Shows all records to `f`, to be changed.
    pub fn for_each_mut(&mut self, mut f: impl FnMut(&mut Record)) {
        for head in &mut self.heads {
            let mut link = head;
            while let Some(record) = link {
                f(record);
                link = &mut record.next;
            }
        }
    }

    /// Where the record hangs; `None` when there is none.
    fn link(&mut self, hash: u32, wanted: impl Fn(&Record) -> bool) -> Option<&mut Option<Box<Record>>> {
        let place = place(hash, self.heads.len());
        let mut link = self.heads.get_mut(place)?;
        while !link.as_ref().is_none_or(|r| r.hash == hash && wanted(r)) {
            link = &mut link.as_mut()?.next;
        }
        link.is_some().then_some(link)
    }
    fn hang(&mut self, mut record: Box<Record>) {
        let place = place(record.hash, self.heads.len());
        if let Some(head) = self.heads.get_mut(place) {
            record.next = head.take();
            *head = Some(record);
        }
    }
    /// Adds a chain and moves there what belongs into it: all of that hangs in one other chain.
    fn split(&mut self) {
        let heads = self.heads.len();
        if heads == self.heads.capacity() {
            // A table of a million heads must not have room for two.
            self.heads.reserve_exact(heads / 8 + 8);
        }
        self.heads.push(None);
        let Some(highest) = heads.checked_ilog2() else { return };
        let mut rest = self.heads.get_mut(heads - (1 << highest)).and_then(Option::take);
        while let Some(mut record) = rest {
            rest = record.next.take();
            self.hang(record);
        }
    }
}

fn chain(head: &Option<Box<Record>>) -> impl Iterator<Item = &Record> {
    std::iter::successors(head.as_deref(), |record| record.next.as_deref())
}

/// The chain of a hash among so many.
fn place(hash: u32, heads: usize) -> usize {
    // All records of a shard share the low bits of their hashes: the high ones are mixed in.
    let mixed = (u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
    let wide = heads.next_power_of_two();
    let place = mixed & (wide - 1);
    // That chain is not there yet: what will be in it is still where it was with half as many.
    if place < heads { place } else { place - wide / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_at_every_size_and_goes_once() {
        let mut records = Records::default();
        assert!(records.find(7, |_| true).is_none());
        assert!(records.take(7, |_| true).is_none());
        let hash = |n: u32| n.wrapping_mul(0x85eb_ca6b);
        for n in 0..500 {
            records.insert(Box::new(Record::new(hash(n))));
            for known in 0..=n {
                assert_eq!(
                    records.find(hash(known), |_| true).map(|r| r.hash),
                    Some(hash(known)),
                    "{known} of {n}"
                );
            }
            assert!(records.find(hash(n + 1), |_| true).is_none());
            assert_eq!(records.iter().count(), records.len());
        }
        let mut seen = 0;
        records.for_each_mut(|_| seen += 1);
        assert_eq!(seen, 500);
        for n in (0..500).rev() {
            assert!(records.take(hash(n), |_| true).is_some());
            assert!(records.take(hash(n), |_| true).is_none());
            assert_eq!(records.len(), n as usize);
        }
    }

    #[test]
    fn records_of_one_hash_are_told_apart() {
        let mut records = Records::default();
        for slot in 0..3 {
            let mut record = Record::new(1);
            record.slot = slot;
            records.insert(Box::new(record));
        }
        records.find_mut(1, |r| r.slot == 1).expect("there").due = 77;
        assert_eq!(records.find(1, |r| r.slot == 1).map(|r| r.due), Some(77));
        assert!(records.find(1, |r| r.slot == 3).is_none());
        assert_eq!(records.take(1, |r| r.slot == 1).map(|r| r.due), Some(77));
        assert_eq!(records.iter().map(|r| r.slot).sum::<u32>(), 2);
    }

    #[test]
    fn chains_stay_short() {
        let mut records = Records::default();
        for n in 0..10_000u32 {
            // As in a shard: hashes with the same low bits.
            records.insert(Box::new(Record::new(n.wrapping_mul(0x9e37_79b1) << 6)));
        }
        let longest = records.heads.iter().map(|head| chain(head).count()).max();
        assert!(longest < Some(9), "{longest:?}");
    }
}
