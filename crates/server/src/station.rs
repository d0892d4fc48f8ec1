//! What other threads may see and take of a worker: a worker that is stuck in a script delays neither the datagrams it has already read
//! nor the replies it has already printed.
//!
//! The common path costs one uncontended lock per batch and one atomic step per datagram: the batch stays in the worker's arena and
//! everybody claims datagrams from it by index. Only who takes over copies bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use message::Transport;
use script::{Inbound, Outbox};
use transaction::SocketId;
use transport::udp::Arrivals;

/// A worker as others see it.
pub struct Station {
    /// Thread name, `udp-1`, `timer`.
    pub name: String,
    /// What it has printed and not sent.
    pub outbox: Outbox,
    /// Socket it reads; none for the timer.
    pub socket: Option<SocketId>,
    batch: Mutex<Option<Arc<Arrivals>>>,
    next: AtomicUsize,
    // Fingerprint of the datagram it works on.
    in_hand: AtomicU64,
    // Odd while in a message; only its worker writes it.
    progress: AtomicU64,
    waiting: AtomicBool,
    ordered: AtomicBool,
    order: Mutex<Option<Order>>,
}

/// What a worker is asked to do between messages: get ready for a loading of the script.
#[derive(Debug)]
pub struct Order {
    /// Number of the loading.
    pub generation: u16,
    /// Who waits for the answer.
    pub tell: Sender<Result<(), String>>,
}

impl Station {
    /// A worker that has not begun.
    pub fn new(name: String, socket: Option<SocketId>) -> Station {
        Station {
            name,
            outbox: Outbox::default(),
            socket,
            batch: Mutex::new(None),
            next: AtomicUsize::new(0),
            in_hand: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            ordered: AtomicBool::new(false),
            order: Mutex::new(None),
        }
    }
    /// Asks the worker to do something when it has done its message; it has to be woken when it waits.
    pub fn give(&self, order: Order) {
        *self.order.lock().unwrap_or_else(|e| e.into_inner()) = Some(order);
        self.ordered.store(true, Ordering::SeqCst);
    }
    /// Whether something was asked.
    pub fn is_ordered(&self) -> bool {
        self.ordered.load(Ordering::SeqCst)
    }
    /// What was asked; once.
    pub fn take_order(&self) -> Option<Order> {
        if !self.ordered.swap(false, Ordering::SeqCst) {
            return None;
        }
        self.order.lock().unwrap_or_else(|e| e.into_inner()).take()
    }
    /// The worker begins or ends a message.
    pub fn step(&self) {
        self.progress.store(self.progress.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }
    /// How often it has begun or ended a message.
    pub fn steps(&self) -> u64 {
        self.progress.load(Ordering::Acquire)
    }
    /// The number of the message it is in; the same number some time later means it is still in that one.
    pub fn in_message(&self) -> Option<u64> {
        Some(self.progress.load(Ordering::Acquire)).filter(|p| p % 2 == 1)
    }
    /// The worker begins with this datagram; before [`Station::step`].
    pub fn take_in_hand(&self, datagram: &[u8]) {
        self.in_hand.store(fingerprint(datagram), Ordering::Relaxed);
    }
    /// Whether it is in a message with this fingerprint.
    pub fn has_in_hand(&self, fingerprint: u64) -> bool {
        self.in_message().is_some() && self.in_hand.load(Ordering::Relaxed) == fingerprint
    }
    /// The worker is about to wait for the network, or has stopped waiting.
    pub fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }
    /// Whether it waits for the network.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }
    /// Lays the batch out; datagrams are claimed from now on.
    pub fn offer(&self, arrivals: &Arc<Arrivals>) {
        let mut batch = self.batch();
        self.next.store(0, Ordering::Relaxed);
        *batch = Some(arrivals.clone());
    }
    /// Claims the next datagram's index: whoever gets it handles it. It may lie past the end.
    pub fn claim(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
    /// Takes the batch away when its worker is through.
    pub fn withdraw(&self) {
        *self.batch() = None;
    }
    /// Copies out the datagrams nobody has claimed yet.
    pub fn take_over(&self) -> Vec<Orphan> {
        let Some(socket) = self.socket else { return Vec::new() };
        // Held over the claims, so that the worker cannot lay out its next batch in between.
        let batch = self.batch();
        let Some(arrivals) = batch.as_ref() else { return Vec::new() };
        let mut taken = Vec::new();
        while self.next.load(Ordering::Relaxed) < arrivals.len() {
            let Some((source, local, bytes)) = arrivals.datagram(self.claim()) else { continue };
            let inbound = Inbound { source, local, socket, transport: Transport::Udp };
            taken.push(Orphan { inbound, bytes: bytes.into() });
        }
        taken
    }
    fn batch(&self) -> MutexGuard<'_, Option<Arc<Arrivals>>> {
        self.batch.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What tells a retransmission, which has the same bytes, from other requests. A word at a time in four lanes: every message pays for
/// this. Two requests that only differ past the first 512 bytes count as one; Via and Call-ID, which differ, come first.
pub fn fingerprint(datagram: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [datagram.len() as u64, 1, 2, 3];
    let head = datagram.get(..512).unwrap_or(datagram);
    let (chunks, rest) = head.as_chunks::<32>();
    for chunk in chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(ODD).rotate_left(29);
        }
    }
    let mut all = lanes.iter().fold(0, |all: u64, lane| (all.rotate_left(17) ^ lane).wrapping_mul(ODD));
    for byte in rest {
        all = (all ^ u64::from(*byte)).wrapping_mul(ODD).rotate_left(29);
    }
    all
}

