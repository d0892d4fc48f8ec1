//! The best reply: RFC 3261 §16.7 steps 6 and 7.

mod common;
use common::*;
use message::Message;
use transaction::*;

/// What the caller gets when the branches fail with these codes, in this order.
fn best(codes: &[u16]) -> String {
    let mut t = Bench::invite();
    t.relay(codes.len());
    for (branch, code) in codes.iter().enumerate() {
        t.reply(branch as u16, *code);
    }
    t.take().into_iter().filter(|line| line.starts_with("0 completed")).collect()
}

#[test]
fn the_choice() {
    assert_eq!(best(&[486, 404]), "0 completed 404 b1");
    assert_eq!(best(&[404, 302]), "0 completed 302 b1");
    assert_eq!(best(&[503, 407, 501, 404]), "0 completed 407 b1", "the RFC's example");
    assert_eq!(best(&[404, 484]), "0 completed 484 b1");
    assert_eq!(best(&[302, 603, 404]), "0 completed 603 b1");
    assert_eq!(best(&[503, 502]), "0 completed 502 b1");
    assert_eq!(best(&[503, 504]), "0 completed 504 b1", "a 503 says the least");
    assert_eq!(best(&[486, 486]), "0 completed 486 b0");
}

#[test]
fn a_503_is_forwarded_as_500() {
    assert_eq!(best(&[503]), "0 completed 500 b0");
    let mut t = Bench::invite();
    t.relay(1);
    let mut out = Vec::new();
    t.shard.step(t.id, t.reply_input(0, 503, "INVITE", "Retry-After: 5\n"), t.now, &mut out).expect("alive");
    let sent = out.iter().find_map(|action| match action {
        Action::Transmit { hop, bytes } if hop.remote.port() == 5060 => Message::parse(bytes).ok(),
        _ => None,
    });
    let sent = sent.expect("a reply to the caller");
    assert_eq!((sent.status(), sent.reason()), (500, &b"Reason"[..]));
    assert_eq!(sent.vias().count(), 1);

    let mut t = Bench::new("INVITE", |new| new.options.keep_503 = true);
    t.relay(1);
    t.take();
    t.reply(0, 503);
    t.expect(&["0 b0 > ACK", "0 caller < 503", "0 completed 503 b0"]);
}

#[test]
fn a_received_reply_beats_a_timeout_of_the_same_code() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(1, 408);
    t.until(29_999);
    t.take();
    t.until(30_000);
    t.expect(&["30000 caller < 408", "30000 completed 408 b1"]);
}

#[test]
fn several_challenges_are_merged() {
    let mut t = Bench::invite();
    t.relay(3);
    t.reply_rows(0, 407, "Proxy-Authenticate: Digest realm=\"a\", nonce=\"1\"\n");
    t.reply(1, 404);
    t.take();
    t.reply_rows(2, 401, "WWW-Authenticate: Digest realm=\"b\", nonce=\"2\"\n");
    t.expect(&["0 b2 > ACK", "0 merge b2 of 2"]);
    // What came meanwhile does not make it choose again.
    t.reply(1, 404);
    t.expect(&["0 b1 > ACK"]);
    let reply = t.local(401);
    t.step(Input::Reply(reply));
    t.expect(&["0 caller < 401", "0 completed 401 b2"]);
}

#[test]
fn one_challenge_is_forwarded_as_it_is() {
    let mut t = Bench::invite();
    t.relay(2);
    t.reply(0, 407);
    t.take();
    t.reply(1, 404);
    t.expect(&["0 b1 > ACK", "0 caller < 407", "0 completed 407 b0"]);
}

#[test]
fn a_200_while_the_caller_prints_a_408_wins() {
    let mut t = Bench::invite();
    t.auto = false;
    t.relay(1);
    t.until(30_000);
    assert_eq!(t.take().last().map(String::as_str), Some("30000 make 408"));
    t.reply(0, 200);
    t.expect(&["30000 caller < 200", "30000 completed 200 b0"]);
    let late = t.local(408);
    t.step(Input::Reply(late));
    t.expect(&[]);
}

#[test]
fn a_view_names_the_best_branch_in_the_failure_route() {
    let mut t = Bench::invite();
    t.relay_armed(2, armed(false, true, false));
    t.reply(0, 486);
    t.reply(1, 404);
    let view = t.shard.view(t.id).expect("alive");
    let best = view.best().expect("a best reply");
    assert_eq!((best.number, best.code), (1, 404));
    assert_eq!(best.uri, b"sip:bob@10.0.0.1:6001");
    assert_eq!(
        view.branches().map(|b| (b.code, b.state, b.pending)).collect::<Vec<_>>(),
        [(486, "Completed", false), (404, "Completed", false)]
    );
    assert!(view.any_replied() && !view.any_timed_out());
}
