//! Transformations: `{s.substr,0,3}`, `{uri.user}`, `{param.value,tag}`; one row each, looked up when a script is read.
//!
//! Null stays null unless a row says otherwise; an integer is its decimal text.

mod codec;
mod sip;
mod string;
mod value;

use std::borrow::Cow;

pub use codec::{core_hash, md5_hex};
pub use sip::{parse_socket, transport_by_number, transport_number};
pub use string::leading_int;

use crate::regexp::Substitution;
use crate::registry::nearest;
use crate::{Format, Registry, RouteContext, Value};

/// One transformation.
#[derive(Debug, Clone, Copy)]
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
    pub call: TransformationCall,
}

/// What a transformation works on.
#[derive(Debug, Clone, Copy)]
pub enum TransformationCall {
    /// Text; null stays null without a call.
    Text(for<'c> fn(Cow<'c, [u8]>, &Args<'c, '_>) -> Value<'c>),
    /// Any value, null included.
    Value(for<'c> fn(Value<'c>, &Args<'c, '_>) -> Value<'c>),
    /// `re.subst`: the parameter is a substitution, compiled when the script is read.
    Substitution,
}

/// Rows of one file.
macro_rules! table {
    ($module:literal, $class:literal; $($name:literal $min:literal $max:literal $kind:ident $doc:literal $call:expr;)*) => {
        &[$($crate::pv::transformations::TransformationRow {
            module: $module,
            class: $class,
            name: $name,
            params: ($min, $max),
            doc: $doc,
            call: $crate::pv::transformations::TransformationCall::$kind($call),
        }),*]
    };
}
use table;

const RE: &[TransformationRow] = &[TransformationRow {
    module: "textops",
    class: "re",
    name: "subst",
    params: (1, 1),
    doc: "`{re.subst,/regex/replacement/flags}`: the text with the first match (all with flag `g`) replaced; `\\1` and \
          pseudo-variables in the replacement; flags `i` without case, `s` line by line. Unchanged when nothing matches.",
    call: TransformationCall::Substitution,
}];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static TransformationRow> {
    [
        string::ROWS,
        codec::ROWS,
        sip::URI,
        sip::PARAM,
        sip::NAMEADDR,
        sip::TOBODY,
        sip::URIALIAS,
        sip::SOCK,
        sip::URL,
    ]
    .into_iter()
    .chain([value::LINE, value::VAL, value::NUM, value::SQL, RE])
    .flatten()
}

/// A transformation with its parameters.
pub(super) struct Transformation {
    row: &'static TransformationRow,
    params: Box<[Format]>,
    substitution: Option<Box<Substitution>>,
}

/// Parameters of one evaluation.
pub struct Args<'c, 's> {
    pub(super) ctx: &'c RouteContext<'s>,
    params: &'c [Format],
}

impl<'c> Args<'c, '_> {
    /// How many were given.
    pub fn len(&self) -> usize {
        self.params.len()
    }
    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }
    /// A parameter's text; empty when it was not given.
    pub fn text(&self, i: usize) -> Cow<'c, [u8]> {
        self.params.get(i).map_or(Cow::Borrowed(b""), |f| f.text(self.ctx))
    }
    /// A parameter as a number.
    pub fn int(&self, i: usize) -> Option<i64> {
        std::str::from_utf8(self.text(i).trim_ascii()).ok()?.parse().ok()
    }
    /// A parameter that is one character, `default` when it was not given.
    pub fn byte(&self, i: usize, default: u8) -> u8 {
        self.text(i).first().copied().unwrap_or(default)
    }
}

