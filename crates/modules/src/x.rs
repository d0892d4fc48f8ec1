//! (to be filled)

use script::Module;

/// Module `x`.
#[derive(Debug, Default)]
pub struct X {}

impl Module for X {
    fn name(&self) -> &'static str {
        "x"
    }
}
