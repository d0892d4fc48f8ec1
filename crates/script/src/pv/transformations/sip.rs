//! Classes that know SIP: `uri param nameaddr tobody urialias sock url`.

use std::borrow::Cow;

use message::{NameAddr, Params, Scheme, Transport, Uri};

use super::{Args, TransformationRow, part, table};
use crate::Value;

type Text<'c> = Cow<'c, [u8]>;

pub(super) const URI: &[TransformationRow] = table! { "pv", "uri";
    "user" 0 0 Text "User of the URI, empty when it has none; null when the text is no URI (so for all of this class)." |s, _| {
        uri(s, |u| u.user.unwrap_or_default())
    };
    "host" 0 0 Text "Host." |s, _| uri(s, |u| u.host);
    "domain" 0 0 Text "Host." |s, _| uri(s, |u| u.host);
    "passwd" 0 0 Text "Password." |s, _| uri(s, |u| u.password.unwrap_or_default());
    "port" 0 0 Text "Port as written, 0 when it is not." |s, _| match Uri::parse(&s) {
        Ok(u) => Value::Int(i64::from(u.port.unwrap_or(0))),
        Err(_) => Value::Null,
    };
    "saor" 0 0 Text "`scheme:user@host`." |s, _| build(&s, true, false);
    "suri" 0 0 Text "`scheme:user@host:port;transport=...`." |s, _| build(&s, true, true);
    "duri" 0 0 Text "`scheme:host:port;transport=...`." |s, _| build(&s, false, true);
    "params" 0 0 Text "Parameters." |s, _| uri(s, |u| u.params.0);
    "headers" 0 0 Text "What stands after `?`." |s, _| uri(s, |u| u.headers);
    "param" 1 1 Text "`{uri.param,name}`: value of a parameter, empty when it has none or is not there." |s, a| {
        let name = a.text(0).into_owned();
        uri(s, |u| value_of(u, &name))
    };
    "rmparam" 1 1 Text "`{uri.rmparam,name}`: the URI without a parameter." rmparam;
    "transport" 0 0 Text "Value of `transport`." |s, _| uri(s, |u| value_of(u, b"transport"));
    "ttl" 0 0 Text "Value of `ttl`." |s, _| uri(s, |u| value_of(u, b"ttl"));
    "uparam" 0 0 Text "Value of `user`." |s, _| uri(s, |u| value_of(u, b"user"));
    "maddr" 0 0 Text "Value of `maddr`." |s, _| uri(s, |u| value_of(u, b"maddr"));
    "method" 0 0 Text "Value of `method`." |s, _| uri(s, |u| value_of(u, b"method"));
    "lr" 0 0 Text "Value of `lr`." |s, _| uri(s, |u| value_of(u, b"lr"));
    "r2" 0 0 Text "Value of `r2`." |s, _| uri(s, |u| value_of(u, b"r2"));
    "scheme" 0 0 Text "Scheme." |s, _| part(s, |t| {
        Uri::parse(t).ok()?;
        t.split(|c| *c == b':').next()
    });
    "tosocket" 0 0 Text "`transport:host:port` when all three are there, else empty." |s, _| tosocket(&s);
};

/// A part of the URI, borrowed when the text is.
fn uri<'c>(s: Text<'c>, pick: impl for<'u> FnOnce(&Uri<'u>) -> &'u [u8]) -> Value<'c> {
    part(s, |t| Uri::parse(t).ok().map(|u| pick(&u)))
}

fn value_of<'u>(u: &Uri<'u>, name: &[u8]) -> &'u [u8] {
    let found = u.params.iter().find(|p| p.name.eq_ignore_ascii_case(name));
    found.and_then(|p| p.value).unwrap_or_default()
}

fn scheme_of(u: &Uri<'_>) -> Vec<u8> {
    u.text.iter().copied().take_while(|c| *c != b':').collect()
}

