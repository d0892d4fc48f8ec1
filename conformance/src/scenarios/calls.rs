//! Requests to one contact: a call and the ways it can end.

use std::time::Duration;

use super::stage::{Stage, ack_negative, cancel, in_dialog, request};
use super::{SHORT, Transcript};
use crate::subject::Subject;

pub(super) fn options(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice"]);
    let at = s.peer("alice").address;
    let server = s.server();
    s.request(
        "alice",
        &format!(
            "OPTIONS sip:{server} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKopt1\nMax-Forwards: 8\nFrom: <sip:alice@x>;tag=t-a\n\
             To: <sip:{server}>\nCall-ID: opt1\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        ),
    );
    s.peer("alice").expect("200 Keepalive");
    s.request(
        "alice",
        &format!(
            "OPTIONS sip:{server} SIP/2.0\nv: SIP/2.0/UDP {at};branch=z9hG4bKopt2;rport\nMax-Forwards: 8\nf: <sip:alice@x>;tag=t-a\n\
             t: <sip:{server}>\ni: opt2\nCSeq: 2 OPTIONS\nl: 0\n\n"
        ),
    );
    s.peer("alice").expect("200 Keepalive");
    s.end()
}

pub(super) fn errors(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice"]);
    let at = s.peer("alice").address;
    for (call, user, forwards, want) in
        [("e404", "nobody", "8", "404"), ("e483", "nobody", "0", "483"), ("e484", "", "8", "484")]
    {
        let mut text = request(at, "INVITE", user, call, "")
            .replace("Max-Forwards: 8", &format!("Max-Forwards: {forwards}"));
        if user.is_empty() {
            text = text.replace("sip:@", "sip:");
        }
        s.request("alice", &text);
        let reply = s.peer("alice").expect(want);
        let ack = ack_negative(at, user, call, &reply);
        s.peer("alice").send(&ack);
    }
    // Another domain is not relayed to; an in-dialog request that nobody routed here is not known.
    let text = request(at, "MESSAGE", "bob", "e403", "").replacen("bob@conformance.test", "bob@192.0.2.1", 1);
    s.request("alice", &text);
    s.peer("alice").expect("403");
    let text = request(at, "BYE", "bob", "e404d", "")
        .replace("To: <sip:bob@conformance.test>", "To: <sip:bob@conformance.test>;tag=t-b");
    s.request("alice", &text);
    s.peer("alice").expect("404 Not here");
    s.end()
}

pub(super) fn call(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.peer("alice").address, s.peer("bob").address);
    s.request("alice", &request(alice, "INVITE", "bob", "call1", ""));
    s.peer("alice").expect("100 ");
    let invite = s.peer("bob").expect("INVITE");
    assert_eq!(invite.request_uri(), format!("sip:bob@{bob}"));
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    let ringing = s.peer("alice").expect("180");
    assert_eq!(ringing.header("X-Ringing"), "seen", "the onreply route changed the reply");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "call1", &ok);
    s.request("alice", &text);
    s.peer("bob").expect("ACK");
    let text = in_dialog(alice, "BYE", 2, "call1", &ok);
    s.request("alice", &text);
    let bye = s.peer("bob").expect("BYE");
    s.reply("bob", &bye.reply("200 OK", "", ""));
    s.peer("alice").expect("200 OK");
    // INVITE, ACK and BYE left.
    s.ran("ksr_onsend_route", 3);
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.end()
}

pub(super) fn cancel_while_ringing(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "cancel1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.request("alice", &cancel(alice, "bob", "cancel1"));
    s.peer("alice").expect("200 cancel");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let gone = s.peer("alice").expect("487");
    let ack = ack_negative(alice, "bob", "cancel1", &gone);
    s.peer("alice").send(&ack);
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.ran("ksr_failure", 1);
    s.end()
}

pub(super) fn cancel_before_provisional(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "cancel2", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.request("alice", &cancel(alice, "bob", "cancel2"));
    s.peer("alice").expect("200 cancel");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let gone = s.peer("alice").expect("487");
    let ack = ack_negative(alice, "bob", "cancel2", &gone);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

pub(super) fn busy(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "busy1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", "Retry-After: 60\n"));
    s.peer("bob").expect("ACK");
    let busy = s.peer("alice").expect("486");
    let ack = ack_negative(alice, "bob", "busy1", &busy);
    s.peer("alice").send(&ack);
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 1);
    s.ran("ksr_failure", 1);
    s.end()
}

