//! What the observed calls (`tests/observed.rs`) do not show.

use std::sync::Arc;

use script::testing::{Bench, UNIX_TIME};
use script::{CoreConfig, Module, ParamValue, Value};

use super::PvModule;
use crate::core::CoreFunctions;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\n\
    From: <sip:alice@a.example>;tag=1\nTo: <sip:bob@b.example>\nCall-ID: c\nCSeq: 1 INVITE\n\
    Contact: <sip:alice@192.0.2.1>;expires=60, <sip:alice@192.0.2.2>\nExpires: 300\n\
    Authorization: Digest username=\"al,ice@x\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"0\"\n";

fn bench() -> Bench {
    Bench::new(vec![Arc::new(CoreFunctions::default()), Arc::new(PvModule::default())])
}

#[test]
fn parameters_give_variables_their_first_values() {
    let mut pv = PvModule::default();
    let mut set = |name: &str, text: &str| pv.set_param(name, ParamValue::Str(text.into()));
    assert_eq!(set("shvset", "limit=i:5"), Ok(()));
    assert_eq!(set("shvset", "text=s:a:b"), Ok(()));
    assert_eq!(set("varset", "mode=s:on"), Ok(()));
    assert!(
        set("shvset", "limit").is_err()
            && set("shvset", "limit=i:x").is_err()
            && set("varset", "a=q:1").is_err()
    );
    let bench = Bench::new(vec![Arc::new(pv)]);
    let mut ctx = bench.request(INVITE);
    assert_eq!(bench.pv(&ctx, "$shv(limit)"), Value::Int(5));
    assert_eq!(bench.pv(&ctx, "$shv(text)"), Value::from("a:b"));
    assert_eq!(bench.pv(&ctx, "$var(mode)"), Value::from("on"));
    assert_eq!(bench.pv(&ctx, "$vn(mode)"), Value::Null);
    assert!(bench.set_pv(&mut ctx, "$var(mode)", 7.into()));
    assert_eq!(bench.pv(&ctx, "$var(mode)"), Value::Int(7));
    assert_eq!(bench.pv(&ctx, "$shvinc(limit)"), Value::Int(6));
    assert_eq!(bench.pv(&ctx, "$shvinc(fresh)"), Value::Int(1));
}

#[test]
fn worker_variables_outlive_the_message() {
    let bench = bench();
    let mut first = bench.request(INVITE);
    assert!(bench.set_pv(&mut first, "$var(a)", "x".into()));
    assert!(bench.set_pv(&mut first, "$avp(a)", "x".into()));
    let second = bench.request(INVITE);
    assert_eq!(bench.pv(&second, "$var(a)"), Value::from("x"));
    assert_eq!(bench.pv(&second, "$avp(a)"), Value::Null);
}

#[test]
fn time_is_the_contexts() {
    let bench = bench();
    let ctx = bench.request(INVITE);
    assert_eq!(bench.pv(&ctx, "$TS"), Value::Int(UNIX_TIME as i64));
    assert_eq!(bench.pv(&ctx, "$utimef(%Y-%m-%d %H:%M:%S)"), Value::from("2026-01-02 03:04:05"));
    assert_eq!(bench.pv(&ctx, "$utime(mon)"), Value::Int(1));
    assert_eq!(bench.pv(&ctx, "$utime(yday)"), Value::Int(2));
    assert_eq!(bench.pv(&ctx, "$utime(wday)"), Value::Int(6));
    assert_eq!(bench.pv(&ctx, "$TV(Sn)"), Value::from(format!("{UNIX_TIME}.000000").as_str()).into_owned());
}

