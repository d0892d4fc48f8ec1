//! Path (RFC 3327): puts this server on the way of later requests to a phone that registers through it, and finds the phone behind NAT
//! again by the `received` it wrote there.

use message::grammar::{self, Component};
use message::{HeaderName, Params, Transport, Uri};
use script::transformations::transport_number;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, SetupError, ksr_module,
};
use transaction::SocketId;

use crate::nathelper::contact::alias_as_uri;

/// Module `path`.
#[derive(Debug, Default)]
pub struct Path {
    settings: Settings,
}

/// Parameters of `path`.
#[derive(Debug, ModParams)]
struct Settings {
    /// 1: two Path rows, for the socket the request leaves through and the one it came in, each with `r2=on`. Default 0.
    enable_r2: bool,
    /// Form of the sender's address: 0 (default) an escaped SIP URI, 1 `ip~port~transport` as in nathelper's `alias`.
    received_format: i64,
    /// Name of the parameter with the sender's address. Default `received`.
    received_name: String,
    /// 1: the Path URI names the socket in an `sn` parameter. Default 0.
    sockname_mode: bool,
    /// 1: `loose_route` makes the sender's address in this server's own Route the next hop. Default 0.
    use_received: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enable_r2: false,
            received_format: 0,
            received_name: "received".into(),
            sockname_mode: false,
            use_received: false,
        }
    }
}

/// What goes into the Path URI.
#[derive(Default)]
struct Wanted<'a> {
    user: &'a [u8],
    params: &'a [u8],
    received: bool,
    address: &'a [u8],
}

impl Path {
    fn add(&self, ctx: &mut RouteContext<'_>, wanted: &Wanted<'_>) -> Outcome {
        let harmless = |t: &[u8]| !t.iter().any(|b| *b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f));
        if ![wanted.user, wanted.params, wanted.address].into_iter().all(harmless) {
            tracing::error!(target: "path", "add_path: user and parameters must be escaped as in a URI");
            return Outcome::FALSE;
        }
        let next = ctx.transactions.resolve(ctx, ctx.next_hop_uri());
        let outgoing = ctx.target.socket.or(next.map(|hop| hop.socket)).unwrap_or(ctx.inbound.socket);
        let mut rows = Vec::new();
        self.row(ctx, wanted, outgoing, &mut rows);
        if self.settings.enable_r2 {
            self.row(ctx, wanted, ctx.inbound.socket, &mut rows);
        }
        let first = ctx.message.header(HeaderName::Path).map(|h| h.row.0);
        let at = first.unwrap_or_else(|| ctx.message.headers_end());
        ctx.edits.insert(at, &rows);
        Outcome::TRUE
    }

    fn row(&self, ctx: &RouteContext<'_>, wanted: &Wanted<'_>, socket: SocketId, out: &mut Vec<u8>) {
        let Some(listener) = ctx.core.listeners.get(usize::from(socket.0)) else { return };
        out.extend_from_slice(b"Path: <sip:");
        if !wanted.user.is_empty() {
            out.extend_from_slice(wanted.user);
            out.push(b'@');
        }
        if wanted.address.is_empty() {
            out.extend_from_slice(listener.via_host().as_bytes());
            if listener.via_port() != listener.transport.default_port() {
                out.extend_from_slice(format!(":{}", listener.via_port()).as_bytes());
            }
            if listener.transport != Transport::Udp {
                out.extend_from_slice(format!(";transport={}", listener.transport.lower()).as_bytes());
            }
        } else {
            out.extend_from_slice(wanted.address);
        }
        out.extend_from_slice(b";lr");
        if wanted.received {
            out.extend_from_slice(format!(";{}=", self.settings.received_name).as_bytes());
            out.extend_from_slice(&self.received(ctx));
        }
        if !wanted.params.is_empty() {
            out.push(b';');
            out.extend_from_slice(wanted.params);
        }
        if self.settings.sockname_mode
            && let Some(name) = &listener.name
        {
            out.extend_from_slice(format!(";sn={name}").as_bytes());
        }
        out.extend_from_slice(if self.settings.enable_r2 { b";r2=on>\r\n" } else { b">\r\n" });
    }

    fn received(&self, ctx: &RouteContext<'_>) -> Vec<u8> {
        let (source, transport) = (ctx.inbound.source, ctx.inbound.transport);
        if self.settings.received_format == 0 {
            let uri = crate::pv::uri(source, transport, false);
            return grammar::escape(uri.as_bytes(), Component::Param).into_owned();
        }
        let ip = source.ip().to_canonical();
        let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        format!("{ip}~{}~{}", source.port(), transport_number(transport)).into_bytes()
    }

    /// After `loose_route` took this server's Route with these URI parameters away: the phone's address in it is the next hop.
    pub(crate) fn after_loose_route(&self, ctx: &mut RouteContext<'_>, params: &[u8]) {
        if !self.settings.use_received {
            return;
        }
        let Some(value) = Params(params).get(&self.settings.received_name).and_then(|p| p.value) else {
            return;
        };
        let uri = if value.contains(&b'~') {
            alias_as_uri(value)
        } else {
            Some(grammar::unescape(value).into_owned())
        };
        match uri.filter(|u| Uri::parse(u).is_ok_and(|u| u.scheme.is_sip())) {
            Some(uri) => ctx.target.dst_uri = uri,
            None => tracing::warn!(target: "path", call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                "the received parameter of this server's own Route cannot be read"),
        }
    }
}

