//! Calls tracked by `dialog`: through the proxy, with BYE, timeouts, profiles, variables and a database.
#![allow(clippy::unwrap_used)]

mod common;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use common::*;
use script::{Arg, Module, ParamValue, RouteContext, RunOutcome};
use serde_json::json;
use store::{Database, Memory, Query, Value};

fn bench_with(
    params: &[(&str, ParamValue)],
    route: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
) -> Bench {
    let mut all: Vec<Arc<dyn Module>> = ["core", "pv", "tm", "rr"].map(|name| module(name, &[], &[])).into();
    all.push(module("dialog", params, &all));
    let mut b = Bench::with_modules(all, route);
    b.tick();
    b
}

/// One call and what is needed to go on with it.
struct Call {
    id: &'static str,
    /// The Record-Route both sides got.
    route: String,
    to_alice: String,
}

impl Call {
    /// INVITE, 180, 200 and, with `ack`, ACK.
    fn answered(b: &Bench, id: &'static str, ack: bool) -> Call {
        let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", id, ""));
        let sent = out.into_iter().find(|(to, _)| to == BOB).unwrap().1;
        b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
        let ok = reply(&sent, "200 OK", "tb")
            .replace("Content-Length: 0", "Contact: <sip:bob@10.0.0.3:5062>\nContent-Length: 0");
        let out = b.send(BOB, &ok);
        let to_alice = out[0].1.clone();
        let route = to_alice.lines().find_map(|l| l.strip_prefix("Record-Route: ")).unwrap().to_owned();
        let call = Call { id, route, to_alice };
        if ack {
            b.send(ALICE, &call.by_alice("ACK", 1));
        }
        call
    }
    fn by_alice(&self, method: &str, cseq: u32) -> String {
        request(method, "sip:bob@10.0.0.3", self.id, &format!("Route: {}\n", self.route))
            .replace(&format!("z9hG4bK{}", self.id), &format!("z9hG4bK{}{method}{cseq}", self.id))
            .replace("To: <sip:bob@b>", "To: <sip:bob@b>;tag=tb")
            .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
    }
    fn by_bob(&self, method: &str) -> String {
        format!(
            "{method} sip:alice@10.0.0.2 SIP/2.0\nVia: SIP/2.0/UDP {BOB};branch=z9hG4bK{}bob{method}\nMax-Forwards: 70\nRoute: {}\n\
             From: <sip:bob@b>;tag=tb\nTo: <sip:alice@a>;tag=ta\nCall-ID: {}\nCSeq: 9 {method}\nContent-Length: 0\n\n",
            self.id, self.route, self.id
        )
    }
}

fn events(b: &Bench) -> Rc<RefCell<Vec<String>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    b.route("events", move |ctx| {
        let kind = if ctx.message.is_request() { "request" } else { "reply" };
        log.borrow_mut().push(format!("{} {} {kind}", pv(ctx, "$dlg(callid)"), pv(ctx, "$dlg(state)")));
        RunOutcome::Returned(1)
    });
    seen
}

const EVENTS: (&str, &str) = ("event_callback", "events");

fn with_events() -> (&'static str, ParamValue) {
    (EVENTS.0, text(EVENTS.1))
}

#[test]
fn a_call_is_followed_from_its_invite_to_its_bye() {
    let states = Rc::new(RefCell::new(Vec::new()));
    let log = states.clone();
    let b = bench_with(&[with_events()], move |ctx| {
        let outcome = tracked(ctx);
        let method = String::from_utf8_lossy(ctx.message.method_text()).into_owned();
        log.borrow_mut().push(format!("{method} {} {}", pv(ctx, "$dlg(state)"), pv(ctx, "$DLG_count")));
        outcome
    });
    let seen = events(&b);
    let call = Call::answered(&b, "c1", true);
    assert!(call.to_alice.contains(";lr;ftag=ta;did="), "{}", call.to_alice);
    assert_eq!((b.stat("active_dialogs"), b.stat("early_dialogs"), b.stat("processed_dialogs")), (1, 0, 1));
    b.send(BOB, &call.by_bob("BYE"));
    assert_eq!(*states.borrow(), ["INVITE 1 0", "ACK 4 1", "BYE 5 0"]);
    assert_eq!(*seen.borrow(), ["c1 3 reply", "c1 5 request"]);
    assert_eq!((b.stat("active_dialogs"), b.stat("failed_dialogs")), (0, 0));
}

