//! The ng control protocol: a dictionary with a command, answered by one with a result.

use std::net::IpAddr;
use std::time::Duration;

use message::HeaderName;
use script::exchange::{Ask, AskError};
use script::{Core, RouteContext};
use transaction::Now;

use super::bencode::{Dict, Value};
use super::flags::{Flags, Via};
use super::subscribe::names_a_side;
use super::{Chosen, RtpEngine, parsed};
use crate::relay::{Attempt, Node};

/// Commands by their names in the protocol, with what goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Offer,
    Answer,
    Delete,
    Query,
    StartRecording,
    StopRecording,
    BlockMedia,
    UnblockMedia,
    SilenceMedia,
    UnsilenceMedia,
    BlockDtmf,
    UnblockDtmf,
    StartForwarding,
    StopForwarding,
    PlayMedia,
    StopMedia,
    PlayDtmf,
    Connect,
    SubscribeRequest,
    SubscribeAnswer,
    Unsubscribe,
}

impl Command {
    pub fn name(self) -> &'static str {
        match self {
            Command::Offer => "offer",
            Command::Answer => "answer",
            Command::Delete => "delete",
            Command::Query => "query",
            Command::StartRecording => "start recording",
            Command::StopRecording => "stop recording",
            Command::BlockMedia => "block media",
            Command::UnblockMedia => "unblock media",
            Command::SilenceMedia => "silence media",
            Command::UnsilenceMedia => "unsilence media",
            Command::BlockDtmf => "block DTMF",
            Command::UnblockDtmf => "unblock DTMF",
            Command::StartForwarding => "start forwarding",
            Command::StopForwarding => "stop forwarding",
            Command::PlayMedia => "play media",
            Command::StopMedia => "stop media",
            Command::PlayDtmf => "play DTMF",
            Command::Connect => "connect",
            Command::SubscribeRequest => "subscribe request",
            Command::SubscribeAnswer => "subscribe answer",
            Command::Unsubscribe => "unsubscribe",
        }
    }
    /// Whether it is about the whole call unless flags name a side.
    fn whole_call(self) -> bool {
        use Command::*;
        matches!(
            self,
            BlockMedia
                | UnblockMedia
                | SilenceMedia
                | UnsilenceMedia
                | BlockDtmf
                | UnblockDtmf
                | StartForwarding
                | StopForwarding
        )
    }
    fn has_sdp(self) -> bool {
        matches!(self, Command::Offer | Command::Answer | Command::SubscribeAnswer)
    }
    /// Whether it is about a third party: its tag is in no message.
    pub fn is_subscription(self) -> bool {
        matches!(self, Command::SubscribeRequest | Command::SubscribeAnswer | Command::Unsubscribe)
    }
}

/// Why a command came to nothing; logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// An answer and who gave it.
#[derive(Debug)]
pub(super) struct Answered {
    pub node: String,
    pub answer: Dict,
}

fn seconds(now: Now) -> u64 {
    now.mono.as_millis() / 1000
}

fn fail(ctx: &RouteContext<'_>, why: &str) -> Failed {
    tracing::error!(target: "rtpengine", call_id = %String::from_utf8_lossy(ctx.message.call_id()), "{why}");
    Failed
}

/// The question that a message and a script's flags make.
pub(super) fn question(
    rtpengine: &RtpEngine,
    ctx: &RouteContext<'_>,
    command: Command,
    flags: &Flags,
    sdp: Option<&[u8]>,
) -> Result<Dict, Failed> {
    let message = &ctx.message;
    let mut dict = flags.dict.clone();
    dict.push("supports", Value::text("load limit"));
    if let Some(sdp) = sdp.filter(|_| command.has_sdp()) {
        dict.set("sdp", Value::text(sdp));
    }
    let call_id = flags.call_id.as_deref().unwrap_or(message.call_id());
    if call_id.is_empty() {
        return Err(fail(ctx, "no Call-ID"));
    }
    dict.set("call-id", Value::text(call_id));
    if let Some(branch) = via_branch(rtpengine, ctx, flags.via)? {
        dict.set("via-branch", Value::text(branch));
    }
    let source = ctx.inbound.source.ip().to_canonical();
    let family = if matches!(source, IpAddr::V4(_)) { "IP4" } else { "IP6" };
    dict.set("received-from", Value::List(vec![Value::text(family), Value::text(source.to_string())]));

    let (from, to) = match command.is_subscription() {
        true => subscription_tags(ctx, command, flags)?,
        false => tags(ctx, command, flags)?,
    };
    if let Some(from) = from {
        dict.set("from-tag", Value::text(from));
    }
    if let Some(to) = to {
        dict.set("to-tag", Value::text(to));
    }
    dict.set("command", Value::text(command.name()));
    Ok(dict)
}

