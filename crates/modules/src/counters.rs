//! Counters of a script's own, in groups, and `cnt.*`: all statistics for operators.

use std::sync::OnceLock;

use script::{
    Core, Function, ModParam, Module, Outcome, ParamType, ParamValue, RouteContext, RpcCommand, RpcError,
    Setup, SetupError, Statistic, ksr_module,
};
use serde_json::{Map, Value as Json, json};
use transaction::Now;

/// Counters a configuration may define.
const COUNTERS_MAX: usize = 10_000;

/// Module `counters`.
#[derive(Debug)]
pub struct Counters {
    group: String,
    defined: Vec<Defined>,
    registered: OnceLock<()>,
}

#[derive(Debug)]
struct Defined {
    group: Option<String>,
    name: String,
    doc: String,
}

impl Default for Counters {
    fn default() -> Self {
        Counters { group: "script".into(), defined: Vec::new(), registered: OnceLock::new() }
    }
}

const PARAMS: &[ModParam] = &[
    ModParam {
        name: "script_cnt_grp_name",
        kind: ParamType::Str,
        doc: "Group of counters that are named without one. Default script.",
    },
    ModParam {
        name: "script_counter",
        kind: ParamType::Str,
        doc: "Counter for scripts: `name` or `group.name`, then optionally a blank and a description; several times.",
    },
];

#[ksr_module("counters")]
impl Counters {
    /// Adds one to a counter, `name` or `group.name`. Returns 1, or -1 when there is none of that name.
    #[ksr(cfg = ["cnt_inc"], no_message)]
    fn inc(&self, ctx: &mut RouteContext<'_>, sname: &[u8]) -> Outcome {
        self.with(ctx, sname, |c| c.inc())
    }
    /// Adds to a counter, `name` or `group.name`. Returns 1, or -1 when there is none of that name.
    #[ksr(cfg = ["cnt_add"], no_message)]
    fn add(&self, ctx: &mut RouteContext<'_>, sname: &[u8], v: i64) -> Outcome {
        self.with(ctx, sname, |c| c.add(v))
    }
    /// Sets a counter, `name` or `group.name`, to 0. Returns 1, or -1 when there is none of that name.
    #[ksr(cfg = ["cnt_reset"], no_message)]
    fn reset(&self, ctx: &mut RouteContext<'_>, sname: &[u8]) -> Outcome {
        self.with(ctx, sname, |c| c.set(0))
    }
}

impl Counters {
    fn with(&self, ctx: &RouteContext<'_>, name: &[u8], f: impl FnOnce(&Statistic)) -> Outcome {
        let name = String::from_utf8_lossy(name);
        let (group, name) = name.split_once('.').unwrap_or((&self.group, &name));
        match ctx.core.statistics.find(group, name) {
            Some(counter) => {
                f(&counter);
                Outcome::TRUE
            }
            None => {
                tracing::error!(target: "counters", "there is no counter {group}.{name}; define it with modparam(\"counters\", \"script_counter\", ..)");
                Outcome::FALSE
            }
        }
    }
}

impl Module for Counters {
    fn name(&self) -> &'static str {
        "counters"
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
        let fits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && b != b'.');
        if name == "script_cnt_grp_name" {
            if !fits(&text) {
                return Err(SetupError(format!("parameter {name}: \"{text}\" is no name of a group")));
            }
            self.group = text;
            return Ok(());
        }
        let (path, doc) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        let (group, counter) = path.split_once('.').map_or((None, path), |(g, n)| (Some(g), n));
        if !fits(counter) || group.is_some_and(|g| !fits(g)) {
            return Err(SetupError(format!("parameter {name}: \"{path}\" is not name or group.name")));
        }
        if self.defined.len() >= COUNTERS_MAX {
            return Err(SetupError(format!("parameter {name}: more than {COUNTERS_MAX}")));
        }
        let doc = if doc.trim().is_empty() { "Counter of the script." } else { doc.trim() };
        self.defined.push(Defined {
            group: group.map(str::to_owned),
            name: counter.to_owned(),
            doc: doc.to_owned(),
        });
        Ok(())
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    fn setup(&mut self, _: &Setup<'_>) -> Result<(), SetupError> {
        Ok(())
    }
    fn tick(&self, core: &Core, _: Now) {
        self.registered.get_or_init(|| {
            for d in &self.defined {
                core.statistics.register(d.group.as_deref().unwrap_or(&self.group), &d.name, &d.doc);
            }
        });
    }
}

type Answer = Result<Json, RpcError>;

fn word(params: &[Json], at: usize) -> Result<String, RpcError> {
    match params.get(at) {
        Some(Json::String(s)) => Ok(s.clone()),
        Some(Json::Number(n)) => Ok(n.to_string()),
        _ => {
            Err(RpcError::new(400, "too few parameters: a group and, for one counter, its name are expected"))
        }
    }
}

fn missing(group: &str, name: &str) -> RpcError {
    RpcError::new(400, format!("non-existent counter {group}.{name}"))
}

fn groups(core: &Core) -> Answer {
    let mut names: Vec<String> = core.statistics.list(None).into_iter().map(|(g, ..)| g).collect();
    names.dedup();
    Ok(json!(names))
}

