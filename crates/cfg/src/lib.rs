//! `kamailio.cfg`: preprocessor, lexer, parser, and findings that say what was meant.
//!
//! [`read`] turns a file into a [`Config`] and lists everything that is wrong with it at once; [`load`] is the same for
//! callers that want a configuration without errors or none. Route blocks are parsed to the end and kept as tokens and
//! statements; nothing here executes them. What is accepted is what Kamailio accepts, seen by running it.
//!
//! ```text
//! preprocess   text -> tokens     defines, conditionals, substitutions, includes
//! parse        tokens -> Config   parameters, modules, sockets
//! route        tokens -> statements
//! engine       which engine routes
//! ```

#![forbid(unsafe_code)]

mod address;
mod config;
mod diagnostic;
mod engine;
mod expression;
mod keywords;
mod lex;
mod modules;
mod params;
mod parse;
mod preprocess;
mod route;
mod source;
mod subst;
mod value;

use std::path::Path;

pub use address::{Advertise, Alias, Listen, Proto, parse_alias_argument, parse_listen_argument};
pub use config::{Config, EngineChoice};
pub use diagnostic::{Diagnostic, Severity, suggest};
pub use engine::Engine;
pub use lex::{Token, TokenKind};
pub use modules::{LoadModule, ModParam, module_name};
pub use params::{CoreParam, ParamKind, core_param, core_params};
pub use preprocess::{Define, Defines};
pub use route::{Case, RouteBlock, RouteKind, Statement};
pub use source::{Location, Sources, Span};
pub use value::{Assignment, CustomGlobal, Value};

use diagnostic::Findings;
use preprocess::Preprocessor;

/// A rule for strings of the configuration, given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubstKind {
    /// `--subst`: only replaces.
    Subst,
    /// `--substdef`: also defines the pattern as the replacement.
    SubstDef,
    /// `--substdefs`: also defines the pattern as the replacement between quotes.
    SubstDefs,
}

/// What the command line contributes to the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// `-A name[=value]`.
    pub defines: Vec<(String, Option<String>)>,
    /// `--subst`, `--substdef`, `--substdefs`: `/regexp/replacement/flags`.
    pub substs: Vec<(SubstKind, String)>,
    /// `--loadmodule`.
    pub loadmodules: Vec<String>,
    /// `--modparam module:parameter:type:value`, type `s` or `i`.
    pub modparams: Vec<String>,
    /// The version that `KAMAILIO_VERSION` and the like claim.
    pub kamailio_version: (u32, u32, u32),
    /// The environment that `#!defenv` sees; the process's own if `None`.
    pub environment: Option<Vec<(String, String)>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            defines: Vec::new(),
            substs: Vec::new(),
            loadmodules: Vec::new(),
            modparams: Vec::new(),
            kamailio_version: (6, 1, 0),
            environment: None,
        }
    }
}

impl Options {
    /// Adds the argument of a `-A`: `NAME` or `NAME=value`.
    pub fn define(&mut self, argument: &str) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument, None),
        };
        self.defines.push((name.to_owned(), value));
    }
}

/// Reads a configuration; all errors and warnings if there is an error.
///
/// The warnings of a configuration without errors are in [`Config::warnings`].
pub fn load(path: &Path, options: &Options) -> Result<Config, Vec<Diagnostic>> {
    accept(read(path, options))
}

/// As [`load`], from a text; `path` is its name in findings and the place that includes are relative to.
pub fn load_str(path: &Path, text: &str, options: &Options) -> Result<Config, Vec<Diagnostic>> {
    accept(read_str(path, text, options))
}

/// Reads what can be read of a configuration, with all findings in the order of the files and lines.
pub fn read(path: &Path, options: &Options) -> (Config, Vec<Diagnostic>) {
    with(options, |preprocessor| preprocessor.run(path))
}

/// As [`read`], from a text.
pub fn read_str(path: &Path, text: &str, options: &Options) -> (Config, Vec<Diagnostic>) {
    with(options, |preprocessor| preprocessor.run_text(path, text))
}

/// The configuration as text again, as the parser sees it (`--cfg-print`): includes in their place, only the branches that hold of
/// conditionals, defines and `#!subst` applied, no comments. Findings are those of the preprocessor.
pub fn evaluated(path: &Path, options: &Options) -> (String, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let mut found = Findings::default();
    let preprocessed = Preprocessor::new(&mut sources, &mut found, options).run(path);
    let mut text = String::new();
    for token in &preprocessed.tokens {
        if token.newline_before {
            text.push('\n');
        } else if token.space_before {
            text.push(' ');
        }
        match token.kind {
            TokenKind::Str => text.push_str(&lex::quoted(&token.text)),
            _ => text.push_str(&token.text),
        }
    }
    found.list.sort_by_key(|d| d.order);
    (text.trim_start().to_owned(), found.list)
}

fn with(
    options: &Options,
    run: impl FnOnce(Preprocessor<'_>) -> preprocess::Preprocessed,
) -> (Config, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let mut found = Findings::default();
    let preprocessed = run(Preprocessor::new(&mut sources, &mut found, options));
    let mut config = parse::parse(preprocessed, &mut sources, &mut found, options);
    config.sources = sources;
    found.list.sort_by_key(|d| d.order);
    (config, found.list)
}

fn accept((mut config, found): (Config, Vec<Diagnostic>)) -> Result<Config, Vec<Diagnostic>> {
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    config.warnings = found;
    Ok(config)
}
