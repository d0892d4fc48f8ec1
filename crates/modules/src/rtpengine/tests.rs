//! What goes to the relay and into the SDP, as Kamailio 5.6 does it; the relay is a double that writes down what it is asked. The real
//! daemon is in the server's tests.

use std::sync::{Arc, Mutex};

use script::exchange::{Ask, AskError, Asking, Peer};
use script::testing::Bench;
use script::{Module, ParamValue, RouteContext, RouteKind, Value};

use super::RtpEngine;
use super::bencode::{Dict, Value as Ben};

const SDP: &str =
    "v=0\r\no=alice 1 2 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

#[derive(Default)]
struct Relays {
    /// `a: command=offer call-id=c ...`, without what is in every command.
    asked: Mutex<Vec<String>>,
    /// Relays that do not answer, and those at their limit.
    away: Mutex<String>,
    full: Mutex<String>,
}

fn show(value: &Ben) -> String {
    match value {
        Ben::Int(n) => n.to_string(),
        Ben::Text(t) => String::from_utf8_lossy(t).into_owned(),
        Ben::List(l) => format!("[{}]", l.iter().map(show).collect::<Vec<_>>().join(",")),
        Ben::Dict(d) => format!("{{{}}}", pairs(d)),
    }
}
fn pairs(dict: &Dict) -> String {
    let usual = [&b"supports"[..], b"received-from", b"sdp"];
    let shown = dict.0.iter().filter(|(n, _)| !usual.contains(&n.as_slice()));
    shown.map(|(n, v)| format!("{}={}", String::from_utf8_lossy(n), show(v))).collect::<Vec<_>>().join(" ")
}

/// As the daemon answers: with a tag of its own, and with what is in the offer when that is for a recorder.
fn subscribed(question: &Dict, answer: &mut Dict) {
    answer.set("sdp", Ben::text("the offer"));
    answer.set("to-tag", Ben::text(question.text("to-tag").unwrap_or(b"third")));
    answer.set("from-tags", Ben::List(vec![Ben::text("f1"), Ben::text("t1")]));
    if !question.get("flags").is_some_and(|f| f.as_list().contains(&Ben::text("siprec"))) {
        return;
    }
    for (tag, labels) in [("f1", &["1", "2"][..]), ("t1", &["0"])] {
        let mut side = Dict::default();
        side.set("tag", Ben::text(tag));
        for label in labels {
            let mut media = Dict::default();
            media.set("label", Ben::text(label));
            side.push("medias", Ben::Dict(media));
        }
        answer.push("tag-medias", Ben::Dict(side));
    }
}

