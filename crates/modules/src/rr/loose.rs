//! Route information preprocessing (RFC 3261 §16.4) and the choice of the next hop (§16.12).
//!
//! ```text
//! Request-URI is us: a strict router sent it    -> the last Route is the real target, the first the next hop
//! topmost Route is us                           -> remove it (a pair with r2: both)
//! next Route has lr                             -> $du, stays in the message
//! next Route has no lr: a strict router follows -> its URI becomes the Request-URI, ours goes to the end of the Route set
//! ```

use std::sync::Arc;

use message::{HeaderName, Message, NameAddr, Uri};
use script::hooks::tell;
use script::{Interest, Moment, RouteContext};
use transaction::SocketId;

use super::Rr;
use crate::path::Path;

/// Return value: the only Route was this server, in a request outside of a dialog.
pub(super) const PRELOADED: i64 = -3;

/// What `loose_route` learned about this server's own Route.
#[derive(Debug, Default)]
pub struct OwnRoute {
    /// URI parameters of the Route that was removed.
    pub(super) params: Option<Box<[u8]>>,
    /// A Route follows ours.
    pub(super) next_hop: bool,
    /// Edits were made: a second call must not make them again.
    swapped: bool,
}

impl OwnRoute {
    pub(super) fn forget_edits(&mut self) {
        self.swapped = false;
    }
}

/// One element of the Route set and where it stands.
struct Element<'m> {
    address: NameAddr<'m>,
    uri: Uri<'m>,
    /// Row in the message.
    row: (u32, u32),
    /// Element within the message.
    span: (u32, u32),
}

/// The Route set in order; an error ends it, so that what stands before it can still be used.
struct RouteSet<'m> {
    elements: Vec<Element<'m>>,
    broken: bool,
}

fn route_set(message: &Message) -> RouteSet<'_> {
    let mut set = RouteSet { elements: Vec::new(), broken: false };
    for header in message.headers_named(HeaderName::Route) {
        for address in NameAddr::list(header.value) {
            let element = address.ok().and_then(|address| {
                let uri = address.parse_uri().ok()?;
                let start = message.offset_of(address.text)?;
                let span = (start, start + address.text.len() as u32);
                // §20.34: the Route value is a name-addr; without brackets its URI parameters would be the header's.
                (address.text.last() == Some(&b'>') || address.text.contains(&b'>')).then_some(Element {
                    address,
                    uri,
                    row: header.row,
                    span,
                })
            });
            match element {
                Some(e) => set.elements.push(e),
                None => {
                    set.broken = true;
                    return set;
                }
            }
        }
    }
    set
}

impl RouteSet<'_> {
    /// Deletes an element: with the comma behind it, or the one before it, or the whole row when nothing else is left there.
    fn remove(&self, ctx: &mut RouteContext<'_>, index: usize) {
        let Some(element) = self.elements.get(index) else { return };
        let in_row = |i: usize| self.elements.get(i).filter(|e| e.row == element.row);
        let later = in_row(index + 1);
        let earlier = index.checked_sub(1).and_then(in_row).filter(|e| !ctx.edits.is_removed(e.span.0));
        match (earlier, later) {
            (_, Some(later)) if !ctx.edits.is_removed(later.span.0) => {
                ctx.edits.remove(element.span.0, later.span.0);
            }
            (Some(earlier), _) => ctx.edits.remove(earlier.span.1, element.span.1),
            _ => ctx.edits.remove(element.row.0, element.row.1),
        }
    }
}

/// Modules that follow dialogs find theirs in what this server wrote into its Record-Route.
fn routed(ctx: &mut RouteContext<'_>) {
    if !ctx.core.registry.interest().meets(Interest::LOOSE_ROUTED) {
        return;
    }
    let params = ctx.slots.peek::<OwnRoute>().and_then(|own| own.params.clone()).unwrap_or_default();
    tell(ctx, &Moment::LooseRouted { params: &params });
}

impl Rr {
    /// `mode` 1: the Request-URI is not looked at.
    pub(super) fn route(&self, ctx: &mut RouteContext<'_>, mode: i64) -> i64 {
        let message = Arc::clone(&ctx.message);
        if !message.is_request() {
            return -1;
        }
        let set = route_set(&message);
        if set.elements.is_empty() {
            return -1;
        }
        let preloaded = message.to().ok().and_then(|t| t.tag()).is_none_or(<[u8]>::is_empty);
        let result = if mode != 1 && ctx.is_myself_uri(message.request_uri()) {
            self.after_strict(ctx, &message, &set)
        } else {
            self.after_loose(ctx, &message, &set, preloaded)
        };
        // Most Routes say nothing that module `path` could be looking for.
        let own = set.elements.first().map(|e| e.uri.params.0).filter(|_| result > 0 || result == PRELOADED);
        let core = ctx.core;
        if let Some(params) = own
            .filter(|p| p.contains(&b'='))
            .filter(|p| ctx.slots.peek::<OwnRoute>().is_some_and(|o| o.params.as_deref() == Some(p)))
            && let Some(path) = core.registry.module::<Path>()
        {
            path.after_loose_route(ctx, params);
        }
        if result == 1 {
            routed(ctx);
        }
        result
    }

    fn is_own(&self, ctx: &RouteContext<'_>, uri: &Uri<'_>) -> bool {
        if self.settings.sockname_mode && self.named_socket(ctx, uri).is_some() {
            return true;
        }
        ctx.is_myself(uri.host, Some(uri.port_or_default()), uri.transport())
    }

