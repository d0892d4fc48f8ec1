//! `$xavp(name[i]=>field[j])` and its sisters `$xavu` (one value per name) and `$xavi` (names without case).
//!
//! A list holds values by name, newest first; a value is plain or holds a list of fields of the same kind.

use script::vars::{Lists, VarValue};
use script::{Index, PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "xavp" Text "Structured values attached to the message and its transaction, newest first: `$xavp(name)`, `$xavp(name[i])`, \
        `$xavp(name[i]=>field)`. Writing without index adds a value, with an index changes that one; null removes, `[*]` all." |ctx, pv| {
        get(ctx, Kind::Xavp, &pv.inner_text(ctx), pv.index(ctx))
    }, |ctx, pv, v| set_pv(ctx, Kind::Xavp, pv, v);
    "xavi" Text "As `$xavp`, with names without case." |ctx, pv| get(ctx, Kind::Xavi, &pv.inner_text(ctx), pv.index(ctx)),
        |ctx, pv, v| set_pv(ctx, Kind::Xavi, pv, v);
    "xavu" Text "As `$xavp`, with one value per name: writing replaces it." |ctx, pv| get(ctx, Kind::Xavu, &pv.inner_text(ctx), pv.index(ctx)),
        |ctx, pv, v| set_pv(ctx, Kind::Xavu, pv, v);
};

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `$xavp`
    Xavp,
    /// `$xavi`
    Xavi,
    /// `$xavu`
    Xavu,
}

/// A list of named values, newest first.
pub type List = Vec<(Box<[u8]>, VarValue)>;

impl Kind {
    /// The list of a message.
    pub fn list(self, lists: &mut Lists) -> &mut List {
        match self {
            Kind::Xavp => &mut lists.xavps,
            Kind::Xavi => &mut lists.xavis,
            Kind::Xavu => &mut lists.xavus,
        }
    }
    fn same(self, a: &[u8], b: &[u8]) -> bool {
        if self == Kind::Xavi { a.eq_ignore_ascii_case(b) } else { a == b }
    }
    /// Where the value with that name and index stands in a list.
    pub fn position(self, list: &List, name: &[u8], index: Index) -> Option<usize> {
        let mut named = list.iter().enumerate().filter(|(_, (n, _))| self.same(n, name)).map(|(i, _)| i);
        match index {
            Index::None | Index::All => named.next(),
            index => {
                let count = named.clone().count();
                named.nth(index.position(count)?)
            }
        }
    }
    /// How many values of that name a list holds.
    pub fn count(self, list: &List, name: &[u8]) -> usize {
        list.iter().filter(|(n, _)| self.same(n, name)).count()
    }
}

/// `name[index]=>field[index]`.
#[derive(Debug, Clone, Copy)]
struct Path<'t> {
    name: &'t [u8],
    index: Index,
    field: Option<(&'t [u8], Index)>,
}

fn parse(text: &[u8]) -> Path<'_> {
    let arrow = text.windows(2).position(|w| w == b"=>");
    let (outer, field) = match arrow {
        Some(at) => (&text[..at], text.get(at + 2..).map(part)),
        None => (text, None),
    };
    let (name, index) = part(outer);
    Path { name, index, field }
}

fn part(text: &[u8]) -> (&[u8], Index) {
    let text = text.trim_ascii();
    let Some((name, inside)) = text.iter().position(|c| *c == b'[').and_then(|at| {
        Some((text.get(..at)?.trim_ascii(), text.get(at + 1..)?.strip_suffix(b"]")?.trim_ascii()))
    }) else {
        return (text, Index::None);
    };
    let index = match inside {
        b"*" => Index::All,
        digits => {
            std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).map_or(Index::None, Index::At)
        }
    };
    (name, index)
}

/// A value as a script sees it: one with fields shows as `<<xavp:name>>`.
fn show(name: &[u8], value: &VarValue) -> Value<'static> {
    match value {
        VarValue::Xavp(_) => Value::owned([b"<<xavp:", name, b">>"].concat()),
        plain => plain.to_value(),
    }
}