#[test]
fn newer_variables() {
    let mut config = CoreConfig::default();
    config.defines.insert("NAME".into(), "\"quoted\"".into());
    let bench =
        Bench::with_config(vec![Arc::new(CoreFunctions::default()), Arc::new(PvModule::default())], config);
    let ctx = bench.request(INVITE);
    for (pv, want) in [
        ("$defv(NAME)", Value::from("quoted")),
        ("$defs(NAME)", Value::from("\"quoted\"")),
        ("$ctu", Value::from("sip:alice@192.0.2.1")),
        ("$cts", Value::Int(0)),
        ("$expires(min)", Value::Int(60)),
        ("$expires(max)", Value::Int(300)),
        ("$Ec$Eq", Value::from(",\"")),
        ("$rul", Value::Int(19)),
        ("$rcv(srcip)", Value::from("127.0.0.1")),
        ("$rcv(sproto)", Value::from("udp")),
        ("$nh(h)", Value::from("example.com")),
        ("$msgbuf(0)", Value::from("I")),
        ("$msg(fline)", Value::from("INVITE sip:bob@example.com SIP/2.0")),
        ("$via0(branch)", Value::from("z9hG4bKa")),
        ("$au", Value::from("al,ice")),
        ("$ad", Value::from("x")),
        ("$adr", Value::from("0")),
        ("$sel(via[1].branch)", Value::from("z9hG4bKa")),
        ("$stat(nothing)", Value::Null),
        ("$iuid", Value::Null),
    ] {
        let got = match pv {
            "$Ec$Eq" => Value::from(bench.format(&ctx, pv).as_str()).into_owned(),
            "$iuid" => {
                assert_ne!(bench.pv(&ctx, pv), bench.pv(&ctx, pv), "unique");
                continue;
            }
            pv => bench.pv(&ctx, pv),
        };
        assert_eq!(got, want, "{pv}");
    }
}

#[test]
fn msgbuf_and_names_go_into_the_edits() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    assert!(bench.set_pv(&mut ctx, "$fU", "one".into()));
    assert!(bench.set_pv(&mut ctx, "$fU", "two".into()));
    assert!(bench.set_pv(&mut ctx, "$tn", "\"To\"".into()));
    let printed = bench.printed(&ctx);
    assert!(printed.contains("From: <sip:two@a.example>;tag=1\r\n"), "{printed}");
    assert!(printed.contains("To: \"To\" <sip:bob@b.example>\r\n"), "{printed}");
    assert!(bench.set_pv(&mut ctx, "$fd", "three.example".into()));
    assert!(bench.printed(&ctx).contains("From: <sip:two@three.example>;tag=1\r\n"));
    assert!(bench.set_pv(&mut ctx, "$fu", "sip:x@y".into()));
    assert!(bench.printed(&ctx).contains("From: <sip:x@y>;tag=1\r\n"));
    assert!(bench.set_pv(&mut ctx, "$tn", Value::Null));
    assert!(bench.printed(&ctx).contains("To: <sip:bob@b.example>\r\n"));
    assert!(!bench.set_pv(&mut ctx, "$fu", "".into()));
    assert!(!bench.set_pv(&mut ctx, "$si", "x".into()));
}

#[test]
fn an_address_without_brackets_gets_them_with_its_name() {
    let bench = bench();
    let mut ctx = bench.request(&INVITE.replace("<sip:alice@a.example>", "sip:alice@a.example"));
    assert!(bench.set_pv(&mut ctx, "$fU", "two".into()));
    assert!(bench.set_pv(&mut ctx, "$fn", "Zed".into()));
    assert!(bench.printed(&ctx).contains("From: Zed <sip:two@a.example>;tag=1\r\n"));
    assert!(bench.set_pv(&mut ctx, "$fd", "h".into()));
    assert!(bench.printed(&ctx).contains("From: Zed <sip:two@h>;tag=1\r\n"));
    assert!(bench.set_pv(&mut ctx, "$fn", Value::Null));
    assert!(bench.printed(&ctx).contains("From: sip:two@h;tag=1\r\n"));
}

#[test]
fn hot_variables_borrow() {
    use std::borrow::Cow;
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    bench.set_pv(&mut ctx, "$du", "sip:10.0.0.1".into());
    for pv in [
        "$ru",
        "$rU",
        "$rd",
        "$rp",
        "$rm",
        "$fu",
        "$fU",
        "$fd",
        "$ft",
        "$tu",
        "$tU",
        "$ci",
        "$cs",
        "$si",
        "$Ri",
        "$du",
        "$proto",
        "$hdr(Contact)",
        "$hdr(contact)",
        "$au",
        "$(ru{uri.host})",
        "$(hdr(Contact){s.substr,0,5})",
        "$_s($ru)",
    ] {
        let parsed = bench.core.registry.parse_pv(pv.as_bytes()).expect(pv);
        assert!(matches!(parsed.get(&ctx), Value::Str(Cow::Borrowed(_))), "{pv} allocates");
    }
}

#[test]
fn the_destination_set_is_bounded() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    for i in 0..20 {
        let full = i >= bench.core.config.max_branches;
        assert_eq!(bench.set_pv(&mut ctx, "$br", "sip:x@10.0.0.1".into()), !full);
    }
}
