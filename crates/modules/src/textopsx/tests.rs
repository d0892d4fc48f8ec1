//! Functions over whole messages, with results as Kamailio 5.6 was seen to give them.

use std::sync::Arc;

use script::testing::Bench;
use script::{RouteContext, RouteKind, Value};
use transaction::TransactionId;

use super::*;

const ROWS: &str =
    "X-A: one;p=1;q\nX-B: two, three;p=1 ,four\nX-A: five\nAuthorization: Digest a=\"1\", b=2\n";
const BODY: &str = "v=0\no=a b\na=sendrecv\n";

fn bench() -> Bench {
    Bench::new(vec![Arc::new(TextOpsX::default())])
}
fn request() -> String {
    format!(
        "INVITE sip:bob@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>\nCall-ID: c\nCSeq: 1 INVITE\n{ROWS}Content-Type: application/sdp\nContent-Length: 24\n\n{BODY}"
    )
}
fn reply(code: u16) -> String {
    format!(
        "SIP/2.0 {code} Some Thing\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n"
    )
}
fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[&str]) -> Value<'static> {
    let args: Vec<Value<'_>> =
        args.iter().map(|a| a.parse().map_or(Value::str(a.as_bytes()), Value::Int)).collect();
    bench.call(ctx, &format!("textopsx.{name}"), &args)
}
/// Result, and the rows between CSeq and Content-Type.
fn rows_after(name: &str, args: &[&str]) -> (Option<i64>, String) {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    let result = call(&bench, &mut ctx, name, args).to_int();
    let printed = bench.printed(&ctx).replace("\r\n", "\n");
    let rest = printed.split_once("CSeq: 1 INVITE\n").map(|(_, r)| r.to_owned()).expect("CSeq stays");
    (result, rest.replace("Content-Type: application/sdp\n", "").replace("Content-Length: 24\n", ""))
}
fn values(name: &str, args: &[&str], result: i64, from: &str, to: &str) {
    assert!(ROWS.contains(from), "{from}");
    let expected = format!("{}\n{BODY}", ROWS.replacen(from, to, 1));
    assert_eq!(rows_after(name, args), (Some(result), expected), "{name} {args:?}");
}

