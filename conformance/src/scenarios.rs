//! The scenarios: each plays its user agents against a server and says what they received and which callbacks must have run.

use std::net::SocketAddr;
use std::time::Duration;

use crate::normalise;
use crate::peer::{Peer, Received};
use crate::subject::Subject;

/// What a scenario saw.
pub struct Transcript {
    /// Normalised messages by user agent.
    pub received: Vec<(&'static str, Vec<String>)>,
    /// Callbacks that the scenario's messages demand, with their number of calls.
    pub callbacks: Vec<(&'static str, u64)>,
}

/// A scenario by name.
pub type Scenario = (&'static str, fn(&Subject) -> Transcript);

/// All scenarios.
pub const ALL: &[Scenario] = &[
    ("options", options),
    ("errors", errors),
    ("register", register),
    ("register_star", register_star),
    ("register_too_brief", register_too_brief),
    ("call", call),
    ("cancel_while_ringing", cancel_while_ringing),
    ("cancel_before_provisional", cancel_before_provisional),
    ("busy", busy),
    ("busy_to_mailbox", busy_to_mailbox),
    ("no_answer", no_answer),
    ("nobody_there", nobody_there),
    ("parallel_fork", parallel_fork),
    ("decline_everywhere", decline_everywhere),
    ("retransmissions", retransmissions),
    ("message_in_dialogless", message_out_of_dialog),
];

const SHORT: Duration = Duration::from_millis(300);

/// The agents of a scenario.
struct Stage {
    server: SocketAddr,
    peers: Vec<Peer>,
    requests: u64,
    replies: u64,
    others: Vec<(&'static str, u64)>,
}

impl Stage {
    fn new(subject: &Subject, names: &[&'static str]) -> Stage {
        let peers = names.iter().map(|n| Peer::new(n, subject.address)).collect();
        Stage { server: subject.address, peers, requests: 0, replies: 0, others: Vec::new() }
    }
    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|p| p.name == name).unwrap_or_else(|| panic!("no {name}"))
    }
    /// Sends a request that the script is to see.
    fn request(&mut self, from: &str, text: &str) {
        self.requests += 1;
        self.peer(from).send(text);
    }
    /// Sends a reply that the script is to see.
    fn reply(&mut self, from: &str, text: &str) {
        self.replies += 1;
        self.peer(from).send(text);
    }
    /// Callbacks beyond the request and reply routes.
    fn ran(&mut self, callback: &'static str, times: u64) {
        self.others.push((callback, times));
    }
    fn end(self) -> Transcript {
        let mut roles: Vec<(SocketAddr, String)> = vec![(self.server, "<server>".into())];
        roles.extend(self.peers.iter().map(|p| (p.address, format!("<{}>", p.name))));
        let roles: Vec<(SocketAddr, &str)> = roles.iter().map(|(a, r)| (*a, r.as_str())).collect();
        let received = self
            .peers
            .iter()
            .map(|p| (p.name, p.received.iter().map(|m| normalise::message(m, &roles)).collect()))
            .collect();
        let mut callbacks = vec![("ksr_request_route", self.requests), ("ksr_reply_route", self.replies)];
        callbacks.extend(self.others);
        Transcript { received, callbacks }
    }
    fn register(&mut self, who: &str, user: &str, contact_extra: &str) {
        let text = self.register_text(who, user, contact_extra, 1, "");
        self.request(who, &text);
        self.peer(who).expect("200 OK");
    }
    fn register_text(&mut self, who: &str, user: &str, contact_extra: &str, cseq: u32, rows: &str) -> String {
        let at = self.peer(who).address;
        let contact = match contact_extra {
            "none" => String::new(),
            "*" => "Contact: *\n".into(),
            extra => format!("Contact: <sip:{user}@{at}>{extra}\n"),
        };
        format!(
            "REGISTER sip:conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKreg{user}{who}{cseq};rport\nMax-Forwards: 10\n\
             From: <sip:{user}@conformance.test>;tag=t-{user}\nTo: <sip:{user}@conformance.test>\nCall-ID: reg-{user}-{who}\n\
             CSeq: {cseq} REGISTER\n{contact}{rows}Content-Length: 0\n\n"
        )
    }
}

/// A request of alice's to `user`, outside of a dialog.
fn request(at: SocketAddr, method: &str, user: &str, call: &str, extra: &str) -> String {
    format!(
        "{method} sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: <sip:{user}@conformance.test>\nCall-ID: {call}\n\
         CSeq: 1 {method}\nContact: <sip:alice@{at}>\n{extra}Content-Length: 0\n\n"
    )
}

/// ACK to a non-2xx: same branch (RFC 3261 §17.1.1.3).
fn ack_negative(at: SocketAddr, user: &str, call: &str, reply: &Received) -> String {
    format!(
        "ACK sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: {}\nCall-ID: {call}\nCSeq: 1 ACK\nContent-Length: 0\n\n",
        reply.header("To")
    )
}

fn cancel(at: SocketAddr, user: &str, call: &str) -> String {
    format!(
        "CANCEL sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: <sip:{user}@conformance.test>\nCall-ID: {call}\n\
         CSeq: 1 CANCEL\nContent-Length: 0\n\n"
    )
}

/// A request of the caller's within the dialog that this 2xx made.
fn in_dialog(at: SocketAddr, method: &str, cseq: u32, call: &str, ok: &Received) -> String {
    let target =
        ok.header("Contact").trim_start_matches('<').split('>').next().unwrap_or_default().to_string();
    let mut routes = String::new();
    for route in ok.all("Record-Route").iter().rev() {
        routes += &format!("Route: {route}\n");
    }
    format!(
        "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call}{method}{cseq};rport\n{routes}Max-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: {}\nCall-ID: {call}\nCSeq: {cseq} {method}\nContent-Length: 0\n\n",
        ok.header("To")
    )
}

fn options(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice"]);
    let at = s.peer("alice").address;
    let server = s.server;
    s.request(
        "alice",
        &format!(
            "OPTIONS sip:{server} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKopt1\nMax-Forwards: 8\nFrom: <sip:alice@x>;tag=t-a\n\
             To: <sip:{server}>\nCall-ID: opt1\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        ),
    );
    s.peer("alice").expect("200 Keepalive");
    s.request(
        "alice",
        &format!(
            "OPTIONS sip:{server} SIP/2.0\nv: SIP/2.0/UDP {at};branch=z9hG4bKopt2;rport\nMax-Forwards: 8\nf: <sip:alice@x>;tag=t-a\n\
             t: <sip:{server}>\ni: opt2\nCSeq: 2 OPTIONS\nl: 0\n\n"
        ),
    );
    s.peer("alice").expect("200 Keepalive");
    s.end()
}

fn errors(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice"]);
    let at = s.peer("alice").address;
    for (call, user, forwards, want) in
        [("e404", "nobody", "8", "404"), ("e483", "nobody", "0", "483"), ("e484", "", "8", "484")]
    {
        let mut text = request(at, "INVITE", user, call, "")
            .replace("Max-Forwards: 8", &format!("Max-Forwards: {forwards}"));
        if user.is_empty() {
            text = text.replace("sip:@", "sip:");
        }
        s.request("alice", &text);
        let reply = s.peer("alice").expect(want);
        let ack = ack_negative(at, user, call, &reply);
        s.peer("alice").send(&ack);
    }
    // Another domain is not relayed to; an in-dialog request that nobody routed here is not known.
    let text = request(at, "MESSAGE", "bob", "e403", "").replacen("bob@conformance.test", "bob@192.0.2.1", 1);
    s.request("alice", &text);
    s.peer("alice").expect("403");
    let text = request(at, "BYE", "bob", "e404d", "")
        .replace("To: <sip:bob@conformance.test>", "To: <sip:bob@conformance.test>;tag=t-b");
    s.request("alice", &text);
    s.peer("alice").expect("404 Not here");
    s.end()
}

fn register(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    s.register("bob", "bob", ";expires=600");
    // Refresh, a second contact with q, fetch, removal.
    let text = s.register_text("bob", "bob", ";expires=1200", 2, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let at = s.peer("bob").address;
    let text = s.register_text(
        "bob",
        "bob",
        "none",
        3,
        &format!("Contact: <sip:bob@{at};line=2>;q=0.5\nExpires: 300\n"),
    );
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let text = s.register_text("bob", "bob", "none", 4, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    let text = s.register_text("bob", "bob", ";expires=0", 5, "");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

fn register_star(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    s.register("bob", "star", "");
    let text = s.register_text("bob", "star", "*", 2, "Expires: 60\n");
    s.request("bob", &text);
    s.peer("bob").expect("400");
    // The script answers once more (sl_reply_error); whichever worker is faster, that belongs here.
    s.peer("bob").settle(SHORT);
    let text = s.register_text("bob", "star", "*", 3, "Expires: 0\n");
    s.request("bob", &text);
    s.peer("bob").expect("200 OK");
    s.end()
}

fn register_too_brief(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["bob"]);
    let text = s.register_text("bob", "brief", ";expires=5", 1, "");
    s.request("bob", &text);
    s.peer("bob").expect("SIP/2.0");
    s.end()
}

fn call(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.peer("alice").address, s.peer("bob").address);
    s.request("alice", &request(alice, "INVITE", "bob", "call1", ""));
    s.peer("alice").expect("100 ");
    let invite = s.peer("bob").expect("INVITE");
    assert_eq!(invite.request_uri(), format!("sip:bob@{bob}"));
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    let ringing = s.peer("alice").expect("180");
    assert_eq!(ringing.header("X-Ringing"), "seen", "the onreply route changed the reply");
    s.reply("bob", &invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "call1", &ok);
    s.request("alice", &text);
    s.peer("bob").expect("ACK");
    let text = in_dialog(alice, "BYE", 2, "call1", &ok);
    s.request("alice", &text);
    let bye = s.peer("bob").expect("BYE");
    s.reply("bob", &bye.reply("200 OK", "", ""));
    s.peer("alice").expect("200 OK");
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.end()
}

fn cancel_while_ringing(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "cancel1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.request("alice", &cancel(alice, "bob", "cancel1"));
    s.peer("alice").expect("200 cancel");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let gone = s.peer("alice").expect("487");
    let ack = ack_negative(alice, "bob", "cancel1", &gone);
    s.peer("alice").send(&ack);
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 2);
    s.ran("ksr_failure", 1);
    s.end()
}

fn cancel_before_provisional(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "cancel2", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.request("alice", &cancel(alice, "bob", "cancel2"));
    s.peer("alice").expect("200 cancel");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let gone = s.peer("alice").expect("487");
    let ack = ack_negative(alice, "bob", "cancel2", &gone);
    s.peer("alice").send(&ack);
    s.end()
}

fn busy(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "busy1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", "Retry-After: 60\n"));
    s.peer("bob").expect("ACK");
    let busy = s.peer("alice").expect("486");
    let ack = ack_negative(alice, "bob", "busy1", &busy);
    s.peer("alice").send(&ack);
    s.ran("ksr_branch", 1);
    s.ran("ksr_onreply", 1);
    s.ran("ksr_failure", 1);
    s.end()
}

fn busy_to_mailbox(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "mailbox"]);
    s.register("bob", "bob", "");
    s.register("mailbox", "bob-mailbox", "");
    let (alice, mailbox) = (s.peer("alice").address, s.peer("mailbox").address);
    s.request("alice", &request(alice, "INVITE", "bob", "mail1", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("486 Busy Here", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let second = s.peer("mailbox").expect("INVITE");
    s.reply(
        "mailbox",
        &second.reply("200 OK", "t-mailbox", &format!("Contact: <sip:bob-mailbox@{mailbox}>\n")),
    );
    let ok = s.peer("alice").expect("200 OK");
    let text = in_dialog(alice, "ACK", 1, "mail1", &ok);
    s.request("alice", &text);
    s.peer("mailbox").expect("ACK");
    s.ran("ksr_failure", 1);
    s.end()
}

fn no_answer(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "noanswer", ""));
    let invite = s.peer("bob").expect("INVITE");
    s.reply("bob", &invite.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    let timeout = s.peer("alice").expect("408");
    let ack = ack_negative(alice, "bob", "noanswer", &timeout);
    s.peer("alice").send(&ack);
    s.reply("bob", &invite.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    s.ran("ksr_failure", 1);
    s.end()
}

fn nobody_there(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "bob", "silent", ""));
    s.peer("bob").expect("INVITE");
    let timeout = s.peer("alice").expect("408");
    let ack = ack_negative(alice, "bob", "silent", &timeout);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

fn parallel_fork(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "group", ";q=0.7");
    s.register("carol", "group", ";q=0.7");
    let (alice, carol) = (s.peer("alice").address, s.peer("carol").address);
    s.request("alice", &request(alice, "INVITE", "group", "fork1", ""));
    let to_bob = s.peer("bob").expect("INVITE");
    let to_carol = s.peer("carol").expect("INVITE");
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("180 Ringing", "t-carol", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("200 OK", "t-carol", &format!("Contact: <sip:group@{carol}>\n")));
    let ok = s.peer("alice").expect("200 OK");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &to_bob.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    // The 487 is absorbed.
    s.peer("alice").expect_silence(SHORT);
    let text = in_dialog(alice, "ACK", 1, "fork1", &ok);
    s.request("alice", &text);
    s.peer("carol").expect("ACK");
    s.ran("ksr_branch", 2);
    s.end()
}

fn decline_everywhere(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob", "carol"]);
    s.register("bob", "team", "");
    s.register("carol", "team", "");
    let alice = s.peer("alice").address;
    s.request("alice", &request(alice, "INVITE", "team", "six1", ""));
    let to_bob = s.peer("bob").expect("INVITE");
    let to_carol = s.peer("carol").expect("INVITE");
    s.reply("bob", &to_bob.reply("180 Ringing", "t-bob", ""));
    s.peer("alice").expect("180");
    s.reply("carol", &to_carol.reply("603 Decline", "t-carol", ""));
    s.peer("carol").expect("ACK");
    let canceled = s.peer("bob").expect("CANCEL");
    s.reply("bob", &canceled.reply("200 OK", "t-bob", ""));
    s.reply("bob", &to_bob.reply("487 Request Terminated", "t-bob", ""));
    s.peer("bob").expect("ACK");
    let declined = s.peer("alice").expect("603");
    let ack = ack_negative(alice, "team", "six1", &declined);
    s.peer("alice").send(&ack);
    s.ran("ksr_failure", 1);
    s.end()
}

fn retransmissions(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let (alice, bob) = (s.peer("alice").address, s.peer("bob").address);
    let invite_text = request(alice, "INVITE", "bob", "again1", "");
    s.request("alice", &invite_text);
    s.peer("alice").expect("100 ");
    let invite = s.peer("bob").expect("INVITE");
    // The INVITE again: the last reply again, nothing new for bob.
    s.peer("alice").send(&invite_text);
    s.peer("bob").expect_silence(SHORT);
    let ok_text = invite.reply("200 OK", "t-bob", &format!("Contact: <sip:bob@{bob}>\n"));
    s.reply("bob", &ok_text);
    let ok = s.peer("alice").expect("200 OK");
    // The 200 again, as when the ACK was lost: it passes once more (RFC 6026 §7.2).
    s.reply("bob", &ok_text);
    let again = s.peer("alice").next(Duration::from_secs(2)).expect("the 200 is sent on again");
    assert_eq!(again.0, ok.0);
    let ack = in_dialog(alice, "ACK", 1, "again1", &ok);
    s.request("alice", &ack);
    s.peer("bob").expect("ACK");
    s.end()
}

fn message_out_of_dialog(subject: &Subject) -> Transcript {
    let mut s = Stage::new(subject, &["alice", "bob"]);
    s.register("bob", "bob", "");
    let alice = s.peer("alice").address;
    let text = request(alice, "MESSAGE", "bob", "msg1", "Content-Type: text/plain\n")
        .replace("Content-Length: 0\n\n", "Content-Length: 5\n\nhello");
    s.request("alice", &text);
    let message = s.peer("bob").expect("MESSAGE");
    s.reply("bob", &message.reply("202 Accepted", "t-bob", ""));
    s.peer("alice").expect("202");
    s.end()
}
