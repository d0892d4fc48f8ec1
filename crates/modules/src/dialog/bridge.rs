//! `dlg_bridge`: one phone is called by this server and then referred to another.
//!
//! ```text
//! INVITE (on hold) --2xx--> ACK, REFER --any reply--> BYE
//!         \--300..--> over
//! ```

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use message::{HeaderName, Message, Method, NameAddr};
use script::{LocalEnd, RouteContext, Tell, UacRequest};

use super::DialogModule;
use super::follow::{contact, tag};

/// Marks tokens of bridges among those of keepalives, which never have this bit.
pub(super) const TOKEN: u64 = 1 << 63;

/// Most bridges at a time.
const MAX_BRIDGES: usize = 1000;

/// Media on hold, with the two codecs every phone has.
const HOLD: &[u8] = b"v=0\r\no=bridge 0 0 IN IP4 0.0.0.0\r\ns=bridge\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 0\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n";

/// Bridges that are being made.
#[derive(Default)]
pub(super) struct Bridges {
    next: AtomicU32,
    going: Mutex<HashMap<u32, Bridge>>,
}

/// What the INVITE of a bridge carries.
pub(super) enum Body<'a> {
    /// [`HOLD`]
    Hold,
    /// This SDP; empty, none.
    Given(&'a [u8]),
}

#[derive(Clone)]
struct Bridge {
    from: Box<[u8]>,
    to: Box<[u8]>,
    proxy: Box<[u8]>,
    tag: String,
    call_id: String,
    /// The INVITE was answered: who answered it.
    answered: Option<Answered>,
}

#[derive(Clone)]
struct Answered {
    tag: Box<[u8]>,
    contact: Box<[u8]>,
    /// The Route row, with CRLF; empty none.
    route: Vec<u8>,
    first: Box<[u8]>,
}

impl DialogModule {
    /// Calls `from`; what comes after is up to its replies. False when it cannot be called.
    pub(super) fn bridge(
        &self,
        ctx: &mut RouteContext<'_>,
        from: &[u8],
        to: &[u8],
        proxy: &[u8],
        body: &Body<'_>,
    ) -> bool {
        let clean =
            |uri: &[u8]| message::Uri::parse(uri).is_ok() && !uri.iter().any(|b| b"\r\n<>".contains(b));
        let proxy = if proxy == b"." { b"" } else { proxy };
        if !clean(from) || !clean(to) || !(proxy.is_empty() || clean(proxy)) {
            tracing::error!(target: "dialog", "dlg_bridge: two SIP URIs, and one of a proxy or nothing");
            return false;
        }
        let number = self.bridges.next.fetch_add(1, Ordering::Relaxed);
        let seed = ctx.core.config.seed ^ ctx.now.unix_micros;
        let bridge = Bridge {
            from: from.into(),
            to: to.into(),
            proxy: proxy.into(),
            tag: format!("{seed:016x}-{number:x}"),
            call_id: format!("{:016x}-{number:x}-bridge-{}", seed.rotate_left(17), ctx.core.config.pid),
            answered: None,
        };
        let content: &[u8] = match body {
            Body::Hold => HOLD,
            Body::Given(sdp) => sdp,
        };
        let mut rows = self.bridge_contact();
        if !content.is_empty() {
            rows.extend_from_slice(b"Content-Type: application/sdp\r\n");
        }
        {
            let mut going = self.bridges.going.lock().unwrap_or_else(|e| e.into_inner());
            if going.len() >= MAX_BRIDGES {
                return false;
            }
            going.insert(number, bridge.clone());
        }
        let sent = self.bridge_request(ctx, &bridge, Method::Invite, 10, &rows, content, Some(number));
        if !sent {
            self.forget(number);
        }
        sent
    }

    /// A request of a bridge ended.
    pub(super) fn bridged(&self, ctx: &mut RouteContext<'_>, end: &LocalEnd) {
        let number = end.token as u32;
        let known = self.bridges.going.lock().unwrap_or_else(|e| e.into_inner()).get(&number).cloned();
        let Some(mut bridge) = known else { return };
        let invited = end.reply.as_ref().is_none_or(|r| r.method() == Method::Invite);
        match (&bridge.answered, &end.reply) {
            (None, Some(reply)) if invited && (200..300).contains(&end.code) => {
                bridge.answered = Some(answer(reply));
                self.bridge_ack(ctx, &bridge);
                let rows = [
                    &self.bridge_contact()[..],
                    b"Referred-By: <",
                    self.settings.bridge_controller.as_bytes(),
                    b">\r\nRefer-To: <",
                    &bridge.to,
                    b">\r\n",
                ]
                .concat();
                self.bridges.going.lock().unwrap_or_else(|e| e.into_inner()).insert(number, bridge.clone());
                if !self.bridge_request(ctx, &bridge, Method::Refer, 11, &rows, b"", Some(number)) {
                    self.forget(number);
                }
            }
            // The 2xx again: its ACK was lost.
            (Some(_), Some(_)) if invited && (200..300).contains(&end.code) => self.bridge_ack(ctx, &bridge),
            (Some(_), _) => {
                self.forget(number);
                self.bridge_request(ctx, &bridge, Method::Bye, 12, b"", b"", None);
            }
            (None, _) => {
                tracing::info!(target: "dialog", code = end.code, "dlg_bridge: {} did not answer", String::from_utf8_lossy(&bridge.from));
                self.forget(number);
            }
        }
    }

