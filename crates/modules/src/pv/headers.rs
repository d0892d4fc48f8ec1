//! `$hdr(..) $ci $cs $ua $rb $mb $msg(..) $via0(..) $au ..`: the message, as received.

use message::{Header, HeaderName, Message, Via};
use script::transformations::transport_number;
use script::{Index, PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

use super::credentials::Credentials;
use super::target::text;

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "hdr" Text "Value of the first header row of that name; `$(hdr(name)[i])` another one, -1 the last, `[*]` all with commas between. \
        As received: changes show after `msg_apply_changes`." hdr;
    "hdrc" Text "How many header rows of that name there are." |ctx, pv| Value::Int(count(ctx, pv) as i64);
    "hfl" Text "As `$hdr`, but values of Via, Route, Record-Route and Contact are also split at their commas." hfl;
    "hflc" Text "How many values `$hfl` finds." |ctx, pv| Value::Int(hfl_count(ctx, pv) as i64);
    "ci" None "Call-ID." |ctx, _| text(ctx.message.call_id());
    "cs" None "CSeq number as text." |ctx, _| cseq_number(&ctx.message);
    "csb" None "CSeq value." |ctx, _| header(ctx, HeaderName::CSeq);
    "ct" None "Contact value." |ctx, _| header(ctx, HeaderName::Contact);
    "ctu" None "URI of the first Contact." |ctx, _| match ctx.message.addresses(HeaderName::Contact).next() {
        Some(Ok(n)) if n.uri != b"*" => Value::str(n.uri),
        _ => Value::Null,
    };
    "cts" None "1 when Contact is `*`, else 0; null without Contact." |ctx, _| {
        ctx.message.header(HeaderName::Contact).map_or(Value::Null, |h| Value::Int(i64::from(h.value == b"*")))
    };
    "cT" None "Content-Type." |ctx, _| header(ctx, HeaderName::ContentType);
    "cl" None "Content-Length, an integer." |ctx, _| {
        let length = ctx.message.header(HeaderName::ContentLength);
        length.and_then(|h| std::str::from_utf8(h.value).ok()?.trim().parse().ok()).map_or(Value::Null, Value::Int)
    };
    "ua" None "User-Agent." |ctx, _| header(ctx, HeaderName::UserAgent);
    "rb" None "Body, empty when there is none." |ctx, _| Value::str(ctx.message.body());
    "bs" None "Length of the body." |ctx, _| Value::Int(ctx.message.body().len() as i64);
    "rm" None "Method; of a reply the one in CSeq." |ctx, _| text(ctx.message.method_text());
    "rmid" None "Method as a number (1 INVITE, 2 CANCEL, 4 ACK, 8 BYE, 16 INFO, 32 REGISTER, 64 SUBSCRIBE, 128 NOTIFY, 256 MESSAGE, \
        512 OPTIONS, 1024 PRACK, 2048 UPDATE, 4096 REFER, 8192 PUBLISH, 16384 KDMQ, 524288 others)." |ctx, _| {
        Value::Int(method_id(ctx.message.method_text()))
    };
    "rs" None "Status code of the reply; null for a request." |ctx, _| match ctx.message.status() {
        0 => Value::Null,
        code => Value::Int(i64::from(code)),
    };
    "rsi" None "Status code of the reply; 0 for a request." |ctx, _| Value::Int(i64::from(ctx.message.status()));
    "rr" None "Reason phrase of the reply; null for a request." |ctx, _| {
        if ctx.message.is_request() { Value::Null } else { Value::str(ctx.message.reason()) }
    };
    "rv" None "SIP version." |_, _| Value::str(b"SIP/2.0");
    "mt" None "1 for a request, 2 for a reply." |ctx, _| Value::Int(if ctx.message.is_request() { 1 } else { 2 });
    "mts" None "`rq` for a request, `rp` for a reply." |ctx, _| Value::str(if ctx.message.is_request() { b"rq" } else { b"rp" });
    "mb" None "The message as received." |ctx, _| Value::str(ctx.message.as_bytes());
    "ml" None "Length of the message as received." |ctx, _| Value::Int(ctx.message.as_bytes().len() as i64);
    "mbu" None "The message with the changes made so far." |ctx, _| Value::owned(updated(ctx));
    "msg" Keyword(&["len", "buf", "body", "body_len", "hdrs", "fline", "lpart"]) "Parts of the message as received: `len`, `buf` all \
        of it, `body`, `body_len`, `hdrs` the header rows, `fline` the first line, `lpart` all behind the first line." msg;
    "msgbuf" Text "Character of the message by position; writing it changes that character." msgbuf, set_msgbuf;
    "via0" Keyword(VIA) "Topmost Via: `host port proto protoid branch rport received i oc`." |ctx, pv| via(ctx.message.via().ok(), pv);
    "via1" Keyword(VIA) "Second Via, as `$via0`." |ctx, pv| via(ctx.message.vias().nth(1).and_then(Result::ok), pv);
    "viaZ" Keyword(VIA) "Last Via, as `$via0`." |ctx, pv| via(ctx.message.vias().last().and_then(Result::ok), pv);
    "expires" Keyword(&["min", "max"]) "Smallest or largest expiry of the contacts: of their parameter or else of Expires; null when there is none." expires;
    "au" None "User of the credentials' username." |ctx, _| Value::opt(credentials(ctx).and_then(|c| c.user()));
    "aU" None "Username of the credentials." |ctx, _| Value::opt(credentials(ctx).and_then(|c| c.username));
    "ad" None "Domain of the credentials' username; empty when it has none." |ctx, _| part(ctx, |c| c.domain());
    "ar" None "Realm of the credentials." |ctx, _| part(ctx, |c| c.realm);
    "aa" None "Algorithm of the credentials." |ctx, _| part(ctx, |c| c.algorithm);
    "adn" None "Nonce of the credentials." |ctx, _| part(ctx, |c| c.nonce);
    "adc" None "Client nonce of the credentials." |ctx, _| part(ctx, |c| c.cnonce);
    "ado" None "Opaque of the credentials." |ctx, _| part(ctx, |c| c.opaque);
    "adr" None "Response of the credentials." |ctx, _| part(ctx, |c| c.response);
    "adu" None "Digest URI of the credentials." |ctx, _| part(ctx, |c| c.uri);
    "Au" None "For accounting: user and realm of the credentials, else user and host of From." |ctx, _| accounting(ctx, true);
    "AU" None "For accounting: user of the credentials, else of From." |ctx, _| accounting(ctx, false);
    "sel" Text "A select of the native language: `ruri.user`, `from.uri.host`, `via[2].branch`, `hf_value.subject`." |ctx, pv| {
        super::select::evaluate(ctx, &pv.inner_text(ctx))
    };
};