impl Relays {
    fn answer(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError> {
        let Peer::Udp { host, .. } = ask.peer else { return Err(AskError::Unsupported) };
        if self.away.lock().expect("lock").contains(host.as_str()) {
            return Err(AskError::Timeout);
        }
        let Some(Ben::Dict(question)) = Ben::read(ask.payload) else { panic!("{:?}", ask.payload) };
        let mut answer = Dict::default();
        answer.set("result", Ben::text("ok"));
        match question.text("command").unwrap_or_default() {
            b"ping" => {
                answer.set("result", Ben::text("pong"));
                let mut out = Vec::new();
                answer.write(&mut out);
                return Ok(out);
            }
            b"offer" if self.full.lock().expect("lock").contains(host.as_str()) => {
                answer.set("result", Ben::text("load limit"));
            }
            b"offer" | b"answer" => {
                let sdp = String::from_utf8_lossy(question.text("sdp").unwrap_or_default()).into_owned();
                answer.set("sdp", Ben::text(sdp.replace("10.1.2.3", &format!("relay.{host}"))));
            }
            b"play media" => answer.set("duration", Ben::Int(4321)),
            b"subscribe request" => subscribed(&question, &mut answer),
            b"stop media" => {
                answer.set("result", Ben::text("error"));
                answer.set("error-reason", Ben::text("nothing plays"));
            }
            b"query" => {
                let mut rtp = Dict::default();
                rtp.set("packets", Ben::Int(12));
                rtp.set("bytes", Ben::Int(1200));
                answer.dict_mut("totals").set("RTP", Ben::Dict(rtp));
                let mut mos = Dict::default();
                mos.set("MOS", Ben::Int(43));
                answer.dict_mut("SSRC").dict_mut("7").set("average MOS", Ben::Dict(mos));
            }
            _ => {}
        }
        self.asked.lock().expect("lock").push(format!("{host}: {}", pairs(&question)));
        let mut out = Vec::new();
        answer.write(&mut out);
        Ok(out)
    }
    fn take(&self) -> String {
        std::mem::take(&mut *self.asked.lock().expect("lock")).join("; ")
    }
}

fn bench(sock: &[&str], params: &[(&str, ParamValue)]) -> (Bench, Arc<Relays>) {
    let mut module = RtpEngine::default();
    let fine = |r: Result<(), script::SetupError>| r.unwrap_or_else(|e| panic!("{e}"));
    for sock in sock {
        fine(module.set_param("rtpengine_sock", ParamValue::Str((*sock).into())));
    }
    for (name, value) in params {
        fine(module.set_param(name, value.clone()));
    }
    let config = script::CoreConfig::default();
    fine(module.setup(&script::Setup {
        config: &config,
        listeners: &[],
        modules: &[],
        now: Default::default(),
    }));
    let modules = ["core", "pv"].iter().filter_map(|n| crate::create(n)).map(Arc::from);
    let mut bench = Bench::new(modules.chain([Arc::new(module) as Arc<dyn Module>]).collect());
    let relays = Arc::new(Relays::default());
    let double = relays.clone();
    bench.core.exchange = Asking::new(move |ask: &Ask<'_>| double.answer(ask));
    bench.core.registry.module::<RtpEngine>().expect("loaded").tick(&bench.core, bench.now);
    (bench, relays)
}

fn text(first: &str, method: &str, to_tag: &str, call_id: &str, sdp: &str) -> String {
    format!(
        "{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP g;branch=z9hG4bK2\r\nFrom: <sip:a@h>;tag=f1\r\nTo: <sip:b@h>{to_tag}\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}
fn request(method: &str, to_tag: &str, sdp: &str) -> String {
    text(&format!("{method} sip:b@h SIP/2.0"), method, to_tag, "c", sdp)
}
fn reply(code: u16, sdp: &str) -> String {
    text(&format!("SIP/2.0 {code} X"), "INVITE", ";tag=t1", "c", sdp)
}
fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[Value<'_>]) -> i64 {
    bench.call(ctx, &format!("rtpengine.{name}"), args).to_int().expect("an int")
}

#[test]
fn the_sdp_is_what_the_relay_makes_of_it() {
    let (bench, relays) = bench(&["udp:a:1"], &[]);
    let mut ctx = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut ctx, "rtpengine_manage", &["replace-origin ICE=remove".into()]), 1);
    assert_eq!(relays.take(), "a: replace=[origin] ICE=remove call-id=c from-tag=f1 command=offer");
    for _ in 0..2 {
        let printed = bench.printed(&ctx);
        let (head, body) = printed.split_once("\r\n\r\n").expect("headers end");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(body, SDP.replace("10.1.2.3", "relay.a"));
        assert_eq!(call(&bench, &mut ctx, "rtpengine_offer0", &[]), 1);
    }
    let mut none = bench.request(&request("INVITE", "", ""));
    assert_eq!(call(&bench, &mut none, "rtpengine_offer0", &[]), -1);
    assert_eq!(call(&bench, &mut ctx, "rtpengine_offer", &["via-branch=next".into()]), -1);
}

#[test]
fn what_a_message_needs() {
    let (bench, relays) = bench(&["udp:a:1"], &[]);
    let manage = |kind: RouteKind, text: &str| {
        let mut ctx = bench.context(kind, text);
        (call(&bench, &mut ctx, "rtpengine_manage0", &[]), relays.take())
    };
    let straight = "call-id=c from-tag=f1 to-tag=t1";
    let turned = "call-id=c from-tag=t1 to-tag=f1";
    for (kind, text, result, command) in [
        (
            RouteKind::Request,
            request("BYE", ";tag=t1", ""),
            1,
            "a: call-id=c from-tag=f1 command=delete".to_owned(),
        ),
        (RouteKind::Request, request("CANCEL", "", ""), 1, "a: call-id=c from-tag=f1 command=delete".into()),
        (RouteKind::Failure, request("INVITE", "", SDP), 1, "a: call-id=c from-tag=f1 command=delete".into()),
        (RouteKind::Request, request("MESSAGE", "", SDP), -1, String::new()),
        (RouteKind::Request, request("INVITE", "", ""), -1, String::new()),
        (RouteKind::Request, request("ACK", ";tag=t1", SDP), 1, format!("a: {turned} command=answer")),
        (RouteKind::Request, request("INVITE", ";tag=t1", SDP), 1, format!("a: {straight} command=offer")),
        (RouteKind::OnReply, reply(200, SDP), 1, format!("a: {straight} command=answer")),
        (RouteKind::OnReply, reply(486, ""), 1, "a: call-id=c from-tag=f1 command=delete".into()),
        (RouteKind::OnReply, reply(180, ""), 1, String::new()),
    ] {
        assert_eq!(manage(kind, &text), (result, command), "{kind:?} {text}");
    }
    let mut late = bench.reply(&reply(200, SDP));
    for (name, flags, command) in [
        ("rtpengine_offer", "", format!("{turned} command=offer")),
        ("rtpengine_offer", "to-tag=zz from-tag=yy", "call-id=c from-tag=yy to-tag=zz command=offer".into()),
        ("rtpengine_delete", "to-tag", format!("{straight} command=delete")),
        ("rtpengine_query", "", format!("{turned} command=query")),
        ("block_media", "directional to-tag", "call-id=c from-tag=f1 command=block media".into()),
        ("play_media", "file=x", format!("file=x {turned} command=play media")),
    ] {
        assert_eq!(call(&bench, &mut late, name, &[flags.into()]), 1);
        assert_eq!(relays.take(), format!("a: {command}"), "{name} {flags}");
    }
}

#[test]
fn commands_about_a_call() {
    let (bench, relays) = bench(
        &["udp:a:1"],
        &[
            ("media_duration", ParamValue::Str("$var(ms)".into())),
            ("extra_id_pv", ParamValue::Str("$var(id)".into())),
            ("mos_average_pv", ParamValue::Str("$var(mos)".into())),
        ],
    );
    let mut ctx = bench.request(&request("INFO", "", ""));
    bench.set_pv(&mut ctx, "$var(id)", "x7".into());
    for (name, flags, result, command) in [
        ("start_recording", None, 1, "call-id=c from-tag=f1 command=start recording"),
        ("block_media0", None, 1, "call-id=c command=block media"),
        ("block_media", Some("directional"), 1, "call-id=c from-tag=f1 command=block media"),
        ("unblock_media", Some("all"), 1, "flags=[all] call-id=c command=unblock media"),
        ("block_dtmf", Some("address=1.2.3.4"), 1, "address=1.2.3.4 call-id=c command=block DTMF"),
        ("silence_media", Some("from-tag=zz"), 1, "call-id=c from-tag=zz command=silence media"),
        (
            "play_media",
            Some("file=/x.wav from-tag=zz"),
            1,
            "file=/x.wav call-id=c from-tag=zz command=play media",
        ),
        ("stop_media0", None, -1, "call-id=c from-tag=f1 command=stop media"),
        ("play_dtmf", Some("code=1"), 1, "code=1 call-id=c from-tag=f1 command=play DTMF"),
        (
            "rtpengine_delete",
            Some("to-tag=t9 via-branch=2"),
            1,
            "call-id=c via-branch=z9hG4bK2 from-tag=f1 to-tag=t9 command=delete",
        ),
        (
            "rtpengine_delete",
            Some("via-branch=extra delete-delay=3"),
            1,
            "delete delay=3 call-id=c via-branch=x7 from-tag=f1 command=delete",
        ),
        ("rtpengine_query0", None, 1, "call-id=c from-tag=f1 command=query"),
    ] {
        let args: Vec<Value<'_>> = flags.into_iter().map(Value::from).collect();
        assert_eq!(call(&bench, &mut ctx, name, &args), result, "{name}");
        assert_eq!(relays.take(), format!("a: {command}"), "{name}");
    }
    assert_eq!(call(&bench, &mut ctx, "rtpengine_delete2", &["".into(), "1".into()]), 1);
    assert_eq!(relays.take(), "a: call-id=c via-branch=z9hG4bK1 from-tag=f1 command=delete");
    assert_eq!(bench.pv(&ctx, "$var(ms)"), Value::Int(4321));
    assert_eq!(bench.pv(&ctx, "$var(mos)"), "4.3".into());
    let seen = "RTP: 1200 bytes, 12 packets, 0 errors; RTCP: 0 bytes, 0 packets, 0 errors";
    assert_eq!(bench.pv(&ctx, "$rtpestat"), seen.into());
    assert_eq!(call(&bench, &mut ctx, "rtpengine_query_v", &["j".into(), "$var(q)".into()]), 1);
    let json: serde_json::Value = serde_json::from_slice(&bench.pv(&ctx, "$var(q)").to_text()).expect("JSON");
    assert_eq!(json["totals"]["RTP"]["packets"], 12);
    assert_eq!(call(&bench, &mut ctx, "rtpengine_query_v", &["x".into(), "$var(q)".into()]), -1);
}

#[test]
fn a_third_party_gets_a_copy() {
    let (bench, relays) = bench(&["udp:a:1", "2 == udp:c:1"], &[]);
    let subscribe = |ctx: &mut RouteContext<'_>, flags: &str, sdp: &str| {
        let args = [flags.into(), sdp.into(), "$avp(tag)".into(), "$xavp(streams)".into()];
        (call(&bench, ctx, "rtpengine_subscribe_request", &args), relays.take())
    };
    let mut ctx = bench.reply(&reply(200, SDP));
    // Both relays of a call know it; its copies come from one.
    assert_eq!(call(&bench, &mut ctx, "set_rtpengine_set2", &[Value::Int(0), Value::Int(2)]), 1);
    for (flags, sent) in [
        ("", "call-id=c from-tag=t1"),
        ("from-tag=x to-tag=y", "call-id=c from-tag=x to-tag=y"),
        ("to-tag", "call-id=c from-tag=t1"),
        ("from-tags=f1 from-tags=t1", "from-tags=[f1,t1] call-id=c"),
        ("label=alice", "label=alice call-id=c"),
        ("call-id=other all via-branch=2", "flags=[all] call-id=other via-branch=z9hG4bK2"),
    ] {
        let asked = subscribe(&mut ctx, flags, "$avp(sdp)");
        assert_eq!(asked, (1, format!("a: {sent} command=subscribe request")), "{flags}");
    }
    let seen = |ctx: &RouteContext<'_>, pv: &str| bench.pv(ctx, pv);
    assert_eq!((seen(&ctx, "$avp(sdp)"), seen(&ctx, "$avp(tag)")), ("the offer".into(), "third".into()));
    assert_eq!(seen(&ctx, "$xavp(streams[1]=>tag)"), "t1".into());
    assert_eq!(seen(&ctx, "$xavp(streams[1]=>label)"), Value::Null);
    assert_eq!(subscribe(&mut ctx, "all siprec to-tag=r", "$avp(sdp)").0, 1);
    for (pv, expected) in [
        ("$avp(tag)", "r".into()),
        ("$xavp(streams[0]=>tag)", "f1".into()),
        ("$xavp(streams[0]=>label[0])", "1".into()),
        ("$xavp(streams[0]=>label[1])", "2".into()),
        ("$xavp(streams[1]=>tag)", "t1".into()),
        ("$xavp(streams[1]=>label[0])", "0".into()),
        ("$xavp(streams[2]=>tag)", Value::Null),
    ] {
        assert_eq!(seen(&ctx, pv), expected, "{pv}");
    }
    assert_eq!(subscribe(&mut ctx, "all", "$ci").0, -1);

    for (name, flags, result, sent) in [
        (
            "rtpengine_subscribe_answer",
            "to-tag=third call-id=other",
            1,
            "call-id=other to-tag=third command=subscribe answer",
        ),
        ("rtpengine_subscribe_answer", "call-id=other", -1, ""),
        ("rtpengine_unsubscribe", "", -1, ""),
        (
            "rtpengine_unsubscribe",
            "to-tag=third",
            1,
            "call-id=c from-tag=t1 to-tag=third command=unsubscribe",
        ),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, &[flags.into()]), result, "{name} {flags}");
        assert_eq!(
            relays.take(),
            if sent.is_empty() { String::new() } else { format!("a: {sent}") },
            "{name} {flags}"
        );
    }
    let mut none = bench.request(&request("ACK", ";tag=t1", ""));
    assert_eq!(call(&bench, &mut none, "rtpengine_subscribe_answer", &["to-tag=third".into()]), -1);
}

