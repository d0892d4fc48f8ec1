//! Bodies: there or not, replaced, on hold.

use message::HeaderName;
use script::{Outcome, RouteContext, ksr_module};

use super::TextOps;
use super::headers::media_type;
use super::hold;

/// Bytes of hexadecimal text; white space between the pairs is skipped.
pub(super) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (*b as char).to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect())
}

/// Replaces Content-Type and body.
pub(super) fn set_body(ctx: &mut RouteContext<'_>, body: &[u8], content_type: &[u8], rows: &[u8]) {
    let message = ctx.message.clone();
    for header in message.headers_named(HeaderName::ContentType) {
        ctx.edits.remove(header.row.0, header.row.1);
    }
    let row = [b"Content-Type: ", content_type, b"\r\n", rows].concat();
    ctx.edits.insert(message.headers_end(), &row);
    ctx.edits.set_body(body);
}

fn refuse(body: &[u8], content_type: &[u8]) -> bool {
    let missing = body.is_empty() || content_type.is_empty();
    if missing {
        tracing::error!(target: "textops", "a body needs its text and its Content-Type");
    }
    missing
}

#[ksr_module("textops", rows = "BODY")]
impl TextOps {
    /// Replaces the body and Content-Type of the message. Returns 1, or -1 when one of them is empty.
    #[ksr(cfg = ["set_body"])]
    fn set_body(&self, ctx: &mut RouteContext<'_>, nb: &[u8], nc: &[u8]) -> Outcome {
        if refuse(nb, nc) {
            return Outcome::FALSE;
        }
        set_body(ctx, nb, nc, b"");
        Outcome::TRUE
    }
    /// As `set_body`, with the body in hexadecimal digits; white space between them is skipped. Returns 1, or -1 when it is not such a text.
    #[ksr(cfg = ["set_body_hex"])]
    fn set_body_hex(&self, ctx: &mut RouteContext<'_>, htxt: &[u8], nc: &[u8]) -> Outcome {
        match from_hex(htxt) {
            Some(body) => self.set_body(ctx, &body, nc),
            None => Outcome::FALSE,
        }
    }
    /// Gives replies that this server makes to the request a body and its Content-Type. Returns 1, or -1 when one of them is empty.
    #[ksr(cfg = ["set_reply_body"], routes(REQUEST, FAILURE, BRANCH, ONREPLY))]
    fn set_reply_body(&self, ctx: &mut RouteContext<'_>, nb: &[u8], nc: &[u8]) -> Outcome {
        if refuse(nb, nc) {
            return Outcome::FALSE;
        }
        ctx.edits.set_reply_body(nc, nb);
        Outcome::TRUE
    }
    /// As `set_reply_body`, with the body in hexadecimal digits. Returns 1, or -1 when it is not such a text.
    #[ksr(cfg = ["set_reply_body_hex"], routes(REQUEST, FAILURE, BRANCH, ONREPLY))]
    fn set_reply_body_hex(&self, ctx: &mut RouteContext<'_>, htxt: &[u8], nc: &[u8]) -> Outcome {
        match from_hex(htxt) {
            Some(body) => self.set_reply_body(ctx, &body, nc),
            None => Outcome::FALSE,
        }
    }
    /// Whether the message has a body. Returns 1 or -1.
    #[ksr(cfg = ["has_body"])]
    fn has_body(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome::from(!ctx.message.body().is_empty())
    }
    /// Whether the message has a body of this media type (`application/sdp`). Returns 1 or -1.
    #[ksr(cfg = ["has_body"])]
    fn has_body_type(&self, ctx: &mut RouteContext<'_>, ctype: &[u8]) -> Outcome {
        let fits = media_type(&ctx.message).is_some_and(|t| t.eq_ignore_ascii_case(ctype));
        Outcome::from(fits && !ctx.message.body().is_empty())
    }
    /// Whether an audio stream of the SDP is on hold. Returns 1 for a null address (RFC 2543), 2 for `sendonly` or `inactive` (RFC 3264), -1
    /// when none is.
    #[ksr(cfg = ["is_audio_on_hold"])]
    fn is_audio_on_hold(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        Outcome(hold::audio_on_hold(hold::sdp(&ctx.message)))
    }
}
