//! `tm`: stateful processing. The machines are in the transaction crate, their use in the proxy; here is what scripts call.

mod contacts;
mod runtime;
mod settings;

use regex::Regex;
use script::{
    CallbackId, Core, Module, Outcome, ParamValue, RelayTo, RouteContext, RouteKind, RpcCommand, RpcError,
    SetupError, UacRequest, ksr_module,
};
use serde_json::{Value as Json, json};
use transaction::Now;

pub use settings::Settings;

/// Module `tm`.
#[derive(Debug, Default)]
pub struct Tm {
    settings: Settings,
}

impl Tm {
    /// Its parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn arm(
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        what: &str,
        slot: fn(&mut script::ArmedRoutes) -> &mut Option<CallbackId>,
    ) -> Outcome {
        let id = if name.is_empty() || name == b"0" { None } else { ctx.callback(name) };
        if id.is_none() && !name.is_empty() && name != b"0" {
            tracing::error!(target: "tm", name = %String::from_utf8_lossy(name), "{what}: not a usable callback name");
            return Outcome::FALSE;
        }
        *slot(&mut ctx.armed) = id;
        ctx.transactions.update(ctx);
        Outcome::TRUE
    }

    fn options(&self, ctx: &mut RouteContext<'_>, change: impl FnOnce(&mut transaction::Options)) -> Outcome {
        change(ctx.options.get_or_insert(self.settings.options()));
        ctx.transactions.update(ctx);
        Outcome::TRUE
    }

    fn default_timing(&self, ctx: &RouteContext<'_>) -> transaction::Timing {
        ctx.core.config.timing.apply(self.settings.timing())
    }

    fn timing(&self, ctx: &mut RouteContext<'_>, change: impl FnOnce(&mut transaction::Timing)) -> Outcome {
        let default = self.default_timing(ctx);
        change(ctx.timing.get_or_insert(default));
        ctx.transactions.update(ctx);
        Outcome::TRUE
    }

    /// Code the current route is about: the reply's in reply routes, the chosen one in failure routes, else the last one sent.
    fn status(ctx: &RouteContext<'_>) -> u16 {
        match ctx.kind {
            RouteKind::Reply | RouteKind::OnReply => ctx.message.status(),
            RouteKind::Failure | RouteKind::BranchFailure => ctx.reply_code,
            _ => view(ctx, 0, |v| v.status()),
        }
    }
}

/// A fact of the context's transaction, or `none` when there is no transaction.
pub(crate) fn view<R: Copy>(
    ctx: &RouteContext<'_>,
    none: R,
    fact: impl Fn(&transaction::View<'_>) -> R,
) -> R {
    let mut answer = none;
    ctx.transactions.view(ctx, &mut |v| {
        if let Some(v) = v {
            answer = fact(v);
        }
    });
    answer
}

fn millis(ms: i64) -> Option<std::time::Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(std::time::Duration::from_millis)
}

fn code(code: i64) -> Option<u16> {
    u16::try_from(code).ok().filter(|c| (100..700).contains(c))
}

