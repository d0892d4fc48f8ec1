//! Media through Sipwise's rtpengine: the SDP of a call goes there and comes back with its addresses.
//!
//! `flags.rs` reads what scripts write, `bencode.rs` and `control.rs` speak the ng control protocol, `calls.rs` remembers the node of a
//! call, `subscribe.rs` has copies for third parties, `mos.rs` what the relay says of quality. Which node a new call goes to is in
//! [`relay`](crate::relay).

mod bencode;
mod calls;
mod control;
mod flags;
mod mos;
mod rpc;
mod settings;
mod subscribe;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use script::pv::Inner;
use script::{
    Core, Function, ModParam, Module, Outcome, ParamValue, PseudoVariable, Pv, RouteContext, RpcCommand,
    Setup, SetupError, Value, ksr_module,
};
use transaction::Now;

use crate::relay::{Columns, Deed, Pool, State, deed};
use crate::sdp::Sdp;
use calls::Calls;
use control::{Answered, Command, Failed};
use flags::{BadFlag, Flags};
use settings::Settings;

/// Module `rtpengine`.
#[derive(Debug, Default)]
pub struct RtpEngine {
    settings: Settings,
    /// Variables for MOS, by parameter.
    mos: HashMap<&'static str, (String, OnceLock<Option<Pv>>)>,
    pool: Pool,
    calls: Calls,
    /// `rtpengine_sock`, until the default set is known.
    socks: Vec<String>,
    /// `force_send_interface`
    from: Option<IpAddr>,
    pvs: Variables,
    pinged: AtomicU64,
}

/// Variables that parameters name, parsed when first used.
#[derive(Debug, Default)]
struct Variables {
    setid: OnceLock<Option<Pv>>,
    extra_id: OnceLock<Option<Pv>>,
    instance: OnceLock<Option<Pv>>,
    read: OnceLock<Option<Pv>>,
    write: OnceLock<Option<Pv>>,
    duration: OnceLock<Option<Pv>>,
}

/// Sets that a script chose for a message.
#[derive(Default)]
struct Chosen {
    first: Option<i64>,
    /// Offers and answers go there after the first.
    second: Option<i64>,
}

fn parsed<'p>(slot: &'p OnceLock<Option<Pv>>, core: &Core, name: Option<&str>) -> Option<&'p Pv> {
    let name = name?;
    slot.get_or_init(|| {
        let pv = core.registry.parse_pv(name.as_bytes());
        if let Err(why) = &pv {
            tracing::error!(target: "rtpengine", "parameter with {name}: {why}");
        }
        pv.ok()
    })
    .as_ref()
}

impl RtpEngine {
    fn flags(&self, flags: &[u8]) -> Option<Flags> {
        match Flags::parse(flags) {
            Ok(flags) => Some(flags),
            Err(BadFlag(why)) => {
                tracing::error!(target: "rtpengine", "{why}");
                None
            }
        }
    }

    /// Sends a command; its answer.
    fn command(
        &self,
        ctx: &mut RouteContext<'_>,
        command: Command,
        flags: &Flags,
        sdp: Option<&[u8]>,
    ) -> Result<Answered, Failed> {
        let question = control::question(self, ctx, command, flags, sdp)?;
        let mut answered =
            self.ask(ctx, self.set_of(ctx), command, &question, self.settings.rtpengine_retr)?;
        let second = ctx.slots.peek::<Chosen>().and_then(|c| c.second);
        if let Some(second) = second.filter(|_| !command.is_subscription()) {
            // The relay of the other side gets what the first one made of the SDP.
            let sdp = answered.answer.text("sdp").map(<[u8]>::to_vec);
            let question = control::question(self, ctx, command, flags, sdp.as_deref())?;
            answered = self.ask(ctx, second, command, &question, self.settings.rtpengine_retr)?;
        }
        if let Some(pv) = parsed(&self.pvs.instance, ctx.core, self.settings.rtp_inst_pvar.as_deref()) {
            pv.set(ctx, Value::owned(answered.node.clone()));
        }
        if matches!(command, Command::Delete | Command::Query) {
            self.show_quality(ctx, &answered);
        }
        Ok(answered)
    }

    fn simple(&self, ctx: &mut RouteContext<'_>, command: Command, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        Outcome::from(self.command(ctx, command, &flags, None).is_ok())
    }

