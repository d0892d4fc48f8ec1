//! Matching requests to transactions: RFC 3261 §17.2.3, §9.2.

mod common;
use std::sync::Arc;

use common::*;
use message::{Message, Transport};
use transaction::*;

/// A request with this topmost Via, method, To tag and CSeq.
fn request(method: &str, via: &str, to: &str, cseq: u32) -> Arc<Message> {
    parse(&format!(
        "{method} sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP {via}\nMax-Forwards: 70\n\
         From: Alice <sip:alice@example.com>;tag=a1\nTo: <sip:bob@example.com>{to}\nCall-ID: call-1\nCSeq: {cseq} {method}\n\
         Content-Length: 0\n\n"
    ))
}

fn create(shard: &mut Shard, request: &Arc<Message>) -> Result<TransactionId, Refused> {
    let new = NewTransaction {
        request: Arc::clone(request),
        reply_to: hop("192.0.2.1:5060", Transport::Udp),
        timing: Timing::default(),
        options: Options::default(),
        script: None,
        local: false,
        trying: None,
    };
    shard.create(new, Timestamp(0), &mut Vec::new())
}

fn kind(shard: &Shard, request: &Message) -> Option<Kind> {
    shard.match_request(request).map(|hit| hit.kind)
}

const VIA: &str = "192.0.2.1:5060;branch=z9hG4bKalice1";

#[test]
fn branch_sent_by_and_method() {
    let mut shard = Shard::new(0, 1, 1, 100);
    let invite = request("INVITE", VIA, "", 7);
    let id = create(&mut shard, &invite).expect("room");
    assert_eq!(shard.match_request(&invite), Some(Match { id, kind: Kind::Retransmission }));
    let others = [
        request("INVITE", "192.0.2.1:5060;branch=z9hG4bKalice2", "", 7),
        request("INVITE", "192.0.2.1:5061;branch=z9hG4bKalice1", "", 7),
        request("INVITE", "192.0.2.2:5060;branch=z9hG4bKalice1", "", 7),
        request("INVITE", "192.0.2.1;branch=z9hG4bKalice1", "", 7),
        request("OPTIONS", VIA, "", 7),
        request("CANCEL", VIA, "", 7),
        request("INVITE", VIA, "", 8),
    ];
    for other in &others {
        assert_eq!(kind(&shard, other), None, "{}", other.as_bytes().escape_ascii());
    }
}

#[test]
fn sent_by_is_compared_without_case() {
    let mut shard = Shard::new(0, 1, 1, 100);
    create(&mut shard, &request("INVITE", "Phone.Example.COM;branch=z9hG4bKx", "", 7)).expect("room");
    let again = request("INVITE", "phone.example.com;branch=z9hG4bKx;rport", "", 7);
    assert_eq!(kind(&shard, &again), Some(Kind::Retransmission));
}

#[test]
fn the_ack_to_a_failure_has_the_invites_branch() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 486);
    let ack = request("ACK", VIA, ";tag=b0", 7);
    assert_eq!(t.shard.match_request(&ack), Some(Match { id: t.id, kind: Kind::AckNon2xx }));
}

#[test]
fn the_ack_to_a_2xx_has_a_branch_of_its_own() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 200);
    let own = "192.0.2.1:5060;branch=z9hG4bKack";
    assert_eq!(
        t.shard.match_request(&request("ACK", own, ";tag=b0", 7)),
        Some(Match { id: t.id, kind: Kind::AckEndToEnd })
    );
    assert_eq!(kind(&t.shard, &request("ACK", own, ";tag=other", 7)), None, "a To tag that no 2xx had");
    assert_eq!(kind(&t.shard, &request("ACK", own, ";tag=b0", 8)), None);
    // A user agent that keeps the branch all the same.
    assert_eq!(kind(&t.shard, &request("ACK", VIA, ";tag=b0", 7)), Some(Kind::AckEndToEnd));
}

#[test]
fn the_ack_to_a_2xx_made_here() {
    let mut t = Bench::invite();
    let reply = t.local(200);
    t.step(Input::Reply(reply));
    let own = "192.0.2.1:5060;branch=z9hG4bKack";
    assert_eq!(kind(&t.shard, &request("ACK", own, ";tag=proxy", 7)), Some(Kind::AckEndToEnd));
}

