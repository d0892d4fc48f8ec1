//! The digest of RFC 7616 section 3.4 for the algorithms of RFC 8760, without an allocation.

use std::cell::RefCell;

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512, Sha512_256};

/// A hash function with its name in `algorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512`, which no RFC names for SIP.
    Sha512,
    /// `SHA-512-256`
    Sha512_256,
}

impl Algorithm {
    const ALL: [Algorithm; 4] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha512_256];

    /// As challenges write it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512 => "SHA-512",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }
    /// By name, without case.
    pub fn parse(name: &[u8]) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name().as_bytes().eq_ignore_ascii_case(name))
    }
    /// By the label of credentials; true when it ends in `-sess`.
    pub fn of_label(label: &[u8]) -> Option<(Algorithm, bool)> {
        if let Some(plain) = Algorithm::parse(label) {
            return Some((plain, false));
        }
        let (plain, sess) = label.split_at_checked(label.len().checked_sub(5)?)?;
        sess.eq_ignore_ascii_case(b"-sess").then(|| Algorithm::parse(plain)).flatten().map(|a| (a, true))
    }
    /// Digits of its digests.
    pub fn digits(self) -> usize {
        match self {
            Algorithm::Md5 => 32,
            Algorithm::Sha256 | Algorithm::Sha512_256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
    /// `H(a ":" b ":" ...)`
    pub fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Md5 => hash::<Md5>(parts),
            Algorithm::Sha256 => hash::<Sha256>(parts),
            Algorithm::Sha512 => hash::<Sha512>(parts),
            Algorithm::Sha512_256 => hash::<Sha512_256>(parts),
        }
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> Hex {
    let mut digest = D::new();
    let mut first = true;
    for part in parts {
        if !std::mem::take(&mut first) {
            digest.update(b":");
        }
        digest.update(part);
    }
    Hex::of(&digest.finalize())
}

/// A digest in lower case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    digits: [u8; 128],
    len: usize,
}

impl Hex {
    fn of(bytes: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 128];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hex { digits, len: bytes.len() * 2 }
    }
    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// What the server knows of a user.
#[derive(Debug, Clone, Copy)]
pub enum Secret<'a> {
    /// The password.
    Password(&'a [u8]),
    /// `H(username ":" realm ":" password)` in hexadecimal digits.
    Ha1(&'a [u8]),
}

/// What a response is made of, besides the secret.
#[derive(Debug, Clone, Copy)]
pub struct Challenged<'a> {
    /// Hash function.
    pub algorithm: Algorithm,
    /// Whether A1 holds the nonces (`-sess`).
    pub sess: bool,
    /// `username`
    pub username: &'a [u8],
    /// `realm`
    pub realm: &'a [u8],
    /// `nonce`
    pub nonce: &'a [u8],
    /// `uri`
    pub uri: &'a [u8],
    /// `qop`, `nc` and `cnonce` when there is a `qop`.
    pub protection: Option<Protection<'a>>,
}

/// `qop` with what goes with it.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// `qop`
    pub qop: &'a [u8],
    /// `nc`
    pub nc: &'a [u8],
    /// `cnonce`
    pub cnonce: &'a [u8],
}

impl Challenged<'_> {
    /// `H(A1)` (RFC 7616 section 3.4.2). A stored HA1 may have capital digits; hashes are made of small ones.
    pub fn ha1(&self, secret: Secret<'_>) -> Hex {
        let mut plain = match secret {
            Secret::Password(password) => self.algorithm.hash(&[self.username, self.realm, password]),
            Secret::Ha1(text) => {
                let mut hex = Hex { digits: [0; 128], len: text.len().min(128) };
                for (digit, given) in hex.digits.iter_mut().zip(text) {
                    *digit = given.to_ascii_lowercase();
                }
                hex
            }
        };
        if self.sess {
            let cnonce = self.protection.map_or(&b""[..], |p| p.cnonce);
            plain = self.algorithm.hash(&[plain.as_bytes(), self.nonce, cnonce]);
        }
        plain
    }
    /// The response a client that knows the secret gives (section 3.4.1). An empty method makes `rspauth` (section 3.5).
    pub fn response(&self, ha1: &Hex, method: &[u8], body: &[u8]) -> Hex {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let integrity = self.protection.is_some_and(|p| p.qop.eq_ignore_ascii_case(b"auth-int"));
        let ha2 =
            if integrity { hash(&[method, self.uri, hash(&[body]).as_bytes()]) } else { self.ha2(method) };
        match self.protection {
            Some(p) => hash(&[ha1.as_bytes(), self.nonce, p.nc, p.cnonce, p.qop, ha2.as_bytes()]),
            None => hash(&[ha1.as_bytes(), self.nonce, ha2.as_bytes()]),
        }
    }

    /// `H(method ":" uri)`, kept from one to the next: all phones of a domain register with the same.
    fn ha2(&self, method: &[u8]) -> Hex {
        LAST_HA2.with_borrow_mut(|last| {
            if let Some(last) = last
                && last.algorithm == self.algorithm
                && *last.method == *method
                && *last.uri == *self.uri
            {
                return last.hash;
            }
            let hash = self.algorithm.hash(&[method, self.uri]);
            *last =
                Some(Ha2 { algorithm: self.algorithm, method: method.into(), uri: self.uri.into(), hash });
            hash
        })
    }
}

