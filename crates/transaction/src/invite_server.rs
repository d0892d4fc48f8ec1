//! INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026.
//!
//! ```text
//!               INVITE
//!   INVITE: send last reply, 1xx: send
//!        +-----+------------+
//!        +---->| Proceeding |-----------+ 2xx: send
//!              +------------+           |
//!   INVITE, G:      | 300-699: send     v
//!   send       +-----------+       +----------+ 2xx: send
//!        +-----| Completed |       | Accepted |---+
//!        +---->+-----------+       |          |<--+ INVITE: -
//!          ACK |     | H           +----------+
//!              v     |                  | L
//!        +-----------+                  |
//!        | Confirmed | ACK, INVITE: -   |
//!        +-----------+                  |
//!              | I   |                  |
//!              v     v                  v
//!              +------------------------+
//!              |       Terminated       |
//!              +------------------------+
//! ```
//!
//! A 2xx made here has no UAS core behind it that would repeat it (§13.3.1.4), so the machine does, until the ACK.

use crate::Timestamp;
use crate::machine::{Ask, Deadlines, Setting};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Retransmission,
    /// A reply is being sent; `local`: it was made here.
    Reply {
        code: u16,
        local: bool,
    },
    Ack,
    Timer,
    /// The transaction ends without a reply: absorb for a while.
    Silent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct InviteServer {
    pub state: State,
    pub deadlines: Deadlines,
}

impl InviteServer {
    pub fn new() -> InviteServer {
        InviteServer { state: State::Proceeding, deadlines: Deadlines::NONE }
    }

    pub fn step(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match (self.state, input) {
            (State::Proceeding | State::Completed, Input::Retransmission) => Ask::TRANSMIT,
            (State::Proceeding, Input::Reply { code, local }) => self.reply(code, local, setting),
            // "any 2xx ... while in the Accepted state" is passed to the transport (RFC 6026 §7.1)
            (State::Accepted, Input::Reply { code: 200..=299, .. }) => Ask::TRANSMIT,
            (State::Completed, Input::Ack) => {
                self.state = State::Confirmed;
                self.deadlines = Deadlines::until(setting.t4());
                self.ended(setting)
            }
            (State::Accepted, Input::Ack) => {
                self.deadlines = Deadlines::until(self.deadlines.end);
                Ask::NOTHING
            }
            (State::Proceeding, Input::Silent) => {
                self.state = State::Confirmed;
                self.deadlines = Deadlines::until(setting.now + setting.timing.wait);
                Ask::NOTHING
            }
            (State::Completed | State::Accepted, Input::Timer) => self.timer(setting),
            (State::Confirmed, Input::Timer) => self.ended(setting),
            _ => Ask::NOTHING,
        }
    }

    fn reply(&mut self, code: u16, local: bool, setting: &Setting<'_>) -> Ask {
        match code {
            ..200 => {}
            200..=299 => {
                self.state = State::Accepted;
                self.deadlines = match local {
                    // "the 2xx response is passed to the transport ... regardless of the transport protocol" (§13.3.1.4)
                    true => Deadlines::start(&Setting { reliable: false, ..*setting }, setting.accepted()),
                    false => Deadlines::until(setting.accepted()),
                };
            }
            _ => {
                self.state = State::Completed;
                self.deadlines = Deadlines::start(setting, setting.now + setting.t1x64());
            }
        }
        Ask::TRANSMIT
    }

    fn timer(&mut self, setting: &Setting<'_>) -> Ask {
        if setting.now >= self.deadlines.end {
            let ask = if self.state == State::Completed { Ask::NO_ACK } else { Ask::NOTHING };
            return self.terminate(ask);
        }
        if setting.now < self.deadlines.again {
            return Ask::NOTHING;
        }
        let interval = self.deadlines.interval.saturating_mul(2).min(setting.timing.t2);
        self.deadlines.repeat(setting.now, interval);
        Ask::TRANSMIT
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
            State::Proceeding => "Proceeding",
            State::Completed => "Completed",
            State::Confirmed => "Confirmed",
            State::Accepted => "Accepted",
            State::Terminated => "Terminated",
        }
    }
}
