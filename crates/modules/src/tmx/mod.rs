//! `tmx`: more of `tm` for scripts, and its pseudo-variables.

mod pv;

use script::{
    CallIdAct, ModParams, Module, Outcome, ParamValue, RouteContext, RouteKind, SetupError, UacRequest,
    ksr_module,
};

use crate::tm::view;

/// Module `tmx`.
#[derive(Debug, Default)]
pub struct Tmx {
    settings: Settings,
}

/// `modparam("tmx", ...)`.
#[derive(Debug, Default, ModParams)]
pub struct Settings {
    /// Accepted: retransmissions are absorbed before the script runs, so there is nothing left to check.
    precheck_trans: i64,
}

#[ksr_module("tmx")]
impl Tmx {
    /// 1 when the request is a retransmission of one that is being worked on. Such requests are absorbed before the script, so this is
    /// -1 for every request a script sees.
    #[ksr(cfg = ["t_precheck_trans"])]
    fn t_precheck_trans(&self, _ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::FALSE
    }
    /// 1 in a request route.
    #[ksr(cfg = ["t_is_request_route"])]
    fn t_is_request_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        (ctx.kind == RouteKind::Request).into()
    }
    /// 1 in a reply route.
    #[ksr(cfg = ["t_is_reply_route"])]
    fn t_is_reply_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        matches!(ctx.kind, RouteKind::Reply | RouteKind::OnReply).into()
    }
    /// 1 in a failure route.
    #[ksr(cfg = ["t_is_failure_route"])]
    fn t_is_failure_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        (ctx.kind == RouteKind::Failure).into()
    }
    /// 1 in a branch route.
    #[ksr(cfg = ["t_is_branch_route"])]
    fn t_is_branch_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        (ctx.kind == RouteKind::Branch).into()
    }
    /// Holds the request: its transaction waits for `t_continue` or the `fr` timer. `$T(id_index)` and `$T(id_label)` name it.
    #[ksr(cfg = ["t_suspend"])]
    fn t_suspend(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.suspend(ctx))
    }
    /// Continues a suspended request with this callback; -1 when the transaction is not known or not suspended.
    #[ksr(cfg = ["t_continue"], no_message)]
    fn t_continue(&self, ctx: &mut RouteContext<'_>, index: i64, label: i64, callback: &[u8]) -> Outcome {
        match (u32::try_from(index), u32::try_from(label)) {
            (Ok(i), Ok(l)) => Outcome(ctx.transactions.resume(ctx, i, l, callback)),
            _ => Outcome::FALSE,
        }
    }
    /// Copies the message flags into the transaction, for its later routes.
    #[ksr(cfg = ["t_flush_flags"])]
    fn t_flush_flags(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.transactions.update(ctx);
        ctx.transaction.is_some().into()
    }
    /// Copies the extended message flags into the transaction.
    #[ksr(cfg = ["t_flush_xflags"])]
    fn t_flush_xflags(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.transactions.update(ctx);
        ctx.transaction.is_some().into()
    }
    /// Cancels branches: `all`, `others` (all but the current one), `this`. -1 when the transaction has none.
    #[ksr(cfg = ["t_cancel_branches"])]
    fn t_cancel_branches(&self, ctx: &mut RouteContext<'_>, which: &[u8]) -> Outcome {
        if view(ctx, 0, |v| v.branch_count()) == 0 {
            return Outcome::FALSE;
        }
        Outcome(ctx.transactions.cancel_branches(ctx, which))
    }
    /// Failure route: makes a new branch from the failed one's attributes.
    #[ksr(cfg = ["t_reuse_branch"])]
    fn t_reuse_branch(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let n = ctx.branch_index;
        let mut found = None;
        ctx.transactions.view(ctx, &mut |v| {
            found = v.and_then(|v| v.branch(n)).map(|b| {
                let kept = b.script.and_then(|s| s.downcast_ref::<script::Branch>()).cloned();
                let mut branch = kept.unwrap_or_default();
                branch.uri = b.uri.to_vec();
                branch
            });
        });
        let Some(branch) = found else { return Outcome::FALSE };
        ctx.branches.push(branch);
        Outcome::TRUE
    }
    /// Cancels the INVITE with this Call-ID and CSeq number. 1 when it is known. `flag`: a message flag set in it, -1 none.
    #[ksr(cfg = ["t_cancel_callid"], no_message)]
    fn t_cancel_callid(&self, ctx: &mut RouteContext<'_>, callid: &[u8], cseq: &[u8], flag: i64) -> Outcome {
        self.t_cancel_callid_reason(ctx, callid, cseq, flag, 0)
    }
    /// `t_cancel_callid` with `Reason: SIP;cause=<reason>` in the CANCEL.
    #[ksr(cfg = ["t_cancel_callid"], no_message)]
    fn t_cancel_callid_reason(
        &self,
        ctx: &mut RouteContext<'_>,
        callid: &[u8],
        cseq: &[u8],
        flag: i64,
        reason: i64,
    ) -> Outcome {
        match number(cseq) {
            Some(n) => {
                Outcome(ctx.transactions.by_callid(ctx, callid, n, CallIdAct::Cancel { reason, flag }))
            }
            None => Outcome::FALSE,
        }
    }
    /// Sends an ACK of our own for an INVITE made here: Request-URI, next hop, header rows, body.
    #[ksr(cfg = ["t_uac_ack_local"], no_message)]
    fn t_uac_ack_local(
        &self,
        ctx: &mut RouteContext<'_>,
        ruri: &[u8],
        next_hop: &[u8],
        headers: &[u8],
        body: &[u8],
    ) -> Outcome {
        let request = UacRequest { method: b"ACK", ruri, next_hop, socket: b"", rows: headers, body };
        Outcome(ctx.transactions.uac_send(ctx, &request))
    }
    /// Answers the request with this Call-ID and CSeq number. 1 when it is known.
    #[ksr(cfg = ["t_reply_callid"], no_message)]
    fn t_reply_callid(
        &self,
        ctx: &mut RouteContext<'_>,
        callid: &[u8],
        cseq: &[u8],
        code: i64,
        reason: &[u8],
    ) -> Outcome {
        match (number(cseq), u16::try_from(code).ok().filter(|c| (100..700).contains(c))) {
            (Some(n), Some(code)) => {
                Outcome(ctx.transactions.by_callid(ctx, callid, n, CallIdAct::Reply { code, reason }))
            }
            _ => Outcome::FALSE,
        }
    }
    /// Ends the transaction without a reply to the caller and without waiting.
    #[ksr(cfg = ["t_drop"])]
    fn t_drop(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(ctx.transactions.release(ctx))
    }
    /// `t_drop`, noting this code as the transaction's result.
    #[ksr(cfg = ["t_drop"])]
    fn t_drop_rcode(&self, ctx: &mut RouteContext<'_>, _code: i64) -> Outcome {
        Outcome(ctx.transactions.release(ctx))
    }
    /// Kept for scripts that call it here: whether the message belongs to a transaction, as `KSR.tm.t_check_trans`.
    #[ksr(cfg = ["t_check_trans"])]
    fn t_check_trans(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let known = view(ctx, false, |_| true);
        if known { Outcome::TRUE } else { Outcome(ctx.transactions.check(ctx)) }
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

impl Module for Tmx {
    fn name(&self) -> &'static str {
        "tmx"
    }
    fn functions(&self) -> &'static [script::Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [script::PseudoVariable] {
        pv::ROWS
    }
    fn params(&self) -> &'static [script::ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}
