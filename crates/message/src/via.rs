//! Via (RFC 3261 §20.42, RFC 3581).

use crate::{Fault, Params, Transport};

/// The prefix that tells an RFC 3261 branch (§8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The whole element, trimmed, without the separating comma.
    pub text: &'a [u8],
    /// Transport as written.
    pub transport_text: &'a [u8],
    /// Transport when known.
    pub transport: Option<Transport>,
    /// sent-by host as written (IPv6 with brackets).
    pub host: &'a [u8],
    /// sent-by port when written.
    pub port: Option<u16>,
    /// Parameters, without the leading `;`.
    pub params: Params<'a>,
    /// `branch` value.
    pub branch: Option<&'a [u8]>,
    /// `received` value.
    pub received: Option<&'a [u8]>,
    /// `rport`: `None` absent, `Some(None)` without value, `Some(Some(p))` with one.
    pub rport: Option<Option<u16>>,
}

impl<'a> Via<'a> {
    /// Parses one element.
    pub fn parse(text: &'a [u8]) -> Result<Via<'a>, Fault> {
        todo!("{text:?}")
    }
    /// Walks a comma list of elements in one header row.
    pub fn list(text: &'a [u8]) -> impl Iterator<Item = Result<Via<'a>, Fault>> + use<'a> {
        let _ = text;
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
    /// Where a reply to a request with this topmost Via goes when it was received from there:
    /// RFC 3261 §18.2.2 with RFC 3581 §4. `None` when sent-by is a host name and `received` is absent.
    pub fn reply_address(&self) -> Option<std::net::SocketAddr> {
        todo!()
    }
}
