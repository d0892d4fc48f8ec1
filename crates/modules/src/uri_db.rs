//! Whether a URI's user may be used by whoever authenticated, and whether it exists, by a table of subscribers or of URIs.

use message::Uri;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, Setup, SetupError, ksr_module,
};
use store::{Condition, Query, Value as Cell};

use crate::database::{DEFAULT_URL, Source};

/// Module `uri_db`.
#[derive(Debug, Default)]
pub struct UriDb {
    settings: Settings,
    database: Option<Source>,
}

/// Parameters of `uri_db`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Table, `subscriber` or (with `use_uri_table`) `uri`. Default `subscriber`.
    db_table: String,
    /// Database. Default `mysql://kamailioro:kamailioro@localhost/kamailio`.
    db_url: String,
    /// Column of domains. Default `domain`.
    domain_column: String,
    /// Column of URI users in table `uri`. Default `uri_user`.
    uriuser_column: String,
    /// 1: `does_uri_exist` compares the domain, too. Default 0.
    use_domain: bool,
    /// 1: `db_table` says which URI users a user may have; 0: only the own one. Default 0.
    use_uri_table: bool,
    /// Column of users. Default `username`.
    user_column: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            db_table: "subscriber".into(),
            db_url: DEFAULT_URL.into(),
            domain_column: "domain".into(),
            uriuser_column: "uri_user".into(),
            use_domain: false,
            use_uri_table: false,
            user_column: "username".into(),
        }
    }
}

/// What the functions return besides 1 and -1.
mod code {
    pub const NOT_AUTHENTICATED: i64 = -2;
    pub const NO_USER: i64 = -4;
    pub const UNKNOWN: i64 = -5;
    pub const NO_ROW: i64 = -9;
    pub const OTHER_USER: i64 = -10;
}

impl UriDb {
    fn exists(&self, conditions: &[Condition<'_>]) -> Option<bool> {
        let texts = conditions.iter().filter_map(|c| c.value.as_text());
        if texts.into_iter().any(|t| t.contains(&0) || std::str::from_utf8(t).is_err()) {
            return Some(false);
        }
        let columns = [&self.settings.user_column[..]];
        let query =
            Query { table: &self.settings.db_table, columns: &columns, conditions, order_by: None, limit: 1 };
        self.database.as_ref()?.query(&query).ok().map(|rows| !rows.is_empty())
    }

    fn check(&self, uri: &[u8], username: &[u8], realm: &[u8]) -> Outcome {
        let s = &self.settings;
        let Ok(uri) = Uri::parse(uri) else { return Outcome::FALSE };
        let Some(user) = uri.user.filter(|u| !u.is_empty()) else { return Outcome(code::NO_USER) };
        if !s.use_uri_table {
            return if user == username { Outcome::TRUE } else { Outcome(code::OTHER_USER) };
        }
        let found = self.exists(&[
            Condition::equal(&s.user_column, Cell::text(username)),
            Condition::equal(&s.domain_column, Cell::text(realm)),
            Condition::equal(&s.uriuser_column, Cell::text(user)),
        ]);
        match found {
            Some(true) => Outcome::TRUE,
            Some(false) => Outcome(code::NO_ROW),
            None => Outcome::FALSE,
        }
    }

    /// Against the credentials that were found right.
    fn check_own(&self, ctx: &RouteContext<'_>, uri: &[u8]) -> Outcome {
        if Uri::parse(uri).is_err() {
            return Outcome::FALSE;
        }
        match crate::auth::authorized(ctx, &ctx.message) {
            Some(c) => {
                let realm = c.domain().or(c.realm).unwrap_or_default();
                self.check(uri, c.user().unwrap_or_default(), realm)
            }
            None => Outcome(code::NOT_AUTHENTICATED),
        }
    }
}

#[ksr_module("uri_db")]
impl UriDb {
    /// Whether the user of From is the one that authenticated, or with `use_uri_table` one that user may have.
    ///
    /// Returns 1; -1 it is no URI or the database does not answer, -2 nobody authenticated, -4 it has no user, -9 no such row, -10
    /// another user.
    #[ksr(cfg = ["check_from"], routes(REQUEST), blocking)]
    fn check_from(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let message = ctx.message.clone();
        message.from().map_or(Outcome::FALSE, |from| self.check_own(ctx, from.uri))
    }

