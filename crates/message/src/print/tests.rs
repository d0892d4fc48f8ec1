//! What leaves, byte by byte.

use std::net::SocketAddr;

use super::*;
use crate::HeaderName;

const INVITE: &[u8] = b"INVITE sip:bob@127.0.0.1 SIP/2.0\r\nContact: <sip:a@127.0.0.1:7400>\r\n\
v: SIP/2.0/UDP 127.0.0.1:7400;branch=z9hG4bKi;rport,SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq\r\nf: <sip:a@b>;tag=1\r\n\
CSeq: 1 INVITE\r\nl: 5\r\nCall-ID: i1\r\nTo : <sip:b@c>\r\nMax-Forwards: 10\r\nRecord-Route: <sip:rr;lr>\r\nUser-Agent: x\r\n\
Route: <sip:127.0.0.1:7401;lr>\r\n\r\nv=0\r\njunk";

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes).expect("parses")
}

fn string(print: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    print(&mut out);
    String::from_utf8(out).expect("ASCII")
}

fn source(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn forwarded_request_has_our_via_new_uri_and_stamp() {
    let message = parse(INVITE);
    let mut edits = Edits::new();
    edits.insert(message.headers_start(), b"Record-Route: <sip:me;lr>\r\n");
    edits.insert(message.headers_end(), b"X-Last: 1\r\n");
    let how = Forward {
        uri: Some(b"sip:bob@10.0.0.1:5080"),
        via: Some(b"SIP/2.0/UDP me;branch=z9hG4bKme"),
        via_stamp: via_stamp(&message, source("127.0.0.1:7400"), false),
    };
    assert_eq!(
        string(|out| request(&message, &edits, &how, out)),
        "INVITE sip:bob@10.0.0.1:5080 SIP/2.0\r\nRecord-Route: <sip:me;lr>\r\nContact: <sip:a@127.0.0.1:7400>\r\n\
Via: SIP/2.0/UDP me;branch=z9hG4bKme\r\n\
v: SIP/2.0/UDP 127.0.0.1:7400;received=127.0.0.1;branch=z9hG4bKi;rport=7400,SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq\r\n\
f: <sip:a@b>;tag=1\r\nCSeq: 1 INVITE\r\nl: 5\r\nCall-ID: i1\r\nTo : <sip:b@c>\r\nMax-Forwards: 10\r\nRecord-Route: <sip:rr;lr>\r\n\
User-Agent: x\r\nRoute: <sip:127.0.0.1:7401;lr>\r\nX-Last: 1\r\n\r\nv=0\r\n"
    );
}

#[test]
fn a_request_without_via_gets_it_first() {
    let message = parse(b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a>\r\n\r\n");
    let how = Forward { via: Some(b"SIP/2.0/UDP me"), ..Forward::default() };
    assert_eq!(
        string(|out| request(&message, &Edits::new(), &how, out)),
        "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP me\r\nTo: <sip:a>\r\n\r\n"
    );
}

#[test]
fn our_via_comes_behind_insertions_at_its_place_and_survives_removal_of_the_row() {
    let message = parse(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nTo: <sip:a>\r\n\r\n");
    let mut edits = Edits::new();
    let (start, end) = message.header(HeaderName::Via).expect("there").row;
    edits.remove(start, end);
    edits.insert(message.headers_start(), b"Record-Route: <sip:me>\r\n");
    let how = Forward {
        via: Some(b"SIP/2.0/UDP me"),
        via_stamp: via_stamp(&message, source("127.0.0.1:1"), true),
        uri: None,
    };
    assert_eq!(
        string(|out| request(&message, &edits, &how, out)),
        "OPTIONS sip:a SIP/2.0\r\nRecord-Route: <sip:me>\r\nVia: SIP/2.0/UDP me\r\nTo: <sip:a>\r\n\r\n"
    );
}

fn stamped(via: &str, from: &str, force: bool) -> String {
    let message = parse(format!("OPTIONS sip:a SIP/2.0\r\nVia: {via}\r\nTo: <sip:a>\r\n\r\n").as_bytes());
    let reply = LocalReply {
        code: 200,
        reason: b"OK",
        to_tag: b"",
        rows: b"",
        body: None,
        via_stamp: via_stamp(&message, source(from), force),
        record_route: false,
    };
    let text = string(|out| local_reply(&message, &reply, out));
    text.lines().nth(1).unwrap_or_default().trim_start_matches("Via: ").to_owned()
}

#[test]
fn stamps_as_kamailio_writes_them() {
    for (via, from, force, expected) in [
        ("SIP/2.0/UDP 1.2.3.4:7;branch=a", "1.2.3.4:99", false, "SIP/2.0/UDP 1.2.3.4:7;branch=a"),
        ("SIP/2.0/UDP 1.2.3.4:7;branch=a", "1.2.3.4:99", true, "SIP/2.0/UDP 1.2.3.4:7;branch=a;rport=99"),
        (
            "SIP/2.0/UDP 1.2.3.4;rport;branch=a",
            "1.2.3.4:99",
            false,
            "SIP/2.0/UDP 1.2.3.4;rport=99;branch=a;received=1.2.3.4",
        ),
        ("SIP/2.0/UDP h;branch=a", "1.2.3.4:99", false, "SIP/2.0/UDP h;branch=a;received=1.2.3.4"),
        (
            "SIP/2.0/UDP 5.6.7.8 ; branch=a ;rport",
            "1.2.3.4:99",
            false,
            "SIP/2.0/UDP 5.6.7.8 ; branch=a ;rport=99;received=1.2.3.4",
        ),
        (
            "SIP/2.0/UDP h;rport=1;received=9.9.9.9;x=y",
            "1.2.3.4:99",
            false,
            "SIP/2.0/UDP h;rport=99;received=1.2.3.4;x=y",
        ),
        (
            "SIP/2.0/UDP h,SIP/2.0/UDP i",
            "[::1]:99",
            true,
            "SIP/2.0/UDP h;rport=99;received=::1,SIP/2.0/UDP i",
        ),
        ("SIP/2.0/UDP h;x; ", "1.2.3.4:99", true, "SIP/2.0/UDP h;x;rport=99;received=1.2.3.4;"),
        ("SIP/2.0/UDP [::1]:5", "[::1]:99", false, "SIP/2.0/UDP [::1]:5"),
        ("SIP/2.0/UDP 1.2.3.4", "[::ffff:1.2.3.4]:99", false, "SIP/2.0/UDP 1.2.3.4"),
    ] {
        assert_eq!(stamped(via, from, force), expected);
    }
}

/// Found by fuzzing: angle brackets mean nothing in a Via, whose end must not move when `received` is replaced.
#[test]
fn a_comma_in_angle_brackets_ends_a_via() {
    let invite = std::str::from_utf8(INVITE)
        .expect("text")
        .replace("branch=z9hG4bKi;rport,", "received=<a;branch=z9hG4bKi,");
    let message = parse(
        invite
            .replace("SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq", "SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq;x=>")
            .as_bytes(),
    );
    let branches = |m: &Message| -> Vec<Option<Vec<u8>>> {
        m.vias().map(|via| via.ok().and_then(|via| via.branch.map(<[u8]>::to_vec))).collect()
    };
    let before = branches(&message);
    assert_eq!(before, [Some(b"z9hG4bKi".to_vec()), Some(b"z9hG4bKq".to_vec())]);
    let how = Forward {
        uri: None,
        via: Some(b"SIP/2.0/UDP me;branch=z9hG4bKp"),
        via_stamp: via_stamp(&message, source("127.0.0.1:7400"), true),
    };
    let mut out = Vec::new();
    request(&message, &Edits::new(), &how, &mut out);
    assert_eq!(branches(&parse(&out)).get(1..), Some(&before[..]));
}

/// Found by fuzzing: the tag of the answer stands behind one without a value.
#[test]
fn a_tag_without_a_value_is_no_tag() {
    for to in ["To : <sip:b@c>;tag", "To : <sip:b@c>;tag;x=1", "To : <sip:b@c>;Tag=;x=1"] {
        let invite = std::str::from_utf8(INVITE).expect("text").replace("To : <sip:b@c>", to);
        let message = parse(invite.as_bytes());
        assert_eq!(message.to().expect("To").tag(), None, "{to}");
        let reply = LocalReply {
            code: 486,
            reason: b"Busy Here",
            to_tag: b"tt",
            rows: b"",
            body: None,
            via_stamp: None,
            record_route: false,
        };
        let printed = string(|out| local_reply(&message, &reply, out));
        assert!(printed.contains(&format!("{to};tag=tt\r\n")), "{printed}");
        assert_eq!(parse(printed.as_bytes()).to().expect("To").tag(), Some(&b"tt"[..]), "{printed}");
    }
}

#[test]
fn local_reply_copies_in_order_of_the_request() {
    let message = parse(INVITE);
    let mut reply = LocalReply {
        code: 183,
        reason: b"Session Progress",
        to_tag: b"tt",
        rows: b"Server: trunkline\r\n",
        body: Some((b"application/sdp", b"v=0\r\n")),
        via_stamp: via_stamp(&message, source("127.0.0.1:7400"), false),
        record_route: true,
    };
    assert_eq!(
        string(|out| local_reply(&message, &reply, out)),
        "SIP/2.0 183 Session Progress\r\n\
v: SIP/2.0/UDP 127.0.0.1:7400;branch=z9hG4bKi;rport=7400;received=127.0.0.1,SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq\r\n\
f: <sip:a@b>;tag=1\r\nCSeq: 1 INVITE\r\nCall-ID: i1\r\nTo : <sip:b@c>;tag=tt\r\nRecord-Route: <sip:rr;lr>\r\n\
Server: trunkline\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    reply = LocalReply { code: 100, body: None, rows: b"", via_stamp: None, record_route: false, ..reply };
    assert_eq!(
        string(|out| local_reply(&message, &reply, out)),
        "SIP/2.0 100 Session Progress\r\nv: SIP/2.0/UDP 127.0.0.1:7400;branch=z9hG4bKi;rport,SIP/2.0/UDP 3.3.3.3;branch=z9hG4bKq\r\n\
f: <sip:a@b>;tag=1\r\nCSeq: 1 INVITE\r\nCall-ID: i1\r\nTo : <sip:b@c>\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn forwarded_reply_loses_its_topmost_via_only() {
    for (vias, left) in [
        ("Via: SIP/2.0/UDP me\r\nVia: SIP/2.0/UDP a\r\n", "Via: SIP/2.0/UDP a\r\n"),
        ("v: SIP/2.0/UDP me , SIP/2.0/UDP a\r\n", "v: SIP/2.0/UDP a\r\n"),
        ("Via: SIP/2.0/UDP me,\r\n SIP/2.0/UDP a,SIP/2.0/UDP b\r\n", "Via: SIP/2.0/UDP a,SIP/2.0/UDP b\r\n"),
        ("Via: SIP/2.0/UDP me\r\n", ""),
    ] {
        let message =
            parse(format!("SIP/2.0 200 OK\r\nTo: <sip:a>\r\n{vias}Content-Length: 0\r\n\r\n").as_bytes());
        let mut edits = Edits::new();
        edits.insert(message.headers_end(), b"X: 1\r\n");
        edits.set_body(b"abc");
        assert_eq!(
            string(|out| forwarded_reply(&message, &edits, out)),
            format!("SIP/2.0 200 OK\r\nTo: <sip:a>\r\n{left}Content-Length: 3\r\nX: 1\r\n\r\nabc")
        );
    }
}

#[test]
fn cancel_and_ack_take_the_way_of_the_request() {
    let text = string(|out| cancel(INVITE, b"Reason: SIP;cause=200\r\n", out).expect("a CANCEL"));
    assert_eq!(
        text,
        "CANCEL sip:bob@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:7400;branch=z9hG4bKi;rport\r\nf: <sip:a@b>;tag=1\r\n\
CSeq: 1 CANCEL\r\nl: 0\r\nCall-ID: i1\r\nTo : <sip:b@c>\r\nMax-Forwards: 10\r\nRoute: <sip:127.0.0.1:7401;lr>\r\nReason: SIP;cause=200\r\n\r\n"
    );
    parse(text.as_bytes()).validate().expect("sound");
    let reply =
        parse(b"SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP me\r\nTo: <sip:b@c>;tag=t1\r\nCSeq: 1 INVITE\r\n\r\n");
    let text = string(|out| ack(INVITE, &reply, out).expect("an ACK"));
    assert_eq!(
        text,
        "ACK sip:bob@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:7400;branch=z9hG4bKi;rport\r\nf: <sip:a@b>;tag=1\r\n\
CSeq: 1 ACK\r\nl: 0\r\nCall-ID: i1\r\nTo: <sip:b@c>;tag=t1\r\nMax-Forwards: 10\r\nRoute: <sip:127.0.0.1:7401;lr>\r\n\r\n"
    );
    assert!(cancel(b"nonsense", b"", &mut Vec::new()).is_err());
}
