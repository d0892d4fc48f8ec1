//! Copies of a call's media for a third party, such as a recorder: the relay makes an offer, the third party's answer goes back to it.
//!
//! The third party has a tag of its own in the call, which `rtpengine_subscribe_request` tells and the other two functions name with
//! `to-tag=`. Their message mostly belongs to another dialog, so they name the call with `call-id=` as well.

use script::vars::VarValue;
use script::{Outcome, Pv, RouteContext, Value, ksr_module};

use super::RtpEngine;
use super::bencode::{self, Dict};
use super::control::Command;
use super::flags::Flags;

impl RtpEngine {
    fn subscribe(
        &self,
        ctx: &mut RouteContext<'_>,
        flags: &[u8],
        sdp: &Pv,
        to_tag: &Pv,
        streams: &[u8],
    ) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        let Ok(answered) = self.command(ctx, Command::SubscribeRequest, &flags, None) else {
            return Outcome::FALSE;
        };
        let (Some(offer), Some(tag)) = (answered.answer.text("sdp"), answered.answer.text("to-tag")) else {
            tracing::error!(target: "rtpengine", node = %answered.node, "the relay's answer has no SDP or no tag");
            return Outcome::FALSE;
        };
        if !(sdp.set(ctx, Value::str(offer)) && to_tag.set(ctx, Value::str(tag))) {
            return Outcome::FALSE;
        }
        tell_streams(ctx, xavp_name(streams), &answered.answer);
        Outcome::TRUE
    }

    fn subscribe_answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        let Some(flags) = self.flags(flags) else { return Outcome::FALSE };
        let Some(sdp) = self.sdp(ctx) else { return Outcome::FALSE };
        Outcome::from(self.command(ctx, Command::SubscribeAnswer, &flags, Some(&sdp)).is_ok())
    }
}

/// Whether flags say whose media are meant; else it is the sender of the message.
pub(super) fn names_a_side(flags: &Flags) -> bool {
    let named = ["from-tags", "label", "from-label", "address"].iter().any(|n| flags.dict.get(n).is_some());
    let words = flags.dict.get("flags").map(bencode::Value::as_list).unwrap_or_default();
    named || words.iter().any(|w| w.as_text() == Some(b"all"))
}

/// `streams`, `$xavp(streams)`
fn xavp_name(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"$xavp(").and_then(|t| t.strip_suffix(b")")).unwrap_or(text)
}

/// A value for each side in the relay's order: its `tag`, and the `label` of each of its streams in the offer (with flag `siprec`).
fn tell_streams(ctx: &mut RouteContext<'_>, name: &[u8], answer: &Dict) {
    if name.is_empty() {
        return;
    }
    let text = |t: &[u8]| VarValue::Str(t.into());
    let side = |side: &Dict| {
        let medias = side.get("medias").map(bencode::Value::as_list).unwrap_or_default();
        let labels = medias.iter().filter_map(|m| m.as_dict()?.text("label"));
        let fields = side.text("tag").map(|t| ("tag", t)).into_iter().chain(labels.map(|l| ("label", l)));
        VarValue::Xavp(fields.map(|(n, v)| (n.as_bytes().into(), text(v))).collect())
    };
    let sides: Vec<VarValue> = match answer.get("tag-medias") {
        Some(sides) => sides.as_list().iter().filter_map(|s| s.as_dict().map(side)).collect(),
        None => {
            let tags = answer.get("from-tags").map(bencode::Value::as_list).unwrap_or_default();
            let tags = tags.iter().filter_map(bencode::Value::as_text);
            tags.map(|tag| VarValue::Xavp(vec![(b"tag"[..].into(), text(tag))])).collect()
        }
    };
    ctx.vars().with(|lists| {
        lists.xavps.retain(|(n, _)| n.as_ref() != name);
        lists.xavps.splice(0..0, sides.into_iter().map(|s| (Box::from(name), s)));
    });
}

#[ksr_module("rtpengine", rows = "SUBSCRIPTIONS")]
impl RtpEngine {
    /// Asks the relay for a copy of the call's media: of the sender of this message, of the sides that `from-tags=` names (also several
    /// times), or of both with `all`; `siprec` numbers the streams. `sdp_avp` gets the offer for the third party, `to_tag_avp` the tag it has
    /// in the call from now on (`to-tag=` chooses it), the XAVP `stream_xavp` a value for each side with its `tag` and the `label` of each
    /// stream.
    ///
    /// Waits for the relay. Returns 1, or -1 when no relay does it.
    #[ksr(cfg = ["rtpengine_subscribe_request"], blocking)]
    fn rtpengine_subscribe_request(
        &self,
        ctx: &mut RouteContext<'_>,
        flags: &[u8],
        sdp_avp: &Pv,
        to_tag_avp: &Pv,
        stream_xavp: &[u8],
    ) -> Outcome {
        self.subscribe(ctx, flags, sdp_avp, to_tag_avp, stream_xavp)
    }
    /// Gives the SDP of this message to the relay, as the third party's answer to the offer of `rtpengine_subscribe_request`; flags name
    /// the call with `call-id=`, unless this message belongs to it, and the third party with `to-tag=`. The relay sends the copies from then
    /// on; with `allow-transcoding` also when the third party took only some of the codecs.
    ///
    /// Waits for the relay. Returns 1, or -1 when there is no SDP or no `to-tag=`, or no relay does it.
    #[ksr(cfg = ["rtpengine_subscribe_answer"], blocking)]
    fn rtpengine_subscribe_answer(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.subscribe_answer(ctx, flags)
    }
    /// Ends the copies to the third party of `to-tag=`, with the flags of `rtpengine_subscribe_answer`. Returns 1 or -1; 1 also when the relay
    /// knows no such tag.
    #[ksr(cfg = ["rtpengine_unsubscribe"], blocking)]
    fn rtpengine_unsubscribe(&self, ctx: &mut RouteContext<'_>, flags: &[u8]) -> Outcome {
        self.simple(ctx, Command::Unsubscribe, flags)
    }
}
