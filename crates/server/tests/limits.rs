//! The bound on transactions: a defined answer, and service again when there is room.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{Folder, MODULES, PATIENCE, Server, text};
use serde_json::json;

const RELAY: &str = "
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.tm.t_relay()
        return 1
def mod_init():
    return Handler()
";

struct Caller {
    socket: UdpSocket,
    callee: UdpSocket,
}

impl Caller {
    fn send(&self, method: &str, call: &str) {
        let at = |s: &UdpSocket| s.local_addr().expect("address");
        let (local, to) = (at(&self.socket), at(&self.callee));
        let text = format!(
            "{method} sip:b@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call}\r\nFrom: <sip:a@example.com>;tag=1\r\n\
             To: <sip:b@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nMax-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(text.as_bytes()).expect("send");
    }
    /// Code and Retry-After of the next reply within the time. Timeouts are acknowledged.
    fn reply(&self, within: Duration) -> Option<(String, Option<String>)> {
        let mut b = [0u8; 65_536];
        self.socket.set_read_timeout(Some(within)).expect("timeout");
        let n = self.socket.recv(&mut b).ok()?;
        let text = text(&b[..n]);
        let code = text.split(' ').nth(1).unwrap_or_default().to_string();
        let row = |name: &str| text.lines().find_map(|l| l.strip_prefix(name).map(str::to_string));
        if code == "408" {
            self.send("ACK", &row("Call-ID: ").expect("Call-ID"));
        }
        Some((code, row("Retry-After: ")))
    }
    /// The answer to an INVITE: timeouts of earlier ones may come in between.
    fn invite(&self, call: usize) -> (String, Option<String>) {
        self.send("INVITE", &format!("limit{call}"));
        loop {
            let reply = self.reply(PATIENCE).expect("a reply");
            if reply.0 != "408" {
                return reply;
            }
        }
    }
}

#[test]
fn at_the_bound_503_with_retry_after_and_service_again_when_there_is_room() {
    let folder = Folder::new();
    let script = folder.write("route.py", RELAY);
    let modules = MODULES.replace("{script}", &script.display().to_string());
    let limits = "modparam(\"tm\", \"max_transactions\", 1)\nmodparam(\"tm\", \"retry_after\", 7)\n\
                  modparam(\"tm\", \"fr_timer\", 300)\nmodparam(\"tm\", \"wt_timer\", 100)\nmodparam(\"tm\", \"max_inv_lifetime\", 1000)\n";
    let config =
        folder.write("kamailio.cfg", &format!("children=1\nlisten=udp:127.0.0.1:0\n{modules}{limits}"));
    let server = Server::start_config(folder, &config, &[]);
    let socket = || UdpSocket::bind("127.0.0.1:0").expect("socket");
    // The callee never answers.
    let caller = Caller { socket: socket(), callee: socket() };
    caller.socket.connect(server.address).expect("connect");

    // The smallest table has one place in each of its parts: far fewer than this.
    const MANY: usize = 300;
    let (mut taken, mut refused) = (0, 0);
    for call in 0..MANY {
        let (code, retry) = caller.invite(call);
        match code.as_str() {
            "100" => taken += 1,
            "503" => {
                assert_eq!(retry.as_deref(), Some("7"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(taken > 0 && refused > taken, "{taken} taken, {refused} refused");
    server.ran(&[("ksr_request_route", MANY as u64)]);
    assert_eq!(server.statistic("refused_transactions"), refused);

    // Nobody answers: the transactions end by themselves, and there is room.
    let live = || {
        let stats = server.ask("tm.stats", json!([]));
        ["current", "waiting"].iter().any(|name| stats[name].as_u64().expect("a count") > 0)
    };
    while live() {
        caller.reply(Duration::from_millis(50));
    }
    assert_eq!(caller.invite(MANY).0, "100");
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
}
