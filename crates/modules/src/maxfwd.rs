//! (to be filled)

use script::Module;

/// Module `maxfwd`.
#[derive(Debug, Default)]
pub struct MaxFwd {}

impl Module for MaxFwd {
    fn name(&self) -> &'static str {
        "maxfwd"
    }
}
