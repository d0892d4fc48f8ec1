//! RFC 4475: each of the 49 torture messages and what this crate says to it.
//!
//! `expect.tsv` holds the verdict of the whole server. What parsing and validation alone can decide is decided here; the
//! table names the layer that decides the rest, and the test checks that this crate gives it what it needs.

use std::path::Path;

use trunkline_message::{Fault, HeaderName, Message, NameAddr, ParseError, Scheme, Transport, Via};

/// Who gives the verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    /// `parse` and `validate` take it, and nobody above has reason to object.
    Accept,
    /// `validate` faults with that code; a reply with a fault is discarded.
    Fault(u16),
    /// Well formed here; a layer above answers that.
    Above(&'static str, &'static str),
}

use Says::{Above, Accept, Fault as Faulty};

const EXPECTED: [(&str, Says); 49] = [
    ("wsinv", Accept),
    ("intmeth", Accept),
    ("esc01", Accept),
    ("escnull", Accept),
    ("esc02", Accept),
    ("lwsdisp", Accept),
    ("longreq", Accept),
    ("dblreq", Accept),
    ("semiuri", Accept),
    ("transports", Accept),
    ("mpart01", Accept),
    ("unreason", Accept),
    ("noreason", Accept),
    ("badinv01", Faulty(400)),
    ("clerr", Faulty(400)),
    ("ncl", Faulty(400)),
    ("scalar02", Faulty(400)),
    ("scalarlg", Faulty(400)),
    ("quotbal", Faulty(400)),
    ("ltgtruri", Faulty(400)),
    ("lwsruri", Faulty(400)),
    ("lwsstart", Faulty(400)),
    ("trws", Faulty(400)),
    // Either is allowed; Kamailio forwards it.
    ("escruri", Accept),
    // Nobody reads Date on the way through.
    ("baddate", Accept),
    ("regbadct", Above("registrar", "400")),
    // White space inside the brackets is harmless.
    ("badaspec", Accept),
    // So is a comma in an unquoted display name of From and To, which hold one address.
    ("baddn", Accept),
    ("badvers", Faulty(505)),
    ("mismatch01", Faulty(400)),
    ("mismatch02", Faulty(400)),
    ("bigcode", Faulty(400)),
    ("badbranch", Accept),
    ("insuf", Faulty(400)),
    ("unkscm", Above("proxy", "416")),
    ("novelsc", Above("proxy", "416")),
    ("unksm2", Accept),
    ("bext01", Above("proxy", "420")),
    ("invut", Accept),
    ("regaut01", Above("script", "401|accept")),
    ("multi01", Faulty(400)),
    ("mcl01", Faulty(400)),
    ("bcast", Above("proxy", "discard")),
    ("zeromf", Above("script", "483|accept")),
    ("cparam01", Accept),
    ("cparam02", Accept),
    ("regescrt", Accept),
    ("sdp01", Accept),
    ("inv2543", Accept),
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rfc4475"))
}

fn read(name: &str) -> Result<Message, ParseError> {
    let bytes = std::fs::read(folder().join(name).with_extension("dat"))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Message::parse(&bytes)
}

fn message(name: &str) -> Message {
    read(name).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

#[test]
fn each_message_gets_its_verdict() {
    for (name, says) in EXPECTED {
        let verdict = message(name).validate().map_err(|fault| fault.code);
        let expected = match says {
            Faulty(code) => Err(code),
            Accept | Above(..) => Ok(()),
        };
        assert_eq!(verdict, expected, "{name}");
    }
}

/// The table above says nothing that `expect.tsv` does not allow, and leaves nothing out.
#[test]
fn the_table_agrees_with_the_verdicts_of_the_rfc() {
    let table = std::fs::read_to_string(folder().join("expect.tsv")).expect("the table");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), EXPECTED.len());
    for row in rows {
        let (name, allowed) = (row[0], row[3]);
        let says = EXPECTED
            .iter()
            .find(|(expected, _)| *expected == name)
            .unwrap_or_else(|| panic!("{name} is missing"))
            .1;
        let verdict = match says {
            Accept => "accept".to_owned(),
            // "A fault in a reply: it is discarded."
            Faulty(_) if !message(name).is_request() => "discard".to_owned(),
            Faulty(code) => code.to_string(),
            Above(_, verdict) => {
                assert_eq!(verdict, allowed, "{name}");
                continue;
            }
        };
        assert!(allowed.split('|').any(|one| one == verdict), "{name}: {verdict} is not in {allowed}");
    }
}

