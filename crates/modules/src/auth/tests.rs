//! The functions of `auth` as scripts call them, with credentials as phones make them.

use std::sync::Arc;

use script::testing::Bench;
use script::{CoreConfig, Module, ParamValue, RouteContext, Setup, Value};

use super::digest::{Algorithm, Challenged, Protection, Secret};
use super::*;

fn bench(params: &[(&str, ParamValue)]) -> Bench {
    let mut auth = Auth::default();
    for (name, value) in params {
        auth.set_param(name, value.clone()).expect("declared");
    }
    let empty = Bench::new(Vec::new());
    let config = CoreConfig { seed: 7, ..CoreConfig::default() };
    let setup = Setup { config: &config, listeners: &empty.core.listeners, modules: &[], now: empty.now };
    auth.setup(&setup).expect("fits");
    Bench::new(vec![
        Arc::new(crate::sl::Sl::default()),
        Arc::new(crate::pv::PvModule::default()),
        Arc::new(auth),
    ])
}

fn text(name: &str, value: &str) -> (String, ParamValue) {
    (name.into(), ParamValue::Str(value.into()))
}

/// A request with these rows.
fn message(method: &str, rows: &str) -> String {
    format!(
        "{method} sip:example.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n{rows}From: <sip:alice@example.com>;tag=1\nTo: <sip:alice@example.com>\nCall-ID: c\nCSeq: 1 {method}\nContent-Length: 2\n\nhi"
    )
}

/// A parameter of the challenge in the reply rows, without quotes.
fn challenged(ctx: &RouteContext<'_>, name: &str) -> Option<String> {
    let rows = String::from_utf8_lossy(ctx.edits.reply_rows()).into_owned();
    let row = rows.lines().next()?;
    let value = row.split([' ', ',']).find_map(|p| p.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').into())
}

fn nonce(bench: &Bench, method: &str) -> String {
    let mut ctx = bench.request(&message(method, ""));
    bench.call(&mut ctx, "auth.auth_challenge", &[Value::str(b"example.com"), Value::Int(0)]);
    challenged(&ctx, "nonce").expect("a nonce")
}

/// What a phone answers.
#[derive(Clone, Copy)]
struct Phone<'a> {
    user: &'a str,
    password: &'a str,
    algorithm: Algorithm,
    sess: bool,
    qop: Option<(&'a str, &'a str)>,
}

const ALICE: Phone<'_> =
    Phone { user: "alice", password: "secret", algorithm: Algorithm::Md5, sess: false, qop: None };

impl Phone<'_> {
    fn row(&self, method: &str, nonce: &str) -> String {
        let uri = "sip:example.com";
        let challenged = Challenged {
            algorithm: self.algorithm,
            sess: self.sess,
            username: self.user.as_bytes(),
            realm: b"example.com",
            nonce: nonce.as_bytes(),
            uri: uri.as_bytes(),
            protection: self.qop.map(|(qop, nc)| Protection {
                qop: qop.as_bytes(),
                nc: nc.as_bytes(),
                cnonce: b"c",
            }),
        };
        let ha1 = challenged.ha1(Secret::Password(self.password.as_bytes()));
        let response = challenged.response(&ha1, method.as_bytes(), b"hi");
        let response = String::from_utf8_lossy(response.as_bytes()).into_owned();
        let name = if method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
        let sess = if self.sess { "-sess" } else { "" };
        let qop = self.qop.map_or(String::new(), |(q, nc)| format!(", qop={q}, nc={nc}, cnonce=\"c\""));
        format!(
            "{name}: Digest username=\"{}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}{sess}{qop}\n",
            self.user,
            self.algorithm.name()
        )
    }
}

fn check(bench: &Bench, ctx: &mut RouteContext<'_>, flags: i64, checks: i64) -> i64 {
    let args = [Value::str(b"example.com"), Value::str(b"secret"), Value::Int(flags), Value::Int(checks)];
    bench.call(ctx, "auth.pv_auth_check", &args).to_int().expect("an int")
}

