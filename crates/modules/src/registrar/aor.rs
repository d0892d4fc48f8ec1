//! Addresses-of-record: the canonical form under which bindings are kept (RFC 3261 §10.3 step 5).

use message::{Uri, grammar};

use super::Registrar;

/// Longest address-of-record in bytes.
const MAX: usize = 256;

/// A URI that names no address-of-record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAor;

impl Registrar {
    /// Writes the address-of-record that a URI names: "all URI parameters MUST be removed (including the user-param), and any escaped
    /// characters MUST be converted to their unescaped form". With `use_domain` the domain stays; case goes unless `case_sensitive`.
    pub(super) fn write_aor(&self, uri: &[u8], out: &mut Vec<u8>) -> Result<(), NoAor> {
        self.aor_of(&Uri::parse(uri).map_err(|_| NoAor)?, out)
    }

    /// As [`Registrar::write_aor`], of a parsed URI.
    pub(super) fn aor_of(&self, uri: &Uri<'_>, out: &mut Vec<u8>) -> Result<(), NoAor> {
        use message::Scheme::{Sip, Sips, Tel};
        if !matches!(uri.scheme, Sip | Sips | Tel) {
            return Err(NoAor);
        }
        out.clear();
        out.extend_from_slice(&grammar::unescape(uri.user.unwrap_or_default()));
        if !self.settings.case_sensitive {
            out.make_ascii_lowercase();
        }
        if self.domains.rules().use_domain && !uri.host.is_empty() {
            if !out.is_empty() {
                out.push(b'@');
            }
            let start = out.len();
            out.extend_from_slice(self.without_prefix(uri.host));
            // A host name has no case (RFC 3261 §19.1.4), whatever the user part has.
            if let Some(host) = out.get_mut(start..) {
                host.make_ascii_lowercase();
            }
        }
        if out.len() > MAX { Err(NoAor) } else { Ok(()) }
    }

    fn without_prefix<'h>(&self, host: &'h [u8]) -> &'h [u8] {
        let prefix = self.settings.realm_prefix.as_deref().unwrap_or_default().as_bytes();
        match host.split_at_checked(prefix.len()) {
            Some((head, rest)) if !rest.is_empty() && head.eq_ignore_ascii_case(prefix) => rest,
            _ => host,
        }
    }
}
