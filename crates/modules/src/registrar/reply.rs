//! The answer to a REGISTER (RFC 3261 §10.3 step 8): all current bindings, or why it was refused.

use std::io::Write;

use message::Uri;
use script::{RouteContext, RouteKind};

use super::Registrar;
use super::request::Problem;
use crate::usrloc::{Contact, Domain};

/// What makes GRUUs of an address-of-record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gruu<'a> {
    pub aor: &'a [u8],
    pub hash: u32,
    /// Host of the To URI, where the address-of-record has no domain.
    pub host: &'a [u8],
}

/// A reply kept by `save` with flag 2 for `reg_send_reply`.
#[derive(Debug, Default, Clone)]
pub(super) struct Prepared {
    pub code: u16,
    pub reason: &'static str,
    pub rows: Vec<u8>,
}

/// Bits of a q value as in Contact: `0.7`, `1`.
pub(super) fn write_q(q: i16, out: &mut Vec<u8>) {
    if q >= 1000 {
        out.push(b'1');
        return;
    }
    out.push(b'0');
    let digits = [q / 100, q / 10 % 10, q % 10];
    let Some(last) = digits.iter().rposition(|d| *d != 0) else { return };
    out.push(b'.');
    out.extend(digits.iter().take(last + 1).map(|d| b'0' + *d as u8));
}

pub(super) fn write_number(mut n: u32, out: &mut Vec<u8>) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (n % 10) as u8;
        }
        n /= 10;
        if n == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

impl Registrar {
    /// Appends the Contact row with every binding that has not ended; nothing when there is none.
    pub(super) fn write_contacts<'c>(
        &self,
        contacts: impl Iterator<Item = &'c Contact>,
        domain: &Domain,
        gruu: Option<Gruu<'_>>,
        now: u32,
        out: &mut Vec<u8>,
    ) {
        let mut first = true;
        for contact in contacts.filter(|c| c.is_valid(now)) {
            out.extend_from_slice(if first { b"Contact: <" } else { b", <" });
            first = false;
            out.extend_from_slice(contact.uri());
            out.push(b'>');
            if contact.q >= 0 {
                out.extend_from_slice(b";q=");
                write_q(contact.q, out);
            }
            out.extend_from_slice(b";expires=");
            write_number(contact.deadline().saturating_sub(now), out);
            let param = self.settings.received_param.as_bytes();
            if !contact.received().is_empty() && !param.is_empty() {
                out.push(b';');
                out.extend_from_slice(param);
                quoted(contact.received(), out);
            }
            if !contact.instance().is_empty() && self.settings.gruu_enabled {
                if let Some(gruu) = gruu {
                    self.write_gruus(contact, domain, gruu, out);
                }
                out.extend_from_slice(b";+sip.instance");
                quoted(contact.instance(), out);
            }
            if contact.reg_id > 0 {
                out.extend_from_slice(b";reg-id=");
                write_number(contact.reg_id, out);
            }
        }
        if !first {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// `pub-gruu` from the instance, `temp-gruu` from the record id and the hash under which its record is found (RFC 5627 §5.2).
    fn write_gruus(&self, contact: &Contact, domain: &Domain, gruu: Gruu<'_>, out: &mut Vec<u8>) {
        let instance = contact.instance();
        let urn = instance.strip_prefix(b"<").and_then(|i| i.strip_suffix(b">")).unwrap_or(instance);
        let at = gruu.aor.iter().rposition(|b| *b == b'@');
        let host = match at {
            Some(at) if domain.rules().use_domain => gruu.aor.get(at + 1..).unwrap_or_default(),
            _ => gruu.host,
        };
        let user = match at {
            Some(at) if domain.rules().use_domain => gruu.aor.get(..at).unwrap_or_default(),
            _ => gruu.aor,
        };
        out.extend_from_slice(b";pub-gruu=\"sip:");
        out.extend_from_slice(&message::grammar::escape(user, message::grammar::Component::User));
        out.push(b'@');
        out.extend_from_slice(host);
        out.extend_from_slice(b";gr=");
        out.extend_from_slice(urn);
        out.extend_from_slice(b"\";temp-gruu=\"sip:");
        contact.write_ruid(&domain.rules().ruid, out);
        // Writing into a vector cannot fail.
        let _ = write!(out, "-{:08x}@", gruu.hash);
        out.extend_from_slice(host);
        out.extend_from_slice(b";gr\"");
    }

    /// Rows that say why, after what is already in `rows`.
    pub(super) fn write_problem(&self, problem: Problem, path: &[u8], rows: &mut Vec<u8>) {
        match problem {
            Problem::PATH => {
                rows.extend_from_slice(b"Unsupported: path\r\n");
                write_row(b"Path", path, rows);
            }
            Problem::OUTBOUND => rows.extend_from_slice(b"Unsupported: outbound\r\n"),
            Problem::NEED_OUTBOUND => rows.extend_from_slice(b"Require: outbound\r\n"),
            Problem::BRIEF => {
                rows.extend_from_slice(b"Min-Expires: ");
                write_number(self.settings.min_expires, rows);
                rows.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        write_row(b"P-Registrar-Error", problem.why.as_bytes(), rows);
        if problem.code >= 500 && self.settings.retry_after > 0 {
            rows.extend_from_slice(b"Retry-After: ");
            write_number(self.settings.retry_after, rows);
            rows.extend_from_slice(b"\r\n");
        }
    }

    /// Sends the answer, through the transaction when there is one.
    pub(super) fn send(ctx: &mut RouteContext<'_>, code: u16, reason: &str, rows: &[u8]) -> i64 {
        ctx.edits.append_to_reply(rows);
        if matches!(ctx.kind, RouteKind::Reply | RouteKind::OnReply) {
            return 1;
        }
        if ctx.transaction.is_some() {
            ctx.transactions.reply(ctx, code, reason.as_bytes())
        } else {
            ctx.transactions.reply_stateless(ctx, code, reason.as_bytes())
        }
    }
}

/// `Name: value` with CRLF.
pub(super) fn write_row(name: &[u8], value: &[u8], rows: &mut Vec<u8>) {
    rows.extend_from_slice(name);
    rows.extend_from_slice(b": ");
    rows.extend_from_slice(value);
    rows.extend_from_slice(b"\r\n");
}

fn quoted(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"=\"");
    // What could end the string or the row was refused when it was saved; an AVP is the script's own and loses it here.
    out.extend(value.iter().filter(|b| **b >= b' ' && **b != b'"'));
    out.push(b'"');
}

/// Host of a URI; empty when it has none.
pub(super) fn host_of(uri: &[u8]) -> &[u8] {
    Uri::parse(uri).map_or(&[], |u| u.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let q = |n| {
            let mut out = Vec::new();
            write_q(n, &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!([0, 5, 120, 700, 123, 1000].map(q), ["0", "0.005", "0.12", "0.7", "0.123", "1"]);
        let number = |n| {
            let mut out = Vec::new();
            write_number(n, &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!([0, 7, 3600, u32::MAX].map(number), ["0", "7", "3600", "4294967295"]);
    }
}
