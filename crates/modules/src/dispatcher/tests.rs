//! What scripts and operators get; orders and results were taken from Kamailio 5.6.3 for the same lists and calls.

use std::sync::Arc;

use script::testing::Bench;
use script::{LocalEnd, Module, ParamValue, RouteContext, Services, Setup, Value};
use serde_json::{Value as Json, json};

use super::{Dispatcher, state};

const REQUEST: &str = "INVITE sip:a@h.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@h.com>\n\
    Call-ID: c1\nCSeq: 1 INVITE\nMax-Forwards: 70\n";
const LIST: &str = "\
1 sip:127.0.0.1:26101
1 sip:127.0.0.1:26102 0 0
1 sip:127.0.0.1:26103;transport=udp 0 5 foo=bar;weight=20
1 sip:127.0.0.1:26104 1
2 sip:127.0.0.1:26201 0 10 duid=a;weight=50;rweight=50;maxload=2
2 sip:127.0.0.1:26202 0 5 duid=b;weight=30;rweight=25;maxload=2
2 sip:127.0.0.1:26203 0 1 duid=c;weight=20;rweight=25;maxload=2
3 sip:127.0.0.1:26301 8 0 socket=udp:127.0.0.1:5060;obproxy=sip:127.0.0.1:26399;ping_from=sip:me@here
3 sip:127.0.0.1:26302 4 0
3 sip:127.0.0.1:26303 2 0 attr
4 sip:127.0.0.1:26401 0 7
4 sip:127.0.0.1:26402 0 7
4 sip:127.0.0.1:26403 0 7
5 sip:127.0.0.1:26501 1
6 nonsense
";

/// A list file of this test alone; it goes when the test ends.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("trunkline-dispatcher-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("writes");
        File(path)
    }
}
impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn make(name: &str, text: &str, params: &[(&str, ParamValue)]) -> (Bench, Arc<Dispatcher>, File) {
    let file = File::new(name, text);
    let mut module = Dispatcher::default();
    let list = ParamValue::Str(file.0.display().to_string());
    for (name, value) in
        [("list_file", list), ("flags", ParamValue::Int(2))].into_iter().chain(params.iter().cloned())
    {
        module.set_param(name, value).expect("a parameter");
    }
    let bare = Bench::new(vec![]);
    let setup =
        Setup { config: &bare.core.config, listeners: &bare.core.listeners, modules: &[], now: bare.now };
    module.setup(&setup).expect("sets up");
    let module = Arc::new(module);
    (Bench::new(vec![module.clone(), Arc::new(crate::pv::PvModule::default())]), module, file)
}

fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[Value<'_>]) -> i64 {
    bench.call(ctx, &format!("dispatcher.{name}"), args).to_int().expect("a number")
}
/// The port that `$du` names.
fn du(ctx: &RouteContext<'_>) -> String {
    let text = String::from_utf8_lossy(&ctx.target.dst_uri).into_owned();
    text.split(':').nth(2).unwrap_or_default().chars().take(5).collect()
}
fn ru(ctx: &RouteContext<'_>) -> String {
    String::from_utf8_lossy(ctx.request_uri()).into_owned()
}
/// The ports in the list.
fn listed(bench: &Bench, ctx: &RouteContext<'_>) -> Vec<String> {
    let uri = |n: usize| bench.pv(ctx, &format!("$xavp(_dsdst_[{n}]=>uri)"));
    (0..)
        .map_while(|n| match uri(n) {
            Value::Str(s) => Some(
                String::from_utf8_lossy(&s).split(':').nth(2).unwrap_or_default().chars().take(5).collect(),
            ),
            _ => None,
        })
        .collect()
}
fn select(bench: &Bench, ctx: &mut RouteContext<'_>, set: i64, alg: i64) -> String {
    ctx.vars = None;
    assert_eq!(call(bench, ctx, "ds_select_dst", &[set.into(), alg.into()]), 1, "set {set} alg {alg}");
    du(ctx)
}

