//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): challenges, nonces, and the check of credentials against a
//! password the script has. Passwords in a database are [`auth_db`](crate::auth_db)'s.

mod challenge;
mod check;
pub mod digest;
mod nonce;
mod settings;
#[cfg(test)]
mod tests;
mod track;

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use message::HeaderName;
use script::{
    Function, ModParam, Module, Outcome, ParamValue, Pv, RouteContext, Setup, SetupError, Value, ksr_module,
};

pub use check::{Authenticator, Checked, Kind, is_own_user};
use check::{Found, is_for};
use digest::Secret;
use settings::{Algorithms, Settings};

use crate::pv::Credentials;

/// Why credentials are refused; the number is what the functions return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Refused {
    /// They cannot be read, or something else went wrong.
    Error = -1,
    /// The response is wrong.
    Password = -2,
    /// There is no such user.
    User = -3,
    /// The nonce is no longer good.
    Stale = -4,
    /// There are none for this realm.
    NoCredentials = -5,
    /// The nonce was good for one time.
    Reused = -6,
    /// They are right, but of another user than the request is from.
    Mismatch = -8,
}

/// Module `auth`.
#[derive(Debug)]
pub struct Auth {
    settings: Settings,
    authenticator: Arc<Authenticator>,
    challenge_avp: Box<[u8]>,
}

impl Default for Auth {
    fn default() -> Self {
        let nonces = nonce::Nonces::new(nonce::Recipe {
            secret: b"",
            shared: false,
            lifetime: 300,
            drift: 3,
            checks: Default::default(),
            started: 0,
            tracker: None,
        });
        Auth {
            settings: Settings::default(),
            authenticator: Arc::new(Authenticator {
                nonces,
                algorithms: Algorithms::default(),
                offered: AtomicU8::new(0),
                realm_prefix: Box::default(),
                info: false,
            }),
            challenge_avp: Box::default(),
        }
    }
}

impl Auth {
    /// The check of credentials, to be kept by modules that know passwords.
    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.authenticator
    }

    fn authenticate(
        &self,
        ctx: &mut RouteContext<'_>,
        kind: Kind,
        realm: &[u8],
        password: &[u8],
        flags: i64,
        method: Option<&[u8]>,
        own_user: bool,
    ) -> Outcome {
        let message = ctx.message.clone();
        let outcome = match self.authenticator.begin(ctx, &message, kind, realm) {
            Err(decided) => decided,
            Ok(checked) => {
                let secret = if flags & 1 != 0 { Secret::Ha1(password) } else { Secret::Password(password) };
                let method = method.unwrap_or(message.method_text());
                let keep_nc = flags & 32 != 0;
                match self.authenticator.finish(ctx, &message, &checked, secret, method, keep_nc) {
                    Outcome::TRUE if own_user && !is_own_user(&message, checked.credentials.user(), None) => {
                        Refused::Mismatch.into()
                    }
                    outcome => outcome,
                }
            }
        };
        if outcome.0 < 0 {
            self.challenge_to_avp(ctx, &message, kind, realm, flags);
        }
        outcome
    }
}

/// The credentials that were found right in this message, if there are any.
pub(crate) fn authorized<'m>(
    ctx: &RouteContext<'_>,
    message: &'m message::Message,
) -> Option<Credentials<'m>> {
    let rows = ctx.slots.peek::<Found>()?.authorized;
    let mut found = [Kind::Www, Kind::Proxy].into_iter().zip(rows);
    found.find_map(|(kind, row)| Credentials::parse(message.headers_named(kind.header()).nth(row?)?.value))
}

/// A list of hash functions a script gave.
fn algorithms(text: &[u8]) -> Option<Algorithms> {
    let list = Algorithms::parse(text).filter(|list| list.named().next().is_some());
    if list.is_none() {
        tracing::error!(
            target: "auth",
            algorithm = %String::from_utf8_lossy(text),
            "unknown algorithm: MD5, SHA-256, SHA-512 and SHA-512-256 are known"
        );
    }
    list
}

