//! Reads a configuration and prints what was found: `show FILE [-A NAME[=value]]...`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut options = trunkline_cfg::Options::default();
    let mut path = PathBuf::from("kamailio.cfg");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-A" => options.define(&arguments.next().unwrap_or_default()),
            _ => path = argument.into(),
        }
    }
    let (config, found) = trunkline_cfg::read(&path, &options);
    for diagnostic in &found {
        println!("{diagnostic}");
    }
    println!(
        "{}: {} parameters, {} modules, {} modparams, {} sockets, {} blocks, {} defines, engine {:?}",
        path.display(),
        config.params.len(),
        config.modules.len(),
        config.modparams.len(),
        config.listen.len(),
        config.routes.len(),
        config.defines.iter().count(),
        config.engine(),
    );
    for diagnostic in config.check_engine() {
        println!("{diagnostic}");
    }
    ExitCode::from(u8::from(found.iter().any(trunkline_cfg::Diagnostic::is_error)))
}
