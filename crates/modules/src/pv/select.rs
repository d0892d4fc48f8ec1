//! `$sel(...)`: the selects of the native language that routing scripts use.

use message::{HeaderName, NameAddr, Uri};
use script::{RouteContext, Value};

/// One step: `via[2]` is a name and a number (1 is the first, negative from the end).
struct Step<'t> {
    name: &'t [u8],
    number: Option<i64>,
}

/// Evaluates a select, with or without its `@`; null for what is not there or not known.
pub fn evaluate<'c>(ctx: &'c RouteContext<'_>, text: &[u8]) -> Value<'c> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"@").unwrap_or(text);
    let steps: Vec<Step<'_>> = text.split(|c| *c == b'.').map(step).collect();
    let Some((first, rest)) = steps.split_first() else { return Value::Null };
    let message = &ctx.message;
    match first.name {
        b"ruri" => of_uri(ctx.request_uri(), rest),
        b"dst_uri" => of_uri(&ctx.target.dst_uri, rest),
        b"from" | b"f" => of_address(message.header(HeaderName::From).map(|h| h.value), rest),
        b"to" | b"t" => of_address(message.header(HeaderName::To).map(|h| h.value), rest),
        b"contact" | b"m" => {
            if rest.is_empty() {
                return header(ctx, HeaderName::Contact);
            }
            of_address(message.addresses(HeaderName::Contact).flatten().next().map(|a| a.text), rest)
        }
        b"route" | b"record_route" | b"rr" | b"rpid" => {
            let name = match first.name {
                b"route" => HeaderName::Route,
                b"rpid" => HeaderName::RemotePartyId,
                _ => HeaderName::RecordRoute,
            };
            if rest.is_empty() {
                return header(ctx, name);
            }
            of_address(message.addresses(name).flatten().next().map(|a| a.text), rest)
        }
        b"via" | b"v" => of_via(ctx, first.number, rest),
        b"cseq" => match rest {
            [] => header(ctx, HeaderName::CSeq),
            [s] if s.name == b"num" => {
                let value = message.header(HeaderName::CSeq).map(|h| h.value).unwrap_or_default();
                let end = value.iter().take_while(|c| c.is_ascii_digit()).count();
                Value::opt(value.get(..end))
            }
            [s] if s.name == b"method" => Value::opt(message.cseq().ok().map(|c| c.method_text)),
            _ => Value::Null,
        },
        b"call_id" => Value::str(message.call_id()),
        b"method" => Value::str(message.method_text()),
        b"content_type" => header(ctx, HeaderName::ContentType),
        b"user_agent" => header(ctx, HeaderName::UserAgent),
        b"subject" => header(ctx, HeaderName::Subject),
        b"expires" => header(ctx, HeaderName::Expires),
        b"event" => header(ctx, HeaderName::Event),
        b"max_forwards" => header(ctx, HeaderName::MaxForwards),
        b"server" => header(ctx, HeaderName::Server),
        b"hf_value" => match rest {
            [s] => row_by_select_name(ctx, s),
            _ => Value::Null,
        },
        b"msg" => match rest {
            [] => Value::str(message.as_bytes()),
            [s] if s.name == b"body" => Value::str(message.body()),
            [s] if s.name == b"len" => Value::owned(message.as_bytes().len().to_string()),
            _ => Value::Null,
        },
        b"src" | b"received" => address(ctx.source_ip(), ctx.inbound.source.port(), rest),
        b"dst" => address(ctx.local_ip(), ctx.inbound.local.port(), rest),
        _ => Value::Null,
    }
}

fn step(text: &[u8]) -> Step<'_> {
    let bracket = text.iter().position(|c| *c == b'[');
    let number = bracket.and_then(|at| {
        let inside = text.get(at + 1..)?.strip_suffix(b"]")?;
        std::str::from_utf8(inside).ok()?.parse().ok()
    });
    Step { name: bracket.and_then(|at| text.get(..at)).unwrap_or(text), number }
}

fn header<'c>(ctx: &'c RouteContext<'_>, name: HeaderName) -> Value<'c> {
    Value::opt(ctx.message.header(name).map(|h| h.value))
}

