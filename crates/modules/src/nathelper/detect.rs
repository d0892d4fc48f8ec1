//! Whether somebody is behind NAT.

use std::net::{IpAddr, Ipv4Addr};

use message::{Message, Transport, Uri};
use script::RouteContext;

use super::contact;
use crate::sdp::Sdp;

/// Bits of `nat_uac_test`.
mod test {
    pub const CONTACT_PRIVATE: i64 = 1;
    pub const VIA_ADDRESS: i64 = 2;
    pub const VIA_PRIVATE: i64 = 4;
    pub const SDP_PRIVATE: i64 = 8;
    pub const VIA_PORT: i64 = 16;
    pub const SOURCE_PRIVATE: i64 = 32;
    pub const WEBSOCKET: i64 = 64;
    pub const CONTACT_PORT: i64 = 128;
    pub const SDP_ADDRESS: i64 = 256;
    pub const TARGET: i64 = 512;
}

/// Private networks, then other reserved ones: address and prefix length.
const PRIVATE: &[([u8; 4], u32)] = &[
    ([10, 0, 0, 0], 8),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    // RFC 6598
    ([100, 64, 0, 0], 10),
    // RFC 7335
    ([192, 0, 0, 0], 29),
];
const RESERVED: &[([u8; 4], u32)] = &[([192, 0, 0, 0], 24)];

fn in_private(ip: IpAddr, reserved: bool) -> bool {
    let IpAddr::V4(ip) = ip.to_canonical() else { return false };
    let nets = PRIVATE.iter().chain(if reserved { RESERVED } else { &[] });
    let inside = |(net, bits): &([u8; 4], u32)| {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        u32::from(ip) & mask == u32::from(Ipv4Addr::from(*net))
    };
    nets.clone().any(inside)
}

/// Whether a text is a private address.
pub(super) fn is_private(host: &[u8], reserved: bool) -> bool {
    std::str::from_utf8(host)
        .ok()
        .and_then(|t| t.parse().ok())
        .is_some_and(|ip: IpAddr| in_private(ip, reserved))
}

fn host_ip(host: &[u8]) -> Option<IpAddr> {
    let host = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host);
    std::str::from_utf8(host).ok()?.parse().ok()
}

pub(super) fn behind_nat(ctx: &RouteContext<'_>, flags: i64, reserved: bool) -> bool {
    let wanted = |bit: i64| flags & bit != 0;
    let source = ctx.inbound.source;
    let ip = source.ip().to_canonical();
    let via = ctx.message.via().ok();
    let contact =
        || contact::first(ctx).and_then(|c| Uri::parse(&c.uri).ok().map(|u| (u.ip(), u.port_or_default())));
    let sdp = || Sdp::of(&ctx.message);
    wanted(test::VIA_ADDRESS) && via.is_some_and(|v| host_ip(v.host).map(|h| h.to_canonical()) != Some(ip))
        || wanted(test::VIA_PORT)
            && via.is_some_and(|v| {
                v.port.unwrap_or_else(|| ctx.inbound.transport.default_port()) != source.port()
            })
        || wanted(test::VIA_PRIVATE)
            && via.is_some_and(|v| host_ip(v.host).is_some_and(|h| in_private(h, reserved)))
        || wanted(test::CONTACT_PRIVATE)
            && contact().is_some_and(|c| c.0.is_some_and(|h| in_private(h, reserved)))
        || wanted(test::CONTACT_PORT) && contact().is_some_and(|c| c.1 != source.port())
        || wanted(test::SOURCE_PRIVATE) && in_private(ip, reserved)
        || wanted(test::WEBSOCKET) && matches!(ctx.inbound.transport, Transport::Ws | Transport::Wss)
        || wanted(test::SDP_PRIVATE)
            && sdp()
                .is_some_and(|s| s.media_addresses().filter_map(|a| a.ip()).any(|a| in_private(a, reserved)))
        || wanted(test::SDP_ADDRESS)
            && sdp()
                .is_some_and(|s| s.media_addresses().any(|a| a.ip().map(|i| i.to_canonical()) != Some(ip)))
        || wanted(test::TARGET) && target_differs(ctx)
}

/// Requests: `$du` is not the Request-URI. Replies: the second Via is not where the request came from.
fn target_differs(ctx: &RouteContext<'_>) -> bool {
    if ctx.message.is_request() { request_target_differs(ctx) } else { reply_target_differs(&ctx.message) }
}

fn request_target_differs(ctx: &RouteContext<'_>) -> bool {
    let Ok(next) = Uri::parse(&ctx.target.dst_uri) else { return false };
    if matches!(next.transport(), Some(Transport::Ws | Transport::Wss)) {
        return true;
    }
    let Ok(target) = ctx.parse_request_uri() else { return false };
    !target.host.eq_ignore_ascii_case(next.host) || target.port_or_default() != next.port_or_default()
}

fn reply_target_differs(reply: &Message) -> bool {
    let Some(Ok(via)) = reply.vias().nth(1) else { return false };
    if matches!(via.transport, Some(Transport::Ws | Transport::Wss)) {
        return true;
    }
    let port = via.port.unwrap_or_else(|| via.transport.unwrap_or(Transport::Udp).default_port());
    via.received.is_some_and(|r| r != via.host) || via.rport.flatten().is_some_and(|r| r != port)
}
