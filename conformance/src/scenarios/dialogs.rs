//! What a script does in the middle of a transaction, and messages that come late or again.

use std::time::Duration;

use super::stage::{Stage, ack_negative, cancel, in_dialog, request};
use super::{SHORT, Transcript};
use crate::subject::Subject;

/// Header rows of all shapes pass unchanged.
pub(super) fn headers(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let rows = "s: Caf\u{e9} \u{6f22}\nX-Folded: one\n two\n\tthree\nAccept: a/b, c/d\nAccept: \"q\\\"uoted\" ; x\nX-Empty:\n\
                subject  :  spaces  \nUnknown-Row: <<\"\nX-UPPER: 1\nAllow:INVITE,ACK\nk: path\n";
    let text = request(alice, "MESSAGE", "bob", "rows1", rows);
    // Compact names, a second Via in the same row, no Max-Forwards.
    let text = text
        .replacen(";rport\n", ";rport, SIP / 2.0 / UDP 192.0.2.60 ; branch=z9hG4bKold\n", 1)
        .replacen("Max-Forwards: 8\n", "", 1)
        .replacen("From:", "f:", 1)
        .replacen("To:", "t :", 1)
        .replacen("Call-ID:", "i:", 1)
        .replacen("Contact:", "m:", 1)
        .replacen("Content-Length:", "l :", 1);
    s.request("alice", &text);
    let message = s.peer("bob").expect("MESSAGE");
    assert!(message.0.contains("X-Folded: one\n two\n\tthree\n"), "{}", message.0);
    let (to, id) = (message.header("t"), message.header("i"));
    let vias: String = message.all("Via").iter().map(|v| format!("v: {v}\n")).collect();
    let reply = format!(
        "SIP/2.0 200 Bl\u{e4}\n{vias}f: {}\nt: {to};tag=t-bob\ni: {id}\nCSeq: 1 MESSAGE\nX-Folded: one\n two\nl: 0\n\n",
        message.header("f")
    );
    s.reply("bob", &reply);
    s.peer("alice").expect("200 ");
    s.end()
}

/// A second INVITE in the dialog, refused, then a third accepted.
pub(super) fn reinvite(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "again2", ""));
    let invite = s.peer("bob").expect("INVITE");
    let contact = format!("Contact: <sip:bob@{bob}>\n");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &contact));
    let ok = s.peer("alice").expect("200 OK");
    s.request("alice", &in_dialog(alice, "ACK", 1, "again2", &ok));
    s.peer("bob").expect("ACK");
    s.request("alice", &in_dialog(alice, "INVITE", 2, "again2", &ok));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("488 Not Acceptable Here", "", ""));
    s.peer("bob").expect("ACK");
    let refused = s.peer("alice").expect("488");
    // Hop by hop, with the INVITE's branch and its Route (RFC 3261 §17.1.1.3): nothing the script has to see.
    let ack = in_dialog(alice, "INVITE", 2, "again2", &ok).replacen("INVITE", "ACK", 1).replacen(
        "CSeq: 2 INVITE",
        "CSeq: 2 ACK",
        1,
    );
    assert_eq!(refused.header("CSeq"), "2 INVITE");
    s.peer("alice").send(&ack);
    s.request("alice", &in_dialog(alice, "INVITE", 3, "again2", &ok));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "", ""));
    s.peer("alice").expect("180");
    s.reply("bob", &invite.reply("200 OK", "", &contact));
    // The Record-Route of the first INVITE stays the route of the dialog (RFC 3261 §12.2).
    s.peer("alice").expect("200 OK");
    s.request("alice", &in_dialog(alice, "ACK", 3, "again2", &ok));
    s.peer("bob").expect("ACK");
    s.end()
}

/// The callee answers after the caller got 408: the 200 goes on all the same (RFC 3261 §16.7 step 5).
pub(super) fn late_200(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "late1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    let canceled = s.peer("bob").expect("CANCEL");
    let timeout = s.peer("alice").expect("408");
    s.peer("alice").send(&ack_negative(alice, "bob", "late1", &timeout));
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    s.request("alice", &in_dialog(alice, "ACK", 1, "late1", &ok));
    s.peer("bob").expect("ACK");
    s.ran("ksr_failure", 1);
    s.end()
}

