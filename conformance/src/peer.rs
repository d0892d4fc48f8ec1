//! A user agent made of one socket: sends text, expects text, and writes down all it receives.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an expected message may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// One user agent.
pub struct Peer {
    /// Name in transcripts.
    pub name: &'static str,
    /// Its address.
    pub address: SocketAddr,
    socket: UdpSocket,
    server: SocketAddr,
    /// Everything received, in order.
    pub received: Vec<String>,
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Received(pub String);

impl Peer {
    /// A user agent talking to this server, on the same address.
    pub fn new(name: &'static str, server: SocketAddr) -> Peer {
        Peer::on(name, server.ip(), server)
    }
    /// The same on another address.
    pub fn on(name: &'static str, ip: IpAddr, server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind((ip, 0)).expect("socket");
        let address = socket.local_addr().expect("address");
        Peer { name, address, socket, server, received: Vec::new() }
    }
    /// The server has another address now.
    pub fn turn_to(&mut self, server: SocketAddr) {
        self.server = server;
    }
    /// Sends to the server. Lines end with `\n` in the argument.
    pub fn send(&self, text: &str) {
        self.socket.send_to(text.replace('\n', "\r\n").as_bytes(), self.server).expect("send");
    }
    /// The next message, or `None` when nothing comes within the time.
    pub fn next(&mut self, within: Duration) -> Option<Received> {
        let end = Instant::now() + within;
        let mut buffer = vec![0; 65535];
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left)).expect("timeout");
        let (n, _) = self.socket.recv_from(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..n]).replace("\r\n", "\n");
        self.received.push(text.clone());
        Some(Received(text))
    }
    /// The next message whose first line contains this; others before it are kept in the transcript. Retransmissions of what was
    /// already received are left out of it.
    pub fn expect(&mut self, first_line: &str) -> Received {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let before = self.received.len();
            let Some(message) = self.next(left) else {
                panic!(
                    "{}: no `{first_line}` within {PATIENCE:?}; received so far:\n{}",
                    self.name,
                    self.received.join("---\n")
                )
            };
            if self.received[..before].contains(&message.0) {
                self.received.pop();
                continue;
            }
            if message.0.lines().next().unwrap_or_default().contains(first_line) {
                return message;
            }
        }
    }
    /// Takes in whatever comes for this long.
    pub fn settle(&mut self, during: Duration) {
        let end = Instant::now() + during;
        while !end.saturating_duration_since(Instant::now()).is_zero() {
            self.next(end.saturating_duration_since(Instant::now()));
        }
    }
    /// Nothing (new) comes for this long.
    pub fn expect_silence(&mut self, during: Duration) {
        let end = Instant::now() + during;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let before = self.received.len();
            if let Some(message) = self.next(left) {
                assert!(
                    self.received[..before].contains(&message.0),
                    "{}: unexpected\n{}",
                    self.name,
                    message.0
                );
                self.received.pop();
            }
        }
    }
}

impl Received {
    /// First line.
    pub fn first_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }
    /// Rows of a header, without the name.
    pub fn all(&self, header: &str) -> Vec<&str> {
        self.0
            .lines()
            .take_while(|l| !l.is_empty())
            .filter_map(|l| l.split_once(':'))
            .filter(|(n, _)| n.trim().eq_ignore_ascii_case(header))
            .map(|(_, v)| v.trim())
            .collect()
    }
    /// First row of a header.
    pub fn header(&self, header: &str) -> &str {
        self.all(header).first().copied().unwrap_or_default()
    }
    /// Method of a request line or of CSeq.
    pub fn request_uri(&self) -> &str {
        self.first_line().split(' ').nth(1).unwrap_or_default()
    }
    /// A reply to this request: Via, From, To (with tag), Call-ID, CSeq and Record-Route copied.
    pub fn reply(&self, status: &str, tag: &str, extra: &str) -> String {
        let mut out = format!("SIP/2.0 {status}\n");
        for via in self.all("Via") {
            out += &format!("Via: {via}\n");
        }
        for rr in self.all("Record-Route") {
            out += &format!("Record-Route: {rr}\n");
        }
        out += &format!("From: {}\n", self.header("From"));
        let to = self.header("To");
        if to.contains(";tag=") || tag.is_empty() {
            out += &format!("To: {to}\n");
        } else {
            out += &format!("To: {to};tag={tag}\n");
        }
        out += &format!(
            "Call-ID: {}\nCSeq: {}\n{extra}Content-Length: 0\n\n",
            self.header("Call-ID"),
            self.header("CSeq")
        );
        out
    }
}
