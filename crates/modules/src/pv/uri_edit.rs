//! URIs with one part changed: what `$rU`, `$rd`, `$rp`, `$fU`, `KSR.setuser`, `KSR.sethost` do.

use message::Uri;

/// The URI with another user (with an empty one: without user and password). `None` when the text is no URI.
pub fn with_user(text: &[u8], user: &[u8]) -> Option<Vec<u8>> {
    let uri = Uri::parse(text).ok()?;
    let scheme_end = text.iter().position(|c| *c == b':')? + 1;
    let (head, rest) = text.split_at_checked(scheme_end)?;
    let Some(old) = uri.user else {
        // tel: and other schemes without user and host stay as they are.
        if user.is_empty() || uri.host.is_empty() {
            return Some(text.to_vec());
        }
        return Some([head, user, b"@", rest].concat());
    };
    if uri.host.is_empty() {
        return Some([head, user, rest.get(old.len()..)?].concat());
    }
    if user.is_empty() {
        let host = offset(text, uri.host)?;
        return Some([head, text.get(host..)?].concat());
    }
    Some([head, user, rest.get(old.len()..)?].concat())
}

/// The URI with another host; a port in `host` replaces the port too. `None` when the text is no URI with a host.
pub fn with_host(text: &[u8], host: &[u8]) -> Option<Vec<u8>> {
    let uri = Uri::parse(text).ok()?;
    if host.is_empty() || uri.host.is_empty() {
        return None;
    }
    let start = offset(text, uri.host)?;
    let mut end = start + uri.host.len();
    let has_port = !host.ends_with(b"]") && host.iter().rposition(|c| *c == b':').is_some();
    if has_port {
        end += port_len(text.get(end..)?);
    }
    Some([text.get(..start)?, host, text.get(end..)?].concat())
}

/// The URI with another port, `None` as `port`: without. `None` when the text is no URI with a host.
pub fn with_port(text: &[u8], port: Option<u16>) -> Option<Vec<u8>> {
    let uri = Uri::parse(text).ok()?;
    if uri.host.is_empty() {
        return None;
    }
    let start = offset(text, uri.host)? + uri.host.len();
    let end = start + port_len(text.get(start..)?);
    let port = port.map(|p| format!(":{p}")).unwrap_or_default();
    Some([text.get(..start)?, port.as_bytes(), text.get(end..)?].concat())
}

fn port_len(text: &[u8]) -> usize {
    match text.split_first() {
        Some((b':', rest)) => 1 + rest.iter().take_while(|c| c.is_ascii_digit()).count(),
        _ => 0,
    }
}

fn offset(text: &[u8], part: &[u8]) -> Option<usize> {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (at + part.len() <= text.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(v: Option<Vec<u8>>) -> String {
        v.map_or("-".into(), |v| String::from_utf8_lossy(&v).into_owned())
    }

    #[test]
    fn parts_change_as_kamailio_changes_them() {
        const U: &[u8] = b"sip:bob:secret@example.com:5080;transport=udp;user=phone";
        assert_eq!(show(with_user(U, b"u2")), "sip:u2:secret@example.com:5080;transport=udp;user=phone");
        assert_eq!(show(with_user(U, b"")), "sip:example.com:5080;transport=udp;user=phone");
        assert_eq!(show(with_user(b"sip:example.com", b"u")), "sip:u@example.com");
        assert_eq!(show(with_user(b"tel:+4930123;phone-context=x", b"555")), "tel:555;phone-context=x");
        assert_eq!(
            show(with_host(U, b"other.example")),
            "sip:bob:secret@other.example:5080;transport=udp;user=phone"
        );
        assert_eq!(show(with_host(U, b"h:99")), "sip:bob:secret@h:99;transport=udp;user=phone");
        assert_eq!(show(with_host(b"sip:a@b;x=1", b"[::1]")), "sip:a@[::1];x=1");
        assert_eq!(show(with_host(b"tel:+1", b"h")), "-");
        assert_eq!(show(with_port(U, Some(99))), "sip:bob:secret@example.com:99;transport=udp;user=phone");
        assert_eq!(show(with_port(U, None)), "sip:bob:secret@example.com;transport=udp;user=phone");
        assert_eq!(show(with_port(b"sip:example.com", Some(70))), "sip:example.com:70");
        assert_eq!(show(with_port(b"garbage", Some(70))), "-");
    }
}
