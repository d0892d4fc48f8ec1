//! The onsend route: messages on their way out, with where to (`$snd`, `$sndfrom`).
//!
//! A request can be dropped there. A reply, with `onsend_route_reply`, goes out whatever the route does (Kamailio, observed): its
//! transaction has moved on by then.

use std::sync::Arc;

use message::{Edits, Message, print};
use script::{CallbackId, Inbound, RouteContext, RouteKind, RunOutcome, Services};
use transaction::{Forward, Hop, Now};

use crate::Proxy;
use crate::receive::print_shared;
use crate::saved::Saved;

impl Proxy {
    /// The onsend route of a message that is about to leave; whether it dropped it.
    pub(crate) fn run_onsend(
        &self,
        ctx: &mut RouteContext<'_>,
        callback: CallbackId,
        hop: Hop,
        bytes: &Arc<[u8]>,
    ) -> bool {
        let kind = std::mem::replace(&mut ctx.kind, RouteKind::Onsend);
        ctx.dropped = false;
        ctx.sending = Some((hop, bytes.clone()));
        let outcome = self.run(ctx, callback);
        ctx.sending = None;
        ctx.kind = kind;
        if outcome == RunOutcome::Exception {
            self.counters().script_errors.inc();
        }
        std::mem::take(&mut ctx.dropped) || outcome == RunOutcome::Drop
    }

    /// Sends a branch's reply on, past the onsend route. It sees the reply as it came, with the transaction's flags and AVPs.
    pub(crate) fn forward_reply(&self, services: &Services<'_>, now: Now, forward: Forward) {
        let Forward { id, branch, from, reply, hop, bytes, script } = forward;
        if let (Some(callback), Some(from)) = (self.onsend_route(), from) {
            let inbound = self.reply_inbound(from);
            let mut ctx = RouteContext::new(services, RouteKind::Onsend, reply, inbound, now);
            ctx.transaction = Some(id);
            ctx.looked_up = true;
            ctx.branch_index = branch;
            if let Some(saved) = Saved::from_any(&script) {
                let state = saved.state();
                (ctx.flags, ctx.xflags) = (state.flags, state.xflags);
                ctx.vars = saved.vars();
            }
            self.run_onsend(&mut ctx, callback, hop, &bytes);
        }
        services.outbox.push(hop, bytes);
    }

    /// The same for a reply of no transaction.
    pub(crate) fn send_stateless_reply(
        &self,
        services: &Services<'_>,
        now: Now,
        inbound: Inbound,
        reply: &Arc<Message>,
        hop: Hop,
    ) {
        let write = |out: &mut Vec<u8>| print::forwarded_reply(reply, &Edits::new(), out);
        let Some(callback) = self.onsend_route().filter(|_| self.core.config.onsend_route_reply) else {
            return services.outbox.print(hop, write);
        };
        let bytes = print_shared(write);
        let mut ctx = RouteContext::new(services, RouteKind::Onsend, reply.clone(), inbound, now);
        self.run_onsend(&mut ctx, callback, hop, &bytes);
        services.outbox.push(hop, bytes);
    }
}
