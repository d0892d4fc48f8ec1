//! Max-Forwards (RFC 3261 §16.3 step 3 and §16.6 step 3): the hop count that ends loops.

use std::any::Any;
use std::sync::atomic::{AtomicU16, Ordering};

use message::HeaderName;
use message::grammar::decimal;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamType, ParamValue, RouteContext, RuntimeParam,
    SetupError, ksr_module,
};

/// Module `maxfwd`.
#[derive(Debug, Default)]
pub struct MaxFwd {
    settings: Settings,
    /// `max_limit` since it was changed by `cfg.set`; 0 before.
    changed: AtomicU16,
}

/// Parameters of `maxfwd`.
#[derive(Debug, ModParams)]
struct Settings {
    /// Upper limit of the value that leaves: a larger one is lowered to it. 1 to 256, default 70.
    max_limit: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { max_limit: 70 }
    }
}

/// What this module made of the message's Max-Forwards so far; later calls work on it, not on the message.
#[derive(Default)]
struct Changed {
    value: Option<u32>,
    added: bool,
}

/// What the header says.
enum Found {
    Value(u32),
    None,
    Unreadable,
}

fn current(ctx: &RouteContext<'_>) -> Found {
    if let Some(value) = ctx.slots.peek::<Changed>().and_then(|c| c.value) {
        return Found::Value(value);
    }
    let Some(header) = ctx.message.header(HeaderName::MaxForwards) else { return Found::None };
    match std::str::from_utf8(header.value).ok().and_then(|t| t.parse().ok()) {
        Some(value) => Found::Value(value),
        None => Found::Unreadable,
    }
}

#[ksr_module("maxfwd")]
impl MaxFwd {
    /// Lowers Max-Forwards by one, or adds it with `max_value` when the request has none.
    ///
    /// Returns 1 when it was lowered (never above `max_limit`), 2 when it was added, -1 when it was 0 already: answer
    /// 483 Too Many Hops; -2 when the value is not a number; -1 also for a `max_value` that is not 0 to 255.
    /// RFC 3261 §16.3 step 3, §16.6 step 3.
    #[ksr(cfg = ["process_maxfwd", "maxfwd_process", "mf_process_maxfwd_header"], routes(REQUEST))]
    fn process_maxfwd(&self, ctx: &mut RouteContext<'_>, max_value: i64) -> Outcome {
        if !in_range(max_value) {
            return Outcome::FALSE;
        }
        let value = match current(ctx) {
            Found::Unreadable => return Outcome(-2),
            Found::Value(0) => return Outcome(-1),
            Found::Value(value) => value,
            Found::None => {
                if !std::mem::replace(&mut ctx.slots.slot::<Changed>().added, true) {
                    let row = format!("Max-Forwards: {}\r\n", max_value);
                    let at = ctx.message.headers_start();
                    ctx.edits.insert(at, row.as_bytes());
                }
                return Outcome(2);
            }
        };
        let lowered = (value - 1).min(u32::from(self.max_limit()));
        let message = ctx.message.clone();
        if let Some(header) = message.header(HeaderName::MaxForwards)
            && let Some(start) = message.offset_of(header.value)
        {
            let mut digits = [0; 20];
            let digits = decimal(lowered as usize, &mut digits);
            ctx.edits.rewrite(start, start + header.value.len() as u32, digits);
        }
        ctx.slots.slot::<Changed>().value = Some(lowered);
        Outcome::TRUE
    }

    /// Whether Max-Forwards is less than `max_value`.
    ///
    /// Returns 1 or -1 (equal or greater, or `max_value` is not 0 to 255); -2 when there is no such header, -3 when its value is not a number. After
    /// `process_maxfwd` the lowered value counts.
    #[ksr(cfg = ["is_maxfwd_lt", "mf_lowlimit", "maxfwd_at_least"])]
    fn is_maxfwd_lt(&self, ctx: &mut RouteContext<'_>, max_value: i64) -> Outcome {
        if !in_range(max_value) {
            return Outcome::FALSE;
        }
        match current(ctx) {
            Found::Value(value) => Outcome::from(i64::from(value) < max_value),
            Found::None => Outcome(-2),
            Found::Unreadable => Outcome(-3),
        }
    }
}

