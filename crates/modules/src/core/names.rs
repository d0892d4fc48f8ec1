//! `dns.*`: addresses of host names given by the operator, in Kamailio's words. The DNS itself is not asked yet.

use std::net::IpAddr;
use std::time::Duration;

use script::names::Record;
use script::{Core, RpcCommand, RpcError};
use serde_json::{Value as Json, json};
use transaction::{Now, Timestamp};

/// The commands.
pub(super) const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "dns.add_a",
        doc: "Adds an IPv4 address of a host name. Parameters: name, seconds it holds, address, flags (1: for ever).",
        call: |_, core, now, params| add(core, now, params, false),
    },
    RpcCommand {
        name: "dns.add_aaaa",
        doc: "Adds an IPv6 address of a host name. Parameters: name, seconds it holds, address, flags (1: for ever).",
        call: |_, core, now, params| add(core, now, params, true),
    },
    RpcCommand {
        name: "dns.delete_a",
        doc: "Takes the IPv4 addresses of a host name away.",
        call: |_, core, _, params| remove(core, params, false),
    },
    RpcCommand {
        name: "dns.delete_aaaa",
        doc: "Takes the IPv6 addresses of a host name away.",
        call: |_, core, _, params| remove(core, params, true),
    },
    RpcCommand {
        name: "dns.delete_all",
        doc: "Forgets the addresses of all host names.",
        call: |_, core, _, _| {
            core.names.clear();
            Ok(json!({ "status": "ok" }))
        },
    },
    RpcCommand {
        name: "dns.delete_all_force",
        doc: "Forgets the addresses of all host names.",
        call: |_, core, _, _| {
            core.names.clear();
            Ok(json!({ "status": "ok" }))
        },
    },
    RpcCommand {
        name: "dns.lookup",
        doc: "The addresses of a host name. Parameters: `a` or `aaaa`, name.",
        call: |_, core, now, params| {
            let (kind, name) = (text(params, 0)?, text(params, 1)?);
            let v6 = match kind.to_ascii_lowercase().as_str() {
                "a" => false,
                "aaaa" => true,
                _ => return Err(RpcError::new(400, "Invalid type")),
            };
            let literal = name.parse().ok().map(|address| Record { address, until: Timestamp::NEVER });
            let records = match literal {
                Some(record) => vec![record],
                None => core.names.records(name.as_bytes(), now),
            };
            entry(name.as_bytes(), &records, v6, now).ok_or_else(|| RpcError::new(400, "Not found"))
        },
    },
    RpcCommand {
        name: "dns.view",
        doc: "All host names whose addresses are known.",
        call: |_, core, now, _| {
            let names = core.names.list(now);
            let entries = names.iter().flat_map(|(name, records)| {
                [false, true].into_iter().filter_map(|v6| entry(name, records, v6, now))
            });
            Ok(entries.collect())
        },
    },
];

fn text(params: &[Json], index: usize) -> Result<&str, RpcError> {
    params
        .get(index)
        .and_then(Json::as_str)
        .ok_or_else(|| RpcError::new(400, format!("error at parameter {index}: expected string type")))
}

fn number(params: &[Json], index: usize) -> Result<i64, RpcError> {
    let value = params.get(index);
    let number = value.and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
    number.ok_or_else(|| RpcError::new(400, format!("error at parameter {index}: expected integer type")))
}

fn add(core: &Core, now: Now, params: &[Json], v6: bool) -> Result<Json, RpcError> {
    let (name, ttl, address, flags) =
        (text(params, 0)?, number(params, 1)?, text(params, 2)?, number(params, 3)?);
    let failed = || RpcError::new(400, "Failed to add the entry to the cache");
    let address: IpAddr = address.parse().ok().filter(|a: &IpAddr| a.is_ipv6() == v6).ok_or_else(failed)?;
    let until = match flags & 1 {
        0 => now.mono + Duration::from_secs(u64::try_from(ttl).map_err(|_| failed())?),
        _ => Timestamp::NEVER,
    };
    if name.is_empty() || !core.names.add(name.as_bytes(), Record { address, until }, now) {
        return Err(failed());
    }
    Ok(Json::Null)
}

fn remove(core: &Core, params: &[Json], v6: bool) -> Result<Json, RpcError> {
    match core.names.remove(text(params, 0)?.as_bytes(), v6) {
        true => Ok(Json::Null),
        false => Err(RpcError::new(400, "Not found")),
    }
}

/// A name's records of one family as Kamailio shows them; `None` when it has none.
fn entry(name: &[u8], records: &[Record], v6: bool, now: Now) -> Option<Json> {
    let of_family: Vec<&Record> = records.iter().filter(|r| r.address.is_ipv6() == v6).collect();
    let last = of_family.iter().map(|r| r.until).max()?;
    let permanent = |until: Timestamp| if until == Timestamp::NEVER { "yes" } else { "no" };
    let expires = |until: Timestamp| match until {
        Timestamp::NEVER => -1,
        until => until.since(now.mono).as_secs() as i64,
    };
    let rows = of_family.iter().enumerate().map(|(index, record)| {
        json!({
            "rr_idx": index,
            "rr_ip": record.address.to_string(),
            "rr_permanent": permanent(record.until),
            "rr_expires": expires(record.until),
        })
    });
    Some(json!({
        "name": String::from_utf8_lossy(name),
        "type": if v6 { "AAAA" } else { "A" },
        "size_bytes": name.len() + of_family.len() * size_of::<Record>(),
        "reference_counter": 1,
        "permanent": permanent(last),
        "expires": expires(last),
        "last_used": 0,
        "negative_entry": "no",
        "records": rows.collect::<Json>(),
    }))
}
