//! `tm.*` that needs the transactions themselves: lists, cancels, answers and begins them.
//!
//! What is done here runs on the thread of the client that asked, with a stand-in for a message and without a script: callbacks of the
//! transactions concerned run on workers, when the answers of peers come.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use message::{HeaderName, Message, Transport};
use script::engine::NoScript;
use script::{
    CallIdAct, Inbound, Module, Outbox, RouteContext, RouteKind, RpcCommand, RpcError, Services, UacRequest,
    WorkerState,
};
use serde_json::{Value as Json, json};
use transaction::{Now, SocketId, View};

use super::{integer, running};
use crate::worker::{Out, Shared};

/// Longest wait for a final reply.
const WAIT: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);
/// Transactions that `tm.list` tells of.
const LISTED_MAX: usize = 10_000;

const STAND_IN: &[u8] = b"OPTIONS sip:rpc@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.rpc\r\n\
    From: <sip:rpc@localhost>;tag=rpc\r\nTo: <sip:rpc@localhost>\r\nCall-ID: rpc@localhost\r\nCSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

type Answer = Result<Json, RpcError>;

/// Runs `f` on a stand-in message and sends what it made.
fn with<R>(shared: &Shared, now: Now, f: impl FnOnce(&mut RouteContext<'_>) -> R) -> Result<R, RpcError> {
    let message = Message::parse(STAND_IN).map_err(|_| RpcError::new(500, "no stand-in message"))?;
    let (worker, outbox) = (WorkerState::default(), Outbox::default());
    let services = Services {
        core: &shared.core,
        transactions: &shared.proxy,
        engine: &NoScript,
        worker: &worker,
        outbox: &outbox,
    };
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let inbound = Inbound { source: nobody, local: nobody, socket: SocketId(0), transport: Transport::Udp };
    let mut ctx = RouteContext::new(&services, RouteKind::Init, Arc::new(message), inbound, now);
    ctx.faked = true;
    let result = f(&mut ctx);
    drop(ctx);
    Out::new().flush(shared, &outbox);
    shared.wake_timer();
    Ok(result)
}

fn word(params: &[Json], at: usize, what: &str) -> Result<String, RpcError> {
    match params.get(at) {
        Some(Json::String(s)) => Ok(s.clone()),
        Some(Json::Number(n)) => Ok(n.to_string()),
        _ => Err(RpcError::new(400, format!("{what} expected"))),
    }
}

fn cseq(params: &[Json], at: usize) -> Result<u32, RpcError> {
    let text = word(params, at, "CSeq")?;
    let digits = text.split_whitespace().next().unwrap_or_default();
    digits.parse().map_err(|_| RpcError::new(400, "CSeq expected"))
}

fn row(view: &View<'_>, now: Now) -> Json {
    let request = view.request();
    let header = |name| match request.header(name) {
        Some(h) => {
            let row = request.as_bytes().get(h.row.0 as usize..h.row.1 as usize).unwrap_or_default();
            String::from_utf8_lossy(row).into_owned()
        }
        None => String::new(),
    };
    let id = view.id();
    let cseq = request.cseq().map_or(0, |c| c.number);
    let age = now.mono.0.saturating_sub(view.created().0) / 1_000_000;
    json!({
        "cell": format!("0x{:08x}{:08x}", id.index, id.label),
        "tindex": id.index,
        "tlabel": id.label,
        "method": String::from_utf8_lossy(request.method_text()),
        "from": header(HeaderName::From),
        "to": header(HeaderName::To),
        "callid": header(HeaderName::CallId),
        "cseq": format!("CSeq: {cseq}"),
        "uas_request": if view.is_local() { "no" } else { "yes" },
        "tflags": i64::from(view.is_canceled()),
        "outgoings": view.branch_count(),
        "ref_count": 1,
        "lifetime": age,
    })
}

fn list(module: &dyn Module, now: Now) -> Answer {
    let mut all = Vec::new();
    running(module)?.shared.proxy.for_transactions(LISTED_MAX, |view| all.push(row(view, now)));
    Ok(Json::Array(all))
}

fn missing() -> RpcError {
    RpcError::new(404, "Transaction not found")
}

fn by_callid(module: &dyn Module, now: Now, call_id: &str, cseq: u32, act: CallIdAct<'_>) -> Answer {
    let shared = &running(module)?.shared;
    let done = with(shared, now, |ctx| ctx.transactions.by_callid(ctx, call_id.as_bytes(), cseq, act))?;
    if done == 1 { Ok(Json::Null) } else { Err(missing()) }
}

fn cancel(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let both = |_| RpcError::new(400, "Callid and CSeq expected as parameters");
    let (call_id, cseq) = (word(params, 0, "").map_err(both)?, cseq(params, 1).map_err(both)?);
    by_callid(module, now, &call_id, cseq, CallIdAct::Cancel { reason: 0, flag: -1 })
        .map_err(|e| RpcError::new(400, e.message))
}

fn code_and_reason(params: &[Json]) -> Result<(u16, String), RpcError> {
    let code = params.first().and_then(integer).and_then(|c| u16::try_from(c).ok());
    let code = code.filter(|c| (100..700).contains(c));
    Ok((code.ok_or_else(|| RpcError::new(400, "Reply code expected"))?, word(params, 1, "Reason phrase")?))
}

fn reply_callid(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let (code, reason) = code_and_reason(params)?;
    let (call_id, cseq) = (word(params, 2, "Callid")?, cseq(params, 3)?);
    by_callid(module, now, &call_id, cseq, CallIdAct::Reply { code, reason: reason.as_bytes() })
}

fn reply(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let (code, reason) = code_and_reason(params)?;
    let name = word(params, 2, "Transaction ID")?;
    let parts =
        name.split_once(':').and_then(|(i, l)| Some((i.parse::<u32>().ok()?, l.parse::<u32>().ok()?)));
    let (index, label) = parts.ok_or_else(|| RpcError::new(400, "Transaction ID expected"))?;
    let mut found = None;
    running(module)?.shared.proxy.for_transactions(usize::MAX, |view| {
        if (view.id().index, view.id().label) == (index, label) {
            let cseq = view.request().cseq().map_or(0, |c| c.number);
            found = Some((String::from_utf8_lossy(view.request().call_id()).into_owned(), cseq));
        }
    });
    let (call_id, cseq) = found.ok_or_else(missing)?;
    by_callid(module, now, &call_id, cseq, CallIdAct::Reply { code, reason: reason.as_bytes() })
}

/// Text as bytes of hexadecimal digits.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|d| d.iter().fold(0, |n, x| n << 4 | *x as u8)).collect())
}

