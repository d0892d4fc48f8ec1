//! `$ru $rU $rd $rp $du $ou $nh(..) $dd`: the Request-URI, where it goes next, and how it was received.

use message::{Fault, Message, Uri};
use script::{PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::uri_edit;

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "ru" None "Request-URI: as it stands after changes; null for replies. Writing it also takes the branch's Path away." ru, set_ru;
    "ruri" None "Request-URI, as `$ru`." ru, set_ru;
    "rU" None "User of the Request-URI; null when it has none. Writing null or an empty text removes the user." user, set_user;
    "ruri.user" None "User of the Request-URI, as `$rU`." user, set_user;
    "rd" None "Host of the Request-URI." host, set_host;
    "ruri.domain" None "Host of the Request-URI, as `$rd`." host, set_host;
    "rp" None "Port of the Request-URI as text, 5060 when it has none. Writing null removes it." port, set_port;
    "rP" None "Transport of the Request-URI as written, `UDP` when it has none." transport, |_, _, _| true;
    "rz" None "Scheme of the Request-URI." scheme;
    "rul" None "Length of the Request-URI." |ctx, _| length(Some(ctx.request_uri()).filter(|u| !u.is_empty()));
    "rUl" None "Length of the Request-URI's user, 0 when it has none." |ctx, _| {
        user_length(ctx.request_uri())
    };
    "du" None "Next hop that overrides the Request-URI (outbound proxy); null when unset. Writing null removes it." du, set_du;
    "duri" None "Next hop, as `$du`." du, set_du;
    "dd" None "Host of `$du`." |ctx, _| Value::opt(part(&ctx.target.dst_uri, |u| Some(u.host)));
    "dp" None "Port of `$du` as text, 5060 when it has none." |ctx, _| port_of(&ctx.target.dst_uri);
    "dP" None "Transport of `$du` as written, `UDP` when it has none." |ctx, _| transport_of(&ctx.target.dst_uri);
    "ou" None "Request-URI as received." |ctx, _| received(&ctx.message);
    "ouri" None "Request-URI as received." |ctx, _| received(&ctx.message);
    "oU" None "User of the Request-URI as received." |ctx, _| user_of(ctx.message.request_uri());
    "od" None "Host of the Request-URI as received." |ctx, _| Value::opt(part(ctx.message.request_uri(), |u| Some(u.host)));
    "op" None "Port of the Request-URI as received." |ctx, _| port_of(ctx.message.request_uri());
    "oP" None "Transport of the Request-URI as received." |ctx, _| transport_of(ctx.message.request_uri());
    "oUl" None "Length of the user of the Request-URI as received." |ctx, _| {
        user_length(ctx.message.request_uri())
    };
    "nh" Keyword(&["u", "U", "d", "h", "p", "P"]) "Next hop, `$du` or else the Request-URI: `u` URI, `U` user, `d` or `h` host, `p` port, \
        `P` transport. Replies: from the second Via." next_hop;
    "ruid" None "Id of the location record the Request-URI came from." |ctx, _| text(&ctx.target.ruid);
    "location_ua" None "User-Agent of the location record the Request-URI came from." |ctx, _| text(&ctx.target.location_ua);
};

/// Text, null when empty.
pub(super) fn text(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Null } else { Value::str(bytes) }
}

/// Length of a text; null stays null.
pub(super) fn length(bytes: Option<&[u8]>) -> Value<'static> {
    bytes.map_or(Value::Null, |b| Value::Int(b.len() as i64))
}

fn user_length(uri: &[u8]) -> Value<'static> {
    if uri.is_empty() {
        return Value::Null;
    }
    length(Some(part(uri, |u| u.user).unwrap_or_default()))
}

/// A non-empty part of a parsed URI.
pub(super) fn part_of<'u>(
    uri: Result<Uri<'u>, Fault>,
    pick: impl FnOnce(&Uri<'u>) -> Option<&'u [u8]>,
) -> Value<'u> {
    Value::opt(uri.ok().and_then(|u| pick(&u)).filter(|p| !p.is_empty()))
}

fn part<'u>(uri: &'u [u8], pick: impl FnOnce(&Uri<'u>) -> Option<&'u [u8]>) -> Option<&'u [u8]> {
    if uri.is_empty() {
        return None;
    }
    let uri = Uri::parse(uri).ok()?;
    pick(&uri).filter(|p| !p.is_empty())
}

/// User of a URI; null when it has none or is no URI.
pub(super) fn user_of(uri: &[u8]) -> Value<'_> {
    Value::opt(part(uri, |u| u.user))
}
/// Host of a URI.
pub(super) fn host_of(uri: &[u8]) -> Value<'_> {
    Value::opt(part(uri, |u| Some(u.host)))
}

/// Port as text: as written where it is, so that nothing is allocated.
pub(super) fn port_of(uri: &[u8]) -> Value<'_> {
    if uri.is_empty() { Value::Null } else { port_in(Uri::parse(uri)) }
}

