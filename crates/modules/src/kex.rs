//! Small things about the server itself: log level of a worker, unique ids.
//!
//! The RPC commands of this module (`stats.*`) are the server's own and always there.

use std::sync::atomic::{AtomicU64, Ordering};

use script::pv::Inner;
use script::{Function, Module, Outcome, PseudoVariable, RouteContext, Value, ksr_module};

/// Module `kex`.
#[derive(Debug, Default)]
pub struct Kex {
    ids: AtomicU64,
}

/// Log level set for this worker by `setdebug`.
#[derive(Default)]
struct WorkerLevel(Option<i64>);

/// The log level `setdebug` set for this worker.
pub(crate) fn worker_level(ctx: &RouteContext<'_>) -> Option<i64> {
    let slots = ctx.worker.slots.borrow();
    slots.peek::<WorkerLevel>().and_then(|l| l.0)
}

/// The log level that holds for this worker: `setdebug`, else the `debug` parameter.
pub(crate) fn debug_level(ctx: &RouteContext<'_>) -> i64 {
    worker_level(ctx).unwrap_or(i64::from(ctx.core.config.levels.debug()))
}

#[ksr_module("kex")]
impl Kex {
    /// Sets the log level of this worker's script lines (-5 alert to 3 debug), until `resetdebug`. Returns 1.
    ///
    /// Lines above the `debug` parameter then appear at the level of that parameter.
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

const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "kex",
    name: "sruid",
    doc: "An id that is unique in this server and over restarts, another one at every use: `srid-<start>-<process>-<number>`.",
    inner: Inner::None,
    get: |ctx, _| {
        let Some(kex) = ctx.core.registry.module::<Kex>() else { return Value::Null };
        let number = kex.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let c = &ctx.core.config;
        Value::owned(format!("srid-{:x}-{:x}-{number:x}", c.started, c.pid))
    },
    set: None,
}];

impl Module for Kex {
    fn name(&self) -> &'static str {
        "kex"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn ids_never_repeat() {
        let bench = Bench::new(vec![Arc::new(Kex::default())]);
        let ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        assert_eq!(bench.format(&ctx, "$sruid $sruid"), "srid-0-0-1 srid-0-0-2");
    }
    #[test]
    fn a_worker_has_its_own_level() {
        let bench = Bench::new(vec![Arc::new(Kex::default())]);
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        assert_eq!(debug_level(&ctx), 0);
        bench.call(&mut ctx, "kex.setdebug", &[Value::Int(3)]);
        assert_eq!(debug_level(&ctx), 3);
        bench.call(&mut ctx, "kex.resetdebug", &[]);
        assert_eq!(debug_level(&ctx), 0);
    }
}
