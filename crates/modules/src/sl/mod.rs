//! Replies made here: without a transaction (RFC 3261 §8.2.7, §16.11), or within it when there is one.

mod counters;
mod redirect;

use std::sync::OnceLock;

use message::print;
use script::pv::Inner;
use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, Pv, RouteContext, RpcCommand,
    SetupError, Value, ksr_module,
};
use transaction::Hop;

use counters::Counters;

/// Module `sl`.
#[derive(Debug, Default)]
pub struct Sl {
    settings: Settings,
    counters: OnceLock<Counters>,
}

/// Parameters of `sl`.
#[derive(Debug, ModParams)]
struct Settings {
    /// 1: `send_reply` answers within the transaction when there is one. Default 1.
    bind_tm: bool,
    /// Status code of `sl_reply_error` when no cause is known. Default 500.
    default_code: u16,
    /// Reason phrase that goes with `default_code`.
    default_reason: String,
    /// Callback for ACKs to replies made here, after they were absorbed. Taken, but not run: absorbed ACKs never reach a script.
    event_callback_fl_ack: Option<String>,
    /// Callback that runs, with the request, after a stateless reply was sent: `(msg, "sl:local-response")`. Default none.
    event_callback_lres_sent: Option<String>,
    /// What 3xx replies tell of each branch besides its URI: 1 branch flags as Contact parameter `flags`, 2 Path as `Route` header of
    /// the URI, 3 both. Default 0.
    rich_redirect: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bind_tm: true,
            default_code: 500,
            default_reason: "I'm terribly sorry, server error occurred (1/SL)".into(),
            event_callback_fl_ack: None,
            event_callback_lres_sent: None,
            rich_redirect: 0,
        }
    }
}

/// Contacts of a redirect were put into the reply rows already: a second reply must not repeat them.
#[derive(Default)]
struct Redirected(bool);

