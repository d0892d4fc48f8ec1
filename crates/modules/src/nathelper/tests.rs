//! As Kamailio 5.6 does with the same messages.

use std::sync::Arc;
use std::time::Duration;

use message::Message;
use script::outbox::Batch;
use script::testing::{Bench, wire};
use script::{CoreConfig, Listener, Module, ParamValue, RouteContext, Setup, Value};
use transaction::{Now, SocketId};

use super::NatHelper;
use crate::registrar::Registrar;
use crate::usrloc::{ContactInfo, Usrloc, unix};

const SDP: &str = "v=0\r\no=alice 1 2 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
                   a=rtcp:4001 IN IP4 10.1.2.3\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 10.1.2.4\r\n";

fn invite(uri: &str, via: &str, contact: &str, sdp: &str) -> String {
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nFrom: <sip:alice@h4.test>;tag=1\r\nTo: <sip:bob@h4.test>\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: {contact}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

type Params<'a> = &'a [(&'a str, ParamValue)];

fn bench(params: Params<'_>) -> Bench {
    bench_on(&[], params)
}

/// On these sockets instead of the usual ones.
fn bench_on(listeners: &[Listener], params: Params<'_>) -> Bench {
    let (mut usrloc, mut registrar, mut nat) =
        (Usrloc::default(), Registrar::default(), NatHelper::default());
    let fine = |r: Result<(), script::SetupError>| r.unwrap_or_else(|e| panic!("{e}"));
    fine(usrloc.set_param("nat_bflag", ParamValue::Int(6)));
    fine(registrar.set_param("received_avp", ParamValue::Str("$avp(RECEIVED)".into())));
    fine(nat.set_param("received_avp", ParamValue::Str("$avp(RECEIVED)".into())));
    for (name, value) in params {
        fine(nat.set_param(name, value.clone()));
    }
    let config = CoreConfig { seed: 7, pid: 1, started: 1, ..CoreConfig::default() };
    let mut modules: Vec<Arc<dyn Module>> =
        ["core", "pv", "textopsx"].iter().filter_map(|n| crate::create(n)).map(Arc::from).collect();
    let now = Now::default();
    fine(usrloc.setup(&Setup { config: &config, listeners: &[], modules: &[], now }));
    modules.push(Arc::new(usrloc));
    fine(registrar.setup(&Setup { config: &config, listeners: &[], modules: &modules, now }));
    modules.push(Arc::new(registrar));
    fine(nat.setup(&Setup { config: &config, listeners, modules: &modules, now }));
    modules.push(Arc::new(nat));
    let mut bench = Bench::with_config(modules, config);
    if !listeners.is_empty() {
        bench.core.listeners = listeners.to_vec();
    }
    bench
}

fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[Value<'_>]) -> i64 {
    bench.call(ctx, &format!("nathelper.{name}"), args).to_int().expect("an int")
}

fn header(printed: &str, name: &str) -> String {
    let row = printed.lines().find_map(|l| l.strip_prefix(&format!("{name}: ")));
    row.unwrap_or_default().to_owned()
}

#[test]
fn who_is_behind_nat() {
    let bench = bench(&[]);
    let tests = |via: &str, contact: &str, sdp: &str| -> Vec<i64> {
        let mut ctx = bench.request(&invite("sip:bob@127.0.0.1:5080", via, contact, sdp));
        (0..10)
            .map(|bit| 1 << bit)
            .filter(|bit| call(&bench, &mut ctx, "nat_uac_test", &[Value::Int(*bit)]) == 1)
            .collect()
    };
    assert_eq!(tests("10.0.0.1:5060", "<sip:alice@10.0.0.1:5060>", SDP), [1, 2, 4, 8, 16, 128, 256]);
    assert_eq!(tests("127.0.0.1:5070", "<sip:alice@127.0.0.1:5070>", ""), [0i64; 0]);
    assert_eq!(tests("127.0.0.1", "<sip:alice@127.0.0.1>", ""), [16, 128]);
    assert_eq!(tests("foo.example", "<sip:alice@foo.example;x=1>", ""), [2, 16, 128]);
    let mut ctx = bench.request(&invite("sip:bob@127.0.0.1:5080", "h", "<sip:a@h>", ""));
    ctx.target.dst_uri = b"sip:127.0.0.1:5080".to_vec();
    assert_eq!(call(&bench, &mut ctx, "nat_uac_test", &[Value::Int(512)]), -1);
    ctx.target.dst_uri = b"sip:127.0.0.1:5081".to_vec();
    assert_eq!(call(&bench, &mut ctx, "nat_uac_test", &[Value::Int(512)]), 1);
    for (address, private) in [
        ("10.0.0.1", 1),
        ("172.31.0.1", 1),
        ("172.32.0.1", -1),
        ("100.64.1.1", 1),
        ("192.0.0.200", 1),
        ("8.8.8.8", -1),
        ("x", -1),
        ("", -1),
        ("fd00::1", -1),
        ("127.0.0.1", -1),
    ] {
        assert_eq!(call(&bench, &mut ctx, "is_rfc1918", &[address.into()]), private, "{address}");
    }
}

#[test]
fn contacts_that_can_be_reached() {
    let bench = bench(&[]);
    let after = |names: &[&str], contact: &str| {
        let mut ctx = bench.request(&invite("sip:bob@h", "10.0.0.1", contact, ""));
        let results: Vec<i64> = names.iter().map(|n| call(&bench, &mut ctx, n, &[])).collect();
        (results, header(&bench.printed(&ctx), "Contact"))
    };
    let alias = "alias=127.0.0.1~5070~1";
    let same = |names: &[&str], contact: &str, results: &[i64], expected: &str| {
        assert_eq!(after(names, contact), (results.to_vec(), expected.to_owned()), "{names:?} {contact}");
    };
    same(&["set_contact_alias"], "<sip:a@10.0.0.1:5060>", &[1], &format!("<sip:a@10.0.0.1:5060;{alias}>"));
    same(
        &["set_contact_alias", "fix_nated_contact"],
        "sip:a@10.0.0.1;q=0.5",
        &[1, -1],
        &format!("<sip:a@10.0.0.1;{alias}>;q=0.5"),
    );
    same(&["set_contact_alias"], "<sip:a@h;ob?X=y>", &[1], &format!("<sip:a@h;ob;{alias}?X=y>"));
    same(
        &["set_contact_alias_trim"],
        "<sip:a@10.0.0.1;alias=1.2.3.4~5~1;x=y>;q=1",
        &[1],
        &format!("<sip:a@10.0.0.1;x=y;{alias}>;q=1"),
    );
    same(
        &["fix_nated_contact"],
        "\"A\" <sip:a:pw@foo.example:70;transport=tcp?h=1>;q=0.5",
        &[1],
        "\"A\" <sip:a:pw@127.0.0.1:5070;transport=tcp?h=1>;q=0.5",
    );
    same(
        &["add_contact_alias"],
        "<sip:a@127.0.0.1:5070;transport=tcp>",
        &[1],
        &format!("<sip:a@127.0.0.1:5070;{alias};transport=tcp>"),
    );
    same(
        &["add_contact_alias"],
        "<sip:a@127.0.0.1:5070;transport=udp>",
        &[2],
        "<sip:a@127.0.0.1:5070;transport=udp>",
    );
    for name in ["set_contact_alias", "fix_nated_contact", "add_contact_alias"] {
        same(&[name], "*", &[-1], "*");
        same(&[name], "<tel:1>", &[-1], "<tel:1>");
    }
    // What is part of the message can be changed again.
    let mut ctx = bench.request(&invite("sip:bob@h", "10.0.0.1", "<sip:a@10.0.0.1;x>", ""));
    assert_eq!(call(&bench, &mut ctx, "set_contact_alias", &[]), 1);
    bench.call(&mut ctx, "textopsx.msg_apply_changes", &[]);
    assert_eq!(call(&bench, &mut ctx, "fix_nated_contact", &[]), 1);
    assert_eq!(header(&bench.printed(&ctx), "Contact"), format!("<sip:a@127.0.0.1:5070;x;{alias}>"));
    let mut ctx = bench.request(&invite("sip:bob@h", "10.0.0.1", "<sip:a@h>", ""));
    let args =
        |ip: &'static str, port: &'static str, proto: &'static str| [ip.into(), port.into(), proto.into()];
    assert_eq!(call(&bench, &mut ctx, "add_contact_alias_addr", &args("1.2.3.4", "5070", "foo")), -1);
    assert_eq!(call(&bench, &mut ctx, "add_contact_alias_addr", &args("x.y", "5070", "udp")), -1);
    assert_eq!(call(&bench, &mut ctx, "add_contact_alias_addr", &args("1.2.3.4", "5070", "tcp")), 1);
    assert_eq!(header(&bench.printed(&ctx), "Contact"), "<sip:a@h;alias=1.2.3.4~5070~2>");
    for (flag, expected) in [
        (0, "sip:a@h;q=1;received=\"sip:127.0.0.1:5070\", <sip:b@h;x>;e=2;received=\"sip:127.0.0.1:5070\""),
        (1, "<sip:a@h;received=sip:127.0.0.1:5070>;q=1, <sip:b@h;x;received=sip:127.0.0.1:5070>;e=2"),
    ] {
        let mut ctx = bench.request(&invite("sip:bob@h", "10.0.0.1", "sip:a@h;q=1, <sip:b@h;x>;e=2", ""));
        assert_eq!(call(&bench, &mut ctx, "add_rcv_param", &[Value::Int(flag)]), 1);
        assert_eq!(header(&bench.printed(&ctx), "Contact"), expected);
    }
}

#[test]
fn the_alias_in_a_request_uri_is_the_next_hop() {
    let bench = bench(&[]);
    let handle = |uri: &str, mode: i64| {
        let mut ctx = bench.request(&invite(uri, "h", "<sip:a@h;alias=1.2.3.4~5~5>", ""));
        let result = call(&bench, &mut ctx, "handle_ruri_alias_mode", &[Value::Int(mode)]);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (result, text(&ctx.target.dst_uri), text(ctx.request_uri()))
    };
    let same = |uri: &str, mode: i64, result: i64, du: &str, left: &str| {
        assert_eq!(handle(uri, mode), (result, du.to_owned(), left.to_owned()), "{uri}");
    };
    same("sip:b@h;x=y;alias=127.0.0.1~9~1;z?h=1", 0, 1, "sip:127.0.0.1:9", "sip:b@h;x=y;z?h=1");
    same("sip:b@h;alias=127.0.0.1~9~6", 0, 1, "sip:127.0.0.1:9;transport=ws", "sip:b@h");
    same("sip:b@h;alias=::1~9~3", 0, 1, "sip:[::1]:9;transport=tls", "sip:b@h");
    let two = "sip:b@h;alias=1.1.1.1~9~1;alias=2.2.2.2~9~2";
    same(two, 0, 1, "sip:1.1.1.1:9", "sip:b@h;alias=2.2.2.2~9~2");
    same(two, 1, 1, "sip:2.2.2.2:9;transport=tcp", "sip:b@h;alias=1.1.1.1~9~1");
    for bad in ["127.0.0.1~9", "127.0.0.1", "127.0.0.1~x~1", "127.0.0.1~9~9", "a@b~9~1", "~~"] {
        let uri = format!("sip:b@h;alias={bad}");
        same(&uri, 0, -1, "", &uri);
    }
    same("sip:b@h;alias", 0, 2, "", "sip:b@h;alias");
    let mut ctx = bench.request(&invite("sip:b@h", "h", "<sip:a@h;alias=1.2.3.4~5~1>", ""));
    assert_eq!(call(&bench, &mut ctx, "set_alias_to_pv", &["$var(x)".into()]), 1);
    assert_eq!(bench.pv(&ctx, "$var(x)"), Value::str(b"sip:1.2.3.4:5;transport=udp"));
}

#[test]
fn media_addresses_are_the_senders() {
    let bench = bench(&[]);
    let fix = |flags: i64, ip: &'static str, sdp: &str| {
        let mut ctx = bench.request(&invite("sip:b@h", "h", "<sip:a@h>", sdp));
        let result = call(&bench, &mut ctx, "fix_nated_sdp_ip", &[Value::Int(flags), ip.into()]);
        let printed = bench.printed(&ctx);
        let (head, body) = printed.split_once("\r\n\r\n").expect("headers end");
        assert_eq!(header(head, "Content-Length"), body.len().to_string());
        (result, body.replace("\r\n", "|"))
    };
    let start = "v=0|o=alice 1 2 IN IP4 10.1.2.3|s=-|";
    let both =
        "m=audio 4000 RTP/AVP 0|a=rtcp:4001 IN IP4 127.0.0.1|m=video 4002 RTP/AVP 31|c=IN IP4 127.0.0.1|";
    let old = "a=oldmediaip:10.1.2.3|a=oldmediaip:10.1.2.3|a=oldmediaip:10.1.2.4|";
    assert_eq!(fix(2, "", SDP), (1, format!("{start}c=IN IP4 127.0.0.1|t=0 0|{both}{old}")));
    let (result, body) = fix(5, "", SDP);
    assert_eq!((result, body.matches("a=direction:active|").count()), (2, 2));
    assert!(body.ends_with("c=IN IP4 10.1.2.4|a=direction:active|a=nortpproxy:yes|"), "{body}");
    let (result, body) = fix(8, "5.6.7.8", SDP.trim_end());
    assert_eq!(result, 1);
    assert!(body.starts_with("v=0|o=alice 1 2 IN IP4 5.6.7.8|s=-|c=IN IP4 10.1.2.3|"), "{body}");
    assert!(body.ends_with("c=IN IP4 10.1.2.4|a=oldmediaip:10.1.2.3|a=oldmediaip:10.1.2.3"), "{body}");
    let (_, body) = fix(2, "2001:db8::1", SDP);
    assert!(body.contains("c=IN IP6 2001:db8::1|"), "{body}");
    assert_eq!(fix(2, "", &SDP.replace("10.1.2.3", "0.0.0.0").replace("10.1.2.4", "127.0.0.1")).0, 2);
    assert_eq!(fix(2, "nowhere", SDP).0, -1);
    assert_eq!(fix(2, "", "").0, -1);
}

#[test]
fn record_routes_are_counted() {
    let bench = bench(&[]);
    for (rows, count, top) in [
        ("", 0, 0),
        ("Record-Route: <sip:1.1.1.1;lr>\n", 1, 1),
        (
            "Record-Route: <sip:1.1.1.1;lr;r2=on>, <sip:2.2.2.2;lr;r2=on>\nRecord-Route: <sip:3.3.3.3;lr>\n",
            3,
            2,
        ),
    ] {
        let text = invite("sip:b@h", "h", "<sip:a@h>", "").replace("Call-ID", &format!("{rows}Call-ID"));
        let ctx = bench.request(&text);
        assert_eq!(bench.pv(&ctx, "$rr_count"), Value::Int(count));
        assert_eq!(bench.pv(&ctx, "$rr_top_count"), Value::Int(top));
    }
}

#[test]
fn what_is_registered_is_what_was_fixed() {
    let bench = bench(&[]);
    let register = |name: &str, contact: &str| {
        let text = invite("sip:h4.test", "10.0.0.1", contact, "").replace("INVITE", "REGISTER");
        let mut ctx = bench.request(&text);
        assert_eq!(call(&bench, &mut ctx, name, &[]), 1);
        bench.call(&mut ctx, "registrar.save", &["location".into(), Value::Int(0)]);
        String::from_utf8_lossy(ctx.edits.reply_rows()).into_owned()
    };
    assert!(
        register("fix_nated_contact", "<sip:u1@10.0.0.1>")
            .contains("Contact: <sip:u1@127.0.0.1:5070>;expires=")
    );
    assert!(
        register("set_contact_alias", "<sip:u2@10.0.0.1>")
            .contains("<sip:u2@10.0.0.1;alias=127.0.0.1~5070~1>;")
    );
    assert!(register("add_contact_alias", "<sip:u3@10.0.0.1>").contains("<sip:u3@10.0.0.1>;"));
    let rows = register("set_contact_alias", "<sip:u5@10.0.0.1>;received=\"sip:192.0.2.7:5\"");
    assert!(rows.contains(";alias=127.0.0.1~5070~1>;expires=3600;received=\"sip:192.0.2.7:5\""), "{rows}");
    let rows = register("add_contact_alias", "<sip:u6@10.0.0.1>;received=\"nonsense\"");
    assert!(rows.contains("<sip:u6@10.0.0.1>;expires=3600") && !rows.contains("nonsense"), "{rows}");
    let rows = register("fix_nated_register", "<sip:u4@10.0.0.1>");
    assert!(rows.contains("<sip:u4@10.0.0.1>;expires=3600;received=\"sip:127.0.0.1:5070\""), "{rows}");
}

/// Advances the clock second by second and returns what was sent, by second.
fn seconds(bench: &mut Bench, count: u64) -> Vec<Vec<(String, String)>> {
    (0..count)
        .map(|_| {
            let module = bench.core.registry.module::<NatHelper>().expect("loaded");
            module.events(&bench.services(), bench.now);
            bench.now.mono = bench.now.mono + Duration::from_secs(1);
            bench.now.unix_micros += 1_000_000;
            let mut batch = Batch::default();
            bench.outbox.take(&mut batch);
            let item = |(hop, datagram): &(transaction::Hop, script::outbox::Datagram)| {
                (hop.remote.to_string(), String::from_utf8_lossy(batch.bytes(datagram)).into_owned())
            };
            batch.items.iter().map(item).collect()
        })
        .collect()
}

fn bind(bench: &Bench, user: &str, info: &ContactInfo<'_>) {
    let usrloc = bench.core.registry.module::<Usrloc>().expect("loaded");
    let domain = usrloc.domains().open(b"location", &bench.core.statistics, bench.now).expect("a table");
    let now = unix(bench.now);
    let info = ContactInfo { expires: now + 3600, modified: now, socket: Some(SocketId(0)), ..info.clone() };
    domain.change(user.as_bytes(), |e| e.insert(&info).map(drop)).expect("fits");
}

fn contacts(bench: &Bench, user: &str) -> usize {
    let usrloc = bench.core.registry.module::<Usrloc>().expect("loaded");
    let domain = usrloc.domains().find(b"location").expect("a table");
    domain.read(user.as_bytes(), |r| r.map_or(0, |r| r.valid(unix(bench.now)).count()))
}

fn pings(timeout: i64) -> Bench {
    bench(&[
        ("natping_interval", ParamValue::Int(10)),
        ("ping_nated_only", ParamValue::Int(1)),
        ("sipping_bflag", ParamValue::Int(7)),
        ("natping_disable_bflag", ParamValue::Int(8)),
        ("sipping_from", ParamValue::Str("sip:pinger@h4.test".into())),
        ("keepalive_timeout", ParamValue::Int(timeout)),
    ])
}

#[test]
fn every_contact_behind_nat_has_its_turn_once_in_the_interval() {
    const NAT: u32 = 1 << 6;
    let mut bench = pings(0);
    for user in 0..200 {
        let (uri, received) = (format!("sip:u{user}@10.0.0.1"), format!("sip:192.0.2.1:{}", 1000 + user));
        let (uri, received) = (uri.as_bytes(), received.as_bytes());
        bind(
            &bench,
            &format!("u{user}"),
            &ContactInfo { uri, received, cflags: NAT, ..ContactInfo::default() },
        );
    }
    for (uri, cflags) in [
        (&b"sip:no@192.0.2.9"[..], 0),
        (b"sip:no@192.0.2.9", NAT | 1 << 8),
        (b"sip:no@192.0.2.9;transport=tcp", NAT),
        (b"sip:no@host.example", NAT),
    ] {
        bind(&bench, &format!("{uri:?}{cflags}"), &ContactInfo { uri, cflags, ..ContactInfo::default() });
    }
    let sent = seconds(&mut bench, 11);
    assert!(sent.iter().flatten().all(|(_, bytes)| bytes == "\0\0\0\0"));
    let mut to: Vec<&str> = sent.iter().flatten().map(|(to, _)| to.as_str()).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), 200);
    assert_eq!(sent.iter().flatten().count(), 200);
    assert!(sent[1..].iter().all(|s| (5..=40).contains(&s.len())), "spread: {:?}", sent.map_lengths());
}

