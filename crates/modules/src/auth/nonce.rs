//! Nonces that need no memory: when they end and who made them, signed with a key of this server.
//!
//! ```text
//! expires (4) | start of the maker (4) | signature (16) [| signature of the message (16)] [| number (4)]
//! ```
//!
//! The signature of the message binds a nonce to parts of the request it was made for (`auth_checks_*`). The number is there when
//! every nonce is tracked (`nonce_count`, `one_time_nonce`): it names its place in the tables of [`track`](super::track).

use std::net::IpAddr;

use hmac::{Hmac, Mac};
use message::{Message, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Refused;
use super::track::Tracker;

type Key = Hmac<Sha256>;
type Signature = [u8; 16];

/// Longest nonce in bytes, and in Base64.
const LONGEST: usize = 44;
const LONGEST_TEXT: usize = 60;

/// What ties a nonce to its request; bits of `auth_checks_*`.
mod checks {
    pub const URI: u32 = 1;
    pub const CALL_ID: u32 = 2;
    pub const FROM_TAG: u32 = 4;
    pub const SOURCE: u32 = 8;
}

/// `auth_checks_register`, `auth_checks_no_dlg`, `auth_checks_in_dlg`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks {
    /// REGISTER.
    pub register: u32,
    /// Requests without a To tag.
    pub no_dialog: u32,
    /// Requests within dialogs.
    pub in_dialog: u32,
}

/// The request a nonce is made or used for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The request.
    pub message: &'a Message,
    /// Its sender.
    pub source: IpAddr,
}

/// Makes and checks nonces.
pub struct Nonces {
    key: Key,
    lifetime: u32,
    drift: u32,
    checks: Checks,
    started: u32,
    /// Whether others have the same key (`secret`): nonces from before this server's start are good as well.
    shared: bool,
    tracker: Option<Tracker>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What a new [`Nonces`] is made of.
#[derive(Debug)]
pub struct Recipe<'a> {
    /// Bytes the key is made of: the `secret` or random ones.
    pub secret: &'a [u8],
    /// Whether `secret` was given.
    pub shared: bool,
    /// `nonce_expire`, seconds.
    pub lifetime: u32,
    /// `nonce_auth_max_drift`, seconds.
    pub drift: u32,
    /// `auth_checks_*`
    pub checks: Checks,
    /// Unix time of the start.
    pub started: u64,
    /// For `nonce_count` and `one_time_nonce`.
    pub tracker: Option<Tracker>,
}

/// A nonce that is good, with what is still to be marked as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Nothing.
    Free,
    /// This `nc` of the nonce with this number.
    Count(u32, u8),
    /// The nonce with this number, which is good for one time.
    Once(u32),
}

impl Nonces {
    /// Nonces of one server.
    pub fn new(recipe: Recipe<'_>) -> Nonces {
        let secret = Sha256::new().chain_update(b"nonce").chain_update(recipe.secret).finalize();
        // RFC 2104: a key shorter than the hash function's block is filled up with zeros.
        let mut block = [0u8; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = from;
        }
        Nonces {
            key: Key::new(&block.into()),
            lifetime: recipe.lifetime,
            drift: recipe.drift,
            checks: recipe.checks,
            started: u32::try_from(recipe.started).unwrap_or(u32::MAX),
            shared: recipe.shared && recipe.tracker.is_none(),
            tracker: recipe.tracker,
        }
    }

    /// A new nonce for this request, in Base64.
    pub fn write(&self, request: Request<'_>, now: u64, out: &mut Vec<u8>) {
        let expires = u32::try_from(now).unwrap_or(u32::MAX).saturating_add(self.lifetime);
        let number = self.tracker.as_ref().map(Tracker::next);
        let checks = self.checks_of(request.message);
        let mut bytes = [0u8; LONGEST];
        let mut len = 0;
        let mut put = |part: &[u8]| {
            if let Some(to) = bytes.get_mut(len..len + part.len()) {
                to.copy_from_slice(part);
                len += part.len();
            }
        };
        put(&expires.to_be_bytes());
        put(&self.started.to_be_bytes());
        put(&self.sign(expires, self.started, checks != 0, number));
        if checks != 0 {
            put(&self.sign_request(checks, request));
        }
        if let Some(number) = number {
            put(&number.to_be_bytes());
        }
        base64::encode(bytes.get(..len).unwrap_or_default(), out);
    }

