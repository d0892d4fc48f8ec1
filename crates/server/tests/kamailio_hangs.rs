//! What Kamailio's Python engine was seen to do wrong or to hang in, one behaviour per test. Its reloads are in `reload.rs`, refused
//! configurations in `start_errors.rs`, a thousand starts in `thousand_starts.rs`, everything at once in `stress.rs`.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Phone, Server, kill, text};
use serde_json::json;

/// A script: what is imported and defined, what the request route does, and what else its class has.
fn script(top: &str, route: &str, more: &str) -> String {
    let indented = |text: &str, by: &str| text.lines().map(|l| format!("{by}{l}\n")).collect::<String>();
    format!(
        "import KSR\n{top}\nclass Handler:\n    def ksr_request_route(self, msg):\n{}        return 1\n{}\
         def mod_init():\n    return Handler()\n",
        indented(route, "        "),
        indented(if more.is_empty() { "def child_init(self, rank):\n    return 0" } else { more }, "    "),
    )
}

const THREADS: [&str; 2] = ["--loadmodule=app_python3.so", "--modparam=app_python3:threads_mode:i:1"];

/// Reason phrase of the next final reply.
fn reason(phone: &Phone) -> String {
    loop {
        let reply = text(&phone.receive());
        let first = reply.lines().next().unwrap_or_default();
        if !first.starts_with("SIP/2.0 1") {
            return first.trim_start_matches("SIP/2.0 ").to_owned();
        }
    }
}

fn asked(server: &Server, call: &str) -> String {
    let phone = server.phone();
    phone.send("OPTIONS", call);
    reason(&phone)
}

const TICKING: &str = "
import threading, time
TICKS = {'mod_init': 0, 'child_init': 0}
def run(name):
    while True:
        TICKS[name] += 1
        time.sleep(0.001)
def start(name):
    threading.Thread(target=run, args=(name,), daemon=True).start()
def least():
    return min(TICKS.values())
start('mod_init')";

const CHILD_INIT: &str = "def child_init(self, rank):\n    start('child_init')\n    return 0";

#[test]
fn threads_mode_1_with_cfgengine_python_routes_and_its_threads_run_while_it_is_idle() {
    let answer = "KSR.sl.send_reply(200, str(least()))";
    let server = Server::start_with("children=2", &script(TICKING, answer, CHILD_INIT), &THREADS);
    let ticks =
        |call: &str| -> u64 { asked(&server, call).trim_start_matches("200 ").parse().expect("a number") };
    let mut n = 0;
    let first = ticks("first");
    // Nothing is asked of Python in between: only the threads themselves can have moved the number.
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let before = server.calls("ksr_request_route");
        while server.ask("core.uptime", json!([]))["uptime"].as_u64().is_none_or(|up| up < 1 + n) {}
        assert_eq!(server.calls("ksr_request_route"), before, "idle");
        n += 1;
        if ticks(&format!("idle-{n}")) > first + 100 {
            break;
        }
        assert!(Instant::now() < until, "the threads stand still");
    }
    let threads = server.ask("kemi.threads", json!([]));
    let rows = threads["threads"].as_array().expect("rows");
    assert!(rows.iter().all(|t| t["state"] == "running") && rows.len() >= 3, "{threads}");
    server.ran(&[("ksr_request_route", n + 1)]);
}

#[test]
fn threads_mode_0_holds_threads_of_mod_init_and_child_init_also_while_the_script_blocks() {
    let route = "time.sleep(0.05)\nend = time.monotonic() + 0.05\nwhile time.monotonic() < end:\n    pass\n\
                 KSR.sl.send_reply(200, str(max(TICKS.values())))";
    let server = Server::start("children=2", &script(TICKING, route, CHILD_INIT));
    for n in 0..10 {
        assert_eq!(asked(&server, &format!("held-{n}")), "200 0");
    }
    let threads = server.ask("kemi.threads", json!([]));
    let rows = threads["threads"].as_array().expect("rows");
    assert!(rows.iter().all(|t| t["state"] == "held") && rows.len() >= 3, "{threads}");
    server.ran(&[("ksr_request_route", 10)]);
    assert_eq!(server.end().0, 0, "no held thread keeps it from ending");
}

