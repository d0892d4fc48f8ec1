//! Rows of `acc` for calls of every kind, as the packaged Kamailio writes them.
#![allow(clippy::unwrap_used)]

mod common;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use script::{Module, ParamValue, RouteContext, RunOutcome};
use store::{Database, Memory, Query, Value};

/// Flags of the scripts in this file.
const ACC: u32 = 1 << 1;
const MISSED: u32 = 1 << 2;
const FAILED: u32 = 1 << 3;

const COLUMNS: [&str; 6] = ["method", "from_tag", "to_tag", "sip_code", "sip_reason", "dst_user"];

struct Ledger {
    db: Arc<dyn Database>,
    _folder: Folder,
}

struct Folder(std::path::PathBuf);
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Ledger {
    /// `METHOD from to code reason user` of a table.
    fn rows(&self, table: &str) -> Vec<String> {
        assert!(store::journal::flush_all(Duration::from_secs(20)));
        let rows = self.db.query(&Query { table, columns: &COLUMNS, ..Query::default() }).unwrap();
        let text = |v: &Value| String::from_utf8_lossy(v.as_text().unwrap_or(b"NULL")).into_owned();
        rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
    }
}

/// A bench with `acc` over a database of its own.
fn bench(
    name: &str,
    more: &[(&str, ParamValue)],
    route: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static,
) -> (Bench, Ledger) {
    let memory = Memory::new();
    let core =
        ["method", "from_tag", "to_tag", "callid", "sip_code", "sip_reason", "time", "dst_user", "leg"];
    memory.create("acc", &core, &[]);
    memory.create("missed_calls", &core, &[]);
    memory.create("acc_cdrs", &["start_time", "end_time", "duration", "ci"], &[]);
    let db: Arc<dyn Database> = Arc::new(memory);
    let url = format!("mysql://accounting/{name}");
    store::substitute(&url, &db);
    let folder = std::env::temp_dir().join(format!("trunkline-accounting-{}-{name}", std::process::id()));
    let journal = folder.join("acc.journal");
    let mut params = vec![
        ("db_url", text(&url)),
        ("journal_file", text(journal.to_str().unwrap())),
        ("db_flag", int(1)),
        ("db_missed_flag", int(2)),
        ("failed_transaction_flag", int(3)),
        ("db_extra", text("dst_user=$rU")),
    ];
    params.extend(more.iter().cloned());
    let mut all: Vec<Arc<dyn Module>> = ["core", "pv", "tm", "rr"].map(|name| module(name, &[], &[])).into();
    all.push(module("dialog", &[], &all));
    all.push(module("acc", &params, &all));
    (Bench::with_modules(all, route), Ledger { db, _folder: Folder(folder) })
}

fn marked(flags: u32) -> impl Fn(&mut RouteContext<'_>) -> RunOutcome {
    move |ctx| {
        ctx.flags |= flags;
        relay(ctx)
    }
}

fn invite(b: &Bench, call: &str) -> String {
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", call, ""));
    out.into_iter().find(|(to, _)| to == BOB).unwrap().1
}

#[test]
fn an_answered_call_has_a_row_for_its_invite_and_one_for_its_bye() {
    let (b, ledger) = bench("answered", &[], marked(ACC | MISSED));
    let sent = invite(&b, "c1");
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    b.send(BOB, &reply(&sent, "200 Fine", "tb"));
    let bye = request("BYE", "sip:bob@10.0.0.3", "c1", "").replace("z9hG4bKc1", "z9hG4bKb1");
    let out = b.send(ALICE, &bye.replace("To: <sip:bob@b>", "To: <sip:bob@b>;tag=tb"));
    b.send(BOB, &reply(&out[0].1, "200 Bye", "x"));
    assert_eq!(ledger.rows("acc"), ["INVITE ta tb 200 Fine bob", "BYE ta tb 200 Bye bob"]);
    assert_eq!(ledger.rows("missed_calls"), [""; 0]);
}

#[test]
fn a_missed_call_has_a_row_for_each_leg_that_failed_with_the_flag_set() {
    let (b, ledger) = bench("missed", &[], |ctx| {
        ctx.armed.on_failure = ctx.core.callbacks.intern(b"failure");
        marked(ACC | MISSED)(ctx)
    });
    b.route("failure", |ctx| {
        assert_eq!(ctx.flags & MISSED, 0, "reset when the row was written");
        ctx.flags |= MISSED;
        ctx.target.uri = b"sip:dave@10.0.0.4".to_vec();
        ctx.transactions.relay(ctx, script::RelayTo::Uris, 0);
        RunOutcome::Returned(1)
    });
    let sent = invite(&b, "m1");
    let out = b.send(BOB, &reply(&sent, "486 Busy Here", "tb"));
    let to_carol = out.iter().find(|(to, _)| to == CAROL).unwrap().1.clone();
    b.send(CAROL, &reply(&to_carol, "480 Away", "tc"));
    assert_eq!(ledger.rows("missed_calls"), ["INVITE ta tb 486 Busy Here bob", "INVITE ta tc 480 Away dave"]);
    assert_eq!(ledger.rows("acc"), [""; 0], "a failure is no answer");
}

#[test]
fn failures_are_accounted_when_that_is_asked_for_and_not_filtered() {
    let filter = [("failed_filter", text("401, 407"))];
    let (b, ledger) = bench("failed", &filter, marked(ACC | FAILED));
    for (call, status) in [("f1", "480 Away"), ("f2", "401 Unauthorized")] {
        let sent = invite(&b, call);
        b.send(BOB, &reply(&sent, status, "tb"));
    }
    assert_eq!(ledger.rows("acc"), ["INVITE ta tb 480 Away bob"]);
}

