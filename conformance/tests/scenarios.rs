//! Every scenario against the subject of `SIP_TEST_SUBJECT`, with the callbacks it demands.

use trunkline_conformance::scenarios;
use trunkline_conformance::subject::Kind;

#[test]
fn scenarios_run_and_the_script_ran_for_each_message() {
    let kind = Kind::from_env();
    for scenario in scenarios::chosen() {
        let name = scenario.name;
        eprintln!("--- {name}");
        let subject = scenario.start(kind);
        let before = subject.callbacks();
        let transcript = scenario.play(&subject);
        let (Some(before), Some(after)) = (before, subject.callbacks()) else { continue };
        for (callback, times) in transcript.callbacks {
            let count = |m: &std::collections::BTreeMap<String, u64>| m.get(callback).copied().unwrap_or(0);
            assert_eq!(count(&after) - count(&before), times, "{name}: calls of {callback}");
        }
    }
}
