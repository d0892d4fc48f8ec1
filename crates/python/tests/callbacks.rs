//! Callbacks run, with their message, in every interpreters mode; the counters prove it.

mod common;
use common::*;
use script::RunOutcome;

const SCRIPT: &str = r#"
import KSR
import sys

class Handler:
    def __init__(self):
        self.rank = None
        self.calls = 0

    def child_init(self, rank):
        self.rank = rank
        return 0

    def ksr_request_route(self, msg):
        self.calls += 1
        return self.calls * 100 + self.rank

    def ksr_reply_route(self, msg):
        return int(msg.Status)

    def true(self, msg):
        return True

    def nothing(self, msg):
        pass

    def text(self, msg):
        return "yes"

    def event(self, msg, evname):
        return len(evname)

    def outer(self, msg):
        if KSR.t.nested("inner") != 5:
            return 1
        # The outer context is back after the nested callback, and so is msg.
        return 2 if KSR.pv.get("$ru") == "sip:inner@b.org" and msg.Method == "INVITE" else 3

    def inner(self, msg):
        KSR.pv.sets("$ru", "sip:inner@b.org")
        return 5

    def arm(self, msg):
        KSR.t.nested("inner")

def mod_init():
    return Handler()
"#;

#[test]
fn run_and_are_counted() {
    for mode in modes() {
        let server = Server::mode(SCRIPT, mode);
        let station = server.station(3);
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(103), "{mode:?}");
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(203));
        assert_eq!(server.counted("ksr_request_route", "calls"), 2);
        assert_eq!(server.counted("ksr_request_route", "exceptions"), 0);
        assert_eq!(station.run("ksr_reply_route", OK).outcome, RunOutcome::Returned(200));
        assert_eq!(station.run("true", INVITE).outcome, RunOutcome::Returned(1));
        assert_eq!(station.run("nothing", INVITE).outcome, RunOutcome::Returned(1));
        assert_eq!(station.run("text", INVITE).outcome, RunOutcome::Returned(1));
        assert_eq!(station.event("event", "tm:local-request"), RunOutcome::Returned(16));
        assert_eq!(station.run("no_such", INVITE).outcome, RunOutcome::Missing);
        assert_eq!(server.counted("no_such", "calls"), 0);
    }
}

#[test]
fn run_inside_each_other() {
    for mode in modes() {
        let server = Server::mode(SCRIPT, mode);
        let station = server.station(1);
        let ran = station.run("outer", INVITE);
        assert_eq!(ran.outcome, RunOutcome::Returned(2), "{mode:?} {}", log());
        assert_eq!(ran.ruri, "sip:inner@b.org");
        assert_eq!((server.counted("outer", "calls"), server.counted("inner", "calls")), (1, 1));
    }
}

#[test]
fn keep_the_interpreter_for_a_batch() {
    for mode in modes() {
        let server = Server::mode(SCRIPT, mode);
        let station = server.station(0);
        station.worker.attach();
        station.worker.attach();
        for i in 1..=10 {
            assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(i * 100));
        }
        station.worker.detach();
        station.worker.detach();
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(1100));
    }
}

#[test]
fn each_worker_has_its_own_handler() {
    for mode in modes() {
        let server = Server::mode(SCRIPT, mode);
        let (one, two) = (server.station(1), server.station(2));
        // A callback that never ran is listed too: that is how a script nothing comes to is found out.
        let rows = server.engine.rpc_callbacks()["callbacks"].clone();
        let before: Vec<(&str, Option<u64>)> = rows
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| (r["name"].as_str().unwrap_or(""), r["calls"].as_u64()))
            .collect();
        assert_eq!(before, [("ksr_request_route", Some(0)), ("ksr_reply_route", Some(0))]);
        assert_eq!(one.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(101));
        assert_eq!(two.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(102), "{mode:?}");
        assert_eq!(one.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(201));
        assert_eq!(server.counted("ksr_request_route", "calls"), 3);
        let report = server.engine.rpc_callbacks();
        assert_eq!(report["workers"][0]["callbacks"][0]["calls"], 2);
        assert_eq!(report["workers"][1]["rank"], 2);
    }
}

#[test]
fn are_listed() {
    let server = Server::mode(SCRIPT, modes()[0]);
    assert_eq!(server.engine.found(), ["ksr_request_route", "ksr_reply_route", "child_init"]);
    let has = |name: &str| server.engine.has(server.core.callbacks.intern(name.as_bytes()).expect("name"));
    assert!(has("outer") && has("ksr_reply_route") && !has("ksr_onsend_route"));
    let described = server.engine.describe();
    assert!(described.contains("shared") && described.contains("threads_mode"), "{described}");
    let rpc = server.engine.rpc_engine();
    assert_eq!(rpc["version"], trunkline_python::python_version());
    assert_eq!(rpc["callbacks"][0], "ksr_request_route");
}

#[test]
fn functions_without_a_handler() {
    let text = "import KSR\nranks = []\ndef child_init(rank):\n    ranks.append(rank)\n\
                def ksr_request_route():\n    return ranks[0]\ndef event(name):\n    return len(name)\n";
    for mode in modes() {
        let server = Server::load(text, |s| {
            s.interpreters = mode;
            s.flavour = trunkline_python::Flavour::Functions;
        });
        let server = server.expect("script");
        let station = server.station(9);
        assert_eq!(station.run("ksr_request_route", INVITE).outcome, RunOutcome::Returned(9));
        assert_eq!(station.event("event", "abc"), RunOutcome::Returned(3));
    }
}
