//! `htable.*`: tables for operators, in the shapes Kamailio gives.

use script::{Core, Module, RpcCommand, RpcError, clock};
use serde_json::{Value as Json, json};
use transaction::Now;

use super::table::{Item, Life, Stored, Table};
use super::{Htable, pv, seconds};

pub const COMMANDS: &[RpcCommand] = &[
    RpcCommand { name: "htable.delete", doc: "Removes an item. Parameters: table, key.", call: delete },
    RpcCommand {
        name: "htable.dmqresync",
        doc: "Asks other servers for all items. An error: there is no replication.",
        call: no_dmq,
    },
    RpcCommand {
        name: "htable.dmqsync",
        doc: "Asks other servers for the items of a table. An error: there is no replication.",
        call: no_dmq,
    },
    RpcCommand { name: "htable.dump", doc: "All items of a table, by slot. Parameter: table.", call: dump },
    RpcCommand { name: "htable.flush", doc: "Removes all items of a table. Parameter: table.", call: flush },
    RpcCommand { name: "htable.get", doc: "An item with its end. Parameters: table, key.", call: get },
    RpcCommand { name: "htable.listTables", doc: "All tables with their attributes.", call: list },
    RpcCommand {
        name: "htable.reload",
        doc: "Reads a table from its database table again, in the place of what it holds. Parameter: table.",
        call: reload,
    },
    RpcCommand {
        name: "htable.setex",
        doc: "Sets the seconds an item still lives. Parameters: table, key, seconds.",
        call: set_expiry,
    },
    RpcCommand { name: "htable.seti", doc: "Sets an integer. Parameters: table, key, value.", call: set_int },
    RpcCommand { name: "htable.sets", doc: "Sets a text. Parameters: table, key, value.", call: set_text },
    RpcCommand {
        name: "htable.setxi",
        doc: "Sets an integer and the seconds it lives. Parameters: table, key, value, seconds.",
        call: |m, c, now, p| set(m, c, now, p, true, true),
    },
    RpcCommand {
        name: "htable.setxs",
        doc: "Sets a text and the seconds it lives. Parameters: table, key, value, seconds.",
        call: |m, c, now, p| set(m, c, now, p, false, true),
    },
    RpcCommand {
        name: "htable.stats",
        doc: "For each table: slots, items, fewest and most items in a slot.",
        call: stats,
    },
    RpcCommand {
        name: "htable.store",
        doc: "Writes a table to its database table, in the place of what that holds. Parameter: table.",
        call: store,
    },
];

type Answer = Result<Json, RpcError>;

fn failed(text: &str) -> RpcError {
    RpcError::new(500, text)
}

fn module(m: &dyn Module) -> Result<&Htable, RpcError> {
    pv::of(m).ok_or_else(|| failed("Not this module"))
}

