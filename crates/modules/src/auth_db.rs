//! Digest authentication against passwords in a database.

use std::sync::Arc;

use message::{Method, Uri};
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, RouteContext, Setup, SetupError, ksr_module,
};
use store::{Condition, Query, Value as Cell};

use crate::auth::digest::Secret;
use crate::auth::{Auth, Authenticator, Checked, Kind, Refused, is_own_user};
use crate::database::{DEFAULT_URL, Source, to_script};
use crate::pv::{add_avp, avp_of, set_xavp};

/// Module `auth_db`.
#[derive(Debug, Default)]
pub struct AuthDb {
    settings: Settings,
    load: Vec<Load>,
    bound: Option<Bound>,
}

/// What is there once the module is set up.
#[derive(Debug)]
struct Bound {
    authenticator: Arc<Authenticator>,
    database: Source,
}

/// A column of `load_credentials` and where its value goes.
#[derive(Debug)]
struct Load {
    column: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Avp(Box<[u8]>),
    Xavp(Box<[u8]>),
}

/// Parameters of `auth_db`.
#[derive(Debug, ModParams)]
struct Settings {
    /// 1: `password_column` holds the password and the hash is made of it; 0: it holds HA1. Default 0.
    calculate_ha1: bool,
    /// Database with the subscribers. Default `mysql://kamailioro:kamailioro@localhost/kamailio`.
    db_url: String,
    /// Column of domains. Default `domain`.
    domain_column: String,
    /// 1: `load_credentials` are loaded also when the response was wrong. Default 0.
    force_generate_avps: bool,
    /// Columns to load when credentials are right, with semicolons: `column` into the AVP of that name, `$avp(name)=column`,
    /// `$xavp(name=>field)=column`. Default none.
    load_credentials: String,
    /// Column of passwords, or of HA1 made of the username without domain. Default `ha1`.
    password_column: String,
    /// Column of HA1 made of usernames with domain. Default `ha1b`.
    password_column_2: String,
    /// 1: the domain must fit too: that of the username, else the realm. Default 0.
    use_domain: bool,
    /// Column of usernames. Default `username`.
    user_column: String,
    /// 1: the version of the table is checked. Taken; `trunkline db check` does that.
    version_table: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            calculate_ha1: false,
            db_url: DEFAULT_URL.into(),
            domain_column: "domain".into(),
            force_generate_avps: false,
            load_credentials: String::new(),
            password_column: "ha1".into(),
            password_column_2: "ha1b".into(),
            use_domain: false,
            user_column: "username".into(),
            version_table: true,
        }
    }
}

/// Bits of `auth_check`'s `flags`.
mod flags {
    pub const OWN_USER: i64 = 1;
    pub const SKIP_CALLS: i64 = 2;
}

/// Bits of `is_subscriber`'s `flags`.
mod subscriber {
    pub const DOMAIN: i64 = 1;
    pub const LOAD_NOTHING: i64 = 2;
}

/// Why there is no row.
enum Missing {
    NoUser,
    NoAnswer,
}

impl AuthDb {
    /// One row of the table: `first` if it is given, then the columns of `load_credentials`.
    fn row(
        &self,
        table: &[u8],
        first: Option<&str>,
        user: &[u8],
        domain: Option<&[u8]>,
        load: bool,
    ) -> Result<Vec<Cell>, Missing> {
        let Some(bound) = &self.bound else { return Err(Missing::NoAnswer) };
        let table = std::str::from_utf8(table).ok().filter(|t| !t.is_empty()).ok_or(Missing::NoAnswer)?;
        if !could_be_kept(user) || !domain.is_none_or(could_be_kept) {
            return Err(Missing::NoUser);
        }
        let settings = &self.settings;
        let user = Condition::equal(&settings.user_column, Cell::text(user));
        let domain = domain.map(|d| Condition::equal(&settings.domain_column, Cell::text(d)));
        let loaded = if load { &self.load[..] } else { &[] };
        let mut columns: Vec<&str> = first.into_iter().collect();
        columns.extend(loaded.iter().map(|l| l.column.as_str()));
        if columns.is_empty() {
            columns.push(&settings.user_column);
        }
        let ask = |conditions: &[Condition<'_>]| {
            bound.database.query(&Query { table, columns: &columns, conditions, order_by: None, limit: 1 })
        };
        let rows = match domain {
            Some(domain) => ask(&[user, domain]),
            None => ask(&[user]),
        };
        rows.map_err(|_| Missing::NoAnswer)?.into_iter().next().ok_or(Missing::NoUser)
    }

