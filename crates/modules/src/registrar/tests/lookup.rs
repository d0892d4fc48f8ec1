//! `lookup()` and the other functions.

use super::*;

#[test]
fn lookup_makes_the_destination_set() {
    let office = Office::new(&[]);
    let mut ctx = office.context(
        "<sip:alice@b>",
        "c",
        1,
        &["Contact: <sip:a@h>;q=0.3, <sip:b@h>;q=0.9, <sip:c@h>;q=0.5", "User-Agent: UA/1"],
    );
    ctx.target.flags = 4;
    office.save(&mut ctx, 0);
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.lookup(&mut ctx), 1);
    assert_eq!(destinations(&ctx), ["sip:b@h", "sip:c@h", "sip:a@h"]);
    assert_eq!(ctx.branches.iter().map(|b| b.q).collect::<Vec<_>>(), [500, 300]);
    let target = &ctx.target;
    assert_eq!((target.q, target.flags, target.socket), (900, 4, Some(SocketId(0))));
    assert_eq!(
        (text(&target.ruid), text(&target.location_ua)),
        ("uloc-6b02c74d-1a2b-2".into(), "UA/1".into())
    );

    for (uri, result) in [("sip:nobody@h", -1), ("sip:h", -1), ("tel:+123", -1), ("urn:x", -3)] {
        let mut ctx = office.invite(uri);
        assert_eq!(office.lookup(&mut ctx), result, "{uri}");
        assert_eq!(destinations(&ctx), [uri]);
    }
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.call(&mut ctx, "lookup", &[Value::str(b"nowhere")]), -1);
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"")]), -3);
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"garbage")]), -3);
    assert_eq!(office.call(&mut ctx, "lookup_to_dset", &[LOCATION, Value::str(b"sip:alice@h")]), 1);
    assert_eq!(destinations(&ctx), ["sip:alice@h", "sip:b@h", "sip:c@h", "sip:a@h"]);
    let mut ctx = office.invite("sip:nobody@h");
    assert_eq!(office.call(&mut ctx, "lookup_uri", &[LOCATION, Value::str(b"sip:alice@h")]), 1);
    assert_eq!(destinations(&ctx)[0], "sip:b@h");

    let first_only = Office::new(&[("r", "append_branches", int(0))]);
    first_only.alice(1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    assert_eq!(first_only.targets("sip:alice@h"), ["sip:b@h"]);
}

#[test]
fn branches_are_bounded() {
    let office = Office::new(&[]);
    let many: Vec<String> = (0..30).map(|i| format!("<sip:u{i}@h>")).collect();
    office.alice(1, &[&format!("Contact: {}", many.join(","))]);
    assert_eq!(office.targets("sip:alice@h").len(), 1 + office.bench.core.config.max_branches);
}

#[test]
fn lookup_branches_replaces_plain_branches() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    office.register("<sip:bob@b>", "d", 1, &["Contact: <sip:b@h>"]);
    let mut ctx = office.invite("sip:alice@h");
    let branch =
        |uri: &str, dst: &str| script::Branch { uri: uri.into(), dst_uri: dst.into(), ..Default::default() };
    ctx.branches = vec![branch("sip:bob@h", ""), branch("sip:bob@h", "sip:proxy"), branch("sip:zed@h", "")];
    assert_eq!(office.call(&mut ctx, "lookup_branches", &[LOCATION]), 1);
    assert_eq!(destinations(&ctx), ["sip:a@h", "sip:b@h", "sip:bob@h", "sip:zed@h"]);
}

#[test]
fn ended_contacts_are_not_found() {
    let mut office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=200"]);
    office.later(100);
    assert_eq!(office.targets("sip:alice@h"), ["sip:b@h"]);
    assert_eq!(office.alice(2, &[]).rows, ["Contact: <sip:b@h>;expires=100"]);
    office.later(100);
    assert_eq!(office.targets("sip:alice@h").len(), 0);
    let mut lenient = Office::new(&[("r", "use_expired_contacts", int(1))]);
    lenient.alice(1, &["Contact: <sip:a@h>;expires=100"]);
    lenient.later(500);
    assert_eq!(lenient.targets("sip:alice@h"), ["sip:a@h"]);
}

