//! Functions of the core that are no keywords: branches, extended flags, sockets, raw data, files.

mod settings;
mod uac;

use std::net::SocketAddr;

use message::{HeaderName, Transport, Uri};
use script::pv::Inner;
use script::transformations::parse_socket;
use script::{
    Branch, Function, ModParam, Module, Outcome, ParamValue, PseudoVariable, RouteContext, RpcCommand,
    SetupError, Value, ksr_module,
};
use transaction::SocketId;

use crate::pv::{find_socket, listener, socket_text};

/// Module `corex`.
#[derive(Debug, Default)]
pub struct Corex {
    settings: settings::Settings,
    lists: settings::Lists,
}

/// Most bytes `file_read` reads.
const MOST_READ: u64 = 1 << 20;

/// q as thousandths, `0` to `1` with at most three decimals (RFC 3261 §25.1 `qvalue`).
fn q_value(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole, "" | "0" | "1") || decimals.len() > 3 || !digits(decimals) || text.is_empty() {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse::<i32>().ok()? + if whole == "1" { 1000 } else { 0 };
    (thousandths <= 1000).then_some(thousandths)
}

fn append(ctx: &mut RouteContext<'_>, branch: Branch) -> Outcome {
    if ctx.branches.len() >= ctx.core.config.max_branches {
        tracing::error!(target: "corex", max_branches = ctx.core.config.max_branches, "no room for another branch");
        return Outcome::FALSE;
    }
    ctx.branches.push(branch);
    Outcome::TRUE
}

fn named_socket(ctx: &RouteContext<'_>, name: &[u8]) -> Option<SocketId> {
    let at =
        ctx.core.listeners.iter().position(|l| l.name.as_deref().is_some_and(|n| n.as_bytes() == name))?;
    Some(SocketId(at as u16))
}

fn no_socket(wanted: &[u8]) -> Outcome {
    tracing::error!(target: "corex", socket = %String::from_utf8_lossy(wanted), "this server has no such socket: nothing is changed");
    // Kamailio says so in the log only; scripts go on with the usual socket.
    Outcome::TRUE
}

/// Flag number to word and bit.
fn bit(flag: i64) -> Option<(usize, u32)> {
    (0..64).contains(&flag).then(|| ((flag / 32) as usize, 1 << (flag % 32)))
}

fn receive_on(ctx: &mut RouteContext<'_>, socket: SocketId) -> Outcome {
    if let Some(l) = listener(ctx, Some(socket)) {
        let (address, transport) = (l.address, l.transport);
        ctx.inbound.socket = socket;
        ctx.inbound.local = address;
        ctx.inbound.transport = transport;
    }
    Outcome::TRUE
}

fn socket_address(text: &[u8]) -> Option<(Option<Transport>, SocketAddr)> {
    let (proto, host, port) = parse_socket(text)?;
    let transport = Transport::parse(proto);
    let host = std::str::from_utf8(host).ok()?.trim_matches(['[', ']']);
    let port = if port.is_empty() { 5060 } else { std::str::from_utf8(port).ok()?.parse().ok()? };
    Some((transport, SocketAddr::new(host.parse().ok()?, port)))
}

fn send(ctx: &RouteContext<'_>, uri: &[u8], socket: Option<SocketId>, data: &[u8]) -> Outcome {
    let Some(mut hop) = ctx.transactions.resolve(ctx, uri) else {
        tracing::error!(target: "corex", uri = %String::from_utf8_lossy(uri), "the address to send to cannot be resolved");
        return Outcome::FALSE;
    };
    if let Some(socket) = socket {
        hop.socket = socket;
    }
    ctx.outbox.print(hop, |out| out.extend_from_slice(data));
    Outcome::TRUE
}

