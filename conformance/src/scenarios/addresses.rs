//! Sockets: IPv6, several of them, and addresses that are not those bound.

use super::Transcript;
use super::stage::{Stage, in_dialog, request};
use crate::subject::Subject;

/// All of it over IPv6: Via, Contact, Record-Route and Route with brackets.
pub(super) fn ipv6(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    let (alice, server) = (s.at("alice"), s.server());
    s.request(
        "alice",
        &format!(
            "OPTIONS sip:{server} SIP/2.0\nVia: SIP/2.0/UDP {alice};branch=z9hG4bKopt6;rport\nMax-Forwards: 8\n\
             From: <sip:alice@[::1]>;tag=t-a\nTo: <sip:{server}>\nCall-ID: opt6\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        ),
    );
    s.peer("alice").expect("200 Keepalive");
    // A sent-by that is not the source: received without brackets (RFC 5118 §4.5).
    let text = request(alice, "OPTIONS", "bob", "recv6", "").replacen(
        "bob@conformance.test",
        &server.to_string(),
        1,
    );
    s.request("alice", &text.replacen(&format!("UDP {alice};"), "UDP [2001:db8::9]:7070;", 1));
    s.peer("alice").expect("200 Keepalive");
    call_and_hang_up(s, "six1")
}

/// The caller at one socket, the callee registered through another: both are in the Record-Route (RFC 5658), each with the address
/// that its side can reach.
pub(super) fn two_sockets(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice"]);
    s.join("bob", 1);
    call_and_hang_up(s, "two1")
}

/// A server behind NAT puts the advertised address into what others use to reach it.
pub(super) fn advertised(subject: &Subject) -> Transcript {
    call_and_hang_up(Stage::new(subject, &["alice", "bob"]), "adv1")
}

/// `set_advertised_address` and `set_advertised_port`: for this request only, and its reply still finds back.
pub(super) fn advertised_once(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.also_known_as(([192, 0, 2, 81], 5081));
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "once1", "X-Do: advertise\n"));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "once1", &ok);
    // The route of this ACK is nobody's; straight to the server it is its own.
    s.request("alice", &text.replace("192.0.2.81:5081", &s.server().to_string()));
    s.peer("bob").expect("ACK");
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 1);
    s.end()
}

/// Alice calls bob; both send a request in the dialog.
fn call_and_hang_up(mut s: Stage, call: &str) -> Transcript {
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", call, ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, call, &ok);
    s.request("alice", &text);
    s.peer("bob").expect("ACK");
    let routes: String = invite.all("Record-Route").iter().map(|r| format!("Route: {r}\n")).collect();
    let info = format!(
        "INFO sip:alice@{alice} SIP/2.0\nVia: SIP/2.0/UDP {bob};branch=z9hG4bKinfo;rport\n{routes}Max-Forwards: 8\n\
         From: {};tag=t-bob\nTo: {}\nCall-ID: {call}\nCSeq: 7 INFO\nContent-Length: 0\n\n",
        invite.header("To"),
        invite.header("From")
    );
    s.request("bob", &info);
    let info = s.peer("alice").expect("INFO");
    s.reply("alice", &info.reply("200 OK", "", ""));
    s.peer("bob").expect("200 OK");
    let text = in_dialog(alice, "BYE", 2, call, &ok);
    s.request("alice", &text);
    let bye = s.peer("bob").expect("BYE");
    s.reply("bob", &bye.reply("200 OK", "", ""));
    s.peer("alice").expect("200 OK");
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.end()
}