#[ksr_module("path")]
impl Path {
    /// Adds a Path row with this server's address: `<sip:192.0.2.1;lr>`, above those that are there. Returns 1 or -1.
    #[ksr(cfg = ["add_path"], routes(REQUEST))]
    fn add_path(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.add(ctx, &Wanted::default())
    }
    /// As `add_path`, with a user part.
    #[ksr(cfg = ["add_path"], routes(REQUEST))]
    fn add_path_user(&self, ctx: &mut RouteContext<'_>, user: &[u8]) -> Outcome {
        self.add(ctx, &Wanted { user, ..Wanted::default() })
    }
    /// As `add_path`, with a user part and further URI parameters (`ob;x=y`). Either may be empty.
    #[ksr(cfg = ["add_path"], routes(REQUEST))]
    fn add_path_user_params(&self, ctx: &mut RouteContext<'_>, user: &[u8], params: &[u8]) -> Outcome {
        self.add(ctx, &Wanted { user, params, ..Wanted::default() })
    }
    /// As `add_path`, with the sender's address in a parameter `received`.
    #[ksr(cfg = ["add_path_received"], routes(REQUEST))]
    fn add_path_received(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.add(ctx, &Wanted { received: true, ..Wanted::default() })
    }
    /// As `add_path_received`, with a user part.
    #[ksr(cfg = ["add_path_received"], routes(REQUEST))]
    fn add_path_received_user(&self, ctx: &mut RouteContext<'_>, user: &[u8]) -> Outcome {
        self.add(ctx, &Wanted { received: true, user, ..Wanted::default() })
    }
    /// As `add_path_received`, with a user part and further URI parameters.
    #[ksr(cfg = ["add_path_received"], routes(REQUEST))]
    fn add_path_received_user_params(
        &self,
        ctx: &mut RouteContext<'_>,
        user: &[u8],
        params: &[u8],
    ) -> Outcome {
        self.add(ctx, &Wanted { received: true, user, params, ..Wanted::default() })
    }
    /// As `add_path`, with this address (`host:port;transport=tcp`) in place of the socket's.
    #[ksr(cfg = ["add_path_advertised_address"], routes(REQUEST))]
    fn add_path_advertised_address(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        self.add(ctx, &Wanted { address, ..Wanted::default() })
    }
    /// As `add_path_advertised_address`, with a user part.
    #[ksr(cfg = ["add_path_advertised_address"], routes(REQUEST))]
    fn add_path_advertised_address_user(
        &self,
        ctx: &mut RouteContext<'_>,
        address: &[u8],
        user: &[u8],
    ) -> Outcome {
        self.add(ctx, &Wanted { address, user, ..Wanted::default() })
    }
    /// As `add_path_advertised_address`, with a user part and further URI parameters.
    #[ksr(cfg = ["add_path_advertised_address"], routes(REQUEST))]
    fn add_path_advertised_address_user_params(
        &self,
        ctx: &mut RouteContext<'_>,
        address: &[u8],
        user: &[u8],
        params: &[u8],
    ) -> Outcome {
        self.add(ctx, &Wanted { address, user, params, received: false })
    }
    /// As `add_path_advertised_address`, with the sender's address in a parameter `received`.
    #[ksr(cfg = ["add_path_received_advertised_address"], routes(REQUEST))]
    fn add_path_received_advertised_address(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        self.add(ctx, &Wanted { address, received: true, ..Wanted::default() })
    }
    /// As `add_path_received_advertised_address`, with a user part.
    #[ksr(cfg = ["add_path_received_advertised_address"], routes(REQUEST))]
    fn add_path_received_advertised_address_user(
        &self,
        ctx: &mut RouteContext<'_>,
        address: &[u8],
        user: &[u8],
    ) -> Outcome {
        self.add(ctx, &Wanted { address, user, received: true, ..Wanted::default() })
    }
    /// As `add_path_received_advertised_address`, with a user part and further URI parameters.
    #[ksr(cfg = ["add_path_received_advertised_address"], routes(REQUEST))]
    fn add_path_received_advertised_address_user_params(
        &self,
        ctx: &mut RouteContext<'_>,
        address: &[u8],
        user: &[u8],
        params: &[u8],
    ) -> Outcome {
        self.add(ctx, &Wanted { address, user, params, received: true })
    }
}

