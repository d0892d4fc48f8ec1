//! Registrar by RFC 3261 §10.3, and as Kamailio answers.

use std::sync::Arc;

use script::pv::Inner;
use script::testing::Bench;
use script::vars::VarValue;
use script::{CoreConfig, Module, ParamValue, PseudoVariable, RouteContext, RouteKind, Setup, Value};
use transaction::{Now, SocketId};

use super::Registrar;
use crate::usrloc::{Usrloc, unix};

/// A registrar with its table, and phones that register with it.
struct Office {
    bench: Bench,
}

type Params<'a> = &'a [(&'a str, &'a str, ParamValue)];

fn int(n: i64) -> ParamValue {
    ParamValue::Int(n)
}
fn string(s: &str) -> ParamValue {
    ParamValue::Str(s.into())
}

/// Stands in for the AVP of `received_avp`.
struct Source;

impl Module for Source {
    fn name(&self) -> &'static str {
        "source"
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        const ROWS: &[PseudoVariable] = &[PseudoVariable {
            module: "source",
            name: "source",
            doc: "Where the message came from.",
            inner: Inner::None,
            get: |_, _| Value::Str(std::borrow::Cow::Borrowed(b"sip:203.0.113.1:9")),
            set: None,
        }];
        ROWS
    }
}

/// What a REGISTER led to.
#[derive(Debug, PartialEq)]
struct Answer {
    result: i64,
    /// `200 OK`, empty when nothing was sent.
    status: String,
    rows: Vec<String>,
}

fn text(v: &[u8]) -> String {
    String::from_utf8_lossy(v).into_owned()
}

impl Office {
    fn new(params: Params<'_>) -> Office {
        Office::try_new(params).unwrap_or_else(|e| panic!("{e}"))
    }
    fn try_new(params: Params<'_>) -> Result<Office, script::SetupError> {
        let (mut usrloc, mut registrar) = (Usrloc::default(), Registrar::default());
        for (module, name, value) in params {
            match *module {
                "usrloc" => usrloc.set_param(name, value.clone())?,
                _ => registrar.set_param(name, value.clone())?,
            }
        }
        let config = CoreConfig { pid: 0x1a2b, started: 0x6b02c74d, ..CoreConfig::default() };
        let mut modules: Vec<Arc<dyn Module>> = Vec::new();
        usrloc.setup(&Setup { config: &config, listeners: &[], modules: &[], now: Now::default() })?;
        modules.push(Arc::new(usrloc));
        registrar.setup(&Setup {
            config: &config,
            listeners: &[],
            modules: &modules,
            now: Now::default(),
        })?;
        modules.push(Arc::new(registrar));
        modules.push(Arc::new(Source));
        Ok(Office { bench: Bench::with_config(modules, config) })
    }
    fn later(&mut self, seconds: u64) {
        self.bench.now.unix_micros += seconds * 1_000_000;
    }
    fn context(&self, to: &str, call_id: &str, cseq: u32, headers: &[&str]) -> RouteContext<'_> {
        let rows: String = headers.iter().map(|h| format!("{h}\n")).collect();
        self.bench.request(&format!(
            "REGISTER sip:bench.test SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKr\nFrom: <sip:f@bench.test>;tag=f\n\
             To: {to}\nCall-ID: {call_id}\nCSeq: {cseq} REGISTER\n{rows}Content-Length: 0\n"
        ))
    }
    fn save(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Answer {
        let args = [Value::str(b"location"), Value::Int(flags)];
        let result = self.bench.call(ctx, "registrar.save", &args).to_int().expect("int");
        self.answer(ctx, result)
    }
    fn answer(&self, ctx: &RouteContext<'_>, result: i64) -> Answer {
        let status = self.bench.transactions.calls().join("|");
        let rows = text(ctx.edits.reply_rows());
        Answer {
            result,
            status: status.replace("reply_stateless ", ""),
            rows: rows.split_terminator("\r\n").map(Into::into).collect(),
        }
    }
    fn register(&self, to: &str, call_id: &str, cseq: u32, headers: &[&str]) -> Answer {
        self.save(&mut self.context(to, call_id, cseq, headers), 0)
    }
    /// REGISTER of alice with Call-ID `c`.
    fn alice(&self, cseq: u32, headers: &[&str]) -> Answer {
        self.register("<sip:alice@bench.test>", "c", cseq, headers)
    }
    fn invite(&self, uri: &str) -> RouteContext<'_> {
        self.request("INVITE", uri, "")
    }
    fn request(&self, method: &str, uri: &str, tag: &str) -> RouteContext<'_> {
        self.bench.request(&format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKi\nFrom: <sip:f@bench.test>;tag=f\n\
             To: <sip:t@bench.test>{tag}\nCall-ID: i\nCSeq: 1 {method}\nContent-Length: 0\n"
        ))
    }
    fn call(&self, ctx: &mut RouteContext<'_>, function: &str, args: &[Value<'_>]) -> i64 {
        self.bench.call(ctx, &format!("registrar.{function}"), args).to_int().expect("int")
    }
    fn lookup(&self, ctx: &mut RouteContext<'_>) -> i64 {
        self.call(ctx, "lookup", &[LOCATION])
    }
    /// Request-URI and branches after `lookup`.
    fn targets(&self, uri: &str) -> Vec<String> {
        let mut ctx = self.invite(uri);
        if self.lookup(&mut ctx) != 1 {
            return Vec::new();
        }
        destinations(&ctx)
    }
}

