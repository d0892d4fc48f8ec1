//! A workbench: one shard, one transaction, a clock that is moved by hand, and a log of what the transaction did.
//!
//! Log lines: `<ms> caller < 180`, `<ms> b0 > INVITE`, `<ms> run Failure b0 486`, `<ms> make 408`, `<ms> completed 486 b0`, `<ms> freed`.
#![allow(dead_code)] // each test file uses its part

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use message::{Edits, Message, Method, Transport, print};
use transaction::*;

pub struct Bench {
    pub shard: Shard,
    pub now: Timestamp,
    pub id: TransactionId,
    pub request: Arc<Message>,
    /// Print what `MakeReply` asks for at once.
    pub auto: bool,
    pub transport: Transport,
    started: usize,
    log: Vec<String>,
}

pub fn hop(address: &str, transport: Transport) -> Hop {
    Hop { transport, remote: address.parse::<SocketAddr>().expect("an address"), socket: SocketId(0) }
}

pub fn parse(text: &str) -> Arc<Message> {
    let text = text.replace('\n', "\r\n");
    Arc::new(Message::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{e:?} in {text}")))
}

pub fn request_text(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\nMax-Forwards: 70\n\
         From: Alice <sip:alice@example.com>;tag=a1\nTo: <sip:bob@example.com>\nCall-ID: call-1\nCSeq: 7 {method}\n\
         Content-Length: 0\n\n"
    )
}

pub fn armed(on_reply: bool, failure: bool, branch_failure: bool) -> Armed {
    Armed { on_reply, failure, branch_failure, told: false }
}

pub const NOTHING: Armed = Armed { on_reply: false, failure: false, branch_failure: false, told: false };

impl Bench {
    pub fn invite() -> Bench {
        Bench::new("INVITE", |_| {})
    }

    pub fn new(method: &str, change: impl FnOnce(&mut NewTransaction)) -> Bench {
        let request = parse(&request_text(method, "z9hG4bKalice1"));
        let mut new = NewTransaction {
            request: Arc::clone(&request),
            reply_to: hop("192.0.2.1:5060", Transport::Udp),
            timing: Timing::default(),
            options: Options::default(),
            script: None,
            local: false,
            trying: (method == "INVITE").then(|| local(&request, 100)),
        };
        change(&mut new);
        let mut bench = Bench {
            shard: Shard::new(0, 1, 0x0123_4567_89ab_cdef, 100),
            now: Timestamp(0),
            id: TransactionId { index: 0, label: 0 },
            request,
            auto: true,
            transport: Transport::Udp,
            started: 0,
            log: Vec::new(),
        };
        let mut out = Vec::new();
        bench.id = bench.shard.create(new, bench.now, &mut out).expect("room");
        bench.note(out);
        bench
    }

    /// `n` new branches, numbered on from those that were made before.
    pub fn branches(&mut self, n: usize) -> Vec<NewBranch> {
        let first = self.started;
        self.started += n;
        (first..first + n)
            .map(|number| {
                let mut via = b"SIP/2.0/UDP 198.51.100.1;branch=".to_vec();
                self.id.write_branch(number as u16, &mut via);
                let mut bytes = Vec::new();
                let how = print::Forward { via: Some(&via), ..print::Forward::default() };
                print::request(&self.request, &Edits::new(), &how, &mut bytes);
                NewBranch {
                    number: number as u16,
                    bytes: bytes.into(),
                    hop: hop(&format!("10.0.0.1:{}", 6000 + number), self.transport),
                    uri: format!("sip:bob@10.0.0.1:{}", 6000 + number).into_bytes().into(),
                    script: None,
                }
            })
            .collect()
    }

    pub fn relay(&mut self, n: usize) {
        self.relay_armed(n, NOTHING);
    }

    pub fn relay_armed(&mut self, n: usize, armed: Armed) {
        let branches = self.branches(n);
        self.step(Input::Relay { branches, armed });
    }

    /// A reply of branch `branch`.
    pub fn reply(&mut self, branch: u16, code: u16) {
        self.reply_rows(branch, code, "");
    }

    pub fn reply_rows(&mut self, branch: u16, code: u16, rows: &str) {
        let method = String::from_utf8_lossy(self.request.method_text()).into_owned();
        let input = self.reply_input(branch, code, &method, rows);
        self.step(input);
    }

    /// The answer to the CANCEL of branch `branch`.
    pub fn cancel_answered(&mut self, branch: u16, code: u16) {
        let input = self.reply_input(branch, code, "CANCEL", "");
        self.step(input);
    }

