//! The one assertion of every end-to-end test: the script's callbacks ran exactly as often as the messages demand.
//!
//! A test that looks only at messages passes also when something else than the script has answered them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Calls of each callback, as `kemi.callbacks` counts them.
pub type Calls = BTreeMap<String, u64>;

/// How long the last callbacks may take once the last message was seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A number of calls that messages demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// This many.
    Exactly(u64),
    /// From the first to the second: where a peer repeats requests that no transaction absorbs.
    Between(u64, u64),
}

impl From<u64> for Times {
    fn from(n: u64) -> Times {
        Times::Exactly(n)
    }
}

impl Times {
    fn bounds(self) -> (u64, u64) {
        match self {
            Times::Exactly(n) => (n, n),
            Times::Between(least, most) => (least, most),
        }
    }
}

/// Panics unless, since `before`, the callbacks ran as demanded, and no others. `read` asks the server; it is asked until the numbers are
/// reached, as a callback without a visible effect may still run. What callbacks have run now.
pub fn callbacks_ran(
    what: &str,
    demanded: &[(&str, Times)],
    before: &Calls,
    mut read: impl FnMut() -> Calls,
) -> Calls {
    let least: u64 = demanded.iter().map(|(_, times)| times.bounds().0).sum();
    assert!(least > 0, "{what}: no callback is demanded: it would pass although the script does not run");
    let until = Instant::now() + PATIENCE;
    loop {
        let now = read();
        match compare(demanded, before, &now) {
            Found::AsDemanded => return now,
            Found::TooFew(_) if Instant::now() < until => std::thread::yield_now(),
            Found::TooFew(text) | Found::TooMany(text) => panic!("{what}: {text}\nall since then: {now:?}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    AsDemanded,
    TooFew(String),
    TooMany(String),
}

fn compare(demanded: &[(&str, Times)], before: &Calls, now: &Calls) -> Found {
    let names: BTreeSet<&str> =
        demanded.iter().map(|(name, _)| *name).chain(now.keys().map(String::as_str)).collect();
    let mut too_few = None;
    for name in names {
        let count = |calls: &Calls| calls.get(name).copied().unwrap_or(0);
        let ran = count(now).saturating_sub(count(before));
        let times = demanded.iter().find(|(n, _)| *n == name).map_or(Times::Exactly(0), |(_, times)| *times);
        let (least, most) = times.bounds();
        let text = || format!("{name} ran {ran} times, the messages demand {times:?}");
        if ran > most {
            return Found::TooMany(text());
        }
        if ran < least {
            too_few.get_or_insert_with(text);
        }
    }
    too_few.map_or(Found::AsDemanded, Found::TooFew)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(rows: &[(&str, u64)]) -> Calls {
        rows.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn too_few_too_many_and_others() {
        let demanded = [("a", Times::Exactly(2)), ("b", Times::Between(1, 3))];
        let before = calls(&[("a", 5)]);
        let found = |rows: &[(&str, u64)]| compare(&demanded, &before, &calls(rows));
        assert_eq!(found(&[("a", 7), ("b", 1)]), Found::AsDemanded);
        assert_eq!(found(&[("a", 7), ("b", 3), ("c", 0)]), Found::AsDemanded);
        for few in [&[("a", 7)][..], &[("a", 6), ("b", 1)], &[]] {
            assert!(matches!(found(few), Found::TooFew(_)), "{few:?}");
        }
        for many in [&[("a", 8), ("b", 1)][..], &[("a", 7), ("b", 4)], &[("a", 7), ("b", 1), ("c", 1)]] {
            assert!(matches!(found(many), Found::TooMany(_)), "{many:?}");
        }
    }

    #[test]
    fn late_callbacks_are_waited_for() {
        let mut asked = 0;
        let now = callbacks_ran("late", &[("a", 3.into())], &Calls::new(), || {
            asked += 1;
            calls(&[("a", asked)])
        });
        assert_eq!((asked, now["a"]), (3, 3));
    }

    #[test]
    #[should_panic(expected = "no callback is demanded")]
    fn a_demand_of_nothing_is_no_proof() {
        callbacks_ran("nothing", &[("a", 0.into())], &Calls::new(), Calls::new);
    }
}
