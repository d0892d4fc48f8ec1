//! What the functions of `KSR.pvx` do to AVP and XAVP lists.

use script::vars::VarValue;
use script::{Index, Outcome, Pv, RouteContext, Value};

use super::super::xavp::{self, Kind, List};

/// The fields of a value at a position; `None` when there is no such value or it is plain.
pub(super) fn fields_of(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], index: i64) -> Option<List> {
    ctx.vars.as_ref()?.with(|lists| {
        let list = kind.list(lists);
        match list.get(kind.position(list, name, Index::At(index))?)? {
            (_, VarValue::Xavp(fields)) => Some(fields.clone()),
            _ => None,
        }
    })
}

pub(super) fn push_fields(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], fields: List) -> Outcome {
    write(ctx, kind, name, VarValue::Xavp(fields))
}

pub(super) fn write(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], value: VarValue) -> Outcome {
    if name.is_empty() {
        return Outcome::FALSE;
    }
    ctx.vars().with(|lists| {
        let list = kind.list(lists);
        match kind.position(list, name, Index::None).and_then(|at| list.get_mut(at)) {
            Some((_, slot)) if kind == Kind::Xavu => *slot = value,
            _ => list.insert(0, (name.into(), value)),
        }
    });
    Outcome::TRUE
}

pub(super) fn write_child(
    ctx: &mut RouteContext<'_>,
    kind: Kind,
    name: &[u8],
    field: &[u8],
    value: VarValue,
) -> Outcome {
    if name.is_empty() || field.is_empty() {
        return Outcome::FALSE;
    }
    ctx.vars().with(|lists| {
        let list = kind.list(lists);
        let at = match kind.position(list, name, Index::None) {
            Some(at) => at,
            None => {
                list.insert(0, (name.into(), VarValue::Xavp(Vec::new())));
                0
            }
        };
        let Some((_, slot)) = list.get_mut(at) else { return };
        if !matches!(slot, VarValue::Xavp(_)) {
            *slot = VarValue::Xavp(Vec::new());
        }
        if let VarValue::Xavp(fields) = slot {
            match kind.position(fields, field, Index::None).and_then(|at| fields.get_mut(at)) {
                Some((_, old)) => *old = value,
                None => fields.insert(0, (field.into(), value)),
            }
        }
    });
    Outcome::TRUE
}

pub(super) fn child(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], field: &[u8]) -> Value<'static> {
    fields_of(ctx, kind, name, 0)
        .and_then(|fields| {
            let at = kind.position(&fields, field, Index::None)?;
            fields.get(at).map(|(_, v)| v.to_value())
        })
        .unwrap_or(Value::Null)
}

pub(super) fn remove(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], all: bool) -> Outcome {
    let path = if all { [name, b"[*]"].concat() } else { name.to_vec() };
    if ctx.vars.is_some() {
        xavp::set(ctx, kind, &path, &Value::Null);
    }
    Outcome::TRUE
}

pub(super) fn remove_child(ctx: &mut RouteContext<'_>, kind: Kind, name: &[u8], field: &[u8]) -> Outcome {
    if ctx.vars.is_some() {
        xavp::set(ctx, kind, &[name, b"=>", field].concat(), &Value::Null);
    }
    Outcome::TRUE
}

pub(super) fn map(fields: List) -> Value<'static> {
    Value::Map(
        fields.into_iter().map(|(n, v)| (std::borrow::Cow::Owned(n.into_vec()), v.to_value())).collect(),
    )
}

