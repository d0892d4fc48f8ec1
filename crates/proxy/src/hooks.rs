//! Modules hear of what happens to transactions ([`script::hooks`]): their context is made here, from what the transaction keeps.

use std::any::Any;
use std::sync::Arc;

use message::Message;
use script::hooks::{tell, tell_reply};
use script::{Interest, Moment, RouteContext, RouteKind, Services};
use transaction::{Now, TransactionId};

use crate::relay::services;
use crate::saved::Saved;
use crate::{Proxy, shards};

/// A moment of a transaction that is no route's own.
pub(crate) struct Told<'m> {
    pub(crate) id: TransactionId,
    pub(crate) moment: Moment<'m>,
    pub(crate) branch: u16,
    pub(crate) code: u16,
    pub(crate) reply: Option<Arc<Message>>,
}

impl Proxy {
    /// Whether any module may want to hear of it: the test that costs nothing.
    pub(crate) fn heard(&self, moment: &Moment<'_>) -> bool {
        self.core.registry.interest().meets(moment.interest())
    }

    /// Tells of a live transaction, if somebody watches it.
    pub(crate) fn tell_of(&self, services: &Services<'_>, now: Now, told: Told<'_>) {
        if !self.heard(&told.moment) {
            return;
        }
        let id = told.id;
        let found =
            self.shards.of_id(id, |shard| shard.view(id).map(|v| (v.request().clone(), v.script().cloned())));
        let Some((request, script)) = found else { return };
        self.tell_with(services, now, told, request, &script);
    }

    /// Tells with what the transaction keeps or, when it is gone, kept.
    pub(crate) fn tell_with(
        &self,
        services: &Services<'_>,
        now: Now,
        told: Told<'_>,
        request: Arc<Message>,
        script: &Option<Arc<dyn Any + Send + Sync>>,
    ) {
        debug_assert!(shards::unlocked());
        let Some(saved) = Saved::from_any(script) else { return };
        if !saved.watch().meets(told.moment.interest()) {
            return;
        }
        let state = saved.state();
        let mut ctx = RouteContext::new(services, RouteKind::Failure, request, state.inbound, now);
        state.restore(&mut ctx);
        if !matches!(told.moment, Moment::Freed) {
            ctx.transaction = Some(told.id);
        }
        ctx.looked_up = true;
        ctx.vars = saved.vars();
        ctx.branch_index = told.branch;
        tell_reply(&mut ctx, &told.moment, told.code, told.reply);
    }

    /// `t_reply` of 300 or more to an INVITE fails it as a branch's reply would. In a failure route the request is as it was before the
    /// route: its own changes hold when it has ended.
    pub(crate) fn tell_refused(&self, ctx: &mut RouteContext<'_>, id: TransactionId, code: u16) {
        if code < 300 || !self.heard(&Moment::Failing) || !ctx.watch.meets(Interest::FAILING) {
            return;
        }
        match ctx.kind {
            RouteKind::Request | RouteKind::Event => tell_reply(ctx, &Moment::Failing, code, None),
            _ => {
                let branch = ctx.branch_index;
                let told = Told { id, moment: Moment::Failing, branch, code, reply: None };
                self.tell_of(&services(ctx), ctx.now, told);
            }
        }
    }

    /// The end-to-end ACK of an INVITE whose transaction is still there: with its AVPs.
    pub(crate) fn tell_ack(&self, ctx: &mut RouteContext<'_>, id: TransactionId) {
        if !self.heard(&Moment::Ack) {
            return;
        }
        let script = self.shards.of_id(id, |shard| shard.view(id).and_then(|v| v.script().cloned()));
        let Some(saved) = Saved::from_any(&script).filter(|s| s.watch().meets(Interest::ACK)) else {
            return;
        };
        let vars = std::mem::replace(&mut ctx.vars, saved.vars());
        let transaction = ctx.transaction.replace(id);
        let kept = std::mem::replace(&mut ctx.kept, saved.state().kept);
        tell(ctx, &Moment::Ack);
        (ctx.vars, ctx.transaction, ctx.kept) = (vars, transaction, kept);
    }
}
