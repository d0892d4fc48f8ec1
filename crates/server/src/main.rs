//! The binary `trunkline`: command line, start-up, workers, signals, control socket.
//!
//! ```text
//! cli       arguments                     start     configuration -> running server, or every reason why not
//! settings  core parameters               worker    threads: UDP workers, timer, watch
//! assemble  loadmodule, modparam          station   what others may take of a stuck worker
//! listen    listen -> sockets             rpc, ctl  JSON-RPC 2.0 over a Unix socket
//! engine    the script engine             log       Kamailio-like log lines
//! metrics   Prometheus text               db, user  tables and subscribers of a database
//! ```
#![forbid(unsafe_code)]

mod ask;
mod assemble;
mod banner;
mod busy;
mod cli;
mod clock;
mod ctl;
mod db;
mod engine;
mod generate;
mod listen;
mod log;
mod metrics;
mod privileges;
mod reload;
mod rpc;
mod run;
mod say;
mod settings;
mod sleeper;
mod start;
mod station;
mod turnstile;
mod user;
mod versions;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use cli::{Cli, Command, RunArgs};

/// glibc gives each worker thread an arena that grows and shrinks by single pages, two system calls each: a tenth of a call's cost. Memory
/// that another thread freed is at hand at once (with mimalloc the worker collected it block by block when it next had something to do:
/// after a burst, messages waited up to 18 ms).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // The commands of a running server are looked up only when somebody asks for them.
    let mut command = Cli::command();
    let words: Vec<_> = std::env::args_os().collect();
    let help = words.iter().any(|w| w == "--help" || w == "-h");
    if help && words.iter().any(|w| w == "ctl") {
        let list = ctl::client::command_list(None);
        command = command.mut_subcommand("ctl", |c| c.after_help(list));
    }
    let cli = match command.try_get_matches_from(words).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            // Kamailio's unit files and scripts know 0 and 1.
            return if e.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Some(Command::Run(args)) => run_or_check(&args, false),
        Some(Command::Check(args)) => run_or_check(&args, true),
        Some(Command::Ctl(args)) => ctl::client::run(&args),
        Some(Command::Db(command)) => done(db::run(&command)),
        Some(Command::User(command)) => done(user::run(&command)),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Stubs) => generate::stubs(),
        Some(Command::Version) => version(false),
        None => run_or_check(&cli.run, false),
    }
}

/// How a command ended that says what went wrong in one text.
fn done(result: Result<(), String>) -> ExitCode {
    let Err(why) = result else { return ExitCode::SUCCESS };
    say::err(format_args!("trunkline: {why}"));
    ExitCode::FAILURE
}

fn run_or_check(args: &RunArgs, check: bool) -> ExitCode {
    if args.version > 0 || args.info > 0 {
        return version(args.info > 0);
    }
    if args.cfg_print > 0 {
        return start::print_configuration(args);
    }
    if check || args.check > 0 {
        return start::check(args);
    }
    start::run(args)
}

fn version(more: bool) -> ExitCode {
    say::out(format_args!("version: {}", rpc::version()));
    say::out(format_args!("id: {}", rpc::build_id()));
    say::out(format_args!("python: {}", python::python_version()));
    if more {
        say::out("sip: UDP over IPv4 and IPv6; datagrams to 64 KiB");
        say::out(format_args!("profile: {}", if cfg!(debug_assertions) { "debug" } else { "release" }));
    }
    ExitCode::SUCCESS
}
