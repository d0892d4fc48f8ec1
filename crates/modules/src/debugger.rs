//! Looking at a running server: log levels of single modules, and what a script's variables hold.
//!
//! Breakpoints and traces of Kamailio's debugger are of its native route language; they are refused with the reason.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use script::module::joined;
use script::{
    Core, Function, ModParam, ModParams, Module, Outcome, ParamType, ParamValue, RouteContext, RpcCommand,
    RpcError, RuntimeParam, SetupError, Value, ksr_module, vars::VarValue,
};
use serde_json::{Map, Value as Json, json};
use transaction::Now;

use crate::pv::vars::{Space, worker_var, worker_var_names};
use crate::xlog::{emit, level, wanted};

/// Modules with a facility of their own at one time.
const FACILITIES_MAX: usize = 1024;

/// Bits of the mask of `dbg_pv_dump_ex`.
mod mask {
    pub const NULL: i64 = 1;
    pub const AVP: i64 = 2;
    pub const SCRIPT: i64 = 4;
    pub const XAVP: i64 = 8;
    pub const OTHER: i64 = 16;
}

/// Pseudo-variables of the message that `OTHER` stands for.
const OTHERS: &[&str] = &[
    "$rm", "$rs", "$rr", "$ru", "$du", "$fu", "$ft", "$tu", "$tt", "$ci", "$cs", "$si", "$sp", "$Ri", "$Rp",
    "$mf", "$bf", "$ua",
];

/// Module `debugger`.
#[derive(Debug, Default)]
pub struct Debugger {
    settings: Settings,
    levels: Vec<(String, i32)>,
    facilities: Mutex<BTreeMap<String, String>>,
    begun: OnceLock<()>,
}

/// Parameters of `debugger`.
#[derive(Debug, Default, ModParams)]
struct Settings {
    /// 1: stop at breakpoints. Taken; breakpoints are of the native route language.
    breakpoint: i64,
    /// 1: check memory at every action. Taken.
    cfgpkgcheck: i64,
    /// 1: test mode of the configuration. Taken.
    cfgtest: i64,
    /// 1: log every action of the route. Taken; actions are of the native route language.
    cfgtrace: i64,
    /// Format of traced actions. Taken.
    cfgtrace_format: i64,
    /// 1: log assignments. Taken.
    log_assign: i64,
    /// Syslog facility of traces. Taken; the log goes to stderr.
    log_facility: Option<String>,
    /// Log level of traces. Taken.
    log_level: i64,
    /// Log level of traces, by name. Taken.
    log_level_name: Option<String>,
    /// Text before every trace. Taken.
    log_prefix: Option<String>,
    /// 1: `mod_facility` holds. Taken; the log goes to stderr.
    mod_facility_mode: i64,
    /// Size of the table of module log levels, a power of two. Taken; it grows as needed, to 1024 modules.
    mod_hash_size: i64,
    /// 1: `mod_level` holds.
    mod_level_mode: bool,
    /// 1: message numbers can be reset. Taken; see dbg.reset_msgid.
    reset_msgid: i64,
    /// Waits while stepping. Taken.
    step_loops: i64,
    /// Microseconds of a wait while stepping. Taken.
    step_usleep: i64,
}

const LISTS: [ModParam; 2] = [
    ModParam {
        name: "mod_level",
        kind: ParamType::Str,
        doc: "Log level of a module, `name=level` (`core` for the server itself and the script's lines); several times. Holds while \
              mod_level_mode is 1.",
    },
    ModParam {
        name: "mod_facility",
        kind: ParamType::Str,
        doc: "Syslog facility of a module, `name=LOG_LOCAL1`; several times. Kept and shown; the log goes to stderr.",
    },
];

const PARAMS: &[ModParam] = &joined::<{ Settings::PARAMS.len() + LISTS.len() }>(Settings::PARAMS, &LISTS);

