//! Questions to a peer over datagrams, with a cookie before each, and the answer that repeats it: the control protocols of RTP relays.
//!
//! Every question has a connected socket of its own while it waits, so an answer cannot reach another one, and a peer that is not there
//! is known at once (ICMP port unreachable). Sockets of answered questions are kept for the next one.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Most idle sockets kept for one peer; further ones are closed.
const IDLE_MAX: usize = 32;
/// Most peers with idle sockets, and most names looked up; at the limit all are forgotten.
const PEERS_MAX: usize = 256;
/// How long an address stands for a name.
const NAME_LIFE: Duration = Duration::from_secs(60);
/// Longest answer.
const ANSWER_MAX: usize = 65_535;

/// Where a question goes out and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Way {
    /// The peer.
    pub to: SocketAddr,
    /// Our address.
    pub from: Option<IpAddr>,
    /// IP type of service.
    pub tos: Option<u8>,
}

/// Asks questions, from any thread.
#[derive(Debug)]
pub struct Asker {
    idle: Mutex<HashMap<Way, Vec<UdpSocket>>>,
    names: Mutex<HashMap<(String, u16, Option<bool>), (SocketAddr, Instant)>>,
    /// Start of every cookie of this process.
    prefix: String,
    next: AtomicU64,
}

impl Asker {
    /// `prefix` must be another one at every start, so that old answers match nothing.
    pub fn new(prefix: String) -> Asker {
        Asker { idle: Mutex::default(), names: Mutex::default(), prefix, next: AtomicU64::new(1) }
    }

