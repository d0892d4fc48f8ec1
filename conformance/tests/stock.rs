//! The example deployment of the packages, byte for byte, on each database: what telephones receive and what is written down is equal for
//! Trunkline and the packaged Kamailio, but for the differences listed. With `SIP_TEST_SUBJECT` only that one is looked at, and what was
//! seen is printed; `SCENARIOS` chooses some by name.

use std::collections::BTreeMap;

use trunkline_conformance::differences;
use trunkline_conformance::stock::Deployment;
use trunkline_conformance::stock::database::{Database, Engine};
use trunkline_conformance::stock::scenarios::{self, Seen};
use trunkline_conformance::subject::Kind;

fn on(engine: Engine) {
    let chosen = std::env::var("SCENARIOS").unwrap_or_default();
    let mut wrong = Vec::new();
    for scenario in
        scenarios::ALL.iter().filter(|s| chosen.is_empty() || chosen.split(',').any(|c| c == s.name))
    {
        eprintln!("--- {}", scenario.name);
        let play = |kind| {
            let database =
                Database::new(engine).unwrap_or_else(|| panic!("{engine:?}: no server; run by `make test`"));
            sorted(scenario.play(&Deployment::new(kind, database)))
        };
        if std::env::var_os("SIP_TEST_SUBJECT").is_some() {
            let seen = play(Kind::from_env());
            eprintln!(
                "{}",
                seen.iter().map(|(what, all)| format!("{what}:\n{}\n", all.join("\n"))).collect::<String>()
            );
            continue;
        }
        let (ours, theirs) = std::thread::scope(|both| {
            let ours = both.spawn(|| play(Kind::Trunkline));
            let theirs = play(Kind::Kamailio);
            (ours.join().expect("the scenario with Trunkline"), theirs)
        });
        for (what, theirs) in &theirs {
            let ours = ours.get(what).cloned().unwrap_or_default();
            if ours != *theirs {
                wrong.push(format!("=== {}: {what}\n{}", scenario.name, differences::show(theirs, &ours)));
            }
        }
    }
    assert!(wrong.is_empty(), "- Kamailio, + Trunkline\n{}", wrong.join("\n"));
}

fn sorted(seen: Seen) -> BTreeMap<&'static str, Vec<String>> {
    let messages =
        seen.received.into_iter().map(|(n, m)| (n, m.iter().map(|m| differences::forget(m)).collect()));
    let rows =
        seen.rows.into_iter().map(|(table, rows)| (table, rows.iter().map(|row| row.join(" | ")).collect()));
    messages.chain(rows).collect()
}

#[test]
fn on_sqlite() {
    on(Engine::Sqlite);
}

#[test]
fn on_mariadb() {
    on(Engine::Mariadb);
}

#[test]
fn on_postgres() {
    on(Engine::Postgres);
}

fn hostile_text_on(engine: Engine) {
    let database =
        Database::new(engine).unwrap_or_else(|| panic!("{engine:?}: no server; run by `make test`"));
    scenarios::HOSTILE.play(&Deployment::new(Kind::Trunkline, database));
}

#[test]
fn hostile_text_on_sqlite() {
    hostile_text_on(Engine::Sqlite);
}

#[test]
fn hostile_text_on_mariadb() {
    hostile_text_on(Engine::Mariadb);
}

#[test]
fn hostile_text_on_postgres() {
    hostile_text_on(Engine::Postgres);
}
