//! What modules that control RTP relays share: sets of nodes with weights, which node a call goes to, and which of them are there;
//! and what `..._manage` does for a message.

mod manage;
mod pool;

use std::hash::Hasher;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use script::exchange::Peer;

pub(crate) use manage::{Deed, deed};
pub(crate) use pool::{Attempt, Columns, Pool};

/// Most nodes in all sets of a module.
pub(crate) const MAX_NODES: usize = 1000;

/// Seconds for which one caller sees whether a node is there; longer than it takes.
const CLAIM: u64 = 10;

/// Whether a node takes questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has asked yet.
    Unknown,
    /// It answered.
    Up,
    /// It did not answer; asked again after a while.
    Down,
    /// An operator took it out.
    Off,
}

/// A relay.
#[derive(Debug)]
pub(crate) struct Node {
    /// As it was written: `udp:127.0.0.1:7722`.
    pub url: String,
    /// Whom to ask.
    pub peer: Peer,
    /// Share of calls; 0 gets none while others are there.
    pub weight: u32,
    state: AtomicU8,
    /// Second of the monotonic clock from which it is asked again.
    again: AtomicU64,
    /// Second of the last look before its time.
    probed: AtomicU64,
    /// Features it told of, in the module's own bits.
    pub features: AtomicU64,
}

