//! A worker that is stuck in the script delays neither what it has read nor what it has printed.

mod common;

use std::collections::BTreeSet;
use std::io::Write;

use common::{Server, kill};

/// INFO waits until somebody writes to the pipe; everything else is answered at once.
const SCRIPT: &str = "
import os, KSR
PIPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pipe')
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if msg.Method == 'INFO':
            open(PIPE).read()
        if msg.Method == 'INVITE':
            KSR.tm.t_on_failure('ksr_failure')
            # Nobody reads there: the branch times out.
            KSR.pv.sets('$du', 'sip:127.0.0.1:9')
            KSR.tm.t_relay()
            return 1
        if msg.Method != 'ACK':
            KSR.sl.send_reply(200, 'OK')
        return 1
    def ksr_reply_route(self, msg):
        return 1
    def ksr_failure(self, msg):
        if KSR.pv.get('$ci') == 'stuck':
            open(PIPE).read()
        return 1
def mod_init():
    if not os.path.exists(PIPE):
        os.mkfifo(PIPE)
    return Handler()
";

/// Opening waits until somebody reads the pipe.
fn open_pipe(server: &Server) -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open(server.folder.path().join("pipe")).expect("pipe")
}

fn release(server: &Server) {
    open_pipe(server).write_all(b"x").expect("release");
}

#[test]
fn datagrams_behind_a_stuck_one_go_to_another_worker() {
    let server = Server::start("children=2", SCRIPT);
    let phone = server.phone();
    // While the process is stopped datagrams gather, so that one worker reads all of them at once.
    kill(server.pid(), "STOP");
    phone.send("INFO", "stuck");
    let wanted: BTreeSet<String> = (0..10).map(|n| format!("free-{n}")).collect();
    wanted.iter().for_each(|id| phone.send("OPTIONS", id));
    kill(server.pid(), "CONT");
    let answered: BTreeSet<String> = (0..10).map(|_| phone.reply().1).collect();
    assert_eq!(answered, wanted, "all but the stuck one");
    assert!(server.statistic("taken_over_datagrams") > 0);
    release(&server);
    assert_eq!(phone.reply(), (200, "stuck".into()));
    server.ran(&[("ksr_request_route", 11)]);
    assert_eq!(server.end().0, 0);
}

#[test]
fn replies_before_a_stuck_one_leave() {
    let server = Server::start("children=1", SCRIPT);
    let phone = server.phone();
    kill(server.pid(), "STOP");
    phone.send("OPTIONS", "before");
    phone.send("INFO", "stuck");
    phone.send("OPTIONS", "after");
    kill(server.pid(), "CONT");
    assert_eq!(phone.reply(), (200, "before".into()));
    assert!(server.statistic("relieved_workers") > 0);
    release(&server);
    assert_eq!(phone.reply(), (200, "stuck".into()));
    // The only worker comes back to what was taken over from it.
    assert_eq!(phone.reply(), (200, "after".into()));
    server.ran(&[("ksr_request_route", 3)]);
}

#[test]
fn timers_fire_while_a_failure_route_is_stuck() {
    let server =
        Server::start_with("children=2", SCRIPT, &["--loadmodule=tm.so", "--modparam=tm:fr_timer:i:100"]);
    let phone = server.phone();
    phone.send("INVITE", "stuck");
    assert_eq!(phone.reply(), (100, "stuck".into()));
    // Opening the pipe for writing waits until somebody reads it: then the timer is in the failure route of the first call.
    let mut pipe = open_pipe(&server);
    phone.send("INVITE", "free");
    assert_eq!(phone.reply(), (100, "free".into()));
    assert_eq!(phone.reply(), (408, "free".into()));
    pipe.write_all(b"x").expect("release");
    drop(pipe);
    assert_eq!(phone.reply(), (408, "stuck".into()));
    server.ran(&[("ksr_request_route", 2), ("ksr_failure", 2)]);
    assert_eq!(server.end().0, 0);
}

#[test]
fn with_all_workers_stuck_new_requests_are_told_so() {
    let server = Server::start_with(
        "children=2",
        SCRIPT,
        &["--loadmodule=app_python3.so", "--modparam=app_python3:exec_warn_ms:i:200"],
    );
    let phone = server.phone();
    phone.send("INVITE", "call");
    assert_eq!(phone.reply(), (100, "call".into()));
    phone.send("INFO", "stuck-1");
    phone.send("INFO", "stuck-2");
    phone.send("OPTIONS", "new-1");
    let refused = common::text(&phone.receive());
    assert!(refused.starts_with("SIP/2.0 503 Service Unavailable\r\n"), "{refused}");
    assert!(refused.contains("\r\nRetry-After: 10\r\n") && refused.contains("Call-ID: new-1"), "{refused}");

    // A transaction answers as ever.
    phone.send("INVITE", "call");
    assert_eq!(phone.reply(), (100, "call".into()));
    // The answer to these is still to come, or there is none.
    phone.send("INFO", "stuck-1");
    phone.send("ACK", "ack");
    let reply = format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKours\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKtheirs\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>;tag=2\r\nCall-ID: queued\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n",
        server.address,
        phone.address()
    );
    phone.send_raw(reply.as_bytes());
    phone.send("OPTIONS", "new-2");
    assert_eq!(phone.reply(), (503, "new-2".into()));
    assert_eq!(server.statistic("busy_rejected"), 2);
    assert_eq!(server.statistic("busy_kept"), 2, "the ACK and the reply");
    assert!(server.ctl(&["core.uptime"]).status.success());
    assert_eq!(server.calls("ksr_reply_route"), 0);

    release(&server);
    let answers: BTreeSet<(u16, String)> = (0..3).map(|_| phone.reply()).collect();
    let wanted = ["queued", "stuck-1", "stuck-2"].map(|id| (200, id.to_owned()));
    assert_eq!(answers, BTreeSet::from(wanted));
    phone.send("OPTIONS", "after");
    assert_eq!(phone.reply(), (200, "after".into()));
    assert_eq!(server.calls("ksr_reply_route"), 1);
    assert_eq!(server.calls("ksr_request_route"), 5, "INVITE, two INFO, the ACK, the last OPTIONS");
    let mut log = server.log_until("requests are routed again");
    let (code, rest) = server.end();
    assert_eq!(code, 0);
    log.push_str(&rest);
    assert_eq!(log.matches("new requests are answered 503").count(), 1, "{log}");
    assert_eq!(log.matches("requests are routed again").count(), 1, "{log}");
    for worker in 1..=2 {
        let stuck = format!("callback ksr_request_route of worker {worker} has been running");
        assert_eq!(log.matches(&stuck).count(), 1, "{log}");
    }
    assert!(log.contains("    open(PIPE).read()"), "where they are stuck: {log}");
}
