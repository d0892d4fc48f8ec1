//! (to be filled)

use script::Module;

/// Module `usrloc`.
#[derive(Debug, Default)]
pub struct Usrloc {}

impl Module for Usrloc {
    fn name(&self) -> &'static str {
        "usrloc"
    }
}
