//! Aliases of users in a database: the Request-URI `500@example.com` becomes `alice@example.com`. Nothing is kept in memory.

use message::Uri;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, Pv, RouteContext, Setup, SetupError, Value,
    ksr_module,
};
use store::{Condition, Query, Value as Cell};

use crate::database::{DEFAULT_URL, Source, to_text};
use crate::pv::set_request_uri;

/// Module `alias_db`.
#[derive(Debug, Default)]
pub struct AliasDb {
    settings: Settings,
    database: Option<Source>,
}

/// Parameters of `alias_db`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Column of the domains of aliases. Default `alias_domain`.
    alias_domain_column: String,
    /// Column of the users of aliases. Default `alias_username`.
    alias_user_column: String,
    /// 1: of several users of an alias the first becomes the Request-URI and the others branches. Default 0.
    append_branches: bool,
    /// Database. Default `mysql://kamailioro:kamailioro@localhost/kamailio`.
    db_url: String,
    /// Column of domains. Default `domain`.
    domain_column: String,
    /// Text taken off the front of the domain that is looked up. Default none.
    domain_prefix: String,
    /// 1: the domain must fit too, unless the flags of a call say otherwise. Default 0.
    use_domain: bool,
    /// Column of users. Default `username`.
    user_column: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            alias_domain_column: "alias_domain".into(),
            alias_user_column: "alias_username".into(),
            append_branches: false,
            db_url: DEFAULT_URL.into(),
            domain_column: "domain".into(),
            domain_prefix: String::new(),
            use_domain: false,
            user_column: "username".into(),
        }
    }
}

impl AliasDb {
    /// The URIs an alias stands for; with flag `r` the aliases of a URI. Flags `d` and `u`: without and with the domain.
    fn find_all(&self, table: &[u8], uri: &[u8], flags: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
        let database = self.database.as_ref()?;
        let s = &self.settings;
        let table = std::str::from_utf8(table).ok().filter(|t| !t.is_empty())?;
        let uri = Uri::parse(uri).ok()?;
        let user = uri.user.filter(|u| !u.is_empty() && !u.contains(&0) && std::str::from_utf8(u).is_ok())?;
        let host = uri.host.strip_prefix(s.domain_prefix.as_bytes()).unwrap_or(uri.host);
        let with_domain = flags.iter().fold(s.use_domain, |with, flag| match flag {
            b'd' => false,
            b'u' => true,
            _ => with,
        });
        let (aliases, users) =
            ([&s.alias_user_column[..], &s.alias_domain_column], [&s.user_column[..], &s.domain_column]);
        let (from, to) = if flags.contains(&b'r') { (users, aliases) } else { (aliases, users) };
        let conditions =
            [Condition::equal(from[0], Cell::text(user)), Condition::equal(from[1], Cell::text(host))];
        let conditions = if with_domain { &conditions[..] } else { &conditions[..1] };
        let rows =
            database.query(&Query { table, columns: &to, conditions, order_by: None, limit: most }).ok()?;
        let found = rows.iter().filter_map(|row| {
            let (user, domain) = (to_text(row.first()), to_text(row.get(1)));
            let domain = if domain.is_empty() { host } else { &domain };
            let found = [b"sip:", &user[..], b"@", domain].concat();
            // A row that makes no URI would be sent to somebody.
            Uri::parse(&found).is_ok().then_some(found)
        });
        let found: Vec<_> = found.collect();
        (!found.is_empty()).then_some(found)
    }

    fn replace(&self, ctx: &mut RouteContext<'_>, table: &[u8], flags: &[u8]) -> Outcome {
        let most = if self.settings.append_branches { ctx.core.config.max_branches + 1 } else { 1 };
        let Some(found) = self.find_all(table, ctx.request_uri(), flags, most) else { return Outcome::FALSE };
        let mut found = found.into_iter();
        if let Some(first) = found.next() {
            set_request_uri(ctx, &first);
        }
        for uri in found {
            ctx.branches.push(script::Branch { uri, q: -1, ..script::Branch::default() });
        }
        Outcome::TRUE
    }
}

#[ksr_module("alias_db")]
impl AliasDb {
    /// When the Request-URI is an alias in the table, the user's URI takes its place. Returns 1; -1 when it is none, or the database
    /// does not answer.
    #[ksr(cfg = ["alias_db_lookup"], routes(REQUEST, FAILURE), blocking)]
    fn lookup(&self, ctx: &mut RouteContext<'_>, stable: &[u8]) -> Outcome {
        self.replace(ctx, stable, b"")
    }

    /// As `lookup`. Flags: `d` without the domain, `u` with it, `r` from the user to the alias.
    #[ksr(cfg = ["alias_db_lookup"], routes(REQUEST, FAILURE), blocking)]
    fn lookup_ex(&self, ctx: &mut RouteContext<'_>, stable: &[u8], sflags: &[u8]) -> Outcome {
        self.replace(ctx, stable, sflags)
    }

    /// Writes what a URI is an alias of to a variable; the request stays. Returns 1, or -1 as `lookup`.
    #[ksr(cfg = ["alias_db_find"], blocking)]
    fn find(&self, ctx: &mut RouteContext<'_>, stable: &[u8], input: &[u8], output: &Pv) -> Outcome {
        self.find_into(ctx, stable, input, output, b"")
    }

