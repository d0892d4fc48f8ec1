//! SIPp as user agents: a thousand registrations, then calls of every kind; the callbacks must have run once per message.

use testkit::proof::Times;
use trunkline_conformance::sipp::{Sipp, free_port};
use trunkline_conformance::subject::{Kind, Setup, Subject};

const USERS: u32 = 1000;
const CALLS: u32 = 300;

struct Run {
    subject: Subject,
}

impl Run {
    fn uac(&self, scenario: &str, prefix: &str, uas: u16, calls: u32, rate: u32) {
        let (calls, rate, uas) = (calls.to_string(), rate.to_string(), format!("127.0.0.1:{uas}"));
        let args = [
            "-m",
            &calls,
            "-r",
            &rate,
            "-key",
            "prefix",
            prefix,
            "-key",
            "uas",
            &uas,
            "-timeout",
            "90",
            "-timeout_error",
        ];
        Sipp::start(scenario, self.subject.address, free_port(), &args).finish();
    }
    fn uas(&self, scenario: &str, port: u16, calls: u32) -> Sipp {
        Sipp::start(
            scenario,
            self.subject.address,
            port,
            &["-m", &calls.to_string(), "-timeout", "120", "-timeout_error"],
        )
    }
    /// The callbacks ran as often as demanded, or a tenth more: SIPp may repeat a request that no transaction absorbs. The onsend route
    /// runs for most of them, and is not what is counted here.
    fn ran(&self, what: &str, demanded: &[(&'static str, u32)]) {
        let mut all: Vec<(&str, Times)> = demanded
            .iter()
            .map(|(name, n)| (*name, Times::Between(u64::from(*n), u64::from(n + n / 10))))
            .collect();
        all.push(("ksr_onsend_route", Times::Between(0, u64::MAX)));
        self.subject.ran(what, &all);
    }
}

#[test]
fn registrations_and_calls() {
    let run = Run { subject: Subject::start(Kind::from_env(), &Setup::PLAIN) };
    let (answering, cancelled, busy, silent) = (free_port(), free_port(), free_port(), free_port());

    run.uac("register.xml", "u", answering, USERS, 500);
    run.ran("register", &[("ksr_request_route", USERS)]);
    if run.subject.kind == Kind::Trunkline {
        let users = run.subject.ctl(&["stats.get_statistics", "usrloc:"]);
        assert!(users.to_string().contains(&format!("registered_users = {USERS}")), "{users}");
    }

    let uas = run.uas("uas_answer.xml", answering, CALLS);
    run.uac("uac_call.xml", "u", answering, CALLS, 60);
    uas.finish();
    // INVITE, ACK, BYE; 180, 200, 200; one branch; two replies to the INVITE.
    run.ran(
        "call",
        &[
            ("ksr_request_route", CALLS * 3),
            ("ksr_reply_route", CALLS * 3),
            ("ksr_branch", CALLS),
            ("ksr_onreply", CALLS * 2),
        ],
    );

    run.uac("register.xml", "c", cancelled, 100, 200);
    run.ran("register", &[("ksr_request_route", 100)]);
    let uas = run.uas("uas_cancelled.xml", cancelled, 100);
    run.uac("uac_cancel.xml", "c", cancelled, 100, 50);
    uas.finish();
    // INVITE and CANCEL; 180, the 200 to our CANCEL, 487.
    run.ran(
        "cancel",
        &[
            ("ksr_request_route", 200),
            ("ksr_reply_route", 300),
            ("ksr_branch", 100),
            ("ksr_onreply", 200),
            ("ksr_failure", 100),
        ],
    );

    run.uac("register.xml", "b", busy, 100, 200);
    run.ran("register", &[("ksr_request_route", 100)]);
    let uas = run.uas("uas_busy.xml", busy, 100);
    run.uac("uac_refused.xml", "b", busy, 100, 50);
    uas.finish();
    // One final reply each.
    run.ran(
        "busy",
        &[
            ("ksr_request_route", 100),
            ("ksr_reply_route", 100),
            ("ksr_branch", 100),
            ("ksr_onreply", 100),
            ("ksr_failure", 100),
        ],
    );

    run.uac("register.xml", "s", silent, 50, 200);
    run.ran("register", &[("ksr_request_route", 50)]);
    let uas = run.uas("uas_cancelled.xml", silent, 50);
    run.uac("uac_no_answer.xml", "s", silent, 50, 50);
    uas.finish();
    // 180, and after fr_inv_timer the 200 to our CANCEL and 487.
    run.ran(
        "no answer",
        &[
            ("ksr_request_route", 50),
            ("ksr_reply_route", 150),
            ("ksr_branch", 50),
            ("ksr_onreply", 100),
            ("ksr_failure", 50),
        ],
    );

    // Two contacts each: one answers, the other is cancelled and its 487 absorbed.
    run.uac("register.xml", "f", answering, 100, 200);
    run.uac("register.xml", "f", cancelled, 100, 200);
    run.ran("register", &[("ksr_request_route", 200)]);
    let answers = run.uas("uas_answer.xml", answering, 100);
    let rings = run.uas("uas_cancelled.xml", cancelled, 100);
    run.uac("uac_call.xml", "f", answering, 100, 50);
    answers.finish();
    rings.finish();
    // Of each branch 180 and a final reply; besides the 200s to BYE and to our CANCEL.
    run.ran(
        "fork",
        &[("ksr_request_route", 300), ("ksr_reply_route", 600), ("ksr_branch", 200), ("ksr_onreply", 400)],
    );
}
