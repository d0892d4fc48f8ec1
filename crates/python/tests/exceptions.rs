//! What a script raises ends its route, with the reason in the log, and nothing else.

mod common;
use common::*;
use script::RunOutcome;

const SCRIPT: &str = r#"
import KSR
import sys

class Odd(Exception):
    def __str__(self):
        KSR.pv.sets("$ru", "sip:changed-in-str@x")
        return "odd one"

class Odder(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Handler:
    def ksr_request_route(self, msg):
        return self.deeper({})
    def deeper(self, d):
        return d["missing"]
    def odd(self, msg):
        raise Odd()
    def odder(self, msg):
        raise Odder()
    def sys_exit(self, msg):
        sys.exit()
    def plain_exit(self, msg):
        exit(3)
    def x_exit(self, msg):
        try:
            KSR.x.exit()
        except Exception:
            return 1
        return 2
    def x_drop(self, msg):
        try:
            KSR.x.drop()
        finally:
            KSR.pv.sets("$ru", "sip:cleanup@x")
    def outer(self, msg):
        return KSR.t.nested("ksr_request_route")
    def recursion(self, msg):
        return self.recursion(msg)
    async def later(self, msg):
        return 1
    @property
    def prop(self):
        raise ValueError("in a property")
    def interrupt(self, msg):
        raise KeyboardInterrupt
    def ok(self, msg):
        return 1

def mod_init():
    return Handler()
"#;

#[test]
fn end_the_route() {
    for mode in modes() {
        let server = Server::mode(SCRIPT, mode);
        let station = server.station(1);
        let outcome = |name: &str| station.run(name, INVITE).outcome;
        assert_eq!(outcome("ksr_request_route"), RunOutcome::Exception, "{mode:?}");
        assert_eq!(outcome("odd"), RunOutcome::Exception);
        assert_eq!(outcome("odder"), RunOutcome::Exception);
        assert_eq!(outcome("recursion"), RunOutcome::Exception);
        assert_eq!(outcome("interrupt"), RunOutcome::Exception);
        assert_eq!(outcome("prop"), RunOutcome::Exception);
        // Where nobody can go on later the worker drives it to its end.
        assert_eq!(outcome("later"), RunOutcome::Returned(1));
        assert_eq!(outcome("sys_exit"), RunOutcome::Exit);
        assert_eq!(outcome("plain_exit"), RunOutcome::Exit);
        assert_eq!(outcome("x_exit"), RunOutcome::Exit);
        let dropped = station.run("x_drop", INVITE);
        assert_eq!((dropped.outcome, dropped.dropped), (RunOutcome::Drop, true));
        assert_eq!(dropped.ruri, "sip:cleanup@x");
        assert_eq!(outcome("outer"), RunOutcome::Returned(-1));
        assert_eq!(outcome("ok"), RunOutcome::Returned(1));
        assert_eq!(server.counted("ksr_request_route", "calls"), 2);
        assert_eq!(server.counted("ksr_request_route", "exceptions"), 2);
        assert_eq!(server.counted("sys_exit", "exceptions"), 0);
    }
    let log = log();
    assert!(log.contains("exception in callback ksr_request_route, the route ends ($rm INVITE, $ru sip:bob@b.org, $ci call-1):\nTraceback"), "{log}");
    assert!(
        log.contains("line 18, in deeper\n    return d[\"missing\"]") && log.contains("KeyError: 'missing'"),
        "{log}"
    );
    assert!(log.contains("call_id=call-1"), "{log}");
    assert!(
        log.contains("odd one") && log.contains("RecursionError") && log.contains("in a property"),
        "{log}"
    );
}

#[test]
fn silence_when_asked_for() {
    let server =
        Server::load(SCRIPT, |s| s.on_exception = trunkline_python::OnException::Drop).expect("script");
    assert_eq!(server.station(1).run("odd", INVITE).outcome, RunOutcome::Exit);
    assert_eq!(server.counted("odd", "exceptions"), 1);
}
