//! Non-INVITE transactions: RFC 3261 §17.1.2, §17.2.2, and RFC 4320.

mod common;
use common::*;
use message::Transport;
use transaction::*;

fn options() -> Bench {
    Bench::new("OPTIONS", |_| {})
}

#[test]
fn timer_e_doubles_up_to_t2_and_timer_f_ends_without_a_408() {
    let mut t = options();
    t.relay(1);
    t.until(29_999);
    t.expect(&[
        "0 b0 > OPTIONS",
        "500 b0 > OPTIONS",
        "1500 b0 > OPTIONS",
        "3500 b0 > OPTIONS",
        "7500 b0 > OPTIONS",
        "11500 b0 > OPTIONS",
        "15500 b0 > OPTIONS",
        "19500 b0 > OPTIONS",
        "23500 b0 > OPTIONS",
        "27500 b0 > OPTIONS",
    ]);
    t.until(60_000);
    t.expect(&["30000 completed 408 local", "35000 freed"]);
}

#[test]
fn after_a_provisional_timer_e_is_t2() {
    let mut t = options();
    t.relay(1);
    t.until(100);
    t.reply(0, 100);
    t.take();
    t.until(9_000);
    t.expect(&["500 b0 > OPTIONS", "4500 b0 > OPTIONS", "8500 b0 > OPTIONS"]);
}

#[test]
fn over_tcp_nothing_is_repeated_and_nothing_lingers() {
    let mut t = Bench::new("OPTIONS", |new| new.reply_to.transport = Transport::Tcp);
    t.transport = Transport::Tcp;
    t.relay(1);
    t.until(20_000);
    t.reply(0, 200);
    t.expect(&["0 b0 > OPTIONS", "20000 caller < 200", "20000 completed 200 b0", "20000 freed"]);
}

#[test]
fn retransmissions_are_absorbed_before_and_answered_after_the_final_reply() {
    let mut t = options();
    t.relay(1);
    t.take();
    t.step(Input::Retransmission);
    t.expect(&[]);
    t.reply(0, 200);
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 200", "0 completed 200 b0", "0 caller < 200"]);
    t.until(31_999);
    t.step(Input::Retransmission);
    t.expect(&["31999 caller < 200"]);
    t.until(40_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn with_short_wait_it_absorbs_as_long_as_kamailio() {
    let mut t = Bench::new("OPTIONS", |new| new.options.short_wait = true);
    t.relay(1);
    t.reply(0, 200);
    t.take();
    t.until(40_000);
    t.expect(&["5000 freed"]);
}

/// RFC 4320 §4.1, §4.2.
#[test]
fn provisionals_above_100_are_not_forwarded_unless_asked() {
    let mut t = options();
    t.relay(1);
    t.take();
    t.reply(0, 180);
    t.expect(&[]);

    let mut t = Bench::new("OPTIONS", |new| new.options.noninvite_408 = true);
    t.relay(1);
    t.take();
    t.reply(0, 180);
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 180", "0 caller < 180"]);
}

#[test]
fn as_kamailio_a_408_is_sent() {
    let mut t = Bench::new("OPTIONS", |new| new.options.noninvite_408 = true);
    t.relay(1);
    t.until(29_999);
    t.take();
    t.until(30_000);
    t.expect(&["30000 make 408", "30000 caller < 408", "30000 completed 408 local"]);
}

#[test]
fn the_failure_route_runs_on_a_timeout_though_no_408_is_sent() {
    let mut t = options();
    t.relay_armed(1, armed(false, true, false));
    t.until(29_999);
    t.take();
    t.until(30_000);
    t.expect(&["30000 run Failure b0 408"]);
    t.routed_branches(1, NOTHING);
    t.reply(1, 200);
    t.expect(&["30000 b1 > OPTIONS", "30000 caller < 200", "30000 completed 200 b1"]);
}

#[test]
fn of_two_branches_the_first_2xx_is_forwarded_and_the_second_is_not() {
    let mut t = options();
    t.relay(2);
    t.take();
    t.reply(0, 200);
    t.reply(1, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b0"]);
}

#[test]
fn the_other_branch_is_not_cancelled_but_ends_by_itself() {
    let mut t = options();
    t.relay(2);
    t.reply(1, 100);
    t.reply(0, 200);
    t.until(29_999);
    assert!(t.take().iter().all(|line| !line.contains("CANCEL")));
    t.until(60_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn max_noninv_lifetime_bounds_serial_forking() {
    let mut t = options();
    t.relay_armed(1, armed(false, true, false));
    t.until(30_000);
    t.routed_branches(1, NOTHING);
    t.take();
    t.until(40_000);
    t.expect(&["30500 b1 > OPTIONS", "31500 b1 > OPTIONS", "32000 completed 408 local", "37000 freed"]);
}