#[test]
fn method_filtering() {
    let office = Office::new(&[("r", "method_filtering", int(1))]);
    office.alice(1, &["Contact: <sip:a@h>, <sip:b@h>;methods=\"INVITE, OPTIONS\"", "Allow: INVITE, ACK"]);
    let lookup = |method, tag| {
        let mut ctx = office.request(method, "sip:alice@h", tag);
        (office.lookup(&mut ctx), destinations(&ctx).len())
    };
    assert_eq!(lookup("INVITE", ""), (1, 2));
    assert_eq!(lookup("OPTIONS", ""), (1, 1));
    assert_eq!(lookup("MESSAGE", ""), (-2, 1));
    assert_eq!(lookup("MESSAGE", ";tag=1"), (1, 2), "requests within a dialog are not filtered");
    office.register("<sip:any@b>", "d", 1, &[A]);
    let mut ctx = office.request("FOO", "sip:any@h", "");
    assert_eq!(office.lookup(&mut ctx), 1, "no Allow: everything");
}

#[test]
fn settings_of_one_message() {
    let params = [
        ("r", "xavp_cfg", string("reg")),
        ("r", "xavp_rcd", string("rcd")),
        ("r", "lookup_filter_mode", int(1)),
    ];
    let office = Office::new(&params);
    let save = |cseq, contact: &str, fields: &[(&str, VarValue)]| {
        let mut ctx = office.context("<sip:alice@b>", "c", cseq, &[contact]);
        set_xavp(&mut ctx, fields);
        ctx.target.flags = 2;
        let answer = office.save(&mut ctx, 0);
        let found =
            ctx.vars().with(|l| l.xavps.iter().find(|(n, _)| n.as_ref() == b"rcd").map(|(_, v)| v.clone()));
        (answer, found)
    };
    let int = VarValue::Int;
    let (answer, found) = save(1, "Contact: <sip:a@h>;expires=90", &[("q", int(500)), ("expires", int(700))]);
    assert_eq!(answer.rows, ["Contact: <sip:a@h>;q=0.5;expires=700"]);
    let Some(VarValue::Xavp(fields)) = found else { panic!("xavp_rcd") };
    let names: Vec<String> = fields.iter().map(|(n, _)| text(n)).collect();
    assert_eq!(names, ["ruid", "contact", "expires"]);
    assert_eq!(save(2, "Contact: <sip:b@h>", &[("max_contacts", int(1))]).0.result, -2);
    assert_eq!(
        save(3, "Contact: <sip:a@h>;expires=0", &[("expires", int(700))]).0.result,
        3,
        "leaving is not overruled"
    );
    save(4, "Contact: <sip:c@h>", &[("socket", VarValue::Str(Box::from(&b"tcp:127.0.0.1:5060"[..])))]);
    let mut ctx = office.invite("sip:alice@h");
    set_xavp(&mut ctx, &[("rlf_bflags", int(2))]);
    assert_eq!((office.lookup(&mut ctx), ctx.target.socket), (1, Some(SocketId(1))));
    let mut ctx = office.invite("sip:alice@h");
    set_xavp(&mut ctx, &[("rlf_bflags", int(4))]);
    assert_eq!(office.lookup(&mut ctx), -1);

    let mut ctx = office.context("<sip:alice@b>", "c", 9, &["Contact: <sip:c@h>;q=0.9"]);
    assert_eq!(office.call(&mut ctx, "set_q_override", &[Value::str(b"0.25")]), 1);
    assert_eq!(office.call(&mut ctx, "set_q_override", &[Value::str(b"x")]), -1);
    assert_eq!(office.save(&mut ctx, 0).rows, ["Contact: <sip:c@h>;q=0.25;expires=3600"]);
}

#[test]
fn registered_and_its_filters() {
    let office = Office::new(&[("r", "xavp_cfg", string("reg"))]);
    office.alice(1, &["Contact: <sip:a@h>"]);
    let uri = |u: &'static str| Value::str(u.as_bytes());
    let mut ctx = office.invite("sip:alice@h");
    assert_eq!(office.call(&mut ctx, "registered", &[LOCATION]), 1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("")]), 1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("sip:nobody@h")]), -1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[LOCATION, uri("bad")]), -1);
    assert_eq!(office.call(&mut ctx, "registered_uri", &[uri("nowhere"), uri("sip:alice@h")]), -1);
    let word = |s: &str| VarValue::Str(s.as_bytes().into());
    for (option, field, value, result) in [
        (1, "match_callid", "c", 1),
        (1, "match_callid", "z", -1),
        (0, "match_callid", "z", 1),
        (4, "match_contact", "sip:a@h", 1),
        (4, "match_contact", "sip:b@h", -1),
        (2, "match_received", "sip:1.2.3.4", -1),
    ] {
        let mut ctx = office.invite("sip:alice@h");
        set_xavp(&mut ctx, &[(field, word(value))]);
        let args = [LOCATION, uri("sip:alice@h"), Value::Int(option)];
        assert_eq!(office.call(&mut ctx, "registered_flags", &args), result, "{field}={value}");
    }
}

