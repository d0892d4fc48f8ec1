//! `cfg.*`: parameters of the core and of modules while the server runs. The parameters themselves are rows of their modules
//! ([`script::RuntimeParam`]); here they are found, shown, changed at once or later, and set back.

use std::any::Any;
use std::sync::{Mutex, MutexGuard};

use script::{Core, Module, ParamType, ParamValue, RpcCommand, RpcError, RuntimeParam};
use serde_json::{Map, Value as Json, json};

/// Changes that may wait for `cfg.commit`.
const PENDING_MAX: usize = 1000;

/// Module `cfg_rpc`.
#[derive(Debug, Default)]
pub struct CfgRpc {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<(String, String, ParamValue)>,
    /// Values at the start of what was changed since.
    first: Vec<(String, String, ParamValue)>,
}

type Answer = Result<Json, RpcError>;
type Row<'a> = (&'a dyn Module, &'static RuntimeParam);

impl CfgRpc {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Changes a parameter now, and remembers what it was at the start.
    fn change(&self, core: &Core, group: &str, name: &str, value: ParamValue) -> Result<(), RpcError> {
        let (module, row) = find(core, group, name).ok_or_else(|| failed("there is no such parameter"))?;
        let change = changeable(row, &value)?;
        let before = (row.value)(module, core);
        change(module, core, value).map_err(|e| failed(&e.to_string()))?;
        let mut state = self.state();
        if !state.first.iter().any(|(g, n, _)| g == group && n == name) {
            state.first.push((group.into(), name.into(), before));
        }
        Ok(())
    }
}

fn failed(why: &str) -> RpcError {
    RpcError::new(400, format!("Failed to set the variable: {why}"))
}

/// How to change this parameter to a value of this type.
fn changeable(row: &RuntimeParam, value: &ParamValue) -> Result<script::module::ChangeParam, RpcError> {
    let change = row.change.ok_or_else(|| {
        failed("it is read once, at the start; change the configuration and start the server anew")
    })?;
    match (row.kind, value) {
        (ParamType::Int, ParamValue::Str(_)) => Err(failed("it takes an integer")),
        (ParamType::Str, ParamValue::Int(_)) => Err(failed("it takes a string")),
        _ => Ok(change),
    }
}

fn rows(core: &Core) -> impl Iterator<Item = Row<'_>> {
    core.registry.modules().iter().flat_map(|m| m.runtime_params().iter().map(move |r| (m.as_ref(), r)))
}

fn find<'a>(core: &'a Core, group: &str, name: &str) -> Option<Row<'a>> {
    rows(core).find(|(_, r)| r.group == group && r.name == name)
}

fn this(module: &dyn Module) -> Result<&CfgRpc, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn word(params: &[Json], at: usize) -> Result<&str, RpcError> {
    let few = || RpcError::new(400, format!("too few parameters ({}/{})", params.len(), at + 1));
    params.get(at).ok_or_else(few)?.as_str().ok_or_else(|| {
        RpcError::new(
            400,
            format!("error at parameter {at}: expected string type but record doesn't match type"),
        )
    })
}

/// Which type the words of a command say the value has.
#[derive(Clone, Copy)]
enum Wanted {
    AsGiven,
    Int,
    Str,
}

/// Group, name and value of a command that sets.
fn asked(core: &Core, params: &[Json], wanted: Wanted) -> Result<(String, String, ParamValue), RpcError> {
    let (group, name) = (word(params, 0)?, word(params, 1)?);
    let few = || RpcError::new(400, format!("too few parameters ({}/3)", params.len()));
    let given = params.get(2).ok_or_else(few)?;
    let int = given.as_i64().or_else(|| given.as_str()?.trim().parse().ok());
    let text = || given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    let kind = match wanted {
        Wanted::Int => ParamType::Int,
        Wanted::Str => ParamType::Str,
        Wanted::AsGiven => find(core, group, name).map_or(ParamType::Any, |(_, r)| r.kind),
    };
    let value = match (kind, int) {
        (ParamType::Int, None) => return Err(failed("it takes an integer")),
        (ParamType::Int, Some(i)) => ParamValue::Int(i),
        (ParamType::Any, Some(i)) if given.is_number() => ParamValue::Int(i),
        _ => ParamValue::Str(text()),
    };
    Ok((group.to_owned(), name.to_owned(), value))
}

