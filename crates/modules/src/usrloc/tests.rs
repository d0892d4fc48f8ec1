//! Tables as a whole: order, matching, expiry, counters, memory and cost.

use std::sync::Arc;

use allocation_counter::measure;
use script::testing::Bench;
use script::{Core, CoreConfig, Module, ParamValue, Setup, Statistics};
use serde_json::{Value as Json, json};

use super::contact::Q_UNSET;
use super::*;

fn domain(rules: Rules) -> Domain {
    Domain::new(b"location", Rules { shard_bits: 4, cseq_delay: 20, ..rules }, &Statistics::default())
}

fn info<'a>(uri: &'a str, expires: u32) -> ContactInfo<'a> {
    ContactInfo { uri: uri.as_bytes(), call_id: b"c", cseq: 1, q: Q_UNSET, expires, ..ContactInfo::default() }
}

fn save(domain: &Domain, aor: &str, info: &ContactInfo<'_>) {
    domain
        .change(aor.as_bytes(), |e| match e.position(info) {
            Some(at) => e.update(at, info),
            None => e.insert(info),
        })
        .expect("fits");
}

fn uris(domain: &Domain, aor: &str) -> Vec<String> {
    domain.read(aor.as_bytes(), |r| {
        r.map_or(Vec::new(), |r| {
            r.contacts().iter().map(|c| String::from_utf8_lossy(c.uri()).into_owned()).collect()
        })
    })
}

#[test]
fn order_by_q_keeps_equals_in_place() {
    let d = domain(Rules::default());
    for (uri, q) in [("a", 500), ("b", 500), ("c", Q_UNSET), ("d", 700)] {
        save(&d, "u", &ContactInfo { q, ..info(uri, 9) });
    }
    assert_eq!(uris(&d, "u"), ["d", "a", "b", "c"]);
    save(&d, "u", &ContactInfo { q: 500, ..info("a", 9) });
    assert_eq!(uris(&d, "u"), ["d", "a", "b", "c"], "same q, same place");
    save(&d, "u", &ContactInfo { q: 1000, ..info("c", 9) });
    assert_eq!(uris(&d, "u"), ["c", "d", "a", "b"]);
}

#[test]
fn desc_time_order_puts_the_last_first() {
    let d = domain(Rules { order: Order::LastFirst, ..Rules::default() });
    for uri in ["a", "b", "c", "a"] {
        save(&d, "u", &info(uri, 9));
    }
    assert_eq!(uris(&d, "u"), ["a", "c", "b"]);
}

#[test]
fn matching_modes() {
    let save_two = |matching, second: ContactInfo<'_>| {
        let d = domain(Rules { matching, ..Rules::default() });
        save(&d, "u", &info("a", 9));
        save(&d, "u", &second);
        d.contacts()
    };
    use Matching::*;
    for (matching, same_uri, other_call, other_path, other_uri) in
        [(Contact, 1, 1, 1, 2), (ContactCallId, 1, 2, 1, 2), (ContactPath, 1, 1, 2, 2), (CallId, 1, 2, 1, 1)]
    {
        assert_eq!(save_two(matching, info("a", 9)), same_uri, "{matching:?}");
        assert_eq!(
            save_two(matching, ContactInfo { call_id: b"d", ..info("a", 9) }),
            other_call,
            "{matching:?}"
        );
        assert_eq!(
            save_two(matching, ContactInfo { path: b"<sip:p>", ..info("a", 9) }),
            other_path,
            "{matching:?}"
        );
        assert_eq!(save_two(matching, info("b", 9)), other_uri, "{matching:?}");
    }
}

