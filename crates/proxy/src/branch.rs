//! A branch is made: branch route, next hop, Via, edits, bytes (RFC 3261 §16.6).

use std::sync::Arc;

use message::{Edits, HeaderName, NameAddr, print};
use script::{Branch, RelayTo, RouteContext, RouteKind, RunOutcome};
use transaction::{Hop, NewBranch, TransactionId};

use crate::receive::print_shared;
use crate::{Proxy, loops, resolve};

/// Why no branch could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The branch route dropped them all.
    Dropped,
    /// Answer this.
    Error(u16, &'static str),
}

impl Proxy {
    /// Makes the branches of the context's destination set, numbered from `first`. The set is used up.
    pub(crate) fn make_branches(
        &self,
        ctx: &mut RouteContext<'_>,
        id: TransactionId,
        to: RelayTo<'_>,
        first: u16,
        with_target: bool,
    ) -> Result<Vec<NewBranch>, Unsent> {
        let mut set = Vec::with_capacity(1 + ctx.branches.len());
        if with_target {
            set.push(ctx.target.clone());
        }
        set.append(&mut ctx.branches);
        set.truncate(self.core.config.max_branches + 1);
        let breadth = loops::breadth(&ctx.message, set.len())
            .map_err(|()| Unsent::Error(440, "Max-Breadth Exceeded"))?;
        let mut made = Vec::with_capacity(set.len());
        let mut why = Unsent::Error(500, "Server Internal Error");
        for branch in set {
            let number = first + made.len() as u16;
            match self.make_branch(ctx, id, to, number, branch, breadth) {
                Ok(b) => made.push(b),
                Err(e) => why = e,
            }
        }
        if made.is_empty() { Err(why) } else { Ok(made) }
    }

    fn make_branch(
        &self,
        ctx: &mut RouteContext<'_>,
        id: TransactionId,
        to: RelayTo<'_>,
        number: u16,
        branch: Branch,
        breadth: Option<u32>,
    ) -> Result<NewBranch, Unsent> {
        let outer = Outer::enter(ctx, branch, number);
        let result = self.make_branch_inside(ctx, id, to, number, breadth);
        outer.leave(ctx);
        result
    }

    fn make_branch_inside(
        &self,
        ctx: &mut RouteContext<'_>,
        id: TransactionId,
        to: RelayTo<'_>,
        number: u16,
        breadth: Option<u32>,
    ) -> Result<NewBranch, Unsent> {
        let before = ctx.armed.on_branch.is_some().then(|| (ctx.edits.clone(), ctx.record_route.clone()));
        if let Some(callback) = ctx.armed.on_branch {
            ctx.kind = RouteKind::Branch;
            ctx.dropped = false;
            let outcome = self.run(ctx, callback);
            if outcome == RunOutcome::Exception {
                self.counters().script_errors.inc();
            }
            let dropped = std::mem::take(&mut ctx.dropped) || outcome == RunOutcome::Drop;
            if dropped {
                (ctx.edits, ctx.record_route) = before.unwrap_or_default();
                return Err(Unsent::Dropped);
            }
        }
        let result = self.print_branch(ctx, id, to, number, breadth);
        if let Some(before) = before {
            (ctx.edits, ctx.record_route) = before;
        }
        result
    }

    fn print_branch(
        &self,
        ctx: &mut RouteContext<'_>,
        id: TransactionId,
        to: RelayTo<'_>,
        number: u16,
        breadth: Option<u32>,
    ) -> Result<NewBranch, Unsent> {
        let hop = self.branch_hop(ctx, to)?;
        let hash =
            loops::loop_hash(&ctx.message, ctx.request_uri(), &ctx.target.dst_uri, self.core.config.seed);
        if loops::is_loop(&ctx.message, hash) {
            return Err(Unsent::Error(482, "Loop Detected"));
        }
        let mut own = None;
        if !ctx.target.path.is_empty() || breadth.is_some() || ctx.record_route.is_some() {
            let mut edits = ctx.edits.clone();
            add_path(ctx, &mut edits);
            if let Some(breadth) = breadth {
                set_breadth(ctx, &mut edits, breadth);
            }
            self.add_record_route(ctx, hop, &mut edits);
            own = Some(edits);
        }
        let edits = own.as_ref().unwrap_or(&ctx.edits);
        let mut via = Vec::with_capacity(96);
        self.write_via(ctx, hop, &mut via);
        id.write_branch(number, &mut via);
        let mut suffix = [0; 9];
        loops::write_suffix(hash, &mut suffix);
        via.extend_from_slice(&suffix);
        let bytes = print_shared(|out| {
            let how = print::Forward {
                uri: (!ctx.target.uri.is_empty()).then_some(&ctx.target.uri[..]),
                via: Some(&via),
                via_stamp: print::via_stamp(&ctx.message, ctx.inbound.source, ctx.force_rport),
            };
            print::request(&ctx.message, edits, &how, out);
        });
        if let Some(callback) = self.onsend_route()
            && self.run_onsend(ctx, callback, hop, &bytes)
        {
            return Err(Unsent::Dropped);
        }
        self.counters().fwd_requests.inc();
        Ok(NewBranch {
            number,
            bytes,
            hop,
            uri: ctx.request_uri().into(),
            script: remembered(&ctx.target).map(|b| Arc::new(b) as _),
        })
    }

