//! `kemi.*` and `app_python.*`: the engine and its script.

use script::{Module, RpcCommand, RpcError};
use serde_json::{Value as Json, json};

use super::running;

fn reload(module: &dyn Module) -> Result<Json, RpcError> {
    let reloader = &running(module)?.reloader;
    if script::rpc::is_by_script() {
        let (old, new) = reloader.begin().map_err(|reason| RpcError::new(500, reason))?;
        return Ok(json!({ "old": old, "new": new }));
    }
    let done = reloader.reload().map_err(|reason| RpcError::new(500, reason))?;
    Ok(json!({ "old": done.old, "new": done.new, "callbacks": done.callbacks }))
}

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "kemi.engine",
        doc: "The script engine: which one routes, its version, script and interpreters.",
        call: |m, _, _, _| Ok(running(m)?.engine.rpc_engine()),
    },
    RpcCommand {
        name: "kemi.callbacks",
        doc: "Callbacks of the script: how often each ran, time in the script, time waiting for the interpreter, exceptions.",
        call: |m, _, _, _| Ok(running(m)?.engine.rpc_callbacks()),
    },
    RpcCommand {
        name: "app_python.reload",
        doc: "Loads the script anew: imported in every interpreter and made ready by every worker before any of them switches; when that \
              fails, all keep the old one and the answer is the traceback. Numbers of the loadings. Called by a script it is \
              begun, and the answer does not wait for it.",
        call: |m, _, _, _| reload(m),
    },
    RpcCommand { name: "app_python3s.reload", doc: "As app_python.reload.", call: |m, _, _, _| reload(m) },
    RpcCommand {
        name: "kemi.threads",
        doc: "Threads the script started: name, the worker (its rank) whose callback started it, where, running or held (threads_mode 0).",
        call: |m, _, _, _| Ok(running(m)?.engine.rpc_threads()),
    },
    RpcCommand {
        name: "app_python.api_list",
        doc: "Every function a script can call, with its parameters and return type.",
        call: |_, core, _, _| {
            let rows: Vec<Json> = core
                .registry
                .functions()
                .map(|(_, f)| {
                    let params: Vec<&str> = f
                        .params
                        .iter()
                        .map(|p| if p.kind == script::ParamKind::Int { "int" } else { "str" })
                        .collect();
                    let params = if params.is_empty() { "none".to_owned() } else { params.join(", ") };
                    let ret = format!("{:?}", f.returns).to_ascii_lowercase();
                    json!({"func": {"ret": ret, "module": f.object, "name": f.name, "params": params}})
                })
                .collect();
            Ok(json!({"msize": rows.len(), "methods": rows}))
        },
    },
];
