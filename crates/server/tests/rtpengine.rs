//! A call through the real `rtpengine` (Debian's `rtpengine-daemon`) without its kernel module: the SDP of both sides names the relay, and
//! RTP passes it both ways. When it goes away, calls go on without it.

mod common;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{Folder, PATIENCE, Server};

const SCRIPT: &str = r#"
import KSR
FLAGS = "replace-origin replace-session-connection ICE=remove delete-delay=0"
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if KSR.is_INVITE():
            KSR.hdr.append("X-Manage: " + str(KSR.rtpengine.rtpengine_manage(FLAGS)) + "\r\n")
            KSR.tm.t_on_reply("ksr_onreply")
        elif KSR.is_BYE():
            KSR.hdr.append("X-Seen: " + str(KSR.pv.get("$rtpestat")) + "\r\n")
            KSR.hdr.append("X-Manage: " + str(KSR.rtpengine.rtpengine_manage(FLAGS)) + "\r\n")
            KSR.hdr.append("X-Mos: " + str(KSR.pv.get("$avp(mos)")) + "\r\n")
        KSR.tm.t_relay()
        return 1
    def ksr_onreply(self, msg):
        KSR.rtpengine.rtpengine_manage(FLAGS)
        return 1
def mod_init():
    return Handler()
"#;

/// The daemon; ended when dropped.
struct Relay {
    child: Child,
    port: u16,
    _folder: Folder,
}

impl Relay {
    fn start() -> Relay {
        let folder = Folder::new();
        let port = free_port();
        let media = free_port() & !1;
        let media = if media > 65_000 { 60_000 } else { media };
        let log = std::fs::File::create(folder.path().join("log")).expect("log file");
        let child = Command::new("rtpengine")
            .args([
                "--table=-1",
                "--interface=127.0.0.1",
                "--foreground",
                "--log-stderr",
                "--config-file=none",
            ])
            .arg(format!("--listen-ng=127.0.0.1:{port}"))
            .arg(format!("--port-min={media}"))
            .arg(format!("--port-max={}", media + 400))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("rtpengine (Debian package rtpengine-daemon) is installed");
        let relay = Relay { child, port, _folder: folder };
        let until = Instant::now() + PATIENCE;
        while relay.command("d7:command4:pinge", Duration::from_millis(100)).is_none() {
            assert!(Instant::now() < until, "rtpengine does not answer");
        }
        relay
    }
    /// The answer to a command.
    fn command(&self, command: &str, within: Duration) -> Option<String> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.set_read_timeout(Some(within)).expect("timeout");
        socket.connect(("127.0.0.1", self.port)).expect("connect");
        // A cookie that was used is answered as before.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let cookie = NEXT.fetch_add(1, Ordering::Relaxed);
        socket.send(format!("test{cookie} {command}").as_bytes()).ok()?;
        let mut buffer = [0; 65_535];
        let n = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").expect("socket").local_addr().expect("address").port()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    socket
}

/// A user agent with a socket for SIP and one for media.
struct Agent {
    sip: UdpSocket,
    media: UdpSocket,
}

impl Agent {
    fn new() -> Agent {
        Agent { sip: socket(), media: socket() }
    }
    fn port(&self) -> u16 {
        self.sip.local_addr().expect("address").port()
    }
    fn sdp(&self) -> String {
        let port = self.media.local_addr().expect("address").port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    }
    /// The next message whose first line has this in it.
    fn expect(&self, first_line: &str) -> String {
        loop {
            let mut buffer = [0; 65_535];
            let n = self.sip.recv(&mut buffer).unwrap_or_else(|e| panic!("no {first_line}: {e}"));
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if text.lines().next().unwrap_or_default().contains(first_line) {
                return text;
            }
        }
    }
}

fn header<'t>(message: &'t str, name: &str) -> &'t str {
    message.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap_or_default()
}

fn media_port(message: &str) -> u16 {
    let line = message
        .lines()
        .find_map(|l| l.strip_prefix("m=audio "))
        .unwrap_or_else(|| panic!("no audio: {message}"));
    line.split(' ').next().and_then(|p| p.parse().ok()).expect("a port")
}