#[test]
fn a_call_that_is_refused_failed_and_one_that_makes_no_transaction_never_was() {
    let b = bench_with(&[with_events()], |ctx| {
        if ctx.message.call_id() == b"none" {
            ksr(ctx, "dialog", "dlg_manage", &[]);
            ctx.transactions.reply_stateless(ctx, 404, b"Not here");
            return RunOutcome::Returned(1);
        }
        tracked(ctx)
    });
    let seen = events(&b);
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "f1", ""));
    let sent = out.into_iter().find(|(to, _)| to == BOB).unwrap().1;
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    assert_eq!(b.stat("early_dialogs"), 1);
    b.send(BOB, &reply(&sent, "486 Busy Here", "tb"));
    b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "none", ""));
    assert_eq!(*seen.borrow(), ["f1 5 reply"]);
    assert_eq!((b.stat("early_dialogs"), b.stat("failed_dialogs"), b.stat("active_dialogs")), (0, 1, 0));
    let all = b.rpc("dlg.briefing", &[json!("cs")]).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn requests_are_matched_by_cookie_by_tags_or_by_both() {
    for (mode, with_cookie, without) in [(0, 4, 3), (1, 4, 4), (2, 4, 4)] {
        for (cookie, state) in [(true, with_cookie), (false, without)] {
            let b = bench_with(&[("dlg_match_mode", int(mode))], tracked);
            let mut call = Call::answered(&b, "m1", false);
            assert_eq!(call.route.contains(";did="), mode != 2, "{}", call.route);
            if !cookie {
                let at = call.route.find(";did=").unwrap_or(call.route.len() - 1);
                call.route.truncate(at);
                call.route.push('>');
            }
            b.send(ALICE, &call.by_alice("ACK", 1));
            let list = b.rpc("dlg.list", &[]).unwrap();
            assert_eq!(list[0]["state"], state, "mode {mode}, cookie {cookie}");
        }
    }
    let b = bench_with(&[], tracked);
    let call = Call::answered(&b, "m2", true);
    let foreign = call.by_alice("BYE", 2).replace("tag=ta", "tag=someone");
    b.send(ALICE, &foreign);
    assert_eq!(b.stat("active_dialogs"), 1, "a cookie with other tags ends nothing");
}

#[test]
fn a_dialog_that_times_out_ends_with_bye_to_both_sides() {
    let params = [("default_timeout", int(3)), ("send_bye", int(1)), with_events()];
    let mut b = bench_with(&params, tracked);
    let seen = events(&b);
    Call::answered(&b, "t1", true);
    assert_eq!((b.tick(), b.tick()), (vec![], vec![]));
    let out = b.tick();
    assert_eq!(
        lines(&out),
        [
            "10.0.0.3:5062 BYE sip:bob@10.0.0.3:5062 SIP/2.0",
            "10.0.0.2:5060 BYE sip:alice@10.0.0.2:5060 SIP/2.0"
        ]
    );
    assert!(
        out[0].1.contains("\nCSeq: 2 BYE\n") && out[0].1.contains("\nFrom: <sip:alice@a>;tag=ta\n"),
        "{}",
        out[0].1
    );
    assert!(
        out[1].1.contains("\nCSeq: 1 BYE\n") && out[1].1.contains("\nFrom: <sip:bob@b>;tag=tb\n"),
        "{}",
        out[1].1
    );
    assert_eq!((b.stat("expired_dialogs"), b.stat("active_dialogs")), (1, 0));
    assert_eq!(seen.borrow().last().unwrap(), "t1 5 request");
    for _ in 0..7 {
        b.tick();
    }
    assert_eq!(b.rpc("dlg.list", &[]).unwrap(), json!([]), "forgotten");
}

