//! Plain texts compared and searched.

use std::cmp::Ordering;

use script::{Outcome, Pv, RouteContext, Value, ksr_module};

use super::TextOps;
use super::regex_cache::{self, Flags};

/// Offset of a text in another.
pub(super) fn find(haystack: &[u8], needle: &[u8], any_case: bool) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack
        .windows(needle.len())
        .position(|w| if any_case { w.eq_ignore_ascii_case(needle) } else { w == needle })
}

/// Place of a match counted from 1; -1 when there is none or one of the texts is empty.
fn place(haystack: &[u8], needle: &[u8], any_case: bool) -> Outcome {
    if haystack.is_empty() || needle.is_empty() {
        return Outcome::FALSE;
    }
    find(haystack, needle, any_case).map_or(Outcome::FALSE, |at| Outcome(at as i64 + 1))
}

/// A comparison as a result: 1 equal, -1 greater, -2 less.
fn order(ordering: Ordering) -> Outcome {
    match ordering {
        Ordering::Equal => Outcome::TRUE,
        Ordering::Greater => Outcome::FALSE,
        Ordering::Less => Outcome(-2),
    }
}

fn elements<'l>(list: &'l [u8], separator: &[u8]) -> impl Iterator<Item = &'l [u8]> {
    let separator = separator.first().copied().unwrap_or(b',');
    list.split(move |b| *b == separator).map(<[u8]>::trim_ascii)
}

#[ksr_module("textops", rows = "TEXT")]
impl TextOps {
    /// Whether a text is an element of a list; `sep` is one character. White space around elements does not count. Returns 1 or -1.
    #[ksr(cfg = ["in_list"], no_message)]
    fn in_list(&self, subject: &[u8], list: &[u8], sep: &[u8]) -> Outcome {
        Outcome::from(elements(list, sep).any(|e| e == subject))
    }
    /// Whether an element of a list is how a text begins; `sep` is one character. Returns 1 or -1.
    #[ksr(cfg = ["in_list_prefix"], no_message)]
    fn in_list_prefix(&self, subject: &[u8], list: &[u8], sep: &[u8]) -> Outcome {
        Outcome::from(elements(list, sep).any(|e| !e.is_empty() && subject.starts_with(e)))
    }
    /// Compares two texts. Returns 1 when they are equal, -1 when the first comes behind the second, -2 when it comes before it.
    #[ksr(cfg = ["cmp_str"], no_message)]
    fn cmp_str(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        order(s1.cmp(s2))
    }
    /// As `cmp_str`, letters in either case.
    #[ksr(cfg = ["cmp_istr"], no_message)]
    fn cmp_istr(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        order(s1.to_ascii_lowercase().cmp(&s2.to_ascii_lowercase()))
    }
    /// Whether the first text begins with the second. Returns 1; -1 when it is shorter, else how they compare, as `cmp_str`.
    #[ksr(cfg = ["starts_with"], no_message)]
    fn starts_with(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        s1.get(..s2.len()).map_or(Outcome::FALSE, |start| order(start.cmp(s2)))
    }
    /// Whether the first text ends with the second. Returns 1; -1 when it is shorter, else how they compare, as `cmp_str`.
    #[ksr(cfg = ["ends_with"], no_message)]
    fn ends_with(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        let from = s1.len().checked_sub(s2.len());
        from.and_then(|from| s1.get(from..)).map_or(Outcome::FALSE, |end| order(end.cmp(s2)))
    }
    /// Where the second text is in the first, counted from 1; -1 when it is not.
    #[ksr(cfg = ["str_find"], no_message)]
    fn str_find(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        place(s1, s2, false)
    }
    /// As `str_find`, letters in either case.
    #[ksr(cfg = ["str_ifind"], no_message)]
    fn str_ifind(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        place(s1, s2, true)
    }
    /// Whether any character of the second text is in the first. Returns 1 or -1.
    #[ksr(cfg = ["str_any_in"], no_message)]
    fn str_any_in(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        Outcome::from(s2.iter().any(|b| s1.contains(b)))
    }
    /// Whether all characters of the first text are in the second. Returns 1 or -1.
    #[ksr(cfg = ["str_all_in"], no_message)]
    fn str_all_in(&self, s1: &[u8], s2: &[u8]) -> Outcome {
        Outcome::from(!s1.is_empty() && s1.iter().all(|b| s2.contains(b)))
    }
    /// Matches a regular expression with groups; group `mindex` (0 is the whole match) goes into a pseudo-variable. `nmatch` is how many
    /// groups to look at. Returns 1; -2 when nothing matches, -1 for a group that is not there.
    #[ksr(cfg = ["regex_substring"])]
    fn regex_substring(
        &self,
        ctx: &mut RouteContext<'_>,
        input: &[u8],
        regex: &[u8],
        mindex: i64,
        nmatch: i64,
        dst: &Pv,
    ) -> Outcome {
        let flags = Flags { ignore_case: false, ..Flags::USUAL };
        let Ok(re) = regex_cache::get(ctx, regex, flags) else { return Outcome::FALSE };
        let Some(hit) = re.captures(input) else { return Outcome(-2) };
        let group = usize::try_from(mindex).ok().filter(|_| mindex < nmatch.max(1)).and_then(|i| hit.get(i));
        match group {
            Some(group) => Outcome::from(dst.set(ctx, Value::owned(group.as_bytes().to_vec()))),
            None => Outcome::FALSE,
        }
    }
}