fn result(bench: &Bench, method: &str, rows: &str) -> i64 {
    check(bench, &mut bench.request(&message(method, rows)), 0, 0)
}

#[test]
fn right_and_wrong() {
    let bench = bench(&[]);
    for method in ["REGISTER", "INVITE"] {
        let nonce = nonce(&bench, method);
        assert_eq!(result(&bench, method, ""), -5);
        assert_eq!(result(&bench, method, &ALICE.row(method, &nonce)), 1);
        assert_eq!(result(&bench, method, &Phone { password: "x", ..ALICE }.row(method, &nonce)), -2);
        assert_eq!(result(&bench, method, &ALICE.row(method, "AAAA")), -1);
        for qop in ["auth", "auth-int"] {
            let phone = Phone { qop: Some((qop, "00000001")), ..ALICE };
            assert_eq!(result(&bench, method, &phone.row(method, &nonce)), 1, "{qop}");
            let cut = phone.row(method, &nonce).replace(", cnonce=\"c\"", "");
            assert_eq!(result(&bench, method, &cut), -1, "{qop} without cnonce");
        }
        let other = ALICE.row(method, &nonce).replace("realm=\"example.com\"", "realm=\"other\"");
        assert_eq!(result(&bench, method, &other), -5);
        assert_eq!(result(&bench, method, &(other + &ALICE.row(method, &nonce))), 1, "one for each realm");
    }
    for method in ["ACK", "CANCEL", "PRACK"] {
        assert_eq!(result(&bench, method, ""), 1, "{method} cannot be challenged");
    }
}

#[test]
fn hash_functions() {
    let (name, value) = text("algorithm", "SHA-512-256, SHA-256");
    let bench = bench(&[(&name, value)]);
    let nonce = nonce(&bench, "REGISTER");
    let with = |algorithm, sess| {
        let phone = Phone { algorithm, sess, qop: Some(("auth", "00000001")), ..ALICE };
        result(&bench, "REGISTER", &phone.row("REGISTER", &nonce))
    };
    assert_eq!(with(Algorithm::Sha512_256, false), 1);
    assert_eq!(with(Algorithm::Sha256, true), 1);
    assert_eq!(with(Algorithm::Md5, false), -1, "not asked for");

    let mut ctx = bench.request(&message("INVITE", ""));
    let args = [Value::str(b"example.com"), Value::Int(1)];
    bench.call(&mut ctx, "auth.auth_challenge", &args);
    let rows = String::from_utf8_lossy(ctx.edits.reply_rows()).into_owned();
    let algorithms: Vec<_> = rows.lines().map(|l| l.rsplit("algorithm=").next().unwrap_or("")).collect();
    assert_eq!(algorithms, ["SHA-512-256", "SHA-256"], "{rows}");
    assert!(rows.lines().all(|l| l.starts_with("Proxy-Authenticate: Digest ") && l.contains("qop=\"auth\"")));

    let mut ctx = bench.request(&message("REGISTER", ""));
    let args = [Value::str(b"example.com"), Value::Int(0), Value::str(b"MD5")];
    bench.call(&mut ctx, "auth.auth_challenge_algorithms", &args);
    assert_eq!(with(Algorithm::Md5, false), 1, "asked for by now");
    assert_eq!(bench.call(&mut ctx, "auth.auth_algorithm", &[Value::str(b"SHA-3")]).to_int(), Some(-1));
}

#[test]
fn stale_nonces_are_said_to_be() {
    let mut bench = bench(&[("nonce_expire", ParamValue::Int(10))]);
    let row = ALICE.row("REGISTER", &nonce(&bench, "REGISTER"));
    bench.now.unix_micros += 11_000_000;
    let mut ctx = bench.request(&message("REGISTER", &row));
    assert_eq!(check(&bench, &mut ctx, 0, 0), -4);
    bench.call(&mut ctx, "auth.www_challenge", &[Value::str(b"example.com"), Value::Int(0)]);
    assert_eq!(challenged(&ctx, "stale").as_deref(), Some("true"));
    assert_eq!(
        bench.transactions.calls().last().map(String::as_str),
        Some("reply_stateless 401 Unauthorized")
    );
    assert_eq!(result(&bench, "REGISTER", &ALICE.row("REGISTER", &nonce(&bench, "REGISTER"))), 1);
}

