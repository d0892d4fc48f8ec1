//! `KSR.*`: what every script has without loading anything: the log, flags, URIs, questions about the message.

use message::{Method, Transport, Uri};
use script::{CallbackId, Function, Module, Outcome, RelayTo, RouteContext, RunOutcome, ksr_module};

use crate::xlog::{emit, level};
use crate::{kex, uri_edit};

/// The functions of `KSR` itself.
#[derive(Debug, Default)]
pub struct CoreFunctions {}

/// One line of the script's in the log, with the message's Call-ID when there is one.
fn log(ctx: &RouteContext<'_>, number: i64, text: &[u8]) {
    if number > kex::debug_level(ctx) {
        return;
    }
    let text = String::from_utf8_lossy(text);
    if ctx.faked {
        return emit(number, "", &text);
    }
    let text = text.trim_end_matches(['\n', '\r']);
    let call_id = String::from_utf8_lossy(ctx.message.call_id());
    match number {
        ..=level::ERR => tracing::error!(target: "script", %call_id, "{text}"),
        level::WARN => tracing::warn!(target: "script", %call_id, "{text}"),
        level::NOTICE | level::INFO => tracing::info!(target: "script", %call_id, "{text}"),
        _ => tracing::debug!(target: "script", %call_id, "{text}"),
    }
}

fn bit(flag: i64) -> Option<u32> {
    u32::try_from(flag).ok().filter(|f| *f < 32).map(|f| 1 << f)
}

fn set(word: &mut u32, flag: i64) -> bool {
    bit(flag).map(|b| *word |= b).is_some()
}

fn reset(word: &mut u32, flag: i64) -> bool {
    bit(flag).map(|b| *word &= !b).is_some()
}

fn is_set(word: u32, flag: i64) -> bool {
    bit(flag).is_some_and(|b| word & b != 0)
}

/// The flags of a branch: 0 the Request-URI, 1.. those added.
fn branch_flags<'c>(ctx: &'c mut RouteContext<'_>, branch: i64) -> Option<&'c mut u32> {
    match usize::try_from(branch).ok()? {
        0 => Some(&mut ctx.target.flags),
        n => ctx.branches.get_mut(n - 1).map(|b| &mut b.flags),
    }
}

fn next_hop(ctx: &RouteContext<'_>) -> Option<transaction::Hop> {
    ctx.transactions.resolve(ctx, ctx.next_hop_uri())
}

/// `[proto:]host[:port]` or a SIP URI names this server.
fn is_myself(ctx: &RouteContext<'_>, text: &[u8]) -> bool {
    if text.starts_with(b"sip:") || text.starts_with(b"sips:") {
        return ctx.is_myself_uri(text);
    }
    let (transport, rest) = match text.iter().position(|c| *c == b':') {
        Some(at) if Transport::parse(text.get(..at).unwrap_or_default()).is_some() => {
            (Transport::parse(text.get(..at).unwrap_or_default()), text.get(at + 1..).unwrap_or_default())
        }
        _ => (None, text),
    };
    let uri = [b"sip:", rest].concat();
    Uri::parse(&uri).is_ok_and(|u| ctx.core.is_myself(u.host, u.port, transport))
}

