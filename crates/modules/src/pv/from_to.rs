//! `$fu $fU $fd $fn $ft` and `$tu $tU $td $tn $tt`: From and To. Writing goes into the message's edits.

use message::{HeaderName, NameAddr};
use script::{PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::target::{host_of, length, part_of, text, user_of};
use super::uri_edit;

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "fu" None "From URI." |ctx, _| uri(from(ctx)), |ctx, _, v| set_uri(ctx, Side::From, v);
    "from" None "From URI." |ctx, _| uri(from(ctx)), |ctx, _, v| set_uri(ctx, Side::From, v);
    "fU" None "User of the From URI; null when it has none. Writing null removes it." |ctx, _| part_of(ctx.message.from_uri(), |u| u.user), |ctx, _, v| set_user(ctx, Side::From, v);
    "from.user" None "User of the From URI." |ctx, _| part_of(ctx.message.from_uri(), |u| u.user), |ctx, _, v| set_user(ctx, Side::From, v);
    "fd" None "Host of the From URI." |ctx, _| part_of(ctx.message.from_uri(), |u| Some(u.host)), |ctx, _, v| set_host(ctx, Side::From, v);
    "from.domain" None "Host of the From URI." |ctx, _| part_of(ctx.message.from_uri(), |u| Some(u.host)), |ctx, _, v| set_host(ctx, Side::From, v);
    "fn" None "Display name of From with its quotes; null when there is none. Writing null removes it." |ctx, _| name(from(ctx)), |ctx, _, v| set_name(ctx, Side::From, v);
    "ft" None "Tag of From." |ctx, _| tag(from(ctx));
    "ful" None "Length of the From URI." |ctx, _| length(from(ctx).map(|n| n.uri));
    "fUl" None "Length of the From URI's user, 0 when it has none." |ctx, _| user_length(from(ctx));
    "tu" None "To URI." |ctx, _| uri(to(ctx)), |ctx, _, v| set_uri(ctx, Side::To, v);
    "to" None "To URI." |ctx, _| uri(to(ctx)), |ctx, _, v| set_uri(ctx, Side::To, v);
    "tU" None "User of the To URI; null when it has none. Writing null removes it." |ctx, _| part_of(ctx.message.to_uri(), |u| u.user), |ctx, _, v| set_user(ctx, Side::To, v);
    "to.user" None "User of the To URI." |ctx, _| part_of(ctx.message.to_uri(), |u| u.user), |ctx, _, v| set_user(ctx, Side::To, v);
    "td" None "Host of the To URI." |ctx, _| part_of(ctx.message.to_uri(), |u| Some(u.host)), |ctx, _, v| set_host(ctx, Side::To, v);
    "to.domain" None "Host of the To URI." |ctx, _| part_of(ctx.message.to_uri(), |u| Some(u.host)), |ctx, _, v| set_host(ctx, Side::To, v);
    "tn" None "Display name of To with its quotes; null when there is none. Writing null removes it." |ctx, _| name(to(ctx)), |ctx, _, v| set_name(ctx, Side::To, v);
    "tt" None "Tag of To; null when there is none." |ctx, _| tag(to(ctx));
    "tts" None "1 when To has a tag, else null." |ctx, _| to(ctx).and_then(|n| n.tag()).map_or(Value::Null, |_| Value::Int(1));
    "tUl" None "Length of the To URI's user, 0 when it has none; writing it writes the user." |ctx, _| user_length(to(ctx)), |ctx, _, v| set_user(ctx, Side::To, v);
    "di" None "URI of Diversion." |ctx, _| diversion(ctx).map_or(Value::Null, |n| Value::str(n.uri));
    "dir" None "Reason of Diversion." |ctx, _| diversion_param(ctx, "reason");
    "dip" None "Privacy of Diversion." |ctx, _| diversion_param(ctx, "privacy");
    "dic" None "Counter of Diversion." |ctx, _| diversion_param(ctx, "counter");
    "re" None "URI of Remote-Party-ID." |ctx, _| uri(first(ctx, HeaderName::RemotePartyId));
    "rt" None "URI of Refer-To." |ctx, _| uri(first(ctx, HeaderName::ReferTo));
    "ai" None "URI of P-Asserted-Identity; `$(ai[1])` the second." |ctx, pv| uri(nth(ctx, pv, HeaderName::PAssertedIdentity));
    "pu" None "URI of P-Preferred-Identity; `$(pu[1])` the second." |ctx, pv| uri(nth(ctx, pv, HeaderName::PPreferredIdentity));
    "pU" None "User of P-Preferred-Identity." |ctx, pv| user(nth(ctx, pv, HeaderName::PPreferredIdentity));
    "pd" None "Host of P-Preferred-Identity." |ctx, pv| host(nth(ctx, pv, HeaderName::PPreferredIdentity));
    "pn" None "Display name of P-Preferred-Identity." |ctx, pv| name(nth(ctx, pv, HeaderName::PPreferredIdentity));
};

