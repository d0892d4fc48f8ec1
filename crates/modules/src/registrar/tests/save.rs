//! `save()`: one test per rule.

use super::*;

#[test]
fn add_refresh_list_remove() {
    let office = Office::new(&[]);
    assert_eq!(office.alice(1, &[A]), ok(1, &["Contact: <sip:a@192.0.2.1:5070>;expires=3600"]));
    assert_eq!(
        office.alice(2, &[&format!("{A};expires=100")]),
        ok(2, &["Contact: <sip:a@192.0.2.1:5070>;expires=100"])
    );
    assert_eq!(office.alice(3, &[]), ok(4, &["Contact: <sip:a@192.0.2.1:5070>;expires=100"]));
    assert_eq!(office.alice(4, &[&format!("{A};expires=0")]), ok(3, &[]));
    assert_eq!(office.alice(5, &[]), ok(4, &[]));
    assert_eq!(office.alice(6, &[&format!("{A};expires=0")]), ok(1, &[]), "removing what is not there");
    assert_eq!(office.bench.core.statistics.value("accepted_regs"), Some(6));
}

#[test]
fn expires_parameter_header_default_and_limits() {
    let expires = |params: Params<'_>, headers: &[&str]| {
        let answer = Office::new(params).alice(1, headers);
        answer.rows.first().and_then(|r| r.rsplit_once("expires=")?.1.parse::<u32>().ok())
    };
    assert_eq!(expires(&[], &[&format!("{A};expires=200"), "Expires: 500"]), Some(200));
    assert_eq!(expires(&[], &[A, "Expires: 500"]), Some(500));
    assert_eq!(expires(&[], &[A]), Some(3600));
    assert_eq!(expires(&[], &[&format!("{A};expires=abc")]), Some(3600), "unreadable counts as none");
    assert_eq!(expires(&[], &[A, "Expires: abc"]), Some(3600));
    assert_eq!(expires(&[], &[&format!("{A};expires=4294967297")]), Some(3600));
    assert_eq!(expires(&[], &[&format!("{A};expires=30")]), Some(60), "lengthened to min_expires");
    assert_eq!(expires(&[("r", "max_expires", int(120))], &[A]), Some(120));
    assert_eq!(expires(&[("r", "default_expires", int(1800))], &[A]), Some(1800));
    for _ in 0..20 {
        let e = expires(&[("r", "expires_range", int(30))], &[&format!("{A};expires=1000")]).expect("bound");
        assert!((700..=1000).contains(&e), "{e}");
    }
    assert_eq!(
        expires(&[], &[&format!("{A};expires=4294967295")]).map(|e| e > 1 << 31),
        Some(true),
        "no overflow"
    );
}

#[test]
fn too_brief() {
    let office = Office::new(&[("r", "min_expires_mode", int(1))]);
    let brief =
        refused("423 Interval Too Brief", &["Min-Expires: 60", "P-Registrar-Error: Interval too brief"]);
    assert_eq!(office.alice(1, &[&format!("{A};expires=30")]), brief);
    assert_eq!(office.alice(2, &[&format!("{A};expires=60")]).result, 1);
    assert_eq!(office.alice(3, &[&format!("{A};expires=0")]).result, 3, "zero is not brief");
    assert_eq!(office.bench.core.statistics.value("rejected_regs"), Some(1));
}

#[test]
fn call_id_and_cseq() {
    let mut office = Office::new(&[]);
    office.alice(5, &[A]);
    let again = ok(1, &["Contact: <sip:a@192.0.2.1:5070>;expires=3600"]);
    assert_eq!(
        office.alice(5, &[&format!("{A};expires=77")]),
        again,
        "a retransmission is answered, not applied"
    );
    let stale = |left| {
        refused(
            "400 Bad Request",
            &[
                &format!("Contact: <sip:a@192.0.2.1:5070>;expires={left}"),
                "P-Registrar-Error: Invalid CSeq number",
            ],
        )
    };
    assert_eq!(office.alice(4, &[A]), stale(3600));
    assert_eq!(office.alice(4, &[&format!("{A};expires=0")]), stale(3600));
    office.later(21);
    assert_eq!(office.alice(5, &[A]), stale(3579), "after cseq_delay it is no retransmission");
    assert_eq!(office.register("<sip:alice@bench.test>", "other", 1, &[A]).result, 2, "another Call-ID may");
    office.later(4000);
    assert_eq!(
        office.register("<sip:alice@bench.test>", "other", 1, &[A]).result,
        2,
        "a binding that ended holds nothing back"
    );
}