fn port_in(uri: Result<Uri<'_>, Fault>) -> Value<'_> {
    let Ok(uri) = uri else { return Value::Null };
    if uri.port.is_none() {
        return Value::str(b"5060");
    }
    let host_end = (uri.host.as_ptr() as usize).wrapping_sub(uri.text.as_ptr() as usize) + uri.host.len();
    let digits = uri.text.get(host_end + 1..).unwrap_or_default();
    let len = digits.iter().take_while(|c| c.is_ascii_digit()).count();
    Value::opt(digits.get(..len))
}

pub(super) fn transport_of(uri: &[u8]) -> Value<'_> {
    if uri.is_empty() {
        return Value::Null;
    }
    match Uri::parse(uri) {
        Ok(u) => Value::str(u.params.get("transport").and_then(|p| p.value).unwrap_or(b"UDP")),
        Err(_) => Value::Null,
    }
}

fn ru<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    if ctx.target.uri.is_empty() {
        return text(ctx.message.request_uri());
    }
    // A script may have written anything.
    if ctx.message.is_request() && Uri::parse(&ctx.target.uri).is_ok() {
        Value::str(&ctx.target.uri)
    } else {
        Value::Null
    }
}
fn user<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    part_of(ctx.parse_request_uri(), |u| u.user)
}
fn host<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    part_of(ctx.parse_request_uri(), |u| Some(u.host))
}
fn port<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    port_in(ctx.parse_request_uri())
}
fn transport<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    transport_of(ctx.request_uri())
}
fn scheme<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    let uri = ctx.request_uri();
    match uri.iter().position(|c| *c == b':') {
        Some(end) => Value::opt(uri.get(..end)),
        None => Value::Null,
    }
}
fn received(message: &Message) -> Value<'_> {
    text(message.request_uri())
}
fn du<'c>(ctx: &'c RouteContext<'_>, _: &'c Pv) -> Value<'c> {
    text(&ctx.target.dst_uri)
}

fn next_hop<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    if !ctx.message.is_request() {
        return reply_hop(ctx, pv);
    }
    let uri = ctx.next_hop_uri();
    match pv.keyword() {
        0 => text(uri),
        1 => user_of(uri),
        2 | 3 => host_of(uri),
        4 => port_of(uri),
        _ => transport_of(uri),
    }
}

fn reply_hop<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let Some(Ok(via)) = ctx.message.vias().nth(1) else { return Value::Null };
    let host = via.received.unwrap_or(via.host);
    let port = via.rport.flatten().unwrap_or(via.port_or_default());
    let transport = via.transport.map_or("udp", |t| t.lower());
    match pv.keyword() {
        0 => Value::owned([b"sip:", host, format!(":{port};transport={transport}").as_bytes()].concat()),
        2 | 3 => Value::str(host),
        4 => Value::Int(i64::from(port)),
        5 => Value::from(transport),
        _ => Value::Null,
    }
}

/// Replaces the Request-URI. As Kamailio it takes any text: what is no URI reads as null.
pub fn set_request_uri(ctx: &mut RouteContext<'_>, uri: &[u8]) -> bool {
    if uri.is_empty() {
        return false;
    }
    if ctx.message.is_request() {
        ctx.target.uri.clear();
        ctx.target.uri.extend_from_slice(uri);
    }
    true
}

/// Changes one part of the Request-URI.
pub fn change_request_uri(ctx: &mut RouteContext<'_>, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> bool {
    if !ctx.message.is_request() {
        return true;
    }
    match change(ctx.request_uri()) {
        Some(uri) => {
            ctx.target.uri = uri;
            true
        }
        None => false,
    }
}

fn set_ru(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Str(uri) => set_request_uri(ctx, &uri),
        _ => false,
    }
}
fn set_user(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Str(user) => change_request_uri(ctx, |u| uri_edit::with_user(u, &user)),
        Value::Null => change_request_uri(ctx, |u| uri_edit::with_user(u, b"")),
        _ => false,
    }
}
fn set_host(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Str(host) => change_request_uri(ctx, |u| uri_edit::with_host(u, &host)),
        _ => false,
    }
}
fn set_port(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    let port = match &value {
        Value::Null => None,
        other => match other.to_int().and_then(|p| u16::try_from(p).ok()) {
            Some(p) => Some(p),
            None if matches!(other, Value::Str(s) if s.is_empty()) => None,
            None => return false,
        },
    };
    change_request_uri(ctx, |u| uri_edit::with_port(u, port))
}
fn set_du(ctx: &mut RouteContext<'_>, _: &Pv, value: Value<'_>) -> bool {
    match value {
        Value::Null => ctx.target.dst_uri.clear(),
        Value::Str(uri) => {
            ctx.target.dst_uri.clear();
            ctx.target.dst_uri.extend_from_slice(&uri);
        }
        _ => return false,
    }
    true
}
