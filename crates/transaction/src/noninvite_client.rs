//! Non-INVITE client transaction: RFC 3261 §17.1.2. Also sends our CANCELs.
//!
//! ```text
//!              request sent
//!      E: send +--------+
//!        +-----| Trying |----------+ F, send error: up
//!        +---->+--------+          |
//!               | 1xx: up | 200-699: up
//!               v         |        |
//!  E: send +------------+ |        |
//!    +-----| Proceeding |-|--------+ F, send error: up
//!    +---->+------------+ |        |
//!               | 200-699: up      |
//!               v         v        |
//!              +-----------+       |
//!              | Completed |       |
//!              +-----------+       |
//!                   | K            v
//!              +-------------------+
//!              |    Terminated     |
//!              +-------------------+
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
    Provisional,
    Final,
    Timer,
    TransportError,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct NonInviteClient {
    pub state: State,
    pub deadlines: Deadlines,
}

impl NonInviteClient {
    /// The request was just sent.
    pub fn new(setting: &Setting<'_>) -> NonInviteClient {
        let f = setting.now + setting.t1x64().min(setting.timing.fr);
        NonInviteClient { state: State::Trying, deadlines: Deadlines::start(setting, f.min(setting.limit)) }
    }

    pub fn step(&mut self, input: Input, setting: &Setting<'_>) -> Ask {
        match (self.state, input) {
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                Ask::PASS_UP
            }
            (State::Trying | State::Proceeding, Input::Final) => {
                self.state = State::Completed;
                self.deadlines = Deadlines::until(setting.t4());
                if setting.reliable {
                    self.terminate(Ask::NOTHING);
                }
                Ask::PASS_UP
            }
            (State::Trying | State::Proceeding, Input::TransportError) => self.terminate(Ask::NOTHING),
            (State::Trying | State::Proceeding, Input::Timer) => self.timer(setting),
            (State::Completed, Input::Timer) if setting.now >= self.deadlines.end => {
                self.terminate(Ask::NOTHING)
            }
            // A final reply after timer F: the transaction decides whether it still has a use for it.
            (State::Terminated, Input::Final) => Ask::PASS_UP,
            (State::Completed | State::Terminated, _) => Ask::NOTHING,
        }
    }

    fn timer(&mut self, setting: &Setting<'_>) -> Ask {
        if setting.now >= self.deadlines.end {
            return self.terminate(Ask::TIMEOUT);
        }
        if setting.now < self.deadlines.again {
            return Ask::NOTHING;
        }
        let t2 = setting.timing.t2;
        // "If timer E fires while in the Proceeding state, ... timer E MUST be reset with a value of T2 seconds" (§17.1.2.2)
        let interval = match self.state {
            State::Proceeding => t2,
            _ => self.deadlines.interval.saturating_mul(2).min(t2),
        };
        self.deadlines.repeat(setting.now, interval);
        Ask::TRANSMIT
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
            State::Trying => "Trying",
            State::Proceeding => "Proceeding",
            State::Completed => "Completed",
            State::Terminated => "Terminated",
        }
    }
}
