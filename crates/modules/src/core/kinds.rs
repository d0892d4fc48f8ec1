//! `KSR.is_INVITE()`, `KSR.is_UDP()`, `KSR.to_TCP()` and their like: questions about method, transport and address family.

use std::net::IpAddr;

use message::{Method, Transport, Uri};
use script::{RouteContext, ksr_module};

use super::CoreFunctions;

#[allow(non_snake_case)]
#[ksr_module("core", object = "", rows = "KINDS")]
impl CoreFunctions {
    /// Whether the method is one of `INVITE|ACK|...`, without case.
    #[ksr]
    fn is_method(&self, ctx: &mut RouteContext<'_>, methods: &[u8]) -> bool {
        let method = ctx.message.method_text();
        methods.split(|c| *c == b'|').any(|m| m.trim_ascii().eq_ignore_ascii_case(method))
    }
    /// Whether the method is one of these letters: `I` INVITE, `A` ACK, `B` BYE, `C` CANCEL, `R` REGISTER, `O` OPTIONS, `S` SUBSCRIBE,
    /// `N` NOTIFY, `M` MESSAGE, `P` PUBLISH, `U` UPDATE, `E` PRACK, `F` REFER, `K` KDMQ, `G` GET, `T` POST, `V` PUT, `D` DELETE.
    #[ksr]
    fn is_method_in(&self, ctx: &mut RouteContext<'_>, letters: &[u8]) -> bool {
        let letter = match ctx.message.method_text() {
            b"INVITE" => b'I',
            b"ACK" => b'A',
            b"BYE" => b'B',
            b"CANCEL" => b'C',
            b"REGISTER" => b'R',
            b"OPTIONS" => b'O',
            b"SUBSCRIBE" => b'S',
            b"NOTIFY" => b'N',
            b"MESSAGE" => b'M',
            b"PUBLISH" => b'P',
            b"UPDATE" => b'U',
            b"PRACK" => b'E',
            b"REFER" => b'F',
            b"KDMQ" => b'K',
            b"GET" => b'G',
            b"POST" => b'T',
            b"PUT" => b'V',
            b"DELETE" => b'D',
            _ => return false,
        };
        letters.iter().any(|c| c.eq_ignore_ascii_case(&letter))
    }
    /// Whether the method is INVITE (of a reply: the one in CSeq).
    #[ksr]
    fn is_INVITE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Invite
    }
    /// Whether the method is ACK (of a reply: the one in CSeq).
    #[ksr]
    fn is_ACK(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Ack
    }
    /// Whether the method is BYE (of a reply: the one in CSeq).
    #[ksr]
    fn is_BYE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Bye
    }
    /// Whether the method is CANCEL (of a reply: the one in CSeq).
    #[ksr]
    fn is_CANCEL(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Cancel
    }
    /// Whether the method is REGISTER (of a reply: the one in CSeq).
    #[ksr]
    fn is_REGISTER(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Register
    }
    /// Whether the method is OPTIONS (of a reply: the one in CSeq).
    #[ksr]
    fn is_OPTIONS(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Options
    }
    /// Whether the method is SUBSCRIBE (of a reply: the one in CSeq).
    #[ksr]
    fn is_SUBSCRIBE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Subscribe
    }
    /// Whether the method is PUBLISH (of a reply: the one in CSeq).
    #[ksr]
    fn is_PUBLISH(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Publish
    }
    /// Whether the method is NOTIFY (of a reply: the one in CSeq).
    #[ksr]
    fn is_NOTIFY(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Notify
    }
    /// Whether the method is REFER (of a reply: the one in CSeq).
    #[ksr]
    fn is_REFER(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Refer
    }
    /// Whether the method is INFO (of a reply: the one in CSeq).
    #[ksr]
    fn is_INFO(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Info
    }
    /// Whether the method is UPDATE (of a reply: the one in CSeq).
    #[ksr]
    fn is_UPDATE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Update
    }
    /// Whether the method is PRACK (of a reply: the one in CSeq).
    #[ksr]
    fn is_PRACK(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Prack
    }
    /// Whether the method is MESSAGE (of a reply: the one in CSeq).
    #[ksr]
    fn is_MESSAGE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Message
    }
    /// Whether the method is KDMQ (of a reply: the one in CSeq).
    #[ksr]
    fn is_KDMQ(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Kdmq
    }
    /// Whether the method is GET (of a reply: the one in CSeq).
    #[ksr]
    fn is_GET(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method_text() == b"GET"
    }
    /// Whether the method is POST (of a reply: the one in CSeq).
    #[ksr]
    fn is_POST(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method_text() == b"POST"
    }
    /// Whether the method is PUT (of a reply: the one in CSeq).
    #[ksr]
    fn is_PUT(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method_text() == b"PUT"
    }
    /// Whether the method is DELETE (of a reply: the one in CSeq).
    #[ksr]
    fn is_DELETE(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.message.method_text() == b"DELETE"
    }
    /// Whether the message came over UDP.
    #[ksr]
    fn is_UDP(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Udp
    }
    /// Whether the message came over TCP.
    #[ksr]
    fn is_TCP(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Tcp
    }
    /// Whether the message came over TLS.
    #[ksr]
    fn is_TLS(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Tls
    }
    /// Whether the message came over WS.
    #[ksr]
    fn is_WS(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Ws
    }
    /// Whether the message came over WSS.
    #[ksr]
    fn is_WSS(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Wss
    }
    /// Whether the message came over SCTP.
    #[ksr]
    fn is_SCTP(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Sctp
    }
    /// Whether the message came over TCP or TLS.
    #[ksr]
    fn is_TCPX(&self, ctx: &mut RouteContext<'_>) -> bool {
        matches!(ctx.inbound.transport, Transport::Tcp | Transport::Tls)
    }
    /// Whether the message came over WebSocket, with TLS or without.
    #[ksr]
    fn is_WSX(&self, ctx: &mut RouteContext<'_>) -> bool {
        matches!(ctx.inbound.transport, Transport::Ws | Transport::Wss)
    }
    /// Whether the message came over one of these transports: letters `U` UDP, `T` TCP, `E` TLS, `S` SCTP, `W` WS, `V` WSS.
    #[ksr]
    fn is_proto(&self, ctx: &mut RouteContext<'_>, letters: &[u8]) -> bool {
        let letter = match ctx.inbound.transport {
            Transport::Udp => b'U',
            Transport::Tcp => b'T',
            Transport::Tls => b'E',
            Transport::Sctp => b'S',
            Transport::Ws => b'W',
            Transport::Wss => b'V',
        };
        letters.iter().any(|c| c.eq_ignore_ascii_case(&letter))
    }
    /// Whether the message came over IPv4.
    #[ksr(name = "is_IPv4")]
    fn is_ipv4(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.inbound.source.ip().to_canonical().is_ipv4()
    }
    /// Whether the message came over IPv6.
    #[ksr(name = "is_IPv6")]
    fn is_ipv6(&self, ctx: &mut RouteContext<'_>) -> bool {
        !ctx.inbound.source.ip().to_canonical().is_ipv4()
    }
    /// Whether the message goes on over UDP, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_UDP(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Udp)
    }
    /// Whether the message goes on over TCP, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_TCP(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Tcp)
    }
    /// Whether the message goes on over TLS, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_TLS(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Tls)
    }
    /// Whether the message goes on over WS, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_WS(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Ws)
    }
    /// Whether the message goes on over WSS, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_WSS(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Wss)
    }
    /// Whether the message goes on over SCTP, by its next hop's URI (a reply: by its second Via).
    #[ksr]
    fn to_SCTP(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_transport(ctx) == Some(Transport::Sctp)
    }
    /// Whether the message goes on over WebSocket, with TLS or without.
    #[ksr]
    fn to_WSX(&self, ctx: &mut RouteContext<'_>) -> bool {
        matches!(next_transport(ctx), Some(Transport::Ws | Transport::Wss))
    }
    /// Whether the next hop's URI has an IPv4 address as its host (a reply: its second Via).
    #[ksr(name = "to_IPv4")]
    fn to_ipv4(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_ip(ctx).is_some_and(|ip| ip.is_ipv4())
    }
    /// Whether the next hop's URI has an IPv6 address as its host (a reply: its second Via).
    #[ksr(name = "to_IPv6")]
    fn to_ipv6(&self, ctx: &mut RouteContext<'_>) -> bool {
        next_ip(ctx).is_some_and(|ip| ip.is_ipv6())
    }
    /// Whether the message came from this port.
    #[ksr]
    fn is_src_port(&self, ctx: &mut RouteContext<'_>, port: i64) -> bool {
        i64::from(ctx.inbound.source.port()) == port
    }
    /// Whether the message came to this port of ours.
    #[ksr]
    fn is_dst_port(&self, ctx: &mut RouteContext<'_>, port: i64) -> bool {
        i64::from(ctx.inbound.local.port()) == port
    }
}

/// Transport of the next hop as its URI says; UDP when it has an address and names none.
fn next_transport(ctx: &RouteContext<'_>) -> Option<Transport> {
    if !ctx.message.is_request() {
        return ctx.message.vias().nth(1)?.ok()?.transport;
    }
    Uri::parse(ctx.next_hop_uri()).ok()?.transport()
}

fn next_ip(ctx: &RouteContext<'_>) -> Option<IpAddr> {
    if !ctx.message.is_request() {
        let via = ctx.message.vias().nth(1)?.ok()?;
        return via.ip();
    }
    Uri::parse(ctx.next_hop_uri()).ok()?.ip()
}
