//! What goes to the relay and into the SDP, as Kamailio 5.6 does it; the relay is a double that writes down what it is asked.

use std::sync::{Arc, Mutex};

use script::exchange::{Ask, AskError, Asking, Peer};
use script::testing::Bench;
use script::{Module, ParamValue, RouteContext, RouteKind, Value};

use super::RtpProxy;

const SDP: &str = "v=0\r\no=alice 123 456 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
                   a=rtcp:4001 IN IP4 10.1.2.3\r\na=sendrecv\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 10.1.2.4\r\n";

/// Two relays; the first answer of each stream is port 35000, the next 35002 and so on.
#[derive(Default)]
struct Relays {
    /// `b V`: which one, and what.
    asked: Mutex<Vec<String>>,
    /// Which of them does not answer.
    away: Mutex<Option<char>>,
}

impl Relays {
    fn answer(&self, ask: &Ask<'_>) -> Result<Vec<u8>, AskError> {
        let Peer::Udp { host, .. } = ask.peer else { return Err(AskError::Unsupported) };
        let who = host.chars().next().unwrap_or('?');
        let command = String::from_utf8_lossy(ask.payload).into_owned();
        if *self.away.lock().expect("lock") == Some(who) {
            return Err(AskError::Timeout);
        }
        let mut asked = self.asked.lock().expect("lock");
        let port = 35000 + 2 * asked.iter().filter(|c| c[2..].starts_with(['U', 'L'])).count();
        asked.push(format!("{who} {command}"));
        Ok(match command.as_bytes() {
            b"V" => b"20040107\n".to_vec(),
            [b'V', b'F', ..] => b"1\n".to_vec(),
            [b'U' | b'L', ..] => format!("{port} 127.0.0.9\n").into_bytes(),
            [b'Q', ..] => b"60 1 2 3 4\n".to_vec(),
            _ => b"0\n".to_vec(),
        })
    }
    /// Commands since the last time, without those that ask for features.
    fn take(&self) -> Vec<String> {
        let all = std::mem::take(&mut *self.asked.lock().expect("lock"));
        all.into_iter().filter(|c| !c[2..].starts_with('V')).collect()
    }
}