    /// As `check_from`, for To.
    #[ksr(cfg = ["check_to"], routes(REQUEST), blocking)]
    fn check_to(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let message = ctx.message.clone();
        message.to().map_or(Outcome::FALSE, |to| self.check_own(ctx, to.uri))
    }

    /// As `check_from`, for this URI.
    #[ksr(cfg = ["check_uri"], routes(REQUEST), blocking)]
    fn check_uri(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> Outcome {
        self.check_own(ctx, uri)
    }

    /// As `check_uri`, for this user and realm instead of those that authenticated.
    #[ksr(cfg = ["check_uri"], routes(REQUEST), blocking)]
    fn check_uri_realm(&self, uri: &[u8], username: &[u8], realm: &[u8]) -> Outcome {
        self.check(uri, username, realm)
    }

    /// Whether the user of the Request-URI is in the table. Returns 1; -5 when it is not, -1 when the database does not answer.
    #[ksr(cfg = ["does_uri_exist"], blocking)]
    fn does_uri_exist(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let s = &self.settings;
        let Ok(uri) = ctx.parse_request_uri() else { return Outcome::FALSE };
        let column = if s.use_uri_table { &s.uriuser_column } else { &s.user_column };
        let conditions = [
            Condition::equal(column, Cell::text(uri.user.unwrap_or_default())),
            Condition::equal(&s.domain_column, Cell::text(uri.host)),
        ];
        match self.exists(if s.use_domain { &conditions } else { &conditions[..1] }) {
            Some(true) => Outcome::TRUE,
            Some(false) => Outcome(code::UNKNOWN),
            None => Outcome::FALSE,
        }
    }
}

impl Module for UriDb {
    fn name(&self) -> &'static str {
        "uri_db"
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
        self.database = Some(Source::open("uri_db", &self.settings.db_url)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;
    use store::{Database, Memory};

    /// As seen at Kamailio 5.6.3.
    #[test]
    fn own_users_and_existing_ones() {
        let memory = Memory::new();
        memory.create("uri", &["username", "domain", "uri_user"], &[]);
        memory.create("subscriber", &["username", "domain"], &[]);
        for user in ["alice", "500"] {
            let row = ["alice", "example.com", user].map(Cell::text);
            memory.insert("uri", &["username", "domain", "uri_user"], &row).expect("inserted");
        }
        let row = ["alice", "example.com"].map(Cell::text);
        memory.insert("subscriber", &["username", "domain"], &row).expect("inserted");
        let database: Arc<dyn Database> = Arc::new(memory);
        store::substitute("mysql://uri_db/own", &database);
        for (table, same, other) in [("subscriber", -10, -10), ("uri", 1, -9)] {
            let mut module = UriDb::default();
            module.set_param("db_url", ParamValue::Str("mysql://uri_db/own".into())).expect("declared");
            module.set_param("db_table", ParamValue::Str(table.into())).expect("declared");
            let by_table = ParamValue::Int(i64::from(table == "uri"));
            module.set_param("use_uri_table", by_table).expect("declared");
            let empty = Bench::new(Vec::new());
            let setup = Setup { config: &empty.core.config, listeners: &[], modules: &[], now: empty.now };
            module.setup(&setup).expect("fits");
            let bench = Bench::new(vec![Arc::new(module)]);
            let mut ctx = bench.request(
                "INVITE sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:alice@example.com>;tag=1\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 INVITE\n",
            );
            let mut call = |name: &str, args: &[&str]| {
                let args: Vec<_> = args.iter().map(|a| Value::str(a.as_bytes())).collect();
                bench.call(&mut ctx, &format!("uri_db.{name}"), &args).to_int().expect("an int")
            };
            assert_eq!(call("check_from", &[]), -2, "nobody authenticated");
            assert_eq!(call("check_uri", &["junk"]), -1);
            let realm = "example.com";
            assert_eq!(call("check_uri_realm", &["sip:alice@example.com", "alice", realm]), 1);
            assert_eq!(call("check_uri_realm", &["sip:500@example.com", "alice", realm]), same);
            assert_eq!(call("check_uri_realm", &["sip:bob@example.com", "alice", realm]), other);
            assert_eq!(call("check_uri_realm", &["sip:example.com", "alice", realm]), -4);
            assert_eq!(call("does_uri_exist", &[]), 1);
        }
    }
}
