//! Via (RFC 3261 §20.42, RFC 3581).

use std::net::{IpAddr, SocketAddr};

use crate::grammar::{self, Scan, elements_by, is_host_char, is_lws, is_token_char, trim};
use crate::params::next_param;
use crate::{Fault, Params, Transport};

/// The prefix that tells an RFC 3261 branch (§8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The whole element, trimmed, without the separating comma.
    pub text: &'a [u8],
    /// Transport as written.
    pub transport_text: &'a [u8],
    /// Transport when known.
    pub transport: Option<Transport>,
    /// sent-by host as written (IPv6 with brackets).
    pub host: &'a [u8],
    /// sent-by port when written.
    pub port: Option<u16>,
    /// Parameters, without the leading `;`.
    pub params: Params<'a>,
    /// `branch` value.
    pub branch: Option<&'a [u8]>,
    /// `received` value.
    pub received: Option<&'a [u8]>,
    /// `rport`: `None` absent, `Some(None)` without value, `Some(Some(p))` with one.
    pub rport: Option<Option<u16>>,
}

const BAD_VIA: Fault = Fault { code: 400, reason: "Bad Via" };

impl<'a> Via<'a> {
    /// Parses one element. White space and folds may stand wherever §25.1 lets them; the protocol version is not
    /// judged (a request with another one must still be answered), an unknown transport is no fault.
    pub fn parse(text: &'a [u8]) -> Result<Via<'a>, Fault> {
        let text = trim(text);
        let mut scan = Scan(text);
        // Nearly everybody writes this without the white space that may stand around the slashes.
        let usual = scan.0.strip_prefix(b"SIP/2.0/");
        scan.0 = usual.unwrap_or(scan.0);
        for _name_and_version in 0..if usual.is_some() { 0 } else { 2 } {
            let token = scan.take_while(is_token_char);
            scan.skip_lws();
            if token.is_empty() || !scan.eat(b'/') {
                return Err(BAD_VIA);
            }
            scan.skip_lws();
        }
        let transport_text = scan.take_while(is_token_char);
        if transport_text.is_empty() || !scan.peek().is_some_and(is_lws) {
            return Err(BAD_VIA);
        }
        scan.skip_lws();
        let host = sent_by_host(&mut scan).ok_or(BAD_VIA)?;
        scan.skip_lws();
        let mut port = None;
        if scan.eat(b':') {
            scan.skip_lws();
            port = Some(grammar::port(scan.take_while(|b| b.is_ascii_digit())).ok_or(BAD_VIA)?);
            scan.skip_lws();
        }
        if !scan.is_empty() && !scan.eat(b';') {
            return Err(BAD_VIA);
        }
        let mut via = Via {
            text,
            transport_text,
            transport: Transport::parse(transport_text),
            host,
            port,
            params: Params(scan.0),
            branch: None,
            received: None,
            rport: None,
        };
        while let Some(param) = next_param(&mut scan) {
            let param = param.map_err(|_| BAD_VIA)?;
            let plain = || param.value.is_none_or(|value| !value.contains(&b'"'));
            // Of parameters that are there twice the first counts, as in `Params::get`.
            match param.name.len() {
                6 if via.branch.is_none() && param.name.eq_ignore_ascii_case(b"branch") => {
                    via.branch = param.value
                }
                // An address and a number have no quotes. One that opens here and closes behind the next comma would go when the
                // value is replaced, and the Via would have another end.
                8 if via.received.is_none() && param.name.eq_ignore_ascii_case(b"received") => {
                    if !plain() {
                        return Err(BAD_VIA);
                    }
                    via.received = param.value
                }
                5 if via.rport.is_none() && param.name.eq_ignore_ascii_case(b"rport") => {
                    if !plain() {
                        return Err(BAD_VIA);
                    }
                    via.rport = Some(param.value.and_then(grammar::port));
                }
                _ => {}
            }
        }
        Ok(via)
    }
    /// Walks a comma list of elements in one header row.
    pub fn list(text: &'a [u8]) -> impl Iterator<Item = Result<Via<'a>, Fault>> + use<'a> {
        elements_by(text, grammar::via_len).map(Via::parse)
    }
    /// Whether the branch is unique by RFC 3261 §8.1.1.7. The bare cookie says nothing: RFC 4475 §3.2.1 wants such a
    /// request matched by the rules of RFC 2543.
    pub fn has_magic_cookie(&self) -> bool {
        self.branch
            .and_then(|branch| branch.strip_prefix(MAGIC_COOKIE))
            .is_some_and(|unique| !unique.is_empty())
    }
    /// sent-by port, or the transport's default.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| self.transport.unwrap_or(Transport::Udp).default_port())
    }
    /// sent-by host as an address when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        grammar::ip(self.host)
    }
    /// Where a reply to a request with this topmost Via goes when it was received from there:
    /// RFC 3261 §18.2.2 with RFC 3581 §4. `None` when sent-by is a host name and `received` is absent.
    ///
    /// `maddr` is not followed, as Kamailio does not: anybody could have replies sent to a third party with it.
    pub fn reply_address(&self) -> Option<SocketAddr> {
        let port = self.rport.flatten().unwrap_or_else(|| self.port_or_default());
        let host = match self.received {
            Some(received) => grammar::ip(received)?,
            None => self.ip()?,
        };
        Some(SocketAddr::new(host, port))
    }
}