#[test]
fn a_request_within_starts_the_timeout_anew_unless_told_not_to() {
    for (noreset, active) in [(0, 1), (1, 0)] {
        let params = [("default_timeout", int(3)), ("timeout_noreset", int(noreset))];
        let mut b = bench_with(&params, tracked);
        let call = Call::answered(&b, "r1", true);
        b.tick();
        b.tick();
        b.send(ALICE, &call.by_alice("INFO", 2));
        b.tick();
        b.tick();
        assert_eq!(b.stat("active_dialogs"), active, "timeout_noreset {noreset}");
    }
}

#[test]
fn an_answer_without_ack_ends_soon() {
    let mut b = bench_with(&[("noack_timeout", int(2))], tracked);
    Call::answered(&b, "n1", false);
    for _ in 0..2 {
        b.tick();
    }
    assert_eq!(b.stat("active_dialogs"), 1);
    for _ in 0..11 {
        b.tick();
    }
    assert_eq!((b.stat("active_dialogs"), b.stat("expired_dialogs")), (0, 1));
}

#[test]
fn operators_end_dialogs_and_scripts_do() {
    let mut b = bench_with(&[], |ctx| {
        if ctx.message.method() == message::Method::Info {
            ksr(ctx, "rr", "loose_route", &[]);
            assert_eq!(ksr(ctx, "dialog", "dlg_bye", &[Arg::Str(b"callee")]), 1);
            return RunOutcome::Returned(1);
        }
        tracked(ctx)
    });
    let one = Call::answered(&b, "o1", true);
    Call::answered(&b, "o2", true);
    let out = b.send(ALICE, &one.by_alice("INFO", 2));
    assert_eq!(lines(&out), ["10.0.0.3:5062 BYE sip:bob@10.0.0.3:5062 SIP/2.0"]);
    let tags = [json!("o2"), json!("ta"), json!("tb")];
    assert_eq!(b.rpc("dlg.is_alive", &tags).unwrap(), json!("Alive"));
    b.rpc("dlg.terminate_dlg", &tags).unwrap();
    assert_eq!(b.tick().iter().filter(|(_, m)| m.starts_with("BYE") && m.contains("Call-ID: o2")).count(), 2);
    assert!(b.rpc("dlg.terminate_dlg", &tags).is_err() && b.rpc("dlg.is_alive", &tags).is_err());
    assert_eq!(b.rpc("dlg.stats_active", &[]).unwrap()["all"], 0);
}

#[test]
fn keepalives_go_to_the_sides_that_asked_for_them() {
    let params = [("ka_timer", int(5)), ("ka_interval", int(30))];
    let mut b = bench_with(&params, |ctx| {
        let outcome = tracked(ctx);
        if ctx.message.method() == message::Method::Invite {
            assert_eq!(ksr(ctx, "dialog", "dlg_set_property", &[Arg::Str(b"ka-dst")]), 1);
        }
        outcome
    });
    Call::answered(&b, "k1", true);
    let mut rounds = Vec::new();
    for status in ["200 OK", "481 No Such Call"] {
        let sent: Vec<_> = (0..31).flat_map(|_| b.tick()).collect();
        assert_eq!(lines(&sent), ["10.0.0.3:5062 OPTIONS sip:bob@10.0.0.3:5062 SIP/2.0"], "{status}");
        b.send("10.0.0.3:5062", &reply(&sent[0].1, status, "tb"));
        rounds.push(b.rpc("dlg.list", &[]).unwrap()[0]["timeout"].as_i64().unwrap());
    }
    let now = b.now.unix_micros as i64 / 1_000_000;
    assert!(rounds[0] > now + 40_000 && rounds[1] == now + 10, "{rounds:?} at {now}");
}

