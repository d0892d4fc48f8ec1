//! What every message must have before it is worked on (RFC 3261 §8.1.1, §8.2, §16.3 step 1, §18.3, §20).
//!
//! It runs for each message received, so it looks at the index and at values that routing needs (and the message
//! remembers) anyway, and at nothing else.

use crate::index::{Index, bit};
use crate::{Fault, HeaderName, Message};

const fn fault(reason: &'static str) -> Fault {
    Fault { code: 400, reason }
}

pub(crate) const NO_VIA: Fault = fault("Missing Via");
pub(crate) const NO_FROM: Fault = fault("Missing From");
pub(crate) const NO_TO: Fault = fault("Missing To");
pub(crate) const NO_CSEQ: Fault = fault("Missing CSeq");
const NO_CALL_ID: Fault = fault("Missing Call-ID");
pub(crate) const BAD_FROM: Fault = fault("Bad From");
pub(crate) const BAD_TO: Fault = fault("Bad To");
pub(crate) const BAD_CSEQ: Fault = fault("Bad CSeq");
pub(crate) const BAD_MAX_FORWARDS: Fault = fault("Bad Max-Forwards");
const BAD_REQUEST_URI: Fault = fault("Bad Request-URI");
const BAD_CONTENT_LENGTH: Fault = fault("Bad Content-Length");
const CSEQ_METHOD: Fault = fault("CSeq Method Does Not Match Request Method");

/// §7.3.1: only headers defined as comma lists may have several rows. These are the ones that every message's handling
/// depends on; which of the values was meant cannot be known (RFC 4475 §3.3.8, §3.3.9).
const SINGLE: [(HeaderName, Fault); 6] = [
    (HeaderName::From, fault("Several From Headers")),
    (HeaderName::To, fault("Several To Headers")),
    (HeaderName::CallId, fault("Several Call-ID Headers")),
    (HeaderName::CSeq, fault("Several CSeq Headers")),
    (HeaderName::MaxForwards, fault("Several Max-Forwards Headers")),
    (HeaderName::ContentLength, fault("Several Content-Length Headers")),
];

const SINGLE_BITS: u64 = {
    let mut bits = 0;
    let mut index = 0;
    while index < SINGLE.len() {
        bits |= bit(SINGLE[index].0);
        index += 1;
    }
    bits
};

pub(crate) fn validate(message: &Message, index: &Index) -> Result<(), Fault> {
    if let Some(fault) = index.start_fault {
        return Err(fault);
    }
    if message.is_request() {
        message.parse_request_uri().map_err(|_| BAD_REQUEST_URI)?;
    }
    if index.repeated & SINGLE_BITS != 0 {
        for (name, fault) in SINGLE {
            if index.repeated & bit(name) != 0 {
                return Err(fault);
            }
        }
    }
    message.via()?;
    message.from()?;
    message.to()?;
    if message.call_id().is_empty() {
        return Err(NO_CALL_ID);
    }
    let cseq = message.cseq()?;
    // §8.1.1.5: "The method MUST match that of the request."
    if message.is_request() && cseq.method_text != message.method_text() {
        return Err(CSEQ_METHOD);
    }
    message.max_forwards()?;
    if index.bad_length {
        return Err(BAD_CONTENT_LENGTH);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Message;

    const ROWS: [&str; 7] = [
        "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        "From: <sip:a@b>;tag=1",
        "To: <sip:b@c>",
        "Call-ID: x",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ];

    fn verdict(first: &str, rows: &[&str]) -> Result<(), (u16, &'static str)> {
        let text = format!("{first}\r\n{}\r\n\r\n", rows.join("\r\n"));
        match Message::parse(text.as_bytes()) {
            Ok(message) => message.validate().map_err(|fault| (fault.code, fault.reason)),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn what_must_be_there_and_what_may_not_be_twice() {
        const REQUEST: &str = "OPTIONS sip:a@b SIP/2.0";
        assert_eq!(verdict(REQUEST, &ROWS), Ok(()));
        assert_eq!(verdict("SIP/2.0 200 OK", &ROWS), Ok(()));
        for (index, row) in ROWS.into_iter().enumerate() {
            let name = row.split(':').next().unwrap_or_default();
            let mut without = ROWS.to_vec();
            without.remove(index);
            let missing = verdict(REQUEST, &without).err().map(|(code, reason)| format!("{code} {reason}"));
            let optional = matches!(name, "Max-Forwards" | "Content-Length");
            assert_eq!(missing, (!optional).then(|| format!("400 Missing {name}")));
            let mut twice = ROWS.to_vec();
            twice.push(row);
            let repeated = verdict(REQUEST, &twice).err().map(|(code, reason)| format!("{code} {reason}"));
            assert_eq!(repeated, (name != "Via").then(|| format!("400 Several {name} Headers")));
        }
        assert_eq!(verdict("SIP/2.0 200 OK", &ROWS[1..]), Err((400, "Missing Via")));
    }

    #[test]
    fn first_lines() {
        assert_eq!(verdict("OPTIONS sip:a@b sip/2.0", &ROWS), Ok(()));
        assert_eq!(verdict("OPTIONS sip:a@b SIP/3.0", &ROWS), Err((505, "Version Not Supported")));
        assert_eq!(verdict("OPTIONS a@b SIP/2.0", &ROWS), Err((400, "Bad Request-URI")));
        assert_eq!(verdict("OPTIONS urn:x:y SIP/2.0", &ROWS), Ok(()));
        assert_eq!(
            verdict("INVITE sip:a@b SIP/2.0", &ROWS),
            Err((400, "CSeq Method Does Not Match Request Method"))
        );
        assert_eq!(verdict("SIP/2.0 999 No", &ROWS), Err((400, "Bad Status Code")));
    }
}
