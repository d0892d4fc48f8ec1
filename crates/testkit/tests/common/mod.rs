//! The smallest stateful, record-routing proxy around a `Shard`: enough to show the transaction layer at work.
#![allow(dead_code)] // each test file uses its part

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use message::{Edits, HeaderName, Message, Method, Transport, Uri, print};
use testkit::*;
use transaction::*;

pub struct Proxy {
    pub shard: Shard,
    pub address: SocketAddr,
    /// Who is where: user name to contacts.
    pub users: HashMap<String, Vec<SocketAddr>>,
    pub options: Options,
    pub timing: Timing,
    /// Users to try one after the other when a call fails: what a failure route would do.
    pub voicemail: Option<SocketAddr>,
    pub completed: Vec<u16>,
    stateless: u64,
}

impl Proxy {
    pub fn new(address: SocketAddr, users: &[(&str, &[SocketAddr])]) -> Proxy {
        Proxy {
            shard: Shard::new(0, 1, 0xfeed_beef_0123_4567, 100_000),
            address,
            users: users.iter().map(|(name, at)| ((*name).to_owned(), at.to_vec())).collect(),
            options: Options::default(),
            timing: Timing::default(),
            voicemail: None,
            completed: Vec::new(),
            stateless: 0,
        }
    }

    fn on_request(&mut self, request: Message, from: SocketAddr, now: Now, out: &mut Vec<Datagram>) {
        let mut actions = Vec::new();
        match self.shard.match_request(&request) {
            Some(Match { id, kind: Kind::Retransmission }) => {
                self.step(id, Input::Retransmission, now, &mut actions);
                return self.act(actions, now, out);
            }
            Some(Match { id, kind: Kind::AckNon2xx }) => {
                self.step(id, Input::Ack, now, &mut actions);
                return self.act(actions, now, out);
            }
            Some(Match { kind: Kind::AckEndToEnd, .. }) | None => {}
        }
        if request.method() == Method::Cancel {
            let found = self.shard.match_cancel(&request);
            out.push((self.address, from, self.reply(&request, if found.is_some() { 200 } else { 481 })));
            if let Some(id) = found {
                self.step(id, Input::Cancel { rows: Arc::default() }, now, &mut actions);
                self.act(actions, now, out);
            }
            return;
        }
        let request = Arc::new(request);
        let targets = self.targets(&request);
        if request.method() == Method::Ack {
            let Some((target, _)) = targets.first() else { return };
            self.stateless += 1;
            let branch = format!("z9hG4bKstateless{}", self.stateless);
            out.push((self.address, *target, self.forward(&request, branch.as_bytes(), from)));
            return;
        }
        let new = NewTransaction {
            request: Arc::clone(&request),
            reply_to: hop(from),
            timing: self.timing,
            options: self.options,
            script: None,
            local: false,
            trying: (request.method() == Method::Invite).then(|| self.reply(&request, 100).into()),
        };
        let Ok(id) = self.shard.create(new, now.mono, &mut actions) else {
            out.push((self.address, from, self.reply(&request, 503)));
            return;
        };
        let input = match targets.is_empty() {
            true => Input::Reply(LocalReply { code: 404, bytes: self.reply(&request, 404).into() }),
            false => {
                let branches = self.branches(id, &request, &targets, 0);
                let failure = self.voicemail.is_some() && request.method() == Method::Invite;
                Input::Relay { branches, armed: Armed { failure, ..Armed::default() } }
            }
        };
        self.step(id, input, now, &mut actions);
        self.act(actions, now, out);
    }