type Tags = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Tags of From and To.
fn own_tags(ctx: &RouteContext<'_>) -> Tags {
    let tag = |header: HeaderName| {
        let address = if header == HeaderName::From { ctx.message.from() } else { ctx.message.to() };
        address.ok().and_then(|a| a.tag()).filter(|t| !t.is_empty()).map(<[u8]>::to_vec)
    };
    (tag(HeaderName::From), tag(HeaderName::To))
}

/// `from-tag` and `to-tag` of a command.
fn tags(ctx: &RouteContext<'_>, command: Command, flags: &Flags) -> Result<Tags, Failed> {
    let request = ctx.message.is_request();
    let (from, to) = own_tags(ctx);
    if command == Command::Answer && to.is_none() && flags.to_tag.is_none() {
        return Err(fail(ctx, "an answer needs a To tag"));
    }
    // The side whose message this is stands first.
    let straight = match command {
        Command::Answer => !request,
        Command::Delete => true,
        command => request || command.whole_call() || to.is_none(),
    };
    let (first, second) = if straight { (from, to) } else { (to, from) };
    let first = flags.from_tag.clone().or(first).ok_or_else(|| fail(ctx, "no From tag"))?;
    let second = flags.to_tag.clone().or(second);
    let one = !command.whole_call() || flags.directional || flags.from_tag.is_some();
    let both = !command.whole_call() && (flags.with_to_tag || command != Command::Delete);
    Ok((Some(first).filter(|_| one), second.filter(|_| both)))
}

/// The same where a third party is concerned: no message has its tag, and one of another call has no tag of this one.
fn subscription_tags(ctx: &RouteContext<'_>, command: Command, flags: &Flags) -> Result<Tags, Failed> {
    if command != Command::SubscribeRequest && flags.to_tag.is_none() {
        return Err(fail(ctx, "to-tag= is missing: the tag that rtpengine_subscribe_request told"));
    }
    let (from, to) = own_tags(ctx);
    let sender = if ctx.message.is_request() { from } else { to };
    let sender = sender.filter(|_| flags.call_id.is_none() && !names_a_side(flags));
    Ok((flags.from_tag.clone().or(sender), flags.to_tag.clone()))
}

fn via_branch(rtpengine: &RtpEngine, ctx: &RouteContext<'_>, via: Via) -> Result<Option<Vec<u8>>, Failed> {
    let request = ctx.message.is_request();
    let at = match via {
        Via::None => return Ok(None),
        Via::First => 0,
        Via::Second => 1,
        Via::Auto => usize::from(!request),
        Via::AutoExtra if !request => 0,
        Via::Extra | Via::AutoExtra => {
            let name = rtpengine.settings.extra_id_pv.as_deref();
            let value =
                parsed(&rtpengine.pvs.extra_id, ctx.core, name).map(|pv| pv.get(ctx).to_text().into_owned());
            return match value.filter(|v| !v.is_empty()) {
                Some(value) => Ok(Some(value)),
                None => Err(fail(ctx, "via-branch=extra needs a value in extra_id_pv")),
            };
        }
    };
    let branch = ctx.message.vias().nth(at).and_then(Result::ok).and_then(|v| v.branch);
    branch.map(|b| Some(b.to_vec())).ok_or_else(|| fail(ctx, "there is no such Via branch"))
}

