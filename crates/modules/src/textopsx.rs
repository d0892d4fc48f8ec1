//! (to be filled)

use script::Module;

/// Module `textopsx`.
#[derive(Debug, Default)]
pub struct TextOpsX {}

impl Module for TextOpsX {
    fn name(&self) -> &'static str {
        "textopsx"
    }
}