#[test]
fn unregister() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let mut ctx = office.invite("sip:x@h");
    let mut call = |function: &str, args: &[&'static str]| {
        let args: Vec<Value<'_>> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
        office.call(&mut ctx, function, &args)
    };
    assert_eq!(call("unregister", &["location", "sip:nobody@h"]), 1);
    assert_eq!(call("unregister", &["location", "bad"]), -1);
    assert_eq!(call("unregister", &["nowhere", "sip:alice@h"]), -1);
    assert_eq!(call("unregister_ruid", &["location", "sip:alice@h", "zz"]), -3);
    assert_eq!(call("unregister_ruid", &["location", "sip:alice@h", "uloc-6b02c74d-1a2b-1"]), 1);
    assert_eq!(office.targets("sip:alice@h"), ["sip:a@h"]);
    assert_eq!(call("unregister", &["location", "sip:alice@h"]), 1);
    assert_eq!(office.targets("sip:alice@h").len(), 0);
}

#[test]
fn fetched_contacts() {
    let office = Office::new(&[]);
    office.alice(1, &["Contact: <sip:a@h>;q=0.5, <sip:b@h>"]);
    let mut ctx = office.invite("sip:x@h");
    let fetch = |ctx: &mut RouteContext<'_>, uri: &'static str| {
        office.call(ctx, "reg_fetch_contacts", &[LOCATION, Value::str(uri.as_bytes()), Value::str(b"c")])
    };
    assert_eq!(fetch(&mut ctx, "sip:nobody@h"), -1);
    assert_eq!(fetch(&mut ctx, "bad"), -1);
    assert_eq!(fetch(&mut ctx, "sip:alice@h"), 1);
    let pv = |ctx: &RouteContext<'_>, name: &str| office.bench.pv(ctx, name);
    let now = i64::from(unix(office.bench.now));
    for (name, value) in [
        ("$ulc(c=>aor)", Value::str(b"alice")),
        ("$ulc(c=>domain)", Value::str(b"location")),
        ("$ulc(c=>count)", Value::Int(2)),
        ("$ulc(c=>addr)", Value::str(b"sip:a@h")),
        ("$(ulc(c=>addr)[1])", Value::str(b"sip:b@h")),
        ("$(ulc(c=>addr)[9])", Value::Null),
        ("$(ulc(c=>q)[0])", Value::Int(500)),
        ("$(ulc(c=>q)[1])", Value::Int(-1)),
        ("$ulc(c=>expires)", Value::Int(now + 3600)),
        ("$ulc(c=>path)", Value::str(b"")),
        ("$ulc(c=>instance)", Value::Null),
        ("$ulc(c=>conid)", Value::Null),
        ("$ulc(c=>methods)", Value::Int(-1)),
        ("$ulc(c=>user_agent)", Value::str(b"n/a")),
        ("$ulc(c=>socket)", Value::str(b"udp:127.0.0.1:5060")),
        ("$ulc(c=>nonsense)", Value::Null),
        ("$ulc(zz=>count)", Value::Null),
        ("$ulc(c)", Value::Null),
    ] {
        assert_eq!(pv(&ctx, name), value, "{name}");
    }
    let call = |ctx: &mut RouteContext<'_>, f: &str, args: &[Value<'_>]| {
        office.bench.call(ctx, &format!("registrar.{f}"), args)
    };
    assert_eq!(call(&mut ctx, "ulc_rget", &[Value::str(b"c"), Value::str(b"count")]), Value::Int(2));
    let cget = [Value::str(b"c"), Value::str(b"addr"), Value::Int(1)];
    assert_eq!(call(&mut ctx, "ulc_cget", &cget), Value::str(b"sip:b@h"));
    assert_eq!(office.call(&mut ctx, "reg_free_contacts", &[Value::str(b"c")]), 1);
    assert_eq!(pv(&ctx, "$ulc(c=>count)"), Value::Null);
}

