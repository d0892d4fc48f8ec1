//! Parameters of `auth`.

use script::{ModParams, Setup, SetupError};

use super::digest::Algorithm;
use super::nonce::{Checks, Nonces, Recipe};
use super::track::Tracker;

/// Parameters of `auth`.
#[derive(Debug, ModParams)]
pub struct Settings {
    /// 1: a 2xx made here after a successful check has Authentication-Info with `nextnonce` and `rspauth` (RFC 7615). Default 0.
    pub add_authinfo_hdr: bool,
    /// Hash function: MD5, SHA-256, SHA-512 or SHA-512-256; several with commas make one challenge header each, the best first
    /// (RFC 8760). Credentials with another one are refused. Default none: MD5, and the challenge does not name it.
    pub algorithm: String,
    /// What must not change between challenge and credentials of requests within dialogs, see `auth_checks_register`. Default 0.
    pub auth_checks_in_dlg: u32,
    /// What must not change between challenge and credentials of requests without To tag, see `auth_checks_register`. Default 0.
    pub auth_checks_no_dlg: u32,
    /// What must not change between challenge and credentials of a REGISTER: 1 Request-URI, 2 Call-ID, 4 From tag, 8 source address;
    /// added up. Default 0.
    pub auth_checks_register: u32,
    /// Name of the AVP for challenges that `pv_www_authenticate` and its like make. Default `digest_challenge`.
    pub challenge_attr: String,
    /// 1: challenges are sent without the transaction also when there is one. Default 0.
    pub force_stateless_reply: bool,
    /// `nc_array_size` as a power of two, 0 to 30. Default 20.
    pub nc_array_order: u32,
    /// Nonces that `nonce_count` tracks, one byte each; rounded down to a power of two. When there are more, the oldest are stale.
    /// Default 1048576.
    pub nc_array_size: u32,
    /// Partitions of the tables of nonces. Taken: one table serves all workers without locks.
    pub nid_pool_no: u32,
    /// Seconds that a nonce made in the future may be ahead, by clocks that differ. Default 3.
    pub nonce_auth_max_drift: u32,
    /// 1: credentials with `qop` are good once for each `nc`, which must grow, up to 255. Default 0.
    pub nonce_count: bool,
    /// Seconds a nonce is good for. Default 300.
    pub nonce_expire: u32,
    /// 1: a nonce is good for one request. Default 0.
    pub one_time_nonce: bool,
    /// Nonces that `one_time_nonce` tracks, one bit each; rounded down to a power of two. When there are more, the oldest are stale.
    /// Default 1048576.
    pub otn_in_flight_no: u32,
    /// `otn_in_flight_no` as a power of two, 6 to 30. Default 20.
    pub otn_in_flight_order: u32,
    /// 1: the digest covers Contact. Taken; no phone does that.
    pub protect_contacts: bool,
    /// Name of the header that challenges with 407. Default `Proxy-Authenticate`.
    pub proxy_challenge_header: String,
    /// `qop` of challenges. Taken: the flags of the challenge functions say it, as in Kamailio.
    pub qop: String,
    /// Text taken off the front of realms given to functions. Default none.
    pub realm_prefix: String,
    /// Text that nonces are signed with; servers with the same one take each other's nonces, and their own after a restart. Default
    /// random at each start.
    pub secret: Option<String>,
    /// 1: users are compared with their domains. Taken: they are compared without, as Kamailio does whatever this says.
    pub use_domain: bool,
    /// Name of the header that challenges with 401. Default `WWW-Authenticate`.
    pub www_challenge_header: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            add_authinfo_hdr: false,
            algorithm: String::new(),
            auth_checks_in_dlg: 0,
            auth_checks_no_dlg: 0,
            auth_checks_register: 0,
            challenge_attr: "digest_challenge".into(),
            force_stateless_reply: false,
            nc_array_order: 20,
            nc_array_size: 1 << 20,
            nid_pool_no: 1,
            nonce_auth_max_drift: 3,
            nonce_count: false,
            nonce_expire: 300,
            one_time_nonce: false,
            otn_in_flight_no: 1 << 20,
            otn_in_flight_order: 20,
            protect_contacts: false,
            proxy_challenge_header: "Proxy-Authenticate".into(),
            qop: String::new(),
            realm_prefix: String::new(),
            secret: None,
            use_domain: false,
            www_challenge_header: "WWW-Authenticate".into(),
        }
    }
}