impl Node {
    /// From `udp:host:port`, `udp6:[::1]:port`, `unix:/path` or a path alone, with `=weight` behind it or not.
    pub fn parse(text: &str) -> Result<Node, String> {
        let (url, weight) = match text.rsplit_once('=') {
            Some((url, weight)) => match weight.trim().parse() {
                Ok(weight) => (url, weight),
                Err(_) => return Err(format!("{text}: the weight is a number")),
            },
            None => (text, 1),
        };
        let url = url.trim();
        let peer = peer(url)?;
        Ok(Node {
            url: url.to_owned(),
            peer,
            weight,
            state: AtomicU8::new(State::Unknown as u8),
            again: AtomicU64::new(0),
            probed: AtomicU64::new(0),
            features: AtomicU64::new(0),
        })
    }
    /// Whether it takes questions.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            1 => State::Up,
            2 => State::Down,
            3 => State::Off,
            _ => State::Unknown,
        }
    }
    fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
    /// It answered. Says so when it did not before.
    pub fn up(&self, module: &str) {
        if self.state() != State::Up {
            self.set_state(State::Up);
            tracing::info!(target: "relay", module, node = %self.url, "RTP relay answers: calls go to it");
        }
    }
    /// It did not answer: it is left alone until then.
    pub fn down(&self, module: &str, why: &str, until: u64) {
        self.again.store(until, Ordering::Relaxed);
        if !matches!(self.state(), State::Down | State::Off) {
            self.set_state(State::Down);
            tracing::error!(target: "relay", module, node = %self.url, "RTP relay does not answer ({why}): calls go to others while it is away");
        }
    }
    /// An operator's wish.
    pub fn switch(&self, on: bool) {
        self.again.store(0, Ordering::Relaxed);
        self.set_state(if on { State::Unknown } else { State::Off });
    }
    /// Seconds until it is asked again, 0 for one that is up.
    pub fn recheck(&self, now: u64) -> u64 {
        if self.state() == State::Down { self.again.load(Ordering::Relaxed).saturating_sub(now) } else { 0 }
    }
    /// Whether the caller is to see whether it is there: one caller at a time, so that a node that is away holds up one message, not all.
    pub fn claim(&self, now: u64) -> bool {
        let again = self.again.load(Ordering::Relaxed);
        again <= now
            && self.again.compare_exchange(again, now + CLAIM, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
    /// The same before its time, once a second.
    pub fn claim_early(&self, now: u64) -> bool {
        let probed = self.probed.load(Ordering::Relaxed);
        probed < now
            && self.probed.compare_exchange(probed, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
    /// Whether a call may be tried with it: it is up, or it is time to see whether it is there.
    pub fn may_be_tried(&self, now: u64) -> bool {
        match self.state() {
            State::Up => true,
            State::Unknown | State::Down => self.again.load(Ordering::Relaxed) <= now,
            State::Off => false,
        }
    }
}

fn peer(url: &str) -> Result<Peer, String> {
    let (kind, rest) = url.split_once(':').unwrap_or(("", url));
    let v6 = match kind.to_ascii_lowercase().as_str() {
        // As Kamailio: a name is looked up for IPv4 unless `udp6` is written.
        "udp" | "udp4" => Some(false),
        "udp6" => Some(true),
        "unix" => return Ok(Peer::Unix(rest.to_owned())),
        "" if rest.starts_with('/') => return Ok(Peer::Unix(rest.to_owned())),
        "ws" | "wss" => return Err(format!("{url}: WebSocket is not supported, use udp:")),
        _ => return Err(format!("{url}: a node is udp:host:port, udp6:host:port or unix:/path")),
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| format!("{url}: the port is missing"))?;
    let port = port.trim().parse().ok().filter(|p| *p != 0);
    let port = port.ok_or_else(|| format!("{url}: the port is a number from 1 to 65535"))?;
    let host = host.trim().trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(format!("{url}: the host is missing"));
    }
    Ok(Peer::Udp { host: host.to_owned(), port, v6 })
}

/// Sets of nodes by number.
#[derive(Debug, Default)]
pub(crate) struct Sets(Vec<(i64, Vec<Node>)>);

impl Sets {
    /// Takes a parameter: `udp:a:1 udp:b:2=2`, with `1 == ` before it for another set than `default`.
    pub fn add(&mut self, text: &str, default: i64) -> Result<(), String> {
        let (set, nodes) = match text.split_once("==") {
            Some((set, nodes)) => {
                let set = set.trim().parse().map_err(|_| format!("{text}: the set is a number"))?;
                (set, nodes)
            }
            None => (default, text),
        };
        for node in nodes.split([' ', ';', ',', '\t']).map(str::trim).filter(|n| !n.is_empty()) {
            self.push(set, Node::parse(node)?)?;
        }
        Ok(())
    }
    /// Adds a node to a set.
    pub fn push(&mut self, set: i64, node: Node) -> Result<(), String> {
        if self.nodes().count() >= MAX_NODES {
            return Err(format!("more than {MAX_NODES} nodes"));
        }
        match self.0.iter_mut().find(|(n, _)| *n == set) {
            Some((_, nodes)) => nodes.push(node),
            None => self.0.push((set, vec![node])),
        }
        Ok(())
    }
    /// Takes over what is known about nodes that were there before.
    pub fn remember(&self, before: &Sets) {
        for (_, node) in self.nodes() {
            let known = before.nodes().find(|(_, o)| o.url == node.url && o.state() != State::Off);
            if let Some((_, old)) = known.filter(|_| node.state() != State::Off) {
                node.set_state(old.state());
                node.again.store(old.again.load(Ordering::Relaxed), Ordering::Relaxed);
                node.features.store(old.features.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }
    /// Nodes of a set; `None` when there is no such set.
    pub fn set(&self, set: i64) -> Option<&[Node]> {
        self.0.iter().find(|(n, _)| *n == set).map(|(_, nodes)| nodes.as_slice())
    }
    /// All nodes with their set.
    pub fn nodes(&self) -> impl Iterator<Item = (i64, &Node)> {
        self.0.iter().flat_map(|(set, nodes)| nodes.iter().map(|n| (*set, n)))
    }
    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Nodes in the order in which a call tries them. The same call always has the same order (weighted rendezvous hashing): when a node goes
/// away only its own calls move, and they come back with it.
pub(crate) fn order<'n>(nodes: &'n [Node], call: &[u8]) -> Vec<&'n Node> {
    let mut scored: Vec<(f64, &Node)> = nodes.iter().map(|n| (score(n, call), n)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|(_, n)| n).collect()
}

fn score(node: &Node, call: &[u8]) -> f64 {
    let mut hash = Stable(0xcbf2_9ce4_8422_2325);
    hash.write(call);
    hash.write(b"\0");
    hash.write(node.url.as_bytes());
    // Mixed once more: the low bits of FNV are poor.
    let mixed = (hash.0 ^ (hash.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let unit = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(node.weight) / unit.ln()
}

/// FNV-1a: the same in every process, so that a call keeps its node over a restart.
struct Stable(u64);

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_as_they_are_written() {
        let mut sets = Sets::default();
        sets.add("udp:localhost:7722 udp6:[::1]:7723=3", 0).expect("fine");
        sets.add(" 2 == unix:/run/rtpproxy.sock", 0).expect("fine");
        let nodes: Vec<_> = sets.nodes().map(|(s, n)| (s, n.url.as_str(), n.weight)).collect();
        assert_eq!(
            nodes,
            [(0, "udp:localhost:7722", 1), (0, "udp6:[::1]:7723", 3), (2, "unix:/run/rtpproxy.sock", 1)]
        );
        assert_eq!(sets.set(0).map(<[_]>::len), Some(2));
        assert!(sets.set(1).is_none());
        for bad in ["udp:host", "udp:host:0", "udp::1", "x:host:1", "udp:h:1=x", "a == udp:h:1", "ws://h:1"] {
            assert!(Sets::default().add(bad, 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn calls_are_spread_by_weight_and_stay_where_they_are() {
        let nodes: Vec<Node> =
            ["udp:a:1=3", "udp:b:1", "udp:c:1=0"].iter().map(|t| Node::parse(t).expect("fine")).collect();
        let first = |call: usize| order(&nodes, format!("call-{call}@h").as_bytes())[0].url.clone();
        let of = |url: &str| (0..4000).filter(|c| first(*c) == url).count();
        assert!((2800..3200).contains(&of("udp:a:1")), "{}", of("udp:a:1"));
        assert_eq!(of("udp:c:1"), 0);
        assert_eq!(order(&nodes, b"x").last().map(|n| n.url.as_str()), Some("udp:c:1"));
    }

    #[test]
    fn states() {
        let node = Node::parse("udp:h:1").expect("fine");
        assert!(node.may_be_tried(0));
        node.down("m", "no answer in time", 60);
        assert_eq!((node.may_be_tried(59), node.may_be_tried(60), node.recheck(10)), (false, true, 50));
        // One looks whether it is back, the others go elsewhere meanwhile.
        assert_eq!([node.claim(59), node.claim(60), node.claim(60)], [false, true, false]);
        assert_eq!([node.claim_early(61), node.claim_early(61), node.claim_early(62)], [true, false, true]);
        node.up("m");
        assert_eq!((node.state(), node.recheck(10)), (State::Up, 0));
        node.switch(false);
        assert!(!node.may_be_tried(1000));
        node.down("m", "no answer in time", 60);
        assert_eq!(node.state(), State::Off);
        node.switch(true);
        assert!(node.may_be_tried(0));
    }
}