#[test]
fn values_added() {
    let end = "b=2\n";
    values("append_hf_value", &["X-B[1]", "new"], 1, "two", "two,new");
    values("append_hf_value", &["X-B[-1]", "new"], 1, "four", "four,new");
    values("append_hf_value", &["X-A[1]", "new"], 1, "p=1;q", "p=1;q,new");
    values("append_hf_value", &["X-B", "new"], 1, end, "b=2\nX-B: new\n");
    values("append_hf_value", &["X-B[9]", "new"], 1, end, "b=2\nX-B: new\n");
    values("append_hf_value", &["X-Q", "new"], 1, end, "b=2\nX-Q: new\n");
    values("append_hf_value", &["X-Q[", "new"], -1, "", "");
    values("insert_hf_value", &["X-B", "new"], 1, "X-B:", "X-B: new\nX-B:");
    values("insert_hf_value", &["X-B[1]", "new"], 1, "two", "new,two");
    values("insert_hf_value", &["X-B[2]", "new"], 1, "three", "new,three");
    values("insert_hf_value", &["X-B[9]", "new"], -1, "", "");
    values("insert_hf_value", &["X-Q[1]", "new"], 1, end, "b=2\nX-Q: new\n");
    values("insert_hf_value", &["X-Q[-1]", "new"], -1, "", "");
    values("include_hf_value", &["X-B", "four"], 1, "", "");
    values("include_hf_value", &["X-B", "new"], 1, "four", "four,new");
    values("include_hf_value", &["X-Q", "new"], 1, end, "b=2\nX-Q: new\n");
}
#[test]
fn values_removed() {
    values("remove_hf_value", &["X-B"], 1, "two, ", "");
    values("remove_hf_value", &["X-B[2]"], 1, "three;p=1 ,", "");
    values("remove_hf_value", &["X-B[-1]"], 1, " ,four", "");
    values("remove_hf_value", &["X-B[*]"], 1, "X-B: two, three;p=1 ,four\n", "");
    values("remove_hf_value", &["X-A"], 1, "X-A: one;p=1;q\n", "");
    values("remove_hf_value", &["X-A[2]"], 1, "X-A: five\n", "");
    values("remove_hf_value", &["X-A.p"], 1, ";p=1", "");
    values("remove_hf_value", &["X-A[*].p"], 1, ";p=1", "");
    values("remove_hf_value", &["X-B[2].p"], 1, "three;p=1", "three");
    values("remove_hf_value", &["X-Q"], -1, "", "");
    values("remove_hf_value", &["X-A.zz"], -1, "", "");
    values("remove_hf_value2", &["Authorization", ""], 1, "Authorization: Digest a=\"1\", b=2\n", "");
    values("remove_hf_value2", &["Authorization.b", ""], 1, ", b=2", "");
    values("remove_hf_value2", &["Authorization.a", ""], 1, "a=\"1\",", "");
    values("exclude_hf_value", &["X-B", "two"], 1, "two, ", "");
    values("exclude_hf_value", &["X-B", "four"], 1, " ,four", "");
    values("exclude_hf_value", &["X-B", "zz"], 1, "", "");
}
#[test]
fn values_assigned() {
    values("assign_hf_value", &["X-B", "gogo"], 1, "two", "gogo");
    values("assign_hf_value", &["X-B[-1]", "gogo"], 1, "four", "gogo");
    values("assign_hf_value", &["X-A.p", "new"], 1, "p=1", "p=new");
    values("assign_hf_value", &["X-A.q", "new"], 1, ";q", ";q=new");
    values("assign_hf_value", &["X-A.n", "new"], 1, ";q", ";q;n=new");
    values("assign_hf_value", &["X-A.p", ""], 1, "p=1", "p");
    values("assign_hf_value", &["X-A[2].n", ""], 1, "five", "five;n");
    values("assign_hf_value", &["X-B[*]", "z"], -1, "", "");
    values("assign_hf_value", &["X-Q", "z"], -1, "", "");
    values("assign_hf_value2", &["Authorization.b", "\"yes\""], 1, "b=2", "b=\"yes\"");
    values("assign_hf_value2", &["Authorization.nn", "\"yes\""], 1, "b=2", "b=2,nn=\"yes\"");
    values("assign_hf_value2", &["Authorization", "zz"], 1, "Digest a=\"1\", b=2", "zz");
}
#[test]
fn values_found_and_patterns() {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    for (name, args, result) in [
        ("hf_value_exists", &["X-B", "four"][..], 1),
        ("hf_value_exists", &["X_B", "two"], 1),
        ("hf_value_exists", &["X-B", "three"], -1),
        ("hf_value_exists", &["X-B", "zz"], -1),
        ("fnmatch", &["123abc", "123*"], 0),
        ("fnmatch", &["ABC", "abc"], -1),
        ("fnmatch", &["abc", "[a-b]?c"], 0),
        ("fnmatch", &["abc", "[!a-b]*"], -1),
        ("fnmatch", &["a*c", "a\\*c"], 0),
        ("fnmatch", &["abc", "a\\*c"], -1),
        ("fnmatch", &["[x", "[x"], 0),
        ("fnmatch", &["", "*"], 0),
        ("fnmatch", &["", "?"], -1),
        ("fnmatch", &["aXbXc", "*X*X*"], 0),
        ("fnmatch_ex", &["ABC", "a?[b-d]", "i"], 0),
        ("fnmatch_ex", &["ABC", "a?c", ""], -1),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, args).to_int(), Some(result), "{name} {args:?}");
    }
    // Backtracking stays linear per star.
    let long = "a".repeat(3000);
    assert!(!glob(long.as_bytes(), b"*a*a*a*a*a*a*a*a*a*b", false));
}
#[test]
fn whole_messages() {
    let (result, rest) = rows_after("keep_hf", &[]);
    assert_eq!((result, rest.as_str()), (Some(-1), "\nv=0\no=a b\na=sendrecv\n"));
    let (result, rest) = rows_after("keep_hf_re", &["^x-a"]);
    assert_eq!((result, rest.as_str()), (Some(-1), "X-A: one;p=1;q\nX-A: five\n\nv=0\no=a b\na=sendrecv\n"));
    let (result, rest) = rows_after("remove_body", &[]);
    assert_eq!((result, rest), (Some(1), format!("{ROWS}Content-Length: 0\n\n")));
}
#[test]
fn changes_applied() {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    ctx.target.uri = b"sip:new@h".to_vec();
    ctx.target.dst_uri = b"sip:1.2.3.4".to_vec();
    ctx.edits.insert(ctx.message.headers_end(), b"X-Z: 1\r\n");
    ctx.edits.append_to_reply(b"X-R: 1\r\n");
    ctx.edits.set_reply_body(b"a/b", b"c");
    assert!(ctx.message.header_by_text(b"X-Z").is_none());
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(1));
    assert!(ctx.message.header_by_text(b"X-Z").is_some());
    assert_eq!((ctx.message.request_uri(), ctx.request_uri()), (&b"sip:new@h"[..], &b"sip:new@h"[..]));
    assert_eq!(ctx.target.dst_uri, b"sip:1.2.3.4");
    assert!(ctx.edits.is_empty());
    assert_eq!((ctx.edits.reply_rows(), ctx.edits.reply_body().is_some()), (&b"X-R: 1\r\n"[..], true));
    // A change that breaks the message leaves it as it is.
    ctx.edits.remove(0, ctx.message.headers_start());
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(-1));
    assert_eq!(ctx.message.request_uri(), b"sip:new@h");
    ctx.transaction = Some(TransactionId { index: 1, label: 1 });
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(-1));
    let text = reply(404);
    let mut ctx = bench.context(RouteKind::OnReply, &text);
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(-1));
    let mut ctx = bench.reply(&text);
    ctx.edits.insert(ctx.message.headers_end(), b"X-Z: 1\r\n");
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(1));
    assert!(ctx.message.header_by_text(b"X-Z").is_some() && ctx.message.vias().count() == 1);
}
#[test]
fn not_after_record_route() {
    let bench = Bench::new(vec![Arc::new(TextOpsX::default()), Arc::new(crate::rr::Rr::default())]);
    let text = request();
    let mut ctx = bench.request(&text);
    bench.call(&mut ctx, "rr.record_route", &[]);
    assert_eq!(call(&bench, &mut ctx, "msg_apply_changes", &[]).to_int(), Some(-1));
}
#[test]
fn buffers_set() {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    ctx.target.uri = b"sip:new@h".to_vec();
    let other = String::from_utf8(script::testing::wire(&text.replace("INVITE", "OPTIONS"))).expect("text");
    assert_eq!(call(&bench, &mut ctx, "msg_set_buffer", &[&other]).to_int(), Some(1));
    assert_eq!((ctx.message.method_text(), ctx.request_uri()), (&b"OPTIONS"[..], &b"sip:bob@127.0.0.1"[..]));
    let reply = String::from_utf8(script::testing::wire(&reply(200))).expect("text");
    assert_eq!(call(&bench, &mut ctx, "msg_set_buffer", &[&reply]).to_int(), Some(-1));
    assert_eq!(call(&bench, &mut ctx, "msg_set_buffer", &["hello"]).to_int(), Some(-1));
}
#[test]
fn status_lines() {
    let bench = bench();
    let first = |ctx: &RouteContext<'_>| bench.printed(ctx).lines().next().map(str::to_owned).expect("line");
    let text = reply(603);
    let mut ctx = bench.reply(&text);
    assert_eq!(call(&bench, &mut ctx, "change_reply_status", &["404", "Not Found"]).to_int(), Some(1));
    assert_eq!(first(&ctx), "SIP/2.0 404 Not Found");
    assert_eq!(call(&bench, &mut ctx, "change_reply_status_code", &["480"]).to_int(), Some(1));
    assert_eq!(first(&ctx), "SIP/2.0 480 Not Found");
    for code in ["200", "180", "99", "700"] {
        assert_eq!(call(&bench, &mut ctx, "change_reply_status_code", &[code]).to_int(), Some(-1), "{code}");
    }
    let text = reply(180);
    let mut ctx = bench.reply(&text);
    assert_eq!(call(&bench, &mut ctx, "change_reply_status_code", &["183"]).to_int(), Some(1));
    assert_eq!(first(&ctx), "SIP/2.0 183 Some Thing");
    let text = request();
    let mut ctx = bench.request(&text);
    assert_eq!(call(&bench, &mut ctx, "change_reply_status", &["404", "x"]).to_int(), Some(-1));
}
#[test]
fn header_iterators() {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    let run = |ctx: &mut RouteContext<'_>, name: &str, args: &[&str]| {
        let value = call(&bench, ctx, &format!("hf_iterator_{name}"), args);
        String::from_utf8_lossy(&if value.is_null() { b"null".to_vec() } else { value.to_text().to_vec() })
            .into_owned()
    };
    for (name, args, result) in [
        ("next", &["i"][..], "-1"),
        ("start", &["i"], "1"),
        ("hname", &["i"], "null"),
        ("next", &["i"], "1"),
        ("hname", &["i"], "Via"),
        ("hbody", &["i"], "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1"),
        ("next", &["i"], "1"),
        ("hname", &["i"], "From"),
        ("prev", &["i"], "1"),
        ("hname", &["i"], "Via"),
        ("prev", &["i"], "1"),
        ("hname", &["i"], "null"),
        ("prev", &["i"], "-1"),
        ("next", &["i"], "1"),
        ("append", &["i", "X-N: 1\r\n"], "1"),
        ("insert", &["i", "X-M: 1\r\n"], "1"),
        ("end", &["nope"], "-1"),
        ("start", &["a"], "1"),
        ("start", &["b"], "1"),
        ("start", &["c"], "1"),
        ("start", &["d"], "-1"),
        ("start", &["a"], "1"),
        ("end", &["b"], "1"),
        ("start", &["d"], "1"),
    ] {
        assert_eq!(run(&mut ctx, name, args), result, "{name} {args:?}");
    }
    assert_eq!(
        bench.format(&ctx, "$hfitname(i)=$hfitbody(i)"),
        "Via=SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1"
    );
    let printed = bench.printed(&ctx);
    assert!(
        printed.contains("\r\nX-M: 1\r\nVia: ") && printed.contains("z9hG4bK1\r\nX-N: 1\r\nFrom:"),
        "{printed}"
    );
    for _ in 0..8 {
        run(&mut ctx, "next", &["i"]);
    }
    assert_eq!(run(&mut ctx, "hname", &["i"]), "Authorization");
    assert_eq!(run(&mut ctx, "rm", &["i"]), "1");
    assert!(!bench.printed(&ctx).contains("Authorization"));
    for _ in 0..9 {
        run(&mut ctx, "next", &["i"]);
    }
    assert_eq!(run(&mut ctx, "next", &["i"]), "-1");
    assert_eq!((run(&mut ctx, "hname", &["i"]), run(&mut ctx, "rm", &["i"])), ("null".into(), "-1".into()));
}
#[test]
fn line_iterators() {
    let bench = bench();
    let text = request();
    let mut ctx = bench.request(&text);
    let run = |ctx: &mut RouteContext<'_>, name: &str, args: &[&str]| {
        call(&bench, ctx, &format!("bl_iterator_{name}"), args).to_text().into_owned()
    };
    for (name, args, result) in [
        ("start", &["i"][..], "1"),
        ("value", &["i"], ""),
        ("next", &["i"], "1"),
        ("value", &["i"], "v=0\r\n"),
        ("next", &["i"], "1"),
        ("append", &["i", "a=x\r\n"], "1"),
        ("insert", &["i", "b=x\r\n"], "1"),
        ("rm", &["i"], "1"),
        ("next", &["i"], "1"),
        ("next", &["i"], "-1"),
        ("next", &["i"], "-1"),
        ("value", &["i"], ""),
        ("rm", &["i"], "-1"),
        ("end", &["i"], "1"),
    ] {
        assert_eq!(run(&mut ctx, name, args), result.as_bytes(), "{name} {args:?}");
    }
    assert!(bench.printed(&ctx).ends_with("\r\n\r\nv=0\r\nb=x\r\na=x\r\na=sendrecv\r\n"));
    run(&mut ctx, "start", &["i"]);
    run(&mut ctx, "next", &["i"]);
    assert_eq!(bench.format(&ctx, "$blitval(i)"), "v=0\r\n");
}
