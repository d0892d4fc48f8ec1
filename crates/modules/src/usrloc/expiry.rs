//! Which record of a shard ends next: a heap with one entry per record, so that nothing is ever scanned.
//!
//! An entry may stand too early, never too late: a refresh that only moves the end further away leaves the entry where it is (no cost on
//! the hot path) and the record is put back when the entry comes up. Each record knows its entry's place, so removal is exact and
//! the heap is bounded by the number of records.

/// An entry: when to look, and the hash under which the record is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Unix time.
    pub at: u32,
    /// Hash of the address-of-record.
    pub hash: u32,
}

/// The place of a record that is not in the heap.
pub const NOWHERE: u32 = u32::MAX;

/// The heap. `moved(hash, from, to)` is called for every entry that changes its place; `NOWHERE` is the place of the entry that is being
/// put in.
#[derive(Debug, Default)]
pub struct ExpiryHeap {
    heap: Vec<Due>,
}

impl ExpiryHeap {
    /// The entry that comes up first.
    pub fn first(&self) -> Option<Due> {
        self.heap.first().copied()
    }
    /// Entry at a place.
    pub fn get(&self, slot: u32) -> Option<Due> {
        self.heap.get(slot as usize).copied()
    }
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.heap.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
    /// Puts an entry in.
    pub fn push(&mut self, due: Due, moved: &mut dyn FnMut(u32, u32, u32)) {
        self.heap.push(due);
        self.sift_up(self.heap.len() - 1, due, moved);
    }
    /// Takes the entry at a place out. Its record is told nothing.
    pub fn remove(&mut self, slot: u32, moved: &mut dyn FnMut(u32, u32, u32)) {
        let slot = slot as usize;
        let Some(last) = self.heap.pop() else { return };
        if slot >= self.heap.len() {
            return;
        }
        // The last entry takes the free place, lifted out first so that no two entries claim one place.
        moved(last.hash, self.heap.len() as u32, NOWHERE);
        self.settle(slot, last, moved);
    }
    /// Changes when the entry at a place comes up.
    pub fn change(&mut self, slot: u32, at: u32, moved: &mut dyn FnMut(u32, u32, u32)) {
        let Some(due) = self.get(slot) else { return };
        moved(due.hash, slot, NOWHERE);
        self.settle(slot as usize, Due { at, ..due }, moved);
    }

    fn settle(&mut self, slot: usize, due: Due, moved: &mut dyn FnMut(u32, u32, u32)) {
        let parent = slot.checked_sub(1).and_then(|s| self.heap.get(s / 2));
        if parent.is_some_and(|p| p.at > due.at) {
            self.sift_up(slot, due, moved);
        } else {
            self.sift_down(slot, due, moved);
        }
    }
    fn sift_up(&mut self, mut slot: usize, due: Due, moved: &mut dyn FnMut(u32, u32, u32)) {
        while slot > 0 {
            let up = (slot - 1) / 2;
            match self.heap.get(up).copied() {
                Some(parent) if parent.at > due.at => {
                    self.put(slot, parent, up as u32, moved);
                    slot = up;
                }
                _ => break,
            }
        }
        self.put(slot, due, NOWHERE, moved);
    }
    fn sift_down(&mut self, mut slot: usize, due: Due, moved: &mut dyn FnMut(u32, u32, u32)) {
        loop {
            let left = 2 * slot + 1;
            let Some(mut least) = self.heap.get(left).copied() else { break };
            let mut from = left;
            if let Some(right) = self.heap.get(left + 1).copied()
                && right.at < least.at
            {
                (least, from) = (right, left + 1);
            }
            if least.at >= due.at {
                break;
            }
            self.put(slot, least, from as u32, moved);
            slot = from;
        }
        self.put(slot, due, NOWHERE, moved);
    }
    fn put(&mut self, slot: usize, due: Due, from: u32, moved: &mut dyn FnMut(u32, u32, u32)) {
        if let Some(place) = self.heap.get_mut(slot) {
            *place = due;
            moved(due.hash, from, slot as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Records by hash with the place they believe to be in.
    #[derive(Default)]
    struct Model {
        heap: ExpiryHeap,
        places: HashMap<u32, u32>,
    }

    impl Model {
        fn push(&mut self, at: u32, hash: u32) {
            self.places.insert(hash, NOWHERE);
            let places = &mut self.places;
            self.heap.push(Due { at, hash }, &mut |h, from, to| {
                assert_eq!(places.insert(h, to), Some(from));
            });
        }
        fn remove(&mut self, hash: u32) {
            let slot = self.places.remove(&hash).expect("known");
            let places = &mut self.places;
            self.heap.remove(slot, &mut |h, from, to| assert_eq!(places.insert(h, to), Some(from)));
        }
        fn change(&mut self, hash: u32, at: u32) {
            let places = &mut self.places;
            self.heap.change(places[&hash], at, &mut |h, from, to| {
                assert_eq!(places.insert(h, to), Some(from));
            });
        }
        fn check(&self) {
            assert_eq!(self.heap.len(), self.places.len());
            for (hash, slot) in &self.places {
                assert_eq!(self.heap.get(*slot).map(|d| d.hash), Some(*hash));
            }
            for i in 1..self.heap.len() {
                assert!(self.heap.heap[(i - 1) / 2].at <= self.heap.heap[i].at);
            }
        }
    }

    #[test]
    fn random_operations_keep_order_and_places() {
        let mut model = Model::default();
        let mut seed = 7u32;
        let mut random = move |n: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % n
        };
        for i in 0..3000 {
            let hash = random(200);
            match (model.places.contains_key(&hash), random(3)) {
                (false, _) => model.push(random(1000), hash),
                (true, 0) => model.remove(hash),
                (true, _) => model.change(hash, random(1000)),
            }
            if i % 50 == 0 {
                model.check();
            }
        }
        model.check();
        let mut last = 0;
        while let Some(due) = model.heap.first() {
            assert!(due.at >= last);
            last = due.at;
            model.remove(due.hash);
        }
        assert!(model.places.is_empty());
    }
}