#[ksr_module("corex")]
impl Corex {
    /// Adds the current destination (Request-URI, `$du`, path, q, branch flags, socket) to the destination set. Returns 1, or -1 when it is
    /// full (`max_branches`).
    #[ksr(cfg = ["append_branch"], routes(REQUEST, FAILURE))]
    fn append_branch(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let branch = Branch { uri: ctx.request_uri().to_vec(), ..ctx.target.clone() };
        append(ctx, branch)
    }
    /// Adds a branch with this Request-URI and nothing else to the destination set. Returns 1, or -1 when it is full.
    #[ksr(cfg = ["append_branch"], routes(REQUEST, FAILURE))]
    fn append_branch_uri(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> Outcome {
        self.append_branch_uri_q(ctx, uri, b"")
    }
    /// As `append_branch_uri`, with a q value (`0` to `1`); empty: none. An empty URI is the current one. Returns -1 for a bad q.
    #[ksr(cfg = ["append_branch"], routes(REQUEST, FAILURE))]
    fn append_branch_uri_q(&self, ctx: &mut RouteContext<'_>, uri: &[u8], q: &[u8]) -> Outcome {
        let thousandths = if q.is_empty() { Some(-1) } else { q_value(q) };
        let Some(thousandths) = thousandths else {
            tracing::error!(target: "corex", q = %String::from_utf8_lossy(q), "a q value is 0 to 1 with at most three decimals");
            return Outcome::FALSE;
        };
        let branch = if uri.is_empty() {
            Branch { uri: ctx.request_uri().to_vec(), q: thousandths, ..ctx.target.clone() }
        } else {
            Branch { uri: uri.to_vec(), q: thousandths, ..Branch::default() }
        };
        append(ctx, branch)
    }
    /// Sets an extended message flag, 0 to 63. Returns 1, or -1 outside that range.
    #[ksr(cfg = ["setxflag"])]
    fn setxflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        let word = bit(flag).and_then(|(word, bit)| Some((ctx.xflags.get_mut(word)?, bit)));
        word.map_or(Outcome::FALSE, |(word, bit)| {
            *word |= bit;
            Outcome::TRUE
        })
    }
    /// Resets an extended message flag, 0 to 63. Returns 1, or -1 outside that range.
    #[ksr(cfg = ["resetxflag"])]
    fn resetxflag(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        let word = bit(flag).and_then(|(word, bit)| Some((ctx.xflags.get_mut(word)?, bit)));
        word.map_or(Outcome::FALSE, |(word, bit)| {
            *word &= !bit;
            Outcome::TRUE
        })
    }
    /// Whether an extended message flag is set. Returns 1 or -1.
    #[ksr(cfg = ["isxflagset"])]
    fn isxflagset(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        let word = bit(flag).and_then(|(word, bit)| Some(ctx.xflags.get(word)? & bit));
        Outcome::from(word.is_some_and(|w| w != 0))
    }
    /// Forces the socket to send from: `udp:127.0.0.1:5060`. Returns 1; a socket this server does not have is logged and changes nothing.
    #[ksr(cfg = ["set_send_socket"])]
    fn set_send_socket(&self, ctx: &mut RouteContext<'_>, ssock: &[u8]) -> Outcome {
        match find_socket(ctx, ssock) {
            Some(socket) => ctx.target.socket = Some(socket),
            None => return no_socket(ssock),
        }
        Outcome::TRUE
    }
    /// As `set_send_socket`, by the name of the `listen`.
    #[ksr(cfg = ["set_send_socket_name"])]
    fn set_send_socket_name(&self, ctx: &mut RouteContext<'_>, ssock: &[u8]) -> Outcome {
        match named_socket(ctx, ssock) {
            Some(socket) => ctx.target.socket = Some(socket),
            None => return no_socket(ssock),
        }
        Outcome::TRUE
    }
    /// Makes another of our sockets the one the message came in through. Returns 1; a socket this server does not have is logged and
    /// changes nothing.
    #[ksr(cfg = ["set_recv_socket"])]
    fn set_recv_socket(&self, ctx: &mut RouteContext<'_>, ssock: &[u8]) -> Outcome {
        find_socket(ctx, ssock).map_or_else(|| no_socket(ssock), |s| receive_on(ctx, s))
    }
    /// As `set_recv_socket`, by the name of the `listen`.
    #[ksr(cfg = ["set_recv_socket_name"])]
    fn set_recv_socket_name(&self, ctx: &mut RouteContext<'_>, ssock: &[u8]) -> Outcome {
        named_socket(ctx, ssock).map_or_else(|| no_socket(ssock), |s| receive_on(ctx, s))
    }
    /// Makes another address the sender of the message: `udp:127.0.0.1:5080`; replies go there. Returns 1, or -1 when it cannot be read.
    #[ksr(cfg = ["set_source_address"])]
    fn set_source_address(&self, ctx: &mut RouteContext<'_>, saddr: &[u8]) -> Outcome {
        match socket_address(saddr) {
            Some((_, address)) => {
                ctx.inbound.source = address;
                Outcome::TRUE
            }
            None => Outcome::FALSE,
        }
    }
    /// Asks for `srvid` in our Via. Taken; Via has no such parameter here yet. Returns 1.
    #[ksr(cfg = ["via_add_srvid"])]
    fn via_add_srvid(&self, _ctx: &mut RouteContext<'_>, _fval: i64) -> Outcome {
        Outcome::TRUE
    }
    /// Asks for the fields of an XAVP as parameters of our Via. Taken; without effect yet. Returns 1.
    #[ksr(cfg = ["via_add_xavp_params"])]
    fn via_add_xavp_params(&self, _ctx: &mut RouteContext<'_>, _fval: i64) -> Outcome {
        Outcome::TRUE
    }
    /// Asks for address and port of our Via from an XAVP. Taken; without effect yet. Returns 1.
    #[ksr(cfg = ["via_use_xavp_fields"])]
    fn via_use_xavp_fields(&self, _ctx: &mut RouteContext<'_>, _fval: i64) -> Outcome {
        Outcome::TRUE
    }
    /// Asks for the fields of an XAVP in the Via of replies. Taken; without effect yet. Returns 1.
    #[ksr(cfg = ["via_reply_add_xavp_params"])]
    fn via_reply_add_xavp_params(&self, _ctx: &mut RouteContext<'_>, _fval: i64) -> Outcome {
        Outcome::TRUE
    }
    /// Whether the Request-URI has a user part. Returns 1 or -1.
    #[ksr(cfg = ["has_ruri_user"])]
    fn has_ruri_user(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let uri = Uri::parse(ctx.request_uri()).ok();
        Outcome::from(uri.and_then(|u| u.user).is_some_and(|u| !u.is_empty()))
    }
    /// Whether the message has a User-Agent that is not empty. Returns 1 or -1.
    #[ksr(cfg = ["has_user_agent"])]
    fn has_user_agent(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(ctx.message.header(HeaderName::UserAgent).is_some_and(|h| !h.value.is_empty()))
    }
    /// Sends these bytes as they are to the address of a URI. Returns 1, or -1 when it cannot be resolved.
    #[ksr(cfg = ["send_data"], no_message)]
    fn send_data(&self, ctx: &mut RouteContext<'_>, suri: &[u8], sdata: &[u8]) -> Outcome {
        send(ctx, suri, None, sdata)
    }
    /// As `send_data`, from this socket of ours (`udp:127.0.0.1:5060`). Returns -1 also when there is no such socket.
    #[ksr(cfg = ["sendx"], no_message)]
    fn sendx(&self, ctx: &mut RouteContext<'_>, suri: &[u8], ssock: &[u8], sdata: &[u8]) -> Outcome {
        match find_socket(ctx, ssock) {
            Some(socket) => send(ctx, suri, Some(socket), sdata),
            None => Outcome::FALSE,
        }
    }
    /// Whether the message is a stand-in, because no message is being worked on. Returns 1 or -1.
    #[ksr(cfg = ["is_faked_msg"], no_message)]
    fn is_faked_msg(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(ctx.faked)
    }
    /// The content of a file, at most 1 MiB; empty when it cannot be read.
    #[ksr(cfg = ["file_read"], blocking, no_message)]
    fn file_read(&self, fpath: &[u8]) -> Value<'_> {
        use std::io::Read;
        let path = String::from_utf8_lossy(fpath).into_owned();
        let mut content = Vec::new();
        let read = std::fs::File::open(&path).and_then(|f| f.take(MOST_READ).read_to_end(&mut content));
        if let Err(error) = read {
            tracing::error!(target: "corex", %path, %error, "file_read");
            return Value::str(b"");
        }
        Value::owned(content)
    }
    /// Writes a file anew. Returns 1, or -1 when it cannot be written.
    #[ksr(cfg = ["file_write"], blocking, no_message)]
    fn file_write(&self, fpath: &[u8], content: &[u8]) -> Outcome {
        let path = String::from_utf8_lossy(fpath).into_owned();
        match std::fs::write(&path, content) {
            Ok(()) => Outcome::TRUE,
            Err(error) => {
                tracing::error!(target: "corex", %path, %error, "file_write");
                Outcome::FALSE
            }
        }
    }
    /// Whether one of our sockets has this name. Returns 1 or -1.
    #[ksr(cfg = ["is_socket_name"], no_message)]
    fn is_socket_name(&self, ctx: &mut RouteContext<'_>, sname: &[u8]) -> Outcome {
        Outcome::from(named_socket(ctx, sname).is_some())
    }
    /// Sends the request on as if it were ours: without its Via rows and without a transaction; replies end here. Returns 1, or -1 when the
    /// next hop cannot be resolved.
    #[ksr(cfg = ["forward_uac"], routes(REQUEST))]
    fn forward_uac(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        uac::forward(ctx, None, false)
    }
    /// As `forward_uac`; with `vbr` 1 also to every branch of the destination set.
    #[ksr(cfg = ["forward_uac"], routes(REQUEST))]
    fn forward_uac_branch(&self, ctx: &mut RouteContext<'_>, vbr: i64) -> Outcome {
        uac::forward(ctx, None, vbr != 0)
    }
    /// As `forward_uac`, to the address of this URI.
    #[ksr(cfg = ["forward_uac_uri"], routes(REQUEST))]
    fn forward_uac_uri(&self, ctx: &mut RouteContext<'_>, suri: &[u8]) -> Outcome {
        uac::forward(ctx, Some(suri), false)
    }
    /// As `forward_uac_uri`; with `vbr` 1 also every branch of the destination set goes there.
    #[ksr(cfg = ["forward_uac_uri"], routes(REQUEST))]
    fn forward_uac_uri_branch(&self, ctx: &mut RouteContext<'_>, suri: &[u8], vbr: i64) -> Outcome {
        uac::forward(ctx, Some(suri), vbr != 0)
    }
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "corex",
        name: "cfg",
        doc: "Place in the native configuration that is being executed: `line` a number, `file`, `route`, `name`. In a script 0 and null.",
        inner: Inner::Keyword(&["line", "file", "route", "name"]),
        get: |_, pv| if pv.keyword() == 0 { Value::Int(0) } else { Value::Null },
        set: None,
    },
    PseudoVariable {
        module: "corex",
        name: "lsock",
        doc: "One of our sockets by its name or its `proto:host:port`, as `proto:ip:port`; null when there is none.",
        inner: Inner::Text,
        get: |ctx, pv| {
            let wanted = pv.inner_text(ctx);
            let found = named_socket(ctx, &wanted).or_else(|| find_socket(ctx, &wanted));
            listener(ctx, found).map_or(Value::Null, |l| Value::owned(socket_text(l.transport, l.address)))
        },
        set: None,
    },
    PseudoVariable {
        module: "corex",
        name: "atkv",
        doc: "Attributes of an asynchronous task of the core: `type key gname value`. Null: there are no such tasks here.",
        inner: Inner::Keyword(&["type", "key", "gname", "value"]),
        get: |_, _| Value::Null,
        set: None,
    },
];

