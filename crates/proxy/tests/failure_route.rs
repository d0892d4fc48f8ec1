//! The hard place: routes that run in the middle of a transaction's decision, with what can happen meanwhile.
#![allow(clippy::unwrap_used)]

mod common;
use std::cell::RefCell;
use std::rc::Rc;

use common::*;
use script::{Inbound, Outbox, RelayTo, RouteContext, RunOutcome, Services};
use transaction::SocketId;
use trunkline_proxy::Settings;

fn armed(ctx: &mut RouteContext<'_>) -> RunOutcome {
    if ctx.message.method() == message::Method::Invite {
        ctx.armed.on_failure = ctx.core.callbacks.intern(b"failure");
        ctx.armed.on_reply = ctx.core.callbacks.intern(b"onreply");
        ctx.armed.on_branch = ctx.core.callbacks.intern(b"branch");
    }
    relay(ctx)
}

fn to_carol(ctx: &mut RouteContext<'_>) -> RunOutcome {
    ctx.target.uri = b"sip:carol@10.0.0.4".to_vec();
    ctx.transactions.relay(ctx, RelayTo::Uris, 0);
    RunOutcome::Returned(1)
}

fn bench() -> Bench {
    let b = Bench::new(Settings::default(), armed);
    b.route("onreply", |_| RunOutcome::Returned(1));
    b.route("branch", |ctx| {
        let at = ctx.message.headers_end();
        ctx.edits.insert(at, format!("X-Branch: {}\r\n", ctx.branch_index).as_bytes());
        RunOutcome::Returned(1)
    });
    b
}

fn invite(b: &Bench, branch: &str) -> String {
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", branch, ""));
    out.into_iter().find(|(to, _)| to == BOB).unwrap().1
}

#[test]
fn serial_forking_through_the_failure_route() {
    let b = bench();
    b.route("failure", |ctx| {
        assert_eq!(ctx.reply_code, 486);
        assert_eq!(ctx.request_uri(), b"sip:bob@10.0.0.3");
        // As in Kamailio, the branch route has to be armed again too.
        assert_eq!((ctx.armed.on_branch, ctx.armed.on_failure), (None, None));
        ctx.armed.on_branch = ctx.core.callbacks.intern(b"branch");
        to_carol(ctx)
    });
    let to_bob = invite(&b, "s1");
    assert!(to_bob.contains("\nX-Branch: 0\n"), "{to_bob}");
    let out = b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    assert_eq!(
        lines(&out),
        ["10.0.0.3:5060 ACK sip:bob@10.0.0.3 SIP/2.0", "10.0.0.4:5060 INVITE sip:carol@10.0.0.4 SIP/2.0"]
    );
    assert!(
        out[1].1.contains("\nX-Branch: 1\n"),
        "the branch route's changes are the branch's own: {}",
        out[1].1
    );
    assert!(!out[1].1.contains("X-Branch: 0"));
    let out = b.send(CAROL, &reply(&out[1].1, "200 OK", "tc"));
    assert_eq!(lines(&out), ["10.0.0.2:5060 SIP/2.0 200 OK"]);
    assert_eq!((b.ran("failure"), b.ran("branch"), b.ran("onreply")), (1, 2, 2));
}

#[test]
fn the_failure_route_holds_once() {
    let b = bench();
    b.route("failure", to_carol);
    let to_bob = invite(&b, "o1");
    let out = b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    let to_carol = out.iter().find(|(to, _)| to == CAROL).unwrap().1.clone();
    let out = b.send(CAROL, &reply(&to_carol, "480 Away", "tc"));
    assert!(out.iter().any(|(to, m)| to == ALICE && m.starts_with("SIP/2.0 48")), "{out:?}");
    assert_eq!(b.ran("failure"), 1);
}

/// What another worker would do while the route runs on this one.
fn meanwhile(
    ctx: &RouteContext<'_>,
    proxy: &trunkline_proxy::Proxy,
    from: &str,
    text: &str,
) -> Vec<(String, String)> {
    let outbox = Outbox::default();
    let services = Services {
        core: ctx.core,
        transactions: ctx.transactions,
        engine: ctx.engine,
        worker: ctx.worker,
        outbox: &outbox,
    };
    let inbound = Inbound {
        source: addr(from),
        local: addr(PROXY),
        socket: SocketId(0),
        transport: message::Transport::Udp,
    };
    proxy.receive(&services, ctx.now, inbound, wire(text).as_bytes());
    let mut batch = script::outbox::Batch::default();
    outbox.take(&mut batch);
    batch
        .items
        .iter()
        .map(|(h, d)| (h.remote.to_string(), String::from_utf8_lossy(batch.bytes(d)).replace("\r\n", "\n")))
        .collect()
}

