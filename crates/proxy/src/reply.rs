//! Replies made here: To tags, header rows, printing.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use message::{Message, Method, print};
use script::RouteContext;
use transaction::{LocalReply, TransactionId};

use crate::receive::print_shared;
use crate::saved::Saved;
use crate::{Proxy, shards};

impl Proxy {
    /// The To tag of stateless replies: the same for every retransmission of a request, so that the ACK to one can be told by it.
    pub(crate) fn stateless_tag(&self, message: &Message) -> [u8; 20] {
        let mut h = DefaultHasher::new();
        h.write_u64(self.core.config.seed);
        h.write(message.via().ok().and_then(|v| v.branch).unwrap_or_default());
        h.write(message.call_id());
        h.write_u32(message.cseq().map_or(0, |c| c.number));
        tag(b"tl-s", h.finish())
    }

    /// The To tag of all replies a transaction makes.
    pub(crate) fn transaction_tag(&self, id: TransactionId) -> [u8; 20] {
        let mut h = DefaultHasher::new();
        h.write_u64(self.core.config.seed);
        h.write_u32(id.index);
        h.write_u32(id.label);
        tag(b"tl-t", h.finish())
    }

    /// Whether an ACK answers a reply that was sent without a transaction (RFC 3261 §16.11 leaves no state to match it with).
    pub(crate) fn is_ack_to_stateless(&self, ack: &Message) -> bool {
        let Some(tag) = ack.to().ok().and_then(|to| to.tag()) else { return false };
        tag.starts_with(b"tl-s") && tag == self.stateless_tag(ack)
    }

    /// Prints a local reply.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn write_reply(
        &self,
        request: &Message,
        code: u16,
        reason: &[u8],
        tag: &[u8],
        rows: &[u8],
        via_stamp: Option<print::ViaStamp<'_>>,
        body: Option<(&[u8], &[u8])>,
        out: &mut Vec<u8>,
    ) {
        let all;
        let rows = if rows.is_empty() {
            &self.server_row
        } else {
            all = [rows, &self.server_row].concat();
            &all
        };
        // RFC 3261 §12.1.1: replies that may make a dialog carry the request's Record-Route.
        let record_route = (101..300).contains(&code)
            && matches!(
                request.method(),
                Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
            );
        print::local_reply(
            request,
            &print::LocalReply { code, reason, to_tag: tag, rows, body, via_stamp, record_route },
            out,
        );
    }

    /// A reply within a transaction, with the header rows and body the script asked for.
    pub(crate) fn transaction_reply(
        &self,
        ctx: &RouteContext<'_>,
        id: TransactionId,
        request: &Message,
        code: u16,
        reason: &[u8],
    ) -> LocalReply {
        let tag = self.transaction_tag(id);
        let bytes = print_shared(|out| {
            let stamp = print::via_stamp(request, ctx.inbound.source, ctx.force_rport);
            self.write_reply(
                request,
                code,
                reason,
                &tag,
                ctx.edits.reply_rows(),
                stamp,
                ctx.edits.reply_body(),
                out,
            );
        });
        LocalReply { code, bytes }
    }

    /// A reply the transaction itself asked for (408, 487, 500, ...).
    pub(crate) fn internal_reply(
        &self,
        id: TransactionId,
        request: &Arc<Message>,
        code: u16,
        reason: &str,
    ) -> LocalReply {
        debug_assert!(shards::unlocked());
        let script = self.shards.of_id(id, |s| s.view(id).and_then(|v| v.script().cloned()));
        let state = Saved::from_any(&script).map(Saved::state);
        let tag = self.transaction_tag(id);
        let bytes = print_shared(|out| {
            let (stamp, rows) = match &state {
                Some(s) => (print::via_stamp(request, s.inbound.source, s.force_rport), s.edits.reply_rows()),
                None => (None, &b""[..]),
            };
            self.write_reply(request, code, reason.as_bytes(), &tag, rows, stamp, None, out);
        });
        LocalReply { code, bytes }
    }
}

fn tag(prefix: &[u8; 4], hash: u64) -> [u8; 20] {
    let mut out = [0; 20];
    out[..4].copy_from_slice(prefix);
    for (i, slot) in out[4..].iter_mut().enumerate() {
        *slot = b"0123456789abcdef"[((hash >> (60 - 4 * i)) & 15) as usize];
    }
    out
}