#[test]
fn round_robin_skips_what_is_down_and_keeps_the_rest_for_later() {
    let (bench, _, _file) = make("rr", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    let turns: Vec<String> = (0..6).map(|_| select(&bench, &mut ctx, 1, 4)).collect();
    assert_eq!(turns, ["26103", "26102", "26101", "26103", "26102", "26101"]);
    assert_eq!(listed(&bench, &ctx), ["26101", "26103", "26102"]);
    assert_eq!(bench.pv(&ctx, "$xavp(_dsctx_=>cnt)"), Value::Int(3));
    assert_eq!(bench.pv(&ctx, "$xavp(_dsdst_=>grp)"), Value::Int(1));
    assert_eq!(bench.pv(&ctx, "$xavp(_dsdst_[1]=>attrs)"), Value::from("foo=bar;weight=20"));
    let next = |ctx: &mut RouteContext<'_>| (call(&bench, ctx, "ds_next_dst", &[]), du(ctx));
    assert_eq!(next(&mut ctx), (1, "26103".into()));
    assert_eq!(next(&mut ctx), (1, "26102".into()));
    assert_eq!(next(&mut ctx).0, -1);
    assert_eq!([77, 5].map(|set| call(&bench, &mut ctx, "ds_select_dst", &[set.into(), 4.into()])), [-1, -1]);
}

#[test]
fn into_the_list_only_and_from_it_into_the_request() {
    let (bench, _, _file) = make("list", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    assert_eq!(call(&bench, &mut ctx, "ds_set_dst", &[]), -1);
    assert_eq!(call(&bench, &mut ctx, "ds_select", &[1.into(), 4.into()]), 1);
    assert!(ctx.target.dst_uri.is_empty());
    assert_eq!((call(&bench, &mut ctx, "ds_set_dst", &[]), du(&ctx)), (1, "26103".into()));
    ctx.target.dst_uri.clear();
    assert_eq!(
        (call(&bench, &mut ctx, "ds_next_domain", &[]), ru(&ctx)),
        (1, "sip:a@127.0.0.1:26102".into())
    );
    assert!(ctx.target.dst_uri.is_empty());
    ctx.vars = None;
    assert_eq!(call(&bench, &mut ctx, "ds_select_domain_limit", &[1.into(), 8.into(), 2.into()]), 1);
    assert_eq!(ru(&ctx), "sip:a@127.0.0.1:26103;transport=udp");
    assert_eq!(listed(&bench, &ctx), ["26103", "26102"]);
    assert_eq!((call(&bench, &mut ctx, "ds_set_domain", &[]), listed(&bench, &ctx).len()), (1, 2));
}

#[test]
fn several_sets_in_one_selection() {
    let (bench, _, _file) = make("routes", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    let routes = |ctx: &mut RouteContext<'_>, rules: &str, mode: &str| {
        ctx.vars = None;
        let result = call(&bench, ctx, "ds_select_routes", &[rules.into(), mode.into()]);
        (result, listed(&bench, ctx))
    };
    let all = ["26201", "26202", "26203", "26403", "26402", "26401"].map(String::from).to_vec();
    assert_eq!(routes(&mut ctx, "2=8;4=4", "0"), (1, all.clone()));
    assert_eq!(du(&ctx), "26201");
    assert_eq!(routes(&mut ctx, "77=4;2=8", "x"), (1, all[..3].to_vec()));
    assert_eq!(routes(&mut ctx, "2=8;4=8", "ruri").0, 1);
    assert_eq!(ru(&ctx), "sip:a@127.0.0.1:26201");
    for (rules, mode) in [("77=4", "x"), ("bad", "x"), ("", "x"), ("2=x", "x"), ("2=8", "q")] {
        assert_eq!(routes(&mut ctx, rules, mode).0, -1, "{rules}");
    }
    ctx.vars = None;
    assert_eq!(
        call(&bench, &mut ctx, "ds_select_routes_limit", &["2=8;4=8".into(), "x".into(), 4.into()]),
        1
    );
    assert_eq!(listed(&bench, &ctx), ["26201", "26202", "26203", "26403"]);
}

#[test]
fn the_default_comes_last_and_du_may_be_protected() {
    let default = [("use_default", ParamValue::Int(1)), ("force_dst", ParamValue::Int(0))];
    let (bench, _, _file) = make("default", LIST, &default);
    let mut ctx = bench.request(REQUEST);
    let orders: Vec<Vec<String>> = (0..3)
        .map(|_| {
            ctx.target.dst_uri.clear();
            select(&bench, &mut ctx, 2, 4);
            listed(&bench, &ctx)
        })
        .collect();
    assert_eq!(
        orders,
        [["26201", "26202", "26203"], ["26202", "26201", "26203"], ["26201", "26202", "26203"]]
    );
    assert_eq!(call(&bench, &mut ctx, "ds_select_dst", &[2.into(), 4.into()]), -1, "$du is set");
    let (bench, _, _file) = make("without", LIST, &[("flags", ParamValue::Int(0))]);
    let mut ctx = bench.request(REQUEST);
    assert_eq!((select(&bench, &mut ctx, 2, 8).as_str(), listed(&bench, &ctx).len()), ("26201", 0));
    assert_eq!(
        (call(&bench, &mut ctx, "ds_mark_dst", &[]), call(&bench, &mut ctx, "ds_next_dst", &[])),
        (-1, -1)
    );
}

#[test]
fn weights_are_kept_over_a_hundred_calls() {
    let (bench, module, _file) = make("weights", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    let mut spread = |alg: i64| {
        let mut counts = [0; 3];
        for _ in 0..100 {
            let port = select(&bench, &mut ctx, 2, alg);
            let place = ["26201", "26202", "26203"].iter().position(|p| **p == port);
            counts[place.expect("one of them")] += 1;
        }
        counts
    };
    assert_eq!((spread(9), spread(11)), ([50, 30, 20], [50, 25, 25]));
    module
        .sets()
        .set(2)
        .and_then(|s| s.find("sip:127.0.0.1:26201"))
        .expect("there")
        .set_state(state::INACTIVE, 1);
    assert_eq!((spread(9), spread(11)), ([0, 80, 20], [0, 50, 50]));
}

#[test]
fn hashes_stick_and_spread() {
    let (bench, _, _file) = make("hash", LIST, &[("hash_pvar", ParamValue::Str("$rU".into()))]);
    let request = |n: usize, who: &str| {
        REQUEST.replace("c1", &format!("call-{n}")).replace("a@h.com", &format!("{who}@h.com"))
    };
    let first = |alg: i64, n: usize, who: &str| select(&bench, &mut bench.request(&request(n, who)), 2, alg);
    for alg in [0, 2, 3, 7] {
        let ports: Vec<String> = (0..60).map(|n| first(alg, n, &format!("u{n}"))).collect();
        assert_eq!(ports, (0..60).map(|n| first(alg, n, &format!("u{n}"))).collect::<Vec<_>>(), "{alg}");
        for port in ["26201", "26202", "26203"] {
            assert!(ports.iter().filter(|p| *p == port).count() >= 8, "{alg} {ports:?}");
        }
    }
    assert!((0..20).all(|n| first(3, n, "same") == first(3, 0, "same")));
    let credentials = REQUEST.to_owned() + "Proxy-Authorization: Digest username=\"bob\", realm=\"x\"\n";
    let by_user = || select(&bench, &mut bench.request(&credentials), 2, 5);
    assert!((0..5).all(|_| by_user() == by_user()));
    let without: Vec<String> = (0..3).map(|n| first(5, n, "x")).collect();
    assert_ne!(without[0], without[1], "round robin without credentials");
}

#[test]
fn all_at_once() {
    let (bench, _, _file) = make("parallel", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    assert_eq!(select(&bench, &mut ctx, 4, 12), "26403");
    let branches: Vec<(String, String)> = ctx
        .branches
        .iter()
        .map(|b| [&b.uri, &b.dst_uri].map(|t| String::from_utf8_lossy(t).into_owned()).into())
        .collect();
    let branch = |port: &str| ("sip:a@h.com".to_string(), format!("sip:127.0.0.1:{port}"));
    assert_eq!(branches, [branch("26402"), branch("26401")]);
    assert!(listed(&bench, &ctx).is_empty());
    assert_eq!(bench.pv(&ctx, "$xavp(_dsctx_=>cnt)"), Value::Int(0));
}

#[test]
fn fewest_calls_up_to_the_limit() {
    let (bench, module, _file) = make("load", LIST, &[("ds_hash_size", ParamValue::Int(8))]);
    let invite = |n: usize| REQUEST.replace("c1", &format!("call-{n}"));
    let chosen: Vec<String> = (0..6).map(|n| select(&bench, &mut bench.request(&invite(n)), 2, 10)).collect();
    assert_eq!(chosen, ["26201", "26202", "26203", "26201", "26202", "26203"]);
    let mut ctx = bench.request(&invite(6));
    assert_eq!(call(&bench, &mut ctx, "ds_select_dst", &[2.into(), 10.into()]), -1, "all are full");
    let in_call = |n: usize, method: &str| invite(n).replace("INVITE", method);
    let update = |text: &str| call(&bench, &mut bench.request(text), "ds_load_update", &[]);
    assert_eq!(
        [update(&in_call(1, "BYE")), update(&in_call(1, "BYE")), update(&in_call(2, "OPTIONS"))],
        [0, 0, 0]
    );
    let loads = || module.sets().set(2).expect("there").list.iter().map(|d| d.load()).collect::<Vec<_>>();
    assert_eq!(loads(), [2, 1, 2]);
    let mut ctx = bench.request(&invite(7));
    assert_eq!(select(&bench, &mut ctx, 2, 10), "26202");
    assert_eq!(bench.pv(&ctx, "$xavp(_dsdst_=>dstid)"), Value::from("b"));
    assert_eq!(call(&bench, &mut ctx, "ds_load_unset", &[]), 1);
    assert_eq!(call(&bench, &mut bench.request(&invite(9)), "ds_load_unset", &[]), 0);
    let ok = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nCall-ID: call-0\nCSeq: 1 INVITE\n";
    assert_eq!(call(&bench, &mut bench.reply(ok), "ds_load_update", &[]), 0);
}

/// How often each port was the first.
fn firsts(bench: &Bench, ctx: &mut RouteContext<'_>, count: usize, ports: [&str; 3]) -> [usize; 3] {
    let mut counts = [0; 3];
    for _ in 0..count {
        let port = select(bench, ctx, 2, 64);
        counts[ports.iter().position(|p| *p == port).expect("one of them")] += 1;
    }
    counts
}

#[test]
fn the_overloaded_are_skipped_as_often_as_they_asked_for() {
    let ports = ["26201", "26202", "26203"];
    let (mut bench, _, _file) = make("overload", LIST, &[]);
    let mut ctx = bench.request(REQUEST);
    assert_eq!(firsts(&bench, &mut ctx, 99, ports), [33; 3], "by turns");
    let asks = |ctx: &mut RouteContext<'_>, set: i64, port: &str, [rate, millis, number]: [i64; 3]| {
        let uri = format!("sip:127.0.0.1:{port}");
        let args = [set.into(), uri.as_str().into(), rate.into(), millis.into(), number.into()];
        call(&bench, ctx, "ds_oc_set_attrs", &args)
    };
    assert_eq!(asks(&mut ctx, 2, "26201", [100, 2000, 5]), 1);
    assert_eq!(firsts(&bench, &mut ctx, 99, ports)[0], 0);
    assert_eq!(listed(&bench, &ctx).len(), 2, "nor is it tried later");
    // A hundred rounds, in thirty of which it has no turn.
    assert_eq!(asks(&mut ctx, 2, "26201", [30, 2000, 6]), 1);
    assert_eq!(firsts(&bench, &mut ctx, 270, ports), [70, 100, 100]);
    assert_eq!(
        [[101, 1, 9], [-1, 1, 9], [50, 1, 6], [50, 1, 2]].map(|attrs| asks(&mut ctx, 2, "26201", attrs)),
        [-1, -1, -2, -2]
    );
    assert_eq!((asks(&mut ctx, 77, "26201", [1, 1, 9]), asks(&mut ctx, 2, "1", [1, 1, 9])), (-2, -2));
    assert_eq!(["26201", "26202", "26203"].map(|p| asks(&mut ctx, 2, p, [100, 2000, 7])), [1; 3]);
    assert_eq!(call(&bench, &mut ctx, "ds_select_dst", &[2.into(), 64.into()]), -1, "nobody takes any");
    assert_eq!(select(&bench, &mut ctx, 2, 4).len(), 5, "other algorithms do not ask");
    let uri = "sip:127.0.0.1:26202".into();
    assert_eq!(call(&bench, &mut ctx, "ds_dsg_fetch_uri", &[2.into(), uri]), 1);
    let ends = bench.now.unix() + 2;
    let told =
        |key: &str| bench.pv(&ctx, &format!("$dsg({key})")).to_int().and_then(|n| u64::try_from(n).ok());
    assert_eq!(
        ["ocrate", "ocseq", "octime_sec", "count", "pactive", "pinactive"].map(told),
        [100, 7, ends, 3, 100, 0].map(Some)
    );
    bench.now.mono = bench.now.mono + std::time::Duration::from_secs(2);
    let mut ctx = bench.request(REQUEST);
    assert_eq!(firsts(&bench, &mut ctx, 99, ports), [33; 3], "that was it");
}

#[test]
fn the_default_one_takes_what_the_overloaded_do_not() {
    let list = "1 sip:127.0.0.1:26101 0 9 ocmin=40;ocrate=20\n1 sip:127.0.0.1:26102\n";
    let (bench, module, _file) = make("overload-default", list, &[("use_default", ParamValue::Int(1))]);
    let mut ctx = bench.request(REQUEST);
    let attrs = |ctx: &mut RouteContext<'_>, uri: &str, rate: i64| {
        let args = [1.into(), uri.into(), rate.into(), 0.into(), 1.into()];
        call(&bench, ctx, "ds_oc_set_attrs", &args)
    };
    let row = rpc(&bench, "oclist", &[json!("1")]).expect("answers");
    assert_eq!(
        row[0],
        json!({"URI": "sip:127.0.0.1:26101", "PRIORITY": 9, "OCRATE": 20, "OCMIN": 40, "OCTIME_SEC": 0, "OCTIME_USEC": 0, "OCSEQ": 0})
    );
    let first =
        |ctx: &mut RouteContext<'_>| (0..100).filter(|_| select(&bench, ctx, 1, 64) == "26101").count();
    assert_eq!(first(&mut ctx), 100, "an attribute alone makes no overload");
    assert_eq!(attrs(&mut ctx, "sip:127.0.0.1:26101", 5), 1);
    assert_eq!(first(&mut ctx), 60, "ocmin is the least");
    let ends = bench.now.unix_micros + 500_000;
    let row = rpc(&bench, "oclist", &[json!(1)]).expect("answers");
    assert_eq!(
        (&row[0]["OCRATE"], &row[0]["OCSEQ"], &row[1]["OCRATE"], &row[1]["OCMIN"]),
        (&json!(5), &json!(1), &json!(100), &json!(10))
    );
    assert_eq!(
        (row[0]["OCTIME_SEC"].as_u64(), row[0]["OCTIME_USEC"].as_u64()),
        (Some(ends / 1_000_000), Some(ends % 1_000_000))
    );
    assert_eq!(attrs(&mut ctx, "sip:127.0.0.1:26102", 100), 1);
    module.sets().set(1).expect("there").list[0].set_state(state::INACTIVE, 1);
    assert_eq!(call(&bench, &mut ctx, "ds_select_dst", &[1.into(), 64.into()]), -1);
    assert_eq!(rpc(&bench, "oclist", &[json!(77)]), Err("500 Dispatcher group not found".into()));
    assert_eq!(rpc(&bench, "oclist", &[]), Err("500 Invalid Parameters".into()));
}

#[test]
fn states_set_by_scripts() {
    let (bench, module, _file) = make("mark", LIST, &[("ds_probing_threshold", ParamValue::Int(3))]);
    let mut ctx = bench.request(REQUEST);
    select(&bench, &mut ctx, 2, 8);
    let active = |port: &str| {
        call(
            &bench,
            &mut bench.request(REQUEST),
            "ds_is_active_uri",
            &[2.into(), format!("sip:127.0.0.1:{port}").as_str().into()],
        )
    };
    let mut mark = |state: &str| call(&bench, &mut ctx, "ds_mark_dst_state", &[state.into()]);
    assert_eq!((mark("t"), mark("t"), active("26201")), (1, 1, 1));
    assert_eq!((mark("tp"), active("26201")), (1, -1));
    assert_eq!((mark("zz"), mark("a"), active("26201")), (-1, 1, 1));
    assert_eq!((call(&bench, &mut ctx, "ds_mark_dst", &[]), active("26201")), (1, -1));
    assert_eq!(select(&bench, &mut ctx, 2, 8), "26202");
    let mut addr = |state: &str, set: i64, uri: &str| {
        call(&bench, &mut ctx, "ds_mark_addr", &[state.into(), set.into(), uri.into()])
    };
    assert_eq!(addr("ap", 2, "sip:127.0.0.1:26201"), 1);
    assert_eq!(
        [addr("i", 77, "sip:127.0.0.1:26201"), addr("i", 2, "sip:nope"), addr("q", 2, "sip:127.0.0.1:26201")],
        [-1; 3]
    );
    assert_eq!(state::letters(module.sets().set(2).expect("there").list[0].state()), "AP");
    let mut number = |name: &str, args: &[Value<'_>]| call(&bench, &mut ctx, name, args);
    assert_eq!([1, 5, 77].map(|set| number("ds_is_active", &[set.into()])), [1, -1, -1]);
    assert_eq!([1, 77].map(|set| number("ds_list_exists", &[set.into()])), [1, -1]);
    assert_eq!((number("ds_dsg_fetch", &[77.into()]), number("ds_dsg_fetch", &[3.into()])), (-1, 1));
    let group =
        ["count", "active", "inactive", "pending"].map(|k| bench.pv(&ctx, &format!("$dsg({k})")).to_int());
    assert_eq!(group, [3, 2, 1, 1].map(Some));
}

#[test]
fn who_a_request_comes_from() {
    let names = ["setid_pvname", "attrs_pvname"].map(|n| (n, ParamValue::Str(format!("$var({n})"))));
    let (bench, _, _file) = make("from", LIST, &names);
    let mut ctx = bench.request(REQUEST);
    let mut uri = |set: i64, mode: i64, uri: &str| {
        call(&bench, &mut ctx, "ds_is_from_list_uri", &[set.into(), mode.into(), uri.into()])
    };
    assert_eq!(uri(1, 0, "sip:127.0.0.1:26103"), -1, "it names a transport");
    assert_eq!(uri(-1, 0, "sip:127.0.0.1:26202"), 1);
    assert_eq!(
        (uri(1, 0, "sip:127.0.0.1:26103;transport=tcp"), uri(1, 2, "sip:127.0.0.1:26103;transport=tcp")),
        (-1, 1)
    );
    assert_eq!((uri(1, 1, "sip:127.0.0.1:1"), uri(1, 4, "sip:127.0.0.1:26104")), (1, -1));
    assert_eq!((uri(77, 1, "sip:127.0.0.1:26104"), uri(1, 0, "junk")), (-1, -1));
    assert_eq!(uri(-1, 0, "sip:127.0.0.1:26202"), 1);
    assert_eq!(bench.pv(&ctx, "$var(setid_pvname)"), Value::Int(2));
    assert_eq!(bench.pv(&ctx, "$var(attrs_pvname)"), Value::from("duid=b;weight=30;rweight=25;maxload=2"));
    // The request comes from port 5070.
    let mut number = |name: &str, args: &[Value<'_>]| call(&bench, &mut ctx, name, args);
    assert_eq!((number("ds_is_from_lists", &[]), number("ds_is_from_list", &[1.into()])), (-1, -1));
    assert_eq!([1, 3].map(|mode| number("ds_is_from_list_mode", &[1.into(), mode.into()])), [1, 1]);
    assert_eq!([1, 3].map(|mode| number("ds_is_from_list_mode", &[4.into(), mode.into()])), [-1, 1]);
}

/// One round: sends pings at this second and gives them these codes (0: no reply); what was sent.
fn round(bench: &mut Bench, module: &Dispatcher, second: u64, codes: &[(&str, u16)]) -> Vec<String> {
    bench.now.unix_micros += second * 1_000_000;
    bench.now.mono = transaction::Timestamp(bench.now.mono.0 + second * 1_000_000_000);
    let engine = script::engine::NoScript;
    let services = Services {
        core: &bench.core,
        transactions: &bench.transactions,
        engine: &engine,
        worker: &bench.worker,
        outbox: &bench.outbox,
    };
    module.events(&services, bench.now);
    let sent = bench.transactions.calls();
    for line in &sent {
        let mut words = line.split(' ').skip(2);
        let (uri, token) = (words.next().expect("URI"), words.nth(1).expect("token"));
        let code = codes.iter().find(|(port, _)| uri.contains(port)).map_or(200, |(_, code)| *code);
        let reply = (code != 0).then(|| bench.request(REQUEST).message);
        let code = if code == 0 { 408 } else { code };
        module.local_reply(
            &services,
            bench.now,
            LocalEnd { token: token.parse().expect("a number"), code, reply },
        );
    }
    sent.iter()
        .filter_map(|l| l.split(' ').nth(2))
        .map(|uri| uri.rsplit(':').next().unwrap_or(uri).into())
        .collect()
}

fn states(module: &Dispatcher, set: i64) -> Vec<String> {
    module.sets().set(set).expect("there").list.iter().map(|d| state::letters(d.state())).collect()
}

#[test]
fn pings_change_states_in_mode_1() {
    let params = [
        ("ds_ping_interval", 2),
        ("ds_probing_mode", 1),
        ("ds_probing_threshold", 2),
        ("ds_inactive_threshold", 2),
        ("ds_ping_latency_stats", 1),
    ]
    .map(|(n, v)| (n, ParamValue::Int(v)));
    let list = "1 sip:127.0.0.1:26101\n1 sip:127.0.0.1:26102\n1 sip:127.0.0.1:26103 4\n1 sip:127.0.0.1:26104 32\n1 sip:127.0.0.1:26105\n";
    let (mut bench, module, _file) = make("ping1", list, &params);
    assert!(round(&mut bench, &module, 1, &[]).is_empty(), "not yet");
    let down = [("26102", 503), ("26105", 0)];
    assert_eq!(
        round(&mut bench, &module, 1, &down),
        ["26105", "26102", "26101"],
        "not the disabled one, nor who wants none"
    );
    assert_eq!(states(&module, 1), ["TP", "AX", "DX", "TP", "AP"]);
    assert!(round(&mut bench, &module, 1, &down).is_empty());
    round(&mut bench, &module, 1, &down);
    assert_eq!(states(&module, 1), ["IP", "AX", "DX", "IP", "AP"]);
    round(&mut bench, &module, 2, &[("26105", 0)]);
    assert_eq!(states(&module, 1), ["IP", "AX", "DX", "IP", "AP"], "once is not enough");
    round(&mut bench, &module, 2, &[("26105", 0)]);
    assert_eq!(states(&module, 1), ["IP", "AX", "DX", "AP", "AP"]);
    assert_eq!(module.sets().set(1).expect("there").list[0].latency().timeouts, 4);
    module.set_ping_state(0);
    assert!(round(&mut bench, &module, 2, &[]).is_empty());
}

#[test]
fn modes_0_2_and_3_ping_what_is_marked() {
    let list =
        "1 sip:127.0.0.1:26101 8\n1 sip:127.0.0.1:26102 8\n1 sip:127.0.0.1:26103\n1 sip:127.0.0.1:26104 9\n";
    for (mode, first, second, at_last) in [
        (0, vec!["26104", "26102", "26101"], vec![], ["AX", "AX", "IX", "AX"]),
        (2, vec!["26104"], vec![], ["AX", "AX", "AP", "AP"]),
        (3, vec!["26104", "26102", "26101"], vec!["26104", "26102", "26101"], ["AP", "AX", "IP", "AP"]),
    ] {
        let params =
            [("ds_ping_interval", 2), ("ds_probing_mode", mode)].map(|(n, v)| (n, ParamValue::Int(v)));
        let (mut bench, module, _file) = make(&format!("ping{mode}"), list, &params);
        let down = [("26102", 503)];
        assert_eq!(round(&mut bench, &module, 2, &down), first, "{mode}");
        assert_eq!(round(&mut bench, &module, 2, &down), second, "{mode}");
        assert_eq!(states(&module, 1), at_last, "{mode}");
    }
}

fn rpc(bench: &Bench, name: &str, params: &[Json]) -> Result<Json, String> {
    let name = format!("dispatcher.{name}");
    let (module, command) = bench.core.registry.rpc().find(|(_, c)| c.name == name).expect("a command");
    (command.call)(module.as_ref(), &bench.core, bench.now, params)
        .map_err(|e| format!("{} {}", e.code, e.message))
}

#[test]
fn operators_see_and_change_what_kamailio_lets_them() {
    let (mut bench, module, file) = make("rpc", LIST, &[("ds_hash_size", ParamValue::Int(4))]);
    let list = rpc(&bench, "list", &[]).expect("answers");
    assert_eq!(list["NRSETS"], 5);
    let first = &list["RECORDS"][1]["SET"];
    assert_eq!(
        first["TARGETS"][0],
        json!({"DEST": {
            "URI": "sip:127.0.0.1:26201", "FLAGS": "AX", "PRIORITY": 10,
            "ATTRS": {"BODY": "duid=a;weight=50;rweight=50;maxload=2", "DUID": "a", "MAXLOAD": 2, "WEIGHT": 50, "RWEIGHT": 50,
                      "SOCKET": null, "SOCKNAME": null, "OBPROXY": null},
            "RUNTIME": {"DLGLOAD": 0},
        }})
    );
    assert!(rpc(&bench, "list", &[json!("short")]).expect("answers")["RECORDS"][1]["SET"]["TARGETS"][0]["DEST"]["ATTRS"].is_null());
    let full = rpc(&bench, "list", &[json!("full")]).expect("answers");
    let full = &full["RECORDS"][0]["SET"]["TARGETS"][1]["DEST"];
    assert_eq!(
        (&full["HOST"], &full["PORT"], &full["PROTOID"]),
        (&json!("127.0.0.1"), &json!(26104), &json!(0))
    );
    let set =
        |state: &str, id: i64, uri: &str| rpc(&bench, "set_state", &[json!(state), json!(id), json!(uri)]);
    let updated = Ok(json!("Ok. Dispatcher state updated."));
    assert_eq!(set("ip", 1, "sip:127.0.0.1:26101"), updated);
    assert_eq!(states(&module, 1), ["AX", "IX", "AX", "IP"]);
    assert_eq!(set("zz", 1, "sip:127.0.0.1:26101"), Err("500 Unknown State Value".into()));
    assert_eq!(set("i", 77, "sip:127.0.0.1:26101"), Err("500 State Update Failed".into()));
    assert_eq!(
        (set("dp", 1, "all"), states(&module, 1)),
        (updated.clone(), ["DX"; 4].map(String::from).to_vec())
    );
    assert_eq!(rpc(&bench, "set_state", &[json!("a"), json!(1)]), Err("500 Invalid Parameters".into()));
    assert_eq!(rpc(&bench, "set_duid_state", &[json!("ip"), json!(2), json!("b")]), updated);
    assert_eq!(rpc(&bench, "ping_active", &[]), Ok(json!({"OldPingState": 1})));
    assert_eq!(rpc(&bench, "ping_active", &[json!(0)]), Ok(json!({"NewPingState": 0, "OldPingState": 1})));
    assert_eq!(
        rpc(&bench, "add", &[json!(9), json!("sip:127.0.0.1:1"), json!(8), json!(3), json!("duid=q")]),
        Ok(json!("Ok. Dispatcher destination added."))
    );
    assert_eq!(
        (states(&module, 9), states(&module, 2)),
        (vec!["AP".into()], ["AX", "IP", "AX"].map(String::from).to_vec())
    );
    assert_eq!(
        rpc(&bench, "remove", &[json!(9), json!("sip:127.0.0.1:1")]),
        Ok(json!("Ok. Dispatcher destination removed."))
    );
    assert_eq!(
        rpc(&bench, "remove", &[json!(9), json!("sip:127.0.0.1:1")]),
        Err("500 Removing dispatcher dst failed".into())
    );
    let hash = rpc(&bench, "hash", &[json!(4), json!("bob"), json!("server.com")]).expect("answers");
    assert_eq!(hash["slot"].as_u64(), hash["hashid"].as_u64().map(|h| h % 4));
    // States begin anew with what the list says.
    std::fs::write(&file.0, "2 sip:127.0.0.1:26202\n2 sip:127.0.0.1:26209\n").expect("writes");
    assert_eq!(rpc(&bench, "reload", &[]), Ok(json!("Ok. Dispatcher successfully reloaded.")));
    assert_eq!((states(&module, 2), module.sets().set(1).is_none()), (vec!["AX".into(), "AX".into()], true));
    assert_eq!(rpc(&bench, "reload", &[]), Err("500 Ongoing reload".into()));
    bench.now.unix_micros += 5_000_000;
    std::fs::write(&file.0, "x y z").expect("writes");
    assert_eq!(rpc(&bench, "reload", &[]), Err("500 Reload Failed".into()));
    assert_eq!(states(&module, 2).len(), 2, "the old list is used on");
}

#[test]
fn destinations_from_a_database_that_comes_up_late() {
    let memory = Arc::new(store::Memory::new());
    let db: Arc<dyn store::Database> = memory.clone();
    store::substitute("memory://dispatcher", &db);
    let params = [
        ("db_url", ParamValue::Str("memory://dispatcher".into())),
        ("ds_db_extra_attrs", ParamValue::Str("socket=sock;pref=prefix".into())),
    ];
    let (mut bench, module, _file) = make("db", "", &params);
    module.tick(&bench.core, bench.now);
    assert_eq!(module.sets().all().count(), 0);
    let columns = ["setid", "destination", "flags", "priority", "attrs", "description", "sock", "prefix"];
    memory.create("dispatcher", &columns, &[]);
    let row = |uri: &str, priority: i64, attrs: &str| {
        let (text, int) = (store::Value::text, store::Value::Int);
        let row = [int(1), text(uri), int(0), int(priority), text(attrs), text("x"), text(""), text("49")];
        db.insert("dispatcher", &columns, &row).expect("inserts");
    };
    row("sip:127.0.0.1:1", 0, "duid=a");
    row("sip:127.0.0.1:2'; DROP TABLE dispatcher; --", 0, "");
    row("sip:127.0.0.1:3", 5, "");
    bench.now.unix_micros += 2_000_000;
    module.tick(&bench.core, bench.now);
    let set = module.sets().set(1).expect("there").clone();
    let bodies: Vec<&str> = set.list.iter().map(|d| d.attributes.body.as_str()).collect();
    assert_eq!(bodies, ["pref=49", "duid=a;pref=49"]);
}
