//! What modules hear of a request and its transaction, and when.
#![allow(clippy::unwrap_used)]

mod common;
use std::sync::{Arc, Mutex};

use common::*;
use script::{Interest, Module, Moment, RouteContext, RunOutcome};

const ALL: Interest = Interest::CREATED
    .or(Interest::FORWARDED)
    .or(Interest::PROVISIONAL)
    .or(Interest::FAILING)
    .or(Interest::FINAL)
    .or(Interest::CANCEL)
    .or(Interest::ACK)
    .or(Interest::FREED)
    .or(Interest::ROUTE_ENDED);

/// Writes down what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Module for Ear {
    fn name(&self) -> &'static str {
        "ear"
    }
    fn interest(&self) -> Interest {
        ALL
    }
    fn hear(&self, ctx: &mut RouteContext<'_>, moment: &Moment<'_>) {
        if matches!(moment, Moment::Created) && ctx.flags & 1 != 0 {
            ctx.watch = ctx.watch | ALL;
            ctx.kept.put(Arc::new(7_u8));
        }
        if matches!(moment, Moment::Failing) {
            // As accounting does: told once.
            ctx.flags &= !2;
        }
        let kept = ctx.kept.get::<u8>().map_or(0, |n| *n);
        let local = if ctx.reply.is_some() { "received" } else { "local" };
        self.0.lock().unwrap().push(match moment {
            Moment::Provisional | Moment::Failing | Moment::Final => {
                format!("{moment:?} {} {local} flags {} kept {kept}", ctx.reply_code, ctx.flags)
            }
            _ => format!("{moment:?} {} kept {kept}", String::from_utf8_lossy(ctx.message.method_text())),
        });
    }
}

fn bench(flags: u32, route: impl Fn(&mut RouteContext<'_>) -> RunOutcome + 'static) -> (Bench, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let b = Bench::with_modules(vec![ear.clone()], move |ctx| {
        ctx.flags = flags;
        route(ctx)
    });
    (b, ear)
}

impl Ear {
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn invite(b: &Bench, branch: &str) -> String {
    let out = b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", branch, ""));
    out.into_iter().find(|(to, _)| to == BOB).unwrap().1
}

#[test]
fn a_call_is_told_from_its_invite_to_the_end_of_its_transaction() {
    let (mut b, ear) = bench(1, relay);
    let sent = invite(&b, "h1");
    assert_eq!(
        ear.heard(),
        ["Created INVITE kept 7", "Forwarded { branches: 1 } INVITE kept 7", "RouteEnded INVITE kept 7"]
    );
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    b.send(BOB, &reply(&sent, "200 OK", "tb"));
    assert_eq!(ear.heard(), ["Provisional 180 received flags 1 kept 7", "Final 200 received flags 1 kept 7"]);
    let ack = request("ACK", "sip:bob@10.0.0.3", "h1", "").replace("z9hG4bKh1", "z9hG4bKack");
    b.send(ALICE, &ack.replace("To: <sip:bob@b>", "To: <sip:bob@b>;tag=tb"));
    assert_eq!(ear.heard(), ["Ack ACK kept 7", "RouteEnded ACK kept 0"]);
    b.advance(40_000);
    assert_eq!(ear.heard(), ["Freed INVITE kept 7"]);
}

#[test]
fn a_failed_leg_is_told_before_its_failure_route_and_a_refusal_made_there_as_well() {
    let (b, ear) = bench(3, |ctx| {
        if ctx.message.method() == message::Method::Invite {
            ctx.armed.on_failure = ctx.core.callbacks.intern(b"failure");
        }
        relay(ctx)
    });
    b.route("failure", |ctx| {
        assert_eq!(ctx.flags, 1, "what was changed before the route, it sees");
        ctx.transactions.reply(ctx, 404, b"Gone");
        RunOutcome::Returned(1)
    });
    let sent = invite(&b, "h2");
    ear.heard();
    b.send(BOB, &reply(&sent, "486 Busy Here", "tb"));
    assert_eq!(
        ear.heard(),
        [
            "Failing 486 received flags 1 kept 7",
            "Failing 404 local flags 1 kept 7",
            "Final 404 local flags 1 kept 7"
        ]
    );
}

#[test]
fn replies_made_here_are_told_too() {
    let (mut b, ear) = bench(1, relay);
    invite(&b, "h3");
    ear.heard();
    b.advance(31_000);
    assert_eq!(ear.heard(), ["Failing 408 local flags 1 kept 7", "Final 408 local flags 1 kept 7"]);

    let (b, ear) = bench(1, |ctx| {
        ctx.transactions.reply(ctx, 403, b"No");
        RunOutcome::Returned(1)
    });
    b.send(ALICE, &request("INVITE", "sip:bob@10.0.0.3", "h4", ""));
    let heard = ear.heard();
    assert_eq!(
        heard[1..3],
        ["Failing 403 local flags 1 kept 7", "Final 403 local flags 1 kept 7"],
        "{heard:?}"
    );
}

#[test]
fn a_cancelled_call_is_told_as_cancel_and_as_failure() {
    let (b, ear) = bench(1, relay);
    let sent = invite(&b, "h5");
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    ear.heard();
    b.send(ALICE, &request("CANCEL", "sip:bob@10.0.0.3", "h5", ""));
    assert_eq!(ear.heard(), ["Cancel CANCEL kept 0", "RouteEnded CANCEL kept 0"]);
    b.send(BOB, &reply(&sent, "487 Request Terminated", "tb"));
    assert_eq!(ear.heard(), ["Failing 487 received flags 1 kept 7", "Final 487 received flags 1 kept 7"]);
}

#[test]
fn a_transaction_that_nobody_watches_is_not_told() {
    let (b, ear) = bench(0, relay);
    let sent = invite(&b, "h6");
    b.send(BOB, &reply(&sent, "180 Ringing", "tb"));
    b.send(BOB, &reply(&sent, "486 Busy Here", "tb"));
    assert_eq!(ear.heard(), ["Created INVITE kept 0", "RouteEnded INVITE kept 0"]);
}
