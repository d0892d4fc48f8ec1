//! `stats.*`: counters.

use script::{Core, RpcCommand, RpcError};
use serde_json::{Value as Json, json};

use super::running;

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "stats.get_statistics",
        doc: "Counters as `group:name = value`. Parameters: `all`, a group as `core:`, or names.",
        call: |_, core, _, params| {
            let rows = pick(core, params)?;
            Ok(rows.iter().map(|(g, n, v)| json!(format!("{g}:{n} = {v}"))).collect())
        },
    },
    RpcCommand {
        name: "stats.fetch",
        doc: "Counters as an object of texts `group.name`. Parameters: `all`, a group as `core:`, or names.",
        call: |_, core, _, params| {
            let rows = pick(core, params)?;
            Ok(Json::Object(
                rows.into_iter().map(|(g, n, v)| (format!("{g}.{n}"), json!(v.to_string()))).collect(),
            ))
        },
    },
    RpcCommand {
        name: "stats.fetchn",
        doc: "As stats.fetch, with numbers.",
        call: |_, core, _, params| {
            let rows = pick(core, params)?;
            Ok(Json::Object(rows.into_iter().map(|(g, n, v)| (format!("{g}.{n}"), json!(v))).collect()))
        },
    },
    RpcCommand {
        name: "stats.prometheus",
        doc: "All counters, and those of each callback and worker, as Prometheus reads them (text format 0.0.4).",
        call: |m, core, _, _| Ok(json!(crate::metrics::text(core, running(m)?.engine.as_ref()))),
    },
    RpcCommand {
        name: "stats.clear_statistics",
        doc: "Sets counters to 0 and answers with what they are then, as stats.get_statistics. Parameters: `all`, a group as `core:`, or names.",
        call: |_, core, _, params| {
            let rows = clear(core, params)?;
            Ok(rows.iter().map(|(g, n)| json!(format!("{g}:{n} = 0"))).collect())
        },
    },
    RpcCommand {
        name: "stats.reset_statistics",
        doc: "Sets counters to 0. Parameters: `all`, a group as `core:`, or names.",
        call: |_, core, _, params| clear(core, params).map(|_| Json::Null),
    },
];

/// Sets what is kept to 0; what is computed stays.
fn clear(core: &Core, params: &[Json]) -> Result<Vec<(String, String)>, RpcError> {
    let mut done = Vec::new();
    for (group, name, _) in pick(core, params)? {
        if let Some(kept) = core.statistics.find(&group, &name) {
            kept.set(0);
            done.push((group, name));
        }
    }
    Ok(done)
}

/// Counters chosen as Kamailio does: `all`, `group:`, or names; unknown names are left out.
fn pick(core: &Core, params: &[Json]) -> Result<Vec<(String, String, i64)>, RpcError> {
    if params.is_empty() {
        return Err(RpcError::new(
            400,
            "Please provide which stats to retrieve: all, a group such as core:, or names",
        ));
    }
    let mut rows = Vec::new();
    for p in params {
        let wanted = p.as_str().unwrap_or_default();
        let all = core.statistics.list(wanted.strip_suffix(':'));
        let chosen = all.into_iter().filter(|(g, n, _, _)| {
            wanted == "all"
                || wanted.ends_with(':')
                || wanted == n
                || wanted.split_once([':', '.']).is_some_and(|(wg, wn)| wg == g && wn == n)
        });
        rows.extend(chosen.map(|(g, n, v, _)| (g, n, v)));
    }
    Ok(rows)
}
