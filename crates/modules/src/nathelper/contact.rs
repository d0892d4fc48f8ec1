//! Contacts rewritten so that they can be reached, and the `alias` parameter that says how: `;alias=192.0.2.7~5062~1`, the number being
//! Kamailio's of the transport.
//!
//! What `fix_nated_contact` and `set_contact_alias` wrote is not in the message yet, but `save` and others must work with it: it is kept
//! in a slot of the message, see [`rewritten`].

use std::borrow::Cow;
use std::net::IpAddr;

use message::{HeaderName, NameAddr, Transport, Uri};
use script::transformations::{transport_by_number, transport_number};
use script::{Outcome, RouteContext};

/// The Contact of this message as it was rewritten.
#[derive(Default)]
struct Rewritten(Option<(u32, Vec<u8>)>);

/// The message was printed and parsed again: the Contact in it is the rewritten one.
pub(crate) fn message_replaced(ctx: &mut RouteContext<'_>) {
    if ctx.slots.peek::<Rewritten>().is_some() {
        ctx.slots.slot::<Rewritten>().0 = None;
    }
}

/// What now stands for the Contact URI at this place of the message, if it was rewritten.
pub(crate) fn rewritten<'c>(ctx: &'c RouteContext<'_>, uri: &[u8]) -> Option<&'c [u8]> {
    let (at, new) = ctx.slots.peek::<Rewritten>()?.0.as_ref()?;
    (ctx.message.offset_of(uri) == Some(*at)).then_some(new.as_slice())
}

/// The first Contact URI.
pub(super) struct First<'c> {
    /// Offset in the message.
    at: u32,
    /// Length in the message.
    length: u32,
    /// Without angle brackets: parameters of a new URI would become the header's.
    bare: bool,
    /// Text, as rewritten.
    pub uri: Cow<'c, [u8]>,
    changed: bool,
}

pub(super) fn first<'c>(ctx: &'c RouteContext<'_>) -> Option<First<'c>> {
    let address = ctx.message.addresses(HeaderName::Contact).next()?.ok()?;
    let new = rewritten(ctx, address.uri);
    Some(First {
        at: ctx.message.offset_of(address.uri)?,
        length: address.uri.len() as u32,
        bare: is_bare(&address),
        uri: Cow::Borrowed(new.unwrap_or(address.uri)),
        changed: new.is_some(),
    })
}

fn is_bare(address: &NameAddr<'_>) -> bool {
    address.display.is_empty() && address.text.first() != Some(&b'<')
}

/// Replaces the first Contact URI by what `change` makes of it, and remembers that it did.
fn change(ctx: &mut RouteContext<'_>, make: impl FnOnce(&RouteContext<'_>, &Uri<'_>) -> Vec<u8>) -> Outcome {
    let Some(contact) = first(ctx).filter(|c| !c.changed) else { return Outcome::FALSE };
    let new = match Uri::parse(&contact.uri) {
        Ok(uri) if uri.scheme.is_sip() => make(ctx, &uri),
        _ => return Outcome::FALSE,
    };
    let (at, end) = (contact.at, contact.at + contact.length);
    let written = if contact.bare { [b"<", new.as_slice(), b">"].concat() } else { new.clone() };
    ctx.edits.rewrite(at, end, &written);
    ctx.slots.slot::<Rewritten>().0 = Some((at, new));
    Outcome::TRUE
}

/// Address and port of the sender in place of the Contact's.
pub(super) fn fix(ctx: &mut RouteContext<'_>) -> Outcome {
    change(ctx, |ctx, uri| {
        let text = uri.text;
        let place = |part: &[u8]| part.as_ptr() as usize - text.as_ptr() as usize;
        let host = place(uri.host);
        let end = host_end(uri);
        let head = text.get(..host).unwrap_or_default();
        let tail = text.get(end..).unwrap_or_default();
        [head, ctx.inbound.source.to_string().as_bytes(), tail].concat()
    })
}

