//! `event_callback`: the script hears once that the tables are there, of every item that ended, and of every reload.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use message::{Message, Transport};
use script::{Inbound, RouteContext, RouteKind, Services};
use transaction::{Now, SocketId};

use super::pv::Record;
use super::table::{Item, Stored};

/// Most events waiting; further ones are not told, which is logged.
const LIMIT: usize = 10_000;
/// Most callbacks in a row; what is left waits for the next second.
const BUDGET: usize = 1000;

/// Something to tell.
#[derive(Debug)]
struct Event {
    name: String,
    item: Option<(Box<[u8]>, Stored)>,
}

/// What is still to be told.
#[derive(Debug, Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn push(&self, event: Event) {
        let mut waiting = self.waiting();
        if waiting.len() < LIMIT {
            waiting.push_back(event);
            if waiting.len() == LIMIT {
                tracing::warn!(target: "htable", limit = LIMIT, "events come faster than their callback runs: some are not told");
            }
        }
    }
    /// `htable:mod-init`, `htable:reloaded:<table>`.
    pub fn tell(&self, name: &str) {
        self.push(Event { name: name.into(), item: None });
    }
    /// `htable:expired:<table>`.
    pub fn expired(&self, table: &str, item: Item) {
        let name = format!("htable:expired:{table}");
        self.push(Event { name, item: Some((item.key().into(), item.value)) });
    }
    /// Runs the callback.
    pub fn run(&self, callback: &str, services: &Services<'_>, now: Now) {
        let Some(callback) = services.core.callbacks.intern(callback.as_bytes()) else { return };
        for _ in 0..BUDGET {
            let Some(event) = self.waiting().pop_front() else { return };
            let Some(message) = stand_in() else { return };
            let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
            let inbound =
                Inbound { source: nobody, local: nobody, socket: SocketId(0), transport: Transport::Udp };
            let mut ctx = RouteContext::new(services, RouteKind::Event, message, inbound, now);
            ctx.faked = true;
            ctx.slots.slot::<Record>().0 = event.item;
            ctx.engine.run_event(callback, &event.name, &mut ctx);
        }
    }
    /// Forgets what nobody listens to.
    pub fn clear(&self) {
        self.waiting().clear();
    }
}

/// The message such a callback sees, as in Kamailio a faked one.
fn stand_in() -> Option<Arc<Message>> {
    const TEXT: &[u8] = b"OPTIONS sip:you@kamailio.org SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.event\r\n\
        From: <sip:you@kamailio.org>;tag=event\r\n\
        To: <sip:you@kamailio.org>\r\n\
        Call-ID: event@127.0.0.1\r\n\
        CSeq: 1 OPTIONS\r\n\
        Max-Forwards: 70\r\n\
        Content-Length: 0\r\n\r\n";
    static MESSAGE: OnceLock<Option<Arc<Message>>> = OnceLock::new();
    MESSAGE.get_or_init(|| Message::parse(TEXT).ok().map(Arc::new)).clone()
}