trait MapLengths {
    fn map_lengths(&self) -> Vec<usize>;
}
impl<T> MapLengths for Vec<Vec<T>> {
    fn map_lengths(&self) -> Vec<usize> {
        self.iter().map(Vec::len).collect()
    }
}

/// The 200 to a keep-alive.
fn answer(request: &str) -> Message {
    let rows: Vec<&str> =
        request.lines().skip(1).filter(|l| !l.is_empty() && !l.starts_with("Max-F")).collect();
    Message::parse(&wire(&format!("SIP/2.0 200 OK\n{}\n", rows.join("\n")))).expect("parses")
}

#[test]
fn phones_that_answer_stay_and_others_end() {
    let mut bench = pings(25);
    let flags = 1 << 6 | 1 << 7;
    for (user, received) in [("here", &b"sip:192.0.2.1:1001"[..]), ("gone", b"sip:192.0.2.1:1002")] {
        let uri = format!("sip:{user}@10.0.0.1");
        bind(
            &bench,
            user,
            &ContactInfo { uri: uri.as_bytes(), received, cflags: flags, ..ContactInfo::default() },
        );
    }
    let mut answered = 0;
    for _ in 0..41 {
        for (to, request) in seconds(&mut bench, 1).into_iter().flatten() {
            assert!(request.starts_with("OPTIONS sip:"), "{request}");
            assert!(request.contains("\r\nFrom: <sip:pinger@h4.test>;tag=uloc-"), "{request}");
            let module = bench.core.registry.module::<NatHelper>().expect("loaded");
            let inbound = bench.request(&invite("sip:a@h", "h", "<sip:a@h>", "")).inbound;
            let mut reply = answer(&request);
            if to.ends_with(":1002") {
                // Somebody else's signature does not keep the contact alive.
                reply = answer(&request.replace(";tag=uloc-", ";tag=uloc-0"));
            }
            let taken = module.takes_reply(&bench.core, &reply, inbound, bench.now);
            assert_eq!(taken, to.ends_with(":1001"));
            answered += usize::from(taken);
        }
    }
    assert_eq!((answered, contacts(&bench, "here"), contacts(&bench, "gone")), (4, 1, 0));
}