#[test]
fn cancel_during_the_failure_route_starts_no_new_branch_and_ends_with_487() {
    let b = bench();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (proxy, log) = (b.proxy.clone(), seen.clone());
    b.route("failure", move |ctx| {
        log.borrow_mut().extend(meanwhile(
            ctx,
            &proxy,
            ALICE,
            &request("CANCEL", "sip:bob@10.0.0.3", "c1", ""),
        ));
        to_carol(ctx)
    });
    let to_bob = invite(&b, "c1");
    let out = b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    assert_eq!(
        lines(&seen.borrow()),
        ["10.0.0.2:5060 SIP/2.0 200 canceling"],
        "the CANCEL is answered at once"
    );
    assert_eq!(
        lines(&out),
        ["10.0.0.3:5060 ACK sip:bob@10.0.0.3 SIP/2.0", "10.0.0.2:5060 SIP/2.0 487 Request Terminated"]
    );
    assert_eq!(b.ran("failure"), 1);
}

#[test]
fn retransmissions_during_the_failure_route_are_absorbed() {
    let b = bench();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (proxy, log) = (b.proxy.clone(), seen.clone());
    b.route("failure", move |ctx| {
        log.borrow_mut().extend(meanwhile(
            ctx,
            &proxy,
            ALICE,
            &request("INVITE", "sip:bob@10.0.0.3", "a1", ""),
        ));
        RunOutcome::Returned(1)
    });
    let to_bob = invite(&b, "a1");
    let out = b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    assert!(seen.borrow().len() <= 1, "at most the 100 again: {seen:?}");
    assert_eq!(
        lines(&out),
        ["10.0.0.3:5060 ACK sip:bob@10.0.0.3 SIP/2.0", "10.0.0.2:5060 SIP/2.0 486 Busy Here"]
    );
    assert_eq!(b.ran("request"), 1);
}

#[test]
fn a_late_200_during_the_failure_route_wins() {
    let mut b = bench();
    let to_bob = invite(&b, "w1");
    b.send(BOB, &reply(&to_bob, "180 Ringing", "tb"));
    let (proxy, answer) = (b.proxy.clone(), reply(&to_bob, "200 OK", "tb"));
    b.route("failure", move |ctx| {
        assert_eq!((ctx.reply_code, ctx.reply.is_none()), (408, true));
        meanwhile(ctx, &proxy, BOB, &answer);
        to_carol(ctx)
    });
    // fr_inv_timer: the branch is given up, the failure route runs, and the 200 comes meanwhile.
    let out = b.advance(121_000);
    let lines = lines(&out);
    assert!(lines.contains(&"10.0.0.2:5060 SIP/2.0 200 OK".to_string()), "{lines:?}");
    assert!(!lines.iter().any(|l| l.contains("carol")), "{lines:?}");
    assert!(!lines.iter().any(|l| l.starts_with("10.0.0.2:5060 SIP/2.0 4")), "{lines:?}");
    assert_eq!(b.ran("failure"), 1);
}

#[test]
fn the_failure_route_may_answer_itself() {
    let b = bench();
    b.route("failure", |ctx| {
        ctx.transactions.reply(ctx, 480, b"Try later");
        RunOutcome::Returned(1)
    });
    let to_bob = invite(&b, "r1");
    let out = b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    assert_eq!(
        lines(&out),
        ["10.0.0.3:5060 ACK sip:bob@10.0.0.3 SIP/2.0", "10.0.0.2:5060 SIP/2.0 480 Try later"]
    );
}

#[test]
fn avps_set_in_the_request_route_are_there_in_the_failure_route_and_after_relay_too() {
    use script::vars::VarValue;
    let b = Bench::new(Settings::default(), |ctx| {
        let out = armed(ctx);
        // After t_relay, when the transaction already exists.
        ctx.vars().with(|l| l.avps.push((Box::from(&b"x"[..]), VarValue::Int(5))));
        out
    });
    b.route("onreply", |_| RunOutcome::Returned(1));
    b.route("branch", |_| RunOutcome::Returned(1));
    b.route("failure", |ctx| {
        let n = ctx.vars().with(|l| l.avps.len());
        assert_eq!(n, 1);
        RunOutcome::Returned(1)
    });
    let to_bob = invite(&b, "v1");
    b.send(BOB, &reply(&to_bob, "486 Busy Here", "tb"));
    assert_eq!(b.ran("failure"), 1);
}

#[test]
fn the_onreply_route_changes_and_drops_replies() {
    let b = bench();
    b.route("onreply", |ctx| {
        match ctx.message.status() {
            183 => ctx.dropped = true,
            _ => {
                let at = ctx.message.headers_end();
                ctx.edits.insert(at, b"X-Seen: yes\r\n");
            }
        }
        RunOutcome::Returned(1)
    });
    let to_bob = invite(&b, "p1");
    assert!(b.send(BOB, &reply(&to_bob, "183 Progress", "tb")).is_empty());
    let out = b.send(BOB, &reply(&to_bob, "200 OK", "tb"));
    assert!(out[0].1.contains("\nX-Seen: yes\n"), "{out:?}");
}
