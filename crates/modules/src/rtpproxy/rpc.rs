//! RPC commands of `rtpproxy`.

use script::{Module, RpcCommand, RpcError};
use serde_json::{Value as Json, json};

use super::RtpProxy;
use crate::relay::{Node, State};

fn module(module: &dyn Module) -> Result<&RtpProxy, RpcError> {
    let any: &dyn std::any::Any = module;
    any.downcast_ref().ok_or_else(|| RpcError::new(500, "not rtpproxy"))
}

/// Whether a word of an operator names a node: `all`, or its URL, also with `::` before it.
pub(crate) fn names(word: &str, node: &Node) -> bool {
    word == "all" || word.strip_prefix("::").unwrap_or(word) == node.url
}

/// `1`, `"1"` and their like.
pub(crate) fn number(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "rtpproxy.list",
        doc: "All nodes: setid, url, index in the set, disabled, weight, recheck (seconds until one that is away is asked again).",
        call: |m, _, now, _| {
            let sets = module(m)?.pool.sets();
            let seconds = now.mono.as_millis() / 1000;
            let mut rows = Vec::new();
            let mut last = None;
            let mut index = 0;
            for (set, node) in sets.nodes() {
                index = if last == Some(set) { index + 1 } else { 0 };
                last = Some(set);
                rows.push(json!({
                    "setid": set,
                    "url": node.url,
                    "index": index,
                    "disabled": i32::from(matches!(node.state(), State::Down | State::Off)),
                    "weight": node.weight,
                    "recheck": node.recheck(seconds),
                }));
            }
            Ok(Json::Array(rows))
        },
    },
    RpcCommand {
        name: "rtpproxy.enable",
        doc: "Parameters: URL of a node or `all`; 1 takes it in again (it is asked when the next call needs it), 0 takes it out.",
        call: |m, _, _, params| {
            let word = params.first().and_then(Json::as_str);
            let (Some(word), Some(on)) = (word, params.get(1).and_then(number)) else {
                return Err(RpcError::new(500, "Not enough parameters"));
            };
            let sets = module(m)?.pool.sets();
            let mut found = false;
            for (_, node) in sets.nodes().filter(|(_, n)| names(word, n)) {
                node.switch(on != 0);
                found = true;
            }
            if found { Ok(Json::Null) } else { Err(RpcError::new(404, "RTPProxy not found")) }
        },
    },
];
