//! `ul.*`: location tables for operators, in the shapes Kamailio gives.

use std::any::Any;

use script::{Core, Module, RpcCommand, RpcError};
use serde_json::{Map, Value as Json, json};
use transaction::Now;

use super::contact::{ALL_METHODS, PERMANENT, Q_UNSET, Stored};
use super::store::Rows;
use super::{Contact, ContactInfo, Domain, Record, SaveError, Usrloc, parse_socket, socket_text, unix};

/// Call-ID of contacts added by RPC; adding again refreshes them whatever their CSeq.
const CALL_ID: &[u8] = b"dfjrewr12386fd6-343@trunkline.rpc";
const USER_AGENT: &[u8] = b"Trunkline RPC";

pub const COMMANDS: &[RpcCommand] = &[
    RpcCommand {
        name: "ul.dump",
        doc: "All location tables with their contacts. Parameter `brief`: only the addresses-of-record.",
        call: dump,
    },
    RpcCommand {
        name: "ul.lookup",
        doc: "The contacts of one address-of-record. Parameters: table, AoR (`user`, or `user@domain` with `use_domain`).",
        call: lookup,
    },
    RpcCommand {
        name: "ul.add",
        doc: "Adds or refreshes a contact. Parameters: table, AoR, contact, expires in seconds (0 permanent), q (-1, 0.0 to 1.0), path, \
              flags, branch flags, methods; then optionally received and socket. `.` or `0` leaves path, received and socket unset.",
        call: add,
    },
    RpcCommand {
        name: "ul.rm",
        doc: "Removes an address-of-record with all its contacts. Parameters: table, AoR.",
        call: remove,
    },
    RpcCommand {
        name: "ul.rm_contact",
        doc: "Removes one contact. Parameters: table, AoR, contact URI.",
        call: remove_contact,
    },
    RpcCommand {
        name: "ul.flush",
        doc: "Writes changed contacts to the database at once (`db_mode` 2).",
        call: flush,
    },
    RpcCommand {
        name: "ul.db_users",
        doc: "Number of users with contacts in the database. Parameter: table. An error without database.",
        call: db_users,
    },
    RpcCommand {
        name: "ul.db_contacts",
        doc: "Number of contacts in the database. Parameter: table. An error without database.",
        call: db_contacts,
    },
    RpcCommand {
        name: "ul.db_expired_contacts",
        doc: "Number of ended contacts in the database. Parameter: table. An error without database.",
        call: db_expired_contacts,
    },
];

type Answer = Result<Json, RpcError>;

fn module(module: &dyn Module) -> Result<&Usrloc, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn text(params: &[Json], at: usize) -> Option<String> {
    match params.get(at)? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// The address-of-record as tables have it: lower case unless it is found as written; without domain unless `use_domain`.
fn aor(usrloc: &Usrloc, text: &str) -> Vec<u8> {
    let text = if usrloc.domains.rules().use_domain { text } else { text.split('@').next().unwrap_or(text) };
    text.to_ascii_lowercase().into_bytes()
}

fn table(usrloc: &Usrloc, name: &str) -> Result<std::sync::Arc<Domain>, RpcError> {
    usrloc.domains.find(name.as_bytes()).ok_or_else(|| RpcError::new(500, "Domain table not found"))
}

fn lossy(text: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(text).into_owned())
}

fn or_not_set(text: &[u8]) -> Json {
    if text.is_empty() { Json::from("[not set]") } else { lossy(text) }
}

