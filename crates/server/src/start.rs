//! Start-up and `check`: the configuration is read to the end and every reason not to start is said at once.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use cfg::{Config, Diagnostic, Severity};
use script::exchange::Asking;
use script::{Callbacks, Core, CoreConfig, Module, Registry, Statistics};
use transport::udp::Socket;

use crate::cli::RunArgs;
use crate::listen::Wanted;
use crate::rpc::ServerModule;
use crate::{ask, assemble, banner, clock, engine, listen, log, run, say, settings};

/// Everything that was read and checked.
pub struct Prepared {
    /// The configuration.
    pub config: Config,
    /// Modules set up, listeners known; ready for the engine.
    pub core: Arc<Core>,
    /// The script's settings.
    pub script: python::Settings,
    /// Bound sockets, by listener; empty for `check`.
    pub sockets: Vec<Arc<Socket>>,
    /// UDP workers by listener.
    pub workers: Vec<usize>,
}

/// `trunkline check`.
pub fn check(args: &RunArgs) -> ExitCode {
    let mut found = Vec::new();
    let prepared = prepare(args, false, &mut found);
    let report = prepared
        .as_ref()
        .and_then(|p| engine::check_script(&p.script, &p.core.registry, Severity::Error, &mut found));
    let errors = print(&found);
    if errors > 0 || prepared.is_none() {
        return ExitCode::FAILURE;
    }
    say::out(format_args!("{}: configuration and script are fine", args.file.display()));
    if let Some(report) = report {
        say::out(banner::row("callbacks", &report.callbacks));
        say::out(banner::row("KSR functions", &report.functions));
    }
    ExitCode::SUCCESS
}

/// `--cfg-print`: the configuration as the parser sees it, files included and conditionals decided. Nothing starts.
pub fn print_configuration(args: &RunArgs) -> ExitCode {
    let (text, found) = cfg::evaluated(&args.file, &args.cfg_options());
    say::out(text.trim_end());
    if print(&found) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// `trunkline run`.
pub fn run(args: &RunArgs) -> ExitCode {
    let mut found = Vec::new();
    let prepared = prepare(args, true, &mut found);
    if let Some(p) = &prepared {
        // What a script uses and this server lacks is only met when that line runs: said, but no reason not to start.
        engine::check_script(&p.script, &p.core.registry, Severity::Warning, &mut found);
    }
    let errors = print(&found);
    let Some(prepared) = prepared.filter(|_| errors == 0) else { return ExitCode::FAILURE };
    match run::run(prepared, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log::flush();
            say::err(format_args!("trunkline: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Reads and checks everything; binds sockets if `open`. `None` when `found` says why there is nothing to go on with.
fn prepare(args: &RunArgs, open: bool, found: &mut Vec<Diagnostic>) -> Option<Prepared> {
    let (config, mut read) = cfg::read(&args.file, &args.cfg_options());
    found.append(&mut read);
    if config.files.is_empty() {
        return None;
    }
    found.extend(config.check_engine());
    let level = settings::debug(&config, args);
    log::start(level, args.colour > 0);
    if let Some(prefix) = config.str("log_prefix").filter(|p| !p.contains('$')) {
        log::set_prefix(prefix);
    }
    let ignored = args.ignored.given();
    if !ignored.is_empty() {
        tracing::debug!(target: "server", "flags of Kamailio without a meaning here: {}", ignored.join(" "));
    }
    let core_config = settings::core_config(&config, args, found);
    log::follow(core_config.levels.clone());
    let mut wanted = listen::wanted(&config, args, core_config.children, found);
    if wanted.is_empty() && !found.iter().any(Diagnostic::is_error) {
        let message = "there is no UDP socket to listen on";
        found.push(
            Diagnostic::about_file(Severity::Error, config.path(), message)
                .with_hint("add for example 'listen=udp:127.0.0.1:5060'"),
        );
    }
    let sockets = if open { listen::bind(&mut wanted, &config, found) } else { Vec::new() };
    let loaded = assemble::load(&config, vec![Box::new(ServerModule::default())], found);
    // Workers, timer, and threads of modules.
    store::expect_threads(wanted.iter().map(|w| w.workers).sum::<usize>() + 3);
    let listeners: Vec<_> = wanted.iter().map(|w: &Wanted| w.listener.clone()).collect();
    let modules = loaded.set_up(&config, &core_config, &listeners, clock::now(), found);
    let script = engine::python_settings(&config, settings::directory(&config, args).as_deref(), found);
    in_reading_order(&config, found);
    let core = core(core_config, listeners, modules);
    Some(Prepared {
        script: script?,
        core,
        sockets,
        workers: wanted.iter().map(|w| w.workers).collect(),
        config,
    })
}

fn core(config: CoreConfig, listeners: Vec<script::Listener>, modules: Vec<Arc<dyn Module>>) -> Arc<Core> {
    let exchange = Asking::new(ask::Sockets::new(config.started, config.pid));
    Arc::new(Core {
        exchange,
        config,
        listeners,
        registry: Registry::new(modules),
        statistics: Statistics::default(),
        callbacks: Callbacks::default(),
        names: Default::default(),
    })
}

/// Findings of all checks in the order an operator reads the files; those about no file of the configuration come last.
fn in_reading_order(config: &Config, found: &mut [Diagnostic]) {
    let file = |d: &Diagnostic| config.files.iter().position(|f| *f == d.file).unwrap_or(usize::MAX);
    found.sort_by_key(|d| (file(d), d.line, d.column));
}

/// Prints findings and their number; returns the number of errors.
fn print(found: &[Diagnostic]) -> usize {
    let colour = std::io::stderr().is_terminal() && log::colours_wanted();
    for d in found {
        if colour {
            say::err(d.coloured());
        } else {
            say::err(d);
        }
    }
    let errors = found.iter().filter(|d| d.is_error()).count();
    if errors > 0 {
        let s = if errors == 1 { "" } else { "s" };
        say::err(format_args!("trunkline: {errors} error{s}, not started"));
    }
    errors
}
