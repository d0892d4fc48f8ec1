//! (to be filled)

use script::Module;

/// Module `siputils`.
#[derive(Debug, Default)]
pub struct SipUtils {}

impl Module for SipUtils {
    fn name(&self) -> &'static str {
        "siputils"
    }
}
