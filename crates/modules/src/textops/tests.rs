//! Functions over whole messages.

use std::sync::Arc;

use script::testing::Bench;
use script::{RouteContext, Value};

use super::*;

const SDP: &str = "v=0\no=a b\nc=IN IP4 1.2.3.4\na=sendrecv\n";
const ROWS: &str = "X-A: one\nX-B: two, three\nX-A: four\n";
const PARTS: &str =
    "--b1\nContent-Type: text/plain\n\nhi\n--b1\nContent-Type: application/sdp\nX-P: 1\n\nv=0\n--b1--\n";

fn bench() -> Bench {
    Bench::new(vec![Arc::new(TextOps::default()), Arc::new(crate::pv::PvModule::default())])
}
fn request(rows: &str, media: &str, body: &str) -> String {
    let length = body.replace('\n', "\r\n").len();
    format!(
        "INVITE sip:bob@127.0.0.1:15210 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\nFrom: <sip:alice@a.org>;tag=ft\nTo: <sip:bob@b.org>\nCall-ID: c\nCSeq: 1 INVITE\n{rows}Content-Type: {media}\nContent-Length: {length}\n\n{body}"
    )
}
fn sdp_request() -> String {
    request(ROWS, "application/sdp", SDP)
}
fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[&str]) -> i64 {
    let args: Vec<Value<'_>> =
        args.iter().map(|a| a.parse().map_or(Value::str(a.as_bytes()), Value::Int)).collect();
    bench.call(ctx, &format!("textops.{name}"), &args).to_int().expect("int")
}
/// Result, and the message printed behind its CSeq row with plain line ends.
fn changed(text: &str, calls: &[(&str, &[&str], i64)]) -> String {
    let bench = bench();
    let mut ctx = bench.request(text);
    for (name, args, result) in calls {
        assert_eq!(call(&bench, &mut ctx, name, args), *result, "{name} {args:?}");
    }
    let printed = bench.printed(&ctx).replace("\r\n", "\n");
    printed.split_once("CSeq: 1 INVITE\n").map(|(_, rest)| rest.to_owned()).expect("CSeq stays")
}
/// What `sdp_request` looks like behind CSeq after replacements.
fn expect(replacements: &[(&str, &str)]) -> String {
    let text = sdp_request();
    let (_, rest) = text.split_once("CSeq: 1 INVITE\n").expect("there");
    replacements.iter().fold(rest.to_owned(), |t, (a, b)| t.replace(a, b))
}

