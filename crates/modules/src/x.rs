//! `KSR.x`: ending a route, and calling functions of the native route language by name.

use script::{Function, Module, RouteContext, Unwind, ksr_module};

/// The functions of `KSR.x`.
#[derive(Debug, Default)]
pub struct X {}

#[ksr_module("x")]
impl X {
    /// Ends the route, as `sys.exit()` does. Raises `KSR.x.Exit`, which passes through `except Exception`.
    #[ksr]
    fn exit(&self, ctx: &mut RouteContext<'_>) {
        ctx.unwind = Some(Unwind::Exit);
    }
    /// Ends the route and drops the message. Raises `KSR.x.Drop`, which passes through `except Exception`.
    #[ksr]
    fn drop(&self, ctx: &mut RouteContext<'_>) {
        ctx.dropped = true;
        ctx.unwind = Some(Unwind::Drop);
    }
}

impl Module for X {
    fn name(&self) -> &'static str {
        "x"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
}
