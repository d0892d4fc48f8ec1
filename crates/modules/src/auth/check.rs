//! Credentials against what the server knows (RFC 3261 section 22, RFC 7616): the part that `auth` and the modules with passwords
//! share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use message::{HeaderName, Message, Method, Uri};
use script::{Outcome, RouteContext};
use subtle::ConstantTimeEq;

use super::Refused;
use super::digest::{Algorithm, Challenged, Hex, Protection, Secret};
use super::nonce::{Nonces, Request, Use};
use super::settings::Algorithms;
use crate::pv::Credentials;

/// Who asks: the user agent server with 401, or the proxy with 407.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Authorization.
    Www,
    /// Proxy-Authorization.
    Proxy,
}

impl Kind {
    /// REGISTER is for the registrar, all else for the proxy.
    pub fn of(method: Method) -> Kind {
        if method == Method::Register { Kind::Www } else { Kind::Proxy }
    }
    pub(super) fn header(self) -> HeaderName {
        match self {
            Kind::Www => HeaderName::Authorization,
            Kind::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// What the functions found out about a message.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Which Authorization and which Proxy-Authorization row was right, counted among their like.
    pub authorized: [Option<usize>; 2],
    /// The nonce was good once: the next challenge says so.
    pub stale: bool,
    /// Set by `auth_algorithm`.
    pub algorithms: Option<Algorithms>,
}

/// Checks credentials. Shared by `auth` and the modules that know passwords.
#[derive(Debug)]
pub struct Authenticator {
    pub(super) nonces: Nonces,
    pub(super) algorithms: Algorithms,
    /// Hash functions named in challenges besides those of the parameter.
    pub(super) offered: AtomicU8,
    pub(super) realm_prefix: Box<[u8]>,
    pub(super) info: bool,
}

/// Credentials for our realm with a nonce that is good; whether the secret is right is still open.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'m> {
    /// The credentials.
    pub credentials: Credentials<'m>,
    kind: Kind,
    row: usize,
    challenged: Challenged<'m>,
    response: &'m [u8],
    spent: Use,
}

impl Checked<'_> {
    /// The hash function of the response.
    pub fn algorithm(&self) -> Algorithm {
        self.challenged.algorithm
    }
}

