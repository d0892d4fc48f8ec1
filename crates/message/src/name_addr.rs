//! name-addr and addr-spec as in From, To, Contact, Route, Record-Route, Path (RFC 3261 §20.10, §25.1).

use crate::{Fault, Params, Uri};

/// One address of a header. Positions into the message are recovered with [`crate::Message::offset_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The whole element, trimmed, without the separating comma.
    pub text: &'a [u8],
    /// Display name as written (with its quotes), empty when absent.
    pub display: &'a [u8],
    /// URI text without angle brackets.
    pub uri: &'a [u8],
    /// Header parameters after the `>` (or, for an addr-spec, after the first `;`: RFC 3261 §20.10).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Parses one element. `*` (Contact) is an element with `uri == b"*"`.
    pub fn parse(text: &'a [u8]) -> Result<NameAddr<'a>, Fault> {
        todo!("{text:?}")
    }
    /// Walks a comma list of elements in one header row.
    pub fn list(text: &'a [u8]) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> + use<'a> {
        let _ = text;
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
    /// The `tag` parameter (From, To).
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").and_then(|p| p.value)
    }
    /// Parses the URI.
    pub fn parse_uri(&self) -> Result<Uri<'a>, Fault> {
        Uri::parse(self.uri)
    }
}
