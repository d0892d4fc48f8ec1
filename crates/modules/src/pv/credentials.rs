//! Digest credentials (RFC 7616 section 3.4) as pseudo-variables and `auth` read them.

/// The value of an Authorization or Proxy-Authorization row.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// `username`, without quotes.
    pub username: &'a [u8],
    params: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Parses; `None` for another scheme than Digest or without a username.
    pub fn parse(value: &'a [u8]) -> Option<Credentials<'a>> {
        let value = value.trim_ascii_start();
        let (scheme, params) = value.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"digest ") {
            return None;
        }
        let found = Credentials { username: b"", params };
        Some(Credentials { username: found.param("username")?, params })
    }
    /// A parameter without its quotes.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        super::headers::elements(self.params).find_map(|p| {
            let eq = p.iter().position(|c| *c == b'=')?;
            let value = p.get(eq + 1..)?.trim_ascii();
            let inside = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
            p[..eq].trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(inside.unwrap_or(value))
        })
    }
    /// The username up to its `@`.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.username.split(|c| *c == b'@').next().filter(|u| !u.is_empty())
    }
    /// The username behind its `@`.
    pub fn domain(&self) -> Option<&'a [u8]> {
        let at = self.username.iter().position(|c| *c == b'@')?;
        self.username.get(at + 1..)
    }
}
