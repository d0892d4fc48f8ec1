//! `dlg.*`: dialogs for operators, in the shapes Kamailio gives.

use std::any::Any;
use std::sync::Arc;

use script::{Core, Module, RpcCommand, RpcError};
use serde_json::{Map, Value as Json, json};
use transaction::Now;

use super::dialog::{Dialog, Facts, Leg, State};
use super::requests::socket_name;
use super::timer::Job;
use super::{DialogModule, seconds};

type Answer = Result<Json, RpcError>;

pub(super) const COMMANDS: &[RpcCommand] = &[
    RpcCommand { name: "dlg.list", doc: "All dialogs with what is known of them.", call: list },
    RpcCommand { name: "dlg.list_ctx", doc: "As `dlg.list`; no module adds to it here.", call: list },
    RpcCommand {
        name: "dlg.list_match",
        doc: "Dialogs that match. Parameters: key (`ruri`, `furi`, `turi`, `callid`, `start_ts`), operator (`eq`, `re`, `sw`, and for \
              `start_ts` `gt`, `lt`), value, and optionally how many at most.",
        call: list_match,
    },
    RpcCommand { name: "dlg.list_match_ctx", doc: "As `dlg.list_match`.", call: list_match },
    RpcCommand {
        name: "dlg.dlg_list",
        doc: "The dialog of a Call-ID, if there is one. Parameters: Call-ID, and optionally the From tag.",
        call: list_one,
    },
    RpcCommand { name: "dlg.dlg_list_ctx", doc: "As `dlg.dlg_list`.", call: list_one },
    RpcCommand {
        name: "dlg.briefing",
        doc: "All dialogs with some attributes. Parameter: letters, `f` From URI, `t` To URI, `c` Call-ID, `F` From tag, `T` To tag, \
              `I` `S` `E` times of INVITE, answer and end, `s` state; default `ftcFT`.",
        call: briefing,
    },
    RpcCommand {
        name: "dlg.dump_file",
        doc: "Writes all dialogs into a file, as JSON. Parameter: its path; an existing file is overwritten.",
        call: dump_file,
    },
    RpcCommand {
        name: "dlg.terminate_dlg",
        doc: "Ends a confirmed dialog with BYE to both sides, within a second. Parameters: Call-ID, From tag, To tag.",
        call: terminate,
    },
    RpcCommand {
        name: "dlg.end_dlg",
        doc: "Ends a dialog with BYE to both sides, within a second. Parameters: h_entry, h_id, and optionally header rows for the BYEs.",
        call: end,
    },
    RpcCommand {
        name: "dlg.set_state",
        doc: "Sets the state of a dialog, without anything else happening. Parameters: Call-ID, From tag, To tag, state (1 to 5).",
        call: set_state,
    },
    RpcCommand {
        name: "dlg.is_alive",
        doc: "Whether a dialog is confirmed: `Alive`, or an error. Parameters: Call-ID, From tag, To tag.",
        call: is_alive,
    },
    RpcCommand {
        name: "dlg.profile_get_size",
        doc: "How many dialogs are in a profile. Parameters: profile, and optionally a value.",
        call: profile_size,
    },
    RpcCommand {
        name: "dlg.profile_list",
        doc: "Dialogs in a profile. Parameters: profile, and optionally a value.",
        call: profile_list,
    },
    RpcCommand {
        name: "dlg.bridge_dlg",
        doc: "Calls an address and refers it to another when it answers, within a second. Parameters: from, to, and optionally a proxy \
              (`.` none) and SDP for the INVITE (`.` the usual one, on hold; `_` none).",
        call: bridge,
    },
    RpcCommand {
        name: "dlg.stats_active",
        doc: "How many dialogs are in each state, counted now.",
        call: stats_active,
    },
];

fn module(module: &dyn Module) -> Result<&DialogModule, RpcError> {
    (module as &dyn Any).downcast_ref().ok_or_else(|| RpcError::new(500, "Not this module"))
}

