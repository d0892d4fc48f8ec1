//! Sending: batches in runs of one socket, in them what goes to one peer together (it is cheaper that way); the order for each peer is
//! kept. What the kernel refuses is counted and the rest still goes out.

use std::io;
use std::net::SocketAddr;

use transaction::SocketId;

use super::Socket;
use super::syscall::{SendRing, wait_writable};

/// How long a full send buffer is waited for before a datagram is given up: UDP may lose it, workers must not stand.
const FULL_WAIT_MS: i32 = 20;

/// What became of the datagrams of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// Taken by the kernel.
    pub sent: u64,
    /// Longer than a datagram can be (`EMSGSIZE`).
    pub too_long: u64,
    /// The send buffer stayed full.
    pub buffer_full: u64,
    /// No route, refused, not permitted by a firewall, other family, unknown socket.
    pub unreachable: u64,
}

impl SendCounts {
    /// Datagrams that did not leave.
    pub fn failed(&self) -> u64 {
        self.too_long + self.buffer_full + self.unreachable
    }
}

/// A worker's sending side.
pub struct Sender {
    ring: SendRing,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({})", self.ring.capacity())
    }
}

impl Sender {
    /// Sends at most `slots` datagrams per system call.
    pub fn new(slots: usize) -> Sender {
        Sender { ring: SendRing::new(slots.max(1)) }
    }

    /// Sends all datagrams, those for one peer in order. `sockets` are indexed by [`SocketId`]; `failed` is told of each datagram that did not leave.
    pub fn send<'a>(
        &mut self,
        sockets: &[impl AsRef<Socket>],
        datagrams: impl IntoIterator<Item = (SocketId, SocketAddr, &'a [u8])>,
        mut failed: impl FnMut(SocketAddr, &io::Error),
    ) -> SendCounts {
        let mut counts = SendCounts::default();
        let mut datagrams = datagrams.into_iter();
        let Some(first) = datagrams.next() else { return counts };
        let Some(second) = datagrams.next() else {
            // Alone, as it is while the traffic is light: nothing to put together.
            self.flush(sockets, first.0, &[(first.1, first.2)], &mut counts, &mut failed);
            return counts;
        };
        let mut run: [(SocketAddr, &[u8]); RUN] = [(SocketAddr::V4(UNSET), &[]); RUN];
        let mut held = 0;
        let mut run_socket = SocketId(0);
        let most = RUN.min(self.ring.capacity());
        for (socket, to, bytes) in [first, second].into_iter().chain(datagrams) {
            if held == most || (held > 0 && socket != run_socket) {
                self.flush(sockets, run_socket, &run[..held], &mut counts, &mut failed);
                held = 0;
            }
            run_socket = socket;
            run[held] = (to, bytes);
            held += 1;
        }
        if held > 0 {
            self.flush(sockets, run_socket, &run[..held], &mut counts, &mut failed);
        }
        counts
    }

    fn flush(
        &mut self,
        sockets: &[impl AsRef<Socket>],
        id: SocketId,
        run: &[(SocketAddr, &[u8])],
        counts: &mut SendCounts,
        failed: &mut impl FnMut(SocketAddr, &io::Error),
    ) {
        let Some(socket) = sockets.get(usize::from(id.0)).map(AsRef::as_ref) else {
            let none = io::Error::new(io::ErrorKind::NotFound, "no such socket");
            run.iter().for_each(|(to, _)| failed(*to, &none));
            counts.unreachable += run.len() as u64;
            return;
        };
        if run.len() < 3 {
            return self.flush_in_order(socket, run, counts, failed);
        }
        let mut grouped = [(SocketAddr::V4(UNSET), &[] as &[u8]); RUN];
        let run = by_peer(run, &mut grouped).unwrap_or(run);
        self.flush_in_order(socket, run, counts, failed);
    }