fn build(s: &[u8], user: bool, port: bool) -> Value<'static> {
    let Ok(u) = Uri::parse(s) else { return Value::Null };
    let mut out = scheme_of(&u);
    out.push(b':');
    if let Some(name) = u.user.filter(|_| user) {
        out.extend_from_slice(name);
        if !u.host.is_empty() {
            out.push(b'@');
        }
    }
    out.extend_from_slice(u.host);
    if port {
        if let Some(port) = u.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        let transport = value_of(&u, b"transport");
        if !transport.is_empty() {
            out.extend_from_slice(b";transport=");
            out.extend_from_slice(transport);
        }
    }
    Value::owned(out)
}

fn tosocket(s: &[u8]) -> Value<'static> {
    let Ok(u) = Uri::parse(s) else { return Value::Null };
    let transport = value_of(&u, b"transport");
    let Some(port) = u.port.filter(|_| !transport.is_empty() && !u.host.is_empty()) else {
        return Value::str(b"");
    };
    Value::owned([transport, b":", u.host, format!(":{port}").as_bytes()].concat())
}

fn rmparam<'c>(s: Text<'c>, a: &Args<'c, '_>) -> Value<'c> {
    let name = a.text(0);
    let Ok(u) = Uri::parse(&s) else { return Value::Null };
    if u.params.iter().all(|p| !p.name.eq_ignore_ascii_case(&name)) {
        return Value::Str(s);
    }
    let params_at = (u.params.0.as_ptr() as usize).wrapping_sub(s.as_ptr() as usize).saturating_sub(1);
    let mut out = s.get(..params_at).unwrap_or_default().to_vec();
    for p in u.params.iter().filter(|p| !p.name.eq_ignore_ascii_case(&name)) {
        out.push(b';');
        out.extend_from_slice(p.name);
        if let Some(value) = p.value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    if !u.headers.is_empty() {
        out.push(b'?');
        out.extend_from_slice(u.headers);
    }
    Value::owned(out)
}

pub(super) const PARAM: &[TransformationRow] = table! { "pv", "param";
    "value" 1 2 Text "`{param.value,name,separator}`: value of a parameter without its quotes, empty when it is not there. The separator \
        is `;` by default (so for all of this class)." |s, a| {
        let name = a.text(0).into_owned();
        params(s, a.byte(1, b';'), |l| l.iter().find(|p| p.0.eq_ignore_ascii_case(&name)).map(|p| p.1).unwrap_or_default())
    };
    "in" 1 2 Text "`{param.in,name,separator}`: 1 when the parameter is there, else 0." |s, a| has_param(&s, a);
    "exist" 1 2 Text "`{param.exist,name,separator}`: 1 when the parameter is there, else 0." |s, a| has_param(&s, a);
    "valueat" 1 2 Text "`{param.valueat,index,separator}`: value of a parameter by position; a negative index counts from the end." |s, a| {
        let index = a.int(0).unwrap_or(0);
        params(s, a.byte(1, b';'), |l| at(&l, index).map(|p| p.1).unwrap_or_default())
    };
    "name" 1 2 Text "`{param.name,index,separator}`: name of a parameter by position; a negative index counts from the end." |s, a| {
        let index = a.int(0).unwrap_or(0);
        params(s, a.byte(1, b';'), |l| at(&l, index).map(|p| p.0).unwrap_or_default())
    };
    "count" 0 1 Text "`{param.count,separator}`: how many there are." |s, a| {
        if s.is_empty() {
            return Value::Null;
        }
        Value::Int(list(&s, a.byte(0, b';')).len() as i64)
    };
};

type NameValue<'t> = (&'t [u8], &'t [u8]);

fn params<'c>(
    s: Text<'c>,
    separator: u8,
    pick: impl for<'t> FnOnce(Vec<NameValue<'t>>) -> &'t [u8],
) -> Value<'c> {
    if s.is_empty() {
        return Value::Null;
    }
    part(s, |t| Some(pick(list(t, separator))))
}

fn has_param(s: &[u8], a: &Args<'_, '_>) -> Value<'static> {
    let name = a.text(0);
    Value::Int(i64::from(list(s, a.byte(1, b';')).iter().any(|p| p.0.eq_ignore_ascii_case(&name))))
}

fn at<'t>(list: &[NameValue<'t>], index: i64) -> Option<NameValue<'t>> {
    crate::Index::At(index).position(list.len()).and_then(|i| list.get(i).copied())
}

