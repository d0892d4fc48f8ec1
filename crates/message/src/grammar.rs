//! The basic rules of RFC 3261 §25.1 that every other file of this crate walks text with: linear white space, tokens,
//! quoted strings, comma lists, percent escapes.
//!
//! Nothing here allocates but [`unescape`] and [`escape`]; nothing trusts its input.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// LWS with its folds: SP, HTAB, CR, LF.
#[inline]
pub(crate) fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Removes LWS (and folds) from both ends.
#[inline]
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

#[inline]
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_lws(*first) {
            break;
        }
        text = rest;
    }
    text
}

#[inline]
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text {
        if !is_lws(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// The value to which `;name=value` can be appended: without the one `;` too many that some user agents write.
pub(crate) fn trim_last_semicolon(text: &[u8]) -> &[u8] {
    let trimmed = trim_end(text);
    trimmed.strip_suffix(b";").map_or(trimmed, trim_end)
}

/// `token` characters of §25.1.
static TOKEN: [bool; 256] = table(b"-.!%*_+`'~", true);
/// Characters that may stand in a host as this server accepts it: host names (with the `_` of real networks), IPv4.
static HOST: [bool; 256] = table(b"-._", true);

/// A table of characters: these, and letters and digits when `alphanumeric`.
pub const fn table(extra: &[u8], alphanumeric: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alphanumeric && (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < extra.len() {
        table[extra[index] as usize] = true;
        index += 1;
    }
    table
}

#[inline]
pub(crate) fn is_token_char(byte: u8) -> bool {
    TOKEN[byte as usize]
}

#[inline]
pub(crate) fn is_host_char(byte: u8) -> bool {
    HOST[byte as usize]
}

/// Whether the text is a `token` of §25.1 (method, header name, parameter name).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_char(b))
}

/// Digits only, at least one; `None` on anything else and on overflow.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The digits of a number, written into `room` without an allocation.
pub fn decimal(mut number: usize, room: &mut [u8; 20]) -> &[u8] {
    let mut first = room.len();
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first -= 1;
        if number == 0 {
            break;
        }
    }
    room.get(first..).unwrap_or_default()
}

/// 1*DIGIT up to 65535.
pub(crate) fn port(text: &[u8]) -> Option<u16> {
    number(text).and_then(|n| u16::try_from(n).ok())
}

/// Host as an address: IPv4, or IPv6 with or without brackets.
pub(crate) fn ip(host: &[u8]) -> Option<std::net::IpAddr> {
    // A name is the common alternative, and no name begins like an address and contains only these.
    let first = *host.first()?;
    if first != b'[' && first != b':' && !first.is_ascii_hexdigit() {
        return None;
    }
    let bare = match host {
        [b'[', inner @ .., b']'] => inner,
        other => other,
    };
    std::str::from_utf8(bare).ok()?.parse().ok()
}

/// A place in a text, with the few steps that SIP's grammar is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a>(pub &'a [u8]);

impl<'a> Scan<'a> {
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    #[inline]
    pub(crate) fn skip_lws(&mut self) {
        self.0 = trim_start(self.0);
    }
    /// Takes the byte when it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
    #[inline]
    pub(crate) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&b| !wanted(b)).unwrap_or(self.0.len());
        self.take(end)
    }
    /// Takes what stands before that byte, or what is left.
    #[inline]
    pub(crate) fn take_until(&mut self, byte: u8) -> &'a [u8] {
        self.take(memchr(byte, self.0).unwrap_or(self.0.len()))
    }
    /// Takes `count` bytes, or what is left.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
    /// Takes a quoted-string with its quotes; `None` (and nothing taken) when it has no end.
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        let end = quoted_len(self.0)?;
        Some(self.take(end))
    }
}

/// Length of the quoted-string that `text` begins with, quotes included; `None` when it never ends.
pub fn quoted_len(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        let found = at + memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(found) {
            Some(b'"') => return Some(found + 1),
            // quoted-pair: whatever follows is part of the string.
            _ => at = found + 2,
        }
    }
}

/// Length of the first element of a comma list: to the first comma outside quotes and angle brackets, or to the end.
pub(crate) fn element_len(text: &[u8]) -> usize {
    first_element(text, true)
}

/// As [`element_len`], of a list of Vias: angle brackets are no brackets there (RFC 3261 §25.1, via-parm). Were they, a Via would end
/// elsewhere once a parameter with a bracket is replaced in it.
pub(crate) fn via_len(text: &[u8]) -> usize {
    first_element(text, false)
}

fn first_element(text: &[u8], brackets: bool) -> usize {
    if memchr(b',', text).is_none() {
        return text.len();
    }
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b',' => return at,
            b'"' => match text.get(at..).and_then(quoted_len) {
                Some(len) => at += len,
                None => return text.len(),
            },
            b'<' if brackets => match text.get(at..).and_then(|rest| memchr(b'>', rest)) {
                Some(len) => at += len + 1,
                None => return text.len(),
            },
            _ => at += 1,
        }
    }
    text.len()
}

