//! What the command line says on stdout and stderr outside the log. A reader that has gone (`trunkline ctl ul.dump | head`) is no
//! reason to panic, as `println!` would: what it does not read is dropped.

use std::fmt::Display;
use std::io::Write;

/// A line on stdout.
pub fn out(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line on stderr.
pub fn err(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