fn text(params: &[Json], at: usize) -> Option<String> {
    match params.get(at)? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn wanted(params: &[Json], at: usize, complaint: &str) -> Result<String, RpcError> {
    text(params, at).ok_or_else(|| RpcError::new(400, complaint))
}

fn lossy(text: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(text).into_owned())
}

fn list(m: &dyn Module, core: &Core, now: Now, _: &[Json]) -> Answer {
    let m = module(m)?;
    Ok(describe_all(m, core, now, m.table.all()))
}

/// The file appears with all its content or not at all.
fn dump_file(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let path = wanted(params, 0, "File name is required")?;
    let all = list(m, core, now, &[])?;
    let text = serde_json::to_vec_pretty(&all).map_err(|e| RpcError::new(500, e.to_string()))?;
    let beside = format!("{path}.new");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(|e| RpcError::new(500, format!("{path}: {e}")))?;
    Ok(Json::Null)
}

fn describe_all(
    m: &DialogModule,
    core: &Core,
    now: Now,
    dialogs: impl IntoIterator<Item = Arc<Dialog>>,
) -> Json {
    Json::Array(dialogs.into_iter().map(|d| describe(m, core, now, &d)).collect())
}

fn describe(m: &DialogModule, core: &Core, now: Now, dialog: &Dialog) -> Json {
    let f: Facts = dialog.facts().clone();
    let duration = match (f.started, f.ended) {
        (0, _) => 0,
        (started, 0) => seconds(now) - started,
        (started, ended) => ended - started,
    };
    let known = f.started != 0;
    let profiles: Vec<Json> = f
        .profiles
        .iter()
        .rev()
        .filter_map(|(number, value)| {
            let profile = m.profiles.get(*number)?;
            Some(match profile.with_value {
                true => json!({ &profile.name: lossy(value) }),
                false => Json::from(profile.name.as_str()),
            })
        })
        .collect();
    let vars: Vec<Json> =
        f.vars.iter().map(|(n, v)| json!({ String::from_utf8_lossy(n): lossy(v) })).collect();
    json!({
        "h_entry": dialog.entry,
        "h_id": dialog.id,
        "ref": if f.state == State::Ended { 1 } else { 2 },
        "call-id": lossy(&dialog.call_id),
        "from_uri": lossy(&dialog.from_uri),
        "to_uri": lossy(&dialog.to_uri),
        "state": f.state as i64,
        "start_ts": f.started,
        "init_ts": f.made,
        "end_ts": f.ended,
        "duration": duration,
        "timeout": f.timeout,
        "lifetime": f.lifetime,
        "dflags": f.seen(),
        "sflags": f.flags,
        "iflags": f.properties,
        "caller": leg(core, Some(&dialog.from_tag), &f.caller),
        "callee": leg(core, known.then_some(&f.to_tag), &f.callee),
        "profiles": profiles,
        "variables": vars,
    })
}

/// A side; of the callee nothing is known before it answers.
fn leg(core: &Core, tag: Option<&[u8]>, leg: &Leg) -> Json {
    let Some(tag) = tag else {
        return json!({ "tag": null, "contact": null, "cseq": null, "route_set": null, "socket": null });
    };
    let socket = leg.socket.and_then(|s| core.listeners.get(usize::from(s.0))).map(socket_name);
    json!({
        "tag": lossy(tag),
        "contact": lossy(&leg.contact),
        "cseq": leg.cseq.to_string(),
        "route_set": lossy(&leg.route_set),
        "socket": socket,
    })
}

