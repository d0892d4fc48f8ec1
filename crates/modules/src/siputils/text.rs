//! Small grammars: character classes, digest parameters, dates.

use message::grammar;
use script::Outcome;

/// 1 when every byte passes, `no` otherwise and for an empty text.
pub(super) fn all(text: &[u8], passes: impl Fn(u8) -> bool, no: i64) -> Outcome {
    if !text.is_empty() && text.iter().all(|b| passes(*b)) { Outcome::TRUE } else { Outcome(no) }
}

/// A parameter of digest credentials without its quotes (RFC 3261 §25.1 `credentials`).
pub(crate) fn digest_param<'v>(value: &'v [u8], name: &str) -> Option<&'v [u8]> {
    let rest = value.get(..6).filter(|s| s.eq_ignore_ascii_case(b"digest")).and(value.get(6..))?;
    grammar::split_list(rest).find_map(|part| {
        let equal = part.iter().position(|b| *b == b'=')?;
        let (key, value) = part.split_at(equal);
        let value = value.get(1..)?.trim_ascii();
        key.trim_ascii()
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// Seconds since 1970 of an RFC 1123 date, `Sat, 13 Nov 2010 23:29:00 GMT`.
pub(crate) fn parse_date(text: &[u8]) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = std::str::from_utf8(text).ok()?;
    let (_, date) = text.split_once(',')?;
    let mut words = date.split_ascii_whitespace();
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01 of a Gregorian date, years counted from March so that the leap day is last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = y / 400;
    let of_era = y - era * 400;
    let of_year = (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(parse_date(b"Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_date(b"Fri, 02 Jan 2026 03:04:05 GMT"), Some(1_767_323_045));
        assert_eq!(parse_date(b"Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(parse_date(b"tomorrow"), None);
        assert_eq!(parse_date(b"Fri, 02 Foo 2026 03:04:05 GMT"), None);
        assert_eq!(parse_date(b"Fri, 02 Jan 2026 99:04:05 GMT"), None);
    }
}
