//! name-addr and addr-spec as in From, To, Contact, Route, Record-Route, Path (RFC 3261 §20.10, §25.1).

use memchr::memchr;

use crate::grammar::{Scan, elements, trim};
use crate::{Fault, Params, Uri};

/// One address of a header. Positions into the message are recovered with [`crate::Message::offset_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The whole element, trimmed, without the separating comma.
    pub text: &'a [u8],
    /// Display name as written (with its quotes), empty when absent.
    pub display: &'a [u8],
    /// URI text without angle brackets.
    pub uri: &'a [u8],
    /// Header parameters after the `>` (or, for an addr-spec, after the first `;`: RFC 3261 §20.10).
    pub params: Params<'a>,
}

pub(crate) const BAD_ADDRESS: Fault = Fault { code: 400, reason: "Bad Address" };
const BAD_DISPLAY: Fault = Fault { code: 400, reason: "Bad Display Name" };
const BAD_PARAMS: Fault = Fault { code: 400, reason: "Bad Address Parameters" };
const NO_BRACKETS: Fault = Fault { code: 400, reason: "URI With Headers Not In Angle Brackets" };

/// Whether a `<` behind this text belongs to a quoted parameter value of an addr-spec and not to a name-addr.
fn is_in_params(before: &[u8]) -> bool {
    memchr(b'"', before).is_some_and(|quote| before.iter().take(quote).any(|&b| b == b';'))
}

impl<'a> NameAddr<'a> {
    /// Parses one element. `*` (Contact) is an element with `uri == b"*"`.
    ///
    /// An unquoted display name may hold any character (RFC 4475 §3.1.2.15 leaves that open), and white space inside
    /// the brackets is cut off; an unterminated quote or bracket, an empty parameter and an unbracketed URI with `?`
    /// are faults. The URI itself is not looked at.
    pub fn parse(text: &'a [u8]) -> Result<NameAddr<'a>, Fault> {
        let text = trim(text);
        let mut scan = Scan(text);
        if scan.peek() == Some(b'"') {
            let display = scan.quoted().ok_or(BAD_DISPLAY)?;
            scan.skip_lws();
            return NameAddr::bracketed(text, display, scan);
        }
        match memchr(b'<', text) {
            Some(at) if !is_in_params(text.get(..at).unwrap_or_default()) => {
                let display = trim(scan.take(at));
                NameAddr::bracketed(text, display, scan)
            }
            _ => NameAddr::addr_spec(text),
        }
    }

    /// The rest of a name-addr from its `<` on.
    fn bracketed(text: &'a [u8], display: &'a [u8], mut scan: Scan<'a>) -> Result<NameAddr<'a>, Fault> {
        if !scan.eat(b'<') {
            return Err(BAD_ADDRESS);
        }
        let end = memchr(b'>', scan.0).ok_or(BAD_ADDRESS)?;
        let uri = trim(scan.take(end));
        scan.eat(b'>');
        scan.skip_lws();
        if uri.is_empty() || !(scan.is_empty() || scan.eat(b';')) {
            return Err(BAD_ADDRESS);
        }
        NameAddr::with_params(text, display, uri, scan.0)
    }

    /// §20.10: "If no "<" and ">" are present, all parameters after the URI are header parameters, not URI parameters",
    /// and a URI that contains a comma, question mark or semicolon must be enclosed.
    fn addr_spec(text: &'a [u8]) -> Result<NameAddr<'a>, Fault> {
        let mut scan = Scan(text);
        let uri = trim(scan.take_until(b';'));
        scan.eat(b';');
        if uri.is_empty() {
            return Err(BAD_ADDRESS);
        }
        if memchr(b'?', uri).is_some() {
            return Err(NO_BRACKETS);
        }
        NameAddr::with_params(text, text.get(..0).unwrap_or_default(), uri, scan.0)
    }

    fn with_params(
        text: &'a [u8],
        display: &'a [u8],
        uri: &'a [u8],
        params: &'a [u8],
    ) -> Result<NameAddr<'a>, Fault> {
        let params = Params(params);
        params.check().map_err(|_| BAD_PARAMS)?;
        Ok(NameAddr { text, display, uri, params })
    }

    /// Walks a comma list of elements in one header row.
    pub fn list(text: &'a [u8]) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> + use<'a> {
        elements(text).map(NameAddr::parse)
    }
    /// The `tag` parameter (From, To). RFC 3261 §25.1: it has a value; a `;tag` without one is no tag, and must not hide the one that an
    /// answer adds behind it.
    pub fn tag(&self) -> Option<&'a [u8]> {
        let tags = self.params.iter().filter(|p| p.name.eq_ignore_ascii_case(b"tag"));
        tags.filter_map(|p| p.value).find(|value| !value.is_empty())
    }
    /// The display name without its quotes; quoted-pairs are left alone (see [`crate::grammar::unquote`]).
    pub fn display_unquoted(&self) -> &'a [u8] {
        match self.display {
            [b'"', inner @ .., b'"'] => inner,
            other => other,
        }
    }
    /// Parses the URI.
    pub fn parse_uri(&self) -> Result<Uri<'a>, Fault> {
        Uri::parse(self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn name_addr_and_addr_spec() {
        let a = parse("\"J \\\" <R>\"  <sip:j@x;lr?h=1>\r\n ; tag = 9 ;q");
        assert_eq!(
            (a.display, a.uri, a.tag()),
            (&b"\"J \\\" <R>\""[..], &b"sip:j@x;lr?h=1"[..], Some(&b"9"[..]))
        );
        assert_eq!(a.display_unquoted(), b"J \\\" <R>");
        let a = parse("caller<sip:c@x>");
        assert_eq!((a.display, a.uri, a.params.0), (&b"caller"[..], &b"sip:c@x"[..], &b""[..]));
        let a = parse("sip:c@x;tag=1;x=\"<\"");
        assert_eq!((a.display, a.uri, a.tag()), (&b""[..], &b"sip:c@x"[..], Some(&b"1"[..])));
        let a = parse("Mr. \"Bob\" B <sip:c@x>;tag=1");
        assert_eq!((a.display, a.uri, a.tag()), (&b"Mr. \"Bob\" B"[..], &b"sip:c@x"[..], Some(&b"1"[..])));
        assert_eq!(parse("*").uri, b"*");
        assert_eq!(parse("Bell, Alexander <sip:a>").display, b"Bell, Alexander");
        assert_eq!(parse("< sip:a@b >").uri, b"sip:a@b");
    }

    #[test]
    fn faults() {
        for bad in [
            "",
            "\"x <sip:a>",
            "<sip:a",
            "<>",
            "<sip:a>x",
            "\"x\" sip:a",
            ";tag=1",
            "sip:a@b?Route=x",
            "<sip:a>;;x",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_split_at_commas_and_report_bad_elements() {
        let all: Vec<_> = NameAddr::list(b"\"a,b\" <sip:a,1@x>, sip:b@y;q=0.5 , <sip:c").collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[1].map(|a| a.uri), Ok(&b"sip:b@y"[..]));
        assert!(all[2].is_err());
    }
}
