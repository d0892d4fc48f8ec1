//! `permissions.*`: reloading and looking at the tables, trying a URI.

use std::any::Any;
use std::sync::atomic::Ordering;

use script::{Core, Module, RpcCommand, RpcError};
use serde_json::{Value as Json, json};
use transaction::Now;

use super::load::NotLoaded;
use super::{Permissions, Tables, address};

pub const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "permissions.addressReload",
        doc: "Reads the address table or file anew; not more often than `reload_delta` says. When it cannot be read the one before stays.",
        call: |m, _, now, _| reload(module(m)?, now, Tables::load_addresses),
    },
    RpcCommand {
        name: "permissions.trustedReload",
        doc: "Reads the trusted table anew; not more often than `reload_delta` says. When it cannot be read the one before stays.",
        call: |m, _, now, _| reload(module(m)?, now, Tables::load_trusted),
    },
    RpcCommand {
        name: "permissions.addressDump",
        doc: "The single addresses of the address table, with group, port and tag.",
        call: |m, _, _, _| {
            dump(module(m)?, |table| {
                list(
                    &table.singles,
                    |_, e| json!({ "table": 0, "group": e.group, "item": { "ip": e.text, "port": e.port, "tag": text(&e.tag, "NULL") } }),
                )
            })
        },
    },
    RpcCommand {
        name: "permissions.subnetDump",
        doc: "The subnets of the address table in the order they are searched, with group, mask, port and tag.",
        call: |m, _, _, _| {
            dump(module(m)?, |table| {
                list(&table.subnets, |id, e| {
                    json!({
                        "id": id,
                        "group": e.group,
                        "item": { "ip": e.text, "mask": e.mask, "port": e.port, "tag": text(&e.tag, "") },
                    })
                })
            })
        },
    },
    RpcCommand {
        name: "permissions.domainDump",
        doc: "The names of the address table, with group, port and tag.",
        call: |m, _, _, _| {
            dump(module(m)?, |table| {
                list(&table.domains, |_, e| {
                    json!({
                        "table": 0,
                        "group": e.group,
                        "item": { "domain_name": e.text, "port": e.port, "tag": text(&e.tag, "NULL") },
                    })
                })
            })
        },
    },
    RpcCommand {
        name: "permissions.trustedDump",
        doc: "The trusted peers that are kept in memory (`db_mode` 1), highest priority first.",
        call: trusted_dump,
    },
    RpcCommand {
        name: "permissions.testUri",
        doc: "Whether files that were read allow a URI to register a contact. Parameters: basename, URI, contact.",
        call: test_uri,
    },
    RpcCommand {
        name: "permissions.allowUri",
        doc: "Whether files that were read allow a URI to have another. Parameters: basename, From URI, URI.",
        call: test_uri,
    },
];

type Answer = Result<Json, RpcError>;

fn module(module: &dyn Module) -> Result<&Permissions, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn text(tag: &Option<Vec<u8>>, without: &str) -> String {
    tag.as_ref().map_or(without.into(), |t| String::from_utf8_lossy(t).into_owned())
}

fn list<T>(entries: &[T], row: impl Fn(usize, &T) -> Json) -> Json {
    Json::Array(entries.iter().enumerate().map(|(at, e)| row(at, e)).collect())
}

fn dump(permissions: &Permissions, rows: impl Fn(&address::Table) -> Json) -> Answer {
    if permissions.tables.database.is_none() && permissions.tables.settings.address_file.is_none() {
        return Err(RpcError::new(500, "No address table"));
    }
    Ok(rows(&permissions.tables.addresses.load()))
}

fn reload(permissions: &Permissions, now: Now, load: impl Fn(&Tables) -> Result<(), NotLoaded>) -> Answer {
    let before = permissions.reloaded.load(Ordering::Relaxed);
    let taken =
        || permissions.reloaded.compare_exchange(before, now.unix(), Ordering::Relaxed, Ordering::Relaxed);
    if now.unix() < before.saturating_add(permissions.tables.settings.reload_delta) || taken().is_err() {
        return Err(RpcError::new(500, "ongoing reload"));
    }
    match load(&permissions.tables) {
        Ok(()) => Ok(json!("Reload OK")),
        Err(_) => Err(RpcError::new(500, "Reload failed.")),
    }
}

fn trusted_dump(m: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Answer {
    let permissions = module(m)?;
    if permissions.tables.database.is_none() || permissions.tables.settings.db_mode != 1 {
        return Err(RpcError::new(500, "No trusted table"));
    }
    let lossy = |bytes: &[u8]| match bytes {
        b"" => "NULL".into(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok(list(&permissions.tables.trusted.load().rules, |_, rule| {
        let row = rule.row();
        json!({ "table": 0, "item": {
            "ip": lossy(&row.source),
            "proto": rule.transport_number(),
            "pattern": lossy(&row.from),
            "ruri_pattern": lossy(&row.ruri),
            "tag": text(&row.tag, "NULL"),
            "priority": row.priority,
        }})
    }))
}

fn test_uri(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let [Json::String(basename), Json::String(from), Json::String(uri), ..] = params else {
        return Err(RpcError::new(500, "Not enough parameters (basename, URI and contact)"));
    };
    let allowed = module(m)?
        .tables
        .known_files(basename.as_bytes())
        .is_some_and(|pair| pair.allows(from.as_bytes(), &[uri.as_bytes()]));
    Ok(json!(if allowed { "Allowed" } else { "Denied" }))
}