const LOCATION: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b"location"));

fn destinations(ctx: &RouteContext<'_>) -> Vec<String> {
    std::iter::once(ctx.request_uri())
        .chain(ctx.branches.iter().map(|b| b.uri.as_slice()))
        .map(text)
        .collect()
}

fn ok(result: i64, rows: &[&str]) -> Answer {
    Answer { result, status: "200 OK".into(), rows: rows.iter().map(|r| (*r).into()).collect() }
}
fn refused(status: &str, rows: &[&str]) -> Answer {
    Answer { status: status.into(), ..ok(-1, rows) }
}

const A: &str = "Contact: <sip:a@192.0.2.1:5070>";

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

#[test]
fn lookup_makes_the_destination_set() {
    let office = Office::new(&[]);
    let mut ctx = office.context(
        "<sip:alice@b>",
        "c",
        1,
        &["Contact: <sip:a@h>;q=0.3, <sip:b@h>;q=0.9, <sip:c@h>;q=0.5", "User-Agent: UA/1"],
    );
    ctx.target.flags = 4;
    office.save(&mut ctx, 0);
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.lookup(&mut ctx), 1);
    assert_eq!(destinations(&ctx), ["sip:b@h", "sip:c@h", "sip:a@h"]);
    assert_eq!(ctx.branches.iter().map(|b| b.q).collect::<Vec<_>>(), [500, 300]);
    let target = &ctx.target;
    assert_eq!((target.q, target.flags, target.socket), (900, 4, Some(SocketId(0))));
    assert_eq!(
        (text(&target.ruid), text(&target.location_ua)),
        ("uloc-6b02c74d-1a2b-2".into(), "UA/1".into())
    );

    for (uri, result) in [("sip:nobody@h", -1), ("sip:h", -1), ("tel:+123", -1), ("urn:x", -3)] {
        let mut ctx = office.invite(uri);
        assert_eq!(office.lookup(&mut ctx), result, "{uri}");
        assert_eq!(destinations(&ctx), [uri]);
    }
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.call(&mut ctx, "lookup", &[Value::str(b"nowhere")]), -1);
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"")]), -3);
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"garbage")]), -3);
    assert_eq!(office.call(&mut ctx, "lookup_to_dset", &[LOCATION, Value::str(b"sip:alice@h")]), 1);
    assert_eq!(destinations(&ctx), ["sip:alice@h", "sip:b@h", "sip:c@h", "sip:a@h"]);
    let mut ctx = office.invite("sip:nobody@h");
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"sip:alice@h")]), 1);
    assert_eq!(destinations(&ctx)[0], "sip:b@h");

    let first_only = Office::new(&[("r", "append_branches", int(0))]);
    first_only.alice(1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    assert_eq!(first_only.targets("sip:alice@h"), ["sip:b@h"]);
}

#[test]
fn branches_are_bounded() {
    let office = Office::new(&[]);
    let many: Vec<String> = (0..30).map(|i| format!("<sip:u{i}@h>")).collect();
    office.alice(1, &[&format!("Contact: {}", many.join(","))]);
    assert_eq!(office.targets("sip:alice@h").len(), 1 + office.bench.core.config.max_branches);
}

