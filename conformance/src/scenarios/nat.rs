//! Callers and callees behind NAT, as the example script of Kamailio's KEMI handles them: `received` for registered contacts, `alias` in the
//! Contacts of calls, a relay for media (which is away).

use std::net::SocketAddr;

use super::Transcript;
use super::stage::{Stage, ack_negative, in_dialog, request};
use crate::subject::Subject;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// What a user agent that only knows its private address writes.
fn private(text: &str, at: SocketAddr, address: &str) -> String {
    text.replace(&at.to_string(), address)
}

/// The message with SDP.
fn with_sdp(text: &str) -> String {
    with_body(text, SDP)
}

fn with_body(text: &str, sdp: &str) -> String {
    let head = text.replace("Content-Length: 0\n\n", "");
    format!(
        "{head}Content-Type: application/sdp\nContent-Length: {}\n\n{}",
        sdp.len(),
        sdp.replace("\r\n", "\n")
    )
}

fn registered(subject: &Subject) -> (Stage, SocketAddr, SocketAddr) {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    let text = s.register_text("bob", "bob", "", 1, "");
    s.request("bob", &private(&text, bob, "10.0.0.2:5062"));
    let ok = s.peer("bob").expect("200 OK");
    assert!(ok.header("Contact").contains(";received="), "{}", ok.0);
    (s, alice, bob)
}

/// A call with both behind NAT: every request finds its way by `received` and `alias`.
pub(super) fn nat(subject: &Subject) -> Transcript {
    let (mut s, alice, bob) = registered(subject);
    let text = with_sdp(&request(alice, "INVITE", "bob", "nat1", ""));
    s.request("alice", &private(&text, alice, "10.0.0.1:5060"));
    let invite = s.peer("bob").expect("INVITE");
    assert_eq!(invite.request_uri(), "sip:bob@10.0.0.2:5062");
    let contact = invite.header("Contact").to_owned();
    assert_eq!(contact, format!("<sip:alice@10.0.0.1:5060;alias=127.0.0.1~{}~1>", alice.port()));
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", "Contact: <sip:bob@10.0.0.2:5062>\n"));
    s.peer("alice").expect("180 Ringing");
    s.reply("bob", &with_sdp(&invite.reply("200 OK", "t-bob", "Contact: <sip:bob@10.0.0.2:5062>\n")));
    let ok = s.peer("alice").expect("200 OK");
    assert!(ok.header("Contact").contains(&format!(";alias=127.0.0.1~{}~1", bob.port())), "{}", ok.0);
    for (method, cseq) in [("ACK", 1), ("INFO", 2), ("BYE", 3)] {
        let text = in_dialog(alice, method, cseq, "nat1", &ok);
        s.request("alice", &private(&text, alice, "10.0.0.1:5060"));
        let request = s.peer("bob").expect(method);
        assert_eq!(request.request_uri(), "sip:bob@10.0.0.2:5062");
        if method != "ACK" {
            s.reply("bob", &request.reply("200 OK", "t-bob", ""));
            s.peer("alice").expect("200 OK");
        }
    }
    s.end()
}

/// The callee is busy: the session at the relay is ended, which is away.
pub(super) fn nat_busy(subject: &Subject) -> Transcript {
    let (mut s, alice, _) = registered(subject);
    let text = with_sdp(&request(alice, "INVITE", "bob", "nat2", ""));
    s.request("alice", &private(&text, alice, "10.0.0.1:5060"));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let busy = s.peer("alice").expect("486 Busy Here");
    s.peer("alice").send(&private(&ack_negative(alice, "bob", "nat2", &busy), alice, "10.0.0.1:5060"));
    s.ran("ksr_failure", 1);
    s.end()
}

/// Media through the relay, two streams of them, in a provisional reply too; and again with a re-INVITE.
pub(super) fn nat_media(subject: &Subject) -> Transcript {
    let (mut s, alice, _) = registered(subject);
    let two = |text: &str| {
        with_body(
            text,
            &format!(
                "{SDP}a=rtcp:4001 IN IP4 10.0.0.1\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 10.0.0.3\r\na=sendonly\r\n"
            ),
        )
    };
    let contact = "Contact: <sip:bob@10.0.0.2:5062>\n";
    s.request("alice", &private(&two(&request(alice, "INVITE", "bob", "nat4", "")), alice, "10.0.0.1:5060"));
    let invite = s.peer("bob").expect("INVITE");
    assert!(invite.0.contains("m=audio 35002 "), "{}", invite.0);
    s.reply("bob", &two(&invite.reply("183 Progress", "t-bob", contact)));
    let progress = s.peer("alice").expect("183 Progress");
    assert!(progress.0.contains("m=video 36004 "), "{}", progress.0);
    s.reply("bob", &two(&invite.reply("200 OK", "t-bob", contact)));
    let ok = s.peer("alice").expect("200 OK");
    for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
        let text = in_dialog(alice, method, cseq, "nat4", &ok);
        s.request("alice", &private(&text, alice, "10.0.0.1:5060"));
        let request = s.peer("bob").expect(method);
        if method == "BYE" {
            s.reply("bob", &request.reply("200 OK", "t-bob", ""));
            s.peer("alice").expect("200 OK");
        }
    }
    s.end()
}

/// The INVITE has no SDP: the 200 offers, the ACK answers.
pub(super) fn nat_late_offer(subject: &Subject) -> Transcript {
    let (mut s, alice, _) = registered(subject);
    s.request("alice", &private(&request(alice, "INVITE", "bob", "nat5", ""), alice, "10.0.0.1:5060"));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &with_sdp(&invite.reply("200 OK", "t-bob", "Contact: <sip:bob@10.0.0.2:5062>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let ack = with_sdp(&in_dialog(alice, "ACK", 1, "nat5", &ok));
    s.request("alice", &private(&ack, alice, "10.0.0.1:5060"));
    s.peer("bob").expect("ACK");
    s.end()
}

/// Nobody is behind NAT: nothing is rewritten.
pub(super) fn no_nat(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    let alice = s.at("alice");
    s.register("bob", "bob", "");
    s.request("alice", &with_sdp(&request(alice, "INVITE", "bob", "nat3", "")));
    let invite = s.peer("bob").expect("INVITE");
    assert_eq!(invite.header("Contact"), format!("<sip:alice@{alice}>"));
    let contact = format!("Contact: <sip:bob@{}>\n", s.at("bob"));
    s.reply("bob", &with_sdp(&invite.reply("200 OK", "t-bob", &contact)));
    let ok = s.peer("alice").expect("200 OK");
    s.request("alice", &in_dialog(alice, "ACK", 1, "nat3", &ok));
    s.peer("bob").expect("ACK");
    s.end()
}
