//! (to be filled)

use script::Module;

/// Module `kex`.
#[derive(Debug, Default)]
pub struct Kex {}

impl Module for Kex {
    fn name(&self) -> &'static str {
        "kex"
    }
}