    fn load<'r>(&self, ctx: &mut RouteContext<'_>, values: impl Iterator<Item = &'r Cell>) {
        for (load, value) in self.load.iter().zip(values) {
            let value = to_script(value);
            match &load.target {
                _ if value.is_null() => {}
                Target::Avp(name) => add_avp(ctx, name, &value),
                Target::Xavp(path) => {
                    set_xavp(ctx, path, &value);
                }
            }
        }
    }

    fn authenticate(
        &self,
        ctx: &mut RouteContext<'_>,
        kind: Kind,
        realm: &[u8],
        table: &[u8],
        method: Option<&[u8]>,
        flags: i64,
    ) -> Outcome {
        let message = ctx.message.clone();
        let Some(bound) = &self.bound else { return Refused::Error.into() };
        if realm.is_empty() || table.is_empty() {
            tracing::error!(target: "auth_db", "realm and table must not be empty");
            return Refused::Error.into();
        }
        let checked = match bound.authenticator.begin(ctx, &message, kind, realm) {
            Err(decided) => return decided,
            Ok(checked) => checked,
        };
        let row = match self.password_row(&checked, realm, table) {
            Ok(row) => row,
            Err(Missing::NoUser) => return Refused::User.into(),
            Err(Missing::NoAnswer) => return Refused::Error.into(),
        };
        let password = row.first().map_or(script::Value::Null, to_script);
        let password = password.to_text();
        let secret =
            if self.settings.calculate_ha1 { Secret::Password(&password) } else { Secret::Ha1(&password) };
        let method = method.unwrap_or(message.method_text());
        let outcome = bound.authenticator.finish(ctx, &message, &checked, secret, method, false);
        if outcome == Outcome::TRUE || self.settings.force_generate_avps {
            self.load(ctx, row.iter().skip(1));
        }
        if outcome == Outcome::TRUE && flags & flags::OWN_USER != 0 {
            let anonymous = flags & flags::SKIP_CALLS != 0
                && matches!(
                    message.method(),
                    Method::Invite | Method::Bye | Method::Prack | Method::Update | Method::Message
                );
            if !anonymous && !is_own_user(&message, checked.credentials.user()) {
                return Refused::Mismatch.into();
            }
        }
        outcome
    }

    fn password_row(&self, checked: &Checked<'_>, realm: &[u8], table: &[u8]) -> Result<Vec<Cell>, Missing> {
        let settings = &self.settings;
        let own_domain = checked.credentials.domain();
        let column = match own_domain {
            Some(_) if !settings.calculate_ha1 => &settings.password_column_2,
            _ => &settings.password_column,
        };
        let domain = settings.use_domain.then(|| own_domain.unwrap_or(realm));
        let user = checked.credentials.user().unwrap_or_default();
        self.row(table, Some(column), user, domain, true)
    }
}

#[ksr_module("auth_db")]
impl AuthDb {
    /// Checks credentials in Authorization (REGISTER) or Proxy-Authorization against a table.
    ///
    /// Flags: 1 the user must also be that of From (REGISTER: and To; PUBLISH: and the Request-URI); 2 with 1, but not for INVITE, BYE,
    /// PRACK, UPDATE and MESSAGE, which may be anonymous.
    ///
    /// Returns 1; -1 the credentials cannot be read, or the database does not answer; -2 wrong response, -3 no such user, -4 the nonce
    /// is no longer good, -5 no credentials for the realm, -6 the nonce was used, -8 another user. ACK, CANCEL and PRACK are 1: nobody
    /// can challenge them.
    #[ksr(cfg = ["auth_check"], routes(REQUEST), blocking)]
    fn auth_check(&self, ctx: &mut RouteContext<'_>, realm: &[u8], table: &[u8], flags: i64) -> Outcome {
        let kind = Kind::of(ctx.message.method());
        self.authenticate(ctx, kind, realm, table, None, flags)
    }