    fn named_socket(&self, ctx: &RouteContext<'_>, uri: &Uri<'_>) -> Option<SocketId> {
        let name = uri.params.get("sn")?.value?;
        let at = ctx
            .core
            .listeners
            .iter()
            .position(|l| l.name.as_deref().is_some_and(|n| n.as_bytes() == name))?;
        Some(SocketId(at as u16))
    }

    /// The socket that one of our own Routes names: later requests leave from where the first one came in.
    fn force_socket(&self, ctx: &mut RouteContext<'_>, uri: &Uri<'_>) {
        let named = self.settings.sockname_mode.then(|| self.named_socket(ctx, uri)).flatten();
        let socket = named.or_else(|| {
            let transport = uri.transport().unwrap_or(message::Transport::Udp);
            let port = uri.port_or_default();
            let host = String::from_utf8_lossy(uri.host);
            let at = ctx.core.listeners.iter().position(|l| {
                l.transport == transport
                    && match (&l.advertise, uri.ip()) {
                        (Some((h, p)), _) if h.eq_ignore_ascii_case(&host) => *p == port,
                        (_, Some(ip)) => l.address.ip() == ip && l.address.port() == port,
                        _ => false,
                    }
            })?;
            Some(SocketId(at as u16))
        });
        match socket {
            Some(socket) => ctx.target.socket = Some(socket),
            None => tracing::warn!(route = %String::from_utf8_lossy(uri.text),
                "no socket of this server has the address of its own Route: the usual one is used to send"),
        }
    }

    /// The first of a pair says `r2`; its other half is the next one of ours, whatever a user agent left of its parameters.
    fn own_pair(&self, ctx: &RouteContext<'_>, first: &Uri<'_>, second: Option<&Element<'_>>) -> bool {
        self.settings.enable_double_rr != 0
            && first.params.get("r2").is_some()
            && second.is_some_and(|s| self.is_own(ctx, &s.uri))
    }

    fn after_loose(
        &self,
        ctx: &mut RouteContext<'_>,
        message: &Message,
        set: &RouteSet<'_>,
        preloaded: bool,
    ) -> i64 {
        let mut next = 0;
        if let Some(first) = set.elements.first().filter(|e| self.is_own(ctx, &e.uri)) {
            let own = ctx.slots.slot::<OwnRoute>();
            own.params = Some(first.uri.params.0.into());
            own.next_hop = false;
            set.remove(ctx, 0);
            next = 1;
            if self.own_pair(ctx, &first.uri, set.elements.get(1)) {
                set.remove(ctx, 1);
                if let Some(second) = set.elements.get(1) {
                    self.force_socket(ctx, &second.uri);
                }
                next = 2;
            } else if self.settings.force_send_socket {
                self.force_socket(ctx, &first.uri);
            }
            if set.elements.len() == next {
                if set.broken {
                    return -1;
                }
                return if preloaded { PRELOADED } else { 1 };
            }
            ctx.slots.slot::<OwnRoute>().next_hop = true;
        }
        let Some(hop) = set.elements.get(next) else { return -1 };
        if hop.uri.is_loose() {
            ctx.target.dst_uri = hop.address.uri.to_vec();
            return 1;
        }
        // §16.6 step 6: the next hop is a strict router. "The proxy MUST place the Request-URI into the Route header field as the last
        // value. [..] The proxy MUST then place the first Route header field value into the Request-URI and remove that value."
        if set.broken {
            return -1;
        }
        let old = ctx.request_uri().to_vec();
        set.remove(ctx, next);
        self.push_last(ctx, message, &old);
        ctx.target.uri = hop.address.uri.to_vec();
        ctx.target.dst_uri.clear();
        1
    }

    fn push_last(&self, ctx: &mut RouteContext<'_>, message: &Message, uri: &[u8]) {
        if std::mem::replace(&mut ctx.slots.slot::<OwnRoute>().swapped, true) {
            return;
        }
        ctx.edits.insert(message.headers_end(), &[b"Route: <", uri, b">\r\n"].concat());
    }

    /// §16.4: "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field, the proxy
    /// MUST replace the Request-URI in the request with the last value from the Route header field, and remove that value."
    fn after_strict(&self, ctx: &mut RouteContext<'_>, message: &Message, set: &RouteSet<'_>) -> i64 {
        if set.broken {
            return -1;
        }
        let ours = Uri::parse(message.request_uri()).ok();
        if let Some(uri) = ours.filter(|u| !u.params.0.is_empty()) {
            ctx.slots.slot::<OwnRoute>().params = Some(uri.params.0.into());
        }
        let mut next = 0;
        if let Some(uri) = &ours
            && self.own_pair(ctx, uri, set.elements.first())
        {
            set.remove(ctx, 0);
            if let Some(pair) = set.elements.first() {
                self.force_socket(ctx, &pair.uri);
            }
            next = 1;
        }
        let (Some(hop), Some(last)) = (set.elements.get(next), set.elements.last()) else {
            return 1;
        };
        if !hop.uri.is_loose() {
            // Again a strict router: its URI is the Request-URI, the real target stays last.
            set.remove(ctx, next);
            ctx.target.uri = hop.address.uri.to_vec();
            ctx.target.dst_uri.clear();
            return 1;
        }
        ctx.target.dst_uri = hop.address.uri.to_vec();
        ctx.target.uri = last.address.uri.to_vec();
        set.remove(ctx, set.elements.len() - 1);
        1
    }
}
