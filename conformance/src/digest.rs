//! Digest authentication as a telephone does it (RFC 2617, RFC 7616): the answer to a challenge.

use md5::{Digest, Md5};

/// A user with a password.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
}

impl Credentials<'_> {
    /// The value of Authorization or Proxy-Authorization that answers a challenge. `count`: how often this nonce was used, from 1.
    pub fn answer(&self, challenge: &str, method: &str, uri: &str, count: u32) -> String {
        let realm = parameter(challenge, "realm");
        let nonce = parameter(challenge, "nonce");
        let ha1 = md5(&format!("{}:{realm}:{}", self.user, self.password));
        let ha2 = md5(&format!("{method}:{uri}"));
        let start = format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5",
            self.user
        );
        if parameter(challenge, "qop").is_empty() {
            let response = md5(&format!("{ha1}:{nonce}:{ha2}"));
            return format!("{start}, response=\"{response}\"");
        }
        let response = md5(&format!("{ha1}:{nonce}:{count:08x}:0a4f113b:auth:{ha2}"));
        format!("{start}, qop=auth, nc={count:08x}, cnonce=\"0a4f113b\", response=\"{response}\"")
    }
}

/// A parameter of a challenge, without quotes; empty when it is not there.
pub fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let parameters = challenge.strip_prefix("Digest").unwrap_or(challenge);
    let value = parameters.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"')
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2617() {
        let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let user = Credentials { user: "Mufasa", password: "Circle Of Life" };
        let answer = user.answer(challenge, "GET", "/dir/index.html", 1);
        assert_eq!(parameter(&answer, "response"), "670fd8c2df070c60b045671b8b24ff02");
        let with_qop = user.answer(&format!("{challenge}, qop=\"auth\""), "GET", "/dir/index.html", 1);
        assert_eq!(parameter(&with_qop, "response"), "6629fae49393a05397450978507c4ef1");
    }
}
