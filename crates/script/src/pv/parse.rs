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
    /// As [`Pv::parse_prefix`], inside a pseudo-variable that stands so many others deep.
    pub(super) fn parse_prefix_at<'t>(
        registry: &Registry,
        text: &'t [u8],
        depth: usize,
    ) -> Result<(Pv, &'t [u8]), String> {
        parse_at(registry, text, depth)
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
            transformations.push(Transformation::parse(registry, &inside[..end], depth + 1)?);
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
            let format = Format::parse_at(registry, inner, depth + 1)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::testing::Bench;
    use crate::{Index, Inner, Module, PseudoVariable, Pv, Value};

    static ROWS: &[PseudoVariable] = crate::pseudo_variables! { "t";
        "a" None "One." |_, _| Value::Int(1);
        "a.b" None "Two." |_, _| Value::from("two");
        "null" None "Null." |_, _| Value::Null;
        "x" Text "The text in the parentheses and the index." |ctx, pv| {
            let index = match pv.index(ctx) {
                Index::None => String::new(),
                Index::At(i) => format!("[{i}]"),
                Index::All => "[*]".into(),
            };
            Value::owned([&*pv.inner_text(ctx), index.as_bytes()].concat())
        };
        "k" Keyword(&["one", "two"]) "Its keyword's number." |_, pv| Value::Int(pv.keyword() as i64);
        "p" Pv "The name of the one in the parentheses." |_, pv| Value::from(pv.inner_pv().map_or("", |p| p.class.name)),
            |_, _, value| value == Value::Int(7);
    };

    struct Rows;
    impl Module for Rows {
        fn name(&self) -> &'static str {
            "t"
        }
        fn pseudo_variables(&self) -> &'static [PseudoVariable] {
            ROWS
        }
    }

    fn bench() -> Bench {
        Bench::new(vec![Arc::new(Rows)])
    }
    const REQUEST: &str = "OPTIONS sip:a SIP/2.0\nCSeq: 1 OPTIONS\n";

    #[test]
    fn forms() {
        let bench = bench();
        let ctx = bench.request(REQUEST);
        for (text, want) in [
            ("$a", Value::Int(1)),
            ("$(a)", Value::Int(1)),
            ("$a.b", Value::from("two")),
            ("$x(text)", Value::from("text")),
            ("$x(a(b)c)", Value::from("a(b)c")),
            ("$x(<$a.b>)", Value::from("<two>")),
            ("$x($$)", Value::from("$")),
            ("$(x(n)[3])", Value::from("n[3]")),
            ("$(x(n)[-1])", Value::from("n[-1]")),
            ("$(x(n)[*])", Value::from("n[*]")),
            ("$(x(n)[$a])", Value::from("n[1]")),
            ("$(x(abc)[0]{s.substr,0,2}{s.toupper})", Value::from("AB")),
            ("$k(two)", Value::Int(1)),
            ("$p($x(n))", Value::from("x")),
            ("$p(x(n))", Value::from("x")),
        ] {
            assert_eq!(bench.pv(&ctx, text), want, "{text}");
        }
    }

    #[test]
    fn faults_name_what_is_wrong() {
        let bench = bench();
        for (text, want) in [
            ("", "``: a pseudo-variable begins with $"),
            ("$", "`$`: a name must follow $ ($$ is a dollar)"),
            ("$(a", "`$(a`: expected ) before ``"),
            ("$a b", "`$a b`: unexpected ` b` at the end"),
            ("$x(a", "`$x(a`: ( without )"),
            ("$(x(a)[1)", "`$(x(a)[1)`: [ without ]"),
            ("$(x(a)[q])", "[`q`]: an index is a number, * or a pseudo-variable"),
            ("$k(tow)", "$k(tow): unknown name; did you mean two?"),
            ("$k(zzzzzz)", "$k(zzzzzz): unknown name; one of: one two"),
            ("$nul", "unknown pseudo-variable $nul; did you mean $null?"),
            ("$x($nul)", "unknown pseudo-variable $nul; did you mean $null?"),
        ] {
            assert_eq!(
                bench.core.registry.parse_pv(text.as_bytes()).map(drop).err().as_deref(),
                Some(want),
                "{text}"
            );
        }
        let deep = format!("{}$a{}", "$x(".repeat(10_000), ")".repeat(10_000));
        assert!(bench.core.registry.parse_pv(deep.as_bytes()).is_err(), "nesting is bounded");
    }

    #[test]
    fn formats_and_assignments() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        assert_eq!(bench.format(&ctx, "a=$a, $(a.b){x} $null. $$5 $"), "a=1, two{x} <null>. $5 $");
        assert_eq!(bench.format(&ctx, "no variables"), "no variables");
        assert!(bench.core.registry.parse_format(b"a $nope").is_err());
        assert!(bench.set_pv(&mut ctx, "$p($a)", 7.into()) && !bench.set_pv(&mut ctx, "$p($a)", 8.into()));
        assert!(!bench.set_pv(&mut ctx, "$a", 7.into()), "read-only");
        let unknown = Pv::unknown(b"$nope");
        assert!(unknown.is_unknown() && unknown.get(&ctx).is_null() && !unknown.set(&mut ctx, 1.into()));
    }

    #[test]
    fn index_positions() {
        assert_eq!(Index::None.position(3), Some(0));
        assert_eq!(Index::At(-1).position(3), Some(2));
        assert_eq!((Index::At(3).position(3), Index::At(-4).position(3)), (None, None));
        assert_eq!((Index::None.position(0), Index::All.position(3)), (None, None));
        assert_eq!(Index::At(i64::MIN).position(3), None);
        let _ = Inner::None;
    }
}
