//! `$dsv(..)` and `$dsg(..)`.

use script::{PseudoVariable, RouteContext, Value, pseudo_variables};

use super::Dispatcher;
use super::ping::Shown;

/// The set that `ds_dsg_fetch` chose.
#[derive(Debug, Default)]
pub(super) struct Fetched(pub Option<i64>);

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "dispatcher";
    "dsv" Keyword(&["code", "flags"]) "In the events `dispatcher:dst-down` and `dst-up`: `code` is the status of the reply to the ping, 820 when a \
        function changed the state; `flags` is 0. Null elsewhere." |ctx, pv| {
        match ctx.slots.peek::<Shown>().and_then(|s| s.0) {
            Some(code) if pv.keyword() == 0 => Value::Int(i64::from(code)),
            Some(_) => Value::Int(0),
            None => Value::Null,
        }
    };
    "dsg" Keyword(&["active", "count", "inactive", "pending", "total"]) "Numbers of the set that `ds_dsg_fetch` chose: `count` (or `total`) destinations, \
        `active` ones that take calls, `inactive` ones that do not, `pending` ones that failed and still take calls." |ctx, pv| {
        group(ctx, pv.keyword())
    };
};

fn group(ctx: &RouteContext<'_>, keyword: usize) -> Value<'static> {
    let fetched = ctx.slots.peek::<Fetched>().and_then(|f| f.0);
    let module = ctx.core.registry.module::<Dispatcher>();
    let Some(set) = fetched.and_then(|id| module?.sets().set(id).cloned()) else { return Value::Null };
    let active = set.list.iter().filter(|d| d.is_used()).count();
    let count = match keyword {
        0 => active,
        2 => set.list.len() - active,
        3 => set.list.iter().filter(|d| d.is_used() && d.state() & super::state::TRYING != 0).count(),
        _ => set.list.len(),
    };
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
