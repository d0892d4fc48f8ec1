//! `$var(..) $vn(..) $vz(..) $shv(..) $avp(..) $cnt(..)`: values that scripts keep.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use script::vars::VarValue;
use script::{Index, PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::{PvModule, xavp};

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "var" Text "Variable of this worker, kept from message to message; 0 when unset, so also after null was written." |ctx, pv| {
        zero_for_null(worker_var(ctx, Space::Var, &pv.inner_text(ctx)))
    }, |ctx, pv, v| set_worker_var(ctx, Space::Var, pv, v);
    "vz" Text "Variable of this worker, 0 when unset." |ctx, pv| zero_for_null(worker_var(ctx, Space::Zero, &pv.inner_text(ctx))),
        |ctx, pv, v| set_worker_var(ctx, Space::Zero, pv, v);
    "vn" Text "Variable of this worker, null when unset." |ctx, pv| worker_var(ctx, Space::Null, &pv.inner_text(ctx)),
        |ctx, pv, v| set_worker_var(ctx, Space::Null, pv, v);
    "shv" Text "Variable shared by all workers; 0 when it was never written." |ctx, pv| {
        ctx.core.registry.module::<PvModule>().map_or(Value::Int(0), |m| m.shared.get(&pv.inner_text(ctx)))
    }, |ctx, pv, v| {
        let name = pv.inner_text(ctx).into_owned();
        ctx.core.registry.module::<PvModule>().is_some_and(|m| m.shared.set(&name, v))
    };
    "shvinc" Text "Adds one to a variable shared by all workers and yields the new value." |ctx, pv| {
        ctx.core.registry.module::<PvModule>().map_or(Value::Null, |m| m.shared.increment(&pv.inner_text(ctx)))
    };
    "avp" Text "Values attached to the message and its transaction, newest first: `$avp(x)` the newest, `$(avp(x)[i])` another, `[*]` all \
        with commas between. Writing adds a value, writing to `[*]` replaces them all; writing null removes the newest, to `[*]` all." avp, set_avp;
    "cnt" Pv "How many values an `$avp`, `$xavp` or `$xavi` holds." cnt;
};

/// `$var`, `$vz` and `$vn` are lists of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// `$var(name)`
    Var,
    /// `$vz(name)`
    Zero,
    /// `$vn(name)`
    Null,
}

impl Space {
    fn key(self, name: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Space::Var => Cow::Borrowed(name),
            // No name in a script begins with a byte below space.
            Space::Zero => Cow::Owned([b"\x01", name].concat()),
            Space::Null => Cow::Owned([b"\x02", name].concat()),
        }
    }
}

fn zero_for_null(value: Value<'_>) -> Value<'_> {
    if value.is_null() { Value::Int(0) } else { value }
}

/// A worker's variable, null when unset.
pub fn worker_var(ctx: &RouteContext<'_>, space: Space, name: &[u8]) -> Value<'static> {
    if let Some(value) = ctx.worker.vars.borrow().get(&*space.key(name)) {
        return value.clone();
    }
    let initial = ctx.core.registry.module::<PvModule>().map_or(&[][..], |m| &m.initial);
    let found = initial.iter().find(|(n, _)| space == Space::Var && n == name);
    found.map_or(Value::Null, |(_, value)| value.clone())
}

/// Names of the worker's `$var(..)`.
pub fn worker_var_names(ctx: &RouteContext<'_>) -> Vec<Vec<u8>> {
    ctx.worker.vars.borrow().keys().filter(|k| k.first().is_some_and(|c| *c >= b' ')).cloned().collect()
}

/// Writes a worker's variable; null unsets it.
pub fn write_worker_var(ctx: &RouteContext<'_>, space: Space, name: &[u8], value: Value<'_>) -> bool {
    let key = space.key(name);
    let mut vars = ctx.worker.vars.borrow_mut();
    match value {
        Value::Null => {
            vars.remove(&*key);
        }
        Value::Int(_) | Value::Str(_) => {
            let value = value.into_owned();
            match vars.get_mut(&*key) {
                Some(slot) => *slot = value,
                None => {
                    vars.insert(key.into_owned(), value);
                }
            }
        }
        _ => return false,
    }
    true
}

fn set_worker_var(ctx: &mut RouteContext<'_>, space: Space, pv: &Pv, value: Value<'_>) -> bool {
    let name = pv.inner_text(ctx).into_owned();
    write_worker_var(ctx, space, &name, value)
}

/// `$shv(name)`: one lock for all, held for a lookup.
#[derive(Debug, Default)]
pub struct Shared(Mutex<HashMap<Vec<u8>, VarValue>>);

impl Shared {
    /// Most variables there can be: names made up per call do not fill memory.
    const LIMIT: usize = 65_536;

    fn with<R>(&self, f: impl FnOnce(&mut HashMap<Vec<u8>, VarValue>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(|e| e.into_inner()))
    }
    /// All of them, in no order.
    pub fn all(&self) -> Vec<(Vec<u8>, VarValue)> {
        self.with(|m| m.iter().map(|(n, v)| (n.clone(), v.clone())).collect())
    }
    /// The value, 0 when it was never written.
    pub fn get(&self, name: &[u8]) -> Value<'static> {
        self.with(|m| m.get(name).map_or(Value::Int(0), VarValue::to_value))
    }
    /// Writes it; null makes it an empty text, as in Kamailio.
    pub fn set(&self, name: &[u8], value: Value<'_>) -> bool {
        let value = match value {
            Value::Null => VarValue::Str(Box::default()),
            Value::Int(_) | Value::Str(_) => VarValue::from_value(&value),
            _ => return false,
        };
        self.with(|m| {
            if m.len() >= Self::LIMIT && !m.contains_key(name) {
                return false;
            }
            m.insert(name.to_vec(), value);
            true
        })
    }
    /// Adds one and yields the result; text counts as 0.
    pub fn increment(&self, name: &[u8]) -> Value<'static> {
        self.with(|m| {
            let next = m.get(name).and_then(|v| v.to_value().to_int()).unwrap_or(0).wrapping_add(1);
            if m.len() < Self::LIMIT || m.contains_key(name) {
                m.insert(name.to_vec(), VarValue::Int(next));
            }
            Value::Int(next)
        })
    }
}