/// Sends a request; with `wait` the answer is its final reply.
fn start(module: &dyn Module, now: Now, params: &[Json], hex: bool, wait: bool) -> Answer {
    if params.len() < 5 {
        return Err(RpcError::new(400, format!("too few parameters ({}/5)", params.len())));
    }
    let or_none = |at: usize| match word(params, at, "a text") {
        Ok(t) if t == "." => Ok(String::new()),
        other => other,
    };
    let (method, ruri) = (or_none(0)?, or_none(1)?);
    let (next_hop, socket) = (or_none(2)?, or_none(3)?);
    let bytes = |text: String| match hex {
        true => from_hex(&text).ok_or_else(|| RpcError::new(400, "hexadecimal digits expected")),
        false => Ok(text.into_bytes()),
    };
    let given = bytes(or_none(4)?)?;
    let body = if params.len() > 5 { bytes(or_none(5)?)? } else { Vec::new() };
    // From a command line rows end as lines do there.
    let mut rows = Vec::new();
    for line in given.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            rows.extend_from_slice(line);
            rows.extend_from_slice(b"\r\n");
        }
    }
    let has = |name: &[u8]| {
        rows.split(|b| *b == b'\n').any(|l| l.get(..name.len()).is_some_and(|h| h.eq_ignore_ascii_case(name)))
    };
    for name in ["From", "To"] {
        if !has(format!("{name}:").as_bytes()) {
            return Err(RpcError::new(400, format!("{name} is missing")));
        }
    }
    if !body.is_empty() && !has(b"content-type:") {
        return Err(RpcError::new(400, "Content-Type missing"));
    }
    if wait && method == "INVITE" {
        return Err(RpcError::new(
            400,
            "An INVITE is not waited for: its 2xx must be acknowledged by who speaks",
        ));
    }
    // By these the request is found again.
    let call_id = value(&rows, b"call-id:").unwrap_or_else(|| {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let made = format!("rpc-{:x}-{:x}-{n}", now.unix_micros, std::process::id());
        rows.extend_from_slice(format!("Call-ID: {made}\r\n").as_bytes());
        made
    });
    let cseq = value(&rows, b"cseq:").unwrap_or_else(|| {
        rows.extend_from_slice(format!("CSeq: 10 {method}\r\n").as_bytes());
        "10".into()
    });
    let cseq = cseq.split_whitespace().next().and_then(|n| n.parse().ok());
    let cseq: u32 = cseq.ok_or_else(|| RpcError::new(400, "CSeq is no number"))?;
    let request = UacRequest {
        method: method.as_bytes(),
        ruri: ruri.as_bytes(),
        next_hop: next_hop.as_bytes(),
        socket: socket.as_bytes(),
        rows: &rows,
        body: &body,
    };
    let shared = &running(module)?.shared;
    match with(shared, now, |ctx| ctx.transactions.uac_send(ctx, &request))? {
        1 if wait => final_reply(shared, call_id.as_bytes(), cseq),
        1 => Ok(Json::Null),
        _ => Err(RpcError::new(400, "The request could not be sent: see its URI and headers")),
    }
}