#[test]
fn instances_match_with_reg_id_only() {
    let d = domain(Rules::default());
    let with = |uri, instance, reg_id| ContactInfo { instance, reg_id, ..info(uri, 9) };
    save(&d, "u", &with("a", b"<i>", 1));
    save(&d, "u", &with("b", b"<i>", 1));
    assert_eq!(uris(&d, "u"), ["b"], "same flow, new address");
    save(&d, "u", &with("b", b"<i>", 2));
    assert_eq!(uris(&d, "u"), ["b", "b"], "another flow");
    save(&d, "u", &with("b", b"<j>", 1));
    assert_eq!(d.contacts(), 3, "another device");
    save(&d, "u", &info("b", 9));
    assert_eq!(d.contacts(), 3, "without instance the address counts");
}

#[test]
fn sequence_by_call_id_and_cseq() {
    let d = domain(Rules::default());
    save(&d, "u", &ContactInfo { cseq: 5, modified: 100, ..info("a", 900) });
    let check = |call_id: &[u8], cseq, now| {
        d.read(b"u", |r| Record::sequence(&r.expect("record").contacts()[0], call_id, cseq, now, 20))
    };
    assert_eq!(check(b"c", 6, 101), Sequence::Newer);
    assert_eq!(check(b"other", 1, 101), Sequence::Newer);
    assert_eq!(check(b"c", 5, 119), Sequence::Repeated);
    assert_eq!(check(b"c", 5, 120), Sequence::Older);
    assert_eq!(check(b"c", 4, 101), Sequence::Older);
}

fn expire_all(d: &Domain, now: u32) -> (Vec<String>, usize) {
    let mut ended = Vec::new();
    let looked = (0..d.shards())
        .map(|s| {
            d.expire(s, now, usize::MAX, &mut |aor, c| {
                ended.push(format!("{} {}", String::from_utf8_lossy(aor), String::from_utf8_lossy(c.uri())));
            })
        })
        .sum();
    ended.sort();
    (ended, looked)
}

#[test]
fn contacts_end_in_time_and_only_they_are_looked_at() {
    let d = domain(Rules::default());
    for i in 0..1000u32 {
        save(&d, &format!("u{i}"), &info("a", 1000 + i));
    }
    save(&d, "u0", &info("b", 5000));
    save(&d, "forever", &info("a", contact::PERMANENT));
    assert_eq!(expire_all(&d, 999), (vec![], 0), "nothing is due, nothing is looked at");
    assert_eq!(expire_all(&d, 1001), (vec!["u0 a".into(), "u1 a".into()], 2));
    assert_eq!((d.users(), d.contacts()), (1000, 1000));
    assert_eq!(uris(&d, "u0"), ["b"]);
    // A refresh that lasts longer costs one look when the old time comes; a shorter one is found at its new time.
    save(&d, "u2", &info("a", 9000));
    save(&d, "u999", &info("a", 1003));
    assert_eq!(expire_all(&d, 1002), (vec![], 1));
    assert_eq!(expire_all(&d, 1003), (vec!["u3 a".into(), "u999 a".into()], 2));
    let (ended, _) = expire_all(&d, u32::MAX - 1);
    assert_eq!((ended.len(), d.users(), d.contacts()), (997, 1, 1));
    assert_eq!(uris(&d, "forever"), ["a"]);
}

#[test]
fn a_budget_bounds_the_work_of_a_call() {
    let d = domain(Rules { ..Rules::default() });
    for i in 0..500u32 {
        save(&d, &format!("u{i}"), &info("a", 10));
    }
    let first = d.expire(0, 20, 3, &mut |_, _| ());
    assert_eq!((first, d.contacts()), (3, 497));
}

#[test]
fn leaving_a_record_empty_removes_it() {
    let d = domain(Rules::default());
    for i in 0..100 {
        save(&d, &format!("u{i}"), &info("a", 100 + i));
    }
    for i in (0..100).step_by(3) {
        d.change(format!("u{i}").as_bytes(), |e| e.record().clear());
    }
    d.change(b"nobody", |e| assert!(e.contacts().is_empty()));
    assert_eq!((d.users(), d.contacts()), (66, 66));
    let (ended, looked) = expire_all(&d, 1000);
    assert_eq!((ended.len(), looked, d.users()), (66, 66, 0));
}

