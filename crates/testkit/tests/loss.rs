//! A thousand calls over a network that loses, repeats and reorders: all end as they should, and every repetition is at its instant.

mod common;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::*;
use message::Message;
use testkit::*;
use transaction::Timestamp;

const CALLS: u64 = 1_000;

fn bad_network(loss: u32) -> Conditions {
    Conditions { delay: Duration::from_millis(5), jitter: Duration::from_millis(40), loss, duplication: 20 }
}

fn run(seed: u64, loss: u32, calls: u64) -> Scene {
    let mut scene = Scene::new(seed, bad_network(loss), Plan::ANSWERS, Plan::ANSWERS);
    for call in 0..calls {
        let options = CallOptions { hang_up: Some(Duration::from_secs(5)), cancel: None };
        scene.call(call * 37, "bob", options);
    }
    assert!(scene.network.run_to_rest(Timestamp::from_millis(1_000_000)), "it never comes to rest");
    scene
}

#[test]
fn a_thousand_calls_at_five_percent_loss() {
    let scene = run(2026, 50, CALLS);
    let lost = scene.network.sent().iter().filter(|sent| sent.fate == Fate::Lost).count();
    assert!(lost > 700, "the network was bad: {lost} of {}", scene.network.sent().len());

    let alice = scene.network.node::<UserAgent>(scene.alice);
    let mut states = BTreeMap::new();
    for call in alice.outgoing() {
        *states.entry(format!("{:?}", call.state)).or_insert(0) += 1;
    }
    assert_eq!(states, BTreeMap::from([("Ended".to_owned(), CALLS)]));

    let bob = scene.network.node::<UserAgent>(scene.bob);
    assert_eq!(bob.incoming().filter(|call| *call == (200, true, true)).count() as u64, CALLS);

    let proxy = scene.network.node::<Proxy>(scene.proxy);
    let counts = proxy.shard.counts();
    assert_eq!((counts.current, counts.waiting), (0, 0));
    assert_eq!(counts.total, counts.freed);
    assert_eq!(counts.total, 2 * CALLS, "an INVITE and a BYE each, however often they came");
    assert_eq!(counts.final_class, [2 * CALLS, 0, 0, 0, 0]);
    assert!(counts.absorbed > 100 && counts.retransmitted > 50, "{counts:?}");
}

#[test]
fn cancelled_busy_and_forked_calls_at_ten_percent_loss() {
    let busy = Plan { ring: Some(Duration::ZERO), answer: Some((Duration::from_secs(8), 486)) };
    let mut scene = Scene::new(7, bad_network(100), busy, busy);
    for call in 0..300 {
        let cancel = (call % 2 == 0).then_some(Duration::from_secs(4));
        scene.call(
            call * 50,
            if call % 3 == 0 { "both" } else { "bob" },
            CallOptions { cancel, hang_up: None },
        );
    }
    assert!(scene.network.run_to_rest(Timestamp::from_millis(1_000_000)));
    let alice = scene.network.node::<UserAgent>(scene.alice);
    for (number, call) in alice.outgoing().iter().enumerate() {
        let expected: &[u16] = if number % 2 == 0 { &[487, 486] } else { &[486] };
        match call.state {
            // A CANCEL that had to be repeated may come too late to beat the 486.
            CallState::Failed(code) => assert!(expected.contains(&code), "{number}: {:?}", call.codes),
            state => panic!("call {number}: {state:?} {:?}", call.codes),
        }
    }
    assert_eq!(scene.live(), 0);
}

/// The instants at which the same request was sent from one address to another.
fn series(scene: &Scene, from: SocketAddr) -> BTreeMap<(String, String), Vec<Timestamp>> {
    let mut series: BTreeMap<_, Vec<Timestamp>> = BTreeMap::new();
    for sent in scene.network.sent().iter().filter(|sent| sent.from == from) {
        let message = Message::parse(&sent.bytes).expect("what is sent can be parsed");
        if !message.is_request() || message.method_text() == b"ACK" {
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let branch = message.via().ok().and_then(|via| via.branch).unwrap_or_default();
        series.entry((text(message.method_text()), text(branch))).or_default().push(sent.at);
    }
    series
}

/// Timers A and E: "exactly" is to the nanosecond, in virtual time.
#[test]
fn requests_are_repeated_at_the_instants_of_the_rfc() {
    let scene = run(5, 200, 400);
    let mut repeated = 0;
    for ((method, branch), times) in series(&scene, at(PROXY)) {
        let offsets: Vec<_> = times.iter().map(|at| at.since(times[0]).as_nanos() as u64).collect();
        let exact: &[u64] = match &*method {
            "INVITE" => &[0, 500, 1_500, 3_500, 7_500, 15_500],
            _ => &[0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500],
        };
        let exact: Vec<_> = exact.iter().map(|ms| ms * 1_000_000).take(offsets.len()).collect();
        assert_eq!(offsets, exact, "{method} {branch}");
        repeated += offsets.len() - 1;
    }
    assert!(repeated > 200, "{repeated}");
    let counts = scene.network.node::<Proxy>(scene.proxy).shard.counts();
    assert_eq!(
        counts.retransmitted, repeated as u64,
        "nothing else is repeated by timers when calls succeed"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digest = |seed| {
        let scene = run(seed, 50, 100);
        let sent = scene.network.sent();
        (sent.len(), sent.iter().map(|s| s.at.0 ^ s.bytes.len() as u64).fold(0, u64::wrapping_add))
    };
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}
