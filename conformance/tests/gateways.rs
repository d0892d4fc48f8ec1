//! Dispatcher, pike and htable: the same requests go to the same gateways through Trunkline and through Kamailio, and the same request of a
//! flood is the first that is refused.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trunkline_conformance::peer::Received;
use trunkline_conformance::subject::{Kind, Setup, Subject};

/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that answers everything, one way its pings and another way the rest. 0: not at all.
struct Gateway {
    address: SocketAddr,
    to_pings: Arc<AtomicU16>,
    to_requests: Arc<AtomicU16>,
    ping: Arc<Mutex<String>>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// `number` and the Call-ID of each request are noted.
    fn new(number: usize, seen: Arc<Mutex<Vec<(usize, String)>>>) -> Gateway {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        let address = socket.local_addr().expect("address");
        let (to_pings, to_requests) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
        let (closing, ping) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(String::new())));
        let (pings, requests, closed, kept) =
            (to_pings.clone(), to_requests.clone(), closing.clone(), ping.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65535];
            while !closed.load(Ordering::Relaxed) {
                let Ok((n, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..n]).replace("\r\n", "\n");
                let request = Received(text.clone());
                let code = if text.starts_with("OPTIONS") {
                    *kept.lock().expect("no panic") = text;
                    pings.load(Ordering::Relaxed)
                } else if text.starts_with("MESSAGE") {
                    let mut seen = seen.lock().expect("no panic");
                    let row = (number, request.header("Call-ID").to_owned());
                    // A retransmission is no second request.
                    if !seen.contains(&row) {
                        seen.push(row);
                    }
                    requests.load(Ordering::Relaxed)
                } else {
                    0
                };
                if code != 0 {
                    let reply = request.reply(&format!("{code} Answer"), "t-gw", "").replace('\n', "\r\n");
                    let _ = socket.send_to(reply.as_bytes(), from);
                }
            }
        });
        Gateway { address, to_pings, to_requests, ping, closing, thread: Some(thread) }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A user agent at an address of its own.
struct Agent {
    socket: UdpSocket,
    server: SocketAddr,
    name: &'static str,
    sent: u32,
}

impl Agent {
    fn new(name: &'static str, ip: &str, server: SocketAddr) -> Agent {
        let socket = UdpSocket::bind((ip, 0)).expect("an address of the loopback");
        Agent { socket, server, name, sent: 0 }
    }
    /// Sends a request and waits for its final reply: the status line and the reply.
    fn ask(&mut self, call_id: &str, rows: &str, patience: Duration) -> Option<Received> {
        self.sent += 1;
        let (me, n, name, server) =
            (self.socket.local_addr().expect("address"), self.sent, self.name, self.server);
        let text = format!(
            "MESSAGE sip:bob@{server} SIP/2.0\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{name}{n};rport\nMax-Forwards: 8\n\
             From: <sip:{name}@conformance.test>;tag=t-{name}\nTo: <sip:bob@conformance.test>\nCall-ID: {call_id}\n\
             CSeq: {n} MESSAGE\n{rows}Content-Length: 0\n\n"
        );
        self.socket.send_to(text.replace('\n', "\r\n").as_bytes(), server).expect("sends");
        let end = Instant::now() + patience;
        let mut buffer = [0; 65535];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).expect("timeout");
            let Ok((len, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let reply = Received(String::from_utf8_lossy(&buffer[..len]).replace("\r\n", "\n"));
            let mine = reply.header("CSeq") == format!("{n} MESSAGE");
            if mine && !reply.first_line().starts_with("SIP/2.0 1") {
                return Some(reply);
            }
        }
    }
}

/// A server with three gateways: 1 to 3 in set 1 in this order, in set 2 with weights.
struct Stage {
    subject: Subject,
    gateways: Vec<Gateway>,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
    list: PathBuf,
}

