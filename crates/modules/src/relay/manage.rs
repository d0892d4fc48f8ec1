//! What `rtpproxy_manage` and `rtpengine_manage` do for a message.

use message::Method;
use script::{RouteContext, RouteKind};

use crate::sdp::Sdp;

/// What is to be done with the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The SDP is an offer.
    Offer,
    /// The SDP is the answer to an offer.
    Answer,
    /// The call, or this attempt of it, is over.
    Delete,
    /// Nothing, and that is right.
    Nothing,
    /// Nothing: this message has nothing to do with media.
    Refuse,
}

/// Offer, answer or end (RFC 3264 in RFC 3261 §13.2.1): by method, route, status, and whether the request had SDP. `sdp`: the message has
/// SDP, or the script brings its own.
pub(crate) fn deed(ctx: &RouteContext<'_>, sdp: bool) -> Deed {
    let method = ctx.message.method();
    if matches!(ctx.kind, RouteKind::BranchFailure) {
        return Deed::Nothing;
    }
    if ctx.message.is_request() {
        return match method {
            Method::Bye | Method::Cancel => Deed::Delete,
            _ if matches!(ctx.kind, RouteKind::Failure) => Deed::Delete,
            Method::Ack if sdp => Deed::Answer,
            Method::Ack => Deed::Nothing,
            Method::Invite | Method::Update | Method::Prack if sdp => Deed::Offer,
            _ => Deed::Refuse,
        };
    }
    match ctx.message.status() {
        300.. => Deed::Delete,
        _ if !sdp => Deed::Nothing,
        _ => match ctx.transactions.request(ctx) {
            // Without a transaction nobody knows; most requests carry the offer.
            Some(request) if method == Method::Invite && Sdp::of(&request).is_none() => Deed::Offer,
            _ => Deed::Answer,
        },
    }
}
