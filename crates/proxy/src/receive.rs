//! A datagram comes in: parse, check, match, route.

use std::net::SocketAddr;
use std::sync::Arc;

use message::{Edits, Fault, HeaderName, Message, Method, ParseError, Scheme, print};
use script::{Awaiting, Inbound, Outbox, Parked, RouteContext, RouteKind, RunOutcome, Services};
use transaction::{Hop, Input, Kind, Now, TransactionId};

use crate::{Proxy, counters, loops, shards};

impl Proxy {
    /// The whole way of one datagram. What is to be sent is in `services.outbox` when this returns.
    pub fn receive(&self, services: &Services<'_>, now: Now, inbound: Inbound, datagram: &[u8]) {
        let message = match Message::parse(datagram) {
            Ok(m) => m,
            Err(ParseError::KeepAlive) => return self.counters.keepalives.inc(),
            Err(error) => {
                self.counters.bad_messages.inc();
                tracing::debug!(target: "core", source = %inbound.source, ?error, "not a SIP message");
                return;
            }
        };
        if message.is_request() {
            self.receive_request(services, now, inbound, message);
        } else {
            self.receive_reply(services, now, inbound, message);
        }
    }

    /// Answers 503 with Retry-After without routing: for when no worker can run the script.
    pub fn reject_busy(&self, outbox: &Outbox, inbound: Inbound, datagram: &[u8]) {
        if let Ok(message) = Message::parse(datagram)
            && message.is_request()
            && message.method() != Method::Ack
            && message.validate().is_ok()
        {
            let rows = format!("Retry-After: {}\r\n", self.settings.retry_after);
            self.answer(outbox, &message, inbound, false, 503, b"Service Unavailable", rows.as_bytes());
        }
    }

    fn receive_request(&self, services: &Services<'_>, now: Now, inbound: Inbound, message: Message) {
        let method = message.method();
        self.counters.received_request(method);
        if let Err(fault) = check_request(&message) {
            return self.refuse(services.outbox, &message, inbound, fault);
        }
        if method == Method::Ack && self.is_ack_to_stateless(&message) {
            return self.counters.sl_received_acks.inc();
        }
        let message = Arc::new(message);
        let mut looked_up = false;
        // CANCEL is the script's to see; a retransmission or the ACK to our negative reply is nothing new to it.
        if method != Method::Cancel {
            looked_up = true;
            if self.absorb(services, now, &message) {
                return;
            }
        }
        let mut ctx = RouteContext::new(services, RouteKind::Request, message, inbound, now);
        ctx.looked_up = looked_up && method != Method::Ack;
        services.worker.message_number.set(services.worker.message_number.get() + 1);
        ctx.may_await = true;
        ctx.edits = services.worker.edits.take();
        let outcome = self.run(&mut ctx, self.request);
        if outcome == RunOutcome::Awaits {
            return self.request_awaits(ctx);
        }
        self.end_of_request_route(services, &mut ctx, outcome);
        ctx.edits.clear();
        services.worker.edits.set(ctx.edits);
    }

    /// The request's route goes on later. A transaction is made for it meanwhile, so that retransmissions are absorbed and the caller of
    /// an INVITE gets its 100.
    fn request_awaits(&self, mut ctx: RouteContext<'_>) {
        use script::Transactions;
        if ctx.transaction.is_none() && !matches!(ctx.message.method(), Method::Ack | Method::Cancel) {
            self.new_transaction(&mut ctx);
            // "[..] unless it knows that the TU will generate a provisional or final response within 200 ms" (RFC 3261 §17.2.1)
            if let Some(id) = ctx.transaction.filter(|_| ctx.message.method() == Method::Invite) {
                self.send_trying(&mut ctx, id);
            }
        }
        let engine = ctx.engine;
        engine.carry_on(Parked::of(ctx), Awaiting::Request);
    }

    /// Whether a transaction took the request: a retransmission, or the ACK to a non-2xx.
    fn absorb(&self, services: &Services<'_>, now: Now, message: &Message) -> bool {
        let Ok(cseq) = message.cseq() else { return false };
        let mut actions = services.worker.actions.take();
        // A server that answers without transactions looks no further. Two copies of a request in the same moment are told apart when the
        // second makes its transaction.
        let absorbed = self.shards.of_request_if_any(message.call_id(), cseq.number, |shard| {
            let Some(found) = shard.match_request(message) else { return false };
            let input = match found.kind {
                Kind::Retransmission => Input::Retransmission,
                Kind::AckNon2xx => Input::Ack,
                Kind::AckEndToEnd => return false,
            };
            shard.step(found.id, input, now.mono, &mut actions).is_ok()
        });
        self.perform(services, now, actions);
        absorbed.unwrap_or(false)
    }