/// Where host and port end in a URI's text.
fn host_end(uri: &Uri<'_>) -> usize {
    let host = uri.host.as_ptr() as usize - uri.text.as_ptr() as usize + uri.host.len();
    let rest = uri.text.get(host..).unwrap_or_default();
    host + rest.iter().position(|b| matches!(b, b';' | b'?')).unwrap_or(rest.len())
}

fn alias_text(name: &str, ip: IpAddr, port: u16, transport: Transport) -> String {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!(";{name}={ip}~{port}~{}", transport_number(transport))
}

fn source_alias(ctx: &RouteContext<'_>, name: &str) -> String {
    alias_text(name, ctx.inbound.source.ip(), ctx.inbound.source.port(), ctx.inbound.transport)
}

pub(super) fn set_alias(ctx: &mut RouteContext<'_>, name: &str, trim: bool) -> Outcome {
    change(ctx, |ctx, uri| {
        let mut text = Cow::Borrowed(uri.text);
        if trim && let Some(alias) = find(uri, name, false) {
            text = Cow::Owned(without(uri.text, &alias));
        }
        let headers = text.len() - if uri.headers.is_empty() { 0 } else { uri.headers.len() + 1 };
        let (head, tail) = text.split_at(headers.min(text.len()));
        [head, source_alias(ctx, name).as_bytes(), tail].concat()
    })
}

pub(super) fn add_alias(ctx: &mut RouteContext<'_>, name: &str) -> Outcome {
    let source = ctx.inbound.source;
    let same = first(ctx).and_then(|c| {
        let uri = Uri::parse(&c.uri).ok()?;
        let ip = uri.ip()? == source.ip() && uri.port_or_default() == source.port();
        Some(ip && uri.transport() == Some(ctx.inbound.transport))
    });
    match same {
        Some(true) => Outcome(2),
        _ => add(ctx, &source_alias(ctx, name)),
    }
}

pub(super) fn add_alias_address(
    ctx: &mut RouteContext<'_>,
    name: &str,
    ip: &[u8],
    port: &[u8],
    transport: &[u8],
) -> Outcome {
    let text = |t| std::str::from_utf8(t).unwrap_or_default();
    let ip = text(ip).trim_matches(['[', ']']).parse();
    match (ip, text(port).parse(), Transport::parse(transport)) {
        (Ok(ip), Ok(port), Some(transport)) => add(ctx, &alias_text(name, ip, port, transport)),
        _ => {
            tracing::error!(target: "nathelper", "add_contact_alias: an IP address, a port and a transport are needed");
            Outcome::FALSE
        }
    }
}

/// Puts a parameter right behind host and port of the Contact URI, in the message only.
fn add(ctx: &mut RouteContext<'_>, param: &str) -> Outcome {
    let Some(contact) = first(ctx) else { return Outcome::FALSE };
    let (at, end, bare) = (contact.at, contact.at + contact.length, contact.bare);
    let now = ctx.edits.inserted_at(at).map(<[u8]>::to_vec).unwrap_or_else(|| contact.uri.to_vec());
    let now = now.strip_prefix(b"<").and_then(|n| n.strip_suffix(b">")).unwrap_or(&now);
    let place = match Uri::parse(now) {
        Ok(uri) if uri.scheme.is_sip() => host_end(&uri),
        _ => return Outcome::FALSE,
    };
    let (head, tail) = now.split_at(place.min(now.len()));
    let (open, close): (&[u8], &[u8]) = if bare { (b"<", b">") } else { (b"", b"") };
    let new = [open, head, param.as_bytes(), tail, close].concat();
    ctx.edits.rewrite(at, end, &new);
    Outcome::TRUE
}

/// An alias parameter: where it stands in the URI's text, from its `;` on, and its value.
struct Alias<'u> {
    start: usize,
    end: usize,
    value: &'u [u8],
}