fn sent_by_host<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
    if scan.peek() == Some(b'[') {
        let end = memchr::memchr(b']', scan.0)?;
        let host = scan.take(end + 1);
        return grammar::ip(host).map(|_| host);
    }
    let host = scan.take_while(is_host_char);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn parts_with_and_without_white_space() {
        let via = parse("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport;x=\"a;b\"");
        assert_eq!(via.transport, Some(Transport::Udp));
        assert_eq!((via.host, via.port), (&b"192.0.2.1"[..], Some(5070)));
        assert_eq!((via.branch, via.rport, via.received), (Some(&b"z9hG4bKx"[..]), Some(None), None));
        let via = parse(
            "SIP  / 2.0\r\n  / TCP     spindle.example.com : 99  ;\r\n  branch  =   z9hG4bK9ikj8 ;received=[::1];rport=7",
        );
        assert_eq!(
            (via.transport_text, via.host, via.port),
            (&b"TCP"[..], &b"spindle.example.com"[..], Some(99))
        );
        assert_eq!((via.branch, via.rport), (Some(&b"z9hG4bK9ikj8"[..]), Some(Some(7))));
        assert_eq!(via.reply_address(), "[::1]:7".parse().ok());
        let via = parse("SIP/2.0/UNKNOWN [2001:db8::1]:5060");
        assert_eq!((via.transport, via.host), (None, &b"[2001:db8::1]"[..]));
    }

    /// Found by fuzzing.
    #[test]
    fn quotes_in_an_address_or_a_port_are_refused() {
        for text in ["received=1\"", "rport=\"5", "rport;received=\"192.0.2.1\""] {
            let via = format!("SIP/2.0/UDP h;{text};branch=z9hG4bKx");
            assert_eq!(Via::parse(via.as_bytes()), Err(BAD_VIA), "{via}");
        }
        assert_eq!(parse("SIP/2.0/UDP h;x=1\";branch=z9hG4bKx").branch, Some(&b"z9hG4bKx"[..]));
    }

    #[test]
    fn reply_address_follows_received_rport_sent_by() {
        let address = |text: &str| parse(text).reply_address().map(|a| a.to_string());
        assert_eq!(address("SIP/2.0/UDP 192.0.2.1").as_deref(), Some("192.0.2.1:5060"));
        assert_eq!(address("SIP/2.0/TLS 192.0.2.1").as_deref(), Some("192.0.2.1:5061"));
        assert_eq!(address("SIP/2.0/UDP h:5080;received=192.0.2.9").as_deref(), Some("192.0.2.9:5080"));
        assert_eq!(
            address("SIP/2.0/UDP h:5080;received=192.0.2.9;rport=1234").as_deref(),
            Some("192.0.2.9:1234")
        );
        assert_eq!(
            address("SIP/2.0/UDP h:5080;maddr=192.0.2.7;received=192.0.2.9").as_deref(),
            Some("192.0.2.9:5080")
        );
        assert_eq!(address("SIP/2.0/UDP host.example.com"), None);
    }

    #[test]
    fn faults_and_cookie() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0 h",
            "SIP/2.0/UDP h;;x",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP [zz]",
            "SIP/2.0/UDP ;branch=1",
            "/2.0/UDP h",
            "SIP/2.0/UDP h;a=\"",
        ] {
            assert_eq!(Via::parse(bad.as_bytes()), Err(BAD_VIA), "{bad}");
        }
        assert!(parse("SIP/2.0/UDP h;branch=z9hG4bK1").has_magic_cookie());
        assert!(!parse("SIP/2.0/UDP h;branch=z9hG4bK").has_magic_cookie());
        assert!(!parse("SIP/2.0/UDP h;branch=1").has_magic_cookie());
        assert!(!parse("SIP/2.0/UDP h").has_magic_cookie());
    }
}
