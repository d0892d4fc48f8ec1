//! The relay's addresses in place of the user agent's: ports in `m=`, addresses in `c=` and `o=`, `a=rtcp`, ICE candidates.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use message::Edits;
use script::{Outcome, RouteContext};

use super::control::{CODECS, Call, PACKETS, STREAMS};
use super::flags::Flags;
use super::{MARKED, NO_RELAY, RtpProxy, parsed};
use crate::relay::Node;
use crate::sdp::{Address, Media, Sdp, fields};

/// What is to be written, once every stream has its place at the relay.
#[derive(Default)]
struct Changes {
    /// Spans with what goes in their place.
    spans: Vec<(u32, u32, Vec<u8>)>,
    /// Lines before what begins at an offset.
    lines: Vec<(u32, Vec<u8>)>,
}

impl Changes {
    fn put(&mut self, start: u32, length: usize, text: &[u8]) {
        self.spans.push((start, start + length as u32, text.to_vec()));
    }
    /// Over what an earlier call wrote.
    fn apply(self, sdp: &Sdp<'_>, edits: &mut Edits) {
        for (start, end, text) in &self.spans {
            edits.rewrite(*start, *end, text);
        }
        for (at, line) in &self.lines {
            sdp.insert_line(edits, *at, line);
        }
    }
}

/// Where a stream goes now.
struct Relayed {
    port: u16,
    ip: Option<IpAddr>,
}

/// Sends a command for every stream and writes the answers into the SDP.
pub(super) fn through_relay(
    rtpproxy: &RtpProxy,
    ctx: &mut RouteContext<'_>,
    flags: &Flags,
    ip: &[u8],
    offer: bool,
) -> Outcome {
    let message = ctx.message.clone();
    let Some(sdp) = Sdp::of(&message) else { return Outcome::FALSE };
    let Some(call) = Call::of(rtpproxy, ctx, flags) else { return Outcome::FALSE };
    let mark = rtpproxy.settings.nortpproxy_str.trim_end().as_bytes();
    if !mark.is_empty() && !flags.force && sdp.lines().any(|l| l.text == mark) {
        return MARKED;
    }
    let given: Option<IpAddr> = std::str::from_utf8(ip).ok().and_then(|t| t.parse().ok());
    if !ip.is_empty() && given.is_none() {
        tracing::error!(target: "rtpproxy", address = %String::from_utf8_lossy(ip), "not an IP address");
        return Outcome::FALSE;
    }
    // An offer without To tag makes the session; an answer, or `l`, finds it by both tags.
    let lookup = !offer || flags.lookup;
    if lookup && call.to_tag.is_none() {
        return Outcome::FALSE;
    }
    let swap = message.is_request() == lookup;
    let to = call.to_tag.clone().unwrap_or_default();
    let (first, second) = if swap { (&to, &call.from_tag) } else { (&call.from_tag, &to) };
    if first.is_empty() {
        return Outcome::FALSE;
    }
    let mut changes = Changes::default();
    let mut last = None;
    for (number, media) in sdp.media.iter().enumerate() {
        let Some(port) = media.port().filter(|p| *p != 0) else { continue };
        if media.transport.starts_with(b"TCP") {
            continue;
        }
        let own = media.connection().or(sdp.session_connection()).and_then(|l| sdp.address(l));
        let told = own.and_then(|a| a.ip());
        let address = match told.filter(|_| flags.trust) {
            Some(ip) => ip,
            None => ctx.inbound.source.ip().to_canonical(),
        };
        let command = |node: &Node| {
            let features = node.features.load(Ordering::Relaxed);
            let mut line = vec![if lookup { b'L' } else { b'U' }];
            line.extend_from_slice(&flags.options);
            if flags.bridge {
                line.extend_from_slice(if told.is_some_and(|t| t.is_ipv6()) { b"EI" } else { b"IE" });
            }
            if address.is_ipv6() {
                line.push(b'6');
            }
            if let Some(packet) = flags.packet.filter(|_| features & PACKETS != 0) {
                line.extend_from_slice(format!("Z{packet}").as_bytes());
            }
            if features & CODECS != 0 && media.transport.windows(3).any(|w| w == b"RTP") {
                line.push(b'c');
                let numbers: Vec<&[u8]> =
                    fields(media.formats).filter(|f| f.iter().all(u8::is_ascii_digit)).take(64).collect();
                line.extend_from_slice(&numbers.join(&b','));
            }
            let tag = |tag: &[u8]| match features & STREAMS {
                0 => tag.to_vec(),
                _ => [tag, format!(";{}", number + 1).as_bytes()].concat(),
            };
            line.extend_from_slice(b" ");
            line.extend_from_slice(&call.id);
            line.extend_from_slice(format!(" {address} {port} ").as_bytes());
            line.extend_from_slice(&tag(first));
            if !second.is_empty() {
                line.push(b' ');
                line.extend_from_slice(&tag(second));
                // Behind both tags only, where the protocol has its place.
                if !rtpproxy.settings.timeout_socket.is_empty() && !lookup {
                    line.push(b' ');
                    line.extend_from_slice(rtpproxy.settings.timeout_socket.as_bytes());
                }
            }
            line
        };
        let Some(answer) = rtpproxy.command(ctx, &call.key, command) else { return NO_RELAY };
        let Some(relayed) = read(&answer) else {
            tracing::error!(target: "rtpproxy", call_id = %String::from_utf8_lossy(&call.key), answer = %String::from_utf8_lossy(&answer),
                "the relay has no session for this call");
            return Outcome::FALSE;
        };
        let Some(new) = given.or(relayed.ip).or(last) else { return Outcome::FALSE };
        last = Some(new);
        stream(&mut changes, &message, &sdp, media, &relayed, new);
        add_candidate(rtpproxy, ctx, &mut changes, media, relayed.port, new);
    }
    let Some(new) = last else { return Outcome::FALSE };
    session(&mut changes, &sdp, flags, new);
    if !mark.is_empty()
        && ctx.edits.inserted_at(sdp.end()).is_none_or(|t| !t.windows(mark.len()).any(|w| w == mark))
    {
        changes.lines.push((sdp.end(), mark.to_vec()));
    }
    changes.apply(&sdp, &mut ctx.edits);
    Outcome::TRUE
}