#[ksr_module("tm")]
impl Tm {
    /// Sends the request on, statefully, to the destination set: Request-URI or `$du`, and the branches added.
    ///
    /// Makes the transaction, answers an INVITE 100, runs the branch route for each branch and sends (RFC 3261 §16.6). A CANCEL
    /// cancels its INVITE's branches and is answered 200; an ACK to a 2xx is sent on without a transaction. In a failure route the
    /// new branches continue the transaction (serial forking). Returns 1 sent, 0 the request was taken care of (a retransmission, or
    /// 503 at the transaction limit), -1 nothing could be sent: answer with `sl_reply_error`.
    #[ksr(cfg = ["t_relay"])]
    fn t_relay(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.relay(ctx, RelayTo::Uris, 0))
    }
    /// `t_relay` with flags: 0x01 no automatic 100, 0x02 no reply of our own when it fails.
    #[ksr(cfg = ["t_relay"])]
    fn t_relay_to_flags(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Outcome {
        Outcome(ctx.transactions.relay(ctx, RelayTo::Uris, flags))
    }
    /// `t_relay` to a fixed next hop, `udp:192.0.2.1:5060`, whatever the URIs say.
    #[ksr(cfg = ["t_relay"])]
    fn t_relay_to_proxy(&self, ctx: &mut RouteContext<'_>, proxy: &[u8]) -> Outcome {
        Outcome(ctx.transactions.relay(ctx, RelayTo::Proxy(proxy), 0))
    }
    /// `t_relay_to_proxy` with the flags of `t_relay_to_flags`.
    #[ksr(cfg = ["t_relay"])]
    fn t_relay_to_proxy_flags(&self, ctx: &mut RouteContext<'_>, proxy: &[u8], flags: i64) -> Outcome {
        Outcome(ctx.transactions.relay(ctx, RelayTo::Proxy(proxy), flags))
    }
    /// `t_relay` by the URIs, over this transport: `udp`, `tcp`, `tls`, `sctp`.
    #[ksr(cfg = ["t_relay_to_udp", "t_relay_to_tcp", "t_relay_to_tls", "t_relay_to_sctp"])]
    fn t_relay_to_proto(&self, ctx: &mut RouteContext<'_>, proto: &[u8]) -> Outcome {
        match message::Transport::parse(proto) {
            Some(t) => Outcome(ctx.transactions.relay(ctx, RelayTo::Transport(t), 0)),
            None => Outcome::FALSE,
        }
    }
    /// `t_relay` to a host and port over a transport.
    #[ksr(cfg = ["t_relay_to_udp", "t_relay_to_tcp", "t_relay_to_tls", "t_relay_to_sctp"])]
    fn t_relay_to_proto_addr(
        &self,
        ctx: &mut RouteContext<'_>,
        proto: &[u8],
        host: &[u8],
        port: i64,
    ) -> Outcome {
        let mut hop = proto.to_vec();
        hop.push(b':');
        hop.extend_from_slice(host);
        if port > 0 {
            hop.extend_from_slice(format!(":{port}").as_bytes());
        }
        Outcome(ctx.transactions.relay(ctx, RelayTo::Proxy(&hop), 0))
    }
    /// Names the callback that runs for each branch before it is sent (branch route). Empty: none.
    #[ksr(cfg = ["t_on_branch"])]
    fn t_on_branch(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        Tm::arm(ctx, name, "t_on_branch", |a| &mut a.on_branch)
    }
    /// Names the callback that runs when all branches failed (failure route). It holds once: arm it again inside. Empty: none.
    #[ksr(cfg = ["t_on_failure"])]
    fn t_on_failure(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        Tm::arm(ctx, name, "t_on_failure", |a| &mut a.on_failure)
    }
    /// Names the callback that runs when one branch failed. Empty: none.
    #[ksr(cfg = ["t_on_branch_failure"])]
    fn t_on_branch_failure(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        Tm::arm(ctx, name, "t_on_branch_failure", |a| &mut a.on_branch_failure)
    }
    /// Names the callback that runs for each reply of the transaction but 100 (onreply route). Empty: none.
    #[ksr(cfg = ["t_on_reply"])]
    fn t_on_reply(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        Tm::arm(ctx, name, "t_on_reply", |a| &mut a.on_reply)
    }
    /// Answers within the transaction, which must exist (`t_newtran`). Returns -1 when it does not.
    #[ksr(cfg = ["t_reply"])]
    fn t_reply(&self, ctx: &mut RouteContext<'_>, status: i64, reason: &[u8]) -> Outcome {
        match code(status) {
            Some(c) if ctx.transaction.is_some() => Outcome(ctx.transactions.reply(ctx, c, reason)),
            _ => Outcome::FALSE,
        }
    }
    /// Answers within the transaction with the error that the last function met, 500 when there is none.
    #[ksr(cfg = ["t_reply_error"])]
    fn t_reply_error(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        match ctx.error {
            Some((c, reason)) => Outcome(ctx.transactions.reply(ctx, c, reason.as_bytes())),
            None => {
                let c = code(self.settings.default_code).unwrap_or(500);
                let reason = self.settings.default_reason.clone();
                Outcome(ctx.transactions.reply(ctx, c, reason.as_bytes()))
            }
        }
    }
    /// Answers within the transaction and makes it when there is none.
    #[ksr(cfg = ["t_send_reply"])]
    fn t_send_reply(&self, ctx: &mut RouteContext<'_>, status: i64, reason: &[u8]) -> Outcome {
        match code(status) {
            Some(c) => Outcome(ctx.transactions.reply(ctx, c, reason)),
            None => Outcome::FALSE,
        }
    }
    /// Whether the message belongs to a transaction: 1 for a CANCEL whose INVITE is known and for the ACK to a 2xx; 0 when the message
    /// was a retransmission or the ACK to a negative reply and is now taken care of; -1 otherwise.
    #[ksr(cfg = ["t_check_trans"])]
    fn t_check_trans(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.check(ctx))
    }
    /// 1 when a CANCEL came for the transaction.
    #[ksr(cfg = ["t_is_canceled"])]
    fn t_is_canceled(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        view(ctx, false, |v| v.is_canceled()).into()
    }
    /// Makes the transaction. 1 made, 0 the request is a retransmission and was taken care of, -1 not possible.
    #[ksr(cfg = ["t_newtran"])]
    fn t_newtran(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.new_transaction(ctx))
    }
    /// Ends the transaction without a reply. Returns 1, also when there is none.
    #[ksr(cfg = ["t_release"])]
    fn t_release(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        if ctx.transaction.is_none() {
            return Outcome::TRUE;
        }
        Outcome(ctx.transactions.release(ctx))
    }
    /// Sends a copy of the request to this SIP URI; its replies are dropped.
    #[ksr(cfg = ["t_replicate"])]
    fn t_replicate(&self, ctx: &mut RouteContext<'_>, uri: &[u8]) -> Outcome {
        Outcome(ctx.transactions.replicate(ctx, uri))
    }
    /// Whether a route is armed: `branch_route`, `failure_route`, `onreply_route`, `branch_failure_route`.
    #[ksr(cfg = ["t_is_set"])]
    fn t_is_set(&self, ctx: &mut RouteContext<'_>, target: &[u8]) -> Outcome {
        let a = &ctx.armed;
        match target {
            b"branch_route" => a.on_branch.is_some(),
            b"failure_route" => a.on_failure.is_some(),
            b"onreply_route" => a.on_reply.is_some(),
            b"branch_failure_route" => a.on_branch_failure.is_some(),
            _ => false,
        }
        .into()
    }
    /// 1 when a transaction of this request exists.
    #[ksr(cfg = ["t_lookup_request"])]
    fn t_lookup_request(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.lookup_request(ctx))
    }
    /// 1 when the INVITE of this CANCEL is known.
    #[ksr(cfg = ["t_lookup_cancel"])]
    fn t_lookup_cancel(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.lookup_cancel(ctx, 0))
    }
    /// `t_lookup_cancel`; flag 1 copies the INVITE's message flags to the CANCEL.
    #[ksr(cfg = ["t_lookup_cancel"])]
    fn t_lookup_cancel_flags(&self, ctx: &mut RouteContext<'_>, flags: i64) -> Outcome {
        Outcome(ctx.transactions.lookup_cancel(ctx, flags))
    }
    /// Sends the last reply of the transaction again.
    #[ksr(cfg = ["t_retransmit_reply"])]
    fn t_retransmit_reply(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.retransmit_reply(ctx))
    }
    /// Sets `fr_inv_timer` of this transaction, milliseconds.
    #[ksr(cfg = ["t_set_fr"])]
    fn t_set_fr_inv(&self, ctx: &mut RouteContext<'_>, fr_inv: i64) -> Outcome {
        self.t_set_fr(ctx, fr_inv, 0)
    }
    /// Sets `fr_inv_timer` and `fr_timer` of this transaction, milliseconds; 0 leaves one as it is.
    #[ksr(cfg = ["t_set_fr"])]
    fn t_set_fr(&self, ctx: &mut RouteContext<'_>, fr_inv: i64, fr: i64) -> Outcome {
        self.timing(ctx, |t| {
            t.fr_inv = millis(fr_inv).unwrap_or(t.fr_inv);
            t.fr = millis(fr).unwrap_or(t.fr);
        })
    }
    /// Sets the `fr` timers of this transaction back to the parameters.
    #[ksr(cfg = ["t_reset_fr"])]
    fn t_reset_fr(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let default = self.default_timing(ctx);
        self.timing(ctx, |t| (t.fr, t.fr_inv) = (default.fr, default.fr_inv))
    }
    /// Sets the hard limits of this transaction, milliseconds, for INVITE and others; 0 leaves one as it is.
    #[ksr(cfg = ["t_set_max_lifetime"])]
    fn t_set_max_lifetime(&self, ctx: &mut RouteContext<'_>, invite: i64, noninvite: i64) -> Outcome {
        self.timing(ctx, |t| {
            t.max_invite = millis(invite).unwrap_or(t.max_invite);
            t.max_noninvite = millis(noninvite).unwrap_or(t.max_noninvite);
        })
    }
    /// Sets the hard limits back to the parameters.
    #[ksr(cfg = ["t_reset_max_lifetime"])]
    fn t_reset_max_lifetime(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let default = self.default_timing(ctx);
        self.timing(ctx, |t| (t.max_invite, t.max_noninvite) = (default.max_invite, default.max_noninvite))
    }
    /// Sets T1 and T2 of this transaction, milliseconds; 0 leaves one as it is.
    #[ksr(cfg = ["t_set_retr"])]
    fn t_set_retr(&self, ctx: &mut RouteContext<'_>, t1: i64, t2: i64) -> Outcome {
        self.timing(ctx, |t| {
            t.t1 = millis(t1).unwrap_or(t.t1);
            t.t2 = millis(t2).unwrap_or(t.t2);
        })
    }
    /// Sets T1 and T2 back to the parameters.
    #[ksr(cfg = ["t_reset_retr"])]
    fn t_reset_retr(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let default = self.default_timing(ctx);
        self.timing(ctx, |t| (t.t1, t.t2) = (default.t1, default.t2))
    }
    /// Sends a request of our own: method, Request-URI, next hop (empty: by the Request-URI), socket (empty: default), header rows
    /// (From and To at least), body. Its replies end here.
    #[ksr(cfg = ["t_uac_send"], no_message)]
    fn t_uac_send(
        &self,
        ctx: &mut RouteContext<'_>,
        method: &[u8],
        ruri: &[u8],
        next_hop: &[u8],
        socket: &[u8],
        headers: &[u8],
        body: &[u8],
    ) -> Outcome {
        let request = UacRequest { method, ruri, next_hop, socket, rows: headers, body };
        Outcome(ctx.transactions.uac_send(ctx, &request))
    }
    /// Puts the destination set aside, ordered by q, for `t_next_contacts` (serial forking, RFC 3261 §16.6).
    #[ksr(cfg = ["t_load_contacts"])]
    fn t_load_contacts(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contacts::load(ctx, self.settings.contacts_list(), false)
    }
    /// `t_load_contacts`; mode 1 keeps the order of the set and tries one contact at a time.
    #[ksr(cfg = ["t_load_contacts"], name = "ki_t_load_contacts_mode")]
    fn t_load_contacts_mode(&self, ctx: &mut RouteContext<'_>, mode: i64) -> Outcome {
        contacts::load(ctx, self.settings.contacts_list(), mode == 1)
    }
    /// Makes the contacts with the next highest q the destination set. -2 when there are no more, 1 otherwise.
    #[ksr(cfg = ["t_next_contacts"])]
    fn t_next_contacts(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contacts::next(ctx, self.settings.contacts_list())
    }
    /// Another flow of the contact that failed (RFC 5626). -2: there is none.
    #[ksr(cfg = ["t_next_contact_flow"])]
    fn t_next_contact_flow(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        contacts::next(ctx, self.settings.contact_flows_avp.as_bytes())
    }
    /// Failure route: forget all replies collected so far when the best one is chosen.
    #[ksr(cfg = ["t_drop_replies"])]
    fn t_drop_replies_all(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.t_drop_replies(ctx, b"a")
    }
    /// Failure route: forget replies: `a` all, `l` those of the last round, `n` none,
    /// whatever `failure_reply_mode` says.
    #[ksr(cfg = ["t_drop_replies"])]
    fn t_drop_replies(&self, ctx: &mut RouteContext<'_>, mode: &[u8]) -> Outcome {
        ctx.decision.drop_replies = Some(mode != b"n");
        Outcome::TRUE
    }
    /// Use the headers the `uac` module set for the branches. Without that module nothing changes.
    #[ksr(cfg = ["t_use_uac_headers"])]
    fn t_use_uac_headers(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::TRUE
    }
    /// Lets later routes of the transaction see the changes made to the request so far; `t_relay` does so by itself. -1 without
    /// a transaction.
    #[ksr(cfg = ["t_save_lumps"])]
    fn t_save_lumps(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        if ctx.transaction.is_none() {
            return Outcome::FALSE;
        }
        ctx.transactions.update(ctx);
        Outcome::TRUE
    }
    /// Failure route: 1 when the transaction failed because its hard limit was reached or its timers ran out.
    #[ksr(cfg = ["t_is_expired"])]
    fn t_is_expired(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let now = ctx.now.mono;
        view(ctx, false, |v| {
            let t = v.timing();
            let limit = if v.method() == message::Method::Invite { t.max_invite } else { t.max_noninvite };
            now >= v.created() + limit
        })
        .into()
    }
    /// 1 when the code of the current reply (reply and failure routes: the one they are about) matches the regular expression.
    #[ksr(cfg = ["t_check_status"])]
    fn t_check_status(&self, ctx: &mut RouteContext<'_>, pattern: &[u8]) -> Outcome {
        let status = Tm::status(ctx).to_string();
        let pattern = String::from_utf8_lossy(pattern);
        if pattern == status {
            return Outcome::TRUE;
        }
        match Regex::new(&pattern) {
            Ok(re) => re.is_match(&status).into(),
            Err(error) => {
                tracing::error!(target: "tm", %error, "t_check_status: not a regular expression");
                Outcome::FALSE
            }
        }
    }
    /// 1 when some branch got this code.
    #[ksr(cfg = ["t_grep_status"])]
    fn t_grep_status(&self, ctx: &mut RouteContext<'_>, status: i64) -> Outcome {
        view(ctx, false, |v| v.branches().any(|b| i64::from(b.code) == status)).into()
    }
    /// 1 when the reply is a retransmission that answers an asynchronous route. Never here: retransmissions are absorbed.
    #[ksr(cfg = ["t_is_retr_async_reply"])]
    fn t_is_retr_async_reply(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::FALSE
    }
    /// 1 when some branch got a reply.
    #[ksr(cfg = ["t_any_replied"])]
    fn t_any_replied(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        view(ctx, false, |v| v.branches().any(|b| b.replied)).into()
    }
    /// 1 when some branch timed out.
    #[ksr(cfg = ["t_any_timeout"])]
    fn t_any_timeout(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        view(ctx, false, |v| v.branches().any(|b| b.timed_out)).into()
    }
    /// Failure route: 1 when the branch it is about got a reply.
    #[ksr(cfg = ["t_branch_replied"])]
    fn t_branch_replied(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let n = ctx.branch_index;
        view(ctx, false, |v| v.branch(n).is_some_and(|b| b.replied)).into()
    }
    /// Failure route: 1 when the branch it is about timed out.
    #[ksr(cfg = ["t_branch_timeout"])]
    fn t_branch_timeout(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let n = ctx.branch_index;
        view(ctx, false, |v| v.branch(n).is_some_and(|b| b.timed_out)).into()
    }
    /// 0: no automatic 100 for this INVITE.
    #[ksr(cfg = ["t_set_auto_inv_100"])]
    fn t_set_auto_inv_100(&self, ctx: &mut RouteContext<'_>, on: i64) -> Outcome {
        self.options(ctx, |o| o.no_auto_100 = on == 0)
    }
    /// 1: a 6xx to this request counts as any other failure.
    #[ksr(cfg = ["t_set_disable_6xx"])]
    fn t_set_disable_6xx(&self, ctx: &mut RouteContext<'_>, on: i64) -> Outcome {
        self.options(ctx, |o| o.disable_6xx = on != 0)
    }
    /// 1: no DNS failover for this request. There is none yet, so nothing changes.
    #[ksr(cfg = ["t_set_disable_failover"])]
    fn t_set_disable_failover(&self, _ctx: &mut RouteContext<'_>, _on: i64) -> Outcome {
        Outcome::TRUE
    }
    /// 1: do not copy the Reason of a received CANCEL to the CANCELs sent.
    #[ksr(cfg = ["t_set_no_e2e_cancel_reason"])]
    fn t_set_no_e2e_cancel_reason(&self, ctx: &mut RouteContext<'_>, on: i64) -> Outcome {
        self.options(ctx, |o| o.no_cancel_reason = on != 0)
    }
    /// 1: no reply of our own (408, 500) when all branches failed without one.
    #[ksr(cfg = ["t_set_disable_internal_reply"])]
    fn t_set_disable_internal_reply(&self, ctx: &mut RouteContext<'_>, on: i64) -> Outcome {
        self.options(ctx, |o| o.disable_internal_reply = on != 0)
    }
    /// 1: no ACK of our own to a negative reply.
    #[ksr(cfg = ["t_set_no_auto_ack"])]
    fn t_set_no_auto_ack(&self, ctx: &mut RouteContext<'_>, on: i64) -> Outcome {
        self.options(ctx, |o| o.no_auto_ack = on != 0)
    }
    /// Code of the current reply: in reply routes the reply's, in failure routes the chosen one, else the last one sent; -1 when there is none.
    #[ksr(cfg = ["t_get_status_code"])]
    fn t_get_status_code(&self, ctx: &mut RouteContext<'_>) -> i64 {
        match Tm::status(ctx) {
            0 => -1,
            c => i64::from(c),
        }
    }
    /// Index of the current branch (branch, reply and branch-failure routes), -1 elsewhere.
    #[ksr(cfg = ["t_get_branch_index"])]
    fn t_get_branch_index(&self, ctx: &mut RouteContext<'_>) -> i64 {
        match ctx.kind {
            RouteKind::Branch | RouteKind::OnReply | RouteKind::BranchFailure => i64::from(ctx.branch_index),
            RouteKind::Onsend if ctx.transaction.is_some() => i64::from(ctx.branch_index),
            _ => -1,
        }
    }
    /// Frees transactions that should be gone. There never are any here; returns 1.
    #[ksr(cfg = ["t_clean"], no_message)]
    fn t_clean(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::TRUE
    }
    /// 1 when the message's transaction exists, without changing anything.
    #[ksr(cfg = ["t_exists"])]
    fn t_exists(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        if ctx.transaction.is_some() {
            return Outcome::TRUE;
        }
        let known = ctx.transactions.lookup_request(ctx);
        ctx.transaction = None;
        Outcome(known)
    }
}