impl Sl {
    /// `sl_send_reply` for other modules.
    pub(crate) fn send(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> Outcome {
        self.stateless(ctx, code, reason)
    }

    /// `send_reply` for other modules.
    pub(crate) fn send_within(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> Outcome {
        self.reply(ctx, code, reason)
    }

    fn counters(&self, ctx: &RouteContext<'_>) -> &Counters {
        self.counters.get_or_init(|| Counters::register(&ctx.core.statistics))
    }

    fn add_contacts(&self, ctx: &mut RouteContext<'_>, code: u16) {
        if (300..400).contains(&code) && !ctx.slots.peek::<Redirected>().is_some_and(|r| r.0) {
            let row = redirect::contacts(ctx, self.settings.rich_redirect);
            if !row.is_empty() {
                ctx.edits.append_to_reply(&row);
                ctx.slots.slot::<Redirected>().0 = true;
            }
        }
    }

    fn stateless(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> Outcome {
        if !ctx.message.is_request() || ctx.message.method() == message::Method::Ack {
            // RFC 3261 §17.1.1.2: nothing answers an ACK.
            return Outcome::FALSE;
        }
        self.add_contacts(ctx, code);
        let result = ctx.transactions.reply_stateless(ctx, code, reason);
        if result < 0 {
            self.counters(ctx).failures.inc();
            return Outcome(result);
        }
        self.counters(ctx).sent(code);
        if let Some(name) = &self.settings.event_callback_lres_sent
            && let Some(callback) = ctx.callback(name.as_bytes())
        {
            ctx.engine.run_event(callback, "sl:local-response", ctx);
        }
        Outcome(result)
    }

    fn reply(&self, ctx: &mut RouteContext<'_>, code: u16, reason: &[u8]) -> Outcome {
        if self.settings.bind_tm && ctx.transaction.is_some() {
            self.add_contacts(ctx, code);
            return Outcome(ctx.transactions.reply(ctx, code, reason));
        }
        self.stateless(ctx, code, reason)
    }

    /// Code and reason of the last failure, else the default.
    fn error(&self, ctx: &RouteContext<'_>) -> (u16, Vec<u8>) {
        match ctx.error {
            Some((code, reason)) => (code, reason.as_bytes().to_vec()),
            None => (self.settings.default_code, self.settings.default_reason.as_bytes().to_vec()),
        }
    }
}

/// A status code that can stand in a status line (RFC 3261 §7.2).
fn status_code(code: i64) -> Option<u16> {
    let code = u16::try_from(code).ok().filter(|c| (100..=999).contains(c));
    if code.is_none() {
        tracing::error!(target: "sl", "a reply code has three digits from 100 on");
    }
    code
}

#[ksr_module("sl")]
impl Sl {
    /// Answers the request without a transaction, once and without retransmissions.
    ///
    /// For a 3xx the destination set (the Request-URI when it was changed, and the branches) goes into Contact. Returns 1; -1 for
    /// an ACK, for a reply, or when it could not be sent. RFC 3261 §16.11.
    #[ksr(cfg = ["sl_send_reply"], routes(REQUEST, FAILURE, BRANCH, ONREPLY))]
    fn sl_send_reply(&self, ctx: &mut RouteContext<'_>, code: i64, reason: &[u8]) -> Outcome {
        match status_code(code) {
            Some(code) => self.stateless(ctx, code, reason),
            None => Outcome::FALSE,
        }
    }

    /// Answers the request: within its transaction when there is one, else as `sl_send_reply`.
    ///
    /// Returns 1; -1 when it could not be sent, for an ACK, or when the transaction has its final reply already.
    #[ksr(cfg = ["send_reply"], routes(REQUEST, FAILURE, BRANCH, ONREPLY))]
    fn send_reply(&self, ctx: &mut RouteContext<'_>, code: i64, reason: &[u8]) -> Outcome {
        match status_code(code) {
            Some(code) => self.reply(ctx, code, reason),
            None => Outcome::FALSE,
        }
    }

    /// As `send_reply`; `mode` adds 1: open no connection for the reply, 2: close the connection after it.
    #[ksr(cfg = ["send_reply_mode"], routes(REQUEST, FAILURE, BRANCH, ONREPLY))]
    fn send_reply_mode(&self, ctx: &mut RouteContext<'_>, code: i64, reason: &[u8], mode: i64) -> Outcome {
        ctx.send_flags.reply_no_connect |= mode & 1 != 0;
        ctx.send_flags.reply_close |= mode & 2 != 0;
        self.send_reply(ctx, code, reason)
    }

    /// Answers, without a transaction, with the cause of the last failure (478 for a name that cannot be resolved, ...), else with
    /// `default_code` and `default_reason`. Returns 1, or -1 when it could not be sent.
    #[ksr(cfg = ["sl_reply_error"], routes(REQUEST))]
    fn sl_reply_error(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let (code, reason) = self.error(ctx);
        self.stateless(ctx, code, &reason)
    }

    /// As `sl_reply_error`, within the transaction when there is one. Returns 1, or -1 when it could not be sent.
    #[ksr(cfg = ["send_reply_error"], routes(REQUEST))]
    fn send_reply_error(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let (code, reason) = self.error(ctx);
        self.reply(ctx, code, &reason)
    }

    /// Forwards the received reply now, without its transaction; `code` and `reason`, when not empty, replace those of the status line.
    ///
    /// The new code must be of the same class. The reply is forwarded again when the route ends, unless it is dropped. Returns 1; -1
    /// for a request, another class, or when the Via below ours has no address.
    #[ksr(cfg = ["sl_forward_reply"], routes(REPLY))]
    fn sl_forward_reply(&self, ctx: &mut RouteContext<'_>, code: &[u8], reason: &[u8]) -> Outcome {
        let message = ctx.message.clone();
        if message.is_request() {
            return Outcome::FALSE;
        }
        let mut edits = ctx.edits.clone();
        if !code.is_empty() {
            let status = message.status();
            let wanted = std::str::from_utf8(code).ok().and_then(|c| c.parse::<u16>().ok());
            let Some(code) = wanted.filter(|c| c / 100 == status / 100) else {
                tracing::error!(target: "sl", status, "sl_forward_reply: the new code must be of the same class");
                return Outcome::FALSE;
            };
            crate::textopsx::rewrite_status(&message, &mut edits, Some(code), None);
        }
        if !reason.is_empty() {
            crate::textopsx::rewrite_status(&message, &mut edits, None, Some(reason));
        }
        let Some(remote) = message.vias().nth(1).and_then(Result::ok).and_then(|v| v.reply_address()) else {
            return Outcome::FALSE;
        };
        let Some(socket) = ctx.send_socket(ctx.inbound.transport, remote) else { return Outcome::FALSE };
        let hop = Hop { transport: ctx.inbound.transport, remote, socket };
        ctx.outbox.print(hop, |out| print::forwarded_reply(&message, &edits, out));
        Outcome::TRUE
    }
}

/// `$ltt(s|t|x)`
fn local_tag<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    if let Some(tag) = ctx.message.to().ok().and_then(|t| t.tag()) {
        return Value::str(tag);
    }
    let tag = |stateless| ctx.transactions.to_tag(ctx, stateless);
    let found = match pv.keyword() {
        0 => tag(true),
        1 => tag(false),
        _ => tag(false).or_else(|| tag(true)),
    };
    found.map_or(Value::Null, Value::owned)
}

const PSEUDO_VARIABLES: &[PseudoVariable] = &[PseudoVariable {
    module: "sl",
    name: "ltt",
    doc: "To tag of the replies made here; the request's own when it has one. `$ltt(s)` without a transaction, `$ltt(t)` of the \
          transaction (null when there is none), `$ltt(x)` the one that fits.",
    inner: Inner::Keyword(&["s", "t", "x"]),
    get: local_tag,
    set: None,
}];

impl Module for Sl {
    fn name(&self) -> &'static str {
        "sl"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        counters::RPC
    }
    fn tick(&self, core: &script::Core, _: transaction::Now) {
        self.counters.get_or_init(|| Counters::register(&core.statistics));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use script::testing::Bench;
    use std::sync::Arc;
    use transaction::TransactionId;

    fn bench() -> Bench {
        Bench::new(vec![Arc::new(Sl::default())])
    }
    fn request(method: &str) -> String {
        format!(
            "{method} sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 {method}\n"
        )
    }
    fn send(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, code: i64) -> Vec<String> {
        bench.call(ctx, &format!("sl.{name}"), &[Value::Int(code), Value::str(b"Because")]);
        bench.transactions.calls()
    }

    #[test]
    fn stateless_or_within_the_transaction() {
        let bench = bench();
        let mut ctx = bench.request(&request("INVITE"));
        assert_eq!(send(&bench, &mut ctx, "send_reply", 404), ["reply_stateless 404 Because"]);
        ctx.transaction = Some(TransactionId { index: 1, label: 2 });
        assert_eq!(send(&bench, &mut ctx, "send_reply", 404), ["reply 404 Because"]);
        assert_eq!(send(&bench, &mut ctx, "sl_send_reply", 404), ["reply_stateless 404 Because"]);
        bench.call(&mut ctx, "sl.send_reply_mode", &[Value::Int(404), Value::str(b"No"), Value::Int(3)]);
        assert!(ctx.send_flags.reply_close && ctx.send_flags.reply_no_connect);
    }
    #[test]
    fn bind_tm_off_never_looks_at_the_transaction() {
        let mut sl = Sl::default();
        sl.set_param("bind_tm", ParamValue::Int(0)).expect("declared");
        let bench = Bench::new(vec![Arc::new(sl)]);
        let mut ctx = bench.request(&request("INVITE"));
        ctx.transaction = Some(TransactionId { index: 1, label: 2 });
        assert_eq!(send(&bench, &mut ctx, "send_reply", 404), ["reply_stateless 404 Because"]);
    }
    #[test]
    fn ack_and_impossible_codes_are_not_answered() {
        let bench = bench();
        let mut ctx = bench.request(&request("ACK"));
        assert!(send(&bench, &mut ctx, "send_reply", 404).is_empty());
        let mut ctx = bench.request(&request("INVITE"));
        for code in [0, 99, 1000, -1] {
            assert!(send(&bench, &mut ctx, "send_reply", code).is_empty());
        }
    }
    #[test]
    fn errors_are_named() {
        let bench = bench();
        let mut ctx = bench.request(&request("INVITE"));
        bench.call(&mut ctx, "sl.sl_reply_error", &[]);
        assert_eq!(
            bench.transactions.calls(),
            ["reply_stateless 500 I'm terribly sorry, server error occurred (1/SL)"]
        );
        ctx.error = Some((478, "Unresolvable destination (478/SL)"));
        bench.call(&mut ctx, "sl.send_reply_error", &[]);
        assert_eq!(bench.transactions.calls(), ["reply_stateless 478 Unresolvable destination (478/SL)"]);
    }
    #[test]
    fn redirects_carry_the_destination_set_once() {
        let bench = bench();
        let mut ctx = bench.request(&request("INVITE"));
        ctx.target.uri = b"sip:new@n.org;x=y".to_vec();
        let branch = |uri: &[u8], q| script::Branch { uri: uri.to_vec(), q, ..Default::default() };
        ctx.branches = vec![branch(b"sip:two@b.org", 500), branch(b"sip:three@b.org;a=b", -1)];
        send(&bench, &mut ctx, "send_reply", 302);
        send(&bench, &mut ctx, "send_reply", 404);
        assert_eq!(
            String::from_utf8_lossy(ctx.edits.reply_rows()),
            "Contact: <sip:new@n.org;x=y>, <sip:two@b.org>;q=0.5, <sip:three@b.org;a=b>\r\n"
        );
    }
    #[test]
    fn replies_are_forwarded_below_our_via() {
        let bench = bench();
        let mut ctx = bench.reply(
            "SIP/2.0 404 Not Found\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2, SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n",
        );
        let args = [Value::str(b"480"), Value::str(b"Away")];
        assert_eq!(bench.call(&mut ctx, "sl.sl_forward_reply", &args).to_int(), Some(1));
        let mut batch = script::outbox::Batch::default();
        bench.outbox.take(&mut batch);
        let (hop, datagram) = batch.items.first().expect("sent");
        let text = String::from_utf8_lossy(batch.bytes(datagram)).into_owned();
        assert_eq!(hop.remote.port(), 5071);
        assert!(text.starts_with("SIP/2.0 480 Away\r\nVia: SIP/2.0/UDP 127.0.0.1:5071;"), "{text}");
        let args = [Value::str(b"500"), Value::str(b"")];
        assert_eq!(bench.call(&mut ctx, "sl.sl_forward_reply", &args).to_int(), Some(-1));
    }
}
