//! Text with pseudo-variables in it: `call from $fu to $(ru{uri.user})`, `$$` is a dollar.

use std::borrow::Cow;
use std::io::Write;

use crate::{Pv, Registry, RouteContext, Value};

/// Text with pseudo-variables, parsed.
#[derive(Debug, Default)]
pub struct Format {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<[u8]>),
    Pv(Pv),
}

impl Format {
    /// Parses; the error names the pseudo-variable at fault.
    pub fn parse(registry: &Registry, text: &[u8]) -> Result<Format, String> {
        Format::parse_at(registry, text, 0)
    }
    /// Parses inside a pseudo-variable that stands so many others deep.
    pub(crate) fn parse_at(registry: &Registry, text: &[u8], depth: usize) -> Result<Format, String> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            if first != b'$' || after.is_empty() {
                plain.push(first);
                rest = after;
                continue;
            }
            if let Some(after) = after.strip_prefix(b"$") {
                plain.push(b'$');
                rest = after;
                continue;
            }
            let (pv, left) = Pv::parse_prefix_at(registry, rest, depth)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(Part::Pv(pv));
            rest = left;
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Format { parts })
    }
    /// Appends the text with every pseudo-variable replaced; null prints as `<null>`.
    pub fn write(&self, ctx: &RouteContext<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Pv(pv) => write_value(&pv.get(ctx), out),
            }
        }
    }
    /// The whole text; borrowed when it is constant or one pseudo-variable.
    pub fn text<'c>(&'c self, ctx: &'c RouteContext<'_>) -> Cow<'c, [u8]> {
        match self.parts.as_slice() {
            [] => Cow::Borrowed(b""),
            [Part::Text(text)] => Cow::Borrowed(text),
            [Part::Pv(pv)] => match pv.get(ctx) {
                Value::Str(s) => s,
                other => {
                    let mut out = Vec::new();
                    write_value(&other, &mut out);
                    Cow::Owned(out)
                }
            },
            _ => {
                let mut out = Vec::new();
                self.write(ctx, &mut out);
                Cow::Owned(out)
            }
        }
    }
    /// The text when there is no pseudo-variable in it.
    pub fn constant(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
    /// The pseudo-variable when the text is just one.
    pub fn single(&self) -> Option<&Pv> {
        match self.parts.as_slice() {
            [Part::Pv(pv)] => Some(pv),
            _ => None,
        }
    }
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::List(_) | Value::Map(_) => out.extend_from_slice(b"<null>"),
        Value::Str(s) => out.extend_from_slice(s),
        Value::Bool(b) => out.push(if *b { b'1' } else { b'0' }),
        // Writing to a Vec does not fail.
        Value::Int(i) => drop(write!(out, "{i}")),
    }
}
