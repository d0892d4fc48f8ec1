//! `dispatcher.*`: sets for operators, in the shapes Kamailio gives.

use std::any::Any;

use script::{Core, Module, RpcCommand, RpcError};
use serde_json::{Map, Value as Json, json};
use transaction::Now;

use super::destination::{Destination, state};
use super::sets::Row;
use super::{Dispatcher, Reload, select};

pub const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "dispatcher.add",
        doc: "Adds a destination until the next reload. Parameters: set, URI, then optionally flags, priority, attributes.",
        call: add,
    },
    RpcCommand {
        name: "dispatcher.hash",
        doc: "The hash of one or two texts, and the place it stands for in a set of so many. Parameters: size (0 none), text, text (optional).",
        call: hash,
    },
    RpcCommand {
        name: "dispatcher.list",
        doc: "All sets with their destinations. Parameter: `short` without attributes, `full` with addresses (optional).",
        call: list,
    },
    RpcCommand {
        name: "dispatcher.oclist",
        doc: "Overload control of a set's destinations (algorithm 64): rate, least rate, when it ends or ended in Unix time, number of what asked \
              for it. Parameter: set.",
        call: oclist,
    },
    RpcCommand {
        name: "dispatcher.ping_active",
        doc: "Whether pings are sent; or sets it. Parameter: 0 or 1 (optional).",
        call: ping_active,
    },
    RpcCommand {
        name: "dispatcher.reload",
        doc: "Reads the list again; states and loads begin anew. At most once in `reload_delta` seconds.",
        call: reload,
    },
    RpcCommand {
        name: "dispatcher.remove",
        doc: "Removes a destination until the next reload. Parameters: set, URI.",
        call: remove,
    },
    RpcCommand {
        name: "dispatcher.set_duid_state",
        doc: "As `dispatcher.set_state`, by the attribute `duid`. Parameters: state, set, duid.",
        call: set_duid_state,
    },
    RpcCommand {
        name: "dispatcher.set_state",
        doc: "Sets the state of a destination, or of `all` in a set. Parameters: state (`a` `i` `t` `d`, with `p` pinged), set, URI.",
        call: set_state,
    },
    RpcCommand {
        name: "dispatcher.set_state_all",
        doc: "Sets the state of all destinations of a set. Parameters: state, set.",
        call: |m, _, _, p| change(m, p, 2, |_| true),
    },
];

type Answer = Result<Json, RpcError>;

fn failed(text: &str) -> RpcError {
    RpcError::new(500, text)
}

fn module(m: &dyn Module) -> Result<&Dispatcher, RpcError> {
    (m as &dyn Any).downcast_ref().ok_or_else(|| failed("Not this module"))
}