    pub fn reply_input(&self, branch: u16, code: u16, method: &str, rows: &str) -> Input {
        let mut ours = Vec::new();
        self.id.write_branch(branch, &mut ours);
        let ours = String::from_utf8_lossy(&ours).into_owned();
        let reply = parse(&format!(
            "SIP/2.0 {code} Reason\nVia: SIP/2.0/UDP 198.51.100.1;branch={ours}\n\
             Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKalice1\nFrom: Alice <sip:alice@example.com>;tag=a1\n\
             To: <sip:bob@example.com>;tag=b{branch}\nCall-ID: call-1\nCSeq: 7 {method}\n{rows}Content-Length: 0\n\n"
        ));
        let forward = (code != 100).then(|| {
            let mut bytes = Vec::new();
            print::forwarded_reply(&reply, &Edits::new(), &mut bytes);
            bytes.into()
        });
        let from = hop(&format!("10.0.0.1:{}", 6000 + branch), self.transport);
        Input::ReplyReceived { branch, reply, from, forward }
    }

    pub fn cancel(&mut self) {
        self.step(Input::Cancel { rows: Arc::default() });
    }

    pub fn routed(&mut self, outcome: Outcome) {
        self.step(Input::Routed(outcome));
    }

    /// The route adds `n` branches and arms `armed`.
    pub fn routed_branches(&mut self, n: usize, armed: Armed) {
        let branches = self.branches(n);
        self.routed(Outcome { branches, armed, ..Outcome::default() });
    }

    pub fn local(&self, code: u16) -> LocalReply {
        LocalReply { code, bytes: local(&self.request, code) }
    }

    pub fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.shard.step(self.id, input, self.now, &mut out).expect("a live transaction");
        self.note(out);
    }

    /// Lets time pass to `ms`, firing what is due on the way at its very moment.
    pub fn until(&mut self, ms: u64) {
        let end = Timestamp::from_millis(ms);
        while let Some(next) = self.shard.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let mut out = Vec::new();
            self.shard.expire(self.now, &mut out);
            self.note(out);
        }
        self.now = end;
    }

    /// Compares what happened since the last call.
    #[track_caller]
    pub fn expect(&mut self, lines: &[&str]) {
        let log = std::mem::take(&mut self.log);
        assert_eq!(log, lines, "\nhappened:\n  {}\n", log.join("\n  "));
    }

    /// What happened since the last call.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub fn state(&self) -> &'static str {
        self.shard.view(self.id).map_or("gone", |view| view.state())
    }

    fn note(&mut self, actions: Vec<Action>) {
        let ms = self.now.0 as f64 / 1e6;
        for action in actions {
            let mut made = None;
            let line = match action {
                Action::Transmit { hop, bytes } => {
                    let message = Message::parse(&bytes).expect("what is sent can be parsed");
                    match (message.status(), hop.remote.port()) {
                        (0, port) => {
                            format!("b{} > {}", port - 6000, String::from_utf8_lossy(message.method_text()))
                        }
                        (code, _) => format!("caller < {code}"),
                    }
                }
                Action::Forward(forward) => {
                    let Forward { branch, reply, from, bytes, .. } = *forward;
                    let code = Message::parse(&bytes).expect("what is sent can be parsed").status();
                    let from = from.map_or(0, |hop| hop.remote.port());
                    format!("caller < {code} made of {} of b{branch} from {from}", reply.status())
                }
                Action::RunRoute { route, branch, code, reply, .. } => {
                    assert!(reply.is_none_or(|reply| reply.status() == code));
                    format!("run {route:?} b{branch} {code}")
                }
                Action::MakeReply { code, .. } => {
                    made = Some(code);
                    format!("make {code}")
                }
                Action::MergeAuth { branch, replies, .. } => format!("merge b{branch} of {}", replies.len()),
                Action::Completed { code, branch, local, .. } => match branch {
                    Some(branch) => {
                        format!("completed {code} b{branch}{}", if local { " local" } else { "" })
                    }
                    None => format!("completed {code}{}", if local { " local" } else { "" }),
                },
                Action::LocalFinal { code, reply, .. } => {
                    format!("local final {code} {}", if reply.is_some() { "received" } else { "made" })
                }
                Action::Provisional { branch, reply, .. } => format!("told b{branch} {}", reply.status()),
                Action::Failing { branch, code, .. } => format!("failing b{branch} {code}"),
                Action::Freed { method, .. } => {
                    assert_eq!(method, self.request.method());
                    "freed".to_owned()
                }
            };
            self.log.push(format!("{ms} {line}"));
            if let (true, Some(code)) = (self.auto, made) {
                let reply = self.local(code);
                self.step(Input::Reply(reply));
            }
        }
    }
}

pub fn local(request: &Message, code: u16) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    let reply = print::LocalReply {
        code,
        reason: b"Local",
        to_tag: b"proxy",
        rows: b"",
        body: None,
        via_stamp: None,
        record_route: false,
    };
    print::local_reply(request, &reply, &mut bytes);
    bytes.into()
}

pub fn is_invite(method: Method) -> bool {
    method == Method::Invite
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
