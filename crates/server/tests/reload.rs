//! `app_python.reload`, SIGHUP and `reload_on_change`: all workers switch or none does, nothing is lost, and transactions end with the
//! callbacks they were armed with.

mod common;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Folder, MODULES, PATIENCE, Server, kill};
use serde_json::{Value as Json, json};

/// Answers with its version and that of a module in its folder.
fn script(version: u32) -> String {
    format!(
        "
import KSR
import helper
class Handler:
    def child_init(self, rank):
        self.ready = True
        return 0
    def ksr_request_route(self, msg):
        if self.ready:
            KSR.sl.send_reply(200, 'V{version} ' + helper.VERSION)
        return 1
def mod_init():
    return Handler()
"
    )
}

fn start(core: &str, text: &str) -> Server {
    let folder = Folder::new();
    folder.write("helper.py", "VERSION = 'first'\n");
    let script = folder.write("route.py", text);
    let modules = MODULES.replace("{script}", &script.display().to_string());
    let config =
        folder.write("kamailio.cfg", &format!("listen=udp:127.0.0.1:0\nchildren=3\n{modules}\n{core}\n"));
    Server::start_config(folder, &config, &[])
}

/// The reason phrase that an OPTIONS gets.
fn phrase(server: &Server, call_id: &str) -> String {
    let phone = server.phone();
    phone.send("OPTIONS", call_id);
    let reply = String::from_utf8_lossy(&phone.receive()).into_owned();
    reply.lines().next().unwrap_or_default().trim_start_matches("SIP/2.0 200 ").to_owned()
}

fn refused(server: &Server) -> String {
    let output = server.ctl(&["app_python.reload"]);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn the_new_script_and_its_modules_route() {
    let server = start("debug=2", &script(1));
    assert_eq!(phrase(&server, "a"), "V1 first");
    server.folder.write("helper.py", "VERSION = 'the second'\n");
    server.folder.write("route.py", &script(2));
    let answer = server.ask("app_python.reload", json!([]));
    assert_eq!((answer["old"].clone(), answer["new"].clone()), (json!(0), json!(1)), "{answer}");
    // Every worker, also those that slept.
    for n in 0..50 {
        assert_eq!(phrase(&server, &format!("b{n}")), "V2 the second");
    }
    server.ran(&[("ksr_request_route", 51)]);
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("script reloaded in"), "{log}");
}

/// Always of the same second, as after a quick edit: Python takes a source of one size and second for one it has compiled.
fn write_helper(server: &Server, version: &str) {
    let file = server.folder.write("helper.py", &format!("VERSION = '{version}'\n"));
    let second = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let file = std::fs::File::options().write(true).open(file).expect("file");
    file.set_modified(second).expect("time set");
}

#[test]
fn when_it_fails_all_keep_the_old_one_and_the_caller_is_told_why() {
    let server = start("", &script(1));
    for (text, why) in [
        ("import KSR\ndef mod_init(:\n", "route.py:2:14: SyntaxError"),
        ("import KSR\nimport nosuchmodule\n", "No module named 'nosuchmodule'"),
        ("import KSR\ndef mod_init():\n    return 1\n", "no callback ksr_request_route"),
        (&script(3).replace("self.ready = True", "raise ValueError('not today')"), "ValueError: not today"),
        (&script(3).replace("return 0", "return -1"), "returned -1"),
    ] {
        write_helper(&server, "broken");
        server.folder.write("route.py", text);
        let said = refused(&server);
        assert!(said.contains(why), "{why}: {said}");
        for n in 0..20 {
            assert_eq!(phrase(&server, &format!("{why}{n}")), "V1 first");
        }
    }
    // And later one that works.
    write_helper(&server, "mended");
    server.folder.write("route.py", &script(4));
    server.ask("app_python.reload", json!([]));
    assert_eq!(phrase(&server, "z"), "V4 mended");
}

#[test]
fn sighup_and_a_changed_file_reload_too() {
    let server = start("", &script(1));
    server.folder.write("route.py", &script(2));
    kill(server.pid(), "HUP");
    wait_for(|| phrase(&server, "hup") == "V2 first");

    let server = start("modparam(\"app_python3\", \"reload_on_change\", 1)", &script(1));
    server.folder.write("route.py", &script(3));
    wait_for(|| phrase(&server, "changed") == "V3 first");
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
}

