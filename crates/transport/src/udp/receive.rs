//! Reading: one worker's arena, shared with whoever must take over its datagrams.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Socket;
use super::syscall::ReceiveRing;

/// The longest datagram: a UDP length field holds 16 bits.
pub const DATAGRAM_MAX: usize = 65_536;

/// Distance between slots beyond their size: 17 cache lines, so that the heads of the datagrams of a batch do not all fall into the
/// same cache set.
const SKEW: usize = 17 * 64;

/// Datagrams of one read.
pub struct Arrivals {
    ring: ReceiveRing,
    local: SocketAddr,
    wildcard: bool,
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arrivals({})", self.ring.len())
    }
}

impl Arrivals {
    /// How many.
    pub fn len(&self) -> usize {
        self.ring.len()
    }
    /// Whether the read ended without a datagram.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Sender, our address it was sent to, and bytes. `None` past the end and for what is no datagram of ours to read: truncated, or
    /// without an address.
    pub fn datagram(&self, i: usize) -> Option<(SocketAddr, SocketAddr, &[u8])> {
        let source = self.ring.source(i)?;
        let bytes = self.ring.bytes(i)?;
        let mut local = self.local;
        if self.wildcard
            && let Some(ip) = self.ring.destination(i)
        {
            local.set_ip(ip);
        }
        Some((source, local, bytes))
    }
}

/// Reads in a row that brought one datagram after which the next few do not look for a second: the kernel would try in vain, for a
/// twentieth of what the datagram costs.
const ALONE: u32 = 4;
/// Reads of a round; the first [`ALONE`] of it look for more.
const ROUND: u32 = 16;

/// A worker's reading side.
#[derive(Debug)]
pub struct Receiver {
    arrivals: Arc<Arrivals>,
    slots: usize,
    /// Reads in a row that brought no second datagram, in this round.
    alone: u32,
}

impl Receiver {
    /// Room for `slots` datagrams of any size per read.
    pub fn new(slots: usize) -> Receiver {
        Receiver { arrivals: Arc::new(arrivals(slots)), slots, alone: 0 }
    }

    /// Blocks until a datagram is there, [`Socket::wake`], [`Socket::close_reading`] or the read timeout; what else waits comes along.
    /// Empty for the last three. When somebody still holds the arrivals before, new memory is taken instead of waiting for them.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<&Arc<Arrivals>> {
        self.read(socket, true)
    }

    /// As [`Receiver::receive`], but does not wait: empty when nothing is there.
    pub fn receive_waiting(&mut self, socket: &Socket) -> io::Result<&Arc<Arrivals>> {
        self.read(socket, false)
    }

    fn read(&mut self, socket: &Socket, wait: bool) -> io::Result<&Arc<Arrivals>> {
        if Arc::get_mut(&mut self.arrivals).is_none() {
            self.arrivals = Arc::new(arrivals(self.slots));
        }
        let Some(a) = Arc::get_mut(&mut self.arrivals) else {
            return Err(io::Error::other("arrivals shared before they were filled"));
        };
        a.local = socket.local();
        a.wildcard = socket.is_wildcard();
        let one = wait && !a.wildcard && self.alone >= ALONE;
        let read = if one { a.ring.receive_one(socket.fd()) } else { a.ring.receive(socket.fd(), wait) };
        match read {
            // A wake-up arrives as one datagram without bytes or, once reading is closed, without a sender: callers skip both.
            Ok(n) => self.alone = if n > 1 { 0 } else { (self.alone + 1) % ROUND },
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) => {}
            // An ICMP error of an earlier send is reported on the socket once and says nothing about reading.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(e) => return Err(e),
        }
        Ok(&self.arrivals)
    }
}