/// Names of syslog facilities.
const FACILITIES: &[&str] = &[
    "LOG_AUTH",
    "LOG_CRON",
    "LOG_DAEMON",
    "LOG_KERN",
    "LOG_LOCAL0",
    "LOG_LOCAL1",
    "LOG_LOCAL2",
    "LOG_LOCAL3",
    "LOG_LOCAL4",
    "LOG_LOCAL5",
    "LOG_LOCAL6",
    "LOG_LOCAL7",
    "LOG_LPR",
    "LOG_MAIL",
    "LOG_NEWS",
    "LOG_USER",
    "LOG_UUCP",
    "LOG_AUTHPRIV",
    "LOG_FTP",
    "LOG_SYSLOG",
];

/// The facility of modules that have none of their own.
const FACILITY: &str = "LOG_DAEMON";

#[ksr_module("debugger")]
impl Debugger {
    /// Writes all variables that are set to the log, as one JSON object at level debug. Returns 1.
    #[ksr(cfg = ["dbg_pv_dump"])]
    fn dbg_pv_dump(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        dump(ctx, 31 & !mask::NULL, level::DBG)
    }
    /// Writes variables to the log as one JSON object. `mask` says which, added up: 1 also those that are null, 2 `$avp`, 4 `$var`,
    /// 8 `$xavp`, 16 those of the message. `lev` is the log level, -5 to 3. Returns 1.
    #[ksr]
    fn dbg_pv_dump_ex(&self, ctx: &mut RouteContext<'_>, mask: i64, lev: i64) -> Outcome {
        dump(ctx, mask, lev)
    }
}

fn dump(ctx: &mut RouteContext<'_>, which: i64, lev: i64) -> Outcome {
    if !wanted(ctx, lev) {
        return Outcome::TRUE;
    }
    let mut all = Map::new();
    if which & mask::SCRIPT != 0 {
        let mut names = worker_var_names(ctx);
        names.sort();
        for name in names {
            let value = worker_var(ctx, Space::Var, &name);
            all.insert(format!("$var({})", String::from_utf8_lossy(&name)), of_value(&value));
        }
    }
    if which & (mask::AVP | mask::XAVP) != 0 {
        let (avps, xavps) = ctx.vars().with(|lists| (lists.avps.clone(), lists.xavps.clone()));
        if which & mask::AVP != 0 {
            lists(&mut all, "avp", &avps);
        }
        if which & mask::XAVP != 0 {
            lists(&mut all, "xavp", &xavps);
        }
    }
    if which & mask::OTHER != 0 {
        for name in OTHERS {
            let Ok(pv) = ctx.core.registry.parse_pv(name.as_bytes()) else { continue };
            let value = of_value(&pv.get(ctx));
            if !value.is_null() || which & mask::NULL != 0 {
                all.insert((*name).to_owned(), value);
            }
        }
    }
    emit(ctx, lev, "", Json::Object(all).to_string().as_bytes());
    Outcome::TRUE
}

fn of_value(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(i) => json!(i),
        other => json!(String::from_utf8_lossy(&other.to_text())),
    }
}

fn of_var(value: &VarValue) -> Json {
    match value {
        VarValue::Null => Json::Null,
        VarValue::Int(i) => json!(i),
        VarValue::Str(s) => json!(String::from_utf8_lossy(s)),
        VarValue::Xavp(fields) => {
            let mut all = Map::new();
            for (name, value) in fields {
                append(&mut all, String::from_utf8_lossy(name).into_owned(), of_var(value));
            }
            Json::Object(all)
        }
    }
}

/// Values of one name are a list, newest first.
fn append(all: &mut Map<String, Json>, name: String, value: Json) {
    match all.get_mut(&name) {
        Some(Json::Array(list)) => list.push(value),
        _ => {
            all.insert(name, json!([value]));
        }
    }
}

fn lists(all: &mut Map<String, Json>, class: &str, rows: &[(Box<[u8]>, VarValue)]) {
    for (name, value) in rows {
        append(all, format!("${class}({})", String::from_utf8_lossy(name)), of_var(value));
    }
}