#[test]
fn several_contacts_and_q() {
    let office = Office::new(&[]);
    let answer = office.alice(
        1,
        &[
            "Contact: <sip:b@192.0.2.1;transport=tcp>;q=0.5;expires=200, \"Bob\" <sip:c@192.0.2.1>;q=0.7",
            "Expires: 500",
        ],
    );
    assert_eq!(
        answer.rows,
        ["Contact: <sip:c@192.0.2.1>;q=0.7;expires=500, <sip:b@192.0.2.1;transport=tcp>;q=0.5;expires=200"]
    );
    let answer = office.register("<sip:x@b>", "c", 1, &["Contact: <sip:1@h>, <sip:2@h>", "m: <sip:3@h>"]);
    assert_eq!(
        answer.rows,
        ["Contact: <sip:2@h>;expires=3600, <sip:1@h>;expires=3600, <sip:3@h>;expires=3600"]
    );
    for bad in ["q=abc", "q=2", "q=1.001"] {
        let answer = office.register("<sip:y@b>", "c", 1, &[&format!("Contact: <sip:1@h>;{bad}")]);
        assert_eq!(answer, refused("400 Bad Request", &["P-Registrar-Error: Invalid q param in contact"]));
    }
    let default = Office::new(&[("r", "default_q", int(380))]);
    assert_eq!(default.alice(1, &[A]).rows, ["Contact: <sip:a@192.0.2.1:5070>;q=0.38;expires=3600"]);
}

#[test]
fn results_follow_the_first_contact_of_the_row() {
    let (a, b) = ("<sip:a@h>", "<sip:b@h>");
    let gone = |c: &str| format!("{c};expires=0");
    let step = |before: &[&str], then: &[String]| {
        let office = Office::new(&[]);
        office.alice(1, &[&format!("Contact: {}", before.join(", "))]);
        office.alice(2, &[&format!("Contact: {}", then.join(", "))]).result
    };
    assert_eq!(step(&[a], &[b.into(), a.into()]), 1);
    assert_eq!(step(&[a], &[a.into(), b.into()]), 2);
    assert_eq!(step(&[a, b], &[gone(a), b.into()]), 3);
    assert_eq!(step(&[a, b], &[a.into(), gone(b)]), 2);
    assert_eq!(step(&[a], &[gone(b)]), 1);
}

#[test]
fn all_contacts_or_none() {
    let office = Office::new(&[]);
    office.alice(7, &["Contact: <sip:a@h>;expires=100"]);
    // b alone would be fine; a is stale, so b is not bound either.
    let answer = office.alice(6, &["Contact: <sip:a@h>, <sip:b@h>"]);
    assert_eq!((answer.result, answer.rows[0].as_str()), (-1, "Contact: <sip:a@h>;expires=100"));
    assert_eq!(office.alice(8, &[]).rows, ["Contact: <sip:a@h>;expires=100"]);
}

