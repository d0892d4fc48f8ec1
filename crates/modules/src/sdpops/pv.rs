//! `$sdp(...)` and `$sdpitval(...)`.

use message::Message;
use script::pv::Inner;
use script::{PseudoVariable, Pv, RouteContext, Value};

use super::{iterator, number};
use crate::sdp::{Sdp, fields};

const NAMES: &[&str] =
    &["body", "sess_version", "c:ip", "c:af", "o:ip", "m0:b:AS", "m0:rtp:port", "m0:rtcp:port", "m0:raw"];

pub(super) const ROWS: &[PseudoVariable] = &[
    PseudoVariable {
        module: "sdpops",
        name: "sdp",
        doc: "The SDP: `body` all of it; `sess_version` of the `o=` line, a number, which can be written (-1: one more); `c:ip` and `c:af` \
              address and family (`IP4`) of the first `c=` line, `o:ip` of the `o=` line; of the first stream `m0:rtp:port`, \
              `m0:rtcp:port` (0 when not given), `m0:b:AS` bandwidth, `m0:raw` its `m=` line without `m=`. Null when it is not there.",
        inner: Inner::Keyword(NAMES),
        get,
        set: Some(set),
    },
    PseudoVariable {
        module: "sdpops",
        name: "sdpitval",
        doc: "The line that the SDP iterator of this name stands on; null when it stands on none.",
        inner: Inner::Text,
        get: |ctx, pv| iterator::value(ctx, &pv.inner_text(ctx)),
        set: None,
    },
];

fn get<'c>(ctx: &'c RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
    match NAMES.get(pv.keyword()).and_then(|name| read(&ctx.message, name)) {
        Some(value) => value,
        None => Value::Null,
    }
}

fn read<'m>(message: &'m Message, name: &str) -> Option<Value<'m>> {
    let sdp = Sdp::of(message)?;
    let first = sdp.media.first();
    Some(match name {
        "body" => Value::str(sdp.text),
        "sess_version" => Value::Int(number(version(&sdp)?)?),
        "c:ip" => Value::str(sdp.media_addresses().next()?.host),
        "c:af" => Value::str(sdp.media_addresses().next()?.family),
        "o:ip" => {
            let line = sdp.session.iter().find(|l| l.kind() == b'o')?;
            Value::str(sdp.address(*line)?.host)
        }
        "m0:b:AS" => {
            let line = first?.lines.iter().find(|l| l.text.starts_with(b"b=AS:"))?;
            Value::str(line.text.get(5..)?)
        }
        "m0:rtp:port" => Value::Int(i64::from(first?.port()?)),
        "m0:rtcp:port" => {
            let port = first?.attribute(b"rtcp").and_then(|v| fields(v).next()).and_then(number);
            Value::Int(port.unwrap_or(0))
        }
        "m0:raw" => Value::str(first?.lines.first()?.value()),
        _ => return None,
    })
}

/// `sess-version`: the third field of `o=`.
fn version<'m>(sdp: &Sdp<'m>) -> Option<&'m [u8]> {
    let origin = sdp.session.iter().find(|l| l.kind() == b'o')?;
    fields(origin.value()).nth(2)
}

fn set(ctx: &mut RouteContext<'_>, pv: &Pv, value: Value<'_>) -> bool {
    let Value::Int(wanted) = value else {
        tracing::error!(target: "sdpops", "$sdp(sess_version) takes a number");
        return false;
    };
    if NAMES.get(pv.keyword()) != Some(&"sess_version") {
        return false;
    }
    let message = ctx.message.clone();
    let Some(sdp) = Sdp::of(&message) else { return false };
    let Some(old) = version(&sdp) else { return false };
    let wanted = match (wanted, number(old)) {
        (-1, Some(old)) => old.wrapping_add(1),
        (-1, None) => return false,
        (n, _) => n,
    };
    let Some(at) = message.offset_of(old) else { return false };
    ctx.edits.rewrite(at, at + old.len() as u32, wanted.to_string().as_bytes());
    true
}