    /// The SDP that counts: of `read_sdp_pv`, else of the message.
    fn sdp(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        let given = parsed(&self.pvs.read, ctx.core, self.settings.read_sdp_pv.as_deref())
            .map(|pv| pv.get(ctx).to_text().into_owned())
            .filter(|text| !text.is_empty());
        let sdp = given.or_else(|| Sdp::of(&ctx.message).map(|own| own.text.to_vec()));
        if sdp.is_none() {
            tracing::error!(target: "rtpengine", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "there is no SDP");
        }
        sdp
    }

    fn with_sdp(&self, ctx: &mut RouteContext<'_>, command: Command, flags: &Flags) -> Outcome {
        let Some(sdp) = self.sdp(ctx) else { return Outcome::FALSE };
        let Ok(answered) = self.command(ctx, command, flags, Some(&sdp)) else { return Outcome::FALSE };
        let Some(new) = answered.answer.text("sdp") else {
            tracing::error!(target: "rtpengine", node = %answered.node, "the relay's answer has no SDP");
            return Outcome::FALSE;
        };
        if let Some(pv) = parsed(&self.pvs.write, ctx.core, self.settings.write_sdp_pv.as_deref()) {
            if !pv.set(ctx, Value::str(new)) {
                return Outcome::FALSE;
            }
            if self.settings.write_sdp_pv_mode == 0 {
                return Outcome::TRUE;
            }
        }
        let message = ctx.message.clone();
        let Some(own) = Sdp::of(&message) else { return Outcome::FALSE };
        ctx.edits.rewrite(own.start, own.end(), new);
        Outcome::TRUE
    }

    fn offer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        let command = if flags.answer { Command::Answer } else { Command::Offer };
        self.with_sdp(ctx, command, &flags)
    }
    fn answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        self.with_sdp(ctx, Command::Answer, &flags)
    }
    fn manage(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let given = parsed(&self.pvs.read, ctx.core, self.settings.read_sdp_pv.as_deref());
        let sdp =
            given.is_some_and(|pv| !pv.get(ctx).to_text().is_empty()) || Sdp::of(&ctx.message).is_some();
        match deed(ctx, sdp) {
            Deed::Offer => self.offer(ctx, flags),
            Deed::Answer => self.answer(ctx, flags),
            Deed::Delete => self.simple(ctx, Command::Delete, flags),
            Deed::Nothing => Outcome::TRUE,
            Deed::Refuse => Outcome::FALSE,
        }
    }
    fn play(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        let Ok(answered) = self.command(ctx, Command::PlayMedia, &flags, None) else { return Outcome::FALSE };
        if let Some(pv) = parsed(&self.pvs.duration, ctx.core, self.settings.media_duration.as_deref()) {
            let length = answered.answer.get("duration").and_then(bencode::Value::as_int).unwrap_or(-1);
            pv.set(ctx, Value::Int(length));
        }
        Outcome::TRUE
    }
    /// The call as the relay sees it. One try when a variable asks: it must not take long.
    fn statistics(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        let question = control::question(self, ctx, Command::Query, &Flags::default(), None).ok()?;
        let answer = self.ask(ctx, self.set_of(ctx), Command::Query, &question, 1).ok()?.answer;
        let totals = answer.dict("totals")?;
        let count = |protocol: &str, what: &str| {
            totals.dict(protocol).and_then(|d| d.get(what)).and_then(bencode::Value::as_int).unwrap_or(0)
        };
        let part = |p: &str| {
            format!(
                "{p}: {} bytes, {} packets, {} errors",
                count(p, "bytes"),
                count(p, "packets"),
                count(p, "errors")
            )
        };
        Some(format!("{}; {}", part("RTP"), part("RTCP")).into_bytes())
    }
    fn query_into(&self, ctx: &mut RouteContext<'_>, format: &[u8], pv: &Pv) -> Outcome {
        let Ok(answered) = self.command(ctx, Command::Query, &Flags::default(), None) else {
            return Outcome::FALSE;
        };
        let json = json(&bencode::Value::Dict(answered.answer));
        let text = match format {
            b"j" => Ok(json.to_string()),
            b"jp" => serde_json::to_string_pretty(&json),
            _ => {
                tracing::error!(target: "rtpengine", "rtpengine_query_v: the format is j or jp");
                return Outcome::FALSE;
            }
        };
        Outcome::from(text.is_ok_and(|text| pv.set(ctx, Value::owned(text))))
    }

    /// MOS into the variables of the parameters.
    fn show_quality(&self, ctx: &mut RouteContext<'_>, answered: &Answered) {
        if self.mos.is_empty() {
            return;
        }
        let core = ctx.core;
        let variable = |name: &str| self.mos.get(name).and_then(|(pv, slot)| parsed(slot, core, Some(pv)));
        for leg in ["", "_A", "_B"] {
            let label = match leg {
                "" => None,
                leg => match variable(&format!("mos{leg}_label_pv"))
                    .map(|pv| pv.get(ctx).to_text().into_owned())
                {
                    Some(label) if !label.is_empty() => Some(label),
                    _ => continue,
                },
            };
            for (name, value) in mos::values(&answered.answer, leg, label.as_deref()) {
                if let Some(pv) = variable(&name) {
                    pv.set(ctx, Value::owned(value));
                }
            }
        }
    }
}

