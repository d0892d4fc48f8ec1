//! Header field names (RFC 3261 §20 and the IANA registry), with their compact forms.

/// A header this server has a use for; everything else is [`HeaderName::Other`] and found by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[rustfmt::skip]
#[allow(missing_docs)]
#[repr(u8)]
pub enum HeaderName {
    Via, From, To, CallId, CSeq, Contact, MaxForwards, Route, RecordRoute, ContentLength, ContentType, Expires,
    Require, ProxyRequire, Supported, Unsupported, Allow, Accept, UserAgent, Server, Authorization, ProxyAuthorization,
    WwwAuthenticate, ProxyAuthenticate, Path, ServiceRoute, MinExpires, Date, Event, ReferTo, ReferredBy, Replaces,
    Diversion, PAssertedIdentity, PPreferredIdentity, RemotePartyId, Privacy, Subject, RetryAfter, Timestamp, Reason,
    SessionExpires, MinSe, RAck, RSeq, SubscriptionState, Identity, MaxBreadth, Warning, ContentEncoding, Organization,
    PChargingVector, AllowEvents, AcceptContact, RejectContact, RequestDisposition, SipEtag, SipIfMatch, Other,
}

use HeaderName::*;

/// Every name but `Other`, in the order of the enum.
#[rustfmt::skip]
static NAMES: [(HeaderName, &str); COUNT] = [
    (Via, "Via"), (From, "From"), (To, "To"), (CallId, "Call-ID"), (CSeq, "CSeq"), (Contact, "Contact"),
    (MaxForwards, "Max-Forwards"), (Route, "Route"), (RecordRoute, "Record-Route"), (ContentLength, "Content-Length"),
    (ContentType, "Content-Type"), (Expires, "Expires"), (Require, "Require"), (ProxyRequire, "Proxy-Require"),
    (Supported, "Supported"), (Unsupported, "Unsupported"), (Allow, "Allow"), (Accept, "Accept"),
    (UserAgent, "User-Agent"), (Server, "Server"), (Authorization, "Authorization"),
    (ProxyAuthorization, "Proxy-Authorization"), (WwwAuthenticate, "WWW-Authenticate"),
    (ProxyAuthenticate, "Proxy-Authenticate"), (Path, "Path"), (ServiceRoute, "Service-Route"),
    (MinExpires, "Min-Expires"), (Date, "Date"), (Event, "Event"), (ReferTo, "Refer-To"), (ReferredBy, "Referred-By"),
    (Replaces, "Replaces"), (Diversion, "Diversion"), (PAssertedIdentity, "P-Asserted-Identity"),
    (PPreferredIdentity, "P-Preferred-Identity"), (RemotePartyId, "Remote-Party-ID"), (Privacy, "Privacy"),
    (Subject, "Subject"), (RetryAfter, "Retry-After"), (Timestamp, "Timestamp"), (Reason, "Reason"),
    (SessionExpires, "Session-Expires"), (MinSe, "Min-SE"), (RAck, "RAck"), (RSeq, "RSeq"),
    (SubscriptionState, "Subscription-State"), (Identity, "Identity"), (MaxBreadth, "Max-Breadth"),
    (Warning, "Warning"), (ContentEncoding, "Content-Encoding"), (Organization, "Organization"),
    (PChargingVector, "P-Charging-Vector"), (AllowEvents, "Allow-Events"), (AcceptContact, "Accept-Contact"),
    (RejectContact, "Reject-Contact"), (RequestDisposition, "Request-Disposition"), (SipEtag, "SIP-ETag"),
    (SipIfMatch, "SIP-If-Match"),
];

/// How many known names there are; `Other` is this number.
pub(crate) const COUNT: usize = Other as usize;
const LONGEST: usize = 20;
const SLOTS: usize = (LONGEST + 1) * 26;

/// First known name of a length and first letter; `Other` when there is none.
static FIRST: [HeaderName; SLOTS] = CHAINS.0;
/// The next known name with the same length and first letter.
static NEXT: [HeaderName; COUNT] = CHAINS.1;

const CHAINS: ([HeaderName; SLOTS], [HeaderName; COUNT]) = {
    let mut first = [Other; SLOTS];
    let mut next = [Other; COUNT];
    let mut index = COUNT;
    while index > 0 {
        index -= 1;
        let (name, text) = NAMES[index];
        assert!(name as usize == index, "NAMES follows the enum");
        let slot = slot(text.as_bytes()[0], text.len());
        next[index] = first[slot];
        first[slot] = name;
    }
    (first, next)
};

/// Bytes of a row that are looked at together for its name: more than the longest name and its colon have.
pub(crate) const HEAD: usize = 24;
const _: () = assert!(LONGEST < HEAD);

/// Every name but `Other` in words of eight bytes, in the order of the enum.
static WORDS: [[u64; 3]; COUNT] = {
    let mut words = [[0; 3]; COUNT];
    let mut index = 0;
    while index < COUNT {
        let text = NAMES[index].1.as_bytes();
        let mut at = 0;
        while at < text.len() {
            words[index][at / 8] |= (text[at] as u64) << (at % 8 * 8);
            at += 1;
        }
        index += 1;
    }
    words
};

