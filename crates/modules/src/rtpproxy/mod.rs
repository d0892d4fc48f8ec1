//! Media through Sippy's RTPProxy: a session for each call there, and its address in the SDP.
//!
//! `flags.rs` reads the letters that scripts give, `control.rs` speaks the control protocol, `rewrite.rs` changes the SDP. Which node a
//! call goes to is in [`relay`](crate::relay).

mod control;
mod flags;
mod rewrite;
pub(crate) mod rpc;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use script::pv::Inner;
use script::{
    Core, Function, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, Pv, RouteContext,
    RpcCommand, Setup, SetupError, Value, ksr_module,
};
use transaction::Now;

use crate::relay::{Columns, Deed, Node, Pool, deed};
use crate::sdp::Sdp;
use flags::{BadFlag, Flags};

/// Module `rtpproxy`.
#[derive(Debug, Default)]
pub struct RtpProxy {
    settings: Settings,
    pool: Pool,
    instance: OnceLock<Option<Pv>>,
    extra_id: OnceLock<Option<Pv>>,
    ice_priority: OnceLock<Option<Pv>>,
}

/// Parameters of `rtpproxy`.
#[derive(Debug, ModParams)]
pub(crate) struct Settings {
    /// Database with the sets of nodes; `rtpproxy_sock` does not count then. Default none.
    db_url: Option<String>,
    /// Variable whose value goes behind the Call-ID with flag `b`.
    extra_id_pv: Option<String>,
    /// AVP that says whether a relay candidate is added to streams with ICE: 0 no, 1 with high, 2 (default) with low priority. Default none: no.
    ice_candidate_priority_avp: Option<String>,
    /// SDP line that marks what went through a relay already; empty: no mark. Default `a=nortpproxy:yes` with its line end.
    nortpproxy_str: String,
    /// Variable that gets the node a call went to.
    rtp_inst_pvar: Option<String>,
    /// Seconds for which a node that does not answer is left alone. Default 60.
    rtpproxy_disable_tout: u32,
    /// How often a command is sent before its node counts as away. Default 5.
    rtpproxy_retr: u32,
    /// Nodes of a set: `udp:host:port`, `udp6:host:port`, `unix:/path`, each with `=weight` or not, separated by blanks; `1 == ` before them for
    /// set 1, else set 0. May be given several times.
    rtpproxy_sock: Option<String>,
    /// Seconds to wait for an answer. Default 1.
    rtpproxy_tout: u32,
    /// Table of the sets. Default `rtpproxy`.
    table_name: String,
    /// Address to which the relay tells of streams that ended; empty (default): none.
    timeout_socket: String,
    /// Variable whose value the relay gives back when it tells of a stream that ended. Taken.
    timeout_tag_pv: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            db_url: None,
            extra_id_pv: None,
            ice_candidate_priority_avp: None,
            nortpproxy_str: "a=nortpproxy:yes\r\n".into(),
            rtp_inst_pvar: None,
            rtpproxy_disable_tout: 60,
            rtpproxy_retr: 5,
            rtpproxy_sock: None,
            rtpproxy_tout: 1,
            table_name: "rtpproxy".into(),
            timeout_socket: String::new(),
            timeout_tag_pv: None,
        }
    }
}

/// The set that a script chose for a message.
#[derive(Default)]
struct Chosen(i64);

/// No relay answered.
const NO_RELAY: Outcome = Outcome(-3);
/// The SDP went through a relay already.
const MARKED: Outcome = Outcome(-2);

fn parsed<'p>(
    slot: &'p OnceLock<Option<Pv>>,
    core: &Core,
    name: &Option<String>,
    what: &str,
) -> Option<&'p Pv> {
    let name = name.as_deref()?;
    slot.get_or_init(|| {
        let pv = core.registry.parse_pv(name.as_bytes());
        if let Err(why) = &pv {
            tracing::error!(target: "rtpproxy", "{what}: {why}");
        }
        pv.ok()
    })
    .as_ref()
}

