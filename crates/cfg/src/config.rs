//! What a configuration says.

use std::path::{Path, PathBuf};

use crate::address::{Alias, Listen};
use crate::diagnostic::{Diagnostic, Severity};
use crate::modules::{LoadModule, ModParam};
use crate::params;
use crate::preprocess::Defines;
use crate::route::{RouteBlock, RouteKind};
use crate::source::{Location, Sources, Span};
use crate::value::{Assignment, CustomGlobal, Value};

/// A configuration that was read.
#[derive(Debug, Default)]
pub struct Config {
    /// Core parameters in the order they were set; of several with one name the last counts.
    pub params: Vec<Assignment>,
    /// `group.name = value` other than parameters of the core.
    pub custom: Vec<CustomGlobal>,
    /// Modules in the order they were loaded, those of the command line first.
    pub modules: Vec<LoadModule>,
    /// Module parameters in the order they were set.
    pub modparams: Vec<ModParam>,
    /// Folders to search modules in (`mpath`, `loadpath`).
    pub loadpath: Vec<String>,
    /// Sockets, from `listen` and `socket`.
    pub listen: Vec<Listen>,
    /// Host names that are this server's own, from `alias`.
    pub aliases: Vec<Alias>,
    /// Names of message flags, from `flags` and `bool`, with their number if one was given.
    pub flags: Vec<(String, Option<u32>)>,
    /// What `cfgengine` says; the last one counts.
    pub cfgengine: Option<EngineChoice>,
    /// The route blocks.
    pub routes: Vec<RouteBlock>,
    /// All defines, as they were at the end.
    pub defines: Defines,
    /// The main file and every included one, in the order they were read.
    pub files: Vec<PathBuf>,
    /// Findings that do not keep the server from starting.
    pub warnings: Vec<Diagnostic>,
    pub(crate) sources: Sources,
}

/// A `cfgengine` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineChoice {
    /// The string as written.
    pub name: String,
    /// The statement.
    pub span: Span,
}

impl Config {
    /// The main file.
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// A finding about a place of this configuration, for checks that only the server can make.
    pub fn diagnostic(&self, severity: Severity, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(severity, &self.sources, span, message)
    }

    /// File, line and column of a place.
    pub fn locate(&self, span: Span) -> Location {
        self.sources.locate(span)
    }

    /// The last value given to a core parameter, by its proper name or an alias.
    pub fn param(&self, name: &str) -> Option<&Assignment> {
        let name = params::find(name).map_or(name, |row| row.name);
        self.params.iter().rev().find(|p| p.name == name)
    }

    /// The last value of a numeric or boolean parameter.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.param(name)?.value.as_int()
    }

    /// The last value of a boolean parameter.
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.param(name)?.value.as_bool()
    }

    /// The last value of a parameter that is a string or a bare word.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.param(name)?.value.as_str()
    }

    /// `children`: UDP workers for each socket; Kamailio's default is 8.
    pub fn children(&self) -> u32 {
        self.count("children").unwrap_or(8)
    }

    /// `tcp_children`; the same number as [`Config::children`] unless set.
    pub fn tcp_children(&self) -> u32 {
        self.count("tcp_children").unwrap_or_else(|| self.children())
    }

    /// `port`: for sockets that name none; 5060.
    pub fn port(&self) -> u16 {
        self.int("port").and_then(|n| u16::try_from(n).ok()).unwrap_or(5060)
    }

    /// `debug`: the log level, from -5 (alerts) to 3 (everything); 0 shows errors to notices.
    pub fn debug(&self) -> i64 {
        self.int("debug").unwrap_or(0)
    }

    /// The `server_id`; 0 unless set.
    pub fn server_id(&self) -> i64 {
        self.int("server_id").unwrap_or(0)
    }

    /// The KEMI function for `reply_route`, `onsend_route`, `received_route`, `pre_routing` or `event_route`, if one is set.
    pub fn kemi_callback(&self, what: &str) -> Option<&str> {
        self.str(&format!("kemi.{what}_callback"))
    }

    /// The module, if it is loaded.
    pub fn module(&self, name: &str) -> Option<&LoadModule> {
        self.modules.iter().find(|m| m.name == name)
    }

    /// The parameters set for a module, in order.
    pub fn modparams_of<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a ModParam> {
        self.modparams.iter().filter(move |p| p.modules.iter().any(|m| m == module))
    }

    /// A module parameter's last value.
    pub fn modparam(&self, module: &str, name: &str) -> Option<&Value> {
        self.modparams
            .iter()
            .rev()
            .find(|p| p.name == name && p.modules.iter().any(|m| m == module))
            .map(|p| &p.value)
    }

    /// The first route block of a kind and name; the name is empty for blocks without one.
    pub fn route(&self, kind: RouteKind, name: &str) -> Option<&RouteBlock> {
        self.routes.iter().find(|r| r.kind == kind && r.name == name)
    }

    fn count(&self, name: &str) -> Option<u32> {
        self.int(name).and_then(|n| u32::try_from(n).ok())
    }
}