/// The first bytes of three words: all that a text of that length has.
static MASKS: [[u64; 3]; HEAD] = {
    let mut masks = [[0; 3]; HEAD];
    let mut len = 0;
    while len < HEAD {
        let mut at = 0;
        while at < len {
            masks[len][at / 8] |= 0xff << (at % 8 * 8);
            at += 1;
        }
        len += 1;
    }
    masks
};

/// Where the first colon is among eight bytes (the lowest byte is the first).
#[inline]
fn colon_in(word: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A byte that is a colon becomes zero, and only behind one may a byte be taken for zero that is none.
    let zero_if_colon = word ^ (ONES * b':' as u64);
    let hits = zero_if_colon.wrapping_sub(ONES) & !zero_if_colon & (ONES << 7);
    (hits != 0).then_some(hits.trailing_zeros() as usize / 8)
}

const fn slot(letter: u8, len: usize) -> usize {
    len * 26 + (letter.to_ascii_lowercase().wrapping_sub(b'a')) as usize
}

impl HeaderName {
    /// Classifies a name, case-insensitively and with compact forms (`v f t i m l c k s o r b x ...`).
    #[inline]
    pub fn parse(name: &[u8]) -> HeaderName {
        if let [letter] = name {
            return HeaderName::compact(letter.to_ascii_lowercase());
        }
        let Some(&letter) = name.first().filter(|letter| letter.is_ascii_alphabetic()) else {
            return Other;
        };
        let mut candidate = FIRST.get(slot(letter, name.len())).copied().unwrap_or(Other);
        while let Some((_, text)) = NAMES.get(candidate as usize) {
            // Nearly everybody writes names as the RFC does, and bytes that are equal compare several times faster.
            if text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name) {
                break;
            }
            candidate = NEXT.get(candidate as usize).copied().unwrap_or(Other);
        }
        candidate
    }

    /// The name that a row begins with, and its length, when it is one of ours, spelled as the RFC spells it and followed by its colon:
    /// that is what nearly every row begins with, and told several times faster than the rest.
    #[inline]
    pub(crate) fn usual(head: &[u8; HEAD]) -> Option<(HeaderName, usize)> {
        let word = |n: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[n * 8 + byte]));
        let words = [word(0), word(1), word(2)];
        let len = colon_in(words[0])
            .or_else(|| Some(8 + colon_in(words[1])?))
            .or_else(|| Some(16 + colon_in(words[2])?))?;
        let mask = MASKS.get(len)?;
        let mut candidate = *FIRST.get(slot(head[0], len))?;
        loop {
            // None for `Other`, which ends every chain.
            let wanted = WORDS.get(candidate as usize)?;
            if (0..3).all(|n| words[n] & mask[n] == wanted[n]) {
                return Some((candidate, len));
            }
            candidate = *NEXT.get(candidate as usize)?;
        }
    }

    fn compact(letter: u8) -> HeaderName {
        match letter {
            b'v' => Via,
            b'f' => From,
            b't' => To,
            b'i' => CallId,
            b'm' => Contact,
            b'l' => ContentLength,
            b'c' => ContentType,
            b'e' => ContentEncoding,
            b'k' => Supported,
            b's' => Subject,
            b'o' => Event,
            b'u' => AllowEvents,
            b'r' => ReferTo,
            b'b' => ReferredBy,
            b'x' => SessionExpires,
            b'a' => AcceptContact,
            b'j' => RejectContact,
            b'd' => RequestDisposition,
            b'y' => Identity,
            _ => Other,
        }
    }

    /// The name as RFC 3261 spells it, `""` for `Other`.
    #[inline]
    pub fn as_str(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (name, text) in NAMES {
            assert_eq!(HeaderName::parse(text.as_bytes()), name);
            assert_eq!(HeaderName::parse(text.to_ascii_uppercase().as_bytes()), name);
            assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn rows_as_nearly_everybody_writes_them() {
        let usual = |row: &str| {
            let mut head = [b'x'; HEAD];
            head.iter_mut().zip(row.bytes()).for_each(|(to, from)| *to = from);
            HeaderName::usual(&head)
        };
        for (name, text) in NAMES {
            assert_eq!(usual(&format!("{text}: x:y")), Some((name, text.len())));
            assert_eq!(usual(&format!("{text}:")), Some((name, text.len())));
            // Left to the long way.
            assert_eq!(usual(&format!("{text} : x")), None);
            assert_eq!(usual(&format!("{}: x", text.to_ascii_lowercase())), None);
            assert_eq!(usual(text), None);
            assert_eq!(usual(&format!("{}:", &text[..text.len() - 1])), None);
        }
        for stranger in
            ["", ":", ": x", "X-Foo: Via: x", "\0ia: x", "{ia: x", "v: x", "Content-Language: de", "Froml: x"]
        {
            assert_eq!(usual(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn compact_forms_and_strangers() {
        for (letter, name) in
            [("v", Via), ("F", From), ("t", To), ("i", CallId), ("L", ContentLength), ("u", AllowEvents)]
        {
            assert_eq!(HeaderName::parse(letter.as_bytes()), name);
        }
        for stranger in ["", "z", "X-Foo", "Contactx", "C%6Fntact", "a-header-with-a-very-long-name"] {
            assert_eq!(HeaderName::parse(stranger.as_bytes()), Other, "{stranger}");
        }
        assert_eq!(Other.as_str(), "");
    }
}
