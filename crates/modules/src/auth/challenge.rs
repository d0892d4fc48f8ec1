//! Challenges (RFC 7616 section 3.3): one header per hash function, the preferred one first (RFC 8760 section 2.4).

use std::sync::atomic::Ordering;

use message::Message;
use script::{Outcome, RouteContext};

use super::check::{Found, Kind, request};
use super::digest::Algorithm;
use super::settings::Algorithms;
use super::{Auth, Refused};
use crate::sl::Sl;

/// Bits of the challenge functions' `flags`.
mod flags {
    pub const AUTH: i64 = 1;
    pub const AUTH_INT: i64 = 2;
    pub const STALE: i64 = 16;
}

impl Auth {
    /// Sends a challenge.
    pub(super) fn challenge(
        &self,
        ctx: &mut RouteContext<'_>,
        kind: Kind,
        realm: &[u8],
        flags: i64,
        algorithms: Option<Algorithms>,
    ) -> Outcome {
        let message = ctx.message.clone();
        let mut rows = Vec::with_capacity(160);
        self.write_challenge(ctx, &message, kind, realm, flags, algorithms, &mut rows);
        ctx.edits.append_to_reply(&rows);
        let (code, reason): (u16, &[u8]) = match kind {
            Kind::Www => (401, b"Unauthorized"),
            Kind::Proxy => (407, b"Proxy Authentication Required"),
        };
        match ctx.core.registry.module::<Sl>() {
            Some(sl) if self.settings.force_stateless_reply => sl.send(ctx, code, reason),
            Some(sl) => sl.send_within(ctx, code, reason),
            None => Outcome(ctx.transactions.reply_stateless(ctx, code, reason)),
        }
    }

    /// Writes the header rows of a challenge.
    pub(super) fn write_challenge(
        &self,
        ctx: &RouteContext<'_>,
        message: &Message,
        kind: Kind,
        realm: &[u8],
        flags: i64,
        algorithms: Option<Algorithms>,
        out: &mut Vec<u8>,
    ) {
        let authenticator = &self.authenticator;
        if let Some(given) = algorithms {
            authenticator.offered.fetch_or(given.mask(), Ordering::Relaxed);
        }
        let algorithms = algorithms.unwrap_or_else(|| authenticator.algorithms(ctx));
        let mut nonce = Vec::with_capacity(64);
        authenticator.nonces.write(request(ctx, message), ctx.now.unix(), &mut nonce);
        let stale = flags & flags::STALE != 0 || ctx.slots.peek::<Found>().is_some_and(|f| f.stale);
        let name = match kind {
            Kind::Www => &self.settings.www_challenge_header,
            Kind::Proxy => &self.settings.proxy_challenge_header,
        };
        let mut row = |algorithm: Option<Algorithm>| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": Digest realm=\"");
            quote(authenticator.realm(realm), out);
            out.extend_from_slice(b"\", nonce=\"");
            out.extend_from_slice(&nonce);
            out.push(b'"');
            if flags & flags::AUTH_INT != 0 {
                out.extend_from_slice(b", qop=\"auth-int\"");
            } else if flags & flags::AUTH != 0 {
                out.extend_from_slice(b", qop=\"auth\"");
            }
            if stale {
                out.extend_from_slice(b", stale=true");
            }
            if let Some(algorithm) = algorithm {
                out.extend_from_slice(b", algorithm=");
                out.extend_from_slice(algorithm.name().as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        };
        let mut named = algorithms.named().peekable();
        if named.peek().is_none() {
            row(None);
        }
        named.for_each(|a| row(Some(a)));
    }

    /// Puts a challenge into the AVP when `flags` of `pv_www_authenticate` and its like ask for it.
    pub(super) fn challenge_to_avp(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &Message,
        kind: Kind,
        realm: &[u8],
        wanted: i64,
    ) {
        let qop = match wanted {
            w if w & 8 != 0 => flags::AUTH_INT,
            w if w & 4 != 0 => flags::AUTH,
            w if w & 2 != 0 => 0,
            _ => return,
        };
        let mut rows = Vec::with_capacity(160);
        self.write_challenge(ctx, message, kind, realm, qop | (wanted & flags::STALE), None, &mut rows);
        crate::pv::add_avp(ctx, &self.challenge_avp, &script::Value::owned(rows));
    }
}

/// A quoted string: what would end it is escaped, what would end the row is left out.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    for c in text {
        if matches!(c, b'"' | b'\\') {
            out.push(b'\\');
        }
        if *c >= b' ' && *c != 0x7f {
            out.push(*c);
        }
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Outcome {
        Outcome(refused as i64)
    }
}