/// What [`Challenged::ha2`] keeps.
struct Ha2 {
    algorithm: Algorithm,
    method: Box<[u8]>,
    uri: Box<[u8]>,
    hash: Hex,
}

thread_local! {
    static LAST_HA2: RefCell<Option<Ha2>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(challenged: Challenged<'_>, secret: Secret<'_>, method: &str) -> String {
        let ha1 = challenged.ha1(secret);
        String::from_utf8_lossy(challenged.response(&ha1, method.as_bytes(), b"").as_bytes()).into_owned()
    }

    #[test]
    fn rfc_7616_section_3_9_1() {
        let with = |algorithm| Challenged {
            algorithm,
            sess: false,
            username: b"Mufasa",
            realm: b"http-auth@example.org",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            uri: b"/dir/index.html",
            protection: Some(Protection {
                qop: b"auth",
                nc: b"00000001",
                cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            }),
        };
        let secret = Secret::Password(b"Circle of Life");
        assert_eq!(response(with(Algorithm::Md5), secret, "GET"), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            response(with(Algorithm::Sha256), secret, "GET"),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn what_is_kept_is_for_the_same_method_uri_and_algorithm() {
        let with = |uri, algorithm| Challenged {
            algorithm,
            sess: false,
            username: b"alice",
            realm: b"r",
            nonce: b"n",
            uri,
            protection: None,
        };
        use Algorithm::{Md5, Sha256};
        let asked = [
            (Md5, "sip:a", "REGISTER"),
            (Sha256, "sip:a", "REGISTER"),
            (Sha256, "sip:a", "INVITE"),
            (Sha256, "sip:b", "INVITE"),
            (Sha256, "sip:b", "INVITE"),
            (Md5, "sip:b", "INVITE"),
        ];
        for (algorithm, uri, method) in asked {
            let c = with(uri.as_bytes(), algorithm);
            let ha1 = c.ha1(Secret::Password(b"x"));
            let ha2 = algorithm.hash(&[method.as_bytes(), uri.as_bytes()]);
            let whole = algorithm.hash(&[ha1.as_bytes(), b"n", ha2.as_bytes()]);
            assert_eq!(response(c, Secret::Password(b"x"), method).as_bytes(), whole.as_bytes());
        }
    }

    /// The hashed username is that of erratum 4897. No erratum has the response right, so it is what another implementation computes.
    #[test]
    fn rfc_7616_section_3_9_2() {
        let challenged = Challenged {
            algorithm: Algorithm::Sha512_256,
            sess: false,
            username: "J\u{e4}s\u{f8}n Doe".as_bytes(),
            realm: b"api@example.org",
            nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            uri: b"/doe.json",
            protection: Some(Protection {
                qop: b"auth",
                nc: b"00000001",
                cnonce: b"NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
            }),
        };
        let ha1 = challenged.ha1(Secret::Password(b"Secret, or not?"));
        let user = Algorithm::Sha512_256.hash(&[challenged.username, challenged.realm]);
        assert_eq!(
            String::from_utf8_lossy(user.as_bytes()),
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        );
        let upper = ha1.as_bytes().to_ascii_uppercase();
        assert_eq!(challenged.ha1(Secret::Ha1(&upper)), ha1);
        assert_eq!(
            response(challenged, Secret::Ha1(ha1.as_bytes()), "GET"),
            "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c"
        );
    }

    #[test]
    fn without_qop_as_rfc_2069() {
        let challenged = Challenged {
            algorithm: Algorithm::Md5,
            sess: false,
            username: b"Mufasa",
            realm: b"testrealm@host.com",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            uri: b"/dir/index.html",
            protection: None,
        };
        assert_eq!(
            response(challenged, Secret::Password(b"CircleOfLife"), "GET"),
            "1949323746fe6a43ef61f9606e7febea"
        );
    }

    #[test]
    fn labels() {
        assert_eq!(Algorithm::of_label(b"sha-512-256"), Some((Algorithm::Sha512_256, false)));
        assert_eq!(Algorithm::of_label(b"MD5-SESS"), Some((Algorithm::Md5, true)));
        assert_eq!(Algorithm::of_label(b"MD5-"), None);
        assert_eq!(Algorithm::of_label(b"FOO"), None);
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.hash(&[b"x"]).as_bytes().len(), algorithm.digits());
        }
    }
}