#[test]
fn star_removes_all() {
    let office = Office::new(&[]);
    office.alice(5, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let more = refused("400 Bad Request", &["P-Registrar-Error: * used in contact and more than 1 contact"]);
    assert_eq!(office.alice(6, &["Contact: <sip:a@h>", "Contact: *", "Expires: 0"]), more);
    let expires =
        refused("400 Bad Request", &["P-Registrar-Error: * used in contact and expires is not zero"]);
    assert_eq!(office.alice(6, &["Contact: *", "Expires: 10"]), expires);
    assert_eq!(office.alice(6, &["Contact: *"]), expires);
    assert_eq!(office.alice(5, &["Contact: *", "Expires: 0"]).result, -1, "the CSeq must be higher");
    assert_eq!(office.alice(6, &["Contact: *", "Expires: 0"]), ok(3, &[]));
    assert_eq!(office.alice(7, &["Contact: *", "Expires: 0"]), ok(3, &[]));
    office.alice(8, &[A]);
    let other = office.register("<sip:alice@bench.test>", "other", 1, &["Contact: *", "Expires: 0"]);
    assert_eq!(other, ok(3, &[]), "another Call-ID removes whatever its CSeq");
}

#[test]
fn bad_contacts_and_addresses() {
    let office = Office::new(&[]);
    let bad = |why: &str| refused("400 Bad Request", &[&format!("P-Registrar-Error: {why}")]);
    for contact in
        ["<sip:x", "\"x <sip:x@y>", "sip:user@example.com?Route=%3Csip:sip.example.com%3E", "<sip:a\r\n b@h>"]
    {
        assert_eq!(
            office.alice(1, &[&format!("Contact: {contact}")]),
            bad("Contact parse error"),
            "{contact}"
        );
    }
    let long = format!("Contact: <sip:{}@h>", "x".repeat(520));
    assert_eq!(office.alice(1, &[&long]), bad("Contact/received too long"));
    for to in ["<urn:x>", "garbage", &format!("<sip:{}@h>", "x".repeat(300))] {
        assert_eq!(office.register(to, "c", 1, &[A]), bad("Error while parsing AOR"), "{to}");
    }
    for id in ["0", "x", "2147483648"] {
        let contact = format!("{A};+sip.instance=\"<urn:uuid:1>\";reg-id={id}");
        assert_eq!(office.alice(1, &[&contact]), bad("Invalid reg-id param in contact"), "{id}");
    }
    assert_eq!(office.alice(1, &[]).rows, [""; 0], "nothing was bound");
}

#[test]
fn the_address_of_record_is_canonical() {
    let office = Office::new(&[]);
    office.register("<sip:bob%41:secret@bench.test;x=1>", "c", 1, &[A]);
    assert_eq!(office.targets("sip:BOBa@elsewhere").len(), 1);
    assert_eq!(office.targets("sip:bob%61@elsewhere").len(), 1);
    let office = Office::new(&[("usrloc", "use_domain", int(1)), ("r", "realm_prefix", string("sip."))]);
    office.register("<sip:bob@sip.Bench.test>", "c", 1, &[A]);
    assert_eq!(office.targets("sip:bob@bench.TEST").len(), 1);
    assert_eq!(office.targets("sip:bob@elsewhere").len(), 0);
    let office = Office::new(&[("r", "case_sensitive", int(1))]);
    office.register("<sip:Bob@h>", "c", 1, &[A]);
    assert_eq!((office.targets("sip:Bob@h").len(), office.targets("sip:bob@h").len()), (1, 0));
}

#[test]
fn max_contacts() {
    let office = Office::new(&[("r", "max_contacts", int(2)), ("r", "retry_after", int(30))]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    let full = office.alice(2, &["Contact: <sip:b@h>, <sip:c@h>"]);
    assert_eq!(full.result, -2);
    assert_eq!(full.status, "503 Service Unavailable");
    assert_eq!(
        full.rows,
        [
            "Contact: <sip:a@h>;expires=3600",
            "P-Registrar-Error: Too many registered contacts",
            "Retry-After: 30"
        ]
    );
    assert_eq!(
        office.alice(3, &["Contact: <sip:a@h>;expires=0, <sip:b@h>, <sip:c@h>"]).result,
        3,
        "one goes, two come"
    );
    assert_eq!(office.alice(4, &["Contact: <sip:b@h>, <sip:c@h>"]).result, 2);
}

#[test]
fn an_address_of_record_is_bounded() {
    let office = Office::new(&[]);
    let many = |from: usize, n| {
        let list: Vec<String> = (from..from + n).map(|i| format!("<sip:u{i}@h>")).collect();
        format!("Contact: {}", list.join(","))
    };
    assert_eq!(office.alice(1, &[&many(0, 400)]).result, 1);
    assert_eq!(office.alice(2, &[&many(400, 101)]).result, -2);
    assert_eq!(office.alice(3, &[&many(400, 100)]).result, 1);
}

#[test]
fn flags() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    let mut ctx = office.context("<sip:alice@b>", "c", 2, &["Contact: <sip:b@h>, <sip:c@h>"]);
    assert_eq!(office.save(&mut ctx, 4), ok(1, &["Contact: <sip:c@h>;expires=3600"]), "one contact per user");

    let mut ctx = office.context("<sip:alice@b>", "c", 3, &["Contact: <sip:c@h>"]);
    assert_eq!(office.save(&mut ctx, 2), Answer { status: String::new(), ..ok(2, &[]) });
    let sent = office.call(&mut ctx, "reg_send_reply", &[]);
    assert_eq!(office.answer(&ctx, sent), ok(-1, &["Contact: <sip:c@h>;expires=3600"]));
    assert_eq!(office.call(&mut ctx, "reg_send_reply", &[]), -1);
    assert_eq!(office.bench.transactions.calls().len(), 0, "sent once");

    let mut ctx = office.context("<sip:alice@b>", "c", 4, &["Contact: <sip:c@h>"]);
    let held = Answer { status: String::new(), ..ok(2, &["Contact: <sip:c@h>;expires=3600"]) };
    assert_eq!(office.save(&mut ctx, 0x12), held, "headers for the script's own reply");
}

#[test]
fn replies_are_not_answered() {
    let office = Office::new(&[]);
    let mut ctx = office.bench.context(
        RouteKind::Reply,
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKr\nFrom: <sip:a@b>;tag=1\nTo: <sip:alice@b>;tag=2\nCall-ID: c\n\
         CSeq: 1 REGISTER\nContact: <sip:a@h>;expires=90\nContent-Length: 0\n",
    );
    assert_eq!(office.save(&mut ctx, 0), Answer { status: String::new(), ..ok(1, &[]) });
    assert_eq!(office.targets("sip:alice@b"), ["sip:a@h"]);
}

#[test]
fn path() {
    let path = ["Path: <sip:p1.test;lr>, <sip:p2.test;lr>", "Path: <sip:p3.test;lr>"];
    let joined = "Path: <sip:p1.test;lr>, <sip:p2.test;lr>,<sip:p3.test;lr>";
    let contact = "Contact: <sip:d@192.0.2.1>;expires=100";
    let office = |mode| Office::new(&[("r", "use_path", int(1)), ("r", "path_mode", int(mode))]);
    let with = |office: &Office, cseq, supported: bool| {
        let mut headers = vec![contact, path[0], path[1]];
        if supported {
            headers.push("Supported: gruu, path");
        }
        office.alice(cseq, &headers)
    };
    let strict = office(2);
    let no = refused(
        "420 Bad Extension",
        &["Unsupported: path", joined, "P-Registrar-Error: No support for found Path indicated"],
    );
    assert_eq!(with(&strict, 1, false), no);
    assert_eq!(with(&strict, 2, true), ok(1, &[contact, joined]));
    assert_eq!(strict.alice(3, &[]), ok(4, &[contact]));
    let lazy = office(1);
    assert_eq!(with(&lazy, 1, false), ok(1, &[contact]));
    assert_eq!(with(&lazy, 2, true), ok(2, &[contact, joined]));
    let off = office(0);
    assert_eq!(with(&off, 1, true), ok(1, &[contact]));

    let mut ctx = off.invite("sip:alice@h");
    assert_eq!(off.lookup(&mut ctx), 1);
    assert_eq!(text(&ctx.target.dst_uri), "sip:p1.test;lr");
    assert_eq!(format!("Path: {}", text(&ctx.target.path)), joined);
    let ignored = Office::new(&[]);
    assert_eq!(with(&ignored, 1, false), ok(1, &[contact]));
    let mut ctx = ignored.invite("sip:alice@h");
    assert_eq!((ignored.lookup(&mut ctx), ctx.target.dst_uri.len()), (1, 0));
}

#[test]
fn path_received_and_local_first_hop() {
    let office = Office::new(&[
        ("usrloc", "nat_bflag", int(3)),
        ("r", "use_path", int(1)),
        ("r", "path_mode", int(0)),
        ("r", "path_use_received", int(1)),
        ("r", "path_check_local", int(1)),
    ]);
    let path =
        "Path: <sip:127.0.0.1:5060;lr;received=sip:203.0.113.1:4321%3Btransport=tcp>, <sip:p2.test;lr>";
    let answer = office.alice(1, &[A, path]);
    assert_eq!(
        answer.rows,
        ["Contact: <sip:a@192.0.2.1:5070>;expires=3600;received=\"sip:203.0.113.1:4321;transport=tcp\""]
    );
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.lookup(&mut ctx), 1);
    assert_eq!(text(&ctx.target.dst_uri), "sip:p2.test;lr");
    assert_eq!(text(&ctx.target.path), "<sip:p2.test;lr>");
    assert_eq!(ctx.target.flags, 8);
}