#[test]
fn logging_futures_and_multiprocessing_may_be_imported_and_used_by_all_workers() {
    let top = "import logging, concurrent.futures, multiprocessing, threading, asyncio\nlogging.basicConfig(level=logging.INFO)\n\
               POOL = concurrent.futures.ThreadPoolExecutor(2)\nQUEUE = multiprocessing.Queue()";
    let route = "logging.info('routing %s', msg.Method)\nasyncio.run(asyncio.sleep(0))\n\
                 import email.message, sqlite3\n\
                 KSR.sl.send_reply(200, str(POOL.submit(pow, 2, 10).result(10)))";
    let server = Server::start_with("children=4", &script(top, route, ""), &THREADS);
    let phones: Vec<Phone> = (0..8).map(|_| server.phone()).collect();
    for n in 0..10 {
        phones.iter().enumerate().for_each(|(i, phone)| phone.send("OPTIONS", &format!("std-{i}-{n}")));
        phones.iter().for_each(|phone| assert_eq!(reason(phone), "200 1024"));
    }
    server.ran(&[("ksr_request_route", 80)]);
    assert_eq!(server.end().0, 0);
}

#[test]
fn an_exception_is_answered_with_500_and_logged_with_its_line() {
    let server = Server::start("children=1", &script("", "raise KeyError('no such trunk')", ""));
    assert!(asked(&server, "raised").starts_with("500 "));
    server.logged("KeyError: 'no such trunk'");
    server.ran(&[("ksr_request_route", 1)]);
    assert_eq!(server.ask("kemi.callbacks", json!([]))["callbacks"][0]["exceptions"], 1);
}

#[test]
fn an_exception_is_not_answered_where_kamailios_silence_is_chosen() {
    let flags = ["--loadmodule=app_python3.so", "--modparam=app_python3:on_exception:s:drop"];
    let route = "if msg.Method == 'INFO':\n    raise KeyError('as asked')\nKSR.sl.send_reply(200, 'OK')";
    let server = Server::start_with("children=1", &script("", route, ""), &flags);
    let phone = server.phone();
    phone.send("INFO", "dropped");
    phone.send("OPTIONS", "after");
    assert_eq!(phone.reply(), (200, "after".into()));
    server.logged("KeyError: 'as asked'");
    server.ran(&[("ksr_request_route", 2)]);
}

#[test]
fn sys_exit_ends_the_route_without_an_answer_and_is_logged_for_who_debugs() {
    let route = "if msg.Method == 'INFO':\n    sys.exit(3)\nKSR.sl.send_reply(200, 'OK')";
    let server = Server::start("children=1\ndebug=3", &script("import sys", route, ""));
    let phone = server.phone();
    phone.send("INFO", "left");
    phone.send("OPTIONS", "after");
    assert_eq!(phone.reply(), (200, "after".into()));
    let line = server.logged("sys.exit");
    assert!(line.contains("DEBUG") && line.contains("left"), "{line}");
    server.ran(&[("ksr_request_route", 2)]);
    assert_eq!(server.ask("kemi.callbacks", json!([]))["callbacks"][0]["exceptions"], 0, "it is none");
}

