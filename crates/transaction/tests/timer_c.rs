//! Timers of an INVITE branch: A, B bounded by `fr_timer`, C as `fr_inv_timer`, `max_inv_lifetime`.

mod common;
use common::*;
use message::Transport;

#[test]
fn timer_a_doubles_until_fr_timer() {
    let mut t = Bench::invite();
    t.relay(1);
    t.take();
    t.until(29_999);
    t.expect(&[
        "500 b0 > INVITE",
        "1500 b0 > INVITE",
        "3500 b0 > INVITE",
        "7500 b0 > INVITE",
        "15500 b0 > INVITE",
    ]);
    t.until(30_000);
    t.expect(&["30000 make 408", "30000 caller < 408", "30000 completed 408 local"]);
    assert_eq!(t.shard.counts().retransmitted, 5);
}

#[test]
fn timer_b_is_64_t1_when_fr_timer_is_longer() {
    let mut t = Bench::new("INVITE", |new| new.timing.fr = secs(60));
    t.relay(1);
    t.take();
    t.until(40_000);
    let log = t.take();
    assert!(log.contains(&"31500 b0 > INVITE".to_owned()), "{log:?}");
    assert!(log.contains(&"32000 make 408".to_owned()), "{log:?}");
}

#[test]
fn a_reliable_transport_does_not_repeat() {
    let mut t = Bench::invite();
    t.transport = Transport::Tcp;
    t.relay(1);
    t.take();
    t.until(29_999);
    t.expect(&[]);
}

#[test]
fn a_provisional_stops_timer_a_and_starts_timer_c() {
    let mut t = Bench::invite();
    t.relay(1);
    t.until(200);
    t.reply(0, 100);
    t.take();
    t.until(120_199);
    t.expect(&[]);
    t.until(120_200);
    t.expect(&["120200 b0 > CANCEL", "120200 make 408", "120200 caller < 408", "120200 completed 408 local"]);
}

#[test]
fn each_101_to_199_restarts_timer_c_and_a_100_does_not() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.until(10_000);
    t.reply(0, 100);
    t.until(20_000);
    t.reply(0, 183);
    t.until(30_000);
    t.reply(0, 100);
    t.take();
    t.until(139_999);
    t.expect(&[]);
    t.until(140_000);
    assert_eq!(t.take().first().map(String::as_str), Some("140000 b0 > CANCEL"));
}

#[test]
fn after_timer_c_the_487_is_acked_and_hidden() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.until(120_000);
    t.take();
    t.reply(0, 487);
    t.expect(&["120000 b0 > ACK"]);
}

#[test]
fn max_inv_lifetime_is_a_hard_limit() {
    let mut t = Bench::invite();
    t.relay(1);
    for minute in 0..3 {
        t.until(minute * 59_000);
        t.reply(0, 180);
    }
    t.take();
    t.until(179_999);
    t.expect(&[]);
    t.until(180_000);
    assert_eq!(
        t.take()[..2],
        ["180000 b0 > CANCEL", "180000 make 408"],
        "restarting timer C does not go past the limit"
    );
}

#[test]
fn t_set_fr_holds_for_branches_started_later() {
    let mut t = Bench::invite();
    let timing = transaction::Timing { fr: secs(2), ..transaction::Timing::default() };
    assert!(t.shard.set_timing(t.id, timing));
    t.relay(1);
    t.take();
    t.until(3_000);
    t.expect(&[
        "500 b0 > INVITE",
        "1500 b0 > INVITE",
        "2000 make 408",
        "2000 caller < 408",
        "2000 completed 408 local",
        "2500 caller < 408",
    ]);
}

#[test]
fn with_internal_replies_disabled_the_caller_gets_nothing() {
    let mut t = Bench::new("INVITE", |new| new.options.disable_internal_reply = true);
    t.relay(1);
    t.until(29_999);
    t.take();
    t.until(60_000);
    t.expect(&["30000 completed 408 local", "35000 freed"]);
}

/// A worker that comes late neither shifts the series nor makes up for what it missed.
#[test]
fn a_late_worker_does_not_shift_the_series() {
    let mut t = Bench::invite();
    t.relay(1);
    t.take();
    let mut out = Vec::new();
    for ms in [499, 620, 1_499, 1_500, 9_000, 15_499, 15_500] {
        t.now = transaction::Timestamp::from_millis(ms);
        out.clear();
        t.shard.expire(t.now, &mut out);
        let sent = usize::from(![499, 1_499, 15_499].contains(&ms));
        assert_eq!(out.len(), sent, "at {ms}: {out:?}");
        if ms == 9_000 {
            // Due at 3500, and the next at 7500 is missed: from here on 4 s, not a burst.
            t.now = transaction::Timestamp::from_millis(12_999);
            t.shard.expire(t.now, &mut out);
            assert_eq!(out.len(), 1);
            break;
        }
    }
}
