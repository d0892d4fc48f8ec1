//! Requests before and around the script: refused, absorbed, answered, sent on.
#![allow(clippy::unwrap_used)]

mod common;
use std::cell::RefCell;
use std::rc::Rc;

use common::*;
use script::{RelayTo, RunOutcome};
use trunkline_proxy::Settings;

fn proxying() -> Bench {
    Bench::new(Settings::default(), relay)
}

#[test]
fn a_request_is_sent_on_with_our_via_and_its_reply_comes_back() {
    let b = proxying();
    let out = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "m1", ""));
    assert_eq!(lines(&out), ["10.0.0.3:5060 MESSAGE sip:bob@10.0.0.3 SIP/2.0"]);
    let sent = &out[0].1;
    let vias: Vec<&str> = sent.lines().filter(|l| l.starts_with("Via")).collect();
    assert!(vias[0].starts_with("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK"), "{sent}");
    assert_eq!(vias[1], "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKm1");
    let back = b.send(BOB, &reply(sent, "200 OK", "tb"));
    assert_eq!(lines(&back), ["10.0.0.2:5060 SIP/2.0 200 OK"]);
    assert_eq!(back[0].1.matches("Via:").count(), 1);
    assert_eq!((b.ran("request"), b.stat("2xx_transactions")), (1, 1));
}

#[test]
fn retransmissions_are_absorbed_before_the_script() {
    let b = proxying();
    let text = request("INVITE", "sip:bob@10.0.0.3", "i1", "");
    let out = b.send(ALICE, &text);
    assert_eq!(
        lines(&out),
        [
            "10.0.0.2:5060 SIP/2.0 100 trying -- your call is important to us",
            "10.0.0.3:5060 INVITE sip:bob@10.0.0.3 SIP/2.0"
        ]
    );
    assert_eq!(
        lines(&b.send(ALICE, &text)),
        ["10.0.0.2:5060 SIP/2.0 100 trying -- your call is important to us"]
    );
    assert_eq!(b.ran("request"), 1, "the script saw the INVITE once");
}

#[test]
fn rport_and_received_of_rfc_3581() {
    let b = proxying();
    let text = request("MESSAGE", "sip:bob@10.0.0.3", "r1", "")
        .replace("branch=z9hG4bKr1", "branch=z9hG4bKr1;rport");
    let out = b.send("192.0.2.9:40000", &text);
    assert!(out[0].1.contains("received=192.0.2.9") && out[0].1.contains("rport=40000"), "{}", out[0].1);
    let back = b.send(BOB, &reply(&out[0].1, "200 OK", "tb"));
    assert_eq!(lines(&back), ["192.0.2.9:40000 SIP/2.0 200 OK"]);
}

#[test]
fn without_rport_the_reply_goes_to_the_port_of_the_via() {
    let b = proxying();
    let out = b.send("192.0.2.9:40000", &request("MESSAGE", "sip:bob@10.0.0.3", "r2", ""));
    let back = b.send(BOB, &reply(&out[0].1, "200 OK", "tb"));
    assert_eq!(lines(&back), ["192.0.2.9:5060 SIP/2.0 200 OK"]);
}

#[test]
fn a_broken_request_is_answered_and_counted_and_the_script_does_not_see_it() {
    let b = proxying();
    let out = b.send(
        ALICE,
        &request("INVITE", "sip:bob@10.0.0.3", "x1", "").replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
    );
    assert!(out[0].1.starts_with("SIP/2.0 400"), "{out:?}");
    let out = b.send(ALICE, &request("INVITE", "nobodyKnowsThisScheme:opaque", "x2", ""));
    assert!(out[0].1.starts_with("SIP/2.0 416"), "{out:?}");
    assert!(b.send(ALICE, "not sip at all\n\n").is_empty());
    assert!(b.send(ALICE, "\n\n").is_empty());
    assert_eq!((b.ran("request"), b.stat("err_requests"), b.stat("rcv_keepalives")), (0, 2, 1));
}

