//! `kemix`: the most wanted attributes of a message as plain functions, without pseudo-variables.

use message::{Fault, HeaderName, Uri};
use script::transformations::{leading_int, transport_number};
use script::{Module, RouteContext, Value, ksr_module};
use transaction::SocketId;

use crate::pv;

/// Module `kemix`.
#[derive(Debug, Default)]
pub struct Kemix {}

impl Module for Kemix {
    fn name(&self) -> &'static str {
        "kemix"
    }
    fn functions(&self) -> &'static [script::Function] {
        Self::FUNCTIONS
    }
}

#[ksr_module("kemix", object = "kx")]
impl Kemix {
    /// The Request-URI, null for a reply.
    #[ksr]
    fn get_ruri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        ruri(ctx)
    }
    /// User of the Request-URI; null when there is none.
    #[ksr]
    fn get_ruser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.parse_request_uri(), |u| u.user)
    }
    /// User of the Request-URI; `<null>` when there is none.
    #[ksr]
    fn getw_ruser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.parse_request_uri(), |u| u.user), Value::str(b"<null>"))
    }
    /// User of the Request-URI; an empty text when there is none.
    #[ksr]
    fn gete_ruser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.parse_request_uri(), |u| u.user), Value::str(b""))
    }
    /// Host of the Request-URI; null when there is none.
    #[ksr]
    fn get_rhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.parse_request_uri(), |u| Some(u.host))
    }
    /// Host of the Request-URI; `<null>` when there is none.
    #[ksr]
    fn getw_rhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.parse_request_uri(), |u| Some(u.host)), Value::str(b"<null>"))
    }
    /// Host of the Request-URI; an empty text when there is none.
    #[ksr]
    fn gete_rhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.parse_request_uri(), |u| Some(u.host)), Value::str(b""))
    }
    /// The Request-URI as received, null for a reply.
    #[ksr]
    fn get_ouri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(ctx.message.request_uri())
    }
    /// URI of From.
    #[ksr]
    fn get_furi<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::opt(from_uri(ctx))
    }
    /// User of the From URI; null when there is none.
    #[ksr]
    fn get_fuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.message.from_uri(), |u| u.user)
    }
    /// User of the From URI; `<null>` when there is none.
    #[ksr]
    fn getw_fuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.from_uri(), |u| u.user), Value::str(b"<null>"))
    }
    /// User of the From URI; an empty text when there is none.
    #[ksr]
    fn gete_fuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.from_uri(), |u| u.user), Value::str(b""))
    }
    /// Host of the From URI; null when there is none.
    #[ksr]
    fn get_fhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.message.from_uri(), |u| Some(u.host))
    }
    /// Host of the From URI; `<null>` when there is none.
    #[ksr]
    fn getw_fhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.from_uri(), |u| Some(u.host)), Value::str(b"<null>"))
    }
    /// Host of the From URI; an empty text when there is none.
    #[ksr]
    fn gete_fhost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.from_uri(), |u| Some(u.host)), Value::str(b""))
    }
    /// URI of To.
    #[ksr]
    fn get_turi<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::opt(to_uri(ctx))
    }
    /// User of the To URI; null when there is none.
    #[ksr]
    fn get_tuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.message.to_uri(), |u| u.user)
    }
    /// User of the To URI; an empty text when there is none.
    #[ksr]
    fn gete_tuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.to_uri(), |u| u.user), Value::str(b""))
    }
    /// User of the To URI; `<null>` when there is none.
    #[ksr]
    fn getw_tuser<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.to_uri(), |u| u.user), Value::str(b"<null>"))
    }
    /// Host of the To URI; null when there is none.
    #[ksr]
    fn get_thost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        part(ctx.message.to_uri(), |u| Some(u.host))
    }
    /// Host of the To URI; an empty text when there is none.
    #[ksr]
    fn gete_thost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.to_uri(), |u| Some(u.host)), Value::str(b""))
    }
    /// Host of the To URI; `<null>` when there is none.
    #[ksr]
    fn getw_thost<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(part(ctx.message.to_uri(), |u| Some(u.host)), Value::str(b"<null>"))
    }
    /// The next hop set by `$du`; null when there is none.
    #[ksr]
    fn get_duri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(&ctx.target.dst_uri)
    }
    /// The next hop set by `$du`; an empty text when there is none.
    #[ksr]
    fn gete_duri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(text(&ctx.target.dst_uri), Value::str(b""))
    }
    /// The next hop set by `$du`; `<null>` when there is none.
    #[ksr]
    fn getw_duri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(text(&ctx.target.dst_uri), Value::str(b"<null>"))
    }
    /// URI of the first Contact; null when there is none.
    #[ksr]
    fn get_cturi<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        contact_uri(ctx)
    }
    /// URI of the first Contact; an empty text when there is none.
    #[ksr]
    fn gete_cturi<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(contact_uri(ctx), Value::str(b""))
    }
    /// URI of the first Contact; `<null>` when there is none.
    #[ksr]
    fn getw_cturi<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(contact_uri(ctx), Value::str(b"<null>"))
    }
    /// URI of the next hop: `$du`, else the Request-URI; null for a reply.
    #[ksr]
    fn get_nhuri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(ctx.next_hop_uri())
    }
    /// The sender as a SIP URI; `transport` when it is not UDP.
    #[ksr]
    fn get_srcuri<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::owned(pv::uri(ctx.inbound.source, ctx.inbound.transport, false))
    }
    /// The sender as `proto:ip:port`.
    #[ksr]
    fn get_srcaddr_sock<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::owned(pv::socket_text(ctx.inbound.transport, ctx.inbound.source))
    }
    /// User-Agent; null when there is none.
    #[ksr]
    fn get_ua<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        header(ctx, HeaderName::UserAgent)
    }
    /// User-Agent; an empty text when there is none.
    #[ksr]
    fn gete_ua<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(header(ctx, HeaderName::UserAgent), Value::str(b""))
    }
    /// User-Agent; `<null>` when there is none.
    #[ksr]
    fn getw_ua<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(header(ctx, HeaderName::UserAgent), Value::str(b"<null>"))
    }
    /// Address of the sender.
    #[ksr]
    fn get_srcip<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::str(ctx.source_ip())
    }
    /// Port of the sender.
    #[ksr]
    fn get_srcport<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::Int(i64::from(ctx.inbound.source.port()))
    }
    /// Socket forced for sending, `proto:ip:port`; null when none is.
    #[ksr]
    fn get_send_sock<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        match pv::listener(ctx, ctx.target.socket) {
            Some(l) => Value::owned(pv::socket_text(l.transport, l.address)),
            None => Value::Null,
        }
    }
    /// Name of the socket forced for sending; null when it has none.
    #[ksr]
    fn get_send_sock_name<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        socket_name(ctx, ctx.target.socket)
    }
    /// Port of the socket forced for sending, 0 when none is.
    #[ksr]
    fn get_send_sock_port(&self, ctx: &mut RouteContext<'_>) -> i64 {
        pv::listener(ctx, ctx.target.socket).map_or(0, |l| i64::from(l.address.port()))
    }
    /// Our address the message came to.
    #[ksr]
    fn get_rcvip<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::str(ctx.local_ip())
    }
    /// Name of our socket the message came to; null when it has none.
    #[ksr]
    fn get_rcv_sock_name<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        socket_name(ctx, Some(ctx.inbound.socket))
    }
    /// Our port the message came to.
    #[ksr]
    fn get_rcvport<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::Int(i64::from(ctx.inbound.local.port()))
    }
    /// Advertised host of our socket, else its address.
    #[ksr]
    fn get_rcvadvip<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        pv::advertised_host(ctx)
    }
    /// Advertised port of our socket, else its port.
    #[ksr]
    fn get_rcvadvport<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        let listener = pv::listener(ctx, Some(ctx.inbound.socket));
        Value::Int(i64::from(listener.map_or(ctx.inbound.local.port(), script::Listener::via_port)))
    }
    /// Our socket the message came to, `proto:ip:port`.
    #[ksr]
    fn get_rcvaddr_sock<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::owned(pv::socket_text(ctx.inbound.transport, ctx.inbound.local))
    }
    /// Transport the message came over, lower case.
    #[ksr]
    fn get_proto<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::from(ctx.inbound.transport.lower())
    }
    /// Number of the transport the message came over: 1 UDP, 2 TCP, 3 TLS, 4 SCTP, 5 WS, 6 WSS.
    #[ksr]
    fn get_protoid(&self, ctx: &mut RouteContext<'_>) -> i64 {
        transport_number(ctx.inbound.transport)
    }
    /// User of the credentials; null when there is none.
    #[ksr]
    fn get_au<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::opt(pv::credentials(ctx).and_then(|c| c.user()))
    }
    /// User of the credentials; `<null>` when there is none.
    #[ksr]
    fn getw_au<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(Value::opt(pv::credentials(ctx).and_then(|c| c.user())), Value::str(b"<null>"))
    }
    /// User of the credentials; an empty text when there is none.
    #[ksr]
    fn gete_au<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(Value::opt(pv::credentials(ctx).and_then(|c| c.user())), Value::str(b""))
    }
    /// Method; of a reply the one in CSeq.
    #[ksr]
    fn get_method<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(ctx.message.method_text())
    }
    /// Status code of a reply, -1 for a request.
    #[ksr]
    fn get_status(&self, ctx: &mut RouteContext<'_>) -> i64 {
        if ctx.message.is_request() { -1 } else { i64::from(ctx.message.status()) }
    }
    /// Status code of a reply as text, null for a request.
    #[ksr]
    fn gets_status<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        match ctx.message.status() {
            0 => Value::Null,
            code => Value::owned(code.to_string()),
        }
    }
    /// Body; null when there is none.
    #[ksr]
    fn get_body<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(ctx.message.body())
    }
    /// Body; `<null>` when there is none.
    #[ksr]
    fn getw_body<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(text(ctx.message.body()), Value::str(b"<null>"))
    }
    /// Body; an empty text when there is none.
    #[ksr]
    fn gete_body<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        or(text(ctx.message.body()), Value::str(b""))
    }
    /// Length of the body.
    #[ksr]
    fn get_bodylen(&self, ctx: &mut RouteContext<'_>) -> i64 {
        ctx.message.body().len() as i64
    }
    /// Unix time.
    #[ksr(no_message)]
    fn get_timestamp(&self, ctx: &mut RouteContext<'_>) -> i64 {
        ctx.now.unix() as i64
    }
    /// Call-ID.
    #[ksr]
    fn get_callid<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        text(ctx.message.call_id())
    }
    /// Id of the connection the message came over, -1 for UDP.
    #[ksr]
    fn get_conid(&self, ctx: &mut RouteContext<'_>) -> i64 {
        let _ = ctx;
        -1
    }
    /// The message as received.
    #[ksr]
    fn get_msgbuf<'c>(&'c self, ctx: &'c mut RouteContext<'_>) -> Value<'c> {
        Value::str(ctx.message.as_bytes())
    }
    /// Length of the message as received.
    #[ksr]
    fn get_msglen(&self, ctx: &mut RouteContext<'_>) -> i64 {
        ctx.message.as_bytes().len() as i64
    }
    /// 1 for a request, 2 for a reply.
    #[ksr]
    fn get_msgtype(&self, ctx: &mut RouteContext<'_>) -> i64 {
        if ctx.message.is_request() { 1 } else { 2 }
    }
    /// Value of a preprocessor define; an empty text when it is not defined.
    #[ksr(no_message)]
    fn get_def<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::str(define(ctx, name).unwrap_or_default().as_bytes())
    }
    /// Value of a preprocessor define as an integer, 0 when it is none.
    #[ksr(no_message)]
    fn get_defn(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> i64 {
        define(ctx, name).map_or(0, |d| leading_int(d.as_bytes()))
    }
    /// Whether a name is defined.
    #[ksr(no_message)]
    fn ifdef(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> bool {
        define(ctx, name).is_some()
    }
    /// Whether a name is not defined.
    #[ksr(no_message)]
    fn ifndef(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> bool {
        define(ctx, name).is_none()
    }
    /// Environment variable, null when it is not set.
    #[ksr(no_message)]
    fn get_env<'c>(&'c self, name: &'c [u8]) -> Value<'c> {
        pv::environment_variable(name).map_or(Value::Null, Value::owned)
    }
    /// Environment variable as an integer, 0 when it is none.
    #[ksr(no_message)]
    fn get_envn(&self, name: &[u8]) -> i64 {
        pv::environment_variable(name).map_or(0, |v| leading_int(&v))
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Null } else { Value::str(bytes) }
}
fn or<'c>(value: Value<'c>, default: Value<'c>) -> Value<'c> {
    if value.is_null() { default } else { value }
}
fn ruri<'c>(ctx: &'c RouteContext<'_>) -> Value<'c> {
    let valid =
        ctx.target.uri.is_empty() || (ctx.message.is_request() && Uri::parse(&ctx.target.uri).is_ok());
    if valid { text(ctx.request_uri()) } else { Value::Null }
}
/// A non-empty part of a parsed URI.
fn part<'u>(uri: Result<Uri<'u>, Fault>, pick: impl FnOnce(&Uri<'u>) -> Option<&'u [u8]>) -> Value<'u> {
    Value::opt(uri.ok().and_then(|u| pick(&u)).filter(|p| !p.is_empty()))
}
fn from_uri<'c>(ctx: &'c RouteContext<'_>) -> Option<&'c [u8]> {
    ctx.message.from().ok().map(|f| f.uri)
}
fn to_uri<'c>(ctx: &'c RouteContext<'_>) -> Option<&'c [u8]> {
    ctx.message.to().ok().map(|t| t.uri)
}
fn contact_uri<'c>(ctx: &'c RouteContext<'_>) -> Value<'c> {
    match ctx.message.addresses(HeaderName::Contact).next() {
        Some(Ok(c)) if c.uri != b"*" => Value::str(c.uri),
        _ => Value::Null,
    }
}
fn header<'c>(ctx: &'c RouteContext<'_>, name: HeaderName) -> Value<'c> {
    Value::opt(ctx.message.header(name).map(|h| h.value))
}
fn socket_name<'c>(ctx: &'c RouteContext<'_>, socket: Option<SocketId>) -> Value<'c> {
    Value::opt(pv::listener(ctx, socket).and_then(|l| l.name.as_deref()).map(str::as_bytes))
}
fn define<'c>(ctx: &'c RouteContext<'_>, name: &[u8]) -> Option<&'c str> {
    ctx.core.config.defines.get(std::str::from_utf8(name).ok()?).map(String::as_str)
}
