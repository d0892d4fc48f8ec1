//! `rtpproxy_manage("co")`, as the example script calls it, against a double of RTPProxy over UDP and over a Unix socket; and without one.

mod common;

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use common::{Folder, PATIENCE, Server, text};

const SCRIPT: &str = r#"
import KSR
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.tm.t_on_branch("ksr_branch")
        KSR.tm.t_relay()
        return 1
    def ksr_branch(self, msg):
        KSR.rtpproxy.set_rtpproxy_set(int(KSR.pv.get("$hdr(X-Set)")))
        KSR.hdr.append("X-Manage: " + str(KSR.rtpproxy.rtpproxy_manage("co")) + "\r\n")
        return 1
def mod_init():
    return Handler()
"#;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// What RTPProxy answers.
fn answer(command: &[u8]) -> &'static [u8] {
    match command.first() {
        Some(b'V') if command.len() == 1 => b"20040107\n",
        Some(b'V') => b"1\n",
        Some(b'U' | b'L') => b"35000 192.0.2.9\n",
        _ => b"0\n",
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

fn note(asked: &Asked, command: &[u8]) {
    asked.lock().expect("lock").push(text(command));
}

/// Answers over UDP until the process ends; its port.
fn over_udp(asked: &Asked) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    let port = socket.local_addr().expect("address").port();
    let asked = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let blank = buffer[..n].iter().position(|b| *b == b' ').expect("a cookie");
            let (cookie, command) = buffer[..n].split_at(blank);
            note(&asked, &command[1..]);
            let _ = socket.send_to(&[cookie, b" ", answer(&command[1..])].concat(), from);
        }
    });
    port
}

/// Answers over a Unix socket until the process ends.
fn over_unix(path: &std::path::Path, asked: &Asked) {
    let listener = UnixListener::bind(path).expect("socket");
    let asked = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap_or(0);
            note(&asked, &buffer[..n]);
            let _ = stream.write_all(answer(&buffer[..n]));
        }
    });
}

#[test]
fn the_call_goes_on_with_and_without_a_relay() {
    let asked = Asked::default();
    let folder = Folder::new();
    let path = folder.path().join("rtpproxy.sock");
    let port = over_udp(&asked);
    over_unix(&path, &asked);
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("socket").local_addr().expect("address").port();
    let sets = [
        format!("udp:127.0.0.1:{port}"),
        format!("1 == unix:{}", path.display()),
        format!("2 == udp:127.0.0.1:{nobody}"),
    ];
    let params: String =
        sets.iter().map(|s| format!("modparam(\"rtpproxy\", \"rtpproxy_sock\", \"{s}\")\n")).collect();
    let server = Server::start(&format!("children=2\nloadmodule \"rtpproxy.so\"\n{params}"), SCRIPT);
    let disabled = |at: usize| server.ask("rtpproxy.list", serde_json::json!([]))[at]["disabled"].as_i64();
    assert_eq!([disabled(0), disabled(1), disabled(2)], [Some(0), Some(0), Some(1)]);
    asked.lock().expect("lock").clear();

    let bob = UdpSocket::bind("127.0.0.1:0").expect("socket");
    bob.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let to = bob.local_addr().expect("address");
    let alice = server.phone();
    for (set, manage, connection, commands) in [
        (0, "1", "c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 35000 ", vec!["Uc0 call-0 127.0.0.1 4000 f;1"]),
        (1, "1", "c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 35000 ", vec!["Uc0 call-1 127.0.0.1 4000 f;1"]),
        (2, "-3", "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 ", vec![]),
    ] {
        let invite = format!(
            "INVITE sip:bob@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{set}\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n\
             Call-ID: call-{set}\r\nCSeq: 1 INVITE\r\nX-Set: {set}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            alice.address(),
            SDP.len()
        );
        alice.send_raw(invite.as_bytes());
        let mut buffer = [0; 4096];
        let n = bob.recv(&mut buffer).expect("the INVITE");
        let received = text(&buffer[..n]);
        assert!(received.contains(&format!("\r\nX-Manage: {manage}\r\n")), "{received}");
        assert!(received.contains(connection), "{received}");
        assert_eq!(std::mem::take(&mut *asked.lock().expect("lock")), commands);
        // Final, so that nothing is sent again.
        let rows = received
            .lines()
            .filter(|l| ["Via", "From", "Call-ID", "CSeq"].iter().any(|h| l.starts_with(&format!("{h}:"))));
        let reply = format!(
            "SIP/2.0 486 Busy\r\n{}\r\nTo: <sip:b@h>;tag=t\r\nContent-Length: 0\r\n\r\n",
            rows.collect::<Vec<_>>().join("\r\n")
        );
        bob.send_to(reply.as_bytes(), server.address).expect("sent");
        while alice.reply().0 != 486 {}
        let n = bob.recv(&mut buffer).expect("the ACK");
        assert!(text(&buffer[..n]).starts_with("ACK "));
    }
    assert_eq!(server.statistic("panics"), 0);
    server.ran(&[("ksr_request_route", 3), ("ksr_branch", 3)]);
}
