//! What the packaged Kamailio 5.6 answered to some 3,300 KSR calls on four messages, against what these modules answer.
//!
//! `data/observed.txt` holds `MESSAGE name port number` lines, each the start of a route over that message of `data/messages.txt`, and
//! below it the calls with their results, as Python literals. `data/differences.txt` lists the calls (by their beginning) where we
//! differ, with the reason; a difference that is not listed fails, and so does a listed one that is none.

extern crate trunkline_modules as modules;

use std::collections::HashMap;
use std::sync::Arc;

use message::Transport;
use script::testing::Bench;
use script::{CoreConfig, Inbound, Listener, Module, ParamKind, Value};
use transaction::SocketId;

const OBSERVED: &str = include_str!("data/observed.txt");
const MESSAGES: &str = include_str!("data/messages.txt");
const DIFFERENCES: &str = include_str!("data/differences.txt");

/// A Python literal: None, True, False, an int or a string.
fn literal(text: &str) -> Option<(Value<'static>, &str)> {
    for (name, value) in [("None", Value::Null), ("True", Value::Bool(true)), ("False", Value::Bool(false))] {
        if let Some(rest) = text.strip_prefix(name) {
            return Some((value, rest));
        }
    }
    let quote = text.chars().next()?;
    if quote != '\'' && quote != '"' {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
        return Some((Value::Int(text[..end].parse().ok()?), &text[end..]));
    }
    let mut out = Vec::new();
    let mut chars = text[1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((Value::owned(out), &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push(b'\n'),
                'r' => out.push(b'\r'),
                't' => out.push(b'\t'),
                'x' => {
                    let digits: String = [chars.next()?.1, chars.next()?.1].iter().collect();
                    let code = u8::from_str_radix(&digits, 16).ok()?;
                    out.extend_from_slice(char::from(code).to_string().as_bytes());
                }
                other => out.extend_from_slice(other.to_string().as_bytes()),
            },
            c => out.extend_from_slice(c.to_string().as_bytes()),
        }
    }
    None
}

/// `('pv.get', '$ru')` as its literals.
fn call(text: &str) -> Option<Vec<Value<'static>>> {
    let mut rest = text.strip_prefix('(')?;
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if rest == ")" {
            return Some(all);
        }
        let (value, left) = literal(rest)?;
        all.push(value);
        rest = left;
    }
}

fn bench() -> Bench {
    let names = ["core", "hdr", "x", "pv", "kemix"];
    let modules: Vec<Arc<dyn Module>> =
        names.iter().filter_map(|n| modules::create(n)).map(Arc::from).collect();
    assert_eq!(modules.len(), names.len());
    let mut config = CoreConfig { server_id: 7, debug: 1, ..CoreConfig::default() };
    config.aliases.push(("example.com".into(), None, None));
    for (name, value) in [("WITH_FOO", ""), ("NUM", "42"), ("STR", "\"text\"")] {
        config.defines.insert(name.into(), value.into());
    }
    let mut bench = Bench::with_config(modules, config);
    let listener = |port: u16| Listener {
        transport: Transport::Udp,
        address: ([127, 0, 0, 1], port).into(),
        advertise: None,
        name: None,
    };
    bench.core.listeners = vec![
        listener(15100),
        Listener {
            advertise: Some(("203.0.113.9".into(), 6060)),
            name: Some("adv".into()),
            ..listener(15101)
        },
    ];
    bench
}

/// Calls as the Python engine does; `None` when there is no such function here or the arguments are wrong on purpose.
fn run(bench: &Bench, ctx: &mut script::RouteContext<'_>, call: &[Value<'static>]) -> Option<Value<'static>> {
    let (path, args) = call.split_first()?;
    let path = String::from_utf8_lossy(&path.to_text()).into_owned();
    let (object, name) = path.rsplit_once('.').unwrap_or(("", &path));
    let (_, row) = bench.core.registry.function(object, name)?;
    if object == "x" || row.params.len() != args.len() {
        return None;
    }
    for (param, arg) in row.params.iter().zip(args) {
        match (param.kind, arg) {
            (ParamKind::Int, Value::Int(_) | Value::Bool(_)) => {}
            (ParamKind::Str | ParamKind::Pv, Value::Str(_)) => {}
            (ParamKind::Format, Value::Str(text)) => {
                if bench.core.registry.parse_format(text).is_err() {
                    return Some(row.refused());
                }
            }
            _ => return None,
        }
    }
    Some(bench.call(ctx, &path, args))
}

#[test]
fn answers_are_kamailios() {
    let messages: HashMap<&str, &str> =
        MESSAGES.split("@@").filter_map(|m| m.split_once('\n')).map(|(n, m)| (n.trim(), m)).collect();
    let mut listed: Vec<(&str, &str, bool)> = DIFFERENCES
        .lines()
        .filter(|l| l.starts_with('('))
        .map(|l| {
            let mut fields = l.split('\t');
            (fields.next().unwrap_or(""), fields.nth(1).unwrap_or(""), false)
        })
        .collect();
    let mut unlisted = Vec::new();
    let mut compared = 0;
    let mut benches: Vec<Bench> = Vec::new();
    let sections = OBSERVED.split("MESSAGE\t").skip(1);
    // A route numbered 0 begins a new process: variables of the worker are empty again.
    let starts = sections.clone().filter(|s| s.lines().next().is_some_and(|l| l.ends_with("\t0"))).count();
    benches.resize_with(starts, bench);
    let mut process = benches.iter();
    let mut bench = None;
    for section in sections {
        let mut lines = section.lines();
        let head: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
        let [name, port, number] = head.as_slice() else { panic!("{head:?}") };
        if *number == "0" {
            bench = process.next();
        }
        let Some(bench) = bench else { panic!("the first route is numbered 0") };
        let text = messages.get(name).unwrap_or_else(|| panic!("no message {name}")).replace("@SEC@", number);
        let mut ctx = bench.request(&text);
        let port: u16 = port.parse().expect("a port");
        ctx.set_inbound(Inbound {
            source: ([127, 0, 0, 1], 15170).into(),
            local: ([127, 0, 0, 1], port).into(),
            socket: SocketId(port - 15100),
            transport: Transport::Udp,
        });
        for line in lines {
            let Some((text, want)) = line.rsplit_once('\t') else { continue };
            let parsed = call(text).unwrap_or_else(|| panic!("{text}"));
            let Some(got) = run(bench, &mut ctx, &parsed) else { continue };
            let (want, _) = literal(want).unwrap_or_else(|| panic!("{line}"));
            compared += 1;
            if got == want {
                continue;
            }
            let want = show(&want);
            match listed
                .iter_mut()
                .find(|(call, answer, _)| text.starts_with(*call) && want.contains(*answer))
            {
                Some((.., seen)) => *seen = true,
                None => unlisted.push(format!("{text}\t{}\tKamailio: {want}\t({name})", show(&got))),
            }
        }
    }
    let stale: Vec<_> = listed
        .iter()
        .filter(|(.., seen)| !seen)
        .map(|(call, answer, _)| format!("{call} {answer}"))
        .collect();
    assert!(stale.is_empty(), "listed differences that are none:\n{}", stale.join("\n"));
    unlisted.dedup();
    assert!(unlisted.is_empty(), "{} of {compared} differ:\n{}", unlisted.len(), unlisted.join("\n"));
    assert!(compared > 3000, "only {compared} compared");
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(b) => if *b { "True" } else { "False" }.into(),
        Value::Int(i) => i.to_string(),
        Value::Str(s) => format!("{:?}", String::from_utf8_lossy(s)),
        other => format!("{other:?}"),
    }
}