fn names(core: &Core, params: &[Json]) -> Answer {
    let group = word(params, 0)?;
    Ok(core.statistics.list(Some(&group)).into_iter().map(|(_, n, ..)| Json::from(n)).collect())
}

fn values(core: &Core, params: &[Json]) -> Answer {
    let group = word(params, 0)?;
    let rows = core.statistics.list(Some(&group)).into_iter();
    Ok(Json::Object(rows.map(|(_, n, v, _)| (n, json!(v))).collect::<Map<_, _>>()))
}

fn row(core: &Core, params: &[Json]) -> Result<(i64, String), RpcError> {
    let (group, name) = (word(params, 0)?, word(params, 1)?);
    let found = core.statistics.list(Some(&group)).into_iter().find(|(_, n, ..)| *n == name);
    found.map(|(_, _, value, doc)| (value, doc)).ok_or_else(|| missing(&group, &name))
}

fn get(core: &Core, params: &[Json]) -> Answer {
    if params.len() == 1 {
        return values(core, params);
    }
    Ok(json!(row(core, params)?.0))
}

fn reset(core: &Core, params: &[Json]) -> Answer {
    let (group, name) = (word(params, 0)?, word(params, 1)?);
    row(core, params)?;
    let kept = core.statistics.find(&group, &name);
    kept.ok_or_else(|| RpcError::new(400, format!("{group}.{name} is computed and cannot be set")))?.set(0);
    Ok(Json::Null)
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "cnt.get",
        doc: "Value of a counter. Parameters: group, name. Without a name: all of the group, as an object.",
        call: |_, core, _, params| get(core, params),
    },
    RpcCommand {
        name: "cnt.get_raw",
        doc: "As cnt.get: counters are not kept per process here.",
        call: |_, core, _, params| get(core, params),
    },
    RpcCommand {
        name: "cnt.get_vars",
        doc: "All counters of a group with their values, as an object. Parameter: group.",
        call: |_, core, _, params| values(core, params),
    },
    RpcCommand {
        name: "cnt.grp_get_all",
        doc: "As cnt.get_vars.",
        call: |_, core, _, params| values(core, params),
    },
    RpcCommand {
        name: "cnt.grps_list",
        doc: "Names of the groups. No parameters.",
        call: |_, core, _, _| groups(core),
    },
    RpcCommand { name: "cnt.list_groups", doc: "As cnt.grps_list.", call: |_, core, _, _| groups(core) },
    RpcCommand {
        name: "cnt.list_vars",
        doc: "Names of the counters of a group. Parameter: group.",
        call: |_, core, _, params| names(core, params),
    },
    RpcCommand {
        name: "cnt.var_list",
        doc: "As cnt.list_vars.",
        call: |_, core, _, params| names(core, params),
    },
    RpcCommand {
        name: "cnt.help",
        doc: "What a counter counts. Parameters: group, name.",
        call: |_, core, _, params| Ok(json!(row(core, params)?.1)),
    },
    RpcCommand {
        name: "cnt.reset",
        doc: "Sets a counter to 0. Parameters: group, name.",
        call: |_, core, _, params| reset(core, params),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use script::Value;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn counters_of_a_script() {
        let mut m = Counters::default();
        let mut set = |name: &str, t: &str| m.set_param(name, ParamValue::Str(t.into()));
        assert!(set("script_counter", "mine.a (A counter of mine)").is_ok());
        assert!(set("script_counter", "b").is_ok() && set("script_counter", "x.y.z").is_err());
        assert!(set("script_counter", "").is_err() && set("script_cnt_grp_name", "").is_err());
        let bench = Bench::new(vec![Arc::new(m)]);
        bench.core.registry.modules().iter().for_each(|m| m.tick(&bench.core, bench.now));
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        let mut inc = |name: &str| bench.call(&mut ctx, "counters.inc", &[name.into()]);
        let (yes, no) = (Value::Int(1), Value::Int(-1));
        assert_eq!(
            [inc("a"), inc("mine.a"), inc("b"), inc("script.b"), inc("nope")],
            [no.clone(), yes.clone(), yes.clone(), yes.clone(), no]
        );
        bench.call(&mut ctx, "counters.add", &["b".into(), Value::Int(5)]);
        let ask = |name: &str, p: &[&str]| {
            let p: Vec<Json> = p.iter().map(|p| json!(p)).collect();
            script::rpc::call(&bench.core, bench.now, name, &p).map_err(|e| e.message)
        };
        assert_eq!(ask("cnt.get", &["script", "b"]), Ok(json!(7)));
        assert_eq!(ask("cnt.get", &["script", "nope"]), Err("non-existent counter script.nope".into()));
        assert_eq!(ask("cnt.get", &["mine"]), Ok(json!({"a": 1})));
        assert_eq!(ask("cnt.help", &["mine", "a"]), Ok(json!("(A counter of mine)")));
        assert_eq!(ask("cnt.grps_list", &[]), Ok(json!(["mine", "script"])));
        assert_eq!(ask("cnt.list_vars", &["script"]), Ok(json!(["b"])));
        assert_eq!(ask("cnt.reset", &["script", "b"]), Ok(Json::Null));
        assert_eq!(ask("cnt.get_vars", &["script"]), Ok(json!({"b": 0})));
    }
}
