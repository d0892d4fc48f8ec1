//! Transformations: `{s.substr,0,3}`, `{uri.user}`, `{param.value,tag}`; one row each, looked up when a script is read.

use std::borrow::Cow;

use crate::registry::nearest;
use crate::{Format, Registry, RouteContext, Value};

/// One transformation.
#[derive(Debug)]
pub struct TransformationRow {
    /// Module that Kamailio has it in.
    pub module: &'static str,
    /// Class: `s`, `uri`, ...
    pub class: &'static str,
    /// Name within the class, may hold dots (`decode.hexa`).
    pub name: &'static str,
    /// Least and most number of parameters.
    pub params: (usize, usize),
    /// Documentation.
    pub doc: &'static str,
    /// The function.
    pub call: for<'c> fn(Value<'c>, &Args<'c, '_, '_>) -> Value<'c>,
}

/// A transformation with its parameters.
pub(super) struct Transformation {
    row: &'static TransformationRow,
    params: Box<[Format]>,
    /// What a row made of its constant parameters once (`re.subst`).
    prepared: Option<Prepared>,
}

#[derive(Debug)]
enum Prepared {}

/// Parameters of one evaluation.
pub struct Args<'c, 's, 'p> {
    ctx: &'c RouteContext<'s>,
    params: &'c [Format],
    _prepared: std::marker::PhantomData<&'p ()>,
}

impl<'c> Args<'c, '_, '_> {
    /// A parameter's text; empty when it was not given.
    pub fn text(&self, i: usize) -> Cow<'c, [u8]> {
        self.params.get(i).map_or(Cow::Borrowed(b""), |f| f.text(self.ctx))
    }
    /// A parameter as a number.
    pub fn int(&self, i: usize) -> Option<i64> {
        std::str::from_utf8(self.text(i).trim_ascii()).ok()?.parse().ok()
    }
}

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static TransformationRow> {
    std::iter::empty()
}

impl Transformation {
    /// Parses what stands between the braces.
    pub(super) fn parse(registry: &Registry, text: &[u8]) -> Result<Transformation, String> {
        let (head, params) = match text.iter().position(|c| *c == b',') {
            Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
            None => (text, None),
        };
        let head = String::from_utf8_lossy(head.trim_ascii()).into_owned();
        let Some(row) = rows().find(|r| {
            head.strip_prefix(r.class).and_then(|h| h.strip_prefix('.')).is_some_and(|name| name == r.name)
        }) else {
            let names: Vec<String> = rows().map(|r| format!("{}.{}", r.class, r.name)).collect();
            return Err(match nearest(&head, names.iter().map(String::as_str)) {
                Some(near) => format!("unknown transformation {{{head}}}; did you mean {{{near}}}?"),
                None => format!("unknown transformation {{{head}}}"),
            });
        };
        let params = params.map(|p| Format::parse(registry, p)).transpose()?.into_iter().collect();
        Ok(Transformation { row, params, prepared: None })
    }
    pub(super) fn apply<'c>(&'c self, ctx: &'c RouteContext<'_>, value: Value<'c>) -> Value<'c> {
        let _ = &self.prepared;
        (self.row.call)(value, &Args { ctx, params: &self.params, _prepared: std::marker::PhantomData })
    }
}
