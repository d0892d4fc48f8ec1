//! Asking a peer over datagrams and waiting for its answer: how modules talk to RTP relays without naming a socket.
//!
//! The server puts an [`Exchange`] that has sockets into [`Core`](crate::Core). A call blocks until the answer, or until every try has
//! timed out; KSR functions that use it are declared `blocking`, and never hold a lock meanwhile.

use std::net::IpAddr;
use std::time::Duration;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// UDP. A name is looked up when it is asked, and the answer kept for a while.
    Udp {
        /// Address or name, IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Only addresses of this family, when given.
        v6: Option<bool>,
    },
    /// A Unix stream socket: one question per connection, without cookies.
    Unix(String),
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whom.
    pub peer: &'a Peer,
    /// What. A cookie and a blank go before it; answers are matched by their cookie, which they repeat.
    pub payload: &'a [u8],
    /// How long to wait for the answer to each try.
    pub timeout: Duration,
    /// How often to send it, at least once.
    pub tries: u32,
    /// Our address to send from.
    pub from: Option<IpAddr>,
    /// IP type of service.
    pub tos: Option<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// Nothing came in time.
    Timeout,
    /// It is not there: refused, or no way leads to it.
    Unreachable(String),
    /// Its name is no address and cannot be looked up.
    Unknown(String),
    /// It is there and takes no more.
    Busy,
    /// This server cannot ask: tests, `check`.
    Unsupported,
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::Timeout => f.write_str("no answer in time"),
            AskError::Unreachable(why) => write!(f, "not reachable: {why}"),
            AskError::Unknown(name) => write!(f, "the name {name} cannot be looked up"),
            AskError::Busy => f.write_str("it takes no more"),
            AskError::Unsupported => f.write_str("no sockets here"),
        }
    }
}

/// Who asks.
pub trait Exchange: Send + Sync {
    /// Sends and waits. The answer is without its cookie.
    fn ask(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError>;
}

impl<F: Fn(&Ask<'_>) -> Result<Vec<u8>, AskError> + Send + Sync> Exchange for F {
    fn ask(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError> {
        self(ask)
    }
}

/// The [`Exchange`] of a server; by default one that cannot ask.
pub struct Asking(Box<dyn Exchange>);

impl Asking {
    /// One with sockets.
    pub fn new(exchange: impl Exchange + 'static) -> Asking {
        Asking(Box::new(exchange))
    }
    /// See [`Exchange::ask`].
    pub fn ask(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError> {
        self.0.ask(ask)
    }
}

impl Default for Asking {
    fn default() -> Asking {
        Asking(Box::new(|_: &Ask<'_>| Err(AskError::Unsupported)))
    }
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asking")
    }
}