fn from<'c>(ctx: &'c RouteContext<'_>) -> Option<NameAddr<'c>> {
    ctx.message.from().ok()
}
fn to<'c>(ctx: &'c RouteContext<'_>) -> Option<NameAddr<'c>> {
    ctx.message.to().ok()
}
fn first<'c>(ctx: &'c RouteContext<'_>, header: HeaderName) -> Option<NameAddr<'c>> {
    ctx.message.addresses(header).next()?.ok()
}
fn nth<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv, header: HeaderName) -> Option<NameAddr<'c>> {
    let at = pv.index(ctx).position(ctx.message.addresses(header).count())?;
    ctx.message.addresses(header).nth(at)?.ok()
}
fn diversion<'c>(ctx: &'c RouteContext<'_>) -> Option<NameAddr<'c>> {
    first(ctx, HeaderName::Diversion)
}
fn diversion_param<'c>(ctx: &'c RouteContext<'_>, name: &str) -> Value<'c> {
    Value::opt(diversion(ctx).and_then(|n| n.params.get(name)).map(|p| p.unquoted()))
}

fn uri(address: Option<NameAddr<'_>>) -> Value<'_> {
    Value::opt(address.map(|n| n.uri))
}
fn user(address: Option<NameAddr<'_>>) -> Value<'_> {
    address.map_or(Value::Null, |n| user_of(n.uri))
}
fn host(address: Option<NameAddr<'_>>) -> Value<'_> {
    address.map_or(Value::Null, |n| host_of(n.uri))
}
fn name(address: Option<NameAddr<'_>>) -> Value<'_> {
    address.map_or(Value::Null, |n| text(n.display))
}
fn tag(address: Option<NameAddr<'_>>) -> Value<'_> {
    Value::opt(address.and_then(|n| n.tag()))
}
fn user_length(address: Option<NameAddr<'_>>) -> Value<'static> {
    let Some(n) = address else { return Value::Null };
    Value::Int(n.parse_uri().ok().and_then(|u| u.user).map_or(0, <[u8]>::len) as i64)
}

/// Which header is written.
#[derive(Debug, Clone, Copy)]
enum Side {
    From,
    To,
}

/// Changes the address: `uri` makes another URI of the one that stands there, `display` is the new display name. Both start from what
/// was written before, so `$fU` and `$fd` one after the other change user and host.
fn edit(
    ctx: &mut RouteContext<'_>,
    side: Side,
    uri: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    display: Option<&[u8]>,
) -> bool {
    let message = ctx.message.clone();
    let address = match side {
        Side::From => message.from(),
        Side::To => message.to(),
    };
    let Ok(address) = address else { return false };
    let at = |slice: &[u8]| message.offset_of(slice);
    let (Some(start), Some(uri_start)) = (at(address.text), at(address.uri)) else { return false };
    let uri_end = uri_start + address.uri.len() as u32;
    let bracketed = uri_start > start;
    let rewritten = ctx.edits.inserted_at(uri_start).filter(|_| ctx.edits.is_removed(uri_start));
    let written = rewritten.unwrap_or(address.uri).to_vec();
    // An addr-spec that was given a name became a name-addr in the URI's place.
    let now = NameAddr::parse(&written).ok().filter(|n| !bracketed && n.uri.len() < written.len());
    let (name, old) = now.map_or((&b""[..], &written[..]), |n| (n.display, n.uri));
    let Some(new) = uri(old) else { return false };
    if bracketed {
        if new != old {
            ctx.edits.rewrite(uri_start, uri_end, &new);
        }
        if let Some(display) = display {
            let space: &[u8] = if display.is_empty() { b"" } else { b" " };
            ctx.edits.rewrite(start, uri_start - 1, &[display, space].concat());
        }
        return true;
    }
    match display.unwrap_or(name) {
        b"" => ctx.edits.rewrite(uri_start, uri_end, &new),
        // An addr-spec has no room for a name: it becomes a name-addr.
        name => ctx.edits.rewrite(uri_start, uri_end, &[name, b" <", &new, b">"].concat()),
    }
    true
}

fn set_uri(ctx: &mut RouteContext<'_>, side: Side, value: Value<'_>) -> bool {
    match value {
        Value::Str(uri) if !uri.is_empty() => edit(ctx, side, |_| Some(uri.into_owned()), None),
        // As Kamailio: an address cannot be unset, and that is no error.
        Value::Null => true,
        _ => false,
    }
}
fn set_user(ctx: &mut RouteContext<'_>, side: Side, value: Value<'_>) -> bool {
    let user = match value {
        Value::Null => Default::default(),
        Value::Str(user) => user,
        _ => return false,
    };
    edit(ctx, side, |u| uri_edit::with_user(u, &user), None)
}
fn set_host(ctx: &mut RouteContext<'_>, side: Side, value: Value<'_>) -> bool {
    match value {
        // A URI without host, tel:, stays as it is.
        Value::Str(host) => {
            edit(ctx, side, |u| uri_edit::with_host(u, &host).or_else(|| Some(u.to_vec())), None)
        }
        _ => false,
    }
}
fn set_name(ctx: &mut RouteContext<'_>, side: Side, value: Value<'_>) -> bool {
    match value {
        Value::Null => edit(ctx, side, |u| Some(u.to_vec()), Some(b"")),
        Value::Str(name) => edit(ctx, side, |u| Some(u.to_vec()), Some(&name)),
        _ => false,
    }
}
