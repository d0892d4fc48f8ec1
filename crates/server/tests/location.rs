//! Registrations outlive the server: a restart, a kill, and a database that goes away, on real databases.

mod common;
#[path = "../../store/tests/common/mod.rs"]
mod databases;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Folder, MODULES, Server, binary, kill, text};
use serde_json::json;

const SCRIPT: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if msg.Method == 'REGISTER':
            KSR.registrar.save('location', 0)
        elif KSR.registrar.lookup('location') > 0:
            KSR.sl.send_reply(302, 'Moved')
        else:
            KSR.sl.send_reply(404, 'Not Found')
        return 1
def mod_init():
    return Handler()
";

fn start(folder: Folder, url: &str, mode: u8) -> Server {
    let script = folder.write("route.py", SCRIPT);
    let modules = MODULES.replace("{script}", &script.display().to_string());
    let kind = url.split(':').next().unwrap_or_default();
    let params = format!(
        "loadmodule \"db_{kind}.so\"\nloadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\nmodparam(\"usrloc\", \"db_url\", \"{url}\")\n\
         modparam(\"usrloc\", \"db_mode\", {mode})\nmodparam(\"usrloc\", \"preload\", \"location\")\n"
    );
    let config =
        folder.write("kamailio.cfg", &format!("children=4\nlisten=udp:127.0.0.1:0\n{modules}{params}"));
    Server::start_config(folder, &config, &[])
}

fn create(url: &str) {
    let done = binary().args(["db", "create", url]).output().expect("runs");
    assert!(done.status.success(), "{}", text(&done.stderr));
}

/// A phone of many users that says which of them were answered with what.
struct Users {
    socket: UdpSocket,
    cseq: u32,
}

impl Users {
    fn new(server: SocketAddr) -> Users {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.connect(server).expect("connects");
        Users { socket, cseq: 0 }
    }
    fn send(&mut self, method: &str, user: &str, rows: &str) {
        self.cseq += 1;
        let (local, cseq) = (self.socket.local_addr().expect("address"), self.cseq);
        let text = format!(
            "{method} sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method}{user}{cseq}\r\n\
             From: <sip:{user}@127.0.0.1>;tag=1\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: {user}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 10\r\n{rows}Content-Length: 0\r\n\r\n"
        );
        // A server that was killed refuses it.
        let _ = self.socket.send(text.as_bytes());
    }
    fn register(&mut self, user: &str) {
        self.send("REGISTER", user, &format!("Contact: <sip:{user}@192.0.2.1>\r\nExpires: 3600\r\n"));
    }
    /// Code and Call-ID, which is the user, of the next answer.
    fn answer(&self, within: Duration) -> Option<(u16, String)> {
        self.socket.set_read_timeout(Some(within)).expect("a timeout");
        let mut buffer = [0; 4096];
        let n = self.socket.recv(&mut buffer).ok()?;
        let text = text(&buffer[..n]);
        let code = text.split(' ').nth(1)?.parse().ok()?;
        let user = text.lines().find_map(|l| l.strip_prefix("Call-ID: "))?.to_owned();
        Some((code, user))
    }
    fn registered(&mut self, user: &str) -> u16 {
        self.register(user);
        self.answer(common::PATIENCE).expect("an answer").0
    }
    fn looked_up(&mut self, user: &str) -> u16 {
        self.send("OPTIONS", user, "");
        self.answer(common::PATIENCE).expect("an answer").0
    }
}

