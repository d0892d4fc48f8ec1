//! Times in columns without a zone: Kamailio's drivers write and read them as local time.

use chrono::{
    DateTime, Datelike, Local, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike,
};

/// Local time of a Unix time; `None` for one that no calendar has.
pub fn local(unix: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(unix, 0).map(|t| t.with_timezone(&Local).naive_local())
}

/// Unix time of a local time. Of an hour that there is twice the second one; of one that there is not, the time an hour later.
pub fn unix(local: NaiveDateTime) -> i64 {
    match Local.from_local_datetime(&local) {
        MappedLocalTime::Single(t) => t.timestamp(),
        MappedLocalTime::Ambiguous(_, later) => later.timestamp(),
        MappedLocalTime::None => {
            let later = local + chrono::TimeDelta::hours(1);
            Local.from_local_datetime(&later).latest().map_or(local.and_utc().timestamp(), |t| t.timestamp())
        }
    }
}

/// `2030-05-28 21:32:15`; `None` for a time outside of the years 0 to 9999.
pub fn text(unix: i64) -> Option<String> {
    let t = local(unix).filter(|t| (0..=9999).contains(&t.year()))?;
    let (h, m, s) = (t.hour(), t.minute(), t.second());
    Some(format!("{:04}-{:02}-{:02} {h:02}:{m:02}:{s:02}", t.year(), t.month(), t.day()))
}

/// Reads `2030-05-28 21:32:15`, a fraction or a date alone as well.
pub fn parse(text: &str) -> Option<i64> {
    let full = text.get(..19).unwrap_or(text);
    let time = NaiveDateTime::parse_from_str(full, "%Y-%m-%d %H:%M:%S")
        .or_else(|_| NaiveDateTime::parse_from_str(full, "%Y-%m-%dT%H:%M:%S"))
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|d| d.and_time(NaiveTime::MIN)));
    time.ok().map(unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for at in [0, 951_868_800, 1_795_653_714, 4_000_000_000] {
            assert_eq!(text(at).as_deref().and_then(parse), Some(at));
        }
        assert_eq!(parse("2030-05-28 21:32:15.25"), parse("2030-05-28 21:32:15"));
        assert_eq!((parse("nonsense"), text(i64::MAX), parse("")), (None, None, None));
    }
}