#[test]
fn what_is_answered_here_has_the_usual_reason_and_our_tag() {
    let (mut b, ledger) = bench("local", &[], |ctx| {
        ctx.flags |= ACC | MISSED;
        if ctx.message.call_id() == b"l1" {
            ctx.transactions.reply(ctx, 404, b"Gone Away");
            return RunOutcome::Returned(1);
        }
        relay(ctx)
    });
    b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "l1", ""));
    invite(&b, "l2");
    b.advance(31_000);
    let rows = ledger.rows("missed_calls");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("INVITE ta tl-t") && rows[0].ends_with(" 404 Not Found bob"), "{rows:?}");
    assert!(rows[1].ends_with(" 408 Request Timeout bob"), "{rows:?}");
}

#[test]
fn a_cancelled_call_is_missed_and_the_cancel_accounted_on_request() {
    let (b, ledger) = bench("cancelled", &[("report_cancels", int(1))], marked(ACC | MISSED));
    let sent = invite(&b, "x1");
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    b.send(ALICE, &request("CANCEL", "sip:bob@10.0.0.3", "x1", ""));
    b.send(BOB, &reply(&sent, "487 Request Terminated", "tb"));
    assert_eq!(ledger.rows("missed_calls"), ["INVITE ta tb 487 Request Terminated bob"]);
    assert_eq!(ledger.rows("acc"), ["CANCEL ta  200 OK bob"]);
}

#[test]
fn early_media_and_acks_are_accounted_on_request() {
    let more = [("early_media", int(1)), ("report_ack", int(1))];
    let (b, ledger) = bench("early", &more, marked(ACC));
    let sent = invite(&b, "e1");
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    let progress = reply(&sent, "183 Session", "tb")
        .replace("Content-Length: 0\n\n", "Content-Type: application/sdp\nContent-Length: 5\n\nv=0\r\n");
    b.send(BOB, &progress);
    b.send(BOB, &reply(&sent, "200 OK", "tb"));
    let ack = request("ACK", "sip:bob@10.0.0.3", "e1", "").replace("z9hG4bKe1", "z9hG4bKack");
    b.send(ALICE, &ack.replace("To: <sip:bob@b>", "To: <sip:bob@b>;tag=tb"));
    assert_eq!(
        ledger.rows("acc"),
        ["INVITE ta tb 183 Session bob", "INVITE ta tb 200 OK bob", "ACK ta tb 200 OK bob"]
    );
}

#[test]
fn a_call_of_several_legs_has_a_row_for_each() {
    let more = [("multi_leg_info", text("leg=$avp(leg)"))];
    let (b, ledger) = bench("legs", &more, |ctx| {
        for leg in ["first", "second"] {
            let value = script::vars::VarValue::Str(leg.as_bytes().into());
            ctx.vars().with(|lists| lists.avps.insert(0, (b"leg"[..].into(), value)));
        }
        marked(ACC)(ctx)
    });
    let sent = invite(&b, "g1");
    b.send(BOB, &reply(&sent, "200 OK", "tb"));
    assert_eq!(ledger.rows("acc").len(), 2);
    let query = Query { table: "acc", columns: &["leg"], ..Query::default() };
    assert_eq!(ledger.db.query(&query).unwrap(), [[Value::text("second")], [Value::text("first")]]);
}

#[test]
fn flags_set_after_the_transaction_was_made_count_only_where_it_was_prepared() {
    for (prepare, rows) in [(0, 0), (1, 1)] {
        let more = [("acc_prepare_always", int(prepare))];
        let (b, ledger) = bench(&format!("prepare{prepare}"), &more, |ctx| {
            ctx.transactions.new_transaction(ctx);
            marked(ACC)(ctx)
        });
        let sent = invite(&b, "p1");
        b.send(BOB, &reply(&sent, "200 OK", "tb"));
        assert_eq!(ledger.rows("acc").len(), rows, "acc_prepare_always {prepare}");
    }
}

#[test]
fn a_dialog_that_ended_has_a_record_with_its_duration() {
    let more =
        [("cdr_enable", int(1)), ("cdrs_table", text("acc_cdrs")), ("cdr_extra", text("ci=$dlg(callid)"))];
    let (mut b, ledger) = bench("cdr", &more, tracked);
    let sent = invite(&b, "d1");
    b.advance(1500);
    let out = b.send(BOB, &reply(&sent, "200 OK", "tb"));
    let route = out[0].1.lines().find_map(|l| l.strip_prefix("Record-Route: ")).unwrap().to_owned();
    assert!(route.contains(";did="), "{route}");
    let within = |method: &str, branch: &str| {
        request(method, "sip:bob@10.0.0.3", "d1", &format!("Route: {route}\n"))
            .replace("z9hG4bKd1", branch)
            .replace("To: <sip:bob@b>", "To: <sip:bob@b>;tag=tb")
    };
    b.send(ALICE, &within("ACK", "z9hG4bKa"));
    b.advance(2000);
    b.send(ALICE, &within("BYE", "z9hG4bKb"));
    let refused = invite(&b, "d2");
    b.send(BOB, &reply(&refused, "486 Busy", "tb"));
    assert!(store::journal::flush_all(Duration::from_secs(20)));
    let columns = ["start_time", "end_time", "duration", "ci"];
    let rows = ledger.db.query(&Query { table: "acc_cdrs", columns: &columns, ..Query::default() }).unwrap();
    let start = 1_767_323_045;
    assert_eq!(
        rows,
        [
            vec![Value::Time(start), Value::Time(start + 3), Value::Float(3.5), Value::text("d1")],
            vec![Value::Time(start + 3), Value::Time(start + 3), Value::Float(0.0), Value::text("d2")],
        ]
    );
}
