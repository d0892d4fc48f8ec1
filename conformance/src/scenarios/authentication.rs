//! Digest authentication (RFC 3261 §22): who is challenged, and what is answered to credentials that are right, wrong, stale, of
//! somebody else, or no credentials at all. The script's `X-Auth` tells the result of the check.

use super::Transcript;
use super::stage::{Stage, request};
use crate::digest::Credentials;
use crate::subject::Subject;

/// What a phone with this password answers to a challenge.
fn credentials(method: &str, user: &str, password: &str, challenge: &str) -> String {
    Credentials { user, password }.answer(challenge, method, "sip:conformance.test", 1)
}

pub(super) fn register_digest(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let ask = |s: &mut Stage, cseq: u32, rows: &str, code: &str| {
        let text = s.register_text("bob", "bob", "", cseq, &format!("X-Do: auth\n{rows}"));
        s.request("bob", &text);
        s.peer("bob").expect(code)
    };
    let challenge = ask(&mut s, 1, "", "401").header("WWW-Authenticate").to_owned();
    let row = |user: &str, password: &str, challenge: &str| {
        format!("Authorization: {}\n", credentials("REGISTER", user, password, challenge))
    };
    let right = row("bob", "secret", &challenge);
    ask(&mut s, 2, &right, "200 OK");
    let mut result = |cseq: u32, rows: &str, wanted: &str| {
        let refused = ask(&mut s, cseq, rows, "401");
        assert_eq!(refused.header("X-Auth"), wanted, "{rows}");
    };
    result(3, &row("bob", "wrong", &challenge), "-2");
    result(4, &row("carol", "secret", &challenge), "-8");
    result(5, &row("bob", "secret", "Digest realm=\"conformance.test\", nonce=\"bm90IG91cnM=\""), "-1");
    result(6, &right.replace("realm=\"conformance.test\"", "realm=\"elsewhere\""), "-5");
    result(7, &right.replace(", cnonce=\"0a4f113b\"", ""), "-1");
    result(8, "Authorization: Basic Ym9iOnNlY3JldA==\n", "-5");
    result(9, &row("' OR '1'='1", "secret", &challenge), "-8");
    result(10, &right.replace("bob", "%s%n"), "-2");
    result(11, &right.replace("bob", &"b".repeat(2_000)), "-2");
    result(12, &right.replace("username", "nonsense"), "-1");
    // Its Call-ID is part of the nonce (`auth_checks_register`): in another registration it is stale.
    let text = s.register_text("bob", "bob", "", 13, &format!("X-Do: auth\n{right}"));
    s.request("bob", &text.replace("Call-ID: reg", "Call-ID: other"));
    let stale = s.peer("bob").expect("401");
    assert_eq!(stale.header("X-Auth"), "-4");
    assert!(stale.header("WWW-Authenticate").contains("stale=true"), "{}", stale.0);
    ask(&mut s, 14, &right, "200 OK");
    s.end()
}

/// The proxy asks for credentials and does not pass them on.
pub(super) fn message_digest(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.at("alice");
    let text = request(alice, "MESSAGE", "bob", "digest1", "X-Do: auth\n");
    s.request("alice", &text);
    let challenge = s.peer("alice").expect("407").header("Proxy-Authenticate").to_owned();
    let wrong = credentials("MESSAGE", "alice", "wrong", &challenge);
    let rows = format!("X-Do: auth\nProxy-Authorization: {wrong}\n");
    s.request("alice", &request(alice, "MESSAGE", "bob", "digest2", &rows));
    s.peer("alice").expect("407");
    let right = credentials("MESSAGE", "alice", "secret", &challenge);
    let others = credentials("MESSAGE", "alice", "other", "Digest realm=\"elsewhere\", nonce=\"n\"");
    let rows = format!("X-Do: auth\nProxy-Authorization: {others}\nProxy-Authorization: {right}\n");
    s.request("alice", &request(alice, "MESSAGE", "bob", "digest3", &rows));
    let message = s.peer("bob").expect("MESSAGE");
    assert_eq!(message.all("Proxy-Authorization").len(), 1, "the others' stay: {}", message.0);
    s.reply("bob", &message.reply("200 OK", "t-bob", ""));
    s.peer("alice").expect("200 OK");
    s.end()
}
