//! The first line (RFC 3261 §7.1, §7.2), read leniently enough that a broken request can still be answered.

use memchr::{memchr, memrchr};

use crate::grammar::{is_token, trim};
use crate::{Fault, Method};

/// Where the parts of the first line are, as slices of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FirstLine<'a> {
    Request { method_text: &'a [u8], method: Method, uri: &'a [u8] },
    Reply { code: u16, reason: &'a [u8] },
}

const VERSION: &[u8] = b"SIP/2.0";
const BAD_VERSION: Fault = Fault { code: 505, reason: "Version Not Supported" };
const BAD_LINE: Fault = Fault { code: 400, reason: "Bad Request Line" };
const BAD_METHOD: Fault = Fault { code: 400, reason: "Bad Method" };
const BAD_STATUS: Fault = Fault { code: 400, reason: "Bad Status Code" };

/// Splits the line (without its CRLF) and says what is wrong with it; `None` when it is no first line of SIP.
pub(crate) fn parse(line: &[u8]) -> Option<(FirstLine<'_>, Option<Fault>)> {
    if is_sip_version(line) { reply(line) } else { request(line) }
}

/// `SIP/`, in any case (§7.1: "SIP-Version is case-insensitive").
fn is_sip_version(text: &[u8]) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

/// `Method SP Request-URI SP SIP-Version`, single spaces and nothing else (RFC 4475 §3.1.2.9, §3.1.2.10).
fn request(line: &[u8]) -> Option<(FirstLine<'_>, Option<Fault>)> {
    let trimmed = trim(line);
    let first = memchr(b' ', trimmed)?;
    let last = memrchr(b' ', trimmed)?;
    let (method_text, version) = (trimmed.get(..first)?, trimmed.get(last + 1..)?);
    if !is_sip_version(version) {
        return None;
    }
    let between = trimmed.get(first + 1..last).unwrap_or_default();
    let uri = trim(between);
    let fault = if !version.eq_ignore_ascii_case(VERSION) {
        Some(BAD_VERSION)
    } else if !is_token(method_text) {
        Some(BAD_METHOD)
    } else if trimmed.len() != line.len() || uri.len() != between.len() || uri.is_empty() {
        Some(BAD_LINE)
    } else {
        None
    };
    Some((FirstLine::Request { method_text, method: Method::parse(method_text), uri }, fault))
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`; the second space may be missing when the phrase is.
fn reply(line: &[u8]) -> Option<(FirstLine<'_>, Option<Fault>)> {
    let space = memchr(b' ', line)?;
    let (version, rest) = line.split_at_checked(space)?;
    let rest = rest.get(1..)?;
    let digits = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (code_text, tail) = rest.split_at_checked(digits)?;
    let reason = match tail {
        [] => tail,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    if code_text.is_empty() {
        return None;
    }
    let code =
        code_text.iter().fold(0u16, |sum, b| sum.saturating_mul(10).saturating_add(u16::from(b - b'0')));
    let fault = if !version.eq_ignore_ascii_case(VERSION) {
        Some(BAD_VERSION)
    } else if code_text.len() != 3 || !(100..=699).contains(&code) {
        Some(BAD_STATUS)
    } else {
        None
    };
    Some((FirstLine::Reply { code, reason }, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Option<Option<u16>> {
        parse(line.as_bytes()).map(|(_, fault)| fault.map(|f| f.code))
    }

    #[test]
    fn faults_and_strangers() {
        for (line, expected) in [
            ("INVITE sip:a@b SIP/2.0", Some(None)),
            ("INVITE sip:a@b sip/2.0", Some(None)),
            ("INVITE sip:a@b SIP/7.0", Some(Some(505))),
            ("INVITE  sip:a@b SIP/2.0", Some(Some(400))),
            ("INVITE sip:a@b SIP/2.0 ", Some(Some(400))),
            ("INVITE SIP/2.0", Some(Some(400))),
            ("INV(TE sip:a@b SIP/2.0", Some(Some(400))),
            ("GET / HTTP/1.1", None),
            ("INVITE", None),
            ("", None),
            ("SIP/2.0 200 OK", Some(None)),
            ("sip/2.0 100", Some(None)),
            ("SIP/2.0 100 ", Some(None)),
            ("SIP/3.0 200 OK", Some(Some(505))),
            ("SIP/2.0 4294967301 x", Some(Some(400))),
            ("SIP/2.0 099 x", Some(Some(400))),
            ("SIP/2.0 700 x", Some(Some(400))),
            ("SIP/2.0 2x0 x", None),
            ("SIP/2.0 OK", None),
            ("SIP/2.0", None),
        ] {
            assert_eq!(fault(line), expected, "{line:?}");
        }
    }
}