fn json(value: &bencode::Value) -> serde_json::Value {
    match value {
        bencode::Value::Int(n) => (*n).into(),
        bencode::Value::Text(t) => String::from_utf8_lossy(t).into_owned().into(),
        bencode::Value::List(l) => l.iter().map(json).collect(),
        bencode::Value::Dict(d) => {
            let pairs = d.0.iter().map(|(n, v)| (String::from_utf8_lossy(n).into_owned(), json(v)));
            serde_json::Value::Object(pairs.collect())
        }
    }
}

#[ksr_module("rtpengine", rows = "CALLS")]
impl RtpEngine {
    /// Does what a message needs: an INVITE, UPDATE or PRACK with SDP is offered, an ACK or a reply with SDP is the answer (the offer,
    /// when the INVITE had none), BYE, CANCEL, failure routes and replies from 300 on end the call.
    ///
    /// Waits for the relay. Returns 1 also when nothing was to be done, -1 for other messages or when no relay does it.
    #[ksr(cfg = ["rtpengine_manage"], blocking)]
    fn rtpengine_manage0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.manage(ctx, b"")
    }
    /// As `rtpengine_manage0`, with flags separated by blanks: `replace-origin`, `ICE=remove`, `direction=priv direction=pub`, `RTP/SAVPF`,
    /// `via-branch=1`, `to-tag`, `from-tag=...`, `call-id=...` and all that the relay knows.
    #[ksr(cfg = ["rtpengine_manage"], blocking)]
    fn rtpengine_manage(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.manage(ctx, flags)
    }
    /// As `rtpengine_manage`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_manage"], blocking)]
    fn rtpengine_manage2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.manage(ctx, &with_branch(flags, via_branch))
    }
    /// Gives the SDP of this message to the relay as an offer and takes what it makes of it.
    ///
    /// Waits for the relay. Returns 1, or -1 when there is no SDP or no relay does it.
    #[ksr(cfg = ["rtpengine_offer"], blocking)]
    fn rtpengine_offer0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.offer(ctx, b"")
    }
    /// As `rtpengine_offer0`, with the flags of `rtpengine_manage`.
    #[ksr(cfg = ["rtpengine_offer"], blocking)]
    fn rtpengine_offer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.offer(ctx, flags)
    }
    /// As `rtpengine_offer`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_offer"], blocking)]
    fn rtpengine_offer2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.offer(ctx, &with_branch(flags, via_branch))
    }
    /// Gives the SDP of this message to the relay as the answer and takes what it makes of it. Returns 1, or -1 also without To tag.
    #[ksr(cfg = ["rtpengine_answer"], blocking)]
    fn rtpengine_answer0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.answer(ctx, b"")
    }
    /// As `rtpengine_answer0`, with the flags of `rtpengine_manage`.
    #[ksr(cfg = ["rtpengine_answer"], blocking)]
    fn rtpengine_answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.answer(ctx, flags)
    }
    /// As `rtpengine_answer`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_answer"], blocking)]
    fn rtpengine_answer2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.answer(ctx, &with_branch(flags, via_branch))
    }
    /// Records the call at the relay. Returns 1 or -1.
    #[ksr(cfg = ["start_recording"], blocking)]
    fn start_recording(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::StartRecording, b"")
    }
    /// Ends the recording of the call. Returns 1 or -1.
    #[ksr(cfg = ["stop_recording"], blocking)]
    fn stop_recording(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::StopRecording, b"")
    }
    /// Plays to the sender, or to the side that `from-tag=` names: `file=/x.wav`, `db-id=7`. Its length goes to `media_duration`. Returns 1 or
    /// -1.
    #[ksr(cfg = ["play_media"], blocking)]
    fn play_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.play(ctx, flags)
    }
    /// As `play_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["play_media"], blocking)]
    fn play_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.play(ctx, &with_branch(flags, via_branch))
    }
    /// Plays a DTMF event as if the sender had: `code=1 duration=250 volume=-8 pause=100`. Returns 1 or -1.
    #[ksr(cfg = ["play_dtmf"], blocking)]
    fn play_dtmf(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::PlayDtmf, flags)
    }
    /// Asks the relay about the call and writes the answer to a variable as JSON: `fmt` `j` in one line, `jp` with line breaks. Returns 1 or
    /// -1.
    #[ksr(cfg = ["rtpengine_query_v"], blocking)]
    fn rtpengine_query_v(&self, ctx: &mut RouteContext<'_>, fmt: &[u8], pv: &Pv) -> Outcome {
        self.query_into(ctx, fmt, pv)
    }
    /// The set of nodes for further functions in this message. Returns 1, or -1 when there is no such set.
    #[ksr(cfg = ["set_rtpengine_set"])]
    fn set_rtpengine_set(&self, ctx: &mut RouteContext<'_>, set: i64) -> Outcome {
        self.choose(ctx, set, None)
    }
    /// As `set_rtpengine_set`, with a second set that offers and answers go to after the first: one relay for each side.
    #[ksr(cfg = ["set_rtpengine_set"])]
    fn set_rtpengine_set2(&self, ctx: &mut RouteContext<'_>, set: i64, second: i64) -> Outcome {
        self.choose(ctx, set, Some(second))
    }
}