/// What the benchmark's phones send: no path, no instance; received as nathelper sets it.
fn typical<'a>(uri: &'a str, call_id: &'a str, received: &'a str) -> ContactInfo<'a> {
    ContactInfo {
        uri: uri.as_bytes(),
        call_id: call_id.as_bytes(),
        received: received.as_bytes(),
        user_agent: b"Phone 1.0",
        expires: 5000,
        cseq: 1,
        q: Q_UNSET,
        ..ContactInfo::default()
    }
}

fn fill(d: &Domain, n: usize) {
    for i in 0..n {
        let uri = format!("sip:u{i}@127.0.0.1:5070");
        let call_id = format!("reg-{i}-48f1c0ab@127.0.0.1");
        let received = format!("sip:127.0.0.1:{}", 1024 + i % 60_000);
        save(d, &format!("u{i}@bench.test"), &typical(&uri, &call_id, &received));
    }
}

/// Counts bytes asked for, not what the system rounds them to: the same on every machine.
#[test]
fn bytes_per_contact() {
    const N: usize = 100_000;
    let mut made = None;
    let rules = Rules { shard_bits: 6, ..Rules::default() };
    let empty =
        measure(|| made = Some(Domain::new(b"location", rules, &Statistics::default()))).bytes_current;
    let d = made.expect("made");
    let full = measure(|| fill(&d, N));
    assert_eq!(d.contacts(), N as i64);
    let each = full.bytes_current / N as i64;
    println!("{each} bytes per contact, {empty} bytes for an empty table");
    assert!(each <= 330, "{each} bytes per contact");
    assert!(empty <= 200_000, "{empty} bytes for an empty table");
    assert_eq!(measure(|| fill(&d, N)).bytes_current, 0, "a refresh of the same size keeps nothing");
    let ended = measure(|| {
        for shard in 0..d.shards() {
            d.expire(shard, u32::MAX - 1, usize::MAX, &mut |_, _| ());
        }
    });
    assert_eq!(d.contacts(), 0);
    assert!(-ended.bytes_current > full.bytes_current * 4 / 5, "ended contacts give their memory back");
}

#[test]
fn a_refresh_allocates_nothing() {
    let d = domain(Rules::default());
    fill(&d, 1);
    let contact = typical("sip:u0@127.0.0.1:5070", "reg-0-48f1c0ab@127.0.0.1", "sip:127.0.0.1:1024");
    let refresh = measure(|| {
        d.change(b"u0@bench.test", |e| e.update(0, &contact)).expect("fits");
    });
    assert_eq!(refresh.count_total, 0);
}

/// Cost that could grow with the number of contacts: how many records a bucket search compares, and how deep the heap moves.
#[test]
fn shards_stay_even() {
    let d = Domain::new(
        b"location",
        Rules { shard_bits: 10, seed: 42, ..Rules::default() },
        &Statistics::default(),
    );
    for i in 0..50_000 {
        save(&d, &format!("u{i}@bench.test"), &info("a", 5000));
    }
    assert!(d.longest_shard() < 90, "{}", d.longest_shard());
}

#[test]
fn workers_share_a_table() {
    let d = domain(Rules::default());
    std::thread::scope(|scope| {
        for worker in 0..4u32 {
            let d = &d;
            scope.spawn(move || {
                for i in 0..3000u32 {
                    let aor = format!("u{}", (i * 7 + worker) % 300);
                    match i % 5 {
                        0 => d.change(aor.as_bytes(), |e| e.record().clear()),
                        1 => {
                            d.expire((i % 16) as usize, i, 10, &mut |_, _| ());
                        }
                        _ => save(d, &aor, &info(["a", "b", "c"][(i % 3) as usize], 1 + i % 4000)),
                    }
                }
            });
        }
    });
    let (mut users, mut contacts) = (0, 0);
    d.for_each(|r| {
        assert!(!r.contacts().is_empty());
        (users, contacts) = (users + 1, contacts + r.contacts().len() as i64);
    });
    assert_eq!((d.users(), d.contacts()), (users, contacts));
    let (ended, looked) = expire_all(&d, u32::MAX - 1);
    assert_eq!((ended.len() as i64, looked as i64, d.users()), (contacts, users, 0));
}

