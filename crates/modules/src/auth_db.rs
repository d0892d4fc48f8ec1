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
        // No database keeps a NUL in a text; asking would be an error that looks like a failure of the database.
        if user.contains(&0) || domain.is_some_and(|d| d.contains(&0)) {
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
            if !anonymous && !is_own_user(&message, checked.credentials.user(), None) {
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
