//! How long parsing and printing take: `cargo run --release -p trunkline-message --example timing`.
//!
//! Prints nanoseconds per operation, the best of several rounds; nothing here is a pass or a failure.

// A measurement is the one thing here that needs the clock.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use trunkline_message::print::{self, Forward, LocalReply};
use trunkline_message::{Edits, HeaderName, Message};

const INVITE: &[u8] = b"INVITE sip:bob@192.0.2.10:5060 SIP/2.0\r\n\
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK-524287-1---7dc6bd8a3aeb2f34;rport\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:alice@198.51.100.7:5062;transport=udp>\r\n\
To: <sip:bob@example.com>\r\n\
From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
Call-ID: 3848276298220188511@198.51.100.7\r\n\
CSeq: 1 INVITE\r\n\
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
Content-Type: application/sdp\r\n\
Supported: replaces, norefersub, extended-refer, timer, outbound, path\r\n\
User-Agent: Phone 5.4.3 (release 1234)\r\n\
Allow-Events: presence, kpml, talk\r\n\
Content-Length: 137\r\n\r\n\
v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\r\n";

const OPTIONS: &[u8] = b"OPTIONS sip:ping@192.0.2.10 SIP/2.0\r\n\
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK7dc6bd8a3aeb2f34;rport\r\n\
From: <sip:probe@198.51.100.7>;tag=9fxced76sl\r\n\
To: <sip:ping@192.0.2.10>\r\n\
Call-ID: 3848276298220188511@198.51.100.7\r\n\
CSeq: 1 OPTIONS\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:probe@198.51.100.7:5062>\r\n\
Content-Length: 0\r\n\r\n";

fn time(what: &str, mut operation: impl FnMut()) {
    // Short rounds, so that some of them are not interrupted on a busy machine.
    const ROUND: u32 = 500;
    let mut best = f64::MAX;
    for _ in 0..1_000 {
        let start = Instant::now();
        for _ in 0..ROUND {
            operation();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(ROUND));
    }
    println!("{best:8.1} ns  {what}");
}

fn main() {
    for (name, bytes) in [("INVITE", INVITE), ("OPTIONS", OPTIONS)] {
        let name = format!("{name} ({} bytes)", bytes.len());
        time(&format!("parse {name}"), || {
            let _ = black_box(Message::parse(black_box(bytes)));
        });
        time(&format!("parse and validate {name}"), || {
            let message = Message::parse(black_box(bytes));
            let _ = black_box(message.map(|message| message.validate()));
        });
    }

    let Ok(message) = Message::parse(INVITE) else { return };
    assert_eq!(message.validate(), Ok(()));
    let source = std::net::SocketAddr::from(([198, 51, 100, 7], 5062));
    let mut out = Vec::with_capacity(4096);

    let mut edits = Edits::new();
    edits.insert(message.headers_start(), b"Record-Route: <sip:192.0.2.10;lr>\r\n");
    if let Some(hops) =
        message.header(HeaderName::MaxForwards).and_then(|header| message.offset_of(header.value))
    {
        edits.replace(hops, hops + 2, b"69");
    }
    time("print forwarded request: record-route, max-forwards, uri, via, stamp", || {
        out.clear();
        let how = Forward {
            uri: Some(b"sip:bob@203.0.113.9:5070"),
            via: Some(b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2cfc.9da5b2db0a287b20f6f107e487b5c679.0"),
            via_stamp: print::via_stamp(&message, source, false),
        };
        print::request(&message, black_box(&edits), &how, &mut out);
        black_box(&out);
    });
    time("print forwarded request as it is", || {
        out.clear();
        print::request(&message, &Edits::new(), &Forward::default(), &mut out);
        black_box(&out);
    });
    time("print local reply", || {
        out.clear();
        let reply = LocalReply {
            code: 200,
            reason: b"OK",
            to_tag: b"6215905718dd07125e4c13c57085570c.64cc3c8b",
            rows: b"Server: trunkline\r\n",
            body: None,
            via_stamp: print::via_stamp(&message, source, false),
            record_route: false,
        };
        print::local_reply(black_box(&message), &reply, &mut out);
        black_box(&out);
    });
    let mut sent = Vec::new();
    let how = Forward { via: Some(b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1"), ..Forward::default() };
    print::request(&message, &edits, &how, &mut sent);
    time("make CANCEL", || {
        out.clear();
        let _ = black_box(print::cancel(black_box(&sent), b"", &mut out));
    });
    time("edits: make, two headers, drop", || {
        let mut edits = Edits::new();
        edits.insert(message.headers_start(), b"Record-Route: <sip:192.0.2.10;lr>\r\n");
        edits.insert(message.headers_end(), b"X-A: 1\r\n");
        black_box(&edits);
    });
}
