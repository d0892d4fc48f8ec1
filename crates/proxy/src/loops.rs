//! Loops and breadth: RFC 5393 and RFC 3261 §16.3 step 4.

use std::hash::{DefaultHasher, Hasher};

use message::{HeaderName, Message};

/// Max-Breadth when a request has none (RFC 5393 §5.3.3).
const DEFAULT_BREADTH: u32 = 60;

/// What decides where a request goes, hashed (RFC 5393 §4.2.2): Request-URI, Route, From tag, To tag, Call-ID, CSeq, previous hop's
/// branch is left out on purpose.
pub(crate) fn loop_hash(message: &Message, uri: &[u8], next_hop: &[u8], seed: u64) -> u32 {
    let mut h = DefaultHasher::new();
    h.write_u64(seed);
    let mut part = |bytes: &[u8]| {
        h.write(bytes);
        h.write_u8(0);
    };
    part(uri);
    part(next_hop);
    part(message.call_id());
    if let Ok(c) = message.cseq() {
        part(c.method_text);
        part(&c.number.to_be_bytes());
    }
    for tag in [message.from(), message.to()] {
        part(tag.ok().and_then(|a| a.tag()).unwrap_or_default());
    }
    for header in message.headers_named(HeaderName::Route) {
        part(header.value);
    }
    for header in message.headers_named(HeaderName::ProxyRequire) {
        part(header.value);
    }
    let v = h.finish();
    (v ^ (v >> 32)) as u32
}

/// Whether this very request, going to the same place, has been here before: a loop (482), not a spiral. Nobody else can write the hash,
/// which is made with a secret; the address in the Via may be any (`set_advertised_address`).
pub(crate) fn is_loop(message: &Message, hash: u32) -> bool {
    let mut text = [0u8; 9];
    write_suffix(hash, &mut text);
    let ours = |branch: &[u8]| branch.starts_with(b"z9hG4bK-") && branch.ends_with(&text);
    message.vias().flatten().any(|via| via.branch.is_some_and(ours))
}

/// `.` and eight hex digits: how the hash ends our Via branch.
pub(crate) fn write_suffix(hash: u32, out: &mut [u8; 9]) {
    out[0] = b'.';
    for (i, slot) in out[1..].iter_mut().enumerate() {
        let digit = (hash >> (28 - 4 * i)) & 15;
        *slot = b"0123456789abcdef"[digit as usize];
    }
}

/// Our branch without the loop hash: what names the transaction.
pub(crate) fn without_suffix(branch: &[u8]) -> &[u8] {
    match branch.len().checked_sub(9) {
        Some(at) if branch[at] == b'.' => &branch[..at],
        _ => branch,
    }
}

/// Breadth for each of `branches` parallel branches; `Err` when there are more branches than breadth (440).
pub(crate) fn breadth(message: &Message, branches: usize) -> Result<Option<u32>, ()> {
    let given = message
        .header(HeaderName::MaxBreadth)
        .and_then(|h| std::str::from_utf8(h.value).ok()?.trim().parse::<u32>().ok());
    let total = given.unwrap_or(DEFAULT_BREADTH);
    if branches as u64 > u64::from(total) {
        return Err(());
    }
    if given.is_none() && branches <= 1 {
        return Ok(None);
    }
    Ok(Some(total / branches.max(1) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_branch_is_known_at_any_address() {
        let mut suffix = [0; 9];
        write_suffix(loop_hash_of("sip:a@b"), &mut suffix);
        let suffix = String::from_utf8_lossy(&suffix).into_owned();
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP not.ours;branch=z9hG4bK-1.2.0{suffix}\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        let message = Message::parse(text.as_bytes()).expect("parses");
        assert!(is_loop(&message, loop_hash_of("sip:a@b")));
        assert!(!is_loop(&message, loop_hash_of("sip:other@b")), "a spiral");
    }

    fn loop_hash_of(uri: &str) -> u32 {
        let message = Message::parse(b"INVITE sip:x SIP/2.0\r\nCall-ID: c\r\n\r\n").expect("parses");
        loop_hash(&message, uri.as_bytes(), b"", 7)
    }

    #[test]
    fn suffix_round_trip() {
        let mut s = [0; 9];
        write_suffix(0x00ab_12ef, &mut s);
        assert_eq!(&s, b".00ab12ef");
        assert_eq!(without_suffix(b"z9hG4bK-1.2.0.00ab12ef"), b"z9hG4bK-1.2.0");
        assert_eq!(without_suffix(b"z9hG4bK-1.2.0"), b"z9hG4bK-1.2.0");
    }
}