#[test]
fn lookup_branches_replaces_plain_branches() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    office.register("<sip:bob@b>", "d", 1, &["Contact: <sip:b@h>"]);
    let mut ctx = office.invite("sip:alice@h");
    let branch =
        |uri: &str, dst: &str| script::Branch { uri: uri.into(), dst_uri: dst.into(), ..Default::default() };
    ctx.branches = vec![branch("sip:bob@h", ""), branch("sip:bob@h", "sip:proxy"), branch("sip:zed@h", "")];
    assert_eq!(office.call(&mut ctx, "lookup_branches", &[LOCATION]), 1);
    assert_eq!(destinations(&ctx), ["sip:a@h", "sip:b@h", "sip:bob@h", "sip:zed@h"]);
}

#[test]
fn ended_contacts_are_not_found() {
    let mut office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=200"]);
    office.later(100);
    assert_eq!(office.targets("sip:alice@h"), ["sip:b@h"]);
    assert_eq!(office.alice(2, &[]).rows, ["Contact: <sip:b@h>;expires=100"]);
    office.later(100);
    assert_eq!(office.targets("sip:alice@h").len(), 0);
    let mut lenient = Office::new(&[("r", "use_expired_contacts", int(1))]);
    lenient.alice(1, &["Contact: <sip:a@h>;expires=100"]);
    lenient.later(500);
    assert_eq!(lenient.targets("sip:alice@h"), ["sip:a@h"]);
}

#[test]
fn method_filtering() {
    let office = Office::new(&[("r", "method_filtering", int(1))]);
    office.alice(1, &["Contact: <sip:a@h>, <sip:b@h>;methods=\"INVITE, OPTIONS\"", "Allow: INVITE, ACK"]);
    let lookup = |method, tag| {
        let mut ctx = office.request(method, "sip:alice@h", tag);
        (office.lookup(&mut ctx), destinations(&ctx).len())
    };
    assert_eq!(lookup("INVITE", ""), (1, 2));
    assert_eq!(lookup("OPTIONS", ""), (1, 1));
    assert_eq!(lookup("MESSAGE", ""), (-2, 1));
    assert_eq!(lookup("MESSAGE", ";tag=1"), (1, 2), "requests within a dialog are not filtered");
    office.register("<sip:any@b>", "d", 1, &[A]);
    let mut ctx = office.request("FOO", "sip:any@h", "");
    assert_eq!(office.lookup(&mut ctx), 1, "no Allow: everything");
}

fn set_xavp(ctx: &mut RouteContext<'_>, fields: &[(&str, VarValue)]) {
    let fields = fields.iter().map(|(n, v)| (Box::from(n.as_bytes()), v.clone())).collect();
    ctx.vars().with(|l| l.xavps.insert(0, (Box::from(&b"reg"[..]), VarValue::Xavp(fields))));
}

#[test]
fn settings_of_one_message() {
    let params = [
        ("r", "xavp_cfg", string("reg")),
        ("r", "xavp_rcd", string("rcd")),
        ("r", "lookup_filter_mode", int(1)),
    ];
    let office = Office::new(&params);
    let save = |cseq, contact: &str, fields: &[(&str, VarValue)]| {
        let mut ctx = office.context("<sip:alice@b>", "c", cseq, &[contact]);
        set_xavp(&mut ctx, fields);
        ctx.target.flags = 2;
        let answer = office.save(&mut ctx, 0);
        let found =
            ctx.vars().with(|l| l.xavps.iter().find(|(n, _)| n.as_ref() == b"rcd").map(|(_, v)| v.clone()));
        (answer, found)
    };
    let int = VarValue::Int;
    let (answer, found) = save(1, "Contact: <sip:a@h>;expires=90", &[("q", int(500)), ("expires", int(700))]);
    assert_eq!(answer.rows, ["Contact: <sip:a@h>;q=0.5;expires=700"]);
    let Some(VarValue::Xavp(fields)) = found else { panic!("xavp_rcd") };
    let names: Vec<String> = fields.iter().map(|(n, _)| text(n)).collect();
    assert_eq!(names, ["ruid", "contact", "expires"]);
    assert_eq!(save(2, "Contact: <sip:b@h>", &[("max_contacts", int(1))]).0.result, -2);
    assert_eq!(
        save(3, "Contact: <sip:a@h>;expires=0", &[("expires", int(700))]).0.result,
        3,
        "leaving is not overruled"
    );
    save(4, "Contact: <sip:c@h>", &[("socket", VarValue::Str(Box::from(&b"tcp:127.0.0.1:5060"[..])))]);
    let mut ctx = office.invite("sip:alice@h");
    set_xavp(&mut ctx, &[("rlf_bflags", int(2))]);
    assert_eq!((office.lookup(&mut ctx), ctx.target.socket), (1, Some(SocketId(1))));
    let mut ctx = office.invite("sip:alice@h");
    set_xavp(&mut ctx, &[("rlf_bflags", int(4))]);
    assert_eq!(office.lookup(&mut ctx), -1);

    let mut ctx = office.context("<sip:alice@b>", "c", 9, &["Contact: <sip:c@h>;q=0.9"]);
    assert_eq!(office.call(&mut ctx, "set_q_override", &[Value::str(b"0.25")]), 1);
    assert_eq!(office.call(&mut ctx, "set_q_override", &[Value::str(b"x")]), -1);
    assert_eq!(office.save(&mut ctx, 0).rows, ["Contact: <sip:c@h>;q=0.25;expires=3600"]);
}