/// Reads by path.
pub fn get(ctx: &RouteContext<'_>, kind: Kind, path: &[u8], index: Index) -> Value<'static> {
    let Some(vars) = &ctx.vars else { return Value::Null };
    let path = parse(path);
    if index != Index::None {
        return Value::Null;
    }
    vars.with(|lists| {
        let list = kind.list(lists);
        let Some((_, value)) = kind.position(list, path.name, path.index).and_then(|at| list.get(at)) else {
            return Value::Null;
        };
        let Some((field, index)) = path.field else { return show(path.name, value) };
        let VarValue::Xavp(fields) = value else { return Value::Null };
        if index == Index::All {
            let values = fields.iter().filter(|(n, _)| kind.same(n, field));
            let all: Vec<Vec<u8>> = values.map(|(_, v)| show(field, v).to_text().into_owned()).collect();
            return if all.is_empty() { Value::Null } else { Value::owned(all.join(&b", "[..])) };
        }
        let at = kind.position(fields, field, index);
        at.and_then(|at| fields.get(at)).map_or(Value::Null, |(_, v)| show(field, v))
    })
}

/// How many values there are: of the name, or of the field in the values of that name (in the one with the index, if any).
pub fn count(ctx: &RouteContext<'_>, kind: Kind, path: &[u8]) -> usize {
    let Some(vars) = &ctx.vars else { return 0 };
    let path = parse(path);
    vars.with(|lists| {
        let list = kind.list(lists);
        let Some((field, _)) = path.field else { return kind.count(list, path.name) };
        let only = if path.index == Index::None { None } else { kind.position(list, path.name, path.index) };
        let chosen = list
            .iter()
            .enumerate()
            .filter(|(i, (n, _))| kind.same(n, path.name) && only.is_none_or(|o| o == *i));
        chosen
            .map(|(_, (_, v))| match v {
                VarValue::Xavp(fields) => kind.count(fields, field),
                _ => 0,
            })
            .sum()
    })
}

fn set_pv(ctx: &mut RouteContext<'_>, kind: Kind, pv: &Pv, value: Value<'_>) -> bool {
    let path = pv.inner_text(ctx).into_owned();
    match value {
        Value::Null | Value::Int(_) | Value::Str(_) => set(ctx, kind, &path, &value),
        _ => false,
    }
}

/// Writes by path; see the rows for what that means.
pub fn set(ctx: &mut RouteContext<'_>, kind: Kind, path: &[u8], value: &Value<'_>) -> bool {
    let path = parse(path);
    if path.name.is_empty() {
        return false;
    }
    ctx.vars().with(|lists| {
        let list = kind.list(lists);
        match value {
            Value::Null => {
                remove(kind, list, path);
                true
            }
            value => write(kind, list, path, VarValue::from_value(value)),
        }
    })
}

fn remove(kind: Kind, list: &mut List, path: Path<'_>) {
    let Some((field, index)) = path.field else { return remove_named(kind, list, path.name, path.index) };
    let Some(at) = kind.position(list, path.name, path.index) else { return };
    if let Some((_, VarValue::Xavp(fields))) = list.get_mut(at) {
        remove_named(kind, fields, field, index);
    }
}

fn remove_named(kind: Kind, list: &mut List, name: &[u8], index: Index) {
    if index == Index::All {
        list.retain(|(n, _)| !kind.same(n, name));
    } else if let Some(at) = kind.position(list, name, index) {
        list.remove(at);
    }
}

fn write(kind: Kind, list: &mut List, path: Path<'_>, value: VarValue) -> bool {
    let at = kind.position(list, path.name, path.index);
    let Some((field, index)) = path.field else {
        return write_named(kind, list, path.name, path.index, value);
    };
    if kind == Kind::Xavu {
        let fields = match at.and_then(|at| list.get_mut(at)) {
            Some((_, slot)) => {
                if !matches!(slot, VarValue::Xavp(_)) {
                    *slot = VarValue::Xavp(Vec::new());
                }
                match slot {
                    VarValue::Xavp(fields) => fields,
                    _ => return false,
                }
            }
            None => {
                list.insert(0, (path.name.into(), VarValue::Xavp(vec![(field.into(), value)])));
                return true;
            }
        };
        return write_named(kind, fields, field, index, value);
    }
    match path.index {
        Index::None => {
            list.insert(0, (path.name.into(), VarValue::Xavp(vec![(field.into(), value)])));
            true
        }
        _ => match at.and_then(|at| list.get_mut(at)) {
            Some((_, VarValue::Xavp(fields))) => write_named(kind, fields, field, index, value),
            // A plain value has no fields.
            Some(_) => false,
            None => true,
        },
    }
}

fn write_named(kind: Kind, list: &mut List, name: &[u8], index: Index, value: VarValue) -> bool {
    let at = kind.position(list, name, index);
    let slot = at.and_then(|at| list.get_mut(at)).map(|(_, v)| v);
    match (index, slot) {
        (Index::None, None) => list.insert(0, (name.into(), value)),
        (Index::None, Some(slot)) if kind == Kind::Xavu => *slot = value,
        (Index::None, Some(_)) => list.insert(0, (name.into(), value)),
        (Index::All, _) => {
            list.retain(|(n, _)| !kind.same(n, name));
            list.insert(0, (name.into(), value));
        }
        (Index::At(_), Some(slot)) => *slot = value,
        // Kamailio takes an index that is not there without effect.
        (Index::At(_), None) => {}
    }
    true
}
