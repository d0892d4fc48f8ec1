//! `tm.*` that needs the transactions themselves: lists, cancels and answers them. `uac.rs` begins them.
//!
//! What is done here runs on the thread of the client that asked, with a stand-in for a message and without a script: callbacks of the
//! transactions concerned run on workers, when the answers of peers come.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use message::{HeaderName, Message, Transport};
use script::engine::NoScript;
use script::{
    CallIdAct, Inbound, Module, Outbox, RouteContext, RouteKind, RpcCommand, RpcError, Services, WorkerState,
};
use serde_json::{Value as Json, json};
use transaction::{Now, SocketId, TransactionId, View};

use super::{integer, running};
use crate::worker::{Out, Shared};

/// Transactions that `tm.list` tells of.
const LISTED_MAX: usize = 10_000;

const STAND_IN: &[u8] = b"OPTIONS sip:rpc@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.rpc\r\n\
    From: <sip:rpc@localhost>;tag=rpc\r\nTo: <sip:rpc@localhost>\r\nCall-ID: rpc@localhost\r\nCSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

pub(super) type Answer = Result<Json, RpcError>;

/// Runs `f` on a stand-in message and sends what it made.
pub(super) fn with<R>(
    shared: &Shared,
    now: Now,
    f: impl FnOnce(&mut RouteContext<'_>) -> R,
) -> Result<R, RpcError> {
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

pub(super) fn word(params: &[Json], at: usize, what: &str) -> Result<String, RpcError> {
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

/// The first transaction that is wanted, with its Call-ID and the number of its CSeq. Looks at all of them.
fn find(
    module: &dyn Module,
    wanted: impl Fn(&View<'_>) -> bool,
) -> Result<(TransactionId, String, u32), RpcError> {
    let mut found = None;
    running(module)?.shared.proxy.for_transactions(usize::MAX, |view| {
        if found.is_none() && wanted(view) {
            let cseq = view.request().cseq().map_or(0, |c| c.number);
            found = Some((view.id(), String::from_utf8_lossy(view.request().call_id()).into_owned(), cseq));
        }
    });
    found.ok_or_else(missing)
}

/// As [`find`], by `index:label`.
fn named(module: &dyn Module, name: &str) -> Result<(TransactionId, String, u32), RpcError> {
    let parts =
        name.split_once(':').and_then(|(i, l)| Some((i.parse::<u32>().ok()?, l.parse::<u32>().ok()?)));
    let parts = parts.ok_or_else(|| RpcError::new(400, "Transaction ID expected"))?;
    find(module, |view| (view.id().index, view.id().label) == parts)
}

fn retransmit(module: &dyn Module, now: Now, id: TransactionId) -> Answer {
    let sent = with(&running(module)?.shared, now, |ctx| {
        ctx.transaction = Some(id);
        ctx.transactions.retransmit_reply(ctx)
    })?;
    if sent == 1 { Ok(Json::Null) } else { Err(missing()) }
}

fn retransmit_reply(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let (id, ..) = named(module, &word(params, 0, "Transaction ID")?)?;
    retransmit(module, now, id)
}

fn retransmit_reply_callid(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let (call_id, number) = (word(params, 0, "Callid")?, cseq(params, 1)?);
    let same = |m: &Message| m.call_id() == call_id.as_bytes() && m.cseq().is_ok_and(|c| c.number == number);
    let (id, ..) = find(module, |view| !view.is_local() && same(view.request()))?;
    retransmit(module, now, id)
}

fn reply(module: &dyn Module, now: Now, params: &[Json]) -> Answer {
    let (code, reason) = code_and_reason(params)?;
    let (_, call_id, cseq) = named(module, &word(params, 2, "Transaction ID")?)?;
    by_callid(module, now, &call_id, cseq, CallIdAct::Reply { code, reason: reason.as_bytes() })
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
        doc: "Sends the last reply of a transaction again, if there is one. Parameter: `index:label`.",
        call: |m, _, now, params| retransmit_reply(m, now, params),
    },
    RpcCommand {
        name: "tm.retransmit_reply_callid",
        doc: "As tm.retransmit_reply. Parameters: Call-ID, CSeq.",
        call: |m, _, now, params| retransmit_reply_callid(m, now, params),
    },
];
