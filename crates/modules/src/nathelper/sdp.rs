//! `fix_nated_sdp`: the sender's address in place of the private one in its SDP.

use std::net::IpAddr;

use script::{Outcome, RouteContext};

use super::Settings;
use crate::sdp::{Address, Sdp};

/// Bits of `fix_nated_sdp`.
mod flag {
    pub const DIRECTION: i64 = 1;
    pub const MEDIA: i64 = 2;
    pub const NO_RTPPROXY: i64 = 4;
    pub const ORIGIN: i64 = 8;
}

pub(super) fn fix(ctx: &mut RouteContext<'_>, settings: &Settings, flags: i64, address: &[u8]) -> Outcome {
    let ip = if address.is_empty() {
        Some(ctx.inbound.source.ip().to_canonical())
    } else {
        std::str::from_utf8(address).ok().and_then(|t| t.parse().ok())
    };
    let Some(ip) = ip else {
        tracing::error!(target: "nathelper", address = %String::from_utf8_lossy(address), "fix_nated_sdp: not an IP address");
        return Outcome::FALSE;
    };
    let message = ctx.message.clone();
    let Some(sdp) = Sdp::of(&message) else { return Outcome::FALSE };
    if flags & flag::DIRECTION != 0 {
        for media in &sdp.media {
            sdp.insert_line(&mut ctx.edits, media.end(), b"a=direction:active");
        }
    }
    let mut old = Vec::new();
    let mut rewrite = |ctx: &mut RouteContext<'_>, address: Address<'_>| {
        // An address on hold (RFC 2543) stays, and so does one that is right already.
        if address.ip().is_some_and(|a| a.is_unspecified() || a == ip) {
            return;
        }
        replace(ctx, &address, ip);
        if settings.append_sdp_oldmediaip {
            let six = if address.family.eq_ignore_ascii_case(b"IP6") { "6" } else { "" };
            old.push(format!("a=oldmediaip{six}:{}", String::from_utf8_lossy(address.host)));
        }
    };
    let mut changed = false;
    for line in sdp.lines() {
        let wanted = match line.kind() {
            b'c' => flags & flag::MEDIA != 0,
            b'o' => flags & flag::ORIGIN != 0,
            b'a' => flags & (flag::MEDIA | flag::ORIGIN) != 0 && line.attribute(b"rtcp").is_some(),
            _ => false,
        };
        if wanted && let Some(address) = sdp.address(line) {
            rewrite(ctx, address);
            changed |= !address.ip().is_some_and(|a| a.is_unspecified() || a == ip);
        }
    }
    if flags & flag::NO_RTPPROXY != 0 && !settings.nortpproxy_str.is_empty() {
        sdp.insert_line(&mut ctx.edits, sdp.end(), settings.nortpproxy_str.trim_end().as_bytes());
    }
    for line in old {
        sdp.insert_line(&mut ctx.edits, sdp.end(), line.as_bytes());
    }
    Outcome(if changed { 1 } else { 2 })
}

/// Writes an address over another, and its family when it is another one.
pub(crate) fn replace(ctx: &mut RouteContext<'_>, address: &Address<'_>, ip: IpAddr) {
    let family: &[u8] = if ip.is_ipv4() { b"IP4" } else { b"IP6" };
    if address.family != family {
        ctx.edits.rewrite(address.family_at, address.family_at + address.family.len() as u32, family);
    }
    let end = address.host_at + address.host.len() as u32;
    ctx.edits.rewrite(address.host_at, end, ip.to_string().as_bytes());
}
