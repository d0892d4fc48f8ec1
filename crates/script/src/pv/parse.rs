//! The syntax of pseudo-variables: `$name`, `$name(inner)`, `$(name(inner)[index]{class.function,param})`.

use message::HeaderName;

use super::transformations::Transformation;
use super::{Format, IndexSource, Inner, InnerName, Pv};
use crate::Registry;
use crate::registry::nearest;

/// How deep `$hdr($var($...))` may nest: a script cannot exhaust the stack.
const MAX_DEPTH: usize = 8;

impl Pv {
    /// Parses one pseudo-variable that must fill the whole text.
    pub fn parse(registry: &Registry, text: &[u8]) -> Result<Pv, String> {
        let trimmed = text.trim_ascii();
        let (pv, rest) = parse_at(registry, trimmed, 0)?;
        if !rest.is_empty() {
            return Err(format!("{}: unexpected {} at the end", show(trimmed), show(rest)));
        }
        Ok(pv)
    }
    /// Parses the pseudo-variable that text begins with, and returns what follows it.
    pub fn parse_prefix<'t>(registry: &Registry, text: &'t [u8]) -> Result<(Pv, &'t [u8]), String> {
        parse_at(registry, text, 0)
    }
}

fn parse_at<'t>(registry: &Registry, text: &'t [u8], depth: usize) -> Result<(Pv, &'t [u8]), String> {
    if depth > MAX_DEPTH {
        return Err(format!("pseudo-variables are nested deeper than {MAX_DEPTH}"));
    }
    let Some(after) = text.strip_prefix(b"$") else {
        return Err(format!("{}: a pseudo-variable begins with $", show(text)));
    };
    let mut pv;
    let rest;
    if let Some(body) = after.strip_prefix(b"(") {
        let (bare, mut left) = name_and_inner(registry, body.trim_ascii_start(), depth, text)?;
        pv = bare;
        left = left.trim_ascii_start();
        if let Some(index) = left.strip_prefix(b"[") {
            let Some(end) = balanced(index, b'[', b']') else {
                return Err(format!("{}: [ without ]", show(text)));
            };
            pv.index = parse_index(registry, &index[..end], depth)?;
            left = index[end + 1..].trim_ascii_start();
        }
        let mut transformations = Vec::new();
        while let Some(inside) = left.strip_prefix(b"{") {
            let Some(end) = balanced(inside, b'{', b'}') else {
                return Err(format!("{}: {{ without }}", show(text)));
            };
            transformations.push(Transformation::parse(registry, &inside[..end])?);
            left = inside[end + 1..].trim_ascii_start();
        }
        pv.transformations = transformations.into();
        let Some(end) = left.strip_prefix(b")") else {
            return Err(format!("{}: expected ) before {}", show(text), show(left)));
        };
        rest = end;
    } else {
        (pv, rest) = name_and_inner(registry, after, depth, text)?;
    }
    pv.text = text[..text.len() - rest.len()].into();
    Ok((pv, rest))
}

/// `name` or `name(inner)`.
fn name_and_inner<'t>(
    registry: &Registry,
    text: &'t [u8],
    depth: usize,
    whole: &[u8],
) -> Result<(Pv, &'t [u8]), String> {
    let is_name = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'?');
    let end = text.iter().position(|c| !is_name(c)).unwrap_or(text.len());
    let (mut name, mut rest) = text.split_at(end);
    // `$fu.` at the end of a sentence: the longest known name counts, shortened at dots.
    while registry.pseudo_variable(name).is_none()
        && let Some(dot) = name.iter().rposition(|c| *c == b'.')
    {
        (name, rest) = text.split_at(dot);
    }
    let Some(class) = registry.pseudo_variable(name) else {
        let name = text.get(..end).unwrap_or_default();
        if name.is_empty() {
            return Err(format!("{}: a name must follow $ ($$ is a dollar)", show(whole)));
        }
        let name = String::from_utf8_lossy(name);
        let near = nearest(&name, registry.pseudo_variables().map(|p| p.name));
        return Err(match near {
            Some(near) => format!("unknown pseudo-variable ${name}; did you mean ${near}?"),
            None => format!("unknown pseudo-variable ${name} (is its module loaded?)"),
        });
    };
    let mut pv = Pv {
        class,
        inner: InnerName::None,
        index: IndexSource::None,
        transformations: Box::default(),
        text: Box::default(),
    };
    if class.inner == Inner::None {
        return Ok((pv, rest));
    }
    let Some(inside) = rest.strip_prefix(b"(") else {
        return Err(format!("${} needs a name in parentheses, as in ${}(name)", class.name, class.name));
    };
    let Some(end) = balanced(inside, b'(', b')') else {
        return Err(format!("{}: ( without )", show(whole)));
    };
    let (inner, rest) = (&inside[..end], &inside[end + 1..]);
    pv.inner = match class.inner {
        Inner::None => InnerName::None,
        Inner::Keyword(words) => {
            let inner = inner.trim_ascii();
            match words.iter().position(|w| w.as_bytes() == inner) {
                Some(k) => InnerName::Keyword(k),
                None => {
                    let name = String::from_utf8_lossy(inner);
                    let near = nearest(&name, words.iter().copied()).map_or_else(
                        || format!("one of: {}", words.join(" ")),
                        |n| format!("did you mean {n}?"),
                    );
                    return Err(format!("${}({name}): unknown name; {near}", class.name));
                }
            }
        }
        Inner::Pv => {
            let (inner, left) = match inner.first() {
                Some(b'$') => parse_at(registry, inner, depth + 1)?,
                // Kamailio takes `$cnt(avp(x))` too.
                _ => {
                    let dollar = [b"$", inner].concat();
                    let (pv, left) = parse_at(registry, &dollar, depth + 1)?;
                    let left = inner.len() - left.len();
                    (pv, &inner[left..])
                }
            };
            if !left.is_empty() {
                return Err(format!("${}: unexpected {} in the parentheses", class.name, show(left)));
            }
            InnerName::Pv(Box::new(inner))
        }
        Inner::Text if inner.contains(&b'$') => {
            let format = Format::parse(registry, inner)?;
            match format.constant() {
                Some(text) => InnerName::Text(text.into(), HeaderName::parse(text)),
                None => InnerName::Format(Box::new(format)),
            }
        }
        Inner::Text => InnerName::Text(inner.into(), HeaderName::parse(inner)),
    };
    Ok((pv, rest))
}

fn parse_index(registry: &Registry, text: &[u8], depth: usize) -> Result<IndexSource, String> {
    let text = text.trim_ascii();
    if text == b"*" {
        return Ok(IndexSource::All);
    }
    if text.starts_with(b"$") {
        let (pv, rest) = parse_at(registry, text, depth + 1)?;
        if rest.is_empty() {
            return Ok(IndexSource::Pv(Box::new(pv)));
        }
    }
    match std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()) {
        Some(i) => Ok(IndexSource::At(i)),
        None => Err(format!("[{}]: an index is a number, * or a pseudo-variable", show(text))),
    }
}

/// Where the closing bracket of an already opened one stands.
fn balanced(text: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.iter().enumerate() {
        if *c == open {
            depth += 1;
        } else if *c == close {
            if depth == 0 {
                return Some(i);
            }
            depth -= 1;
        }
    }
    None
}

fn show(text: &[u8]) -> String {
    let text = text.get(..text.len().min(60)).unwrap_or_default();
    format!("`{}`", String::from_utf8_lossy(text))
}
