//! A URI to the next hop (RFC 3261 §16.6 step 7, RFC 3263 without DNS: addresses, `localhost` and names given by `dns.add_a` only,
//! until the DNS resolver comes).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use message::{Scheme, Transport, Uri};
use script::RouteContext;
use transaction::Hop;

/// `None`: not a SIP URI, a host name that is no address, or no socket of that transport and family.
pub(crate) fn resolve(ctx: &RouteContext<'_>, uri: &[u8], force: Option<Transport>) -> Option<Hop> {
    let uri = Uri::parse(uri).ok()?;
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let maddr = uri.params.get("maddr").and_then(|p| p.value);
    let ip = match maddr {
        Some(host) => host_ip(ctx, host)?,
        None => uri.ip().or_else(|| host_ip(ctx, uri.host))?,
    };
    let transport = match (force, uri.transport(), uri.scheme) {
        (Some(t), _, _) => t,
        (None, Some(t), _) => t,
        (None, None, Scheme::Sips) => Transport::Tls,
        _ => Transport::Udp,
    };
    let port = uri.port.filter(|p| *p != 0).unwrap_or_else(|| transport.default_port());
    let remote = SocketAddr::new(ip, port);
    Some(Hop { transport, remote, socket: ctx.send_socket(transport, remote)? })
}

/// `udp:1.2.3.4:5060`, `1.2.3.4`, or a SIP URI, as `t_relay_to_proxy` and `forward` take.
pub(crate) fn resolve_proxy(ctx: &RouteContext<'_>, text: &[u8]) -> Option<Hop> {
    if text.starts_with(b"sip:") || text.starts_with(b"sips:") {
        return resolve(ctx, text, None);
    }
    let (transport, rest) = match text.iter().position(|b| *b == b':') {
        Some(i) if Transport::parse(&text[..i]).is_some() => (Transport::parse(&text[..i]), &text[i + 1..]),
        _ => (None, text),
    };
    let mut uri = b"sip:".to_vec();
    uri.extend_from_slice(rest);
    resolve(ctx, &uri, transport)
}

fn host_ip(ctx: &RouteContext<'_>, host: &[u8]) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case(b"localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let host = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host);
    std::str::from_utf8(host).ok()?.parse().ok().or_else(|| ctx.core.names.address(host, ctx.now))
}