/// `35000 198.51.100.1`, an address family behind it or no address at all.
fn read(answer: &[u8]) -> Option<Relayed> {
    let mut words = fields(answer.trim_ascii());
    let port = std::str::from_utf8(words.next()?).ok()?.parse().ok().filter(|p| *p != 0)?;
    let ip = words.next().and_then(|w| std::str::from_utf8(w).ok()).and_then(|t| t.parse().ok());
    Some(Relayed { port, ip })
}

fn put_address(changes: &mut Changes, address: Option<Address<'_>>, ip: IpAddr) {
    // On hold (RFC 2543) stays on hold.
    let Some(address) = address.filter(|a| !a.ip().is_some_and(|i| i.is_unspecified())) else { return };
    let family: &[u8] = if ip.is_ipv4() { b"IP4" } else { b"IP6" };
    if address.family != family {
        changes.put(address.family_at, address.family.len(), family);
    }
    changes.put(address.host_at, address.host.len(), ip.to_string().as_bytes());
}

fn stream(
    changes: &mut Changes,
    message: &message::Message,
    sdp: &Sdp<'_>,
    media: &Media<'_>,
    relayed: &Relayed,
    ip: IpAddr,
) {
    if let Some(at) = message.offset_of(media.port) {
        changes.put(at, media.port.len(), relayed.port.to_string().as_bytes());
    }
    if let Some(line) = media.connection() {
        put_address(changes, sdp.address(line), ip);
    }
    if let Some(line) = media.lines.iter().find(|l| l.attribute(b"rtcp").is_some()) {
        let rtcp = format!("a=rtcp:{}", u32::from(relayed.port) + 1);
        changes.put(line.start, line.text.len(), rtcp.as_bytes());
    }
}

fn session(changes: &mut Changes, sdp: &Sdp<'_>, flags: &Flags, ip: IpAddr) {
    let needed = sdp.media.iter().any(|m| m.connection().is_none());
    if let Some(line) = sdp.session_connection().filter(|_| needed || flags.session) {
        put_address(changes, sdp.address(line), ip);
    }
    if let Some(line) = sdp.session.iter().find(|l| l.kind() == b'o') {
        put_address(changes, sdp.address(*line), ip);
    }
}

/// A relay candidate beside those that are there (RFC 8839 §5.1), for RTP and RTCP.
fn add_candidate(
    rtpproxy: &RtpProxy,
    ctx: &RouteContext<'_>,
    changes: &mut Changes,
    media: &Media<'_>,
    port: u16,
    ip: IpAddr,
) {
    let name = &rtpproxy.settings.ice_candidate_priority_avp;
    let Some(pv) = parsed(&rtpproxy.ice_priority, ctx.core, name, "ice_candidate_priority_avp") else {
        return;
    };
    let wanted = pv.get(ctx).to_int().unwrap_or(2);
    let last = media.lines.iter().rfind(|l| l.attribute(b"candidate").is_some());
    let Some(after) = last.filter(|_| wanted != 0) else { return };
    // Type preference 130 (above host candidates) or 0, RFC 8445 §5.1.2.1.
    let preference: u32 = if wanted == 1 { 130 << 24 } else { 0 };
    // One for an address, RFC 8445 §5.1.1.3.
    let foundation: String = ip.to_string().chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    for (component, port) in [(1u32, u32::from(port)), (2, u32::from(port) + 1)] {
        let priority = preference + (65535 << 8) + 256 - component;
        let line = format!(
            "a=candidate:{foundation} {component} UDP {priority} {ip} {port} typ relay raddr {ip} rport {port}"
        );
        changes.lines.push((after.next, line.into_bytes()));
    }
}
