//! Registrar by RFC 3261 §10.3, and as Kamailio answers: an office whose phones register, and what they get.

mod database;
mod lookup;
mod save;

use std::sync::Arc;

use script::pv::Inner;
use script::testing::Bench;
use script::vars::VarValue;
use script::{CoreConfig, Module, ParamValue, PseudoVariable, RouteContext, RouteKind, Setup, Value};
use transaction::{Now, SocketId};

use super::Registrar;
use crate::usrloc::{Usrloc, unix};

/// A registrar with its table, and phones that register with it.
struct Office {
    bench: Bench,
}

type Params<'a> = &'a [(&'a str, &'a str, ParamValue)];

fn int(n: i64) -> ParamValue {
    ParamValue::Int(n)
}
fn string(s: &str) -> ParamValue {
    ParamValue::Str(s.into())
}

/// Stands in for the AVP of `received_avp`.
struct Source;

impl Module for Source {
    fn name(&self) -> &'static str {
        "source"
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        const ROWS: &[PseudoVariable] = &[PseudoVariable {
            module: "source",
            name: "source",
            doc: "Where the message came from.",
            inner: Inner::None,
            get: |_, _| Value::Str(std::borrow::Cow::Borrowed(b"sip:203.0.113.1:9")),
            set: None,
        }];
        ROWS
    }
}

/// What a REGISTER led to.
#[derive(Debug, PartialEq)]
struct Answer {
    result: i64,
    /// `200 OK`, empty when nothing was sent.
    status: String,
    rows: Vec<String>,
}

fn text(v: &[u8]) -> String {
    String::from_utf8_lossy(v).into_owned()
}

impl Office {
    fn new(params: Params<'_>) -> Office {
        Office::try_new(params).unwrap_or_else(|e| panic!("{e}"))
    }
    fn try_new(params: Params<'_>) -> Result<Office, script::SetupError> {
        let (mut usrloc, mut registrar) = (Usrloc::default(), Registrar::default());
        for (module, name, value) in params {
            match *module {
                "usrloc" => usrloc.set_param(name, value.clone())?,
                _ => registrar.set_param(name, value.clone())?,
            }
        }
        let config = CoreConfig { pid: 0x1a2b, started: 0x6b02c74d, ..CoreConfig::default() };
        let mut modules: Vec<Arc<dyn Module>> = Vec::new();
        usrloc.setup(&Setup { config: &config, listeners: &[], modules: &[], now: Now::default() })?;
        modules.push(Arc::new(usrloc));
        registrar.setup(&Setup {
            config: &config,
            listeners: &[],
            modules: &modules,
            now: Now::default(),
        })?;
        modules.push(Arc::new(registrar));
        modules.push(Arc::new(Source));
        Ok(Office { bench: Bench::with_config(modules, config) })
    }
    fn later(&mut self, seconds: u64) {
        self.bench.now.unix_micros += seconds * 1_000_000;
    }
    fn context(&self, to: &str, call_id: &str, cseq: u32, headers: &[&str]) -> RouteContext<'_> {
        let rows: String = headers.iter().map(|h| format!("{h}\n")).collect();
        self.bench.request(&format!(
            "REGISTER sip:bench.test SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKr\nFrom: <sip:f@bench.test>;tag=f\n\
             To: {to}\nCall-ID: {call_id}\nCSeq: {cseq} REGISTER\n{rows}Content-Length: 0\n"
        ))
    }
    fn save(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Answer {
        let args = [Value::str(b"location"), Value::Int(flags)];
        let result = self.bench.call(ctx, "registrar.save", &args).to_int().expect("int");
        self.answer(ctx, result)
    }
    fn answer(&self, ctx: &RouteContext<'_>, result: i64) -> Answer {
        let status = self.bench.transactions.calls().join("|");
        let rows = text(ctx.edits.reply_rows());
        Answer {
            result,
            status: status.replace("reply_stateless ", ""),
            rows: rows.split_terminator("\r\n").map(Into::into).collect(),
        }
    }
    fn register(&self, to: &str, call_id: &str, cseq: u32, headers: &[&str]) -> Answer {
        self.save(&mut self.context(to, call_id, cseq, headers), 0)
    }
    /// REGISTER of alice with Call-ID `c`.
    fn alice(&self, cseq: u32, headers: &[&str]) -> Answer {
        self.register("<sip:alice@bench.test>", "c", cseq, headers)
    }
    fn invite(&self, uri: &str) -> RouteContext<'_> {
        self.request("INVITE", uri, "")
    }
    fn request(&self, method: &str, uri: &str, tag: &str) -> RouteContext<'_> {
        self.bench.request(&format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKi\nFrom: <sip:f@bench.test>;tag=f\n\
             To: <sip:t@bench.test>{tag}\nCall-ID: i\nCSeq: 1 {method}\nContent-Length: 0\n"
        ))
    }
    fn call(&self, ctx: &mut RouteContext<'_>, function: &str, args: &[Value<'_>]) -> i64 {
        self.bench.call(ctx, &format!("registrar.{function}"), args).to_int().expect("int")
    }
    fn lookup(&self, ctx: &mut RouteContext<'_>) -> i64 {
        self.call(ctx, "lookup", &[LOCATION])
    }
    /// Request-URI and branches after `lookup`.
    fn targets(&self, uri: &str) -> Vec<String> {
        let mut ctx = self.invite(uri);
        if self.lookup(&mut ctx) != 1 {
            return Vec::new();
        }
        destinations(&ctx)
    }
}

const LOCATION: Value<'static> = Value::Str(std::borrow::Cow::Borrowed(b"location"));

fn destinations(ctx: &RouteContext<'_>) -> Vec<String> {
    std::iter::once(ctx.request_uri())
        .chain(ctx.branches.iter().map(|b| b.uri.as_slice()))
        .map(text)
        .collect()
}

fn ok(result: i64, rows: &[&str]) -> Answer {
    Answer { result, status: "200 OK".into(), rows: rows.iter().map(|r| (*r).into()).collect() }
}
fn refused(status: &str, rows: &[&str]) -> Answer {
    Answer { status: status.into(), ..ok(-1, rows) }
}

const A: &str = "Contact: <sip:a@192.0.2.1:5070>";

fn set_xavp(ctx: &mut RouteContext<'_>, fields: &[(&str, VarValue)]) {
    let fields = fields.iter().map(|(n, v)| (Box::from(n.as_bytes()), v.clone())).collect();
    ctx.vars().with(|l| l.xavps.insert(0, (Box::from(&b"reg"[..]), VarValue::Xavp(fields))));
}