    fn flush_in_order(
        &mut self,
        socket: &Socket,
        mut run: &[(SocketAddr, &[u8])],
        counts: &mut SendCounts,
        failed: &mut impl FnMut(SocketAddr, &io::Error),
    ) {
        let mut waited = false;
        while let Some(((to, _), rest)) = run.split_first() {
            let error = match self.ring.send(socket.fd(), run) {
                Ok(n) => {
                    counts.sent += n as u64;
                    run = run.get(n.max(1)..).unwrap_or_default();
                    waited = false;
                    continue;
                }
                Err(e) => e,
            };
            match error.raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::EAGAIN | libc::ENOBUFS) if !waited => {
                    waited = true;
                    wait_writable(socket.fd(), FULL_WAIT_MS);
                    continue;
                }
                // An error that an earlier datagram left on the socket (ICMP): it is cleared by being read, this one was not sent.
                Some(libc::ECONNREFUSED) if !waited => {
                    waited = true;
                    continue;
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => counts.buffer_full += 1,
                Some(libc::EMSGSIZE) => counts.too_long += 1,
                _ => counts.unreachable += 1,
            }
            failed(*to, &error);
            waited = false;
            run = rest;
        }
    }
}

/// Puts what goes to one peer together, in its order; `None` when that changes nothing or there are too many peers for it to pay.
fn by_peer<'r, 'a>(
    run: &[(SocketAddr, &'a [u8])],
    into: &'r mut [(SocketAddr, &'a [u8]); RUN],
) -> Option<&'r [(SocketAddr, &'a [u8])]> {
    let mut peers = [(SocketAddr::V4(UNSET), 0usize); PEERS];
    let mut known = 0;
    let mut of = [0u8; RUN];
    let mut mixed = false;
    let mut last = 0;
    for ((to, _), of) in run.iter().zip(&mut of) {
        let seen = peers.get(..known)?.iter().position(|(peer, _)| peer == to);
        let peer = match seen {
            Some(peer) => peer,
            None => {
                peers.get_mut(known)?.0 = *to;
                known += 1;
                known - 1
            }
        };
        mixed |= peer < last;
        last = peer;
        *of = peer as u8;
        peers.get_mut(peer)?.1 += 1;
    }
    if !mixed {
        return None;
    }
    let mut next = 0;
    for (_, count) in &mut peers {
        (*count, next) = (next, next + *count);
    }
    for (datagram, of) in run.iter().zip(&of) {
        let place = &mut peers.get_mut(usize::from(*of))?.1;
        *into.get_mut(*place)? = *datagram;
        *place += 1;
    }
    into.get(..run.len())
}

/// Peers told apart in a run.
const PEERS: usize = 8;
/// Datagrams collected per system call.
const RUN: usize = 64;
const UNSET: std::net::SocketAddrV4 = std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);

impl AsRef<Socket> for Socket {
    fn as_ref(&self) -> &Socket {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Socket};
    use super::*;
    use std::net::UdpSocket;

    fn take(peer: &UdpSocket) -> Vec<u8> {
        let mut b = vec![0; 70_000];
        let n = peer.recv(&mut b).unwrap();
        b.truncate(n);
        b
    }

    #[test]
    fn every_good_datagram_leaves_whatever_stands_between() {
        let options = Options::default();
        let v4 = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let v6 = Socket::bind("[::1]:0".parse().unwrap(), &options).unwrap();
        let p4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let p6 = UdpSocket::bind("[::1]:0").unwrap();
        let (a4, a6) = (p4.local_addr().unwrap(), p6.local_addr().unwrap());
        let long = vec![0u8; 65_530];
        let batch: Vec<(SocketId, SocketAddr, &[u8])> = vec![
            (SocketId(0), a4, b"one"),
            (SocketId(0), a4, &long),
            (SocketId(0), a4, b"two"),
            (SocketId(1), a4, b"wrong family"),
            (SocketId(1), a6, b"three"),
            (SocketId(9), a6, b"no such socket"),
            (SocketId(0), a4, b"four"),
        ];
        let mut refused = Vec::new();
        let counts = Sender::new(64).send(&[v4, v6], batch, |to, e| refused.push((to, e.to_string())));
        assert_eq!(counts, SendCounts { sent: 4, too_long: 1, buffer_full: 0, unreachable: 2 });
        assert_eq!(refused.len(), 3, "{refused:?}");
        assert_eq!([take(&p4), take(&p4), take(&p4)], [b"one".to_vec(), b"two".to_vec(), b"four".to_vec()]);
        assert_eq!(take(&p6), b"three");
    }

