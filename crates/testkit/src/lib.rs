//! A virtual network with a clock of its own, user agents on it, and call-flow ladders; what tests of real servers share: for tests only.
//!
//! Put a server behind [`Node`], add it and some [`UserAgent`]s to a [`Network`], let time pass. Everything follows from the seed:
//! a failing test fails again. The user agents have timers of their own making, so they check the server's and do not share its faults.
#![forbid(unsafe_code)]

mod ladder;
mod network;
pub mod process;
pub mod proof;
mod random;
mod user_agent;

pub use ladder::ladder;
pub use network::{Conditions, Datagram, Fate, Network, Node, NodeId, Sent};
pub use random::Random;
pub use user_agent::{CallOptions, CallState, Outgoing, Plan, UserAgent};