#[test]
fn variables_and_profiles_live_with_the_dialog() {
    let sizes = Rc::new(RefCell::new(Vec::new()));
    let log = sizes.clone();
    let params = [("profiles_with_value", text("caller")), ("profiles_no_value", text("calls"))];
    let b = bench_with(&params, move |ctx| {
        let invite = ctx.message.method() == message::Method::Invite;
        if invite {
            // Before there is a dialog: it gets it when it is made.
            ksr(ctx, "dialog", "var_sets", &[Arg::Str(b"early"), Arg::Str(b"bird")]);
        }
        let outcome = tracked(ctx);
        if invite {
            ksr(ctx, "dialog", "set_dlg_profile", &[Arg::Str(b"caller"), Arg::Str(b"alice")]);
            ksr(ctx, "dialog", "set_dlg_profile_static", &[Arg::Str(b"calls")]);
        }
        let size = ctx.core.registry.parse_pv(b"$var(size)").unwrap();
        ksr(ctx, "dialog", "get_profile_size", &[Arg::Str(b"caller"), Arg::Str(b"alice"), Arg::Pv(&size)]);
        let inside = ksr(ctx, "dialog", "is_in_profile_static", &[Arg::Str(b"calls")]);
        log.borrow_mut().push(format!("{} {inside} {}", pv(ctx, "$var(size)"), pv(ctx, "$dlg_var(early)")));
        outcome
    });
    let call = Call::answered(&b, "v1", true);
    assert_eq!(b.rpc("dlg.profile_get_size", &[json!("caller"), json!("alice")]).unwrap(), 1);
    let list = b.rpc("dlg.list", &[]).unwrap();
    assert_eq!(list[0]["profiles"], json!(["calls", { "caller": "alice" }]));
    assert_eq!(list[0]["variables"], json!([{ "early": "bird" }]));
    b.send(ALICE, &call.by_alice("BYE", 2));
    assert_eq!(*sizes.borrow(), ["1 1 bird", "1 1 bird", "0 -1 bird"]);
    assert!(b.rpc("dlg.profile_get_size", &[json!("nope")]).is_err());
}

#[test]
fn a_call_is_tracked_from_a_route_that_was_suspended() {
    let suspended = Rc::new(RefCell::new(None));
    let known = suspended.clone();
    let b = bench_with(&[], move |ctx| {
        match ctx.message.method() {
            message::Method::Invite => {
                ctx.transactions.suspend(ctx);
                *known.borrow_mut() = ctx.transaction;
            }
            _ => {
                let id = known.borrow().unwrap();
                ctx.transactions.resume(ctx, id.index, id.label, b"go on");
            }
        }
        RunOutcome::Returned(1)
    });
    b.route("go on", |ctx| {
        assert_eq!(ksr(ctx, "dialog", "dlg_manage", &[]), 1);
        ctx.target.uri = b"sip:bob@10.0.0.3".to_vec();
        relay(ctx)
    });
    b.send(ALICE, &request("INVITE", "sip:someone@10.0.0.9", "s1", ""));
    let out = b.send(ALICE, &request("OPTIONS", "sip:x@10.0.0.9", "s2", ""));
    let sent = out.iter().find(|(to, _)| to == BOB).unwrap().1.clone();
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    assert_eq!(b.stat("early_dialogs"), 1);
    b.send(BOB, &reply(&sent, "200 OK", "tb"));
    assert_eq!((b.stat("early_dialogs"), b.stat("active_dialogs")), (0, 1));
}

