//! (to be filled)

use script::Module;

/// Module `corex`.
#[derive(Debug, Default)]
pub struct Corex {}

impl Module for Corex {
    fn name(&self) -> &'static str {
        "corex"
    }
}