/// The value of a header row.
fn value(rows: &[u8], name: &[u8]) -> Option<String> {
    let row = rows
        .split(|b| *b == b'\n')
        .find(|l| l.get(..name.len()).is_some_and(|h| h.eq_ignore_ascii_case(name)))?;
    Some(String::from_utf8_lossy(row.get(name.len()..)?).trim().to_owned())
}

/// Waits for the final reply. `fr_timer` ends it; the bound is for a transaction whose timers were set longer.
fn final_reply(shared: &Shared, call_id: &[u8], cseq: u32) -> Answer {
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        match shared.proxy.local_status(call_id, cseq) {
            // One that was answered is kept a while; one that was not is gone at once.
            None => return Ok(json!({"code": 408, "text": "Request Timeout"})),
            Some((408, reason)) if reason.is_empty() => {
                return Ok(json!({"code": 408, "text": "Request Timeout"}));
            }
            Some((code, reason)) if code >= 200 => {
                return Ok(json!({"code": code, "text": String::from_utf8_lossy(&reason)}));
            }
            Some(_) => std::thread::sleep(LOOK),
        }
    }
    Err(RpcError::new(500, "No final reply"))
}

/// An answer cannot come later, on its own.
fn no_waiting() -> RpcError {
    RpcError::new(600, "Reply wait/async mode not supported by this rpc transport")
}

macro_rules! waits {
    ($name:literal) => {
        RpcCommand {
            name: $name,
            doc: "Sends a request; its reply is to come by itself, later. No way in can do that: always an error; use tm.t_uac_wait_block.",
            call: |_, _, _, _| Err(no_waiting()),
        }
    };
}

