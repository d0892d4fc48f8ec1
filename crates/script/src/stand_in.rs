//! A context where there is no message: event callbacks, timers, requests of our own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use message::{Message, Transport};
use transaction::{Now, SocketId};

use crate::{Inbound, RouteContext, RouteKind, Services};

impl<'s> RouteContext<'s> {
    /// A context of an event, over the message Kamailio fakes in such a place.
    pub fn stand_in(services: &Services<'s>, now: Now) -> Option<RouteContext<'s>> {
        const TEXT: &[u8] = b"OPTIONS sip:you@kamailio.org SIP/2.0\r\n\
            Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.event\r\n\
            From: <sip:you@kamailio.org>;tag=event\r\n\
            To: <sip:you@kamailio.org>\r\n\
            Call-ID: event@127.0.0.1\r\n\
            CSeq: 1 OPTIONS\r\n\
            Max-Forwards: 70\r\n\
            Content-Length: 0\r\n\r\n";
        static MESSAGE: OnceLock<Option<Arc<Message>>> = OnceLock::new();
        let message = MESSAGE.get_or_init(|| Message::parse(TEXT).ok().map(Arc::new)).clone()?;
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let inbound =
            Inbound { source: nobody, local: nobody, socket: SocketId(0), transport: Transport::Udp };
        let mut ctx = RouteContext::new(services, RouteKind::Event, message, inbound, now);
        ctx.faked = true;
        Some(ctx)
    }
}