fn known(server: &Server) -> HashSet<String> {
    let all = server.ask("ul.dump", json!(["brief"]));
    let rows = all["Domains"][0]["Domain"]["AoRs"].as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|r| r["AoR"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_restart_keeps_registrations() {
    let database = databases::Folder::new();
    create(&database.sqlite());
    for mode in [1, 2, 3] {
        let server = start(Folder::new(), &database.sqlite(), mode);
        let user = format!("user{mode}");
        assert_eq!(Users::new(server.address).registered(&user), 200);
        let (code, log) = server.end();
        assert_eq!(code, 0, "{log}");
        let server = start(Folder::new(), &database.sqlite(), mode);
        assert_eq!(Users::new(server.address).looked_up(&user), 302, "db_mode {mode}");
        assert_eq!(Users::new(server.address).registered(&user), 200);
        assert_eq!(server.ask("ul.db_contacts", json!(["location"])), json!(mode), "refreshed in place");
    }
}

/// Registers new users as fast as answers come, from several phones at once, until told to stop; returns who was answered with 200.
fn load(server: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    const PHONES: usize = 4;
    /// Requests on their way from a phone.
    const WINDOW: usize = 8;
    std::thread::scope(|scope| {
        let phone = |p: usize| {
            let mut users = Users::new(server);
            let (mut kept, mut next, mut flying) = (Vec::new(), 0, 0);
            while !stop.load(Ordering::Relaxed) {
                while flying < WINDOW {
                    users.register(&format!("u{p}x{next}"));
                    (next, flying) = (next + 1, flying + 1);
                }
                match users.answer(Duration::from_millis(100)) {
                    Some((200, user)) => {
                        kept.push(user);
                        answered.fetch_add(1, Ordering::Relaxed);
                        flying -= 1;
                    }
                    Some(_) => flying -= 1,
                    None => flying = 0,
                }
            }
            // What was answered before the end counts too.
            while let Some((code, user)) = users.answer(Duration::from_millis(20)) {
                if code == 200 {
                    kept.push(user);
                }
            }
            kept
        };
        let phones: Vec<_> = (0..PHONES).map(|p| scope.spawn(move || phone(p))).collect();
        phones.into_iter().flat_map(|p| p.join().expect("ends")).collect()
    })
}

fn killed_under_load(kind: &str, url: &str) {
    const ENOUGH: usize = 3000;
    create(url);
    let server = start(Folder::new(), url, 1);
    let address = server.address;
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let begin = Instant::now();
    let kept = std::thread::scope(|scope| {
        let phones = scope.spawn(|| load(address, &stop, &answered));
        while answered.load(Ordering::Relaxed) < ENOUGH && begin.elapsed() < common::PATIENCE {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        kill(server.pid(), "KILL");
        stop.store(true, Ordering::Relaxed);
        phones.join().expect("ends")
    });
    let rate = kept.len() as f64 / begin.elapsed().as_secs_f64();
    eprintln!("{kind}: {} registrations acknowledged, {rate:.0} a second", kept.len());
    assert!(kept.len() >= ENOUGH, "{kind}: only {} were answered", kept.len());
    drop(server);
    let server = start(Folder::new(), url, 1);
    let known = known(&server);
    let lost: Vec<_> = kept.iter().filter(|u| !known.contains(*u)).collect();
    assert!(lost.is_empty(), "{kind}: {} of {} are lost: {lost:?}", lost.len(), kept.len());
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let _turn = databases::turn();
    let database = databases::Folder::new();
    killed_under_load("sqlite", &database.sqlite());
    for kind in ["mysql", "postgres"] {
        let Some(url) = databases::server(kind, "location_kill") else { continue };
        killed_under_load(kind, &url);
    }
}

fn control(what: &str, kind: &str) {
    let script = std::env::var("TRUNKLINE_TEST_DATABASES").expect("set with the servers");
    assert!(Command::new(script).args([what, kind]).status().expect("runs").success(), "{what} {kind}");
}

#[test]
fn a_database_that_goes_away() {
    let _turn = databases::turn();
    for kind in ["mysql", "postgres"] {
        let Some(url) = databases::server(kind, "location_away") else { continue };
        create(&url);
        let server = start(Folder::new(), &url, 1);
        let address = server.address;
        let mut users = Users::new(address);
        assert_eq!(users.registered("alice"), 200);
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let phones = scope.spawn(|| load(address, &stop, &answered));
            while answered.load(Ordering::Relaxed) < 200 {
                std::thread::park_timeout(Duration::from_millis(2));
            }
            control("stop", kind);
            while users.registered("alice") != 503 {}
            for _ in 0..100 {
                assert_eq!(users.looked_up("alice"), 302, "lookups do not ask the database");
                assert_eq!(users.registered("bob"), 503);
            }
            assert_eq!(users.looked_up("bob"), 404, "what was refused is not there");
            control("start", kind);
            while users.registered("alice") != 200 {}
            stop.store(true, Ordering::Relaxed);
            phones.join().expect("ends");
        });
        assert_eq!(users.registered("bob"), 200);
        assert_eq!(users.looked_up("bob"), 302);
        let (_, log) = server.end();
        let lines = |what: &str| log.lines().filter(|l| l.contains(what)).count();
        assert_eq!((lines("cannot be reached"), lines("is back after")), (1, 1), "{log}");
    }
}

/// A wrong layout is said, with what is wanted, before the first message.
#[test]
fn another_version_of_the_table_is_refused() {
    let database = databases::Folder::new();
    let url = database.sqlite();
    create(&url);
    let folder = Folder::new();
    let script = folder.write("route.py", SCRIPT);
    let modules = MODULES.replace("{script}", &script.display().to_string());
    let config = format!(
        "listen=udp:127.0.0.1:0\n{modules}loadmodule \"usrloc.so\"\nmodparam(\"usrloc\", \"db_url\", \"{url}\")\n\
         modparam(\"usrloc\", \"db_mode\", 1)\nmodparam(\"usrloc\", \"preload\", \"location\")\n"
    );
    let config = folder.write("kamailio.cfg", &config);
    let db = store::open(&url).expect("opens");
    let old = [store::Condition::equal("table_name", store::Value::text("location"))];
    assert_eq!(db.update("version", &["table_version"], &[store::Value::Int(8)], &old), Ok(1));
    let output = common::run_to_end(&["run", "-f", &config.display().to_string()]);
    let said = text(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("module usrloc: table location has version 8 and version 9 is needed"), "{said}");

    let domain = [store::Condition::equal("table_name", store::Value::text("domain"))];
    assert_eq!(db.update("version", &["table_version"], &[store::Value::Int(99)], &domain), Ok(1));
    let other = format!(
        "listen=udp:127.0.0.1:0\n{modules}loadmodule \"domain.so\"\nmodparam(\"domain\", \"db_url\", \"{url}\")\n"
    );
    let other = folder.write("other.cfg", &other);
    let said = text(&common::run_to_end(&["run", "-f", &other.display().to_string()]).stderr);
    assert!(said.contains("module domain: table domain has version 99 and version 2 is needed"), "{said}");
}
