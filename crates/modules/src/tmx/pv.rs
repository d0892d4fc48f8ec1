//! `$T(...)`, `$T_branch(...)`, `$T_reply_code` and their like.

use message::Method;
use script::pv::Inner;
use script::{Branch, PseudoVariable, Pv, RouteContext, RouteKind, Services, Value};

use crate::tm::view;

macro_rules! row {
    ($name:literal, $inner:expr, $get:expr, $doc:literal) => {
        PseudoVariable { module: "tmx", name: $name, doc: $doc, inner: $inner, get: $get, set: None }
    };
}

/// The rows.
pub(super) const ROWS: &[PseudoVariable] = &[
    row!("T", Inner::Keyword(T_KEYS), transaction, "Attribute of the current transaction; null without one."),
    row!(
        "T_branch",
        Inner::Keyword(BRANCH_KEYS),
        branch,
        "Attribute of the current branch of the transaction."
    ),
    row!(
        "T_branch_idx",
        Inner::None,
        branch_index,
        "Index of the current branch; in a failure route, and in the request route, the number of branches made so far; -1 in others."
    ),
    row!(
        "T_inv",
        Inner::Pv,
        invite,
        "A pseudo-variable evaluated on the INVITE that this CANCEL or ACK belongs to."
    ),
    row!(
        "T_reply_code",
        Inner::None,
        reply_code,
        "Code of the reply the route is about, or the last one sent; 0 when none."
    ),
    row!(
        "T_reply_last",
        Inner::None,
        reply_last,
        "Code of the last reply received, 0 when none; null in a request route."
    ),
    row!("T_reply_reason", Inner::None, reply_reason, "Reason phrase of the reply the route is about."),
    row!(
        "T_reply_ruid",
        Inner::None,
        reply_ruid,
        "Location record id of the branch whose reply the route is about."
    ),
    row!(
        "T_req",
        Inner::Pv,
        request,
        "A pseudo-variable evaluated on the transaction's request, for reply routes."
    ),
    row!("T_rpl", Inner::Pv, reply, "A pseudo-variable evaluated on the reply chosen, for failure routes."),
];

const T_KEYS: &[&str] = &[
    "id_index",
    "id_label",
    "id_label_n",
    "id_index_n",
    "reply_code",
    "reply_type",
    "branch_index",
    "ruid",
    "id_label_x",
    "id_index_x",
    "reply_last",
    "uac_count",
    "method",
];

fn transaction<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let Some(id) = ctx.transaction else { return Value::Null };
    match T_KEYS.get(pv.keyword()).copied().unwrap_or_default() {
        "id_index" | "id_index_n" => Value::Int(i64::from(id.index)),
        "id_label" | "id_label_n" => Value::Int(i64::from(id.label)),
        "id_index_x" => Value::owned(format!("{:x}", id.index)),
        "id_label_x" => Value::owned(format!("{:x}", id.label)),
        "reply_code" => reply_code(ctx, pv),
        "reply_last" => reply_last(ctx, pv),
        // 1: the reply was made here (a timeout); 0: it was received, or there is none.
        "reply_type" => Value::Int(i64::from(
            matches!(ctx.kind, RouteKind::Failure | RouteKind::BranchFailure) && ctx.reply.is_none(),
        )),
        "branch_index" => branch_index(ctx, pv),
        "ruid" => reply_ruid(ctx, pv),
        "uac_count" => match view(ctx, 0, |v| v.branch_count() as i64) {
            0 => Value::Null,
            n => Value::Int(n),
        },
        "method" => {
            let mut method = Value::Null;
            ctx.transactions.view(ctx, &mut |v| {
                if let Some(v) = v {
                    method = Value::owned(v.request().method_text().to_vec());
                }
            });
            method
        }
        _ => Value::Null,
    }
}

const BRANCH_KEYS: &[&str] = &["flags", "uri", "ruid"];