fn bench(sock: &str, params: &[(&str, ParamValue)]) -> (Bench, Arc<Relays>) {
    let mut module = RtpProxy::default();
    let fine = |r: Result<(), script::SetupError>| r.unwrap_or_else(|e| panic!("{e}"));
    fine(module.set_param("rtpproxy_sock", ParamValue::Str(sock.into())));
    for (name, value) in params {
        fine(module.set_param(name, value.clone()));
    }
    let modules = ["core", "pv"].iter().filter_map(|n| crate::create(n)).map(Arc::from);
    let mut bench = Bench::new(modules.chain([Arc::new(module) as Arc<dyn Module>]).collect());
    let relays = Arc::new(Relays::default());
    let double = relays.clone();
    bench.core.exchange = Asking::new(move |ask: &Ask<'_>| double.answer(ask));
    bench.core.registry.module::<RtpProxy>().expect("loaded").tick(&bench.core, bench.now);
    (bench, relays)
}

fn text(first: &str, method: &str, to_tag: &str, sdp: &str) -> String {
    format!(
        "{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP g;branch=z9hG4bK2\r\nFrom: <sip:a@h>;tag=f1\r\nTo: <sip:b@h>{to_tag}\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}
fn request(method: &str, to_tag: &str, sdp: &str) -> String {
    text(&format!("{method} sip:b@h SIP/2.0"), method, to_tag, sdp)
}
fn reply(code: u16, sdp: &str) -> String {
    text(&format!("SIP/2.0 {code} X"), "INVITE", ";tag=t1", sdp)
}

fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[Value<'_>]) -> i64 {
    bench.call(ctx, &format!("rtpproxy.{name}"), args).to_int().expect("an int")
}

fn body(bench: &Bench, ctx: &RouteContext<'_>) -> String {
    let printed = bench.printed(ctx);
    let (head, body) = printed.split_once("\r\n\r\n").expect("headers end");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    body.replace("\r\n", "|")
}

#[test]
fn an_offer_goes_through_the_relay() {
    let (bench, relays) = bench("udp:a:1", &[]);
    let mut ctx = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut ctx, "rtpproxy_manage", &["co".into()]), 1);
    assert_eq!(relays.take(), ["a Uc0,8,101 c 127.0.0.1 4000 f1;1", "a Uc31 c 127.0.0.1 4002 f1;2"]);
    let expected = "v=0|o=alice 123 456 IN IP4 127.0.0.9|s=-|c=IN IP4 127.0.0.9|t=0 0|m=audio 35000 RTP/AVP 0 8 101|a=rtcp:35001|\
                    a=sendrecv|m=video 35002 RTP/AVP 31|c=IN IP4 127.0.0.9|a=nortpproxy:yes|";
    assert_eq!(body(&bench, &ctx), expected);
    // Again: the last answers count, nothing is written twice.
    assert_eq!(call(&bench, &mut ctx, "rtpproxy_offer", &["".into()]), 1);
    assert_eq!(body(&bench, &ctx), expected);
    let mut marked = bench.request(&request("INVITE", "", &format!("{SDP}a=nortpproxy:yes\r\n")));
    assert_eq!(call(&bench, &mut marked, "rtpproxy_offer0", &[]), -2);
    assert_eq!(call(&bench, &mut marked, "rtpproxy_offer", &["f".into()]), 1);
    assert_eq!(call(&bench, &mut marked, "rtpproxy_offer", &["q".into()]), -1);
}

#[test]
fn flags_and_addresses() {
    let (bench, relays) = bench("udp:a:1", &[("extra_id_pv", ParamValue::Str("$var(id)".into()))]);
    let audio = SDP.split("m=video").next().expect("a part");
    let command = |flags: &'static str, sdp: &str| {
        let mut ctx = bench.request(&request("INVITE", "", sdp));
        bench.set_pv(&mut ctx, "$var(id)", "x7".into());
        let result = call(&bench, &mut ctx, "rtpproxy_offer", &[flags.into()]);
        (result, relays.take().join("; "))
    };
    for (flags, options, id, address) in [
        ("r", "", "c", "10.1.2.3"),
        ("rie", "IE", "c", "10.1.2.3"),
        ("aw", "AS", "c", "10.1.2.3"),
        ("z20", "Z20", "c", "127.0.0.1"),
        ("x", "IE", "c", "127.0.0.1"),
        ("1", "", "c;z9hG4bK1", "127.0.0.1"),
        ("2", "", "c;z9hG4bK2", "127.0.0.1"),
        ("b", "", "c;x7", "127.0.0.1"),
    ] {
        let expected = format!("a U{options}c0,8,101 {id} {address} 4000 f1;1");
        assert_eq!(command(flags, audio), (1, expected), "{flags}");
    }
    let six = audio.replace("IN IP4 10.1.2.3", "IN IP6 2001:db8::1");
    assert_eq!(command("rx", &six), (1, "a UEI6c0,8,101 c 2001:db8::1 4000 f1;1".into()));
    assert_eq!(command("l", audio), (-1, String::new()));
    // A stream that is refused stays so, one on hold stays on hold, T.38 has no codecs.
    assert_eq!(command("", &audio.replace("4000", "0")), (-1, String::new()));
    let fax = audio.replace("m=audio 4000 RTP/AVP 0 8 101", "m=image 4000 udptl t38");
    assert_eq!(command("", &fax), (1, "a U c 127.0.0.1 4000 f1;1".into()));
    let mut hold = bench.request(&request("INVITE", "", &audio.replace("10.1.2.3", "0.0.0.0")));
    assert_eq!(call(&bench, &mut hold, "rtpproxy_offer0", &[]), 1);
    assert!(body(&bench, &hold).contains("c=IN IP4 0.0.0.0|t=0 0|m=audio 350"));
    let own = audio.replace("a=sendrecv", "c=IN IP4 10.1.2.5");
    for (flags, session) in [("", "10.1.2.3"), ("c", "2001:db8::9")] {
        let mut ctx = bench.request(&request("INVITE", "", &own));
        assert_eq!(call(&bench, &mut ctx, "rtpproxy_offer_ip", &[flags.into(), "2001:db8::9".into()]), 1);
        let body = body(&bench, &ctx);
        let family = if flags == "c" { 6 } else { 4 };
        assert!(body.contains(&format!("|c=IN IP{family} {session}|t=")), "{body}");
        assert!(body.contains("|c=IN IP6 2001:db8::9|a=nortp"), "{body}");
        assert!(body.contains("456 IN IP6 2001:db8::9|"), "{body}");
    }
}

