//! Substitutions in the manner of sed: `/re/repl/flags`.
//!
//! `repl` may hold `\0` to `\9` (the match and its groups), `\u` (the Request-URI), `\n \r \t \\`, and pseudo-variables.
//! Flags: `i` letters in either case, `g` every match, `s` the text is one line.

use std::sync::Arc;

use message::Uri;
use regex::bytes::{Captures, Regex};
use script::{Outcome, Pv, RouteContext, ksr_module};

use super::TextOps;
use super::regex_cache::{self, Flags};
use super::replace::Part;

enum Piece {
    Text(Vec<u8>),
    Group(usize),
    Uri,
    Pv(Pv),
}

/// A parsed substitution.
pub(super) struct Substitution {
    regex: Regex,
    replacement: Vec<Piece>,
    all: bool,
}

impl Substitution {
    /// Parses; `None` when it is not of the form or the expression is bad (which is logged).
    pub(super) fn parse(ctx: &RouteContext<'_>, text: &[u8]) -> Option<Substitution> {
        let parsed = Self::parts(ctx, text);
        if parsed.is_none() {
            tracing::error!(target: "textops", substitution = %String::from_utf8_lossy(text),
                "a substitution has the form /expression/replacement/flags");
        }
        parsed
    }

    fn parts(ctx: &RouteContext<'_>, text: &[u8]) -> Option<Substitution> {
        let (&delimiter, rest) = text.split_first()?;
        if delimiter == b'\\' || delimiter.is_ascii_alphanumeric() {
            return None;
        }
        let (expression, rest) = until(rest, delimiter)?;
        let (replacement, letters) = until(rest, delimiter)?;
        let mut flags = Flags { ignore_case: false, ..Flags::USUAL };
        let mut all = false;
        for letter in letters {
            match letter {
                b'i' => flags.ignore_case = true,
                b'g' => all = true,
                b's' => (flags.lines, flags.dot_all) = (false, true),
                _ => return None,
            }
        }
        let regex = regex_cache::get(ctx, &expression, flags).ok()?;
        Some(Substitution { regex, replacement: pieces(ctx, &replacement)?, all })
    }

    fn write(&self, ctx: &RouteContext<'_>, hit: &Captures<'_>, out: &mut Vec<u8>) {
        for piece in &self.replacement {
            match piece {
                Piece::Text(t) => out.extend_from_slice(t),
                Piece::Group(n) => out.extend_from_slice(hit.get(*n).map_or(&b""[..], |m| m.as_bytes())),
                Piece::Uri => out.extend_from_slice(ctx.request_uri()),
                Piece::Pv(pv) => out.extend_from_slice(&pv.get(ctx).to_text()),
            }
        }
    }

    /// Matches with their replacements: start, end, text.
    pub(super) fn hits(&self, ctx: &RouteContext<'_>, text: &[u8]) -> Vec<(usize, usize, Vec<u8>)> {
        let limit = if self.all { usize::MAX } else { 1 };
        let found = self.regex.captures_iter(text).take(limit);
        found
            .filter_map(|hit| {
                let whole = hit.get(0)?;
                let mut out = Vec::new();
                self.write(ctx, &hit, &mut out);
                Some((whole.start(), whole.end(), out))
            })
            .collect()
    }

    /// The text with the replacements made; `None` when nothing matches.
    pub(super) fn apply(&self, ctx: &RouteContext<'_>, text: &[u8]) -> Option<Vec<u8>> {
        let hits = self.hits(ctx, text);
        if hits.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(text.len() + 32);
        let mut at = 0;
        for (start, end, new) in hits {
            out.extend_from_slice(text.get(at..start).unwrap_or_default());
            out.extend_from_slice(&new);
            at = end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Some(out)
    }
}

/// Text up to the next delimiter without a backslash, and what follows; `\/` becomes `/`.
fn until(text: &[u8], delimiter: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == delimiter {
            return Some((out, tail));
        }
        if byte == b'\\'
            && let Some((&next, after)) = tail.split_first()
        {
            if next != delimiter {
                out.push(b'\\');
            }
            out.push(next);
            rest = after;
            continue;
        }
        out.push(byte);
        rest = tail;
    }
    None
}

fn pieces(ctx: &RouteContext<'_>, text: &[u8]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let piece = match (byte, tail.split_first()) {
            (b'\\', Some((&next, after))) => {
                rest = after;
                match next {
                    b'0'..=b'9' => Piece::Group(usize::from(next - b'0')),
                    b'u' => Piece::Uri,
                    b'n' => Piece::Text(vec![b'\n']),
                    b'r' => Piece::Text(vec![b'\r']),
                    b't' => Piece::Text(vec![b'\t']),
                    other => Piece::Text(vec![other]),
                }
            }
            (b'$', Some((b'$', after))) => {
                rest = after;
                Piece::Text(vec![b'$'])
            }
            (b'$', Some(_)) => {
                let whole = text.get(text.len() - tail.len() - 1..)?;
                let (pv, after) = Pv::parse_prefix(&ctx.core.registry, whole)
                    .inspect_err(|error| tracing::error!(target: "textops", error, "bad replacement"))
                    .ok()?;
                rest = after;
                Piece::Pv(pv)
            }
            _ => Piece::Text(vec![byte]),
        };
        match piece {
            Piece::Text(t) => plain.extend_from_slice(&t),
            other => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(other);
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Some(pieces)
}

