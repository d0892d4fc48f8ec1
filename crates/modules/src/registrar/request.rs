//! What a REGISTER asks for, read out of its headers before any table is looked at (RFC 3261 §10.3 steps 6 and 7).

use message::{HeaderName, Message, Method, NameAddr, Uri, grammar};

use crate::usrloc::contact::ALL_METHODS;

/// Why a REGISTER is refused. `why` goes into P-Registrar-Error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem {
    pub code: u16,
    pub reason: &'static str,
    pub why: &'static str,
}

const fn bad(why: &'static str) -> Problem {
    Problem { code: 400, reason: "Bad Request", why }
}

impl Problem {
    pub const AOR: Problem = bad("Error while parsing AOR");
    /// "If the address-of-record is not valid for the domain in the Request-URI, the registrar MUST send a 404" (RFC 3261 §10.3 step 5).
    pub const NOT_OURS: Problem = Problem { code: 404, reason: "Not Found", why: "AOR of another scheme" };
    pub const CONTACT: Problem = bad("Contact parse error");
    pub const STAR_AND_MORE: Problem = bad("* used in contact and more than 1 contact");
    pub const STAR_EXPIRES: Problem = bad("* used in contact and expires is not zero");
    pub const Q: Problem = bad("Invalid q param in contact");
    pub const REG_ID: Problem = bad("Invalid reg-id param in contact");
    pub const TOO_LONG: Problem = bad("Contact/received too long");
    pub const CSEQ_HEADER: Problem = bad("Error while parsing CSeq");
    pub const CSEQ: Problem = bad("Invalid CSeq number");
    pub const BRIEF: Problem = Problem { code: 423, reason: "Interval Too Brief", why: "Interval too brief" };
    pub const TOO_MANY: Problem =
        Problem { code: 503, reason: "Service Unavailable", why: "Too many registered contacts" };
    pub const PATH: Problem =
        Problem { code: 420, reason: "Bad Extension", why: "No support for found Path indicated" };
    pub const OUTBOUND: Problem =
        Problem { code: 420, reason: "Bad Extension", why: "No support for Outbound on server" };
    pub const NEED_OUTBOUND: Problem =
        Problem { code: 421, reason: "Extension Required", why: "No support for Outbound indicated" };
    pub const FIRST_HOP: Problem = Problem {
        code: 439,
        reason: "First Hop Lacks Outbound Support",
        why: "No support for Outbound on edge proxy",
    };
    pub const AWAY: Problem =
        Problem { code: 503, reason: "Service Unavailable", why: "Location database is away" };
    pub const NOT_KEPT: Problem =
        Problem { code: 500, reason: "Server Internal Error", why: "Location database refused the contact" };
    pub const NO_TABLE: Problem =
        Problem { code: 500, reason: "Server Internal Error", why: "No such location table" };
}

/// One contact of a REGISTER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted<'m> {
    pub uri: &'m [u8],
    pub q: Option<i16>,
    pub expires: Option<u32>,
    pub instance: &'m [u8],
    pub reg_id: u32,
    pub methods: Option<&'m [u8]>,
    /// `received`, written by a proxy in front of this registrar (`add_rcv_param`).
    pub received: Option<&'m [u8]>,
}

/// The Contact headers of a REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contacts<'m> {
    /// None: the bindings are asked for.
    None,
    /// `*`: all bindings are to go.
    Star,
    /// Contacts in the order in which they are worked on: row by row, in each row from its end. Kamailio does so, and the order in
    /// which equals are listed and tried shows it.
    List(Vec<Wanted<'m>>),
}

