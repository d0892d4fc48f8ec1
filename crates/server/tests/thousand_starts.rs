//! Threads of the script in both `mod_init` and `child_init`, `threads_mode` 1: of Kamailio's starts every second one deadlocked.
//! Here a thousand: each answers, has both threads at work, and ends.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::{Server, text};

/// Imports what takes Python's locks while it is imported, and answers once each of its threads has run.
const SCRIPT: &str = "
import concurrent.futures
import logging
import threading
import KSR

RAN = {'mod_init': threading.Event(), 'child_init': threading.Event()}

def run(name):
    import decimal
    logging.getLogger(name).debug('running')
    RAN[name].set()
    threading.Event().wait(0.001)

def start(name):
    threading.Thread(target=run, args=(name,), daemon=True).start()

class Handler:
    def child_init(self, rank):
        start('child_init')
        return 0
    def ksr_request_route(self, msg):
        if all(ran.wait(10) for ran in RAN.values()):
            KSR.sl.send_reply(200, 'Both')
        return 1

def mod_init():
    start('mod_init')
    return Handler()
";

#[test]
fn threads_in_mod_init_and_child_init() {
    const STARTS: u32 = 1000;
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < STARTS {
                    once();
                }
            });
        }
    });
}

fn once() {
    let flags = ["--loadmodule=app_python3.so", "--modparam=app_python3:threads_mode:i:1"];
    let server = Server::start_with("children=2", SCRIPT, &flags);
    let phone = server.phone();
    phone.send("OPTIONS", "start");
    let reply = text(&phone.receive());
    assert!(reply.starts_with("SIP/2.0 200 Both"), "{reply}");
    server.ran(&[("ksr_request_route", 1)]);
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
}
