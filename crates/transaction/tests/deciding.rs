//! Routes in the middle of a decision: what waits, what is absorbed, and what beats the route's wishes.

mod common;
use common::*;
use transaction::*;

#[test]
fn cancel_during_failure_route_beats_new_branches() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 180);
    t.reply(0, 486);
    t.expect(&["0 caller < 100", "0 b0 > INVITE", "0 caller < 180", "0 b0 > ACK", "0 run Failure b0 486"]);
    t.cancel();
    t.expect(&[]);
    t.routed_branches(2, armed(false, true, false));
    t.expect(&["0 make 487", "0 caller < 487", "0 completed 487 local"]);
    assert_eq!(t.shard.view(t.id).map(|v| (v.branch_count(), v.is_canceled())), Some((1, true)));
}

#[test]
fn cancel_during_failure_route_that_adds_nothing_leaves_the_best_reply() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 486);
    t.cancel();
    t.take();
    t.routed(Outcome::default());
    t.expect(&["0 caller < 486", "0 completed 486 b0"]);
}

#[test]
fn cancel_during_failure_route_of_a_timeout_becomes_487() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.until(30_000);
    assert_eq!(t.take().last().map(String::as_str), Some("30000 run Failure b0 408"));
    t.cancel();
    t.routed_branches(1, NOTHING);
    t.expect(&["30000 make 487", "30000 caller < 487", "30000 completed 487 local"]);
}

#[test]
fn late_200_during_failure_route_wins_over_new_branches() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 180);
    t.until(120_000);
    t.expect(&[
        "0 caller < 100",
        "0 b0 > INVITE",
        "0 caller < 180",
        "120000 b0 > CANCEL",
        "120000 run Failure b0 408",
    ]);
    t.reply(0, 200);
    t.expect(&[]);
    t.routed_branches(1, armed(false, true, false));
    t.expect(&["120000 caller < 200", "120000 completed 200 b0"]);
    assert_eq!(t.shard.view(t.id).map(|v| v.branch_count()), Some(1));
}

#[test]
fn late_200_during_failure_route_wins_over_its_reply() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 180);
    t.until(120_000);
    t.take();
    t.reply(0, 200);
    let reply = Some(t.local(480));
    t.routed(Outcome { reply, ..Outcome::default() });
    t.expect(&["120000 caller < 200", "120000 completed 200 b0"]);
}

#[test]
fn late_200_passes_the_reply_route_before_it_wins() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(true, true, false));
    t.until(30_000);
    t.take();
    t.reply(0, 200);
    t.routed_branches(1, armed(true, true, false));
    t.expect(&["30000 run OnReply b0 200"]);
    t.routed(Outcome::default());
    t.expect(&["30000 caller < 200", "30000 completed 200 b0"]);
}

#[test]
fn cancel_and_late_200_together_the_200_wins() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.until(30_000);
    t.take();
    t.cancel();
    t.reply(0, 200);
    t.routed_branches(1, NOTHING);
    t.expect(&["30000 caller < 200", "30000 completed 200 b0"]);
}

#[test]
fn retransmissions_are_absorbed_while_a_route_runs() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 486);
    t.take();
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 100"]);
    assert_eq!(t.shard.counts().absorbed, 1);
    assert_eq!(t.shard.view(t.id).and_then(|v| v.deciding()), Some(Route::Failure));
}

#[test]
fn replies_wait_in_order_and_are_worked_off_one_route_at_a_time() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(true, false, false));
    t.take();
    t.reply(0, 180);
    t.reply(1, 183);
    t.reply(1, 200);
    t.expect(&["0 run OnReply b0 180"]);
    t.routed(Outcome::default());
    t.expect(&["0 caller < 180", "0 run OnReply b1 183"]);
    t.routed(Outcome::default());
    t.expect(&["0 caller < 183", "0 run OnReply b1 200"]);
    t.routed(Outcome::default());
    t.expect(&["0 caller < 200", "0 completed 200 b1", "0 b0 > CANCEL"]);
}

#[test]
fn timers_wait_for_the_route() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(true, false, false));
    t.reply(0, 180);
    t.take();
    t.until(10_000);
    t.expect(&[]);
    t.routed(Outcome::default());
    t.expect(&["10000 caller < 180"]);
    // Timer A of the other branch, once, and then at its interval again.
    t.until(11_000);
    t.expect(&["10000 b1 > INVITE", "11000 b1 > INVITE"]);
}

