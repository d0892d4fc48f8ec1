//! `;name=value` parameters of headers and URIs (RFC 3261 §25.1 generic-param, uri-parameter).

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
        todo!()
    }
}

/// A lazily walked parameter list: text from the first `;` (exclusive or inclusive) on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(pub &'a [u8]);

impl<'a> Params<'a> {
    /// First parameter of that name, case-insensitively.
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()))
    }
    /// Walks the list; quoted strings may hold `;`.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
}
