//! RPC commands of `rtpengine`.

use script::{Module, RpcCommand, RpcError};
use serde_json::{Value as Json, json};

use super::RtpEngine;
use crate::relay::State;
use crate::rtpproxy::rpc::{names, number};

fn module(module: &dyn Module) -> Result<&RtpEngine, RpcError> {
    let any: &dyn std::any::Any = module;
    any.downcast_ref().ok_or_else(|| RpcError::new(500, "not rtpengine"))
}

fn word(params: &[Json]) -> Result<&str, RpcError> {
    params.first().and_then(Json::as_str).ok_or_else(|| RpcError::new(500, "Not enough parameters"))
}

fn status(word: &str, status: &str) -> Json {
    json!({ "url": word, "status": status })
}

pub(super) const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "rtpengine.show",
        doc: "Parameter: URL of a node or `all`. Of each: url, set, index in the set, weight, disabled (`1(permanent)` when an operator took it \
              out), recheck_ticks (seconds until one that is away is asked again).",
        call: |m, _, now, params| {
            let word = word(params)?;
            let sets = module(m)?.pool.sets();
            let (mut rows, mut last, mut index) = (Vec::new(), None, 0);
            for (set, node) in sets.nodes() {
                index = if last == Some(set) { index + 1 } else { 0 };
                last = Some(set);
                if !names(word, node) {
                    continue;
                }
                let off = node.state() == State::Off;
                let down = i32::from(node.state() == State::Down);
                rows.push(json!({
                    "url": node.url,
                    "set": set,
                    "index": index,
                    "weight": node.weight,
                    "disabled": if off { json!("1(permanent)") } else { json!(down) },
                    "recheck_ticks": if off { json!("N/A") } else { json!(node.recheck(now.mono.as_millis() / 1000)) },
                }));
            }
            if rows.is_empty() {
                Err(RpcError::new(404, "Instance not found"))
            } else {
                Ok(Json::Array(rows))
            }
        },
    },
    RpcCommand {
        name: "rtpengine.reload",
        doc: "Reads the table of nodes again; nodes that stay keep their state.",
        call: |m, _, _, _| {
            let module = module(m)?;
            if !module.pool.has_table() {
                return Err(RpcError::new(500, "No Database URL"));
            }
            module
                .pool
                .load("rtpengine")
                .map_err(|why| RpcError::new(500, format!("Failed to reload: {why}")))?;
            Ok(Json::Null)
        },
    },
    RpcCommand {
        name: "rtpengine.enable",
        doc: "Parameters: URL of a node or `all`; 1 takes it in again when it answers a ping, 0 takes it out for new calls.",
        call: |m, core, now, params| {
            let word = word(params)?;
            let on =
                params.get(1).and_then(number).ok_or_else(|| RpcError::new(500, "Not enough parameters"))?;
            let module = module(m)?;
            let sets = module.pool.sets();
            let mut result = None;
            for (_, node) in sets.nodes().filter(|(_, n)| names(word, n)) {
                node.switch(on != 0);
                let fine = on == 0 || module.ping(core, node, now, 1);
                result = Some(result.unwrap_or(true) && fine);
            }
            match (result, on != 0) {
                (None, _) => Err(RpcError::new(404, "Instance not found")),
                (Some(true), true) => Ok(status(word, "enable")),
                (Some(true), false) => Ok(status(word, "disable")),
                (Some(false), _) => Ok(status(word, "fail")),
            }
        },
    },
    RpcCommand {
        name: "rtpengine.ping",
        doc: "Parameter: URL of a node or `all`. Asks it whether it is there; calls go to others while it is not.",
        call: |m, core, now, params| {
            let word = word(params)?;
            let module = module(m)?;
            let sets = module.pool.sets();
            let mut result = None;
            for (_, node) in sets.nodes().filter(|(_, n)| names(word, n)) {
                let off = node.state() == State::Off;
                let fine = module.ping(core, node, now, 1);
                if off {
                    // A ping does not undo an operator's decision.
                    node.switch(false);
                }
                result = Some(result.unwrap_or(true) && fine);
            }
            match result {
                None => Err(RpcError::new(404, "Instance not found")),
                Some(fine) => Ok(status(word, if fine { "success" } else { "fail" })),
            }
        },
    },
    RpcCommand {
        name: "rtpengine.get_hash_total",
        doc: "Number of calls whose node is remembered.",
        call: |m, _, _, _| Ok(json!(module(m)?.calls.len())),
    },
];