/// A datagram whose worker is stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// How it came in.
    pub inbound: Inbound,
    /// Its bytes.
    pub bytes: Box<[u8]>,
}

/// Datagrams taken over, for the next worker that is free. Bounded by what the workers' batches hold, as workers look here before they
/// read more, and by what [`crate::busy`] keeps.
#[derive(Default)]
pub struct Orphans {
    queue: Mutex<VecDeque<Orphan>>,
    count: AtomicUsize,
}

impl Orphans {
    /// Adds some.
    pub fn add(&self, orphans: Vec<Orphan>) {
        if orphans.is_empty() {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(|e| e.into_inner());
        queue.extend(orphans);
        self.count.store(queue.len(), Ordering::SeqCst);
    }
    /// How many wait.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
    /// All that came in by a socket.
    pub fn take_of(&self, socket: SocketId) -> Vec<Orphan> {
        let mut queue = self.queue.lock().unwrap_or_else(|e| e.into_inner());
        let (taken, left): (VecDeque<_>, _) = queue.drain(..).partition(|o| o.inbound.socket == socket);
        *queue = left;
        self.count.store(queue.len(), Ordering::SeqCst);
        taken.into()
    }
    /// The oldest.
    pub fn take(&self) -> Option<Orphan> {
        if self.len() == 0 {
            return None;
        }
        let mut queue = self.queue.lock().unwrap_or_else(|e| e.into_inner());
        let first = queue.pop_front();
        self.count.store(queue.len(), Ordering::SeqCst);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use transport::udp::{Options, Receiver, Socket};

    fn arrivals(texts: &[&str]) -> Arc<Arrivals> {
        let s = Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        texts.iter().for_each(|t| {
            peer.send_to(t.as_bytes(), s.local()).unwrap();
        });
        Receiver::new(8).receive(&s).unwrap().clone()
    }

    #[test]
    fn each_datagram_is_handled_once() {
        let station = Station::new("udp-1".into(), Some(SocketId(0)));
        let batch = arrivals(&["a", "b", "c", "d"]);
        station.offer(&batch);
        assert_eq!(station.claim(), 0);
        let taken = station.take_over();
        let texts: Vec<&[u8]> = taken.iter().map(|o| o.bytes.as_ref()).collect();
        assert_eq!(texts, [b"b", b"c", b"d"]);
        assert!(batch.datagram(station.claim()).is_none(), "nothing is left for the worker");
        assert!(station.take_over().is_empty());
    }

    #[test]
    fn a_withdrawn_batch_cannot_be_taken() {
        let station = Station::new("udp-1".into(), Some(SocketId(0)));
        station.offer(&arrivals(&["a"]));
        station.withdraw();
        assert!(station.take_over().is_empty());
    }

    #[test]
    fn progress_tells_the_same_message_from_another() {
        let station = Station::new("udp-1".into(), None);
        assert_eq!(station.in_message(), None);
        station.step();
        let first = station.in_message();
        station.step();
        assert_eq!(station.in_message(), None);
        station.step();
        assert!(first.is_some() && station.in_message() != first);
    }

    #[test]
    fn a_retransmission_has_the_fingerprint_of_its_request() {
        let text = format!("INVITE sip:a SIP/2.0\r\nVia: x;branch=z9hG4bK1\r\n{}", "x".repeat(700));
        let other = text.replace("bK1", "bK2");
        assert_eq!(fingerprint(text.as_bytes()), fingerprint(text.clone().as_bytes()));
        assert_ne!(fingerprint(text.as_bytes()), fingerprint(other.as_bytes()));
        assert_ne!(fingerprint(b"short 1"), fingerprint(b"short 2"));
        let station = Station::new("udp-1".into(), None);
        station.take_in_hand(text.as_bytes());
        assert!(!station.has_in_hand(fingerprint(text.as_bytes())), "in no message");
        station.step();
        assert!(station.has_in_hand(fingerprint(text.as_bytes())));
        assert!(!station.has_in_hand(fingerprint(other.as_bytes())));
    }

    #[test]
    fn orphans_of_a_socket() {
        let orphans = Orphans::default();
        for (number, texts) in [(0, ["a", "b"]), (1, ["c", "d"])] {
            let station = Station::new("udp-1".into(), Some(SocketId(number)));
            station.offer(&arrivals(&texts));
            orphans.add(station.take_over());
        }
        let texts: Vec<Box<[u8]>> = orphans.take_of(SocketId(1)).into_iter().map(|o| o.bytes).collect();
        assert_eq!(texts, [b"c".as_slice().into(), b"d".as_slice().into()]);
        assert_eq!(orphans.len(), 2);
    }

    #[test]
    fn orphans_keep_their_order() {
        let orphans = Orphans::default();
        let station = Station::new("udp-1".into(), Some(SocketId(0)));
        station.offer(&arrivals(&["a", "b"]));
        orphans.add(station.take_over());
        assert_eq!(orphans.len(), 2);
        assert_eq!(orphans.take().map(|o| o.bytes), Some(b"a".as_slice().into()));
        assert_eq!(orphans.take().map(|o| o.bytes), Some(b"b".as_slice().into()));
        assert_eq!((orphans.take(), orphans.len()), (None, 0));
    }
}
