//! Several contacts, in parallel and one after the other.

use super::stage::{Stage, ack_negative, in_dialog, request};
use super::{SHORT, Transcript};
use crate::subject::Subject;

pub(super) fn busy_to_mailbox(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "mailbox"]);
    s.register("bob", "bob", "");
    s.register("mailbox", "bob-mailbox", "");
    let (alice, mailbox) = (s.peer("alice").address, s.peer("mailbox").address);
    s.request("alice", &request(alice, "INVITE", "bob", "mail1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let second = s.peer("mailbox").expect("INVITE");
    s.reply(
        "mailbox",
        &second.reply("200 OK", "t-mailbox", &format!("Contact: <sip:bob-mailbox@{mailbox}>\n")),
    );
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "mail1", &ok);
    s.request("alice", &text);
    s.peer("mailbox").expect("ACK");
    s.ran("ksr_failure", 1);
    // The failure route relays without arming the branch route again.
    s.ran("ksr_branch", 1);
    s.end()
}

pub(super) fn parallel_fork(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "group", ";q=0.7");
    s.register("carol", "group", ";q=0.7");
    let (alice, carol) = (s.peer("alice").address, s.peer("carol").address);
    s.request("alice", &request(alice, "INVITE", "group", "fork1", ""));
    let to_bob = s.peer("bob").expect("INVITE");
    let to_carol = s.peer("carol").expect("INVITE");
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("180 Ringing", "t-carol", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("200 OK", "t-carol", &format!("Contact: <sip:group@{carol}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &to_bob.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    // The 487 is absorbed.
    s.peer("alice").expect_silence(SHORT);
    let text = in_dialog(alice, "ACK", 1, "fork1", &ok);
    s.request("alice", &text);
    s.peer("carol").expect("ACK");
    s.ran("ksr_branch", 2);
    s.end()
}

pub(super) fn decline_everywhere(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "team", "");
    s.register("carol", "team", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "team", "six1", ""));
    let to_bob = s.peer("bob").expect("INVITE");
    let to_carol = s.peer("carol").expect("INVITE");
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("603 Decline", "t-carol", ""));
    s.peer("carol").expect("ACK");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &to_bob.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let declined = s.peer("alice").expect("603");
    let ack = ack_negative(alice, "team", "six1", &declined);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