fn module(params: &[(&str, ParamValue)]) -> Result<Usrloc, script::SetupError> {
    let mut usrloc = Usrloc::default();
    for (name, value) in params {
        usrloc.set_param(name, value.clone())?;
    }
    let config = CoreConfig { pid: 0x1a2b, started: 0x6b02c74d, ..CoreConfig::default() };
    usrloc.setup(&Setup { config: &config, listeners: &[], modules: &[], now: Now::default() })?;
    Ok(usrloc)
}

#[test]
fn parameters() {
    let int = |name, n| module(&[(name, ParamValue::Int(n))]);
    assert!(int("db_mode", 4).is_err_and(|e| e.0.contains("db_mode 4")));
    let url = module(&[("db_mode", ParamValue::Int(1)), ("db_url", ParamValue::Str("nonsense".into()))]);
    assert!(url.is_err_and(|e| e.0.contains("db_url")));
    assert!(int("matching_mode", 4).is_err());
    assert!(int("no_such", 4).is_err());
    assert_eq!(int("matching_mode", 2).expect("valid").domains().rules().matching, Matching::ContactPath);
    assert_eq!(int("nat_bflag", 3).expect("valid").domains().nat_flag(), 8);
    assert_eq!(int("nat_bflag", 40).expect("valid").domains().nat_flag(), 0);
    assert_eq!(int("hash_size", 30).expect("valid").domains().rules().shard_bits, 12);
    assert_eq!(Settings::PARAMS.len(), 62);
}

#[test]
fn tables_are_made_on_first_use_within_a_bound() {
    let domains = Domains::new(Rules::default());
    let stats = Statistics::default();
    assert!(domains.find(b"location").is_none());
    let location = domains.open(b"location", &stats, Now::default()).expect("made");
    assert!(Arc::ptr_eq(&location, &domains.open(b"location", &stats, Now::default()).expect("found")));
    assert!(domains.open(b"", &stats, Now::default()).is_none());
    for i in 0..2 * Domains::LIMIT {
        domains.open(i.to_string().as_bytes(), &stats, Now::default());
    }
    assert_eq!(domains.all().len(), Domains::LIMIT + 1);
    assert!(domains.find(b"7").is_some());
}

fn call(core: &Core, now: Now, name: &str, params: Json) -> Result<Json, String> {
    let (module, row) = core.registry.rpc().find(|(_, r)| r.name == name).expect("command");
    let params = params.as_array().cloned().unwrap_or_default();
    (row.call)(module.as_ref(), core, now, &params).map_err(|e| format!("{} {}", e.code, e.message))
}

