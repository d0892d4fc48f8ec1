//! Digest credentials (RFC 7616 section 3.4) as pseudo-variables and `auth` read them: split once, nothing unescaped.

use message::grammar::{quoted_len, table};

/// The value of an Authorization or Proxy-Authorization row. Values are without their quotes; of a parameter that stands twice the
/// last holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `username`
    pub username: Option<&'a [u8]>,
    /// `realm`
    pub realm: Option<&'a [u8]>,
    /// `nonce`
    pub nonce: Option<&'a [u8]>,
    /// `uri`
    pub uri: Option<&'a [u8]>,
    /// `response`
    pub response: Option<&'a [u8]>,
    /// `algorithm`
    pub algorithm: Option<&'a [u8]>,
    /// `cnonce`
    pub cnonce: Option<&'a [u8]>,
    /// `opaque`
    pub opaque: Option<&'a [u8]>,
    /// `qop`
    pub qop: Option<&'a [u8]>,
    /// `nc`
    pub nc: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    /// Parses; `None` for another scheme than Digest and for what is no list of parameters.
    ///
    /// Lenient where phones are: values with or without quotes, white space around `=`, empty list elements.
    pub fn parse(value: &'a [u8]) -> Option<Credentials<'a>> {
        let value = value.trim_ascii_start();
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"digest") || !rest.first().is_some_and(u8::is_ascii_whitespace) {
            return None;
        }
        let mut found = Credentials::default();
        let mut rest = skip(rest);
        while !rest.is_empty() {
            let (name, behind) = until(rest, &TOKEN_END);
            let (value, behind) = text(behind.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start())?;
            if let Some(slot) = found.slot(name) {
                *slot = Some(value);
            }
            let behind = behind.trim_ascii_start();
            if !behind.is_empty() && behind.first() != Some(&b',') {
                return None;
            }
            rest = skip(behind);
        }
        Some(found)
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        Some(match name.len() {
            2 if is(b"nc") => &mut self.nc,
            3 if is(b"uri") => &mut self.uri,
            3 if is(b"qop") => &mut self.qop,
            5 if is(b"realm") => &mut self.realm,
            5 if is(b"nonce") => &mut self.nonce,
            6 if is(b"cnonce") => &mut self.cnonce,
            6 if is(b"opaque") => &mut self.opaque,
            8 if is(b"username") => &mut self.username,
            8 if is(b"response") => &mut self.response,
            9 if is(b"algorithm") => &mut self.algorithm,
            _ => return None,
        })
    }

    /// The username up to its `@`.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.username?.split(|c| *c == b'@').next().filter(|u| !u.is_empty())
    }
    /// The username behind its `@`.
    pub fn domain(&self) -> Option<&'a [u8]> {
        let username = self.username?;
        let at = username.iter().position(|c| *c == b'@')?;
        username.get(at + 1..)
    }
}

/// Past white space and commas.
fn skip(text: &[u8]) -> &[u8] {
    let at = text.iter().position(|c| !c.is_ascii_whitespace() && *c != b',').unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

/// What ends a token; a table is quicker than comparisons.
static TOKEN_END: [bool; 256] = table(b"=,\" \t\n\r\x0c", false);
/// What ends a value without quotes: a nonce may hold `=`.
static VALUE_END: [bool; 256] = table(b",\" \t\n\r\x0c", false);

fn until<'a>(text: &'a [u8], ends: &[bool; 256]) -> (&'a [u8], &'a [u8]) {
    let end = text.iter().position(|c| ends[usize::from(*c)]);
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, b""))
}

/// A quoted string without its quotes, or a token. `None` when the quote is not closed.
fn text(from: &[u8]) -> Option<(&[u8], &[u8])> {
    if from.first() != Some(&b'"') {
        return Some(until(from, &VALUE_END));
    }
    let end = quoted_len(from)?;
    Some((from.get(1..end - 1)?, from.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"Digest username="alice@example.com", realm="r", nonce="n=", uri="sip:r", response="0", algorithm=MD5, cnonce="c", opaque="o", qop=auth, nc=00000001"#;

    fn parse(text: &str) -> Option<Credentials<'_>> {
        Credentials::parse(text.as_bytes())
    }

    #[test]
    fn every_parameter_has_its_place() {
        let c = parse(FULL).expect("credentials");
        assert_eq!(
            (c.username, c.user(), c.domain()),
            (Some(&b"alice@example.com"[..]), Some(&b"alice"[..]), Some(&b"example.com"[..]))
        );
        let rest = [c.realm, c.nonce, c.uri, c.response, c.algorithm, c.cnonce, c.opaque, c.qop, c.nc];
        let wanted = ["r", "n=", "sip:r", "0", "MD5", "c", "o", "auth", "00000001"];
        assert_eq!(rest.map(Option::unwrap_or_default), wanted.map(str::as_bytes));
    }
    #[test]
    fn phones_are_sloppy() {
        for text in [
            FULL.to_owned(),
            FULL.replace("Digest ", "digest\t"),
            FULL.replace('=', " = ").replace("n = ", "n="),
            FULL.replace("username", "USERNAME").replace("realm=", "Realm="),
            FULL.replace("auth,", "\"auth\",").replace("\"n=\"", "n="),
            FULL.replace("uri=", "realm=\"other\", foo=bar, x=\"y,z\", uri=").replace("realm=\"r\"", "qop=x"),
            format!("{FULL},"),
            FULL.replace(", ", ",\r\n "),
        ] {
            let c = parse(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (c.nonce, c.qop, c.uri),
                (Some(&b"n="[..]), Some(&b"auth"[..]), Some(&b"sip:r"[..])),
                "{text}"
            );
        }
        let c = parse(r#"Digest username="al\"i,ce", realm="a", realm="b""#).expect("escapes");
        assert_eq!((c.username, c.realm), (Some(&br#"al\"i,ce"#[..]), Some(&b"b"[..])));
    }
    #[test]
    fn what_is_no_list_is_nothing() {
        for text in [
            "",
            "Digest",
            "Basic YTpi",
            "Digestusername=\"a\"",
            "Digest username=\"a\" realm=\"r\"",
            "Digest username=\"a\"; realm=\"r\"",
            "Digest username=\"a",
            "Digest username=\"a\\\"",
            "Digest username",
            "Basic abc, Digest username=\"a\"",
        ] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
