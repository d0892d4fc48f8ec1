//! `$dlg(...)`, `$dlg_ctx(...)`, `$dlg_var(...)`, `$DLG_count` and their like.

use std::sync::Arc;

use script::pv::Inner;
use script::{PseudoVariable, Pv, RouteContext, Value};

use super::dialog::{Dialog, Direction, State, TIMEOUT_BYE};
use super::requests::socket_name;
use super::{DialogModule, Pending, follow};

const DLG: &[&str] = &[
    "h_id",
    "h_entry",
    "ref",
    "callid",
    "to_uri",
    "to_tag",
    "from_uri",
    "from_tag",
    "toroute",
    "lifetime",
    "start_ts",
    "dflags",
    "sflags",
    "state",
    "to_rs",
    "from_rs",
    "to_cseq",
    "from_cseq",
    "to_contact",
    "from_contact",
    "to_bindaddr",
    "from_bindaddr",
    "init_ts",
    "end_ts",
    "iflags",
    "ruri",
];

const CTX: &[&str] = &[
    "on",
    "flags",
    "timeout_route",
    "timeout_bye",
    "timeout",
    "set",
    "dir",
    "timeout_route_id",
    "cpid",
    "to_route",
];

pub(super) const ROWS: &[PseudoVariable] = &[
    PseudoVariable {
        module: "dialog",
        name: "DLG_count",
        doc: "Number of dialogs that are confirmed.",
        inner: Inner::None,
        get: |ctx, _| match module(ctx) {
            Some(m) => Value::Int(m.counters.active.load(std::sync::atomic::Ordering::Relaxed)),
            None => Value::Null,
        },
        set: None,
    },
    PseudoVariable {
        module: "dialog",
        name: "DLG_status",
        doc: "State of the current dialog: 1 made, 2 ringing, 3 answered, 4 confirmed, 5 ended; null without one.",
        inner: Inner::None,
        get: |ctx, _| match current(ctx) {
            Some(dialog) => Value::Int(dialog.facts().state as i64),
            None => Value::Null,
        },
        set: None,
    },
    PseudoVariable {
        module: "dialog",
        name: "DLG_lifetime",
        doc: "Seconds since the current dialog was answered; null without one, and before.",
        inner: Inner::None,
        get: lifetime,
        set: None,
    },
    PseudoVariable {
        module: "dialog",
        name: "dlg",
        doc: "Attribute of the current dialog: Call-ID, tags, URIs, contacts, route sets, state, times.",
        inner: Inner::Keyword(DLG),
        get: attribute,
        set: None,
    },
    PseudoVariable {
        module: "dialog",
        name: "dlg_ctx",
        doc: "Setting of the current dialog, or of the one that is to be made: `timeout`, `timeout_bye`, `timeout_route`, `flags` can be \
              written.",
        inner: Inner::Keyword(CTX),
        get: context,
        set: Some(set_context),
    },
    PseudoVariable {
        module: "dialog",
        name: "dlg_var",
        doc: "Variable kept with the current dialog, or with the one that is to be made.",
        inner: Inner::Text,
        get: |ctx, pv| match module(ctx).and_then(|m| var(m, ctx, &pv.inner_text(ctx))) {
            Some(value) => Value::owned(value),
            None => Value::Null,
        },
        set: Some(|ctx, pv, value| {
            let name = pv.inner_text(ctx).into_owned();
            let core = ctx.core;
            let Some(module) = core.registry.module::<DialogModule>() else { return false };
            match value.is_null() {
                true => set_var(module, ctx, &name, None),
                false => set_var(module, ctx, &name, Some(&value.to_text())),
            }
        }),
    },
];

fn module<'c>(ctx: &'c RouteContext<'_>) -> Option<&'c DialogModule> {
    ctx.core.registry.module::<DialogModule>()
}

fn current(ctx: &RouteContext<'_>) -> Option<Arc<Dialog>> {
    module(ctx)?.current(ctx)
}

/// A variable of the current dialog, or one that waits for it to be made.
pub(super) fn var(module: &DialogModule, ctx: &RouteContext<'_>, name: &[u8]) -> Option<Vec<u8>> {
    match module.current(ctx) {
        Some(dialog) => dialog.var(name).map(Vec::from),
        None => {
            let pending = ctx.slots.peek::<Pending>()?;
            pending.vars.iter().find(|(n, _)| **n == *name).map(|(_, v)| v.to_vec())
        }
    }
}

/// Sets or removes a variable.
pub(super) fn set_var(
    module: &DialogModule,
    ctx: &mut RouteContext<'_>,
    name: &[u8],
    value: Option<&[u8]>,
) -> bool {
    if module.settings.debug_variables {
        tracing::info!(target: "dialog", "$dlg_var({}) = {}", String::from_utf8_lossy(name),
            value.map_or("<null>".into(), String::from_utf8_lossy));
    }
    match module.current(ctx) {
        Some(dialog) => {
            let set = dialog.set_var(name, value);
            module.changed(&dialog);
            set
        }
        None => {
            let vars = &mut ctx.slots.slot::<Pending>().vars;
            vars.retain(|(n, _)| **n != *name);
            if let Some(value) = value {
                vars.insert(0, (name.into(), value.into()));
            }
            true
        }
    }
}

fn lifetime<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let Some(dialog) = current(ctx) else { return Value::Null };
    let facts = dialog.facts();
    match (facts.started, facts.ended) {
        (0, _) => Value::Null,
        (started, 0) => Value::Int(follow::unix(ctx) - started),
        (started, ended) => Value::Int(ended - started),
    }
}