/// RFC 3261 §20.22: 0 to 255.
fn in_range(max_value: i64) -> bool {
    let fits = (0..=255).contains(&max_value);
    if !fits {
        tracing::error!(target: "maxfwd", max_value, "a number from 0 to 255 is expected");
    }
    fits
}

impl MaxFwd {
    fn max_limit(&self) -> u16 {
        match self.changed.load(Ordering::Relaxed) {
            0 => self.settings.max_limit,
            limit => limit,
        }
    }
}

const RUNTIME: &[RuntimeParam] = &[RuntimeParam {
    group: "maxfwd",
    name: "max_limit",
    doc: "Upper limit of the value that leaves.",
    kind: ParamType::Int,
    value: |m, _| i64::from((m as &dyn Any).downcast_ref().map_or(0, MaxFwd::max_limit)).into(),
    change: Some(|m, _, value| {
        let Some(maxfwd) = (m as &dyn Any).downcast_ref::<MaxFwd>() else { return Ok(()) };
        match value {
            ParamValue::Int(limit @ 1..=256) => {
                maxfwd.changed.store(limit as u16, Ordering::Relaxed);
                Ok(())
            }
            other => Err(SetupError(format!("{} is not 1 to 256", other.describe()))),
        }
    }),
}];

impl Module for MaxFwd {
    fn name(&self) -> &'static str {
        "maxfwd"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn runtime_params(&self) -> &'static [RuntimeParam] {
        RUNTIME
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;

    fn bench() -> Bench {
        Bench::new(vec![Arc::new(MaxFwd::default())])
    }
    fn request(max_forwards: &str) -> String {
        format!(
            "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n{max_forwards}From: <sip:x@y>;tag=1\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\n"
        )
    }
    fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, n: i64) -> Option<i64> {
        bench.call(ctx, &format!("maxfwd.{name}"), &[Value::Int(n)]).to_int()
    }

    #[test]
    fn lowers_in_place_again_and_again() {
        let bench = bench();
        let mut ctx = bench.request(&request("Max-Forwards: 70\n"));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(1));
        assert!(bench.printed(&ctx).contains("Max-Forwards: 69\r\n"));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(1));
        assert!(bench.printed(&ctx).contains("Max-Forwards: 68\r\n"));
        assert_eq!(call(&bench, &mut ctx, "is_maxfwd_lt", 69), Some(1));
        assert_eq!(call(&bench, &mut ctx, "is_maxfwd_lt", 68), Some(-1));
    }
    #[test]
    fn zero_unreadable_and_missing() {
        let bench = bench();
        let mut ctx = bench.request(&request("Max-Forwards: 0\n"));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(-1));
        assert!(ctx.edits.is_empty());
        let mut ctx = bench.request(&request("Max-Forwards: many\n"));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(-2));
        assert_eq!(call(&bench, &mut ctx, "is_maxfwd_lt", 10), Some(-3));
        let mut ctx = bench.request(&request(""));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(2));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(2));
        assert_eq!(call(&bench, &mut ctx, "is_maxfwd_lt", 10), Some(-2));
        assert_eq!(bench.printed(&ctx).matches("Max-Forwards: 10\r\n").count(), 1);
    }
    #[test]
    fn limit() {
        let mut module = MaxFwd::default();
        module.set_param("max_limit", ParamValue::Int(16)).expect("declared");
        let bench = Bench::new(vec![Arc::new(module)]);
        let mut ctx = bench.request(&request("Max-Forwards: 255\n"));
        assert_eq!(call(&bench, &mut ctx, "process_maxfwd", 10), Some(1));
        assert!(bench.printed(&ctx).contains("Max-Forwards: 16\r\n"));
        assert!(MaxFwd::default().set_param("nope", ParamValue::Int(1)).is_err());
    }
}
