//! Groups of users in a database: by name, and by patterns of URIs.

use message::Uri;
use regex::bytes::Regex;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, Pv, RouteContext, Setup, SetupError, Value,
    ksr_module,
};
use store::{Condition, Query, Value as Cell};

use crate::database::{DEFAULT_URL, Source, to_int, to_text};

/// Module `group`.
#[derive(Debug, Default)]
pub struct Group {
    settings: Settings,
    database: Option<Source>,
    /// Rows of `re_table`, read at the start.
    patterns: Vec<(Regex, i64)>,
}

/// Parameters of `group`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Database. Default `mysql://kamailioro:kamailioro@localhost/kamailio`.
    db_url: String,
    /// Column of domains. Default `domain`.
    domain_column: String,
    /// Column of group names. Default `grp`.
    group_column: String,
    /// 1: `get_user_group` yields all groups that fit; 0: the first. Default 1.
    multiple_gid: bool,
    /// Column of patterns in `re_table`. Default `reg_exp`.
    re_exp_column: String,
    /// Column of group ids in `re_table`. Default `group_id`.
    re_gid_column: String,
    /// Table of patterns for `get_user_group`, read at the start. Default none.
    re_table: Option<String>,
    /// Table of groups. Default `grp`.
    table: String,
    /// 1: the domain must fit, too. Default 0.
    use_domain: bool,
    /// Column of users. Default `username`.
    user_column: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            db_url: DEFAULT_URL.into(),
            domain_column: "domain".into(),
            group_column: "grp".into(),
            multiple_gid: true,
            re_exp_column: "reg_exp".into(),
            re_gid_column: "group_id".into(),
            re_table: None,
            table: "grp".into(),
            use_domain: false,
            user_column: "username".into(),
        }
    }
}

/// Most rows of `re_table`.
const PATTERNS: usize = 10_000;

/// What `Request-URI`, `To`, `From` and `Credentials` stand for; anything else is a URI already.
fn named(ctx: &RouteContext<'_>, uri: &[u8]) -> Option<Vec<u8>> {
    Some(match uri {
        b"Request-URI" => ctx.request_uri().to_vec(),
        b"To" => ctx.message.to().ok()?.uri.to_vec(),
        b"From" => ctx.message.from().ok()?.uri.to_vec(),
        b"Credentials" => {
            let credentials = crate::pv::credentials(ctx)?;
            let domain = credentials.domain().or(credentials.realm)?;
            [b"sip:", credentials.user()?, b"@", domain].concat()
        }
        uri => uri.to_vec(),
    })
}

#[ksr_module("group")]
impl Group {
    /// Whether the user of a URI is in a group. `uri` may also be `Request-URI`, `To`, `From` or `Credentials`.
    ///
    /// Returns 1; -6 when the user is not in it, -1 when it is no URI or the database does not answer.
    #[ksr(cfg = ["is_user_in"], blocking)]
    fn is_user_in(&self, ctx: &mut RouteContext<'_>, uri: &[u8], group: &[u8]) -> Outcome {
        let (Some(database), Some(uri)) = (&self.database, named(ctx, uri)) else { return Outcome::FALSE };
        let Ok(uri) = Uri::parse(&uri) else { return Outcome::FALSE };
        let Some(user) = uri.user.filter(|u| !u.contains(&0) && std::str::from_utf8(u).is_ok()) else {
            return Outcome::FALSE;
        };
        let s = &self.settings;
        let conditions = [
            Condition::equal(&s.user_column, Cell::text(user)),
            Condition::equal(&s.group_column, Cell::text(group)),
            Condition::equal(&s.domain_column, Cell::text(uri.host)),
        ];
        let conditions = if s.use_domain { &conditions[..] } else { &conditions[..2] };
        let columns = [&s.group_column[..]];
        match database.query(&Query {
            table: &s.table,
            columns: &columns,
            conditions,
            order_by: None,
            limit: 1,
        }) {
            Ok(rows) if rows.is_empty() => Outcome(-6),
            Ok(_) => Outcome::TRUE,
            Err(_) => Outcome::FALSE,
        }
    }