#[test]
fn a_candidate_for_ice_and_where_to_tell_of_timeouts() {
    let (bench, relays) = bench(
        "udp:a:1",
        &[
            ("ice_candidate_priority_avp", ParamValue::Str("$var(ice)".into())),
            ("timeout_socket", ParamValue::Str("unix:/run/timeouts".into())),
        ],
    );
    let audio = SDP.split("m=video").next().expect("a part");
    let ice =
        audio.replace("a=sendrecv", "a=candidate:1 1 UDP 2130706431 10.1.2.3 4000 typ host\r\na=sendrecv");
    for (wanted, priority) in [(0, None), (1, Some(2_197_815_295u32)), (2, Some(16_777_215))] {
        let mut ctx = bench.request(&request("INVITE", ";tag=t1", &ice));
        bench.set_pv(&mut ctx, "$var(ice)", Value::Int(wanted));
        assert_eq!(call(&bench, &mut ctx, "rtpproxy_offer0", &[]), 1);
        assert_eq!(relays.take(), ["a Uc0,8,101 c 127.0.0.1 4000 f1;1 t1;1 unix:/run/timeouts"]);
        let body = body(&bench, &ctx);
        assert_eq!(body.contains(" typ relay "), priority.is_some(), "{body}");
        let line = priority.map(|p| format!("|a=candidate:127009 1 UDP {p} 127.0.0.9 35000 typ relay "));
        assert!(line.is_none_or(|l| body.contains(&l)), "{body}");
    }
}

#[test]
fn what_a_message_needs() {
    let (bench, relays) = bench("udp:a:1", &[]);
    let audio = SDP.split("m=video").next().expect("a part");
    let manage = |kind: RouteKind, text: &str| {
        let mut ctx = bench.context(kind, text);
        (call(&bench, &mut ctx, "rtpproxy_manage0", &[]), relays.take().join("; "))
    };
    let lookup = "a Lc0,8,101 c 127.0.0.1 4000";
    for (kind, text, result, command) in [
        (RouteKind::Request, request("BYE", ";tag=t1", ""), 1, "a D c f1 t1".to_owned()),
        (RouteKind::Request, request("CANCEL", "", ""), 1, "a D c f1".into()),
        (RouteKind::Failure, request("INVITE", "", audio), 1, "a D c f1".into()),
        (RouteKind::Request, request("MESSAGE", "", audio), -1, String::new()),
        (RouteKind::Request, request("INVITE", "", ""), -1, String::new()),
        (RouteKind::Request, request("ACK", ";tag=t1", ""), 1, String::new()),
        (RouteKind::Request, request("ACK", ";tag=t1", audio), 1, format!("{lookup} t1;1 f1;1")),
        (
            RouteKind::Request,
            request("UPDATE", ";tag=t1", audio),
            1,
            "a Uc0,8,101 c 127.0.0.1 4000 f1;1 t1;1".into(),
        ),
        (RouteKind::OnReply, reply(200, audio), 1, format!("{lookup} f1;1 t1;1")),
        (RouteKind::OnReply, reply(183, audio), 1, format!("{lookup} f1;1 t1;1")),
        (RouteKind::OnReply, reply(180, ""), 1, String::new()),
        (RouteKind::OnReply, reply(486, ""), 1, "a D c f1 t1".into()),
        (RouteKind::BranchFailure, reply(486, ""), 1, String::new()),
    ] {
        assert_eq!(manage(kind, &text), (result, command), "{kind:?} {text}");
    }
    let mut offer = bench.reply(&reply(200, audio));
    assert_eq!(call(&bench, &mut offer, "rtpproxy_offer0", &[]), 1);
    assert_eq!(relays.take(), ["a Uc0,8,101 c 127.0.0.1 4000 t1;1 f1;1"]);
    let mut wrong = bench.request(&request("INVITE", ";tag=t1", audio));
    assert_eq!(call(&bench, &mut wrong, "rtpproxy_answer0", &[]), -1);
}

