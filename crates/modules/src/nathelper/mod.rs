//! Callers and phones behind NAT: who is, how their Contact and SDP become reachable, and what keeps their bindings open.
//!
//! `detect.rs` asks whether somebody is behind NAT, `contact.rs` rewrites Contacts and follows the `alias` in a Request-URI, `sdp.rs`
//! rewrites addresses of media, `ping.rs` sends keep-alives to registered contacts.

pub(crate) mod contact;
mod detect;
mod ping;
mod sdp;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use message::{HeaderName, Message};
use script::pv::Inner;
use script::{
    Core, Function, Inbound, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, Pv,
    RouteContext, RpcCommand, RpcError, Services, Setup, SetupError, Value, ksr_module,
};
use transaction::Now;

use crate::usrloc::Usrloc;
use ping::Pinger;

/// Module `nathelper`.
#[derive(Debug, Default)]
pub struct NatHelper {
    settings: Settings,
    /// `received_avp`, parsed.
    received: OnceLock<Option<Pv>>,
    /// Sends keep-alives, when `natping_interval` asks for them.
    pinger: Option<Pinger>,
    /// `nathelper.enable_ping 0` was called.
    paused: AtomicBool,
}

/// Parameters of `nathelper`.
#[derive(Debug, Clone, ModParams)]
pub(crate) struct Settings {
    /// Name of the Contact URI parameter that holds the sender's address. Default `alias`.
    alias_name: String,
    /// Whether `fix_nated_sdp` keeps the old address in `a=oldmediaip`. Default 1.
    append_sdp_oldmediaip: bool,
    /// Whether only contacts that this server registered get keep-alives. Contacts in memory always are its own. Default 0.
    filter_server_id: bool,
    /// Socket that keep-alives leave from, `udp:192.0.2.1:5060`. Default: the one the contact registered through.
    force_socket: Option<String>,
    /// 1: keep-alives over UDP only go to the first hop of a Path that is this server, no others; has no meaning otherwise. Default 0.
    ignore_path: i64,
    /// Seconds after which a contact that answers no SIP keep-alive ends; a few times `natping_interval`. 0 (default): never.
    keepalive_timeout: u32,
    /// 1 (default): also other reserved networks (192.0.0.0/24) count as private, 0: private networks only.
    nat_addr_mode: i64,
    /// Branch flag of contacts that get no keep-alives. Default -1: none.
    natping_disable_bflag: i64,
    /// Seconds in which every registered contact gets one keep-alive; 0 (default): none are sent.
    natping_interval: u32,
    /// Timer processes for keep-alives; has no meaning here.
    natping_processes: u32,
    /// Socket of this server that keep-alives of four zero bytes to IPv4 contacts leave from, `192.0.2.1:5060`; goes before `force_socket`. An
    /// address that this server does not listen on is without effect: forging it needs raw sockets.
    natping_socket: Option<String>,
    /// SDP line that `fix_nated_sdp(4)` adds. Default `a=nortpproxy:yes` with its line end.
    nortpproxy_str: String,
    /// 1: only contacts with usrloc's `nat_bflag` get keep-alives; 0 (default): all.
    ping_nated_only: bool,
    /// AVP that `fix_nated_register` writes and registrar's parameter of the same name reads, `$avp(received)`.
    received_avp: Option<String>,
    /// Branch flag of contacts whose keep-alive is a SIP request instead of four zero bytes. Default -1: none.
    sipping_bflag: i64,
    /// From URI of SIP keep-alives; without it none are sent.
    sipping_from: Option<String>,
    /// Method of SIP keep-alives. Default OPTIONS.
    sipping_method: String,
    /// Whether keep-alives of four zero bytes leave from the address of the last Path URI, where that is a socket of this server; goes before
    /// `natping_socket`. Without effect for other addresses, which needs raw sockets. Default 0.
    udpping_from_path: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            alias_name: "alias".into(),
            append_sdp_oldmediaip: true,
            filter_server_id: false,
            force_socket: None,
            ignore_path: 0,
            keepalive_timeout: 0,
            nat_addr_mode: 1,
            natping_disable_bflag: -1,
            natping_interval: 0,
            natping_processes: 1,
            natping_socket: None,
            nortpproxy_str: "a=nortpproxy:yes\r\n".into(),
            ping_nated_only: false,
            received_avp: None,
            sipping_bflag: -1,
            sipping_from: None,
            sipping_method: "OPTIONS".into(),
            udpping_from_path: false,
        }
    }
}