impl Authenticator {
    /// Finds credentials for this realm and looks at their nonce.
    ///
    /// The outcome, when it is decided already: 1 for ACK, CANCEL and PRACK, which nobody can challenge; or why it is refused.
    pub fn begin<'m>(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &'m Message,
        kind: Kind,
        realm: &'m [u8],
    ) -> Result<Checked<'m>, Outcome> {
        if matches!(message.method(), Method::Ack | Method::Cancel | Method::Prack) {
            return Err(Outcome::TRUE);
        }
        self.find(ctx, message, kind, self.realm(realm)).map_err(|refused| {
            if matches!(refused, Refused::Stale | Refused::Reused) {
                ctx.slots.slot::<Found>().stale = true;
            }
            refused.into()
        })
    }

    fn find<'m>(
        &self,
        ctx: &RouteContext<'_>,
        message: &'m Message,
        kind: Kind,
        realm: &'m [u8],
    ) -> Result<Checked<'m>, Refused> {
        let rows = message.headers_named(kind.header()).enumerate();
        let mut ours = rows.filter_map(|(row, h)| Some((row, Credentials::parse(h.value)?)));
        let (row, c) = ours.find(|(_, c)| is_for(c, realm)).ok_or(Refused::NoCredentials)?;
        let (Some(username), Some(nonce), Some(uri), Some(response)) =
            (c.username, c.nonce, c.uri, c.response)
        else {
            return Err(Refused::Error);
        };
        let protection = match c.qop {
            None => None,
            Some(qop) => match (c.nc, c.cnonce) {
                (Some(nc), Some(cnonce)) => Some(Protection { qop, nc, cnonce }),
                _ => return Err(Refused::Error),
            },
        };
        let (algorithm, sess) = self.algorithm_of(ctx, c.algorithm);
        if response.len() != algorithm.digits() {
            return Err(Refused::Error);
        }
        let request = request(ctx, message);
        let spent = self.nonces.check(nonce, protection.map(|p| p.nc), request, ctx.now.unix())?;
        let challenged = Challenged { algorithm, sess, username, realm, nonce, uri, protection };
        Ok(Checked { credentials: c, kind, row, challenged, response, spent })
    }

    /// The hash function credentials name, when it is one of ours; else the preferred one: phones mislabel.
    fn algorithm_of(&self, ctx: &RouteContext<'_>, label: Option<&[u8]>) -> (Algorithm, bool) {
        let ours = self.algorithms(ctx);
        let offered = self.offered.load(Ordering::Relaxed);
        label
            .and_then(Algorithm::of_label)
            .filter(|(a, _)| ours.contains(*a) || offered & (1 << *a as u8) != 0)
            .unwrap_or((ours.first(), false))
    }

    /// The hash functions in use for this message.
    pub(super) fn algorithms(&self, ctx: &RouteContext<'_>) -> Algorithms {
        ctx.slots.peek::<Found>().and_then(|f| f.algorithms).unwrap_or(self.algorithms)
    }

    /// A realm as challenges have it.
    pub(super) fn realm<'r>(&self, realm: &'r [u8]) -> &'r [u8] {
        // Without a prefix, which is usual, nothing is compared: to compare nothing with the address of an empty box costs an AVX-512 processor
        // 100 ns.
        if self.realm_prefix.is_empty() {
            return realm;
        }
        realm.strip_prefix(&*self.realm_prefix).unwrap_or(realm)
    }

    /// Compares the response, in a time that does not tell how much of it is right.
    ///
    /// `keep_nc`: an `nc` that came with a wrong response may come again.
    pub fn finish(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &Message,
        checked: &Checked<'_>,
        secret: Secret<'_>,
        method: &[u8],
        keep_nc: bool,
    ) -> Outcome {
        let after = keep_nc && matches!(checked.spent, Use::Count(..));
        if !after && let Err(refused) = self.mark(ctx, checked.spent) {
            return refused;
        }
        let ha1 = checked.challenged.ha1(secret);
        let ours = checked.challenged.response(&ha1, method, message.body());
        if !bool::from(ours.as_bytes().ct_eq(checked.response)) {
            return Refused::Password.into();
        }
        if after && let Err(refused) = self.mark(ctx, checked.spent) {
            return refused;
        }
        if self.info {
            self.write_info(ctx, message, checked, &ha1);
        }
        if let Some(row) = ctx.slots.slot::<Found>().authorized.get_mut(checked.kind as usize) {
            *row = Some(checked.row);
        }
        Outcome::TRUE
    }

    fn mark(&self, ctx: &mut RouteContext<'_>, spent: Use) -> Result<(), Outcome> {
        self.nonces.mark(spent).map_err(|refused| {
            ctx.slots.slot::<Found>().stale = true;
            refused.into()
        })
    }

    /// Authentication-Info (RFC 7615): the next nonce, and the proof that the server knows the secret as well.
    fn write_info(&self, ctx: &mut RouteContext<'_>, message: &Message, checked: &Checked<'_>, ha1: &Hex) {
        let mut row = b"Authentication-Info: nextnonce=\"".to_vec();
        if self.nonces.one_time() {
            self.nonces.write(request(ctx, message), ctx.now.unix(), &mut row);
        } else {
            row.extend_from_slice(checked.challenged.nonce);
        }
        let proof = checked.challenged.response(ha1, b"", b"");
        row.extend_from_slice(b"\", rspauth=\"");
        row.extend_from_slice(proof.as_bytes());
        row.push(b'"');
        if let Some(p) = checked.challenged.protection {
            for (name, value) in [(", qop=", p.qop), (", cnonce=\"", p.cnonce), ("\", nc=", p.nc)] {
                row.extend_from_slice(name.as_bytes());
                row.extend(value.iter().filter(|c| **c >= b' '));
            }
        }
        row.extend_from_slice(b"\r\n");
        ctx.edits.append_to_reply(&row);
    }
}

/// Whether the credentials are for this realm; as in Kamailio without case, though hashes are made of the realm as given here.
pub(super) fn is_for(credentials: &Credentials<'_>, realm: &[u8]) -> bool {
    credentials.realm.is_some_and(|r| r.eq_ignore_ascii_case(realm))
}

/// The request of a context as nonces look at it.
pub(super) fn request<'m>(ctx: &RouteContext<'_>, message: &'m Message) -> Request<'m> {
    let source: IpAddr = ctx.inbound.source.ip();
    Request { message, source }
}

/// Whether the user of the credentials is the one the request is from: From; for REGISTER and PUBLISH also To, for PUBLISH also the
/// Request-URI. Users are compared as written, without their domains.
pub fn is_own_user(message: &Message, user: Option<&[u8]>) -> bool {
    let own = |uri: Result<Uri<'_>, message::Fault>| uri.is_ok_and(|u| u.user == user);
    let method = message.method();
    own(message.from_uri())
        && (!matches!(method, Method::Register | Method::Publish) || own(message.to_uri()))
        && (method != Method::Publish || own(message.parse_request_uri()))
}