#[ksr_module("auth")]
impl Auth {
    /// Takes the header rows with credentials that were found right out of the request, so that they go no further.
    ///
    /// Returns 1; -1 when none were found right.
    #[ksr(cfg = ["consume_credentials"], routes(REQUEST))]
    fn consume_credentials(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let rows = ctx.slots.peek::<Found>().map_or([None; 2], |f| f.authorized);
        let message = ctx.message.clone();
        let mut consumed = false;
        for (kind, row) in [Kind::Www, Kind::Proxy].into_iter().zip(rows) {
            let Some(header) = row.and_then(|row| message.headers_named(kind.header()).nth(row)) else {
                continue;
            };
            ctx.edits.remove(header.row.0, header.row.1);
            consumed = true;
        }
        Outcome::from(consumed)
    }

    /// Answers REGISTER with 401, other requests with 407, and a challenge for the realm.
    ///
    /// Flags: 1 `qop="auth"`, 2 `qop="auth-int"`, 4 no 500 when it cannot be made, 16 `stale=true`. A challenge after a check that
    /// failed for its nonce says `stale=true` by itself. Returns 1, or -1 when it could not be sent.
    #[ksr(cfg = ["auth_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn auth_challenge(&self, ctx: &mut RouteContext<'_>, realm: &[u8], flags: i64) -> Outcome {
        let kind = Kind::of(ctx.message.method());
        self.challenge(ctx, kind, realm, flags, None)
    }

    /// As `auth_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`.
    #[ksr(cfg = ["auth_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn auth_challenge_algorithms(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        flags: i64,
        algorithms: &[u8],
    ) -> Outcome {
        let kind = Kind::of(ctx.message.method());
        let Some(list) = self::algorithms(algorithms) else { return Outcome::FALSE };
        self.challenge(ctx, kind, realm, flags, Some(list))
    }

    /// Answers with 401 and a challenge; see `auth_challenge`.
    #[ksr(cfg = ["www_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn www_challenge(&self, ctx: &mut RouteContext<'_>, realm: &[u8], flags: i64) -> Outcome {
        self.challenge(ctx, Kind::Www, realm, flags, None)
    }

    /// As `www_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`.
    #[ksr(cfg = ["www_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn www_challenge_algorithms(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        flags: i64,
        algorithms: &[u8],
    ) -> Outcome {
        let Some(list) = self::algorithms(algorithms) else { return Outcome::FALSE };
        self.challenge(ctx, Kind::Www, realm, flags, Some(list))
    }

    /// Answers with 407 and a challenge; see `auth_challenge`.
    #[ksr(cfg = ["proxy_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn proxy_challenge(&self, ctx: &mut RouteContext<'_>, realm: &[u8], flags: i64) -> Outcome {
        self.challenge(ctx, Kind::Proxy, realm, flags, None)
    }

    /// As `proxy_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`.
    #[ksr(cfg = ["proxy_challenge"], routes(REQUEST, FAILURE, ONREPLY))]
    fn proxy_challenge_algorithms(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        flags: i64,
        algorithms: &[u8],
    ) -> Outcome {
        let Some(list) = self::algorithms(algorithms) else { return Outcome::FALSE };
        self.challenge(ctx, Kind::Proxy, realm, flags, Some(list))
    }

    /// Checks credentials in Authorization (REGISTER) or Proxy-Authorization against a password.
    ///
    /// `checks` 1: the user must also be that of From (REGISTER: and To; PUBLISH: and the Request-URI). Flags: 1 `passwd` is HA1
    /// already; 2, 4, 8 when refused, a challenge without qop, with `auth`, with `auth-int` goes into `$avp(digest_challenge)`, 16 with
    /// `stale=true`; 32 an `nc` that came with a wrong response may come again.
    ///
    /// Returns 1; -1 the credentials cannot be read, -2 wrong response, -4 the nonce is no longer good, -5 no credentials for the
    /// realm, -6 the nonce was used, -8 another user. ACK, CANCEL and PRACK are 1: nobody can challenge them.
    #[ksr(cfg = ["pv_auth_check"], routes(REQUEST))]
    fn pv_auth_check(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        passwd: &[u8],
        flags: i64,
        checks: i64,
    ) -> Outcome {
        let kind = Kind::of(ctx.message.method());
        self.authenticate(ctx, kind, realm, passwd, flags, None, checks & 1 != 0)
    }

    /// Checks credentials in Authorization against a password; see `pv_auth_check`.
    #[ksr(cfg = ["pv_www_authenticate", "pv_www_authorize"], routes(REQUEST))]
    fn pv_www_authenticate(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        passwd: &[u8],
        flags: i64,
    ) -> Outcome {
        self.authenticate(ctx, Kind::Www, realm, passwd, flags, None, false)
    }

    /// As `pv_www_authenticate`, for a response that was made for another method.
    #[ksr(cfg = ["pv_www_authenticate"], routes(REQUEST))]
    fn pv_www_authenticate_method(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        passwd: &[u8],
        flags: i64,
        method: &[u8],
    ) -> Outcome {
        self.authenticate(ctx, Kind::Www, realm, passwd, flags, Some(method), false)
    }

    /// Checks credentials in Proxy-Authorization against a password; see `pv_auth_check`.
    #[ksr(cfg = ["pv_proxy_authenticate", "pv_proxy_authorize"], routes(REQUEST))]
    fn pv_proxy_authenticate(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        passwd: &[u8],
        flags: i64,
    ) -> Outcome {
        self.authenticate(ctx, Kind::Proxy, realm, passwd, flags, None, false)
    }

    /// Whether the request has credentials for the realm, in Authorization or Proxy-Authorization, right or not. Returns 1 or -1.
    #[ksr(cfg = ["has_credentials"], routes(REQUEST))]
    fn has_credentials(&self, ctx: &mut RouteContext<'_>, realm: &[u8]) -> Outcome {
        let realm = self.authenticator.realm(realm);
        let has = |name: HeaderName| {
            let rows = ctx.message.headers_named(name);
            rows.filter_map(|h| Credentials::parse(h.value)).any(|c| is_for(&c, realm))
        };
        Outcome::from(has(HeaderName::Authorization) || has(HeaderName::ProxyAuthorization))
    }

    /// Writes the header row of a challenge, as `www_challenge` would send it, to a variable. Returns 1; -1 when it is read-only.
    #[ksr(cfg = ["auth_get_www_authenticate"])]
    fn auth_get_www_authenticate(
        &self,
        ctx: &mut RouteContext<'_>,
        realm: &[u8],
        flags: i64,
        pvdest: &Pv,
    ) -> Outcome {
        let message = ctx.message.clone();
        let mut rows = Vec::with_capacity(160);
        self.write_challenge(ctx, &message, Kind::Www, realm, flags, None, &mut rows);
        Outcome::from(pvdest.set(ctx, Value::owned(rows)))
    }

    /// Hash function for the challenges and checks of this message instead of parameter `algorithm`. Returns -1 for an unknown one.
    #[ksr(cfg = ["auth_algorithm"], routes(REQUEST))]
    fn auth_algorithm(&self, ctx: &mut RouteContext<'_>, algorithm: &[u8]) -> Outcome {
        let Some(list) = algorithms(algorithm) else { return Outcome::FALSE };
        ctx.slots.slot::<Found>().algorithms = Some(list);
        Outcome::TRUE
    }
}

impl Module for Auth {
    fn name(&self) -> &'static str {
        "auth"
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
        self.challenge_avp = crate::pv::avp_of(&self.settings.challenge_attr).ok_or_else(|| {
            SetupError(format!("challenge_attr: {} is no AVP", self.settings.challenge_attr))
        })?;
        for header in [&self.settings.www_challenge_header, &self.settings.proxy_challenge_header] {
            if !message::grammar::is_token(header.as_bytes()) {
                return Err(SetupError(format!("\"{header}\" is no name of a header")));
            }
        }
        self.authenticator = Arc::new(Authenticator {
            nonces: self.settings.nonces(setup)?,
            algorithms: self.settings.algorithms()?,
            offered: AtomicU8::new(0),
            realm_prefix: self.settings.realm_prefix.as_bytes().into(),
            info: self.settings.add_authinfo_hdr,
        });
        Ok(())
    }
}
