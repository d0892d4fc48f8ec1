//! Record-Route and loose routing (RFC 3261 §16.4, §16.6 steps 4 and 6, §16.12).
//!
//! `record.rs` puts this server on the path of later requests, `loose.rs` takes it off the Route set of the requests that follow it,
//! `direction.rs` tells from the parameters in between which side is talking.

mod direction;
mod loose;
mod record;
#[cfg(test)]
mod tests;

use script::{
    Function, ModParam, ModParams, Module, Outcome, ParamValue, PseudoVariable, RouteContext, SetupError,
    ksr_module,
};

pub(crate) use direction::{is_upstream, own_params};
pub use loose::OwnRoute;
pub(crate) use record::add_param;

/// Module `rr`.
#[derive(Debug, Default)]
pub struct Rr {
    settings: Settings,
}

/// Parameters of `rr`.
#[derive(Debug, ModParams)]
pub(crate) struct Settings {
    /// 1: the user part of the Request-URI goes into the Record-Route URI. Default 0.
    add_username: bool,
    /// 1: the From tag goes into the Record-Route URI as `ftag`; `is_direction` needs it. Default 1.
    append_fromtag: bool,
    /// With `add_username`: name of the AVP that holds the user part to use instead, `$avp(name)`. Default none.
    custom_user_avp: Option<String>,
    /// Two Record-Route rows when a request leaves through another socket than it came in (RFC 5658): 0 never, 1 when needed,
    /// 2 always. Default 1.
    enable_double_rr: u8,
    /// 1: `;lr=on` instead of `;lr`, for user agents that lose parameters without a value. Default 0.
    enable_full_lr: bool,
    /// 1: warn when a preset Record-Route names another host than this server. Default 1.
    enable_socket_mismatch_warning: bool,
    /// 1: also a single own Route decides the socket to send from, not only a double one. Default 0.
    force_send_socket: bool,
    /// 1: Record-Route URIs are always `sip:`, also when the Request-URI is `sips:`. Default 0.
    ignore_sips: bool,
    /// What `loose_route` does: 0 loose and strict routing, 1 loose routing only (the Request-URI may be this server). Default 0.
    loose_route_mode: i64,
    /// 1: the Record-Route URI names the socket in an `sn` parameter, which finds it again. Default 0.
    sockname_mode: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            add_username: false,
            append_fromtag: true,
            custom_user_avp: None,
            enable_double_rr: 1,
            enable_full_lr: false,
            enable_socket_mismatch_warning: true,
            force_send_socket: false,
            ignore_sips: false,
            loose_route_mode: 0,
            sockname_mode: false,
        }
    }
}