fn request(
    method: &str,
    number: u32,
    from: &Agent,
    to: &Agent,
    to_tag: &str,
    call: &str,
    body: &str,
) -> String {
    let (from, to) = (from.port(), to.port());
    format!(
        "{method} sip:bob@127.0.0.1:{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{from};branch=z9hG4bK{call}{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@h>;tag=f\r\nTo: <sip:bob@h>{to_tag}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:alice@127.0.0.1:{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(request: &str, agent: &Agent, body: &str) -> String {
    let rows: Vec<String> = request
        .lines()
        .take_while(|l| !l.is_empty())
        .filter(|l| ["Via", "From", "Call-ID", "CSeq"].iter().any(|n| l.starts_with(&format!("{n}:"))))
        .map(str::to_owned)
        .collect();
    let to = header(request, "To");
    let tag = if to.contains("tag=") { "" } else { ";tag=t" };
    format!(
        "SIP/2.0 200 OK\r\n{}\r\nTo: {to}{tag}\r\nContact: <sip:bob@127.0.0.1:{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        rows.join("\r\n"),
        agent.port(),
        body.len()
    )
}

/// INVITE and 200; what bob and alice received.
fn call(server: &Server, alice: &Agent, bob: &Agent, id: &str) -> (String, String) {
    let invite = request("INVITE", 1, alice, bob, "", id, &alice.sdp());
    alice.sip.send_to(invite.as_bytes(), server.address).expect("sent");
    let received = bob.expect("INVITE");
    bob.sip.send_to(answer(&received, bob, &bob.sdp()).as_bytes(), server.address).expect("sent");
    let ok = alice.expect(" 200 ");
    (received, ok)
}

/// RTP from one side to the relay's port until the other side has it. PCMU silence, RFC 3550 §5.1.
fn rtp(from: &Agent, relay: u16, to: &Agent, ssrc: u8) {
    to.media.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    let until = Instant::now() + PATIENCE;
    for sequence in 1u16.. {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, ssrc]);
        packet.extend_from_slice(&[0xff; 160]);
        from.media.send_to(&packet, ("127.0.0.1", relay)).expect("sent");
        let mut buffer = [0; 2000];
        if let Ok((n, _)) = to.media.recv_from(&mut buffer) {
            assert_eq!((n, buffer[1] & 0x7f), (172, 0));
            return;
        }
        assert!(Instant::now() < until, "no RTP through the relay");
    }
}

#[test]
fn a_call_goes_through_the_relay_and_on_without_it() {
    let relay = Relay::start();
    let core = format!(
        "loadmodule \"rtpengine.so\"\nmodparam(\"rtpengine\", \"rtpengine_sock\", \"udp:127.0.0.1:{}\")\n\
         modparam(\"rtpengine\", \"mos_average_pv\", \"$avp(mos)\")\nchildren=2",
        relay.port
    );
    let server = Server::start(&core, SCRIPT);
    let (alice, bob) = (Agent::new(), Agent::new());
    let (invite, ok) = call(&server, &alice, &bob, "through");
    assert_eq!(header(&invite, "X-Manage"), "1", "{invite}");
    let ports = (media_port(&invite), media_port(&ok));
    let own = |a: &Agent| a.media.local_addr().expect("address").port();
    assert!(ports.0 != own(&alice) && ports.1 != own(&bob), "{ports:?}");
    let body = |m: &str| m.split_once("\r\n\r\n").map(|(_, b)| b.len().to_string()).expect("a body");
    assert_eq!(header(&invite, "Content-Length"), body(&invite));
    rtp(&alice, ports.1, &bob, 1);
    rtp(&bob, ports.0, &alice, 2);

    let shown = server.ask("rtpengine.show", serde_json::json!(["all"]));
    assert_eq!((&shown[0]["disabled"], &shown[0]["set"]), (&0.into(), &0.into()), "{shown}");
    assert_eq!(server.ask("rtpengine.get_hash_total", serde_json::json!([])), 1);
    let known = || {
        relay
            .command("d7:command5:query7:call-id7:throughe", PATIENCE)
            .expect("an answer")
            .contains("6:result2:ok")
    };
    assert!(known());
    let bye = request("BYE", 2, &alice, &bob, ";tag=t", "through", "");
    alice.sip.send_to(bye.as_bytes(), server.address).expect("sent");
    let bye = bob.expect("BYE");
    assert_eq!(header(&bye, "X-Manage"), "1", "{bye}");
    assert!(
        header(&bye, "X-Seen").starts_with("RTP: ") && !header(&bye, "X-Seen").starts_with("RTP: 0 "),
        "{bye}"
    );
    assert!(!known());
    assert_eq!(server.ask("rtpengine.get_hash_total", serde_json::json!([])), 0);

    drop(relay);
    let (invite, ok) = call(&server, &alice, &bob, "without");
    assert_eq!(header(&invite, "X-Manage"), "-1");
    assert_eq!((media_port(&invite), media_port(&ok)), (own(&alice), own(&bob)));
    let shown = server.ask("rtpengine.show", serde_json::json!(["all"]));
    assert_eq!(shown[0]["disabled"], 1, "{shown}");
    server.logged("RTP relay does not answer");
    assert_eq!(server.statistic("panics"), 0);
    server.ran(&[("ksr_request_route", 3), ("ksr_onreply", 2)]);
}
