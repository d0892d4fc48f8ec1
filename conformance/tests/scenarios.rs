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
        let transcript = scenario.play(&subject);
        subject.ran(name, &transcript.callbacks);
    }
}