fn now(module: &dyn Module, core: &Core, params: &[Json], wanted: Wanted) -> Answer {
    let (group, name, value) = asked(core, params, wanted)?;
    this(module)?.change(core, &group, &name, value)?;
    Ok(Json::Null)
}

fn later(module: &dyn Module, core: &Core, params: &[Json], wanted: Wanted) -> Answer {
    let (group, name, value) = asked(core, params, wanted)?;
    let (_, row) = find(core, &group, &name).ok_or_else(|| failed("there is no such parameter"))?;
    changeable(row, &value)?;
    let mut state = this(module)?.state();
    if state.pending.len() >= PENDING_MAX {
        return Err(failed("too many changes wait already: cfg.commit or cfg.rollback"));
    }
    state.pending.retain(|(g, n, _)| (g, n) != (&group, &name));
    state.pending.push((group, name, value));
    Ok(Json::Null)
}

fn plain(value: &ParamValue) -> Json {
    match value {
        ParamValue::Int(i) => json!(i),
        ParamValue::Str(s) => json!(s),
    }
}

fn get(core: &Core, params: &[Json]) -> Answer {
    let group = word(params, 0)?;
    let missing = || RpcError::new(400, "Failed to get the variable");
    if params.len() < 2 {
        let all: Map<String, Json> = rows(core)
            .filter(|(_, r)| r.group == group)
            .map(|(m, r)| (r.name.to_owned(), plain(&(r.value)(m, core))))
            .collect();
        return if all.is_empty() { Err(missing()) } else { Ok(Json::Object(all)) };
    }
    let (module, row) = find(core, group, word(params, 1)?).ok_or_else(missing)?;
    Ok(plain(&(row.value)(module, core)))
}

fn commit(module: &dyn Module, core: &Core) -> Answer {
    let pending = std::mem::take(&mut this(module)?.state().pending);
    let mut problems = Vec::new();
    for (group, name, value) in pending {
        if let Err(e) = this(module)?.change(core, &group, &name, value) {
            problems.push(format!("{group}.{name}: {}", e.message));
        }
    }
    if problems.is_empty() { Ok(Json::Null) } else { Err(RpcError::new(400, problems.join("; "))) }
}

fn diff(module: &dyn Module, core: &Core) -> Answer {
    let pending = this(module)?.state().pending.clone();
    Ok(pending
        .into_iter()
        .filter_map(|(group, name, value)| {
            let (module, row) = find(core, &group, &name)?;
            Some(json!({
                "group name": group,
                "variable name": name,
                "old value": plain(&(row.value)(module, core)),
                "new value": plain(&value),
            }))
        })
        .collect())
}

fn reset(module: &dyn Module, core: &Core, params: &[Json]) -> Answer {
    let group = word(params, 0)?;
    let name = if params.len() > 1 { Some(word(params, 1)?) } else { None };
    let nothing = RpcError::new(500, "Reset failed: there is no such parameter");
    if !rows(core).any(|(_, r)| r.group == group && name.is_none_or(|n| n == r.name)) {
        return Err(nothing);
    }
    let first = this(module)?.state().first.clone();
    for (group, name, value) in
        first.into_iter().filter(|(g, n, _)| g == group && name.is_none_or(|wanted| wanted == n))
    {
        this(module)?.change(core, &group, &name, value)?;
    }
    Ok(Json::Null)
}

/// Groups with instances (`group[id]`) are Kamailio's; no group has any here.
fn no_instances(params: &[Json]) -> Answer {
    if word(params, 0)?.ends_with(']') {
        return Err(RpcError::new(400, "No group has instances here"));
    }
    Err(RpcError::new(400, "Wrong group syntax. Use \"group[id]\""))
}