    /// Checks credentials in Authorization against a table; see `auth_check`.
    #[ksr(cfg = ["www_authenticate", "www_authorize"], routes(REQUEST), blocking)]
    fn www_authenticate(&self, ctx: &mut RouteContext<'_>, realm: &[u8], table: &[u8]) -> Outcome {
        self.authenticate(ctx, Kind::Www, realm, table, None, 0)
    }

    /// As `www_authenticate`, for a response that was made for another method.
    #[ksr(cfg = ["www_authenticate"], routes(REQUEST), blocking)]
    fn www_authenticate_method(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        table: &[u8],
        method: &[u8],
    ) -> Outcome {
        self.authenticate(ctx, Kind::Www, realm, table, Some(method), 0)
    }

    /// Checks credentials in Proxy-Authorization against a table; see `auth_check`.
    #[ksr(cfg = ["proxy_authenticate", "proxy_authorize"], routes(REQUEST), blocking)]
    fn proxy_authenticate(&self, ctx: &mut RouteContext<'_>, realm: &[u8], table: &[u8]) -> Outcome {
        self.authenticate(ctx, Kind::Proxy, realm, table, None, 0)
    }

    /// Whether a URI's user is in a table; `load_credentials` are loaded.
    ///
    /// Flags: 1 the domain must fit, too; 2 nothing is loaded. Returns 1; -1 for what is no URI or when the database does not answer,
    /// -2 when there is no such user.
    #[ksr(cfg = ["is_subscriber"], blocking)]
    fn is_subscriber(&self, ctx: &mut RouteContext<'_>, uri: &[u8], table: &[u8], flags: i64) -> Outcome {
        let Ok(uri) = Uri::parse(uri) else { return Outcome::FALSE };
        let domain = (flags & subscriber::DOMAIN != 0).then_some(uri.host);
        let load = flags & subscriber::LOAD_NOTHING == 0;
        match self.row(table, None, uri.user.unwrap_or_default(), domain, load) {
            Ok(row) => {
                if load {
                    self.load(ctx, row.iter());
                }
                Outcome::TRUE
            }
            Err(Missing::NoUser) => Outcome(-2),
            Err(Missing::NoAnswer) => Outcome::FALSE,
        }
    }
}

/// Whether a database could have this text: what is not UTF-8 or has a NUL is refused by some, which looks as if they had failed.
fn could_be_kept(text: &[u8]) -> bool {
    !text.contains(&0) && std::str::from_utf8(text).is_ok()
}

/// `column`, `$avp(name)=column`, `$xavp(name=>field)=column`; several with semicolons.
fn parse_load(text: &str) -> Result<Vec<Load>, SetupError> {
    let items = text.split(';').map(str::trim).filter(|i| !i.is_empty());
    items
        .map(|item| {
            let wrong = || {
                SetupError(format!("load_credentials: \"{item}\" is neither a column nor $avp(name)=column"))
            };
            let (target, column) = match item.rsplit_once('=') {
                Some((target, column)) => (target.trim(), column.trim()),
                None => (item, item),
            };
            let target = match target.strip_prefix("$xavp(").and_then(|t| t.strip_suffix(')')) {
                Some(path) => Target::Xavp(path.as_bytes().into()),
                None => Target::Avp(avp_of(target).ok_or_else(wrong)?),
            };
            if column.is_empty() || !column.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
                return Err(wrong());
            }
            Ok(Load { column: column.into(), target })
        })
        .collect()
}

