//! Local domains: those a database says this server is responsible for, with attributes. Kept in memory; a reload replaces them whole,
//! and readers never wait for it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use script::{
    Core, Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, RpcCommand, RpcError,
    Setup, SetupError, Value, ksr_module,
};
use serde_json::{Value as Json, json};
use store::{Error, Query};
use transaction::Now;

use crate::database::{DEFAULT_URL, Source, to_int, to_text};
use crate::pv::add_avp;

/// Module `domain`.
#[derive(Debug, Default)]
pub struct Domain {
    settings: Settings,
    database: Option<Source>,
    table: Arc<ArcSwap<Table>>,
    /// The tables could not be read at the start.
    pending: AtomicBool,
    /// Unix time of the last attempt to.
    tried: AtomicU64,
}

/// Parameters of `domain`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Database. Default `mysql://kamailioro:kamailioro@localhost/kamailio`.
    db_url: String,
    /// Column of domain ids in both tables. Default `did`.
    did_col: String,
    /// Table of attributes. Default `domain_attrs`.
    domain_attrs_table: String,
    /// Column of domains. Default `domain`.
    domain_col: String,
    /// Table of domains. Default `domain`.
    domain_table: String,
    /// Column of attribute names. Default `name`.
    name_col: String,
    /// 1: the domains count as this server (`is_myself`). Default 0.
    register_myself: bool,
    /// Column of attribute types, 0 integer, 2 text. Default `type`.
    type_col: String,
    /// Column of attribute values. Default `value`.
    value_col: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            db_url: DEFAULT_URL.into(),
            did_col: "did".into(),
            domain_attrs_table: "domain_attrs".into(),
            domain_col: "domain".into(),
            domain_table: "domain".into(),
            name_col: "name".into(),
            register_myself: false,
            type_col: "type".into(),
            value_col: "value".into(),
        }
    }
}

/// An attribute of a domain id.
#[derive(Debug)]
struct Attribute {
    name: Vec<u8>,
    value: Value<'static>,
}

/// What the database said.
#[derive(Debug, Default)]
struct Table {
    /// Domain in lower case to its id and the domain as written.
    domains: HashMap<Vec<u8>, (Vec<u8>, String)>,
    attributes: HashMap<Vec<u8>, Vec<Attribute>>,
}

impl Table {
    /// Most rows of each of the two tables.
    const LIMIT: usize = 1 << 20;
    /// Longest name of a host (RFC 1035 section 2.3.4).
    const LONGEST: usize = 255;

    fn did(&self, domain: &[u8]) -> Option<&[u8]> {
        let mut lower = [0u8; Self::LONGEST];
        let lower = lower.get_mut(..domain.len())?;
        lower.copy_from_slice(domain);
        lower.make_ascii_lowercase();
        self.domains.get(&*lower).map(|(did, _)| did.as_slice())
    }
}

impl Domain {
    fn load(&self) -> Result<(), Error> {
        let Some(database) = &self.database else { return Err(Error::Unavailable("not set up".into())) };
        let s = &self.settings;
        let mut table = Table::default();
        let ask = |table: &str, columns: &[&str]| {
            database.query(&Query { table, columns, limit: Table::LIMIT, ..Query::default() })
        };
        for row in ask(&s.domain_table, &[&s.domain_col, &s.did_col])? {
            let domain = to_text(row.first());
            let did = row.get(1).filter(|d| **d != store::Value::Null).map(|d| to_text(Some(d)));
            let did = did.unwrap_or_else(|| domain.clone());
            let written = String::from_utf8_lossy(&domain).into_owned();
            if domain.is_empty() || domain.len() > Table::LONGEST || did.is_empty() {
                tracing::error!(target: "domain", domain = written, "a row without domain or id is left out");
                continue;
            }
            table.domains.insert(domain.to_ascii_lowercase(), (did, written));
        }
        let columns = [&s.did_col[..], &s.name_col, &s.type_col, &s.value_col];
        for row in ask(&s.domain_attrs_table, &columns)? {
            let (did, name) = (to_text(row.first()), to_text(row.get(1)));
            let value = match to_int(row.get(2)) {
                Some(0) => to_int(row.get(3)).map(Value::Int),
                Some(2) => Some(Value::owned(to_text(row.get(3)))),
                _ => None,
            };
            let Some(value) = value.filter(|_| !did.is_empty() && !name.is_empty()) else {
                tracing::error!(
                    target: "domain",
                    did = %String::from_utf8_lossy(&did),
                    name = %String::from_utf8_lossy(&name),
                    "an attribute is left out: type 0 has a number, type 2 a text"
                );
                continue;
            };
            table.attributes.entry(did).or_default().push(Attribute { name, value });
        }
        self.table.store(Arc::new(table));
        Ok(())
    }