fn contact_json(contact: &Contact, usrloc: &Usrloc, core: &Core, now: u32) -> Json {
    let expires = match contact.expires {
        PERMANENT => Json::from("permanent"),
        at if at > now => Json::from(at - now),
        _ => Json::from("expired"),
    };
    let q = if contact.q == Q_UNSET {
        Json::from(-1)
    } else if contact.q % 1000 == 0 {
        Json::from(contact.q / 1000)
    } else {
        Json::from(f64::from(contact.q) / 1000.0)
    };
    let mut socket = Vec::new();
    if let Some(listener) = contact.socket().and_then(|s| core.listeners.get(usize::from(s.0))) {
        socket_text(listener, &mut socket);
    }
    json!({ "Contact": {
        "Address": lossy(contact.uri()),
        "Expires": expires,
        "Q": q,
        "Call-ID": lossy(contact.call_id()),
        "CSeq": contact.cseq,
        "User-Agent": lossy(contact.user_agent()),
        "Received": or_not_set(contact.received()),
        "Path": or_not_set(contact.path()),
        "State": match contact.stored {
            Stored::New => "CS_NEW",
            Stored::Saved => "CS_SYNC",
            Stored::Changed => "CS_DIRTY",
        },
        "Flags": contact.flags,
        "CFlags": contact.cflags,
        "Socket": or_not_set(&socket),
        "Methods": contact.methods,
        "Ruid": lossy(&contact.ruid_text(&usrloc.domains.rules().ruid)),
        "Instance": or_not_set(contact.instance()),
        "Reg-Id": contact.reg_id,
        "Server-Id": core.config.server_id,
        "Tcpconn-Id": contact.connection,
        "Keepalive": 0,
        "Last-Keepalive": contact.last_keepalive(),
        "KA-Roundtrip": 0,
        "Last-Modified": contact.modified,
    }})
}

fn contacts_json(record: &Record, usrloc: &Usrloc, core: &Core, now: u32) -> Vec<Json> {
    record.contacts().iter().map(|c| contact_json(c, usrloc, core, now)).collect()
}

fn dump(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let usrloc = module(m)?;
    let brief = params.first().and_then(Json::as_str) == Some("brief");
    let now = unix(now);
    let mut domains = Vec::new();
    for domain in usrloc.domains.all() {
        let mut records = Vec::new();
        domain.for_each(|record| {
            records.push(if brief {
                json!({ "AoR": lossy(record.aor()) })
            } else {
                json!({ "Info": {
                    "AoR": lossy(record.aor()),
                    "HashID": record.hash(),
                    "Contacts": contacts_json(record, usrloc, core, now),
                }})
            });
        });
        let stats = json!({ "Records": records.len(), "Max-Slots": domain.longest_shard() });
        domains.push(json!({ "Domain": {
            "Domain": lossy(domain.name()),
            "Size": domain.shards(),
            "AoRs": records,
            "Stats": stats,
        }}));
    }
    Ok(json!({ "Domains": domains }))
}

fn lookup(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let usrloc = module(m)?;
    let (Some(name), Some(user)) = (text(params, 0), text(params, 1)) else {
        return Err(RpcError::new(500, "Not enough parameters (table and AOR to lookup)"));
    };
    table(usrloc, &name)?.read(&aor(usrloc, &user), |record| {
        let record = record.ok_or_else(|| RpcError::new(500, "AOR not found in location table"))?;
        Ok(json!({
            "AoR": lossy(record.aor()),
            "Contacts": contacts_json(record, usrloc, core, unix(now)),
        }))
    })
}

fn add(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let usrloc = module(m)?;
    let bad = || RpcError::new(500, "Not enough parameters or wrong format");
    let need = |at| text(params, at).ok_or_else(bad);
    let number = |at| -> Result<i64, RpcError> { need(at)?.parse().map_err(|_| bad()) };
    let optional =
        |at| text(params, at).filter(|t| !matches!(t.as_str(), "." | "0" | "")).unwrap_or_default();
    let (name, user, contact) = (need(0)?, need(1)?, need(2)?);
    let expires = u32::try_from(number(3)?).map_err(|_| bad())?;
    let q: f64 = need(4)?.parse().map_err(|_| bad())?;
    if q > 1.0 {
        return Err(bad());
    }
    let (flags, cflags, methods) = (number(6)?, number(7)?, number(8)?);
    let (path, received, socket) = (optional(5), optional(9), optional(10));
    let at = now;
    let now = unix(now);
    let info = ContactInfo {
        uri: contact.as_bytes(),
        received: received.as_bytes(),
        path: path.as_bytes(),
        call_id: CALL_ID,
        user_agent: USER_AGENT,
        expires: if expires == 0 { PERMANENT } else { now.saturating_add(expires) },
        cseq: 1,
        q: if q < 0.0 { Q_UNSET } else { (q * 1000.0).round() as i16 },
        flags: flags as u32,
        cflags: cflags as u32,
        methods: u32::try_from(methods).unwrap_or(ALL_METHODS),
        socket: parse_socket(&core.listeners, socket.as_bytes()),
        connection: -1,
        modified: now,
        ..ContactInfo::default()
    };
    let domain = usrloc.domains.open(name.as_bytes(), &core.statistics, at);
    let domain = domain.ok_or_else(|| RpcError::new(500, "Domain table not found"))?;
    if domain.is_full() {
        return Err(RpcError::new(500, "Location table is full"));
    }
    let added = domain.save(&aor(usrloc, &user), |entry| {
        match entry.contacts().iter().position(|c| c.uri() == info.uri) {
            Some(at) => entry.update(at, &info),
            None => entry.insert_by_rpc(&info),
        }
    });
    done(added.map(|_| ()), |_| RpcError::new(500, "Contact too long"))
}