impl Module for AuthDb {
    fn name(&self) -> &'static str {
        "auth_db"
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
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        let auth = setup
            .module::<Auth>()
            .ok_or_else(|| SetupError("auth_db needs module auth: load it before auth_db".into()))?;
        let authenticator = auth.authenticator().clone();
        self.load = parse_load(&self.settings.load_credentials)?;
        self.bound = Some(Bound { authenticator, database: Source::open("auth_db", &self.settings.db_url)? });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use store::{Database, Memory};

    struct Rig {
        bench: Bench,
        memory: Arc<Memory>,
        _database: Arc<dyn Database>,
    }

    /// Users alice (secret) and bob (other) of example.com.
    fn rig(name: &str, params: &[(&str, ParamValue)]) -> Rig {
        let memory = Arc::new(Memory::new());
        let columns = ["username", "domain", "password", "ha1", "ha1b", "rpid"];
        memory.create("subscriber", &columns, &["username", "domain"]);
        for (user, password) in [("alice", "secret"), ("bob", "other")] {
            let ha1 = |user: &str| {
                let parts = [user.as_bytes(), b"example.com", password.as_bytes()];
                Cell::text(crate::auth::digest::Algorithm::Md5.hash(&parts).as_bytes())
            };
            let b = ha1(&format!("{user}@example.com"));
            let row = [
                Cell::text(user),
                Cell::text("example.com"),
                Cell::text(password),
                ha1(user),
                b,
                Cell::Int(7),
            ];
            memory.insert("subscriber", &columns, &row).expect("inserted");
        }
        let database: Arc<dyn Database> = memory.clone();
        let url = format!("mysql://auth_db/{name}");
        store::substitute(&url, &database);
        let mut module = AuthDb::default();
        module.set_param("db_url", ParamValue::Str(url)).expect("declared");
        for (name, value) in params {
            module.set_param(name, value.clone()).expect("declared");
        }
        let empty = Bench::new(Vec::new());
        let mut auth = Auth::default();
        let setup = |modules| Setup { config: &empty.core.config, listeners: &[], modules, now: empty.now };
        auth.setup(&setup(&[])).expect("fits");
        let auth: Arc<dyn Module> = Arc::new(auth);
        module.setup(&setup(std::slice::from_ref(&auth))).expect("fits");
        let modules: Vec<Arc<dyn Module>> =
            vec![auth, Arc::new(module), Arc::new(crate::pv::PvModule::default())];
        Rig { bench: Bench::new(modules), memory, _database: database }
    }

    impl Rig {
        fn message(row: &str) -> String {
            format!(
                "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n{row}From: <sip:alice@example.com>;tag=1\nTo: <sip:alice@example.com>\nCall-ID: c\nCSeq: 1 REGISTER\n"
            )
        }
        /// The credentials of a user for a fresh nonce.
        fn row(&self, user: &str, password: &str) -> String {
            let mut ctx = self.bench.request(&Self::message(""));
            let args = [Value::str(b"example.com"), Value::Int(0)];
            self.bench.call(&mut ctx, "auth.www_challenge", &args);
            let rows = String::from_utf8_lossy(ctx.edits.reply_rows()).into_owned();
            let nonce = rows.split("nonce=\"").nth(1).and_then(|r| r.split('"').next()).expect("a nonce");
            let challenged = crate::auth::digest::Challenged {
                algorithm: crate::auth::digest::Algorithm::Md5,
                sess: false,
                username: user.as_bytes(),
                realm: b"example.com",
                nonce: nonce.as_bytes(),
                uri: b"sip:example.com",
                protection: None,
            };
            let ha1 = challenged.ha1(Secret::Password(password.as_bytes()));
            let response = challenged.response(&ha1, b"REGISTER", b"");
            let response = String::from_utf8_lossy(response.as_bytes()).into_owned();
            format!(
                "Authorization: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"sip:example.com\", response=\"{response}\"\n"
            )
        }
        fn check(&self, row: &str, flags: i64) -> (i64, Value<'static>) {
            let mut ctx = self.bench.request(&Self::message(row));
            let args = [Value::str(b"example.com"), Value::str(b"subscriber"), Value::Int(flags)];
            let result = self.bench.call(&mut ctx, "auth_db.auth_check", &args).to_int().expect("an int");
            (result, self.bench.pv(&ctx, "$avp(rpid)"))
        }
        fn user(&self, user: &str, password: &str) -> i64 {
            self.check(&self.row(user, password), 0).0
        }
    }