/// A failure is repeated until the ACK comes; the INVITE again gets it again; after the ACK there is silence (RFC 3261 §17.2.1).
pub(super) fn final_again(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let text = request(alice, "INVITE", "bob", "fail9", "");
    s.request("alice", &text);
    let invite = s.peer("bob").expect("INVITE");
    let busy = invite.reply("486 Busy Here", "t-bob", "");
    s.reply("bob", &busy);
    s.peer("bob").expect("ACK");
    let first = s.peer("alice").expect("486");
    let again = s.peer("alice").next(Duration::from_secs(2)).expect("Timer G");
    assert_eq!(again.0, first.0);
    s.peer("alice").send(&text);
    let again = s.peer("alice").next(Duration::from_secs(2)).expect("for the INVITE");
    assert_eq!(again.0, first.0);
    s.peer("alice").send(&ack_negative(alice, "bob", "fail9", &first));
    // The callee's repetition is acknowledged again, and goes no further.
    s.reply("bob", &busy);
    let ack = s.peer("bob").next(Duration::from_secs(2)).expect("the ACK again");
    assert!(ack.first_line().starts_with("ACK"), "{}", ack.0);
    s.peer("alice").expect_silence(SHORT);
    s.ran("ksr_failure", 1);
    // Nor does the script see it.
    s.ran("ksr_onreply", 1);
    s.end()
}

/// `t_newtran` and `t_reply` with a header row.
pub(super) fn answered_here(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let text = request(alice, "INVITE", "bob", "here1", "X-Do: answer\n");
    s.request("alice", &text);
    let gone = s.peer("alice").expect("480");
    assert_eq!(gone.header("X-Answered"), "here");
    s.peer("alice").send(&text);
    let again = s.peer("alice").next(Duration::from_secs(2)).expect("the same again");
    assert_eq!(again.0, gone.0);
    s.peer("alice").send(&ack_negative(alice, "bob", "here1", &gone));
    s.peer("alice").expect_silence(SHORT);
    s.end()
}

/// A provisional reply of the server's own before the request goes on.
pub(super) fn early_answer(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "bob", "early1", "X-Do: early\n"));
    s.peer("alice").expect("183");
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let busy = s.peer("alice").expect("486");
    s.peer("alice").send(&ack_negative(alice, "bob", "early1", &busy));
    s.ran("ksr_failure", 1);
    s.end()
}

/// `t_reply` in the failure route replaces what would have been sent.
pub(super) fn failure_answered(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "bob", "own1", "X-Do: answer-failure\n"));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let own = s.peer("alice").expect("488");
    s.peer("alice").send(&ack_negative(alice, "bob", "own1", &own));
    s.ran("ksr_failure", 1);
    s.end()
}

/// What a failure route sees: of a reply, of two, of a timeout.
pub(super) fn failure_observed(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "seen", "");
    s.register("bob", "seen2", "");
    s.register("carol", "seen2", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "seen", "seen1", "X-Do: observe\n"));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let own = s.peer("alice").expect("499");
    s.peer("alice").send(&ack_negative(alice, "seen", "seen1", &own));
    s.request("alice", &request(alice, "INVITE", "seen2", "seen2", "X-Do: observe\n"));
    let (to_bob, to_carol) = (s.peer("bob").expect("INVITE"), s.peer("carol").expect("INVITE"));
    s.reply("carol", &to_carol.reply("404 Not Found", "t-carol", ""));
    s.peer("carol").expect("ACK");
    s.reply("bob", &to_bob.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let own = s.peer("alice").expect("499");
    s.peer("alice").send(&ack_negative(alice, "seen2", "seen2", &own));
    s.request("alice", &request(alice, "INVITE", "seen", "seen3", "X-Do: observe\n"));
    s.peer("bob").expect("INVITE");
    let own = s.peer("alice").expect("499");
    s.peer("alice").send(&ack_negative(alice, "seen", "seen3", &own));
    s.ran("ksr_failure", 3);
    s.end()
}

/// The onreply route drops a provisional reply.
pub(super) fn reply_dropped(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "drop1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("183 Session Progress", "t-bob", "X-Drop: yes\n"));
    s.peer("alice").expect("100 ");
    s.peer("alice").expect_silence(SHORT);
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    s.request("alice", &in_dialog(alice, "ACK", 1, "drop1", &ok));
    s.peer("bob").expect("ACK");
    s.ran("ksr_onreply", 3);
    s.end()
}

