//! Requests sent on as if they were ours: nobody above us is told of the replies.

use message::print::{self, Forward};
use message::{HeaderName, Uri};
use script::{Outcome, RouteContext};
use transaction::Hop;

/// Sends the request, and with `branches` also one for each branch; to the address of `to` when given.
pub(super) fn forward(ctx: &mut RouteContext<'_>, to: Option<&[u8]>, branches: bool) -> Outcome {
    if to.is_some_and(|uri| Uri::parse(uri).is_err()) {
        return Outcome::FALSE;
    }
    let first = (ctx.request_uri().to_vec(), to.unwrap_or(ctx.next_hop_uri()).to_vec());
    let mut targets = vec![first];
    if branches {
        targets.extend(ctx.branches.iter().map(|b| {
            let next = if b.dst_uri.is_empty() { &b.uri } else { &b.dst_uri };
            (b.uri.clone(), to.unwrap_or(next).to_vec())
        }));
    }
    let mut sent = false;
    for (number, (uri, next)) in targets.iter().enumerate() {
        match ctx.transactions.resolve(ctx, next) {
            Some(hop) => {
                send(ctx, uri, hop, number);
                sent = true;
            }
            None => {
                tracing::error!(target: "corex", uri = %String::from_utf8_lossy(next), "forward_uac: cannot be resolved")
            }
        }
    }
    Outcome::from(sent)
}

fn send(ctx: &RouteContext<'_>, uri: &[u8], hop: Hop, number: usize) {
    let mut edits = ctx.edits.clone();
    for header in ctx.message.headers_named(HeaderName::Via) {
        edits.remove(header.row.0, header.row.1);
    }
    let Some(l) = ctx.core.listeners.get(usize::from(hop.socket.0)) else { return };
    let (micros, message) = (ctx.now.unix_micros, ctx.worker.message_number.get());
    let via = format!(
        "SIP/2.0/{} {}:{};branch=z9hG4bKuac{:x}.{micros:x}.{:x}.{message:x}.{number}",
        hop.transport.as_str(),
        l.via_host(),
        l.via_port(),
        ctx.core.config.seed as u32,
        ctx.worker.rank,
    );
    let how = Forward { uri: Some(uri), via: Some(via.as_bytes()), ..Forward::default() };
    ctx.outbox.print(hop, |out| print::request(&ctx.message, &edits, &how, out));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{REQUEST, bench, call};
    use script::outbox::Batch;

    #[test]
    fn without_the_ways_back() {
        let bench = bench();
        let mut ctx = bench.request(REQUEST);
        assert_eq!(call(&bench, &mut ctx, "append_branch_uri", &["sip:two@127.0.0.1:15211"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac", &[]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac_branch", &["1"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac_uri", &["sip:127.0.0.1:9"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac_uri_branch", &["sip:127.0.0.1:9", "1"]), Some(1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac_uri", &["sip:host.invalid"]), Some(-1));
        assert_eq!(call(&bench, &mut ctx, "forward_uac_uri", &["nonsense"]), Some(-1));
        let mut batch = Batch::default();
        bench.outbox.take(&mut batch);
        let ports: Vec<u16> = batch.items.iter().map(|(h, _)| h.remote.port()).collect();
        assert_eq!(ports, [15210, 15210, 15211, 9, 9, 9]);
        for (_, datagram) in &batch.items {
            let text = String::from_utf8_lossy(batch.bytes(datagram)).into_owned();
            assert_eq!(
                text.matches("\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKuac").count(),
                1,
                "{text}"
            );
            assert_eq!(text.matches("Via:").count(), 1, "{text}");
        }
    }
}
