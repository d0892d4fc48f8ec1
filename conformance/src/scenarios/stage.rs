//! The agents of a scenario and the messages they have in common.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use testkit::proof::Times;

use super::Transcript;
use crate::normalise;
use crate::peer::{Peer, Received};
use crate::subject::Subject;

/// The agents of a scenario.
pub(super) struct Stage {
    servers: Vec<(SocketAddr, Option<String>)>,
    peers: Vec<Peer>,
    requests: u64,
    replies: u64,
    /// Replies to INVITEs, by the branch they answer.
    answered: Vec<String>,
    others: Vec<(&'static str, u64)>,
}

impl Stage {
    pub(super) fn new(subject: &Subject, names: &[&'static str]) -> Stage {
        let peers = names.iter().map(|n| Peer::new(n, subject.address)).collect();
        Stage {
            servers: subject.sockets.clone(),
            peers,
            requests: 0,
            replies: 0,
            answered: Vec::new(),
            others: Vec::new(),
        }
    }
    /// One more user agent, talking to the server's socket of this number.
    pub(super) fn join(&mut self, name: &'static str, socket: usize) {
        self.peers.push(Peer::new(name, self.servers[socket].0));
    }
    /// What else the server writes as its own address.
    pub(super) fn also_known_as(&mut self, address: impl Into<SocketAddr>) {
        self.servers.push((address.into(), None));
    }
    /// Where the server's first socket is.
    pub(super) fn server(&self) -> SocketAddr {
        self.servers[0].0
    }
    pub(super) fn at(&mut self, name: &str) -> SocketAddr {
        self.peer(name).address
    }
    /// The script is to see messages that the server sends to itself.
    pub(super) fn spirals(&mut self, requests: u64, replies: u64) {
        self.requests += requests;
        self.replies += replies;
    }
    pub(super) fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|p| p.name == name).unwrap_or_else(|| panic!("no {name}"))
    }
    /// Sends a request that the script is to see.
    pub(super) fn request(&mut self, from: &str, text: &str) {
        self.requests += 1;
        self.peer(from).send(text);
    }
    /// Sends a reply that the script is to see.
    pub(super) fn reply(&mut self, from: &str, text: &str) {
        self.replies += 1;
        let reply = Received(text.to_owned());
        if reply.header("CSeq").ends_with("INVITE") {
            self.answered.push(branch(&reply).to_owned());
        }
        self.peer(from).send(text);
    }
    /// How often a callback is to run, where [`Stage::demanded`] cannot tell by the messages.
    pub(super) fn ran(&mut self, callback: &'static str, times: u64) {
        self.others.push((callback, times));
    }
    pub(super) fn end(self) -> Transcript {
        let mut roles: Vec<(String, String)> = Vec::new();
        for (i, (address, advertised)) in self.servers.iter().enumerate() {
            let n = if i == 0 { String::new() } else { (i + 1).to_string() };
            roles.push((address.to_string(), format!("<server{n}>")));
            roles.extend(advertised.iter().map(|a| (a.clone(), format!("<server{n} advertised>"))));
        }
        roles.extend(self.peers.iter().map(|p| (p.address.to_string(), format!("<{}>", p.name))));
        let roles: Vec<(&str, &str)> = roles.iter().map(|(a, r)| (a.as_str(), r.as_str())).collect();
        let received = self
            .peers
            .iter()
            .map(|p| (p.name, p.received.iter().map(|m| normalise::message(m, &roles)).collect()))
            .collect();
        Transcript { received, callbacks: self.demanded() }
    }
    /// The callbacks that the messages demand: the request and reply routes by what was sent here, the others by what arrived and was
    /// answered. INVITEs outside a dialog have a branch and an onreply route (`config/route.py`); every request passes the onsend route
    /// but CANCELs and the ACKs of failures, which the server makes by itself.
    fn demanded(&self) -> Vec<(&'static str, Times)> {
        let mut seen = BTreeSet::new();
        let arrived: Vec<Received> = self
            .peers
            .iter()
            .flat_map(|p| p.received.iter().map(move |text| (p.name, text)))
            .filter(|(_, text)| !text.starts_with("SIP/2.0 "))
            .filter(|row| seen.insert(*row))
            .map(|(_, text)| Received(text.clone()))
            .collect();
        let of = |method: &'static str| arrived.iter().filter(move |r| r.first_line().starts_with(method));
        let invited: BTreeSet<&str> = of("INVITE ").map(branch).collect();
        let first: BTreeSet<&str> =
            of("INVITE ").filter(|r| !r.header("To").contains(";tag=")).map(branch).collect();
        let own = of("CANCEL ").count() + of("ACK ").filter(|r| invited.contains(branch(r))).count();
        let onreply = self.answered.iter().filter(|b| first.contains(b.as_str())).count();
        let mut all = vec![
            ("ksr_request_route", self.requests),
            ("ksr_reply_route", self.replies),
            ("ksr_onsend_route", (arrived.len() - own) as u64),
            ("ksr_branch", first.len() as u64),
            ("ksr_onreply", onreply as u64),
            ("ksr_failure", 0),
        ];
        for (name, times) in &self.others {
            all.retain(|(other, _)| other != name);
            all.push((name, *times));
        }
        all.into_iter().map(|(name, n)| (name, Times::Exactly(n))).collect()
    }
    pub(super) fn register(&mut self, who: &str, user: &str, contact_extra: &str) {
        self.register_as(who, user, contact_extra, 1);
    }
    pub(super) fn register_as(&mut self, who: &str, user: &str, contact_extra: &str, cseq: u32) {
        let text = self.register_text(who, user, contact_extra, cseq, "");
        self.request(who, &text);
        self.peer(who).expect("200 OK");
    }
    pub(super) fn register_text(
        &mut self,
        who: &str,
        user: &str,
        contact_extra: &str,
        cseq: u32,
        rows: &str,
    ) -> String {
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
pub(super) fn request(at: SocketAddr, method: &str, user: &str, call: &str, extra: &str) -> String {
    format!(
        "{method} sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: <sip:{user}@conformance.test>\nCall-ID: {call}\n\
         CSeq: 1 {method}\nContact: <sip:alice@{at}>\n{extra}Content-Length: 0\n\n"
    )
}

/// ACK to a non-2xx: same branch (RFC 3261 §17.1.1.3).
pub(super) fn ack_negative(at: SocketAddr, user: &str, call: &str, reply: &Received) -> String {
    format!(
        "ACK sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: {}\nCall-ID: {call}\nCSeq: 1 ACK\nContent-Length: 0\n\n",
        reply.header("To")
    )
}

pub(super) fn cancel(at: SocketAddr, user: &str, call: &str) -> String {
    format!(
        "CANCEL sip:{user}@conformance.test SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call};rport\nMax-Forwards: 8\n\
         From: \"Alice\" <sip:alice@conformance.test>;tag=t-alice\nTo: <sip:{user}@conformance.test>\nCall-ID: {call}\n\
         CSeq: 1 CANCEL\nContent-Length: 0\n\n"
    )
}

/// A request of the caller's within the dialog that this 2xx made.
pub(super) fn in_dialog(at: SocketAddr, method: &str, cseq: u32, call: &str, ok: &Received) -> String {
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

/// The branch parameter of the topmost Via.
fn branch(message: &Received) -> &str {
    let via = message.all("Via").first().copied().unwrap_or_default();
    via.split(';').find_map(|p| p.trim().strip_prefix("branch=")).unwrap_or_default()
}
