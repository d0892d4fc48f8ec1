//! Kamailio's tree of address bytes, with its decisions: which request of a flood is the first to be refused, and when that ends.
//!
//! ```text
//!        / 193 - 175 - 132 - 164      a node per byte; one more byte is known only after the node before it was hit
//!   root                 \ 142        so often that it is warm (a quarter of the density) in this or the last unit
//!        \ 195 - 37
//! ```
//!
//! The whole address known, its hits are counted; as many as the density in this or the last unit make it hot. An address without hits
//! is forgotten, byte by byte, one `latency` each. Every branch has a lock of its own; a request costs a step per byte.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Most nodes of the tree, some 20 MB, but for [`RESERVE`]. At that the address of the same branch that was quiet for longest is forgotten
/// for a new one.
pub const LIMIT: usize = 1 << 18;
/// So many nodes a branch can have in any case, so that a flood of addresses in one does not hide a flooder in another.
const RESERVE: usize = 1 << 8;

const NONE: u32 = u32::MAX;

/// What the tree says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// This request makes its sender a flooder.
    First,
    /// From a flooder.
    Flood,
}

/// An address that is known, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The address.
    pub ip: IpAddr,
    /// Hits in the last unit and in this one.
    pub hits: [u32; 2],
    /// Seconds until it is forgotten without hits.
    pub expires: u64,
    /// Its requests are refused.
    pub hot: bool,
    /// It came quickly.
    pub warm: bool,
}

/// Rules of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Hits per unit that make an address hot.
    pub density: u32,
    /// Milliseconds of a unit.
    pub unit: u64,
    /// Milliseconds without hits until an address is forgotten.
    pub latency: u64,
}

