//! SIP, SIPS and tel URIs, and any other scheme as opaque text (RFC 3261 §19.1, RFC 3966).

mod compare;
mod remembered;

pub(crate) use remembered::RememberedUri;

use memchr::memchr;

use crate::grammar::{self, Scan, is_host_char};
use crate::{Fault, Params, Transport};

/// URI scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    Urn,
    Other,
}

impl Scheme {
    /// Case-insensitive (§19.1.4).
    fn parse(text: &[u8]) -> Scheme {
        match text.len() {
            3 if text.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            4 if text.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            3 if text.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            3 if text.eq_ignore_ascii_case(b"urn") => Scheme::Urn,
            _ => Scheme::Other,
        }
    }
    /// Whether this is `sip` or `sips`: what a proxy can route on. Others deserve a 416 (§8.2.2.1, §16.3 step 2).
    pub fn is_sip(self) -> bool {
        matches!(self, Scheme::Sip | Scheme::Sips)
    }
}

/// A URI split over the bytes it was parsed from. Nothing is unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Whole text.
    pub text: &'a [u8],
    /// Scheme.
    pub scheme: Scheme,
    /// User part without password (for tel: the number), `None` when there is no `@`.
    pub user: Option<&'a [u8]>,
    /// Password (deprecated, RFC 3261 §19.1.1).
    pub password: Option<&'a [u8]>,
    /// Host as written; IPv6 with its brackets. Empty for tel and unknown schemes.
    pub host: &'a [u8],
    /// Port when written.
    pub port: Option<u16>,
    /// `;`-parameters of the URI, without the leading `;`.
    pub params: Params<'a>,
    /// After `?`.
    pub headers: &'a [u8],
}

const BAD_URI: Fault = Fault { code: 400, reason: "Bad URI" };

/// What stands in no URI unescaped: controls, white space, and the delimiters of name-addr.
static EXCLUDED: [bool; 256] = {
    let mut excluded = grammar::table(b" <>\"\x7f", false);
    let mut control = 0;
    while control < 0x20 {
        excluded[control] = true;
        control += 1;
    }
    excluded
};