    fn forget(&self, number: u32) {
        self.bridges.going.lock().unwrap_or_else(|e| e.into_inner()).remove(&number);
    }

    fn bridge_contact(&self) -> Vec<u8> {
        [b"Contact: <", self.settings.bridge_contact.as_bytes(), b">\r\n"].concat()
    }

    #[allow(clippy::too_many_arguments)]
    fn bridge_request(
        &self,
        ctx: &mut RouteContext<'_>,
        bridge: &Bridge,
        method: Method,
        cseq: u32,
        rows: &[u8],
        body: &[u8],
        number: Option<u32>,
    ) -> bool {
        let method = method.as_str().as_bytes();
        let head = [&self.bridge_head(bridge, cseq, method)[..], rows].concat();
        let request = UacRequest {
            method,
            ruri: bridge.answered.as_ref().map_or(&bridge.from, |a| &a.contact),
            next_hop: next_hop(bridge),
            socket: b"",
            rows: &head,
            body,
        };
        match number {
            Some(number) => {
                let tell = Tell { module: "dialog", token: TOKEN | u64::from(number) };
                ctx.transactions.send_request(ctx, &request, tell) == 1
            }
            None => ctx.transactions.uac_send(ctx, &request) == 1,
        }
    }

    fn bridge_head(&self, bridge: &Bridge, cseq: u32, method: &[u8]) -> Vec<u8> {
        let mut head = [&b"To: <"[..], &bridge.from, b">"].concat();
        if let Some(answered) = &bridge.answered {
            head.extend_from_slice(b";tag=");
            head.extend_from_slice(&answered.tag);
        }
        let from = self.settings.bridge_controller.as_str();
        head.extend_from_slice(
            format!("\r\nFrom: <{from}>;tag={}\r\nCall-ID: {}\r\nCSeq: {cseq} ", bridge.tag, bridge.call_id)
                .as_bytes(),
        );
        head.extend_from_slice(method);
        head.extend_from_slice(b"\r\n");
        if let Some(answered) = &bridge.answered {
            head.extend_from_slice(&answered.route);
        }
        head
    }

    /// The ACK to a 2xx belongs to no transaction (RFC 3261 §13.2.2.4).
    fn bridge_ack(&self, ctx: &RouteContext<'_>, bridge: &Bridge) {
        let Some(answered) = &bridge.answered else { return };
        let next = match next_hop(bridge) {
            b"" => &answered.contact,
            next => next,
        };
        let Some(hop) = ctx.transactions.resolve(ctx, next) else { return };
        let Some(listener) = ctx.core.listeners.get(usize::from(hop.socket.0)) else { return };
        let via = format!(
            " SIP/2.0\r\nVia: SIP/2.0/{} {}:{};branch=z9hG4bKack{}\r\n",
            listener.transport.as_str(),
            listener.via_host(),
            listener.via_port(),
            bridge.tag
        );
        let head = self.bridge_head(bridge, 10, b"ACK");
        ctx.outbox.print(hop, |out| {
            for part in [
                &b"ACK "[..],
                &answered.contact,
                via.as_bytes(),
                &head,
                b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            ] {
                out.extend_from_slice(part);
            }
        });
    }
}

fn next_hop(bridge: &Bridge) -> &[u8] {
    match &bridge.answered {
        Some(answered) if !answered.first.is_empty() => &answered.first,
        _ => &bridge.proxy,
    }
}

fn answer(reply: &Message) -> Answered {
    let mut set: Vec<NameAddr<'_>> = reply.addresses(HeaderName::RecordRoute).flatten().collect();
    set.reverse();
    let values: Vec<&[u8]> = set.iter().map(|a| a.text).collect();
    let route = match values.is_empty() {
        true => Vec::new(),
        false => [b"Route: ", &values.join(&b", "[..])[..], b"\r\n"].concat(),
    };
    let contact = contact(reply);
    let to = reply.to().ok();
    let contact = if contact.is_empty() { to.map_or(Box::default(), |t| t.uri.into()) } else { contact };
    Answered {
        tag: tag(to).into(),
        contact,
        route,
        first: set.first().map_or(Box::default(), |a| a.uri.into()),
    }
}