pub(super) fn maps(ctx: &RouteContext<'_>, kind: Kind, name: &[u8]) -> Value<'static> {
    let count = ctx.vars.as_ref().map_or(0, |v| v.with(|l| kind.count(kind.list(l), name)));
    let all: Vec<Value<'static>> =
        (0..count as i64).filter_map(|i| fields_of(ctx, kind, name, i).map(map)).collect();
    if all.is_empty() { Value::Null } else { Value::List(all) }
}

pub(super) fn keys(ctx: &RouteContext<'_>, kind: Kind, name: &[u8], index: i64) -> Value<'static> {
    let Some(fields) = fields_of(ctx, kind, name, index) else { return Value::Null };
    Value::List(fields.into_iter().map(|(n, _)| Value::owned(n.into_vec())).collect())
}

pub(super) fn print(ctx: &RouteContext<'_>, kind: Kind, what: &str) -> Outcome {
    let text =
        ctx.vars.as_ref().map(|v| v.with(|l| format!("{:?}", Shown(kind.list(l))))).unwrap_or_default();
    tracing::info!(target: "pv", "{what}: {text}");
    Outcome::TRUE
}

/// A list as text: `name=value, name={..}`.
struct Shown<'l>(&'l List);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}=", String::from_utf8_lossy(name))?;
            match value {
                VarValue::Xavp(fields) => write!(f, "{{{:?}}}", Shown(fields))?,
                plain => write!(f, "{}", String::from_utf8_lossy(&plain.to_value().to_text()))?,
            }
        }
        Ok(())
    }
}

pub(super) fn explode(
    ctx: &mut RouteContext<'_>,
    kind: Kind,
    params: &[u8],
    separator: u8,
    xname: &[u8],
) -> Outcome {
    let mut fields: List = Vec::new();
    let mut rest = params.trim_ascii();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.iter().position(|c| {
            quoted ^= *c == b'"';
            !quoted && *c == separator
        });
        let item = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_ascii();
        rest = end.and_then(|e| rest.get(e + 1..)).unwrap_or_default();
        if item.is_empty() {
            continue;
        }
        let (name, value) = match item.iter().position(|c| *c == b'=') {
            Some(eq) => (item[..eq].trim_ascii(), item[eq + 1..].trim_ascii()),
            None => (item, &b""[..]),
        };
        let inside = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
        let broken = inside.is_none() && value.iter().any(|c| c.is_ascii_whitespace() || *c == b'"');
        if name.is_empty() || broken {
            tracing::error!(target: "pv", params = %String::from_utf8_lossy(params), "parameters break the syntax");
            return Outcome::FALSE;
        }
        fields.push((name.into(), VarValue::Str(inside.unwrap_or(value).into())));
    }
    if fields.is_empty() {
        return Outcome::FALSE;
    }
    push_fields(ctx, kind, xname, fields)
}

pub(super) fn implode(
    ctx: &mut RouteContext<'_>,
    kind: Kind,
    xname: &[u8],
    destination: &Pv,
    quote: &str,
) -> Outcome {
    let Some(fields) = fields_of(ctx, kind, xname, 0) else { return Outcome::FALSE };
    if !destination.is_writable() {
        return Outcome::FALSE;
    }
    let mut out = Vec::new();
    for (name, value) in &fields {
        out.extend_from_slice(name);
        let value = value.to_value();
        let text = value.to_text();
        if !text.is_empty() {
            out.push(b'=');
            out.extend_from_slice(quote.as_bytes());
            out.extend_from_slice(&text);
            out.extend_from_slice(quote.as_bytes());
        }
        out.push(b';');
    }
    destination.set(ctx, Value::owned(out)).into()
}

/// Copies at the end of the destination's values, or behind the one at a position.
pub(super) fn copy(
    ctx: &mut RouteContext<'_>,
    source: &[u8],
    index: i64,
    destination: &[u8],
    behind: Option<i64>,
) -> Outcome {
    let Some(vars) = &ctx.vars else { return Outcome::FALSE };
    vars.with(|lists| {
        let list = Kind::Xavp.list(lists);
        let found = Kind::Xavp.position(list, source, Index::At(index)).and_then(|at| list.get(at));
        let Some((_, value)) = found.cloned() else { return Outcome::FALSE };
        let place = Kind::Xavp
            .position(list, destination, Index::At(behind.unwrap_or(-1)))
            .or_else(|| Kind::Xavp.position(list, destination, Index::At(-1)));
        let place = place.map_or(0, |at| at + 1);
        list.insert(place, (destination.into(), value));
        Outcome::TRUE
    })
}