    /// Whether a nonce is good for this request; `nc` of its credentials when they have a `qop`.
    ///
    /// [`Refused::Stale`]: it was good once, or for another request. [`Refused::Error`]: it is none of ours.
    pub fn check(
        &self,
        nonce: &[u8],
        nc: Option<&[u8]>,
        request: Request<'_>,
        now: u64,
    ) -> Result<Use, Refused> {
        let mut buffer = [0u8; LONGEST];
        let bytes = base64::decode(nonce, &mut buffer).ok_or(Refused::Error)?;
        let checks = self.checks_of(request.message);
        let (expires, rest) = number(bytes)?;
        let (started, rest) = number(rest)?;
        let (signature, rest) = rest.split_at_checked(16).ok_or(Refused::Error)?;
        let (of_request, rest) =
            rest.split_at_checked(if checks != 0 { 16 } else { 0 }).ok_or(Refused::Error)?;
        let (number, rest) = match &self.tracker {
            Some(_) => number(rest).map(|(n, rest)| (Some(n), rest))?,
            None => (None, rest),
        };
        if !rest.is_empty() {
            return Err(Refused::Error);
        }
        if !same(signature, &self.sign(expires, started, checks != 0, number)) {
            // Likely a nonce from before a restart: its client knows the password.
            return Err(if started == self.started { Refused::Error } else { Refused::Stale });
        }
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let made = expires.saturating_sub(self.lifetime);
        let known = self.shared || started == self.started;
        if now > expires || made > now.saturating_add(self.drift) || !known {
            return Err(Refused::Stale);
        }
        if let (Some(tracker), Some(number)) = (&self.tracker, number) {
            if let (Some(count), Some(nc)) = (&tracker.count, nc) {
                let nc = parse_nc(nc).ok_or(Refused::Error)?;
                let nc = u8::try_from(nc).map_err(|_| Refused::Stale)?;
                return tracker
                    .lives(number, count.places())
                    .then_some(Use::Count(number, nc))
                    .ok_or(Refused::Stale);
            }
            if let Some(once) = &tracker.once {
                return tracker
                    .lives(number, once.places())
                    .then_some(Use::Once(number))
                    .ok_or(Refused::Stale);
            }
        }
        if checks != 0 && !same(of_request, &self.sign_request(checks, request)) {
            return Err(Refused::Stale);
        }
        Ok(Use::Free)
    }

    /// Marks it as used; refused when it was used before.
    pub fn mark(&self, what: Use) -> Result<(), Refused> {
        let Some(tracker) = &self.tracker else { return Ok(()) };
        match (what, &tracker.count, &tracker.once) {
            (Use::Count(number, nc), Some(count), _) if !count.advance(number, nc) => Err(Refused::Stale),
            (Use::Once(number), _, Some(once)) if !once.take(number) => Err(Refused::Reused),
            _ => Ok(()),
        }
    }

    /// Whether nonces are good for one time only.
    pub fn one_time(&self) -> bool {
        self.tracker.as_ref().is_some_and(|t| t.once.is_some())
    }

    fn checks_of(&self, message: &Message) -> u32 {
        if message.method() == Method::Register {
            self.checks.register
        } else if self.checks.no_dialog == 0 && self.checks.in_dialog == 0 {
            0
        } else if message.to().is_ok_and(|to| to.tag().is_some()) {
            self.checks.in_dialog
        } else {
            self.checks.no_dialog
        }
    }

    fn sign(&self, expires: u32, started: u32, with_request: bool, number: Option<u32>) -> Signature {
        let mut mac = self.key.clone();
        mac.update(&expires.to_be_bytes());
        mac.update(&started.to_be_bytes());
        mac.update(&[u8::from(with_request), u8::from(number.is_some())]);
        mac.update(&number.unwrap_or_default().to_be_bytes());
        cut(mac)
    }