fn text(params: &[Json], at: usize) -> Option<String> {
    match params.get(at)? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn int(params: &[Json], at: usize) -> Option<i64> {
    match params.get(at)? {
        Json::Number(n) => n.as_i64(),
        Json::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

const INVALID: &str = "Invalid Parameters";

/// 0 without a point, as Kamailio prints it.
fn millis(value: f64) -> Json {
    if value.fract() == 0.0 { json!(value as i64) } else { json!((value * 1e6).round() / 1e6) }
}

fn or_null(value: &str) -> Json {
    if value.is_empty() { Json::Null } else { json!(value) }
}

fn destination(d: &Destination, mode: &str, latencies: bool, loads: bool) -> Json {
    let (full, short) = (mode == "full", mode == "short");
    let mut row = Map::new();
    let mut put = |name: &str, value: Json| drop(row.insert(name.into(), value));
    put("URI", json!(d.uri));
    put("FLAGS", json!(state::letters(d.state())));
    put("PRIORITY", json!(d.priority));
    if full {
        put("HOST", json!(d.host));
        put("IPADDR", d.ip.map_or(Json::Null, |ip| json!(ip.to_string())));
        put("PORT", json!(d.port));
        let transports = ["udp", "tcp", "tls", "sctp", "ws", "wss"];
        let number = d.transport.and_then(|t| transports.iter().position(|n| *n == t.lower()));
        put("PROTOID", json!(number.map_or(0, |n| n + 1)));
        put("DNSTIME_SEC", json!(0));
        put("DNSTIME_USEC", json!(0));
    }
    let a = &d.attributes;
    if !short && !a.body.is_empty() {
        put(
            "ATTRS",
            json!({
                "BODY": a.body, "DUID": or_null(&a.duid), "MAXLOAD": a.maxload, "WEIGHT": a.weight, "RWEIGHT": a.rweight,
                "SOCKET": or_null(&a.socket), "SOCKNAME": or_null(&a.sockname), "OBPROXY": or_null(&a.obproxy),
            }),
        );
    }
    if latencies {
        let l = *d.latency();
        put(
            "LATENCY",
            json!({
                "AVG": millis(l.average), "STD": millis(l.deviation()), "EST": millis(l.estimate), "MAX": l.max,
                "TIMEOUT": l.timeouts,
            }),
        );
    }
    if loads {
        put("RUNTIME", json!({ "DLGLOAD": d.load() }));
    }
    json!({ "DEST": row })
}

fn list(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    let mode = params.first().and_then(Json::as_str).unwrap_or_default();
    let latencies = module.settings().ds_ping_latency_stats;
    let loads = module.settings().ds_hash_size > 0;
    let sets = module.sets();
    if sets.all().next().is_none() {
        return Err(failed("No Destination Sets"));
    }
    let set = |set: &std::sync::Arc<super::Set>| {
        let targets: Vec<Json> = set.list.iter().map(|d| destination(d, mode, latencies, loads)).collect();
        json!({ "SET": { "ID": set.id, "TARGETS": targets } })
    };
    let records: Vec<Json> = sets.all().map(set).collect();
    Ok(json!({ "NRSETS": records.len(), "RECORDS": records }))
}

fn oclist(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    let sets = module.sets();
    let Some(id) = int(params, 0) else { return Err(failed(INVALID)) };
    let set = sets.set(id).ok_or_else(|| failed("Dispatcher group not found"))?;
    let row = |d: &std::sync::Arc<Destination>| {
        let overload = *d.overload();
        json!({
            "URI": d.uri, "PRIORITY": d.priority, "OCRATE": overload.rate, "OCMIN": overload.least,
            "OCTIME_SEC": overload.until() / 1_000_000, "OCTIME_USEC": overload.until() % 1_000_000,
            "OCSEQ": overload.sequence.unwrap_or(0),
        })
    };
    Ok(set.list.iter().map(row).collect())
}

fn change(m: &dyn Module, params: &[Json], needed: usize, wanted: impl Fn(&Destination) -> bool) -> Answer {
    let module = module(m)?;
    let (Some(letters), Some(id)) = (text(params, 0), int(params, 1)) else { return Err(failed(INVALID)) };
    if params.len() < needed {
        return Err(failed(INVALID));
    }
    let Some(new) = state::parse(letters.as_bytes()).filter(|_| !letters.is_empty()) else {
        return Err(failed("Unknown State Value"));
    };
    let sets = module.sets();
    let list = sets.set(id).map(|s| &s.list[..]).unwrap_or_default();
    let mut changed = false;
    for d in list.iter().filter(|d| wanted(d)) {
        // As in Kamailio, no event comes of it.
        d.put_state(new);
        changed = true;
    }
    if changed { Ok(json!("Ok. Dispatcher state updated.")) } else { Err(failed("State Update Failed")) }
}

fn set_state(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let uri = text(params, 2).unwrap_or_default();
    change(m, params, 3, |d| uri == "all" || d.uri == uri)
}

fn set_duid_state(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let duid = text(params, 2).unwrap_or_default();
    change(m, params, 3, |d| d.attributes.duid == duid)
}

fn ping_active(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    let old = module.ping_state();
    match int(params, 0) {
        None => Ok(json!({ "OldPingState": old })),
        Some(new) => {
            module.set_ping_state(new);
            Ok(json!({ "NewPingState": new, "OldPingState": old }))
        }
    }
}

fn reload(m: &dyn Module, _: &Core, now: Now, _: &[Json]) -> Answer {
    match module(m)?.reload(now) {
        Ok(()) => Ok(json!("Ok. Dispatcher successfully reloaded.")),
        Err(Reload::TooSoon) => Err(failed("Ongoing reload")),
        Err(Reload::Failed(why)) => {
            tracing::error!(target: "dispatcher", %why, "not reloaded: the old list is used on");
            Err(failed("Reload Failed"))
        }
    }
}

fn add(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    let (Some(set), Some(uri)) = (int(params, 0), text(params, 1)) else { return Err(failed(INVALID)) };
    let row = Row {
        set,
        uri,
        flags: int(params, 2).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        priority: int(params, 3).unwrap_or(0),
        attrs: text(params, 4).unwrap_or_default(),
    };
    match module.change_rows(|rows| {
        rows.push(row);
        true
    }) {
        true => Ok(json!("Ok. Dispatcher destination added.")),
        false => Err(failed("Adding dispatcher dst failed")),
    }
}

fn remove(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    let (Some(set), Some(uri)) = (int(params, 0), text(params, 1)) else { return Err(failed(INVALID)) };
    let removed = module.change_rows(|rows| {
        let before = rows.len();
        rows.retain(|r| r.set != set || r.uri != uri);
        rows.len() < before
    });
    match removed {
        true => Ok(json!("Ok. Dispatcher destination removed.")),
        false => Err(failed("Removing dispatcher dst failed")),
    }
}

fn hash(_: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let (Some(size), Some(first)) = (int(params, 0), text(params, 1)) else { return Err(failed(INVALID)) };
    let second = text(params, 2).unwrap_or_default();
    let hash = select::hash(&[first.as_bytes(), second.as_bytes()]);
    let slot = u32::try_from(size).ok().filter(|n| *n > 0).map_or(0, |n| hash % n);
    Ok(json!({ "hashid": hash, "slot": slot }))
}