/// The contact with the highest q alone, then the two that come next together (RFC 3261 §16.6).
pub(super) fn serial_by_q(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol", "dave", "erin", "frank"]);
    s.register("carol", "line", ";q=0.5");
    s.register("bob", "line", ";q=1.0");
    s.register("dave", "line", ";q=0.5");
    s.register("erin", "line", ";q=0.5");
    s.register("frank", "line", ";q=0.1");
    let (alice, carol) = (s.at("alice"), s.at("carol"));
    s.request("alice", &request(alice, "INVITE", "line", "serial1", "X-Do: serial\n"));
    let to_bob = s.peer("bob").expect("INVITE");
    s.reply("bob", &to_bob.reply("480 Temporarily Unavailable", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let to_carol = s.peer("carol").expect("INVITE");
    let to_dave = s.peer("dave").expect("INVITE");
    let to_erin = s.peer("erin").expect("INVITE");
    s.reply("erin", &to_erin.reply("486 Busy Here", "t-erin", ""));
    s.peer("erin").expect("ACK");
    s.reply("dave", &to_dave.reply("180 Ringing", "t-dave", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("200 OK", "t-carol", &format!("Contact: <sip:line@{carol}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let canceled = s.peer("dave").expect("CANCEL");
    s.reply("dave", &canceled.reply("200 OK", "t-dave", ""));
    s.reply("dave", &to_dave.reply("487 Request Terminated", "t-dave", ""));
    s.peer("dave").expect("ACK");
    let text = in_dialog(alice, "ACK", 1, "serial1", &ok);
    s.request("alice", &text);
    s.peer("carol").expect("ACK");
    // Nobody asks frank any more.
    s.peer("frank").expect_silence(SHORT);
    s.ran("ksr_branch", 4);
    s.ran("ksr_failure", 1);
    s.end()
}

/// "If the selected response is a 401 (Unauthorized) or 407 (Proxy Authentication Required), the proxy MUST collect any
/// WWW-Authenticate and Proxy-Authenticate header field values from all other 401 and 407 responses" (RFC 3261 §16.7 step 7).
pub(super) fn challenges(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "asked", "");
    s.register("carol", "asked", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "asked", "auth1", ""));
    let to_bob = s.peer("bob").expect("INVITE");
    let to_carol = s.peer("carol").expect("INVITE");
    let www = "WWW-Authenticate: Digest realm=\"bob\", nonce=\"1\"\n";
    let proxy = "Proxy-Authenticate: Digest realm=\"carol\", nonce=\"2\"\n";
    s.reply("bob", &to_bob.reply("401 Unauthorized", "t-bob", www));
    s.peer("bob").expect("ACK");
    s.reply("carol", &to_carol.reply("407 Proxy Authentication Required", "t-carol", proxy));
    s.peer("carol").expect("ACK");
    let asked = s.peer("alice").expect("SIP/2.0 40");
    assert!(asked.0.contains("realm=\"bob\"") && asked.0.contains("realm=\"carol\""), "{}", asked.0);
    let ack = ack_negative(alice, "asked", "auth1", &asked);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

/// Of failures of several classes the caller gets one (RFC 3261 §16.7 step 6).
pub(super) fn best_of_several(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol", "dave"]);
    for (n, codes) in [
        ["500 Server Internal Error", "404 Not Found", "480 Temporarily Unavailable"],
        ["404 Not Found", "302 Moved Temporarily", "503 Service Unavailable"],
        ["404 Not Found", "484 Address Incomplete", "500 Server Internal Error"],
        ["503 Service Unavailable", "502 Bad Gateway", "501 Not Implemented"],
        ["486 Busy Here", "486 Busy Here", "486 Busy Here"],
        ["486 Busy Here", "480 Temporarily Unavailable", "480 Temporarily Unavailable"],
        ["404 Not Found", "404 Not Found", "480 Temporarily Unavailable"],
    ]
    .iter()
    .enumerate()
    {
        let (user, call) = (format!("best{n}"), format!("best-{n}"));
        for who in ["bob", "carol", "dave"] {
            s.register(who, &user, "");
        }
        let alice = s.at("alice");
        s.request("alice", &request(alice, "INVITE", &user, &call, ""));
        for (who, code) in ["bob", "carol", "dave"].into_iter().zip(codes) {
            let invite = s.peer(who).expect("INVITE");
            s.reply(who, &invite.reply(code, &format!("t-{who}"), ""));
            s.peer(who).expect("ACK");
        }
        s.peer("alice").expect("100 ");
        let best = s.peer("alice").expect("SIP/2.0");
        let ack = ack_negative(alice, &user, &call, &best);
        s.peer("alice").send(&ack);
    }
    s.ran("ksr_branch", 21);
    s.ran("ksr_failure", 7);
    s.end()
}

/// Groups of equals from the start: which of them becomes the Request-URI shows in the numbers of their branches.
pub(super) fn serial_groups(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol", "dave", "erin"]);
    for (n, qs) in [["0.5", "0.5", "0.5", "0.5"], ["0.5", "0.5", "0.1", "0.1"]].iter().enumerate() {
        let (user, call) = (format!("row{n}"), format!("groups-{n}"));
        for (who, q) in ["bob", "carol", "dave", "erin"].into_iter().zip(qs) {
            s.register(who, &user, &format!(";q={q}"));
        }
        let alice = s.at("alice");
        s.request("alice", &request(alice, "INVITE", &user, &call, "X-Do: serial\n"));
        for who in ["bob", "carol", "dave", "erin"] {
            let invite = s.peer(who).expect("INVITE");
            s.reply(who, &invite.reply("486 Busy Here", &format!("t-{who}"), ""));
            s.peer(who).expect("ACK");
        }
        let busy = s.peer("alice").expect("486");
        let ack = ack_negative(alice, &user, &call, &busy);
        s.peer("alice").send(&ack);
    }
    s.ran("ksr_branch", 8);
    s.ran("ksr_failure", 3);
    s.end()
}

/// Of the failures of several rounds the caller gets one.
pub(super) fn serial_failures(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol", "dave"]);
    for (n, codes) in [
        ["404 Not Found", "480 Temporarily Unavailable", "486 Busy Here"],
        ["486 Busy Here", "486 Busy Here", "486 Busy Here"],
        ["486 Busy Here", "480 Temporarily Unavailable", "500 Server Internal Error"],
        ["500 Server Internal Error", "480 Temporarily Unavailable", "480 Temporarily Unavailable"],
    ]
    .iter()
    .enumerate()
    {
        let (user, call) = (format!("fail{n}"), format!("failures-{n}"));
        for (who, q) in ["bob", "carol", "dave"].into_iter().zip(["0.9", "0.5", "0.1"]) {
            s.register(who, &user, &format!(";q={q}"));
        }
        let alice = s.at("alice");
        s.request("alice", &request(alice, "INVITE", &user, &call, "X-Do: serial\n"));
        for (who, code) in ["bob", "carol", "dave"].into_iter().zip(codes) {
            let invite = s.peer(who).expect("INVITE");
            s.reply(who, &invite.reply(code, &format!("t-{who}"), ""));
            s.peer(who).expect("ACK");
        }
        s.peer("alice").expect("100 ");
        let best = s.peer("alice").expect("SIP/2.0");
        let ack = ack_negative(alice, &user, &call, &best);
        s.peer("alice").send(&ack);
    }
    s.ran("ksr_branch", 12);
    s.ran("ksr_failure", 12);
    s.end()
}
