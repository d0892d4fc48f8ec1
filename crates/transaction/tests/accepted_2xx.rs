//! 2xx to INVITE: the Accepted states of RFC 6026.

mod common;
use common::*;
use transaction::*;

#[test]
fn a_2xx_that_comes_again_is_forwarded_again() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 200);
    t.take();
    t.until(500);
    t.reply(0, 200);
    t.until(1_500);
    t.reply(0, 200);
    t.expect(&["500 caller < 200", "1500 caller < 200"]);
    assert_eq!(t.shard.counts().final_class, [1, 0, 0, 0, 0]);
}

#[test]
fn a_2xx_of_another_branch_is_forwarded_too() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 180);
    t.reply(1, 180);
    t.reply(0, 200);
    t.take();
    t.reply(1, 200);
    t.expect(&["0 caller < 200"]);
}

#[test]
fn the_proxy_does_not_repeat_a_2xx_and_absorbs_the_invite() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 200);
    t.take();
    assert_eq!(t.state(), "Accepted");
    t.step(Input::Retransmission);
    t.until(31_999);
    t.expect(&[]);
    t.until(32_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn timer_m_counts_from_the_first_2xx_of_each_branch() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 200);
    t.until(1_000);
    t.reply(1, 200);
    t.take();
    t.until(32_500);
    t.reply(1, 200);
    // Timer L has passed; the client side still lives, and a 2xx must get through.
    t.expect(&["32500 caller < 200"]);
    t.until(40_000);
    t.expect(&["33000 freed"]);
    let late = t.reply_input(0, 200, "INVITE", "");
    assert_eq!(t.shard.step(t.id, late, t.now, &mut Vec::new()), Err(Unknown));
}

/// §16.7 step 5: "After a final response has been sent on the server transaction ... Any 2xx response to an INVITE request".
#[test]
fn a_2xx_after_a_408_is_forwarded() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.until(120_000);
    t.take();
    t.reply(0, 200);
    t.expect(&["120000 caller < 200"]);
    // The caller's transaction still repeats the 408 that it has to acknowledge.
    t.until(120_500);
    t.expect(&["120500 caller < 408", "120500 b0 > CANCEL"]);
}

#[test]
fn an_invite_of_our_own_reports_each_2xx() {
    let mut t = Bench::new("INVITE", |new| new.local = true);
    t.relay(1);
    t.reply(0, 200);
    t.reply(0, 200);
    t.expect(&[
        "0 b0 > INVITE",
        "0 local final 200 received",
        "0 completed 200 b0",
        "0 local final 200 received",
    ]);
}

#[test]
fn a_repeated_failure_is_acked_again_and_not_forwarded() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 486);
    t.step(Input::Ack);
    t.take();
    t.reply(0, 486);
    t.expect(&["0 b0 > ACK"]);
}
