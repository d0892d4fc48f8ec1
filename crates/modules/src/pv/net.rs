//! `$si $sp $Ri $Rp $proto $su $Ru $RAi $fs ..`: addresses and sockets.

use std::net::SocketAddr;

use message::Transport;
use script::transformations::{parse_socket, transport_number};
use script::{Listener, PseudoVariable, Pv, RouteContext, Value, pseudo_variables};
use transaction::SocketId;

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "si" None "Address the message came from." |ctx, _| Value::str(ctx.source_ip());
    "src_ip" None "Address the message came from." |ctx, _| Value::str(ctx.source_ip());
    "siz" None "Address the message came from, IPv6 in brackets." |ctx, _| {
        if ctx.inbound.source.ip().to_canonical().is_ipv4() { Value::str(ctx.source_ip()) } else {
            Value::owned([b"[", ctx.source_ip(), b"]"].concat())
        }
    };
    "sp" None "Port the message came from." |ctx, _| Value::Int(i64::from(ctx.inbound.source.port()));
    "su" None "Sender as a SIP URI; `transport` when it is not UDP." |ctx, _| Value::owned(uri(ctx.inbound.source, ctx.inbound.transport, false));
    "sut" None "Sender as a SIP URI with transport." |ctx, _| Value::owned(uri(ctx.inbound.source, ctx.inbound.transport, true));
    "sas" None "Sender as `proto:ip:port`." |ctx, _| Value::owned(socket_text(ctx.inbound.transport, ctx.inbound.source));
    "Ri" None "Our address the message came to." |ctx, _| Value::str(ctx.local_ip());
    "Rp" None "Our port the message came to." |ctx, _| Value::Int(i64::from(ctx.inbound.local.port()));
    "Rn" None "Name of our socket the message came to; null when it has none." |ctx, _| {
        Value::opt(listener(ctx, Some(ctx.inbound.socket)).and_then(|l| l.name.as_deref()).map(str::as_bytes))
    };
    "Ru" None "Our address the message came to as a SIP URI; `transport` when it is not UDP." |ctx, _| Value::owned(uri(ctx.inbound.local, ctx.inbound.transport, false));
    "Rut" None "Our address the message came to as a SIP URI with transport." |ctx, _| Value::owned(uri(ctx.inbound.local, ctx.inbound.transport, true));
    "Ras" None "Our socket the message came to as `proto:ip:port`." |ctx, _| Value::owned(socket_text(ctx.inbound.transport, ctx.inbound.local));
    "RAi" None "Advertised host of our socket, else its address." |ctx, _| advertised_host(ctx);
    "RAp" None "Advertised port of our socket, else its port." |ctx, _| {
        let l = listener(ctx, Some(ctx.inbound.socket));
        Value::Int(i64::from(l.map_or(ctx.inbound.local.port(), Listener::via_port)))
    };
    "RAu" None "Advertised address as a SIP URI; `transport` when it is not UDP." |ctx, _| Value::owned(advertised_uri(ctx, false));
    "RAut" None "Advertised address as a SIP URI with transport." |ctx, _| Value::owned(advertised_uri(ctx, true));
    "pr" None "Transport the message came over, lower case." |ctx, _| Value::from(ctx.inbound.transport.lower());
    "proto" None "Transport the message came over, lower case." |ctx, _| Value::from(ctx.inbound.transport.lower());
    "prid" None "Number of the transport: 1 UDP, 2 TCP, 3 TLS, 4 SCTP, 5 WS, 6 WSS." |ctx, _| Value::Int(transport_number(ctx.inbound.transport));
    "conid" None "Id of the connection the message came over; null for UDP." |_, _| Value::Null;
    "fs" None "Socket forced for sending, `proto:ip:port`; null when none is. Writing text that names none of our sockets changes nothing." fs, set_fs;
    "fsn" None "Name of the socket forced for sending." |ctx, _| {
        Value::opt(listener(ctx, ctx.target.socket).and_then(|l| l.name.as_deref()).map(str::as_bytes))
    }, set_fsn;
    "fsp" None "Port of the socket forced for sending; 0 when none is." |ctx, _| {
        Value::Int(listener(ctx, ctx.target.socket).map_or(0, |l| i64::from(l.address.port())))
    };
    "rcv" Keyword(RECEIVED) "How the message was received: `ip port` our address, `srcip srcport` the sender's, `proto sproto` transport as \
        number and name, `af` 4 or 6, `buf` and `len` of the message." received;
    "recv" Keyword(RECEIVED) "As `$rcv`." received;
    "snd" Keyword(SENT) "In onsend_route: where the message goes, `ip port proto sproto af` (2 IPv4, 10 IPv6), and what is sent, `buf len`." sent;
    "sndto" Keyword(SENT) "As `$snd`." sent;
    "sndfrom" Keyword(SENT) "In onsend_route: our socket, `ip port proto sproto af` (2 IPv4, 10 IPv6)." sent_from;
};

const RECEIVED: &[&str] =
    &["ip", "port", "rcvip", "rcvport", "srcip", "srcport", "proto", "sproto", "af", "buf", "len"];
const SENT: &[&str] = &["ip", "port", "proto", "sproto", "af", "buf", "len"];

/// A socket by its number.
pub fn listener<'c>(ctx: &'c RouteContext<'_>, socket: Option<SocketId>) -> Option<&'c Listener> {
    ctx.core.listeners.get(usize::from(socket?.0))
}

