//! The start-up lines: what runs, which engine routes, what a phone needs to register. Printed to stderr once everything is ready.

use std::path::Path;

use script::{Core, ScriptEngine};

use crate::rpc;

/// What the lines tell besides the core.
pub struct Facts<'a> {
    /// Configuration file.
    pub config: &'a Path,
    /// The engine.
    pub engine: &'a dyn ScriptEngine,
    /// UDP workers per listener.
    pub workers: &'a [usize],
    /// Control socket.
    pub control: Option<&'a Path>,
    /// Where Kamailio's tools find the server.
    pub tools: Vec<String>,
    /// Admin address.
    pub admin: Option<std::net::SocketAddr>,
}

/// The text.
pub fn text(core: &Core, facts: &Facts<'_>) -> String {
    let mut lines: Vec<(&str, String)> = vec![("configuration", facts.config.display().to_string())];
    lines.push(("routes", format!("{} ({})", facts.engine.name(), facts.engine.describe())));
    lines.push(("callbacks", facts.engine.found().join(" ")));
    let modules: Vec<&str> =
        core.registry.modules().iter().map(|m| m.name()).filter(|n| *n != "server").collect();
    lines.push(("modules", modules.join(" ")));
    for (l, n) in core.listeners.iter().zip(facts.workers) {
        let advertised =
            l.advertise.as_ref().map(|(h, p)| format!(", advertised as {h}:{p}")).unwrap_or_default();
        let s = if *n == 1 { "" } else { "s" };
        lines
            .push(("listening", format!("{}:{}, {n} worker{s}{advertised}", l.transport.lower(), l.address)));
    }
    lines.push((
        "control",
        match facts.control {
            Some(path) => format!("trunkline ctl --ctl {} core.uptime", path.display()),
            None => "none".to_owned(),
        },
    ));
    lines.extend(facts.tools.iter().map(|tool| ("", tool.clone())));
    if let Some(admin) = facts.admin {
        lines.push(("admin", format!("http://{admin}/metrics, /rpc, /health")));
    }
    if let Some(hint) = phone_hint(core, &modules) {
        lines.push(("phones", hint));
    }
    let mut out = format!("{}\n", rpc::version());
    for (name, value) in lines {
        out.push_str(&format!("  {name:14} {value}\n"));
    }
    out.push_str("Ready. Ctrl-C ends it.\n");
    out
}

/// A row of names, broken where it grows long.
pub fn row(title: &str, names: &[String]) -> String {
    const WIDTH: usize = 110;
    let mut out = format!("  {title:14}");
    let mut length = 0;
    for name in names {
        if length > 0 && length + name.len() > WIDTH {
            out.push_str(&format!("\n  {:14}", ""));
            length = 0;
        }
        out.push(' ');
        out.push_str(name);
        length += name.len() + 1;
    }
    if names.is_empty() {
        out.push_str(" none");
    }
    out
}

/// How to register a phone, where the configuration has a registrar.
fn phone_hint(core: &Core, modules: &[&str]) -> Option<String> {
    if !modules.contains(&"registrar") {
        return None;
    }
    let l = core.listeners.first()?;
    let host = if l.address.ip().is_unspecified() && l.advertise.is_none() {
        "<this machine>".to_owned()
    } else {
        l.via_host()
    };
    let password = if modules.contains(&"auth") { "password as your database says" } else { "no password" };
    Some(format!("server {host}, port {}, transport UDP, any user name, {password}", l.via_port()))
}