fn text(params: &[Json], at: usize) -> Option<String> {
    match params.get(at)? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn number(params: &[Json], at: usize) -> Option<i64> {
    match params.get(at)? {
        Json::Number(n) => n.as_i64(),
        Json::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

fn table<'a>(m: &'a Htable, params: &[Json], missing: &str) -> Result<&'a Table, RpcError> {
    let name = text(params, 0).ok_or_else(|| failed(missing))?;
    m.find(name.as_bytes()).map(|t| &**t).ok_or_else(|| failed("No such htable"))
}

const TWO: &str = "Not enough parameters (htable name and key name)";
const THREE: &str = "Not enough parameters (htable name, key name and value)";
/// As Kamailio writes it.
const DELETE: &str = "Not enough parameters (htable name & key name";
const FOUR: &str = "Not enough parameters (htable name, key name, value and expire)";
const NO_NAME: &str = "No htable name given";

fn value(item: &Item) -> (Json, i64, &'static str) {
    match &item.value {
        Stored::Int(n) => (json!(n), 0, "int"),
        Stored::Str(s) => (json!(String::from_utf8_lossy(s)), 2, "str"),
    }
}

fn dump(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let slots = table(module(m)?, params, NO_NAME)?.by_slot(seconds(now), |item| {
        let (value, _, kind) = value(item);
        json!({ "name": String::from_utf8_lossy(item.key()), "value": value, "type": kind })
    });
    Ok(slots
        .into_iter()
        .map(|(entry, items)| json!({ "entry": entry, "size": items.len(), "slot": items }))
        .collect())
}

fn get(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let key = text(params, 1).ok_or_else(|| failed(TWO))?;
    let found = table(module(m)?, params, TWO)?.look(key.as_bytes(), seconds(now), |item| {
        let (value, flags, _) = value(item);
        let expire = match item.expires {
            0 => "NEVER".into(),
            at => clock::local(i64::from(at), b"%Y-%m-%d %H:%M:%S")
                .map_or_else(String::new, |t| String::from_utf8_lossy(&t).into_owned()),
        };
        json!({ "item": {
            "name": String::from_utf8_lossy(item.key()), "value": value, "flags": flags, "expire": expire,
        }})
    });
    found.ok_or_else(|| failed("Key name doesn't exist in htable."))
}

fn delete(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let key = text(params, 1).ok_or_else(|| failed(DELETE))?;
    match table(module(m)?, params, DELETE)?.remove(key.as_bytes(), seconds(now)) {
        true => Ok(json!("Ok. Key deleted.")),
        false => Err(RpcError::new(404, "Key not found in htable.")),
    }
}

fn set_int(m: &dyn Module, c: &Core, now: Now, p: &[Json]) -> Answer {
    set(m, c, now, p, true, false)
}

fn set_text(m: &dyn Module, c: &Core, now: Now, p: &[Json]) -> Answer {
    set(m, c, now, p, false, false)
}

fn set(m: &dyn Module, _: &Core, now: Now, params: &[Json], int: bool, ends: bool) -> Answer {
    let missing = || failed(if ends { FOUR } else { THREE });
    let key = text(params, 1).ok_or_else(missing)?;
    let value = match int {
        true => Stored::Int(number(params, 2).ok_or_else(missing)?),
        false => Stored::Str(text(params, 2).ok_or_else(missing)?.into_bytes().into()),
    };
    let life = match ends {
        true => Life::Seconds(u32::try_from(number(params, 3).ok_or_else(missing)?).unwrap_or(0)),
        false => Life::Auto,
    };
    let table = table(module(m)?, params, THREE)?;
    match table.set(key.as_bytes(), value, life, seconds(now)) {
        Ok(()) => Ok(json!("Ok. Key set to new value.")),
        Err(_) => Err(failed("Cannot set item")),
    }
}

fn set_expiry(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let missing = || failed(THREE);
    let key = text(params, 1).ok_or_else(missing)?;
    let left = u32::try_from(number(params, 2).ok_or_else(missing)?).unwrap_or(0);
    table(module(m)?, params, THREE)?.set_expiry(key.as_bytes(), left, seconds(now));
    Ok(json!("Ok"))
}

fn flush(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    table(module(m)?, params, NO_NAME)?.clear();
    Ok(json!("Ok. Htable flushed."))
}

fn list(m: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Answer {
    let row = |t: &std::sync::Arc<Table>| {
        let d = t.definition();
        json!({
            "name": d.name, "dbtable": d.dbtable, "dbmode": i32::from(d.dbmode), "expire": d.autoexpire,
            "updateexpire": i32::from(d.updateexpire), "size": t.slots(), "dmqreplicate": i32::from(d.dmqreplicate),
        })
    };
    // The newest first, as in Kamailio.
    Ok(module(m)?.tables().iter().rev().map(row).collect())
}

fn stats(m: &dyn Module, _: &Core, now: Now, _: &[Json]) -> Answer {
    let row = |t: &std::sync::Arc<Table>| {
        let sizes: Vec<usize> =
            t.by_slot(seconds(now), |_| ()).iter().map(|(_, items)| items.len()).collect();
        let most = sizes.iter().max().copied().unwrap_or(0);
        let fewest = if sizes.len() < t.slots() { 0 } else { sizes.iter().min().copied().unwrap_or(0) };
        json!({
            "name": t.name(), "slots": t.slots(), "all": sizes.iter().sum::<usize>(), "min": fewest, "max": most,
        })
    };
    Ok(module(m)?.tables().iter().rev().map(row).collect())
}

fn reload(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    if !module.has_database() {
        return Err(failed("No htable db_url"));
    }
    let name = text(params, 0).ok_or_else(|| failed(NO_NAME))?;
    let at = module.position(name.as_bytes()).ok_or_else(|| failed("No such htable"))?;
    match module.load(at, seconds(now)) {
        Ok(()) => {
            module.reloaded(at);
            Ok(json!("Ok. Htable reloaded."))
        }
        Err(why) => Err(RpcError::new(500, format!("Htable not reloaded: {why}"))),
    }
}

fn store(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let module = module(m)?;
    if !module.has_database() {
        return Err(failed("No htable db_url"));
    }
    let name = text(params, 0).ok_or_else(|| failed(NO_NAME))?;
    let at = module.position(name.as_bytes()).ok_or_else(|| failed("No such htable"))?;
    match module.write(at, seconds(now)) {
        Ok(()) => Ok(json!("Ok. Htable successfully stored to DB.")),
        Err(why) => Err(RpcError::new(500, format!("Htable not stored: {why}"))),
    }
}

fn no_dmq(_: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Answer {
    Err(failed("DMQ is not enabled"))
}
