//! SIP, SIPS and tel URIs, and any other scheme as opaque text (RFC 3261 §19.1, RFC 3966).

use crate::{Fault, Params, Transport};

/// URI scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    Urn,
    Other,
}

/// A URI split over the bytes it was parsed from. Nothing is unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Whole text.
    pub text: &'a [u8],
    /// Scheme.
    pub scheme: Scheme,
    /// User part without password (for tel: the number), `None` when there is no `@`.
    pub user: Option<&'a [u8]>,
    /// Password (deprecated, RFC 3261 §19.1.1).
    pub password: Option<&'a [u8]>,
    /// Host as written; IPv6 with its brackets. Empty for tel and unknown schemes.
    pub host: &'a [u8],
    /// Port when written.
    pub port: Option<u16>,
    /// `;`-parameters of the URI, without the leading `;`.
    pub params: Params<'a>,
    /// After `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Parses an addr-spec. Strict about white space and structure, lenient about unknown schemes.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, Fault> {
        todo!("{text:?}")
    }
    /// `transport` parameter; `None` when absent or unknown.
    pub fn transport(&self) -> Option<Transport> {
        todo!()
    }
    /// Port, or the default for its transport and scheme.
    pub fn port_or_default(&self) -> u16 {
        todo!()
    }
    /// Host as an address when it is one (brackets allowed).
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        todo!()
    }
    /// Whether the `lr` parameter is there (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        todo!()
    }
    /// Comparison by RFC 3261 §19.1.4.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        todo!("{other:?}")
    }
}