    fn is_local(&self, domain: &[u8]) -> Outcome {
        Outcome::from(self.table.load().did(domain).is_some())
    }

    fn lookup(&self, ctx: &mut RouteContext<'_>, domain: &[u8], prefix: &[u8]) -> Outcome {
        let table = self.table.load();
        let Some(did) = table.did(domain) else { return Outcome::FALSE };
        add_avp(ctx, &[prefix, b"did"].concat(), &Value::str(did));
        let attributes = table.attributes.get(did).map(Vec::as_slice).unwrap_or_default();
        // The first row is the newest value, as in Kamailio.
        for attribute in attributes.iter().rev() {
            add_avp(ctx, &[prefix, &attribute.name].concat(), &attribute.value);
        }
        Outcome::TRUE
    }
}

#[ksr_module("domain")]
impl Domain {
    /// Whether the host of From is a local domain. Returns 1 or -1.
    #[ksr(cfg = ["is_from_local"])]
    fn is_from_local(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.message.from_uri().map_or(Outcome::FALSE, |uri| self.is_local(uri.host))
    }

    /// Whether the host of the Request-URI is a local domain; in a branch route that of the branch. Returns 1 or -1.
    #[ksr(cfg = ["is_uri_host_local"])]
    fn is_uri_host_local(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.parse_request_uri().map_or(Outcome::FALSE, |uri| self.is_local(uri.host))
    }

    /// Whether this is a local domain, without case. Returns 1 or -1.
    #[ksr(cfg = ["is_domain_local"], no_message)]
    fn is_domain_local(&self, domain: &[u8]) -> Outcome {
        self.is_local(domain)
    }

    /// Whether this is a local domain; its id goes into `$avp(did)` and its attributes into AVPs of their names. Returns 1 or -1.
    #[ksr(cfg = ["lookup_domain"])]
    fn lookup_domain(&self, ctx: &mut RouteContext<'_>, domain: &[u8]) -> Outcome {
        self.lookup(ctx, domain, b"")
    }

    /// As `lookup_domain`, with a text put before the names of the AVPs.
    #[ksr(cfg = ["lookup_domain"])]
    fn lookup_domain_prefix(&self, ctx: &mut RouteContext<'_>, domain: &[u8], prefix: &[u8]) -> Outcome {
        self.lookup(ctx, domain, prefix)
    }
}

fn module(module: &dyn Module) -> Result<&Domain, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "domain.reload",
        doc: "Reads the domains and their attributes anew. When they cannot be read those before stay.",
        call: |m, _, _, _| match module(m)?.load() {
            Ok(()) => Ok(Json::Null),
            Err(_) => Err(RpcError::new(400, "Reload of domain tables failed")),
        },
    },
    RpcCommand {
        name: "domain.dump",
        doc: "The local domains with their ids and the names of attributes.",
        call: dump,
    },
];

