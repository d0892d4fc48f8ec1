//! Values of headers that are comma lists: `Supported: path, 100rel`, `Contact: <sip:a@b>;q=1`.
//!
//! A value is named `Header[2].param`: the second value (from 1, negative from the end, `*` all), its parameter.

use message::{HeaderName, Message, grammar};
use script::{Outcome, RouteContext, ksr_module};

use super::TextOpsX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Unsaid,
    At(i64),
    All,
}

/// `Header[2].param`, parsed.
#[derive(Debug)]
struct Spec<'s> {
    name: &'s [u8],
    which: Which,
    param: Option<&'s [u8]>,
}

impl<'s> Spec<'s> {
    fn parse(text: &'s [u8]) -> Option<Spec<'s>> {
        let text = text.trim_ascii();
        let end = text.iter().position(|b| matches!(b, b'[' | b'.')).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let mut which = Which::Unsaid;
        if let Some(inner) = rest.strip_prefix(b"[") {
            let close = inner.iter().position(|b| *b == b']')?;
            let index = std::str::from_utf8(inner.get(..close)?).ok()?.trim();
            which = if index == "*" { Which::All } else { Which::At(index.parse().ok()?) };
            rest = inner.get(close + 1..)?;
        }
        let param = match rest.strip_prefix(b".") {
            Some(param) if !param.is_empty() => Some(param),
            None if rest.is_empty() => None,
            _ => return None,
        };
        (!name.is_empty()).then_some(Spec { name, which, param })
    }

    /// The values meant, out of all; without an index the first.
    fn pick<'v>(&self, all: &'v [Value]) -> &'v [Value] {
        let at = match self.which {
            Which::All => return all,
            Which::Unsaid => 0,
            Which::At(i) if i > 0 => i - 1,
            Which::At(i) => (all.len() as i64).saturating_add(i),
        };
        usize::try_from(at).ok().and_then(|at| all.get(at..=at)).unwrap_or_default()
    }
}

/// One value: where it stands, and its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    start: u32,
    end: u32,
    row: (u32, u32),
}

impl Value {
    fn text<'m>(&self, message: &'m Message) -> &'m [u8] {
        message.as_bytes().get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The values of a header; `whole`: a row is one value (Authorization and its like).
fn values(message: &Message, name: &[u8], whole: bool) -> Vec<Value> {
    let mut all = Vec::new();
    for header in message.headers_by_text(name) {
        let mut push = |text: &[u8]| {
            if let Some(start) = message.offset_of(text) {
                all.push(Value { start, end: start + text.len() as u32, row: header.row });
            }
        };
        match whole {
            true => push(header.value),
            false => grammar::split_list(header.value).for_each(push),
        }
    }
    all
}

/// Removes values: whole rows when nothing else is left in them.
fn remove(ctx: &mut RouteContext<'_>, all: &[Value], gone: &[Value]) {
    for (i, value) in all.iter().enumerate().filter(|(_, v)| gone.contains(v)) {
        let rest = |v: &&Value| v.row == value.row && !gone.contains(v);
        if !all.iter().any(|v| rest(&v)) {
            ctx.edits.remove(value.row.0, value.row.1);
        } else if let Some(next) = all.get(i + 1).filter(|n| n.row == value.row) {
            ctx.edits.remove(value.start, next.start);
        } else if let Some(before) = all.get(..i).and_then(|b| b.iter().rev().find(rest)) {
            ctx.edits.remove(before.end, value.end);
        }
    }
}

/// Parameters of a value: name, value, and the span from the separator before it to its end, relative to the value.
struct Parameter<'v> {
    name: &'v [u8],
    value: Option<&'v [u8]>,
    start: usize,
    end: usize,
    /// Where the value stands; for a parameter without one, its end.
    value_start: usize,
}