impl RtpProxy {
    fn flags(&self, flags: &[u8]) -> Option<Flags> {
        match Flags::parse(flags) {
            Ok(flags) => Some(flags),
            Err(BadFlag(letter)) => {
                tracing::error!(target: "rtpproxy", flag = %char::from(letter), "unknown flag");
                None
            }
        }
    }

    fn offer(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        self.flags(flags).map_or(Outcome::FALSE, |f| rewrite::through_relay(self, ctx, &f, ip, true))
    }
    fn answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        if ctx.message.is_request() && ctx.message.method() != message::Method::Ack {
            tracing::error!(target: "rtpproxy", "rtpproxy_answer is for replies and ACK");
            return Outcome::FALSE;
        }
        self.flags(flags).map_or(Outcome::FALSE, |f| rewrite::through_relay(self, ctx, &f, ip, false))
    }
    fn destroy(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        let Some(call) = control::Call::of(self, ctx, &flags) else { return Outcome::FALSE };
        let to = if flags.no_to_tag { None } else { call.to_tag.as_deref() };
        let mut command = [b"D ", call.id.as_slice(), b" ", &call.from_tag].concat();
        if let Some(to) = to {
            command.push(b' ');
            command.extend_from_slice(to);
        }
        match self.command(ctx, &call.key, |_| command.clone()) {
            Some(_) => Outcome::TRUE,
            None => NO_RELAY,
        }
    }
    fn manage(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        let sdp = Sdp::of(&ctx.message).is_some();
        match deed(ctx, sdp) {
            Deed::Offer => self.offer(ctx, flags, ip),
            Deed::Answer => self.answer(ctx, flags, ip),
            Deed::Delete => self.destroy(ctx, flags),
            Deed::Nothing => Outcome::TRUE,
            Deed::Refuse => Outcome::FALSE,
        }
    }
    /// Starts (`P`) or stops (`S`) an announcement to one side.
    fn stream(&self, ctx: &mut RouteContext<'_>, to_caller: bool, prompt: Option<(&[u8], i64)>) -> Outcome {
        let Some(call) = control::Call::of(self, ctx, &Flags::default()) else { return Outcome::FALSE };
        let to = call.to_tag.clone().unwrap_or_default();
        let (first, second) =
            if to_caller { (call.from_tag.clone(), to) } else { (to, call.from_tag.clone()) };
        if first.is_empty() {
            return Outcome::FALSE;
        }
        let leg = |tag: &[u8]| if tag.is_empty() { Vec::new() } else { [tag, b";1"].concat() };
        let tags = [leg(&first), leg(&second)].join(&b' ');
        let command = match prompt {
            Some((name, count)) if !name.is_empty() && !name.iter().any(|b| *b <= b' ') => {
                [format!("P{count} ").as_bytes(), &call.id, b" ", name, b" session ", &tags].concat()
            }
            Some(_) => return Outcome::FALSE,
            None => [b"S ", call.id.as_slice(), b" ", &tags].concat(),
        };
        match self.command(ctx, &call.key, |_| command.clone()) {
            Some(answer) => Outcome::from(answer.first() != Some(&b'E')),
            None => NO_RELAY,
        }
    }
    /// `Q`: what the relay counted. One try: a variable must not take long.
    fn statistics(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        let call = control::Call::of(self, ctx, &Flags::default())?;
        let mut command = [b"Q ", call.id.as_slice(), b" ", &call.from_tag].concat();
        if let Some(to) = &call.to_tag {
            command.push(b' ');
            command.extend_from_slice(to);
        }
        let answer = self.ask(ctx, &call.key, 1, &|_| command.clone())?.1;
        (answer.first() != Some(&b'E')).then(|| answer.trim_ascii().to_vec())
    }

    /// Sends a command for a call; the answer.
    fn command(
        &self,
        ctx: &mut RouteContext<'_>,
        key: &[u8],
        command: impl Fn(&Node) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let (url, answer) = self.ask(ctx, key, self.settings.rtpproxy_retr, &command)?;
        if let Some(pv) = parsed(&self.instance, ctx.core, &self.settings.rtp_inst_pvar, "rtp_inst_pvar") {
            pv.set(ctx, Value::owned(url));
        }
        Some(answer)
    }
}