/// Elements of a comma list with their LWS trimmed, empty ones included; a text without elements yields none.
pub(crate) fn elements<'a>(text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    elements_by(text, element_len)
}

/// As [`elements`], each as long as `len` says.
pub(crate) fn elements_by<'a>(
    text: &'a [u8],
    len: fn(&[u8]) -> usize,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let text = trim(text);
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (element, tail) = text.split_at_checked(len(text))?;
        rest = tail.split_first().map(|(_, after)| after);
        Some(trim(element))
    })
}

/// Splits a header value (`Supported`, `Allow`, `Require`, ...) at its commas; quoted strings and `<>` may hold commas.
/// Empty elements are skipped, as RFC 3261 §7.3.1 lists never mean anything by them.
pub fn split_list<'a>(text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    elements(text).filter(|element| !element.is_empty())
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// One character of an escaped text: its byte, and whether it was written as `%hh`.
pub(crate) fn escaped_bytes<'a>(text: &'a [u8]) -> impl Iterator<Item = (u8, bool)> + use<'a> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let [b'%', high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = tail;
            return Some((high << 4 | low, true));
        }
        let (first, tail) = rest.split_first()?;
        rest = tail;
        Some((*first, false))
    })
}

/// Replaces `%hh` (§25.1 `escaped`) by the byte it stands for; a percent sign that begins no escape is kept.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escaped_bytes(text).map(|(byte, _)| byte).collect())
}

/// Removes the backslashes of a quoted string's quoted-pairs (§25.1); the quotes must be gone already.
pub fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(plain)
}

/// Where an escaped text is going to stand; decides which characters may stay as they are (§25.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// `user`: unreserved and user-unreserved stay.
    User,
    /// `pname` and `pvalue` of a URI parameter: unreserved and param-unreserved stay.
    Param,
    /// `hname` and `hvalue` after `?`: unreserved and hnv-unreserved stay.
    Header,
}

static UNRESERVED_USER: [bool; 256] = table(b"-_.!~*'()&=+$,;?/", true);
static UNRESERVED_PARAM: [bool; 256] = table(b"-_.!~*'()[]/:&+$", true);
static UNRESERVED_HEADER: [bool; 256] = table(b"-_.!~*'()[]/?:+$", true);

/// Writes every byte that may not stand in that component as `%hh`.
pub fn escape(text: &[u8], component: Component) -> Cow<'_, [u8]> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let plain = match component {
        Component::User => &UNRESERVED_USER,
        Component::Param => &UNRESERVED_PARAM,
        Component::Header => &UNRESERVED_HEADER,
    };
    if text.iter().all(|&b| plain[b as usize]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        if plain[byte as usize] {
            escaped.push(byte);
        } else {
            escaped.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        split_list(text.as_bytes()).map(|e| std::str::from_utf8(e).expect("ASCII in the test")).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(
            split(r#""x, \" y" <sip:a,b@c>;p="1,2", <sip:d>"#),
            [r#""x, \" y" <sip:a,b@c>;p="1,2""#, "<sip:d>"]
        );
        assert_eq!(split("a,\r\n\tb,,\t,c,"), ["a", "b", "c"]);
        assert_eq!(split(" "), [""; 0]);
        assert_eq!(split("\"never ends, x"), ["\"never ends, x"]);
    }

    #[test]
    fn quoted_strings_end_at_an_unescaped_quote() {
        assert_eq!(quoted_len(br#""a\"b" c"#), Some(6));
        assert_eq!(quoted_len(br#""a\\" c"#), Some(5));
        assert_eq!(quoted_len(br#""a\"#), None);
        assert_eq!(quoted_len(b"\"abc"), None);
        assert_eq!(quoted_len(b"abc"), None);
        assert_eq!(&*unquote(br#"a\"b\\c\"#), br#"a"b\c\"#);
    }

    #[test]
    fn escapes_go_both_ways() {
        assert_eq!(&*unescape(b"%75se%72"), b"user");
        assert_eq!(&*unescape(b"%Z%4"), b"%Z%4");
        assert_eq!(&*unescape(b"a%00b"), b"a\0b");
        assert_eq!(&*escape(b"I have@spaces;", Component::User), b"I%20have%40spaces;");
        assert_eq!(&*escape(b"a;b=c", Component::Param), b"a%3Bb%3Dc");
        assert!(matches!(escape(b"alice", Component::User), Cow::Borrowed(_)));
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(&*unescape(&escape(&every, Component::Header)), &every[..]);
    }

    #[test]
    fn digits_of_numbers() {
        for n in [0, 9, 10, 69, 255, 65_535, u32::MAX as usize, usize::MAX] {
            assert_eq!(decimal(n, &mut [0; 20]), n.to_string().as_bytes());
        }
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number(b"0068"), Some(68));
        assert_eq!(number(b"+1"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"36893488147419103232"), None);
        assert_eq!(port(b"65536"), None);
    }
}
