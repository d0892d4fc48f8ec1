//! (to be filled)

use script::Module;

/// Module `core`.
#[derive(Debug, Default)]
pub struct CoreFunctions {}

impl Module for CoreFunctions {
    fn name(&self) -> &'static str {
        "core"
    }
}
