//! Requests of our own within a dialog: BYE, OPTIONS, REFER, and what scripts make.

use std::sync::Arc;

use script::{CallIdAct, DialogMoment, RouteContext, Tell, UacRequest};

use super::DialogModule;
use super::dialog::{Dialog, Direction, Leg, State};

/// Sides of a dialog, as scripts name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
    Both,
}

impl Side {
    pub(super) fn parse(text: &[u8]) -> Option<Side> {
        match text {
            b"caller" => Some(Side::Caller),
            b"callee" => Some(Side::Callee),
            b"all" | b"both" => Some(Side::Both),
            _ => None,
        }
    }
    /// Which ways requests to it go, in Kamailio's order.
    fn directions(self) -> &'static [Direction] {
        match self {
            Side::Callee => &[Direction::Downstream],
            Side::Caller => &[Direction::Upstream],
            Side::Both => &[Direction::Downstream, Direction::Upstream],
        }
    }
}

impl DialogModule {
    /// Ends a dialog with BYE, or an INVITE that has no final reply yet with a reply. Whether anything could be sent.
    pub(super) fn bye(
        &self,
        ctx: &mut RouteContext<'_>,
        dialog: &Arc<Dialog>,
        side: Side,
        rows: &[u8],
    ) -> bool {
        let state = dialog.facts().state;
        match state {
            State::Ended => return false,
            State::Unconfirmed | State::Early => {
                let code = u16::try_from(self.settings.bye_early_code).unwrap_or(480);
                let reason = self.settings.bye_early_reason.as_bytes();
                let act = CallIdAct::Reply { code, reason };
                return ctx.transactions.by_callid(ctx, &dialog.call_id, dialog.cseq, act) == 1;
            }
            State::Answered | State::Confirmed => {}
        }
        let sent = self.send(ctx, dialog, side, b"BYE", rows, b"");
        if sent && let Some(before) = self.end(dialog, super::follow::unix(ctx), State::Ended) {
            self.as_current(ctx, dialog, |module, ctx| {
                module.happened(ctx, DialogMoment::Ended, Some("dialog:end"));
            });
            self.counters.left(before);
        }
        sent
    }

    /// With this dialog as the context's.
    pub(super) fn as_current(
        &self,
        ctx: &mut RouteContext<'_>,
        dialog: &Arc<Dialog>,
        f: impl FnOnce(&DialogModule, &mut RouteContext<'_>),
    ) {
        let before = std::mem::take(&mut ctx.kept);
        ctx.kept = before.clone();
        ctx.kept.put(dialog.clone());
        f(self, ctx);
        ctx.kept = before;
    }

    /// Sends a request to one side or both; true when all could be sent.
    pub(super) fn send(
        &self,
        ctx: &mut RouteContext<'_>,
        dialog: &Arc<Dialog>,
        side: Side,
        method: &[u8],
        rows: &[u8],
        body: &[u8],
    ) -> bool {
        side.directions().iter().filter(|way| !self.send_one(ctx, dialog, **way, method, rows, body)).count()
            == 0
    }

    fn send_one(
        &self,
        ctx: &mut RouteContext<'_>,
        dialog: &Arc<Dialog>,
        way: Direction,
        method: &[u8],
        rows: &[u8],
        body: &[u8],
    ) -> bool {
        let (to, cseq, to_tag, socket) = {
            let mut facts = dialog.facts();
            let (to, from) = match way {
                Direction::Downstream => (facts.callee.clone(), &mut facts.caller),
                Direction::Upstream => (facts.caller.clone(), &mut facts.callee),
            };
            // A keepalive uses a number that was used: it must not get in the way of the next request (its CSeq is "lower or equal").
            let cseq = if method == b"OPTIONS" { from.cseq.max(1) } else { from.cseq.saturating_add(1) };
            if method != b"OPTIONS" {
                from.cseq = cseq;
            }
            let socket = to.socket;
            (to, cseq, facts.to_tag.clone(), socket)
        };
        if to.contact.is_empty() {
            tracing::warn!(target: "dialog", call_id = %String::from_utf8_lossy(&dialog.call_id), "no contact to send {} to",
                String::from_utf8_lossy(method));
            return false;
        }
        let (from_uri, from_tag, to_uri, tag) = match way {
            Direction::Downstream => (&dialog.from_uri, &dialog.from_tag, &dialog.to_uri, &to_tag),
            Direction::Upstream => (&dialog.to_uri, &to_tag, &dialog.from_uri, &dialog.from_tag),
        };
        let mut head = Vec::with_capacity(256 + rows.len());
        for part in [&b"To: <"[..], to_uri, b">;tag=", tag, b"\r\nFrom: <", from_uri, b">;tag=", from_tag] {
            head.extend_from_slice(part);
        }
        head.extend_from_slice(format!("\r\nCSeq: {cseq} ").as_bytes());
        head.extend_from_slice(method);
        head.extend_from_slice(b"\r\nCall-ID: ");
        head.extend_from_slice(&dialog.call_id);
        head.extend_from_slice(b"\r\n");
        if !to.route_set.is_empty() {
            head.extend_from_slice(b"Route: ");
            head.extend_from_slice(&to.route_set);
            head.extend_from_slice(b"\r\n");
        }
        for more in [self.settings.dlg_extra_hdrs.as_deref(), self.for_callee(way)].into_iter().flatten() {
            push_rows(&mut head, more.as_bytes());
        }
        push_rows(&mut head, rows);
        let next_hop = first_route(&to);
        let socket = socket
            .and_then(|s| ctx.core.listeners.get(usize::from(s.0)))
            .map(socket_name)
            .unwrap_or_default();
        let request = UacRequest {
            method,
            ruri: &to.contact,
            next_hop: &next_hop,
            socket: socket.as_bytes(),
            rows: &head,
            body,
        };
        match method {
            b"OPTIONS" => {
                let tell =
                    Tell { module: "dialog", token: u64::from(dialog.entry) << 32 | u64::from(dialog.id) };
                ctx.transactions.send_request(ctx, &request, tell) == 1
            }
            _ => ctx.transactions.uac_send(ctx, &request) == 1,
        }
    }

    fn for_callee(&self, way: Direction) -> Option<&str> {
        self.settings.lreq_callee_headers.as_deref().filter(|_| way == Direction::Downstream)
    }
}

/// `udp:127.0.0.1:5060`.
pub(super) fn socket_name(listener: &script::Listener) -> String {
    format!("{}:{}", listener.transport.lower(), listener.address)
}

fn first_route(leg: &Leg) -> Vec<u8> {
    match message::NameAddr::list(&leg.route_set).next() {
        Some(Ok(first)) => first.uri.to_vec(),
        _ => Vec::new(),
    }
}

/// Rows that a configuration or a script gives: whatever ends its lines, what is sent is CRLF, and an empty line would end the header.
fn push_rows(out: &mut Vec<u8>, rows: &[u8]) {
    for row in rows.split(|b| matches!(b, b'\r' | b'\n')).filter(|row| !row.is_empty()) {
        out.extend_from_slice(row);
        out.extend_from_slice(b"\r\n");
    }
}
