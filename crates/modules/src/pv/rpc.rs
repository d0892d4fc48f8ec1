//! `pv.*`: shared variables for operators.

use std::any::Any;

use script::{Module, RpcCommand, RpcError, Value, vars::VarValue};
use serde_json::{Value as Json, json};

use super::PvModule;
use super::vars::Shared;

fn shared(module: &dyn Module) -> Result<&Shared, RpcError> {
    let module = (module as &dyn Any).downcast_ref::<PvModule>();
    module.map(|m| &m.shared).ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn row(name: &[u8], value: &VarValue) -> Json {
    let name = String::from_utf8_lossy(name);
    match value {
        VarValue::Int(i) => json!({"name": name, "type": "int", "value": i}),
        other => {
            let value = other.to_value();
            json!({"name": name, "type": "string", "value": String::from_utf8_lossy(&value.to_text())})
        }
    }
}

fn text(params: &[Json], at: usize) -> Option<String> {
    match params.get(at)? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "pv.shvGet",
        doc: "A variable shared by all workers, `$shv(name)`: name, type, value. Parameter: name. Without it: all of them.",
        call: |m, _, _, params| {
            let mut all = shared(m)?.all();
            match text(params, 0) {
                None => {
                    all.sort_by(|a, b| a.0.cmp(&b.0));
                    Ok(json!({"items": all.iter().map(|(n, v)| json!({"shv": row(n, v)})).collect::<Json>()}))
                }
                Some(name) => {
                    let found = all.iter().find(|(n, _)| n == name.as_bytes());
                    let (n, v) = found.ok_or_else(|| RpcError::new(404, "Variable not found"))?;
                    Ok(row(n, v))
                }
            }
        },
    },
    RpcCommand {
        name: "pv.shvSet",
        doc: "Sets a variable shared by all workers, `$shv(name)`. Parameters: name, type `int` or `str`, value.",
        call: |m, _, _, params| {
            let few = || RpcError::new(500, "Name, type (int or str) and value are expected");
            let (name, kind, value) = (text(params, 0), text(params, 1), text(params, 2));
            let (name, kind, value) = (name.ok_or_else(few)?, kind.ok_or_else(few)?, value.ok_or_else(few)?);
            let value = match kind.as_str() {
                "int" => {
                    Value::Int(value.trim().parse().map_err(|_| RpcError::new(500, "Invalid integer value"))?)
                }
                "str" | "string" => Value::owned(value),
                _ => return Err(RpcError::new(500, "Invalid type: int or str is expected")),
            };
            if !shared(m)?.set(name.as_bytes(), value) {
                return Err(RpcError::new(500, "There are too many shared variables"));
            }
            Ok(json!("Ok. Variable set to new value."))
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;

    #[test]
    fn shared_variables() {
        let bench = Bench::new(vec![Arc::new(PvModule::default())]);
        let ask = |name: &str, params: Json| {
            let params = params.as_array().cloned().unwrap_or_default();
            script::rpc::call(&bench.core, bench.now, name, &params).map_err(|e| e.code)
        };
        assert!(ask("pv.shvSet", json!(["x", "int", 7])).is_ok());
        assert!(ask("pv.shvSet", json!(["s", "str", 7])).is_ok());
        assert_eq!(ask("pv.shvSet", json!(["x", "int", "y"])), Err(500));
        assert_eq!(ask("pv.shvGet", json!(["x"])), Ok(json!({"name": "x", "type": "int", "value": 7})));
        assert_eq!(ask("pv.shvGet", json!(["nope"])), Err(404));
        let all = ask("pv.shvGet", json!([]));
        assert_eq!(
            all,
            Ok(json!({"items": [
                {"shv": {"name": "s", "type": "string", "value": "7"}},
                {"shv": {"name": "x", "type": "int", "value": 7}},
            ]}))
        );
    }
}