const VIA: &[&str] = &["host", "port", "proto", "protoid", "branch", "rport", "received", "i", "oc"];

fn header<'c>(ctx: &'c RouteContext<'_>, name: HeaderName) -> Value<'c> {
    Value::opt(ctx.message.header(name).map(|h| h.value))
}

/// Rows named in the parentheses.
fn each<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv, mut f: impl FnMut(Header<'c>) -> bool) {
    if let Some(name) = pv.header_name() {
        let _ = ctx.message.headers_named(name).all(&mut f);
        return;
    }
    if let Some(name) = pv.constant_text() {
        let _ = ctx.message.headers_by_text(name).all(f);
        return;
    }
    // Names made of other pseudo-variables are rare: their text is copied to be looked for.
    let name = pv.inner_text(ctx);
    let known = HeaderName::parse(&name);
    let matches = |h: &Header<'_>| {
        if known == HeaderName::Other { h.name_text.eq_ignore_ascii_case(&name) } else { h.name == known }
    };
    let _ = ctx.message.headers().filter(matches).all(f);
}

fn count(ctx: &RouteContext<'_>, pv: &Pv) -> usize {
    let mut n = 0;
    each(ctx, pv, |_| {
        n += 1;
        true
    });
    n
}

fn hdr<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let wanted = match pv.index(ctx) {
        Index::None => 0,
        Index::At(n) if n >= 0 => n as usize,
        Index::All => {
            let mut all: Vec<&[u8]> = Vec::new();
            each(ctx, pv, |h| {
                all.push(h.value);
                true
            });
            return if all.is_empty() { Value::Null } else { Value::owned(all.join(&b","[..])) };
        }
        index => match index.position(count(ctx, pv)) {
            Some(n) => n,
            None => return Value::Null,
        },
    };
    if wanted == 0
        && let Some(name) = pv.header_name()
    {
        return header(ctx, name);
    }
    let (mut at, mut found) = (0, None);
    each(ctx, pv, |h| {
        if at == wanted {
            found = Some(h.value);
        }
        at += 1;
        found.is_none()
    });
    Value::opt(found)
}