impl Transformation {
    /// Parses what stands between the braces.
    pub(super) fn parse(registry: &Registry, text: &[u8], depth: usize) -> Result<Transformation, String> {
        let (head, rest) = match text.iter().position(|c| *c == b',') {
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
        let mut substitution = None;
        let mut params = Vec::new();
        if matches!(row.call, TransformationCall::Substitution) {
            substitution = Some(Box::new(Substitution::parse_at(registry, rest.unwrap_or_default(), depth)?));
        } else if let Some(rest) = rest {
            for param in split(rest, row.params.1) {
                params.push(parse_param(registry, param, depth)?);
            }
        }
        let given = params.len() + usize::from(substitution.is_some());
        if given < row.params.0 || (given == 0 && rest.is_some()) {
            return Err(match row.params {
                (a, b) if a == b => format!("transformation {{{head}}} takes {a} parameters"),
                (a, b) => format!("transformation {{{head}}} takes {a} to {b} parameters"),
            });
        }
        Ok(Transformation { row, params: params.into(), substitution })
    }
    pub(super) fn apply<'c>(&'c self, ctx: &'c RouteContext<'_>, value: Value<'c>) -> Value<'c> {
        let args = Args { ctx, params: &self.params };
        let call = match self.row.call {
            TransformationCall::Value(call) => return call(value, &args),
            TransformationCall::Text(call) => Some(call),
            TransformationCall::Substitution => None,
        };
        let Some(text) = into_text(value) else { return Value::Null };
        if let Some(call) = call {
            return call(text, &args);
        }
        match self.substitution.as_ref().and_then(|s| s.apply(ctx, &text)) {
            Some(replaced) => Value::owned(replaced),
            None => Value::Str(text),
        }
    }
}

/// A value's text; `None` for null.
fn into_text(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null => None,
        Value::Str(s) => Some(s),
        other => Some(Cow::Owned(other.to_text().into_owned())),
    }
}

/// `$` alone is a character here, as in `{s.select,0,$}`.
fn parse_param(registry: &Registry, text: &[u8], depth: usize) -> Result<Format, String> {
    if text == b"$" {
        return Format::parse(registry, b"$$");
    }
    Format::parse_at(registry, text, depth)
}

/// Splits at commas into at most `max` parameters, the last of which takes the rest. A comma that stands alone is the character:
/// `{s.select,0,,}`. Commas inside `$(...)` do not count.
fn split(text: &[u8], max: usize) -> Vec<&[u8]> {
    let mut params = Vec::new();
    let mut rest = text;
    while params.len() < max {
        if rest == b"," || params.len() + 1 == max {
            params.push(rest);
            break;
        }
        match find_comma(rest) {
            Some(comma) => {
                params.push(&rest[..comma]);
                rest = &rest[comma + 1..];
            }
            None => {
                params.push(rest);
                break;
            }
        }
    }
    params
}

fn find_comma(text: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut after_dollar = false;
    for (i, c) in text.iter().enumerate() {
        match c {
            b'$' => after_dollar = true,
            b'(' if after_dollar || depth > 0 => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b',' if depth == 0 => return Some(i),
            c if c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.') => continue,
            _ => after_dollar = false,
        }
    }
    None
}

/// A part of the text: borrowed text stays borrowed.
fn slice(text: Cow<'_, [u8]>, range: std::ops::Range<usize>) -> Value<'_> {
    Value::Str(match text {
        Cow::Borrowed(b) => Cow::Borrowed(b.get(range).unwrap_or_default()),
        Cow::Owned(mut v) => {
            v.truncate(range.end);
            v.drain(..range.start.min(v.len()));
            Cow::Owned(v)
        }
    })
}

/// A part of the text found by a function that borrows from it.
fn part(text: Cow<'_, [u8]>, find: impl FnOnce(&[u8]) -> Option<&[u8]>) -> Value<'_> {
    let range = match find(&text) {
        None => return Value::Null,
        Some([]) => return Value::str(b""),
        Some(part) => {
            let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            start..start.saturating_add(part.len())
        }
    };
    if range.end > text.len() {
        return Value::Null;
    }
    slice(text, range)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    if what.is_empty() {
        return None;
    }
    text.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests;