impl<'m> Contacts<'m> {
    /// Reads all Contact rows.
    ///
    /// "If the request has additional Contact fields or an expiration time other than zero, the request is invalid, and the server MUST
    /// return a 400".
    pub fn read(message: &'m Message) -> Result<Contacts<'m>, Problem> {
        let mut list = Vec::new();
        let mut star = false;
        for header in message.headers_named(HeaderName::Contact) {
            let start = list.len();
            for address in NameAddr::list(header.value) {
                let address = address.map_err(|_| Problem::CONTACT)?;
                if address.uri == b"*" {
                    star = true;
                }
                if list.is_empty() {
                    list.reserve_exact(1);
                }
                list.push(Wanted::read(&address)?);
            }
            if let Some(row) = list.get_mut(start..) {
                row.reverse();
            }
        }
        if !star {
            return Ok(if list.is_empty() { Contacts::None } else { Contacts::List(list) });
        }
        if list.len() > 1 {
            return Err(Problem::STAR_AND_MORE);
        }
        if message.expires() != Some(0) {
            return Err(Problem::STAR_EXPIRES);
        }
        Ok(Contacts::Star)
    }
}

impl<'m> Wanted<'m> {
    fn read(address: &NameAddr<'m>) -> Result<Wanted<'m>, Problem> {
        let mut wanted = Wanted {
            uri: address.uri,
            q: None,
            expires: None,
            instance: &[],
            reg_id: 0,
            methods: None,
            received: None,
        };
        for param in address.params.iter() {
            let value = param.value.unwrap_or_default();
            match param.name.len() {
                1 if param.name.eq_ignore_ascii_case(b"q") => {
                    wanted.q = Some(parse_q(value).ok_or(Problem::Q)?);
                }
                // An expiry that is no number counts as none given (RFC 3261 §20.10).
                7 if param.name.eq_ignore_ascii_case(b"expires") => {
                    wanted.expires = grammar_number(param.unquoted());
                }
                13 if param.name.eq_ignore_ascii_case(b"+sip.instance") => wanted.instance = param.unquoted(),
                6 if param.name.eq_ignore_ascii_case(b"reg-id") => {
                    let id = grammar_number(value).filter(|id| (1..1 << 31).contains(id));
                    wanted.reg_id = id.ok_or(Problem::REG_ID)?;
                }
                7 if param.name.eq_ignore_ascii_case(b"methods") => wanted.methods = Some(param.unquoted()),
                8 if param.name.eq_ignore_ascii_case(b"received") => {
                    let uri = param.unquoted();
                    wanted.received = Uri::parse(uri).is_ok_and(|u| u.scheme.is_sip()).then_some(uri);
                }
                _ => {}
            }
        }
        // What is written into the answer again must not be able to end a row or a quoted string.
        let harmless =
            |text: &[u8]| !text.iter().any(|b| *b < b' ' || matches!(b, b'"' | b'<' | b'>' | 0x7f));
        let bare =
            wanted.instance.strip_prefix(b"<").and_then(|i| i.strip_suffix(b">")).unwrap_or(wanted.instance);
        if harmless(wanted.uri) && harmless(bare) { Ok(wanted) } else { Err(Problem::CONTACT) }
    }
}

fn grammar_number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// `0.7` as 700: at most 1, digits after the third are dropped.
pub(super) fn parse_q(text: &[u8]) -> Option<i16> {
    let (whole, rest) = match text.split_first()? {
        (b'0', rest) => (0, rest),
        (b'1', rest) => (1000, rest),
        (b'.', _) => (0, text),
        _ => return None,
    };
    let mut q = whole;
    if let Some((point, decimals)) = rest.split_first() {
        if *point != b'.' || !decimals.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut weight = 100;
        for digit in decimals {
            q += i16::from(digit - b'0') * weight;
            weight /= 10;
        }
    }
    (q <= 1000).then_some(q)
}

/// Kamailio's bit for a method.
pub(super) fn method_bit(method: Method) -> u32 {
    1 << match method {
        Method::Invite => 0,
        Method::Cancel => 1,
        Method::Ack => 2,
        Method::Bye => 3,
        Method::Info => 4,
        Method::Register => 5,
        Method::Subscribe => 6,
        Method::Notify => 7,
        Method::Message => 8,
        Method::Options => 9,
        Method::Prack => 10,
        Method::Update => 11,
        Method::Refer => 12,
        Method::Publish => 13,
        Method::Kdmq => 14,
        Method::Other => 19,
    }
}

/// Bits of a comma list of methods.
pub(super) fn method_bits(list: &[u8]) -> u32 {
    grammar::split_list(list).fold(0, |bits, method| bits | method_bit(Method::parse(method)))
}

/// What the Allow headers say, [`ALL_METHODS`] without one.
pub(super) fn allowed(message: &Message) -> u32 {
    let mut rows = message.headers_named(HeaderName::Allow).peekable();
    if rows.peek().is_none() {
        return ALL_METHODS;
    }
    rows.fold(0, |bits, row| bits | method_bits(row.value))
}

/// Whether an option-tag stands in a header (Supported, Require).
pub(super) fn has_option(message: &Message, header: HeaderName, tag: &str) -> bool {
    message
        .headers_named(header)
        .any(|row| grammar::split_list(row.value).any(|o| o.eq_ignore_ascii_case(tag.as_bytes())))
}

/// The Path rows as one list; folds become spaces.
pub(super) fn path(message: &Message) -> Vec<u8> {
    let mut path = Vec::new();
    for row in message.headers_named(HeaderName::Path) {
        if !path.is_empty() {
            path.push(b',');
        }
        path.extend(row.value.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values() {
        for (text, q) in
            [("0", 0), ("1", 1000), ("0.7", 700), ("0.123456", 123), ("1.000", 1000), (".5", 500), ("0.", 0)]
        {
            assert_eq!(parse_q(text.as_bytes()), Some(q), "{text}");
        }
        for text in ["", "2", "1.001", "abc", "0,5", "-1", "0.5x", "11"] {
            assert_eq!(parse_q(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn method_lists() {
        assert_eq!(method_bits(b"INVITE, FOO"), 524_289);
        assert_eq!(method_bits(b"INVITE,ACK"), 5);
        assert_eq!(method_bits(b""), 0);
    }
}