impl RtpEngine {
    fn until(&self, now: Now) -> u64 {
        seconds(now) + u64::from(self.settings.rtpengine_disable_tout)
    }

    fn put(&self, core: &Core, node: &Node, question: &Dict, tries: u32) -> Result<Dict, AskError> {
        let mut payload = Vec::with_capacity(1024);
        question.write(&mut payload);
        let answer = core.exchange.ask(&Ask {
            peer: &node.peer,
            payload: &payload,
            timeout: Duration::from_millis(u64::from(self.settings.rtpengine_tout_ms.clamp(1, 60_000))),
            tries,
            from: self.from,
            tos: u8::try_from(self.settings.control_cmd_tos).ok(),
        })?;
        let Some(Value::Dict(answer)) = Value::read(&answer) else {
            return Err(AskError::Unreachable("its answer cannot be read".into()));
        };
        match answer.text("result") {
            Some(b"load limit") => Err(AskError::Busy),
            _ => Ok(answer),
        }
    }

    /// Whether a node is there.
    pub(super) fn ping(&self, core: &Core, node: &Node, now: Now, tries: u32) -> bool {
        let mut question = Dict::default();
        question.set("command", Value::text("ping"));
        match self.put(core, node, &question, tries) {
            Ok(answer) if answer.text("result") == Some(b"pong") => {
                node.up("rtpengine");
                true
            }
            Ok(_) => {
                node.down("rtpengine", "it does not answer pings", self.until(now));
                false
            }
            Err(why) => {
                node.down("rtpengine", &why.to_string(), self.until(now));
                false
            }
        }
    }

    /// The set that counts for a message: the script's choice, `setid_avp`, `setid_default`.
    pub(super) fn set_of(&self, ctx: &RouteContext<'_>) -> i64 {
        if let Some(Chosen { first: Some(set), .. }) = ctx.slots.peek::<Chosen>() {
            return *set;
        }
        let by_avp = parsed(&self.pvs.setid, ctx.core, self.settings.setid_avp.as_deref())
            .and_then(|pv| pv.get(ctx).to_int());
        by_avp.unwrap_or(self.settings.setid_default)
    }

    /// Sends a question about a call to its node, or to the next when that one does not answer.
    pub(super) fn ask(
        &self,
        ctx: &RouteContext<'_>,
        set: i64,
        command: Command,
        question: &Dict,
        tries: u32,
    ) -> Result<Answered, Failed> {
        let call = question.text("call-id").unwrap_or_default();
        let now = seconds(ctx.now);
        // Sets have tables of their own: a call may be at a node of each.
        let key = [call, format!(";{set}").as_bytes()].concat();
        let known = self.calls.node(&key, now);
        let how = Attempt {
            module: "rtpengine",
            set,
            call,
            now,
            until: self.until(ctx.now),
            limit: self.settings.queried_nodes_limit.clamp(1, 30) as usize,
            first: known.as_deref(),
            stays: self.settings.rtpengine_allow_op != 0,
            desperate: self.settings.aggressive_redetection,
        };
        let found = self.pool.ask(
            &how,
            |node| self.ping(ctx.core, node, ctx.now, 1),
            |node| self.put(ctx.core, node, question, tries),
        );
        let (node, answer) = found.ok_or(Failed)?;
        match command {
            Command::Delete => self.calls.remove(&key),
            // The call may be over by then.
            Command::Unsubscribe => {}
            _ => self.calls.put(&key, &node, now + u64::from(self.settings.hash_table_tout)),
        }
        if answer.text("result") == Some(b"error") {
            let why = answer.text("error-reason").unwrap_or(b"no reason given");
            return Err(fail(
                ctx,
                &format!("{} refuses {}: {}", node, command.name(), String::from_utf8_lossy(why)),
            ));
        }
        if let Some(warning) = answer.text("warning") {
            tracing::info!(target: "rtpengine", call_id = %String::from_utf8_lossy(call), command = command.name(), "{}", String::from_utf8_lossy(warning));
        }
        Ok(Answered { node, answer })
    }
}
