//! Kamailio's regular expressions: POSIX extended syntax over bytes, and `/regex/replacement/flags` substitutions.

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::{Format, Registry, RouteContext};

/// Compiles a POSIX extended expression. `i` in `flags`: without case; `s`: `.` stops at line ends and `^ $` match at them.
pub fn compile(pattern: &[u8], flags: &[u8]) -> Result<Regex, String> {
    let text = std::str::from_utf8(pattern).map_err(|_| "a regular expression must be UTF-8".to_string())?;
    let lines = flags.contains(&b's');
    RegexBuilder::new(&translate(text))
        .unicode(false)
        .case_insensitive(flags.contains(&b'i'))
        .dot_matches_new_line(!lines)
        .multi_line(lines)
        .size_limit(1 << 20)
        .build()
        .map_err(|e| format!("regular expression {text}: {e}"))
}

/// POSIX bracket expressions know neither nested sets nor set operations.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    let mut inside = false;
    let mut first = false;
    while let Some(c) = chars.next() {
        if !inside {
            out.push(c);
            if c == '\\' {
                out.extend(chars.next());
            } else if c == '[' {
                inside = true;
                first = true;
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
            }
            continue;
        }
        match c {
            ']' if !first => {
                inside = false;
                out.push(']');
            }
            '[' if chars.peek() == Some(&':') => {
                // A class such as [:alpha:]: copied to its end.
                out.push('[');
                let mut last = ' ';
                for c in chars.by_ref() {
                    out.push(c);
                    if last == ':' && c == ']' {
                        break;
                    }
                    last = c;
                }
            }
            ']' | '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        first = false;
    }
    out
}

/// `/regex/replacement/flags`, any delimiter. The replacement may hold `\0`..`\9` and pseudo-variables; flags `i`, `g`, `s`.
#[derive(Debug)]
pub struct Substitution {
    regex: Regex,
    parts: Vec<Part>,
    global: bool,
}

#[derive(Debug)]
enum Part {
    Text(Format),
    Group(usize),
}

impl Substitution {
    /// Parses; the error says what is wrong.
    pub fn parse(registry: &Registry, text: &[u8]) -> Result<Substitution, String> {
        Substitution::parse_at(registry, text, 0)
    }
    /// Parses inside a pseudo-variable that stands so many others deep.
    pub(crate) fn parse_at(registry: &Registry, text: &[u8], depth: usize) -> Result<Substitution, String> {
        let text = text.trim_ascii_start();
        let wrong =
            || format!("substitution {}: expected /regex/replacement/flags", String::from_utf8_lossy(text));
        let (&mark, rest) = text.split_first().ok_or_else(wrong)?;
        let end = find_mark(rest, mark).ok_or_else(wrong)?;
        let (pattern, rest) = (&rest[..end], &rest[end + 1..]);
        let end = find_mark(rest, mark).ok_or_else(wrong)?;
        let (replacement, flags) = (&rest[..end], rest[end + 1..].trim_ascii());
        if let Some(bad) = flags.iter().find(|f| !b"igs".contains(f)) {
            return Err(format!("substitution flag {}: expected i, g or s", *bad as char));
        }
        Ok(Substitution {
            regex: compile(pattern, flags)?,
            parts: parse_replacement(registry, replacement, depth)?,
            global: flags.contains(&b'g'),
        })
    }
    /// Whether the expression matches.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
    /// The text with the first match (all with `g`) replaced; `None` when nothing matches.
    pub fn apply(&self, ctx: &RouteContext<'_>, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for found in self.regex.captures_iter(text) {
            let whole = found.get(0)?;
            out.extend_from_slice(text.get(copied..whole.start())?);
            self.write(ctx, &found, &mut out);
            copied = whole.end();
            if !self.global {
                break;
            }
        }
        if copied == 0 && out.is_empty() && !self.regex.is_match(text) {
            return None;
        }
        out.extend_from_slice(text.get(copied..)?);
        Some(out)
    }
    /// Each match as a span with its replacement.
    pub fn matches(&self, ctx: &RouteContext<'_>, text: &[u8]) -> Vec<(std::ops::Range<usize>, Vec<u8>)> {
        let mut all = Vec::new();
        for found in self.regex.captures_iter(text) {
            let Some(whole) = found.get(0) else { break };
            let mut out = Vec::new();
            self.write(ctx, &found, &mut out);
            all.push((whole.range(), out));
            if !self.global {
                break;
            }
        }
        all
    }
    fn write(&self, ctx: &RouteContext<'_>, found: &Captures<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(format) => format.write(ctx, out),
                Part::Group(n) => out.extend_from_slice(found.get(*n).map_or(b"", |m| m.as_bytes())),
            }
        }
    }
}

/// The next delimiter that no backslash escapes.
fn find_mark(text: &[u8], mark: u8) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.iter().enumerate() {
        if !escaped && *c == mark {
            return Some(i);
        }
        escaped = !escaped && *c == b'\\';
    }
    None
}

fn parse_replacement(registry: &Registry, text: &[u8], depth: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut bytes = text.iter().peekable();
    while let Some(&c) = bytes.next() {
        if c != b'\\' {
            plain.push(c);
            continue;
        }
        match bytes.next() {
            Some(d) if d.is_ascii_digit() => {
                if !plain.is_empty() {
                    parts.push(Part::Text(Format::parse_at(registry, &std::mem::take(&mut plain), depth)?));
                }
                parts.push(Part::Group(usize::from(d - b'0')));
            }
            Some(b'n') => plain.push(b'\n'),
            Some(b'r') => plain.push(b'\r'),
            Some(b't') => plain.push(b'\t'),
            Some(other) => plain.push(*other),
            None => plain.push(b'\\'),
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(Format::parse_at(registry, &plain, depth)?));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posix_brackets_are_kept_as_posix_means_them() {
        assert!(compile(b"^[[:digit:]]+$", b"").is_ok_and(|r| r.is_match(b"0123")));
        assert!(compile(b"^[]a]+$", b"").is_ok_and(|r| r.is_match(b"]a")));
        assert!(compile(b"^[a[]+$", b"").is_ok_and(|r| r.is_match(b"[a")));
        assert!(compile(b"^[a&&b]+$", b"").is_ok_and(|r| r.is_match(b"a&b")));
        assert!(compile(b"(", b"").is_err());
    }

    #[test]
    fn substitutions_replace_once_or_everywhere() {
        let registry = Registry::default();
        let bench = crate::testing::Bench::new(Vec::new());
        let ctx = bench.request("OPTIONS sip:a SIP/2.0\nCSeq: 1 OPTIONS\n");
        let run = |subst: &str, text: &str| {
            let s = Substitution::parse(&registry, subst.as_bytes()).expect("parses");
            s.apply(&ctx, text.as_bytes()).map(|v| String::from_utf8_lossy(&v).into_owned())
        };
        assert_eq!(run("/b/X/", "abcb").as_deref(), Some("aXcb"));
        assert_eq!(run("/b/X/g", "abcb").as_deref(), Some("aXcX"));
        assert_eq!(run(r"/^(a)(b)/\2\1/", "abc").as_deref(), Some("bac"));
        assert_eq!(run("#B##i", "abc").as_deref(), Some("ac"));
        assert_eq!(run(r"/^(.*)$/<\0>/", "").as_deref(), Some("<>"));
        assert_eq!(run("/z/X/", "abc"), None);
        assert!(Substitution::parse(&registry, b"/b/X").is_err());
        assert!(Substitution::parse(&registry, b"/b/X/q").is_err());
    }
}