/// `name=value` pairs between separators; quoted values may hold separators and lose their quotes.
fn list(text: &[u8], separator: u8) -> Vec<NameValue<'_>> {
    let mut all = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (i, c) in text.iter().chain(std::iter::once(&separator)).enumerate() {
        if *c == b'"' {
            quoted = !quoted;
        }
        if i < text.len() && (quoted || *c != separator) {
            continue;
        }
        let item = text.get(start..i).unwrap_or_default().trim_ascii();
        start = i + 1;
        if item.is_empty() {
            continue;
        }
        let (name, value) = match item.iter().position(|c| *c == b'=') {
            Some(eq) => (item[..eq].trim_ascii(), item[eq + 1..].trim_ascii()),
            None => (item, &b""[..]),
        };
        let inside = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
        all.push((name, inside.unwrap_or(value)));
    }
    all
}

pub(super) const NAMEADDR: &[TransformationRow] = table! { "pv", "nameaddr";
    "name" 0 0 Text "Display name of a name-addr with its quotes (and, as in Kamailio, the space behind it); empty for an addr-spec." |s, _| {
        name_addr(s, |t| match t.iter().position(|c| *c == b'<') {
            Some(_) => first(t).map(|n| &t[..n.0]),
            None => Some(b""),
        })
    };
    "uri" 0 0 Text "URI of a name-addr; the whole text when it is an addr-spec." |s, _| {
        name_addr(s, |t| match first(t) {
            Some((_, uri)) => Some(uri),
            None => Some(t),
        })
    };
    "len" 0 0 Text "Length of the first name-addr, up to its `>`." |s, _| {
        if s.is_empty() {
            return Value::Null;
        }
        let end = first(&s).map_or(s.len(), |(at, uri)| at + uri.len() + 2);
        Value::Int(end as i64)
    };
};

fn name_addr<'c>(s: Text<'c>, pick: impl FnOnce(&[u8]) -> Option<&[u8]>) -> Value<'c> {
    if s.is_empty() {
        return Value::Null;
    }
    part(s, pick)
}

/// Position of the first `<` outside quotes and what stands in the angle brackets.
fn first(t: &[u8]) -> Option<(usize, &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in t.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => {
                let inside = t.get(i + 1..)?;
                let end = inside.iter().position(|c| *c == b'>')?;
                return Some((i, &inside[..end]));
            }
            _ => {}
        }
    }
    None
}

pub(super) const TOBODY: &[TransformationRow] = table! { "pv", "tobody";
    "uri" 0 0 Text "URI of a From or To value; null when it is none (so for all of this class)." |s, _| to_body(s, |n| n.uri);
    "tag" 0 0 Text "Tag, empty when there is none." |s, _| to_body(s, |n| n.tag().unwrap_or_default());
    "user" 0 0 Text "User of the URI." |s, _| {
        to_body(s, |n| n.parse_uri().ok().and_then(|u| u.user).unwrap_or_default())
    };
    "host" 0 0 Text "Host of the URI." |s, _| to_body(s, |n| n.parse_uri().map(|u| u.host).unwrap_or_default());
    "params" 0 0 Text "Header parameters." |s, _| to_body(s, |n| strip_semicolon(n.params));
    "display" 0 0 Text "Display name with its quotes." |s, _| to_body(s, |n| n.display);
};

fn strip_semicolon(params: Params<'_>) -> &[u8] {
    let text = params.0.trim_ascii();
    text.strip_prefix(b";").unwrap_or(text).trim_ascii()
}

fn to_body<'c>(s: Text<'c>, pick: impl for<'u> FnOnce(&NameAddr<'u>) -> &'u [u8]) -> Value<'c> {
    if s.is_empty() {
        return Value::Null;
    }
    part(s, |t| NameAddr::parse(t).ok().map(|n| pick(&n)))
}