pub(super) fn no_answer(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "noanswer", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    let timeout = s.peer("alice").expect("408");
    let ack = ack_negative(alice, "bob", "noanswer", &timeout);
    s.peer("alice").send(&ack);
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    s.ran("ksr_failure", 1);
    s.end()
}

pub(super) fn nobody_there(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "silent", ""));
    s.peer("bob").expect("INVITE");
    let timeout = s.peer("alice").expect("408");
    let ack = ack_negative(alice, "bob", "silent", &timeout);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

pub(super) fn retransmissions(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.peer("alice").address, s.peer("bob").address);
    let invite_text = request(alice, "INVITE", "bob", "again1", "");
    s.request("alice", &invite_text);
    s.peer("alice").expect("100 ");
    let invite = s.peer("bob").expect("INVITE");
    // The INVITE again: the last reply again, nothing new for bob.
    s.peer("alice").send(&invite_text);
    s.peer("bob").expect_silence(SHORT);
    let ok_text = invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n"));
    s.reply("bob", &ok_text);
    let ok = s.peer("alice").expect("200 OK");
    // The 200 again, as when the ACK was lost: it passes once more (RFC 6026 §7.2).
    s.reply("bob", &ok_text);
    let again = s.peer("alice").next(Duration::from_secs(2)).expect("the 200 is sent on again");
    assert_eq!(again.0, ok.0);
    let ack = in_dialog(alice, "ACK", 1, "again1", &ok);
    s.request("alice", &ack);
    s.peer("bob").expect("ACK");
    s.end()
}

pub(super) fn message_out_of_dialog(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    let text = request(alice, "MESSAGE", "bob", "msg1", "Content-Type: text/plain\n")
        .replace("Content-Length: 0\n\n", "Content-Length: 5\n\nhello");
    s.request("alice", &text);
    let message = s.peer("bob").expect("MESSAGE");
    s.reply("bob", &message.reply("202 Accepted", "t-bob", ""));
    s.peer("alice").expect("202");
    s.end()
}

/// The callee answers while the CANCEL is on its way: the 200 wins (RFC 3261 §9.1).
pub(super) fn cancel_crosses_200(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "race1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.request("alice", &cancel(alice, "bob", "race1"));
    s.peer("alice").expect("200 cancel");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    s.reply("bob", &canceled.reply("481 Call Leg/Transaction Does Not Exist", "t-bob", ""));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "race1", &ok);
    s.request("alice", &text);
    s.peer("bob").expect("ACK");
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.end()
}

/// A 3xx is handed to the caller as it is (RFC 3261 §16.7 step 4 leaves recursion to the script).
pub(super) fn redirected(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "bob", "moved1", ""));
    let invite = s.peer("bob").expect("INVITE");
    let contact = "Contact: <sip:bob@192.0.2.77>;q=0.5, <sip:bob@192.0.2.78>\n";
    s.reply("bob", &invite.reply("302 Moved Temporarily", "t-bob", contact));
    s.peer("bob").expect("ACK");
    let moved = s.peer("alice").expect("302");
    let ack = ack_negative(alice, "bob", "moved1", &moved);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

/// "A proxy which receives a 503 (Service Unavailable) response SHOULD NOT forward it upstream unless it can determine that any
/// subsequent requests it might proxy will also generate a 503" (RFC 3261 §16.7 step 6).
pub(super) fn unavailable(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "bob", "full1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("503 Service Unavailable", "t-bob", "Retry-After: 30\n"));
    s.peer("bob").expect("ACK");
    let full = s.peer("alice").expect("SIP/2.0 50");
    let ack = ack_negative(alice, "bob", "full1", &full);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

/// As long as a datagram can be, nearly.
pub(super) fn message_of_60_kilobytes(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let body = "0123456789abcde\n".repeat(58 * 64);
    let text = request(alice, "MESSAGE", "bob", "long1", "Content-Type: text/plain\n");
    let (head, _) = text.split_once("Content-Length").expect("the last row");
    // Every line end is two octets on the wire.
    let length = body.len() + body.matches('\n').count();
    s.request("alice", &format!("{head}Content-Length: {length}\n\n{body}"));
    let message = s.peer("bob").expect("MESSAGE");
    assert!(message.0.ends_with(&body), "the body is whole: {} octets", message.0.len());
    s.reply("bob", &message.reply("200 OK", "t-bob", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}