    /// In a dialog: the Request-URI, our Route having been taken off. Otherwise the user's contacts.
    fn targets(&self, request: &Message) -> Vec<(SocketAddr, Arc<[u8]>)> {
        let uri = request.request_uri();
        let Ok(parsed) = Uri::parse(uri) else { return Vec::new() };
        if request.header(HeaderName::Route).is_some() || parsed.ip().is_some() {
            let at = parsed.ip().map(|ip| SocketAddr::new(ip, parsed.port_or_default()));
            return at.into_iter().map(|at| (at, uri.into())).collect();
        }
        let user = String::from_utf8_lossy(parsed.user.unwrap_or_default()).into_owned();
        let contacts = self.users.get(&user).cloned().unwrap_or_default();
        contacts.into_iter().map(|at| (at, uri.into())).collect()
    }

    fn branches(
        &self,
        id: TransactionId,
        request: &Message,
        targets: &[(SocketAddr, Arc<[u8]>)],
        first: u16,
    ) -> Vec<NewBranch> {
        targets
            .iter()
            .zip(first..)
            .map(|((at, uri), number)| {
                let mut branch = Vec::new();
                id.write_branch(number, &mut branch);
                let bytes = self.forward(request, &branch, self.address).into();
                NewBranch { number, bytes, hop: hop(*at), uri: Arc::clone(uri), script: None }
            })
            .collect()
    }

    fn forward(&self, request: &Message, branch: &[u8], _from: SocketAddr) -> Vec<u8> {
        let mut edits = Edits::new();
        if let Some(route) = request.header(HeaderName::Route) {
            edits.remove(route.row.0, route.row.1);
        } else if request.method() == Method::Invite {
            let row = format!("Record-Route: <sip:{};lr>\r\n", self.address);
            edits.insert(request.headers_start(), row.as_bytes());
        }
        let mut via = format!("SIP/2.0/UDP {};branch=", self.address).into_bytes();
        via.extend_from_slice(branch);
        let mut bytes = Vec::new();
        let how = print::Forward { via: Some(&via), ..print::Forward::default() };
        print::request(request, &edits, &how, &mut bytes);
        bytes
    }

    fn reply(&self, request: &Message, code: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reply = print::LocalReply {
            code,
            reason: b"Proxy",
            to_tag: b"proxy",
            rows: b"",
            body: None,
            via_stamp: None,
            record_route: false,
        };
        print::local_reply(request, &reply, &mut bytes);
        bytes
    }

    fn on_reply(&mut self, reply: Message, from: SocketAddr, now: Now, out: &mut Vec<Datagram>) {
        let mut forward = Vec::new();
        print::forwarded_reply(&reply, &Edits::new(), &mut forward);
        let forward: Arc<[u8]> = forward.into();
        let id = reply.via().ok().and_then(|via| via.branch).and_then(TransactionId::parse_branch);
        let mut actions = Vec::new();
        if let Some((id, branch)) = id {
            let input = Input::ReplyReceived {
                branch,
                reply: Arc::new(reply),
                from: hop(from),
                forward: Some(Arc::clone(&forward)),
            };
            if self.shard.step(id, input, now.mono, &mut actions).is_ok() {
                return self.act(actions, now, out);
            }
        }
        // "If none is found, the element MUST process the response ... as a stateless proxy" (§16.7)
        let Ok(forwarded) = Message::parse(&forward) else { return };
        if let Some(to) = forwarded.via().ok().and_then(|via| via.reply_address()) {
            out.push((self.address, to, forward.to_vec()));
        }
    }

    fn step(&mut self, id: TransactionId, input: Input, now: Now, actions: &mut Vec<Action>) {
        // A transaction that is gone meanwhile is none of our business any more.
        let _ = self.shard.step(id, input, now.mono, actions);
    }