/// Header names are written with `_` for `-`; all rows are joined.
fn row_by_select_name<'c>(ctx: &'c RouteContext<'_>, step: &Step<'_>) -> Value<'c> {
    let name: Vec<u8> = step.name.iter().map(|c| if *c == b'_' { b'-' } else { *c }).collect();
    let known = HeaderName::parse(&name);
    let rows = ctx.message.headers().filter(|h| match known {
        HeaderName::Other => h.name_text.eq_ignore_ascii_case(&name),
        _ => h.name == known,
    });
    let all: Vec<&[u8]> = rows.map(|h| h.value).collect();
    match step.number {
        None if all.is_empty() => Value::Null,
        None => Value::owned(all.join(&b","[..])),
        Some(n) if n > 0 => Value::opt(all.get(n as usize - 1).copied()),
        Some(n) => Value::opt(script::Index::At(n).position(all.len()).and_then(|i| all.get(i).copied())),
    }
}

fn of_uri<'c>(uri: &'c [u8], steps: &[Step<'_>]) -> Value<'c> {
    if uri.is_empty() {
        return Value::Null;
    }
    let Some((first, rest)) = steps.split_first() else { return Value::str(uri) };
    let Ok(u) = Uri::parse(uri) else { return Value::Null };
    match first.name {
        b"user" => Value::opt(u.user),
        b"pwd" => Value::opt(u.password),
        b"host" => Value::str(u.host),
        b"port" => super::target::port_of(uri),
        b"type" => Value::opt(uri.split(|c| *c == b':').next()),
        b"transport" => Value::opt(u.params.get("transport").and_then(|p| p.value)),
        b"params" => match rest {
            [name] => {
                let found = u.params.iter().find(|p| p.name.eq_ignore_ascii_case(name.name));
                found.map_or(Value::Null, |p| Value::str(p.value.unwrap_or_default()))
            }
            _ => Value::str(u.params.0),
        },
        _ => Value::Null,
    }
}

fn of_address<'c>(value: Option<&'c [u8]>, steps: &[Step<'_>]) -> Value<'c> {
    let Some(value) = value else { return Value::Null };
    let Some((first, rest)) = steps.split_first() else { return Value::str(value) };
    let Ok(n) = NameAddr::parse(value) else { return Value::Null };
    match first.name {
        b"uri" => of_uri(n.uri, rest),
        b"name" => super::target::text(n.display),
        b"tag" => Value::opt(n.tag()),
        b"params" | b"q" | b"expires" => {
            let name = rest.first().filter(|_| first.name == b"params").unwrap_or(first);
            let found = n.params.iter().find(|p| p.name.eq_ignore_ascii_case(name.name));
            found.map_or(Value::Null, |p| Value::str(p.unquoted()))
        }
        _ => Value::Null,
    }
}

fn of_via<'c>(ctx: &'c RouteContext<'_>, number: Option<i64>, steps: &[Step<'_>]) -> Value<'c> {
    let Some((first, rest)) = steps.split_first() else { return header(ctx, HeaderName::Via) };
    let at = match number {
        None | Some(0) => Some(0),
        Some(n) if n > 0 => usize::try_from(n - 1).ok(),
        Some(n) => script::Index::At(n).position(ctx.message.vias().count()),
    };
    let Some(Ok(via)) = at.and_then(|n| ctx.message.vias().nth(n)) else { return Value::Null };
    match first.name {
        b"host" => Value::str(via.host),
        b"port" => via.port.map_or(Value::Null, |p| Value::owned(p.to_string())),
        b"transport" => Value::str(via.transport_text),
        b"branch" => Value::opt(via.branch),
        b"received" => Value::opt(via.received),
        b"rport" => via.rport.flatten().map_or(Value::Null, |p| Value::owned(p.to_string())),
        b"params" => match rest {
            [name] => {
                let found = via.params.iter().find(|p| p.name.eq_ignore_ascii_case(name.name));
                found.map_or(Value::Null, |p| Value::str(p.unquoted()))
            }
            _ => Value::str(via.params.0),
        },
        _ => Value::Null,
    }
}

fn address<'c>(ip: &'c [u8], port: u16, steps: &[Step<'_>]) -> Value<'c> {
    match steps {
        [s] if s.name == b"ip" => Value::str(ip),
        [s] if s.name == b"port" => Value::owned(port.to_string()),
        [s] if s.name == b"ip_port" => Value::owned([ip, format!(":{port}").as_bytes()].concat()),
        _ => Value::Null,
    }
}