fn is_list(name: Option<HeaderName>) -> bool {
    matches!(name, Some(HeaderName::Via | HeaderName::Route | HeaderName::RecordRoute | HeaderName::Contact))
}

fn hfl_values<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Vec<&'c [u8]> {
    let split = is_list(pv.header_name());
    let mut all = Vec::new();
    each(ctx, pv, |h| {
        if split {
            all.extend(elements(h.value));
        } else {
            all.push(h.value);
        }
        true
    });
    all
}

fn hfl<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let all = hfl_values(ctx, pv);
    match pv.index(ctx) {
        Index::All if !all.is_empty() => Value::owned(all.join(&b","[..])),
        index => Value::opt(index.position(all.len()).and_then(|i| all.get(i).copied())),
    }
}

fn hfl_count(ctx: &RouteContext<'_>, pv: &Pv) -> usize {
    let star = |v: &[u8]| pv.header_name() == Some(HeaderName::Contact) && v == b"*";
    hfl_values(ctx, pv).into_iter().filter(|v| !star(v)).count()
}

/// Elements of a comma list, outside quotes and angle brackets.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped, mut bracket) = (false, false, false);
        let end = text.iter().position(|c| {
            match c {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => bracket = true,
                b'>' if !quoted => bracket = false,
                b',' if !quoted && !bracket => return true,
                _ => {}
            }
            false
        });
        match end {
            Some(end) => {
                rest = text.get(end + 1..);
                text.get(..end).map(<[u8]>::trim_ascii)
            }
            None => {
                rest = None;
                Some(text.trim_ascii())
            }
        }
    })
    .filter(|e| !e.is_empty())
}

fn cseq_number(message: &Message) -> Value<'_> {
    let Some(header) = message.header(HeaderName::CSeq) else { return Value::Null };
    let digits = header.value.iter().take_while(|c| c.is_ascii_digit()).count();
    Value::opt(header.value.get(..digits).filter(|d| !d.is_empty()))
}

/// Kamailio's number of a method.
pub fn method_id(method: &[u8]) -> i64 {
    const NAMES: &[&[u8]] = &[
        b"INVITE",
        b"CANCEL",
        b"ACK",
        b"BYE",
        b"INFO",
        b"REGISTER",
        b"SUBSCRIBE",
        b"NOTIFY",
        b"MESSAGE",
        b"OPTIONS",
        b"PRACK",
        b"UPDATE",
        b"REFER",
        b"PUBLISH",
        b"KDMQ",
        b"GET",
        b"POST",
        b"PUT",
        b"DELETE",
    ];
    let at = NAMES.iter().position(|n| *n == method).unwrap_or(NAMES.len());
    1 << at
}

/// The message as it would leave with the changes made so far, but for our Via.
pub fn updated(ctx: &RouteContext<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ctx.message.as_bytes().len() + 256);
    let uri = (!ctx.target.uri.is_empty()).then_some(&ctx.target.uri[..]);
    let how = message::print::Forward { uri, ..Default::default() };
    message::print::request(&ctx.message, &ctx.edits, &how, &mut out);
    out
}