#[test]
fn a_cancel_finds_the_request_with_its_branch() {
    let mut shard = Shard::new(0, 1, 1, 100);
    let id = create(&mut shard, &request("INVITE", VIA, "", 7)).expect("room");
    let cancel = request("CANCEL", VIA, "", 7);
    assert_eq!(shard.match_cancel(&cancel), Some(id));
    assert_eq!(shard.match_cancel(&request("CANCEL", "192.0.2.1:5060;branch=z9hG4bKother", "", 7)), None);
    // A CANCEL relayed statefully has a transaction of its own beside the INVITE's.
    let own = create(&mut shard, &cancel).expect("room");
    assert_eq!(shard.match_request(&cancel), Some(Match { id: own, kind: Kind::Retransmission }));
    assert_eq!(shard.match_cancel(&cancel), Some(id));
}

/// §17.2.3, second part: no cookie in the branch.
#[test]
fn rfc_2543_rules() {
    let mut t = Bench::new("INVITE", |new| new.request = request("INVITE", "192.0.2.1:5060", "", 7));
    let via = "192.0.2.1:5060";
    assert_eq!(kind(&t.shard, &request("INVITE", via, "", 7)), Some(Kind::Retransmission));
    assert_eq!(kind(&t.shard, &request("INVITE", "192.0.2.1:5060;branch=1", "", 7)), None, "another Via");
    assert_eq!(kind(&t.shard, &request("INVITE", via, ";tag=x", 7)), None, "another To tag");
    assert_eq!(t.shard.match_cancel(&request("CANCEL", via, "", 7)), Some(t.id));
    let other_uri = parse(
        &String::from_utf8_lossy(request("INVITE", via, "", 7).as_bytes())
            .replace("\r\n", "\n")
            .replace("INVITE sip:bob@", "INVITE sip:carol@"),
    );
    assert_eq!(kind(&t.shard, &other_uri), None, "another Request-URI");
    let reply = t.local(404);
    t.step(Input::Reply(reply));
    assert_eq!(kind(&t.shard, &request("ACK", via, ";tag=proxy", 7)), Some(Kind::AckNon2xx));
    assert_eq!(kind(&t.shard, &request("ACK", via, ";tag=else", 7)), None, "not the To tag of our reply");
}

#[test]
fn a_bare_cookie_is_no_branch() {
    let mut shard = Shard::new(0, 1, 1, 100);
    create(&mut shard, &request("OPTIONS", "192.0.2.1;branch=z9hG4bK", "", 7)).expect("room");
    assert_eq!(kind(&shard, &request("OPTIONS", "192.0.2.1;branch=z9hG4bK", ";tag=1", 7)), None);
    assert_eq!(
        kind(&shard, &request("OPTIONS", "192.0.2.1;branch=z9hG4bK", "", 7)),
        Some(Kind::Retransmission)
    );
}

#[test]
fn unknown_methods_are_told_apart_by_their_tokens() {
    let mut shard = Shard::new(0, 1, 1, 100);
    create(&mut shard, &request("FOO", VIA, "", 7)).expect("room");
    assert_eq!(kind(&shard, &request("FOO", VIA, "", 7)), Some(Kind::Retransmission));
    assert_eq!(kind(&shard, &request("BAR", VIA, "", 7)), None);
}

#[test]
fn two_workers_with_the_same_request_make_one_transaction() {
    let mut shard = Shard::new(0, 1, 1, 100);
    let invite = request("INVITE", VIA, "", 7);
    let id = create(&mut shard, &invite).expect("room");
    assert_eq!(create(&mut shard, &invite), Err(Refused::Duplicate(id)));
    assert_eq!(shard.len(), 1);
}

#[test]
fn a_transaction_is_forgotten_in_every_way() {
    let mut t = Bench::invite();
    t.relay(1);
    t.reply(0, 200);
    assert_eq!(t.shard.lookup_callid(b"call-1", 7), Some(t.id));
    assert_eq!(t.shard.lookup_callid(b"call-1", 8), None);
    t.until(60_000);
    assert_eq!(t.shard.lookup_callid(b"call-1", 7), None);
    assert_eq!(t.shard.match_request(&t.request), None);
    assert!(t.shard.view(t.id).is_none());
    assert!(t.shard.is_empty());
    assert_eq!(t.shard.next_timeout(), None);
}