fn branch<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let key = BRANCH_KEYS.get(pv.keyword()).copied().unwrap_or_default();
    if ctx.kind == RouteKind::Branch {
        return match key {
            "flags" => Value::Int(i64::from(ctx.target.flags)),
            "uri" => Value::str(ctx.request_uri()),
            _ => Value::str(&ctx.target.ruid),
        };
    }
    let n = ctx.branch_index;
    let mut value = Value::Null;
    ctx.transactions.view(ctx, &mut |v| {
        let Some(b) = v.and_then(|v| v.branch(n)) else { return };
        let kept = b.script.and_then(|s| s.downcast_ref::<Branch>());
        value = match key {
            "flags" => Value::Int(kept.map_or(0, |k| i64::from(k.flags))),
            "uri" => Value::owned(b.uri.to_vec()),
            _ => kept.map_or(Value::Null, |k| Value::owned(k.ruid.clone())),
        };
    });
    value
}

fn branch_index<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    match ctx.kind {
        RouteKind::Branch | RouteKind::OnReply | RouteKind::BranchFailure => {
            Value::Int(i64::from(ctx.branch_index))
        }
        RouteKind::Onsend if ctx.transaction.is_some() => Value::Int(i64::from(ctx.branch_index)),
        RouteKind::Failure => {
            let made = view(ctx, 0, |v| v.branch_count()) + ctx.decision.branches.len();
            Value::Int((made + ctx.branches.len()) as i64)
        }
        // The index the next branch will have.
        RouteKind::Request => Value::Int(ctx.branches.len() as i64),
        _ => Value::Int(-1),
    }
}

fn reply_code<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let code = match ctx.kind {
        RouteKind::OnReply | RouteKind::Reply => ctx.message.status(),
        RouteKind::Failure | RouteKind::BranchFailure => ctx.reply_code,
        _ => view(ctx, 0, |v| v.status()),
    };
    Value::Int(i64::from(code))
}

fn reply_last<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    if ctx.kind == RouteKind::Request {
        return Value::Null;
    }
    let n = ctx.branch_index;
    Value::Int(i64::from(view(ctx, 0, |v| v.branch(n).map_or(0, |b| b.code))))
}

fn reply_reason<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    match (ctx.kind, &ctx.reply) {
        (RouteKind::OnReply | RouteKind::Reply, _) => Value::str(ctx.message.reason()),
        (_, Some(reply)) => Value::str(reply.reason()),
        (RouteKind::Failure | RouteKind::BranchFailure, None) => Value::str(b"Request Timeout"),
        _ => Value::Null,
    }
}

fn reply_ruid<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let n = ctx.branch_index;
    let mut value = Value::Null;
    ctx.transactions.view(ctx, &mut |v| {
        let kept =
            v.and_then(|v| v.branch(n)).and_then(|b| b.script.and_then(|s| s.downcast_ref::<Branch>()));
        if let Some(kept) = kept {
            value = Value::owned(kept.ruid.clone());
        }
    });
    value
}

fn services<'s>(ctx: &RouteContext<'s>) -> Services<'s> {
    Services {
        core: ctx.core,
        transactions: ctx.transactions,
        engine: ctx.engine,
        worker: ctx.worker,
        outbox: ctx.outbox,
    }
}

/// Null in a request route, where the message is the request.
fn request<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    if ctx.kind == RouteKind::Request { Value::Null } else { of_transaction(ctx, pv) }
}

/// The inner pseudo-variable on the transaction's request as it came in.
fn of_transaction<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let (Some(inner), Some(state)) = (pv.inner_pv(), ctx.transactions.request_state(ctx)) else {
        return Value::Null;
    };
    let mut other = RouteContext::new(&services(ctx), ctx.kind, state.message, state.inbound, ctx.now);
    other.target = state.target;
    other.flags = state.flags;
    other.transaction = ctx.transaction;
    inner.get(&other).into_owned()
}

/// Null but for a CANCEL and an ACK: an INVITE has `$rm` and the like itself.
fn invite<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    match ctx.message.method() {
        Method::Cancel | Method::Ack => of_transaction(ctx, pv),
        _ => Value::Null,
    }
}

/// The inner pseudo-variable on the reply a failure route is about.
fn reply<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let (Some(inner), Some(reply)) = (pv.inner_pv(), &ctx.reply) else { return Value::Null };
    let mut other =
        RouteContext::new(&services(ctx), RouteKind::OnReply, reply.clone(), ctx.inbound, ctx.now);
    other.transaction = ctx.transaction;
    inner.get(&other).into_owned()
}