impl Module for Debugger {
    fn name(&self) -> &'static str {
        "debugger"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [ModParam] {
        PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        let (name, text) = match (name, value) {
            ("mod_level" | "mod_facility", ParamValue::Str(text)) => (name, text),
            (name, value) => return self.settings.set(name, value),
        };
        let bad = |what: &str| SetupError(format!("parameter {name}: \"{text}\" is not {what}"));
        let (module, value) = text.split_once('=').ok_or_else(|| bad("module=value"))?;
        let (module, value) = (module.trim(), value.trim());
        if name == "mod_level" {
            let level = value.parse().ok().filter(|l| (-5..=9).contains(l));
            self.levels.push((module.to_owned(), level.ok_or_else(|| bad("module=level, -5 to 9"))?));
        } else if FACILITIES.contains(&value) {
            self.set_facility(module, value).map_err(|e| SetupError(e.message))?;
        } else {
            return Err(bad("module=facility, such as LOG_LOCAL1"));
        }
        Ok(())
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    fn runtime_params(&self) -> &'static [RuntimeParam] {
        RUNTIME
    }
    fn tick(&self, core: &Core, _: Now) {
        self.begun.get_or_init(|| {
            for (module, level) in &self.levels {
                core.config.levels.set_module(module, *level);
            }
            core.config.levels.set_by_module(self.settings.mod_level_mode);
        });
    }
}

impl Debugger {
    fn set_facility(&self, module: &str, facility: &str) -> Result<(), RpcError> {
        let mut all = self.facilities.lock().unwrap_or_else(|e| e.into_inner());
        if all.len() >= FACILITIES_MAX && !all.contains_key(module) {
            return Err(RpcError::new(500, "too many modules have a facility of their own"));
        }
        all.insert(module.to_owned(), facility.to_owned());
        Ok(())
    }
}

const RUNTIME: &[RuntimeParam] = &[
    RuntimeParam {
        group: "dbg",
        name: "mod_level_mode",
        doc: "1: log levels of modules hold.",
        kind: ParamType::Int,
        value: |_, core| core.config.levels.by_module().into(),
        change: Some(|_, core, value| {
            core.config.levels.set_by_module(value != ParamValue::Int(0));
            Ok(())
        }),
    },
    RuntimeParam {
        group: "dbg",
        name: "mod_facility_mode",
        doc: "1: syslog facilities of modules hold.",
        kind: ParamType::Int,
        value: |m, _| debugger(m).map_or(0, |d| d.settings.mod_facility_mode).into(),
        change: None,
    },
    RuntimeParam {
        group: "dbg",
        name: "mod_hash_size",
        doc: "Size of the table of module log levels.",
        kind: ParamType::Int,
        value: |m, _| debugger(m).map_or(0, |d| d.settings.mod_hash_size).into(),
        change: None,
    },
];

