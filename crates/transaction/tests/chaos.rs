//! Anything in any order: whatever peers, scripts and timers do, the rules of the protocol hold and every transaction ends.

mod common;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use message::{Edits, Message, Transport, print};
use transaction::*;

struct Chaos {
    random: u64,
    shard: Shard,
    id: TransactionId,
    request: Arc<Message>,
    now: Timestamp,
    started: u16,
    routes: u32,
    prints: Vec<u16>,
    // What the rules are checked against.
    failure_sent: Option<u16>,
    success_sent: bool,
    completed: u32,
    freed: u32,
    provisional_seen: HashSet<u16>,
    log: Vec<String>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let method = if below(&mut random, 3) == 0 { "OPTIONS" } else { "INVITE" };
        let request = parse(&request_text(method, "z9hG4bKchaos"));
        let mut flag = || below(&mut random, 4) == 0;
        let options = Options {
            no_auto_100: flag(),
            disable_6xx: flag(),
            noninvite_408: flag(),
            keep_replies: flag(),
            short_wait: flag(),
            disable_internal_reply: flag(),
            ..Options::default()
        };
        let local = flag() && flag();
        let transport = if flag() { Transport::Tcp } else { Transport::Udp };
        let mut shard = Shard::new(0, 1, seed, 10);
        let new = NewTransaction {
            request: Arc::clone(&request),
            reply_to: hop("192.0.2.1:5060", transport),
            timing: Timing::default(),
            options,
            script: None,
            local,
            trying: Some(local_reply(&request, 100)),
        };
        let mut out = Vec::new();
        let id = shard.create(new, Timestamp(0), &mut out).expect("room");
        let mut chaos = Chaos {
            random,
            shard,
            id,
            request,
            now: Timestamp(0),
            started: 0,
            routes: 0,
            prints: Vec::new(),
            failure_sent: None,
            success_sent: false,
            completed: 0,
            freed: 0,
            provisional_seen: HashSet::new(),
            log: vec![format!("seed {seed}: {method} {options:?} local {local} {transport:?}")],
        };
        chaos.check(out);
        chaos
    }

    fn below(&mut self, n: u64) -> u64 {
        below(&mut self.random, n)
    }

    fn armed(&mut self) -> Armed {
        armed(self.below(3) == 0, self.below(2) == 0, self.below(3) == 0)
    }

    fn branches(&mut self) -> Vec<NewBranch> {
        let n = self.below(3) as u16;
        let first = self.shard.reserve_branches(self.id, n).unwrap_or(99);
        self.started = first + n;
        (first..first + n)
            .map(|number| {
                let mut via = b"SIP/2.0/UDP 198.51.100.1;branch=".to_vec();
                self.id.write_branch(number, &mut via);
                let mut bytes = Vec::new();
                let how = print::Forward { via: Some(&via), ..print::Forward::default() };
                print::request(&self.request, &Edits::new(), &how, &mut bytes);
                let transport = if number % 4 == 3 { Transport::Tcp } else { Transport::Udp };
                let hop = hop(&format!("10.0.0.1:{}", 6000 + number), transport);
                NewBranch { number, bytes: bytes.into(), hop, uri: Arc::default(), script: None }
            })
            .collect()
    }

    fn reply(&mut self) -> Input {
        let branch = self.below(u64::from(self.started) + 1) as u16;
        let codes = [100, 180, 183, 200, 200, 302, 401, 407, 404, 408, 486, 487, 500, 503, 600, 603];
        let code = codes[self.below(codes.len() as u64) as usize];
        let method = match self.below(6) {
            0 => "CANCEL",
            _ if self.request.method() == message::Method::Invite => "INVITE",
            _ => "OPTIONS",
        };
        if code < 200 && method == "INVITE" {
            self.provisional_seen.insert(branch);
        }
        let mut ours = Vec::new();
        self.id.write_branch(branch, &mut ours);
        let reply = parse(&format!(
            "SIP/2.0 {code} Reason\nVia: SIP/2.0/UDP 198.51.100.1;branch={}\n\
             Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKchaos\nFrom: Alice <sip:alice@example.com>;tag=a1\n\
             To: <sip:bob@example.com>;tag=b{branch}\nCall-ID: call-1\nCSeq: 7 {method}\nContent-Length: 0\n\n",
            String::from_utf8_lossy(&ours)
        ));
        let mut forward = Vec::new();
        print::forwarded_reply(&reply, &Edits::new(), &mut forward);
        let forward = (code != 100).then(|| forward.into());
        Input::ReplyReceived { branch, reply, from: hop("10.0.0.1:6000", Transport::Udp), forward }
    }

    fn outcome(&mut self) -> Outcome {
        let reply = (self.below(6) == 0).then(|| {
            let code = [183, 302, 480, 200][self.below(4) as usize];
            LocalReply { code, bytes: local_reply(&self.request, code) }
        });
        Outcome {
            drop: self.below(3) == 0,
            forward: None,
            branches: if self.below(2) == 0 { self.branches() } else { Vec::new() },
            reply,
            drop_replies: (self.below(3) == 0).then_some(self.below(2) == 0),
            armed: self.armed(),
        }
    }

    fn disturb(&mut self) {
        if self.routes > 0 && self.below(3) == 0 {
            self.routes -= 1;
            let outcome = self.outcome();
            return self.step(Input::Routed(outcome));
        }
        if let Some(code) = self.prints.pop() {
            return self.step(Input::Reply(LocalReply { code, bytes: local_reply(&self.request, code) }));
        }
        let input = match self.below(20) {
            0..=2 => Input::Relay { branches: self.branches(), armed: self.armed() },
            3..=10 => self.reply(),
            11 => Input::Retransmission,
            12 => Input::Ack,
            13 => Input::Cancel { rows: Arc::default() },
            14 => Input::SendFailed { branch: self.below(4) as u16 },
            15 if self.below(4) == 0 => Input::CancelBranches { only: None, rows: Arc::default() },
            16 if self.below(4) == 0 => Input::Release,
            17 if self.below(4) == 0 => {
                // As a caller does: the continuation of a suspended request is another `Routed`.
                self.routes += 1;
                Input::Suspend
            }
            _ => return self.pass(),
        };
        self.step(input);
    }

    fn step(&mut self, input: Input) {
        self.log.push(format!("{} <- {}", self.now.as_millis(), brief(&input)));
        let mut out = Vec::new();
        let _ = self.shard.step(self.id, input, self.now, &mut out);
        self.check(out);
    }

    fn pass(&mut self) {
        let reach = 1 << self.below(18);
        let end = self.now + Duration::from_millis(self.below(reach));
        self.until(end);
    }

    fn until(&mut self, end: Timestamp) {
        while let Some(next) = self.shard.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let mut out = Vec::new();
            self.shard.expire(self.now, &mut out);
            self.check(out);
        }
        self.now = end;
    }

    fn check(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Transmit { hop, bytes } => {
                    let message = Message::parse(&bytes).expect("what is sent can be parsed");
                    self.log.push(format!(
                        "{} -> {} {} {}",
                        self.now.as_millis(),
                        hop.remote.port(),
                        String::from_utf8_lossy(message.method_text()),
                        message.status()
                    ));
                    match (message.status(), hop.remote.port()) {
                        (0, port) if message.method_text() == b"CANCEL" => {
                            assert!(
                                self.provisional_seen.contains(&(port - 6000)),
                                "CANCEL before a provisional"
                            );
                        }
                        (0, _) => {}
                        (code @ ..200, _) => {
                            assert!(
                                self.failure_sent.is_none() && !self.success_sent,
                                "{code} after the end"
                            );
                        }
                        (200..300, _) => self.success_sent = true,
                        (code, _) => {
                            assert!(
                                !self.success_sent || self.failure_sent == Some(code),
                                "{code} after a 2xx"
                            );
                            assert_eq!(
                                *self.failure_sent.get_or_insert(code),
                                code,
                                "two different failures"
                            );
                        }
                    }
                }
                Action::Forward(_) => unreachable!("nobody asked for them"),
                Action::RunRoute { route, code, .. } => {
                    self.log.push(format!("{} run {route:?} {code}", self.now.as_millis()));
                    self.routes += 1;
                }
                Action::MakeReply { code, .. } => self.prints.push(code),
                Action::MergeAuth { .. } => self.prints.push(401),
                Action::Completed { .. } => self.completed += 1,
                Action::LocalFinal { .. } | Action::Provisional { .. } | Action::Failing { .. } => {}
                Action::Freed { .. } => self.freed += 1,
            }
        }
    }

    fn run(mut self) -> (bool, bool) {
        for _ in 0..60 {
            self.disturb();
        }
        // Then everybody falls silent; some routes and printers never come back.
        self.until(self.now + Duration::from_secs(3_000));
        assert!(self.shard.is_empty(), "it never ends: {:?}", self.shard.view(self.id).map(|v| v.state()));
        assert_eq!(self.freed, 1);
        assert!(self.completed <= 1, "completed {} times", self.completed);
        assert_eq!(self.shard.counts().waiting, 0);
        (self.success_sent, self.failure_sent.is_some())
    }
}