#[test]
fn sdp_from_and_to_variables() {
    let (bench, relays) = bench(
        &["udp:a:1"],
        &[
            ("read_sdp_pv", ParamValue::Str("$var(in)".into())),
            ("write_sdp_pv", ParamValue::Str("$var(out)".into())),
        ],
    );
    let mut ctx = bench.request(&request("INVITE", "", ""));
    bench.set_pv(&mut ctx, "$var(in)", SDP.into());
    assert_eq!(call(&bench, &mut ctx, "rtpengine_manage0", &[]), 1);
    assert!(relays.take().ends_with("command=offer"));
    assert_eq!(bench.pv(&ctx, "$var(out)"), Value::owned(SDP.replace("10.1.2.3", "relay.a")));
    assert!(ctx.edits.is_empty());
}

#[test]
fn nodes_of_a_table_are_read_again() {
    let columns = ["setid", "url", "weight", "disabled"];
    let memory = store::Memory::new();
    memory.create("rtpengine", &columns, &["setid", "url"]);
    let database: Arc<dyn store::Database> = Arc::new(memory);
    store::substitute("memory://rtpengine-nodes", &database);
    let add = |url: &str| {
        let row = [store::Value::Int(0), store::Value::text(url), store::Value::Int(1), store::Value::Int(0)];
        database.insert("rtpengine", &columns, &row).expect("inserted");
    };
    add("udp:a:1");
    let (bench, relays) = bench(&[], &[("db_url", ParamValue::Str("memory://rtpengine-nodes".into()))]);
    let mut ctx = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut ctx, "rtpengine_offer0", &[]), 1);
    assert!(relays.take().starts_with("a: "));
    add("udp:b:1");
    let command = |name: &str, params: &[serde_json::Value]| {
        let (module, row) = bench.core.registry.rpc().find(|(_, r)| r.name == name).expect("there");
        (row.call)(module.as_ref(), &bench.core, bench.now, params)
    };
    assert_eq!(command("rtpengine.reload", &[]), Ok(serde_json::Value::Null));
    assert_eq!(command("rtpengine.show", &["all".into()]).expect("shown").as_array().map(Vec::len), Some(2));
}

