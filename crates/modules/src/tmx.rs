//! (to be filled)

use script::Module;

/// Module `tmx`.
#[derive(Debug, Default)]
pub struct Tmx {}

impl Module for Tmx {
    fn name(&self) -> &'static str {
        "tmx"
    }
}