impl Settings {
    fn contacts_list(&self) -> &[u8] {
        self.xavp_contact.as_ref().unwrap_or(&self.contacts_avp).as_bytes()
    }
}

impl Module for Tm {
    fn name(&self) -> &'static str {
        "tm"
    }
    fn functions(&self) -> &'static [script::Function] {
        Self::FUNCTIONS
    }
    fn params(&self) -> &'static [script::ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn rpc(&self) -> &'static [RpcCommand] {
        RPC
    }
    fn runtime_params(&self) -> &'static [script::RuntimeParam] {
        &runtime::PARAMS
    }
    fn setup(&mut self, _: &script::Setup<'_>) -> Result<(), SetupError> {
        let s = &self.settings;
        let positive = [
            ("fr_timer", s.fr_timer),
            ("fr_inv_timer", s.fr_inv_timer),
            ("retr_timer1", s.retr_timer1),
            ("retr_timer2", s.retr_timer2),
            ("wt_timer", s.wt_timer),
            ("max_transactions", s.max_transactions),
        ];
        match positive.into_iter().find(|(_, v)| *v <= 0) {
            Some((name, v)) => Err(SetupError(format!("parameter {name}: {v} is not above zero"))),
            None if s.retr_timer1 > s.retr_timer2 => Err(SetupError(format!(
                "parameter retr_timer1: {} is above retr_timer2 ({})",
                s.retr_timer1, s.retr_timer2
            ))),
            None => Ok(()),
        }
    }
}