#[ksr_module("core", object = "")]
impl CoreFunctions {
    /// Writes a line to the log at level DBG. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn dbg(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::DBG, text);
    }
    /// Writes a line to the log at level INFO. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn info(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::INFO, text);
    }
    /// Writes a line to the log at level NOTICE. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn notice(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::NOTICE, text);
    }
    /// Writes a line to the log at level WARN. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn warn(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::WARN, text);
    }
    /// Writes a line to the log at level ERR. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn err(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::ERR, text);
    }
    /// Writes a line to the log at level CRIT. No pseudo-variables are replaced: `KSR.xlog` does that.
    #[ksr(no_message)]
    fn crit(&self, ctx: &RouteContext<'_>, text: &[u8]) {
        log(ctx, level::CRIT, text);
    }
    /// Writes a line to the log: level by name (`dbg`, `info`, `notice`, `warn`, `err`, `crit`), text.
    #[ksr(no_message)]
    fn log(&self, ctx: &RouteContext<'_>, level: &[u8], text: &[u8]) {
        let number = match level {
            b"dbg" | b"debug" => level::DBG,
            b"info" => level::INFO,
            b"notice" => level::NOTICE,
            b"warn" | b"warning" => level::WARN,
            b"crit" | b"critical" => level::CRIT,
            _ => level::ERR,
        };
        log(ctx, number, text);
    }
    /// Marks the message as dropped: a reply is not sent on, a branch is not sent, a request is not answered by itself.
    #[ksr(cfg = ["drop"])]
    fn set_drop(&self, ctx: &mut RouteContext<'_>) {
        ctx.dropped = true;
    }
    /// Whether a URI, or `[proto:]host[:port]`, names this server: its sockets, advertised addresses and aliases.
    #[ksr(cfg = ["is_myself"], no_message)]
    fn is_myself(&self, ctx: &RouteContext<'_>, uri: &[u8]) -> bool {
        is_myself(ctx, uri)
    }
    /// Whether the Request-URI names this server.
    #[ksr]
    fn is_myself_ruri(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.is_myself_uri(ctx.request_uri())
    }
    /// Whether the destination URI (`$du`) names this server. False when it is not set.
    #[ksr]
    fn is_myself_duri(&self, ctx: &RouteContext<'_>) -> bool {
        !ctx.target.dst_uri.is_empty() && ctx.is_myself_uri(&ctx.target.dst_uri)
    }
    /// Whether the next hop (`$du`, else the Request-URI) names this server.
    #[ksr]
    fn is_myself_nhuri(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.is_myself_uri(ctx.next_hop_uri())
    }
    /// Whether the From URI names this server.
    #[ksr]
    fn is_myself_furi(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.from().is_ok_and(|a| ctx.is_myself_uri(a.uri))
    }
    /// Whether the To URI names this server.
    #[ksr]
    fn is_myself_turi(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.to().is_ok_and(|a| ctx.is_myself_uri(a.uri))
    }
    /// Whether the message came from one of this server's sockets: address, port and transport.
    #[ksr]
    fn is_myself_suri(&self, ctx: &RouteContext<'_>) -> bool {
        let source = ctx.inbound.source;
        ctx.core.listeners.iter().any(|l| l.transport == ctx.inbound.transport && l.address == source)
    }
    /// Whether the message came from an address of this server, whatever the port.
    #[ksr]
    fn is_myself_srcip(&self, ctx: &RouteContext<'_>) -> bool {
        let source = ctx.inbound.source.ip();
        ctx.core.listeners.iter().any(|l| l.address.ip() == source)
    }
    /// Sets a message flag (0..31), which the transaction keeps.
    #[ksr(cfg = ["setflag"])]
    fn setflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        set(&mut ctx.flags, flag)
    }
    /// Clears a message flag (0..31), which the transaction keeps.
    #[ksr(cfg = ["resetflag"])]
    fn resetflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        reset(&mut ctx.flags, flag)
    }
    /// Whether it is set: a message flag (0..31), which the transaction keeps.
    #[ksr(cfg = ["isflagset"])]
    fn isflagset(&self, ctx: &RouteContext<'_>, flag: i64) -> bool {
        is_set(ctx.flags, flag)
    }
    /// Sets a script flag (0..31), which lives as long as the route.
    #[ksr(cfg = ["setsflag"])]
    fn setsflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        set(&mut ctx.script_flags, flag)
    }
    /// Clears a script flag (0..31), which lives as long as the route.
    #[ksr(cfg = ["resetsflag"])]
    fn resetsflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        reset(&mut ctx.script_flags, flag)
    }
    /// Whether it is set: a script flag (0..31), which lives as long as the route.
    #[ksr(cfg = ["issflagset"])]
    fn issflagset(&self, ctx: &RouteContext<'_>, flag: i64) -> bool {
        is_set(ctx.script_flags, flag)
    }
    /// Sets a flag (0..31) of the first branch, the Request-URI.
    #[ksr(cfg = ["setbflag"])]
    fn setbflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        set(&mut ctx.target.flags, flag)
    }
    /// Clears a flag of the first branch.
    #[ksr(cfg = ["resetbflag"])]
    fn resetbflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> bool {
        reset(&mut ctx.target.flags, flag)
    }
    /// Whether a flag of the first branch is set.
    #[ksr(cfg = ["isbflagset"])]
    fn isbflagset(&self, ctx: &RouteContext<'_>, flag: i64) -> bool {
        is_set(ctx.target.flags, flag)
    }
    /// Sets a flag of a branch: flag, branch (0 the Request-URI, 1.. those added).
    #[ksr(cfg = ["setbflag"])]
    fn setbiflag(&self, ctx: &mut RouteContext<'_>, flag: i64, branch: i64) -> bool {
        branch_flags(ctx, branch).is_some_and(|word| set(word, flag))
    }
    /// Clears a flag of a branch: flag, branch.
    #[ksr(cfg = ["resetbflag"])]
    fn resetbiflag(&self, ctx: &mut RouteContext<'_>, flag: i64, branch: i64) -> bool {
        branch_flags(ctx, branch).is_some_and(|word| reset(word, flag))
    }
    /// Whether a flag of a branch is set: flag, branch.
    #[ksr(cfg = ["isbflagset"])]
    fn isbiflagset(&self, ctx: &mut RouteContext<'_>, flag: i64, branch: i64) -> bool {
        branch_flags(ctx, branch).is_some_and(|word| is_set(*word, flag))
    }
    /// Sets the Request-URI. False when it is not a URI.
    #[ksr(cfg = ["rewriteuri", "seturi"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn seturi(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
        if Uri::parse(uri).is_err() {
            return false;
        }
        ctx.target.uri = uri.to_vec();
        true
    }
    /// Sets the user of the Request-URI; empty removes it.
    #[ksr(cfg = ["rewriteuser", "setuser"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn setuser(&self, ctx: &mut RouteContext<'_>, user: &[u8]) -> bool {
        uri_edit::with_user(ctx.request_uri(), user).map(|uri| ctx.target.uri = uri).is_some()
    }
    /// Sets the host of the Request-URI.
    #[ksr(cfg = ["rewritehost", "sethost"], routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn sethost(&self, ctx: &mut RouteContext<'_>, host: &[u8]) -> bool {
        uri_edit::with_host(ctx.request_uri(), host).map(|uri| ctx.target.uri = uri).is_some()
    }
    /// Sets the destination URI (`$du`), the outbound proxy: the request goes there whatever the Request-URI says.
    #[ksr(routes(REQUEST, BRANCH, FAILURE, ONREPLY))]
    fn setdsturi(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
        if Uri::parse(uri).is_err() {
            return false;
        }
        ctx.target.dst_uri = uri.to_vec();
        true
    }
    /// Forgets the destination URI.
    #[ksr]
    fn resetdsturi(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.target.dst_uri.clear();
        true
    }
    /// Whether the destination URI is set.
    #[ksr(cfg = ["isdsturiset"])]
    fn isdsturiset(&self, ctx: &RouteContext<'_>) -> bool {
        !ctx.target.dst_uri.is_empty()
    }
    /// Answers go to the port the request came from, as if its Via had `rport` (RFC 3581).
    #[ksr(cfg = ["force_rport"])]
    fn force_rport(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.force_rport = true;
        true
    }
    /// Asks the next hop for `rport` in our own Via. Taken; replies come to our socket in any case.
    #[ksr(cfg = ["add_local_rport"])]
    fn add_local_rport(&self, _ctx: &mut RouteContext<'_>) -> bool {
        true
    }
    /// Whether the method (of a reply: of its CSeq) is one of these, `INVITE|ACK`.
    #[ksr]
    fn is_method(&self, ctx: &RouteContext<'_>, methods: &[u8]) -> bool {
        let method = ctx.message.method_text();
        methods.split(|c| *c == b'|').any(|m| m.trim_ascii() == method)
    }
    /// Whether the method is one of these letters: I INVITE, A ACK, B BYE, C CANCEL, R REGISTER, O OPTIONS, S SUBSCRIBE, P PUBLISH,
    /// N NOTIFY, F REFER, M MESSAGE, U UPDATE, G INFO, K KDMQ, X PRACK... as Kamailio has them.
    #[ksr]
    fn is_method_in(&self, ctx: &RouteContext<'_>, letters: &[u8]) -> bool {
        let letter = match ctx.message.method() {
            Method::Invite => b'I',
            Method::Ack => b'A',
            Method::Bye => b'B',
            Method::Cancel => b'C',
            Method::Register => b'R',
            Method::Options => b'O',
            Method::Subscribe => b'S',
            Method::Publish => b'P',
            Method::Notify => b'N',
            Method::Refer => b'F',
            Method::Message => b'M',
            Method::Update => b'U',
            Method::Info => b'G',
            Method::Kdmq => b'K',
            Method::Prack => b'X',
            Method::Other => return false,
        };
        letters.contains(&letter)
    }
    /// Sends the request on without a transaction, by `$du` or the Request-URI. 1 sent, -1 not.
    #[ksr(cfg = ["forward"], routes(REQUEST))]
    fn forward(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.forward_stateless(ctx, RelayTo::Uris))
    }
    /// Sends the request on without a transaction to this URI or `proto:host:port`.
    #[ksr(cfg = ["forward"], routes(REQUEST))]
    fn forward_uri(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> Outcome {
        Outcome(ctx.transactions.forward_stateless(ctx, RelayTo::Proxy(uri)))
    }
    /// Close the connection after the message (forwarded request); for connections only, UDP has none.
    #[ksr(cfg = ["set_forward_close"])]
    fn set_forward_close(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.forward_close = true;
        true
    }
    /// Do not open a connection for the message (forwarded request); for connections only, UDP has none.
    #[ksr(cfg = ["set_forward_no_connect"])]
    fn set_forward_no_connect(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.forward_no_connect = true;
        true
    }
    /// Close the connection after the message (reply); for connections only, UDP has none.
    #[ksr(cfg = ["set_reply_close"])]
    fn set_reply_close(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.reply_close = true;
        true
    }
    /// Do not open a connection for the message (reply); for connections only, UDP has none.
    #[ksr(cfg = ["set_reply_no_connect"])]
    fn set_reply_no_connect(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.reply_no_connect = true;
        true
    }
    /// Host for Via and Record-Route of this request instead of the socket's.
    #[ksr(cfg = ["set_advertised_address"])]
    fn set_advertised_address(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        match std::str::from_utf8(address) {
            Ok(a) if !a.is_empty() => {
                ctx.advertise.0 = Some(a.to_owned());
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }
    /// Port for Via and Record-Route of this request instead of the socket's.
    #[ksr(cfg = ["set_advertised_port"])]
    fn set_advertised_port(&self, ctx: &mut RouteContext<'_>, port: &[u8]) -> Outcome {
        match std::str::from_utf8(port).ok().and_then(|p| p.parse::<u16>().ok()) {
            Some(p) if p != 0 => {
                ctx.advertise.1 = Some(p);
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }
    /// Lets connections to a port find this message's connection. -1 over UDP.
    #[ksr(cfg = ["add_tcp_alias"])]
    fn add_tcp_alias(&self, _ctx: &mut RouteContext<'_>, _port: i64) -> Outcome {
        Outcome::FALSE
    }
    /// `add_tcp_alias` with the port of the topmost Via. -1 over UDP.
    #[ksr(cfg = ["add_tcp_alias"])]
    fn add_tcp_alias_via(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::FALSE
    }
    /// Whether the method (of a reply: of its CSeq) is INVITE.
    #[ksr(name = "is_INVITE")]
    fn is_invite(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Invite
    }
    /// Whether the method (of a reply: of its CSeq) is ACK.
    #[ksr(name = "is_ACK")]
    fn is_ack(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Ack
    }
    /// Whether the method (of a reply: of its CSeq) is BYE.
    #[ksr(name = "is_BYE")]
    fn is_bye(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Bye
    }
    /// Whether the method (of a reply: of its CSeq) is CANCEL.
    #[ksr(name = "is_CANCEL")]
    fn is_cancel(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Cancel
    }
    /// Whether the method (of a reply: of its CSeq) is REGISTER.
    #[ksr(name = "is_REGISTER")]
    fn is_register(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Register
    }
    /// Whether the method (of a reply: of its CSeq) is OPTIONS.
    #[ksr(name = "is_OPTIONS")]
    fn is_options(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Options
    }
    /// Whether the method (of a reply: of its CSeq) is SUBSCRIBE.
    #[ksr(name = "is_SUBSCRIBE")]
    fn is_subscribe(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Subscribe
    }
    /// Whether the method (of a reply: of its CSeq) is PUBLISH.
    #[ksr(name = "is_PUBLISH")]
    fn is_publish(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Publish
    }
    /// Whether the method (of a reply: of its CSeq) is NOTIFY.
    #[ksr(name = "is_NOTIFY")]
    fn is_notify(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Notify
    }
    /// Whether the method (of a reply: of its CSeq) is REFER.
    #[ksr(name = "is_REFER")]
    fn is_refer(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Refer
    }
    /// Whether the method (of a reply: of its CSeq) is INFO.
    #[ksr(name = "is_INFO")]
    fn is_info(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Info
    }
    /// Whether the method (of a reply: of its CSeq) is UPDATE.
    #[ksr(name = "is_UPDATE")]
    fn is_update(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Update
    }
    /// Whether the method (of a reply: of its CSeq) is PRACK.
    #[ksr(name = "is_PRACK")]
    fn is_prack(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Prack
    }
    /// Whether the method (of a reply: of its CSeq) is MESSAGE.
    #[ksr(name = "is_MESSAGE")]
    fn is_message(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Message
    }
    /// Whether the method (of a reply: of its CSeq) is KDMQ.
    #[ksr(name = "is_KDMQ")]
    fn is_kdmq(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.method() == Method::Kdmq
    }
    /// Whether the message is an HTTP GET request.
    #[ksr(name = "is_GET")]
    fn is_get(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.is_request() && ctx.message.method_text() == b"GET"
    }
    /// Whether the message is an HTTP POST request.
    #[ksr(name = "is_POST")]
    fn is_post(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.is_request() && ctx.message.method_text() == b"POST"
    }
    /// Whether the message is an HTTP PUT request.
    #[ksr(name = "is_PUT")]
    fn is_put(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.is_request() && ctx.message.method_text() == b"PUT"
    }
    /// Whether the message is an HTTP DELETE request.
    #[ksr(name = "is_DELETE")]
    fn is_delete(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.message.is_request() && ctx.message.method_text() == b"DELETE"
    }
    /// Whether the message came over UDP.
    #[ksr(name = "is_UDP")]
    fn is_udp(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Udp
    }
    /// Whether the next hop is reached over UDP.
    #[ksr(name = "to_UDP")]
    fn to_udp(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Udp)
    }
    /// Whether the message came over TCP.
    #[ksr(name = "is_TCP")]
    fn is_tcp(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Tcp
    }
    /// Whether the next hop is reached over TCP.
    #[ksr(name = "to_TCP")]
    fn to_tcp(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Tcp)
    }
    /// Whether the message came over TLS.
    #[ksr(name = "is_TLS")]
    fn is_tls(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Tls
    }
    /// Whether the next hop is reached over TLS.
    #[ksr(name = "to_TLS")]
    fn to_tls(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Tls)
    }
    /// Whether the message came over WS.
    #[ksr(name = "is_WS")]
    fn is_ws(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Ws
    }
    /// Whether the next hop is reached over WS.
    #[ksr(name = "to_WS")]
    fn to_ws(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Ws)
    }
    /// Whether the message came over WSS.
    #[ksr(name = "is_WSS")]
    fn is_wss(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Wss
    }
    /// Whether the next hop is reached over WSS.
    #[ksr(name = "to_WSS")]
    fn to_wss(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Wss)
    }
    /// Whether the message came over SCTP.
    #[ksr(name = "is_SCTP")]
    fn is_sctp(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.transport == Transport::Sctp
    }
    /// Whether the next hop is reached over SCTP.
    #[ksr(name = "to_SCTP")]
    fn to_sctp(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.transport == Transport::Sctp)
    }
    /// Whether the message came over a connection: TCP, TLS, WS or WSS.
    #[ksr(name = "is_TCPX")]
    fn is_tcpx(&self, ctx: &RouteContext<'_>) -> bool {
        matches!(ctx.inbound.transport, Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss)
    }
    /// Whether the message came over WebSocket, WS or WSS.
    #[ksr(name = "is_WSX")]
    fn is_wsx(&self, ctx: &RouteContext<'_>) -> bool {
        matches!(ctx.inbound.transport, Transport::Ws | Transport::Wss)
    }
    /// Whether the next hop is reached over WebSocket, WS or WSS.
    #[ksr(name = "to_WSX")]
    fn to_wsx(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| matches!(h.transport, Transport::Ws | Transport::Wss))
    }
    /// Whether the message came over a transport of these letters or names: `UDP`, or letters `u t s w W x` together as in Kamailio.
    #[ksr]
    fn is_proto(&self, ctx: &RouteContext<'_>, protos: &[u8]) -> bool {
        let here = ctx.inbound.transport;
        if let Some(named) = Transport::parse(protos) {
            return named == here;
        }
        protos.iter().any(|letter| match letter {
            b'e' | b'E' => here == Transport::Tls,
            b's' | b'S' => here == Transport::Sctp,
            b't' | b'T' => here == Transport::Tcp,
            b'u' | b'U' => here == Transport::Udp,
            b'v' | b'V' => here == Transport::Wss,
            b'w' | b'W' => here == Transport::Ws,
            _ => false,
        })
    }
    /// Whether the message came over IPv4.
    #[ksr(name = "is_IPv4")]
    fn is_ipv4(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.source.is_ipv4()
    }
    /// Whether the message came over IPv6.
    #[ksr(name = "is_IPv6")]
    fn is_ipv6(&self, ctx: &RouteContext<'_>) -> bool {
        ctx.inbound.source.is_ipv6()
    }
    /// Whether the next hop has an IPv4 address.
    #[ksr(name = "to_IPv4")]
    fn to_ipv4(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.remote.is_ipv4())
    }
    /// Whether the next hop has an IPv6 address.
    #[ksr(name = "to_IPv6")]
    fn to_ipv6(&self, ctx: &RouteContext<'_>) -> bool {
        next_hop(ctx).is_some_and(|h| h.remote.is_ipv6())
    }
    /// Whether the message came from this port.
    #[ksr]
    fn is_src_port(&self, ctx: &RouteContext<'_>, port: i64) -> bool {
        i64::from(ctx.inbound.source.port()) == port
    }
    /// Whether the message came to this port of ours.
    #[ksr]
    fn is_dst_port(&self, ctx: &RouteContext<'_>, port: i64) -> bool {
        i64::from(ctx.inbound.local.port()) == port
    }
    /// The log level in force: -5 alert .. 3 debug.
    #[ksr(no_message)]
    fn get_debug(&self, ctx: &RouteContext<'_>) -> i64 {
        kex::debug_level(ctx)
    }
    /// Runs another callback of the script over this message, by its name. Its result, -1 when there is none of that name.
    #[ksr]
    fn route(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        let Some(id): Option<CallbackId> = ctx.core.callbacks.intern(name) else { return Outcome::FALSE };
        let engine = ctx.engine;
        match engine.run(ctx.kind, id, ctx) {
            RunOutcome::Returned(n) => Outcome(n),
            RunOutcome::Missing => {
                tracing::error!(target: "core", name = %String::from_utf8_lossy(name), "KSR.route: no such callback");
                Outcome::FALSE
            }
            _ => Outcome::FALSE,
        }
    }
    /// For tests of Kamailio itself: does nothing.
    #[ksr(no_message)]
    fn ktest(&self, _ctx: &RouteContext<'_>, _text: &[u8]) {}
}

impl Module for CoreFunctions {
    fn name(&self) -> &'static str {
        "core"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
}
