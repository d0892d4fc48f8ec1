//! What the observed calls (`tests/observed.rs`) do not show: other transports, branches, what the transaction layer is asked.

use std::sync::Arc;

use message::Transport;
use script::testing::Bench;
use script::{Branch, Inbound, RouteContext, Value};
use transaction::SocketId;

use super::CoreFunctions;
use crate::pv::PvModule;

const INVITE: &str = "INVITE sip:bob@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\n\
    From: <sip:alice@[::1]:5060>;tag=1\nTo: <sip:bob@127.0.0.1:5099>\nCall-ID: c\nCSeq: 1 INVITE\n";

fn bench() -> Bench {
    Bench::new(vec![Arc::new(CoreFunctions::default()), Arc::new(PvModule::default())])
}

fn over(ctx: &mut RouteContext<'_>, transport: Transport, source: &str) {
    ctx.set_inbound(Inbound {
        source: source.parse().expect("an address"),
        local: "127.0.0.1:5060".parse().expect("an address"),
        socket: SocketId(0),
        transport,
    });
}

fn yes(bench: &Bench, ctx: &mut RouteContext<'_>, path: &str, args: &[Value<'_>]) -> bool {
    match bench.call(ctx, path, args) {
        Value::Bool(b) => b,
        Value::Int(i) => i > 0,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn transports_and_families() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    over(&mut ctx, Transport::Tls, "[2001:db8::1]:5061");
    for (path, want) in [
        ("is_UDP", false),
        ("is_TCP", false),
        ("is_TLS", true),
        ("is_TCPX", true),
        ("is_WSX", false),
        ("is_SCTP", false),
        ("is_IPv4", false),
        ("is_IPv6", true),
    ] {
        assert_eq!(yes(&bench, &mut ctx, path, &[]), want, "{path}");
    }
    assert!(
        yes(&bench, &mut ctx, "is_proto", &["uE".into()])
            && !yes(&bench, &mut ctx, "is_proto", &["uts".into()])
    );
    over(&mut ctx, Transport::Wss, "[::ffff:192.0.2.1]:443");
    assert!(yes(&bench, &mut ctx, "is_WSX", &[]) && yes(&bench, &mut ctx, "is_IPv4", &[]));
    assert!(
        yes(&bench, &mut ctx, "is_src_port", &[443.into()])
            && yes(&bench, &mut ctx, "is_dst_port", &[5060.into()])
    );
    bench.set_pv(&mut ctx, "$du", "sip:[2001:db8::2];transport=ws".into());
    for (path, want) in
        [("to_WS", true), ("to_WSX", true), ("to_WSS", false), ("to_IPv6", true), ("to_IPv4", false)]
    {
        assert_eq!(yes(&bench, &mut ctx, path, &[]), want, "{path}");
    }
}

#[test]
fn myself_is_a_socket_of_ours() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    for (path, want) in [
        ("is_myself_ruri", true),
        ("is_myself_furi", true),
        ("is_myself_turi", false),
        ("is_myself_duri", false),
        ("is_myself_nhuri", true),
        ("is_myself_srcip", true),
        ("is_myself_suri", false),
    ] {
        assert_eq!(yes(&bench, &mut ctx, path, &[]), want, "{path}");
    }
    bench.call(&mut ctx, "setdsturi", &["sip:192.0.2.7".into()]);
    assert!(!yes(&bench, &mut ctx, "is_myself_nhuri", &[]));
}

#[test]
fn branch_flags_by_index() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    ctx.branches.push(Branch::default());
    assert!(yes(&bench, &mut ctx, "setbiflag", &[2.into(), 1.into()]));
    assert_eq!((ctx.target.flags, ctx.branches[0].flags), (0, 4));
    assert!(yes(&bench, &mut ctx, "isbiflagset", &[2.into(), 1.into()]));
    assert!(!yes(&bench, &mut ctx, "isbiflagset", &[2.into(), 0.into()]));
    assert!(yes(&bench, &mut ctx, "resetbiflag", &[2.into(), 1.into()]));
    assert!(!yes(&bench, &mut ctx, "isbiflagset", &[2.into(), 1.into()]));
    assert!(!yes(&bench, &mut ctx, "setbiflag", &[32.into(), 0.into()]));
}

#[test]
fn forwarding_is_the_transaction_layers() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    bench.call(&mut ctx, "forward", &[]);
    bench.call(&mut ctx, "forward_uri", &["sip:192.0.2.9".into()]);
    assert_eq!(
        bench.transactions.calls(),
        ["forward_stateless uris", "forward_stateless proxy sip:192.0.2.9"]
    );
}

#[test]
fn marks_for_what_follows() {
    let bench = bench();
    let mut ctx = bench.request(INVITE);
    for path in ["force_rport", "add_local_rport", "set_reply_close", "set_forward_no_connect"] {
        assert!(yes(&bench, &mut ctx, path, &[]), "{path}");
    }
    assert!(
        ctx.force_rport && ctx.local_rport && ctx.send_flags.reply_close && ctx.send_flags.forward_no_connect
    );
    assert!(!ctx.send_flags.reply_no_connect && !ctx.send_flags.forward_close && !ctx.dropped);
    bench.call(&mut ctx, "set_drop", &[]);
    assert!(ctx.dropped);
    assert!(yes(&bench, &mut ctx, "set_advertised_address", &["a.example".into()]));
    assert!(yes(&bench, &mut ctx, "set_advertised_port", &["5062".into()]));
    assert_eq!(ctx.advertise, (Some("a.example".into()), Some(5062)));
    assert!(!yes(&bench, &mut ctx, "route", &["nothing".into()]), "no engine, no callback");
    assert_eq!(bench.call(&mut ctx, "log", &["info".into(), "line\n".into()]), Value::Int(0));
}