fn attribute<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let Some(dialog) = current(ctx) else { return Value::Null };
    let facts = dialog.facts();
    let text = |text: &[u8]| if text.is_empty() { Value::Null } else { Value::owned(text.to_vec()) };
    let socket = |socket: Option<transaction::SocketId>| {
        let listener = socket.and_then(|s| ctx.core.listeners.get(usize::from(s.0)));
        listener.map_or(Value::Null, |l| Value::owned(socket_name(l)))
    };
    match DLG.get(pv.keyword()).copied().unwrap_or_default() {
        "h_id" => Value::Int(i64::from(dialog.id)),
        "h_entry" => Value::Int(i64::from(dialog.entry)),
        // One for the table, one for whoever works on it: those of this context are not counted.
        "ref" => Value::Int(if facts.state == State::Ended { 1 } else { 2 }),
        "callid" => text(&dialog.call_id),
        "to_uri" => text(&dialog.to_uri),
        "to_tag" => text(&facts.to_tag),
        "from_uri" => text(&dialog.from_uri),
        "from_tag" => text(&dialog.from_tag),
        "ruri" => text(&dialog.request_uri),
        "toroute" => text(&facts.timeout_route),
        "lifetime" => Value::Int(i64::from(facts.lifetime)),
        "start_ts" => Value::Int(facts.started),
        "init_ts" => Value::Int(facts.made),
        "end_ts" => Value::Int(facts.ended),
        "dflags" => Value::Int(facts.seen()),
        "sflags" => Value::Int(i64::from(facts.flags)),
        "iflags" => Value::Int(i64::from(facts.properties)),
        "state" => Value::Int(facts.state as i64),
        "to_rs" => text(&facts.callee.route_set),
        "from_rs" => text(&facts.caller.route_set),
        "to_cseq" => Value::owned(facts.callee.cseq.to_string()),
        "from_cseq" => Value::owned(facts.caller.cseq.to_string()),
        "to_contact" => text(&facts.callee.contact),
        "from_contact" => text(&facts.caller.contact),
        "to_bindaddr" => socket(facts.callee.socket),
        "from_bindaddr" => socket(facts.caller.socket),
        _ => Value::Null,
    }
}

fn context<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let dialog = current(ctx);
    let pending = ctx.slots.peek::<Pending>();
    let (flags, properties, timeout, route, direction) = match &dialog {
        Some(dialog) => {
            let f = dialog.facts();
            (f.flags, f.properties, f.lifetime, f.timeout_route.to_vec(), f.direction)
        }
        None => match pending {
            Some(p) => (p.flags, p.properties, p.timeout.unwrap_or(0), p.timeout_route.to_vec(), None),
            None => Default::default(),
        },
    };
    match CTX.get(pv.keyword()).copied().unwrap_or_default() {
        "on" => Value::Int(i64::from(ctx.kept.peek::<Dialog>().is_some())),
        "set" => Value::Int(i64::from(dialog.is_some())),
        "flags" => Value::Int(i64::from(flags)),
        "timeout" => Value::Int(i64::from(timeout)),
        "timeout_bye" => Value::Int(i64::from(properties & TIMEOUT_BYE != 0)),
        "timeout_route" | "to_route" if !route.is_empty() => Value::owned(route),
        "dir" => Value::Int(match direction {
            Some(Direction::Downstream) => 1,
            Some(Direction::Upstream) => 2,
            None => 0,
        }),
        "cpid" => Value::Int(i64::from(ctx.core.config.pid)),
        "timeout_route_id" => Value::Int(0),
        _ => Value::Null,
    }
}

fn set_context(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let core = ctx.core;
    let Some(module) = core.registry.module::<DialogModule>() else { return false };
    let dialog = module.current(ctx);
    let number = value.to_int().and_then(|n| u32::try_from(n).ok());
    match CTX.get(pv.keyword()).copied().unwrap_or_default() {
        "timeout" => {
            let Some(seconds) = number.filter(|n| *n > 0) else { return false };
            match &dialog {
                Some(dialog) => return module.set_timeout(dialog, i64::from(seconds), follow::unix(ctx)),
                None => ctx.slots.slot::<Pending>().timeout = Some(seconds),
            }
        }
        "timeout_bye" => {
            let on = number.unwrap_or(0) != 0;
            let change = |p: &mut u32| if on { *p |= TIMEOUT_BYE } else { *p &= !TIMEOUT_BYE };
            match &dialog {
                Some(dialog) => change(&mut dialog.facts().properties),
                None => change(&mut ctx.slots.slot::<Pending>().properties),
            }
        }
        "timeout_route" | "to_route" => {
            let route: Box<[u8]> = value.to_text().as_ref().into();
            match &dialog {
                Some(dialog) => dialog.facts().timeout_route = route,
                None => ctx.slots.slot::<Pending>().timeout_route = route,
            }
        }
        "flags" => {
            let Some(flags) = number else { return false };
            match &dialog {
                Some(dialog) => dialog.facts().flags = flags,
                None => ctx.slots.slot::<Pending>().flags = flags,
            }
        }
        // Kamailio's switches of its own: they may be written, and nothing depends on them here.
        "on" | "set" | "dir" | "timeout_route_id" | "cpid" => {}
        _ => return false,
    }
    if let Some(dialog) = &dialog {
        module.changed(dialog);
    }
    true
}