impl NatHelper {
    fn received_pv(&self, core: &Core) -> Option<&Pv> {
        let name = self.settings.received_avp.as_deref()?;
        let parse = || {
            let parsed = core.registry.parse_pv(name.as_bytes());
            if let Err(why) = &parsed {
                tracing::error!(target: "nathelper", "received_avp: {why}");
            }
            parsed.ok()
        };
        self.received.get_or_init(parse).as_ref()
    }
}

#[ksr_module("nathelper")]
impl NatHelper {
    /// Whether the sender seems to be behind NAT. Flags, any of which is enough:
    ///
    /// 1 the Contact is a private address; 2 the topmost Via is not the sender's address; 4 the topmost Via is a private address; 8 the SDP
    /// has a private address; 16 the topmost Via has another port than the sender; 32 the sender is a private address; 64 it came over
    /// WebSocket; 128 the Contact has another port than the sender; 256 the SDP has another address than the sender; 512 where it goes is
    /// not what the Request-URI says (replies: what the second Via says), or is over WebSocket. Returns 1 or -1.
    #[ksr(cfg = ["nat_uac_test"])]
    fn nat_uac_test(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Outcome {
        Outcome::from(detect::behind_nat(ctx, flags, self.settings.nat_addr_mode != 0))
    }
    /// Whether a text is a private IPv4 address (RFC 1918, RFC 6598). Returns 1 or -1.
    #[ksr(cfg = ["is_rfc1918"], no_message)]
    fn is_rfc1918(&self, address: &[u8]) -> Outcome {
        Outcome::from(detect::is_private(address, self.settings.nat_addr_mode != 0))
    }
    /// Writes the sender's address and port into the Contact URI. `save` and everything later works with it. Returns 1, or -1 when there is
    /// no such Contact or it was changed already.
    #[ksr(cfg = ["fix_nated_contact"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn fix_nated_contact(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contact::fix(ctx)
    }
    /// Adds `;alias=ip~port~transport` with the sender's address to the Contact URI, for `handle_ruri_alias` in later requests of the
    /// dialog. `save` works with it. Returns 1, or -1 when there is no such Contact or it was changed already.
    #[ksr(cfg = ["set_contact_alias"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn set_contact_alias(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contact::set_alias(ctx, &self.settings.alias_name, false)
    }
    /// As `set_contact_alias`, after removing an alias that is there already.
    #[ksr(cfg = ["set_contact_alias"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn set_contact_alias_trim(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contact::set_alias(ctx, &self.settings.alias_name, true)
    }
    /// As `set_contact_alias` when the Contact URI is not the sender's address, port and transport already; `save` works with the original.
    /// Returns 1, 2 when nothing was to do, -1 when there is no such Contact.
    #[ksr(cfg = ["add_contact_alias"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn add_contact_alias(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contact::add_alias(ctx, &self.settings.alias_name)
    }
    /// Adds an alias with this address, port and transport to the Contact URI. Returns 1, or -1 when one of them is none.
    #[ksr(cfg = ["add_contact_alias"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn add_contact_alias_addr(
        &self,
        ctx: &mut RouteContext<'_>,
        ip: &[u8],
        port: &[u8],
        proto: &[u8],
    ) -> Outcome {
        contact::add_alias_address(ctx, &self.settings.alias_name, ip, port, proto)
    }
    /// Takes the first `alias` out of the Request-URI and makes it the next hop `$du`. Returns 1, 2 when there is none, -1 when it cannot
    /// be read.
    #[ksr(cfg = ["handle_ruri_alias"], routes(REQUEST, FAILURE, BRANCH))]
    fn handle_ruri_alias(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contact::handle_alias(ctx, &self.settings.alias_name, false)
    }
    /// As `handle_ruri_alias`; `mode` other than 0: the last alias.
    #[ksr(cfg = ["handle_ruri_alias"], routes(REQUEST, FAILURE, BRANCH))]
    fn handle_ruri_alias_mode(&self, ctx: &mut RouteContext<'_>, mode: i64) -> Outcome {
        contact::handle_alias(ctx, &self.settings.alias_name, mode != 0)
    }
    /// Writes the alias of the Contact to a variable, as a SIP URI. Returns 1, or -1 when there is none.
    #[ksr(cfg = ["set_alias_to_pv"])]
    fn set_alias_to_pv(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> Outcome {
        let Some(uri) = contact::alias_uri(ctx, &self.settings.alias_name) else { return Outcome::FALSE };
        Outcome::from(pv.set(ctx, Value::owned(uri)))
    }
    /// Adds a parameter `received` with the sender's address as a URI to every Contact: to the header, or with a flag other than 0 to the
    /// URI (UDP only). For a registrar behind this server. Returns 1, or -1 when a Contact cannot be read.
    #[ksr(cfg = ["add_rcv_param"], routes(REQUEST))]
    fn add_rcv_param(&self, ctx: &mut RouteContext<'_>, flag: i64) -> Outcome {
        contact::add_received(ctx, flag != 0)
    }
    /// Writes the sender's address as a URI to `received_avp`, where `save` finds it: the contact is then reached at that address.
    /// Returns 1, or -1 without that parameter.
    #[ksr(cfg = ["fix_nated_register"], routes(REQUEST))]
    fn fix_nated_register(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let Some(pv) = self.received_pv(ctx.core) else {
            tracing::error!(target: "nathelper", "fix_nated_register needs the parameter received_avp");
            return Outcome::FALSE;
        };
        let uri = crate::pv::uri(ctx.inbound.source, ctx.inbound.transport, false);
        Outcome::from(pv.set(ctx, Value::owned(uri)))
    }
    /// Changes the SDP. Flags: 1 adds `a=direction:active` to every medium; 2 writes the sender's address into `c=` lines; 4 adds
    /// `nortpproxy_str`; 8 writes it into the `o=` line. With 2 or 8 `a=rtcp` follows.
    ///
    /// Returns 1 when an address was changed, 2 when none was, -1 without SDP.
    #[ksr(cfg = ["fix_nated_sdp"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn fix_nated_sdp(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Outcome {
        sdp::fix(ctx, &self.settings, flags, b"")
    }
    /// As `fix_nated_sdp` with this address in place of the sender's; empty: the sender's.
    #[ksr(cfg = ["fix_nated_sdp"], routes(REQUEST, REPLY, ONREPLY, FAILURE, BRANCH))]
    fn fix_nated_sdp_ip(&self, ctx: &mut RouteContext<'_>, flags: i64, ip: &[u8]) -> Outcome {
        sdp::fix(ctx, &self.settings, flags, ip)
    }
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "nathelper",
        name: "rr_count",
        doc: "Number of Record-Route values.",
        inner: Inner::None,
        get: |ctx, _| Value::Int(ctx.message.addresses(HeaderName::RecordRoute).count() as i64),
        set: None,
    },
    PseudoVariable {
        module: "nathelper",
        name: "rr_top_count",
        doc: "2 when the topmost Record-Route is one of a pair (`r2=on`), 1 when it stands alone, 0 without any.",
        inner: Inner::None,
        get: |ctx, _| Value::Int(top_record_routes(&ctx.message)),
        set: None,
    },
];

