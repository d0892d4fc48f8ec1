//! `event_callback`: the script hears of every contact that ended, as `usrloc:contact-expired`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use message::{Message, Transport};
use script::{Inbound, RouteContext, RouteKind, Services};
use transaction::{Now, SocketId};

use super::Registrar;

/// Most callbacks in a row; what is left waits for the next second.
const BUDGET: usize = 1000;

const EVENT: &str = "usrloc:contact-expired";

/// Runs the callback for contacts that ended.
pub(super) fn run(registrar: &Registrar, services: &Services<'_>, now: Now) {
    let Some(name) = &registrar.settings.event_callback else { return };
    let Some(callback) = services.core.callbacks.intern(name.as_bytes()) else { return };
    for _ in 0..BUDGET {
        let Some(ended) = registrar.domains.next_ended() else { return };
        let Some(message) = stand_in() else { return };
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let inbound =
            Inbound { source: nobody, local: nobody, socket: SocketId(0), transport: Transport::Udp };
        let mut ctx = RouteContext::new(services, RouteKind::Event, message, inbound, now);
        ctx.faked = true;
        Registrar::show_ended(&mut ctx, &ended);
        ctx.engine.run_event(callback, EVENT, &mut ctx);
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
