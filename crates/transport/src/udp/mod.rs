//! UDP (RFC 3261 §18): one socket per `listen`, shared by its workers.
//!
//! ```text
//! Socket::bind -> Socket ── Receiver::receive  (recvmmsg, blocks)  -> Arrivals: datagrams in one arena
//!                    └───── Sender::send       (sendmmsg in runs of one socket)
//! ```
//!
//! A [`Receiver`] belongs to one worker; its [`Arrivals`] are shared by `Arc`, so another thread may copy out what the worker, stuck
//! in a script, does not get to.

mod receive;
mod send;
mod socket;
mod syscall;

pub use receive::{Arrivals, DATAGRAM_MAX, Receiver};
pub use send::{SendCounts, Sender};
pub use socket::{BindError, Options, Socket};