#[test]
fn registered_and_its_filters() {
    let office = Office::new(&[("r", "xavp_cfg", string("reg"))]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    let uri = |u: &'static str| Value::str(u.as_bytes());
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.call(&mut ctx, "registered", &[LOCATION]), 1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("")]), 1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("sip:nobody@h")]), -1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("bad")]), -1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[uri("nowhere"), uri("sip:alice@h")]), -1);
    let word = |s: &str| VarValue::Str(s.as_bytes().into());
    for (option, field, value, result) in [
        (1, "match_callid", "c", 1),
        (1, "match_callid", "z", -1),
        (0, "match_callid", "z", 1),
        (4, "match_contact", "sip:a@h", 1),
        (4, "match_contact", "sip:b@h", -1),
        (2, "match_received", "sip:1.2.3.4", -1),
    ] {
        let mut ctx = office.invite("sip:alice@h");
        set_xavp(&mut ctx, &[(field, word(value))]);
        let args = [LOCATION, uri("sip:alice@h"), Value::Int(option)];
        assert_eq!(office.call(&mut ctx, "registered_flags", &args), result, "{field}={value}");
    }
}

#[test]
fn unregister() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let mut ctx = office.invite("sip:x@h");
    let mut call = |function: &str, args: &[&'static str]| {
        let args: Vec<Value<'_>> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
        office.call(&mut ctx, function, &args)
    };
    assert_eq!(call("unregister", &["location", "sip:nobody@h"]), 1);
    assert_eq!(call("unregister", &["location", "bad"]), -1);
    assert_eq!(call("unregister", &["nowhere", "sip:alice@h"]), -1);
    assert_eq!(call("unregister_ruid", &["location", "sip:alice@h", "zz"]), -3);
    assert_eq!(call("unregister_ruid", &["location", "sip:alice@h", "uloc-6b02c74d-1a2b-1"]), 1);
    assert_eq!(office.targets("sip:alice@h"), ["sip:a@h"]);
    assert_eq!(call("unregister", &["location", "sip:alice@h"]), 1);
    assert_eq!(office.targets("sip:alice@h").len(), 0);
}

#[test]
fn fetched_contacts() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>;q=0.5, <sip:b@h>"]);
    let mut ctx = office.invite("sip:x@h");
    let fetch = |ctx: &mut RouteContext<'_>, uri: &'static str| {
        office.call(ctx, "reg_fetch_contacts", &[LOCATION, Value::str(uri.as_bytes()), Value::str(b"c")])
    };
    assert_eq!(fetch(&mut ctx, "sip:nobody@h"), -1);
    assert_eq!(fetch(&mut ctx, "bad"), -1);
    assert_eq!(fetch(&mut ctx, "sip:alice@h"), 1);
    let pv = |ctx: &RouteContext<'_>, name: &str| office.bench.pv(ctx, name);
    let now = i64::from(unix(office.bench.now));
    for (name, value) in [
        ("$ulc(c=>aor)", Value::str(b"alice")),
        ("$ulc(c=>domain)", Value::str(b"location")),
        ("$ulc(c=>count)", Value::Int(2)),
        ("$ulc(c=>addr)", Value::str(b"sip:a@h")),
        ("$(ulc(c=>addr)[1])", Value::str(b"sip:b@h")),
        ("$(ulc(c=>addr)[9])", Value::Null),
        ("$(ulc(c=>q)[0])", Value::Int(500)),
        ("$(ulc(c=>q)[1])", Value::Int(-1)),
        ("$ulc(c=>expires)", Value::Int(now + 3600)),
        ("$ulc(c=>path)", Value::str(b"")),
        ("$ulc(c=>instance)", Value::Null),
        ("$ulc(c=>conid)", Value::Null),
        ("$ulc(c=>methods)", Value::Int(-1)),
        ("$ulc(c=>user_agent)", Value::str(b"n/a")),
        ("$ulc(c=>socket)", Value::str(b"udp:127.0.0.1:5060")),
        ("$ulc(c=>nonsense)", Value::Null),
        ("$ulc(zz=>count)", Value::Null),
        ("$ulc(c)", Value::Null),
    ] {
        assert_eq!(pv(&ctx, name), value, "{name}");
    }
    let call = |ctx: &mut RouteContext<'_>, f: &str, args: &[Value<'_>]| {
        office.bench.call(ctx, &format!("registrar.{f}"), args)
    };
    assert_eq!(call(&mut ctx, "ulc_rget", &[Value::str(b"c"), Value::str(b"count")]), Value::Int(2));
    let cget = [Value::str(b"c"), Value::str(b"addr"), Value::Int(1)];
    assert_eq!(call(&mut ctx, "ulc_cget", &cget), Value::str(b"sip:b@h"));
    assert_eq!(office.call(&mut ctx, "reg_free_contacts", &[Value::str(b"c")]), 1);
    assert_eq!(pv(&ctx, "$ulc(c=>count)"), Value::Null);
}