/// A branch of the script's own making beside what was found.
pub(super) fn appended_branch(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "bob", "");
    let (alice, carol) = (s.at("alice"), s.at("carol"));
    let rows = format!("X-Do: append\nX-Uri: sip:extra@{carol};x=1\n");
    s.request("alice", &request(alice, "INVITE", "bob", "append1", &rows));
    let (to_bob, to_carol) = (s.peer("bob").expect("INVITE"), s.peer("carol").expect("INVITE"));
    s.reply("bob", &to_bob.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    s.reply("carol", &to_carol.reply("404 Not Found", "t-carol", ""));
    s.peer("carol").expect("ACK");
    let failed = s.peer("alice").expect("404");
    s.peer("alice").send(&ack_negative(alice, "bob", "append1", &failed));
    s.ran("ksr_branch", 2);
    s.ran("ksr_failure", 1);
    s.end()
}

/// Both branches are cancelled, the one that has not answered yet too once it does (RFC 3261 §9.1).
pub(super) fn cancel_two(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "pair", "");
    s.register("carol", "pair", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "INVITE", "pair", "pair1", ""));
    let (to_bob, to_carol) = (s.peer("bob").expect("INVITE"), s.peer("carol").expect("INVITE"));
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    let text = cancel(alice, "pair", "pair1");
    s.request(
        "alice",
        &text.replacen("Content-Length", "Reason: SIP;cause=200;text=\"elsewhere\"\nContent-Length", 1),
    );
    s.peer("alice").expect("200 cancel");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &to_bob.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    s.reply("carol", &to_carol.reply("183 Session Progress", "t-carol", ""));
    let canceled = s.peer("carol").expect("CANCEL");
    s.reply("carol", &canceled.reply("200 OK", "t-carol", ""));
    s.reply("carol", &to_carol.reply("487 Request Terminated", "t-carol", ""));
    s.peer("carol").expect("ACK");
    let gone = s.peer("alice").expect("487");
    s.peer("alice").send(&ack_negative(alice, "pair", "pair1", &gone));
    s.ran("ksr_failure", 1);
    s.end()
}

/// A CANCEL whose INVITE nobody knows, and one that comes after the answer.
pub(super) fn cancel_of_nothing(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &cancel(alice, "bob", "never1"));
    s.peer("alice").expect_silence(SHORT);
    s.request("alice", &request(alice, "INVITE", "bob", "after1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    s.request("alice", &cancel(alice, "bob", "after1"));
    s.peer("alice").expect("200 ok -- no more");
    s.peer("bob").expect_silence(SHORT);
    s.request("alice", &in_dialog(alice, "ACK", 1, "after1", &ok));
    s.peer("bob").expect("ACK");
    s.end()
}

/// A provisional reply to something else than INVITE.
pub(super) fn non_invite_provisional(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "MESSAGE", "bob", "prov1", ""));
    let message = s.peer("bob").expect("MESSAGE");
    s.reply("bob", &message.reply("100 Trying", "", ""));
    s.peer("alice").expect_silence(SHORT);
    s.reply("bob", &message.reply("200 OK", "t-bob", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}

/// Both contacts answer: both 2xx reach the caller (RFC 6026 §7.2).
pub(super) fn two_2xx(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "both", "");
    s.register("carol", "both", "");
    let (alice, bob, carol) = (s.at("alice"), s.at("bob"), s.at("carol"));
    s.request("alice", &request(alice, "INVITE", "both", "both1", ""));
    let (to_bob, to_carol) = (s.peer("bob").expect("INVITE"), s.peer("carol").expect("INVITE"));
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("200 OK", "t-carol", &format!("Contact: <sip:both@{carol}>\n")));
    let first = s.peer("alice").expect("200 OK");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &to_bob.reply("200 OK", "t-bob", &format!("Contact: <sip:both@{bob}>\n")));
    s.reply("bob", &canceled.reply("481 No Such Call", "t-bob", ""));
    let second = s.peer("alice").expect("200 OK");
    for (ok, who) in [(first, "carol"), (second, "bob")] {
        s.request(
            "alice",
            &in_dialog(alice, "ACK", 1, "both1", &ok).replacen("both1ACK1", &format!("{who}ACK1"), 1),
        );
        s.peer(who).expect("ACK");
    }
    s.end()
}
