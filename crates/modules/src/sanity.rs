//! (to be filled)

use script::Module;

/// Module `sanity`.
#[derive(Debug, Default)]
pub struct Sanity {}

impl Module for Sanity {
    fn name(&self) -> &'static str {
        "sanity"
    }
}