#[test]
fn keep_alives_can_be_stopped() {
    let mut bench = pings(0);
    bind(&bench, "u", &ContactInfo { uri: b"sip:u@192.0.2.1", cflags: 1 << 6, ..ContactInfo::default() });
    let command = |bench: &Bench, params: &[serde_json::Value]| {
        let (module, row) =
            bench.core.registry.rpc().find(|(_, r)| r.name == "nathelper.enable_ping").expect("there");
        (row.call)(module.as_ref(), &bench.core, bench.now, params)
    };
    assert!(command(&bench, &[]).is_err());
    assert!(command(&bench, &[0.into()]).is_ok());
    assert_eq!(seconds(&mut bench, 20).iter().flatten().count(), 0);
    assert!(command(&bench, &["1".into()]).is_ok());
    assert_eq!(seconds(&mut bench, 20).iter().flatten().count(), 2);
}

/// The sockets that keep-alives of zero bytes to each of these contacts, and a SIP one, leave from.
fn leaves_from(params: Params<'_>) -> String {
    let socket = |address: &str, advertise: Option<&str>| Listener {
        transport: message::Transport::Udp,
        address: address.parse().expect("an address"),
        advertise: advertise.map(|host| (host.to_owned(), 5060)),
        name: None,
    };
    let sockets = [
        socket("127.0.0.1:5060", None),
        socket("127.0.0.1:5061", None),
        socket("127.0.0.1:5062", Some("203.0.113.9")),
        socket("[::1]:5060", None),
    ];
    let mut all = vec![
        ("natping_interval", ParamValue::Int(1)),
        ("sipping_bflag", ParamValue::Int(7)),
        ("sipping_from", ParamValue::Str("sip:pinger@h4.test".into())),
    ];
    all.extend(params.iter().cloned());
    let mut bench = bench_on(&sockets, &all);
    for (uri, path, cflags) in [
        (&b"sip:u@192.0.2.1:1"[..], &b""[..], 0),
        (b"sip:u@192.0.2.1:2", b"<sip:192.0.2.7;lr>, <sip:127.0.0.1:5061;lr>", 0),
        (b"sip:u@192.0.2.1:3", b"<sip:203.0.113.9;lr>", 0),
        (b"sip:u@192.0.2.1:4", b"<sip:127.0.0.1:5061;lr>, <sip:192.0.2.7;lr>", 0),
        (b"sip:u@[2001:db8::1]:5", b"", 0),
        (b"sip:u@192.0.2.1:6", b"", 1 << 7),
    ] {
        let name = String::from_utf8_lossy(uri).into_owned();
        bind(&bench, &name, &ContactInfo { uri, path, cflags, ..ContactInfo::default() });
    }
    for _ in 0..2 {
        let module = bench.core.registry.module::<NatHelper>().expect("loaded");
        module.events(&bench.services(), bench.now);
        bench.now.mono = bench.now.mono + Duration::from_secs(1);
    }
    let mut batch = Batch::default();
    bench.outbox.take(&mut batch);
    let row = |hop: &transaction::Hop| format!("{}<{}", hop.remote.port(), hop.socket.0);
    let mut rows: Vec<String> = batch.items.iter().map(|(hop, _)| row(hop)).collect();
    rows.sort_unstable();
    rows.join(" ")
}

