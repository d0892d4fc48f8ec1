//! Time as an argument: a monotonic stamp for timers and the wall clock for what people see.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Monotonic nanoseconds since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Later than anything: no deadline.
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// From milliseconds since start.
    pub const fn from_millis(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }
    /// Whole milliseconds since start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
    /// The next multiple of a step, or this very time.
    pub fn round_up(self, step: Duration) -> Timestamp {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        Timestamp(self.0.checked_next_multiple_of(step).unwrap_or(u64::MAX))
    }
    /// Time since `earlier`, zero when it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(d.as_nanos().min(u64::MAX as u128) as u64))
    }
}

impl Sub<Timestamp> for Timestamp {
    type Output = Duration;
    fn sub(self, earlier: Timestamp) -> Duration {
        self.since(earlier)
    }
}

/// The time of one batch of work, read once by the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For timers.
    pub mono: Timestamp,
    /// Unix time in microseconds.
    pub unix_micros: u64,
}

impl Now {
    /// Unix time in seconds.
    pub const fn unix(self) -> u64 {
        self.unix_micros / 1_000_000
    }
}