#[test]
fn the_ack_to_a_stateless_reply_is_absorbed() {
    let b = Bench::new(Settings::default(), |ctx| {
        ctx.transactions.reply_stateless(ctx, 404, b"Not Found");
        RunOutcome::Returned(1)
    });
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "s1", ""));
    let to = out[0].1.lines().find(|l| l.starts_with("To:")).unwrap();
    let ack = request("ACK", "sip:bob@10.0.0.3", "s1", "").replace("To: <sip:bob@b>", to);
    assert!(b.send(ALICE, &ack).is_empty());
    assert_eq!((b.ran("request"), b.stat("received_ACKs")), (1, 1));
}

#[test]
fn an_exception_is_answered_500_unless_something_was_answered() {
    let b = Bench::new(Settings::default(), |_| RunOutcome::Exception);
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "e1", ""));
    assert!(out[0].1.starts_with("SIP/2.0 500"));
    let b = Bench::new(Settings::default(), |ctx| {
        ctx.transactions.reply_stateless(ctx, 200, b"OK");
        RunOutcome::Exception
    });
    assert_eq!(
        lines(&b.send(ALICE, &request("OPTIONS", "sip:b@10.0.0.3", "e2", ""))),
        ["10.0.0.2:5060 SIP/2.0 200 OK"]
    );
    let silent = Settings { answer_exceptions: false, ..Settings::default() };
    let b = Bench::new(silent, |_| RunOutcome::Exception);
    assert!(b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "e3", "")).is_empty());
    assert_eq!(b.stat("script_exceptions"), 1);
}

#[test]
fn at_the_transaction_limit_new_requests_get_503_with_retry_after() {
    // One transaction per shard is the smallest table.
    let b = Bench::new(Settings { max_transactions: 1, retry_after: 17, ..Settings::default() }, relay);
    let mut refused = 0;
    for i in 0..200 {
        let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", &format!("f{i}"), ""));
        if out[0].1.starts_with("SIP/2.0 503") {
            assert!(out[0].1.contains("\nRetry-After: 17\n"), "{}", out[0].1);
            assert_eq!(out.len(), 1);
            refused += 1;
        }
    }
    assert!((100..200).contains(&refused), "{refused}");
    assert_eq!(b.stat("refused_transactions"), refused);
}

#[test]
fn what_cannot_be_resolved_is_answered_478_and_leaves_no_transaction() {
    let b = proxying();
    let out = b.send(ALICE, &request("INVITE", "sip:bob@nowhere.invalid", "u1", ""));
    assert!(out.last().unwrap().1.starts_with("SIP/2.0 478"), "{out:?}");
    assert_eq!(b.stat("active_transactions"), 0);
}

#[test]
fn a_loop_is_answered_482_a_spiral_goes_on() {
    let b = proxying();
    let out = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.1", "l1", ""));
    // Back to ourselves, unchanged: the loop is seen.
    let out = b.send(PROXY, &out[0].1);
    assert!(out[0].1.starts_with("SIP/2.0 482"), "{out:?}");
    // With another Request-URI it is a spiral (RFC 5393).
    let out = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.1", "l2", ""));
    let out = b.send(PROXY, &out[0].1.replace("MESSAGE sip:bob@10.0.0.1", "MESSAGE sip:bob@10.0.0.3"));
    assert_eq!(lines(&out), ["10.0.0.3:5060 MESSAGE sip:bob@10.0.0.3 SIP/2.0"]);
}

#[test]
fn breadth_is_divided_among_branches() {
    let b = Bench::new(Settings::default(), |ctx| {
        ctx.branches.push(script::Branch {
            uri: b"sip:carol@10.0.0.4".to_vec(),
            q: -1,
            ..Default::default()
        });
        relay(ctx)
    });
    let out = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "b1", "Max-Breadth: 5\n"));
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|(_, m)| m.contains("\nMax-Breadth: 2\n")), "{out:?}");
    let out = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "b2", "Max-Breadth: 1\n"));
    assert!(out[0].1.starts_with("SIP/2.0 440"), "{out:?}");
}

