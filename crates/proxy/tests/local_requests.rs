//! Requests of our own: sent again, bounded, and their sender hears of the end exactly once.
#![allow(clippy::unwrap_used)]

mod common;
use std::sync::{Arc, Mutex};

use common::*;
use script::{LocalEnd, Module, RouteContext, Services, Tell, UacRequest};
use transaction::Now;
use trunkline_proxy::Settings;

/// Writes down what it is told.
#[derive(Default)]
struct Pinger(Mutex<Vec<(u64, u16, bool)>>);

impl Module for Pinger {
    fn name(&self) -> &'static str {
        "pinger"
    }
    fn local_reply(&self, services: &Services<'_>, now: Now, end: LocalEnd) {
        self.0.lock().unwrap().push((end.token, end.code, end.reply.is_some()));
        if end.token == 7 {
            // No lock is held: it may send again.
            let mut ctx = RouteContext::stand_in(services, now).unwrap();
            send(&mut ctx, "sip:10.0.0.4", 8);
        }
    }
}

fn send(ctx: &mut RouteContext<'_>, uri: &str, token: u64) -> i64 {
    let request = UacRequest {
        method: b"OPTIONS",
        ruri: uri.as_bytes(),
        next_hop: b"",
        socket: b"",
        rows: b"From: <sip:ping@x>;tag=1\r\nTo: <sip:bob@x>\r\n",
        body: b"",
    };
    ctx.transactions.send_request(ctx, &request, Tell { module: "pinger", token })
}

fn bench(settings: Settings) -> (Bench, Arc<Pinger>) {
    let pinger = Arc::new(Pinger::default());
    (Bench::with_module(settings, pinger.clone()), pinger)
}

fn told(pinger: &Pinger) -> Vec<(u64, u16, bool)> {
    std::mem::take(&mut *pinger.0.lock().unwrap())
}

#[test]
fn the_module_hears_of_the_final_reply_once() {
    let (b, pinger) = bench(Settings::default());
    let mut ctx = RouteContext::stand_in(&b.services(), b.now).unwrap();
    assert_eq!((send(&mut ctx, "sip:10.0.0.3", 7), send(&mut ctx, "sip:10.0.0.3", 9)), (1, 1));
    let out = b.out();
    assert_eq!(lines(&out), ["10.0.0.3:5060 OPTIONS sip:10.0.0.3 SIP/2.0"; 2]);
    let call_id = |n: usize| out[n].1.lines().find(|l| l.starts_with("Call-ID")).unwrap().to_string();
    assert_ne!(call_id(0), call_id(1), "made at the same time");
    assert!(b.send(BOB, &reply(&out[0].1, "100 Trying", "")).is_empty());
    assert!(told(&pinger).is_empty());
    let ok = reply(&out[0].1, "200 OK", "tb");
    assert_eq!(lines(&b.send(BOB, &ok)), ["10.0.0.4:5060 OPTIONS sip:10.0.0.4 SIP/2.0"]);
    assert_eq!(told(&pinger), [(7, 200, true)]);
    assert!(b.send(BOB, &ok).is_empty());
    b.send(BOB, &reply(&out[1].1, "503 Busy", "tb"));
    assert_eq!(told(&pinger), [(9, 503, true)]);
}

#[test]
fn without_a_reply_it_is_408_in_the_time_the_sender_wants() {
    let (mut b, pinger) = bench(Settings::default());
    {
        let mut ctx = RouteContext::stand_in(&b.services(), b.now).unwrap();
        let fr = std::time::Duration::from_secs(2);
        ctx.timing = Some(transaction::Timing { fr, ..transaction::Timing::default() });
        assert_eq!(send(&mut ctx, "sip:10.0.0.3", 5), 1);
    }
    let sent = b.advance(1900);
    assert!(sent.len() >= 2 && told(&pinger).is_empty(), "it is sent again");
    b.advance(200);
    assert_eq!(told(&pinger), [(5, 408, false)]);
    b.advance(60_000);
    assert!(told(&pinger).is_empty());
}

#[test]
fn what_cannot_be_sent_is_said_at_once() {
    let (b, pinger) = bench(Settings { max_transactions: 64, ..Settings::default() });
    let mut ctx = RouteContext::stand_in(&b.services(), b.now).unwrap();
    assert_eq!(send(&mut ctx, "sip:no.such.host.invalid", 1), -1);
    assert_eq!(send(&mut ctx, "nonsense", 1), -1);
    let sent = (0..1000).filter(|n| send(&mut ctx, "sip:10.0.0.3", *n) == 1).count();
    assert!((1..=64).contains(&sent), "{sent}");
    assert_eq!(b.out().len(), sent);
    assert!(told(&pinger).is_empty());
}
