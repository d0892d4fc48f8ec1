//! `core.*`, `corex.debug` and `system.*`: the server itself.

use script::{ParamType, RpcCommand, RpcError};
use serde_json::{Value as Json, json};

use super::{build_id, integer, threads, version};
use crate::clock::ctime;

/// What this build can do, as `core.flags` says it.
const FLAGS: &str = "UDP, IPV4, IPV6, RECVMMSG, THREADS";

const NO_TCP: &str = "There is no TCP here yet";

pub(super) const ROWS: &[RpcCommand] = &[
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
                "flags": FLAGS,
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
        call: |m, _, _, _| Ok(threads(m)?.iter().flat_map(|(name, tid)| [json!(tid), json!(name)]).collect()),
    },
    RpcCommand {
        name: "core.psx",
        doc: "Threads of the server: index, thread id, description. All are in one process, whose id is that of index 0.",
        call: |m, _, _, _| {
            let threads = threads(m)?;
            let rows = threads.iter().enumerate();
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
                let mut socket = json!({
                    "proto": l.transport.lower(),
                    "address": l.address.ip().to_string(),
                    "port": l.address.port().to_string(),
                    "mcast": "no",
                    "mhomed": "no",
                    "virtual": "no",
                });
                if let (Some(members), Some((host, port))) = (socket.as_object_mut(), &l.advertise) {
                    members.insert("advertise".into(), json!(format!("{host}:{port}")));
                }
                json!({ "socket": socket })
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
                    "port": port.map_or(json!("*"), |p| json!(p)),
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
    RpcCommand { name: "core.flags", doc: "What this build can do.", call: |_, _, _, _| Ok(json!(FLAGS)) },
    RpcCommand {
        name: "core.echo_delta",
        doc: "Answers with its parameters, at once: the seconds of the first one are not waited for.",
        call: |_, _, _, params| Ok(json!(params.get(1..).unwrap_or_default())),
    },
    RpcCommand {
        name: "core.printi",
        doc: "Answers with its parameters, which must be integers.",
        call: |_, _, _, params| {
            let all: Option<Vec<i64>> = params.iter().map(integer).collect();
            Ok(json!(all.ok_or_else(|| RpcError::new(400, "integers are expected"))?))
        },
    },
    RpcCommand {
        name: "core.prints",
        doc: "Answers with its parameters as texts.",
        call: |_, _, _, params| {
            Ok(params.iter().map(|p| p.as_str().map_or_else(|| p.to_string(), str::to_owned)).collect())
        },
    },
    RpcCommand {
        name: "core.psa",
        doc: "Threads of the server: index, thread id, status (1: it runs), rank, description. All are in one process.",
        call: |m, _, _, _| {
            let threads = threads(m)?;
            let mut udp = 0;
            let rows = threads.iter().enumerate().map(|(i, (name, tid))| {
                let rank = match name.split(' ').next() {
                    Some("udp") => {
                        udp += 1;
                        udp
                    }
                    Some("main") => 0,
                    Some("timer" | "secondary") => -1,
                    _ => -2,
                };
                json!({"index": i, "pid": tid, "status": 1, "rank": rank, "description": name})
            });
            Ok(rows.collect())
        },
    },
    RpcCommand {
        name: "core.ppdefines_full",
        doc: "Names defined for the configuration's preprocessor with their values; `none` without one.",
        call: |_, core, _, _| {
            let mut all: Vec<_> = core.config.defines.iter().collect();
            all.sort();
            let value = |v: &str| if v.is_empty() { "none".to_owned() } else { v.to_owned() };
            Ok(all.into_iter().map(|(n, v)| json!({"name": n, "type": 0, "value": value(v)})).collect())
        },
    },
    RpcCommand {
        name: "core.tcp_info",
        doc: "Numbers of TCP. There is none yet: all are 0.",
        call: |_, _, _, _| {
            Ok(json!({
                "readers": 0,
                "max_connections": 0,
                "max_tls_connections": 0,
                "opened_connections": 0,
                "opened_tls_connections": 0,
                "write_queued_bytes": 0,
            }))
        },
    },
    RpcCommand {
        name: "core.tcp_list",
        doc: "Connections of TCP. There is none yet.",
        call: |_, _, _, _| Ok(json!([])),
    },
    RpcCommand {
        name: "core.tcp_options",
        doc: "Options of TCP. There is none yet: an error.",
        call: |_, _, _, _| Err(RpcError::new(500, NO_TCP)),
    },
    RpcCommand {
        name: "core.udp4_raw_info",
        doc: "Raw sockets. They are not used: the kernel's batches are.",
        call: |_, _, _, _| Ok(json!({"udp4_raw": 0, "udp4_raw_mtu": 1500, "udp4_raw_ttl": 0})),
    },
    RpcCommand {
        name: "modparam.list",
        doc: "Names of a module's parameters; without one, of all modules as `module.parameter`. Parameter: module (optional).",
        call: |_, core, _, params| {
            let wanted = params.first().and_then(Json::as_str);
            let modules = core.registry.modules().iter().filter(|m| wanted.is_none_or(|w| w == m.name()));
            Ok(modules
                .flat_map(|m| m.params().iter().map(move |p| (m.name(), p.name)))
                .map(|(m, p)| if wanted.is_some() { p.to_owned() } else { format!("{m}.{p}") })
                .map(Json::from)
                .collect())
        },
    },
    RpcCommand {
        name: "core.kill",
        doc: "Ends the server as the signal does. Parameter: number of the signal, 15 (the default), 2 or 9.",
        call: |_, _, _, params| {
            use nix::sys::signal::{Signal, kill};
            let signal = match params.first().map(integer) {
                None | Some(Some(15)) => Signal::SIGTERM,
                Some(Some(2)) => Signal::SIGINT,
                Some(Some(9)) => Signal::SIGKILL,
                _ => return Err(RpcError::new(400, "signal 15, 2 or 9 is expected")),
            };
            kill(nix::unistd::getpid(), signal).map_err(|e| RpcError::new(500, e.to_string()))?;
            Ok(Json::Null)
        },
    },
    RpcCommand {
        name: "corex.debug",
        doc: "The log level, or sets it: -1 errors, 0 warnings, 1 notices, 2 infos, 3 everything. Parameter: level (optional).",
        call: |_, core, _, params| {
            let levels = &core.config.levels;
            let before = levels.debug();
            let Some(level) = params.first() else { return Ok(json!({"debug": before})) };
            let level = integer(level).and_then(|n| i32::try_from(n).ok());
            let level = level.ok_or_else(|| RpcError::new(400, "a level from -5 to 3 is expected"))?;
            levels.set_debug(level);
            Ok(json!({"old": before, "new": level}))
        },
    },
    RpcCommand {
        name: "system.methodSignature",
        doc: "Types of a command's parameters. They are in its help: always an error, as in Kamailio.",
        call: |_, _, _, _| Err(RpcError::new(500, "Not Implemented Yet")),
    },
];