pub(super) const ROWS: &[RpcCommand] = &[
    RpcCommand {
        name: "tm.list",
        doc: "Live transactions, at most 10,000: index and label, method, From, To, Call-ID, CSeq, whether it came from a peer, branches, age in \
              milliseconds. No parameters.",
        call: |m, _, now, _| list(m, now),
    },
    RpcCommand {
        name: "tm.cancel",
        doc: "Cancels the branches of an INVITE. Parameters: Call-ID, number of CSeq.",
        call: |m, _, now, params| cancel(m, now, params),
    },
    RpcCommand {
        name: "tm.reply",
        doc: "Answers a transaction. Parameters: code, reason, `index:label`. The To tag is chosen here; header rows and body are not taken.",
        call: |m, _, now, params| reply(m, now, params),
    },
    RpcCommand {
        name: "tm.reply_callid",
        doc: "Answers a transaction. Parameters: code, reason, Call-ID, number of CSeq. The To tag is chosen here; header rows and body are not \
              taken.",
        call: |m, _, now, params| reply_callid(m, now, params),
    },
    RpcCommand {
        name: "tm.retransmit_reply",
        doc: "Sends the last reply of a transaction again. Not done here, it happens by itself when the request is repeated: an error.",
        call: |_, _, _, _| {
            Err(RpcError::new(500, "Replies are repeated when the request is; not by command"))
        },
    },
    RpcCommand {
        name: "tm.retransmit_reply_callid",
        doc: "As tm.retransmit_reply.",
        call: |_, _, _, _| {
            Err(RpcError::new(500, "Replies are repeated when the request is; not by command"))
        },
    },
    RpcCommand {
        name: "tm.t_uac_start",
        doc: "Sends a request and does not wait for its reply. Parameters: method, Request-URI, next hop, socket (`.` for none), header rows with \
              From and To, body (optional).",
        call: |m, _, now, params| start(m, now, params, false, false),
    },
    RpcCommand {
        name: "tm.t_uac_start_noack",
        doc: "As tm.t_uac_start.",
        call: |m, _, now, params| start(m, now, params, false, false),
    },
    RpcCommand {
        name: "tm.t_uac_start_hex",
        doc: "As tm.t_uac_start, header rows and body in hexadecimal digits.",
        call: |m, _, now, params| start(m, now, params, true, false),
    },
    RpcCommand {
        name: "tm.t_uac_start_noack_hex",
        doc: "As tm.t_uac_start_hex.",
        call: |m, _, now, params| start(m, now, params, true, false),
    },
    waits!("tm.t_uac_wait"),
    waits!("tm.t_uac_wait_hex"),
    waits!("tm.t_uac_wait_noack"),
    waits!("tm.t_uac_wait_noack_hex"),
    RpcCommand {
        name: "tm.t_uac_wait_block",
        doc: "Sends a request and waits for its final reply: code and text. Parameters as of tm.t_uac_start. Not for INVITE. Over datagrams others wait \
              meanwhile.",
        call: |m, _, now, params| start(m, now, params, false, true),
    },
    RpcCommand {
        name: "tm.t_uac_wait_block_hex",
        doc: "As tm.t_uac_wait_block, header rows and body in hexadecimal digits.",
        call: |m, _, now, params| start(m, now, params, true, true),
    },
    RpcCommand {
        name: "tm.t_uac_wait_block_noack",
        doc: "As tm.t_uac_wait_block.",
        call: |m, _, now, params| start(m, now, params, false, true),
    },
    RpcCommand {
        name: "tm.t_uac_wait_block_noack_hex",
        doc: "As tm.t_uac_wait_block, header rows and body in hexadecimal digits.",
        call: |m, _, now, params| start(m, now, params, true, true),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_rows() {
        let rows = b"From: <sip:a@b>\r\nCALL-ID:  x@y \r\n";
        assert_eq!(value(rows, b"call-id:").as_deref(), Some("x@y"));
        assert_eq!(value(rows, b"cseq:"), None);
    }
    #[test]
    fn hexadecimal_text() {
        assert_eq!(from_hex("46726f6D"), Some(b"From".to_vec()));
        assert_eq!((from_hex("4"), from_hex("4g"), from_hex("")), (None, None, Some(Vec::new())));
    }
}