    /// As `find`, with the flags of `lookup_ex`.
    #[ksr(cfg = ["alias_db_find"], blocking)]
    fn find_ex(
        &self,
        ctx: &mut RouteContext<'_>,
        stable: &[u8],
        input: &[u8],
        output: &Pv,
        sflags: &[u8],
    ) -> Outcome {
        self.find_into(ctx, stable, input, output, sflags)
    }
}

impl AliasDb {
    fn find_into(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        input: &[u8],
        output: &Pv,
        flags: &[u8],
    ) -> Outcome {
        let found = self.find_all(table, input, flags, 1).and_then(|f| f.into_iter().next());
        Outcome::from(found.is_some_and(|uri| output.set(ctx, Value::owned(uri))))
    }
}

impl Module for AliasDb {
    fn name(&self) -> &'static str {
        "alias_db"
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
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        self.database = Some(Source::open("alias_db", &self.settings.db_url)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;
    use store::{Database, Memory};

    fn bench(url: &str, params: &[(&str, ParamValue)]) -> (Bench, Arc<dyn Database>) {
        let memory = Memory::new();
        let columns = ["alias_username", "alias_domain", "username", "domain"];
        memory.create("dbaliases", &columns, &[]);
        for row in [
            ["500", "example.com", "alice", "example.com"],
            ["500", "example.net", "bob", "example.net"],
            ["multi", "example.com", "m1", "one.org"],
            ["multi", "example.com", "m2", "two.org"],
            ["nodom", "", "carol", ""],
            ["evil", "example.com", "a>\r\nb", "example.com"],
        ] {
            memory.insert("dbaliases", &columns, &row.map(Cell::text)).expect("inserted");
        }
        let database: Arc<dyn Database> = Arc::new(memory);
        store::substitute(url, &database);
        let mut module = AliasDb::default();
        module.set_param("db_url", ParamValue::Str(url.into())).expect("declared");
        for (name, value) in params {
            module.set_param(name, value.clone()).expect("declared");
        }
        let empty = Bench::new(Vec::new());
        let setup = Setup { config: &empty.core.config, listeners: &[], modules: &[], now: empty.now };
        module.setup(&setup).expect("fits");
        (Bench::new(vec![Arc::new(module), Arc::new(crate::pv::PvModule::default())]), database)
    }

    fn lookup(bench: &Bench, uri: &str, flags: &str) -> (Option<i64>, String, usize) {
        let text = format!(
            "INVITE {uri} SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 INVITE\n"
        );
        let mut ctx = bench.request(&text);
        let args = [Value::str(b"dbaliases"), Value::str(flags.as_bytes())];
        let result = bench.call(&mut ctx, "alias_db.lookup_ex", &args).to_int();
        (result, String::from_utf8_lossy(ctx.request_uri()).into_owned(), ctx.branches.len())
    }

    /// As seen at Kamailio 5.6.3.
    #[test]
    fn aliases_become_users() {
        let (bench, _held) = bench("mysql://alias_db/plain", &[]);
        for (uri, flags, wanted) in [
            ("sip:500@example.com", "", Some("sip:alice@example.com")),
            ("sip:500@example.net", "", Some("sip:alice@example.com")),
            ("sip:500@example.net", "u", Some("sip:bob@example.net")),
            ("sip:500@other.org", "u", None),
            ("sip:alice@example.com", "r", Some("sip:500@example.com")),
            ("sip:500@example.com", "r", None),
            ("tel:500", "", Some("sip:alice@example.com")),
            ("sip:500:pw@example.com:5070;a=b?x=y", "", Some("sip:alice@example.com")),
            ("sip:nodom@x.org", "", Some("sip:carol@x.org")),
            ("sip:evil@example.com", "", None),
            ("sip:5'00@example.com", "", None),
            ("sip:example.com", "", None),
        ] {
            let (result, now, _) = lookup(&bench, uri, flags);
            assert_eq!(
                (result, now.as_str()),
                wanted.map_or((Some(-1), uri), |w| (Some(1), w)),
                "{uri} {flags}"
            );
        }
    }

    #[test]
    fn parameters_and_branches() {
        let params = [
            ("use_domain", ParamValue::Int(1)),
            ("append_branches", ParamValue::Int(1)),
            ("domain_prefix", ParamValue::Str("sip.".into())),
        ];
        let (bench, _held) = bench("mysql://alias_db/params", &params);
        assert_eq!(lookup(&bench, "sip:500@sip.example.net", ""), (Some(1), "sip:bob@example.net".into(), 0));
        assert_eq!(lookup(&bench, "sip:500@example.net", "d"), (Some(1), "sip:alice@example.com".into(), 1));
        assert_eq!(lookup(&bench, "sip:multi@example.com", ""), (Some(1), "sip:m1@one.org".into(), 1));
        let mut ctx = bench.request(
            "INVITE sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 INVITE\n",
        );
        let args = [Value::str(b"dbaliases"), Value::str(b"sip:500@example.com"), Value::str(b"$var(x)")];
        assert_eq!(bench.call(&mut ctx, "alias_db.find", &args).to_int(), Some(1));
        assert_eq!(bench.pv(&ctx, "$var(x)"), Value::owned("sip:alice@example.com"));
        let args = [Value::str(b"nowhere"), Value::str(b"sip:500@example.com"), Value::str(b"$var(x)")];
        assert_eq!(bench.call(&mut ctx, "alias_db.find", &args).to_int(), Some(-1));
    }
}
