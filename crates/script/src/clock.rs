//! Unix time in words: local and UTC, by strftime formats. The time itself is always an argument.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Local, TimeZone, Timelike, Utc};

/// A broken-down time, as C's `struct tm` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenDown {
    /// 0..=60
    pub second: i64,
    /// 0..=59
    pub minute: i64,
    /// 0..=23
    pub hour: i64,
    /// 1..=31
    pub day: i64,
    /// 1..=12
    pub month: i64,
    /// Four digits.
    pub year: i64,
    /// Days since Sunday.
    pub weekday: i64,
    /// Days since the first of January.
    pub yearday: i64,
}

/// Local time in a strftime format; `None` for a time outside the calendar or a format that is not UTF-8 or wrong.
pub fn local(unix: i64, format: &[u8]) -> Option<Vec<u8>> {
    render(&Local.timestamp_opt(unix, 0).single()?, format)
}

/// UTC in a strftime format.
pub fn utc(unix: i64, format: &[u8]) -> Option<Vec<u8>> {
    render(&Utc.timestamp_opt(unix, 0).single()?, format)
}

/// Local time broken down.
pub fn local_parts(unix: i64) -> Option<BrokenDown> {
    Some(parts(&Local.timestamp_opt(unix, 0).single()?))
}

/// UTC broken down.
pub fn utc_parts(unix: i64) -> Option<BrokenDown> {
    Some(parts(&Utc.timestamp_opt(unix, 0).single()?))
}

fn render<Z: TimeZone>(time: &DateTime<Z>, format: &[u8]) -> Option<Vec<u8>>
where
    Z::Offset: std::fmt::Display,
{
    let format = std::str::from_utf8(format).ok()?;
    let mut out = String::new();
    // A wrong format is an error of the write, not a panic.
    write!(out, "{}", time.format(format)).ok()?;
    Some(out.into_bytes())
}

fn parts<Z: TimeZone>(t: &DateTime<Z>) -> BrokenDown {
    BrokenDown {
        second: i64::from(t.second()),
        minute: i64::from(t.minute()),
        hour: i64::from(t.hour()),
        day: i64::from(t.day()),
        month: i64::from(t.month()),
        year: i64::from(t.year()),
        weekday: i64::from(t.weekday().num_days_from_sunday()),
        yearday: i64::from(t.ordinal0()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_strftime() {
        assert_eq!(utc(1_700_000_000, b"%Y-%m-%d %H:%M:%S").as_deref(), Some(&b"2023-11-14 22:13:20"[..]));
        assert_eq!(utc(1_700_000_000, b"%Q%"), None);
        let p = utc_parts(1_700_000_000).expect("in the calendar");
        assert_eq!((p.weekday, p.yearday, p.month), (2, 317, 11));
    }
}
