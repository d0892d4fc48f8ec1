//! Finding the transaction of a request: keys for RFC 3261 §17.2.3 (cookie, and the RFC 2543 rules without it) and for the
//! end-to-end ACK, and the comparisons behind the hashes.
//!
//! Keys are 64-bit hashes under a secret seed; each hit is compared in full.

use std::hash::{BuildHasherDefault, Hasher};

use message::{Message, Method, via::MAGIC_COOKIE};

/// Map whose keys are hashes already.
pub(crate) type ByHash<T> = std::collections::HashMap<u64, T, BuildHasherDefault<Hashed>>;

/// Hands a finished hash through.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = fold(self.0 ^ u64::from(*byte), MULTIPLIER);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiplies to 128 bits and folds the halves together.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// A hash over several fields; field borders count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(u64);

impl Key {
    pub fn new(seed: u64) -> Key {
        Key(seed ^ 0x5851_F42D_4C95_7F2D)
    }
    pub fn number(self, n: u64) -> Key {
        Key(fold(self.0 ^ n, MULTIPLIER).wrapping_add(n.rotate_left(32)))
    }
    pub fn bytes(self, bytes: &[u8]) -> Key {
        let mut key = self;
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            key = key.number(u64::from_le_bytes(*chunk));
        }
        let mut tail = [0; 8];
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        key.number(u64::from_le_bytes(tail)).number(bytes.len() as u64)
    }
    pub fn lower(self, bytes: &[u8]) -> Key {
        bytes.iter().fold(self, |key, b| key.number(u64::from(b.to_ascii_lowercase())))
    }
    pub fn finish(self) -> u64 {
        fold(self.0, MULTIPLIER)
    }
}

/// Shard of a call: the same for every request with this Call-ID and CSeq number.
pub(crate) fn select(call_id: &[u8], cseq_number: u32, shards: u32) -> u32 {
    (Key::new(0).bytes(call_id).number(u64::from(cseq_number)).finish() >> 32) as u32
        & shards.saturating_sub(1)
}

/// "If the branch parameter in the top Via header field of the request ... begins with the magic cookie z9hG4bK" (§17.2.3): something
/// has to follow it to be unique.
fn has_cookie(branch: Option<&[u8]>) -> bool {
    branch.is_some_and(|b| b.len() > MAGIC_COOKIE.len() && b.starts_with(MAGIC_COOKIE))
}

/// Key of a request's own transaction. ACK and CANCEL find the INVITE with it: the method is compared, not hashed, but for
/// `own_cancel`, the transaction of a CANCEL itself.
///
/// Call-ID and CSeq number take part though a unique branch needs neither: they choose the shard already, and a client that repeats
/// its branches is then served whatever the number of shards.
pub(crate) fn request_key(seed: u64, request: &Message, own_cancel: bool) -> Option<u64> {
    let via = request.via().ok()?;
    let cseq = request.cseq().ok()?;
    let key = Key::new(seed)
        .number(u64::from(own_cancel))
        .bytes(request.call_id())
        .number(u64::from(cseq.number))
        .lower(via.host)
        .number(via.port.map_or(0, u64::from));
    let key = match via.branch {
        Some(branch) if has_cookie(via.branch) => key.bytes(branch),
        _ => key.bytes(from_tag(request)).bytes(via.text),
    };
    Some(key.finish())
}

/// Key of an INVITE for the ACK to its 2xx, which has a branch of its own, and for `t_cancel_callid`.
pub(crate) fn call_key(seed: u64, call_id: &[u8], cseq_number: u32) -> u64 {
    Key::new(seed ^ 0xC0FF_EE00).bytes(call_id).number(u64::from(cseq_number)).finish()
}

pub(crate) fn from_tag(message: &Message) -> &[u8] {
    message.from().ok().and_then(|from| from.tag()).unwrap_or_default()
}

pub(crate) fn to_tag(message: &Message) -> &[u8] {
    message.to().ok().and_then(|to| to.tag()).unwrap_or_default()
}

/// Whether `request` belongs to the transaction that `first` made: topmost Via, Call-ID and CSeq number, and without the cookie
/// what RFC 2543 compared. The methods are the caller's to compare.
pub(crate) fn same_transaction(first: &Message, request: &Message) -> bool {
    let (Ok(a), Ok(b)) = (first.via(), request.via()) else { return false };
    let (Ok(x), Ok(y)) = (first.cseq(), request.cseq()) else { return false };
    if x.number != y.number
        || a.port != b.port
        || !a.host.eq_ignore_ascii_case(b.host)
        || a.branch != b.branch
        || first.call_id() != request.call_id()
    {
        return false;
    }
    if has_cookie(a.branch) {
        return true;
    }
    // "The INVITE request matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via header field match"
    // (§17.2.3); the To tag of an ACK is that of our reply, the caller's to compare.
    a.text == b.text
        && first.request_uri() == request.request_uri()
        && from_tag(first) == from_tag(request)
        && (request.method() == Method::Ack || to_tag(first) == to_tag(request))
}

/// Whether the matching goes by the RFC 2543 rules.
pub(crate) fn is_rfc2543(request: &Message) -> bool {
    !has_cookie(request.via().ok().and_then(|via| via.branch))
}

/// Same method, token by token.
pub(crate) fn same_method(first: &Message, request: &Message) -> bool {
    first.method() == request.method()
        && (first.method() != Method::Other || first.method_text() == request.method_text())
}