/// Separator `;`, or `,` for credentials, where parameters follow the scheme without one.
fn parameters(text: &[u8], separator: u8) -> Vec<Parameter<'_>> {
    let mut cuts = Vec::new();
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for (i, b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b if *b == separator && !quoted && !angle => cuts.push(i),
            _ => {}
        }
    }
    let mut starts: Vec<(usize, usize)> = cuts.iter().map(|c| (*c, c + 1)).collect();
    if separator == b','
        && let Some(space) = text.iter().position(|b| *b == b' ')
    {
        starts.insert(0, (space, space + 1));
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|s| s.0).chain([text.len()]).collect();
    let mut all = Vec::new();
    for ((start, begin), end) in starts.into_iter().zip(ends) {
        let Some(raw) = text.get(begin..end) else { continue };
        let piece = raw.trim_ascii();
        let piece_start = begin + (raw.len() - raw.trim_ascii_start().len());
        let piece_end = piece_start + piece.len();
        let equal = piece.iter().position(|b| *b == b'=');
        let (name, value) = match equal {
            Some(e) => (piece.get(..e).unwrap_or_default().trim_ascii(), piece.get(e + 1..)),
            None => (piece, None),
        };
        let value_start = equal.map_or(piece_end, |e| piece_start + e + 1);
        all.push(Parameter { name, value, start, end: piece_end, value_start });
    }
    all
}

fn row(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b": ", value, b"\r\n"].concat()
}

fn remove_spec(ctx: &mut RouteContext<'_>, spec: &[u8], whole: bool) -> Outcome {
    let Some(spec) = Spec::parse(spec) else { return Outcome::FALSE };
    let message = ctx.message.clone();
    let all = values(&message, spec.name, whole);
    let picked = spec.pick(&all);
    let Some(param) = spec.param else {
        remove(ctx, &all, picked);
        return Outcome::from(!picked.is_empty());
    };
    let mut found = false;
    for value in picked {
        let separator = if whole { b',' } else { b';' };
        let params = parameters(value.text(&message), separator);
        let Some(at) = params.iter().position(|p| p.name.eq_ignore_ascii_case(param)) else { continue };
        let Some(p) = params.get(at) else { continue };
        let (mut start, mut end) = (p.start, p.end);
        if whole && at == 0 {
            // The first one has no comma before it: take the one behind.
            (start, end) = (p.start + 1, params.get(1).map_or(p.end, |n| n.start + 1));
        }
        ctx.edits.remove(value.start + start as u32, value.start + end as u32);
        found = true;
    }
    Outcome::from(found)
}

fn assign(ctx: &mut RouteContext<'_>, spec: &[u8], new: &[u8], whole: bool) -> Outcome {
    let Some(spec) = Spec::parse(spec) else { return Outcome::FALSE };
    if spec.which == Which::All && spec.param.is_none() {
        tracing::error!(target: "textopsx", "assign_hf_value: all values at once only with a parameter");
        return Outcome::FALSE;
    }
    let message = ctx.message.clone();
    let all = values(&message, spec.name, whole);
    let picked = spec.pick(&all);
    for value in picked {
        let Some(param) = spec.param else {
            ctx.edits.rewrite(value.start, value.end, new);
            continue;
        };
        let separator = if whole { b',' } else { b';' };
        let text = value.text(&message);
        let params = parameters(text, separator);
        let assigned = if new.is_empty() { param.to_vec() } else { [param, b"=", new].concat() };
        match params.iter().find(|p| p.name.eq_ignore_ascii_case(param)) {
            Some(p) if new.is_empty() => {
                let equal = if p.value.is_some() { p.value_start - 1 } else { p.end };
                ctx.edits.remove(value.start + equal as u32, value.start + p.end as u32);
            }
            Some(p) => {
                let lead: &[u8] = if p.value.is_some() { b"" } else { b"=" };
                ctx.edits.rewrite(
                    value.start + p.value_start as u32,
                    value.start + p.end as u32,
                    &[lead, new].concat(),
                );
            }
            None => ctx.edits.insert(value.end, &[&[separator][..], &assigned].concat()),
        }
    }
    Outcome::from(!picked.is_empty())
}

fn has(message: &Message, all: &[Value], wanted: &[u8]) -> Option<Value> {
    all.iter().find(|v| v.text(message).eq_ignore_ascii_case(wanted)).copied()
}

