//! KSR functions outside of a callback: in `mod_init`, `child_init` and in the script's own threads.
//!
//! As in Kamailio they see a stand-in message. What they send or arm goes nowhere: there is no transaction.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use message::{Message, Transport};
use script::WorkerState;
use script::engine::NoScript;
use script::{
    CallIdAct, Core, Inbound, Outbox, RelayTo, RouteContext, RouteKind, Services, Transactions, UacRequest,
    Vars,
};
use transaction::{Counts, Hop, Now, SocketId, Timestamp, View};

const STAND_IN: &[u8] = b"OPTIONS sip:you@kamailio.org SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.outside\r\n\
    From: <sip:you@kamailio.org>;tag=outside\r\n\
    To: <sip:you@kamailio.org>\r\n\
    Call-ID: outside@127.0.0.1\r\n\
    CSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\n\
    Content-Length: 0\r\n\r\n";

thread_local! {
    /// `$var(...)` and module scratch of this thread outside of callbacks.
    static STATE: (WorkerState, Outbox) = (WorkerState::default(), Outbox::default());
}

/// Runs `f` on a stand-in message. `None` when the stand-in could not be made or the thread is ending.
pub(crate) fn with<R>(core: &Core, f: impl FnOnce(&mut RouteContext<'_>) -> R) -> Option<R> {
    let message = stand_in()?;
    STATE
        .try_with(|(worker, outbox)| {
            let services =
                Services { core, transactions: &NoTransactions, engine: &NoScript, worker, outbox };
            let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
            let inbound =
                Inbound { source: nobody, local: nobody, socket: SocketId(0), transport: Transport::Udp };
            let mut ctx = RouteContext::new(&services, RouteKind::Init, message, inbound, now());
            ctx.faked = true;
            f(&mut ctx)
        })
        .ok()
}

fn stand_in() -> Option<Arc<Message>> {
    static MESSAGE: OnceLock<Option<Arc<Message>>> = OnceLock::new();
    MESSAGE.get_or_init(|| Message::parse(STAND_IN).ok().map(Arc::new)).clone()
}

fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let mono = START.get_or_init(Instant::now).elapsed().as_nanos() as u64;
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Timestamp(mono), unix_micros: unix.as_micros() as u64 }
}

/// The transaction layer where there is none: everything fails.
struct NoTransactions;

impl Transactions for NoTransactions {
    fn reply_stateless(&self, _: &mut RouteContext<'_>, _: u16, _: &[u8]) -> i64 {
        -1
    }
    fn forward_stateless(&self, _: &mut RouteContext<'_>, _: RelayTo<'_>) -> i64 {
        -1
    }
    fn relay(&self, _: &mut RouteContext<'_>, _: RelayTo<'_>, _: i64) -> i64 {
        -1
    }
    fn new_transaction(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn check(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn lookup_request(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn lookup_cancel(&self, _: &mut RouteContext<'_>, _: i64) -> i64 {
        -1
    }
    fn reply(&self, _: &mut RouteContext<'_>, _: u16, _: &[u8]) -> i64 {
        -1
    }
    fn retransmit_reply(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn release(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn cancel_branches(&self, _: &mut RouteContext<'_>, _: &[u8]) -> i64 {
        -1
    }
    fn uac_send(&self, _: &mut RouteContext<'_>, _: &UacRequest<'_>) -> i64 {
        -1
    }
    fn replicate(&self, _: &mut RouteContext<'_>, _: &[u8]) -> i64 {
        -1
    }
    fn suspend(&self, _: &mut RouteContext<'_>) -> i64 {
        -1
    }
    fn resume(&self, _: &mut RouteContext<'_>, _: u32, _: u32, _: &[u8]) -> i64 {
        -1
    }
    fn by_callid(&self, _: &mut RouteContext<'_>, _: &[u8], _: u32, _: CallIdAct<'_>) -> i64 {
        -1
    }
    fn view(&self, _: &RouteContext<'_>, f: &mut dyn FnMut(Option<&View<'_>>)) {
        f(None)
    }
    fn attach_vars(&self, _: &RouteContext<'_>, _: &Arc<Vars>) {}
    fn update(&self, _: &mut RouteContext<'_>) {}
    fn resolve(&self, _: &RouteContext<'_>, _: &[u8]) -> Option<Hop> {
        None
    }
    fn counts(&self) -> Counts {
        Counts::default()
    }
    fn request(&self, _: &RouteContext<'_>) -> Option<Arc<Message>> {
        None
    }
}
