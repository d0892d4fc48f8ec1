//! The network: datagrams in flight, what happens to them on the way, and the one clock.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use transaction::{Now, Timestamp};

use crate::Random;

/// A datagram to be sent: from, to, bytes.
pub type Datagram = (SocketAddr, SocketAddr, Vec<u8>);

/// Something with addresses on the network.
pub trait Node: Any {
    /// A datagram arrived.
    fn receive(&mut self, now: Now, from: SocketAddr, to: SocketAddr, bytes: &[u8], out: &mut Vec<Datagram>);
    /// When it wants to be called by [`Node::handle_timeout`].
    fn poll_timeout(&self) -> Option<Timestamp>;
    /// That time has come.
    fn handle_timeout(&mut self, now: Now, out: &mut Vec<Datagram>);
}

/// A node of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

/// What a link does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// Shortest way.
    pub delay: Duration,
    /// Up to so much longer: what makes datagrams overtake each other.
    pub jitter: Duration,
    /// Lost, in a thousand.
    pub loss: u32,
    /// Arriving twice, in a thousand.
    pub duplication: u32,
}

impl Conditions {
    /// Nothing is lost and the way takes no time.
    pub const PERFECT: Conditions =
        Conditions { delay: Duration::ZERO, jitter: Duration::ZERO, loss: 0, duplication: 0 };
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Delivered(Timestamp),
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Duplicated(Timestamp, Timestamp),
    /// There is nobody at that address.
    Unreachable,
}

/// A line of the network's diary.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When it was sent.
    pub at: Timestamp,
    /// From there.
    pub from: SocketAddr,
    /// To there.
    pub to: SocketAddr,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What became of it.
    pub fate: Fate,
}

/// A datagram under way, ordered by its arrival and then by its sending.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    arrival: Timestamp,
    number: u64,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// Decides that a datagram gets lost.
type Loses = Box<dyn FnMut(&Sent) -> bool>;

/// Nodes, datagrams in flight, and the clock.
pub struct Network {
    now: Timestamp,
    random: Random,
    conditions: Conditions,
    links: HashMap<(SocketAddr, SocketAddr), Conditions>,
    loses: Option<Loses>,
    nodes: Vec<Box<dyn Node>>,
    addresses: HashMap<SocketAddr, usize>,
    flights: BinaryHeap<Reverse<Flight>>,
    sent: Vec<Sent>,
    number: u64,
}

impl Network {
    /// An empty network. The same seed and the same nodes give the same run.
    pub fn new(seed: u64, conditions: Conditions) -> Network {
        Network {
            now: Timestamp(0),
            random: Random::new(seed),
            conditions,
            links: HashMap::new(),
            loses: None,
            nodes: Vec::new(),
            addresses: HashMap::new(),
            flights: BinaryHeap::new(),
            sent: Vec::new(),
            number: 0,
        }
    }

    /// Adds a node that listens at these addresses.
    pub fn add(&mut self, addresses: &[SocketAddr], node: impl Node) -> NodeId {
        let id = self.nodes.len();
        self.addresses.extend(addresses.iter().map(|address| (*address, id)));
        self.nodes.push(Box::new(node));
        NodeId(id)
    }

    /// Conditions of one direction of one link.
    pub fn link(&mut self, from: SocketAddr, to: SocketAddr, conditions: Conditions) {
        self.links.insert((from, to), conditions);
    }

    /// Loses exactly the datagrams for which `loses` says so (besides those that chance takes).
    pub fn lose(&mut self, loses: impl FnMut(&Sent) -> bool + 'static) {
        self.loses = Some(Box::new(loses));
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The time as nodes get it; the wall clock began on 1 January 2026.
    pub fn clock(&self) -> Now {
        Now { mono: self.now, unix_micros: 1_767_225_600_000_000 + self.now.0 / 1_000 }
    }

    /// A node, as what it is.
    ///
    /// # Panics
    /// When it is something else.
    pub fn node<T: Node>(&self, id: NodeId) -> &T {
        let node: &dyn Any = &*self.nodes[id.0];
        node.downcast_ref().expect("a node of this type")
    }

    /// A node, to be told something.
    ///
    /// # Panics
    /// When it is something else.
    pub fn node_mut<T: Node>(&mut self, id: NodeId) -> &mut T {
        let node: &mut dyn Any = &mut *self.nodes[id.0];
        node.downcast_mut().expect("a node of this type")
    }

    /// Everything that was sent so far.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Sends a datagram by hand.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.dispatch(vec![(from, to, bytes.to_vec())]);
    }

    /// When the next thing happens.
    pub fn next_event(&self) -> Option<Timestamp> {
        let arrival = self.flights.peek().map(|Reverse(flight)| flight.arrival);
        self.nodes.iter().filter_map(|node| node.poll_timeout()).chain(arrival).min()
    }

    /// Lets time pass to `end`, and whatever happens on the way happen.
    pub fn run_until(&mut self, end: Timestamp) {
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.happen();
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until nothing is left to happen, at most to `end`. Whether it came to rest.
    pub fn run_to_rest(&mut self, end: Timestamp) -> bool {
        while let Some(next) = self.next_event() {
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            self.happen();
        }
        true
    }

    /// Arrivals of this moment first, then timers: a reply that is there beats its timeout.
    fn happen(&mut self) {
        let mut out = Vec::new();
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.arrival <= self.now) {
            let Some(Reverse(flight)) = self.flights.pop() else { break };
            if let Some(id) = self.addresses.get(&flight.to) {
                let clock = self.clock();
                self.nodes[*id].receive(clock, flight.from, flight.to, &flight.bytes, &mut out);
            }
            self.dispatch(std::mem::take(&mut out));
        }
        for id in 0..self.nodes.len() {
            if self.nodes[id].poll_timeout().is_some_and(|at| at <= self.now) {
                let clock = self.clock();
                self.nodes[id].handle_timeout(clock, &mut out);
                self.dispatch(std::mem::take(&mut out));
            }
        }
    }

    fn dispatch(&mut self, datagrams: Vec<Datagram>) {
        for (from, to, bytes) in datagrams {
            let mut sent = Sent { at: self.now, from, to, bytes, fate: Fate::Lost };
            sent.fate = self.fate(&sent);
            match sent.fate {
                Fate::Delivered(arrival) => self.fly(arrival, &sent),
                Fate::Duplicated(first, second) => {
                    self.fly(first, &sent);
                    self.fly(second, &sent);
                }
                Fate::Lost | Fate::Unreachable => {}
            }
            self.sent.push(sent);
        }
    }

    fn fate(&mut self, sent: &Sent) -> Fate {
        if !self.addresses.contains_key(&sent.to) {
            return Fate::Unreachable;
        }
        if self.loses.as_mut().is_some_and(|loses| loses(sent)) {
            return Fate::Lost;
        }
        let conditions = *self.links.get(&(sent.from, sent.to)).unwrap_or(&self.conditions);
        if self.random.chance(conditions.loss) {
            return Fate::Lost;
        }
        let jitter = conditions.jitter.as_nanos() as u64;
        let mut arrival =
            || self.now + conditions.delay + Duration::from_nanos(self.random.below(jitter + 1));
        let (first, second) = (arrival(), arrival());
        match self.random.chance(conditions.duplication) {
            true => Fate::Duplicated(first, second),
            false => Fate::Delivered(first),
        }
    }

    fn fly(&mut self, arrival: Timestamp, sent: &Sent) {
        self.number += 1;
        self.flights.push(Reverse(Flight {
            arrival,
            number: self.number,
            from: sent.from,
            to: sent.to,
            bytes: sent.bytes.clone(),
        }));
    }
}