#[test]
fn questions() {
    let bench = bench();
    let text = sdp_request();
    let mut ctx = bench.request(&text);
    for (name, args, result) in [
        ("search", &["X-A: on"][..], 1),
        ("search", &["nope"], -1),
        ("search", &["^x-b.*three"], 1),
        ("search", &["^INVITE"], -1),
        ("search_body", &["IP4"], 1),
        ("search_body", &["X-A"], -1),
        ("search_hf", &["X-A", "four", "a"], 1),
        ("search_hf", &["X-A", "four", "f"], -1),
        ("search_hf", &["X-A", "four", "l"], 1),
        ("search_hf", &["X-Q", "four", "a"], -1),
        ("search_str", &["abc", "B"], 1),
        ("search_str", &["abc", "x"], -1),
        ("search_str", &["", "x"], -2),
        ("is_present_hf", &["x-a"], 1),
        ("is_present_hf", &["f"], 1),
        ("is_present_hf", &["X-Q"], -1),
        ("is_present_hf", &[""], -1),
        ("is_present_hf_re", &["^x-"], 1),
        ("is_present_hf_re", &["^y-"], -1),
        ("has_body", &[], 1),
        ("has_body_type", &["Application/SDP"], 1),
        ("has_body_type", &["text/plain"], -1),
        ("in_list", &["b", "a, b ,c", ","], 1),
        ("in_list", &["d", "a,b,c", ","], -1),
        ("in_list_prefix", &["bcd", "a,b,c", ","], 1),
        ("in_list_prefix", &["xcd", "a,b,,c", ","], -1),
        ("cmp_str", &["a", "A"], -1),
        ("cmp_str", &["a", "b"], -2),
        ("cmp_str", &["ab", "abc"], -2),
        ("cmp_str", &["abc", "ab"], -1),
        ("cmp_istr", &["AB", "ac"], -2),
        ("cmp_istr", &["C", "a"], -1),
        ("cmp_str", &["a", "a"], 1),
        ("cmp_istr", &["a", "A"], 1),
        ("starts_with", &["abc", "ab"], 1),
        ("starts_with", &["abc", "b"], -2),
        ("ends_with", &["abc", "bc"], 1),
        ("starts_with", &["ba", "a"], -1),
        ("starts_with", &["a", "ab"], -1),
        ("ends_with", &["a", "ab"], -1),
        ("ends_with", &["abc", "xbc"], -2),
        ("ends_with", &["ab", "a"], -1),
        ("str_find", &["abcd", "cd"], 3),
        ("str_find", &["abcd", "CD"], -1),
        ("str_find", &["abcd", ""], -1),
        ("str_ifind", &["abcd", "CD"], 3),
        ("str_any_in", &["abc", "xyc"], 1),
        ("str_any_in", &["abc", "xy"], -1),
        ("str_all_in", &["abc", "abcd"], 1),
        ("str_all_in", &["abx", "abcd"], -1),
        ("is_audio_on_hold", &[], -1),
        ("is_privacy", &["id"], -1),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, args), result, "{name} {args:?}");
    }
    assert!(ctx.edits.is_empty());
    let text =
        request("Privacy: id;header\n", "application/sdp", "v=0\nc=IN IP4 0.0.0.0\nm=audio 1 RTP/AVP 0\n");
    let mut ctx = bench.request(&text);
    for (name, args, result) in [
        ("is_privacy", &["ID"][..], 1),
        ("is_privacy", &["header"], 1),
        ("is_privacy", &["user"], -1),
        ("is_privacy", &["foo"], -1),
        ("is_audio_on_hold", &[], 1),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, args), result, "{name} {args:?}");
    }
}
#[test]
fn substitutions() {
    let text = sdp_request();
    assert_eq!(
        changed(
            &text,
            &[("subst", &["/one/ONE/"], 1), ("subst", &["/X-(.): /Y-\\1: /g"], 1), ("subst", &["bad"], -1)]
        ),
        expect(&[("one", "ONE"), ("X-", "Y-")])
    );
    assert_eq!(
        changed(&text, &[("subst", &["/^x-a: (one)/X-A: \\1 \\u \\0/i"], 1)]),
        expect(&[("X-A: one", "X-A: one sip:bob@127.0.0.1:15210 X-A: one")])
    );
    assert_eq!(changed(&text, &[("subst_body", &["/IP4 (.*)/IP6 \\1/"], 1)]), expect(&[("IP4", "IP6")]));
    assert_eq!(
        changed(
            &text,
            &[("subst_hf", &["X-A", "/o/0/g", "a"], 1), ("subst_hf", &["X-Q", "/o/0/g", "a"], -1)]
        ),
        expect(&[("one", "0ne"), ("four", "f0ur")])
    );
    assert_eq!(changed(&text, &[("subst_hf", &["X-A", "/o/0/", "l"], 1)]), expect(&[("four", "f0ur")]));
    let bench = bench();
    let mut ctx = bench.request(&text);
    assert_eq!(call(&bench, &mut ctx, "subst_uri", &["/bob/carl/"]), 1);
    assert_eq!(ctx.request_uri(), b"sip:carl@127.0.0.1:15210");
    assert_eq!(call(&bench, &mut ctx, "subst_uri", &["/nope/x/"]), -1);
    assert_eq!(call(&bench, &mut ctx, "subst_uri", &["/^sip:/:/"]), -1);
    assert_eq!(call(&bench, &mut ctx, "subst_user", &["#^c(.*)$#d\\1#"]), 1);
    assert_eq!(ctx.request_uri(), b"sip:darl@127.0.0.1:15210");
    ctx.target.uri = b"sip:127.0.0.1".to_vec();
    assert_eq!(call(&bench, &mut ctx, "subst_user", &["/^/x/"]), 1);
    assert_eq!(ctx.request_uri(), b"sip:x@127.0.0.1");
}
#[test]
fn replacements() {
    let text = sdp_request();
    for (calls, result) in [
        (
            &[("replace", &["one", "1"][..], 1), ("replace", &["o=a", "o=z"], 1)][..],
            &[("one", "1"), ("o=a", "o=z")][..],
        ),
        (
            &[
                ("replace", &["zzz", "1"], -1),
                ("replace_all", &["zzz", ""], -1),
                ("replace_hdrs", &["v=0", "1"], -1),
            ],
            &[],
        ),
        (&[("replace_all", &["x-", "Z-"], 1)], &[("X-", "Z-")]),
        (
            &[
                ("replace_str", &["X-A", "Y", "a"], 1),
                ("replace_body_str", &["IP4", "IP6", "f"], 1),
                ("replace_hdrs_str", &["one", "uno", "a"], 1),
                ("replace_str", &["zzz", "Y", "a"], 1),
                ("replace_str", &["zzz", "Y", "?"], -1),
            ],
            &[("X-A", "Y"), ("IP4", "IP6"), ("one", "uno")],
        ),
        (&[("replace_body", &["a", "Z"], 1)], &[("o=a b", "o=Z b")]),
        (&[("replace_hdrs", &["two", "2"], 1)], &[("two", "2")]),
        (&[("replace_body_all", &["=", "-"], 1)], &[("=", "-")]),
        (&[("replace_body_atonce", &["^a", "-"], 1)], &[("a=send", "-=send")]),
        (
            &[("search_append", &["X-A: one", "-added"], 1), ("search_append", &["zzz", ""], -1)],
            &[("one", "one-added")],
        ),
        (
            &[("search_append_body", &["IP4", "!"], 1), ("search_append_body", &["zzz", ""], -1)],
            &[("IP4", "IP4!"), ("Length: 43", "Length: 44")],
        ),
    ] {
        let length = |t: &str| {
            let (head, body) = t.split_once("\n\n").expect("body");
            let (head, _) = head.split_once("Content-Length:").expect("length");
            format!("{head}{body}")
        };
        assert_eq!(length(&changed(&text, calls)), length(&expect(result)), "{calls:?}");
    }
    let all = changed(&text, &[("replace_body_atonce", &["^.+$", ""], 1)]);
    assert!(all.ends_with("Content-Length: 0\n\n") || all.ends_with("\n\n\n"), "{all}");
}
#[test]
fn header_removal() {
    let text = sdp_request();
    let both = &[("X-A: one\n", ""), ("X-A: four\n", "")][..];
    for (calls, result) in [
        (&[("remove_hf", &["x-a"][..], 1), ("remove_hf", &["X-Q"], 1)][..], both),
        (&[("remove_hf_re", &["^x-a"], 1), ("remove_hf_re", &["^q-"], -1)], both),
        (&[("remove_hf_exp", &["^X-", "^X-B"], 1), ("remove_hf_exp", &["^Q-", "x"], -1)], both),
        (&[("remove_hf_idx", &["X-A", "1"], 1), ("remove_hf_idx", &["X-A", "9"], 2)], &[("X-A: four\n", "")]),
        (
            &[("remove_hf_idx", &["X-A", "-2"], 1), ("remove_hf_idx", &["X-A", "-9"], 2)],
            &[("X-A: one\n", "")],
        ),
        (
            &[
                ("remove_hf_match", &["X-A", "re", "OU"], 1),
                ("remove_hf_match", &["X-A", "eq", "zzz"], -2),
                ("remove_hf_match", &["X-A", "??", "zzz"], -1),
            ],
            &[("X-A: four\n", "")],
        ),
        (&[("remove_hf_match", &["X-B", "in", "two"], 1)], &[("X-B: two, three\n", "")]),
        (&[("remove_hf_match", &["X-A", "ne", "one"], 1)], &[("X-A: four\n", "")]),
    ] {
        assert_eq!(changed(&text, calls), expect(result), "{calls:?}");
    }
}
#[test]
fn bodies() {
    let text = sdp_request();
    let plain =
        changed(&text, &[("set_body", &["hello", "text/plain"], 1), ("set_body", &["", "text/plain"], -1)]);
    assert_eq!(plain, format!("{ROWS}Content-Length: 5\nContent-Type: text/plain\n\nhello"));
    let hex =
        changed(&text, &[("set_body_hex", &["68 69", "text/plain"], 1), ("set_body_hex", &["6", "t/p"], -1)]);
    assert_eq!(hex, format!("{ROWS}Content-Length: 2\nContent-Type: text/plain\n\nhi"));
    let bench = bench();
    let mut ctx = bench.request(&text);
    assert_eq!(call(&bench, &mut ctx, "set_reply_body", &["hello", "text/plain"]), 1);
    assert_eq!(ctx.edits.reply_body(), Some((&b"text/plain"[..], &b"hello"[..])));
    assert_eq!(call(&bench, &mut ctx, "set_reply_body_hex", &["zz", "text/plain"]), -1);
    assert_eq!(call(&bench, &mut ctx, "set_reply_body_hex", &["6869", "text/plain"]), 1);
    assert_eq!(ctx.edits.reply_body().map(|(_, b)| b), Some(&b"hi"[..]));
    assert!(ctx.edits.is_empty());
}
fn body_of(text: &str) -> &str {
    text.split_once("\n\n").map_or("", |(_, b)| b)
}
#[test]
fn multipart_bodies() {
    let text = request("", "multipart/mixed;boundary=\"b1\"", PARTS);
    let one = |name: &str, args: &[&str], result: i64| changed(&text, &[(name, args, result)]);
    assert_eq!(body_of(&one("filter_body", &["application/sdp"], 1)), "v=0");
    assert_eq!(body_of(&one("filter_body", &["application/foo"], -1)), PARTS);
    let (_, sdp) = PARTS.split_once("hi\n").expect("two parts");
    assert_eq!(body_of(&one("remove_body_part", &["text/plain"], 1)), sdp);
    let more = PARTS.replace("--b1--\n", "--b1\nContent-Type: foo/bar\n\nABC\n--b1--\n");
    assert_eq!(body_of(&one("append_body_part", &["ABC", "foo/bar"], 1)), more);
    assert_eq!(body_of(&one("append_body_part_hex", &["4142 43", "foo/bar"], 1)), more);
    let more = more.replace("foo/bar\n", "foo/bar\nContent-Disposition: signal\n");
    assert_eq!(body_of(&one("append_body_part_cd", &["ABC", "foo/bar", "signal"], 1)), more);
    assert_eq!(body_of(&one("append_body_part_hex_cd", &["414243", "foo/bar", "signal"], 1)), more);
    let text = sdp_request();
    let made =
        changed(&text, &[("append_body_part", &["x", "y/z"], -1), ("set_body_multipart_mode", &[], 1)]);
    assert!(
        made.contains("Content-Type: multipart/mixed;boundary=\"unique-boundary-1\"\nMime-Version: 1.0\n\n")
    );
    assert_eq!(
        body_of(&made),
        format!("--unique-boundary-1\nContent-Type: application/sdp\n\n{SDP}\n--unique-boundary-1--\n")
    );
    let made = changed(&text, &[("set_body_multipart", &["test", "text/plain", "dl"], 1)]);
    assert_eq!(body_of(&made), "--dl\nContent-Type: text/plain\n\ntest\n--dl--\n");
    let made = changed(&text, &[("set_body_multipart_content", &["test", "text/plain"], 1)]);
    assert!(body_of(&made).starts_with("--unique-boundary-1\n"));
    let made = changed(&text, &[("set_body_multipart_boundary", &["bnd"], 1)]);
    assert!(body_of(&made).ends_with("\n--bnd--\n"));
}
#[test]
fn a_body_that_is_not_multipart_is_its_own_part() {
    let bench = bench();
    let text = request("", "application/sdp", "v=0\r\n");
    let mut ctx = bench.request(&text);
    for name in ["get_body_part", "get_body_part_raw"] {
        // Whatever type is asked for: Kamailio looks at the type of parts only.
        assert_eq!(call(&bench, &mut ctx, name, &["text/plain", "$var(x)"]), 1, "{name}");
        assert_eq!(bench.format(&ctx, "$var(x)"), "v=0\r\n", "{name}");
    }
    let text = request("", "application/sdp", "");
    let mut ctx = bench.request(&text);
    assert_eq!(call(&bench, &mut ctx, "get_body_part", &["application/sdp", "$var(x)"]), -1);
}
#[test]
fn into_variables() {
    let bench = bench();
    let text = request("", "multipart/mixed;boundary=\"b1\"", PARTS);
    let mut ctx = bench.request(&text);
    for (name, args, result, value) in [
        ("get_body_part", &["application/sdp", "$var(x)"][..], 1, "v=0"),
        (
            "get_body_part_raw",
            &["application/sdp", "$var(x)"],
            1,
            "Content-Type: application/sdp\r\nX-P: 1\r\n\r\nv=0\r\n",
        ),
        (
            "get_body_part",
            &["foo/x", "$var(x)"],
            -1,
            "Content-Type: application/sdp\r\nX-P: 1\r\n\r\nv=0\r\n",
        ),
        ("subst_v", &["abc", "/b/[$rU]/", "$var(x)"], 1, "a[bob]c"),
        ("subst_v", &["abc", "/x/y/", "$var(x)"], -1, "a[bob]c"),
        ("regex_substring", &["abc 123 def", "([a-z]+) ([0-9]+)", "2", "3", "$var(x)"], 1, "123"),
        ("regex_substring", &["abc", "x", "0", "1", "$var(x)"], -2, "123"),
        ("regex_substring", &["abc", "b", "7", "9", "$var(x)"], -1, "123"),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, args), result, "{name} {args:?}");
        assert_eq!(bench.format(&ctx, "$var(x)"), value, "{name} {args:?}");
    }
}
