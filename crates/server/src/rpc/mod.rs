//! The server's own RPC commands, shaped as Kamailio's JSON-RPC prints them.

use std::sync::{Arc, OnceLock};

use script::{Core, Module, ParamType, RpcCommand, RpcError, ScriptEngine};
use serde_json::{Value as Json, json};

use crate::clock::ctime;
use crate::reload::Reloader;

/// The module behind the server's own commands. Its state is what start-up makes after the modules.
#[derive(Default)]
pub struct ServerModule {
    running: OnceLock<Running>,
}

/// What the commands tell about.
pub struct Running {
    /// The engine that routes.
    pub engine: Arc<dyn ScriptEngine>,
    /// Loads its script anew.
    pub reloader: Arc<Reloader>,
    /// Threads: name as `core.psx` shows it, kernel thread id.
    pub threads: Vec<(String, i32)>,
}

impl ServerModule {
    /// Makes the running server known to the commands.
    pub fn started(&self, running: Running) {
        let _ = self.running.set(running);
    }
}

impl Module for ServerModule {
    fn name(&self) -> &'static str {
        "server"
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        COMMANDS
    }
}

fn running(module: &dyn Module) -> Result<&Running, RpcError> {
    (module as &dyn std::any::Any)
        .downcast_ref::<ServerModule>()
        .and_then(|m| m.running.get())
        .ok_or_else(|| RpcError::new(500, "Server is starting"))
}

fn reload(module: &dyn Module) -> Result<Json, RpcError> {
    let done = running(module)?.reloader.reload().map_err(|reason| RpcError::new(500, reason))?;
    Ok(json!({ "old": done.old, "new": done.new, "callbacks": done.callbacks }))
}

const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "core.uptime",
        doc: "Time now, time of the start, and seconds between.",
        call: |_, core, now, _| {
            Ok(json!({
                "now": ctime(now.unix()),
                "up_since": ctime(core.config.started),
                "uptime": now.unix().saturating_sub(core.config.started),
            }))
        },
    },
    RpcCommand {
        name: "core.version",
        doc: "Name and version of the server.",
        call: |_, _, _, _| Ok(json!(version())),
    },
    RpcCommand {
        name: "core.info",
        doc: "Version and how the binary was built.",
        call: |_, _, _, _| {
            Ok(json!({
                "version": format!("trunkline {}", env!("CARGO_PKG_VERSION")),
                "id": build_id(),
                "compiler": "rustc",
                "compiled": "",
                "flags": "UDP, IPV4, IPV6, RECVMMSG, THREADS",
            }))
        },
    },
    RpcCommand {
        name: "core.runinfo",
        doc: "Version and running time.",
        call: |_, core, now, _| {
            let up = now.unix().saturating_sub(core.config.started);
            Ok(json!({
                "name": "trunkline",
                "version": env!("CARGO_PKG_VERSION"),
                "sourceid": build_id(),
                "compiler": "rustc",
                "compiled": "",
                "time_now": ctime(now.unix()),
                "time_started": ctime(core.config.started),
                "uptime_secs": up,
                "utime_days": format!("{}d {}h {}m {}s", up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60),
            }))
        },
    },
    RpcCommand {
        name: "core.echo",
        doc: "Answers with its parameters.",
        call: |_, _, _, params| Ok(json!(params)),
    },
    RpcCommand {
        name: "jsonrpc.echo",
        doc: "Answers with its parameters.",
        call: |_, _, _, params| Ok(json!(params)),
    },
    RpcCommand {
        name: "core.ps",
        doc: "Threads of the server: id and description, alternating. All are in one process.",
        call: |m, _, _, _| {
            Ok(running(m)?.threads.iter().flat_map(|(name, tid)| [json!(tid), json!(name)]).collect())
        },
    },
    RpcCommand {
        name: "core.psx",
        doc: "Threads of the server: index, thread id, description. All are in one process, whose id is that of index 0.",
        call: |m, _, _, _| {
            let rows = running(m)?.threads.iter().enumerate();
            Ok(rows.map(|(i, (name, tid))| json!({"IDX": i, "PID": tid, "DSC": name})).collect())
        },
    },
    RpcCommand {
        name: "core.pwd",
        doc: "Working directory.",
        call: |_, _, _, _| {
            let here = std::env::current_dir().map_err(|e| RpcError::new(500, e.to_string()))?;
            Ok(json!([here.display().to_string()]))
        },
    },
    RpcCommand {
        name: "core.arg",
        doc: "The command line the server was started with.",
        call: |_, _, _, _| Ok(std::env::args_os().map(|a| json!(a.to_string_lossy())).collect()),
    },
    RpcCommand {
        name: "core.modules",
        doc: "Names of the loaded modules.",
        call: |_, core, _, _| {
            let all = core.registry.modules().iter().map(|m| m.name());
            Ok(all.filter(|n| *n != "server").map(|n| json!(n)).collect())
        },
    },
    RpcCommand {
        name: "core.ppdefines",
        doc: "Names defined for the configuration's preprocessor.",
        call: |_, core, _, _| {
            let mut names: Vec<&String> = core.config.defines.keys().collect();
            names.sort();
            Ok(json!(names))
        },
    },
    RpcCommand {
        name: "core.sockets_list",
        doc: "Sockets the server listens on.",
        call: |_, core, _, _| {
            let rows = core.listeners.iter().map(|l| {
                json!({"socket": {
                    "proto": l.transport.lower(),
                    "address": l.address.ip().to_string(),
                    "port": l.address.port().to_string(),
                    "advertise": l.advertise.as_ref().map_or("-".into(), |(h, p)| format!("{h}:{p}")),
                    "mcast": "no",
                    "mhomed": "no",
                    "virtual": "no",
                }})
            });
            Ok(rows.collect())
        },
    },
    RpcCommand {
        name: "core.aliases_list",
        doc: "Names besides the sockets that count as this server.",
        call: |_, core, _, _| {
            let rows = core.config.aliases.iter().map(|(host, port, transport)| {
                json!({"alias": {
                    "proto": transport.map_or("*", |t| t.lower()),
                    "address": host,
                    "port": port.unwrap_or(0),
                }})
            });
            Ok(json!({"myself_callbacks": "no", "aliases": rows.collect::<Json>()}))
        },
    },
    RpcCommand {
        name: "system.listMethods",
        doc: "Names of all commands.",
        call: |_, core, _, _| {
            let mut names: Vec<&str> = core.registry.rpc().map(|(_, r)| r.name).collect();
            names.sort_unstable();
            names.dedup();
            Ok(json!(names))
        },
    },
    RpcCommand {
        name: "system.methodHelp",
        doc: "What a command does. Parameter: its name.",
        call: |_, core, _, params| {
            let name = params
                .first()
                .and_then(Json::as_str)
                .ok_or_else(|| RpcError::new(400, "the name of a command is expected"))?;
            let row = core.registry.rpc().find(|(_, r)| r.name == name);
            row.map(|(_, r)| json!(r.doc)).ok_or_else(|| RpcError::new(404, format!("no command {name}")))
        },
    },
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
              fails, all keep the old one and the answer is the traceback. Numbers of the loadings.",
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
    RpcCommand {
        name: "core.modparams",
        doc: "Parameters of a module with their types. Parameter: the module's name.",
        call: |_, core, _, params| {
            let name = params.first().and_then(Json::as_str).unwrap_or_default();
            let module = core.registry.modules().iter().find(|m| m.name() == name);
            let module = module.ok_or_else(|| RpcError::new(404, format!("module {name} is not loaded")))?;
            let kind = |k| match k {
                ParamType::Int => "int",
                ParamType::Str => "str",
                ParamType::Any => "any",
            };
            Ok(module
                .params()
                .iter()
                .map(|p| json!({"name": p.name, "type": kind(p.kind), "doc": p.doc}))
                .collect())
        },
    },
];

