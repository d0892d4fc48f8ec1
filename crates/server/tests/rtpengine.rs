//! A call through the real `rtpengine` (Debian's `rtpengine-daemon`) without its kernel module: the SDP of both sides names the relay, and
//! RTP passes it both ways. When it goes away, calls go on without it. A third party calls in and hears one side.

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

/// A call as above; one with Call-ID `listen` gets what alice says in it.
const LISTENING: &str = r#"
import KSR
CALL = "call-id=through "
class Handler:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        if KSR.pv.get("$ci") == "listen":
            return self.listen()
        if KSR.is_INVITE():
            KSR.rtpengine.rtpengine_manage("")
            KSR.tm.t_on_reply("ksr_onreply")
        KSR.tm.t_relay()
        return 1
    def ksr_onreply(self, msg):
        KSR.rtpengine.rtpengine_manage("")
        return 1
    def listen(self):
        engine, said = KSR.rtpengine, None
        if KSR.is_ACK():
            self.answered = engine.rtpengine_subscribe_answer(CALL + "to-tag=" + self.tag)
            return 1
        if KSR.is_INVITE():
            said = engine.rtpengine_subscribe_request(CALL + "from-tag=f siprec", "$avp(sdp)", "$avp(tag)", "streams")
            self.tag = KSR.pv.get("$avp(tag)")
            streams = [KSR.pv.get("$xavp(streams[0]=>" + name + ")") for name in ("tag", "label")]
            KSR.hdr.append_to_reply("X-Streams: " + str(streams) + "\r\n")
            KSR.textops.set_reply_body(KSR.pv.get("$avp(sdp)"), "application/sdp")
        elif KSR.is_BYE():
            said = (self.answered, engine.rtpengine_unsubscribe(CALL + "to-tag=" + self.tag))
        KSR.hdr.append_to_reply("X-Said: " + str(said) + "\r\n")
        KSR.tm.t_newtran()
        KSR.tm.t_reply(200, "OK")
        return 1
def mod_init():
    return Handler()
"#;

/// The daemon; ended when dropped.
struct Relay {
    child: Child,
    port: u16,
    /// Held before the daemon's port is chosen: a socket on that very port would answer itself while the daemon is not there yet.
    control: UdpSocket,
    folder: Folder,
}

impl Relay {
    fn start() -> Relay {
        let folder = Folder::new();
        let control = socket();
        let port = free_port();
        control.connect(("127.0.0.1", port)).expect("connect");
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
        let relay = Relay { child, port, control, folder };
        let until = Instant::now() + PATIENCE;
        while relay.command("d7:command4:pinge", Duration::from_millis(100)).is_none() {
            assert!(Instant::now() < until, "rtpengine does not answer");
        }
        relay
    }
    /// The answer to a command.
    fn command(&self, command: &str, within: Duration) -> Option<String> {
        self.control.set_read_timeout(Some(within)).expect("timeout");
        // A cookie that was used is answered as before.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let cookie = NEXT.fetch_add(1, Ordering::Relaxed);
        self.control.send(format!("test{cookie} {command}").as_bytes()).ok()?;
        let mut buffer = [0; 65_535];
        loop {
            let n = self.control.recv(&mut buffer).ok()?;
            let answer = String::from_utf8_lossy(&buffer[..n]);
            // Others are to earlier commands that were given up.
            if let Some(answer) = answer.strip_prefix(&format!("test{cookie} ")) {
                return Some(answer.to_owned());
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- log of rtpengine\n{log}");
        }
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

/// A packet of PCMU silence, RFC 3550 §5.1.
fn packet(sequence: u16, ssrc: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, ssrc]);
    packet.extend_from_slice(&[0xff; 160]);
    packet
}

/// RTP from one side to the relay's port until each of the others has it; the number of the last packet.
fn rtp(from: &Agent, relay: u16, to: &[&Agent], ssrc: u8) -> u16 {
    let until = Instant::now() + PATIENCE;
    let mut without: Vec<&Agent> = to.to_vec();
    for sequence in 1u16.. {
        from.media.send_to(&packet(sequence, ssrc), ("127.0.0.1", relay)).expect("sent");
        without.retain(|to| {
            to.media.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
            let mut buffer = [0; 2000];
            let Ok((n, _)) = to.media.recv_from(&mut buffer) else { return true };
            assert_eq!((n, buffer[1] & 0x7f), (172, 0));
            false
        });
        if without.is_empty() {
            return sequence;
        }
        assert!(Instant::now() < until, "no RTP through the relay");
    }
    unreachable!("PATIENCE ends earlier")
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
    rtp(&alice, ports.1, &[&bob], 1);
    rtp(&bob, ports.0, &[&alice], 2);

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

#[test]
fn a_third_party_hears_one_side_until_it_hangs_up() {
    let relay = Relay::start();
    let core = format!(
        "loadmodule \"rtpengine.so\"\nmodparam(\"rtpengine\", \"rtpengine_sock\", \"udp:127.0.0.1:{}\")\n\
         loadmodule \"textops.so\"\nchildren=1",
        relay.port
    );
    let server = Server::start(&core, LISTENING);
    let (alice, bob, carol) = (Agent::new(), Agent::new(), Agent::new());
    let (invite, ok) = call(&server, &alice, &bob, "through");
    let (to_alice, to_bob) = (media_port(&invite), media_port(&ok));
    rtp(&alice, to_bob, &[&bob], 1);

    let send = |text: String| carol.sip.send_to(text.as_bytes(), server.address).expect("sent");
    send(request("INVITE", 1, &carol, &bob, "", "listen", ""));
    let offer = carol.expect(" 200 ");
    let label = offer.lines().find_map(|l| l.strip_prefix("a=label:"));
    let label = label.unwrap_or_else(|| panic!("no label: {offer}"));
    let streams = format!("['f', '{label}']");
    assert_eq!((header(&offer, "X-Said"), header(&offer, "X-Streams")), ("1", streams.as_str()), "{offer}");
    assert!(offer.contains("a=sendonly") && ![to_alice, to_bob].contains(&media_port(&offer)), "{offer}");
    let tag = header(&offer, "To").split_once(";tag=").map(|(_, tag)| format!(";tag={tag}")).expect("a tag");
    let answer = carol.sdp() + "a=recvonly\r\n";
    send(request("ACK", 1, &carol, &bob, &tag, "listen", &answer));
    let last = rtp(&alice, to_bob, &[&bob, &carol], 1);

    send(request("BYE", 2, &carol, &bob, &tag, "listen", ""));
    let bye = carol.expect(" 200 ");
    assert_eq!(header(&bye, "X-Said"), "(1, 1)", "{bye}");
    // The relay takes one packet after the other: when bob has the second of these, the first has gone wherever it goes.
    let later = last + 1;
    for sequence in [later, later + 1] {
        alice.media.send_to(&packet(sequence, 1), ("127.0.0.1", to_bob)).expect("sent");
    }
    let sequence = |buffer: &[u8]| u16::from_be_bytes([buffer[2], buffer[3]]);
    let mut buffer = [0; 2000];
    bob.media.set_read_timeout(Some(PATIENCE)).expect("timeout");
    while bob.media.recv_from(&mut buffer).map(|_| sequence(&buffer)).expect("RTP") <= later {}
    carol.media.set_nonblocking(true).expect("nonblocking");
    while carol.media.recv_from(&mut buffer).is_ok() {
        assert!(sequence(&buffer) < later, "RTP after unsubscribe");
    }
    assert_eq!(server.statistic("panics"), 0);
    server.ran(&[("ksr_request_route", 4), ("ksr_onreply", 1)]);
}
