//! `tm.t_uac_*`: requests of an operator's own, and what became of them.
//!
//! Who wants the reply waits for it on the thread of the client that asked; the worker that takes it in tells it there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use message::{HeaderName, Message, NameAddr, Uri};
use script::{LocalEnd, Module, RouteContext, RpcCommand, RpcError, Tell, UacRequest};
use serde_json::{Value as Json, json};
use transaction::{Now, Timing};

use super::tm::{Answer, with, word};
use super::{own, running};

/// Longest wait for a final reply. `fr_timer` ends it before, unless it was set longer.
const WAIT: Duration = Duration::from_secs(80);

/// What an answer tells of the reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing: the request is sent.
    #[default]
    Start,
    /// All of it, and where requests of its dialog would go.
    Wait,
    /// Code and text.
    Block,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct How {
    mode: Mode,
    /// The body is written in hexadecimal digits.
    hex: bool,
    /// Timers in milliseconds, when not those of `tm`.
    fr: Option<u64>,
    fr_inv: Option<u64>,
}

impl How {
    const START: How = How { mode: Mode::Start, hex: false, fr: None, fr_inv: None };
    const WAIT: How = How { mode: Mode::Wait, ..How::START };
    const BLOCK: How = How { mode: Mode::Block, ..How::START };

    const fn hex(self) -> How {
        How { hex: true, ..self }
    }
    /// `mode=wait;rpflags=1;...`
    fn parse(text: &str) -> Result<How, RpcError> {
        let mut how = How::default();
        for attribute in text.split(';').map(str::trim).filter(|a| !a.is_empty()) {
            let wrong = || RpcError::new(400, format!("Invalid attribute {attribute}"));
            let (name, value) = attribute.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_| wrong());
            match (name, value) {
                ("mode", "start") => how.mode = Mode::Start,
                ("mode", "wait") => how.mode = Mode::Wait,
                ("mode", "block") => how.mode = Mode::Block,
                ("rpflags", _) => how.hex = number()? & 1 != 0,
                ("fr_timeout", _) => how.fr = Some(number()?).filter(|ms| *ms > 0),
                ("fr_inv_timeout", _) => how.fr_inv = Some(number()?).filter(|ms| *ms > 0),
                // Nothing is acknowledged here by itself.
                ("cbflags", "noack") => {}
                _ => return Err(wrong()),
            }
        }
        Ok(how)
    }
    fn timing(self, ctx: &RouteContext<'_>) -> Option<Timing> {
        if self.fr.is_none() && self.fr_inv.is_none() {
            return None;
        }
        let known = ctx.core.registry.module::<modules::tm::Tm>().map(|tm| tm.settings().timing());
        let known = known.unwrap_or_default();
        let or = |ms: Option<u64>, known| ms.map_or(known, Duration::from_millis);
        Some(Timing { fr: or(self.fr, known.fr), fr_inv: or(self.fr_inv, known.fr_inv), ..known })
    }
}

/// Those who wait for a final reply, by the number of their request.
#[derive(Default)]
pub(super) struct Waiting {
    next: AtomicU64,
    ends: Mutex<HashMap<u64, SyncSender<LocalEnd>>>,
}

impl Waiting {
    fn ends(&self) -> MutexGuard<'_, HashMap<u64, SyncSender<LocalEnd>>> {
        self.ends.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn begin(&self) -> (u64, Receiver<LocalEnd>) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, end) = sync_channel(1);
        self.ends().insert(token, tell);
        (token, end)
    }
    /// A request got its final reply, or none in time.
    pub fn tell(&self, end: LocalEnd) {
        let waits = self.ends().remove(&end.token);
        if let Some(waits) = waits {
            // Room for the one that comes; who gave up does not hear of it.
            let _ = waits.try_send(end);
        }
    }
}

/// A request as its parameters have it.
struct Wanted {
    method: String,
    ruri: String,
    next_hop: String,
    socket: String,
    rows: Vec<u8>,
    body: Vec<u8>,
}