#[ksr_module("rtpproxy")]
impl RtpProxy {
    /// Does what a message needs: an INVITE, UPDATE or PRACK with SDP is offered, an ACK or a reply with SDP is the answer (the offer, when
    /// the INVITE had none), BYE, CANCEL, failure routes and replies from 300 on end the session.
    ///
    /// Waits for the relay. Returns 1 also when nothing was to be done, -1 for other messages, -2 when the SDP went through a relay
    /// already, -3 when no relay answers.
    #[ksr(cfg = ["rtpproxy_manage"], blocking)]
    fn rtpproxy_manage0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.manage(ctx, b"", b"")
    }
    /// As `rtpproxy_manage0`, with flags: `c` the session's `c=` too when streams have their own, `o` the address in `o=` (always done),
    /// `r` trust addresses in the SDP, `a` asymmetric, `w` symmetric by force, `i` `e` interfaces, `x` interfaces by address family, `f`
    /// although it is marked, `l` only a session that is there, `1` `2` `3` `b` the branch (or `extra_id_pv`) behind the Call-ID, `zNN`
    /// milliseconds in a packet, `t` end the call whatever the To tag.
    #[ksr(cfg = ["rtpproxy_manage"], blocking)]
    fn rtpproxy_manage(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.manage(ctx, flags, b"")
    }
    /// As `rtpproxy_manage`, with this address in the SDP in place of the relay's.
    #[ksr(cfg = ["rtpproxy_manage"], blocking)]
    fn rtpproxy_manage_ip(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        self.manage(ctx, flags, ip)
    }
    /// The set of nodes for further functions in this message. Returns 1, or -1 when there is no such set.
    #[ksr(cfg = ["set_rtp_proxy_set"])]
    fn set_rtpproxy_set(&self, ctx: &mut RouteContext<'_>, rset: i64) -> Outcome {
        if self.pool.sets().set(rset).is_none() {
            tracing::error!(target: "rtpproxy", set = rset, "there is no such set of nodes");
            return Outcome::FALSE;
        }
        ctx.slots.slot::<Chosen>().0 = rset;
        Outcome::TRUE
    }
    /// Ends the session of the call. Returns 1, or -3 when no relay answers.
    #[ksr(cfg = ["rtpproxy_destroy", "unforce_rtp_proxy"], blocking)]
    fn rtpproxy_destroy0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.destroy(ctx, b"")
    }
    /// As `rtpproxy_destroy0`, with flags `1` `2` `3` `b` `t` of `rtpproxy_manage`.
    #[ksr(cfg = ["rtpproxy_destroy", "unforce_rtp_proxy"], blocking)]
    fn rtpproxy_destroy(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.destroy(ctx, flags)
    }
    /// Records the session at the relay. Returns 1, -1 when it refuses, -3 when no relay answers.
    #[ksr(cfg = ["start_recording"], blocking)]
    fn start_recording(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let Some(call) = control::Call::of(self, ctx, &Flags::default()) else { return Outcome::FALSE };
        let (first, second) = match &call.to_tag {
            Some(to) if !ctx.message.is_request() => (to.clone(), Some(call.from_tag.clone())),
            to => (call.from_tag.clone(), to.clone()),
        };
        let mut command = [b"R ", call.id.as_slice(), b" ", &first].concat();
        if let Some(second) = second {
            command.push(b' ');
            command.extend_from_slice(&second);
        }
        match self.command(ctx, &call.key, |_| command.clone()) {
            Some(answer) => Outcome::from(answer.first() != Some(&b'E')),
            None => NO_RELAY,
        }
    }
    /// Makes the SDP of this message go through the relay, as an offer.
    ///
    /// Waits for the relay. Returns 1, -1 when there is no SDP or the relay refuses, -2 when it went through a relay already, -3 when no
    /// relay answers.
    #[ksr(cfg = ["rtpproxy_offer"], blocking)]
    fn rtpproxy_offer0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.offer(ctx, b"", b"")
    }
    /// As `rtpproxy_offer0`, with the flags of `rtpproxy_manage`.
    #[ksr(cfg = ["rtpproxy_offer"], blocking)]
    fn rtpproxy_offer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.offer(ctx, flags, b"")
    }
    /// As `rtpproxy_offer`, with this address in the SDP in place of the relay's.
    #[ksr(cfg = ["rtpproxy_offer"], blocking)]
    fn rtpproxy_offer_ip(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        self.offer(ctx, flags, ip)
    }
    /// Makes the SDP of this reply or ACK go through the relay, as the answer. Returns as `rtpproxy_offer0`.
    #[ksr(cfg = ["rtpproxy_answer"], blocking)]
    fn rtpproxy_answer0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.answer(ctx, b"", b"")
    }
    /// As `rtpproxy_answer0`, with the flags of `rtpproxy_manage`.
    #[ksr(cfg = ["rtpproxy_answer"], blocking)]
    fn rtpproxy_answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.answer(ctx, flags, b"")
    }
    /// As `rtpproxy_answer`, with this address in the SDP in place of the relay's.
    #[ksr(cfg = ["rtpproxy_answer"], blocking)]
    fn rtpproxy_answer_ip(&self, ctx: &mut RouteContext<'_>, flags: &[u8], ip: &[u8]) -> Outcome {
        self.answer(ctx, flags, ip)
    }
    /// Plays a prompt (a file of the relay) to the caller, `count` times, -1 for ever. Returns 1, -1 when the relay refuses, -3 when none
    /// answers.
    #[ksr(cfg = ["rtpproxy_stream2uac"], blocking)]
    fn rtpproxy_stream2uac(&self, ctx: &mut RouteContext<'_>, prompt: &[u8], count: i64) -> Outcome {
        self.stream(ctx, true, Some((prompt, count)))
    }
    /// Plays a prompt to the callee; as `rtpproxy_stream2uac`.
    #[ksr(cfg = ["rtpproxy_stream2uas"], blocking)]
    fn rtpproxy_stream2uas(&self, ctx: &mut RouteContext<'_>, prompt: &[u8], count: i64) -> Outcome {
        self.stream(ctx, false, Some((prompt, count)))
    }
    /// Ends what `rtpproxy_stream2uac` plays.
    #[ksr(cfg = ["rtpproxy_stop_stream2uac"], blocking)]
    fn rtpproxy_stop_stream2uac(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.stream(ctx, true, None)
    }
    /// Ends what `rtpproxy_stream2uas` plays.
    #[ksr(cfg = ["rtpproxy_stop_stream2uas"], blocking)]
    fn rtpproxy_stop_stream2uas(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.stream(ctx, false, None)
    }
}

