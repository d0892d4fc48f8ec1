//! (to be filled)

use script::Module;

/// Module `sl`.
#[derive(Debug, Default)]
pub struct Sl {}

impl Module for Sl {
    fn name(&self) -> &'static str {
        "sl"
    }
}