#[test]
fn other_functions() {
    let office = Office::new(&[("usrloc", "xavp_contact", string("reg"))]);
    let mut ctx = office.context("<sip:alice@b>", "c", 1, &["Contact: <sip:a@127.0.0.1:5070>"]);
    assert_eq!(office.call(&mut ctx, "add_sock_hdr", &[Value::str(b"Sock-Info")]), 1);
    assert_eq!(office.call(&mut ctx, "add_sock_hdr", &[Value::str(b"Bad Name")]), -1);
    assert!(office.bench.printed(&ctx).contains("\r\nSock-Info: udp:127.0.0.1:5060\r\n"));
    set_xavp(&mut ctx, &[("device", VarValue::Int(7))]);
    office.save(&mut ctx, 0);

    let mut ctx = office.invite("sip:alice@h");
    office.lookup(&mut ctx);
    let device = ctx.vars().with(|l| match l.xavps.first() {
        Some((_, VarValue::Xavp(fields))) => {
            fields.iter().find(|(n, _)| n.as_ref() == b"device").map(|(_, v)| v.clone())
        }
        _ => None,
    });
    assert_eq!(device, Some(VarValue::Int(7)), "xavp_contact comes back");

    let from = |uri: &'static str, flags| {
        office.call(
            &mut office.invite("sip:x@h"),
            "reg_from_user",
            &[LOCATION, Value::str(uri.as_bytes()), Value::Int(flags)],
        )
    };
    assert_eq!((from("sip:alice@h", 0), from("sip:bob@h", 0)), (1, -1));

    let args = [LOCATION, Value::str(b"sip:alice@h"), Value::str(b"xr"), Value::str(b"xc")];
    let mut ctx = office.invite("sip:x@h");
    assert_eq!(office.call(&mut ctx, "lookup_xavp", &args), 1);
    let names = ctx.vars().with(|l| l.xavps.iter().map(|(n, _)| text(n)).collect::<Vec<_>>());
    assert_eq!((names, destinations(&ctx)), (vec!["xr".into(), "xc".into()], vec!["sip:x@h".into()]));
}

#[test]
fn configuration() {
    let fails = |name, value| Office::try_new(&[("r", name, value)]).is_err();
    assert!(fails("expires_range", int(101)));
    assert!(fails("path_mode", int(3)));
    assert!(fails("flow_timer", int(25)));
    assert!(fails("no_such", int(25)));
    assert!(fails("realm_prefix", int(25)));
    let alone = Registrar::default().setup(&Setup {
        config: &CoreConfig::default(),
        listeners: &[],
        modules: &[],
        now: Now::default(),
    });
    assert!(alone.is_err_and(|e| e.0.contains("usrloc")));
    assert_eq!(super::Settings::PARAMS.len(), 33);
    assert_eq!(Registrar::FUNCTIONS.len(), 21);
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
            super::save_flags::NO_REPLY | super::save_flags::HEADERS,
            b"",
        );
    });
    // The list of contacts, the reply rows in the context, and the slot of the prepared reply.
    assert!(count.count_total <= 6, "{} allocations", count.count_total);
}