fn dump(m: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Result<Json, RpcError> {
    let table = module(m)?.table.load_full();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut domains: Vec<_> = table.domains.values().collect();
    domains.sort_by_key(|(_, written)| written);
    let mut attributes: Vec<_> = table.attributes.iter().collect();
    attributes.sort_by_key(|(did, _)| *did);
    Ok(json!({
        "domains": domains
            .iter()
            .map(|(did, written)| json!({ "domain": written, "did": lossy(did) }))
            .collect::<Vec<_>>(),
        "attributes": attributes
            .iter()
            .map(|(did, list)| {
                json!({ "did": lossy(did), "attrs": list.iter().map(|a| lossy(&a.name)).collect::<Vec<_>>() })
            })
            .collect::<Vec<_>>(),
    }))
}

impl Module for Domain {
    fn name(&self) -> &'static str {
        "domain"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    /// A database that is down does not stop the start.
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        self.database = Some(Source::open("domain", &self.settings.db_url)?);
        self.pending.store(self.load().is_err(), Ordering::Relaxed);
        if self.settings.register_myself {
            let table = self.table.clone();
            setup.config.local_hosts.register(move |host| table.load().did(host).is_some());
        }
        Ok(())
    }
    fn tick(&self, _: &Core, now: Now) {
        const PAUSE: u64 = 10;
        if self.pending.load(Ordering::Relaxed) && now.unix() >= self.tried.load(Ordering::Relaxed) + PAUSE {
            self.tried.store(now.unix(), Ordering::Relaxed);
            self.pending.store(self.load().is_err(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use script::{CoreConfig, Setup};
    use store::{Database, Memory, Value as Cell};

    const MESSAGE: &str = "INVITE sip:b@Example.COM SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:a@else.org>;tag=1\nTo: <sip:b@example.com>\nCall-ID: c\nCSeq: 1 INVITE\n";

    fn fill(memory: &Memory) {
        memory.create("domain", &["domain", "did"], &["domain"]);
        memory.create("domain_attrs", &["did", "name", "type", "value"], &[]);
        for (domain, did) in
            [("example.com", Cell::Null), ("Case.Org", Cell::text("cid")), ("bad.org", Cell::text(""))]
        {
            memory.insert("domain", &["domain", "did"], &[Cell::text(domain), did]).expect("inserted");
        }
        for (did, name, kind, value) in [
            ("cid", "color", 2, "red"),
            ("cid", "color", 2, "green"),
            ("cid", "limit", 0, "17"),
            ("cid", "bad", 0, "x"),
            ("cid", "worse", 3, "x"),
        ] {
            let row = [Cell::text(did), Cell::text(name), Cell::Int(kind), Cell::text(value)];
            memory.insert("domain_attrs", &["did", "name", "type", "value"], &row).expect("inserted");
        }
    }

    fn bench(url: &str, database: &Arc<dyn Database>) -> Bench {
        store::substitute(url, database);
        let mut module = Domain::default();
        module.set_param("db_url", ParamValue::Str(url.into())).expect("declared");
        module.set_param("register_myself", ParamValue::Int(1)).expect("declared");
        let config = CoreConfig::default();
        let now = Bench::new(Vec::new()).now;
        module.setup(&Setup { config: &config, listeners: &[], modules: &[], now }).expect("fits");
        let modules: Vec<Arc<dyn Module>> = vec![Arc::new(module), Arc::new(crate::pv::PvModule::default())];
        Bench::with_config(modules, config)
    }

    #[test]
    fn domains_and_attributes() {
        let memory = Arc::new(Memory::new());
        fill(&memory);
        let database: Arc<dyn Database> = memory.clone();
        let bench = bench("mysql://domain/attributes", &database);
        let mut ctx = bench.request(MESSAGE);
        let mut call = |name: &str, args: &[&str]| {
            let args: Vec<_> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
            bench.call(&mut ctx, &format!("domain.{name}"), &args).to_int()
        };
        assert_eq!([call("is_from_local", &[]), call("is_uri_host_local", &[])], [Some(-1), Some(1)]);
        for (domain, wanted) in
            [("EXAMPLE.com", 1), ("case.org", 1), ("bad.org", -1), ("", -1), (&"x".repeat(10_000), -1)]
        {
            assert_eq!(call("is_domain_local", &[domain]), Some(wanted), "{domain:.20}");
        }
        assert_eq!(call("lookup_domain", &["else.org"]), Some(-1));
        assert_eq!(call("lookup_domain", &["case.org"]), Some(1));
        assert_eq!(call("lookup_domain_prefix", &["example.com", "from_"]), Some(1));
        for (pv, wanted) in [
            ("$avp(did)", Value::owned("cid")),
            ("$(avp(color)[*])", Value::owned("red, green")),
            ("$avp(limit)", Value::Int(17)),
            ("$avp(bad)", Value::Null),
            ("$avp(from_did)", Value::owned("example.com")),
        ] {
            assert_eq!(bench.pv(&ctx, pv), wanted, "{pv}");
        }
        assert!(ctx.is_myself(b"Case.Org", Some(5090), None) && !ctx.is_myself(b"else.org", None, None));
    }

    #[test]
    fn tables_that_come_later_and_reloads_that_fail() {
        let memory = Arc::new(Memory::new());
        let database: Arc<dyn Database> = memory.clone();
        let bench = bench("mysql://domain/later", &database);
        let module = bench.core.registry.module::<Domain>().expect("loaded");
        assert_eq!(module.is_local(b"example.com"), Outcome::FALSE);
        let rpc = |name: &str| {
            let command = RPC.iter().find(|c| c.name == name).expect("declared");
            (command.call)(module, &bench.core, bench.now, &[])
        };
        assert_eq!(rpc("domain.reload").map_err(|e| e.code), Err(400));
        fill(&memory);
        module.tick(&bench.core, bench.now);
        assert_eq!(module.is_local(b"example.com"), Outcome::TRUE);
        let dump = rpc("domain.dump").expect("answers");
        assert_eq!(dump["domains"][0], json!({ "domain": "Case.Org", "did": "cid" }));
        assert_eq!(dump["attributes"][0]["attrs"], json!(["color", "color", "limit"]));
    }
}
