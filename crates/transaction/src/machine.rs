//! What the four machines of RFC 3261 §17 have in common: the circumstances of a step, what a step asks for, and the pair of
//! deadlines each machine lives by (when to send again, when to give up or to forget).

use std::time::Duration;

use crate::{Timestamp, Timing};

/// The circumstances of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub now: Timestamp,
    pub timing: &'a Timing,
    /// The transport delivers reliably: nothing is sent again, and timers D, I, J and K are zero.
    pub reliable: bool,
    /// The transaction's hard limit (`max_inv_lifetime`).
    pub limit: Timestamp,
    /// Absorb for `wait` instead of 64*T1.
    pub short_wait: bool,
}

impl Setting<'_> {
    /// 64*T1: timers B, F, H.
    pub fn t1x64(&self) -> Duration {
        self.timing.t1.saturating_mul(64)
    }
    /// Timers L and M, which hold on any transport (RFC 6026 §8.4, §8.5).
    pub fn accepted(&self) -> Timestamp {
        self.now + if self.short_wait { self.timing.wait } else { self.t1x64() }
    }
    /// Timers D and J: zero over a reliable transport.
    pub fn absorb(&self) -> Timestamp {
        if self.reliable { self.now } else { self.accepted() }
    }
    /// Timers I and K: T4, zero over a reliable transport.
    pub fn t4(&self) -> Timestamp {
        if self.reliable { self.now } else { self.now + self.timing.t4 }
    }
}

/// What a step asks its transaction to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ask {
    /// Send the request, or the last reply, again.
    pub transmit: bool,
    /// Send the ACK to a non-2xx final reply (§17.1.1.3).
    pub ack: bool,
    /// The reply is news to the transaction user.
    pub pass_up: bool,
    /// Timer B, C or F fired: there is no final reply.
    pub timeout: bool,
    /// Timer H fired: the ACK never came.
    pub no_ack: bool,
}

impl Ask {
    pub const NOTHING: Ask =
        Ask { transmit: false, ack: false, pass_up: false, timeout: false, no_ack: false };
    pub const TRANSMIT: Ask = Ask { transmit: true, ..Ask::NOTHING };
    pub const ACK: Ask = Ask { ack: true, ..Ask::NOTHING };
    pub const PASS_UP: Ask = Ask { pass_up: true, ..Ask::NOTHING };
    pub const PASS_UP_AND_ACK: Ask = Ask { pass_up: true, ack: true, ..Ask::NOTHING };
    pub const TIMEOUT: Ask = Ask { timeout: true, ..Ask::NOTHING };
    pub const NO_ACK: Ask = Ask { no_ack: true, ..Ask::NOTHING };
}

/// The deadlines of a machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// When to send again (timers A, E, G).
    pub again: Timestamp,
    /// The interval that led to `again`.
    pub interval: Duration,
    /// When the state ends (timers B, C, D, F, H, I, J, K, L, M).
    pub end: Timestamp,
}

impl Deadlines {
    pub const NONE: Deadlines =
        Deadlines { again: Timestamp::NEVER, interval: Duration::ZERO, end: Timestamp::NEVER };

    /// Sends again after T1 (never over a reliable transport), ends at `end`.
    pub fn start(setting: &Setting<'_>, end: Timestamp) -> Deadlines {
        let again = if setting.reliable { Timestamp::NEVER } else { setting.now + setting.timing.t1 };
        Deadlines { again, interval: setting.timing.t1, end }
    }
    /// Nothing is sent again; the state ends at `end`.
    pub fn until(end: Timestamp) -> Deadlines {
        Deadlines { again: Timestamp::NEVER, interval: Duration::ZERO, end }
    }
    /// Next interval, counted from when this one was due so that late workers do not shift the series; never in the past.
    pub fn repeat(&mut self, now: Timestamp, interval: Duration) {
        self.interval = interval;
        let next = self.again + interval;
        self.again = if next > now { next } else { now + interval };
    }
    pub fn next(&self) -> Timestamp {
        self.again.min(self.end)
    }
}
