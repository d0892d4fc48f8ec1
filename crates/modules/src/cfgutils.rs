//! (to be filled)

use script::Module;

/// Module `cfgutils`.
#[derive(Debug, Default)]
pub struct CfgUtils {}

impl Module for CfgUtils {
    fn name(&self) -> &'static str {
        "cfgutils"
    }
}
