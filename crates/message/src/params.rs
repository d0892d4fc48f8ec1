//! `;name=value` parameters of headers and URIs (RFC 3261 §25.1 generic-param, uri-parameter).

use crate::grammar::{Scan, escaped_bytes, is_lws, table, trim_end};

/// One parameter. `value` is as written (with its quotes); `None` when there is no `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Name as written.
    pub name: &'a [u8],
    /// Value as written.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// The value without surrounding quotes; escapes are left alone. Empty when there is none.
    pub fn unquoted(&self) -> &'a [u8] {
        match self.value.unwrap_or_default() {
            [b'"', inner @ .., b'"'] => inner,
            other => other,
        }
    }
}

/// A lazily walked parameter list: text from the first `;` (exclusive or inclusive) on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(pub &'a [u8]);

/// A parameter list that breaks the grammar: an empty parameter, a quoted string without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What ends a parameter's name.
static NAME_END: [bool; 256] = table(b"=; \t\r\n", false);

impl<'a> Params<'a> {
    /// First parameter of that name, case-insensitively.
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()))
    }
    /// As [`Params::get`], for URI parameters, whose names may be escaped (`%6C%72` is `lr`, §19.1.2).
    pub fn get_escaped(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|p| {
            p.name.eq_ignore_ascii_case(name.as_bytes())
                || (p.name.contains(&b'%')
                    && escaped_bytes(p.name)
                        .map(|(b, _)| b.to_ascii_lowercase())
                        .eq(name.bytes().map(|b| b.to_ascii_lowercase())))
        })
    }
    /// Walks the list; quoted strings may hold `;`. What breaks the grammar is skipped.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut scan = Scan(self.0);
        std::iter::from_fn(move || {
            loop {
                match next_param(&mut scan)? {
                    Ok(param) => return Some(param),
                    Err(Malformed) => continue,
                }
            }
        })
    }
    /// Whether every parameter has a name and every quoted string an end. One `;` too many at the end is let pass: many
    /// user agents write it.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let mut scan = Scan(self.0);
        while let Some(param) = next_param(&mut scan) {
            param?;
        }
        Ok(())
    }
}

/// Takes one parameter and the `;` that follows it; `None` at the end. Always makes progress.
#[inline]
pub(crate) fn next_param<'a>(scan: &mut Scan<'a>) -> Option<Result<Param<'a>, Malformed>> {
    scan.skip_lws();
    if scan.is_empty() {
        return None;
    }
    let name = scan.take_while(|b| !NAME_END[b as usize]);
    // Most have no white space and no quotes, and end here.
    if scan.is_empty() || scan.eat(b';') {
        return Some(if name.is_empty() { Err(Malformed) } else { Ok(Param { name, value: None }) });
    }
    scan.skip_lws();
    let mut value = None;
    let mut sound = !name.is_empty();
    if scan.eat(b'=') {
        scan.skip_lws();
        if scan.peek() == Some(b'"') {
            match scan.quoted() {
                Some(text) => value = Some(text),
                None => {
                    sound = false;
                    scan.0 = &[];
                }
            }
        } else {
            value = Some(trim_end(scan.take_until(b';')));
        }
    }
    // Whatever stands between here and the `;` belongs to no parameter.
    if !scan.is_empty() && !scan.eat(b';') {
        sound &= scan.take_until(b';').iter().all(|&b| is_lws(b));
        scan.eat(b';');
    }
    Some(if sound { Ok(Param { name, value }) } else { Err(Malformed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<(String, Option<String>)> {
        let string = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Params(text.as_bytes()).iter().map(|p| (string(p.name), p.value.map(string))).collect()
    }

    fn pair(name: &str, value: Option<&str>) -> (String, Option<String>) {
        (name.into(), value.map(Into::into))
    }

    #[test]
    fn names_values_quotes_and_folds() {
        assert_eq!(
            list(";tag = 98 ;lr;\r\n x=\"a;b\\\"=\" ; y="),
            [pair("tag", Some("98")), pair("lr", None), pair("x", Some("\"a;b\\\"=\"")), pair("y", Some(""))]
        );
        assert_eq!(Params(b"x=\"a b\"").get("X").map(|p| p.unquoted()), Some(&b"a b"[..]));
        assert!(Params(b";%6C%72;q=1").get_escaped("lr").is_some());
        assert!(Params(b";%6C%72;q=1").get("lr").is_none());
    }

    #[test]
    fn malformed_lists_are_told_and_survived() {
        assert_eq!(list(";;a;;=1;b"), [pair("a", None), pair("b", None)]);
        assert_eq!(Params(b"a;;b").check(), Err(Malformed));
        assert_eq!(Params(b"a=\"x").check(), Err(Malformed));
        assert_eq!(Params(b"rport x=;b").check(), Err(Malformed));
        assert_eq!(Params(b"a=\"x\"y").check(), Err(Malformed));
        assert_eq!(Params(b"a=1;b;").check(), Ok(()));
    }
}
