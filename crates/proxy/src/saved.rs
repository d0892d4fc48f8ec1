//! What a transaction keeps for the routes it will run: the request's state as the script left it. Opaque to the transaction crate.

use std::any::Any;
use std::sync::{Arc, Mutex};

use message::Edits;
use script::{ArmedRoutes, Branch, Inbound, Interest, Kept, RecordRoute, RouteContext, Vars};
use transaction::Armed;

/// The request's side of a [`RouteContext`], kept in the transaction.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) inbound: Inbound,
    pub(crate) edits: Edits,
    pub(crate) record_route: Option<RecordRoute>,
    pub(crate) target: Branch,
    pub(crate) flags: u32,
    pub(crate) script_flags: u32,
    pub(crate) xflags: [u32; 2],
    pub(crate) armed: ArmedRoutes,
    pub(crate) force_rport: bool,
    pub(crate) watch: Interest,
    pub(crate) kept: Kept,
}

/// A [`State`] that routes on several workers update, one at a time.
#[derive(Debug)]
pub(crate) struct Saved {
    state: Mutex<State>,
    vars: Mutex<Option<Arc<Vars>>>,
}

impl Saved {
    pub(crate) fn of(ctx: &RouteContext<'_>) -> Saved {
        Saved { state: Mutex::new(State::of(ctx)), vars: Mutex::new(ctx.vars.clone()) }
    }
    /// What the transaction crate hands back.
    pub(crate) fn from_any(script: &Option<Arc<dyn Any + Send + Sync>>) -> Option<&Saved> {
        script.as_ref()?.downcast_ref()
    }
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(|e| e.into_inner()));
    }
    /// What modules want to hear of this transaction.
    pub(crate) fn watch(&self) -> Interest {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).watch
    }
    pub(crate) fn vars(&self) -> Option<Arc<Vars>> {
        self.vars.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
    pub(crate) fn set_vars(&self, vars: &Arc<Vars>) {
        *self.vars.lock().unwrap_or_else(|e| e.into_inner()) = Some(vars.clone());
    }
}

impl State {
    pub(crate) fn of(ctx: &RouteContext<'_>) -> State {
        State {
            inbound: ctx.inbound,
            edits: ctx.edits.clone(),
            record_route: ctx.record_route.clone(),
            target: ctx.target.clone(),
            flags: ctx.flags,
            script_flags: ctx.script_flags,
            xflags: ctx.xflags,
            armed: ctx.armed,
            force_rport: ctx.force_rport,
            watch: ctx.watch,
            kept: ctx.kept.clone(),
        }
    }
    /// Puts it into the context of a failure route. Script flags start anew, as in Kamailio.
    pub(crate) fn restore(self, ctx: &mut RouteContext<'_>) {
        ctx.set_inbound(self.inbound);
        ctx.edits = self.edits;
        ctx.record_route = self.record_route;
        ctx.target = self.target;
        ctx.flags = self.flags;
        ctx.script_flags = self.script_flags;
        ctx.xflags = self.xflags;
        ctx.armed = self.armed;
        ctx.force_rport = self.force_rport;
        ctx.watch = self.watch;
        ctx.kept = self.kept;
    }
}

/// The transaction's view of what is armed.
pub(crate) fn armed(ctx: &RouteContext<'_>) -> Armed {
    let routes = &ctx.armed;
    Armed {
        on_reply: routes.on_reply.is_some(),
        failure: routes.on_failure.is_some(),
        branch_failure: routes.on_branch_failure.is_some(),
        told: ctx.watch.meets(Interest::PROVISIONAL | Interest::FAILING | Interest::FINAL),
    }
}
