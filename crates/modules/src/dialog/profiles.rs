//! Profiles: sets of dialogs that are counted, as a whole and by value.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::dialog::Facts;

/// Most different values of a profile.
const MAX_VALUES: usize = 1 << 20;
/// Most profiles of one dialog.
const MAX_MEMBERSHIPS: usize = 64;

/// One profile.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) with_value: bool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: i64,
    by_value: HashMap<Box<[u8]>, i64>,
}

/// All profiles, as the configuration names them.
#[derive(Debug, Default)]
pub(super) struct Profiles(Vec<Profile>);

impl Profiles {
    pub(super) fn new(no_value: &str, with_value: &str) -> Profiles {
        let names = |list: &str, with_value: bool| -> Vec<Profile> {
            list.split(';')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(|name| Profile { name: name.into(), with_value, counts: Mutex::default() })
                .collect()
        };
        Profiles([names(no_value, false), names(with_value, true)].into_iter().flatten().collect())
    }
    /// The number of a profile.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().position(|p| p.name.as_bytes() == name)
    }
    pub(super) fn get(&self, number: usize) -> Option<&Profile> {
        self.0.get(number)
    }
    /// How many dialogs are in it, with that value or, `None`, at all.
    pub(super) fn size(&self, number: usize, value: Option<&[u8]>) -> i64 {
        let Some(profile) = self.0.get(number) else { return 0 };
        let counts = profile.counts();
        match value.filter(|_| profile.with_value) {
            Some(value) => counts.by_value.get(value).copied().unwrap_or(0),
            None => counts.all,
        }
    }
    /// Puts a dialog in; false when that is too much.
    pub(super) fn enter(&self, facts: &mut Facts, number: usize, value: &[u8]) -> bool {
        let Some(profile) = self.0.get(number) else { return false };
        if facts.profiles.len() >= MAX_MEMBERSHIPS {
            return false;
        }
        let value: Box<[u8]> = if profile.with_value { value.into() } else { Box::default() };
        let mut counts = profile.counts();
        if profile.with_value {
            if counts.by_value.len() >= MAX_VALUES && !counts.by_value.contains_key(&value) {
                return false;
            }
            *counts.by_value.entry(value.clone()).or_default() += 1;
        }
        counts.all += 1;
        drop(counts);
        facts.profiles.push((number, value));
        true
    }
    /// Takes a dialog out; whether it was in.
    pub(super) fn leave(&self, facts: &mut Facts, number: usize, value: &[u8]) -> bool {
        let with_value = self.0.get(number).is_some_and(|p| p.with_value);
        let there = facts.profiles.iter().position(|(n, v)| *n == number && (!with_value || **v == *value));
        let Some((_, value)) = there.map(|at| facts.profiles.remove(at)) else { return false };
        self.count_out(number, &value);
        true
    }
    /// Takes a dialog out of all.
    pub(super) fn leave_all(&self, facts: &mut Facts) {
        for (number, value) in std::mem::take(&mut facts.profiles) {
            self.count_out(number, &value);
        }
    }
    fn count_out(&self, number: usize, value: &[u8]) {
        let Some(profile) = self.0.get(number) else { return };
        let mut counts = profile.counts();
        counts.all -= 1;
        if let Some(n) = counts.by_value.get_mut(value) {
            *n -= 1;
            if *n <= 0 {
                counts.by_value.remove(value);
            }
        }
    }
}

impl Profile {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialogs_are_counted_by_value_and_as_a_whole() {
        let profiles = Profiles::new("inbound", " caller; callee ");
        let caller = profiles.find(b"caller").unwrap();
        let inbound = profiles.find(b"inbound").unwrap();
        let mut facts = Facts::new(0, 1);
        assert!(profiles.enter(&mut facts, caller, b"alice") && profiles.enter(&mut facts, caller, b"bob"));
        assert!(profiles.enter(&mut facts, inbound, b"ignored"));
        let size = |value| profiles.size(caller, value);
        assert_eq!((size(Some(b"alice")), size(Some(b"carol")), size(None)), (1, 0, 2));
        assert_eq!(profiles.size(inbound, Some(b"whatever")), 1);
        assert!(
            profiles.leave(&mut facts, caller, b"alice") && !profiles.leave(&mut facts, caller, b"alice")
        );
        profiles.leave_all(&mut facts);
        assert_eq!((profiles.size(caller, None), profiles.size(inbound, None)), (0, 0));
        assert_eq!(profiles.find(b"nope"), None);
    }
}
