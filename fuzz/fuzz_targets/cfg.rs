//! Any text as kamailio.cfg: findings, never a panic, and each finding can be shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use trunkline_cfg::{Options, read_str};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // What is included depends on the machine, not on the input.
    if text.contains("include_file") || text.contains("import_file") {
        return;
    }
    let options = Options { environment: Some(Vec::new()), ..Options::default() };
    let (config, found) = read_str(Path::new("fuzz.cfg"), &text, &options);
    for diagnostic in found.iter().chain(&config.check_engine()) {
        let _ = diagnostic.to_string();
    }
});