    fn text(value: &str) -> ParamValue {
        ParamValue::Str(value.into())
    }

    #[test]
    fn stored_hashes_and_stored_passwords() {
        let hashes = rig("hashes", &[("use_domain", ParamValue::Int(1))]);
        let passwords = [("calculate_ha1", ParamValue::Int(1)), ("password_column", text("password"))];
        let passwords = rig("passwords", &passwords);
        for rig in [hashes, passwords] {
            assert_eq!(rig.user("alice", "secret"), 1);
            assert_eq!(rig.user("alice@example.com", "secret"), 1, "hashed with its domain");
            assert_eq!(rig.user("alice", "x"), -2);
            assert_eq!(rig.user("zed", "secret"), -3);
            assert_eq!(rig.check("", 0).0, -5);
            let row = rig.row("bob", "other");
            assert_eq!([rig.check(&row, 0).0, rig.check(&row, 1).0], [1, -8]);
        }
    }

    #[test]
    fn columns_are_loaded_when_credentials_are_right() {
        let load = ("load_credentials", text("$avp(s:rpid)=rpid; ha1;$xavp(user=>name)=username"));
        let rig = rig("load", std::slice::from_ref(&load));
        assert_eq!(rig.check(&rig.row("alice", "secret"), 0), (1, Value::Int(7)));
        assert_eq!(rig.check(&rig.row("alice", "x"), 0), (-2, Value::Null));
        let mut ctx = rig.bench.request(&Rig::message(""));
        let mut is = |uri: &str, flags| {
            let args = [Value::str(uri.as_bytes()), Value::str(b"subscriber"), Value::Int(flags)];
            rig.bench.call(&mut ctx, "auth_db.is_subscriber", &args).to_int()
        };
        let asked = [
            is("sip:bob@else.org", 1),
            is("nonsense", 0),
            is("sip:zed@example.com", 0),
            is("sip:bob@else.org", 0),
        ];
        assert_eq!(asked, [Some(-2), Some(-1), Some(-2), Some(1)]);
        assert_eq!(rig.bench.pv(&ctx, "$xavp(user=>name)"), Value::owned("bob"));
        assert!(
            parse_load("$avp(x=a").is_err()
                && parse_load("a b").is_err()
                && parse_load("$avp(x)=a;--").is_err()
        );
    }

    #[test]
    fn hostile_names_find_nobody() {
        let rig = rig("hostile", &[]);
        let long = "a".repeat(10_000);
        for user in ["", "alice' OR '1'='1", "'; DROP TABLE subscriber; --", "al%", "alice\0", &long] {
            assert_eq!(rig.user(user, "secret"), -3, "{user:.30}");
        }
        assert_eq!(rig.user("alice", "secret"), 1, "the table is still there");
    }

    #[test]
    fn a_database_that_does_not_answer_is_an_error() {
        let rig = rig("away", &[]);
        let row = rig.row("alice", "secret");
        let mut ctx = rig.bench.request(&Rig::message(&row));
        for (realm, table) in [("example.com", "nowhere"), ("", "subscriber"), ("example.com", "")] {
            let args = [Value::str(realm.as_bytes()), Value::str(table.as_bytes()), Value::Int(0)];
            assert_eq!(
                rig.bench.call(&mut ctx, "auth_db.auth_check", &args).to_int(),
                Some(-1),
                "{realm} {table}"
            );
        }
        rig.memory.delete("subscriber", &[]).expect("deleted");
        assert_eq!(rig.check(&row, 0).0, -3);
    }
}
