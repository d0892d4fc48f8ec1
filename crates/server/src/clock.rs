//! The one place that reads clocks: everything below the server is given the time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use transaction::{Now, Timestamp};

static START: OnceLock<Instant> = OnceLock::new();

/// How long the wall clock is taken to go on as the monotonic one does; then it is read again.
const WALL_GOOD_FOR: u64 = 10_000_000;
/// Monotonic time until which it holds, and what to add to the microseconds of a monotonic time for it.
static WALL: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// Monotonic time since the first call, and the wall clock, which may be off by what it was set to in the last 10 ms.
pub fn now() -> Now {
    let mono = mono();
    let (until, ahead) = &WALL;
    let since_start = mono.0 / 1000;
    if mono.0 < until.load(Ordering::Acquire) {
        return Now { mono, unix_micros: since_start.wrapping_add(ahead.load(Ordering::Relaxed)) };
    }
    let unix_micros = u64::try_from(unix().as_micros()).unwrap_or(u64::MAX);
    ahead.store(unix_micros.wrapping_sub(since_start), Ordering::Relaxed);
    until.store(mono.0 + WALL_GOOD_FOR, Ordering::Release);
    Now { mono, unix_micros }
}

/// Monotonic time since the first call.
pub fn mono() -> Timestamp {
    Timestamp(saturate(START.get_or_init(Instant::now).elapsed()))
}

/// The wall clock since 1970.
pub fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn saturate(d: Duration) -> u64 {
    d.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(d.subsec_nanos()))
}

/// `Sun Nov 22 10:43:52 2026` in local time, as Kamailio's `core.uptime` prints.
pub fn ctime(unix: u64) -> String {
    let text = i64::try_from(unix).ok().and_then(|t| script::clock::local(t, b"%a %b %e %H:%M:%S %Y"));
    text.and_then(|t| String::from_utf8(t).ok()).unwrap_or_default()
}

/// A moment in the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    year: i64,
    month: u32,
    day: u32,
    second_of_day: u64,
}

impl Civil {
    /// From Unix seconds.
    pub fn from_unix(seconds: u64) -> Civil {
        let days = (seconds / 86_400) as i64;
        // Days to date by eras of 400 years that begin on 1 March (H. Hinnant, "chrono-compatible low-level date algorithms").
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let of_era = z.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = (if shifted < 10 { shifted + 3 } else { shifted - 9 }) as u32;
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: (day_of_year - (153 * shifted + 2) / 5 + 1) as u32,
            second_of_day: seconds % 86_400,
        }
    }
    fn clock(&self) -> (u64, u64, u64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }
    /// `2026-11-22T10:43:52`
    pub fn iso(&self) -> String {
        let (h, m, s) = self.clock();
        format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_the_systems() {
        for _ in 0..1000 {
            let before = unix().as_micros();
            let between = u128::from(now().unix_micros);
            let after = unix().as_micros();
            // The two clocks may drift apart by a little in 10 ms.
            assert!(before <= between + 100 && between <= after + 100, "{before} {between} {after}");
        }
    }

    #[test]
    fn dates_as_date_1_prints_them() {
        for (unix, iso) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_344_232, "2026-11-22T10:43:52"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(Civil::from_unix(unix).iso(), iso);
        }
    }
}
