//! Any bytes: no panic in any accessor, every slice inside the message, and parse, print, parse is the same.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use trunkline_message::grammar::{split_list, unescape, unquote};
use trunkline_message::print::{self, Forward, LocalReply};
use trunkline_message::{Edits, Header, HeaderName, Message, NameAddr, Uri, Via};

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::parse(data) else { return };
    let sound = message.validate();
    assert_eq!(sound, message.validate(), "validation is stable");
    let _ =
        (message.start_line(), message.method(), message.method_text(), message.status(), message.expires());
    inside(&message, message.reason());
    inside(&message, message.request_uri());
    inside(&message, message.call_id());
    inside(&message, message.body());
    assert!(
        message.headers_start() <= message.headers_end()
            && message.body_span().end <= message.as_bytes().len()
    );
    let _ =
        (message.max_forwards(), message.cseq(), message.parse_request_uri().map(|uri| look(&message, &uri)));
    for address in [message.from(), message.to()].into_iter().flatten() {
        address_inside(&message, &address);
    }
    rows(&message);
    for via in message.vias().chain([message.via()]).flatten() {
        via_inside(&message, &via);
    }
    if sound.is_ok() {
        assert!(
            message.via().is_ok() && message.from().is_ok() && message.to().is_ok() && message.cseq().is_ok()
        );
    }
    prints(&message);
});

fn inside(message: &Message, part: &[u8]) {
    assert!(part.is_empty() || message.offset_of(part).is_some());
}

fn rows(message: &Message) {
    let mut at = message.headers_start();
    for header in message.headers() {
        assert_eq!(header.row.0, at, "rows follow each other");
        at = header.row.1;
        assert!(message.offset_of(header.name_text) == Some(header.row.0) && !header.name_text.is_empty());
        let value = message.offset_of(header.value).expect("values are inside");
        assert!(value > header.row.0 && value + (header.value.len() as u32) < header.row.1);
        assert!(message.headers_by_text(header.name_text).any(|found| found == header));
        assert!(message.headers_named(header.name).any(|found| found == header));
        split_list(header.value).for_each(|element| inside(message, element));
        let _ = (unescape(header.value), unquote(header.value));
        for address in NameAddr::list(header.value).flatten() {
            address_inside(message, &address);
        }
    }
    assert_eq!(at, message.headers_end());
    for name in [HeaderName::Contact, HeaderName::Route, HeaderName::Other] {
        assert_eq!(message.header(name), message.headers_named(name).next());
        let _ = message.addresses(name).count();
    }
}

fn address_inside(message: &Message, address: &NameAddr<'_>) {
    inside(message, address.text);
    inside(message, address.display);
    inside(message, address.uri);
    inside(message, address.display_unquoted());
    address.params.iter().for_each(|param| inside(message, param.unquoted()));
    let _ = (address.tag(), address.parse_uri().map(|uri| look(message, &uri)));
}

fn look(message: &Message, uri: &Uri<'_>) {
    for part in
        [uri.text, uri.host, uri.headers, uri.user.unwrap_or_default(), uri.password.unwrap_or_default()]
    {
        inside(message, part);
    }
    let _ = (uri.transport(), uri.port_or_default(), uri.ip(), uri.is_loose());
    assert!(uri.equivalent(uri), "a URI is itself");
}

fn via_inside(message: &Message, via: &Via<'_>) {
    for part in [
        via.text,
        via.transport_text,
        via.host,
        via.branch.unwrap_or_default(),
        via.received.unwrap_or_default(),
    ] {
        inside(message, part);
    }
    let _ = (via.reply_address(), via.has_magic_cookie(), via.ip(), via.port_or_default());
}

fn prints(message: &Message) {
    let mut out = Vec::new();
    print::request(message, &Edits::new(), &Forward::default(), &mut out);
    assert_eq!(
        out,
        &message.as_bytes()[..message.body_span().end],
        "an unedited message is printed as it came"
    );
    let again = Message::parse(&out).expect("what was printed parses");
    assert!(strip(message.headers()).eq(strip(again.headers())));
    assert_eq!(message.start_line(), again.start_line());
    assert_eq!(message.body(), again.body());

    let source = SocketAddr::from(([192, 0, 2, 1], 5060));
    let via_stamp = print::via_stamp(message, source, true);
    out.clear();
    let how = Forward { uri: Some(b"sip:x@y"), via: Some(b"SIP/2.0/UDP p;branch=z9hG4bKp"), via_stamp };
    print::request(message, &Edits::new(), &how, &mut out);
    let forwarded = Message::parse(&out).expect("what was forwarded parses");
    assert_eq!(forwarded.via().map(|via| via.host), Ok(&b"p"[..]));
    if !message.request_uri().is_empty() {
        assert_eq!(forwarded.request_uri(), b"sip:x@y");
    }
    let before = message.via().map(|via| (via.host, via.port, via.branch));
    if let Some(Ok(second)) = forwarded.vias().nth(1)
        && let Ok(before) = before
    {
        assert_eq!((second.host, second.port, second.branch), before);
        assert_eq!(second.rport, Some(Some(5060)));
    }
    let vias = forwarded.vias().count();
    let sent = std::mem::take(&mut out);
    print::forwarded_reply(&forwarded, &Edits::new(), &mut out);
    let returned = Message::parse(&out).expect("what was returned parses");
    assert_eq!(returned.vias().count() + 1, vias, "exactly one Via goes");

    let body: Option<(&[u8], &[u8])> = Some((b"text/plain", b"abc"));
    let reply = LocalReply {
        code: 480,
        reason: b"No",
        to_tag: b"tt",
        rows: b"Server: x\r\n",
        body,
        via_stamp,
        record_route: true,
    };
    out.clear();
    print::local_reply(message, &reply, &mut out);
    let replied = Message::parse(&out).expect("what was replied parses");
    assert_eq!((replied.status(), replied.body()), (480, &b"abc"[..]));
    if message.is_request() && message.validate().is_ok() {
        replied.validate().expect("a sound reply to a sound request");
        out.clear();
        if print::cancel(&sent, b"", &mut out).is_ok() {
            Message::parse(&out).expect("CANCEL parses").validate().expect("CANCEL is sound");
        }
        out.clear();
        if print::ack(&sent, &replied, &mut out).is_ok() {
            let ack = Message::parse(&out).expect("ACK parses");
            assert!(ack.to().is_ok_and(|to| to.tag().is_some()));
        }
    }
}

fn strip<'a>(
    headers: impl Iterator<Item = Header<'a>>,
) -> impl Iterator<Item = (HeaderName, &'a [u8], &'a [u8])> {
    headers.map(|header| (header.name, header.name_text, header.value))
}
