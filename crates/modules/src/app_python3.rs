//! (to be filled)

use script::Module;

/// Module `app_python3`.
#[derive(Debug, Default)]
pub struct AppPython3 {}

impl Module for AppPython3 {
    fn name(&self) -> &'static str {
        "app_python3"
    }
}
