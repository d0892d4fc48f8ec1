//! Requests of our own: transactions without a server side, and the modules that hear how they end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use message::{Message, print};
use script::{LocalEnd, RouteContext, Services, Tell, UacRequest};
use transaction::{Hop, Input, NewBranch, NewTransaction, Now};

use crate::receive::print_shared;
use crate::relay::services;
use crate::{Proxy, resolve, shards};

impl Proxy {
    /// Makes a transaction of our own and sends its request. 1, or -1 when that cannot be done.
    pub(crate) fn send_local(
        &self,
        ctx: &mut RouteContext<'_>,
        request: &UacRequest<'_>,
        tell: Option<Tell>,
    ) -> i64 {
        let next = if request.next_hop.is_empty() { request.ruri } else { request.next_hop };
        let Some(mut hop) = resolve::resolve(ctx, next, None) else {
            ctx.error = Some((478, "Unresolvable destination"));
            return -1;
        };
        if !request.socket.is_empty()
            && let Some(socket) = self.socket_named(request.socket)
        {
            hop.socket = socket;
        }
        let Some((parsed, _)) = self.write_uac(ctx, request, hop, b"z9hG4bK-local") else { return -1 };
        let cseq = match parsed.cseq() {
            Ok(c) => c.number,
            Err(_) => return -1,
        };
        let parsed = Arc::new(parsed);
        let new = NewTransaction {
            request: parsed.clone(),
            reply_to: hop,
            timing: ctx.timing.unwrap_or(self.core.config.timing.apply(self.settings.timing)),
            options: self.settings.options,
            script: tell.map(|t| Arc::new(t) as _),
            local: true,
            trying: None,
        };
        let mut actions = Vec::new();
        let created = self
            .shards
            .of_request(parsed.call_id(), cseq, |shard| shard.create(new, ctx.now.mono, &mut actions));
        self.perform(&services(ctx), ctx.now, actions);
        let Ok(id) = created else { return -1 };
        let mut branch = Vec::new();
        id.write_branch(0, &mut branch);
        let bytes = {
            let mut via = Vec::new();
            self.write_via(ctx, hop, &mut via);
            via.extend_from_slice(&branch);
            let mut edits = message::Edits::new();
            if let Some(h) = parsed.header(message::HeaderName::Via) {
                edits.remove(h.row.0, h.row.1);
            }
            print_shared(|out| {
                print::request(
                    &parsed,
                    &edits,
                    &print::Forward { uri: None, via: Some(&via), via_stamp: None },
                    out,
                )
            })
        };
        let branches = vec![NewBranch { number: 0, bytes, hop, uri: request.ruri.into(), script: None }];
        let input = Input::Relay { branches, armed: Default::default() };
        match self.step(&services(ctx), ctx.now, id, input) {
            Ok(()) => 1,
            Err(_) => -1,
        }
    }

    /// Tells the module that asked for it how a request of our own ended.
    pub(crate) fn tell_local_end(
        &self,
        services: &Services<'_>,
        now: Now,
        tell: Tell,
        code: u16,
        reply: Option<Arc<Message>>,
    ) {
        debug_assert!(shards::unlocked());
        if let Some(module) = self.core().registry.modules().iter().find(|m| m.name() == tell.module) {
            module.local_reply(services, now, LocalEnd { token: tell.token, code, reply });
        }
    }

    /// Prints and parses a request of our own. From, To, Call-ID, CSeq and Max-Forwards are added where `rows` lacks them.
    fn write_uac(
        &self,
        ctx: &RouteContext<'_>,
        r: &UacRequest<'_>,
        hop: Hop,
        branch: &[u8],
    ) -> Option<(Message, Vec<u8>)> {
        let has = |name: &str| {
            r.rows.split(|b| *b == b'\n').any(|row| {
                row.len() > name.len()
                    && row[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                    && row[name.len()] == b':'
            })
        };
        let mut out = Vec::with_capacity(512 + r.rows.len() + r.body.len());
        out.extend_from_slice(r.method);
        out.push(b' ');
        out.extend_from_slice(r.ruri);
        out.extend_from_slice(b" SIP/2.0\r\nVia: ");
        self.write_via(ctx, hop, &mut out);
        out.extend_from_slice(branch);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(r.rows);
        if !r.rows.is_empty() && !r.rows.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        if !has("Call-ID") {
            // Several are made at one time.
            let number = self.local_requests.fetch_add(1, Ordering::Relaxed);
            let n = ctx.now.unix_micros ^ self.core.config.seed;
            let row = format!("Call-ID: {n:016x}-{number:x}-{}\r\n", self.core.config.pid);
            out.extend_from_slice(row.as_bytes());
        }
        if !has("CSeq") {
            out.extend_from_slice(b"CSeq: 10 ");
            out.extend_from_slice(r.method);
            out.extend_from_slice(b"\r\n");
        }
        if !has("Max-Forwards") {
            out.extend_from_slice(b"Max-Forwards: 70\r\n");
        }
        if !has("User-Agent") {
            out.extend_from_slice(&self.core.config.user_agent_header);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", r.body.len()).as_bytes());
        out.extend_from_slice(r.body);
        let message = Message::parse(&out).ok()?;
        message.validate().ok()?;
        Some((message, out))
    }

    fn socket_named(&self, text: &[u8]) -> Option<transaction::SocketId> {
        let text = std::str::from_utf8(text).ok()?;
        let i = self.core.listeners.iter().position(|l| {
            l.name.as_deref() == Some(text) || format!("{}:{}", l.transport.lower(), l.address) == text
        })?;
        Some(transaction::SocketId(i as u16))
    }
}