pub(super) const URIALIAS: &[TransformationRow] = table! { "pv", "urialias";
    "encode" 0 0 Text "A SIP URI's address as an alias parameter's value: `host~port~transport number`." |s, _| {
        let Ok(u) = Uri::parse(&s) else { return Value::Null };
        if u.host.is_empty() {
            return Value::Null;
        }
        let transport = u.transport().unwrap_or(if u.scheme == Scheme::Sips { Transport::Tls } else { Transport::Udp });
        let tail = format!("~{}~{}", u.port_or_default(), transport_number(transport));
        Value::owned([u.host, tail.as_bytes()].concat())
    };
    "decode" 0 0 Text "An alias parameter's value `host~port~transport number` as a SIP URI; null when it is none." |s, _| {
        let fields: Vec<&[u8]> = s.split(|c| *c == b'~').collect();
        let [host, port, number] = fields.as_slice() else { return Value::Null };
        let mut out = [b"sip:", *host, b":", *port].concat();
        match number.first().and_then(|n| transport_by_number(i64::from(n.wrapping_sub(b'0')))) {
            Some(Transport::Udp) => {}
            Some(t) => out.extend_from_slice(format!(";transport={}", t.lower()).as_bytes()),
            None => return Value::Null,
        }
        Value::owned(out)
    };
};

/// Kamailio's numbers of transports, as in `$prid` and alias parameters.
pub fn transport_number(transport: Transport) -> i64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Sctp => 4,
        Transport::Ws => 5,
        Transport::Wss => 6,
    }
}

/// The transport of one of Kamailio's numbers.
pub fn transport_by_number(number: i64) -> Option<Transport> {
    use Transport::*;
    [Udp, Tcp, Tls, Sctp, Ws, Wss].into_iter().find(|t| transport_number(*t) == number)
}

pub(super) const SOCK: &[TransformationRow] = table! { "corex", "sock";
    "host" 0 0 Text "Host of `proto:host:port`; null when it is no socket (so for all of this class)." |s, _| sock(s, |k| k.1);
    "port" 0 0 Text "Port of `proto:host:port`, empty when there is none." |s, _| sock(s, |k| k.2);
    "proto" 0 0 Text "Transport of `proto:host:port`, empty when there is none." |s, _| sock(s, |k| k.0);
    "touri" 0 0 Text "`proto:host:port` as a SIP URI." |s, _| {
        let Some((proto, host, port)) = parse_socket(&s) else { return Value::Null };
        let mut out = [b"sip:", host].concat();
        if !port.is_empty() {
            out.push(b':');
            out.extend_from_slice(port);
        }
        if !proto.is_empty() {
            out.extend_from_slice(b";transport=");
            out.extend_from_slice(proto);
        }
        Value::owned(out)
    };
};

fn sock<'c>(s: Text<'c>, pick: impl for<'t> FnOnce((&'t [u8], &'t [u8], &'t [u8])) -> &'t [u8]) -> Value<'c> {
    part(s, |t| parse_socket(t).map(pick))
}

/// `proto:host:port` with proto and port optional, as in `$fs` and `$sas`: three texts, empty where absent.
pub fn parse_socket(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let colon = |t: &[u8]| t.iter().position(|c| *c == b':');
    let text = text.trim_ascii();
    let (proto, rest) = match colon(text) {
        Some(at) if Transport::parse(&text[..at]).is_some() => (&text[..at], &text[at + 1..]),
        _ => (&b""[..], text),
    };
    let (host, port) = if rest.starts_with(b"[") {
        let end = rest.iter().position(|c| *c == b']')? + 1;
        (&rest[..end], rest.get(end..).unwrap_or_default())
    } else {
        rest.split_at(colon(rest).unwrap_or(rest.len()))
    };
    let port = match port.strip_prefix(b":") {
        Some(p) if p.iter().all(u8::is_ascii_digit) => p,
        None if port.is_empty() => port,
        _ => return None,
    };
    (!host.is_empty()).then_some((proto, host, port))
}

pub(super) const URL: &[TransformationRow] = table! { "xhttp", "url";
    "path" 0 0 Text "A URL's path, without the query." |s, _| part(s, |t| t.split(|c| *c == b'?').next());
    "querystring" 0 0 Text "A URL's query, empty when there is none." |s, _| {
        part(s, |t| Some(t.iter().position(|c| *c == b'?').and_then(|at| t.get(at + 1..)).unwrap_or_default()))
    };
};
