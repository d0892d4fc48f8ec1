//! Parallel forking: RFC 3261 §16.7.

mod common;
use common::*;
use message::Message;
use transaction::*;

#[test]
fn one_answers_the_other_is_cancelled_and_its_487_absorbed() {
    let mut t = Bench::invite();
    t.relay(2);
    t.expect(&["0 caller < 100", "0 b0 > INVITE", "0 b1 > INVITE"]);
    t.reply(0, 100);
    t.reply(1, 100);
    t.expect(&[]);
    t.reply(0, 180);
    t.reply(1, 180);
    t.expect(&["0 caller < 180", "0 caller < 180"]);
    t.reply(1, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b1", "0 b0 > CANCEL"]);
    t.cancel_answered(0, 200);
    t.reply(0, 487);
    t.expect(&["0 b0 > ACK"]);
    assert_eq!(t.shard.counts().final_class, [1, 0, 0, 0, 0]);
    t.until(60_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn the_cancel_that_a_200_causes_says_why() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 180);
    let mut out = Vec::new();
    t.shard.step(t.id, t.reply_input(1, 200, "INVITE", ""), t.now, &mut out).expect("alive");
    let Some(Action::Transmit { bytes, .. }) = out.last() else { panic!("{out:?}") };
    let cancel = Message::parse(bytes).expect("a message");
    assert_eq!(
        cancel.headers_by_text(b"Reason").next().map(|h| h.value),
        Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..])
    );
}

#[test]
fn failures_wait_for_the_last_branch() {
    let mut t = Bench::invite();
    t.relay(3);
    t.take();
    t.reply(0, 486);
    t.reply(1, 404);
    t.expect(&["0 b0 > ACK", "0 b1 > ACK"]);
    t.reply(2, 503);
    t.expect(&["0 b2 > ACK", "0 caller < 404", "0 completed 404 b1"]);
}

#[test]
fn a_6xx_cancels_the_others_and_is_sent_when_they_have_ended() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(1, 180);
    t.take();
    t.reply(0, 603);
    t.expect(&["0 b0 > ACK", "0 b1 > CANCEL"]);
    t.reply(1, 487);
    t.expect(&["0 b1 > ACK", "0 caller < 603", "0 completed 603 b0"]);
}

#[test]
fn a_200_on_another_branch_beats_a_6xx() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(1, 180);
    t.reply(0, 603);
    t.take();
    t.reply(1, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b1"]);
}

#[test]
fn after_a_6xx_the_branch_failure_route_starts_nothing() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(false, false, true));
    t.reply(1, 180);
    t.reply(0, 600);
    t.take();
    t.routed_branches(1, NOTHING);
    t.expect(&[]);
}

#[test]
fn a_disabled_6xx_is_one_failure_among_others() {
    let mut t = Bench::new("INVITE", |new| new.options.disable_6xx = true);
    t.relay(2);
    t.reply(1, 180);
    t.take();
    t.reply(0, 603);
    t.expect(&["0 b0 > ACK"]);
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 486", "0 completed 486 b1"]);
}

#[test]
fn a_branch_that_cannot_be_sent_counts_as_503() {
    let mut t = Bench::invite();
    t.relay(2);
    t.take();
    t.step(Input::SendFailed { branch: 0 });
    t.expect(&[]);
    t.reply(1, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b1"]);

    let mut t = Bench::invite();
    t.relay(1);
    t.take();
    t.step(Input::SendFailed { branch: 0 });
    t.expect(&["0 make 500", "0 caller < 500", "0 completed 500 local"]);
}

#[test]
fn a_local_reply_cancels_what_rings() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 180);
    t.reply(1, 180);
    t.take();
    let reply = t.local(480);
    t.step(Input::Reply(reply));
    t.expect(&["0 caller < 480", "0 completed 480 local", "0 b0 > CANCEL", "0 b1 > CANCEL"]);
    t.reply(0, 487);
    t.reply(1, 183);
    t.expect(&["0 b0 > ACK"]);
}

#[test]
fn provisionals_after_the_end_are_not_forwarded() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 200);
    t.take();
    t.reply(1, 180);
    // But it is what the CANCEL was waiting for.
    t.expect(&["0 b1 > CANCEL"]);
}

#[test]
fn a_request_of_our_own_reports_its_end() {
    let mut t = Bench::new("OPTIONS", |new| new.local = true);
    t.relay(1);
    t.reply(0, 200);
    t.expect(&["0 b0 > OPTIONS", "0 local final 200 received", "0 completed 200 b0"]);
    t.until(60_000);
    t.expect(&["5000 freed"]);

    let mut t = Bench::new("OPTIONS", |new| new.local = true);
    t.relay(1);
    t.take();
    t.until(40_000);
    let log = t.take();
    assert!(log.contains(&"30000 local final 408 made".to_owned()), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("30000 freed"));
}

#[test]
fn an_invite_of_our_own_acks_its_failure() {
    let mut t = Bench::new("INVITE", |new| new.local = true);
    t.relay(1);
    t.reply(0, 180);
    t.reply(0, 486);
    t.expect(&["0 b0 > INVITE", "0 b0 > ACK", "0 local final 486 received", "0 completed 486 b0"]);
    assert_eq!(t.shard.counts().total_local, 1);
}
