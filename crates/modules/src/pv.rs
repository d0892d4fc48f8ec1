//! (to be filled)

use script::Module;

/// Module `pv`.
#[derive(Debug, Default)]
pub struct PvModule {}

impl Module for PvModule {
    fn name(&self) -> &'static str {
        "pv"
    }
}