#[test]
fn other_functions() {
    let office = Office::new(&[("usrloc", "xavp_contact", string("reg"))]);
    let mut ctx = office.context("<sip:alice@b>", "c", 1, &["Contact: <sip:a@127.0.0.1:5070>"]);
    assert_eq!(office.call(&mut ctx, "add_sock_hdr", &[Value::str(b"Sock-Info")]), 1);
    assert_eq!(office.call(&mut ctx, "add_sock_hdr", &[Value::str(b"Bad Name")]), -1);
    assert!(office.bench.printed(&ctx).contains("\r\nSock-Info: udp:127.0.0.1:5060\r\n"));
    set_xavp(&mut ctx, &[("device", VarValue::Int(7))]);
    office.save(&mut ctx, 0);

    let mut ctx = office.invite("sip:alice@h");
    office.lookup(&mut ctx);
    let device = ctx.vars().with(|l| match l.xavps.first() {
        Some((_, VarValue::Xavp(fields))) => {
            fields.iter().find(|(n, _)| n.as_ref() == b"device").map(|(_, v)| v.clone())
        }
        _ => None,
    });
    assert_eq!(device, Some(VarValue::Int(7)), "xavp_contact comes back");

    let from = |uri: &'static str, flags| {
        office.call(
            &mut office.invite("sip:x@h"),
            "reg_from_user",
            &[LOCATION, Value::str(uri.as_bytes()), Value::Int(flags)],
        )
    };
    assert_eq!((from("sip:alice@h", 0), from("sip:bob@h", 0)), (1, -1));

    let args = [LOCATION, Value::str(b"sip:alice@h"), Value::str(b"xr"), Value::str(b"xc")];
    let mut ctx = office.invite("sip:x@h");
    assert_eq!(office.call(&mut ctx, "lookup_xavp", &args), 1);
    let names = ctx.vars().with(|l| l.xavps.iter().map(|(n, _)| text(n)).collect::<Vec<_>>());
    assert_eq!((names, destinations(&ctx)), (vec!["xr".into(), "xc".into()], vec!["sip:x@h".into()]));
}

#[test]
fn configuration() {
    let fails = |name, value| Office::try_new(&[("r", name, value)]).is_err();
    assert!(fails("expires_range", int(101)));
    assert!(fails("path_mode", int(3)));
    assert!(fails("flow_timer", int(25)));
    assert!(fails("no_such", int(25)));
    assert!(fails("realm_prefix", int(25)));
    let alone = Registrar::default().setup(&Setup {
        config: &CoreConfig::default(),
        listeners: &[],
        modules: &[],
        now: Now::default(),
    });
    assert!(alone.is_err_and(|e| e.0.contains("usrloc")));
    assert_eq!(crate::registrar::Settings::PARAMS.len(), 33);
    assert_eq!(Registrar::FUNCTIONS.len(), 21);
}

/// Writes down what an event callback sees.
struct Listener<'b> {
    bench: &'b Bench,
    seen: std::cell::RefCell<Vec<String>>,
}

impl script::ScriptWorker for Listener<'_> {
    fn attach(&self) {}
    fn detach(&self) {}
    fn run(&self, _: RouteKind, _: script::CallbackId, _: &mut RouteContext<'_>) -> script::RunOutcome {
        script::RunOutcome::Missing
    }
    fn run_event(
        &self,
        callback: script::CallbackId,
        event: &str,
        ctx: &mut RouteContext<'_>,
    ) -> script::RunOutcome {
        let name = ctx.core.callbacks.name(callback);
        let who = self.bench.format(ctx, "$ulc(exp=>aor) $ulc(exp=>addr)");
        self.seen.borrow_mut().push(format!("{name} {event} {who} {}", ctx.faked));
        script::RunOutcome::Returned(1)
    }
}

#[test]
fn the_script_hears_of_ended_contacts() {
    let params = [("r", "event_callback", string("on_expired")), ("usrloc", "timer_interval", int(1))];
    let mut office = Office::new(&params);
    office.alice(1, &["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=200"]);
    office.later(150);
    let bench = &office.bench;
    for module in bench.core.registry.modules() {
        module.tick(&bench.core, bench.now);
    }
    let listener = Listener { bench, seen: Default::default() };
    let services = script::Services {
        core: &bench.core,
        transactions: &bench.transactions,
        engine: &listener,
        worker: &bench.worker,
        outbox: &bench.outbox,
    };
    for module in bench.core.registry.modules() {
        module.events(&services, bench.now);
        module.events(&services, bench.now);
    }
    assert_eq!(listener.seen.take(), ["on_expired usrloc:contact-expired alice sip:a@h true"]);
}