impl Wanted {
    fn read(params: &[Json], hex: bool) -> Result<Wanted, RpcError> {
        if params.len() < 5 {
            return Err(RpcError::new(400, format!("too few parameters ({}/5)", params.len())));
        }
        let or_none = |at: usize| match word(params, at, "a text") {
            Ok(t) if t == "." => Ok(String::new()),
            other => other,
        };
        let body = if params.len() > 5 { or_none(5)? } else { String::new() };
        let body = match hex {
            true => from_hex(&body).ok_or_else(|| RpcError::new(400, "hexadecimal digits expected"))?,
            false => body.into_bytes(),
        };
        let wanted = Wanted {
            method: or_none(0)?,
            ruri: or_none(1)?,
            next_hop: or_none(2)?,
            socket: or_none(3)?,
            rows: whole_rows(or_none(4)?.as_bytes()),
            body,
        };
        if Uri::parse(wanted.ruri.as_bytes()).is_err() {
            return Err(RpcError::new(400, format!("Invalid request uri \"{}\"", wanted.ruri)));
        }
        for name in ["From", "To"] {
            if !wanted.has(&format!("{name}:")) {
                return Err(RpcError::new(400, format!("{name} missing")));
            }
        }
        if !wanted.body.is_empty() && !wanted.has("Content-Type:") {
            return Err(RpcError::new(400, "Content-Type missing"));
        }
        Ok(wanted)
    }
    fn has(&self, name: &str) -> bool {
        let mut rows = self.rows.split(|b| *b == b'\n');
        rows.any(|row| row.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes())))
    }
    fn request(&self) -> UacRequest<'_> {
        UacRequest {
            method: self.method.as_bytes(),
            ruri: self.ruri.as_bytes(),
            next_hop: self.next_hop.as_bytes(),
            socket: self.socket.as_bytes(),
            rows: &self.rows,
            body: &self.body,
        }
    }
}

/// From a command line rows end as lines do there.
fn whole_rows(given: &[u8]) -> Vec<u8> {
    let lines = given.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line, b"\r\n"].concat()).collect()
}

/// Text as bytes of hexadecimal digits; white space between them does not count.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|d| d.iter().fold(0, |n, x| n << 4 | *x as u8)).collect())
}