#[ksr_module("textopsx", rows = "VALUES")]
impl TextOpsX {
    /// Adds a value behind the one that `hexp` names (`Header[2]`); without index, or when there is no such value, as a new row at the
    /// end. Returns 1, or -1 when `hexp` is not of that form.
    #[ksr(cfg = ["append_hf_value"])]
    fn append_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        let Some(spec) = Spec::parse(hexp).filter(|s| s.param.is_none()) else { return Outcome::FALSE };
        let message = ctx.message.clone();
        let all = values(&message, spec.name, false);
        match (spec.which, spec.pick(&all).last()) {
            (Which::At(_), Some(value)) => ctx.edits.insert(value.end, &[b",", val].concat()),
            _ => ctx.edits.insert(message.headers_end(), &row(spec.name, val)),
        }
        Outcome::TRUE
    }
    /// Adds a value before the one that `hexp` names (`Header[2]`); without index as a new row before the first one, or at the top when
    /// there is none; with an index and no such header as a new row behind all others. Returns 1; -1 when there are values but none of
    /// that index.
    #[ksr(cfg = ["insert_hf_value"])]
    fn insert_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        let Some(spec) = Spec::parse(hexp).filter(|s| s.param.is_none()) else { return Outcome::FALSE };
        let message = ctx.message.clone();
        let all = values(&message, spec.name, false);
        match (spec.which, spec.pick(&all).first()) {
            (Which::Unsaid, first) => {
                let at = first.map_or(message.headers_start(), |v| v.row.0);
                ctx.edits.insert(at, &row(spec.name, val));
            }
            (_, Some(value)) => ctx.edits.insert(value.start, &[val, b","].concat()),
            (Which::At(at), None) if at >= 0 && all.is_empty() => {
                ctx.edits.insert(message.headers_end(), &row(spec.name, val));
            }
            (_, None) => return Outcome::FALSE,
        }
        Outcome::TRUE
    }
    /// Replaces the value or the parameter that `hexp` names (`Header[2].param`, without index the first); a parameter that is not
    /// there is added, an empty text leaves it without value. Returns 1, or -1 when there is no such value.
    #[ksr(cfg = ["assign_hf_value"])]
    fn assign_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        assign(ctx, hexp, val, false)
    }
    /// As `assign_hf_value`, for headers like Authorization where commas stand between parameters: a row is one value.
    #[ksr(cfg = ["assign_hf_value2"])]
    fn assign_hf_value2(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        assign(ctx, hexp, val, true)
    }
    /// Removes the value or the parameter that `hexp` names (`Header[2].param`, without index the first). Returns 1, or -1 when there is
    /// none.
    #[ksr(cfg = ["remove_hf_value"])]
    fn remove_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8]) -> Outcome {
        remove_spec(ctx, hexp, false)
    }
    /// As `remove_hf_value`, for headers like Authorization where commas stand between parameters. The second parameter is not used.
    #[ksr(cfg = ["remove_hf_value2"])]
    fn remove_hf_value2(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], _val: &[u8]) -> Outcome {
        remove_spec(ctx, hexp, true)
    }
    /// Adds a value to a header's list unless it is there: `Supported`, `path`. Returns 1.
    #[ksr(cfg = ["include_hf_value"])]
    fn include_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let all = values(&message, hexp, false);
        match (has(&message, &all, val), all.last()) {
            (Some(_), _) => {}
            (None, Some(last)) => ctx.edits.insert(last.end, &[b",", val].concat()),
            (None, None) => ctx.edits.insert(message.headers_end(), &row(hexp, val)),
        }
        Outcome::TRUE
    }
    /// Removes a value from a header's list if it is there. Returns 1.
    #[ksr(cfg = ["exclude_hf_value"])]
    fn exclude_hf_value(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        let all = values(&message, hexp, false);
        if let Some(value) = has(&message, &all, val) {
            remove(ctx, &all, &[value]);
        }
        Outcome::TRUE
    }
    /// Whether a value is in a header's list. Returns 1 or -1.
    #[ksr(cfg = ["hf_value_exists"])]
    fn hf_value_exists(&self, ctx: &mut RouteContext<'_>, hexp: &[u8], val: &[u8]) -> Outcome {
        let dashed: Vec<u8> = hexp.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
        let name = if HeaderName::parse(hexp) == HeaderName::Other { &dashed } else { hexp };
        let message = ctx.message.clone();
        let all = values(&message, name, false);
        Outcome::from(has(&message, &all, val).is_some())
    }
}