impl Settings {
    /// The nonces these settings ask for.
    pub fn nonces(&self, setup: &Setup<'_>) -> Result<Nonces, SetupError> {
        let random = random(setup);
        let order = |name: &str, size: u32, order: u32, least: u32| {
            // Whichever of the two was set.
            let order = if order == 20 { size.checked_ilog2().unwrap_or(0) } else { order };
            if order > 30 {
                return Err(SetupError(format!("{name} is {least} to 30")));
            }
            Ok(order.max(least))
        };
        let count = order("nc_array_order", self.nc_array_size, self.nc_array_order, 0)?;
        let once = order("otn_in_flight_order", self.otn_in_flight_no, self.otn_in_flight_order, 6)?;
        let tracked = self.nonce_count || self.one_time_nonce;
        Ok(Nonces::new(Recipe {
            secret: self.secret.as_ref().map_or(&random[..], |s| s.as_bytes()),
            shared: self.secret.is_some(),
            lifetime: self.nonce_expire,
            drift: self.nonce_auth_max_drift,
            checks: Checks {
                register: self.auth_checks_register,
                no_dialog: self.auth_checks_no_dlg,
                in_dialog: self.auth_checks_in_dlg,
            },
            started: setup.now.unix(),
            tracker: tracked.then(|| {
                Tracker::new(self.nonce_count.then_some(count), self.one_time_nonce.then_some(once))
            }),
        }))
    }
    /// The hash functions of challenges; none: MD5 without a name.
    pub fn algorithms(&self) -> Result<Algorithms, SetupError> {
        Algorithms::parse(self.algorithm.as_bytes()).ok_or_else(|| {
            SetupError(format!(
                "algorithm \"{}\": MD5, SHA-256, SHA-512 and SHA-512-256 are known, several with commas",
                self.algorithm
            ))
        })
    }
}

/// Bytes nobody can guess: the standard library seeds its hash tables with the system's randomness.
fn random(setup: &Setup<'_>) -> [u8; 56] {
    use std::hash::{BuildHasher, RandomState};
    let mut bytes = [0u8; 56];
    let words = (0..6u64).map(|n| RandomState::new().hash_one(n)).chain([setup.config.seed]);
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// A list of hash functions in the order of preference, four at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Algorithms([Option<Algorithm>; 4]);

impl Algorithms {
    /// Parses names with commas; no names is MD5 that is not named. `None` for a name that is not known.
    pub fn parse(text: &[u8]) -> Option<Algorithms> {
        let mut list = Algorithms::default();
        let mut places = list.0.iter_mut();
        let mut seen = 0u8;
        for name in text.split(|c| *c == b',').map(<[u8]>::trim_ascii).filter(|n| !n.is_empty()) {
            let algorithm = Algorithm::parse(name)?;
            let bit = 1 << algorithm as u8;
            if seen & bit == 0 {
                *places.next()? = Some(algorithm);
            }
            seen |= bit;
        }
        Some(list)
    }
    /// In order; nothing when none was named.
    pub fn named(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.0.iter().flatten().copied()
    }
    /// The one that is used when credentials name none.
    pub fn first(&self) -> Algorithm {
        self.named().next().unwrap_or(Algorithm::Md5)
    }
    /// Whether credentials may use it.
    pub fn contains(&self, algorithm: Algorithm) -> bool {
        self.first() == algorithm || self.named().any(|a| a == algorithm)
    }
    /// As a mask of bits.
    pub fn mask(&self) -> u8 {
        self.named().fold(0, |mask, a| mask | 1 << a as u8)
    }
}
