//! The INVITE server side: RFC 3261 §17.2.1.

mod common;
use common::*;
use message::Transport;
use transaction::*;

#[test]
fn a_100_goes_out_at_once_and_answers_retransmissions_until_something_better_came() {
    let mut t = Bench::invite();
    t.expect(&["0 caller < 100"]);
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 100"]);
    t.relay(1);
    t.reply(0, 180);
    t.take();
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 180"]);
}

#[test]
fn without_auto_100_a_retransmission_is_only_absorbed() {
    let mut t = Bench::new("INVITE", |new| new.options.no_auto_100 = true);
    t.step(Input::Retransmission);
    t.expect(&[]);
    assert_eq!(t.shard.counts().absorbed, 1);
}

#[test]
fn timer_g_repeats_a_failure_until_timer_h() {
    let mut t = Bench::invite();
    let reply = t.local(404);
    t.step(Input::Reply(reply));
    t.take();
    t.until(40_000);
    t.expect(&[
        "500 caller < 404",
        "1500 caller < 404",
        "3500 caller < 404",
        "7500 caller < 404",
        "11500 caller < 404",
        "15500 caller < 404",
        "19500 caller < 404",
        "23500 caller < 404",
        "27500 caller < 404",
        "31500 caller < 404",
        "32000 freed",
    ]);
    assert_eq!(t.shard.counts().no_ack, 1);
}

#[test]
fn the_ack_stops_timer_g_and_timer_i_absorbs() {
    let mut t = Bench::invite();
    let reply = t.local(404);
    t.step(Input::Reply(reply));
    t.until(600);
    t.take();
    t.step(Input::Ack);
    assert_eq!(t.state(), "Confirmed");
    t.step(Input::Ack);
    t.step(Input::Retransmission);
    // At 5,600, and then with all that end in the same quarter of a second.
    t.until(5_749);
    t.expect(&[]);
    t.until(5_750);
    t.expect(&["5750 freed"]);
}

#[test]
fn over_tcp_a_failure_is_sent_once_and_the_ack_ends_it() {
    let mut t = Bench::new("INVITE", |new| new.reply_to.transport = Transport::Tcp);
    let reply = t.local(404);
    t.step(Input::Reply(reply));
    t.take();
    t.until(10_000);
    t.expect(&[]);
    t.step(Input::Ack);
    t.expect(&["10000 freed"]);
}

/// §13.3.1.4: nobody else repeats a 2xx that was made here.
#[test]
fn a_2xx_made_here_is_repeated_until_the_ack() {
    let mut t = Bench::invite();
    let reply = t.local(200);
    t.step(Input::Reply(reply));
    t.until(2_000);
    t.expect(&[
        "0 caller < 100",
        "0 caller < 200",
        "0 completed 200 local",
        "500 caller < 200",
        "1500 caller < 200",
    ]);
    t.step(Input::Ack);
    t.until(40_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn a_released_transaction_absorbs_and_goes() {
    let mut t = Bench::invite();
    t.step(Input::Release);
    t.take();
    t.until(1_000);
    t.step(Input::Retransmission);
    t.expect(&[]);
    t.until(6_000);
    t.expect(&["5000 freed"]);
}

#[test]
fn a_request_that_nobody_deals_with_ends_at_its_limit() {
    let mut t = Bench::invite();
    t.take();
    t.until(200_000);
    t.expect(&["185000 freed"]);
}

#[test]
fn a_caller_that_never_prints_the_reply_does_not_keep_the_transaction() {
    let mut t = Bench::invite();
    t.auto = false;
    t.relay(1);
    t.until(29_999);
    t.take();
    t.until(60_000);
    t.expect(&["30000 make 408", "40000 freed"]);
}
