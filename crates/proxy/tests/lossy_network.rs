//! The whole proxy in a network that loses, repeats and reorders: every call ends as it should, and the script ran for each.
#![allow(clippy::unwrap_used)]

mod common;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use message::Transport;
use script::{Inbound, Services};
use testkit::*;
use transaction::{Now, SocketId, Timestamp};
use trunkline_proxy::Settings;

struct ProxyNode {
    bench: Bench,
    next: Rc<std::cell::Cell<Option<Timestamp>>>,
}

impl ProxyNode {
    fn services(&self) -> Services<'_> {
        Services {
            core: &self.bench.core,
            transactions: &*self.bench.proxy,
            engine: &*self.bench.script,
            worker: &self.bench.worker,
            outbox: &self.bench.outbox,
        }
    }
    fn flush(&mut self, now: Now, out: &mut Vec<testkit::Datagram>) {
        self.bench.proxy.expire(&self.services(), now, usize::MAX);
        self.next.set(Some(self.bench.proxy.soonest()).filter(|at| *at != Timestamp::NEVER));
        let mut batch = script::outbox::Batch::default();
        self.bench.outbox.take(&mut batch);
        for (hop, d) in &batch.items {
            out.push((addr(PROXY), hop.remote, batch.bytes(d).to_vec()));
        }
    }
}

impl Node for ProxyNode {
    fn receive(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<testkit::Datagram>,
    ) {
        let inbound = Inbound { source: from, local: to, socket: SocketId(0), transport: Transport::Udp };
        self.bench.proxy.receive(&self.services(), now, inbound, bytes);
        self.flush(now, out);
    }
    fn poll_timeout(&self) -> Option<Timestamp> {
        self.next.get()
    }
    fn handle_timeout(&mut self, now: Now, out: &mut Vec<testkit::Datagram>) {
        self.flush(now, out);
    }
}

#[test]
fn a_thousand_calls_at_five_percent_loss() {
    const CALLS: u64 = 1000;
    let conditions = Conditions {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(40),
        loss: 50,
        duplication: 20,
    };
    let mut network = Network::new(99, conditions);
    let bench = Bench::new(Settings::default(), |ctx| {
        ctx.armed.on_reply = ctx.core.callbacks.intern(b"onreply");
        ctx.record_route = Some(script::RecordRoute {
            prefix: b"sip:".to_vec(),
            place: script::record_route::Place::Sockets,
            fixed: b";lr".to_vec(),
            params: Vec::new(),
            double: script::record_route::Double::Never,
        });
        relay(ctx)
    });
    bench.route("onreply", |_| script::RunOutcome::Returned(1));
    let proxy = network.add(&[addr(PROXY)], ProxyNode { bench, next: Rc::default() });
    let mut alice = UserAgent::new("alice", addr(ALICE), addr(PROXY), Plan::ANSWERS);
    for call in 0..CALLS {
        let options = CallOptions { hang_up: Some(Duration::from_secs(3)), cancel: None };
        alice.call(Timestamp::from_millis(call * 37), "sip:bob@10.0.0.3", options);
    }
    let alice = network.add(&[addr(ALICE)], alice);
    network.add(&[addr(BOB)], UserAgent::new("bob", addr(BOB), addr(PROXY), Plan::ANSWERS));
    assert!(network.run_to_rest(Timestamp::from_millis(1_000_000)), "it never comes to rest");
    let lost = network.sent().iter().filter(|s| s.fate == Fate::Lost).count();
    assert!(lost > 500, "the network was bad: {lost}");
    let ended =
        network.node::<UserAgent>(alice).outgoing().iter().filter(|c| c.state == CallState::Ended).count()
            as u64;
    assert_eq!(ended, CALLS);
    let bench = &network.node::<ProxyNode>(proxy).bench;
    assert_eq!(bench.stat("inuse_transactions"), 0, "nothing is left behind");
    assert_eq!(bench.stat("2xx_transactions"), 2 * CALLS as i64);
    // INVITE and BYE once each however often they came; the ACK each time it came, as it has no transaction.
    let acks = bench.stat("rcv_requests_ack") as u64;
    assert_eq!(bench.ran("request"), 2 * CALLS + acks);
    assert!(bench.ran("onreply") >= 2 * CALLS, "180 and 200 at least, where they were not lost");
}
