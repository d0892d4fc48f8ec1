//! Contact URIs that hide the real one in their user part or in a parameter.

use message::{HeaderName, NameAddr, Transport, Uri};
use script::{Outcome, RouteContext};

use super::uri;

/// Replaces the URI of every Contact by what `change` makes of it; `*` stays. -1 when a Contact cannot be read or `change` refuses.
pub(super) fn each(ctx: &mut RouteContext<'_>, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Outcome {
    let message = ctx.message.clone();
    for header in message.headers_named(HeaderName::Contact) {
        for address in NameAddr::list(header.value) {
            let Ok(address) = address else { return Outcome::FALSE };
            if address.uri == b"*" {
                continue;
            }
            let Some(new) = change(address.uri) else { return Outcome(-2) };
            if new == address.uri {
                continue;
            }
            let Some(start) = message.offset_of(address.uri) else { return Outcome::FALSE };
            // Without brackets, parameters of the new URI would be read as the header's.
            let bare = address.display.is_empty() && address.text.first() != Some(&b'<');
            let new = if bare { [b"<", new.as_slice(), b">"].concat() } else { new };
            ctx.edits.rewrite(start, start + address.uri.len() as u32, &new);
        }
    }
    Outcome::TRUE
}

/// `sip:PREFIX*user*password*host*port*transport@HOSTPART`
pub(super) fn encode(contact: &[u8], prefix: &[u8], hostpart: &[u8], separator: u8) -> Option<Vec<u8>> {
    let u = Uri::parse(contact).ok().filter(|u| u.scheme.is_sip())?;
    let port = u.port.map(|p| p.to_string()).unwrap_or_default();
    let transport = u.params.get("transport").and_then(|p| p.value).unwrap_or_default();
    let mut out = b"sip:".to_vec();
    out.extend_from_slice(prefix);
    for field in
        [u.user.unwrap_or_default(), u.password.unwrap_or_default(), u.host, port.as_bytes(), transport]
    {
        out.push(separator);
        out.extend_from_slice(field);
    }
    out.push(b'@');
    out.extend_from_slice(hostpart);
    Some(out)
}

/// Back from [`encode`]. Parameters the hiding URI got since are kept.
pub(super) fn decode(encoded: &[u8], separator: u8) -> Option<Vec<u8>> {
    let u = Uri::parse(encoded).ok()?;
    let user = u.user?;
    let mut fields = user.split(|b| *b == separator);
    let _prefix = fields.next()?;
    let mut field = || fields.next();
    let (name, password, host, port, transport) = (field()?, field()?, field()?, field()?, field()?);
    let mut out = b"sip:".to_vec();
    if !name.is_empty() {
        out.extend_from_slice(name);
        if !password.is_empty() {
            out.push(b':');
            out.extend_from_slice(password);
        }
        out.push(b'@');
    }
    out.extend_from_slice(host);
    for (lead, field) in [(&b":"[..], port), (b";transport=", transport), (b";", u.params.0)] {
        if !field.is_empty() {
            out.extend_from_slice(lead);
            out.extend_from_slice(field.strip_prefix(b";").unwrap_or(field));
        }
    }
    Some(out)
}

pub(super) fn param_encode(contact: &[u8], name: &[u8], address: &[u8]) -> Vec<u8> {
    let mut param = name.to_vec();
    param.push(b'=');
    param.extend_from_slice(&base64url(contact));
    uri::with_param(address, &param)
}

pub(super) fn param_decode(contact: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    from_base64url(uri::param(contact, name)??)
}

/// Kamailio's number of a transport, as it stands in `alias=ip~port~proto`.
pub(super) fn proto(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Sctp => 4,
        Transport::Ws => 5,
        Transport::Wss => 6,
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 §5, without padding.
fn base64url(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
        for i in 0..=chunk.len() {
            let at = (bits >> (18 - 6 * i)) & 63;
            out.extend(ALPHABET.get(at as usize));
        }
    }
    out
}

fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let mut bits = 0u32;
        for (i, c) in chunk.iter().enumerate() {
            bits |= (ALPHABET.iter().position(|a| a == c)? as u32) << (18 - 6 * i);
        }
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        out.extend(bytes.iter().take(chunk.len().saturating_sub(1)));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_there_and_back() {
        for text in [&b""[..], b"a", b"ab", b"abc", b"sip:alice@127.0.0.1:15211", b"\xff\xfe\xfd\xfc"] {
            assert_eq!(from_base64url(&base64url(text)).as_deref(), Some(text));
        }
        assert_eq!(base64url(b"sip:alice@127.0.0.1:15211"), b"c2lwOmFsaWNlQDEyNy4wLjAuMToxNTIxMQ");
        assert_eq!(from_base64url(b"!"), None);
    }
}