/// Observed of Kamailio: the reply route holds for every leg, the other two for the leg they were armed for.
#[test]
fn the_reply_route_persists_and_sees_a_100() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(true, true, true));
    t.take();
    t.reply(0, 100);
    t.routed(Outcome::default());
    t.expect(&["0 run OnReply b0 100"]);
    t.reply(0, 404);
    t.routed(Outcome::default());
    t.routed(Outcome::default());
    t.expect(&["0 b0 > ACK", "0 run OnReply b0 404", "0 run BranchFailure b0 404", "0 run Failure b0 404"]);
    t.routed_branches(1, NOTHING);
    t.reply(1, 480);
    t.routed(Outcome::default());
    t.expect(&[
        "0 b1 > INVITE",
        "0 b1 > ACK",
        "0 run OnReply b1 480",
        "0 caller < 480",
        "0 completed 480 b1",
    ]);
}

#[test]
fn a_dropped_provisional_is_not_forwarded_but_a_final_is() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(true, false, false));
    t.take();
    t.reply(0, 183);
    t.routed(Outcome { drop: true, ..Outcome::default() });
    t.reply(0, 486);
    t.routed(Outcome { drop: true, ..Outcome::default() });
    t.expect(&[
        "0 run OnReply b0 183",
        "0 b0 > ACK",
        "0 run OnReply b0 486",
        "0 caller < 486",
        "0 completed 486 b0",
    ]);
}

#[test]
fn the_reply_route_changes_what_is_forwarded() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(true, false, false));
    t.take();
    t.reply(0, 183);
    // Told apart by the code.
    let forward = Some(t.local(199).bytes);
    t.routed(Outcome { forward, ..Outcome::default() });
    t.expect(&["0 run OnReply b0 183", "0 caller < 199"]);
}

#[test]
fn branch_failure_adds_a_branch_while_others_ring() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(false, true, true));
    t.reply(1, 180);
    t.take();
    t.reply(0, 503);
    t.expect(&["0 b0 > ACK", "0 run BranchFailure b0 503"]);
    t.routed_branches(1, NOTHING);
    t.expect(&["0 b2 > INVITE"]);
    t.reply(2, 404);
    t.expect(&["0 b2 > ACK", "0 run BranchFailure b2 404"]);
    t.routed(Outcome::default());
    t.reply(1, 486);
    t.routed(Outcome::default());
    t.expect(&["0 b1 > ACK", "0 run BranchFailure b1 486", "0 run Failure b2 404"]);
    t.routed(Outcome::default());
    t.expect(&["0 caller < 404", "0 completed 404 b2"]);
}

#[test]
fn a_route_that_never_comes_back_is_given_up() {
    let mut t = Bench::invite();
    t.relay_armed(1, armed(false, true, false));
    t.reply(0, 486);
    t.take();
    t.until(179_999);
    t.expect(&[]);
    t.until(180_000);
    t.expect(&["180000 caller < 486", "180000 completed 486 b0"]);
}

#[test]
fn a_suspended_request_is_continued() {
    let mut t = Bench::invite();
    t.step(Input::Suspend);
    assert_eq!(t.shard.view(t.id).map(|v| v.is_suspended()), Some(true));
    t.until(5_000);
    t.routed_branches(1, NOTHING);
    t.reply(0, 200);
    t.expect(&["0 caller < 100", "5000 b0 > INVITE", "5000 caller < 200", "5000 completed 200 b0"]);
}

#[test]
fn a_suspended_request_times_out_into_the_failure_route() {
    let mut t = Bench::invite();
    t.shard.set_armed(t.id, armed(false, true, false));
    t.step(Input::Suspend);
    t.take();
    t.until(30_000);
    t.expect(&["30000 run Failure b0 408"]);
    t.routed(Outcome::default());
    t.expect(&["30000 make 408", "30000 caller < 408", "30000 completed 408 local"]);
}

#[test]
fn a_suspended_request_is_cancelled_at_once_and_not_relayed_afterwards() {
    let mut t = Bench::invite();
    t.step(Input::Suspend);
    t.take();
    t.cancel();
    t.expect(&["0 make 487", "0 caller < 487", "0 completed 487 local"]);
    t.routed_branches(1, NOTHING);
    t.expect(&[]);
}
