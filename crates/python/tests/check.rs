//! A script is read without being run: what it has and uses, and everything that is wrong with it at once.

mod common;
use common::*;
use trunkline_python::{Problem, Report, Settings, check};

fn checked(text: &str) -> Result<Report, Vec<Problem>> {
    let core =
        script::testing::Bench::new(modules().into_iter().filter(|m| m.name() != "async").collect()).core;
    let elsewhere: Vec<_> = Async1::ROWS.iter().collect();
    check(&Settings::new(write("route.py", text)), &core.registry, &elsewhere)
}

fn problems(text: &str) -> Vec<String> {
    match checked(text) {
        Ok(report) => panic!("nothing found: {report:?}"),
        Err(all) => all
            .iter()
            .map(|p| p.to_string().split_once("route.py").map_or(p.to_string(), |(_, rest)| rest.to_owned()))
            .collect(),
    }
}

#[test]
fn a_sound_script() {
    let text = r#"
import KSR as K
import sys
raise SystemExit("not run")
pv = K.pv
class Base:
    def ksr_request_route(self, msg):
        pv.get("$ru")
        K.t.count("x", 1, 2)
        K.t.t_on_nothing if False else None
        return K.pv.sets("$ru", self.name)
class H(Base):
    def child_init(self, rank): K.info("x")
    def fail(self, msg): K.x.exit()
def mod_init(): return H()
"#;
    let text = text.replace("        K.t.t_on_nothing if False else None\n", "");
    let report = checked(&text).expect("sound");
    assert_eq!(report.callbacks, ["ksr_request_route", "child_init"]);
    assert_eq!(report.functions, ["KSR.info", "KSR.pv.get", "KSR.pv.sets", "KSR.t.count", "KSR.x.exit"]);
}

#[test]
fn everything_at_once() {
    let text = r#"import KSR
class H:
    def ksr_request_route(self, msg):
        KSR.pv.gett("$ru")
        KSR.pv.get("$rx")
        if KSR.t.two(1) < 0: KSR.inof("x")
        KSR.t.two("1", "x"); KSR.t.length(5)
        getattr(KSR, "async").one()
        KSR.async_.one()
        KSR.__dict__["async"].two()
        KSR.t.echo(KSR.px.get("$ru"))
def mod_init(): return H()
"#;
    let found = problems(text);
    let expected = [
        ":4:9: there is no KSR.pv.gett (nearest: KSR.pv.get)",
        ":5:20: KSR.pv.get: \"$rx\": ",
        ":6:12: KSR.t.two takes 2 arguments, got 1 (arguments: a, b)",
        ":6:30: there is no KSR.inof (nearest: KSR.info)",
        ":7:19: KSR.t.two: a must be an int, got str",
        ":7:43: KSR.t.length: text must be a str, got int",
        ":8:9: KSR.async.one is in module async, which is not loaded (add loadmodule \"async.so\")",
        ":9:9: there is no KSR.async_.one (nearest: KSR.async.one)",
        ":10:9: there is no KSR.async.two",
        ":11:20: there is no KSR.px.get (nearest: KSR.pv.get)",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} instead of {expected}");
    }
}

#[test]
fn whole_file() {
    let found = problems("import KSR\ndef mod_init()\n    return 1\n");
    assert!(found[0].starts_with(":2:") && found[0].contains("SyntaxError"), "{found:?}");
    assert!(problems("import KSR\n")[0].contains("no function mod_init()"));
    let found = problems("class H:\n    pass\ndef mod_init(): return H()\n");
    assert!(found[0].contains("no callback ksr_request_route"), "{found:?}");
    // A base class from elsewhere may have it.
    assert!(checked("from base import B\nclass H(B):\n    pass\ndef mod_init(): return H()\n").is_ok());
    let missing = check(&Settings::new("/no/such.py"), &Default::default(), &[]);
    assert!(missing.is_err_and(|p| p[0].message.contains("cannot be read")));
}
