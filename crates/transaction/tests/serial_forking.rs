//! Serial forking: the failure route tries somebody else.

mod common;
use common::*;
use transaction::*;

const FAILURE: Armed = Armed { on_reply: false, failure: true, branch_failure: false, told: false };

#[test]
fn the_failure_route_tries_another_and_it_answers() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    t.take();
    t.routed_branches(1, FAILURE);
    t.expect(&["0 b1 > INVITE"]);
    t.reply(1, 180);
    t.reply(1, 200);
    t.expect(&["0 caller < 180", "0 caller < 200", "0 completed 200 b1"]);
}

#[test]
fn the_arm_holds_for_one_shot() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    t.take();
    t.routed_branches(1, NOTHING);
    t.reply(1, 500);
    t.expect(&["0 b1 > INVITE", "0 b1 > ACK", "0 caller < 500", "0 completed 500 b1"]);
}

#[test]
fn armed_again_it_runs_again() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    t.routed_branches(1, FAILURE);
    t.reply(1, 404);
    t.routed_branches(1, FAILURE);
    t.take();
    t.reply(2, 503);
    t.expect(&["0 b2 > ACK", "0 run Failure b2 503"]);
    t.routed(Outcome::default());
    t.expect(&["0 caller < 500", "0 completed 500 b2"]);
}

/// `failure_reply_mode` 3, Kamailio's default: the replies of earlier legs are forgotten.
#[test]
fn earlier_legs_are_forgotten_unless_kept() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 302);
    t.routed_branches(1, NOTHING);
    t.take();
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 486", "0 completed 486 b1"]);

    let mut t = Bench::new("INVITE", |new| new.options.keep_replies = true);
    t.relay_armed(1, FAILURE);
    t.reply(0, 302);
    t.routed_branches(1, NOTHING);
    t.take();
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 302", "0 completed 302 b0"]);

    let mut t = Bench::new("INVITE", |new| new.options.keep_replies = true);
    t.relay_armed(1, FAILURE);
    t.reply(0, 302);
    let branches = t.branches(1);
    t.routed(Outcome { branches, drop_replies: Some(true), ..Outcome::default() });
    t.take();
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 486", "0 completed 486 b1"]);

    // t_drop_replies("n")
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 302);
    let branches = t.branches(1);
    t.routed(Outcome { branches, drop_replies: Some(false), ..Outcome::default() });
    t.take();
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 302", "0 completed 302 b0"]);
}

#[test]
fn the_failure_route_answers_itself() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    t.take();
    let reply = Some(t.local(302));
    t.routed(Outcome { reply, ..Outcome::default() });
    t.expect(&["0 caller < 302", "0 completed 302 local"]);
}

#[test]
fn a_provisional_from_the_failure_route_and_another_branch() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    t.take();
    let (reply, branches) = (Some(t.local(181)), t.branches(1));
    t.routed(Outcome { reply, branches, ..Outcome::default() });
    t.expect(&["0 caller < 181", "0 b1 > INVITE"]);
}

#[test]
fn a_timeout_leads_to_the_failure_route_and_on() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.take();
    t.until(30_000);
    let log = t.take();
    assert_eq!(log.last().map(String::as_str), Some("30000 run Failure b0 408"), "{log:?}");
    t.routed_branches(1, NOTHING);
    t.reply(1, 200);
    t.expect(&["30000 b1 > INVITE", "30000 caller < 200", "30000 completed 200 b1"]);
}

/// Unlike RFC 3261 §16.7 step 5 a failure route may try somebody else after a 6xx, as Kamailio's `disable_6xx_block` describes.
#[test]
fn after_a_6xx_the_failure_route_may_go_on() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 603);
    t.take();
    t.routed_branches(1, NOTHING);
    t.expect(&["0 b1 > INVITE"]);
    t.reply(1, 486);
    t.expect(&["0 b1 > ACK", "0 caller < 486", "0 completed 486 b1"]);
}

#[test]
fn a_relay_from_the_request_route_adds_branches_to_running_ones() {
    let mut t = Bench::invite();
    t.relay(1);
    t.relay(1);
    t.take();
    t.reply(0, 486);
    t.expect(&["0 b0 > ACK"]);
    t.reply(1, 200);
    t.expect(&["0 caller < 200", "0 completed 200 b1"]);
}

#[test]
fn a_2xx_of_an_earlier_leg_ends_the_present_one() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 180);
    t.until(120_000);
    t.routed_branches(1, FAILURE);
    t.reply(1, 180);
    t.take();
    t.reply(0, 200);
    t.expect(&["120000 caller < 200", "120000 completed 200 b0", "120000 b1 > CANCEL"]);
}

/// The request route relays again while the failure route of its first branch runs: each has numbers of its own.
#[test]
fn branches_are_found_by_their_numbers_whoever_comes_first() {
    let mut t = Bench::invite();
    t.relay_armed(1, FAILURE);
    t.reply(0, 486);
    assert_eq!(t.shard.reserve_branches(t.id, 1), Some(1));
    let first = t.branches(1);
    assert_eq!(t.shard.reserve_branches(t.id, 1), Some(2));
    let second = t.branches(1);
    t.take();
    t.step(Input::Relay { branches: first, armed: NOTHING });
    t.routed(Outcome { branches: second, ..Outcome::default() });
    t.expect(&["0 b2 > INVITE", "0 b1 > INVITE"]);
    t.reply(1, 404);
    t.reply(2, 200);
    t.expect(&["0 b1 > ACK", "0 caller < 200", "0 completed 200 b2"]);
    let view = t.shard.view(t.id).expect("alive");
    assert_eq!(view.branch(1).map(|b| b.code), Some(404));
    assert_eq!(view.branches().map(|b| b.number).collect::<Vec<_>>(), [0, 2, 1]);
}