#[ksr_module("rtpengine", rows = "COMMANDS_OF_CALLS")]
impl RtpEngine {
    /// Ends the call at the relay. Returns 1, or -1 when no relay does it.
    #[ksr(cfg = ["rtpengine_delete"], blocking)]
    fn rtpengine_delete0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::Delete, b"")
    }
    /// As `rtpengine_delete0`, with flags.
    #[ksr(cfg = ["rtpengine_delete"], blocking)]
    fn rtpengine_delete(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::Delete, flags)
    }
    /// As `rtpengine_delete`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_delete"], blocking)]
    fn rtpengine_delete2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::Delete, &with_branch(flags, via_branch))
    }
    /// Asks the relay about the call: variables of the MOS parameters are set. Returns 1 or -1.
    #[ksr(cfg = ["rtpengine_query"], blocking)]
    fn rtpengine_query0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::Query, b"")
    }
    /// As `rtpengine_query0`, with flags.
    #[ksr(cfg = ["rtpengine_query"], blocking)]
    fn rtpengine_query(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::Query, flags)
    }
    /// As `rtpengine_query`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_query"], blocking)]
    fn rtpengine_query2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::Query, &with_branch(flags, via_branch))
    }
    /// Connects two sides of different calls that the relay knows: From tag and To tag, or flags `from-tag=` and `to-tag=`. Returns 1 or -1.
    #[ksr(cfg = ["rtpengine_connect"], blocking)]
    fn rtpengine_connect0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::Connect, b"")
    }
    /// As `rtpengine_connect0`, with flags.
    #[ksr(cfg = ["rtpengine_connect"], blocking)]
    fn rtpengine_connect(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::Connect, flags)
    }
    /// As `rtpengine_connect`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["rtpengine_connect"], blocking)]
    fn rtpengine_connect2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::Connect, &with_branch(flags, via_branch))
    }
    /// The relay sends no media on, for the whole call or, with flag `directional`, those of the sender. Returns 1 or -1.
    #[ksr(cfg = ["block_media"], blocking)]
    fn block_media0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::BlockMedia, b"")
    }
    /// As `block_media0`, with flags.
    #[ksr(cfg = ["block_media"], blocking)]
    fn block_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::BlockMedia, flags)
    }
    /// As `block_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["block_media"], blocking)]
    fn block_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::BlockMedia, &with_branch(flags, via_branch))
    }
    /// Ends what `block_media` began; flag `all`: for all sides. Returns 1 or -1.
    #[ksr(cfg = ["unblock_media"], blocking)]
    fn unblock_media0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::UnblockMedia, b"")
    }
    /// As `unblock_media0`, with flags.
    #[ksr(cfg = ["unblock_media"], blocking)]
    fn unblock_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnblockMedia, flags)
    }
    /// As `unblock_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["unblock_media"], blocking)]
    fn unblock_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnblockMedia, &with_branch(flags, via_branch))
    }
    /// The relay sends silence in place of media, as `block_media`. Returns 1 or -1.
    #[ksr(cfg = ["silence_media"], blocking)]
    fn silence_media0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::SilenceMedia, b"")
    }
    /// As `silence_media0`, with flags.
    #[ksr(cfg = ["silence_media"], blocking)]
    fn silence_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::SilenceMedia, flags)
    }
    /// As `silence_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["silence_media"], blocking)]
    fn silence_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::SilenceMedia, &with_branch(flags, via_branch))
    }
    /// Ends what `silence_media` began. Returns 1 or -1.
    #[ksr(cfg = ["unsilence_media"], blocking)]
    fn unsilence_media0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::UnsilenceMedia, b"")
    }
    /// As `unsilence_media0`, with flags.
    #[ksr(cfg = ["unsilence_media"], blocking)]
    fn unsilence_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnsilenceMedia, flags)
    }
    /// As `unsilence_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["unsilence_media"], blocking)]
    fn unsilence_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnsilenceMedia, &with_branch(flags, via_branch))
    }
    /// The relay sends no DTMF events on, as `block_media`. Returns 1 or -1.
    #[ksr(cfg = ["block_dtmf"], blocking)]
    fn block_dtmf0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::BlockDtmf, b"")
    }
    /// As `block_dtmf0`, with flags.
    #[ksr(cfg = ["block_dtmf"], blocking)]
    fn block_dtmf(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::BlockDtmf, flags)
    }
    /// As `block_dtmf`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["block_dtmf"], blocking)]
    fn block_dtmf2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::BlockDtmf, &with_branch(flags, via_branch))
    }
    /// Ends what `block_dtmf` began. Returns 1 or -1.
    #[ksr(cfg = ["unblock_dtmf"], blocking)]
    fn unblock_dtmf0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::UnblockDtmf, b"")
    }
    /// As `unblock_dtmf0`, with flags.
    #[ksr(cfg = ["unblock_dtmf"], blocking)]
    fn unblock_dtmf(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnblockDtmf, flags)
    }
    /// As `unblock_dtmf`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["unblock_dtmf"], blocking)]
    fn unblock_dtmf2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::UnblockDtmf, &with_branch(flags, via_branch))
    }
    /// Ends what `play_media` plays. Returns 1 or -1.
    #[ksr(cfg = ["stop_media"], blocking)]
    fn stop_media0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::StopMedia, b"")
    }
    /// As `stop_media0`, with flags.
    #[ksr(cfg = ["stop_media"], blocking)]
    fn stop_media(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::StopMedia, flags)
    }
    /// As `stop_media`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["stop_media"], blocking)]
    fn stop_media2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::StopMedia, &with_branch(flags, via_branch))
    }
    /// The relay sends copies of the media to its recording daemon, as `block_media`. Returns 1 or -1.
    #[ksr(cfg = ["start_forwarding"], blocking)]
    fn start_forwarding0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::StartForwarding, b"")
    }
    /// As `start_forwarding0`, with flags.
    #[ksr(cfg = ["start_forwarding"], blocking)]
    fn start_forwarding(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::StartForwarding, flags)
    }
    /// As `start_forwarding`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["start_forwarding"], blocking)]
    fn start_forwarding2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::StartForwarding, &with_branch(flags, via_branch))
    }
    /// Ends what `start_forwarding` began. Returns 1 or -1.
    #[ksr(cfg = ["stop_forwarding"], blocking)]
    fn stop_forwarding0(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.simple(ctx, Command::StopForwarding, b"")
    }
    /// As `stop_forwarding0`, with flags.
    #[ksr(cfg = ["stop_forwarding"], blocking)]
    fn stop_forwarding(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::StopForwarding, flags)
    }
    /// As `stop_forwarding`, with the kind of `via-branch` as an argument; empty: none.
    #[ksr(cfg = ["stop_forwarding"], blocking)]
    fn stop_forwarding2(&self, ctx: &mut RouteContext<'_>, flags: &[u8], via_branch: &[u8]) -> Outcome {
        self.simple(ctx, Command::StopForwarding, &with_branch(flags, via_branch))
    }
}