/// A failing run tells what led there.
impl Drop for Chaos {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log.join("\n"));
        }
    }
}

fn below(random: &mut u64, n: u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 11) % n
}

fn brief(input: &Input) -> String {
    match input {
        Input::ReplyReceived { branch, reply, .. } => {
            format!("b{branch} {} {}", reply.status(), String::from_utf8_lossy(reply.method_text()))
        }
        Input::Relay { branches, armed } => format!("relay {} {armed:?}", branches.len()),
        Input::Routed(o) => format!(
            "routed {} branches, reply {:?}, drop {}, {:?}",
            o.branches.len(),
            o.reply.as_ref().map(|r| r.code),
            o.drop,
            o.armed
        ),
        Input::Reply(reply) => format!("reply {}", reply.code),
        other => format!("{other:?}"),
    }
}

fn local_reply(request: &Message, code: u16) -> Arc<[u8]> {
    local(request, code)
}

#[test]
fn rules_hold_whatever_happens() {
    let (mut successes, mut failures) = (0, 0);
    for seed in 1..1_500 {
        let (success, failure) = Chaos::new(seed).run();
        successes += u32::from(success);
        failures += u32::from(failure);
    }
    assert!(successes > 250 && failures > 250, "all sorts happened: {successes} {failures}");
}