impl Module for Path {
    fn name(&self) -> &'static str {
        "path"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;

    fn bench(params: &[(&str, ParamValue)]) -> Bench {
        let mut path = Path::default();
        for (name, value) in params {
            path.set_param(name, value.clone()).unwrap_or_else(|e| panic!("{e}"));
        }
        let rr = crate::create("rr").map(Arc::from);
        Bench::new(rr.into_iter().chain([Arc::new(path) as Arc<dyn Module>]).collect())
    }
    fn request(rows: &str) -> String {
        format!(
            "REGISTER sip:127.0.0.1:5080 SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n{rows}From: <sip:x@y>;tag=1\nTo: <sip:a@b>\n\
             Call-ID: c\nCSeq: 1 REGISTER\n"
        )
    }
    fn added(bench: &Bench, name: &str, args: &[&'static str]) -> Vec<String> {
        let mut ctx = bench.request(&request("Path: <sip:edge;lr>\n"));
        let args: Vec<Value<'_>> = args.iter().map(|a| (*a).into()).collect();
        assert_eq!(bench.call(&mut ctx, &format!("path.{name}"), &args), Value::Int(1));
        let printed = bench.printed(&ctx);
        printed.lines().filter_map(|l| l.strip_prefix("Path: ")).map(str::to_owned).collect()
    }

    #[test]
    fn rows_as_kamailio_writes_them() {
        let plain = bench(&[]);
        for (name, args, row) in [
            ("add_path", &[][..], "<sip:127.0.0.1;lr>"),
            ("add_path_user", &["lb"], "<sip:lb@127.0.0.1;lr>"),
            ("add_path_user_params", &["lb", "ob;x=y"], "<sip:lb@127.0.0.1;lr;ob;x=y>"),
            ("add_path_user_params", &["", ""], "<sip:127.0.0.1;lr>"),
            ("add_path_received", &[], "<sip:127.0.0.1;lr;received=sip:127.0.0.1:5070>"),
            ("add_path_received_user", &["lb"], "<sip:lb@127.0.0.1;lr;received=sip:127.0.0.1:5070>"),
            (
                "add_path_received_user_params",
                &["", "ob"],
                "<sip:127.0.0.1;lr;received=sip:127.0.0.1:5070;ob>",
            ),
            ("add_path_advertised_address", &["edge.example:5070"], "<sip:edge.example:5070;lr>"),
            (
                "add_path_received_advertised_address_user_params",
                &["e", "u", "p"],
                "<sip:u@e;lr;received=sip:127.0.0.1:5070;p>",
            ),
        ] {
            assert_eq!(added(&plain, name, args), [row, "<sip:edge;lr>"], "{name}");
        }
        let other = bench(&[("enable_r2", ParamValue::Int(1)), ("received_format", ParamValue::Int(1))]);
        let row = "<sip:127.0.0.1;lr;received=127.0.0.1~5070~1;r2=on>";
        assert_eq!(added(&other, "add_path_received", &[]), [row, row, "<sip:edge;lr>"]);
        let mut ctx = plain.request(&request(""));
        assert_eq!(plain.call(&mut ctx, "path.add_path_user", &["a>b".into()]), Value::Int(-1));
    }

    #[test]
    fn the_phone_behind_nat_is_found_again() {
        let route = "Route: <sip:127.0.0.1;lr;received=sip:192.0.2.7:1024%3Btransport%3Dtcp>\n";
        let next = |bench: &Bench, rows: &str| {
            let mut ctx = bench.request(&request(rows));
            bench.call(&mut ctx, "rr.loose_route", &[]);
            String::from_utf8_lossy(&ctx.target.dst_uri).into_owned()
        };
        let using = bench(&[("use_received", ParamValue::Int(1))]);
        assert_eq!(next(&using, route), "sip:192.0.2.7:1024;transport=tcp");
        assert_eq!(
            next(&using, "Route: <sip:127.0.0.1;lr;received=192.0.2.7~1024~1>\n"),
            "sip:192.0.2.7:1024"
        );
        assert_eq!(next(&using, "Route: <sip:127.0.0.1;lr;received=%00>\n"), "");
        assert_eq!(next(&bench(&[]), route), "");
    }
}