fn list_match(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let (Some(key), Some(operator), Some(value)) = (text(params, 0), text(params, 1), text(params, 2)) else {
        return Err(invalid());
    };
    let refused = |why: &str| Err(RpcError::new(500, why));
    let by_time = match key.as_str() {
        "ruri" | "furi" | "turi" | "callid" => false,
        "start_ts" => true,
        _ => return refused("Invalid matching key parameter"),
    };
    match operator.as_str() {
        "gt" | "lt" if by_time => {}
        "gt" | "lt" => return refused("Matching operator not supported"),
        "eq" | "re" | "sw" if by_time => return refused("Matching operator not supported with start_ts key"),
        "eq" | "re" | "sw" => {}
        _ => return refused("Invalid matching operator parameter"),
    }
    let limit = text(params, 3).and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(usize::MAX);
    let regex = match operator.as_str() {
        "re" => Some(
            regex::bytes::Regex::new(&value)
                .map_err(|_| RpcError::new(500, "Invalid matching value parameter"))?,
        ),
        _ => None,
    };
    let number: Option<i64> = value.strip_prefix("s:").unwrap_or(&value).parse().ok();
    let matches = |dialog: &Arc<Dialog>| {
        let subject: &[u8] = match key.as_str() {
            "ruri" => &dialog.request_uri,
            "furi" => &dialog.from_uri,
            "turi" => &dialog.to_uri,
            _ => &dialog.call_id,
        };
        match operator.as_str() {
            "eq" => subject == value.as_bytes(),
            "sw" => subject.starts_with(value.as_bytes()),
            "gt" => number.is_some_and(|n| dialog.facts().started > n),
            "lt" => number.is_some_and(|n| dialog.facts().started < n),
            _ => regex.as_ref().is_some_and(|r| r.is_match(subject)),
        }
    };
    let found: Vec<Arc<Dialog>> = m.table.all().into_iter().filter(matches).take(limit).collect();
    if found.is_empty() {
        return Err(RpcError::new(404, "Not found"));
    }
    Ok(describe_all(m, core, now, found))
}

fn list_one(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let call_id = wanted(params, 0, "Call-id is required")?;
    let tag = text(params, 1);
    let found = m
        .table
        .of_call(call_id.as_bytes())
        .into_iter()
        .find(|d| tag.as_ref().is_none_or(|t| *d.from_tag == *t.as_bytes()));
    Ok(found.map_or(json!({}), |dialog| describe(m, core, now, &dialog)))
}

fn briefing(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let letters = text(params, 0).unwrap_or_else(|| "ftcFT".into());
    let row = |dialog: Arc<Dialog>| {
        let f = dialog.facts();
        let mut out = Map::new();
        let mut put = |name: &str, value: Json| drop(out.insert(name.into(), value));
        put("h_entry", dialog.entry.into());
        put("h_id", dialog.id.into());
        for (letter, name, value) in [
            ('f', "from_uri", lossy(&dialog.from_uri)),
            ('t', "to_uri", lossy(&dialog.to_uri)),
            ('c', "call-id", lossy(&dialog.call_id)),
            ('F', "from_tag", lossy(&dialog.from_tag)),
            ('T', "to_tag", lossy(&f.to_tag)),
            ('I', "init_ts", f.made.into()),
            ('S', "start_ts", f.started.into()),
            ('E', "end_ts", f.ended.into()),
            ('s', "state", (f.state as i64).into()),
        ] {
            if letters.contains(letter) {
                put(name, value);
            }
        }
        Json::Object(out)
    };
    Ok(Json::Array(m.table.all().into_iter().map(row).collect()))
}

fn invalid() -> RpcError {
    RpcError::new(500, "Invalid parameters")
}

/// The dialog of Call-ID, From tag and To tag, the first three parameters.
fn by_tags(m: &DialogModule, params: &[Json], complaint: &str) -> Result<Option<Arc<Dialog>>, RpcError> {
    let part = |at: usize| wanted(params, at, complaint);
    let (call_id, from, to) = (part(0)?, part(1)?, part(2)?);
    let found = m.table.find(call_id.as_bytes(), from.as_bytes(), to.as_bytes());
    Ok(found.map(|(dialog, _)| dialog))
}

fn later(m: &DialogModule, dialog: Arc<Dialog>, rows: Vec<u8>) -> Answer {
    do_later(m, Job::End { dialog, rows })
}

fn do_later(m: &DialogModule, job: Job) -> Answer {
    match m.do_later(job) {
        true => Ok(Json::Null),
        false => Err(RpcError::new(500, "Too much waits to be done")),
    }
}

