//! (to be filled)

use script::Module;

/// Module `tm`.
#[derive(Debug, Default)]
pub struct Tm {}

impl Module for Tm {
    fn name(&self) -> &'static str {
        "tm"
    }
}
