//! What happens at the bounds.

mod common;
use std::sync::Arc;
use std::time::Instant;

use common::*;
use message::{Message, Transport};
use transaction::*;

fn invite(n: usize, call_id: &str) -> Arc<Message> {
    parse(
        &request_text("INVITE", &format!("z9hG4bK{n}"))
            .replace("Call-ID: call-1", &format!("Call-ID: {call_id}")),
    )
}

fn create(shard: &mut Shard, request: &Arc<Message>, now: Timestamp) -> Result<TransactionId, Refused> {
    let new = NewTransaction {
        request: Arc::clone(request),
        reply_to: hop("192.0.2.1:5060", Transport::Udp),
        timing: Timing::default(),
        options: Options::default(),
        script: None,
        local: false,
        trying: None,
    };
    shard.create(new, now, &mut Vec::new())
}

#[test]
fn a_full_shard_refuses_and_takes_again_when_one_is_freed() {
    let mut shard = Shard::new(0, 1, 7, 3);
    let ids: Vec<_> =
        (0..3).map(|n| create(&mut shard, &invite(n, "c"), Timestamp(0)).expect("room")).collect();
    assert_eq!(create(&mut shard, &invite(3, "c"), Timestamp(0)), Err(Refused::Full));
    assert_eq!(shard.counts().refused, 1);
    let mut out = Vec::new();
    shard.step(ids[1], Input::Release, Timestamp(0), &mut out).expect("alive");
    shard.expire(Timestamp::from_millis(5_000), &mut out);
    assert!(matches!(out[..], [Action::Freed { id, .. }] if id == ids[1]), "{out:?}");
    let again = create(&mut shard, &invite(3, "c"), Timestamp::from_millis(5_000)).expect("room");
    assert_eq!(again.index, ids[1].index, "the slot is used again");
    assert_ne!(again.label, ids[1].label, "under another name");
    assert_eq!(shard.step(ids[1], Input::Ack, Timestamp(0), &mut out), Err(Unknown));
    assert_eq!((shard.counts().current, shard.counts().total, shard.counts().freed), (3, 4, 1));
}

#[test]
fn at_most_31_branches() {
    let mut t = Bench::invite();
    t.relay(40);
    assert_eq!(t.shard.view(t.id).map(|v| v.branch_count()), Some(31));
    assert_eq!(t.take().len(), 32, "a 100 and 31 INVITEs");
}

#[test]
fn a_failure_route_without_room_for_branches_sends_the_best() {
    let mut t = Bench::invite();
    t.relay_armed(31, armed(false, true, false));
    for branch in 0..31 {
        t.reply(branch, 486);
    }
    t.take();
    t.routed_branches(1, armed(false, true, false));
    t.expect(&["0 caller < 486", "0 completed 486 b0"]);
}

#[test]
fn the_deferred_queue_drops_provisionals_and_keeps_the_final() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(true, false, false));
    t.reply(0, 180);
    t.take();
    for _ in 0..200 {
        t.reply(0, 183);
    }
    t.reply(1, 200);
    t.reply(1, 200);
    assert_eq!(t.shard.counts().deferred_dropped, 200 - 64 + 1);
    t.shard.set_armed(t.id, NOTHING);
    t.routed(Outcome::default());
    let log = t.take();
    assert_eq!(log.iter().filter(|line| *line == "0 caller < 183").count(), 63);
    assert_eq!(
        log.iter().filter(|line| *line == "0 caller < 200").count(),
        1,
        "the repeated 200 was absorbed"
    );
}

/// The same Call-ID and CSeq number with ever new branches: the list behind them is not walked to its end.
#[test]
fn an_attack_on_one_call_id_does_not_make_matching_linear() {
    let mut shard = Shard::new(0, 1, 7, 200_000);
    let first = invite(0, "attack");
    create(&mut shard, &first, Timestamp(0)).expect("room");
    let ack = parse(&request_text("ACK", "z9hG4bKack").replace("Call-ID: call-1", "Call-ID: attack"));
    for n in 1..20_000 {
        create(&mut shard, &invite(n, "attack"), Timestamp(0)).expect("room");
    }
    // A test may look at a real clock to see that work is bounded.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(shard.match_request(&ack), None);
        assert!(shard.match_request(&first).is_some());
    }
    // Linear walks would be 20 million comparisons of messages, many seconds.
    assert!(start.elapsed().as_millis() < 2_000, "{:?}", start.elapsed());
    // All of them end, in whatever order, and leave nothing behind.
    let mut out = Vec::new();
    while let Some(next) = shard.next_timeout() {
        shard.expire(next, &mut out);
    }
    assert!(shard.is_empty());
    assert_eq!(shard.lookup_callid(b"attack", 7), None);
    assert_eq!(out.len(), 20_000);
}

#[test]
fn strangers_do_no_harm() {
    let mut t = Bench::invite();
    t.relay(1);
    t.take();
    for input in [
        Input::SendFailed { branch: 9 },
        Input::Ack,
        Input::Routed(Outcome::default()),
        Input::CancelBranches { only: Some(77), rows: Arc::default() },
        Input::Release,
        t.reply_input(31, 200, "INVITE", ""),
        t.reply_input(0, 200, "CANCEL", ""),
    ] {
        t.step(input);
    }
    t.expect(&[]);
    t.reply(0, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b0"]);
}

#[test]
fn what_only_waits_is_forgotten_in_groups() {
    let mut shard = Shard::new(0, 1, 7, 3);
    let mut out = Vec::new();
    for (n, at) in [(0, 1), (1, 120), (2, 249)] {
        let at = Timestamp::from_millis(at);
        let id = create(&mut shard, &invite(n, "c"), at).expect("room");
        shard.step(id, Input::Release, at, &mut out).expect("alive");
    }
    shard.expire(Timestamp::from_millis(5_249), &mut out);
    assert_eq!((out.len(), shard.next_timeout()), (0, Some(Timestamp::from_millis(5_250))));
    shard.expire(Timestamp::from_millis(5_250), &mut out);
    assert!(matches!(out[..], [Action::Freed { .. }, Action::Freed { .. }, Action::Freed { .. }]), "{out:?}");
}
