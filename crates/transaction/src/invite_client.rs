//! INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026.
//!
//! ```text
//!             INVITE sent
//!      A: send +---------+ 2xx: up            B, send error: up
//!        +-----| Calling |----------------+-----------------+
//!        +---->+---------+--+             |                 |
//!               | 1xx: up   | 300-699:    v                 |
//!               v           | ACK, up  +----------+         |
//!   1xx: up +------------+  |          | Accepted |-+ 2xx:  |
//!     +-----| Proceeding |--|--2xx:up->|          |<+ up    |
//!     +---->+------------+  |          +----------+         |
//!            C  |  | 300-699: ACK, up       | M              |
//!               |  v        v               |                |
//!               | +-----------+ 300-699:    |                |
//!               | | Completed |-+ ACK       |                |
//!               | +-----------+<+           |                |
//!               v       | D                 v                v
//!              +---------------------------------------------+
//!              |                 Terminated                  |
//!              +---------------------------------------------+
//! ```
//!
//! Timer B is bounded by `fr_timer`, timer C is `fr_inv_timer`. After a CANCEL the wait for the final reply is 64*T1 (§9.1).

use crate::Timestamp;
use crate::machine::{Ask, Deadlines, Setting};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// 100..=199.
    Provisional(u16),
    /// 200..=299.
    Success,
    /// 300..=699.
    Failure,
    /// A deadline may have come.
    Timer,
    /// A CANCEL was sent for it.
    Cancelled,
    /// It could not be sent.
    TransportError,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct InviteClient {
    pub state: State,
    pub deadlines: Deadlines,
    cancelled: bool,
}

impl InviteClient {
    /// The INVITE was just sent.
    pub fn new(setting: &Setting<'_>) -> InviteClient {
        let b = setting.now + setting.t1x64().min(setting.timing.fr);
        InviteClient {
            state: State::Calling,
            deadlines: Deadlines::start(setting, b.min(setting.limit)),
            cancelled: false,
        }
    }

    pub fn step(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match self.state {
            State::Calling => self.calling(input, setting),
            State::Proceeding => self.proceeding(input, setting),
            State::Completed => match input {
                // "any retransmissions of the final response that are received ... MUST cause the ACK to be re-passed to the
                // transport layer" (§17.1.1.2)
                Input::Failure => Ask::ACK,
                // A 2xx after a failure is the peer's fault, but hiding it would leave a call that only one side knows of.
                Input::Success => self.success(setting),
                Input::Timer => self.ended(setting),
                _ => Ask::NOTHING,
            },
            State::Accepted => match input {
                Input::Success => Ask::PASS_UP,
                Input::Timer => self.ended(setting),
                _ => Ask::NOTHING,
            },
            State::Terminated => match input {
                Input::Success => Ask::PASS_UP,
                _ => Ask::NOTHING,
            },
        }
    }

    fn calling(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match input {
            Input::Provisional(_) => {
                self.state = State::Proceeding;
                self.deadlines = Deadlines::until((setting.now + setting.timing.fr_inv).min(setting.limit));
                Ask::PASS_UP
            }
            Input::Success => self.success(setting),
            Input::Failure => self.failure(setting),
            Input::TransportError => self.terminate(Ask::NOTHING),
            Input::Cancelled => Ask::NOTHING,
            Input::Timer if setting.now >= self.deadlines.end => self.terminate(Ask::TIMEOUT),
            Input::Timer if setting.now >= self.deadlines.again => {
                self.deadlines.repeat(setting.now, self.deadlines.interval.saturating_mul(2));
                Ask::TRANSMIT
            }
            Input::Timer => Ask::NOTHING,
        }
    }

    fn proceeding(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match input {
            Input::Provisional(code) => {
                // "if the response is a provisional response with status codes 101 to 199 inclusive ..., the proxy MUST reset
                // timer C" (§16.7 step 2); but not the wait for the 487 after a CANCEL.
                if code > 100 && !self.cancelled {
                    self.deadlines =
                        Deadlines::until((setting.now + setting.timing.fr_inv).min(setting.limit));
                }
                Ask::PASS_UP
            }
            Input::Success => self.success(setting),
            Input::Failure => self.failure(setting),
            Input::TransportError => self.terminate(Ask::NOTHING),
            Input::Cancelled => {
                self.cancelled = true;
                // "If there is no final response for the original request in 64*T1 seconds ..., the client SHOULD then consider
                // the original transaction cancelled and SHOULD destroy the client transaction" (§9.1)
                self.deadlines = Deadlines::until(setting.now + setting.t1x64());
                Ask::NOTHING
            }
            Input::Timer if setting.now < self.deadlines.end => Ask::NOTHING,
            Input::Timer if self.cancelled => self.terminate(Ask::TIMEOUT),
            Input::Timer => {
                // Timer C: the transaction sends a CANCEL and tells so; until then this fires only once.
                self.deadlines = Deadlines::until(setting.now + setting.t1x64());
                Ask::TIMEOUT
            }
        }
    }

    fn success(&mut self, setting: &Setting<'_>) -> Ask {
        self.state = State::Accepted;
        self.deadlines = Deadlines::until(setting.accepted());
        Ask::PASS_UP
    }

    fn failure(&mut self, setting: &Setting<'_>) -> Ask {
        self.state = State::Completed;
        self.deadlines = Deadlines::until(setting.absorb());
        if setting.reliable {
            self.terminate(Ask::NOTHING);
        }
        Ask::PASS_UP_AND_ACK
    }

    fn ended(&mut self, setting: &Setting<'_>) -> Ask {
        if setting.now >= self.deadlines.end { self.terminate(Ask::NOTHING) } else { Ask::NOTHING }
    }

    fn terminate(&mut self, ask: Ask) -> Ask {
        self.state = State::Terminated;
        self.deadlines = Deadlines::NONE;
        ask
    }

    pub fn next(&self) -> Timestamp {
        self.deadlines.next()
    }

    pub fn name(&self) -> &'static str {
        match self.state {
            State::Calling => "Calling",
            State::Proceeding => "Proceeding",
            State::Completed => "Completed",
            State::Accepted => "Accepted",
            State::Terminated => "Terminated",
        }
    }
}