fn edit(ctx: &mut RouteContext<'_>, substitution: &Substitution, text: &[u8], at: u32) -> bool {
    let hits = substitution.hits(ctx, text);
    let found = !hits.is_empty();
    for (start, end, new) in hits {
        ctx.edits.replace(at + start as u32, at + end as u32, &new);
    }
    found
}

fn in_part(ctx: &mut RouteContext<'_>, part: Part, expression: &[u8]) -> Outcome {
    let Some(substitution) = Substitution::parse(ctx, expression) else { return Outcome::FALSE };
    let message = Arc::clone(&ctx.message);
    let at = part.range(&message).start as u32;
    Outcome::from(edit(ctx, &substitution, part.bytes(&message), at))
}

#[ksr_module("textops", rows = "SUBST")]
impl TextOps {
    /// Substitutes in the message behind its first line: `/re/repl/flags` with `\0`..`\9`, `\u` (Request-URI) and pseudo-variables in
    /// `repl`, and flags `i` (letters in either case), `g` (every match), `s` (line ends are text). Returns 1, or -1 when nothing
    /// matches.
    #[ksr(cfg = ["subst"])]
    fn subst(&self, ctx: &mut RouteContext<'_>, subex: &[u8]) -> Outcome {
        in_part(ctx, Part::AfterFirstLine, subex)
    }
    /// As `subst`, in the Request-URI. Returns 1, or -1 when nothing matches or the result is not a URI.
    #[ksr(cfg = ["subst_uri"])]
    fn subst_uri(&self, ctx: &mut RouteContext<'_>, subex: &[u8]) -> Outcome {
        let Some(substitution) = Substitution::parse(ctx, subex) else { return Outcome::FALSE };
        match substitution.apply(ctx, ctx.request_uri()) {
            Some(uri) if Uri::parse(&uri).is_ok() => {
                ctx.target.uri = uri;
                Outcome::TRUE
            }
            _ => Outcome::FALSE,
        }
    }
    /// As `subst`, in the user part of the Request-URI. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["subst_user"])]
    fn subst_user(&self, ctx: &mut RouteContext<'_>, subex: &[u8]) -> Outcome {
        let Some(substitution) = Substitution::parse(ctx, subex) else { return Outcome::FALSE };
        let uri = ctx.request_uri();
        let Ok(parsed) = Uri::parse(uri) else { return Outcome::FALSE };
        let user = parsed.user.unwrap_or_default();
        let Some(new) = substitution.apply(ctx, user) else { return Outcome::FALSE };
        let new = match parsed.user {
            Some(user) => {
                let start = user.as_ptr() as usize - uri.as_ptr() as usize;
                let (head, tail) = (uri.get(..start), uri.get(start + user.len()..));
                [head.unwrap_or_default(), &new, tail.unwrap_or_default()].concat()
            }
            None => {
                let start = (parsed.host.as_ptr() as usize).saturating_sub(uri.as_ptr() as usize);
                let (head, tail) = uri.split_at(start.min(uri.len()));
                [head, &new, b"@", tail].concat()
            }
        };
        ctx.target.uri = new;
        Outcome::TRUE
    }
    /// As `subst`, in the body. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["subst_body"])]
    fn subst_body(&self, ctx: &mut RouteContext<'_>, subex: &[u8]) -> Outcome {
        in_part(ctx, Part::Body, subex)
    }
    /// As `subst`, in the values of a header: `flags` is `a` all rows, `f` the first, `l` the last. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["subst_hf"])]
    fn subst_hf(&self, ctx: &mut RouteContext<'_>, hname: &[u8], subex: &[u8], flags: &[u8]) -> Outcome {
        let Some(substitution) = Substitution::parse(ctx, subex) else { return Outcome::FALSE };
        let message = Arc::clone(&ctx.message);
        let mut found = false;
        for header in super::headers::rows(&message, hname, flags) {
            if let Some(at) = message.offset_of(header.value) {
                found |= edit(ctx, &substitution, header.value, at);
            }
        }
        Outcome::from(found)
    }
    /// As `subst`, in a text; the result goes into a pseudo-variable. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["subst_v"])]
    fn subst_v(&self, ctx: &mut RouteContext<'_>, itext: &[u8], subex: &[u8], opv: &Pv) -> Outcome {
        let Some(substitution) = Substitution::parse(ctx, subex) else { return Outcome::FALSE };
        match substitution.apply(ctx, itext) {
            Some(text) => Outcome::from(opv.set(ctx, script::Value::owned(text))),
            None => Outcome::FALSE,
        }
    }
}
