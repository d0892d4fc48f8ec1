//! The core's functions: logging, `is_myself`, flags, URIs, methods, transports, `forward`.

mod kinds;
mod names;
mod runtime;

use message::{Fault, Uri};
use script::{Module, Outcome, PseudoVariable, RelayTo, RouteContext, RpcCommand, RunOutcome, ksr_module};

use crate::kex;
use crate::pv::{self, mask};
use crate::xlog::{emit, level, wanted};

/// Module `core`.
#[derive(Debug, Default)]
pub struct CoreFunctions {}

const GROUPS: &[&[script::Function]] = &[CoreFunctions::GENERAL, CoreFunctions::KINDS];

static FUNCTIONS: [script::Function; script::function::count(GROUPS)] = script::function::join(GROUPS);

impl Module for CoreFunctions {
    fn name(&self) -> &'static str {
        "core"
    }
    fn functions(&self) -> &'static [script::Function] {
        &FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        pv::CORE
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        names::COMMANDS
    }
    fn runtime_params(&self) -> &'static [script::RuntimeParam] {
        runtime::PARAMS
    }
}

#[ksr_module("core", object = "", rows = "GENERAL")]
impl CoreFunctions {
    /// Writes a text to the log at level debug.
    #[ksr(no_message)]
    fn dbg(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::DBG, text);
    }
    /// Writes a text to the log at level info.
    #[ksr(no_message)]
    fn info(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::INFO, text);
    }
    /// Writes a text to the log at level notice.
    #[ksr(no_message)]
    fn notice(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::NOTICE, text);
    }
    /// Writes a text to the log at level warning.
    #[ksr(no_message)]
    fn warn(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::WARN, text);
    }
    /// Writes a text to the log at level error.
    #[ksr(no_message)]
    fn err(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::ERR, text);
    }
    /// Writes a text to the log at level critical.
    #[ksr(no_message)]
    fn crit(&self, ctx: &mut RouteContext<'_>, text: &[u8]) {
        log(ctx, level::CRIT, text);
    }
    /// Writes a text to the log at a level by name: `dbg info notice warn err crit` (others: err).
    #[ksr(no_message)]
    fn log(&self, ctx: &mut RouteContext<'_>, level: &[u8], text: &[u8]) {
        log(ctx, level_named(level), text);
    }
    /// Drops the message when the route ends: a reply is not forwarded, a branch is not sent.
    #[ksr(cfg = ["drop"])]
    fn set_drop(&self, ctx: &mut RouteContext<'_>) {
        ctx.dropped = true;
    }
    /// Whether a SIP URI (or a bare host) names this server: a socket, an advertised address or an alias.
    #[ksr(cfg = ["is_myself"], no_message)]
    fn is_myself(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
        let scheme = |s: &[u8]| uri.get(..s.len()).is_some_and(|h| h.eq_ignore_ascii_case(s));
        if scheme(b"sip:") || scheme(b"sips:") {
            return myself(ctx, uri);
        }
        !uri.is_empty() && ctx.is_myself(uri, None, None)
    }
    /// Whether the Request-URI names this server.
    #[ksr]
    fn is_myself_ruri(&self, ctx: &mut RouteContext<'_>) -> bool {
        parsed_myself(ctx, ctx.parse_request_uri())
    }
    /// Whether `$du` is set and names this server.
    #[ksr]
    fn is_myself_duri(&self, ctx: &mut RouteContext<'_>) -> bool {
        myself(ctx, &ctx.target.dst_uri)
    }
    /// Whether the next hop (`$du`, else the Request-URI) names this server.
    #[ksr]
    fn is_myself_nhuri(&self, ctx: &mut RouteContext<'_>) -> bool {
        myself(ctx, ctx.next_hop_uri())
    }
    /// Whether the From URI names this server.
    #[ksr]
    fn is_myself_furi(&self, ctx: &mut RouteContext<'_>) -> bool {
        parsed_myself(ctx, ctx.message.from_uri())
    }
    /// Whether the To URI names this server.
    #[ksr]
    fn is_myself_turi(&self, ctx: &mut RouteContext<'_>) -> bool {
        parsed_myself(ctx, ctx.message.to_uri())
    }
    /// Whether address, port and transport of the sender are ones of this server.
    #[ksr]
    fn is_myself_suri(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.is_myself(ctx.source_ip(), Some(ctx.inbound.source.port()), Some(ctx.inbound.transport))
    }
    /// Whether the sender's address is one of this server.
    #[ksr]
    fn is_myself_srcip(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.is_myself(ctx.source_ip(), None, None)
    }
    /// Sets a message flag; false when the number is not 0..=31.
    #[ksr(cfg = ["setflag"], no_message)]
    fn setflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.flags |= m).is_some()
    }
    /// Clears a message flag; false when the number is not 0..=31.
    #[ksr(cfg = ["resetflag"], no_message)]
    fn resetflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.flags &= !m).is_some()
    }
    /// Whether a message flag is set.
    #[ksr(cfg = ["isflagset"], no_message)]
    fn isflagset(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).is_some_and(|m| ctx.flags & m != 0)
    }
    /// Sets a branch flag of the Request-URI; false when the number is not 0..=31.
    #[ksr(cfg = ["setbflag"], no_message)]
    fn setbflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.target.flags |= m).is_some()
    }
    /// Clears a branch flag of the Request-URI; false when the number is not 0..=31.
    #[ksr(cfg = ["resetbflag"], no_message)]
    fn resetbflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.target.flags &= !m).is_some()
    }
    /// Whether a branch flag of the Request-URI is set.
    #[ksr(cfg = ["isbflagset"], no_message)]
    fn isbflagset(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).is_some_and(|m| ctx.target.flags & m != 0)
    }
    /// Sets a script flag; false when the number is not 0..=31.
    #[ksr(cfg = ["setsflag"], no_message)]
    fn setsflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.script_flags |= m).is_some()
    }
    /// Clears a script flag; false when the number is not 0..=31.
    #[ksr(cfg = ["resetsflag"], no_message)]
    fn resetsflag(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).map(|m| ctx.script_flags &= !m).is_some()
    }
    /// Whether a script flag is set.
    #[ksr(cfg = ["issflagset"], no_message)]
    fn issflagset(&self, ctx: &mut RouteContext<'_>, number: i64) -> bool {
        mask(number).is_some_and(|m| ctx.script_flags & m != 0)
    }
    /// Sets a branch flag of an added branch (0: the Request-URI, 1: the first added branch).
    #[ksr]
    fn setbiflag(&self, ctx: &mut RouteContext<'_>, number: i64, branch: i64) -> bool {
        match (mask(number), branch_flags(ctx, branch)) {
            (Some(m), Some(flags)) => {
                *flags |= m;
                true
            }
            // As Kamailio: a branch that is not there is no error.
            (Some(_), None) => true,
            _ => false,
        }
    }
    /// Clears a branch flag of an added branch (0: the Request-URI, 1: the first added branch).
    #[ksr]
    fn resetbiflag(&self, ctx: &mut RouteContext<'_>, number: i64, branch: i64) -> bool {
        match (mask(number), branch_flags(ctx, branch)) {
            (Some(m), Some(flags)) => {
                *flags &= !m;
                true
            }
            (Some(_), None) => true,
            _ => false,
        }
    }
    /// Whether a branch flag of an added branch is set (0: the Request-URI, 1: the first added branch).
    #[ksr]
    fn isbiflagset(&self, ctx: &mut RouteContext<'_>, number: i64, branch: i64) -> bool {
        mask(number).zip(branch_flags(ctx, branch)).is_some_and(|(m, flags)| *flags & m != 0)
    }
    /// Replaces the Request-URI.
    #[ksr(cfg = ["rewriteuri", "seturi"])]
    fn seturi(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
        pv::set_request_uri(ctx, uri)
    }
    /// Replaces the user of the Request-URI; an empty text removes it.
    #[ksr(cfg = ["rewriteuser", "setuser"])]
    fn setuser(&self, ctx: &mut RouteContext<'_>, user: &[u8]) -> bool {
        pv::change_request_uri(ctx, |u| pv::with_user(u, user))
    }
    /// Replaces the host of the Request-URI, and its port when `host` has one.
    #[ksr(cfg = ["rewritehost", "sethost"])]
    fn sethost(&self, ctx: &mut RouteContext<'_>, host: &[u8]) -> bool {
        pv::change_request_uri(ctx, |u| pv::with_host(u, host))
    }
    /// Sets the next hop, `$du`.
    #[ksr(cfg = ["setdsturi"])]
    fn setdsturi(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
        ctx.target.dst_uri = uri.to_vec();
        true
    }
    /// Removes the next hop set by `setdsturi` or `$du`.
    #[ksr(cfg = ["resetdsturi"])]
    fn resetdsturi(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.target.dst_uri.clear();
        true
    }
    /// Whether `$du` is set.
    #[ksr(cfg = ["isdsturiset"])]
    fn isdsturiset(&self, ctx: &mut RouteContext<'_>) -> bool {
        !ctx.target.dst_uri.is_empty()
    }
    /// Treats the request as if the client had asked for `rport` (RFC 3581): replies go to the port it came from.
    #[ksr(cfg = ["force_rport"])]
    fn force_rport(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.force_rport = true;
        true
    }
    /// Asks for `rport` in our own Via.
    #[ksr(cfg = ["add_local_rport"])]
    fn add_local_rport(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.local_rport = true;
        true
    }
    /// Forwards the request without a transaction, by Request-URI or `$du`. 1, or -1 when it could not be sent.
    #[ksr(cfg = ["forward"])]
    fn forward(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.forward_stateless(ctx, RelayTo::Uris))
    }
    /// Forwards the request without a transaction to this URI or `proto:host:port`. 1, or -1 when it could not be sent.
    #[ksr(cfg = ["forward"])]
    fn forward_uri(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> Outcome {
        Outcome(ctx.transactions.forward_stateless(ctx, RelayTo::Proxy(uri)))
    }
    /// Closes the connection after the forwarded request was sent.
    #[ksr(cfg = ["set_forward_close"])]
    fn set_forward_close(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.forward_close = true;
        true
    }
    /// Forwards the request only over a connection that is open already.
    #[ksr(cfg = ["set_forward_no_connect"])]
    fn set_forward_no_connect(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.forward_no_connect = true;
        true
    }
    /// Closes the connection after the reply was sent.
    #[ksr(cfg = ["set_reply_close"])]
    fn set_reply_close(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.reply_close = true;
        true
    }
    /// Sends the reply only over a connection that is open already.
    #[ksr(cfg = ["set_reply_no_connect"])]
    fn set_reply_no_connect(&self, ctx: &mut RouteContext<'_>) -> bool {
        ctx.send_flags.reply_no_connect = true;
        true
    }
    /// Host for our Via of this request; Record-Route keeps the address of the socket.
    #[ksr(cfg = ["set_advertised_address"])]
    fn set_advertised_address(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        match std::str::from_utf8(address) {
            Ok(a) if !a.is_empty() => {
                ctx.advertise.0 = Some(a.to_string());
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }
    /// Port for our Via of this request; Record-Route keeps that of the socket.
    #[ksr(cfg = ["set_advertised_port"])]
    fn set_advertised_port(&self, ctx: &mut RouteContext<'_>, port: &[u8]) -> Outcome {
        match std::str::from_utf8(port).ok().and_then(|p| p.trim().parse().ok()) {
            Some(p) => {
                ctx.advertise.1 = Some(p);
                Outcome::TRUE
            }
            None => Outcome::FALSE,
        }
    }
    /// Makes the connection known under another port of the peer; no effect over UDP.
    #[ksr(cfg = ["add_tcp_alias"])]
    fn add_tcp_alias(&self, port: i64) -> Outcome {
        let _ = port;
        Outcome::TRUE
    }
    /// Makes the connection known under the port in Via; no effect over UDP.
    #[ksr(cfg = ["add_tcp_alias"])]
    fn add_tcp_alias_via(&self) -> Outcome {
        Outcome::TRUE
    }
    /// Log level: -1 error, 0 notice, 2 info, 3 debug.
    #[ksr(no_message)]
    fn get_debug(&self, ctx: &mut RouteContext<'_>) -> i64 {
        kex::debug_level(ctx)
    }
    /// Runs another callback of the script over this message, by its name. Its result, -1 when there is none of that name.
    #[ksr(cfg = ["route"])]
    fn route(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        let Some(id) = ctx.callback(name) else { return Outcome::FALSE };
        let engine = ctx.engine;
        match engine.run(ctx.kind, id, ctx) {
            RunOutcome::Returned(n) => Outcome(n),
            RunOutcome::Missing => {
                let name = String::from_utf8_lossy(name);
                tracing::error!(target: "script", call_id = %call_id(ctx), "KSR.route: the script has no callback {name}");
                Outcome::FALSE
            }
            _ => Outcome::FALSE,
        }
    }
}

fn call_id<'c>(ctx: &'c RouteContext<'_>) -> std::borrow::Cow<'c, str> {
    String::from_utf8_lossy(ctx.message.call_id())
}

/// One line of a script in the log, with the Call-ID of the message it is about.
fn log(ctx: &RouteContext<'_>, number: i64, text: &[u8]) {
    if wanted(ctx, number) {
        emit(ctx, number, "", text);
    }
}

/// A level by its name; an unknown one is an error, so that the line is seen.
fn level_named(name: &[u8]) -> i64 {
    match name.to_ascii_lowercase().as_slice() {
        b"dbg" | b"debug" => level::DBG,
        b"info" => level::INFO,
        b"notice" => level::NOTICE,
        b"warn" | b"warning" => level::WARN,
        b"crit" | b"critical" => level::CRIT,
        _ => level::ERR,
    }
}

fn myself(ctx: &RouteContext<'_>, uri: &[u8]) -> bool {
    if uri.is_empty() {
        return false;
    }
    parsed_myself(ctx, Uri::parse(uri))
}

/// The transport of the URI does not count, and no port matches every port, as in Kamailio.
fn parsed_myself(ctx: &RouteContext<'_>, uri: Result<Uri<'_>, Fault>) -> bool {
    uri.is_ok_and(|u| !u.host.is_empty() && ctx.is_myself(u.host, u.port, None))
}

fn branch_flags<'c>(ctx: &'c mut RouteContext<'_>, branch: i64) -> Option<&'c mut u32> {
    match usize::try_from(branch).ok()? {
        0 => Some(&mut ctx.target.flags),
        n => ctx.branches.get_mut(n - 1).map(|b| &mut b.flags),
    }
}

#[cfg(test)]
mod tests;