impl Stage {
    fn start(kind: Kind) -> Stage {
        let seen = Arc::default();
        let gateways: Vec<Gateway> = (1..=3).map(|n| Gateway::new(n, Arc::clone(&seen))).collect();
        let list = std::env::temp_dir().join(format!(
            "trunkline-gateways-{}-{}.list",
            std::process::id(),
            gateways[0].address.port()
        ));
        let row = |set: usize, n: usize, rest: &str| format!("{set} sip:{} {rest}\n", gateways[n].address);
        let rows = [
            row(1, 0, "0 30"),
            row(1, 1, "0 20"),
            row(1, 2, "0 10"),
            row(2, 0, "0 30 weight=50"),
            row(2, 1, "0 20 weight=30"),
            row(2, 2, "0 10 weight=20"),
        ];
        std::fs::write(&list, rows.concat()).expect("writes");
        let define: &'static str = Box::leak(format!("GATEWAYS=\"{}\"", list.display()).into_boxed_str());
        let setup = Setup { sockets: &["127.0.0.1"], defines: Box::leak(Box::new([define])) };
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let subject =
            Subject::start_with(kind, &config.join("gateways.cfg"), &config.join("gateways.py"), &setup);
        Stage { subject, gateways, seen, list }
    }
    /// Who got requests since the last time, in order.
    fn got(&self) -> Vec<usize> {
        std::mem::take(&mut *self.seen.lock().expect("no panic")).into_iter().map(|(n, _)| n).collect()
    }
    /// Waits until the gateways of set 1 take calls like this (1 or -1) and the script has heard such an event; gives that event.
    fn wait_for(&self, agent: &mut Agent, states: [i32; 3], event: &str) -> String {
        let uris: Vec<String> = self.gateways.iter().map(|g| format!("sip:{}", g.address)).collect();
        let rows = format!("X-Do: states\nX-Uris: {}\n", uris.join(","));
        let end = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < end {
            let Some(reply) = agent.ask("states", &rows, PATIENCE) else { break };
            last = format!("{} {}", reply.header("X-States"), reply.header("X-Events"));
            if last.starts_with(&format!("{states:?} {event}")) {
                return reply.header("X-Events").to_owned();
            }
            std::thread::yield_now();
        }
        panic!("{:?}: {states:?} {event} did not come, but {last}", self.subject.kind);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.list);
    }
}

/// Plays the same with both and gives what each saw.
fn both<T: PartialEq + std::fmt::Debug + Send>(play: impl Fn(&Stage) -> T + Sync) {
    let run = |kind| play(&Stage::start(kind));
    let (ours, theirs) = std::thread::scope(|s| {
        let ours = s.spawn(|| run(Kind::Trunkline));
        let theirs = run(Kind::Kamailio);
        (ours.join().expect("Trunkline"), theirs)
    });
    assert_eq!(ours, theirs, "left: Trunkline, right: Kamailio");
}

fn status(reply: Option<Received>) -> String {
    reply.map_or("nothing".into(), |r| r.first_line().to_owned())
}

#[test]
fn requests_go_to_the_same_gateways() {
    both(|stage| {
        let mut alice = Agent::new("alice", "127.0.0.1", stage.subject.address);
        let mut out: Vec<(String, Vec<usize>)> = Vec::new();
        // Round robin.
        for n in 0..6 {
            assert!(alice.ask(&format!("round{n}"), "X-Do: round\n", PATIENCE).is_some());
        }
        out.push(("round robin".into(), stage.got()));
        // One Call-ID, one gateway; which, is the server's own affair. The gateways count a Call-ID once each.
        for _ in 0..5 {
            assert!(alice.ask("hash1", "X-Do: hash\n", PATIENCE).is_some());
        }
        out.push((format!("hash: {} gateway", stage.got().len()), vec![]));
        // Weights over a hundred calls.
        for n in 0..100 {
            assert!(alice.ask(&format!("weight{n}"), "X-Do: weight\n", PATIENCE).is_some());
        }
        let got = stage.got();
        out.push(("weights".into(), (1..=3).map(|g| got.iter().filter(|n| **n == g).count()).collect()));
        // The first refuses, the second does not answer.
        stage.gateways[0].to_requests.store(503, Ordering::Relaxed);
        let answer = status(alice.ask("over1", "X-Do: first\n", PATIENCE));
        out.push((format!("failover: {answer}"), stage.got()));
        stage.gateways[1].to_requests.store(0, Ordering::Relaxed);
        let answer = status(alice.ask("over2", "X-Do: first\n", PATIENCE));
        out.push((format!("failover twice: {answer}"), stage.got()));
        out
    });
}