    fn end_of_request_route(&self, services: &Services<'_>, ctx: &mut RouteContext<'_>, outcome: RunOutcome) {
        script::hooks::tell(ctx, &script::Moment::RouteEnded);
        if outcome == RunOutcome::Exception {
            self.counters.script_errors.inc();
            if self.settings.answer_exceptions && !ctx.replied && ctx.message.method() != Method::Ack {
                self.answer_exception(ctx);
            }
        }
        if outcome == RunOutcome::Missing {
            tracing::error!(target: "core", "the script has no request callback: request dropped");
            self.counters.drop_requests.inc();
        }
        // The route ended without answering or sending on: nothing will ever happen to this transaction.
        if let Some(id) = ctx.transaction {
            let idle = self.shards.of_id(id, |shard| {
                shard.view(id).is_some_and(|v| v.status() < 200 && v.branch_count() == 0 && !v.is_suspended())
            });
            if idle {
                let _ = self.step(services, ctx.now, id, Input::Release);
            }
        }
    }

    fn answer_exception(&self, ctx: &mut RouteContext<'_>) {
        use script::Transactions;
        match ctx.transaction {
            Some(id) => {
                let open = self.shards.of_id(id, |shard| {
                    shard.view(id).is_some_and(|v| v.status() < 200 && v.branch_count() == 0)
                });
                if open {
                    self.reply(ctx, 500, b"Server Internal Error");
                }
            }
            None => {
                self.reply_stateless(ctx, 500, b"Server Internal Error");
            }
        }
    }

    fn refuse(&self, outbox: &Outbox, message: &Message, inbound: Inbound, fault: Fault) {
        self.counters.err_requests.inc();
        if fault.reason.contains("URI") {
            self.counters.bad_uris.inc();
        } else {
            self.counters.bad_messages.inc();
        }
        tracing::debug!(target: "core", source = %inbound.source, code = fault.code, reason = fault.reason, "request refused");
        // An ACK is never answered (RFC 3261 §17.1.1.3). A Via that cannot be read still shows that somebody waits: the answer goes to
        // the sender.
        if message.method() == Method::Ack || message.header(HeaderName::Via).is_none() {
            return self.counters.drop_requests.inc();
        }
        self.answer(outbox, message, inbound, false, fault.code, fault.reason.as_bytes(), b"");
    }