#[test]
fn a_bridge_calls_one_phone_and_refers_it_to_another() {
    let mut b = bench_with(&[], relay);
    b.rpc("dlg.bridge_dlg", &[json!("sip:bob@10.0.0.3"), json!("sip:carol@10.0.0.4")]).unwrap();
    let out = b.tick();
    assert_eq!(lines(&out), ["10.0.0.3:5060 INVITE sip:bob@10.0.0.3 SIP/2.0"]);
    assert!(out[0].1.contains("\nc=IN IP4 0.0.0.0\n"), "{}", out[0].1);
    let ok = reply(&out[0].1, "200 OK", "tb")
        .replace("Content-Length: 0", "Contact: <sip:bob@10.0.0.3:5062>\nContent-Length: 0");
    let out = b.send(BOB, &ok);
    assert_eq!(
        lines(&out),
        [
            "10.0.0.3:5062 ACK sip:bob@10.0.0.3:5062 SIP/2.0",
            "10.0.0.3:5062 REFER sip:bob@10.0.0.3:5062 SIP/2.0"
        ]
    );
    assert!(
        out[0].1.contains(";tag=tb\n") && out[1].1.contains("\nRefer-To: <sip:carol@10.0.0.4>\n"),
        "{out:?}"
    );
    let again = lines(&b.send(BOB, &ok));
    assert_eq!(again, ["10.0.0.3:5062 ACK sip:bob@10.0.0.3:5062 SIP/2.0"], "the ACK was lost");
    let out = b.send("10.0.0.3:5062", &reply(&out[1].1, "202 Accepted", "tb"));
    assert_eq!(lines(&out), ["10.0.0.3:5062 BYE sip:bob@10.0.0.3:5062 SIP/2.0"]);
    assert!(b.rpc("dlg.bridge_dlg", &[json!("nonsense"), json!("sip:a@b")]).is_err());
}

const TABLE: [&str; 23] = [
    "hash_entry",
    "hash_id",
    "callid",
    "from_uri",
    "from_tag",
    "to_uri",
    "to_tag",
    "caller_cseq",
    "callee_cseq",
    "caller_route_set",
    "callee_route_set",
    "caller_contact",
    "callee_contact",
    "caller_sock",
    "callee_sock",
    "state",
    "start_time",
    "timeout",
    "sflags",
    "iflags",
    "toroute_name",
    "req_uri",
    "xdata",
];

#[test]
fn dialogs_outlive_a_restart_in_the_database() {
    for mode in [1, 2, 3] {
        let memory = Memory::new();
        memory.create("dialog", &TABLE, &[]);
        memory.create("dialog_vars", &["hash_entry", "hash_id", "dialog_key", "dialog_value"], &[]);
        let db: Arc<dyn Database> = Arc::new(memory);
        let url = format!("mysql://dialogs/{mode}");
        store::substitute(&url, &db);
        let params = [("db_mode", int(mode)), ("db_url", text(&url))];
        let route = |ctx: &mut RouteContext<'_>| {
            let outcome = tracked(ctx);
            ksr(ctx, "dialog", "var_sets", &[Arg::Str(b"k"), Arg::Str(b"it's; 100%")]);
            outcome
        };
        let b = bench_with(&params, route);
        let kept = Call::answered(&b, "kept", true);
        let ended = Call::answered(&b, "ended", true);
        b.send(ALICE, &ended.by_alice("BYE", 2));
        // The server ends.
        b.core.registry.modules().iter().for_each(|m| m.stop(&b.core, b.now));
        let query =
            Query { table: "dialog", columns: &["callid", "state", "callee_contact"], ..Query::default() };
        let row = [Value::text("kept"), Value::Int(4), Value::text("sip:bob@10.0.0.3:5062")];
        assert_eq!(db.query(&query).unwrap(), [row], "db_mode {mode}");

        let b = bench_with(&params, route);
        assert_eq!(b.stat("active_dialogs"), 1, "db_mode {mode}");
        let list = b.rpc("dlg.list", &[]).unwrap();
        assert_eq!(list[0]["variables"], json!([{ "k": "it's; 100%" }]));
        assert_eq!(list[0]["callee"]["socket"], "udp:10.0.0.1:5060");
        b.send(ALICE, &kept.by_alice("BYE", 2));
        assert_eq!(b.stat("active_dialogs"), 0, "db_mode {mode}");
        b.core.registry.modules().iter().for_each(|m| m.stop(&b.core, b.now));
        assert_eq!(db.query(&query).unwrap(), Vec::<Vec<Value>>::new(), "db_mode {mode}");
    }
}