const RPC: &[RpcCommand] = &[
    RpcCommand {
        name: "tm.stats",
        doc: "Transactions: current, waiting (finished, kept to absorb late messages), total, replies received, generated and sent, final codes by class.",
        call: |_: &dyn Module, core: &Core, _: Now, _: &[Json]| Ok(stats(core)),
    },
    RpcCommand {
        name: "tm.hash_stats",
        doc: "How transactions are spread over the table: live ones in all.",
        call: |_, core, _, _| Ok(json!({ "current": stat(core, "inuse_transactions") })),
    },
    RpcCommand {
        name: "tm.clean",
        doc: "Frees transactions that should be gone; there never are any.",
        call: |_, _, _, params| match params {
            [] => Ok(Json::Null),
            _ => Err(RpcError::new(400, "tm.clean takes no parameters")),
        },
    },
];

fn stat(core: &Core, name: &str) -> i64 {
    core.statistics.list(Some("tmx")).into_iter().find(|(_, n, _, _)| n == name).map_or(0, |(_, _, v, _)| v)
}

fn stats(core: &Core) -> Json {
    json!({
        "current": stat(core, "active_transactions"),
        "waiting": stat(core, "waiting_transactions"),
        "total": stat(core, "UAS_transactions"),
        "total_local": stat(core, "UAC_transactions"),
        "rpl_received": stat(core, "rpl_received"),
        "rpl_generated": stat(core, "rpl_generated"),
        "rpl_sent": stat(core, "rpl_sent"),
        "6xx": stat(core, "6xx_transactions"),
        "5xx": stat(core, "5xx_transactions"),
        "4xx": stat(core, "4xx_transactions"),
        "3xx": stat(core, "3xx_transactions"),
        "2xx": stat(core, "2xx_transactions"),
        "created": stat(core, "created_transactions"),
        "freed": stat(core, "freed_transactions"),
        "delayed_free": 0,
    })
}