/// Flags with `via-branch=` from an argument of its own.
fn with_branch(flags: &[u8], via_branch: &[u8]) -> Vec<u8> {
    let via_branch = via_branch.trim_ascii();
    if via_branch.is_empty() { flags.to_vec() } else { [flags, b" via-branch=", via_branch].concat() }
}

impl RtpEngine {
    fn choose(&self, ctx: &mut RouteContext<'_>, first: i64, second: Option<i64>) -> Outcome {
        let sets = self.pool.sets();
        if let Some(missing) = [Some(first), second].into_iter().flatten().find(|s| sets.set(*s).is_none()) {
            tracing::error!(target: "rtpengine", set = missing, "there is no such set of nodes");
            return Outcome::FALSE;
        }
        *ctx.slots.slot::<Chosen>() = Chosen { first: Some(first), second: second.filter(|s| *s != first) };
        Outcome::TRUE
    }
}

fn statistics<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let found = ctx.core.registry.module::<RtpEngine>().and_then(|m| m.statistics(ctx));
    found.map_or(Value::Null, Value::owned)
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "rtpengine",
        name: "rtpestat",
        doc: "What the relay counted for the call so far: `RTP: 54846 bytes, 1447 packets, 0 errors; RTCP: ...`. Asks the relay; null when it does \
              not answer or knows no such call.",
        inner: Inner::None,
        get: statistics,
        set: None,
    },
    PseudoVariable {
        module: "rtpengine",
        name: "rtpstat",
        doc: "As `$rtpestat`.",
        inner: Inner::None,
        get: statistics,
        set: None,
    },
];

