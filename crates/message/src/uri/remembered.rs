//! A parsed URI as offsets into its own text: what a message remembers of the URIs that scripts ask for again and again.

use std::sync::OnceLock;

use super::{Scheme, Uri};
use crate::{Fault, Params};

/// The parts of a URI, relative to its text. A message is at most 64 KiB, so 16 bits are enough.
#[derive(Debug, Clone, Copy)]
struct Parts {
    user: Option<(u16, u16)>,
    password: Option<(u16, u16)>,
    host: (u16, u16),
    params: (u16, u16),
    headers: (u16, u16),
    port: Option<u16>,
    scheme: Scheme,
}

/// Parses once.
#[derive(Debug, Default)]
pub(crate) struct RememberedUri(OnceLock<Option<Parts>>);

impl RememberedUri {
    /// The URI in `text`, which is the same text at every call.
    pub(crate) fn parse<'a>(&self, text: &'a [u8]) -> Result<Uri<'a>, Fault> {
        match self.0.get_or_init(|| Uri::parse(text).ok().and_then(|uri| Parts::of(&uri))) {
            Some(parts) => Ok(parts.over(text)),
            // A fault, or a text too long to be remembered: neither is common.
            None => Uri::parse(text),
        }
    }
}

impl Parts {
    fn of(uri: &Uri<'_>) -> Option<Parts> {
        let span = |part: &[u8]| {
            let at = (part.as_ptr() as usize).checked_sub(uri.text.as_ptr() as usize)?;
            Some((u16::try_from(at).ok()?, u16::try_from(at.checked_add(part.len())?).ok()?))
        };
        let optional = |part: Option<&[u8]>| match part {
            Some(part) => span(part).map(Some),
            None => Some(None),
        };
        Some(Parts {
            user: optional(uri.user)?,
            password: optional(uri.password)?,
            host: span(uri.host)?,
            params: span(uri.params.0)?,
            headers: span(uri.headers)?,
            port: uri.port,
            scheme: uri.scheme,
        })
    }
    fn over<'a>(&self, text: &'a [u8]) -> Uri<'a> {
        let part =
            |(start, end): (u16, u16)| text.get(usize::from(start)..usize::from(end)).unwrap_or_default();
        Uri {
            text,
            scheme: self.scheme,
            user: self.user.map(part),
            password: self.password.map(part),
            host: part(self.host),
            port: self.port,
            params: Params(part(self.params)),
            headers: part(self.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_parsed() {
        for text in [
            "sip:alice:pw@atlanta.example:5070;transport=tcp;lr?Subject=x",
            "sip:1.2.3.4",
            "sips:a@[2001:db8::1]:5061",
            "tel:+4930123;phone-context=x",
            "urn:service:sos",
            "garbage",
            "",
        ] {
            let remembered = RememberedUri::default();
            let parsed = Uri::parse(text.as_bytes());
            assert_eq!(remembered.parse(text.as_bytes()), parsed, "{text}");
            assert_eq!(remembered.parse(text.as_bytes()), parsed, "{text}, again");
        }
    }
}
