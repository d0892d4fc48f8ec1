//! Looking at the SDP of a message and taking parts out of it: codecs, streams, lines.
//!
//! Everything works on the message as it was received; changes become edits. `codecs.rs` finds and removes payload types, `iterator.rs`
//! goes through the lines, `pv.rs` has `$sdp(...)`.

mod codecs;
mod iterator;
mod pv;

use message::grammar;
use script::{Function, Module, Outcome, PseudoVariable, Pv, RouteContext, Value, ksr_module};

use crate::sdp::{Media, Sdp};
use crate::textops::headers::media_type;
use crate::textops::multipart;
use codecs::By;

/// Module `sdpops`.
#[derive(Debug, Default)]
pub struct SdpOps {}

/// Kamailio answers 0, neither true nor false, where nothing was found or everything is done.
const NOTHING: Outcome = Outcome(0);
/// There is no SDP.
const NO_SDP: Outcome = Outcome(-2);

fn with_media(ctx: &RouteContext<'_>, wanted: impl Fn(&Sdp<'_>, &Media<'_>) -> bool) -> Outcome {
    let found = Sdp::of(&ctx.message).is_some_and(|sdp| sdp.media.iter().any(|m| wanted(&sdp, m)));
    if found { Outcome::TRUE } else { NOTHING }
}

fn with_transport(ctx: &RouteContext<'_>, wanted: impl Fn(&[u8]) -> bool) -> Outcome {
    let found = Sdp::of(&ctx.message).is_some_and(|sdp| sdp.media.iter().any(|m| wanted(m.transport)));
    Outcome::from(found)
}

/// Whether a stream carries something: it has a port, and neither it nor the session is inactive.
fn is_active(sdp: &Sdp<'_>, media: &Media<'_>) -> bool {
    let silent = |l: &crate::sdp::Line<'_>| l.text == b"a=inactive";
    media.port() != Some(0) && !media.lines.iter().chain(&sdp.session).any(silent)
}

fn assign(ctx: &mut RouteContext<'_>, pv: &Pv, text: &[u8]) -> Outcome {
    Outcome::from(pv.set(ctx, Value::str(text)))
}

