//! Record-Route and Route sets as Kamailio 5.6 was seen to treat them.

use std::sync::Arc;

use message::{Message, print};
use script::testing::Bench;
use script::{ParamValue, RouteContext, Value};
use transaction::SocketId;

use super::*;

const OURS: &str = "<sip:127.0.0.1;lr;ftag=ft;nat=yes>";
const NEXT: &str = "<sip:127.0.0.1:15210;lr>";

fn bench_with(params: &[(&str, i64)]) -> Bench {
    let mut rr = Rr::default();
    for (name, value) in params {
        rr.set_param(name, ParamValue::Int(*value)).expect("declared");
    }
    Bench::new(vec![Arc::new(rr)])
}
fn bench() -> Bench {
    bench_with(&[])
}
fn invite(uri: &str, to_tag: &str, rows: &[&str]) -> String {
    let routes: String = rows.iter().map(|r| format!("Route: {r}\n")).collect();
    format!(
        "INVITE {uri} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>{to_tag}\nCall-ID: c\nCSeq: 1 INVITE\n{routes}Content-Length: 0\n"
    )
}
fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[&str]) -> Option<i64> {
    let args: Vec<Value<'_>> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
    bench.call(ctx, &format!("rr.{name}"), &args).to_int()
}

/// What is left of the Route set, row by row.
fn routes(ctx: &RouteContext<'_>) -> Vec<String> {
    let mut out = Vec::new();
    print::request(&ctx.message, &ctx.edits, &Default::default(), &mut out);
    let printed = Message::parse(&out).expect("still a message");
    printed
        .headers_named(message::HeaderName::Route)
        .map(|h| String::from_utf8_lossy(h.value).into_owned())
        .collect()
}
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Routed {
    result: Option<i64>,
    uri: String,
    next: String,
    routes: Vec<String>,
}

fn loose(uri: &str, to_tag: &str, rows: &[&str]) -> Routed {
    let bench = bench();
    let message = invite(uri, to_tag, rows);
    let mut ctx = bench.request(&message);
    let result = call(&bench, &mut ctx, "loose_route", &[]);
    Routed { result, uri: text(ctx.request_uri()), next: text(&ctx.target.dst_uri), routes: routes(&ctx) }
}

const BOB: &str = "sip:bob@127.0.0.1:15210";
const IN_DIALOG: &str = ";tag=tt";

