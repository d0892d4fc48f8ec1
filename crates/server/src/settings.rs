//! Core parameters of `kamailio.cfg` and the command line as the rest of the server takes them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use cfg::{Config, Diagnostic, Severity};
use message::Transport;
use script::CoreConfig;

use crate::cli::RunArgs;
use crate::clock;

/// The core's settings. Findings about values that make no sense are added to `found`.
pub fn core_config(config: &Config, args: &RunArgs, found: &mut Vec<Diagnostic>) -> CoreConfig {
    let mut c = CoreConfig {
        children: children(config, args, found),
        debug: debug(config, args),
        levels: Arc::new(script::Levels::new(debug(config, args))),
        server_id: args.server_id.unwrap_or_else(|| u32::try_from(config.server_id()).unwrap_or(0)),
        started: clock::unix().as_secs(),
        folder: args.file.parent().map(Into::into).unwrap_or_default(),
        pid: std::process::id(),
        // Random per process: the standard library seeds it from the system.
        seed: RandomState::new().hash_one(std::process::id()),
        ..CoreConfig::default()
    };
    if let Some(text) = header(config, "server_header", "Server", found) {
        c.server_header = text;
    }
    if let Some(text) = header(config, "user_agent_header", "User-Agent", found) {
        c.user_agent_header = text;
    }
    c.server_signature = config.bool("server_signature").unwrap_or(true);
    c.onsend_route_reply = config.bool("onsend_route_reply").unwrap_or(false);
    if let Some(n) = config.int("max_branches").and_then(|n| usize::try_from(n).ok()) {
        c.max_branches = n;
    }
    c.aliases =
        config.aliases.iter().map(|a| (a.host.clone(), a.port, a.proto.and_then(transport))).collect();
    for text in &args.alias {
        match cfg::parse_listen_argument(text) {
            Ok(list) => {
                c.aliases.extend(list.into_iter().map(|a| (a.host, a.port, a.proto.and_then(transport))))
            }
            Err(e) => found.push(command_line(format!("--alias {text}: {e}"))),
        }
    }
    c.other = config
        .params
        .iter()
        .map(|p| {
            let text = p.value.as_str().map_or_else(|| p.value.to_string(), str::to_owned);
            (p.name.clone(), text)
        })
        .collect::<HashMap<_, _>>();
    c.defines =
        config.defines.iter().map(|d| (d.name.clone(), d.value.clone().unwrap_or_default())).collect();
    c
}

/// The log level: `--debug`, `-d`, else `debug`.
pub fn debug(config: &Config, args: &RunArgs) -> i32 {
    match (args.debug, args.louder) {
        (Some(n), _) => n,
        (None, 0) => i32::try_from(config.debug()).unwrap_or(0),
        (None, n) => i32::from(n),
    }
}

/// The working directory: `-w`, else `workdir`.
pub fn directory(config: &Config, args: &RunArgs) -> Option<PathBuf> {
    args.directory.clone().or_else(|| config.str("workdir").map(PathBuf::from))
}

fn children(config: &Config, args: &RunArgs, found: &mut Vec<Diagnostic>) -> usize {
    let n = args.children.unwrap_or_else(|| config.children());
    if (1..=1024).contains(&n) {
        return n as usize;
    }
    let message = format!("{n} workers per socket: a number from 1 to 1024 is expected");
    found.push(match config.param("children").filter(|_| args.children.is_none()) {
        Some(p) => config.diagnostic(Severity::Error, p.value_span, message),
        None => command_line(format!("-n {message}")),
    });
    8
}

/// A whole header line as `server_header` and `user_agent_header` hold it; a line break in it would end up in every reply.
fn header(config: &Config, param: &str, name: &str, found: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let p = config.param(param)?;
    let text = p.value.as_str()?.trim_end_matches(['\r', '\n']);
    let named = text.split_once(':').is_some_and(|(n, _)| n.trim_end().eq_ignore_ascii_case(name));
    if !named || text.contains(['\r', '\n']) {
        let message = format!("{param} is a whole header line");
        found.push(
            config
                .diagnostic(Severity::Error, p.value_span, message)
                .with_hint(format!("write it as \"{name}: text\"")),
        );
    }
    Some(text.as_bytes().to_vec())
}

/// A finding about the command line.
pub fn command_line(message: impl Into<String>) -> Diagnostic {
    Diagnostic::about_file(Severity::Error, "command line", message)
}

/// `message`'s name for a transport of the configuration.
pub fn transport(proto: cfg::Proto) -> Option<Transport> {
    Transport::parse(proto.as_str().as_bytes())
}