/// `s:name` is `name`; `i:5` is a name of its own.
pub fn avp_name(name: &[u8]) -> &[u8] {
    let name = name.trim_ascii();
    name.strip_prefix(b"s:").unwrap_or(name)
}

/// The AVP that a parameter names: `$avp(s:name)`, `$avp(i:5)`, `$name` or `name`.
pub fn avp_of(spec: &str) -> Option<Box<[u8]>> {
    let spec = spec.trim();
    let name = match spec.strip_prefix("$avp(") {
        Some(inner) => avp_name(inner.strip_suffix(')')?.as_bytes()),
        None => avp_name(spec.strip_prefix('$').unwrap_or(spec).as_bytes()),
    };
    let fits = !name.is_empty() && !name.iter().any(|c| matches!(c, b'$' | b'(' | b')' | b'['));
    fits.then(|| name.into())
}

fn avp<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    read_avp(ctx, &pv.inner_text(ctx), pv.index(ctx))
}

/// An AVP value by name and index.
pub fn read_avp(ctx: &RouteContext<'_>, name: &[u8], index: Index) -> Value<'static> {
    let Some(vars) = &ctx.vars else { return Value::Null };
    let name = avp_name(name);
    vars.with(|l| {
        let mut values = l.avps.iter().filter(|(n, _)| &**n == name).map(|(_, v)| v);
        match index {
            Index::None => values.next().map_or(Value::Null, VarValue::to_value),
            Index::All => {
                let all: Vec<Vec<u8>> = values.map(|v| v.to_value().to_text().into_owned()).collect();
                if all.is_empty() { Value::Null } else { Value::owned(all.join(&b", "[..])) }
            }
            index => {
                let count = values.clone().count();
                index.position(count).and_then(|at| values.nth(at)).map_or(Value::Null, VarValue::to_value)
            }
        }
    })
}

/// Adds an AVP value.
pub fn add_avp(ctx: &mut RouteContext<'_>, name: &[u8], value: &Value<'_>) {
    let name = avp_name(name).into();
    let value = VarValue::from_value(value);
    ctx.vars().with(|l| l.avps.insert(0, (name, value)));
}

/// Removes the newest value of that name, or all.
pub fn remove_avp(ctx: &mut RouteContext<'_>, name: &[u8], all: bool) {
    let Some(vars) = &ctx.vars else { return };
    let name = avp_name(name);
    vars.with(|l| {
        if all {
            l.avps.retain(|(n, _)| &**n != name);
        } else if let Some(at) = l.avps.iter().position(|(n, _)| &**n == name) {
            l.avps.remove(at);
        }
    });
}

fn set_avp(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let name = pv.inner_text(ctx).into_owned();
    let all = pv.index(ctx) == Index::All;
    match value {
        Value::Null => remove_avp(ctx, &name, all),
        Value::Int(_) | Value::Str(_) => {
            if all {
                remove_avp(ctx, &name, true);
            }
            add_avp(ctx, &name, &value);
        }
        _ => return false,
    }
    true
}

fn cnt<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let Some(inner) = pv.inner_pv() else { return Value::Null };
    let name = inner.inner_text(ctx);
    let count = match inner.class.name {
        "avp" => ctx
            .vars
            .as_ref()
            .map_or(0, |v| v.with(|l| l.avps.iter().filter(|(n, _)| **n == *avp_name(&name)).count())),
        "xavp" => xavp::count(ctx, xavp::Kind::Xavp, &name),
        "xavi" => xavp::count(ctx, xavp::Kind::Xavi, &name),
        "xavu" => xavp::count(ctx, xavp::Kind::Xavu, &name),
        _ => return Value::Null,
    };
    Value::Int(count as i64)
}