fn bridge(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let (Some(from), Some(to)) = (text(params, 0), text(params, 1)) else { return Err(invalid()) };
    if message::Uri::parse(from.as_bytes()).is_err() || message::Uri::parse(to.as_bytes()).is_err() {
        return Err(RpcError::new(400, "Not two SIP addresses"));
    }
    let proxy = text(params, 2).unwrap_or_default();
    let body = match text(params, 3).as_deref() {
        None | Some(".") => None,
        Some("" | "_") => Some(String::new()),
        Some(sdp) => Some(sdp.to_owned()),
    };
    do_later(m, Job::Bridge { from, to, proxy, body })
}

fn terminate(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let found = by_tags(m, params, "Need a Callid ,from tag ,to tag")?;
    match found.filter(|d| matches!(d.facts().state, State::Answered | State::Confirmed)) {
        Some(dialog) => later(m, dialog, Vec::new()),
        None => Err(RpcError::new(500, "Couldnt find callid in dialog")),
    }
}

fn end(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let number = |at: usize| text(params, at).and_then(|t| t.parse().ok());
    let (Some(entry), Some(id)) = (number(0), number(1)) else {
        return Err(invalid());
    };
    match m.table.get((entry, id)).filter(|d| d.facts().state != State::Ended) {
        Some(dialog) => later(m, dialog, text(params, 2).unwrap_or_default().into_bytes()),
        None => Err(RpcError::new(404, "Dialog not found")),
    }
}

fn set_state(m: &dyn Module, _: &Core, now: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    const COMPLAINT: &str = "Need the callid, from tag,to tag and state";
    let state: i64 = wanted(params, 3, COMPLAINT)?.parse().map_err(|_| RpcError::new(400, COMPLAINT))?;
    let state = State::from_number(state).ok_or_else(|| RpcError::new(500, "Invalid state value"))?;
    let found = by_tags(m, params, COMPLAINT)?.filter(|d| d.facts().state != State::Ended);
    let dialog = found.ok_or_else(|| RpcError::new(500, "Dialog not found"))?;
    m.force_state(&dialog, state, seconds(now));
    Ok("Done".into())
}

fn is_alive(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let found = by_tags(m, params, "Too few parameters (required callid, from-tag, to-tag)")?;
    let dialog = found.ok_or_else(|| RpcError::new(404, "Dialog not found"))?;
    let state = dialog.facts().state;
    match state {
        State::Confirmed => Ok("Alive".into()),
        _ => Err(RpcError::new(500, "Dialog not in confirmed state")),
    }
}

fn profile(m: &DialogModule, params: &[Json]) -> Result<(usize, Option<String>), RpcError> {
    let name = wanted(params, 0, "No profile name")?;
    let number = m
        .profiles
        .find(name.as_bytes())
        .ok_or_else(|| RpcError::new(404, format!("Profile not found: {name}")))?;
    Ok((number, text(params, 1)))
}

fn profile_size(m: &dyn Module, _: &Core, _: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let (number, value) = profile(m, params)?;
    Ok(m.profiles.size(number, value.as_deref().map(str::as_bytes)).into())
}

fn profile_list(m: &dyn Module, core: &Core, now: Now, params: &[Json]) -> Answer {
    let m = module(m)?;
    let (number, value) = profile(m, params)?;
    let inside = |dialog: &Arc<Dialog>| {
        let facts = dialog.facts();
        facts
            .profiles
            .iter()
            .any(|(n, v)| *n == number && value.as_ref().is_none_or(|w| **v == *w.as_bytes()))
    };
    Ok(describe_all(m, core, now, m.table.all().into_iter().filter(inside)))
}

fn stats_active(m: &dyn Module, _: &Core, _: Now, _: &[Json]) -> Answer {
    let m = module(m)?;
    let mut counts = [0_u64; 6];
    for dialog in m.table.all() {
        if let Some(count) = counts.get_mut(dialog.facts().state as usize) {
            *count += 1;
        }
    }
    let [_, starting, connecting, answering, ongoing, _] = counts;
    Ok(json!({
        "starting": starting,
        "connecting": connecting,
        "answering": answering,
        "ongoing": ongoing,
        "all": starting + connecting + answering + ongoing,
    }))
}