fn remove(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let usrloc = module(m)?;
    let (Some(name), Some(user)) = (text(params, 0), text(params, 1)) else {
        return Err(RpcError::new(500, "Not enough parameters (table and AOR to lookup)"));
    };
    let removed = table(usrloc, &name)?.save(&aor(usrloc, &user), |entry| {
        entry.record().clear();
        Ok(())
    });
    done(removed, |never: std::convert::Infallible| match never {})
}

fn remove_contact(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let usrloc = module(m)?;
    let (Some(name), Some(user), Some(contact)) = (text(params, 0), text(params, 1), text(params, 2)) else {
        return Err(RpcError::new(500, "Not enough parameters (table, AOR and contact)"));
    };
    let removed = table(usrloc, &name)?.save(&aor(usrloc, &user), |entry| {
        if entry.contacts().is_empty() {
            return Err(RpcError::new(404, "AOR not found"));
        }
        let at = entry.contacts().iter().position(|c| c.uri() == contact.as_bytes());
        at.and_then(|at| entry.record().remove(at))
            .map(drop)
            .ok_or_else(|| RpcError::new(404, "Contact not found"))
    });
    done(removed, |e| e)
}

/// The answer to a change.
fn done<E>(result: Result<(), SaveError<E>>, refused: impl FnOnce(E) -> RpcError) -> Answer {
    match result {
        Ok(()) => Ok(Json::Object(Map::new())),
        Err(SaveError::Refused(e)) => Err(refused(e)),
        Err(SaveError::Database(e)) => Err(RpcError::new(500, e.to_string())),
    }
}

fn flush(m: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Answer {
    let usrloc = module(m)?;
    match usrloc.domains.backing() {
        Some(backing) if !backing.flush_all(&usrloc.domains.all()) => {
            Err(RpcError::new(500, "The database did not take all changes"))
        }
        _ => Ok(Json::Object(Map::new())),
    }
}

/// A number that the database knows of a table.
fn number(
    m: &dyn Module,
    now: Now,
    params: &[Json],
    f: fn(&Rows, &str, u32) -> Result<u64, ::store::Error>,
) -> Answer {
    let usrloc = module(m)?;
    let Some(backing) = usrloc.domains.backing() else {
        let mode = usrloc.settings.db_mode;
        return Err(RpcError::new(500, format!("Command is not supported in db_mode={mode}")));
    };
    let table = text(params, 0).ok_or_else(|| RpcError::new(500, "Not enough parameters (table)"))?;
    let number = f(backing.rows(), &table, unix(now)).map_err(|e| RpcError::new(500, e.to_string()))?;
    Ok(Json::from(number))
}
fn db_users(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    number(m, now, params, |rows, table, now| rows.users(table, now))
}
fn db_contacts(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    number(m, now, params, |rows, table, now| {
        rows.count(table, now).map(|(all, ended)| all.saturating_sub(ended))
    })
}
fn db_expired_contacts(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    number(m, now, params, |rows, table, now| rows.count(table, now).map(|(_, ended)| ended))
}
