//! `$sht(..)` and its like. `$sht(table=>key)`: the key may have pseudo-variables in it.

use std::any::Any;

use script::{PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::matching::Test;
use super::table::{Life, Stored};
use super::{Htable, Table, iterator, seconds};

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "htable";
    "sht" Text "An item's value: `$sht(table=>key)`. Null, or the table's `initval`, when it is not there. Writing null removes it." sht, set_sht;
    "shtex" Text "Seconds an item still lives, 0 when it is not there or does not end. Writing a number sets it." shtex, set_shtex;
    "shtcn" Text "Number of items whose key passes: `$shtcn(table=>expression)`. `~~regex`, `==key`, `%~start`, `~%end`, `**` all; anything else \
        is a regular expression." |ctx, pv| count(ctx, pv, false);
    "shtcv" Text "Number of items whose value passes, as for `$shtcn`; `eq5` for integers." |ctx, pv| count(ctx, pv, true);
    "shtinc" Text "Adds one to an integer item and yields the new value. One that is not there begins with `initval`; null without it, and for texts."
        |ctx, pv| add(ctx, pv, 1);
    "shtdec" Text "Takes one from an integer item, as `$shtinc`." |ctx, pv| add(ctx, pv, -1);
    "shtitkey" Text "Key of the item an iterator stands on." |ctx, pv| {
        iterator::current(ctx, &pv.inner_text(ctx)).map_or(Value::Null, |(_, key)| Value::owned(key))
    };
    "shtitval" Text "Value of the item an iterator stands on." |ctx, pv| iterator::value(ctx, &pv.inner_text(ctx), seconds(ctx.now));
    "shtrecord" Keyword(&["key", "value"]) "Key or value of the item that just ended, in the event `htable:expired:<table>`." |ctx, pv| {
        match ctx.slots.peek::<Record>() {
            Some(Record(Some((key, _)))) if pv.keyword() == 0 => Value::str(key),
            Some(Record(Some((_, value)))) => value.to_value(),
            _ => Value::Null,
        }
    };
};

/// The item an event is about.
#[derive(Debug, Default)]
pub(super) struct Record(pub Option<(Box<[u8]>, Stored)>);

/// Table and the text after `=>`.
fn parts<R>(ctx: &RouteContext<'_>, pv: &Pv, f: impl FnOnce(&Table, &[u8]) -> R) -> Option<R> {
    let text = pv.inner_text(ctx);
    let at = memchr::memmem::find(&text, b"=>")?;
    let (name, rest) = text.split_at(at);
    let table = find(ctx, name.trim_ascii())?;
    Some(f(table, rest.get(2..)?))
}

fn find<'c>(ctx: &'c RouteContext<'_>, name: &[u8]) -> Option<&'c Table> {
    let module = ctx.core.registry.module::<Htable>()?;
    let found = module.find(name);
    if found.is_none() {
        tracing::error!(target: "htable", table = %String::from_utf8_lossy(name), "there is no such table");
    }
    found.map(|t| &**t)
}

fn sht(ctx: &RouteContext<'_>, pv: &Pv) -> Value<'static> {
    let value = parts(ctx, pv, |table, key| table.get(key, seconds(ctx.now))).flatten();
    value.map_or(Value::Null, |v| v.to_value())
}

fn set_sht(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let now = seconds(ctx.now);
    let set = parts(ctx, pv, |table, key| match Stored::from_value(&value) {
        Some(value) => table.set(key, value, Life::Auto, now).is_ok(),
        None => {
            table.remove(key, now);
            value.is_null()
        }
    });
    set.unwrap_or(false)
}

fn shtex(ctx: &RouteContext<'_>, pv: &Pv) -> Value<'static> {
    let left = parts(ctx, pv, |table, key| table.expiry(key, seconds(ctx.now)));
    left.map_or(Value::Null, |n| Value::Int(i64::from(n)))
}

fn set_shtex(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let now = seconds(ctx.now);
    // As in Kamailio, anything but a number counts as 0.
    let left = u32::try_from(if let Value::Int(n) = value { n } else { 0 }).unwrap_or(0);
    parts(ctx, pv, |table, key| table.set_expiry(key, left, now)).is_some()
}

fn count(ctx: &RouteContext<'_>, pv: &Pv, values: bool) -> Value<'static> {
    let counted =
        parts(ctx, pv, |table, expression| {
            let test = Test::expression(ctx, expression)?;
            Some(super::count(table, seconds(ctx.now), |i| {
                if values { test.value(i) } else { test.text(i.key()) }
            }))
        });
    counted.flatten().map_or(Value::Null, Value::Int)
}

fn add(ctx: &RouteContext<'_>, pv: &Pv, by: i64) -> Value<'static> {
    let sum = parts(ctx, pv, |table, key| table.add(key, by, seconds(ctx.now))).flatten();
    sum.map_or(Value::Null, Value::Int)
}

/// The module behind a row.
pub(super) fn of(module: &dyn script::Module) -> Option<&Htable> {
    (module as &dyn Any).downcast_ref()
}
