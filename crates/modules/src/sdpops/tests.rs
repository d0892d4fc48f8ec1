//! As Kamailio 5.6 does with the same message.

use std::sync::Arc;

use script::Value;
use script::testing::Bench;

use super::SdpOps;

const SDP: &str = "v=0\r\no=alice 123 456 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
                   a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
                   a=rtcp:4001 IN IP4 10.1.2.3\r\na=sendrecv\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 10.1.2.4\r\na=rtpmap:31 H261/90000\r\n";

fn bench() -> Bench {
    let modules = ["core", "pv"].iter().filter_map(|n| crate::create(n)).map(Arc::from);
    Bench::new(modules.chain([Arc::new(SdpOps {}) as Arc<dyn script::Module>]).collect())
}

fn message(content_type: &str, body: &str) -> String {
    format!(
        "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n\
         CSeq: 1 INVITE\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Result of a call and the lines it took away.
fn change(name: &str, args: &[&'static str]) -> (i64, Vec<String>) {
    let bench = bench();
    let mut ctx = bench.request(&message("application/sdp", SDP));
    let args: Vec<Value<'_>> = args.iter().map(|a| (*a).into()).collect();
    let result = bench.call(&mut ctx, &format!("sdpops.{name}"), &args).to_int().expect("an int");
    let printed = bench.printed(&ctx);
    let (head, body) = printed.split_once("\r\n\r\n").expect("headers end");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let left: Vec<&str> = body.lines().collect();
    let gone = SDP.lines().filter(|l| !left.contains(l)).map(|l| {
        // A media line that only lost formats shows as it is now.
        let start = &l[..l.len().min(7)];
        left.iter()
            .find(|n| l.starts_with("m=") && n.starts_with(start))
            .map_or(l.to_owned(), |n| (*n).to_owned())
    });
    (result, gone.collect())
}

#[test]
fn codecs_lines_and_streams_are_taken_out() {
    let pcma = ["m=audio 4000 RTP/AVP 0 101", "a=rtpmap:8 PCMA/8000"];
    let event = ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"];
    let pcmu_only = ["m=audio 4000 RTP/AVP 0", pcma[1], event[0], event[1]];
    let no_video = ["m=video 4002 RTP/AVP", "a=rtpmap:31 H261/90000"];
    let same = |name: &str, args: &[&'static str], result: i64, gone: &[&str]| {
        assert_eq!(
            change(name, args),
            (result, gone.iter().map(|s| s.to_string()).collect()),
            "{name} {args:?}"
        );
    };
    same("remove_codecs_by_name", &["PCMA", ""], 0, &pcma);
    same("remove_codecs_by_name", &["pcma,telephone-event", "audio"], 0, &pcmu_only);
    same("remove_codecs_by_name", &["PCMA", "video"], 0, &[]);
    same("remove_codecs_by_name", &["NOPE", ""], -1, &[]);
    same("remove_codecs_by_name", &["H261", ""], 0, &no_video);
    same("remove_codecs_by_id", &["8", ""], 0, &pcma);
    same("remove_codecs_by_id", &["77,x", ""], 0, &[]);
    same("keep_codecs_by_name", &["PCMU", "audio"], 0, &pcmu_only);
    same("keep_codecs_by_name", &["PCMU,NOPE", ""], 0, &[&pcmu_only[..], &no_video].concat());
    same("keep_codecs_by_name", &["NOPE", ""], -1, &[]);
    same("keep_codecs_by_id", &["0,31", ""], 0, &pcmu_only);
    same("remove_line_by_prefix", &["a=rtpmap:3", "video"], 1, &no_video[1..]);
    same("remove_line_by_prefix", &["c=", ""], 2, &["c=IN IP4 10.1.2.3", "c=IN IP4 10.1.2.4"]);
    same("remove_line_by_prefix", &["", ""], 0, &[]);
    same("remove_media", &["video"], 1, &["m=video 4002 RTP/AVP 31", "c=IN IP4 10.1.2.4", no_video[1]]);
    same("remove_media", &["nope"], 0, &[]);
}

#[test]
fn questions() {
    let bench = bench();
    let ask = |content_type: &str, body: &str, name: &str, arg: &'static str| {
        let mut ctx = bench.request(&message(content_type, body));
        let args: Vec<Value<'_>> = match (name, arg) {
            ("sdp_content_flags", n) => vec![Value::Int(n.parse().expect("a number"))],
            (_, "") => Vec::new(),
            (_, a) => vec![a.into()],
        };
        bench.call(&mut ctx, &format!("sdpops.{name}"), &args).to_int().expect("an int")
    };
    let inactive = SDP
        .replace("m=video 4002", "m=video 0")
        .replace("a=sendrecv", "a=inactive\r\na=candidate:1 1 UDP 1 10.0.0.1 9 typ host");
    for (name, arg, plain, quiet, none) in [
        ("sdp_content", "", 1, 1, -1),
        ("sdp_content_flags", "1", 1, 1, -1),
        ("sdp_with_ice", "", -1, 1, -1),
        ("sdp_with_media", "Video", 1, 1, 0),
        ("sdp_with_media", "x", 0, 0, 0),
        ("sdp_with_active_media", "audio", 1, 0, 0),
        ("sdp_with_active_media", "video", 1, 0, 0),
        ("sdp_with_codecs_by_id", "9,8", 2, 2, -1),
        ("sdp_with_codecs_by_id", "9", 0, 0, -1),
        ("sdp_with_codecs_by_name", "x,pcmu", 2, 2, -1),
        ("sdp_with_codecs_by_name", "x", -1, -1, -1),
        ("sdp_with_transport", "rtp/avp", 1, 1, -1),
        ("sdp_with_transport", "RTP", -1, -1, -1),
        ("sdp_with_transport_like", "AVP", 1, 1, -1),
        ("sdp_get_address_family", "", 4, 4, -1),
    ] {
        let answers = [SDP, &inactive, ""].map(|body| ask("application/sdp", body, name, arg));
        assert_eq!(answers, [plain, quiet, none], "{name} {arg}");
    }
    let part = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b--\r\n"
    );
    for (name, arg) in [("sdp_content", ""), ("sdp_content_flags", "1"), ("sdp_with_media", "audio")] {
        assert_eq!(ask("multipart/mixed;boundary=\"b\"", &part, name, arg), 1, "{name}");
    }
    let audio = SDP.split("m=video").next().expect("a part");
    assert_eq!(ask("application/sdp", audio, "sdp_with_codecs_by_id", "0,8,101"), 1);
}

