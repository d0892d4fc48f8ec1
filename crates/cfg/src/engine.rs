//! Which engine routes, and whether this server has it.
//!
//! Kamailio lets a native `request_route` win over `cfgengine "python"` without a word: the script is loaded and its
//! request callback never runs. Such a configuration is refused here.

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity, suggest};
use crate::route::RouteKind;

/// A routing engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The route blocks of the configuration.
    Native,
    /// A KEMI script in Python.
    Python,
    /// An engine of Kamailio that this server does not have, by its name.
    Unsupported(String),
    /// A word that no engine has.
    Unknown(String),
}

/// Engine, module that brings it.
const ENGINES: [(&str, &str); 9] = [
    ("python", "app_python3"),
    ("python3", "app_python3"),
    ("native", ""),
    ("default", ""),
    ("lua", "app_lua"),
    ("jsdt", "app_jsdt"),
    ("squirrel", "app_sqlang"),
    ("sqlang", "app_sqlang"),
    ("ruby", "app_ruby"),
];

const PYTHON_MODULES: [&str; 4] = ["app_python3", "app_python3s", "app_python", "app_pythons"];

impl Engine {
    /// From the string behind `cfgengine`.
    pub fn parse(name: &str) -> Self {
        match name {
            "python" | "python3" => Engine::Python,
            "native" | "default" | "" => Engine::Native,
            _ if ENGINES.iter().any(|(known, _)| *known == name) => Engine::Unsupported(name.to_owned()),
            _ => Engine::Unknown(name.to_owned()),
        }
    }
}

impl Config {
    /// The engine that routes: what `cfgengine` says, else the route blocks.
    pub fn engine(&self) -> Engine {
        self.cfgengine.as_ref().map_or(Engine::Native, |choice| Engine::parse(&choice.name))
    }

    /// Whether the server can route with this configuration; every finding, errors first.
    pub fn check_engine(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let request_route = self.routes.iter().find(|r| r.kind == RouteKind::Request);
        let written = self.cfgengine.as_ref();
        match (self.engine(), request_route) {
            (Engine::Python, Some(block)) => {
                let place = written.map(|w| self.sources.locate(w.span).to_string()).unwrap_or_default();
                let begin = self.sources.locate(block.span);
                let end = self.sources.locate(block.end);
                let message = format!(
                    "both 'cfgengine \"python\"' ({place}) and 'request_route': Kamailio would silently use request_route and never run the Python script"
                );
                let lines = match begin.line == end.line {
                    true => format!("line {}", begin.line),
                    false => format!("lines {} to {}", begin.line, end.line),
                };
                let hint = format!("delete {lines} to route with Python");
                found.push(self.diagnostic(Severity::Error, block.span, message).with_hint(hint));
            }
            (Engine::Python, None) => {
                let loaded = self.modules.iter().any(|m| PYTHON_MODULES.contains(&m.name.as_str()));
                if let Some(choice) = written.filter(|_| !loaded) {
                    let message = "'cfgengine \"python\"' without the module that runs Python";
                    let hint =
                        "add 'loadmodule \"app_python3.so\"' and its modparam \"load\" before this line";
                    found.push(self.diagnostic(Severity::Error, choice.span, message).with_hint(hint));
                }
                found.extend(self.ignored_blocks());
            }
            (Engine::Native, Some(block)) => {
                let message = "routing with 'request_route' is not available yet: this server routes with a KEMI script in Python";
                let hint = "load app_python3, add 'cfgengine \"python\"' and delete this block";
                found.push(self.diagnostic(Severity::Error, block.span, message).with_hint(hint));
            }
            (Engine::Native, None) => {
                let message =
                    "nothing routes requests: there is neither 'cfgengine \"python\"' nor 'request_route'";
                let hint = "load app_python3 and add 'cfgengine \"python\"'";
                let found_here = match written {
                    Some(choice) => self.diagnostic(Severity::Error, choice.span, message),
                    None => Diagnostic::about_file(Severity::Error, self.path(), message),
                };
                found.push(found_here.with_hint(hint));
            }
            (Engine::Unsupported(name), _) => {
                let module =
                    ENGINES.iter().find(|(known, _)| *known == name).map_or("", |(_, module)| module);
                let message = format!(
                    "the engine \"{name}\" (module {module}) is not available: this server routes with KEMI scripts in Python"
                );
                found.extend(written.map(|w| {
                    self.diagnostic(Severity::Error, w.span, message).with_hint("use 'cfgengine \"python\"'")
                }));
            }
            (Engine::Unknown(name), _) => {
                let near = suggest(&name, ENGINES.iter().map(|(known, _)| *known)).unwrap_or("python");
                let message = format!("unknown engine \"{name}\"");
                let hint = format!("did you mean \"{near}\"?");
                found.extend(
                    written.map(|w| self.diagnostic(Severity::Error, w.span, message).with_hint(hint)),
                );
            }
        }
        found
    }

    /// Blocks beside a Python script, which nothing executes.
    fn ignored_blocks(&self) -> Vec<Diagnostic> {
        let warn = |block: &crate::route::RouteBlock| {
            let message = match block.kind {
                RouteKind::Reply => {
                    "'reply_route' does not run: as in Kamailio, the script's ksr_reply_route does".to_owned()
                }
                _ => format!("'{}' is read but not executed yet", block.title()),
            };
            self.diagnostic(Severity::Warning, block.span, message)
        };
        self.routes.iter().map(warn).collect()
    }
}