/// Relays to the port in the user part; the failure route answers with the version that armed it.
fn relaying(version: u32) -> String {
    format!(
        "
import KSR
class Handler:
    def ksr_request_route(self, msg):
        KSR.pv.sets('$du', 'sip:127.0.0.1:' + KSR.pv.get('$rU'))
        KSR.tm.t_on_failure('ksr_failure')
        KSR.tm.t_relay()
        return 1
    def ksr_failure(self, msg):
        KSR.tm.t_on_failure('ksr_again')
        KSR.tm.t_reply(480, 'Armed by V{version}')
        return 1
def mod_init():
    return Handler()
"
    )
}

#[test]
fn a_transaction_ends_with_the_callbacks_it_was_armed_with() {
    let server = start("modparam(\"tm\", \"fr_timer\", 20000)", &relaying(1));
    let (alice, bob) =
        (UdpSocket::bind("127.0.0.1:0").expect("socket"), UdpSocket::bind("127.0.0.1:0").expect("socket"));
    for s in [&alice, &bob] {
        s.set_read_timeout(Some(PATIENCE)).expect("timeout");
    }
    let invite = |call: &str| {
        let (from, to) = (alice.local_addr().expect("address"), bob.local_addr().expect("address").port());
        let text = format!(
            "INVITE sip:{to}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{call}\r\nFrom: <sip:a@a.org>;tag=1\r\n\
             To: <sip:b@b.org>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 10\r\nContact: <sip:{from}>\r\nContent-Length: 0\r\n\r\n"
        );
        alice.send_to(text.as_bytes(), server.address).expect("send");
        read(&bob, "INVITE ", call)
    };
    let refuse = |invite: &str, call: &str| {
        let rows: String = invite
            .lines()
            .filter(|l| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|n| l.starts_with(n)))
            .map(|l| if l.starts_with("To:") { format!("{l};tag=2\r\n") } else { format!("{l}\r\n") })
            .collect();
        bob.send_to(
            format!("SIP/2.0 486 Busy\r\n{rows}Content-Length: 0\r\n\r\n").as_bytes(),
            server.address,
        )
        .expect("send");
        read(&alice, "SIP/2.0 480", call)
    };
    let first = invite("one");
    server.folder.write("route.py", &relaying(2));
    server.ask("app_python.reload", json!([]));
    let second = invite("two");
    assert!(refuse(&second, "two").starts_with("SIP/2.0 480 Armed by V2"));
    assert!(refuse(&first, "one").starts_with("SIP/2.0 480 Armed by V1"));
}

/// The next datagram of a call that begins so; others may come again meanwhile.
fn read(socket: &UdpSocket, start: &str, call: &str) -> String {
    let call = format!("\r\nCall-ID: {call}\r\n");
    let mut buffer = [0; 4096];
    loop {
        let n = socket.recv(&mut buffer).expect("a datagram");
        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if text.starts_with(start) && text.contains(&call) {
            return text;
        }
    }
}

#[test]
fn under_load_no_request_is_lost() {
    const RELOADS: u32 = 10;
    let server = start("", &script(1));
    let (address, done) = (server.address, AtomicBool::new(false));
    let (number, phrases) = std::thread::scope(|scope| {
        let load = scope.spawn(|| keep_asking(address, &done));
        for version in 2..2 + RELOADS {
            server.folder.write("route.py", &script(version));
            let answer: Json = server.ask("app_python.reload", json!([]));
            assert_eq!(answer["new"], json!(version - 1));
        }
        done.store(true, Ordering::Relaxed);
        load.join().expect("load")
    });
    assert!(phrases.contains("SIP/2.0 200 V1 first") && phrases.len() > 2, "{phrases:?}");
    server.ran(&[("ksr_request_route", number)]);
    assert_eq!(phrase(&server, "last"), format!("V{} first", 1 + RELOADS));
}

/// Asks, eight requests at a time, until told to stop and everything is answered; how many, and the status lines seen.
fn keep_asking(address: SocketAddr, done: &AtomicBool) -> (u64, HashSet<String>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.connect(address).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    let local = socket.local_addr().expect("address");
    let mut number = 0u64;
    let mut open = HashSet::new();
    let mut phrases = HashSet::new();
    loop {
        while open.len() < 8 && !done.load(Ordering::Relaxed) {
            number += 1;
            let text = format!(
                "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{number}\r\nFrom: <sip:a@a.org>;tag=1\r\n\
                 To: <sip:b@b.org>\r\nCall-ID: c{number}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send(text.as_bytes()).expect("send");
            open.insert(format!("c{number}"));
        }
        if open.is_empty() {
            return (number, phrases);
        }
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{e}: no answer to {open:?} of {number}"));
        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        let id = text.lines().find_map(|l| l.strip_prefix("Call-ID: ")).expect("Call-ID");
        assert!(open.remove(id), "{text}");
        phrases.insert(text.lines().next().unwrap_or_default().to_owned());
    }
}
