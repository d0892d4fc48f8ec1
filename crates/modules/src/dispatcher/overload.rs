//! Overload control after RFC 7339: a destination asked for fewer requests, and is skipped for a while (algorithm 64).
//!
//! The script reads `oc`, `oc-validity` and `oc-seq` of the Via in a reply and tells them by `ds_oc_set_attrs`.

use std::time::Duration;

use transaction::{Now, Timestamp};

/// What holds without `oc-validity`, RFC 7339.
const VALIDITY: Duration = Duration::from_millis(500);

/// What a destination asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// Least rate that is applied once one is: attribute `ocmin`, 0 to 100.
    pub least: u32,
    /// How many of 100 selections skip it: as asked for, before that attribute `ocrate`.
    pub rate: u32,
    /// Number of what it asked for last.
    pub sequence: Option<i64>,
    /// When the rate ends; before the first none is applied.
    until: Option<(Timestamp, u64)>,
    /// Selections since then: of those it would be the first of, and of those it would follow in.
    turns: [usize; 2],
}

impl Default for Overload {
    fn default() -> Overload {
        Overload { least: 10, rate: 100, sequence: None, until: None, turns: [0; 2] }
    }
}

impl Overload {
    /// As attributes have it; above 100 is the default.
    pub fn new(least: Option<u32>, rate: Option<u32>) -> Overload {
        let default = Overload::default();
        let percent = |n: Option<u32>| n.filter(|n| *n <= 100);
        Overload {
            least: percent(least).unwrap_or(default.least),
            rate: percent(rate).unwrap_or(default.rate),
            ..default
        }
    }
    /// Skips it `rate` times of 100 for so many milliseconds, 500 when that is not above 0. False, and nothing changes, when the number is
    /// none above the last.
    pub fn set(&mut self, now: Now, rate: u32, millis: i64, sequence: i64) -> bool {
        // A reply that was overtaken by a newer one must not undo that.
        if self.sequence.is_some_and(|last| sequence <= last) {
            return false;
        }
        let wanted = u64::try_from(millis).ok().filter(|ms| *ms > 0).map_or(VALIDITY, Duration::from_millis);
        let micros = u64::try_from(wanted.as_micros()).unwrap_or(u64::MAX);
        self.until = Some((now.mono + wanted, now.unix_micros.saturating_add(micros)));
        (self.rate, self.sequence) = (rate, Some(sequence));
        true
    }
    /// When the rate ends or ended, microseconds of Unix time; 0 before the first.
    pub fn until(&self) -> u64 {
        self.until.map_or(0, |(_, unix)| unix)
    }
    /// Whether this selection skips it: exactly `rate` of 100 do. `first`: it would be the first, else it would follow.
    pub fn skips(&mut self, now: Now, first: bool) -> bool {
        // Asked for nothing less: `ocmin` makes no overload of that.
        if self.rate == 0 || self.until.is_none_or(|(end, _)| end <= now.mono) {
            return false;
        }
        let Some(turn) = self.turns.get_mut(usize::from(!first)) else { return false };
        *turn = (*turn + 1) % 100;
        super::select::percent(*turn) < self.rate.max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono: Timestamp(millis * 1_000_000), unix_micros: 1_700_000_000_000_000 + millis * 1000 }
    }

    fn skipped(overload: &mut Overload, now: Now) -> usize {
        (0..100).filter(|_| overload.skips(now, true)).count()
    }

    #[test]
    fn so_many_of_a_hundred_for_so_long() {
        let mut overload = Overload::default();
        assert_eq!((skipped(&mut overload, at(0)), overload.until()), (0, 0), "nothing was asked for");
        assert!(overload.set(at(0), 30, 1000, 7));
        assert_eq!(skipped(&mut overload, at(999)), 30);
        assert_eq!(
            (0..100).filter(|_| overload.skips(at(0), false)).count(),
            30,
            "those that follow by themselves"
        );
        assert_eq!((skipped(&mut overload, at(1000)), overload.until()), (0, 1_700_000_001_000_000));
        for (rate, want) in [(5, 10), (0, 0), (100, 100)] {
            let mut overload = Overload::new(None, None);
            assert!(overload.set(at(0), rate, 0, 1));
            assert_eq!(
                (skipped(&mut overload, at(499)), skipped(&mut overload, at(500))),
                (want, 0),
                "{rate}"
            );
        }
    }

    #[test]
    fn what_is_old_is_not_listened_to() {
        let mut overload = Overload::new(Some(0), Some(101));
        assert_eq!((overload.least, overload.rate), (0, 100));
        assert!(
            overload.set(at(0), 5, i64::MIN, -3)
                && !overload.set(at(0), 50, 1, -3)
                && !overload.set(at(0), 50, 1, -4)
        );
        assert_eq!((skipped(&mut overload, at(0)), overload.sequence), (5, Some(-3)));
        assert!(overload.set(at(0), 50, i64::MAX, 0));
        assert_eq!(skipped(&mut overload, at(1 << 40)), 50);
    }
}
