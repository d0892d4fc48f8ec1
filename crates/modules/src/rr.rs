//! (to be filled)

use script::Module;

/// Module `rr`.
#[derive(Debug, Default)]
pub struct Rr {}

impl Module for Rr {
    fn name(&self) -> &'static str {
        "rr"
    }
}
