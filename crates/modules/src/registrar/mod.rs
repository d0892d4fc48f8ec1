//! (to be filled)

use script::Module;

/// Module `registrar`.
#[derive(Debug, Default)]
pub struct Registrar {}

impl Module for Registrar {
    fn name(&self) -> &'static str {
        "registrar"
    }
}