impl Rules {
    fn warm(&self, hits: [u32; 2]) -> bool {
        hits.iter().any(|h| *h >= self.density / 4)
    }
    fn hot(&self, hits: [u32; 2]) -> bool {
        hits.iter().any(|h| *h >= self.density)
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    byte: u8,
    kids: u16,
    /// The whole address was seen.
    leaf: bool,
    /// In the list of hot addresses.
    hot: bool,
    /// Of the last unit and of this one.
    hits: [u32; 2],
    leaf_hits: [u32; 2],
    unit: u64,
    /// Milliseconds; holds while the node has no kids.
    expires: u64,
    older: u32,
    newer: u32,
}

/// All addresses with one first byte.
#[derive(Debug)]
struct Branch {
    nodes: Vec<Node>,
    free: Vec<u32>,
    kids: HashMap<(u32, u8), u32>,
    /// Nodes without kids, the next to be forgotten first.
    oldest: u32,
    newest: u32,
    hot: Vec<u32>,
}

impl Default for Branch {
    fn default() -> Branch {
        Branch {
            nodes: Vec::new(),
            free: Vec::new(),
            kids: HashMap::new(),
            oldest: NONE,
            newest: NONE,
            hot: Vec::new(),
        }
    }
}

impl Branch {
    fn node(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)
    }
    fn unlink(&mut self, at: u32) {
        let Some(node) = self.node(at) else { return };
        let (older, newer) = (node.older, node.newer);
        (node.older, node.newer) = (NONE, NONE);
        if let Some(n) = self.node(older) {
            n.newer = newer;
        }
        if let Some(n) = self.node(newer) {
            n.older = older;
        }
        if self.oldest == at {
            self.oldest = newer;
        }
        if self.newest == at {
            self.newest = older;
        }
    }
    /// To the end of the list: it lives for another latency.
    fn touch(&mut self, at: u32, expires: u64) {
        self.unlink(at);
        let newest = self.newest;
        let Some(node) = self.node(at).filter(|n| n.kids == 0) else { return };
        (node.expires, node.older) = (expires, newest);
        match self.node(newest) {
            Some(n) => n.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }
    fn add(&mut self, parent: u32, byte: u8, hits: u32, unit: u64) -> u32 {
        let node = Node {
            parent,
            byte,
            kids: 0,
            leaf: false,
            hot: false,
            hits: [0, hits],
            leaf_hits: [0; 2],
            unit,
            expires: 0,
            older: NONE,
            newer: NONE,
        };
        let free = self.free.pop();
        let at = match free.and_then(|at| Some((at, self.nodes.get_mut(at as usize)?))) {
            Some((at, slot)) => {
                *slot = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.kids.insert((parent, byte), at);
        self.unlink(parent);
        if let Some(parent) = self.node(parent) {
            parent.kids += 1;
        }
        at
    }
    /// Forgets a node without kids; its parent, if it has no others, lives for another latency.
    fn remove(&mut self, at: u32, expires: u64) {
        self.unlink(at);
        let Some(node) = self.node(at) else { return };
        let (parent, byte, hot) = (node.parent, node.byte, node.hot);
        node.hot = false;
        if hot {
            self.hot.retain(|h| *h != at);
        }
        self.kids.remove(&(parent, byte));
        self.free.push(at);
        if let Some(p) = self.node(parent) {
            p.kids = p.kids.saturating_sub(1);
            if p.kids == 0 {
                self.touch(parent, expires);
            }
        }
    }
    /// Brings a node's numbers to this unit.
    fn turn(&mut self, at: u32, unit: u64) {
        let Some(node) = self.node(at) else { return };
        let turn = |h: &mut [u32; 2]| {
            let [_, now] = *h;
            *h = if unit == node.unit + 1 { [now, 0] } else { [0; 2] };
        };
        if unit > node.unit {
            turn(&mut node.hits);
            turn(&mut node.leaf_hits);
            node.unit = unit;
        }
    }
}

/// The tree.
#[derive(Debug)]
pub struct Tree {
    rules: Rules,
    branches: Box<[Mutex<Branch>]>,
    count: AtomicUsize,
}

impl Tree {
    /// An empty tree.
    pub fn new(rules: Rules) -> Tree {
        Tree { rules, branches: (0..256).map(|_| Mutex::default()).collect(), count: AtomicUsize::new(0) }
    }
    /// Its rules.
    pub fn rules(&self) -> Rules {
        self.rules
    }
    fn branch(&self, byte: u8) -> MutexGuard<'_, Branch> {
        // One for every byte.
        self.branches[usize::from(byte)].lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Counts a request. `now` in milliseconds.
    pub fn check(&self, ip: IpAddr, now: u64) -> Verdict {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.check_bytes(&ip.octets(), now),
            IpAddr::V6(ip) => self.check_bytes(&ip.octets(), now),
        }
    }
    fn check_bytes(&self, bytes: &[u8], now: u64) -> Verdict {
        let (unit, expires) = (now / self.rules.unit, now + self.rules.latency);
        let Some(first) = bytes.first() else { return Verdict::Pass };
        let mut guard = self.branch(*first);
        let branch = &mut *guard;
        let (mut at, mut known) = (NONE, 0);
        while let Some(next) = bytes.get(known).and_then(|b| branch.kids.get(&(at, *b))) {
            (at, known) = (*next, known + 1);
        }
        if at != NONE {
            branch.turn(at, unit);
            branch.touch(at, expires);
        }
        let Some(byte) = bytes.get(known) else {
            let Some(node) = branch.node(at) else { return Verdict::Pass };
            let before = self.rules.hot(node.leaf_hits);
            node.leaf = true;
            node.leaf_hits[1] = node.leaf_hits[1].saturating_add(1);
            let after = self.rules.hot(node.leaf_hits);
            if after && !node.hot {
                node.hot = true;
                branch.hot.push(at);
            }
            return match (before, after) {
                (_, false) => Verdict::Pass,
                (false, true) => Verdict::First,
                (true, true) => Verdict::Flood,
            };
        };
        let inherited = match branch.node(at) {
            // The first byte.
            None => 1,
            Some(node) => {
                node.hits[1] = node.hits[1].saturating_add(1);
                if !self.rules.warm(node.hits) {
                    return Verdict::Pass;
                }
                node.hits[1] - 1
            }
        };
        if !self.make_room(branch, at, expires) {
            return Verdict::Pass;
        }
        let made = branch.add(at, *byte, inherited, unit);
        branch.touch(made, expires);
        Verdict::Pass
    }
    /// Sees to it that the tree can have one node more, whose parent stays. False when it cannot.
    fn make_room(&self, branch: &mut Branch, parent: u32, expires: u64) -> bool {
        if self.count.fetch_add(1, Ordering::Relaxed) < LIMIT || branch.kids.len() < RESERVE {
            return true;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        let mut at = branch.oldest;
        if at == parent {
            at = branch.nodes.get(at as usize).map_or(NONE, |n| n.newer);
        }
        if at == NONE {
            return false;
        }
        branch.remove(at, expires);
        true
    }
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets what was quiet for too long; tells which addresses are no longer hot. A lock is held for a few nodes at a time, and what a
    /// branch has beyond `budget` waits for the next call.
    pub fn sweep(&self, now: u64, budget: usize, cooled: &mut dyn FnMut(IpAddr)) {
        const AT_ONCE: usize = 64;
        let (unit, expires) = (now / self.rules.unit, now + self.rules.latency);
        for first in 0..=255 {
            let mut done = 0;
            while done < budget {
                let mut guard = self.branch(first);
                let branch = &mut *guard;
                let mut removed = 0;
                while removed < AT_ONCE {
                    let oldest = branch.oldest;
                    if branch.node(oldest).is_none_or(|n| n.expires > now) {
                        break;
                    }
                    branch.remove(oldest, expires);
                    removed += 1;
                }
                self.count.fetch_sub(removed, Ordering::Relaxed);
                done += removed;
                if removed < AT_ONCE {
                    break;
                }
            }
            let mut guard = self.branch(first);
            let branch = &mut *guard;
            let hot = std::mem::take(&mut branch.hot);
            for at in hot {
                branch.turn(at, unit);
                let Some(node) = branch.node(at) else { continue };
                node.hot = self.rules.hot(node.leaf_hits);
                if node.hot {
                    branch.hot.push(at);
                } else if let Some(ip) = address(branch, at) {
                    cooled(ip);
                }
            }
        }
    }
    /// All addresses that are known as a whole, those with most hits first.
    pub fn known(&self, now: u64) -> Vec<Known> {
        let unit = now / self.rules.unit;
        let mut all = Vec::new();
        for first in 0..=255 {
            let mut guard = self.branch(first);
            let branch = &mut *guard;
            let places: Vec<u32> = branch.kids.values().copied().collect();
            for at in places {
                branch.turn(at, unit);
                let Some(node) = branch.nodes.get(at as usize).copied().filter(|n| n.leaf) else { continue };
                let Some(ip) = address(branch, at) else { continue };
                all.push(Known {
                    ip,
                    hits: node.leaf_hits,
                    expires: node.expires.saturating_sub(now).div_ceil(1000),
                    hot: self.rules.hot(node.leaf_hits),
                    warm: self.rules.warm(node.hits),
                });
            }
        }
        all.sort_by_key(|k| std::cmp::Reverse(u64::from(k.hits[0]) + u64::from(k.hits[1])));
        all
    }
}

/// The address that ends at a node.
fn address(branch: &Branch, mut at: u32) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    while let Some(node) = branch.nodes.get(at as usize) {
        bytes.push(node.byte);
        at = node.parent;
    }
    bytes.reverse();
    if let Ok(v4) = <[u8; 4]>::try_from(&bytes[..]) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(&bytes[..]).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn tree(density: u32, unit: u64, latency: u64) -> Tree {
        Tree::new(Rules { density, unit, latency })
    }
    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }
    /// The first request that is refused.
    fn blocked_at(tree: &Tree, address: &str, now: u64, most: usize) -> Option<usize> {
        (1..=most).find(|_| tree.check(ip(address), now) == Verdict::First)
    }

    /// Kamailio 5.6.3 gave these numbers for these bursts, within one unit.
    #[test]
    fn the_same_request_is_the_first_refused() {
        let addresses = [
            "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.3.4", "10.1.3.5", "10.2.3.4", "10.2.3.5", "11.1.3.4",
            "11.1.3.5", "11.9.1.1", "11.9.1.2",
        ];
        for (density, want) in [
            (1, [5, 2, 2, 3, 2, 4, 2, 5, 2, 4, 2]),
            (2, [6, 3, 3, 4, 3, 5, 3, 6, 3, 5, 3]),
            (3, [7, 4, 4, 5, 4, 6, 4, 7, 4, 6, 4]),
            (4, [8, 5, 5, 6, 5, 7, 5, 8, 5, 7, 5]),
            (7, [11, 8, 8, 9, 8, 10, 8, 11, 8, 10, 8]),
            (10, [14, 11, 11, 12, 11, 13, 11, 14, 11, 13, 11]),
            (16, [22, 17, 17, 18, 17, 19, 17, 22, 17, 19, 17]),
            (30, [39, 31, 31, 32, 31, 33, 31, 39, 31, 33, 31]),
        ] {
            let tree = tree(density, HOUR, HOUR);
            for (address, want) in addresses.iter().zip(want) {
                let most = 6 * density as usize + 20;
                assert_eq!(blocked_at(&tree, address, 0, most), Some(want), "{density} {address}");
                for _ in want..most {
                    assert_eq!(tree.check(ip(address), 0), Verdict::Flood);
                }
            }
        }
        assert_eq!(blocked_at(&tree(16, HOUR, HOUR), "::1", 0, 100), Some(34));
    }

    #[test]
    fn what_was_learnt_fades_with_the_units() {
        // Density 16, a unit of a second. How much of a path is left decides when its neighbour is refused.
        for (pause, want) in [(0, 17), (1000, 17), (2000, 20), (3000, 20)] {
            let tree = tree(16, 1000, HOUR);
            for _ in 0..30 {
                tree.check(ip("20.1.2.3"), 0);
            }
            assert_eq!(blocked_at(&tree, "20.1.2.4", pause, 40), Some(want), "{pause}");
        }
        for (before, want) in [(1, 22), (2, 22), (3, 22), (4, 21), (5, 20), (6, 16), (7, 16)] {
            let tree = tree(16, 1000, HOUR);
            for _ in 0..before {
                tree.check(ip("60.1.2.3"), 0);
            }
            assert_eq!(blocked_at(&tree, "60.1.2.3", 1000, 40), Some(want), "{before}");
        }
    }

    #[test]
    fn refused_in_this_unit_and_the_next_and_then_no_more() {
        for (per_unit, want) in [(15, [0, 0, 0, 0]), (16, [0, 1, 16, 16]), (17, [0, 2, 17, 17])] {
            let tree = tree(16, 1000, HOUR);
            let refused = [0, 1000, 2000, 3000].map(|now| {
                (0..per_unit).filter(|_| tree.check(ip("80.1.2.3"), now) != Verdict::Pass).count()
            });
            assert_eq!(refused, want, "{per_unit}");
        }
        let tree = tree(16, 1000, HOUR);
        assert_eq!(blocked_at(&tree, "80.1.2.3", 0, 200), Some(22));
        let mut cooled = Vec::new();
        assert_eq!(tree.check(ip("80.1.2.3"), 1999), Verdict::Flood);
        tree.sweep(1999, 100, &mut |ip| cooled.push(ip));
        assert!(cooled.is_empty());
        assert_eq!(tree.check(ip("80.1.2.3"), 2000), Verdict::Pass);
        tree.sweep(2000, 100, &mut |ip| cooled.push(ip));
        assert_eq!(cooled, [ip("80.1.2.3")]);
    }

    #[test]
    fn forgotten_byte_by_byte() {
        // Latency 4 s, swept every second: the request that brings the address back as a whole.
        for (pause, want) in [(3, 1), (4, 5), (7, 5), (8, 6), (11, 6), (12, 7), (20, 7)] {
            let tree = tree(16, 1000, 4000);
            for _ in 0..30 {
                tree.check(ip("20.1.2.3"), 0);
            }
            for second in 1..=pause {
                tree.sweep(second * 1000, 100, &mut |_| {});
            }
            let now = pause * 1000;
            let leaf = |t: &Tree| t.known(now).iter().any(|k| k.ip == ip("20.1.2.3") && k.hits[1] > 0);
            let back = (1..=10).find(|_| {
                tree.check(ip("20.1.2.3"), now);
                leaf(&tree)
            });
            assert_eq!(back, Some(want), "{pause}");
        }
        let tree = tree(16, 1000, 4000);
        tree.check(ip("20.1.2.3"), 0);
        tree.sweep(4000, 100, &mut |_| {});
        assert!(tree.is_empty());
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_hides_no_flooder() {
        let tree = tree(1, HOUR, HOUR);
        let mut n = 0u128;
        while n < 40_000 {
            n += 1;
            let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 32;
            tree.check(IpAddr::from(spread.to_be_bytes()), 0);
            let one = IpAddr::from((0x2001_0db8_u128 << 96 | n << 64 | spread).to_be_bytes());
            for _ in 0..8 {
                tree.check(one, 0);
            }
        }
        assert!(tree.len() > LIMIT / 2 && tree.len() <= LIMIT + 256 * RESERVE, "{}", tree.len());
        assert!(blocked_at(&tree, "2001:db8::1", 0, 40).is_some());
        assert!(blocked_at(&tree, "192.0.2.1", 0, 40).is_some());
    }
}
