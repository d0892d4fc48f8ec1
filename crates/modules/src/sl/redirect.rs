//! The Contact row of a 3xx (RFC 3261 §8.3, §21.3): where else to try.

use script::{Branch, RouteContext};

/// `rich_redirect`: branch flags as Contact parameter.
const FLAGS: i64 = 1;
/// `rich_redirect`: Path as Route header of the URI.
const PATH: i64 = 2;

/// The destination set as one Contact row, empty when the script changed nothing.
pub(super) fn contacts(ctx: &RouteContext<'_>, rich: i64) -> Vec<u8> {
    let mut out = Vec::new();
    if !ctx.target.uri.is_empty() && ctx.target.uri != ctx.message.request_uri() {
        contact(&ctx.target, rich, &mut out);
    }
    for branch in &ctx.branches {
        contact(branch, rich, &mut out);
    }
    if !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn contact(branch: &Branch, rich: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(if out.is_empty() { b"Contact: <" } else { b", <" });
    out.extend_from_slice(&branch.uri);
    if rich & PATH != 0 && !branch.path.is_empty() {
        out.extend_from_slice(b"?Route=");
        out.extend_from_slice(&message::grammar::escape(&branch.path, message::grammar::Component::Header));
    }
    out.push(b'>');
    if branch.q >= 0 {
        out.extend_from_slice(b";q=");
        out.extend_from_slice(&q_value(branch.q));
    }
    if rich & FLAGS != 0 {
        out.extend_from_slice(format!(";flags={}", branch.flags).as_bytes());
    }
}

/// Thousandths as RFC 3261 §25.1 `qvalue`, without trailing zeros.
pub(crate) fn q_value(thousandths: i32) -> Vec<u8> {
    match thousandths {
        1000.. => b"1".to_vec(),
        ..=0 => b"0".to_vec(),
        q => format!("0.{q:03}").trim_end_matches('0').as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values() {
        for (q, text) in [(0, "0"), (1, "0.001"), (500, "0.5"), (250, "0.25"), (1000, "1")] {
            assert_eq!(q_value(q), text.as_bytes());
        }
    }
    #[test]
    fn rich_contacts() {
        let branch = Branch {
            uri: b"sip:a@b".to_vec(),
            path: b"<sip:p;lr>".to_vec(),
            q: -1,
            flags: 6,
            ..Branch::default()
        };
        let mut out = Vec::new();
        contact(&branch, 3, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "Contact: <sip:a@b?Route=%3Csip:p%3Blr%3E>;flags=6");
    }
}
