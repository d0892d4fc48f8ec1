//! A [`RouteContext`] between two workers: what belongs to the message, without what belongs to the worker.

use std::collections::HashMap;

use crate::context::{ArmedRoutes, Branch, Inbound, SendFlags, Slots, Unwind};
use crate::{Interest, Kept, RecordRoute, RouteContext, RouteKind, Services, Value, Vars};
use message::{Edits, Message};
use std::sync::Arc;
use transaction::{Now, Options, Outcome, Timing, TransactionId};

/// One list of what travels: the struct, the way in and the way out.
macro_rules! parked {
    ($($field:ident: $type:ty,)*) => {
        /// What a context has of its message, on its way to the thread that carries the route on.
        pub struct Parked {
            $($field: $type,)*
            inbound: Inbound,
            /// `$var(...)` of the worker, as the route left them.
            script_vars: HashMap<Vec<u8>, Value<'static>>,
        }

        impl Parked {
            /// Takes it out of a context.
            pub fn of(ctx: RouteContext<'_>) -> Parked {
                let script_vars = ctx.worker.vars.borrow().clone();
                Parked { $($field: ctx.$field,)* inbound: ctx.inbound, script_vars }
            }
            /// A context on another worker, and the `$var(...)` that go with it.
            pub fn on<'s>(self, services: &Services<'s>) -> (RouteContext<'s>, HashMap<Vec<u8>, Value<'static>>) {
                let mut ctx =
                    RouteContext::new(services, self.kind, self.message.clone(), self.inbound, self.now);
                $(ctx.$field = self.$field;)*
                (ctx, self.script_vars)
            }
        }
    };
}

parked! {
    kind: RouteKind,
    now: Now,
    message: Arc<Message>,
    faked: bool,
    edits: Edits,
    record_route: Option<RecordRoute>,
    target: Branch,
    branches: Vec<Branch>,
    flags: u32,
    script_flags: u32,
    xflags: [u32; 2],
    force_rport: bool,
    local_rport: bool,
    dropped: bool,
    replied: bool,
    armed: ArmedRoutes,
    transaction: Option<TransactionId>,
    looked_up: bool,
    branch_index: u16,
    reply: Option<Arc<Message>>,
    reply_code: u16,
    vars: Option<Arc<Vars>>,
    last_result: i64,
    error: Option<(u16, &'static str)>,
    timing: Option<Timing>,
    options: Option<Options>,
    decision: Outcome,
    slots: Slots,
    watch: Interest,
    kept: Kept,
    advertise: (Option<String>, Option<u16>),
    unwind: Option<Unwind>,
    send_flags: SendFlags,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    fn is_send<T: Send>(value: T) -> T {
        value
    }

    #[test]
    fn everything_of_the_message_travels() {
        let bench = Bench::new(Vec::new());
        let mut ctx = bench.request("OPTIONS sip:a@b SIP/2.0\n");
        ctx.flags = 5;
        ctx.target.uri = b"sip:new@b".to_vec();
        ctx.branches.push(Branch::default());
        *ctx.slots.slot::<u64>() = 7;
        ctx.worker.vars.borrow_mut().insert(b"x".to_vec(), Value::Int(3));
        let services = Services {
            core: ctx.core,
            transactions: ctx.transactions,
            engine: ctx.engine,
            worker: ctx.worker,
            outbox: ctx.outbox,
        };
        let parked = is_send(Parked::of(ctx));
        let (mut ctx, vars) = parked.on(&services);
        assert_eq!((ctx.flags, ctx.request_uri(), ctx.branches.len()), (5, b"sip:new@b".as_slice(), 1));
        assert_eq!(*ctx.slots.slot::<u64>(), 7);
        assert_eq!(vars.get(b"x".as_slice()).and_then(|v| v.to_int()), Some(3));
    }
}