#[test]
fn both_workers_asleep_for_two_seconds_wake_up_and_the_control_socket_answers_meanwhile() {
    let route = "if msg.Method == 'INFO':\n    time.sleep(2)\nKSR.sl.send_reply(200, 'OK')";
    let server = Server::start("children=2", &script("import time", route, ""));
    let phone = server.phone();
    let asleep = Instant::now();
    phone.send("INFO", "asleep-1");
    phone.send("INFO", "asleep-2");
    phone.send("OPTIONS", "behind");
    let ask = Instant::now();
    server.ask("kemi.callbacks", json!([]));
    assert!(ask.elapsed() < Duration::from_secs(1), "the control socket waited for the script");
    let mut left = BTreeSet::from(["asleep-1", "asleep-2", "behind"].map(str::to_owned));
    while !left.is_empty() {
        let (code, call) = phone.reply();
        // Who comes while all workers sleep may be told so.
        assert!(code == 200 || (code == 503 && call == "behind"), "{code} {call}");
        left.remove(&call);
    }
    assert!(asleep.elapsed() >= Duration::from_secs(2));
    assert_eq!(asked(&server, "awake"), "200 OK");
    assert_eq!(server.end().0, 0);
}

#[test]
fn after_reloads_of_a_broken_script_it_routes_on_and_obeys_sigterm() {
    let sound = script("", "KSR.sl.send_reply(200, 'OK')", "");
    let server = Server::start("children=2", &sound);
    server.folder.write("route.py", "def broken(:\n");
    for n in 0..8 {
        let said = loop {
            let output = server.ctl(&["app_python.reload"]);
            assert!(!output.status.success(), "{output:?}");
            let said = text(&output.stderr);
            // That of the signal.
            if !said.contains("already under way") {
                break said;
            }
        };
        assert!(said.contains("SyntaxError"), "{said}");
        kill(server.pid(), "HUP");
        for m in 0..4 {
            assert_eq!(asked(&server, &format!("old-{n}-{m}")), "200 OK");
        }
    }
    server.ran(&[("ksr_request_route", 32)]);
    let begin = Instant::now();
    assert_eq!(server.end().0, 0);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn a_script_without_reply_and_onsend_routes_leaves_no_exception_behind() {
    // The branch goes to a port where nobody is: request out, timeout, failure route, reply; KSR functions on the way.
    let route = "KSR.tm.t_on_branch('ksr_branch')\nKSR.tm.t_on_failure('ksr_failure')\nKSR.pv.sets('$du', 'sip:127.0.0.1:9')\n\
                 KSR.tm.t_relay()\nKSR.pv.sets('$var(after)', KSR.pv.get('$rm'))";
    let more = "def ksr_branch(self, msg):\n    KSR.hdr.append('X-Branch: 1\\r\\n')\n    return 1\n\
                def ksr_failure(self, msg):\n    KSR.tm.t_reply(480, KSR.pv.get('$rm'))\n    return 1";
    let flags = ["--loadmodule=tm.so", "--modparam=tm:fr_timer:i:100"];
    let server = Server::start_with("children=2", &script("", route, more), &flags);
    let phone = server.phone();
    const CALLS: u64 = 20;
    (0..CALLS).for_each(|n| phone.send("INVITE", &format!("bare-{n}")));
    let mut answered = BTreeSet::new();
    while answered.len() < CALLS as usize {
        let reply = text(&phone.receive());
        if reply.starts_with("SIP/2.0 1") {
            continue;
        }
        assert!(reply.starts_with("SIP/2.0 480 INVITE\r\n"), "{reply}");
        answered.extend(reply.lines().find_map(|l| l.strip_prefix("Call-ID: ")).map(str::to_owned));
    }
    server.ran(&[("ksr_request_route", CALLS), ("ksr_branch", CALLS), ("ksr_failure", CALLS)]);
    let exceptions = server.ask("stats.fetchn", json!(["script_exceptions"]));
    assert_eq!(exceptions["core.script_exceptions"], 0);
}

#[test]
fn a_register_is_saved_without_a_preloaded_table() {
    let flags = ["--loadmodule=usrloc.so", "--loadmodule=registrar.so"];
    let route = "KSR.registrar.save('location', 0)";
    let server = Server::start_with("children=1", &script("", route, ""), &flags);
    let phone = server.phone();
    phone.send_raw(
        b"REGISTER sip:a.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKr\r\nFrom: <sip:a@a.org>;tag=1\r\n\
          To: <sip:a@a.org>\r\nCall-ID: saved\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@127.0.0.1:9>\r\nMax-Forwards: 10\r\n\
          Content-Length: 0\r\n\r\n",
    );
    assert_eq!(phone.reply(), (200, "saved".into()));
    server.ran(&[("ksr_request_route", 1)]);
}

#[test]
fn a_callback_inside_of_a_callback_of_a_callback() {
    // exec -> t_relay -> branch route -> exec, with a lock of the script's own held all the way.
    let route = "with LOCK:\n    KSR.app_python3.exec('ksr_relay')";
    let more = "def ksr_relay(self, msg):\n    KSR.tm.t_on_branch('ksr_branch')\n    KSR.tm.t_on_failure('ksr_failure')\n    \
                KSR.pv.sets('$du', 'sip:127.0.0.1:9')\n    return KSR.tm.t_relay()\n\
                def ksr_branch(self, msg):\n    return KSR.app_python3.exec('ksr_deepest')\n\
                def ksr_deepest(self, msg):\n    with LOCK:\n        return 1\n\
                def ksr_failure(self, msg):\n    with LOCK:\n        KSR.tm.t_reply(480, 'Nobody')\n    return 1";
    let flags = ["--loadmodule=tm.so", "--modparam=tm:fr_timer:i:100"];
    let top = "import threading\nLOCK = threading.RLock()";
    let server = Server::start_with("children=4", &script(top, route, more), &flags);
    let phones: Vec<Phone> = (0..8).map(|_| server.phone()).collect();
    phones.iter().enumerate().for_each(|(n, phone)| phone.send("INVITE", &format!("nested-{n}")));
    phones.iter().for_each(|phone| assert_eq!(reason(phone), "480 Nobody"));
    server.ran(&[
        ("ksr_request_route", 8),
        ("ksr_relay", 8),
        ("ksr_branch", 8),
        ("ksr_deepest", 8),
        ("ksr_failure", 8),
    ]);
    assert_eq!(server.end().0, 0);
}

#[test]
fn a_recursion_without_end_is_an_exception_whatever_limit_the_script_sets() {
    // Through Python alone, through a function of C, and in a thread of the script.
    let top = "import sys, threading\nsys.setrecursionlimit(10 ** 6)\n\
               def python(n):\n    return python(n + 1)\n\
               def through_c(n):\n    return sorted([1], key=through_c)\n\
               class Shown:\n    def __repr__(self):\n        return repr([self]) + ''\n\
               def all_of_them():\n    deep = 0\n    for f in (lambda: python(0), lambda: through_c(0), lambda: repr(Shown())):\n        \
               try:\n            f()\n        except RecursionError:\n            deep += 1\n    return deep\n\
               IN_THREAD = []";
    let route = "t = threading.Thread(target=lambda: IN_THREAD.append(all_of_them()))\nt.start()\nt.join()\n\
                 KSR.sl.send_reply(200, '%d %d' % (all_of_them(), IN_THREAD.pop()))";
    let server = Server::start_with("children=1", &script(top, route, ""), &THREADS);
    assert_eq!(asked(&server, "deep"), "200 3 3");
    assert!(server.banner.contains("sys.setrecursionlimit(1000000) at"), "{}", server.banner);
    server.ran(&[("ksr_request_route", 1)]);
}

#[test]
fn memory_that_is_not_there_is_an_exception() {
    let route = "if msg.Method == 'INFO':\n    bytearray(1 << 60)\nKSR.sl.send_reply(200, 'OK')";
    let server = Server::start("children=1", &script("", route, ""));
    let phone = server.phone();
    phone.send("INFO", "much");
    assert_eq!(phone.reply(), (500, "much".into()));
    server.logged("MemoryError");
    assert_eq!(asked(&server, "after"), "200 OK");
    server.ran(&[("ksr_request_route", 2)]);
}