    /// The address of a host, looked up when it is a name; of that family when one is asked for.
    pub fn look_up(&self, host: &str, port: u16, v6: Option<bool>) -> io::Result<SocketAddr> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let key = (host.to_owned(), port, v6);
        let known = self.names.lock().unwrap_or_else(|e| e.into_inner()).get(&key).copied();
        if let Some((address, _)) = known.filter(|(_, at)| at.elapsed() < NAME_LIFE) {
            return Ok(address);
        }
        let found = (host, port).to_socket_addrs()?.find(|a| v6.is_none_or(|six| a.is_ipv6() == six));
        let address = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut names = self.names.lock().unwrap_or_else(|e| e.into_inner());
        if names.len() >= PEERS_MAX {
            names.clear();
        }
        names.insert(key, (address, Instant::now()));
        Ok(address)
    }

    /// Sends up to `tries` times and waits each time; the answer without its cookie. `TimedOut` when none came.
    pub fn udp(&self, way: Way, payload: &[u8], timeout: Duration, tries: u32) -> io::Result<Vec<u8>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("{}_{number} ", self.prefix);
        let question = [cookie.as_bytes(), payload].concat();
        let socket = self.socket(way)?;
        let mut buffer = vec![0; ANSWER_MAX];
        let mut result = Err(io::Error::from(io::ErrorKind::TimedOut));
        for _ in 0..tries.max(1) {
            result = once(&socket, &question, cookie.as_bytes(), timeout, &mut buffer);
            match &result {
                Err(e) if is_timeout(e) => {}
                _ => break,
            }
        }
        if result.is_ok() {
            self.keep(way, socket);
        }
        result
    }

    /// One question over a connection of its own; the answer ends with its line or the connection.
    pub fn unix(&self, path: &str, payload: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
        let until = Instant::now() + timeout;
        let mut stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(payload)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while answer.len() < ANSWER_MAX && !answer.ends_with(b"\n") {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut buffer)? {
                0 => break,
                n => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            }
        }
        Ok(answer)
    }

    fn socket(&self, way: Way) -> io::Result<UdpSocket> {
        let kept = self.idle.lock().unwrap_or_else(|e| e.into_inner()).get_mut(&way).and_then(Vec::pop);
        if let Some(socket) = kept {
            return Ok(socket);
        }
        let socket = Socket::new(Domain::for_address(way.to), Type::DGRAM, Some(Protocol::UDP))?;
        if let Some(tos) = way.tos {
            if way.to.is_ipv4() {
                socket.set_tos_v4(u32::from(tos))?;
            } else {
                socket.set_tclass_v6(u32::from(tos))?;
            }
        }
        if let Some(from) = way.from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        socket.connect(&way.to.into())?;
        Ok(socket.into())
    }

    fn keep(&self, way: Way, socket: UdpSocket) {
        let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        if idle.len() >= PEERS_MAX && !idle.contains_key(&way) {
            idle.clear();
        }
        let sockets = idle.entry(way).or_default();
        if sockets.len() < IDLE_MAX {
            sockets.push(socket);
        }
    }
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// One try: answers with another cookie are of an earlier one, and are let pass.
fn once(
    socket: &UdpSocket,
    question: &[u8],
    cookie: &[u8],
    timeout: Duration,
    buffer: &mut [u8],
) -> io::Result<Vec<u8>> {
    let until = Instant::now() + timeout;
    socket.send(question)?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let answer = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = answer.strip_prefix(cookie) {
            return Ok(answer.to_vec());
        }
        // A cookie with nothing behind it answers too.
        if answer == cookie.trim_ascii_end() {
            return Ok(Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const SOON: Duration = Duration::from_secs(10);

    fn way(to: SocketAddr) -> Way {
        Way { to, from: None, tos: Some(0x10) }
    }

    #[test]
    fn answers_find_their_question_and_lost_ones_are_asked_again() {
        let relay = UdpSocket::bind("127.0.0.1:0").expect("socket");
        let to = relay.local_addr().expect("address");
        let asker = Asker::new("test".into());
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut buffer = [0; 100];
                let (n, from) = relay.recv_from(&mut buffer).expect("a question");
                assert_eq!(&buffer[..n], b"test_1 V");
                relay.send_to(b"test_0 of an earlier start", from).expect("sent");
                relay.send_to(b"test_1 20040107\n", from).expect("sent");
                // The second is answered only when it is repeated.
                let (n, _) = relay.recv_from(&mut buffer).expect("a question");
                let (m, from) = relay.recv_from(&mut buffer).expect("again");
                assert_eq!((n, &buffer[..m]), (m, &b"test_2 Q"[..]));
                relay.send_to(b"test_2", from).expect("sent");
            });
            assert_eq!(asker.udp(way(to), b"V", SOON, 1).expect("answered"), b"20040107\n");
            let again = asker.udp(way(to), b"Q", Duration::from_millis(20), 1000).expect("answered");
            assert_eq!(again, b"");
        });
        assert_eq!(asker.idle.lock().expect("lock").values().map(Vec::len).sum::<usize>(), 1);
        let silent = asker.udp(way(to), b"X", Duration::from_millis(1), 2).expect_err("nobody answers");
        assert!(is_timeout(&silent));
        assert_eq!(asker.idle.lock().expect("lock").values().map(Vec::len).sum::<usize>(), 0);
        drop(relay);
        let gone = asker.udp(way(to), b"X", SOON, 5).expect_err("nobody is there");
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn over_a_unix_socket() {
        let path = std::env::temp_dir().join(format!("trunkline-ask-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("socket");
        let asker = Asker::new("x".into());
        std::thread::scope(|s| {
            s.spawn(|| {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut buffer = [0; 10];
                let n = stream.read(&mut buffer).expect("a question");
                assert_eq!(&buffer[..n], b"V");
                stream.write_all(b"20040107\n").expect("sent");
            });
            let path = path.to_str().expect("UTF-8");
            assert_eq!(asker.unix(path, b"V", SOON).expect("answered"), b"20040107\n");
        });
        let _ = std::fs::remove_file(&path);
        assert!(asker.unix("/nowhere/at/all", b"V", SOON).is_err());
    }

    #[test]
    fn names() {
        let asker = Asker::new("x".into());
        assert_eq!(asker.look_up("::1", 9, Some(false)).expect("an address").to_string(), "[::1]:9");
        assert!(asker.look_up("localhost", 9, Some(false)).expect("a name").is_ipv4());
        assert_eq!(asker.names.lock().expect("lock").len(), 1);
        assert!(asker.look_up("no such host", 9, None).is_err());
    }
}
