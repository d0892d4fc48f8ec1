//! KSR functions where there is no message: `mod_init`, `child_init`, threads of the script.

mod common;
use common::*;
use script::RunOutcome;

const SCRIPT: &str = r#"
import KSR
import threading

class Handler:
    def child_init(self, rank):
        assert KSR.pv.get("$rm") == "OPTIONS"
        assert KSR.is_INVITE() is False
        KSR.info("child_init %d" % rank)

    def ksr_request_route(self, msg):
        self.results = []
        self.msg = msg
        thread = threading.Thread(target=self.work, name="helper-thread")
        thread.start()
        # The interpreter is released here, so the thread can run.
        while thread.is_alive():
            thread.join(0.01)
        assert self.results == ["OPTIONS", False, 12, "raised", None, 3], self.results
        return 7

    def work(self):
        self.results.append(KSR.pv.get("$rm"))
        self.results.append(KSR.is_INVITE())
        self.results.append(KSR.t.number(12))
        try:
            self.results.append(self.msg.Method)
        except RuntimeError as e:
            self.results.append("raised" if "another thread" in str(e) else str(e))
        self.results.append(KSR.pv.get("$nosuch"))
        self.results.append(KSR.t.two(1, "ab"))

def mod_init():
    assert KSR.pv.get("$ru") == "sip:you@kamailio.org"
    assert KSR.t.nested("child_init") is False
    KSR.info("mod_init\n")
    return Handler()
"#;

#[test]
fn work_on_a_stand_in_or_refuse() {
    for mode in modes() {
        let server = Server::load(SCRIPT, |s| {
            s.interpreters = mode;
            s.threads_mode = 1;
        });
        let server = server.unwrap_or_else(|e| panic!("script: {e}"));
        let station = server.station(4);
        assert_eq!(
            station.run("ksr_request_route", INVITE).outcome,
            RunOutcome::Returned(7),
            "{mode:?} {}",
            log()
        );
    }
    let log = log();
    assert!(log.contains("script: mod_init") && log.contains("script: child_init 4"), "{log}");
    assert!(
        log.contains(
            "KSR.t.nested needs a SIP message and was called outside of a callback, in thread MainThread"
        ),
        "{log}"
    );
    assert!(log.contains("KSR.is_INVITE needs a SIP message and was called outside of a callback, in thread helper-thread (") && log.contains("route.py:24)"), "{log}");
}