#[test]
fn every_fault_names_the_part_at_fault() {
    let reason = |name: &str| message(name).validate().map_err(|fault| fault.reason);
    for (name, expected) in [
        ("badinv01", "Bad Via"),
        ("clerr", "Bad Content-Length"),
        ("ncl", "Bad Content-Length"),
        ("scalar02", "Bad CSeq"),
        ("scalarlg", "Bad CSeq"),
        ("quotbal", "Bad To"),
        ("ltgtruri", "Bad Request-URI"),
        ("lwsruri", "Bad Request-URI"),
        ("lwsstart", "Bad Request Line"),
        ("trws", "Bad Request Line"),
        ("badvers", "Version Not Supported"),
        ("mismatch01", "CSeq Method Does Not Match Request Method"),
        ("mismatch02", "CSeq Method Does Not Match Request Method"),
        ("bigcode", "Bad Status Code"),
        ("insuf", "Missing From"),
        ("multi01", "Several From Headers"),
        ("mcl01", "Several Content-Length Headers"),
    ] {
        assert_eq!(reason(name), Err(expected), "{name}");
    }
}

/// What the layers above need to give their verdicts.
#[test]
fn layers_above_find_what_they_decide_on() {
    let bad_contacts =
        |name: &str| message(name).addresses(HeaderName::Contact).filter(Result::is_err).count();
    assert_eq!(bad_contacts("regbadct"), 1);
    assert_eq!(bad_contacts("badinv01"), 1);
    assert_eq!(bad_contacts("regescrt"), 0);
    for name in ["unkscm", "novelsc"] {
        assert_eq!(message(name).parse_request_uri().map(|uri| uri.scheme), Ok(Scheme::Other), "{name}");
    }
    let extensions = message("bext01");
    let options: Vec<_> = extensions
        .headers_named(HeaderName::ProxyRequire)
        .flat_map(|header| trunkline_message::grammar::split_list(header.value))
        .collect();
    assert_eq!(options, [&b"noProxiesSupportThis"[..], b"norDoAnyProxiesSupportThis"]);
    let broadcast = message("bcast");
    let vias: Vec<_> = broadcast.vias().map(|via| via.map(|via| via.host)).collect();
    assert_eq!(vias, [Ok(&b"192.0.2.198"[..]), Ok(&b"255.255.255.255"[..])]);
    assert_eq!(message("zeromf").max_forwards(), Ok(Some(0)));
    let authorization = message("regaut01")
        .header(HeaderName::Authorization)
        .map(|header| header.value.starts_with(b"NoOneKnows"));
    assert_eq!(authorization, Some(true));
    assert!(!message("badbranch").via().expect("a Via").has_magic_cookie());
}