#[test]
fn pings_take_gateways_out_and_back_in() {
    both(|stage| {
        let mut alice = Agent::new("alice", "127.0.0.1", stage.subject.address);
        let name = |text: String| {
            let roles = stage.gateways.iter().enumerate();
            roles.fold(text, |t, (n, g)| t.replace(&g.address.to_string(), &format!("<gateway {}>", n + 1)))
        };
        let mut out = Vec::new();
        stage.wait_for(&mut alice, [1, 1, 1], "0");
        stage.gateways[1].to_pings.store(503, Ordering::Relaxed);
        // A stall of the machine may have taken another out of set 2 meanwhile: the event of this one is waited for.
        let down = format!("dispatcher:dst-down sip:{}", stage.gateways[1].address);
        out.push(name(stage.wait_for(&mut alice, [1, -1, 1], &down)));
        stage.got();
        for n in 0..4 {
            assert!(alice.ask(&format!("down{n}"), "X-Do: round\n", PATIENCE).is_some());
        }
        out.push(format!("{:?}", stage.got()));
        stage.gateways[1].to_pings.store(202, Ordering::Relaxed);
        stage.wait_for(&mut alice, [1, 1, 1], "dispatcher:dst-up");
        for n in 0..4 {
            assert!(alice.ask(&format!("up{n}"), "X-Do: round\n", PATIENCE).is_some());
        }
        let mut got = stage.got();
        got.sort_unstable();
        out.push(format!("{got:?}"));
        // One that does not answer at all: Kamailio's timer process does not always run the script.
        stage.gateways[2].to_pings.store(0, Ordering::Relaxed);
        stage.wait_for(&mut alice, [1, 1, -1], "");
        // Marked by the failure route, found well by a ping.
        stage.gateways[2].to_pings.store(200, Ordering::Relaxed);
        stage.wait_for(&mut alice, [1, 1, 1], "dispatcher:dst-up");
        let ping = Received(stage.gateways[0].ping.lock().expect("no panic").clone());
        let from = ping.header("From").split(";tag=").next().unwrap_or_default().to_owned();
        let rows =
            [ping.first_line(), ping.header("To"), &from, ping.header("CSeq"), ping.header("Max-Forwards")];
        out.extend(rows.map(|r| name(r.to_owned())));
        out
    });
}

#[test]
fn a_flood_from_one_address_is_refused_and_others_are_not() {
    const SHORT: Duration = Duration::from_millis(150);
    both(|stage| {
        let server = stage.subject.address;
        let mut flooder = Agent::new("mallory", "127.0.0.2", server);
        let mut other = Agent::new("carol", "127.0.0.3", server);
        let mut alice = Agent::new("alice", "127.0.0.1", server);
        let before = status(other.ask("before", "", PATIENCE));
        // Answered one after the other until one is not.
        let answered = (0..60)
            .take_while(|n| {
                flooder.ask(&format!("flood{n}"), "", if *n < 16 { PATIENCE } else { SHORT * 4 }).is_some()
            })
            .count();
        let banned = (0..3).all(|n| flooder.ask(&format!("more{n}"), "", SHORT).is_none());
        let others: Vec<String> =
            (0..5).map(|n| status(other.ask(&format!("other{n}"), "", PATIENCE))).collect();
        let local = status(alice.ask("local", "", PATIENCE));
        // An entry that ends by itself.
        let ban = status(alice.ask("ban", "X-Do: ban\n", PATIENCE));
        let silent = alice.ask("silent", "", SHORT).is_none();
        let end = Instant::now() + PATIENCE;
        let mut back = false;
        while !back && Instant::now() < end {
            back = alice.ask("back", "", SHORT).is_some();
        }
        (before, answered, banned, others, local, ban, silent, back)
    });
}
