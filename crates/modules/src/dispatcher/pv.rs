//! `$dsv(..)` and `$dsg(..)`.

use std::sync::Arc;

use script::{PseudoVariable, RouteContext, Value, pseudo_variables};

use super::ping::Shown;
use super::{Destination, Set, state};

/// What `ds_dsg_fetch` or `ds_dsg_fetch_uri` chose.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub set: Option<Arc<Set>>,
    pub destination: Option<Arc<Destination>>,
}

const GROUP: &[&str] = &[
    "active",
    "count",
    "inactive",
    "pending",
    "total",
    "pactive",
    "pinactive",
    "ocrate",
    "ocseq",
    "octime_sec",
    "octime_usec",
];

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "dispatcher";
    "dsv" Keyword(&["code", "flags"]) "In the events `dispatcher:dst-down` and `dst-up`: `code` is the status of the reply to the ping, 820 when a \
        function changed the state; `flags` is 0. Null elsewhere." |ctx, pv| {
        match ctx.slots.peek::<Shown>().and_then(|s| s.0) {
            Some(code) if pv.keyword() == 0 => Value::Int(i64::from(code)),
            Some(_) => Value::Int(0),
            None => Value::Null,
        }
    };
    "dsg" Keyword(GROUP) "Numbers of the set that `ds_dsg_fetch` or `ds_dsg_fetch_uri` chose: `count` (or `total`) destinations, `active` ones that \
        take calls, `inactive` ones that do not, `pending` ones that failed and still take calls; `pactive` and `pinactive` in percent. After \
        `ds_dsg_fetch_uri` of that destination: `ocrate`, the rate of overload control, `ocseq`, the number of what asked for it, and when it ends \
        or ended, `octime_sec` and `octime_usec`, Unix time. Else null." |ctx, pv| {
        group(ctx, GROUP.get(pv.keyword()).copied().unwrap_or_default())
    };
};

fn group(ctx: &RouteContext<'_>, key: &str) -> Value<'static> {
    let Some(Fetched { set: Some(set), destination }) = ctx.slots.peek::<Fetched>() else {
        return Value::Null;
    };
    let total = set.list.len();
    let active = set.list.iter().filter(|d| d.is_used()).count();
    let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    match key {
        "active" => number(active),
        "inactive" => number(total - active),
        "pending" => {
            number(set.list.iter().filter(|d| d.is_used() && d.state() & state::TRYING != 0).count())
        }
        "pactive" => number(active * 100 / total.max(1)),
        "pinactive" => number((total - active) * 100 / total.max(1)),
        "count" | "total" => number(total),
        key => destination.as_ref().map_or(Value::Null, |d| overload(d, key)),
    }
}

fn overload(destination: &Destination, key: &str) -> Value<'static> {
    let overload = *destination.overload();
    let until = overload.until();
    Value::Int(match key {
        "ocrate" => i64::from(overload.rate),
        "ocseq" => overload.sequence.unwrap_or(0),
        "octime_sec" => i64::try_from(until / 1_000_000).unwrap_or(i64::MAX),
        _ => i64::try_from(until % 1_000_000).unwrap_or(0),
    })
}