#[test]
fn replays() {
    let once = bench(&[("one_time_nonce", ParamValue::Int(1))]);
    let row = ALICE.row("REGISTER", &nonce(&once, "REGISTER"));
    assert_eq!([result(&once, "REGISTER", &row), result(&once, "REGISTER", &row)], [1, -6]);

    let counted = bench(&[("nonce_count", ParamValue::Int(1))]);
    let nonce = nonce(&counted, "REGISTER");
    let with = |nc, password, flags| {
        let row = Phone { password, qop: Some(("auth", nc)), ..ALICE }.row("REGISTER", &nonce);
        check(&counted, &mut counted.request(&message("REGISTER", &row)), flags, 0)
    };
    assert_eq!([with("00000001", "secret", 0), with("00000001", "secret", 0)], [1, -4]);
    assert_eq!([with("00000002", "wrong", 0), with("00000002", "secret", 0)], [-2, -4]);
    assert_eq!([with("00000003", "wrong", 32), with("00000003", "secret", 0)], [-2, 1]);
}

#[test]
fn another_user_is_a_mismatch() {
    let bench = bench(&[]);
    let bob = Phone { user: "bob", ..ALICE };
    for method in ["REGISTER", "INVITE"] {
        let nonce = nonce(&bench, method);
        for (phone, wanted) in [(ALICE, 1), (bob, -8), (Phone { user: "alice@else.org", ..ALICE }, 1)] {
            let mut ctx = bench.request(&message(method, &phone.row(method, &nonce)));
            assert_eq!(check(&bench, &mut ctx, 0, 1), wanted, "{method} {}", phone.user);
        }
    }
}

#[test]
fn right_credentials_are_consumed_and_others_stay() {
    let bench = bench(&[]);
    let ours = ALICE.row("INVITE", &nonce(&bench, "INVITE"));
    let theirs = ours.replace("realm=\"example.com\"", "realm=\"other\"");
    let mut ctx = bench.request(&message("INVITE", &(theirs.clone() + &ours)));
    assert_eq!(bench.call(&mut ctx, "auth.consume_credentials", &[]).to_int(), Some(-1));
    let has = |ctx: &mut RouteContext<'_>, realm: &[u8]| {
        bench.call(ctx, "auth.has_credentials", &[Value::str(realm)]).to_int()
    };
    assert_eq!([has(&mut ctx, b"example.com"), has(&mut ctx, b"x")], [Some(1), Some(-1)]);
    assert_eq!(check(&bench, &mut ctx, 0, 0), 1);
    assert_eq!(bench.call(&mut ctx, "auth.consume_credentials", &[]).to_int(), Some(1));
    let printed = bench.printed(&ctx);
    assert!(printed.contains("realm=\"other\"") && !printed.contains("realm=\"example.com\""), "{printed}");
}