const GROUPS: &[&[Function]] = &[RtpEngine::CALLS, RtpEngine::COMMANDS_OF_CALLS, RtpEngine::SUBSCRIPTIONS];
const FUNCTIONS: &[Function] = &script::function::join::<{ script::function::count(GROUPS) }>(GROUPS);

static PARAMS: LazyLock<Vec<ModParam>> =
    LazyLock::new(|| Settings::PARAMS.iter().chain(mos::PARAMS.iter()).copied().collect());

impl Module for RtpEngine {
    fn name(&self) -> &'static str {
        "rtpengine"
    }
    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        &PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        if let Some(row) = mos::PARAMS.iter().find(|p| p.name == name) {
            let ParamValue::Str(pv) = value else {
                return Err(SetupError(format!("parameter {name} takes a string, not {}", value.describe())));
            };
            self.mos.insert(row.name, (pv, OnceLock::new()));
            return Ok(());
        }
        if let ("rtpengine_sock", ParamValue::Str(text)) = (name, &value) {
            // Read now, so that a mistake is shown at its line; kept until the default set is known.
            Pool::default().add(text, 0).map_err(SetupError)?;
            self.socks.push(text.clone());
        }
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        rpc::COMMANDS
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        let settings = &self.settings;
        for (name, given) in [
            ("dtmf_events_sock", settings.dtmf_events_sock.is_some()),
            ("event_callback", settings.event_callback.is_some()),
            ("enable_dmq", settings.enable_dmq),
            ("wsapi", settings.wsapi.is_some()),
        ] {
            if given {
                tracing::warn!(target: "rtpengine", "{name} is not supported yet");
            }
        }
        if let Some(text) = &settings.force_send_interface {
            let ip = text.trim_matches(['[', ']']).parse();
            self.from =
                Some(ip.map_err(|_| SetupError(format!("force_send_interface {text}: not an IP address")))?);
        }
        if let Some(url) = settings.db_url.clone() {
            let columns = Columns {
                set: settings.setid_col.clone(),
                url: settings.url_col.clone(),
                weight: settings.weight_col.clone(),
                disabled: Some(settings.disabled_col.clone()),
            };
            return self.pool.read_from(&url, &settings.table_name, columns).map_err(SetupError);
        }
        for text in &self.socks {
            self.pool.add(text, settings.setid_default).map_err(SetupError)?;
        }
        if self.socks.is_empty() {
            tracing::warn!(target: "rtpengine", "no rtpengine_sock: there is no relay, media are not touched");
        }
        Ok(())
    }
    fn tick(&self, core: &Core, now: Now) {
        // One try each: a node that is away must not hold up the start.
        self.pool.tick("rtpengine", |node| {
            self.ping(core, node, now, 1);
        });
        let seconds = now.mono.as_millis() / 1000;
        self.calls.clear(seconds);
        let interval = u64::from(self.settings.ping_interval);
        if interval > 0 && seconds.saturating_sub(self.pinged.load(Ordering::Relaxed)) >= interval {
            self.pinged.store(seconds, Ordering::Relaxed);
            for (_, node) in self.pool.sets().nodes() {
                let away = self.settings.ping_mode != 0 && node.state() == State::Down;
                if node.state() == State::Up || away {
                    self.ping(core, node, now, 1);
                }
            }
        }
    }
}
