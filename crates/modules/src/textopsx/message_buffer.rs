//! The message with its changes made: printed and parsed again.

use std::sync::Arc;

use message::print::{self, Forward};
use message::{Edits, Message};
use script::{Outcome, RouteContext, RouteKind};

/// Where the message may be replaced: nobody else holds it yet.
fn allowed(ctx: &RouteContext<'_>) -> bool {
    let early =
        matches!(ctx.kind, RouteKind::Request | RouteKind::Reply | RouteKind::Event | RouteKind::Init);
    let free = ctx.kind != RouteKind::Request || ctx.transaction.is_none();
    if !(early && free) {
        tracing::error!(target: "textopsx", kind = ?ctx.kind,
            "the message can be replaced in request and reply routes only, before its transaction is made");
    }
    early && free
}

pub(super) fn apply(ctx: &mut RouteContext<'_>) -> Outcome {
    if !allowed(ctx) {
        return Outcome::FALSE;
    }
    if ctx.record_route.is_some() {
        tracing::error!(target: "textopsx",
            "msg_apply_changes after record_route: the Record-Route depends on where the request will go; call it before");
        return Outcome::FALSE;
    }
    let uri = (ctx.message.is_request() && !ctx.target.uri.is_empty()).then_some(ctx.target.uri.as_slice());
    if ctx.edits.is_empty() && uri.is_none() {
        return Outcome::TRUE;
    }
    let mut bytes = Vec::with_capacity(ctx.message.as_bytes().len() + 256);
    print::request(&ctx.message, &ctx.edits, &Forward { uri, ..Forward::default() }, &mut bytes);
    replace(ctx, &bytes)
}

pub(super) fn set(ctx: &mut RouteContext<'_>, bytes: &[u8]) -> Outcome {
    if !allowed(ctx) {
        return Outcome::FALSE;
    }
    replace(ctx, bytes)
}

fn replace(ctx: &mut RouteContext<'_>, bytes: &[u8]) -> Outcome {
    let message = match Message::parse(bytes) {
        Ok(message) if message.is_request() == ctx.message.is_request() => message,
        Ok(_) => {
            tracing::error!(target: "textopsx", "a request can be replaced by a request only, a reply by a reply");
            return Outcome::FALSE;
        }
        Err(error) => {
            tracing::error!(target: "textopsx", ?error, "the changed message is no SIP message: left unchanged");
            return Outcome::FALSE;
        }
    };
    ctx.message = Arc::new(message);
    // What was added for replies made here is no change of this message.
    let mut edits = Edits::new();
    edits.append_to_reply(ctx.edits.reply_rows());
    if let Some((media, body)) = ctx.edits.reply_body() {
        edits.set_reply_body(media, body);
    }
    ctx.edits = edits;
    ctx.target.uri.clear();
    crate::rr::message_replaced(ctx);
    crate::nathelper::contact::message_replaced(ctx);
    Outcome::TRUE
}