#[test]
fn announcements_recording_statistics() {
    let (bench, relays) = bench("udp:a:1", &[]);
    let mut ctx = bench.reply(&reply(200, SDP));
    for (name, args, command) in [
        ("rtpproxy_stream2uac", vec!["/x".into(), Value::Int(3)], "a P3 c /x session f1;1 t1;1"),
        ("rtpproxy_stream2uas", vec!["/x".into(), Value::Int(-1)], "a P-1 c /x session t1;1 f1;1"),
        ("rtpproxy_stop_stream2uac", vec![], "a S c f1;1 t1;1"),
        ("rtpproxy_stop_stream2uas", vec![], "a S c t1;1 f1;1"),
        ("start_recording", vec![], "a R c t1 f1"),
        ("rtpproxy_destroy", vec!["t".into()], "a D c f1"),
    ] {
        assert_eq!(call(&bench, &mut ctx, name, &args), 1, "{name}");
        assert_eq!(relays.take(), [command], "{name}");
    }
    assert_eq!(bench.pv(&ctx, "$rtppstat"), "60 1 2 3 4".into());
    assert_eq!(relays.take(), ["a Q c f1 t1"]);
    let mut early = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut early, "rtpproxy_stream2uas", &["/x".into(), Value::Int(3)]), -1);
    assert_eq!(call(&bench, &mut early, "rtpproxy_stream2uac", &["a b".into(), Value::Int(3)]), -1);
}

#[test]
fn a_relay_that_is_away_is_left_alone_and_comes_back() {
    let (mut bench, relays) =
        bench("udp:a:1=1000 udp:b:1=1", &[("rtp_inst_pvar", ParamValue::Str("$var(at)".into()))]);
    let manage = |bench: &Bench| {
        let mut ctx = bench.request(&request("INVITE", "", SDP));
        let result = call(bench, &mut ctx, "rtpproxy_manage", &["co".into()]);
        (result, bench.pv(&ctx, "$var(at)").to_text().into_owned(), relays.take().len())
    };
    assert_eq!(manage(&bench), (1, b"udp:a:1".to_vec(), 2));
    *relays.away.lock().expect("lock") = Some('a');
    assert_eq!(manage(&bench), (1, b"udp:b:1".to_vec(), 2));
    let list = |bench: &Bench| {
        let (module, row) =
            bench.core.registry.rpc().find(|(_, r)| r.name == "rtpproxy.list").expect("there");
        (row.call)(module.as_ref(), &bench.core, bench.now, &[]).expect("listed")
    };
    assert_eq!(
        list(&bench)[0],
        serde_json::json!({"setid": 0, "url": "udp:a:1", "index": 0, "disabled": 1, "weight": 1000, "recheck": 60})
    );
    *relays.away.lock().expect("lock") = None;
    assert_eq!(manage(&bench).1, b"udp:b:1");
    bench.now.mono = bench.now.mono + std::time::Duration::from_secs(60);
    assert_eq!(manage(&bench).1, b"udp:a:1");
    let enable = |bench: &Bench, url: &str, on: i64| {
        let (module, row) =
            bench.core.registry.rpc().find(|(_, r)| r.name == "rtpproxy.enable").expect("there");
        (row.call)(module.as_ref(), &bench.core, bench.now, &[url.into(), on.into()]).map(drop)
    };
    assert!(enable(&bench, "udp:nowhere:1", 0).is_err());
    assert!(enable(&bench, "udp:a:1", 0).is_ok());
    assert_eq!(manage(&bench).1, b"udp:b:1");
    assert!(enable(&bench, "all", 0).is_ok());
    let mut ctx = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut ctx, "rtpproxy_manage", &["co".into()]), -3);
    assert!(ctx.edits.is_empty());
    assert!(enable(&bench, "all", 1).is_ok());
    assert_eq!(manage(&bench).1, b"udp:a:1");
    let mut ctx = bench.request(&request("INVITE", "", SDP));
    assert_eq!(call(&bench, &mut ctx, "set_rtpproxy_set", &[Value::Int(3)]), -1);
    assert_eq!(call(&bench, &mut ctx, "set_rtpproxy_set", &[Value::Int(0)]), 1);
}
