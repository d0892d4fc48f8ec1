//! CANCEL: RFC 3261 §9, §16.10.

mod common;
use common::*;
use message::Message;
use transaction::*;

#[test]
fn a_ringing_branch_is_cancelled_and_its_487_answers_the_caller() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.take();
    t.cancel();
    t.expect(&["0 b0 > CANCEL"]);
    t.cancel_answered(0, 200);
    t.reply(0, 487);
    t.expect(&["0 b0 > ACK", "0 caller < 487", "0 completed 487 b0"]);
    // The CANCEL was answered: it is not sent again. The 487 is, until the caller's ACK.
    t.until(500);
    t.expect(&["500 caller < 487"]);
    t.step(Input::Ack);
    t.until(40_000);
    t.expect(&["32000 freed"]);
}

#[test]
fn before_a_provisional_reply_the_cancel_waits_for_one() {
    let mut t = Bench::invite();
    t.relay(1);
    t.take();
    t.cancel();
    t.expect(&[]);
    t.until(500);
    t.expect(&["500 b0 > INVITE"]);
    t.reply(0, 100);
    t.expect(&["500 b0 > CANCEL"]);
    t.reply(0, 487);
    t.expect(&["500 b0 > ACK", "500 caller < 487", "500 completed 487 b0"]);
}

#[test]
fn the_cancel_is_sent_again_like_any_non_invite() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.cancel();
    t.take();
    t.until(12_000);
    t.expect(&[
        "500 b0 > CANCEL",
        "1500 b0 > CANCEL",
        "3500 b0 > CANCEL",
        "7500 b0 > CANCEL",
        "11500 b0 > CANCEL",
    ]);
}

#[test]
fn a_branch_that_never_answers_after_the_cancel_counts_as_487() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.cancel();
    t.cancel_answered(0, 200);
    t.take();
    t.until(31_999);
    t.expect(&[]);
    t.until(32_000);
    t.expect(&["32000 make 487", "32000 caller < 487", "32000 completed 487 local"]);
}

#[test]
fn without_branches_the_487_goes_out_at_once_and_nothing_is_relayed() {
    let mut t = Bench::invite();
    t.take();
    t.cancel();
    t.expect(&["0 make 487", "0 caller < 487", "0 completed 487 local"]);
    t.relay(1);
    t.expect(&[]);
    assert_eq!(t.shard.view(t.id).map(|v| v.branch_count()), Some(0));
}

#[test]
fn a_second_cancel_changes_nothing() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.cancel();
    t.take();
    t.cancel();
    t.expect(&[]);
}

#[test]
fn a_200_that_crosses_the_cancel_is_forwarded() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.cancel();
    t.take();
    t.reply(0, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b0"]);
}

#[test]
fn after_the_final_reply_a_cancel_has_no_effect() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 486);
    t.take();
    t.cancel();
    t.expect(&[]);
    assert_eq!(t.shard.view(t.id).map(|v| v.is_canceled()), Some(false));
}

#[test]
fn a_cancel_has_no_effect_on_a_non_invite() {
    let mut t = Bench::new("OPTIONS", |_| {});
    t.relay(1);
    t.take();
    t.cancel();
    t.reply(0, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b0"]);
}

#[test]
fn both_branches_are_cancelled_and_one_487_goes_up() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 180);
    t.reply(1, 180);
    t.take();
    t.cancel();
    t.reply(0, 487);
    t.expect(&["0 b0 > CANCEL", "0 b1 > CANCEL", "0 b0 > ACK"]);
    t.reply(1, 487);
    t.expect(&["0 b1 > ACK", "0 caller < 487", "0 completed 487 b0"]);
}

/// Observed of Kamailio: an earlier 404 is the better reply even for a caller who gave up.
#[test]
fn a_reply_received_before_the_cancel_may_be_the_best() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 404);
    t.reply(1, 180);
    t.cancel();
    t.take();
    t.reply(1, 487);
    t.expect(&["0 b1 > ACK", "0 caller < 404", "0 completed 404 b0"]);
}

#[test]
fn the_failure_route_of_a_cancelled_branch_that_never_answered_sees_487() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.cancel();
    t.until(29_999);
    t.take();
    t.until(30_000);
    t.expect(&["30000 run Failure b0 487"]);
    t.routed(Outcome::default());
    t.expect(&["30000 make 487", "30000 caller < 487", "30000 completed 487 local"]);
}

#[test]
fn the_failure_route_runs_for_a_cancelled_call_but_starts_nothing() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 180);
    t.cancel();
    t.take();
    t.reply(0, 487);
    t.expect(&["0 b0 > ACK", "0 run Failure b0 487"]);
    t.routed_branches(1, NOTHING);
    t.expect(&["0 make 487", "0 caller < 487", "0 completed 487 local"]);
}

#[test]
fn t_cancel_branches_cancels_one() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 180);
    t.reply(1, 180);
    t.take();
    t.step(Input::CancelBranches { only: Some(1), rows: b"Reason: SIP;cause=200\r\n"[..].into() });
    t.expect(&["0 b1 > CANCEL"]);
    t.reply(1, 487);
    t.expect(&["0 b1 > ACK"]);
    t.reply(0, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b0"]);
}

/// §9.1: Request-URI, Call-ID, To, the numeric part of CSeq and From as in the request, one Via equal to its topmost.
#[test]
fn the_cancel_names_the_request_that_was_sent() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    let mut out = Vec::new();
    let rows = b"Reason: SIP;cause=600\r\n"[..].into();
    t.shard.step(t.id, Input::Cancel { rows }, t.now, &mut out).expect("alive");
    let [Action::Transmit { bytes, hop }] = &out[..] else { panic!("{out:?}") };
    assert_eq!(hop.remote.port(), 6000);
    let cancel = Message::parse(bytes).expect("a message");
    let mut branch = Vec::new();
    t.id.write_branch(0, &mut branch);
    assert_eq!(cancel.method_text(), b"CANCEL");
    assert_eq!(cancel.vias().count(), 1);
    assert_eq!(cancel.via().ok().and_then(|via| via.branch), Some(&branch[..]));
    assert_eq!(cancel.cseq().map(|cseq| cseq.number), Ok(7));
    assert_eq!(cancel.call_id(), b"call-1");
    assert!(cancel.to().is_ok_and(|to| to.tag().is_none()));
    assert_eq!(cancel.headers_by_text(b"Reason").next().map(|h| h.value), Some(&b"SIP;cause=600"[..]));
}

#[test]
fn after_the_cancel_a_relay_starts_nothing() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 180);
    t.cancel();
    t.take();
    t.relay(1);
    t.expect(&[]);
    t.reply(0, 487);
    t.expect(&["0 b0 > ACK", "0 caller < 487", "0 completed 487 b0"]);
}

/// The wait of 64*T1 for the 487 may go past `max_inv_lifetime`.
#[test]
fn a_cancel_shortly_before_the_lifetime_ends() {
    let mut t = Bench::invite();
    t.relay(1);
    for ms in [0, 100_000, 170_000] {
        t.until(ms);
        t.reply(0, 180);
    }
    t.cancel();
    t.until(201_999);
    assert_eq!(t.take().last().map(String::as_str), Some("197500 b0 > CANCEL"));
    t.until(202_000);
    t.expect(&["202000 make 487", "202000 caller < 487", "202000 completed 487 local"]);
}
