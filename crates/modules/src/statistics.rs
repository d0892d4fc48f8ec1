//! Statistics of a script's own, in group `script`.

use std::sync::OnceLock;

use script::{
    Core, Function, ModParam, Module, Outcome, ParamType, ParamValue, RouteContext, SetupError, ksr_module,
};
use transaction::Now;

/// Statistics a configuration may define.
const VARIABLES_MAX: usize = 10_000;

/// Module `statistics`.
#[derive(Debug, Default)]
pub struct StatisticsModule {
    variables: Vec<Variable>,
    registered: OnceLock<()>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    keeps: bool,
}

const PARAMS: &[ModParam] = &[ModParam {
    name: "variable",
    kind: ParamType::Str,
    doc: "Name of a statistic for scripts, `name` or `name/no_reset` (`reset_stat` leaves it alone); several times.",
}];

#[ksr_module("statistics")]
impl StatisticsModule {
    /// Adds to a statistic, of the script or any other that is kept. Returns 1, or -1 when there is none of that name.
    #[ksr(cfg = ["update_stat"], no_message)]
    fn update_stat(&self, ctx: &mut RouteContext<'_>, sname: &[u8], sval: i64) -> Outcome {
        match find(ctx, sname) {
            Some(statistic) => {
                statistic.add(sval);
                Outcome::TRUE
            }
            None => unknown("update_stat", sname),
        }
    }
    /// Sets a statistic to 0, unless it was defined with `no_reset`. Returns 1, or -1 when there is none of that name.
    #[ksr(cfg = ["reset_stat"], no_message)]
    fn reset_stat(&self, ctx: &mut RouteContext<'_>, sname: &[u8]) -> Outcome {
        match find(ctx, sname) {
            Some(statistic) => {
                if !self.variables.iter().any(|v| v.keeps && v.name.as_bytes() == sname) {
                    statistic.set(0);
                }
                Outcome::TRUE
            }
            None => unknown("reset_stat", sname),
        }
    }
}

fn find(ctx: &RouteContext<'_>, name: &[u8]) -> Option<script::Statistic> {
    let name = std::str::from_utf8(name).ok()?;
    let statistics = &ctx.core.statistics;
    statistics.find("script", name).or_else(|| {
        let all = statistics.list(None);
        let (group, ..) = all.into_iter().find(|(_, n, _, _)| n == name)?;
        statistics.find(&group, name)
    })
}

fn unknown(function: &str, name: &[u8]) -> Outcome {
    let name = String::from_utf8_lossy(name);
    tracing::error!(target: "statistics", %name, "{function}: there is no such statistic; define it with modparam(\"statistics\", \"variable\", ..)");
    Outcome::FALSE
}

impl Module for StatisticsModule {
    fn name(&self) -> &'static str {
        "statistics"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        let ParamValue::Str(text) = value else {
            return Err(SetupError(format!("parameter {name} takes a string, not {}", value.describe())));
        };
        let (variable, flag) = text.split_once('/').unwrap_or((&text, ""));
        let (variable, flag) = (variable.trim(), flag.trim());
        if variable.is_empty() || !matches!(flag, "" | "no_reset") {
            return Err(SetupError(format!("parameter variable: \"{text}\" is not name or name/no_reset")));
        }
        if self.variables.len() >= VARIABLES_MAX {
            return Err(SetupError(format!("parameter variable: more than {VARIABLES_MAX}")));
        }
        self.variables.push(Variable { name: variable.to_owned(), keeps: flag == "no_reset" });
        Ok(())
    }
    fn tick(&self, core: &Core, _: Now) {
        self.registered.get_or_init(|| {
            for v in &self.variables {
                core.statistics.register("script", &v.name, "Statistic of the script.");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn as_kamailio_counts() {
        let mut m = StatisticsModule::default();
        let mut define = |t: &str| m.set_param("variable", ParamValue::Str(t.into()));
        assert!(define("v1").is_ok() && define("v2/no_reset").is_ok());
        assert!(define("v3/other").is_err() && define("").is_err());
        let bench = Bench::new(vec![Arc::new(m)]);
        bench.core.registry.modules().iter().for_each(|m| m.tick(&bench.core, bench.now));
        let core = bench.core.statistics.register("core", "rcv_requests", "x");
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        let mut update = |name: &str, n: i64| {
            bench.call(&mut ctx, "statistics.update_stat", &[name.into(), Value::Int(n)])
        };
        let (yes, no) = (Value::Int(1), Value::Int(-1));
        assert_eq!(
            [update("v1", 5), update("v1", -2), update("v2", 1)],
            [yes.clone(), yes.clone(), yes.clone()]
        );
        assert_eq!([update("nope", 1), update("rcv_requests", 4)], [no, yes.clone()]);
        assert_eq!((bench.core.statistics.value("v1"), core.value()), (Some(3), 4));
        for name in ["v1", "v2"] {
            assert_eq!(bench.call(&mut ctx, "statistics.reset_stat", &[name.into()]), yes);
        }
        assert_eq!(
            (bench.core.statistics.value("v1"), bench.core.statistics.value("v2")),
            (Some(0), Some(1))
        );
    }
}