impl Module for CfgRpc {
    fn name(&self) -> &'static str {
        "cfg_rpc"
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "cfg.list",
        doc: "Parameters that can be shown, as `group: name`. Parameter: group (optional).",
        call: |_, core, _, params| {
            let group = params.first().and_then(Json::as_str);
            let all = rows(core).filter(|(_, r)| group.is_none_or(|g| g == r.group));
            Ok(all.map(|(_, r)| json!(format!("{}: {}", r.group, r.name))).collect())
        },
    },
    RpcCommand {
        name: "cfg.help",
        doc: "What a parameter is, and its type. Parameters: group, name.",
        call: |_, core, _, params| {
            let found = find(core, word(params, 0)?, word(params, 1)?);
            let (_, row) =
                found.ok_or_else(|| RpcError::new(400, "Failed to get the variable description"))?;
            let kind = if row.kind == ParamType::Int { "integer" } else { "string" };
            let fixed = if row.change.is_none() { ", read once at the start" } else { "" };
            Ok(json!([row.doc, format!("(parameter type is {kind}{fixed})")]))
        },
    },
    RpcCommand {
        name: "cfg.get",
        doc: "The value in force. Parameters: group, name. Without a name: all of the group, as an object.",
        call: |_, core, _, params| get(core, params),
    },
    RpcCommand {
        name: "cfg.set",
        doc: "Changes a parameter at once. Parameters: group, name, value. An error for those that are read once, at the start.",
        call: |m, core, _, params| now(m, core, params, Wanted::AsGiven),
    },
    RpcCommand {
        name: "cfg.seti",
        doc: "As cfg.set, for an integer.",
        call: |m, core, _, params| now(m, core, params, Wanted::Int),
    },
    RpcCommand {
        name: "cfg.sets",
        doc: "As cfg.set, for a text.",
        call: |m, core, _, params| now(m, core, params, Wanted::Str),
    },
    RpcCommand {
        name: "cfg.set_now_int",
        doc: "As cfg.set, for an integer.",
        call: |m, core, _, params| now(m, core, params, Wanted::Int),
    },
    RpcCommand {
        name: "cfg.set_now_string",
        doc: "As cfg.set, for a text.",
        call: |m, core, _, params| now(m, core, params, Wanted::Str),
    },
    RpcCommand {
        name: "cfg.set_delayed",
        doc: "Changes a parameter at the next cfg.commit. Parameters: group, name, value.",
        call: |m, core, _, params| later(m, core, params, Wanted::AsGiven),
    },
    RpcCommand {
        name: "cfg.set_delayed_int",
        doc: "As cfg.set_delayed, for an integer.",
        call: |m, core, _, params| later(m, core, params, Wanted::Int),
    },
    RpcCommand {
        name: "cfg.set_delayed_string",
        doc: "As cfg.set_delayed, for a text.",
        call: |m, core, _, params| later(m, core, params, Wanted::Str),
    },
    RpcCommand {
        name: "cfg.commit",
        doc: "Makes the changes of cfg.set_delayed. No parameters.",
        call: |m, core, _, _| commit(m, core),
    },
    RpcCommand {
        name: "cfg.rollback",
        doc: "Forgets the changes of cfg.set_delayed. No parameters.",
        call: |m, _, _, _| {
            this(m)?.state().pending.clear();
            Ok(Json::Null)
        },
    },
    RpcCommand {
        name: "cfg.diff",
        doc: "Changes that wait for cfg.commit: group, name, old and new value. No parameters.",
        call: |m, core, _, _| diff(m, core),
    },
    RpcCommand {
        name: "cfg.reset",
        doc: "Sets a parameter, or all of a group, back to what it was at the start. Parameters: group, name (optional).",
        call: |m, core, _, params| reset(m, core, params),
    },
    RpcCommand {
        name: "cfg.add_group_inst",
        doc: "Adds an instance of a group. No group has instances here: always an error.",
        call: |_, _, _, params| no_instances(params),
    },
    RpcCommand {
        name: "cfg.del_group_inst",
        doc: "Removes an instance of a group. No group has instances here: always an error.",
        call: |_, _, _, params| no_instances(params),
    },
    RpcCommand {
        name: "cfg.del",
        doc: "Removes a value from an instance of a group. No group has instances here: always an error.",
        call: |_, _, _, params| no_instances(params),
    },
    RpcCommand {
        name: "cfg.del_delayed",
        doc: "Removes a value from an instance of a group. No group has instances here: always an error.",
        call: |_, _, _, params| no_instances(params),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::CoreFunctions;
    use crate::maxfwd::MaxFwd;
    use script::testing::Bench;
    use std::sync::Arc;

    fn bench() -> Bench {
        Bench::new(vec![
            Arc::new(CoreFunctions::default()),
            Arc::new(MaxFwd::default()),
            Arc::new(CfgRpc::default()),
        ])
    }

    fn ask(bench: &Bench, name: &str, params: Json) -> Result<Json, String> {
        let params = params.as_array().cloned().unwrap_or_default();
        script::rpc::call(&bench.core, bench.now, name, &params).map_err(|e| e.message)
    }

    #[test]
    fn changes_now_and_back() {
        let b = bench();
        assert_eq!(ask(&b, "cfg.get", json!(["core", "debug"])), Ok(json!(0)));
        assert_eq!(ask(&b, "cfg.set", json!(["core", "debug", 2])), Ok(Json::Null));
        assert_eq!(ask(&b, "cfg.seti", json!(["core", "debug", "3"])), Ok(Json::Null));
        assert_eq!(b.core.config.levels.debug(), 3);
        for (command, value) in [("cfg.set", json!("x")), ("cfg.sets", json!("3")), ("cfg.set", json!(99))] {
            let answer = ask(&b, command, json!(["core", "debug", value]));
            assert!(answer.is_err_and(|e| e.starts_with("Failed to set the variable")), "{command} {value}");
        }
        assert_eq!(ask(&b, "cfg.reset", json!(["core", "debug"])), Ok(Json::Null));
        assert_eq!(ask(&b, "cfg.get", json!(["core", "debug"])), Ok(json!(0)));
        assert_eq!(ask(&b, "cfg.get", json!(["nope", "debug"])), Err("Failed to get the variable".into()));
        let fixed = ask(&b, "cfg.set", json!(["core", "children", 5]));
        assert!(fixed.is_err_and(|e| e.contains("read once")));
        assert_eq!(ask(&b, "cfg.list", json!(["maxfwd"])), Ok(json!(["maxfwd: max_limit"])));
    }
    #[test]
    fn changes_later() {
        let b = bench();
        assert_eq!(ask(&b, "cfg.set_delayed", json!(["maxfwd", "max_limit", 30])), Ok(Json::Null));
        let waiting =
            json!([{"group name": "maxfwd", "variable name": "max_limit", "old value": 70, "new value": 30}]);
        assert_eq!(ask(&b, "cfg.diff", json!([])), Ok(waiting));
        assert_eq!(ask(&b, "cfg.get", json!(["maxfwd"])), Ok(json!({"max_limit": 70})));
        assert_eq!(ask(&b, "cfg.commit", json!([])), Ok(Json::Null));
        assert_eq!(ask(&b, "cfg.get", json!(["maxfwd", "max_limit"])), Ok(json!(30)));
        assert_eq!(ask(&b, "cfg.set_delayed_int", json!(["maxfwd", "max_limit", 20])), Ok(Json::Null));
        assert_eq!(ask(&b, "cfg.rollback", json!([])), Ok(Json::Null));
        assert_eq!(ask(&b, "cfg.diff", json!([])), Ok(json!([])));
    }
}
