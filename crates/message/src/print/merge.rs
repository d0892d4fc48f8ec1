//! The original and its edits, merged once from front to back into the caller's buffer.

use crate::Edits;

/// Edits up to this number are sorted without touching the heap.
const ON_STACK: usize = 64;

/// Room for [`Merge`] to sort in.
pub(super) struct Scratch {
    removed: [u32; ON_STACK],
    inserted: [u32; ON_STACK],
    more_removed: Vec<u32>,
    more_inserted: Vec<u32>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch {
            removed: [0; ON_STACK],
            inserted: [0; ON_STACK],
            more_removed: Vec::new(),
            more_inserted: Vec::new(),
        }
    }
}

/// A walk over the original that copies what is left of it and what was inserted.
pub(super) struct Merge<'a> {
    bytes: &'a [u8],
    edits: &'a Edits,
    /// Numbers of the spans and insertions not yet passed, in order of their place.
    removed: &'a [u32],
    inserted: &'a [u32],
    at: u32,
    pub(super) out: &'a mut Vec<u8>,
}

fn sorted<'a, K: Ord>(
    count: usize,
    stack: &'a mut [u32; ON_STACK],
    heap: &'a mut Vec<u32>,
    key: impl Fn(usize) -> K,
) -> &'a [u32] {
    let numbers = match stack.get_mut(..count) {
        Some(numbers) => numbers,
        None => {
            heap.resize(count, 0);
            &mut heap[..]
        }
    };
    for (number, slot) in numbers.iter_mut().enumerate() {
        *slot = number as u32;
    }
    numbers.sort_unstable_by_key(|&number| key(number as usize));
    numbers
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        edits: &'a Edits,
        scratch: &'a mut Scratch,
        out: &'a mut Vec<u8>,
    ) -> Merge<'a> {
        let removed = edits.removed();
        let inserted = edits.inserted();
        Merge {
            bytes,
            edits,
            removed: sorted(removed.len(), &mut scratch.removed, &mut scratch.more_removed, |n| {
                removed.get(n).copied()
            }),
            inserted: sorted(inserted.len(), &mut scratch.inserted, &mut scratch.more_inserted, |n| {
                inserted.get(n).map(|insertion| (insertion.at, insertion.rank))
            }),
            at: 0,
            out,
        }
    }

    /// Copies the original up to `to`, edited. What is inserted at `to` itself is left for later.
    pub(super) fn copy_to(&mut self, to: u32) {
        self.walk(to, true);
    }

    /// Leaves the original out up to `to`, but not what was inserted there.
    pub(super) fn skip_to(&mut self, to: u32) {
        self.walk(to, false);
    }

    /// Writes what is inserted at or before `at`.
    pub(super) fn insertions_to(&mut self, at: u32) {
        while let Some((&number, rest)) = self.inserted.split_first() {
            let Some(insertion) = self.edits.inserted().get(number as usize) else { break };
            if insertion.at > at {
                break;
            }
            self.out.extend_from_slice(self.edits.text(insertion));
            self.inserted = rest;
        }
    }

    fn walk(&mut self, to: u32, copy: bool) {
        while self.at < to {
            self.insertions_to(self.at);
            let mut stop = self.next_insertion().map_or(to, |at| at.min(to));
            let mut keep = copy;
            if let Some((start, end)) = self.next_removed() {
                if start <= self.at {
                    keep = false;
                    stop = stop.min(end);
                } else {
                    stop = stop.min(start);
                }
            }
            if keep {
                self.out
                    .extend_from_slice(self.bytes.get(self.at as usize..stop as usize).unwrap_or_default());
            }
            self.at = stop;
        }
    }

    fn next_insertion(&self) -> Option<u32> {
        let number = self.inserted.first()?;
        self.edits.inserted().get(*number as usize).map(|insertion| insertion.at)
    }

    /// The first removed span that ends behind the place reached.
    fn next_removed(&mut self) -> Option<(u32, u32)> {
        while let Some((&number, rest)) = self.removed.split_first() {
            let span = self.edits.removed().get(number as usize).copied()?;
            if span.1 > self.at {
                return Some(span);
            }
            self.removed = rest;
        }
        None
    }
}

/// Length of `start..end` of the original after the edits; `None` when they leave it alone.
pub(super) fn edited_len(edits: &Edits, start: u32, end: u32, scratch: &mut Scratch) -> Option<usize> {
    let removed = edits.removed();
    let inserted: usize = edits
        .inserted()
        .iter()
        .filter(|insertion| insertion.at >= start)
        .map(|insertion| edits.text(insertion).len())
        .sum();
    if inserted == 0 && !removed.iter().any(|&(from, to)| from < end && to > start) {
        return None;
    }
    let mut gone = 0;
    let mut passed = start;
    for &number in
        sorted(removed.len(), &mut scratch.removed, &mut scratch.more_removed, |n| removed.get(n).copied())
    {
        let Some(&(from, to)) = removed.get(number as usize) else { continue };
        let (from, to) = (from.max(passed), to.min(end));
        if from < to {
            gone += (to - from) as usize;
            passed = to;
        }
    }
    Some((end.saturating_sub(start)) as usize - gone + inserted)
}