#[test]
fn wsinv_in_detail() {
    let message = message("wsinv");
    let to = message.to().expect("To");
    assert_eq!((to.uri, to.tag()), (&b"sip:vivekg@chair-dnrc.example.com"[..], Some(&b"1918181833n"[..])));
    let from = message.from().expect("From");
    assert_eq!(from.display, br#""J Rosenberg \\\"""#);
    assert_eq!((from.uri, from.tag()), (&b"sip:jdrosen@example.com"[..], Some(&b"98asjd8"[..])));
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    assert_eq!(message.cseq().map(|cseq| (cseq.number, cseq.method_text)), Ok((9, &b"INVITE"[..])));
    let vias: Vec<Via<'_>> = message.vias().map(|via| via.expect("a Via")).collect();
    let parts: Vec<_> = vias.iter().map(|via| (via.host, via.transport, via.branch)).collect();
    assert_eq!(
        parts,
        [
            (&b"192.0.2.2"[..], Some(Transport::Udp), Some(&b"390skdjuw"[..])),
            (b"spindle.example.com", Some(Transport::Tcp), Some(b"z9hG4bK9ikj8")),
            (b"192.168.255.111", Some(Transport::Udp), Some(b"z9hG4bK30239")),
        ]
    );
    let subject = message.header(HeaderName::Subject).expect("Subject");
    assert_eq!((subject.name_text, subject.value), (&b"s"[..], &b""[..]));
    let folded = message.header_by_text(b"newfangledheader").expect("there");
    assert_eq!(folded.value, b"newfangled value\r\n continued newfangled value");
    let contact: Vec<_> = message.addresses(HeaderName::Contact).collect();
    assert_eq!(contact.len(), 1);
    let contact = contact[0].expect("a Contact");
    assert_eq!(contact.display_unquoted(), br#"Quoted string \"\""#);
    assert_eq!(contact.params.get("q").and_then(|q| q.value), Some(&b"0.33"[..]));
    assert_eq!(contact.params.get("newparam").and_then(|q| q.value), Some(&b"newvalue"[..]));
    let route: Vec<_> = message.addresses(HeaderName::Route).collect();
    assert!(route[0].and_then(|route: NameAddr<'_>| route.parse_uri()).is_ok_and(|uri| uri.is_loose()));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn others_in_detail() {
    let intmeth = message("intmeth");
    assert_eq!(intmeth.method_text(), b"!interesting-Method0123456789_*+`.%indeed'~");
    let uri = intmeth.parse_request_uri().expect("a URI");
    assert_eq!(uri.host, b"example.com");
    assert_eq!(uri.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(uri.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(intmeth.from().map(|from| from.tag()), Ok(Some(&b"_token~1'+`*%!-."[..])));
    assert_eq!(intmeth.headers().last().map(|header| header.name), Some(HeaderName::ContentLength));

    // "C%6Fntact" is not Contact: names are never unescaped.
    assert_eq!(message("esc02").headers_named(HeaderName::Contact).count(), 2);
    let esc01 = message("esc01");
    let contact = esc01
        .addresses(HeaderName::Contact)
        .next()
        .expect("a Contact")
        .and_then(|c| c.parse_uri())
        .expect("a URI");
    assert!(contact.is_loose());
    assert_eq!(&*trunkline_message::grammar::unescape(contact.user.unwrap_or_default()), b"caller");
    assert_eq!(esc01.call_id(), b"esc01.239409asdfakjkn23onasd0-3234");

    // The second request behind the body is not part of it.
    let dblreq = message("dblreq");
    assert!(dblreq.body().is_empty());
    assert!(dblreq.as_bytes()[dblreq.body_span().end..].starts_with(b"\r\nINVITE"));

    let unknown = message("transports")
        .vias()
        .map(|via| via.map(|via| via.transport))
        .collect::<Result<Vec<_>, Fault>>();
    assert_eq!(
        unknown,
        Ok(vec![
            Some(Transport::Udp),
            Some(Transport::Sctp),
            Some(Transport::Tls),
            None,
            Some(Transport::Tcp)
        ])
    );
    let unreason = message("unreason");
    assert!(std::str::from_utf8(unreason.reason()).is_ok_and(|reason| !reason.is_ascii()));
    assert_eq!((unreason.status(), message("noreason").reason()), (200, &b""[..]));
    assert_eq!(
        message("mpart01").body().len(),
        message("mpart01").as_bytes().len() - message("mpart01").body_span().start
    );
    assert!(message("inv2543").body().starts_with(b"v=0"));
    assert_eq!(message("bigcode").status(), u16::MAX);
}
