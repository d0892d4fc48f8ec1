//! (to be filled)

use script::Module;

/// Module `xlog`.
#[derive(Debug, Default)]
pub struct Xlog {}

impl Module for Xlog {
    fn name(&self) -> &'static str {
        "xlog"
    }
}