    fn sign_request(&self, checks: u32, request: Request<'_>) -> Signature {
        let mut mac = self.key.clone();
        mac.update(b"request");
        mac.update(&checks.to_be_bytes());
        let mut part = |bit: u32, text: &[u8]| {
            if checks & bit != 0 {
                mac.update(&(text.len() as u64).to_be_bytes());
                mac.update(text);
            }
        };
        part(checks::URI, request.message.request_uri());
        part(checks::CALL_ID, request.message.call_id());
        let from = request.message.from();
        part(checks::FROM_TAG, from.ok().and_then(|f| f.tag()).unwrap_or_default());
        match request.source {
            IpAddr::V4(a) => part(checks::SOURCE, &a.octets()),
            IpAddr::V6(a) => part(checks::SOURCE, &a.octets()),
        }
        cut(mac)
    }
}

/// Half of the signature: what is left cannot be continued to that of a longer text, and is still 128 bits.
fn cut(mac: Key) -> Signature {
    let whole = mac.finalize().into_bytes();
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(whole) {
        *to = from;
    }
    half
}

fn same(given: &[u8], ours: &Signature) -> bool {
    bool::from(given.ct_eq(ours))
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), Refused> {
    bytes.split_first_chunk().map(|(n, rest)| (u32::from_be_bytes(*n), rest)).ok_or(Refused::Error)
}

/// `nc-value = 8LHEX`; capital digits are taken too.
fn parse_nc(text: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(text).ok().filter(|t| t.len() == 8 && !t.starts_with('+'))?;
    u32::from_str_radix(digits, 16).ok()
}