#[test]
fn instances_gruu_and_outbound() {
    let i = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";
    let office = Office::new(&[("r", "outbound_mode", int(1)), ("r", "flow_timer", int(25))]);
    let contact = format!("Contact: <sip:a@h>;{i};reg-id=1");
    let answer = office.alice(1, &[&contact, "Supported: path, outbound"]);
    let listed = format!("Contact: <sip:a@h>;expires=3600;{i};reg-id=1");
    assert_eq!(answer, ok(1, &[&listed, "Supported: outbound", "Require: outbound", "Flow-Timer: 25"]));
    let moved = office.alice(2, &[&contact.replace("a@h", "b@h"), "Supported: outbound, gruu"]);
    let hash = office
        .bench
        .core
        .registry
        .module::<Usrloc>()
        .and_then(|u| u.domains().find(b"location"))
        .expect("table")
        .hash(b"alice");
    let gruus = format!(
        "pub-gruu=\"sip:alice@bench.test;gr=urn:uuid:00000000-0000-1000-8000-000A95A0E128\";\
         temp-gruu=\"sip:uloc-6b02c74d-1a2b-1-{hash:08x}@bench.test;gr\""
    );
    assert_eq!(moved.rows[0], format!("Contact: <sip:b@h>;expires=3600;{gruus};{i};reg-id=1"));
    assert_eq!(office.alice(3, &["Contact: <sip:c@h>"]).rows[1..], ["Supported: outbound"]);

    assert_eq!(
        office.targets("sip:alice@bench.test;gr=urn:uuid:00000000-0000-1000-8000-000A95A0E128"),
        ["sip:b@h"]
    );
    assert_eq!(office.targets(&format!("sip:uloc-6b02c74d-1a2b-1-{hash:08x}@bench.test;gr")), ["sip:b@h"]);
    for dead in ["sip:alice@h;gr=urn:uuid:2", "sip:uloc-6b02c74d-1a2b-99-00000000@h;gr", "sip:alice@h;gr"] {
        assert_eq!(office.targets(dead).len(), 0, "{dead}");
    }
    let two_hops =
        ["Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx", "Supported: outbound", "Path: <sip:edge;lr>"];
    let far = office.alice(4, &[&contact, two_hops[0], two_hops[1], two_hops[2]]);
    assert_eq!(far.status, "439 First Hop Lacks Outbound Support");
    let near = office.alice(5, &[&contact, two_hops[0], two_hops[1], "Path: <sip:edge;lr;ob>"]);
    assert_eq!(near.result, 2);

    let off = Office::new(&[]);
    let no = refused(
        "420 Bad Extension",
        &["Unsupported: outbound", "P-Registrar-Error: No support for Outbound on server"],
    );
    assert_eq!(off.alice(1, &[&contact, "Require: outbound"]), no);
    let only = Office::new(&[("r", "outbound_mode", int(2))]);
    assert_eq!(only.alice(1, &[&contact]).status, "421 Extension Required");
    let plain = Office::new(&[("r", "gruu_enabled", int(0))]);
    assert_eq!(plain.alice(1, &[&contact, "Supported: gruu"]).rows, ["Contact: <sip:a@h>;expires=3600"]);
}

