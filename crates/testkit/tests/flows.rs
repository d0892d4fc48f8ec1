//! Call flows over a perfect network: what each looks like as a ladder.

mod common;
use std::time::Duration;

use common::*;
use testkit::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const SILENT: Plan = Plan { ring: None, answer: None };

fn rings_for(seconds: u64, code: u16) -> Plan {
    Plan { ring: Some(Duration::ZERO), answer: Some((secs(seconds), code)) }
}

fn scene(bob: Plan, bob2: Plan) -> Scene {
    Scene::new(1, Conditions { delay: Duration::from_millis(10), ..Conditions::PERFECT }, bob, bob2)
}

#[test]
fn a_call() {
    let mut scene = scene(Plan::ANSWERS, SILENT);
    scene.call(0, "bob", CallOptions { hang_up: Some(secs(3)), cancel: None });
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Ended);
    assert_eq!(scene.live(), 0);
    let bob = scene.network.node::<UserAgent>(scene.bob);
    assert_eq!(bob.incoming().collect::<Vec<_>>(), [(200, true, true)]);
}

#[test]
fn busy() {
    let mut scene = scene(rings_for(1, 486), SILENT);
    scene.call(0, "bob", CallOptions::default());
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Failed(486));
    assert_eq!(scene.live(), 0);
}

#[test]
fn cancelled_while_ringing() {
    let mut scene = scene(rings_for(60, 200), SILENT);
    scene.call(0, "bob", CallOptions { cancel: Some(secs(2)), hang_up: None });
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Failed(487));
    assert_eq!(scene.live(), 0);
}

#[test]
fn no_answer() {
    let mut scene = scene(rings_for(500, 200), SILENT);
    scene.call(0, "bob", CallOptions::default());
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Failed(408));
    assert_eq!(scene.live(), 0);
}

#[test]
fn nobody_there() {
    let mut scene = scene(SILENT, SILENT);
    scene.call(0, "bob", CallOptions::default());
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Failed(408));
}

#[test]
fn forked_and_one_answers() {
    let mut scene = scene(rings_for(60, 200), Plan::ANSWERS);
    scene.call(0, "both", CallOptions { hang_up: Some(secs(1)), cancel: None });
    insta::assert_snapshot!(scene.ladder(true));
    assert_eq!(scene.state(), CallState::Ended);
    assert_eq!(scene.live(), 0);
}

#[test]
fn busy_then_voicemail() {
    let mut scene = scene(rings_for(1, 486), Plan::ANSWERS);
    scene.network.node_mut::<Proxy>(scene.proxy).voicemail = Some(at(BOB2));
    scene.call(0, "bob", CallOptions { hang_up: Some(secs(1)), cancel: None });
    insta::assert_snapshot!(scene.ladder(true));
    assert_eq!(scene.state(), CallState::Ended);
}

/// The INVITE, the 180 and the CANCEL's 200 get lost once each.
#[test]
fn lost_on_the_way() {
    let mut scene = scene(rings_for(60, 200), SILENT);
    let mut lost = Vec::new();
    scene.network.lose(move |sent| {
        let first = String::from_utf8_lossy(&sent.bytes).lines().next().unwrap_or_default().to_owned();
        let key = (sent.from, first.clone());
        let hit = first.starts_with("INVITE") || first.contains("180") || first.starts_with("CANCEL");
        let lose = hit && !lost.contains(&key);
        lost.push(key);
        lose
    });
    scene.call(0, "bob", CallOptions { cancel: Some(secs(5)), hang_up: None });
    insta::assert_snapshot!(scene.ladder(false));
    assert_eq!(scene.state(), CallState::Failed(487));
    assert_eq!(scene.live(), 0);
}
