//! Who wants to see replies that go to the caller gets those of branches once, and none that was made here.

mod common;
use common::*;
use transaction::*;

fn told(branches: usize, change: impl FnOnce(&mut NewTransaction)) -> Bench {
    let mut t = Bench::new("INVITE", change);
    t.shard.tell_forwards();
    t.relay(branches);
    t.take();
    t
}

#[test]
fn a_provisional_and_the_first_2xx() {
    let mut t = told(2, |_| {});
    t.reply(0, 100);
    t.reply(0, 180);
    t.step(Input::Retransmission);
    t.expect(&["0 caller < 180 made of 180 of b0 from 6000", "0 caller < 180"]);
    t.reply(1, 200);
    t.expect(&["0 caller < 200 made of 200 of b1 from 6001", "0 completed 200 b1", "0 b0 > CANCEL"]);
    // As Kamailio: neither this one again nor that of another branch.
    t.reply(1, 200);
    t.reply(0, 200);
    t.expect(&["0 caller < 200", "0 caller < 200"]);
}

#[test]
fn the_best_failure() {
    let mut t = told(1, |_| {});
    t.reply(0, 503);
    t.expect(&["0 b0 > ACK", "0 caller < 500 made of 503 of b0 from 6000", "0 completed 500 b0"]);
    t.until(500);
    t.expect(&["500 caller < 500"]);

    let mut t = told(2, |_| {});
    t.reply(0, 401);
    t.reply(1, 407);
    assert!(t.take().iter().any(|l| l.contains("merge")), "the challenges are merged");
    let merged = t.local(401);
    t.step(Input::Reply(merged));
    assert_eq!(t.take()[0], "0 caller < 401 made of 401 of b0 from 6000");
}

#[test]
fn what_is_made_here() {
    let mut t = told(1, |_| {});
    t.reply(0, 180);
    t.cancel();
    t.reply(0, 487);
    let sent: Vec<String> = t.take().into_iter().filter(|l| l.contains("caller")).collect();
    assert_eq!(
        sent,
        ["0 caller < 180 made of 180 of b0 from 6000", "0 caller < 487 made of 487 of b0 from 6000"]
    );

    let mut t = told(1, |_| {});
    t.until(30_000);
    let sent: Vec<String> = t.take().into_iter().filter(|l| l.contains("caller")).collect();
    assert_eq!(sent, ["30000 caller < 408"]);
}
