//! Non-INVITE server transaction: RFC 3261 §17.2.2.
//!
//! ```text
//!                 request
//!              +----------+
//!              |  Trying  |-------------+ request: -
//!              +----------+             |
//!                   | 1xx: send         |
//!   request, 1xx:   v                   |
//!   send      +------------+            |
//!        +----| Proceeding |            |
//!        +--->+------------+            |
//!                   | 200-699: send     | 200-699: send
//!   request:        v                   |
//!   send      +-----------+             |
//!        +----| Completed |<------------+
//!        +--->+-----------+
//!                   | J
//!                   v
//!             +------------+
//!             | Terminated |
//!             +------------+
//! ```

use crate::Timestamp;
use crate::machine::{Ask, Deadlines, Setting};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Retransmission,
    Reply {
        code: u16,
    },
    Timer,
    /// The transaction ends without a reply (RFC 4320 §4.2): absorb for a while.
    Silent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct NonInviteServer {
    pub state: State,
    pub deadlines: Deadlines,
}

impl NonInviteServer {
    pub fn new() -> NonInviteServer {
        NonInviteServer { state: State::Trying, deadlines: Deadlines::NONE }
    }

    pub fn step(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match (self.state, input) {
            (State::Trying | State::Proceeding, Input::Reply { code: ..200 }) => {
                self.state = State::Proceeding;
                Ask::TRANSMIT
            }
            (State::Trying | State::Proceeding, Input::Reply { .. }) => {
                self.state = State::Completed;
                self.deadlines = Deadlines::until(setting.absorb());
                if setting.reliable {
                    self.terminate();
                }
                Ask::TRANSMIT
            }
            (State::Proceeding | State::Completed, Input::Retransmission) => Ask::TRANSMIT,
            (State::Trying | State::Proceeding, Input::Silent) => {
                self.state = State::Completed;
                self.deadlines = Deadlines::until(setting.now + setting.timing.wait);
                Ask::NOTHING
            }
            (State::Completed, Input::Timer) if setting.now >= self.deadlines.end => {
                self.terminate();
                Ask::NOTHING
            }
            _ => Ask::NOTHING,
        }
    }

    fn terminate(&mut self) {
        self.state = State::Terminated;
        self.deadlines = Deadlines::NONE;
    }

    pub fn next(&self) -> Timestamp {
        self.deadlines.next()
    }

    pub fn name(&self) -> &'static str {
        match self.state {
            State::Trying => "Trying",
            State::Proceeding => "Proceeding",
            State::Completed => "Completed",
            State::Terminated => "Terminated",
        }
    }
}
