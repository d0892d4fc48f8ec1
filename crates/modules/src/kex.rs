//! Small things about the server itself: log level of a worker, unique ids, statistics by RPC.

use script::{Function, Module, Outcome, RouteContext, ksr_module};

/// Module `kex`.
#[derive(Debug, Default)]
pub struct Kex {}

/// Log level set for this worker by `setdebug`.
#[derive(Default)]
struct WorkerLevel(Option<i64>);

/// The log level that holds for this worker: `setdebug`, else the `debug` parameter.
pub(crate) fn debug_level(ctx: &RouteContext<'_>) -> i64 {
    let slots = ctx.worker.slots.borrow();
    slots.peek::<WorkerLevel>().and_then(|l| l.0).unwrap_or(i64::from(ctx.core.config.debug))
}

#[ksr_module("kex")]
impl Kex {
    /// Sets the log level for this worker (-5 alert to 3 debug), until `resetdebug`. Holds for `xlog` and its like. Returns 1.
    #[ksr(cfg = ["setdebug"], no_message)]
    fn setdebug(&self, ctx: &mut RouteContext<'_>, lval: i64) -> Outcome {
        ctx.worker.slots.borrow_mut().slot::<WorkerLevel>().0 = Some(lval);
        Outcome::TRUE
    }
    /// Returns to the log level of the `debug` parameter. Returns 1.
    #[ksr(cfg = ["resetdebug"], no_message)]
    fn resetdebug(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.worker.slots.borrow_mut().slot::<WorkerLevel>().0 = None;
        Outcome::TRUE
    }
}

impl Module for Kex {
    fn name(&self) -> &'static str {
        "kex"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
}
