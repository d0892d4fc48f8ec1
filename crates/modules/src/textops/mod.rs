//! Text operations on messages: search, replace, headers, bodies.

pub(crate) mod regex_cache;

use script::Module;

/// Module `textops`.
#[derive(Debug, Default)]
pub struct TextOps {}

impl Module for TextOps {
    fn name(&self) -> &'static str {
        "textops"
    }
}