#[ksr_module("sdpops", rows = "STREAMS")]
impl SdpOps {
    /// Removes lines that begin with a text from streams of a kind (`audio`); empty: from everywhere. Returns how many, -1 without SDP.
    #[ksr(cfg = ["sdp_remove_line_by_prefix"])]
    fn remove_line_by_prefix(&self, ctx: &mut RouteContext<'_>, prefix: &[u8], media: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let Some(sdp) = Sdp::of(&message) else { return Outcome::FALSE };
        let session = sdp.session.iter().filter(|_| media.is_empty());
        let streams = sdp
            .media
            .iter()
            .filter(|m| media.is_empty() || m.kind.eq_ignore_ascii_case(media))
            .flat_map(|m| &m.lines);
        let mut count = 0;
        for line in session.chain(streams).filter(|l| !prefix.is_empty() && l.text.starts_with(prefix)) {
            ctx.edits.remove(line.start, line.next);
            count += 1;
        }
        Outcome(count)
    }
    /// Removes the streams of a kind (`video`). Returns how many. RFC 3264 §6 wants as many streams in the answer as in the offer.
    #[ksr(cfg = ["sdp_remove_media"])]
    fn remove_media(&self, ctx: &mut RouteContext<'_>, media: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let Some(sdp) = Sdp::of(&message) else { return NOTHING };
        let mut count = 0;
        for stream in sdp.media.iter().filter(|m| m.kind.eq_ignore_ascii_case(media)) {
            if let Some(first) = stream.lines.first() {
                ctx.edits.remove(first.start, stream.end());
                count += 1;
            }
        }
        Outcome(count)
    }
    /// Whether the message has SDP: its body, or a part of it. Returns 1 or -1.
    #[ksr(cfg = ["sdp_content"])]
    fn sdp_content(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(
            Sdp::of(&ctx.message).is_some_and(|s| s.lines().any(|l| l.kind() == b'v' || l.kind() == b'm')),
        )
    }
    /// As `sdp_content`; with flags other than 0 only Content-Type is looked at, of the message or of a part.
    #[ksr(cfg = ["sdp_content"])]
    fn sdp_content_flags(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Outcome {
        if flags == 0 {
            return self.sdp_content(ctx);
        }
        let message = &ctx.message;
        if message.body().is_empty() {
            return Outcome::FALSE;
        }
        let plain = media_type(message).is_some_and(|t| t.eq_ignore_ascii_case(b"application/sdp"));
        Outcome::from(plain || multipart::find_part(message, b"application/sdp").is_some())
    }
    /// Whether the SDP has ICE candidates (RFC 8839). Returns 1 or -1.
    #[ksr(cfg = ["sdp_with_ice"])]
    fn sdp_with_ice(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(
            Sdp::of(&ctx.message).is_some_and(|s| s.lines().any(|l| l.attribute(b"candidate").is_some())),
        )
    }
    /// Whether the SDP has a stream of a kind (`audio`, `video`). Returns 1 or 0.
    #[ksr(cfg = ["sdp_with_media"])]
    fn sdp_with_media(&self, ctx: &mut RouteContext<'_>, media: &[u8]) -> Outcome {
        with_media(ctx, |_, m| m.kind.eq_ignore_ascii_case(media))
    }
    /// Whether the SDP has a stream of a kind that is not refused (port 0) and not inactive. Returns 1 or 0.
    #[ksr(cfg = ["sdp_with_active_media"])]
    fn sdp_with_active_media(&self, ctx: &mut RouteContext<'_>, media: &[u8]) -> Outcome {
        with_media(ctx, |sdp, m| m.kind.eq_ignore_ascii_case(media) && is_active(sdp, m))
    }
    /// Whether a stream has this transport (`RTP/AVP`). Returns 1 or -1.
    #[ksr(cfg = ["sdp_with_transport"])]
    fn sdp_with_transport(&self, ctx: &mut RouteContext<'_>, transport: &[u8]) -> Outcome {
        with_transport(ctx, |t| t.eq_ignore_ascii_case(transport))
    }
    /// Whether a stream's transport has this text in it (`AVPF`). Returns 1 or -1.
    #[ksr(cfg = ["sdp_with_transport_like"])]
    fn sdp_with_transport_like(&self, ctx: &mut RouteContext<'_>, part: &[u8]) -> Outcome {
        with_transport(ctx, |t| part.is_empty() || t.windows(part.len()).any(|w| w == part))
    }
    /// Writes the transport of all streams to a variable. Returns 1, -2 when they have different ones, -1 without SDP.
    #[ksr(cfg = ["sdp_transport"])]
    fn sdp_transport(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> Outcome {
        let message = ctx.message.clone();
        let Some(sdp) = Sdp::of(&message) else { return Outcome::FALSE };
        let Some(first) = sdp.media.first() else { return Outcome::FALSE };
        if sdp.media.iter().any(|m| !m.transport.eq_ignore_ascii_case(first.transport)) {
            return Outcome(-2);
        }
        assign(ctx, pv, first.transport)
    }
    /// Writes the SDP to a variable. Returns 1, -2 without SDP, -1 when the variable cannot be written.
    #[ksr(cfg = ["sdp_get"])]
    fn sdp_get(&self, ctx: &mut RouteContext<'_>, pv: &Pv) -> Outcome {
        let message = ctx.message.clone();
        match Sdp::of(&message) {
            Some(sdp) => assign(ctx, pv, sdp.text),
            None => NO_SDP,
        }
    }
    /// Writes the first line that begins with a text to a variable. Returns 1, -1 when there is none, -2 without SDP.
    #[ksr(cfg = ["sdp_get_line_startswith"])]
    fn sdp_get_line_startswith(&self, ctx: &mut RouteContext<'_>, pv: &Pv, start: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let Some(sdp) = Sdp::of(&message) else { return NO_SDP };
        let line = sdp.lines().find(|l| !start.is_empty() && l.text.starts_with(start));
        match line {
            Some(line) => assign(ctx, pv, line.text),
            None => Outcome::FALSE,
        }
    }
    /// Logs how the SDP was understood, at this level (-5 to 3). Returns 1.
    #[ksr(cfg = ["sdp_print"])]
    fn sdp_print(&self, ctx: &mut RouteContext<'_>, level: i64) -> Outcome {
        let shown = match Sdp::of(&ctx.message) {
            None => "no SDP".to_owned(),
            Some(sdp) => {
                let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
                let streams = sdp.media.iter().map(|m| {
                    format!(
                        "{} {} {} {}, {} lines",
                        text(m.kind),
                        text(m.port),
                        text(m.transport),
                        text(m.formats),
                        m.lines.len()
                    )
                });
                format!("{} session lines; {}", sdp.session.len(), streams.collect::<Vec<_>>().join("; "))
            }
        };
        let call_id = String::from_utf8_lossy(ctx.message.call_id());
        match level {
            ..=-1 => tracing::error!(target: "sdpops", %call_id, "{shown}"),
            0 => tracing::warn!(target: "sdpops", %call_id, "{shown}"),
            1 | 2 => tracing::info!(target: "sdpops", %call_id, "{shown}"),
            _ => tracing::debug!(target: "sdpops", %call_id, "{shown}"),
        }
        Outcome::TRUE
    }
    /// Family of the first `c=` address: 4 or 6; -1 when there is none.
    #[ksr(cfg = ["sdp_get_address_family"])]
    fn sdp_get_address_family(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let family =
            Sdp::of(&ctx.message).and_then(|s| s.media_addresses().next().map(|a| a.family.to_vec()));
        Outcome(match family.as_deref() {
            Some(b"IP4") => 4,
            Some(b"IP6") => 6,
            _ => -1,
        })
    }
}

#[ksr_module("sdpops", rows = "CODECS")]
impl SdpOps {
    /// Removes codecs by name (comma list) from streams of a kind; empty: from all. With them go their `a=rtpmap`, `a=fmtp`,
    /// `a=rtcp-fb`. Returns 0, or -1 without SDP or when no stream has one of them.
    #[ksr(cfg = ["sdp_remove_codecs_by_name"])]
    fn remove_codecs_by_name(&self, ctx: &mut RouteContext<'_>, codecs: &[u8], media: &[u8]) -> Outcome {
        codecs::remove(ctx, By::Name, codecs, media, false)
    }
    /// As `remove_codecs_by_name`, by payload type number.
    #[ksr(cfg = ["sdp_remove_codecs_by_id"])]
    fn remove_codecs_by_id(&self, ctx: &mut RouteContext<'_>, codecs: &[u8], media: &[u8]) -> Outcome {
        codecs::remove(ctx, By::Number, codecs, media, false)
    }
    /// Removes all codecs but these, by name. Returns as `remove_codecs_by_name`.
    #[ksr(cfg = ["sdp_keep_codecs_by_name"])]
    fn keep_codecs_by_name(&self, ctx: &mut RouteContext<'_>, codecs: &[u8], media: &[u8]) -> Outcome {
        codecs::remove(ctx, By::Name, codecs, media, true)
    }
    /// Removes all codecs but these, by payload type number. Returns as `remove_codecs_by_name`.
    #[ksr(cfg = ["sdp_keep_codecs_by_id"])]
    fn keep_codecs_by_id(&self, ctx: &mut RouteContext<'_>, codecs: &[u8], media: &[u8]) -> Outcome {
        codecs::remove(ctx, By::Number, codecs, media, true)
    }
    /// Whether streams have codecs of a comma list of payload type numbers. Returns 1 when every stream has all, 2 when some have some, 0
    /// none, -1 without SDP.
    #[ksr(cfg = ["sdp_with_codecs_by_id"])]
    fn sdp_with_codecs_by_id(&self, ctx: &mut RouteContext<'_>, codecs: &[u8]) -> Outcome {
        codecs::with(ctx, By::Number, codecs)
    }
    /// As `sdp_with_codecs_by_id`, by name; -1 also when no stream has one of them.
    #[ksr(cfg = ["sdp_with_codecs_by_name"])]
    fn sdp_with_codecs_by_name(&self, ctx: &mut RouteContext<'_>, codecs: &[u8]) -> Outcome {
        codecs::with(ctx, By::Name, codecs)
    }
}

/// Items of a list as these functions take it: `PCMU,PCMA`, also with other separators.
fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| matches!(b, b',' | b' ' | b';' | b'|')).map(<[u8]>::trim_ascii).filter(|i| !i.is_empty())
}

/// A number with nothing around it.
fn number(text: &[u8]) -> Option<i64> {
    let text = grammar::trim(text);
    std::str::from_utf8(text).ok()?.parse().ok()
}

const GROUPS: &[&[Function]] = &[SdpOps::STREAMS, SdpOps::CODECS, SdpOps::ITERATOR];
const FUNCTIONS: &[Function] = &script::function::join::<{ script::function::count(GROUPS) }>(GROUPS);

impl Module for SdpOps {
    fn name(&self) -> &'static str {
        "sdpops"
    }
    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        pv::ROWS
    }
}

#[cfg(test)]
mod tests;