impl Module for Corex {
    fn name(&self) -> &'static str {
        "corex"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.lists.set(name, value, &mut self.settings)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        settings::RPC
    }
    fn setup(&mut self, setup: &script::Setup<'_>) -> Result<(), SetupError> {
        self.lists.begin(setup.config);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::outbox::Batch;
    use script::testing::Bench;
    use std::sync::Arc;

    pub(super) fn bench() -> Bench {
        let mut bench = Bench::new(vec![Arc::new(Corex::default())]);
        if let Some(l) = bench.core.listeners.get_mut(2) {
            l.name = Some("six".into());
        }
        bench
    }
    pub(super) const REQUEST: &str = "INVITE sip:bob@127.0.0.1:15210 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>\nCall-ID: c\nCSeq: 1 INVITE\nUser-Agent: x\n";

    pub(super) fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[&str]) -> Option<i64> {
        let args: Vec<Value<'_>> =
            args.iter().map(|a| a.parse().map_or(Value::str(a.as_bytes()), Value::Int)).collect();
        bench.call(ctx, &format!("corex.{name}"), &args).to_int()
    }

    #[test]
    fn branches() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        ctx.target.dst_uri = b"sip:9.9.9.9".to_vec();
        ctx.target.flags = 8;
        assert_eq!(call(&bench, &mut ctx, "append_branch", &[]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "append_branch_uri", &["sip:x@y"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "append_branch_uri_q", &["sip:x@y", "0.75"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "append_branch_uri_q", &["sip:x@y", "5"]), Some(-1));
        let seen: Vec<_> =
            ctx.branches.iter().map(|b| (b.uri.as_slice(), b.dst_uri.as_slice(), b.q, b.flags)).collect();
        assert_eq!(
            seen,
            [
                (&b"sip:bob@127.0.0.1:15210"[..], &b"sip:9.9.9.9"[..], -1, 8),
                (b"sip:x@y", b"", -1, 0),
                (b"sip:x@y", b"", 750, 0)
            ]
        );
        for _ in 3..bench.core.config.max_branches {
            assert_eq!(call(&bench, &mut ctx, "append_branch", &[]), Some(1));
        }
        assert_eq!(call(&bench, &mut ctx, "append_branch", &[]), Some(-1));
    }
    #[test]
    fn q_values() {
        for (text, q) in [
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("0", Some(0)),
            (".25", Some(250)),
            ("1.0", Some(1000)),
            ("1.1", None),
            ("2", None),
            ("x", None),
            ("0.1234", None),
            ("", None),
        ] {
            assert_eq!(q_value(text.as_bytes()), q, "{text}");
        }
    }
    #[test]
    fn extended_flags() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        for (name, flag, result) in [
            ("setxflag", "1", 1),
            ("setxflag", "63", 1),
            ("isxflagset", "1", 1),
            ("isxflagset", "63", 1),
            ("isxflagset", "2", -1),
            ("setxflag", "64", -1),
            ("setxflag", "-1", -1),
            ("isxflagset", "64", -1),
            ("resetxflag", "1", 1),
            ("resetxflag", "99", -1),
            ("isxflagset", "1", -1),
        ] {
            assert_eq!(call(&bench, &mut ctx, name, &[flag]), Some(result), "{name} {flag}");
        }
    }
    #[test]
    fn sockets() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        assert_eq!(call(&bench, &mut ctx, "set_send_socket", &["udp:1.1.1.1:5"]), Some(1));
        assert_eq!(ctx.target.socket, None);
        assert_eq!(call(&bench, &mut ctx, "set_send_socket", &["tcp:127.0.0.1:5060"]), Some(1));
        assert_eq!(ctx.target.socket, Some(SocketId(1)));
        assert_eq!(call(&bench, &mut ctx, "set_send_socket_name", &["six"]), Some(1));
        assert_eq!(ctx.target.socket, Some(SocketId(2)));
        assert_eq!(call(&bench, &mut ctx, "set_recv_socket_name", &["six"]), Some(1));
        assert_eq!((ctx.inbound.socket, ctx.inbound.local.is_ipv6()), (SocketId(2), true));
        assert_eq!(call(&bench, &mut ctx, "set_recv_socket", &["udp:127.0.0.1:5060"]), Some(1));
        assert_eq!(ctx.inbound.socket, SocketId(0));
        assert_eq!(call(&bench, &mut ctx, "set_source_address", &["udp:1.2.3.4:5"]), Some(1));
        assert_eq!(ctx.inbound.source.to_string(), "1.2.3.4:5");
        assert_eq!(call(&bench, &mut ctx, "set_source_address", &["udp:host:5"]), Some(-1));
        assert_eq!(call(&bench, &mut ctx, "is_socket_name", &["six"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "is_socket_name", &["seven"]), Some(-1));
        assert_eq!(
            bench.format(
                &ctx,
                "$lsock(six) $lsock(tcp:127.0.0.1:5060) $lsock(x) $cfg(line) $cfg(file) $atkv(key)"
            ),
            "udp:[::1]:5060 tcp:127.0.0.1:5060 <null> 0 <null> <null>"
        );
    }
    #[test]
    fn questions() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        for (name, result) in [("has_ruri_user", 1), ("has_user_agent", 1), ("is_faked_msg", -1)] {
            assert_eq!(call(&bench, &mut ctx, name, &[]), Some(result), "{name}");
        }
        for name in
            ["via_add_srvid", "via_add_xavp_params", "via_use_xavp_fields", "via_reply_add_xavp_params"]
        {
            assert_eq!(call(&bench, &mut ctx, name, &["1"]), Some(1), "{name}");
        }
        ctx.target.uri = b"sip:h".to_vec();
        ctx.faked = true;
        assert_eq!(call(&bench, &mut ctx, "has_ruri_user", &[]), Some(-1));
        assert_eq!(call(&bench, &mut ctx, "is_faked_msg", &[]), Some(1));
    }
    #[test]
    fn data_is_sent_as_it_is() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        assert_eq!(call(&bench, &mut ctx, "send_data", &["sip:127.0.0.1:15210", "hello"]), Some(1));
        assert_eq!(
            call(&bench, &mut ctx, "sendx", &["sip:127.0.0.1:15210", "tcp:127.0.0.1:5060", "you"]),
            Some(1)
        );
        assert_eq!(
            call(&bench, &mut ctx, "sendx", &["sip:127.0.0.1:15210", "udp:9.9.9.9:1", "you"]),
            Some(-1)
        );
        assert_eq!(call(&bench, &mut ctx, "send_data", &["sip:host.invalid", "hello"]), Some(-1));
        let mut batch = Batch::default();
        bench.outbox.take(&mut batch);
        let sent: Vec<_> =
            batch.items.iter().map(|(h, d)| (h.remote.port(), h.socket.0, batch.bytes(d))).collect();
        assert_eq!(sent, [(15210, 0, &b"hello"[..]), (15210, 1, b"you")]);
    }
    #[test]
    fn files() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        let path = std::env::temp_dir().join(format!("trunkline-corex-{}", std::process::id()));
        let path = path.to_string_lossy().into_owned();
        assert_eq!(call(&bench, &mut ctx, "file_write", &[&path, "content"]), Some(1));
        let args = [Value::str(path.as_bytes())];
        assert_eq!(bench.call(&mut ctx, "corex.file_read", &args), Value::str(b"content"));
        std::fs::remove_file(&path).expect("written above");
        assert_eq!(bench.call(&mut ctx, "corex.file_read", &args), Value::str(b""));
        assert_eq!(call(&bench, &mut ctx, "file_write", &["/nonexistent/x", "content"]), Some(-1));
    }
}
