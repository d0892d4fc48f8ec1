//! Module `ctl`: BINRPC over Unix and Internet sockets, for `kamcmd`.

mod codec;

use std::io::{self, Read, Write};
use std::net::{TcpListener, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codec::Packet;
use modules::ctl::{Address, Ctl, Kind};
use script::{Core, rpc};

use super::files::{Access, make_room};
use super::{CLIENTS_MAX, pause};
use crate::clock;

/// A client that sends or reads nothing this long is let go: `kamcmd` without a command stays.
const IDLE: Duration = Duration::from_secs(600);
/// How long an answer by datagram may take to be sent.
const SEND: Duration = Duration::from_secs(2);

/// A socket that is open.
#[derive(Debug)]
pub struct Door {
    address: Address,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    UnixStream(UnixListener),
    UnixDatagram(UnixDatagram),
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Door {
    /// Opens it.
    pub fn open(address: &Address, access: &Access) -> io::Result<Door> {
        let path = Path::new(&address.name);
        let socket = match address.kind {
            Kind::UnixStream => {
                make_room(path)?;
                let listener = UnixListener::bind(path)?;
                access.apply(path)?;
                Socket::UnixStream(listener)
            }
            Kind::UnixDatagram => {
                make_room(path)?;
                let socket = UnixDatagram::bind(path)?;
                access.apply(path)?;
                socket.set_write_timeout(Some(SEND))?;
                Socket::UnixDatagram(socket)
            }
            Kind::Tcp => Socket::Tcp(TcpListener::bind(&*internet(address)?)?),
            Kind::Udp => Socket::Udp(UdpSocket::bind(&*internet(address)?)?),
        };
        Ok(Door { address: address.clone(), socket })
    }

    /// As `kamcmd -s` takes it.
    pub fn address(&self) -> String {
        let (name, port) = (&self.address.name, self.address.port);
        match self.address.kind {
            Kind::UnixStream => format!("unix:{name}"),
            Kind::UnixDatagram => format!("unixd:{name}"),
            Kind::Tcp => format!("tcp:{name}:{port}"),
            Kind::Udp => format!("udp:{name}:{port}"),
        }
    }

    /// The file to remove at the end.
    pub fn file(&self) -> Option<&Path> {
        matches!(self.address.kind, Kind::UnixStream | Kind::UnixDatagram)
            .then(|| Path::new(&self.address.name))
    }

    /// Answers until the process ends.
    pub fn serve(&self, core: &Arc<Core>) {
        if let Some(ctl) = core.registry.module::<Ctl>() {
            ctl.book.listening(self.address.clone());
        }
        let clients = Arc::new(AtomicUsize::new(0));
        match &self.socket {
            Socket::UnixStream(listener) => loop {
                let taken = listener.accept().and_then(|(stream, _)| {
                    stream.set_read_timeout(Some(IDLE))?;
                    stream.set_write_timeout(Some(IDLE))?;
                    Ok((stream, "<anonymous unix socket>".to_owned(), String::new()))
                });
                self.take(taken, core, &clients);
            },
            Socket::Tcp(listener) => loop {
                let taken = listener.accept().and_then(|(stream, peer)| {
                    stream.set_read_timeout(Some(IDLE))?;
                    stream.set_write_timeout(Some(IDLE))?;
                    stream.set_nodelay(true)?;
                    Ok((stream, peer.ip().to_string(), peer.port().to_string()))
                });
                self.take(taken, core, &clients);
            },
            Socket::Udp(socket) => {
                datagrams(core, |b| socket.recv_from(b), |answer, to| socket.send_to(answer, to));
            }
            Socket::UnixDatagram(socket) => {
                datagrams(core, |b| socket.recv_from(b), |answer, to| socket.send_to_addr(answer, to));
            }
        }
    }

    fn take<S: Read + Write + Send + 'static>(
        &self,
        taken: io::Result<(S, String, String)>,
        core: &Arc<Core>,
        clients: &Arc<AtomicUsize>,
    ) {
        let (stream, peer, port) = match taken {
            Ok(t) => t,
            Err(error) => {
                tracing::warn!(target: "ctl", %error, "client not taken");
                return pause();
            }
        };
        if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
            clients.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(target: "ctl", "client refused: {CLIENTS_MAX} are connected");
            return;
        }
        let (core, count, address) = (core.clone(), clients.clone(), self.address.clone());
        let spawned = std::thread::Builder::new()
            .name("ctl-client".into())
            .stack_size(crate::engine::STACK)
            .spawn(move || {
                let ctl = core.registry.module::<Ctl>();
                let number = ctl.map(|c| c.book.came(&address, &peer, &port));
                if let Err(error) = talk(stream, &core) {
                    tracing::debug!(target: "ctl", %error, "client gone");
                }
                if let (Some(ctl), Some(number)) = (ctl, number) {
                    ctl.book.gone(number);
                }
                count.fetch_sub(1, Ordering::Relaxed);
            });
        if spawned.is_err() {
            clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn internet(address: &Address) -> io::Result<Vec<std::net::SocketAddr>> {
    let host = if address.name == "*" { "0.0.0.0" } else { &address.name };
    Ok((host, address.port).to_socket_addrs()?.collect())
}

fn talk<S: Read + Write>(mut stream: S, core: &Core) -> io::Result<()> {
    let mut received = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        // What was read is one packet at most with its head, and a chunk: the codec refuses longer ones.
        match codec::read(&received) {
            Packet::Incomplete => match stream.read(&mut chunk)? {
                0 => return Ok(()),
                n => received.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            },
            Packet::Request(length, request) => {
                received.drain(..length);
                stream.write_all(&answer(core, &request))?;
                stream.flush()?;
            }
            Packet::Bad(cookie, why) => {
                stream.write_all(&codec::fault(&cookie, 400, why))?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }
}

fn datagrams<A>(
    core: &Core,
    receive: impl Fn(&mut [u8]) -> io::Result<(usize, A)>,
    send: impl Fn(&[u8], &A) -> io::Result<usize>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (length, peer) = match receive(&mut buffer) {
            Ok(r) => r,
            Err(error) => {
                tracing::warn!(target: "ctl", %error, "datagram not received");
                pause();
                continue;
            }
        };
        let (cookie, reply) = match codec::read(buffer.get(..length).unwrap_or_default()) {
            Packet::Request(_, request) => {
                let reply = answer(core, &request);
                (request.cookie, reply)
            }
            Packet::Incomplete => (Vec::new(), codec::fault(&[], 400, "the request is cut off")),
            Packet::Bad(cookie, why) => {
                let reply = codec::fault(&cookie, 400, why);
                (cookie, reply)
            }
        };
        let sent = send(&reply, &peer).or_else(|error| {
            let why = format!("the answer cannot be sent as a datagram ({error}); use unix: or tcp:");
            send(&codec::fault(&cookie, 500, &why), &peer)
        });
        if let Err(error) = sent {
            tracing::debug!(target: "ctl", %error, "answer not sent");
        }
    }
}

fn answer(core: &Core, request: &codec::Request) -> Vec<u8> {
    match rpc::call(core, clock::now(), &request.method, &request.params) {
        Ok(result) => codec::reply(&request.cookie, &result),
        Err(e) if e.message == rpc::NO_METHOD => {
            let text = format!("command {} not found", request.method);
            codec::fault(&request.cookie, e.code, &text)
        }
        Err(e) => codec::fault(&request.cookie, e.code, &e.message),
    }
}
