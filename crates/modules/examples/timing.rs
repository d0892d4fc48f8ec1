//! How long KSR calls take on our side: `cargo run --release -p trunkline-modules --example timing`.
//!
//! Prints nanoseconds per call, the best of several rounds; nothing here is a pass or a failure.

// A measurement is the one thing here that needs the clock.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use script::Arg;
use script::testing::Bench;
use trunkline_modules as modules;

const INVITE: &str = "INVITE sip:bob@192.0.2.10:5060;transport=udp SIP/2.0\n\
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK-524287-1---7dc6bd8a3aeb2f34;rport\n\
Max-Forwards: 70\n\
Contact: <sip:alice@198.51.100.7:5062;transport=udp>\n\
To: <sip:bob@example.com>\n\
From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\n\
Call-ID: 3848276298220188511@198.51.100.7\n\
CSeq: 1 INVITE\n\
User-Agent: Phone 5.4.3 (release 1234)\n\
X-Account: 4711\n\
Content-Length: 0\n";

fn time(what: &str, mut operation: impl FnMut()) {
    const CALLS: u32 = 100_000;
    let best = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| operation());
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{what:<32}{:>8.1} ns", best.as_nanos() as f64 / f64::from(CALLS));
}

fn main() {
    let names = ["core", "hdr", "x", "pv", "kemix"];
    let bench = Bench::new(names.iter().filter_map(|n| modules::create(n)).map(Arc::from).collect());
    let mut ctx = bench.request(INVITE);
    bench.set_pv(&mut ctx, "$du", "sip:10.0.0.1".into());
    bench.set_pv(&mut ctx, "$avp(a)", "value".into());
    bench.set_pv(&mut ctx, "$var(a)", "value".into());
    for text in [
        "$ru",
        "$rU",
        "$rd",
        "$rp",
        "$rm",
        "$fu",
        "$fU",
        "$fd",
        "$ft",
        "$tu",
        "$tU",
        "$ci",
        "$cs",
        "$si",
        "$sp",
        "$proto",
        "$ua",
        "$du",
        "$rs",
        "$mt",
        "$hdr(From)",
        "$hdr(X-Account)",
        "$hdr(Nope)",
        "$(ru{uri.host})",
        "$(hdr(X-Account){s.len})",
        "$var(a)",
        "$var(b)",
        "$avp(a)",
        "$ou",
        "$ct",
        "$rb",
    ] {
        match bench.core.registry.parse_pv(text.as_bytes()) {
            Ok(pv) => time(text, || drop(black_box(black_box(&pv).get(&ctx)))),
            Err(e) => println!("{e}"),
        }
    }
    for path in ["is_INVITE", "is_myself_ruri", "kx.get_ruri", "kx.get_furi", "force_rport"] {
        let (object, name) = path.rsplit_once('.').unwrap_or(("", path));
        if let Some((module, row)) = bench.core.registry.function(object, name) {
            time(path, || drop(black_box((row.call)(module.as_ref(), &mut ctx, &[]))));
        }
    }
    if let Some((module, row)) = bench.core.registry.function("hdr", "get") {
        time("hdr.get(X-Account)", || {
            drop(black_box((row.call)(module.as_ref(), &mut ctx, &[Arg::Str(b"X-Account")])))
        });
    }
    if let Some((module, row)) = bench.core.registry.function("pv", "get")
        && let Ok(pv) = bench.core.registry.parse_pv(b"$rU")
    {
        time("pv.get($rU)", || drop(black_box((row.call)(module.as_ref(), &mut ctx, &[Arg::Pv(&pv)]))));
    }
}