#[test]
fn received_from_the_avp() {
    let office = Office::new(&[("r", "received_avp", string("$source"))]);
    let mut ctx = office.context("<sip:alice@b>", "c", 1, &[A]);
    let rows = ["Contact: <sip:a@192.0.2.1:5070>;expires=3600;received=\"sip:203.0.113.1:9\""];
    assert_eq!(office.save(&mut ctx, 0), ok(1, &rows));
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!((office.lookup(&mut ctx), text(&ctx.target.dst_uri)), (1, "sip:203.0.113.1:9".into()));
}

/// Work of a refresh that could grow unnoticed: allocations.
#[test]
fn a_refresh_allocates_little() {
    let office = Office::new(&[]);
    office.alice(1, &[A]);
    office.alice(2, &[A]);
    let mut ctx = office.context("<sip:alice@bench.test>", "c", 3, &[A]);
    let registrar = office.bench.core.registry.module::<Registrar>().expect("loaded");
    let count = allocation_counter::measure(|| {
        registrar.save_as(
            &mut ctx,
            b"location",
            crate::registrar::save_flags::NO_REPLY | crate::registrar::save_flags::HEADERS,
            b"",
        );
    });
    // The list of contacts, the reply rows in the context, and the slot of the prepared reply.
    assert!(count.count_total <= 6, "{} allocations", count.count_total);
}