#[test]
fn stateless_forwarding_gives_a_cancel_the_invites_branch() {
    let b = Bench::new(Settings::default(), |ctx| {
        ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
        RunOutcome::Returned(1)
    });
    let branch = |m: &str| {
        m.lines().find(|l| l.starts_with("Via")).unwrap().split("branch=").nth(1).unwrap().to_string()
    };
    let invite = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "n1", ""));
    let cancel = b.send(ALICE, &request("CANCEL", "sip:bob@10.0.0.3", "n1", ""));
    assert_eq!(branch(&invite[0].1), branch(&cancel[0].1));
    let back = b.send(BOB, &reply(&invite[0].1, "200 OK", "tb"));
    assert_eq!(lines(&back), ["10.0.0.2:5060 SIP/2.0 200 OK"]);
}

#[test]
fn stateless_forwarding_writes_record_route_and_path() {
    let b = Bench::new(Settings::default(), |ctx| {
        ctx.record_route = Some(script::RecordRoute {
            prefix: b"sip:".to_vec(),
            place: script::record_route::Place::Sockets,
            fixed: b";lr".to_vec(),
            params: b";x=1".to_vec(),
            double: script::record_route::Double::WhenSocketsDiffer,
        });
        ctx.target.path = b"<sip:10.0.0.9;lr>".to_vec();
        ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
        RunOutcome::Returned(1)
    });
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "n2", ""));
    let rows: Vec<&str> =
        out[0].1.lines().filter(|l| l.starts_with("Record") || l.starts_with("Route")).collect();
    assert_eq!(rows, ["Record-Route: <sip:10.0.0.1;lr;x=1>", "Route: <sip:10.0.0.9;lr>"]);
}

#[test]
fn a_reply_whose_topmost_via_is_not_ours_is_dropped() {
    let b = proxying();
    let stray = reply(&request("INVITE", "sip:x@y", "z1", ""), "200 OK", "t");
    assert!(b.send(BOB, &stray).is_empty());
    assert_eq!(b.stat("drop_replies"), 1);
}

#[test]
fn a_reply_finds_back_whatever_address_the_script_advertised() {
    for stateless in [false, true] {
        let b = Bench::new(Settings::default(), move |ctx| {
            ctx.advertise = (Some("nat.example".into()), Some(5099));
            if !stateless {
                return relay(ctx);
            }
            ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
            RunOutcome::Returned(1)
        });
        let sent = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "a1", ""));
        assert!(sent[0].1.contains("\nVia: SIP/2.0/UDP nat.example:5099;branch="), "{}", sent[0].1);
        let answer = reply(&sent[0].1, "200 OK", "tb");
        assert_eq!(lines(&b.send(BOB, &answer)), ["10.0.0.2:5060 SIP/2.0 200 OK"], "stateless: {stateless}");
        // The address alone does not make a reply ours.
        let forged = answer.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
        assert!(b.send(BOB, &forged).is_empty());
    }
}

#[test]
fn the_onsend_route_sees_what_is_forwarded_with_and_without_a_transaction() {
    for stateless in [false, true] {
        let b = Bench::with_onsend(move |ctx| match stateless {
            false => relay(ctx),
            true => {
                ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
                RunOutcome::Returned(1)
            }
        });
        b.route("onsend", |ctx| {
            ctx.dropped = ctx.message.call_id() == b"o2";
            RunOutcome::Returned(1)
        });
        let sent = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "o1", ""));
        assert_eq!(lines(&sent), ["10.0.0.3:5060 MESSAGE sip:bob@10.0.0.3 SIP/2.0"]);
        let dropped = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "o2", ""));
        assert!(!dropped.iter().any(|(to, _)| to == BOB), "stateless {stateless}: {dropped:?}");
        assert_eq!(b.ran("onsend"), 2, "stateless {stateless}");
    }
}