#[test]
fn calls_stay_at_their_node_and_find_another_one() {
    let (bench, relays) = bench(
        &["udp:a:1 udp:b:1", "2 == udp:c:1"],
        &[
            ("setid_avp", ParamValue::Str("$avp(set)".into())),
            ("rtp_inst_pvar", ParamValue::Str("$var(at)".into())),
            ("rtpengine_allow_op", ParamValue::Int(1)),
        ],
    );
    let offer = |call_id: &str| {
        let mut ctx = bench.request(&text("INVITE sip:b@h SIP/2.0", "INVITE", "", call_id, SDP));
        let result = call(&bench, &mut ctx, "rtpengine_offer0", &[]);
        let at = bench.pv(&ctx, "$var(at)").to_text().into_owned();
        relays.take();
        (result, String::from_utf8_lossy(&at).into_owned())
    };
    let command = |name: &str, params: &[serde_json::Value]| {
        let (module, row) = bench.core.registry.rpc().find(|(_, r)| r.name == name).expect("there");
        (row.call)(module.as_ref(), &bench.core, bench.now, params)
    };
    let used: std::collections::BTreeSet<String> = (0..50).map(|n| offer(&format!("call-{n}")).1).collect();
    assert_eq!(used.len(), 2);
    assert_eq!(command("rtpengine.get_hash_total", &[]).expect("a number"), 50);
    let (_, at) = offer("call-7");
    // Taken out: the call goes on there, new ones do not.
    assert_eq!(
        command("rtpengine.enable", &[at.as_str().into(), 0.into()]).expect("done")["status"],
        "disable"
    );
    assert_eq!(offer("call-7"), (1, at.clone()));
    assert!((100..120).all(|n| offer(&format!("call-{n}")).1 != at));
    let shown = command("rtpengine.show", &[at.as_str().into()]).expect("shown");
    assert_eq!(shown[0]["disabled"], "1(permanent)");
    assert_eq!(command("rtpengine.enable", &["all".into(), 1.into()]).expect("done")["status"], "enable");
    // At its limit: another one takes new calls. Away: another one takes all.
    let (host, other) = if at == "udp:a:1" { ("a", "udp:b:1") } else { ("b", "udp:a:1") };
    *relays.full.lock().expect("lock") = host.into();
    assert_eq!(offer("call-7"), (1, other.into()));
    *relays.full.lock().expect("lock") = String::new();
    *relays.away.lock().expect("lock") = "ab".into();
    assert_eq!(offer("call-7").0, -1);
    assert_eq!(command("rtpengine.ping", &["all".into()]).expect("asked")["status"], "fail");
    // Back at once, though both are left alone for a minute: nobody else is there.
    *relays.away.lock().expect("lock") = String::new();
    assert_eq!(offer("call-7").0, 1);

    let mut ctx = bench.request(&request("INVITE", "", SDP));
    bench.set_pv(&mut ctx, "$avp(set)", Value::Int(2));
    assert_eq!(call(&bench, &mut ctx, "rtpengine_offer0", &[]), 1);
    assert!(relays.take().starts_with("c: "));
    assert_eq!(call(&bench, &mut ctx, "set_rtpengine_set", &[Value::Int(9)]), -1);
    assert_eq!(call(&bench, &mut ctx, "set_rtpengine_set2", &[Value::Int(0), Value::Int(2)]), 1);
    assert_eq!(call(&bench, &mut ctx, "rtpengine_offer0", &[]), 1);
    assert_eq!(relays.take().matches("command=offer").count(), 2);
    for (name, params, code) in [
        ("rtpengine.reload", vec![], 500),
        ("rtpengine.show", vec![], 500),
        ("rtpengine.show", vec!["x".into()], 404),
        ("rtpengine.ping", vec!["x".into()], 404),
        ("rtpengine.enable", vec!["x".into(), 1.into()], 404),
    ] {
        assert_eq!(command(name, &params).expect_err("refused").code, code, "{name}");
    }
}