fn ask(module: &dyn Module, now: Now, params: &[Json], how: How) -> Answer {
    let wanted = Wanted::read(params, how.hex)?;
    let (request, waiting) = (wanted.request(), &own(module)?.waiting);
    let shared = &running(module)?.shared;
    let not_sent = || RpcError::new(400, "The request could not be sent: see its URI and headers");
    if how.mode == Mode::Start {
        let sent = with(shared, now, |ctx| {
            ctx.timing = how.timing(ctx);
            ctx.transactions.uac_send(ctx, &request)
        })?;
        return if sent == 1 { Ok(Json::Null) } else { Err(not_sent()) };
    }
    if wanted.method == "INVITE" {
        return Err(RpcError::new(
            400,
            "An INVITE is not waited for: its 2xx must be acknowledged by who speaks",
        ));
    }
    let (token, end) = waiting.begin();
    let sent = with(shared, now, |ctx| {
        ctx.timing = how.timing(ctx);
        ctx.transactions.send_request(ctx, &request, Tell { module: "server", token })
    });
    let end = match sent {
        Ok(1) => end.recv_timeout(WAIT).map_err(|_| RpcError::new(500, "No final reply")),
        Ok(_) => Err(not_sent()),
        Err(why) => Err(why),
    };
    waiting.ends().remove(&token);
    Ok(if how.mode == Mode::Wait { whole(&end?) } else { short(&end?) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code_and_text(end: &LocalEnd) -> (u16, String) {
    match &end.reply {
        Some(reply) => (reply.status(), text(reply.reason())),
        None => (end.code, "Request Timeout".into()),
    }
}

fn short(end: &LocalEnd) -> Json {
    let (code, text) = code_and_text(end);
    json!({"code": code, "text": text})
}

/// Code, text; for a 2xx the URI of the next request, its next hop and its Route row; the reply behind its first line. Without a reply all
/// but the first two are empty.
fn whole(end: &LocalEnd) -> Json {
    let (code, phrase) = code_and_text(end);
    let Some(reply) = &end.reply else { return json!([code, phrase, "", "", "", ""]) };
    let rest = text(reply.as_bytes().get(reply.headers_start() as usize..).unwrap_or_default());
    if !(200..300).contains(&code) {
        return json!([code, phrase, rest]);
    }
    let [uri, next_hop, route] = onward(reply);
    json!([code, phrase, uri, next_hop, route, rest])
}

/// Where requests of the dialog go that this reply makes (RFC 3261 §12.2.1.1): Request-URI, next hop, Route row.
fn onward(reply: &Message) -> [String; 3] {
    let mut routes: Vec<NameAddr<'_>> = reply.addresses(HeaderName::RecordRoute).flatten().collect();
    routes.reverse();
    let target = reply.addresses(HeaderName::Contact).flatten().next().map(|c| text(c.uri));
    let Some(first) = routes.first() else {
        let target = target.unwrap_or_default();
        return [target.clone(), target, String::new()];
    };
    let next_hop = text(first.uri);
    let loose = first.parse_uri().is_ok_and(|u| u.params.get("lr").is_some());
    let mut row: Vec<String> = routes.iter().skip(usize::from(!loose)).map(|r| text(r.text)).collect();
    // "If the route set is not empty, and its first URI does not contain the lr parameter, the UAC MUST place the first URI from the route set
    // into the Request-URI" and the target last into the Route header.
    let uri = match loose {
        true => target.unwrap_or_default(),
        false => {
            row.extend(target.map(|t| format!("<{t}>")));
            next_hop.clone()
        }
    };
    let row = if row.is_empty() { String::new() } else { format!("Route: {}", row.join(", ")) };
    [uri, next_hop, row]
}

macro_rules! row {
    ($name:literal, $how:expr, $doc:literal) => {
        RpcCommand { name: $name, doc: $doc, call: |m, _, now, params| ask(m, now, params, $how) }
    };
}

pub(super) const ROWS: &[RpcCommand] = &[
    row!(
        "tm.t_uac_start",
        How::START,
        "Sends a request and does not wait for its reply. Parameters: method, Request-URI, next hop, socket (`.` \
        for none), header rows with From and To, body (optional)."
    ),
    row!("tm.t_uac_start_noack", How::START, "As tm.t_uac_start."),
    row!("tm.t_uac_start_hex", How::START.hex(), "As tm.t_uac_start, the body in hexadecimal digits."),
    row!("tm.t_uac_start_noack_hex", How::START.hex(), "As tm.t_uac_start_hex."),
    row!(
        "tm.t_uac_wait",
        How::WAIT,
        "Sends a request and waits for its final reply: code, text, the reply's rows and body; for a 2xx behind the text \
        also the URI, next hop and Route row of what would follow in its dialog. Parameters as of tm.t_uac_start. Not for INVITE. Over datagrams \
        others wait meanwhile."
    ),
    row!("tm.t_uac_wait_noack", How::WAIT, "As tm.t_uac_wait."),
    row!("tm.t_uac_wait_hex", How::WAIT.hex(), "As tm.t_uac_wait, the body in hexadecimal digits."),
    row!("tm.t_uac_wait_noack_hex", How::WAIT.hex(), "As tm.t_uac_wait_hex."),
    row!("tm.t_uac_wait_block", How::BLOCK, "As tm.t_uac_wait; the answer is code and text."),
    row!("tm.t_uac_wait_block_noack", How::BLOCK, "As tm.t_uac_wait_block."),
    row!(
        "tm.t_uac_wait_block_hex",
        How::BLOCK.hex(),
        "As tm.t_uac_wait_block, the body in hexadecimal digits."
    ),
    row!("tm.t_uac_wait_block_noack_hex", How::BLOCK.hex(), "As tm.t_uac_wait_block_hex."),
    RpcCommand {
        name: "tm.t_uac_attrs",
        doc: "All of these: the first parameter is `name=value;...`, the others are those of tm.t_uac_start. Names: `mode` (`start`, `wait`, `block`), \
              `rpflags` (1: the body is in hexadecimal digits), `fr_timeout` and `fr_inv_timeout` (milliseconds), `cbflags` (`noack`, which is so).",
        call: |m, _, now, params| match params.split_first() {
            Some((_, rest)) => ask(m, now, rest, How::parse(&word(params, 0, "Attributes")?)?),
            None => Err(RpcError::new(400, "Attributes expected")),
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_rows_and_hexadecimal_text() {
        assert_eq!(whole_rows(b"From: a\n\r\nTo: b\r\nX: c"), b"From: a\r\nTo: b\r\nX: c\r\n");
        assert_eq!(from_hex("46 726f\n6D"), Some(b"From".to_vec()));
        assert_eq!((from_hex("4"), from_hex("4g"), from_hex("")), (None, None, Some(Vec::new())));
    }

    #[test]
    fn attributes() {
        let how = How::parse("mode=wait;cbflags=noack; rpflags=1;fr_timeout=5;fr_inv_timeout=0");
        assert_eq!(how.ok(), Some(How { fr: Some(5), ..How::WAIT.hex() }));
        assert_eq!(How::parse("").ok(), Some(How::START));
        for wrong in ["mode=x", "x=1", "mode", "rpflags=x", "cbflags=ack"] {
            assert_eq!(How::parse(wrong).err().map(|e| e.code), Some(400), "{wrong}");
        }
    }

    /// As Kamailio 5.6.3 answers over HTTP.
    #[test]
    fn answers_are_kamailios() {
        let reply = |first: &str, rows: &str| {
            let text = format!(
                "SIP/2.0 {first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{rows}Content-Length: 1\r\n\r\nb"
            );
            let reply = Message::parse(text.as_bytes()).ok().map(std::sync::Arc::new);
            let code = reply.as_ref().map_or(0, |r| r.status());
            let answer = whole(&LocalEnd { token: 0, code, reply });
            let mut parts = answer.as_array().cloned().unwrap_or_default();
            let rest = parts.pop().unwrap_or_default();
            assert_eq!(rest, json!(text.split_once("\r\n").map(|(_, rest)| rest)));
            Json::Array(parts)
        };
        let contact = "Contact: \"x\" <sip:c@d;a=b>;q=1\r\n";
        assert_eq!(reply("200 OK", ""), json!([200, "OK", "", "", ""]));
        assert_eq!(reply("200 OK", contact), json!([200, "OK", "sip:c@d;a=b", "sip:c@d;a=b", ""]));
        assert_eq!(
            reply(
                "202 Ok",
                &format!("{contact}Record-Route: <sip:1>, <sip:2;lr>;x=y\r\nRecord-Route: <sip:3;lr>\r\n")
            ),
            json!([202, "Ok", "sip:c@d;a=b", "sip:3;lr", "Route: <sip:3;lr>, <sip:2;lr>;x=y, <sip:1>"])
        );
        assert_eq!(
            reply(
                "200 OK",
                &format!("{contact}Record-Route: <sip:1>, <sip:2;lr>;x=y\r\nRecord-Route: <sip:3>;x=y\r\n")
            ),
            json!([200, "OK", "sip:3", "sip:3", "Route: <sip:2;lr>;x=y, <sip:1>, <sip:c@d;a=b>"])
        );
        assert_eq!(reply("200 OK", "Record-Route: <sip:3>\r\n"), json!([200, "OK", "sip:3", "sip:3", ""]));
        assert_eq!(reply("302 Moved", contact), json!([302, "Moved"]));
        let none = LocalEnd { token: 0, code: 408, reply: None };
        assert_eq!(whole(&none), json!([408, "Request Timeout", "", "", "", ""]));
        assert_eq!(short(&none), json!({"code": 408, "text": "Request Timeout"}));
    }
}