#[test]
fn ids_name_their_shard_and_selection_spreads_calls() {
    let shards = 8;
    let mut seen = [0; 8];
    for call in 0..800 {
        let call_id = format!("call-{call}@192.0.2.1");
        let number = Shard::select(call_id.as_bytes(), 1, shards);
        assert_eq!(number, Shard::select(call_id.as_bytes(), 1, shards));
        seen[number as usize] += 1;
    }
    assert!(seen.iter().all(|n| (60..140).contains(n)), "{seen:?}");
    let mut shard = Shard::new(5, shards, 99, 10);
    let id = create(&mut shard, &request("INVITE", VIA, "", 7)).expect("room");
    assert_eq!(Shard::of_id(id, shards), 5);
    assert!(shard.view(id).is_some());
    assert!(shard.view(TransactionId { index: id.index, label: id.label ^ 1 }).is_none());
    assert!(shard.view(TransactionId { index: id.index ^ 1, label: id.label }).is_none());
}

#[test]
fn invites_of_one_call_are_found_newest_first_whichever_ends() {
    let mut shard = Shard::new(0, 1, 1, 100);
    let make = |n: u32, shard: &mut Shard| {
        let via = format!("192.0.2.1:5060;branch=z9hG4bKspiral{n}");
        create(shard, &request("INVITE", &via, "", 7)).expect("room")
    };
    let ids: Vec<_> = (0..4).map(|n| make(n, &mut shard)).collect();
    let mut left = ids.clone();
    let mut now = Timestamp(0);
    for gone in [1, 3, 0, 2] {
        assert_eq!(shard.lookup_callid(b"call-1", 7), left.last().copied());
        shard.step(ids[gone], Input::Release, now, &mut Vec::new()).expect("alive");
        now = Timestamp(now.0 + 6_000_000_000);
        shard.expire(now, &mut Vec::new());
        left.retain(|id| *id != ids[gone]);
        assert_eq!(shard.len(), left.len());
    }
    assert_eq!(shard.lookup_callid(b"call-1", 7), None);
}

/// The list behind one Call-ID closes behind each that leaves it.
#[test]
fn each_invite_of_one_call_is_found_by_its_own_from_tag() {
    let mut shard = Shard::new(0, 1, 1, 100);
    let text = |method: &str, n: usize, to: &str| {
        let via = format!("192.0.2.1:5060;branch=z9hG4bK{method}{n}");
        let text = String::from_utf8_lossy(request(method, &via, to, 7).as_bytes()).replace("\r\n", "\n");
        parse(&text.replace("tag=a1", &format!("tag=a{n}")))
    };
    let ids: Vec<_> = (0..5).map(|n| create(&mut shard, &text("INVITE", n, "")).expect("room")).collect();
    // They are answered, and so end 32 s later, in this order.
    for (at, n) in [(0, 2), (5, 1), (10, 4), (15, 0), (20, 3)] {
        let reply = LocalReply { code: 200, bytes: local(&text("INVITE", n, ""), 200) };
        let now = Timestamp::from_millis(at * 1_000);
        shard.step(ids[n], Input::Reply(reply), now, &mut Vec::new()).expect("alive");
    }
    let found = |shard: &Shard| {
        let acks = (0..5).map(|n| shard.match_request(&text("ACK", n, ";tag=proxy")).map(|hit| hit.id));
        acks.enumerate()
            .filter_map(|(n, found)| {
                assert!(found.is_none_or(|id| id == ids[n]));
                found.map(|_| n)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&shard), [0, 1, 2, 3, 4]);
    for (at, left) in [(33, &[0, 1, 3, 4][..]), (38, &[0, 3, 4]), (43, &[0, 3]), (48, &[3]), (53, &[])] {
        shard.expire(Timestamp::from_millis(at * 1_000), &mut Vec::new());
        assert_eq!(found(&shard), left, "after {at} s");
    }
}