#[test]
fn own_route_alone_is_removed() {
    let r = loose(BOB, IN_DIALOG, &[OURS]);
    assert_eq!((r.result, r.uri.as_str(), r.next.as_str()), (Some(1), BOB, ""));
    assert!(r.routes.is_empty());
    assert_eq!(loose(BOB, "", &[OURS]).result, Some(-3));
    assert_eq!(loose(BOB, IN_DIALOG, &[]).result, Some(-1));
}
#[test]
fn next_route_becomes_the_destination_in_rows_and_lists() {
    for rows in [
        &[OURS, NEXT, "<sip:third;lr>"][..],
        &["<sip:127.0.0.1;lr;ftag=ft;nat=yes>, <sip:127.0.0.1:15210;lr> , <sip:third;lr>"],
    ] {
        let r = loose(BOB, IN_DIALOG, rows);
        assert_eq!((r.result, r.next.as_str()), (Some(1), "sip:127.0.0.1:15210;lr"));
        assert_eq!(r.routes.join(", ").replace(" ,", ","), "<sip:127.0.0.1:15210;lr>, <sip:third;lr>");
    }
    let r = loose(BOB, IN_DIALOG, &["\"a, b\" <sip:127.0.0.1;lr>,\"c\" <sip:127.0.0.1:15210;lr>"]);
    assert_eq!(r.routes, ["\"c\" <sip:127.0.0.1:15210;lr>"]);
}
#[test]
fn a_pair_is_removed_together_and_names_the_socket() {
    let bench = bench();
    let message = invite(
        BOB,
        IN_DIALOG,
        &["<sip:127.0.0.1;r2=on;lr>,<sip:[::1];r2=on;lr;x=y>,<sip:127.0.0.1:15210;lr>"],
    );
    let mut ctx = bench.request(&message);
    assert_eq!(call(&bench, &mut ctx, "loose_route", &[]), Some(1));
    assert_eq!(routes(&ctx), [NEXT]);
    assert_eq!(ctx.target.socket, Some(SocketId(2)));
}
#[test]
fn a_pair_that_lost_parameters_is_still_a_pair() {
    let r = loose(BOB, IN_DIALOG, &["<sip:127.0.0.1;r2=on;lr>", OURS, OURS, NEXT]);
    assert_eq!((r.result, r.next.as_str()), (Some(1), "sip:127.0.0.1;lr;ftag=ft;nat=yes"));
    assert_eq!(r.routes, [OURS, NEXT]);
}
#[test]
fn a_spiral_removes_one_route_per_pass() {
    let r = loose(BOB, IN_DIALOG, &[OURS, "<sip:127.0.0.1;lr;x=2>", NEXT]);
    assert_eq!((r.result, r.next.as_str()), (Some(1), "sip:127.0.0.1;lr;x=2"));
    assert_eq!(r.routes, ["<sip:127.0.0.1;lr;x=2>", NEXT]);
}
#[test]
fn strict_router_next_swaps_the_request_uri() {
    for rows in [
        &[OURS, "<sip:s@127.0.0.1:15210>", "<sip:third;lr>"][..],
        &[OURS, "<sip:s@127.0.0.1:15210>,<sip:third;lr>"],
    ] {
        let r = loose(BOB, IN_DIALOG, rows);
        assert_eq!((r.result, r.uri.as_str(), r.next.as_str()), (Some(1), "sip:s@127.0.0.1:15210", ""));
        assert_eq!(r.routes, ["<sip:third;lr>", "<sip:bob@127.0.0.1:15210>"]);
    }
    assert_eq!(loose(BOB, IN_DIALOG, &["<sip:s@127.0.0.1:15210>"]).routes, ["<sip:bob@127.0.0.1:15210>"]);
}
#[test]
fn somebody_elses_route_stays() {
    let r = loose(BOB, IN_DIALOG, &[NEXT, "<sip:third;lr>"]);
    assert_eq!((r.result, r.next.as_str()), (Some(1), "sip:127.0.0.1:15210;lr"));
    assert_eq!(r.routes, [NEXT, "<sip:third;lr>"]);
}
#[test]
fn strict_router_before_us() {
    let us = "sip:127.0.0.1;lr;ftag=ft;nat=yes";
    let r = loose(us, IN_DIALOG, &[NEXT, "<sip:bob@127.0.0.1:15210>"]);
    assert_eq!((r.uri.as_str(), r.next.as_str()), (BOB, "sip:127.0.0.1:15210;lr"));
    assert_eq!(r.routes, [NEXT]);
    let r = loose(us, IN_DIALOG, &["<sip:bob@127.0.0.1:15210>"]);
    assert_eq!((r.uri.as_str(), r.next.as_str(), r.routes.len()), (BOB, "", 0));
    let r = loose(us, IN_DIALOG, &["<sip:127.0.0.1:15210;lr>, <sip:x;lr>", "<sip:bob@y>, <sip:z>"]);
    assert_eq!(
        (r.uri.as_str(), r.routes.join("|").as_str()),
        ("sip:z", "<sip:127.0.0.1:15210;lr>, <sip:x;lr>|<sip:bob@y>")
    );
    let r = loose(
        "sip:127.0.0.1;r2=on;lr",
        IN_DIALOG,
        &["<sip:127.0.0.1;r2=on;lr>", "<sip:bob@127.0.0.1:15210>"],
    );
    assert_eq!((r.uri.as_str(), r.routes.len()), (BOB, 0));
}
#[test]
fn modes() {
    let bench = bench();
    let text = invite("sip:127.0.0.1", IN_DIALOG, &[OURS, NEXT]);
    let mut ctx = bench.request(&text);
    assert_eq!(bench.call(&mut ctx, "rr.loose_route_mode", &[Value::Int(1)]).to_int(), Some(1));
    assert_eq!((ctx.request_uri(), routes(&ctx).join("")), (&b"sip:127.0.0.1"[..], NEXT.to_owned()));
    for (to_tag, rows, result) in
        [("", &[OURS][..], 1), ("", &[NEXT], -1), ("", &[OURS, NEXT], -1), (IN_DIALOG, &[OURS], -1)]
    {
        let mut ctx = bench.request(&invite(BOB, to_tag, rows));
        assert_eq!(call(&bench, &mut ctx, "loose_route_preloaded", &[]), Some(result), "{to_tag} {rows:?}");
    }
}
#[test]
fn broken_routes_are_refused() {
    assert_eq!(loose(BOB, IN_DIALOG, &["sip:127.0.0.1;lr", NEXT]).result, Some(-1));
    let r = loose(BOB, IN_DIALOG, &["<sip:127.0.0.1;lr>", "<foo:bar"]);
    assert_eq!((r.result, r.next.as_str()), (Some(-1), ""));
}
#[test]
fn parameters_and_direction() {
    let bench = bench();
    let mut ctx = bench.request(&invite(BOB, IN_DIALOG, &[OURS, NEXT]));
    assert_eq!(call(&bench, &mut ctx, "next_hop_route", &[]), Some(-1));
    call(&bench, &mut ctx, "loose_route", &[]);
    assert_eq!(call(&bench, &mut ctx, "check_route_param", &["nat=yes"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "check_route_param", &[";nat=no"]), Some(-1));
    assert_eq!(call(&bench, &mut ctx, "check_route_param", &["("]), Some(-1));
    assert_eq!(call(&bench, &mut ctx, "is_direction", &["downstream"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "is_direction", &["upstream"]), Some(-1));
    assert_eq!(call(&bench, &mut ctx, "next_hop_route", &[]), Some(1));
    let mut ctx = bench.request(&invite(BOB, IN_DIALOG, &["<sip:127.0.0.1;lr;ftag=tt>"]));
    call(&bench, &mut ctx, "loose_route", &[]);
    assert_eq!(call(&bench, &mut ctx, "is_direction", &["upstream"]), Some(1));
    assert_eq!(
        bench.format(&ctx, "$fti $tti $rdir(id) $rdir(name) $route_uri"),
        "tt ft 2 upstream sip:127.0.0.1;lr;ftag=tt"
    );
    let mut ctx = bench.request(&invite(BOB, "", &[]));
    assert_eq!(bench.format(&ctx, "$fti $tti $rdir(id) $route_uri"), "ft <null> 1 <null>");
    assert_eq!(call(&bench, &mut ctx, "is_direction", &["downstream"]), Some(1));
}

fn record_route(bench: &Bench, ctx: &RouteContext<'_>, outgoing: u16) -> String {
    let mut out = Vec::new();
    if let Some(rr) = &ctx.record_route {
        rr.write(&bench.core.listeners, ctx.inbound.socket, SocketId(outgoing), &mut out);
    }
    text(&out)
}

#[test]
fn record_route_texts() {
    let bench = bench();
    let mut ctx = bench.request(&invite(BOB, "", &[]));
    assert_eq!(call(&bench, &mut ctx, "add_rr_param", &[";early=1"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "record_route_params", &[";x=1"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "add_rr_param", &[";nat=yes"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "record_route", &[]), Some(-1));
    assert_eq!(
        record_route(&bench, &ctx, 0),
        "Record-Route: <sip:127.0.0.1;lr;ftag=ft;x=1;early=1;nat=yes>\r\n"
    );
    assert_eq!(record_route(&bench, &ctx, 2).lines().count(), 2);
    assert_eq!(call(&bench, &mut ctx, "remove_record_route", &[]), Some(1));
    assert_eq!(record_route(&bench, &ctx, 0), "");
    assert_eq!(call(&bench, &mut ctx, "record_route_preset", &["1.2.3.4:5090", "5.6.7.8"]), Some(1));
    assert_eq!(call(&bench, &mut ctx, "record_route_preset_one", &["9.9.9.9"]), Some(-1));
    assert_eq!(
        record_route(&bench, &ctx, 0),
        "Record-Route: <sip:1.2.3.4:5090;ftag=ft;lr>\r\nRecord-Route: <sip:5.6.7.8;ftag=ft;lr>\r\n"
    );
    ctx.record_route = None;
    assert_eq!(call(&bench, &mut ctx, "record_route_advertised_address", &["1.2.3.4"]), Some(1));
    assert_eq!(record_route(&bench, &ctx, 0), "Record-Route: <sip:1.2.3.4;ftag=ft;lr>\r\n");
}
#[test]
fn record_route_settings() {
    let bench = bench_with(&[("enable_full_lr", 1), ("add_username", 1), ("append_fromtag", 0)]);
    let mut ctx = bench.request(&invite("sips:bob@127.0.0.1:15210", "", &[]));
    assert_eq!(call(&bench, &mut ctx, "record_route", &[]), Some(1));
    assert_eq!(record_route(&bench, &ctx, 0), "Record-Route: <sips:bob@127.0.0.1;lr=on>\r\n");
    let bench = bench_with(&[("enable_double_rr", 2), ("ignore_sips", 1)]);
    let mut ctx = bench.request(&invite("sips:bob@127.0.0.1:15210", "", &[]));
    call(&bench, &mut ctx, "record_route", &[]);
    assert_eq!(record_route(&bench, &ctx, 0), "Record-Route: <sip:127.0.0.1;r2=on;lr;ftag=ft>\r\n".repeat(2));
}
#[test]
fn the_callee_keeps_the_callers_tag_in_its_record_route() {
    let bench = bench();
    let mut ctx = bench.request(&invite(BOB, IN_DIALOG, &["<sip:127.0.0.1;lr;ftag=tt>"]));
    call(&bench, &mut ctx, "loose_route", &[]);
    call(&bench, &mut ctx, "record_route", &[]);
    assert_eq!(record_route(&bench, &ctx, 0), "Record-Route: <sip:127.0.0.1;lr;ftag=tt>\r\n");
}