    /// Prints a reply outside of any transaction.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn answer(
        &self,
        outbox: &Outbox,
        message: &Message,
        inbound: Inbound,
        force_rport: bool,
        code: u16,
        reason: &[u8],
        rows: &[u8],
    ) {
        let hop = reply_hop(message, inbound, force_rport);
        let tag = self.stateless_tag(message);
        outbox.print(hop, |out| {
            let stamp = print::via_stamp(message, inbound.source, force_rport);
            self.write_reply(message, code, reason, &tag, rows, stamp, None, out);
        });
        self.counters.sent_stateless(code);
    }

    fn receive_reply(&self, services: &Services<'_>, now: Now, inbound: Inbound, message: Message) {
        self.counters.rcv_replies.inc();
        if let Err(fault) = message.validate() {
            tracing::debug!(target: "core", source = %inbound.source, reason = fault.reason, "reply dropped");
            self.counters.bad_messages.inc();
            return self.counters.drop_replies.inc();
        }
        self.counters.received_reply(message.status(), message.method());
        let id = message
            .via()
            .ok()
            .and_then(|v| v.branch)
            .and_then(|b| TransactionId::parse_branch(loops::without_suffix(b)));
        if id.is_none()
            && self.core.registry.modules().iter().any(|m| m.takes_reply(&self.core, &message, inbound, now))
        {
            return;
        }
        // RFC 3261 §18.1.2: a reply whose topmost Via is not ours is discarded. With `set_advertised_address` the address in it is the
        // script's, and only the branch tells.
        let ours = message.via().is_ok_and(|v| self.core.is_myself(v.host, v.port, v.transport))
            || id.is_some_and(|(id, _)| self.shards.of_id(id, |shard| shard.view(id).is_some()))
            || self.is_own_stateless_branch(&message);
        if !ours {
            return self.counters.drop_replies.inc();
        }
        let mut message = Arc::new(message);
        if let Some(callback) = self.reply_route() {
            let mut ctx = RouteContext::new(services, RouteKind::Reply, message.clone(), inbound, now);
            ctx.transaction = id.map(|(id, _)| id);
            ctx.branch_index = id.map_or(0, |(_, b)| b);
            services.worker.message_number.set(services.worker.message_number.get() + 1);
            ctx.may_await = true;
            let outcome = self.run(&mut ctx, callback);
            if outcome == RunOutcome::Awaits {
                let engine = ctx.engine;
                return engine.carry_on(Parked::of(ctx), Awaiting::Reply(id));
            }
            match self.end_of_reply_route(&ctx, outcome) {
                Some(changed) => message = changed,
                None => return,
            }
        }
        self.deliver_reply(services, now, inbound, id, message);
    }

    /// The reply as the script left it; `None` when it goes no further.
    fn end_of_reply_route(&self, ctx: &RouteContext<'_>, outcome: RunOutcome) -> Option<Arc<Message>> {
        if outcome == RunOutcome::Exception {
            self.counters.script_errors.inc();
        }
        if ctx.dropped || outcome == RunOutcome::Drop {
            self.counters.drop_replies.inc();
            return None;
        }
        Some(with_edits(ctx.message.clone(), &ctx.edits))
    }

    /// What comes after a route that awaited.
    pub(crate) fn after_awaiting(
        &self,
        services: &Services<'_>,
        mut ctx: RouteContext<'_>,
        awaiting: Awaiting,
        outcome: RunOutcome,
    ) {
        match awaiting {
            Awaiting::Request => self.end_of_request_route(services, &mut ctx, outcome),
            Awaiting::Reply(id) => {
                if let Some(message) = self.end_of_reply_route(&ctx, outcome) {
                    self.deliver_reply(services, ctx.now, ctx.inbound, id, message);
                }
            }
            Awaiting::Decision(id, wanted) => self.decided(services, &mut ctx, id, &wanted, outcome),
        }
    }

    fn deliver_reply(
        &self,
        services: &Services<'_>,
        now: Now,
        inbound: Inbound,
        id: Option<(TransactionId, u16)>,
        message: Arc<Message>,
    ) {
        let Some((id, branch)) = id else {
            return self.forward_reply_stateless(services, now, inbound, &message);
        };
        let forward = (message.status() != 100 && message.method() != Method::Cancel)
            .then(|| print_shared(|out| print::forwarded_reply(&message, &Edits::new(), out)));
        let input = Input::ReplyReceived { branch, reply: message.clone(), from: inbound.back(), forward };
        if self.step(services, now, id, input).is_err() {
            self.forward_reply_stateless(services, now, inbound, &message);
        }
    }

    /// Runs a callback; the one place where a script is entered.
    pub(crate) fn run(&self, ctx: &mut RouteContext<'_>, callback: script::CallbackId) -> RunOutcome {
        debug_assert!(shards::unlocked(), "no script runs while a lock is held");
        ctx.engine.run(ctx.kind, callback, ctx)
    }

    /// Lets something happen to a transaction and does what comes of it. `Err`: there is no such transaction.
    pub(crate) fn step(
        &self,
        services: &Services<'_>,
        now: Now,
        id: TransactionId,
        input: Input,
    ) -> Result<(), transaction::Unknown> {
        let mut actions = services.worker.actions.take();
        self.shards.of_id(id, |shard| shard.step(id, input, now.mono, &mut actions))?;
        self.perform(services, now, actions);
        Ok(())
    }

    /// Counters of this proxy.
    pub(crate) fn counters(&self) -> &counters::Counters {
        &self.counters
    }
}

/// RFC 3261 §16.3: what a request must be before it is routed.
fn check_request(message: &Message) -> Result<(), Fault> {
    message.validate()?;
    match message.parse_request_uri() {
        Ok(uri) if uri.scheme == Scheme::Other => Err(Fault { code: 416, reason: "Unsupported URI Scheme" }),
        Ok(_) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Where a reply to this request goes: RFC 3261 §18.2.2 and RFC 3581 §4. The source address is what the topmost Via's `received`
/// says or would say.
pub(crate) fn reply_hop(message: &Message, inbound: Inbound, force_rport: bool) -> Hop {
    let port = match message.via() {
        Ok(via) if via.rport.is_some() || force_rport => inbound.source.port(),
        Ok(via) => via.port.unwrap_or_else(|| inbound.transport.default_port()),
        Err(_) => inbound.source.port(),
    };
    let remote = SocketAddr::new(inbound.source.ip(), if port == 0 { inbound.source.port() } else { port });
    Hop { transport: inbound.transport, remote, socket: inbound.socket }
}

/// The message with its edits applied, so that everything downstream sees one truth. Unchanged when there are none.
pub(crate) fn with_edits(message: Arc<Message>, edits: &Edits) -> Arc<Message> {
    if edits.is_empty() {
        return message;
    }
    let mut bytes = Vec::with_capacity(message.as_bytes().len() + 256);
    print::request(&message, edits, &print::Forward::default(), &mut bytes);
    match Message::parse(&bytes) {
        Ok(m) => Arc::new(m),
        Err(error) => {
            tracing::error!(target: "core", ?error, "the script's changes made a message that cannot be parsed: left unchanged");
            message
        }
    }
}

/// Prints into bytes that can be shared between the outbox and a transaction.
pub(crate) fn print_shared(write: impl FnOnce(&mut Vec<u8>)) -> Arc<[u8]> {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        write(buffer);
        Arc::from(&buffer[..])
    })
}
