//! Which side of the dialog is talking, and what this server wrote into its own Record-Route for later.

use message::{HeaderName, NameAddr};
use script::pv::Inner;
use script::{Outcome, PseudoVariable, Pv, RouteContext, Value};

use super::OwnRoute;
use crate::textops::regex_cache;

/// Parameters of this server's Route: those `loose_route` remembered, else those of the topmost Route if that is this server.
pub(crate) fn own_params<'c>(ctx: &'c RouteContext<'_>) -> Option<&'c [u8]> {
    if let Some(own) = ctx.slots.peek::<OwnRoute>()
        && let Some(params) = &own.params
    {
        return Some(params);
    }
    let uri = top_route(ctx)?.parse_uri().ok()?;
    ctx.is_myself(uri.host, Some(uri.port_or_default()), uri.transport()).then_some(uri.params.0)
}

fn top_route<'c>(ctx: &'c RouteContext<'_>) -> Option<NameAddr<'c>> {
    ctx.message.addresses(HeaderName::Route).next()?.ok()
}

pub(super) fn check_param(ctx: &RouteContext<'_>, expression: &[u8]) -> Outcome {
    let Some(params) = own_params(ctx) else { return Outcome::FALSE };
    match regex_cache::get(ctx, expression, regex_cache::Flags::USUAL) {
        // The scripts of this world write ";nat=yes": the list is matched with its leading semicolon.
        Ok(re) => Outcome::from(re.is_match(&[b";", params.strip_prefix(b";").unwrap_or(params)].concat())),
        Err(_) => Outcome::FALSE,
    }
}

/// From callee to caller: the `ftag` in this server's Route is not the From tag.
pub(crate) fn is_upstream(ctx: &RouteContext<'_>) -> bool {
    let Some(params) = own_params(ctx) else { return false };
    let Some(ftag) = message::Params(params).get("ftag").and_then(|p| p.value) else { return false };
    match ctx.message.from().ok().and_then(|f| f.tag()) {
        Some(tag) => !ftag.eq_ignore_ascii_case(tag),
        None => false,
    }
}

/// The From tag of the request that made the dialog.
pub(super) fn caller_tag<'c>(ctx: &'c RouteContext<'_>) -> Option<&'c [u8]> {
    side(ctx, is_upstream(ctx))
}

fn side<'c>(ctx: &'c RouteContext<'_>, to: bool) -> Option<&'c [u8]> {
    let address = if to { ctx.message.to() } else { ctx.message.from() };
    address.ok()?.tag()
}

const KINDS: &[&str] = &["id", "name"];

pub(super) const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "rr",
        name: "fti",
        doc: "From tag of the request that made the dialog, also in requests from the callee.",
        inner: Inner::None,
        get: |ctx, _| Value::opt(caller_tag(ctx)),
        set: None,
    },
    PseudoVariable {
        module: "rr",
        name: "tti",
        doc: "To tag the callee gave to the dialog, also in requests from the callee; null outside of a dialog.",
        inner: Inner::None,
        get: |ctx, _| Value::opt(side(ctx, !is_upstream(ctx)).filter(|t| !t.is_empty())),
        set: None,
    },
    PseudoVariable {
        module: "rr",
        name: "rdir",
        doc: "Direction of a request within a dialog: `$rdir(id)` 1 downstream (caller to callee), 2 upstream; `$rdir(name)` the word.",
        inner: Inner::Keyword(KINDS),
        get: direction,
        set: None,
    },
    PseudoVariable {
        module: "rr",
        name: "route_uri",
        doc: "URI of the topmost Route header as received; null when there is none.",
        inner: Inner::None,
        get: |ctx, _| Value::opt(top_route(ctx).map(|r| r.uri)),
        set: None,
    },
];

fn direction<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    match (pv.keyword(), is_upstream(ctx)) {
        (0, upstream) => Value::Int(if upstream { 2 } else { 1 }),
        (_, true) => Value::str(b"upstream"),
        (_, false) => Value::str(b"downstream"),
    }
}