    fn act(&mut self, actions: Vec<Action>, now: Now, out: &mut Vec<Datagram>) {
        for action in actions {
            let mut more = Vec::new();
            match action {
                Action::Transmit { hop, bytes } => out.push((self.address, hop.remote, bytes.to_vec())),
                Action::Forward(f) => out.push((self.address, f.hop.remote, f.bytes.to_vec())),
                Action::MakeReply { id, code, request, .. } => {
                    let bytes = self.reply(&request, code).into();
                    self.step(id, Input::Reply(LocalReply { code, bytes }), now, &mut more);
                }
                Action::RunRoute { id, request, .. } => {
                    let first = self.shard.reserve_branches(id, 1).unwrap_or_default();
                    let target = self.voicemail.map(|at| (at, request.request_uri().into()));
                    let branches = self.branches(id, &request, target.as_slice(), first);
                    self.step(id, Input::Routed(Outcome { branches, ..Outcome::default() }), now, &mut more);
                }
                Action::Completed { code, .. } => self.completed.push(code),
                Action::MergeAuth { .. }
                | Action::LocalFinal { .. }
                | Action::Freed { .. }
                | Action::Provisional { .. }
                | Action::Failing { .. } => {}
            }
            self.act(more, now, out);
        }
    }
}

impl Node for Proxy {
    fn receive(&mut self, now: Now, from: SocketAddr, _: SocketAddr, bytes: &[u8], out: &mut Vec<Datagram>) {
        let message = Message::parse(bytes).unwrap_or_else(|e| panic!("{e:?}: {}", bytes.escape_ascii()));
        match message.is_request() {
            true => self.on_request(message, from, now, out),
            false => self.on_reply(message, from, now, out),
        }
    }
    fn poll_timeout(&self) -> Option<Timestamp> {
        self.shard.next_timeout()
    }
    fn handle_timeout(&mut self, now: Now, out: &mut Vec<Datagram>) {
        let mut actions = Vec::new();
        self.shard.expire(now.mono, &mut actions);
        self.act(actions, now, out);
    }
}

pub fn hop(remote: SocketAddr) -> Hop {
    Hop { transport: Transport::Udp, remote, socket: SocketId(0) }
}

pub fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 5060))
}

/// alice, the proxy and two bobs.
pub struct Scene {
    pub network: Network,
    pub alice: NodeId,
    pub proxy: NodeId,
    pub bob: NodeId,
    pub bob2: NodeId,
}

pub const ALICE: u8 = 1;
pub const PROXY: u8 = 2;
pub const BOB: u8 = 3;
pub const BOB2: u8 = 4;

impl Scene {
    /// `bob` is at one phone, `both` at two.
    pub fn new(seed: u64, conditions: Conditions, bob: Plan, bob2: Plan) -> Scene {
        let mut network = Network::new(seed, conditions);
        let users: &[(&str, &[SocketAddr])] = &[("bob", &[at(BOB)]), ("both", &[at(BOB), at(BOB2)])];
        let proxy = network.add(&[at(PROXY)], Proxy::new(at(PROXY), users));
        let mut phone =
            |name, address, plan| network.add(&[address], UserAgent::new(name, address, at(PROXY), plan));
        let alice = phone("alice", at(ALICE), Plan::ANSWERS);
        let bob = phone("bob", at(BOB), bob);
        let bob2 = phone("bob2", at(BOB2), bob2);
        Scene { network, alice, proxy, bob, bob2 }
    }

    pub fn call(&mut self, ms: u64, user: &str, options: CallOptions) {
        let uri = format!("sip:{user}@example.com");
        self.network.node_mut::<UserAgent>(self.alice).call(Timestamp::from_millis(ms), &uri, options);
    }

    /// To rest, and the ladder of what happened.
    pub fn ladder(&mut self, with_bob2: bool) -> String {
        assert!(self.network.run_to_rest(Timestamp::from_millis(1_000_000)), "it never comes to rest");
        let mut lanes = vec![("alice", at(ALICE)), ("proxy", at(PROXY)), ("bob", at(BOB))];
        if with_bob2 {
            lanes.push(("bob2", at(BOB2)));
        }
        ladder(&lanes, self.network.sent())
    }

    pub fn state(&self) -> CallState {
        self.network.node::<UserAgent>(self.alice).outgoing()[0].state
    }

    pub fn live(&self) -> usize {
        self.network.node::<Proxy>(self.proxy).shard.len()
    }
}