impl<'a> Uri<'a> {
    /// Parses an addr-spec. Strict about white space and structure, lenient about unknown schemes.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, Fault> {
        if text.iter().any(|&b| EXCLUDED[b as usize]) {
            return Err(BAD_URI);
        }
        let mut scan = Scan(text);
        let scheme = match text {
            // Nearly everybody writes it so.
            [b's', b'i', b'p', b':', ..] => {
                scan.take(4);
                Scheme::Sip
            }
            _ => {
                let scheme =
                    scan.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
                if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scan.eat(b':') {
                    return Err(BAD_URI);
                }
                Scheme::parse(scheme)
            }
        };
        if scan.is_empty() {
            return Err(BAD_URI);
        }
        let none = text.get(text.len()..).unwrap_or_default();
        let mut uri = Uri {
            text,
            scheme,
            user: None,
            password: None,
            host: none,
            port: None,
            params: Params(none),
            headers: none,
        };
        match uri.scheme {
            Scheme::Sip | Scheme::Sips => uri.parse_sip(scan)?,
            Scheme::Tel => {
                let number = scan.take_until(b';');
                if number.is_empty() {
                    return Err(BAD_URI);
                }
                uri.user = Some(number);
                scan.eat(b';');
                uri.params = Params(scan.0);
            }
            Scheme::Urn | Scheme::Other => {}
        }
        Ok(uri)
    }

    /// `[userinfo "@"] host [":" port] *(";" param) ["?" headers]`
    fn parse_sip(&mut self, mut scan: Scan<'a>) -> Result<(), Fault> {
        // The user part may hold `;`, `?` and `/` (§25.1 user-unreserved) but no `@`, and neither may the parameters.
        // Only headers are known to carry an `@` that somebody forgot to escape: one behind the host's `?` without any
        // user before it would be taken for one here, which is what the grammar says.
        if let Some(at) = memchr(b'@', scan.0) {
            let userinfo = scan.take(at);
            scan.eat(b'@');
            match memchr(b':', userinfo) {
                Some(colon) => {
                    self.user = userinfo.get(..colon);
                    self.password = userinfo.get(colon + 1..);
                }
                None => self.user = Some(userinfo),
            }
        }
        self.host = if scan.peek() == Some(b'[') {
            let end = memchr(b']', scan.0).ok_or(BAD_URI)?;
            let host = scan.take(end + 1);
            grammar::ip(host).map(|_| host).ok_or(BAD_URI)?
        } else {
            scan.take_while(is_host_char)
        };
        if self.host.is_empty() {
            return Err(BAD_URI);
        }
        if scan.eat(b':') {
            self.port = Some(grammar::port(scan.take_while(|b| b.is_ascii_digit())).ok_or(BAD_URI)?);
        }
        if scan.eat(b';') {
            self.params = Params(scan.take_until(b'?'));
        }
        if scan.eat(b'?') {
            self.headers = scan.take(usize::MAX);
        }
        if scan.is_empty() { Ok(()) } else { Err(BAD_URI) }
    }

    /// `transport` parameter; `None` when absent or unknown.
    pub fn transport(&self) -> Option<Transport> {
        Transport::parse(self.params.get_escaped("transport")?.value?)
    }
    /// Port, or the default for its transport and scheme.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| match (self.scheme, self.transport()) {
            (Scheme::Sips, Some(Transport::Ws)) => Transport::Wss.default_port(),
            (Scheme::Sips, None | Some(Transport::Tcp | Transport::Udp | Transport::Sctp)) => {
                Transport::Tls.default_port()
            }
            (_, transport) => transport.unwrap_or(Transport::Udp).default_port(),
        })
    }
    /// Host as an address when it is one (brackets allowed).
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        grammar::ip(self.host)
    }
    /// Whether the `lr` parameter is there (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.get_escaped("lr").is_some()
    }
    /// Comparison by RFC 3261 §19.1.4 (`tel`: RFC 3966 §4; other schemes: byte by byte but for the scheme's case).
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        compare::equivalent(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn parts_of_sip_uris() {
        let uri = parse("sip:alice:secret@example.com:5070;transport=TCP;lr?subject=x&y=z");
        assert_eq!((uri.user, uri.password), (Some(&b"alice"[..]), Some(&b"secret"[..])));
        assert_eq!(
            (uri.host, uri.port, uri.headers),
            (&b"example.com"[..], Some(5070), &b"subject=x&y=z"[..])
        );
        assert_eq!((uri.transport(), uri.is_loose()), (Some(Transport::Tcp), true));
        let uri = parse("SIPS:[2001:db8::1];%6Cr");
        assert_eq!(
            (uri.scheme, uri.user, uri.host, uri.port),
            (Scheme::Sips, None, &b"[2001:db8::1]"[..], None)
        );
        assert_eq!((uri.port_or_default(), uri.is_loose()), (5061, true));
        assert_eq!(uri.ip(), "2001:db8::1".parse().ok());
        let uri = parse("sip:user;par=u%40example.net@example.com");
        assert_eq!((uri.user, uri.host), (Some(&b"user;par=u%40example.net"[..]), &b"example.com"[..]));
        let uri = parse("sip:a?b/c@h?x=<".trim_end_matches('<'));
        assert_eq!((uri.user, uri.headers), (Some(&b"a?b/c"[..]), &b"x="[..]));
        assert_eq!(parse("sip:x;transport=ws").port_or_default(), 80);
        assert_eq!(parse("sips:x;transport=ws").port_or_default(), 443);
        assert_eq!(parse("sip:x:1;transport=ws").port_or_default(), 1);
    }

    #[test]
    fn other_schemes() {
        let uri = parse("tel:+1-201-555-0123;phone-context=x");
        assert_eq!((uri.scheme, uri.user, uri.host), (Scheme::Tel, Some(&b"+1-201-555-0123"[..]), &b""[..]));
        assert_eq!(uri.params.get("phone-context").and_then(|p| p.value), Some(&b"x"[..]));
        assert_eq!(parse("urn:service:sos").scheme, Scheme::Urn);
        let uri = parse("soap.beep://192.0.2.103:3002");
        assert_eq!((uri.scheme, uri.scheme.is_sip(), uri.host), (Scheme::Other, false, &b""[..]));
    }

    #[test]
    fn faults() {
        for bad in [
            "",
            "sip",
            "sip:",
            ":x",
            "1sip:x",
            "<sip:a@b>",
            "sip:a@b ;lr",
            "sip:a@b; lr",
            "sip:a@",
            "sip:a@b@c",
            "sip:a@b:",
            "sip:a@b:x",
            "sip:a@b:65536",
            "sip:[::1",
            "sip:[1.2]",
            "sip:a@b/c",
            "sip:a@b\t",
            "alice@example.com",
            "tel:",
            "sip:a@b\"c",
            "sip:a@h\0",
        ] {
            assert_eq!(Uri::parse(bad.as_bytes()), Err(BAD_URI), "{bad:?}");
        }
    }
}
