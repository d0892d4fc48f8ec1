//! The load: clients that send one request after the other and fail when one is not answered in time, and the peers that the script
//! talks to. All of it on loopback, one request per client under way.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// No worker may be without progress for longer.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// What the script is asked to do, and how often compared with the others.
const KINDS: &[(&str, u32)] = &[
    ("plain", 20),
    ("ticks", 4),
    ("raise", 5),
    ("deep", 1),
    ("exit", 5),
    ("silent", 2),
    ("sleep", 4),
    ("socket", 4),
    ("await", 6),
    ("log", 2),
    ("threads", 4),
    ("exec", 6),
    ("event", 4),
    ("register", 3),
    ("relay", 10),
    ("timeout", 3),
];

/// What a client did.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests by kind, those the script decided.
    pub routed: BTreeMap<&'static str, u64>,
    /// Relayed calls that the callee refused.
    pub refused: u64,
    /// Answered 503 by the server itself, because all workers were busy.
    pub overload: u64,
    /// Largest number of ticks that threads of the script had made, and how often it had changed.
    pub ticks: u64,
    pub ticked: u64,
    /// What went wrong.
    pub wrong: Option<String>,
}

impl Report {
    pub fn add(&mut self, other: Report) {
        for (kind, n) in other.routed {
            *self.routed.entry(kind).or_default() += n;
        }
        self.refused += other.refused;
        self.overload += other.overload;
        self.ticks = self.ticks.max(other.ticks);
        self.ticked += other.ticked;
        self.wrong = self.wrong.take().or(other.wrong);
    }
    pub fn of(&self, kinds: &[&str]) -> u64 {
        kinds.iter().filter_map(|k| self.routed.get(k)).sum()
    }
}

/// One client, until `stop` or until something is wrong; it sets `stop` then.
pub struct Client {
    pub number: u64,
    pub server: SocketAddr,
    pub threads_mode: u32,
}

impl Client {
    pub fn run(&self, stop: &AtomicBool) -> Report {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.connect(self.server).expect("connect");
        let mut report = Report::default();
        let mut random = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut ticks = 0;
        for n in 0u64.. {
            if stop.load(Relaxed) {
                break;
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let kind = pick(random);
            let call = format!("{kind}-{}-{n}", self.number);
            let method = match kind {
                "relay" | "timeout" => "INVITE",
                "register" => "REGISTER",
                _ => "OPTIONS",
            };
            let text = request(&socket, method, &call);
            socket.send(text.as_bytes()).expect("send");
            if kind == "silent" {
                *report.routed.entry(kind).or_default() += 1;
                continue;
            }
            let (code, reason) = match answer(&socket, method, &call, &text) {
                Ok(answer) => answer,
                Err(e) => {
                    report.wrong = Some(e);
                    stop.store(true, Relaxed);
                    break;
                }
            };
            if code == 503 {
                report.overload += 1;
                continue;
            }
            *report.routed.entry(kind).or_default() += 1;
            let fits = match kind {
                "raise" | "deep" => code == 500,
                "timeout" => code == 480,
                "relay" => matches!(code, 200 | 486),
                "socket" => code == 200 && reason == "1 row",
                _ => code == 200,
            };
            report.refused += u64::from(code == 486);
            if let Some(n) = reason.strip_prefix("Ticks ").and_then(|n| n.parse().ok()) {
                report.ticked += u64::from(n != ticks);
                ticks = n;
                report.ticks = report.ticks.max(n);
            }
            if !fits || (self.threads_mode == 0 && ticks > 0) {
                report.wrong = Some(format!("{call}: {code} {reason}"));
                stop.store(true, Relaxed);
                break;
            }
        }
        report
    }
}

fn pick(random: u64) -> &'static str {
    let total: u32 = KINDS.iter().map(|(_, weight)| weight).sum();
    let mut left = (random >> 32) as u32 % total;
    for (kind, weight) in KINDS {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return kind,
        }
    }
    "plain"
}

fn request(socket: &UdpSocket, method: &str, call: &str) -> String {
    let local = socket.local_addr().expect("address");
    let user = call.split('-').nth(1).unwrap_or_default();
    format!(
        "{method} sip:u{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call}\r\n\
         From: <sip:u{user}@example.com>;tag=1\r\nTo: <sip:u{user}@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:u{user}@{local}>\r\nExpires: 1\r\nMax-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Waits for the final reply to this call; a failed INVITE is acknowledged.
fn answer(socket: &UdpSocket, method: &str, call: &str, text: &str) -> Result<(u16, String), String> {
    let until = Instant::now() + DEADLINE;
    let mut buffer = vec![0; 65_536];
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).expect("timeout");
        let Ok(n) = socket.recv(&mut buffer) else {
            return Err(format!("{call} was not answered in {DEADLINE:?}"));
        };
        let reply = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
        if !reply.contains(&format!("Call-ID: {call}\r\n")) {
            continue;
        }
        let first = reply.lines().next().unwrap_or_default();
        let mut words = first.splitn(3, ' ').skip(1);
        let code: u16 = words.next().and_then(|c| c.parse().ok()).unwrap_or(0);
        if code < 200 {
            continue;
        }
        if method == "INVITE" && code >= 300 {
            let to = reply.lines().find(|l| l.starts_with("To:")).unwrap_or_default();
            let ack = text.replace("INVITE", "ACK");
            let ack: Vec<&str> =
                ack.split("\r\n").map(|l| if l.starts_with("To:") { to } else { l }).collect();
            socket.send(ack.join("\r\n").as_bytes()).expect("send");
        }
        return Ok((code, words.next().unwrap_or_default().to_owned()));
    }
}

/// Rings, then answers every other call and is busy for the rest.
pub fn callee(socket: &UdpSocket, over: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    let mut buffer = vec![0; 65_536];
    while !over.load(Relaxed) {
        let Ok((n, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
        if !text.starts_with("INVITE ") {
            continue;
        }
        let rows: String = text
            .lines()
            .take_while(|l| !l.is_empty())
            .filter(|l| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|n| l.starts_with(n)))
            .map(|l| if l.starts_with("To:") { format!("{l};tag=2\r\n") } else { format!("{l}\r\n") })
            .collect();
        let busy = text.contains("2\r\nCSeq: ") || text.contains("4\r\nCSeq: ");
        for status in ["180 Ringing", if busy { "486 Busy Here" } else { "200 OK" }] {
            let reply = format!("SIP/2.0 {status}\r\n{rows}Content-Length: 0\r\n\r\n");
            socket.send_to(reply.as_bytes(), from).expect("send");
        }
    }
}

/// A database that takes its time: it answers 20 ms after the question.
pub fn slow_peer(listener: &TcpListener, over: &AtomicBool) {
    std::thread::scope(|scope| {
        for stream in listener.incoming().map_while(Result::ok) {
            if over.load(Relaxed) {
                break;
            }
            scope.spawn(move || {
                let mut stream = stream;
                let mut question = [0; 100];
                let asked = stream.read(&mut question).unwrap_or(0);
                // Nothing more comes: this is the time it takes.
                let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
                if asked > 0 && stream.read(&mut question).is_err() {
                    let _ = stream.write_all(b"1 row");
                }
            });
        }
    });
}