/// Base64 (RFC 4648 section 4) of a few bytes.
mod base64 {
    use super::{LONGEST, LONGEST_TEXT};

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
        for chunk in bytes.chunks(3) {
            let three = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
            for i in 0..4 {
                let digit = ALPHABET[(three >> (18 - 6 * i) & 63) as usize];
                out.push(if i <= chunk.len() { digit } else { b'=' });
            }
        }
    }

    pub fn decode<'b>(text: &[u8], buffer: &'b mut [u8; LONGEST]) -> Option<&'b [u8]> {
        if text.len() > LONGEST_TEXT || !text.len().is_multiple_of(4) {
            return None;
        }
        let padding = text.iter().rev().take_while(|c| **c == b'=').count();
        let mut len = 0;
        let last = text.len() / 4;
        for (n, four) in text.chunks_exact(4).enumerate() {
            let pad = if n + 1 == last { padding } else { 0 };
            if pad > 2 {
                return None;
            }
            let mut bits = 0u32;
            for c in four.iter().take(4 - pad) {
                bits = bits << 6 | value(*c)?;
            }
            bits <<= 6 * pad;
            for byte in bits.to_be_bytes().iter().skip(1).take(3 - pad) {
                *buffer.get_mut(len)? = *byte;
                len += 1;
            }
        }
        buffer.get(..len)
    }

    fn value(c: u8) -> Option<u32> {
        Some(u32::from(match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::wire;

    const NOW: u64 = 1_767_323_045;

    fn request(more: &str) -> Message {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: {more}\nCSeq: 1 REGISTER\n"
        );
        Message::parse(&wire(&text)).expect("message")
    }
    fn nonces(secret: &[u8], checks: u32, tracker: Option<Tracker>) -> Nonces {
        started(secret, checks, tracker, NOW - 100)
    }
    fn started(secret: &[u8], checks: u32, tracker: Option<Tracker>, started: u64) -> Nonces {
        let checks = Checks { register: checks, ..Checks::default() };
        Nonces::new(Recipe {
            secret,
            shared: secret == b"shared",
            lifetime: 300,
            drift: 3,
            checks,
            started,
            tracker,
        })
    }
    fn from(message: &Message, last: u8) -> Request<'_> {
        Request { message, source: IpAddr::from([192, 0, 2, last]) }
    }
    fn make(nonces: &Nonces, message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        nonces.write(from(message, 1), NOW, &mut out);
        out
    }

    #[test]
    fn good_for_its_time() {
        let (nonces, message) = (nonces(b"s", 0, None), request("c"));
        let nonce = make(&nonces, &message);
        assert_eq!(nonce.len(), 32);
        let at = |now| nonces.check(&nonce, None, from(&message, 1), now);
        assert_eq!(at(NOW), Ok(Use::Free));
        assert_eq!(at(NOW + 300), Ok(Use::Free));
        assert_eq!(at(NOW + 301), Err(Refused::Stale));
        assert_eq!(at(NOW - 3), Ok(Use::Free));
        assert_eq!(at(NOW - 4), Err(Refused::Stale), "made in the future");
    }
    #[test]
    fn none_of_ours() {
        let (ours, message) = (nonces(b"s", 0, None), request("c"));
        let nonce = make(&ours, &message);
        let check = |n: &[u8]| ours.check(n, None, from(&message, 1), NOW);
        for at in 0..nonce.len() {
            let mut bent = nonce.clone();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            assert!(check(&bent).is_err(), "changed at {at}");
        }
        let long = vec![b'A'; 10_000];
        let other = make(&nonces(b"t", 0, None), &message);
        for bad in [
            &b""[..],
            b"abc",
            b"=",
            b"====",
            b"A===",
            b"\0\0\0\0",
            &nonce[..28],
            &[&nonce[..], b"AAAA"].concat(),
            &long,
            &other,
        ] {
            assert_eq!(check(bad), Err(Refused::Error), "{:?}", String::from_utf8_lossy(bad));
        }
    }
    #[test]
    fn over_a_restart() {
        let message = request("c");
        let check = |secret: &[u8], before: &[u8]| {
            let nonce = make(&started(before, 0, None, NOW - 500), &message);
            nonces(secret, 0, None).check(&nonce, None, from(&message, 1), NOW)
        };
        assert_eq!(check(b"random", b"other"), Err(Refused::Stale));
        assert_eq!(check(b"shared", b"shared"), Ok(Use::Free));
    }
    #[test]
    fn tied_to_its_request() {
        let (one, two) = (request("c"), request("d"));
        for (checks, call_id_counts, source_counts) in
            [(1, false, false), (2, true, false), (8, false, true), (15, true, true)]
        {
            let nonces = nonces(b"s", checks, None);
            let nonce = make(&nonces, &one);
            let result = |counts: bool| if counts { Err(Refused::Stale) } else { Ok(Use::Free) };
            assert_eq!(nonces.check(&nonce, None, from(&one, 1), NOW), Ok(Use::Free));
            assert_eq!(nonces.check(&nonce, None, from(&two, 1), NOW), result(call_id_counts));
            assert_eq!(nonces.check(&nonce, None, from(&one, 2), NOW), result(source_counts));
        }
    }
    #[test]
    fn used_once_or_counted() {
        let message = request("c");
        let spend = |nonces: &Nonces, nonce: &[u8], nc: Option<&str>| {
            nonces.check(nonce, nc.map(str::as_bytes), from(&message, 1), NOW).and_then(|u| nonces.mark(u))
        };
        let once = nonces(b"s", 0, Some(Tracker::new(None, Some(4))));
        let nonce = make(&once, &message);
        assert_eq!(spend(&once, &nonce, None), Ok(()));
        assert_eq!(spend(&once, &nonce, Some("00000002")), Err(Refused::Reused));

        let both = nonces(b"s", 0, Some(Tracker::new(Some(4), Some(4))));
        let nonce = make(&both, &message);
        for (nc, wanted) in [
            ("00000001", Ok(())),
            ("00000001", Err(Refused::Stale)),
            ("00000005", Ok(())),
            ("00000003", Err(Refused::Stale)),
            ("000000fF", Ok(())),
            ("00000100", Err(Refused::Stale)),
            ("1", Err(Refused::Error)),
            ("zzzzzzzz", Err(Refused::Error)),
            ("+0000001", Err(Refused::Error)),
        ] {
            assert_eq!(spend(&both, &nonce, Some(nc)), wanted, "{nc}");
        }
        assert_eq!(spend(&both, &nonce, None), Ok(()), "without nc it is good for one time");
        assert_eq!(spend(&both, &nonce, None), Err(Refused::Reused));
        for _ in 0..16 {
            make(&both, &message);
        }
        assert_eq!(spend(&both, &nonce, Some("000000fe")), Err(Refused::Stale), "its place was given away");
    }
}