fn top_record_routes(message: &Message) -> i64 {
    let Some(first) = message.addresses(HeaderName::RecordRoute).next() else { return 0 };
    let pair = first
        .ok()
        .and_then(|a| a.parse_uri().ok())
        .is_some_and(|u| u.params.get("r2").is_some_and(|p| p.value == Some(b"on")));
    if pair { 2 } else { 1 }
}

const COMMANDS: &[RpcCommand] = &[RpcCommand {
    name: "nathelper.enable_ping",
    doc: "Parameter: 0 stops keep-alives, another number starts them again.",
    call: |module, _, _, params| {
        let any: &dyn std::any::Any = module;
        let nathelper = any.downcast_ref::<NatHelper>().ok_or_else(|| RpcError::new(500, "not nathelper"))?;
        let wanted = params.first().ok_or_else(|| RpcError::new(500, "No parameter"))?;
        let number = wanted.as_i64().or_else(|| wanted.as_str().and_then(|t| t.trim().parse().ok()));
        let Some(number) = number else { return Err(RpcError::new(500, "Bad parameter: a number")) };
        if nathelper.pinger.is_none() {
            return Err(RpcError::new(500, "NAT ping disabled from script"));
        }
        nathelper.paused.store(number == 0, Ordering::Relaxed);
        Ok(serde_json::Value::Null)
    },
}];

impl Module for NatHelper {
    fn name(&self) -> &'static str {
        "nathelper"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        COMMANDS
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        if self.settings.natping_interval == 0 {
            return Ok(());
        }
        let usrloc = setup.module::<Usrloc>().ok_or_else(|| {
            SetupError("natping_interval needs module usrloc: load it before nathelper".into())
        })?;
        self.pinger = Some(Pinger::new(&self.settings, usrloc.domains(), setup)?);
        Ok(())
    }
    fn events(&self, services: &Services<'_>, now: Now) {
        if let Some(pinger) = &self.pinger {
            pinger.run(services, now, self.paused.load(Ordering::Relaxed));
        }
    }
    fn takes_reply(&self, core: &Core, reply: &Message, _: Inbound, now: Now) -> bool {
        self.pinger.as_ref().is_some_and(|p| p.answered(core, reply, now))
    }
}
