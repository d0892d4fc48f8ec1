//! (to be filled)

use script::Module;

/// Module `textops`.
#[derive(Debug, Default)]
pub struct TextOps {}

impl Module for TextOps {
    fn name(&self) -> &'static str {
        "textops"
    }
}