fn msg<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let m = &ctx.message;
    let (all, start, end) = (m.as_bytes(), m.headers_start() as usize, m.headers_end() as usize);
    match pv.keyword() {
        0 => Value::Int(all.len() as i64),
        1 => Value::str(all),
        2 => Value::str(m.body()),
        3 => Value::Int(m.body().len() as i64),
        4 => Value::opt(all.get(start..end).map(<[u8]>::trim_ascii_end)),
        5 => Value::opt(all.get(..start).map(<[u8]>::trim_ascii_end)),
        _ => Value::opt(all.get(start..)),
    }
}

fn position(ctx: &RouteContext<'_>, pv: &Pv) -> Option<usize> {
    let at: usize = std::str::from_utf8(&pv.inner_text(ctx)).ok()?.trim().parse().ok()?;
    (at < ctx.message.as_bytes().len()).then_some(at)
}
fn msgbuf<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    Value::opt(position(ctx, pv).and_then(|at| ctx.message.as_bytes().get(at..at + 1)))
}
fn set_msgbuf(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let (Some(at), Some(c)) = (position(ctx, pv), value.to_text().first().copied()) else { return false };
    ctx.edits.rewrite(at as u32, at as u32 + 1, &[c]);
    true
}

fn via<'c>(via: Option<Via<'c>>, pv: &'c Pv) -> Value<'c> {
    let Some(via) = via else { return Value::Null };
    match pv.keyword() {
        0 => Value::str(via.host),
        1 => Value::Int(i64::from(via.port_or_default())),
        2 => Value::str(via.transport_text),
        3 => via.transport.map_or(Value::Null, |t| Value::Int(transport_number(t))),
        4 => Value::opt(via.branch),
        5 => via.rport.flatten().map_or(Value::Null, |p| Value::Int(i64::from(p))),
        6 => Value::opt(via.received),
        7 => Value::opt(via.params.get("i").and_then(|p| p.value)),
        _ => Value::opt(via.params.get("oc").and_then(|p| p.value)),
    }
}

fn expires<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    let header = ctx.message.expires();
    let each = ctx.message.addresses(HeaderName::Contact).flatten().filter_map(|c| {
        let own =
            c.params.get("expires").and_then(|p| std::str::from_utf8(p.unquoted()).ok()?.parse::<u32>().ok());
        own.or(header)
    });
    let found = if pv.keyword() == 0 { each.min() } else { each.max() };
    found.map_or(Value::Null, |e| Value::Int(i64::from(e)))
}

/// The credentials scripts see: Proxy-Authorization, else Authorization.
pub fn credentials<'c>(ctx: &'c RouteContext<'_>) -> Option<Credentials<'c>> {
    let row = ctx.message.header(HeaderName::ProxyAuthorization);
    let row = row.or_else(|| ctx.message.header(HeaderName::Authorization))?;
    Credentials::parse(row.value).filter(|c| c.username.is_some())
}

/// What the credentials do not have is empty; null is: no credentials.
fn part<'c>(ctx: &'c RouteContext<'_>, get: fn(Credentials<'c>) -> Option<&'c [u8]>) -> Value<'c> {
    credentials(ctx).map_or(Value::Null, |c| Value::str(get(c).unwrap_or_default()))
}

fn accounting<'c>(ctx: &'c RouteContext<'_>, realm: bool) -> Value<'c> {
    let (user, domain) = match credentials(ctx) {
        Some(c) => (c.user(), c.realm),
        None => {
            let uri = ctx.message.from().ok().and_then(|f| f.parse_uri().ok());
            (uri.and_then(|u| u.user), uri.map(|u| u.host))
        }
    };
    let user = user.unwrap_or_default();
    match realm {
        false => Value::str(user),
        true => Value::owned([user, b"@", domain.unwrap_or_default()].concat()),
    }
}
