//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4).

use super::{Scheme, Uri};
use crate::Params;
use crate::grammar::escaped_bytes;
use crate::params::Param;

/// §19.1.4: a `user`, `ttl`, `method`, `maddr` (and, by its first bullet, `transport`) parameter that only one of the two
/// has makes them different; any other is then ignored.
const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

pub(super) fn equivalent(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    if a.text == b.text {
        return true;
    }
    if a.scheme != b.scheme {
        return false;
    }
    match a.scheme {
        Scheme::Sip | Scheme::Sips => {
            same_optional(a.user, b.user, same)
                && same_optional(a.password, b.password, same)
                && same_ignoring_case(a.host, b.host)
                && a.port == b.port
                && params_agree(a.params, b.params)
                && params_agree(b.params, a.params)
                && headers_within(a.headers, b.headers)
                && headers_within(b.headers, a.headers)
        }
        Scheme::Tel => {
            let digits = |uri: &Uri<'_>| {
                // RFC 3966 §4: visual separators are ignored, hex digits compare case-insensitively.
                let mut digits = uri.user.unwrap_or_default().to_ascii_lowercase();
                digits.retain(|b| !matches!(b, b'-' | b'.' | b'(' | b')'));
                digits
            };
            digits(a) == digits(b) && params_within(a.params, b.params) && params_within(b.params, a.params)
        }
        Scheme::Urn | Scheme::Other => {
            let split = |uri: &Uri<'_>| uri.text.iter().position(|&b| b == b':').unwrap_or(uri.text.len());
            let (scheme_a, rest_a) = a.text.split_at_checked(split(a)).unwrap_or_default();
            let (scheme_b, rest_b) = b.text.split_at_checked(split(b)).unwrap_or_default();
            scheme_a.eq_ignore_ascii_case(scheme_b) && rest_a == rest_b
        }
    }
}

/// "Characters other than those in the "reserved" set are equivalent to their "%" HEX HEX encoding": an escaped
/// reserved character stays apart from the plain one, hence the flag.
fn characters(text: &[u8]) -> impl Iterator<Item = (u8, bool)> + '_ {
    escaped_bytes(text).map(|(byte, escaped)| (byte, escaped && b";/?:@&=+$,".contains(&byte)))
}

fn same(a: &[u8], b: &[u8]) -> bool {
    characters(a).eq(characters(b))
}

fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    let lower = |(byte, reserved): (u8, bool)| (byte.to_ascii_lowercase(), reserved);
    characters(a).map(lower).eq(characters(b).map(lower))
}

fn same_optional(a: Option<&[u8]>, b: Option<&[u8]>, same: fn(&[u8], &[u8]) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

fn same_param(a: Param<'_>, b: Param<'_>) -> bool {
    same_optional(a.value, b.value, same_ignoring_case)
}

fn find<'a>(params: Params<'a>, name: &[u8]) -> Option<Param<'a>> {
    params.iter().find(|p| same_ignoring_case(p.name, name))
}

/// Every parameter of `a` is equal in `b`, or may be absent there.
fn params_agree(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().all(|param| match find(b, param.name) {
        Some(other) => same_param(param, other),
        None => !DECISIVE.iter().any(|name| same_ignoring_case(param.name, name.as_bytes())),
    })
}

fn params_within(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().all(|param| find(b, param.name).is_some_and(|other| same_param(param, other)))
}

fn header_list(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
    text.split(|&b| b == b'&').filter(|header| !header.is_empty()).map(|header| {
        let equals = header.iter().position(|&b| b == b'=').unwrap_or(header.len());
        let (name, value) = header.split_at_checked(equals).unwrap_or_default();
        (name, value.get(1..).unwrap_or_default())
    })
}

/// "URI header components are never ignored. Any present header component MUST be present in both URIs and match."
fn headers_within(a: &[u8], b: &[u8]) -> bool {
    header_list(a).all(|(name, value)| {
        header_list(b).any(|(other, other_value)| same_ignoring_case(name, other) && same(value, other_value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let parse = |text: &'static str| Uri::parse(text.as_bytes());
        let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        match (parse(leak(a)), parse(leak(b))) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a.equivalent(&b), b.equivalent(&a), "comparison is symmetric");
                a.equivalent(&b)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_examples_of_rfc_3261() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn escapes_users_and_other_schemes() {
        assert!(!same("sip:a%3Bb@h", "sip:a;b@h"));
        assert!(same("sip:a%3bb@h", "sip:a%3Bb@h"));
        assert!(!same("sip:h", "sip:a@h"));
        assert!(!same("sip:a@h", "sips:a@h"));
        assert!(same("tel:+1-201-555-0123", "TEL:+1(201)5550123"));
        assert!(!same("tel:1;phone-context=a", "tel:1"));
        assert!(same("urn:x:Y", "URN:x:Y"));
        assert!(!same("urn:x:Y", "urn:x:y"));
    }
}