    #[test]
    fn a_batch_longer_than_one_call_keeps_its_order() {
        let s = Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = peer.local_addr().unwrap();
        let bytes: Vec<[u8; 1]> = (0..150u8).map(|n| [n]).collect();
        let counts =
            Sender::new(7)
                .send(&[s], bytes.iter().map(|b| (SocketId(0), to, b.as_slice())), |_, e| panic!("{e}"));
        assert_eq!(counts.sent, 150);
        for b in &bytes {
            assert_eq!(take(&peer), b);
        }
    }

    #[test]
    fn neighbours_of_one_length_arrive_each_for_itself() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let s = Socket::bind(address.parse().unwrap(), &Options::default()).unwrap();
            let peers: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind(address).unwrap()).collect();
            let mut sent: [Vec<Vec<u8>>; 2] = Default::default();
            let mut batch = Vec::new();
            // Runs of one length, a shorter one at the end of a run, a longer one after it, another peer in between, and more bytes than
            // one message holds.
            for (n, (peer, length)) in [(0, 500); 40]
                .into_iter()
                .chain([(0, 300), (1, 300), (0, 300), (0, 900), (0, 900)])
                .chain([(1, 30_000); 4])
                .enumerate()
            {
                sent[peer].push(vec![n as u8; length]);
                batch.push((peer, n, length));
            }
            let bytes: Vec<Vec<u8>> = batch.iter().map(|(_, n, length)| vec![*n as u8; *length]).collect();
            let datagrams = batch
                .iter()
                .zip(&bytes)
                .map(|((peer, ..), b)| (SocketId(0), peers[*peer].local_addr().unwrap(), b.as_slice()));
            let counts = Sender::new(64).send(&[s], datagrams, |_, e| panic!("{e}"));
            assert_eq!(counts.sent, batch.len() as u64);
            for (peer, sent) in peers.iter().zip(&sent) {
                for b in sent {
                    assert!(take(peer) == *b);
                }
            }
        }
    }

    #[test]
    fn what_goes_to_one_peer_goes_together_in_its_order() {
        let peer = |n: u16| SocketAddr::from(([127, 0, 0, 1], n));
        let bytes: Vec<[u8; 1]> = (0..64u8).map(|n| [n]).collect();
        let run = |peers: &[u16]| -> Vec<(SocketAddr, &[u8])> {
            peers.iter().zip(&bytes).map(|(p, b)| (peer(*p), b.as_slice())).collect()
        };
        let mut into = [(peer(0), &[] as &[u8]); RUN];
        let grouped = by_peer(&run(&[1, 2, 1, 3, 2, 1]), &mut into).unwrap();
        let order: Vec<(u16, u8)> = grouped.iter().map(|(to, b)| (to.port(), b[0])).collect();
        assert_eq!(order, [(1, 0), (1, 2), (1, 5), (2, 1), (2, 4), (3, 3)]);
        assert!(by_peer(&run(&[1, 1, 2, 2, 3]), &mut into).is_none());
        assert!(by_peer(&run(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]), &mut into).is_none());
    }

    #[test]
    fn a_port_nobody_reads_does_not_stop_the_rest() {
        let s = Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = peer.local_addr().unwrap();
        let sockets = [s];
        let mut sender = Sender::new(8);
        for _ in 0..3 {
            let batch: [(SocketId, SocketAddr, &[u8]); 2] =
                [(SocketId(0), gone, b"x"), (SocketId(0), to, b"y")];
            assert_eq!(sender.send(&sockets, batch, |_, _| {}).failed(), 0);
            assert_eq!(take(&peer), b"y");
        }
    }
}