#[ksr_module("rr")]
impl Rr {
    /// Puts this server into the path of the dialog: a Record-Route row before all others.
    ///
    /// The row names the socket the request came in through; when a branch leaves through another one, a second row for that
    /// socket stands above it (`enable_double_rr`). In requests within a dialog call it after `loose_route`, so that the
    /// direction is known. Returns 1; -1 when the message has one from this server already. RFC 3261 §16.6 step 4.
    #[ksr(cfg = ["record_route"], routes(REQUEST, BRANCH, FAILURE))]
    fn record_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        self.record(ctx, b"")
    }

    /// As `record_route`, with URI parameters (`;name=value`) added.
    #[ksr(cfg = ["record_route"], routes(REQUEST, BRANCH, FAILURE))]
    fn record_route_params(&self, ctx: &mut RouteContext<'_>, sparams: &[u8]) -> Outcome {
        self.record(ctx, sparams)
    }

    /// Routes by the Route headers of the request (RFC 3261 §16.4 and §16.12).
    ///
    /// Removes the topmost Route when it is this server (both, when they are a pair with `r2`), and makes the next one the
    /// destination `$du`; a strict router before or after this server is served as well. Returns 1 when a route was found; -1
    /// when there is none or it cannot be read; -3 when the only Route was this server in a request without To tag (preloaded).
    #[ksr(cfg = ["loose_route"], routes(REQUEST))]
    fn loose_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(self.route(ctx, self.settings.loose_route_mode))
    }

    /// As `loose_route`, but 1 only when the one Route of a request outside of a dialog named this server; everything else -1.
    #[ksr(cfg = ["loose_route_preloaded"], routes(REQUEST))]
    fn loose_route_preloaded(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(self.route(ctx, self.settings.loose_route_mode) == loose::PRELOADED)
    }

    /// As `loose_route`; with `vmode` 1 the Request-URI is not compared with this server's addresses (no strict routing towards
    /// us), for application servers that use this server's address in their Contact.
    #[ksr(cfg = ["loose_route_mode"], routes(REQUEST))]
    fn loose_route_mode(&self, ctx: &mut RouteContext<'_>, vmode: i64) -> Outcome {
        Outcome(self.route(ctx, vmode))
    }

    /// Takes back what `record_route` and its variants added to this message. Returns 1.
    #[ksr(cfg = ["remove_record_route"], routes(REQUEST, FAILURE))]
    fn remove_record_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        ctx.record_route = None;
        Outcome::TRUE
    }

    /// Adds a URI parameter (`;name=value`) to the Record-Route of this message, made already or later.
    ///
    /// In a branch route it holds for that branch only. It is read back by `check_route_param` in later requests. Returns 1.
    #[ksr(cfg = ["add_rr_param"], routes(REQUEST, BRANCH, FAILURE))]
    fn add_rr_param(&self, ctx: &mut RouteContext<'_>, sparam: &[u8]) -> Outcome {
        record::add_param(ctx, sparam);
        Outcome::TRUE
    }

    /// Whether the parameters of this server's own Route match a regular expression. After `loose_route`.
    ///
    /// Returns 1 or -1; -1 also when no Route was this server.
    #[ksr(cfg = ["check_route_param"], routes(REQUEST))]
    fn check_route_param(&self, ctx: &mut RouteContext<'_>, sre: &[u8]) -> Outcome {
        direction::check_param(ctx, sre)
    }

    /// Whether the request goes `upstream` (callee to caller) or `downstream` (caller to callee).
    ///
    /// Compares the `ftag` of this server's own Route with the From tag; without it: downstream. Returns 1, -1 for the other
    /// direction, -6 for an unknown word.
    #[ksr(cfg = ["is_direction"], routes(REQUEST))]
    fn is_direction(&self, ctx: &mut RouteContext<'_>, dir: &[u8]) -> Outcome {
        let upstream = direction::is_upstream(ctx);
        Outcome::from(match dir.to_ascii_lowercase().as_slice() {
            b"upstream" => upstream,
            b"downstream" => !upstream,
            _ => return Outcome(-6),
        })
    }

    /// Record-Route with this text as address (`host:port;params`, no scheme), whatever the socket. Returns 1, or -1 when the message
    /// has one already.
    #[ksr(cfg = ["record_route_preset"], routes(REQUEST, BRANCH, FAILURE))]
    fn record_route_preset_one(&self, ctx: &mut RouteContext<'_>, addr1: &[u8]) -> Outcome {
        self.preset(ctx, addr1, None)
    }

    /// Two Record-Route rows with these texts as addresses: `addr1` for the outgoing side, `addr2` for the incoming side. Add `;r2=on`
    /// to both. Returns 1, or -1 when the message has one already.
    #[ksr(cfg = ["record_route_preset"], routes(REQUEST, BRANCH, FAILURE))]
    fn record_route_preset(&self, ctx: &mut RouteContext<'_>, addr1: &[u8], addr2: &[u8]) -> Outcome {
        self.preset(ctx, addr1, Some(addr2))
    }

    /// Record-Route with this address (`host:port`); two rows when the transports of both sides differ. Returns 1, or -1 when the
    /// message has one already.
    #[ksr(cfg = ["record_route_advertised_address"], routes(REQUEST, BRANCH, FAILURE))]
    fn record_route_advertised_address(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        self.advertised(ctx, address)
    }

    /// Whether `loose_route` found a next hop behind this server's own Route. Returns 1 or -1.
    #[ksr(cfg = ["rr_next_hop_route"])]
    fn next_hop_route(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(ctx.slots.peek::<OwnRoute>().is_some_and(|r| r.next_hop))
    }
}

impl Module for Rr {
    fn name(&self) -> &'static str {
        "rr"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        direction::PSEUDO_VARIABLES
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
}

/// The message was printed and parsed again: what was done to the old one is part of the new one.
pub(crate) fn message_replaced(ctx: &mut RouteContext<'_>) {
    if ctx.slots.peek::<OwnRoute>().is_some() {
        ctx.slots.slot::<OwnRoute>().forget_edits();
    }
}
