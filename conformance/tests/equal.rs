//! What reaches the user agents is equal for Trunkline and the packaged Kamailio, but for the differences listed.

use std::collections::BTreeMap;

use trunkline_conformance::differences;
use trunkline_conformance::scenarios::{self, Transcript};
use trunkline_conformance::subject::Kind;

fn sorted(transcript: Transcript) -> BTreeMap<&'static str, Vec<String>> {
    transcript
        .received
        .into_iter()
        .map(|(n, m)| (n, m.iter().map(|m| differences::forget(m)).collect()))
        .collect()
}

#[test]
fn messages_are_equal_to_kamailio() {
    let mut wrong = Vec::new();
    for scenario in scenarios::chosen() {
        let name = scenario.name;
        let (ours, theirs) = std::thread::scope(|both| {
            let ours = both.spawn(|| {
                let subject = scenario.start(Kind::Trunkline);
                let transcript = scenario.play(&subject);
                subject.ran(name, &transcript.callbacks);
                sorted(transcript)
            });
            let theirs = sorted(scenario.play(&scenario.start(Kind::Kamailio)));
            (ours.join().expect("the scenario with Trunkline"), theirs)
        });
        for (peer, messages) in &theirs {
            let mine = ours.get(peer).cloned().unwrap_or_default();
            if mine != *messages {
                wrong.push(format!("=== {name}: {peer}\n{}", differences::show(messages, &mine)));
            }
        }
    }
    assert!(wrong.is_empty(), "- Kamailio, + Trunkline\n{}", wrong.join("\n"));
}