fn debugger(module: &dyn Module) -> Result<&Debugger, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn word(params: &[Json], at: usize) -> Result<&str, RpcError> {
    params.get(at).and_then(Json::as_str).ok_or_else(|| RpcError::new(500, "invalid parameters"))
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "dbg.get_mod_level",
        doc: "The log level that holds for a module's lines. Parameter: module (`core` for the server itself and the script's lines).",
        call: |_, core, _, params| Ok(json!(core.config.levels.of(word(params, 0)?))),
    },
    RpcCommand {
        name: "dbg.set_mod_level",
        doc: "Sets the log level of a module, and lets levels of modules hold (`cfg.set dbg mod_level_mode 0` ends that). Parameters: \
              module, level -5 to 9.",
        call: |_, core, _, params| {
            let module = word(params, 0)?;
            let level = params.get(1).and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
            let level = level.filter(|l| (-5..=9).contains(l));
            let level = level.ok_or_else(|| RpcError::new(500, "invalid parameters"))?;
            if !core.config.levels.set_module(module, level as i32) {
                return Err(RpcError::new(500, "cannot store parameter: too many modules have a level"));
            }
            core.config.levels.set_by_module(true);
            Ok(json!("200 ok"))
        },
    },
    RpcCommand {
        name: "dbg.get_mod_facility",
        doc: "The syslog facility of a module. Parameter: module.",
        call: |m, _, _, params| {
            let all = debugger(m)?.facilities.lock().unwrap_or_else(|e| e.into_inner());
            Ok(json!(all.get(word(params, 0)?).map_or(FACILITY, String::as_str)))
        },
    },
    RpcCommand {
        name: "dbg.set_mod_facility",
        doc: "Sets the syslog facility of a module; kept and shown, the log goes to stderr. Parameters: module, facility such as LOG_LOCAL1.",
        call: |m, _, _, params| {
            let (module, facility) = (word(params, 0)?, word(params, 1)?);
            if !FACILITIES.contains(&facility) {
                return Err(RpcError::new(500, "facility not found"));
            }
            debugger(m)?.set_facility(module, facility)?;
            Ok(json!("200 ok"))
        },
    },
    RpcCommand {
        name: "dbg.ls",
        doc: "State of the debugger for each process: there is one, and it never stops at a breakpoint. No parameters.",
        call: |_, core, _, _| {
            let pid = core.config.pid;
            Ok(json!([{"entry": 0, "pid": pid, "set": 0, "state": 0, "in.pid": 0, "in.cmd": 0}]))
        },
    },
    RpcCommand {
        name: "dbg.bp",
        doc: "Breakpoints are of the native route language: always an error.",
        call: |_, _, _, _| {
            Err(RpcError::new(500, "There are no breakpoints here: the script is not stepped through"))
        },
    },
    RpcCommand {
        name: "dbg.trace",
        doc: "Traces are of the native route language: always an error. `kemi.callbacks` tells which callbacks ran.",
        call: |_, _, _, _| Err(RpcError::new(500, "There is no native route to trace; see kemi.callbacks")),
    },
    RpcCommand {
        name: "dbg.reset_msgid",
        doc: "Message numbers belong to workers and are not reset: always an error.",
        call: |_, _, _, _| {
            Err(RpcError::new(500, "Message numbers belong to workers here and are not reset"))
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;

    fn ask(bench: &Bench, name: &str, params: Json) -> Result<Json, RpcError> {
        script::rpc::call(&bench.core, bench.now, name, &params.as_array().cloned().unwrap_or_default())
    }

    #[test]
    fn levels_of_modules() {
        let mut m = Debugger::default();
        let mut set = |name: &str, t: &str| m.set_param(name, ParamValue::Str(t.into()));
        assert!(set("mod_level", "tm=3").is_ok() && set("mod_facility", "tm=LOG_LOCAL1").is_ok());
        assert!(set("mod_level", "tm=x").is_err() && set("mod_facility", "tm=X").is_err());
        let b = Bench::new(vec![Arc::new(m)]);
        b.core.registry.modules().iter().for_each(|m| m.tick(&b.core, b.now));
        assert_eq!(ask(&b, "dbg.get_mod_level", json!(["tm"])), Ok(json!(0)), "mod_level_mode is 0");
        assert_eq!(ask(&b, "dbg.set_mod_level", json!(["sl", 2])), Ok(json!("200 ok")));
        assert_eq!(ask(&b, "dbg.get_mod_level", json!(["tm"])), Ok(json!(3)));
        assert_eq!(ask(&b, "dbg.get_mod_level", json!(["sl"])), Ok(json!(2)));
        assert!(ask(&b, "dbg.set_mod_level", json!(["sl", "x"])).is_err());
        assert_eq!(ask(&b, "dbg.get_mod_facility", json!(["tm"])), Ok(json!("LOG_LOCAL1")));
        assert_eq!(ask(&b, "dbg.get_mod_facility", json!(["sl"])), Ok(json!(FACILITY)));
        assert!(ask(&b, "dbg.set_mod_facility", json!(["sl", "X"])).is_err());
    }
    #[test]
    fn values_are_lists_newest_first() {
        let rows: Vec<(Box<[u8]>, VarValue)> = vec![
            (b"y".as_slice().into(), VarValue::Int(2)),
            (b"y".as_slice().into(), VarValue::Str(b"old".as_slice().into())),
        ];
        let mut all = Map::new();
        lists(&mut all, "avp", &rows);
        assert_eq!(Json::Object(all), json!({"$avp(y)": [2, "old"]}));
        let field = VarValue::Xavp(rows);
        assert_eq!(of_var(&field), json!({"y": [2, "old"]}));
    }
}