#[test]
fn the_socket_of_keep_alives() {
    let text = |value: &str| ParamValue::Str(value.into());
    let (force, natping) =
        (("force_socket", text("127.0.0.1:5061")), ("natping_socket", text("127.0.0.1:5062")));
    let path = ("udpping_from_path", ParamValue::Int(1));
    for (params, expected) in [
        (vec![], "1<0 2<0 3<0 4<0 5<3 6<0"),
        (vec![force.clone()], "1<1 2<1 3<1 4<1 5<3 6<1"),
        // As Kamailio: zero bytes only, IPv4 only, and before `force_socket`.
        (vec![natping.clone()], "1<2 2<2 3<2 4<2 5<3 6<0"),
        (vec![natping.clone(), force.clone()], "1<2 2<2 3<2 4<2 5<3 6<1"),
        // An address of somebody else's needs raw sockets.
        (vec![("natping_socket", text("192.0.2.9:5060"))], "1<0 2<0 3<0 4<0 5<3 6<0"),
        // The last Path is the proxy next to the phone.
        (vec![path.clone()], "1<0 2<1 3<2 4<0 5<3 6<0"),
        (vec![path, natping, force], "1<2 2<1 3<2 4<2 5<3 6<1"),
    ] {
        assert_eq!(leaves_from(&params), expected, "{params:?}");
    }
}

#[test]
fn an_ipv6_natping_socket_is_refused() {
    let mut nat = NatHelper::default();
    for (name, value) in
        [("natping_interval", ParamValue::Int(1)), ("natping_socket", ParamValue::Str("[::1]:5060".into()))]
    {
        nat.set_param(name, value).expect("taken");
    }
    let mut usrloc = Usrloc::default();
    let config = CoreConfig::default();
    let now = Now::default();
    usrloc.setup(&Setup { config: &config, listeners: &[], modules: &[], now }).expect("fine");
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(usrloc)];
    let refused = nat.setup(&Setup { config: &config, listeners: &[], modules: &modules, now });
    assert!(refused.is_err_and(|e| e.to_string().contains("IPv4 addresses only")));
}