    fn branch_hop(&self, ctx: &RouteContext<'_>, to: RelayTo<'_>) -> Result<Hop, Unsent> {
        let hop = match to {
            RelayTo::Proxy(text) => resolve::resolve_proxy(ctx, text),
            RelayTo::Transport(t) => resolve::resolve(ctx, next_uri(ctx), Some(t)),
            RelayTo::Uris => resolve::resolve(ctx, next_uri(ctx), None),
        };
        hop.ok_or_else(|| {
            self.counters().no_destination.inc();
            tracing::info!(target: "tm", call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                uri = %String::from_utf8_lossy(next_uri(ctx)), "next hop cannot be resolved: 478");
            Unsent::Error(478, "Unresolvable destination (478/TM)")
        })
    }

    /// `SIP/2.0/UDP host[:port];branch=`, ready for the branch value.
    pub(crate) fn write_via(&self, ctx: &RouteContext<'_>, hop: Hop, out: &mut Vec<u8>) {
        let socket = hop.socket.0 as usize;
        match (&ctx.advertise, self.core.listeners.get(socket)) {
            ((None, None), _) => out.extend_from_slice(self.via.get(socket).map_or(&b""[..], |v| v)),
            ((host, port), Some(listener)) => {
                let mut changed = listener.clone();
                let host = host.clone().unwrap_or_else(|| listener.via_host());
                changed.advertise = Some((host, port.unwrap_or_else(|| listener.via_port())));
                out.extend_from_slice(&crate::via_start(&changed));
            }
            _ => {}
        }
    }
}

/// What the context was before it became a branch's.
struct Outer {
    kind: RouteKind,
    target: Branch,
    index: u16,
}

impl Outer {
    fn enter(ctx: &mut RouteContext<'_>, branch: Branch, number: u16) -> Outer {
        let target = std::mem::replace(&mut ctx.target, branch);
        let index = std::mem::replace(&mut ctx.branch_index, number);
        Outer { kind: ctx.kind, target, index }
    }
    fn leave(self, ctx: &mut RouteContext<'_>) {
        ctx.kind = self.kind;
        ctx.target = self.target;
        ctx.branch_index = self.index;
    }
}

/// `$du`, else the first Path URI, else the Request-URI.
fn next_uri<'c>(ctx: &'c RouteContext<'_>) -> &'c [u8] {
    if !ctx.target.dst_uri.is_empty() {
        return &ctx.target.dst_uri;
    }
    if !ctx.target.path.is_empty()
        && let Some(Ok(first)) = NameAddr::list(&ctx.target.path).next()
    {
        return first.uri;
    }
    ctx.request_uri()
}

/// The Path set as Route, before any Route of the request (RFC 3327 §5.4).
pub(crate) fn add_path(ctx: &RouteContext<'_>, edits: &mut Edits) {
    if ctx.target.path.is_empty() {
        return;
    }
    let at = ctx.message.header(HeaderName::Route).map_or_else(|| ctx.message.headers_start(), |h| h.row.0);
    let mut row = b"Route: ".to_vec();
    row.extend_from_slice(&ctx.target.path);
    row.extend_from_slice(b"\r\n");
    edits.insert_front(at, &row);
}

fn set_breadth(ctx: &RouteContext<'_>, edits: &mut Edits, breadth: u32) {
    for h in ctx.message.headers_named(HeaderName::MaxBreadth) {
        edits.remove(h.row.0, h.row.1);
    }
    edits.insert(ctx.message.headers_end(), format!("Max-Breadth: {breadth}\r\n").as_bytes());
}

/// What of a branch later routes can ask for; `None` in the plain case, which then costs nothing.
fn remembered(target: &Branch) -> Option<Branch> {
    (target.flags != 0
        || !target.ruid.is_empty()
        || !target.instance.is_empty()
        || !target.location_ua.is_empty())
    .then(|| target.clone())
}