#[test]
fn values() {
    let bench = bench();
    let mut ctx = bench.request(&message("application/sdp", SDP));
    let mut get =
        |name: &str, args: &[Value<'_>]| bench.call(&mut ctx, &format!("sdpops.{name}"), args).to_int();
    assert_eq!(get("sdp_get", &["$avp(s)".into()]), Some(1));
    assert_eq!(get("sdp_transport", &["$avp(t)".into()]), Some(1));
    assert_eq!(get("sdp_get_line_startswith", &["$avp(l)".into(), "a=rtp".into()]), Some(1));
    assert_eq!(get("sdp_get_line_startswith", &["$avp(l)".into(), "a=nope".into()]), Some(-1));
    assert_eq!(get("sdp_print", &[Value::Int(1)]), Some(1));
    for (pv, value) in [
        ("$avp(s)", Value::str(SDP.as_bytes())),
        ("$avp(t)", "RTP/AVP".into()),
        ("$avp(l)", "a=rtpmap:0 PCMU/8000".into()),
        ("$sdp(body)", Value::str(SDP.as_bytes())),
        ("$sdp(sess_version)", Value::Int(456)),
        ("$sdp(c:ip)", "10.1.2.3".into()),
        ("$sdp(c:af)", "IP4".into()),
        ("$sdp(m0:rtp:port)", Value::Int(4000)),
        ("$sdp(m0:rtcp:port)", Value::Int(4001)),
        ("$sdp(m0:raw)", "audio 4000 RTP/AVP 0 8 101".into()),
        ("$sdp(m0:b:AS)", Value::Null),
    ] {
        assert_eq!(bench.pv(&ctx, pv), value, "{pv}");
    }
    assert!(!bench.set_pv(&mut ctx, "$sdp(sess_version)", "-1".into()));
    assert!(bench.set_pv(&mut ctx, "$sdp(sess_version)", Value::Int(-1)));
    assert!(bench.printed(&ctx).contains("o=alice 123 457 IN"));
    assert!(bench.set_pv(&mut ctx, "$sdp(sess_version)", Value::Int(77)));
    assert!(bench.printed(&ctx).contains("o=alice 123 77 IN"));
    let mut empty = bench.request(&message("application/sdp", ""));
    assert_eq!(bench.call(&mut empty, "sdpops.sdp_get", &["$avp(s)".into()]), Value::Int(-2));
}

#[test]
fn lines_one_by_one() {
    let bench = bench();
    let mut ctx = bench.request(&message("application/sdp", "v=0\r\ns=-\r\nt=0 0\r\n"));
    let mut call = |name: &str, more: &[&'static str]| {
        let args: Vec<Value<'_>> = ["i"].iter().chain(more).map(|a| (*a).into()).collect();
        bench.call(&mut ctx, &format!("sdpops.sdp_iterator_{name}"), &args)
    };
    assert_eq!(call("next", &[]), Value::Int(-1));
    assert_eq!(call("start", &[]), Value::Int(1));
    assert_eq!(call("value", &[]), Value::Null);
    assert_eq!(call("next", &[]), Value::Int(1));
    assert_eq!(call("value", &[]), "v=0\r\n".into());
    assert_eq!(call("append", &["a=1\r\n"]), Value::Int(1));
    assert_eq!(call("next", &[]), Value::Int(1));
    assert_eq!(call("rm", &[]), Value::Int(1));
    assert_eq!(call("insert", &["a=2\r\n"]), Value::Int(1));
    assert_eq!((call("next", &[]), call("next", &[])), (Value::Int(1), Value::Int(-1)));
    assert_eq!((call("end", &[]), call("end", &[])), (Value::Int(1), Value::Int(-1)));
    assert!(bench.printed(&ctx).ends_with("\r\n\r\nv=0\r\na=1\r\na=2\r\nt=0 0\r\n"));
}
