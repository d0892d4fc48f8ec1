//! Parameters of a URI, found and changed in its text.

use message::Uri;

/// Where a parameter stands, from its `;` on, and its value.
fn find<'u>(uri: &'u [u8], name: &[u8]) -> Option<(usize, usize, Option<&'u [u8]>)> {
    let parsed = Uri::parse(uri).ok()?;
    let base = uri.as_ptr() as usize;
    parsed.params.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| {
        let start = p.name.as_ptr() as usize - base;
        let end = p.value.map_or(start + p.name.len(), |v| v.as_ptr() as usize - base + v.len());
        // The `;` right before the name.
        (start.saturating_sub(1), end, p.value)
    })
}

/// The value of a parameter: `None` absent, `Some(None)` without value.
pub(super) fn param<'u>(uri: &'u [u8], name: &[u8]) -> Option<Option<&'u [u8]>> {
    find(uri, name).map(|(_, _, value)| value)
}

/// The URI without a parameter; `None` when it has none of that name.
pub(super) fn without_param(uri: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let (start, end, _) = find(uri, name)?;
    Some([uri.get(..start)?, uri.get(end..)?].concat())
}

/// The URI with `;param` behind its parameters and before its headers.
pub(super) fn with_param(uri: &[u8], param: &[u8]) -> Vec<u8> {
    let param = param.strip_prefix(b";").unwrap_or(param);
    let at = match Uri::parse(uri) {
        Ok(u) if !u.headers.is_empty() => uri.len() - u.headers.len() - 1,
        _ => uri.len(),
    };
    let (head, tail) = uri.split_at(at.min(uri.len()));
    [head, b";", param, tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_middle_at_the_end_and_before_headers() {
        assert_eq!(without_param(b"sip:a@b;x=1;y?h=1", b"X").as_deref(), Some(&b"sip:a@b;y?h=1"[..]));
        assert_eq!(without_param(b"sip:a@b;x=1;y?h=1", b"y").as_deref(), Some(&b"sip:a@b;x=1?h=1"[..]));
        assert_eq!(without_param(b"sip:a@b", b"y"), None);
        assert_eq!(with_param(b"sip:a@b?h=1", b"x=1"), b"sip:a@b;x=1?h=1");
        assert_eq!(with_param(b"sip:a@b;y", b"x"), b"sip:a@b;y;x");
        assert_eq!(param(b"sip:a@b;y;z=", b"z"), Some(Some(&b""[..])));
    }
}
