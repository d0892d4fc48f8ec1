//! What modules ask RTP relays, over real sockets.

use std::io;

use script::exchange::{Ask, AskError, Exchange, Peer};
use transport::ask::{Asker, Way};

/// The server's [`Exchange`].
pub struct Sockets(Asker);

impl Sockets {
    /// `started` and `pid` make this process's cookies its own.
    pub fn new(started: u64, pid: u32) -> Sockets {
        Sockets(Asker::new(format!("{pid}_{started:x}")))
    }
}

impl Exchange for Sockets {
    fn ask(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError> {
        let answer = match ask.peer {
            Peer::Unix(path) => self.0.unix(path, ask.payload, ask.timeout * ask.tries.max(1)),
            Peer::Udp { host, port, v6 } => {
                let to = self.0.look_up(host, *port, *v6).map_err(|_| AskError::Unknown(host.clone()))?;
                let way = Way { to, from: ask.from, tos: ask.tos };
                self.0.udp(way, ask.payload, ask.timeout, ask.tries)
            }
        };
        answer.map_err(|e| match e.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::Timeout,
            _ => AskError::Unreachable(e.to_string()),
        })
    }
}