#[test]
fn rpc() {
    let preload = [("preload", ParamValue::Str("location".into())), ("timer_interval", ParamValue::Int(1))];
    let bench = Bench::new(vec![Arc::new(module(&preload).expect("valid"))]);
    let (core, now) = (&bench.core, bench.now);
    let rpc = |name, params| call(core, now, name, params);
    let usrloc = core.registry.module::<Usrloc>().expect("loaded");
    assert_eq!(rpc("ul.lookup", json!(["location", "x"])), Err("500 Domain table not found".into()));
    usrloc.tick(core, now);
    assert_eq!(rpc("ul.lookup", json!(["location", "x"])), Err("500 AOR not found in location table".into()));
    assert_eq!(
        rpc("ul.lookup", json!(["location"])),
        Err("500 Not enough parameters (table and AOR to lookup)".into())
    );
    assert_eq!(
        rpc("ul.add", json!(["location", "x"])),
        Err("500 Not enough parameters or wrong format".into())
    );
    let add = json!([
        "location",
        "Dave@x",
        "sip:d@192.0.2.1",
        100,
        0.5,
        "<sip:p;lr>",
        0,
        1,
        -1,
        "sip:9.9.9.9:1",
        "udp:127.0.0.1:5060"
    ]);
    assert_eq!(rpc("ul.add", add), Ok(json!({})));
    assert_eq!(
        rpc("ul.add", json!(["location", "eve", "sip:e@192.0.2.1", 0, "1.0", ".", 0, 0, 31])),
        Ok(json!({}))
    );
    let expected = json!({ "AoR": "dave", "Contacts": [{ "Contact": {
        "Address": "sip:d@192.0.2.1", "Expires": 100, "Q": 0.5, "Call-ID": "dfjrewr12386fd6-343@trunkline.rpc", "CSeq": 1,
        "User-Agent": "Trunkline RPC", "Received": "sip:9.9.9.9:1", "Path": "<sip:p;lr>", "State": "CS_NEW", "Flags": 0,
        "CFlags": 1, "Socket": "udp:127.0.0.1:5060", "Methods": 4294967295u32, "Ruid": "ulcx-6b02c74d-1a2b-1",
        "Instance": "[not set]", "Reg-Id": 0, "Server-Id": 0, "Tcpconn-Id": -1, "Keepalive": 0,
        "Last-Keepalive": now.unix(), "KA-Roundtrip": 0, "Last-Modified": now.unix() } }] });
    assert_eq!(rpc("ul.lookup", json!(["location", "DAVE"])), Ok(expected));
    let eve = rpc("ul.lookup", json!(["location", "eve"])).expect("found");
    assert_eq!(eve["Contacts"][0]["Contact"]["Expires"], "permanent");
    assert_eq!(eve["Contacts"][0]["Contact"]["Q"], 1);
    let brief = rpc("ul.dump", json!(["brief"])).expect("dump");
    assert_eq!(brief["Domains"][0]["Domain"]["Stats"]["Records"], 2);
    assert_eq!(brief["Domains"][0]["Domain"]["Size"], 16);
    let full = rpc("ul.dump", json!([])).expect("dump");
    assert!(full["Domains"][0]["Domain"]["AoRs"][0]["Info"]["Contacts"][0]["Contact"]["Address"].is_string());
    assert_eq!(rpc("ul.rm_contact", json!(["location", "zed", "sip:x"])), Err("404 AOR not found".into()));
    assert_eq!(
        rpc("ul.rm_contact", json!(["location", "dave", "sip:x"])),
        Err("404 Contact not found".into())
    );
    assert_eq!(rpc("ul.rm_contact", json!(["location", "dave", "sip:d@192.0.2.1"])), Ok(json!({})));
    assert_eq!(rpc("ul.rm", json!(["location", "eve"])), Ok(json!({})));
    assert_eq!(rpc("ul.rm", json!(["location", "eve"])), Ok(json!({})));
    assert_eq!(rpc("ul.rm", json!(["nowhere", "eve"])), Err("500 Domain table not found".into()));
    assert_eq!(
        rpc("ul.db_users", json!(["location"])),
        Err("500 Command is not supported in db_mode=0".into())
    );
    assert_eq!(core.statistics.value("location_contacts"), Some(0));
}

#[test]
fn the_tick_visits_every_shard_within_the_interval() {
    let bench = Bench::new(vec![Arc::new(module(&[("timer_interval", ParamValue::Int(4))]).expect("valid"))]);
    let usrloc = bench.core.registry.module::<Usrloc>().expect("loaded");
    let domain = usrloc.domains().open(b"location", &bench.core.statistics, Now::default()).expect("made");
    let now = unix(bench.now);
    for i in 0..3000 {
        save(&domain, &format!("u{i}"), &info("a", now));
    }
    for left in [true, true, true, false] {
        usrloc.tick(&bench.core, bench.now);
        assert_eq!(domain.contacts() > 0, left);
    }
    assert_eq!(bench.core.statistics.value("location_expires"), Some(3000));
    assert_eq!(bench.core.statistics.value("registered_users"), Some(0));
}
