//! What the transaction layer costs per call and per OPTIONS: `cargo run --release -p trunkline-transaction --example timing`.
//!
//! Parsing and printing are done beforehand; what is measured is matching, stepping, timers and freeing.
#![allow(clippy::disallowed_methods)] // an example measures with the clock that the crate itself must not have

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use message::{Message, Transport};
use transaction::*;

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code)]
// SAFETY: hands everything to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn parse(text: String) -> Arc<Message> {
    Arc::new(Message::parse(text.replace('\n', "\r\n").as_bytes()).expect("a message"))
}

fn request(method: &str, n: usize, tag: &str, branch: &str) -> Arc<Message> {
    parse(format!(
        "{method} sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-{branch}{n}\nMax-Forwards: 70\n\
         From: Alice <sip:alice@example.com>;tag=a{n}\nTo: <sip:bob@example.com>{tag}\nCall-ID: call-{n}@192.0.2.1\nCSeq: 1 {method}\n\
         Content-Length: 0\n\n"
    ))
}

fn reply(code: u16, n: usize) -> Arc<Message> {
    parse(format!(
        "SIP/2.0 {code} R\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK-1.2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n}\n\
         From: Alice <sip:alice@example.com>;tag=a{n}\nTo: <sip:bob@example.com>;tag=b\nCall-ID: call-{n}@192.0.2.1\nCSeq: 1 INVITE\n\
         Content-Length: 0\n\n"
    ))
}

fn main() {
    let hop = Hop {
        transport: Transport::Udp,
        remote: "192.0.2.1:5060".parse().expect("an address"),
        socket: SocketId(0),
    };
    let n = 50_000;
    let bytes: Arc<[u8]> = vec![b'x'; 600].into();
    for (name, live) in [("50 calls a second", 50_u64), ("5000 calls a second", 5_000)] {
        let mut shard = Shard::new(0, 1, 77, 1_000_000);
        let mut out = Vec::with_capacity(64);
        let (mut spent, mut allocations) = (Duration::ZERO, 0);
        for i in 0..n {
            let now = Timestamp(i as u64 * 1_000_000_000 / live);
            let invite = request("INVITE", i, "", "i");
            let replies = [reply(100, i), reply(180, i), reply(200, i)];
            let ack = request("ACK", i, ";tag=b", "a");
            let (before, start) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
            shard.expire(now, &mut out);
            assert!(shard.match_request(&invite).is_none());
            let new = NewTransaction {
                request: invite,
                reply_to: hop,
                timing: Timing::default(),
                options: Options::default(),
                script: None,
                local: false,
                trying: Some(Arc::clone(&bytes)),
            };
            let Ok(id) = shard.create(new, now, &mut out) else { return };
            let branch = NewBranch {
                number: 0,
                bytes: Arc::clone(&bytes),
                hop,
                uri: Arc::clone(&bytes),
                script: None,
            };
            let relay = Input::Relay { branches: vec![branch], armed: Armed::default() };
            let _ = shard.step(id, relay, now, &mut out);
            for reply in replies {
                let forward = (reply.status() != 100).then(|| Arc::clone(&bytes));
                let input = Input::ReplyReceived { branch: 0, reply, from: hop, forward };
                let _ = shard.step(id, input, now, &mut out);
            }
            assert_eq!(shard.match_request(&ack).map(|hit| hit.kind), Some(Kind::AckEndToEnd));
            spent += start.elapsed();
            allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
            out.clear();
        }
        let spent = spent.as_nanos() as usize / n;
        let allocations = allocations as f64 / n as f64;
        println!(
            "{name}: {spent} ns and {allocations:.2} allocations a call, {} live at the end",
            shard.len()
        );
    }
}