fn arrivals(slots: usize) -> Arrivals {
    Arrivals {
        ring: ReceiveRing::new(slots.max(1), DATAGRAM_MAX, SKEW),
        local: SocketAddr::from(([0, 0, 0, 0], 0)),
        wildcard: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Socket};
    use super::*;
    use std::net::UdpSocket;

    fn socket(address: &str) -> Socket {
        Socket::bind(address.parse().unwrap(), &Options::default()).unwrap()
    }

    #[test]
    fn one_read_takes_what_is_waiting() {
        let s = socket("127.0.0.1:0");
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..5u8 {
            peer.send_to(&[b'a' + n; 3], s.local()).unwrap();
        }
        let mut r = Receiver::new(4);
        let first = r.receive(&s).unwrap();
        assert_eq!(first.len(), 4, "as many as there are slots");
        let (source, local, bytes) = first.datagram(1).unwrap();
        assert_eq!((source, local, bytes), (peer.local_addr().unwrap(), s.local(), b"bbb".as_slice()));
        assert!(first.datagram(4).is_none());
        let rest = r.receive(&s).unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest.datagram(0).unwrap().2, b"eee");
        assert!(rest.datagram(1).is_none(), "the first read's datagrams are gone");
    }

    #[test]
    fn single_datagrams_and_bursts_in_turn_all_arrive_once() {
        let s = socket("127.0.0.1:0");
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut r = Receiver::new(4);
        let (mut sent, mut got) = (0u8, Vec::new());
        let bursts = [1, 1, 1, 1, 1, 1, 3, 1, 9].into_iter().chain([1; 40]).chain([2; 9]).chain([9, 9, 4, 1]);
        for burst in bursts {
            for _ in 0..burst {
                peer.send_to(&vec![sent; usize::from(sent) + 1], s.local()).unwrap();
                sent += 1;
            }
            while got.len() < usize::from(sent) {
                let a = r.receive(&s).unwrap();
                for (source, local, bytes) in (0..a.len()).map(|i| a.datagram(i).unwrap()) {
                    assert_eq!((source, local), (peer.local_addr().unwrap(), s.local()));
                    assert_eq!(bytes.len(), usize::from(bytes[0]) + 1);
                    got.push(bytes[0]);
                }
            }
        }
        assert_eq!(got, (0..sent).collect::<Vec<_>>());
    }

    #[test]
    fn who_does_not_wait_takes_what_is_there() {
        let s = socket("127.0.0.1:0");
        let mut r = Receiver::new(4);
        assert!(r.receive_waiting(&s).unwrap().is_empty());
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"a", s.local()).unwrap();
        peer.send_to(b"b", s.local()).unwrap();
        assert_eq!(r.receive_waiting(&s).unwrap().len(), 2);
        assert!(r.receive_waiting(&s).unwrap().is_empty());
    }

    #[test]
    fn arrivals_somebody_holds_are_not_overwritten() {
        let s = socket("127.0.0.1:0");
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut r = Receiver::new(2);
        peer.send_to(b"kept", s.local()).unwrap();
        let kept = Arc::clone(r.receive(&s).unwrap());
        peer.send_to(b"next", s.local()).unwrap();
        assert_eq!(r.receive(&s).unwrap().datagram(0).unwrap().2, b"next");
        assert_eq!(kept.datagram(0).unwrap().2, b"kept");
    }

    #[test]
    fn the_largest_datagram_fits() {
        let s = socket("127.0.0.1:0");
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(&vec![7u8; 65_507], s.local()).unwrap();
        let mut r = Receiver::new(2);
        assert_eq!(r.receive(&s).unwrap().datagram(0).unwrap().2.len(), 65_507);
    }

    #[test]
    fn a_wildcard_socket_tells_the_address_each_datagram_was_sent_to() {
        for (bind, to) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
            let s = socket(bind);
            let to = SocketAddr::new(to.parse().unwrap(), s.local().port());
            let peer = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
            peer.send_to(b"x", to).unwrap();
            let mut r = Receiver::new(1);
            let a = r.receive(&s).unwrap();
            assert_eq!(a.datagram(0).unwrap().1, to);
        }
    }

    #[test]
    fn waking_and_closing_end_a_blocked_read() {
        let long = Options { read_timeout: std::time::Duration::from_secs(600), ..Options::default() };
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let s = Arc::new(Socket::bind(bind.parse().unwrap(), &long).unwrap());
            let t = Arc::clone(&s);
            let reader = std::thread::spawn(move || {
                let mut r = Receiver::new(1);
                let woken = r.receive(&t).unwrap().datagram(0).is_none_or(|d| d.2.is_empty());
                let closed = r.receive(&t).unwrap().datagram(0).is_none_or(|d| d.2.is_empty());
                (woken, closed)
            });
            s.wake().unwrap();
            s.close_reading();
            assert_eq!(reader.join().unwrap(), (true, true), "{bind}");
        }
    }
}