/// `sip:ip:port`, with `;transport=` when asked for or when it is not UDP.
pub fn uri(address: SocketAddr, transport: Transport, always: bool) -> String {
    // SocketAddr prints IPv6 in brackets.
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    match transport {
        Transport::Udp if !always => format!("sip:{address}"),
        t => format!("sip:{address};transport={}", t.lower()),
    }
}

/// `proto:ip:port`.
pub fn socket_text(transport: Transport, address: SocketAddr) -> String {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    format!("{}:{address}", transport.lower())
}

/// Advertised host of the socket the message came to, else its address.
pub fn advertised_host<'c>(ctx: &'c RouteContext<'_>) -> Value<'c> {
    match listener(ctx, Some(ctx.inbound.socket)).and_then(|l| l.advertise.as_ref()) {
        Some((host, _)) => Value::str(host.as_bytes()),
        None => Value::str(ctx.local_ip()),
    }
}

fn advertised_uri(ctx: &RouteContext<'_>, always: bool) -> String {
    match listener(ctx, Some(ctx.inbound.socket)) {
        Some(l) if l.advertise.is_some() => match l.transport {
            Transport::Udp if !always => format!("sip:{}:{}", l.via_host(), l.via_port()),
            t => format!("sip:{}:{};transport={}", l.via_host(), l.via_port(), t.lower()),
        },
        _ => uri(ctx.inbound.local, ctx.inbound.transport, always),
    }
}

/// One of our sockets by `proto:host:port`, where proto and port may be missing.
pub fn find_socket(ctx: &RouteContext<'_>, text: &[u8]) -> Option<SocketId> {
    let (proto, host, port) = parse_socket(text)?;
    let proto = if proto.is_empty() { None } else { Some(Transport::parse(proto)?) };
    let port: Option<u16> =
        if port.is_empty() { None } else { Some(std::str::from_utf8(port).ok()?.parse().ok()?) };
    let host = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host);
    let ip: Option<std::net::IpAddr> = std::str::from_utf8(host).ok().and_then(|h| h.parse().ok());
    let at = ctx.core.listeners.iter().position(|l| {
        let advertised = l
            .advertise
            .as_ref()
            .is_some_and(|(h, p)| h.as_bytes().eq_ignore_ascii_case(host) && port.is_none_or(|q| q == *p));
        let bound = ip == Some(l.address.ip()) && port.is_none_or(|p| p == l.address.port());
        (bound || advertised) && proto.is_none_or(|t| t == l.transport)
    })?;
    Some(SocketId(u16::try_from(at).ok()?))
}

fn fs<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    listener(ctx, ctx.target.socket)
        .map_or(Value::Null, |l| Value::owned(socket_text(l.transport, l.address)))
}
fn set_fs(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Null => ctx.target.socket = None,
        Value::Str(text) => match find_socket(ctx, &text) {
            Some(socket) => ctx.target.socket = Some(socket),
            None => {
                tracing::warn!(target: "pv", socket = %String::from_utf8_lossy(&text), "$fs: none of our sockets")
            }
        },
        _ => return false,
    }
    true
}
fn set_fsn(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Null => ctx.target.socket = None,
        Value::Str(text) => {
            let named = |l: &Listener| l.name.as_deref().is_some_and(|n| n.as_bytes() == &*text);
            match ctx.core.listeners.iter().position(named) {
                Some(at) => ctx.target.socket = u16::try_from(at).ok().map(SocketId),
                None => {
                    tracing::warn!(target: "pv", name = %String::from_utf8_lossy(&text), "$fsn: no socket of that name")
                }
            }
        }
        _ => return false,
    }
    true
}

fn family(address: SocketAddr) -> Value<'static> {
    Value::Int(if address.ip().to_canonical().is_ipv4() { 4 } else { 6 })
}

/// AF_INET and AF_INET6 of Linux, as Kamailio shows them here.
fn family_number(address: SocketAddr) -> Value<'static> {
    Value::Int(if address.ip().to_canonical().is_ipv4() { 2 } else { 10 })
}

fn received<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let i = &ctx.inbound;
    match pv.keyword() {
        0 | 2 => Value::str(ctx.local_ip()),
        1 | 3 => Value::Int(i64::from(i.local.port())),
        4 => Value::str(ctx.source_ip()),
        5 => Value::Int(i64::from(i.source.port())),
        6 => Value::Int(transport_number(i.transport)),
        7 => Value::from(i.transport.lower()),
        8 => family(i.source),
        9 => Value::str(ctx.message.as_bytes()),
        _ => Value::Int(ctx.message.as_bytes().len() as i64),
    }
}

fn sent<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let Some((hop, bytes)) = &ctx.sending else { return Value::Null };
    match pv.keyword() {
        0 => Value::owned(hop.remote.ip().to_canonical().to_string()),
        1 => Value::Int(i64::from(hop.remote.port())),
        2 => Value::Int(transport_number(hop.transport)),
        3 => Value::from(hop.transport.lower()),
        4 => family_number(hop.remote),
        5 => Value::str(bytes),
        _ => Value::Int(bytes.len() as i64),
    }
}

fn sent_from<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let socket = ctx.sending.as_ref().map(|(hop, _)| hop.socket);
    let Some(l) = listener(ctx, socket) else { return Value::Null };
    match pv.keyword() {
        0 => Value::owned(l.address.ip().to_string()),
        1 => Value::Int(i64::from(l.address.port())),
        2 => Value::Int(transport_number(l.transport)),
        3 => Value::from(l.transport.lower()),
        4 => family_number(l.address),
        _ => Value::Null,
    }
}
