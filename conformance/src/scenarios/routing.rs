//! Routes: loose, strict, both; spirals; without transactions; where replies go.

use super::stage::{Stage, ack_negative, in_dialog, request};
use super::{SHORT, Transcript};
use crate::subject::Subject;
use std::net::SocketAddr;

/// A BYE of alice's with this Request-URI and Route rows.
fn bye(at: SocketAddr, uri: &str, call: &str, routes: &[&str]) -> String {
    let routes: String = routes.iter().map(|r| format!("Route: {r}\n")).collect();
    format!(
        "BYE {uri} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\n{routes}Max-Forwards: 8\n\
         From: <sip:alice@conformance.test>;tag=t-alice\nTo: <sip:bob@conformance.test>;tag=t-bob\nCall-ID: {call}\nCSeq: 2 BYE\n\
         Content-Length: 0\n\n"
    )
}

/// A request within the dialog from the side that was called, by the Record-Route of the INVITE.
pub(super) fn from_the_callee(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.at("alice"), s.at("bob"));
    s.request("alice", &request(alice, "INVITE", "bob", "callee1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "callee1", &ok);
    s.request("alice", &text);
    s.peer("bob").expect("ACK");
    let routes: String = invite.all("Record-Route").iter().map(|r| format!("Route: {r}\n")).collect();
    assert!(!routes.is_empty());
    let bye = format!(
        "BYE sip:alice@{alice} SIP/2.0\nVia: SIP/2.0/UDP {bob};branch=z9hG4bKbye;rport\n{routes}Max-Forwards: 8\n\
         From: {};tag=t-bob\nTo: {}\nCall-ID: callee1\nCSeq: 7 BYE\nX-Do: direction\nContent-Length: 0\n\n",
        invite.header("To"),
        invite.header("From")
    );
    s.request("bob", &bye);
    let bye = s.peer("alice").expect("BYE");
    assert_eq!(bye.header("X-Direction"), "upstream");
    s.reply("alice", &bye.reply("200 OK", "", ""));
    s.peer("bob").expect("200 OK");
    s.end()
}

/// The next hop has no `lr`: it finds itself in the Request-URI, and the target at the end of the Route set (RFC 3261 §16.6 step 6).
pub(super) fn strict_router_ahead(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    let (alice, bob, carol, server) = (s.at("alice"), s.at("bob"), s.at("carol"), s.server());
    let own = format!("<sip:{server};lr>");
    let strict = format!("<sip:carol@{carol};x=1>");
    let target = format!("sip:bob@{bob}");
    for (call, routes) in [
        ("ahead1", vec![own.as_str(), strict.as_str()]),
        ("ahead2", vec![own.as_str(), strict.as_str(), "<sip:192.0.2.5;lr>"]),
        ("ahead3", vec![strict.as_str(), "\"later\" <sip:192.0.2.5;lr>"]),
    ] {
        s.request("alice", &bye(alice, &target, call, &routes));
        let message = s.peer("carol").expect("BYE");
        assert_eq!(message.request_uri(), format!("sip:carol@{carol};x=1"));
        assert_eq!(message.all("Route").last(), Some(&format!("<{target}>").as_str()));
        s.reply("carol", &message.reply("200 OK", "", ""));
        s.peer("alice").expect("200 OK");
    }
    // All in one row.
    let row = format!("{own}, {strict},<sip:192.0.2.5;lr>");
    s.request("alice", &bye(alice, &target, "ahead4", &[&row]));
    let message = s.peer("carol").expect("BYE");
    s.reply("carol", &message.reply("200 OK", "", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}

/// The previous hop was a strict router: this server stands in the Request-URI (RFC 3261 §16.4).
pub(super) fn strict_router_behind(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    let (alice, bob, carol, server) = (s.at("alice"), s.at("bob"), s.at("carol"), s.server());
    let (own, target) = (format!("sip:{server};lr"), format!("<sip:bob@{bob}>"));
    let (loose, strict) = (format!("<sip:{carol};lr>"), format!("<sip:carol@{carol}>"));
    for (call, to, routes) in [
        ("behind1", "bob", vec![target.as_str()]),
        ("behind2", "carol", vec![loose.as_str(), target.as_str()]),
        ("behind3", "carol", vec![strict.as_str(), target.as_str()]),
        ("behind4", "carol", vec![loose.as_str(), "<sip:192.0.2.5;lr>", target.as_str()]),
    ] {
        s.request("alice", &bye(alice, &own, call, &routes));
        let message = s.peer(to).expect("BYE");
        s.reply(to, &message.reply("200 OK", "", ""));
        s.peer("alice").expect("200 OK");
    }
    s.end()
}

/// Through this server twice, to another Request-URI each time: a spiral is no loop (RFC 3261 §16.3 step 4), and each passage
/// writes a Record-Route of its own.
pub(super) fn spiral(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    let (alice, bob, server) = (s.at("alice"), s.at("bob"), s.server());
    s.register("bob", "bob", "");
    let text = s.register_text("bob", "winding", "none", 1, &format!("Contact: <sip:bob@{server}>\n"));
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.request("alice", &request(alice, "INVITE", "winding", "spiral1", ""));
    s.spirals(1, 1);
    let invite = s.peer("bob").expect("INVITE");
    assert_eq!((invite.all("Via").len(), invite.all("Record-Route").len()), (3, 2), "{}", invite.0);
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.spirals(0, 1);
    s.peer("alice").expect("180");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    s.spirals(0, 1);
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "spiral1", &ok);
    s.request("alice", &text);
    s.spirals(1, 0);
    s.peer("bob").expect("ACK");
    let text = in_dialog(alice, "BYE", 2, "spiral1", &ok);
    s.request("alice", &text);
    s.spirals(1, 1);
    let bye = s.peer("bob").expect("BYE");
    s.reply("bob", &bye.reply("200 OK", "", ""));
    s.peer("alice").expect("200 OK");
    s.ran("ksr_branch", 2);
    // Everything passes twice, and the server's own 100 once.
    s.ran("ksr_onreply", 5);
    s.ran("ksr_onsend_route", 6);
    s.end()
}

/// `forward()`: no transaction, so a retransmission passes again, and replies find back by their Via alone (RFC 3261 §16.11).
pub(super) fn stateless(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let text = request(alice, "MESSAGE", "bob", "less1", "X-Do: stateless\n");
    s.request("alice", &text);
    let message = s.peer("bob").expect("MESSAGE");
    s.request("alice", &text);
    let again = s.peer("bob").next(std::time::Duration::from_secs(2)).expect("it passes again");
    assert_eq!(again.0, message.0, "with the same branch");
    s.reply("bob", &message.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("bob", &message.reply("200 OK", "t-bob", "X-More: 1\n"));
    s.peer("alice").expect("200 OK");
    // The same message twice.
    s.ran("ksr_onsend_route", 2);
    s.end()
}

/// What stands below the server's own Via is passed on untouched; a reply whose topmost Via is a stranger's is dropped (§16.7 step 3).
pub(super) fn reply_with_another_via(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    s.request("alice", &request(alice, "MESSAGE", "bob", "via1", "X-Do: stateless\n"));
    let message = s.peer("bob").expect("MESSAGE");
    let reply = message.reply("200 OK", "t-bob", "");
    let stranger = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\n";
    s.peer("bob").send(&reply.replacen("SIP/2.0 200 OK\n", stranger, 1));
    s.peer("alice").expect_silence(SHORT);
    let (head, tail) = reply.split_once("Content-Length").expect("the last row");
    s.reply(
        "bob",
        &format!(
            "{head}v: SIP/2.0/TCP [2001:db8::1]:5062;branch=z9hG4bKy;received=192.0.2.1\nContent-Length{tail}"
        ),
    );
    s.peer("alice").expect("200 OK");
    s.end()
}

/// RFC 3261 §18.2.2 and RFC 3581 §4: the source address counts; the port of the Via unless `rport` asked for the source's.
pub(super) fn where_replies_go(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    for (n, sent_by) in [
        format!("192.0.2.4:{}", alice.port()),
        "192.0.2.4:9;rport".into(),
        format!("phone.invalid:{};rport", alice.port()),
    ]
    .iter()
    .enumerate()
    {
        let text = request(alice, "MESSAGE", "bob", &format!("where{n}"), "");
        let (host, rport) = sent_by.split_once(';').unwrap_or((sent_by, ""));
        let rport = if rport.is_empty() { "" } else { ";rport" };
        s.request(
            "alice",
            &text.replacen(&format!("UDP {alice};"), &format!("UDP {host};"), 1).replacen(";rport", rport, 1),
        );
        let message = s.peer("bob").expect("MESSAGE");
        s.reply("bob", &message.reply("200 OK", "t-bob", ""));
        s.peer("alice").expect("200 OK");
    }
    s.end()
}

/// `onsend_route_reply`: the route sees each reply that is sent on the first time, with and without a transaction. A watcher is told what.
pub(super) fn onsend_of_replies(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "watcher"]);
    s.register("bob", "bob", "");
    let (alice, bob, watcher) = (s.at("alice"), s.at("bob"), s.at("watcher"));
    let watched = format!("X-Watch: {watcher}\n");
    s.request("alice", &request(alice, "INVITE", "bob", "leaves1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("100 Trying", "t-bob", &watched));
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", &watched));
    s.peer("alice").expect("180");
    s.peer("watcher").expect("180 Seen");
    let accepted = invite.reply("200 OK", "t-bob", &format!("{watched}Contact: <sip:bob@{bob}>\n"));
    s.reply("bob", &accepted);
    let ok = s.peer("alice").expect("200 OK");
    s.peer("watcher").expect("200 Seen");
    s.request("alice", &in_dialog(alice, "ACK", 1, "leaves1", &ok));
    s.peer("bob").expect("ACK");
    s.reply("bob", &accepted);
    assert!(s.peer("alice").next(std::time::Duration::from_secs(2)).is_some(), "it is sent on again");

    s.request("alice", &request(alice, "INVITE", "bob", "leaves2", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", &watched));
    let busy = s.peer("alice").expect("486");
    s.peer("watcher").expect("486 Seen");
    let ack = ack_negative(alice, "bob", "leaves2", &busy);
    s.peer("alice").send(&ack);
    s.peer("bob").expect("ACK");

    for (call, extra) in [("leaves3", ""), ("leaves4", "X-Do: stateless\n")] {
        s.request("alice", &request(alice, "MESSAGE", "bob", call, extra));
        let message = s.peer("bob").expect("MESSAGE");
        s.reply("bob", &message.reply("202 Accepted", "t-bob", &watched));
        s.peer("alice").expect("202");
        s.peer("watcher").expect("202 Seen");
    }
    s.peer("watcher").expect_silence(SHORT);
    s.ran("ksr_branch", 2);
    s.ran("ksr_onreply", 5);
    s.ran("ksr_failure", 1);
    // Five requests, and what the watcher was told of.
    s.ran("ksr_onsend_route", 5 + 5);
    s.end()
}