/// `forward()` when the request's Call-ID starts with `s`, else `t_relay`; an onsend route that writes down what it sees.
fn with_onsend_of_replies() -> (Bench, Rc<RefCell<Vec<String>>>) {
    let b = Bench::with_onsend_of_replies(
        |ctx| {
            ctx.flags = 8;
            ctx.vars().with(|lists| lists.avps.push((b"x"[..].into(), script::vars::VarValue::Int(7))));
            if ctx.message.call_id().starts_with(b"s") {
                ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
                return RunOutcome::Returned(1);
            }
            relay(ctx)
        },
        vec![module("pv", &[], &[]), module("tmx", &[], &[])],
    );
    let seen = Rc::new(RefCell::new(Vec::new()));
    let note = seen.clone();
    b.route("onsend", move |ctx| {
        let names = [
            "$rs",
            "$si",
            "$sndto(ip)",
            "$sndto(port)",
            "$sndto(sproto)",
            "$sndto(af)",
            "$sndfrom(ip)",
            "$T_branch_idx",
            "$avp(x)",
        ];
        let values = names.map(|name| {
            let pv = ctx.core.registry.parse_pv(name.as_bytes()).unwrap();
            String::from_utf8_lossy(&pv.get(ctx).to_text()).into_owned()
        });
        let (_, bytes) = ctx.sending.clone().unwrap();
        let vias = String::from_utf8_lossy(&bytes).matches("Via:").count();
        note.borrow_mut().push(format!("{} vias={vias} flags={}", values.join(" "), ctx.flags));
        ctx.dropped = !ctx.message.is_request();
        RunOutcome::Returned(0)
    });
    (b, seen)
}

#[test]
fn the_onsend_route_sees_replies_too_when_that_is_asked_for() {
    let (b, seen) = with_onsend_of_replies();
    let take = || seen.borrow_mut().split_off(0);
    for (call, index, avp, flags) in [("t1", "0", "7", 8), ("s1", "-1", "", 0)] {
        let sent = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", call, ""));
        let request = &sent.last().unwrap().1;
        assert_eq!(take(), [format!(" 10.0.0.2 10.0.0.3 5060 udp 2 10.0.0.1 {index} 7 vias=2 flags=8")]);
        for code in ["180", "486"] {
            let line =
                format!("{code} 10.0.0.3 10.0.0.2 5060 udp 2 10.0.0.1 {index} {avp} vias=1 flags={flags}");
            let sent = b.send(BOB, &reply(request, &format!("{code} Said"), "tb"));
            // It goes whatever the route does.
            assert!(lines(&sent).contains(&format!("10.0.0.2:5060 SIP/2.0 {code} Said")), "{sent:?}");
            assert_eq!(take(), [line]);
        }
    }
    // Neither a 100, nor what is made here, nor what is sent again.
    let sent = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "t2", ""));
    take();
    b.send(BOB, &reply(&sent.last().unwrap().1, "100 Trying", "tb"));
    b.send(BOB, &reply(&sent.last().unwrap().1, "180 Ringing", "tb"));
    take();
    let again = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "t2", ""));
    assert_eq!(lines(&again), ["10.0.0.2:5060 SIP/2.0 180 Ringing"]);
    assert!(take().is_empty());
}

#[test]
fn the_onsend_route_sees_no_reply_unless_that_is_asked_for() {
    for stateless in [false, true] {
        let b = Bench::with_onsend(move |ctx| {
            if stateless {
                ctx.transactions.forward_stateless(ctx, RelayTo::Uris);
                return RunOutcome::Returned(1);
            }
            relay(ctx)
        });
        b.route("onsend", |_| RunOutcome::Returned(1));
        let sent = b.send(ALICE, &request("MESSAGE", "sip:bob@10.0.0.3", "o1", ""));
        assert_eq!(b.send(BOB, &reply(&sent[0].1, "200 OK", "tb")).len(), 1);
        assert_eq!(b.ran("onsend"), 1, "stateless {stateless}");
    }
}
