//! (to be filled)

use script::Module;

/// Module `hdr`.
#[derive(Debug, Default)]
pub struct Hdr {}

impl Module for Hdr {
    fn name(&self) -> &'static str {
        "hdr"
    }
}
