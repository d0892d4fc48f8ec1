//! `$branch(..) $sbranch(..) $br $bR $ds`: the destination set.

use script::{Branch, Index, PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::net::{find_socket, listener, socket_text};
use super::target::text;

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "branch" Keyword(FIELDS) "Field of an added branch, `$(branch(uri)[0])`: `uri dst_uri path q send_socket count flags ruid location_ua \
        instance reg_id otcpid sockname`. Writing null to `uri` removes the branch." branch, set_branch;
    "sbranch" Keyword(FIELDS) "Field of the branch that `KSR.pvx.sbranch_append()` adds and `sbranch_set_ruri()` makes the Request-URI." sbranch, set_sbranch;
    "br" None "URI of the first added branch; writing it adds a branch." |ctx, _| {
        ctx.branches.first().map_or(Value::Null, |b| Value::str(&b.uri))
    }, add;
    "bR" None "URIs of all added branches, with commas between." |ctx, _| {
        if ctx.branches.is_empty() {
            return Value::Null;
        }
        let all: Vec<String> = ctx.branches.iter().map(|b| contact(&b.uri, b.q, false)).collect();
        Value::owned(all.join(", "))
    };
    "ds" None "The destination set as a Contact header: the Request-URI when it was changed, and all added branches." destination_set;
};

const FIELDS: &[&str] = &[
    "uri",
    "dst_uri",
    "path",
    "q",
    "send_socket",
    "count",
    "flags",
    "ruid",
    "location_ua",
    "instance",
    "reg_id",
    "otcpid",
    "sockname",
];

/// The branch scripts prepare with `$sbranch(..)`.
#[derive(Debug, Default)]
pub struct StaticBranch(pub Branch);

impl StaticBranch {
    /// An empty branch has q unset.
    pub fn reset(&mut self) {
        self.0 = Branch { q: -1, ..Branch::default() };
    }
}

fn contact(uri: &[u8], q: i32, brackets: bool) -> String {
    let uri = String::from_utf8_lossy(uri);
    match q {
        0..=1000 => format!("<{uri}>;q={}", f64::from(q) / 1000.0),
        _ if brackets => format!("<{uri}>"),
        _ => uri.into_owned(),
    }
}

fn destination_set<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let mut all = Vec::new();
    if !ctx.target.uri.is_empty() {
        all.push(contact(&ctx.target.uri, ctx.target.q, true));
    }
    all.extend(ctx.branches.iter().map(|b| contact(&b.uri, b.q, true)));
    if all.is_empty() {
        return Value::Null;
    }
    Value::owned(format!("Contact: {}", all.join(", ")))
}

/// Adds a branch with this URI; false when the destination set is full.
pub fn append(ctx: &mut RouteContext<'_>, branch: Branch) -> bool {
    if branch.uri.is_empty() || ctx.branches.len() >= ctx.core.config.max_branches {
        return false;
    }
    ctx.branches.push(branch);
    true
}

fn add(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Str(uri) => append(ctx, Branch { uri: uri.into_owned(), q: -1, ..Branch::default() }),
        _ => false,
    }
}

fn field<'c>(ctx: &'c RouteContext<'_>, branch: &'c Branch, field: usize) -> Value<'c> {
    match field {
        0 => text(&branch.uri),
        1 => text(&branch.dst_uri),
        2 => text(&branch.path),
        3 if branch.q < 0 => Value::Null,
        3 => Value::Int(i64::from(branch.q)),
        4 => listener(ctx, branch.socket)
            .map_or(Value::Null, |l| Value::owned(socket_text(l.transport, l.address))),
        6 => Value::Int(i64::from(branch.flags)),
        7 => text(&branch.ruid),
        8 => text(&branch.location_ua),
        9 => text(&branch.instance),
        10 => Value::Int(i64::from(branch.reg_id)),
        11 => Value::Int(0),
        12 => Value::opt(listener(ctx, branch.socket).and_then(|l| l.name.as_deref()).map(str::as_bytes)),
        _ => Value::Null,
    }
}

fn set_field(ctx: &RouteContext<'_>, branch: &mut Branch, field: usize, value: Value<'_>) -> bool {
    let bytes = |v: Value<'_>| match v {
        Value::Str(s) => Some(s.into_owned()),
        Value::Null => Some(Vec::new()),
        _ => None,
    };
    let slot = match field {
        0 => &mut branch.uri,
        1 => &mut branch.dst_uri,
        2 => &mut branch.path,
        7 => &mut branch.ruid,
        8 => &mut branch.location_ua,
        9 => &mut branch.instance,
        3 => match value {
            Value::Null => {
                branch.q = -1;
                return true;
            }
            Value::Int(q @ 0..=1000) => {
                branch.q = q as i32;
                return true;
            }
            _ => return false,
        },
        4 | 12 => {
            branch.socket = match value {
                Value::Null => None,
                Value::Str(text) if field == 4 => match find_socket(ctx, &text) {
                    Some(socket) => Some(socket),
                    None => return false,
                },
                Value::Str(name) => {
                    let at = ctx
                        .core
                        .listeners
                        .iter()
                        .position(|l| l.name.as_deref().is_some_and(|n| n.as_bytes() == &*name));
                    match at.and_then(|at| u16::try_from(at).ok()) {
                        Some(at) => Some(transaction::SocketId(at)),
                        None => return false,
                    }
                }
                _ => return false,
            };
            return true;
        }
        6 | 10 => {
            let n = match value {
                Value::Null => 0,
                Value::Int(n) => n as u32,
                _ => return false,
            };
            *if field == 6 { &mut branch.flags } else { &mut branch.reg_id } = n;
            return true;
        }
        // count and otcpid are read only; Kamailio takes the assignment all the same.
        _ => return true,
    };
    match bytes(value) {
        Some(new) => {
            *slot = new;
            true
        }
        None => false,
    }
}

fn branch<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let k = pv.keyword();
    if k == 5 {
        return Value::Int(ctx.branches.len() as i64);
    }
    let at = pv.index(ctx).position(ctx.branches.len());
    at.and_then(|at| ctx.branches.get(at)).map_or(Value::Null, |b| field(ctx, b, k))
}

fn set_branch(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    if pv.index(ctx) == Index::All {
        return false;
    }
    let Some(at) = pv.index(ctx).position(ctx.branches.len()) else { return false };
    if pv.keyword() == 0 && value.is_null() {
        ctx.branches.remove(at);
        return true;
    }
    // Taken out for the while so that the context can be asked for sockets.
    let Some(slot) = ctx.branches.get_mut(at) else { return false };
    let mut branch = std::mem::take(slot);
    let done = set_field(ctx, &mut branch, pv.keyword(), value);
    if let Some(slot) = ctx.branches.get_mut(at) {
        *slot = branch;
    }
    done
}

fn sbranch<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    ctx.slots.peek::<StaticBranch>().map_or(Value::Null, |b| field(ctx, &b.0, pv.keyword()))
}
fn set_sbranch(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    if ctx.slots.peek::<StaticBranch>().is_none() {
        ctx.slots.slot::<StaticBranch>().reset();
    }
    let mut branch = std::mem::take(&mut ctx.slots.slot::<StaticBranch>().0);
    let done = set_field(ctx, &mut branch, pv.keyword(), value);
    ctx.slots.slot::<StaticBranch>().0 = branch;
    done
}