fn find<'u>(uri: &Uri<'u>, name: &str, last: bool) -> Option<Alias<'u>> {
    let base = uri.text.as_ptr() as usize;
    let mut all =
        uri.params.iter().filter(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).filter_map(|p| {
            let value = p.value?;
            // The `;` right before the name.
            let start = (p.name.as_ptr() as usize - base).checked_sub(1)?;
            Some(Alias { start, end: value.as_ptr() as usize - base + value.len(), value })
        });
    if last { all.last() } else { all.next() }
}

fn without(uri: &[u8], alias: &Alias<'_>) -> Vec<u8> {
    [uri.get(..alias.start).unwrap_or_default(), uri.get(alias.end..).unwrap_or_default()].concat()
}

/// `192.0.2.7~5062~1` as a URI; UDP shows as `;transport=udp` only when asked for.
fn uri_of(alias: &[u8], show_udp: bool) -> Option<Vec<u8>> {
    let mut fields = alias.split(|b| *b == b'~');
    let (host, port, number) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    // WebSocket is `ws` in URIs, whether secure or not (RFC 7118 §5.2).
    let transport = match transport_by_number(number)? {
        Transport::Wss => Transport::Ws,
        t => t,
    };
    let v6 = !host.starts_with(b"[") && host.contains(&b':');
    let (open, close): (&[u8], &[u8]) = if v6 { (b"[", b"]") } else { (b"", b"") };
    let mut uri = [b"sip:", open, host, close, b":", port].concat();
    if transport != Transport::Udp || show_udp {
        uri.extend_from_slice(format!(";transport={}", transport.lower()).as_bytes());
    }
    Uri::parse(&uri).is_ok_and(|u| u.user.is_none()).then_some(uri)
}

/// An address in the form of an alias, `ip~port~transport`, as a URI.
pub(crate) fn alias_as_uri(alias: &[u8]) -> Option<Vec<u8>> {
    uri_of(alias, false)
}

pub(super) fn handle_alias(ctx: &mut RouteContext<'_>, name: &str, last: bool) -> Outcome {
    let (next, left) = {
        let Ok(uri) = ctx.parse_request_uri() else { return Outcome::FALSE };
        let Some(alias) = find(&uri, name, last) else { return Outcome(2) };
        let Some(next) = uri_of(alias.value, false) else {
            tracing::error!(target: "nathelper", call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                uri = %String::from_utf8_lossy(uri.text), "the alias in the Request-URI cannot be read");
            return Outcome::FALSE;
        };
        (next, without(uri.text, &alias))
    };
    ctx.target.dst_uri = next;
    ctx.target.uri = left;
    Outcome::TRUE
}

/// The alias of the Contact as a URI.
pub(super) fn alias_uri(ctx: &RouteContext<'_>, name: &str) -> Option<Vec<u8>> {
    let contact = first(ctx)?;
    let uri = Uri::parse(&contact.uri).ok()?;
    uri_of(find(&uri, name, false)?.value, true)
}

/// `received` for every Contact.
pub(super) fn add_received(ctx: &mut RouteContext<'_>, in_uri: bool) -> Outcome {
    let message = ctx.message.clone();
    let source = crate::pv::uri(ctx.inbound.source, ctx.inbound.transport, false);
    if in_uri && ctx.inbound.transport != Transport::Udp {
        tracing::error!(target: "nathelper", "add_rcv_param: a URI parameter can name a sender over UDP only");
        return Outcome::FALSE;
    }
    for address in message.addresses(HeaderName::Contact) {
        let Ok(address) = address else { return Outcome::FALSE };
        if address.uri == b"*" {
            continue;
        }
        let part = if in_uri { address.uri } else { address.text };
        let Some(start) = message.offset_of(part) else { return Outcome::FALSE };
        let end = start + part.len() as u32;
        if !in_uri {
            ctx.edits.insert(end, format!(";received=\"{source}\"").as_bytes());
        } else if is_bare(&address) {
            ctx.edits.insert(start, b"<");
            ctx.edits.insert(end, format!(";received={source}>").as_bytes());
        } else {
            ctx.edits.insert(end, format!(";received={source}").as_bytes());
        }
    }
    Outcome::TRUE
}