fn statistics<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let found = ctx.core.registry.module::<RtpProxy>().and_then(|m| m.statistics(ctx));
    found.map_or(Value::Null, Value::owned)
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "rtpproxy",
        name: "rtppstat",
        doc: "What the relay counted for the call so far, as it writes it. Asks the relay; null when it does not answer or knows no such call.",
        inner: Inner::None,
        get: statistics,
        set: None,
    },
    PseudoVariable {
        module: "rtpproxy",
        name: "rtpstat",
        doc: "As `$rtppstat`.",
        inner: Inner::None,
        get: statistics,
        set: None,
    },
];

impl Module for RtpProxy {
    fn name(&self) -> &'static str {
        "rtpproxy"
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
        if let ("rtpproxy_sock", ParamValue::Str(text)) = (name, &value) {
            self.pool.add(text, 0).map_err(SetupError)?;
        }
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        if let Some(url) = self.settings.db_url.clone() {
            self.pool = Pool::default();
            let columns =
                Columns { set: "setid".into(), url: "url".into(), weight: "weight".into(), disabled: None };
            self.pool.read_from(&url, &self.settings.table_name, columns).map_err(SetupError)?;
        } else if self.pool.sets().is_empty() {
            tracing::warn!(target: "rtpproxy", "no rtpproxy_sock: there is no relay, media are not touched");
        }
        Ok(())
    }
    fn tick(&self, core: &Core, now: Now) {
        // One try each: a node that is away must not hold up the start.
        self.pool.tick("rtpproxy", |node| {
            self.is_there(core, node, now, 1);
        });
    }
}
