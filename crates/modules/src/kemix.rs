//! (to be filled)

use script::Module;

/// Module `kemix`.
#[derive(Debug, Default)]
pub struct Kemix {}

impl Module for Kemix {
    fn name(&self) -> &'static str {
        "kemix"
    }
}