    /// Writes the ids of the groups whose patterns fit a URI to an AVP. `uri` as for `is_user_in`. Returns 1, or -1 when none fits.
    #[ksr(cfg = ["get_user_group"])]
    fn get_user_group(&self, ctx: &mut RouteContext<'_>, uri: &[u8], avp: &Pv) -> Outcome {
        let Some(uri) = named(ctx, uri) else { return Outcome::FALSE };
        let most = if self.settings.multiple_gid { usize::MAX } else { 1 };
        let fitting = self.patterns.iter().filter(|(pattern, _)| pattern.is_match(&uri)).take(most);
        let mut found = false;
        for (_, id) in fitting {
            found |= avp.set(ctx, Value::Int(*id));
        }
        Outcome::from(found)
    }
}

impl Module for Group {
    fn name(&self) -> &'static str {
        "group"
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
        let database = Source::open("group", &self.settings.db_url)?;
        if let Some(table) = &self.settings.re_table {
            let columns = [&self.settings.re_exp_column[..], &self.settings.re_gid_column];
            let query = Query { table, columns: &columns, limit: PATTERNS, ..Query::default() };
            let rows = database.query(&query).map_err(|e| SetupError(format!("re_table: {e}")))?;
            for row in rows {
                let pattern = script::regexp::compile(&to_text(row.first()), b"")
                    .map_err(|e| SetupError(format!("re_table: {e}")))?;
                self.patterns.push((pattern, to_int(row.get(1)).unwrap_or(0)));
            }
        }
        self.database = Some(database);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;
    use store::{Database, Memory};

    #[test]
    fn members_and_patterns() {
        let memory = Memory::new();
        memory.create("grp", &["username", "domain", "grp"], &[]);
        memory.create("re_grp", &["reg_exp", "group_id"], &[]);
        let row = ["alice", "example.com", "ld"].map(Cell::text);
        memory.insert("grp", &["username", "domain", "grp"], &row).expect("inserted");
        for (pattern, id) in [("^sip:al", 7), ("example", 8), ("^tel:", 9)] {
            let row = [Cell::text(pattern), Cell::Int(id)];
            memory.insert("re_grp", &["reg_exp", "group_id"], &row).expect("inserted");
        }
        let database: Arc<dyn Database> = Arc::new(memory);
        store::substitute("mysql://group/members", &database);
        let mut module = Group::default();
        for (name, value) in [("db_url", "mysql://group/members"), ("re_table", "re_grp")] {
            module.set_param(name, ParamValue::Str(value.into())).expect("declared");
        }
        module.set_param("use_domain", ParamValue::Int(1)).expect("declared");
        let empty = Bench::new(Vec::new());
        let setup = Setup { config: &empty.core.config, listeners: &[], modules: &[], now: empty.now };
        module.setup(&setup).expect("fits");
        let bench = Bench::new(vec![Arc::new(module), Arc::new(crate::pv::PvModule::default())]);
        let mut ctx = bench.request(
            "INVITE sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:bob@example.com>;tag=1\nTo: <sip:alice@else.org>\nCall-ID: c\nCSeq: 1 INVITE\n",
        );
        for (uri, group, wanted) in [
            ("sip:alice@example.com", "ld", 1),
            ("sip:alice@example.com", "ld' OR '1'='1", -6),
            ("Request-URI", "ld", 1),
            ("From", "ld", -6),
            ("To", "ld", -6),
            ("Credentials", "ld", -1),
            ("nonsense", "ld", -1),
        ] {
            let args = [Value::str(uri.as_bytes()), Value::str(group.as_bytes())];
            assert_eq!(
                bench.call(&mut ctx, "group.is_user_in", &args).to_int(),
                Some(wanted),
                "{uri} {group}"
            );
        }
        let args = [Value::str(b"Request-URI"), Value::str(b"$avp(gid)")];
        assert_eq!(bench.call(&mut ctx, "group.get_user_group", &args).to_int(), Some(1));
        assert_eq!(bench.pv(&ctx, "$(avp(gid)[*])"), Value::owned("8, 7"));
        let args = [Value::str(b"urn:x"), Value::str(b"$avp(gid)")];
        assert_eq!(bench.call(&mut ctx, "group.get_user_group", &args).to_int(), Some(-1));
    }
}
