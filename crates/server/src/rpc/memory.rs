//! `pkg.*`, `shm.*`, `mod.*`, `core.shmmem`, `corex.*_summary`: memory, in the shapes of Kamailio.
//!
//! Kamailio divides memory into pools; here the system gives and takes it. So the "shared" numbers are those of the process, from
//! `/proc`, and every "private" number is 0.

use script::statistics::Kind;
use script::{Core, Module, RpcCommand, RpcError, Statistics};
use serde_json::{Value as Json, json};

use super::{integer, threads};

/// Bytes of this process in memory, now and at most.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = |name: &str| field(name).unwrap_or(0).saturating_mul(1024);
    (kilobytes("VmRSS:"), kilobytes("VmHWM:"))
}

/// Kamailio's statistics of its shared pool, group `shmem`: the process's memory.
pub fn register(statistics: &Statistics) {
    type Number = fn() -> u64;
    let rows: [(&str, &str, Number); 6] = [
        ("total_size", "Bytes of the process in memory: there is no pool that could hold more.", || {
            resident().0
        }),
        ("used_size", "Bytes of the process in memory.", || resident().0),
        ("real_used_size", "Bytes of the process in memory.", || resident().0),
        ("max_used_size", "Bytes of the process in memory, at most so far.", || resident().1),
        ("free_size", "0: there is no pool to be free of.", || 0),
        ("fragments", "0: there is no pool.", || 0),
    ];
    for (name, doc, number) in rows {
        let number = Box::new(move || i64::try_from(number()).unwrap_or(i64::MAX));
        statistics.computed("shmem", name, doc, Kind::Level, number);
    }
}

fn totals() -> Json {
    let (now, most) = resident();
    json!({"total": now, "free": 0, "used": now, "real_used": now, "max_used": most, "fragments": 0})
}

fn private(module: &dyn Module, params: &[Json]) -> Result<Json, RpcError> {
    let rows = threads(module)?;
    let bad = || RpcError::new(400, "pid, rank or index and a number are expected");
    let wanted = match params {
        [] => None,
        [what, number, ..] => Some((what.as_str().ok_or_else(bad)?, integer(number).ok_or_else(bad)?)),
        _ => return Err(bad()),
    };
    let all: Vec<Json> = rows
        .iter()
        .enumerate()
        .filter(|(i, (_, tid))| match wanted {
            None => true,
            Some(("pid", n)) => i64::from(*tid) == n,
            // Ranks of workers are their places here.
            Some((_, n)) => i64::try_from(*i).is_ok_and(|i| i == n),
        })
        .map(|(i, (name, tid))| {
            json!({
                "entry": i,
                "pid": tid,
                "rank": i,
                "used": 0,
                "free": 0,
                "real_used": 0,
                "total_size": 0,
                "total_frags": 0,
                "desc": name,
            })
        })
        .collect();
    match (all.is_empty(), wanted) {
        (true, Some((what, _))) => Err(RpcError::new(500, format!("No such {what}"))),
        _ => Ok(Json::Array(all)),
    }
}

/// One module or all, with nothing to tell.
fn of_modules(core: &Core, params: &[Json]) -> Result<Json, RpcError> {
    let name = params.first().and_then(Json::as_str);
    let name = name.ok_or_else(|| RpcError::new(400, "the name of a module, or all, is expected"))?;
    let pools = match params.get(1).and_then(Json::as_str) {
        Some("all") => 2,
        _ => 1,
    };
    let modules = core
        .registry
        .modules()
        .iter()
        .map(|m| m.name())
        .filter(|n| *n != "server" && (name == "all" || name == *n));
    let mut rows = Vec::new();
    for module in modules {
        rows.push(json!(format!("Module: {module}")));
        rows.extend(std::iter::repeat_n(json!({"Total": 0}), pools));
        rows.push(json!(""));
    }
    Ok(Json::Array(rows))
}

fn written(what: &str) -> Result<Json, RpcError> {
    let (now, most) = resident();
    tracing::info!(target: "core", now, most, "{what}: there are no memory pools here; bytes of the process");
    Ok(Json::Null)
}

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "core.shmmem",
        doc: "Memory of the process, in bytes, as Kamailio tells of its shared pool: there is no pool here, so nothing of it is free.",
        call: |_, _, _, _| Ok(totals()),
    },
    RpcCommand { name: "shm.stats", doc: "As core.shmmem.", call: |_, _, _, _| Ok(totals()) },
    RpcCommand {
        name: "shm.info",
        doc: "Name and size of the shared pool: `none`, there is none, and the bytes of the process.",
        call: |_, _, _, _| Ok(json!({"name": "none", "size": resident().0})),
    },
    RpcCommand {
        name: "shm.report",
        doc: "Memory of the process, in bytes, as Kamailio tells of fragments in its shared pool: there are none here.",
        call: |_, _, _, _| {
            let (now, most) = resident();
            Ok(json!({
                "total_size": now, "free_size_s": 0, "used_size_s": now, "real_used_s": now, "max_used_s": most,
                "free_frags": 0, "used_frags": 0, "total_frags": 0,
            }))
        },
    },
    RpcCommand {
        name: "shm.rprint",
        doc: "Writes the memory of the process to the log.",
        call: |_, _, _, _| written("shm.rprint"),
    },
    RpcCommand {
        name: "corex.shm_status",
        doc: "Writes the memory of the process to the log.",
        call: |_, _, _, _| written("corex.shm_status"),
    },
    RpcCommand {
        name: "corex.shm_summary",
        doc: "Writes the memory of the process to the log.",
        call: |_, _, _, _| written("corex.shm_summary"),
    },
    RpcCommand {
        name: "corex.pkg_summary",
        doc: "Writes the memory of the process to the log: there are no private pools.",
        call: |_, _, _, _| written("corex.pkg_summary"),
    },
    RpcCommand {
        name: "pkg.info",
        doc: "Name and size of the private pools: `none`, there are none.",
        call: |_, _, _, _| Ok(json!({"name": "none", "size": 0})),
    },
    RpcCommand {
        name: "pkg.stats",
        doc: "Private memory of each thread: 0, there is none. Parameters: `pid`, `rank` or `index` and a number (optional).",
        call: |m, _, _, params| private(m, params),
    },
    RpcCommand {
        name: "mod.stats",
        doc: "Memory of a module: not kept apart here, 0. Parameters: module or `all`; `pkg`, `shm` or `all`.",
        call: |_, core, _, params| of_modules(core, params),
    },
    RpcCommand {
        name: "mod.mem_stats",
        doc: "As mod.stats.",
        call: |_, core, _, params| of_modules(core, params),
    },
    RpcCommand {
        name: "mod.mem_statsx",
        doc: "As mod.stats.",
        call: |_, core, _, params| of_modules(core, params),
    },
];