/// Counters chosen as Kamailio does: `all`, `group:`, or names; unknown names are left out.
fn pick(core: &Core, params: &[Json]) -> Result<Vec<(String, String, i64)>, RpcError> {
    if params.is_empty() {
        return Err(RpcError::new(400, "Invalid Parameters: all, a group such as core:, or names"));
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

/// `trunkline 0.1.0 (x86_64/linux)`
pub fn version() -> String {
    format!("trunkline {} ({}/{})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS)
}

/// The commit this was built from, where the build knew.
pub fn build_id() -> &'static str {
    option_env!("TRUNKLINE_BUILD_ID").unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::{CoreConfig, Registry};

    fn core() -> Core {
        let core = Core {
            config: CoreConfig { started: 1_795_344_230, ..CoreConfig::default() },
            listeners: Vec::new(),
            registry: Registry::new(vec![Arc::new(ServerModule::default())]),
            statistics: Default::default(),
            callbacks: Default::default(),
            names: Default::default(),
        };
        core.statistics.register("core", "rcv_requests", "Requests received.").add(7);
        core.statistics.register("tmx", "2xx_transactions", "x").add(1);
        core
    }

    fn ask(text: &str) -> Json {
        let now = Now { unix_micros: 1_795_344_232_000_000, ..Now::default() };
        script::rpc::answer(&core(), now, text).unwrap_or(Json::Null)
    }

    fn result(method: &str, params: Json) -> Json {
        ask(&json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string())["result"]
            .clone()
    }

    #[test]
    fn answers_are_shaped_as_kamailios() {
        assert_eq!(
            ask(r#"{"jsonrpc":"2.0","method":"core.uptime","id":1}"#),
            json!({"jsonrpc": "2.0", "id": 1, "result": {
                "now": ctime(1_795_344_232), "up_since": ctime(1_795_344_230), "uptime": 2}})
        );
        assert_eq!(result("core.echo", json!(["a", 1])), json!(["a", 1]));
        assert_eq!(result("stats.get_statistics", json!(["rcv_requests"])), json!(["core:rcv_requests = 7"]));
        assert_eq!(result("stats.fetch", json!(["core:"])), json!({"core.rcv_requests": "7"}));
        assert_eq!(result("stats.fetchn", json!(["core.rcv_requests"])), json!({"core.rcv_requests": 7}));
        assert_eq!(result("stats.get_statistics", json!(["all"])).as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn faults_have_codes() {
        let code = |text: &str| ask(text)["error"]["code"].as_i64();
        assert_eq!(code(r#"{"jsonrpc":"2.0","method":"nope","id":1}"#), Some(500));
        assert_eq!(code(r#"{"jsonrpc":"2.0","method":"stats.fetch","id":1}"#), Some(400));
        assert_eq!(code("{"), Some(-32700));
        assert_eq!(code("{}"), Some(-32600));
        assert_eq!(
            ask(r#"{"jsonrpc":"2.0","method":"core.echo"}"#),
            Json::Null,
            "a notification has no answer"
        );
    }

    #[test]
    fn commands_are_listed_and_explained() {
        let listed = result("system.listMethods", json!([]));
        for name in ["core.uptime", "core.psx", "stats.get_statistics", "kemi.callbacks"] {
            assert!(listed.as_array().is_some_and(|l| l.contains(&json!(name))), "{name}");
            assert!(result("system.methodHelp", json!([name])).is_string());
        }
    }
}