#[test]
fn challenges_for_scripts() {
    let (name, value) = text("challenge_attr", "$avp(mine)");
    let bench = bench(&[(&name, value), ("add_authinfo_hdr", ParamValue::Int(1))]);
    let mut ctx = bench.request(&message("REGISTER", ""));
    assert_eq!(check(&bench, &mut ctx, 4, 0), -5);
    let avp = bench.pv(&ctx, "$avp(mine)").to_text().into_owned();
    let avp = String::from_utf8_lossy(&avp).into_owned();
    assert!(
        avp.starts_with("WWW-Authenticate: Digest realm=\"example.com\"") && avp.contains("qop=\"auth\""),
        "{avp}"
    );
    let args = [Value::str(b"a\"b\r\nEvil: 1"), Value::Int(16), Value::str(b"$var(x)")];
    assert_eq!(bench.call(&mut ctx, "auth.auth_get_www_authenticate", &args).to_int(), Some(1));
    let row = String::from_utf8_lossy(&bench.pv(&ctx, "$var(x)").to_text()).into_owned();
    assert!(
        row.contains("realm=\"a\\\"bEvil: 1\"") && row.contains("stale=true") && row.ends_with("\r\n"),
        "{row}"
    );
    assert_eq!(row.matches("\r\n").count(), 1);
    let args = [Value::str(b"r"), Value::Int(0), Value::str(b"$ci")];
    assert_eq!(bench.call(&mut ctx, "auth.auth_get_www_authenticate", &args).to_int(), Some(-1));

    let phone = Phone { qop: Some(("auth", "00000001")), ..ALICE };
    let mut ctx = bench.request(&message("REGISTER", &phone.row("REGISTER", &nonce(&bench, "REGISTER"))));
    assert_eq!(check(&bench, &mut ctx, 0, 0), 1);
    let info = String::from_utf8_lossy(ctx.edits.reply_rows()).into_owned();
    assert!(info.starts_with("Authentication-Info: nextnonce=\"") && info.contains("rspauth=\""), "{info}");
}

#[test]
fn hostile_credentials_are_refused() {
    let bench = bench(&[("nonce_count", ParamValue::Int(1)), ("auth_checks_register", ParamValue::Int(15))]);
    let nonce = nonce(&bench, "REGISTER");
    let long = "A".repeat(10_000);
    let good = Phone { qop: Some(("auth", "00000001")), ..ALICE }.row("REGISTER", &nonce);
    for name in ["username", "realm", "nonce", "uri", "response", "cnonce"] {
        for evil in
            ["", "%", "%s%n", "'; DROP TABLE subscriber; --", "\0", "a\0b", "\\\"", "\u{e4}\u{1f600}", &long]
        {
            let (before, rest) = good.split_once(&format!(" {name}=\"")).expect("there");
            let (_, after) = rest.split_once('"').expect("closed");
            let row = format!("{before} {name}=\"{evil}\"{after}");
            assert!(result(&bench, "REGISTER", &row) < 0, "{name} {evil:.40}");
        }
    }
    for row in
        ["Digest", "Digest ,,,", "Digest =", "Digest username", "Basic x", "\"", "Digest username=\"\\"]
    {
        assert!(result(&bench, "REGISTER", &format!("Authorization: {row}\n")) < 0, "{row}");
    }
    let good = Phone { qop: Some(("auth", "00000002")), ..ALICE }.row("REGISTER", &nonce);
    assert_eq!(result(&bench, "REGISTER", &good), 1, "the good ones are still good");
}

/// A check runs for every request: it may keep that it was right, and no more.
#[test]
fn a_check_allocates_next_to_nothing() {
    let bench = bench(&[]);
    let auth = bench.core.registry.module::<Auth>().expect("loaded");
    let phone = Phone { qop: Some(("auth", "00000001")), ..ALICE };
    let mut ctx = bench.request(&message("REGISTER", &phone.row("REGISTER", &nonce(&bench, "REGISTER"))));
    let mut outcome = Outcome::FALSE;
    let counted = allocation_counter::measure(|| {
        outcome = auth.authenticate(&mut ctx, Kind::Www, b"example.com", b"secret", 0, None, true);
    });
    assert_eq!(outcome, Outcome::TRUE);
    assert!(counted.count_total <= 2, "{counted:?}");
}

#[test]
fn wrong_parameters_stop_the_start() {
    let empty = Bench::new(Vec::new());
    let setup =
        Setup { config: &empty.core.config, listeners: &empty.core.listeners, modules: &[], now: empty.now };
    for (name, value) in [
        ("algorithm", ParamValue::Str("MD4".into())),
        ("challenge_attr", ParamValue::Str("$avp(".into())),
        ("www_challenge_header", ParamValue::Str("A: b".into())),
        ("nc_array_order", ParamValue::Int(31)),
    ] {
        let mut auth = Auth::default();
        auth.set_param(name, value).expect("declared");
        assert!(auth.setup(&setup).is_err(), "{name}");
    }
}
