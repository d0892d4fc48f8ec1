//! Without a transaction: `forward()`, end-to-end ACKs, and replies that belong to no transaction here.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use message::{Edits, Message, print};
use script::{Inbound, RelayTo, RouteContext, Services};
use transaction::{Hop, Now, SocketId};

use crate::branch::add_path;
use crate::receive::print_shared;
use crate::{Proxy, resolve};

impl Proxy {
    /// Sends the request on without remembering it (RFC 3261 §16.11). The branch is computed from the previous hop's, so that
    /// retransmissions and the CANCEL get the same one.
    pub(crate) fn send_stateless(&self, ctx: &mut RouteContext<'_>, to: RelayTo<'_>) -> i64 {
        let next = ctx.next_hop_uri();
        let hop = match to {
            RelayTo::Uris => resolve::resolve(ctx, next, None),
            RelayTo::Transport(t) => resolve::resolve(ctx, next, Some(t)),
            RelayTo::Proxy(text) => resolve::resolve_proxy(ctx, text),
        };
        let Some(hop) = hop else {
            self.counters().no_destination.inc();
            ctx.error = Some((478, "Unresolvable destination"));
            return -1;
        };
        let mut via = Vec::with_capacity(96);
        self.write_via(ctx, hop, &mut via);
        let previous = ctx.message.via().ok().and_then(|v| v.branch);
        via.extend_from_slice(self.stateless_branch(&ctx.message, previous).as_bytes());
        let mut own = None;
        if !ctx.target.path.is_empty() || ctx.record_route.is_some() {
            let mut edits = ctx.edits.clone();
            add_path(ctx, &mut edits);
            self.add_record_route(ctx, hop, &mut edits);
            own = Some(edits);
        }
        let edits = own.as_ref().unwrap_or(&ctx.edits);
        let write = |out: &mut Vec<u8>| {
            let how = print::Forward {
                uri: (!ctx.target.uri.is_empty()).then_some(&ctx.target.uri[..]),
                via: Some(&via),
                via_stamp: print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport),
            };
            print::request(&ctx.message, edits, &how, out);
        };
        match self.onsend_route() {
            None => ctx.outbox.print(hop, write),
            Some(callback) => {
                let bytes = print_shared(write);
                if self.run_onsend(ctx, callback, hop, &bytes) {
                    return -1;
                }
                ctx.outbox.push(hop, bytes);
            }
        }
        self.counters().fwd_requests.inc();
        1
    }

    fn stateless_branch(&self, message: &Message, previous: Option<&[u8]>) -> String {
        let mut h = DefaultHasher::new();
        h.write_u64(self.core.config.seed);
        h.write(previous.unwrap_or_default());
        h.write(message.call_id());
        h.write_u32(message.cseq().map_or(0, |c| c.number));
        format!("z9hG4bKs{:016x}", h.finish())
    }

    /// Whether [`Proxy::send_stateless`] made the topmost Via of this reply.
    pub(crate) fn is_own_stateless_branch(&self, reply: &Message) -> bool {
        let mut branches = reply.vias().map(|via| via.ok().and_then(|v| v.branch));
        let (own, previous) = (branches.next().flatten(), branches.next().flatten());
        own.is_some_and(|b| b == self.stateless_branch(reply, previous).as_bytes())
    }

    /// Record-Route before the first header row, now that the outgoing socket is known.
    pub(crate) fn add_record_route(&self, ctx: &RouteContext<'_>, hop: Hop, edits: &mut Edits) {
        if let Some(route) = &ctx.record_route {
            let mut rows = Vec::with_capacity(128);
            route.write(&self.core.listeners, ctx.inbound.socket, hop.socket, &mut rows);
            edits.insert_front(ctx.message.headers_start(), &rows);
        }
    }

    /// Sends a reply on by its second Via (RFC 3261 §16.7, stateless). A reply without one was to a request of our own: dropped.
    pub(crate) fn forward_reply_stateless(
        &self,
        services: &Services<'_>,
        now: Now,
        inbound: Inbound,
        reply: &Arc<Message>,
    ) {
        let Some(Ok(via)) = reply.vias().nth(1) else { return self.counters().drop_replies.inc() };
        let Some(remote) = via.reply_address() else { return self.counters().err_replies.inc() };
        let transport = via.transport.unwrap_or(inbound.transport);
        let fits = |i: &usize| {
            self.core
                .listeners
                .get(*i)
                .is_some_and(|l| l.transport == transport && l.address.is_ipv4() == remote.is_ipv4())
        };
        let socket = Some(inbound.socket.0 as usize)
            .filter(fits)
            .or_else(|| (0..self.core.listeners.len()).find(|i| fits(i)));
        let Some(socket) = socket else { return self.counters().err_replies.inc() };
        let hop = Hop { transport, remote, socket: SocketId(socket as u16) };
        self.send_stateless_reply(services, now, inbound, reply, hop);
        self.counters().fwd_replies.inc();
    }
}
