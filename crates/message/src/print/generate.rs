//! Messages this server makes itself: replies, CANCEL for a request it sent, ACK for a non-2xx reply to it.
//!
//! Headers are copied in the order and spelling in which the original has them, as Kamailio does.

use super::stamp::{self, Place, ViaStamp, decimal, text};
use super::{Patches, write_patch};
use crate::grammar::{trim_last_semicolon, via_len};
use crate::{Edits, Fault, Header, HeaderName, Message, ParseError};

/// A reply made here (RFC 3261 §8.2.6).
#[derive(Debug, Clone, Copy)]
pub struct LocalReply<'a> {
    /// Status code.
    pub code: u16,
    /// Reason phrase.
    pub reason: &'a [u8],
    /// Tag for To when the request has none and the code is above 100.
    pub to_tag: &'a [u8],
    /// Extra header rows with CRLF (Contact, Server, Retry-After, ...).
    pub rows: &'a [u8],
    /// Content-Type and body.
    pub body: Option<(&'a [u8], &'a [u8])>,
    /// Stamp for the topmost Via.
    pub via_stamp: Option<ViaStamp<'a>>,
    /// Copy Record-Route rows (1xx/2xx of dialog-forming requests, §12.1.1).
    pub record_route: bool,
}

/// Appends a reply to `request`: all Via rows, From, To, Call-ID, CSeq, Timestamp in a 100, then rows and Content-Length.
pub fn local_reply(request: &Message, reply: &LocalReply<'_>, out: &mut Vec<u8>) {
    out.reserve(
        request.headers_end() as usize
            + reply.rows.len()
            + reply.body.map_or(0, |(_, body)| body.len())
            + 256,
    );
    out.extend_from_slice(b"SIP/2.0 ");
    decimal(out, reply.code.into());
    text(out, &[b" ", reply.reason, b"\r\n"]);
    let mut stamp = reply.via_stamp;
    let copied = |name| {
        use HeaderName::*;
        matches!(name, Via | From | To | CallId | CSeq | RecordRoute | Timestamp)
    };
    for header in request.headers_where(copied) {
        // Of a header that must not be repeated the reply to the complaint has the first.
        let is_first = || request.is_first(&header);
        match header.name {
            HeaderName::Via => match stamp.take() {
                Some(stamp) => stamped_row(request, &header, &stamp, out),
                None => row(request, &header, out),
            },
            HeaderName::To if is_first() => {
                // §8.2.6.2: a tag unless the request has one; the 100 may go without.
                let tag_missing = reply.code > 100
                    && !reply.to_tag.is_empty()
                    && !request.to().is_ok_and(|to| to.tag().is_some());
                if tag_missing {
                    text(
                        out,
                        &[
                            before_value(request, &header),
                            trim_last_semicolon(header.value),
                            b";tag=",
                            reply.to_tag,
                            b"\r\n",
                        ],
                    );
                } else {
                    row(request, &header, out);
                }
            }
            HeaderName::From | HeaderName::CallId | HeaderName::CSeq if is_first() => {
                row(request, &header, out);
            }
            HeaderName::RecordRoute if reply.record_route => row(request, &header, out),
            HeaderName::Timestamp if reply.code == 100 => row(request, &header, out),
            _ => {}
        }
    }
    out.extend_from_slice(reply.rows);
    let (content_type, body) = reply.body.unwrap_or_default();
    if !content_type.is_empty() {
        text(out, &[b"Content-Type: ", content_type, b"\r\n"]);
    }
    content_length(body.len(), out);
    text(out, &[b"\r\n", body]);
}

/// Appends the CANCEL for a request that was sent (`sent`: its bytes), §9.1: same Request-URI, topmost Via, From, To, Call-ID, Route,
/// CSeq number. `rows`: extra header rows (Reason, RFC 3326).
pub fn cancel(sent: &[u8], rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let sent = Message::parse(sent).map_err(unreadable)?;
    hop_by_hop(&sent, b"CANCEL", None, rows, out)
}

/// Appends the ACK for a non-2xx final reply to an INVITE that was sent, §17.1.1.3: To from the reply.
pub fn ack(sent: &[u8], reply: &Message, out: &mut Vec<u8>) -> Result<(), Fault> {
    let sent = Message::parse(sent).map_err(unreadable)?;
    hop_by_hop(&sent, b"ACK", Some(reply), b"", out)
}

fn unreadable(_: ParseError) -> Fault {
    Fault { code: 500, reason: "Sent Request Is Unreadable" }
}

/// What CANCEL and ACK share: they go the way of the request hop by hop, so they have its topmost Via only.
fn hop_by_hop(
    sent: &Message,
    method: &[u8],
    reply: Option<&Message>,
    rows: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let cseq = sent.cseq()?;
    let via = sent.header(HeaderName::Via).ok_or(crate::validate::NO_VIA)?;
    let to = match reply {
        Some(reply) => Some((reply, reply.header(HeaderName::To).ok_or(crate::validate::NO_TO)?)),
        None => sent.header(HeaderName::To).map(|to| (sent, to)),
    };
    text(out, &[method, b" ", sent.request_uri(), b" SIP/2.0\r\n"]);
    let topmost = via.value.get(..via_len(via.value)).unwrap_or_default();
    text(out, &[before_value(sent, &via), crate::grammar::trim(topmost), b"\r\n"]);
    let mut hops = false;
    let mut length = false;
    for header in sent.headers() {
        match header.name {
            HeaderName::From | HeaderName::CallId | HeaderName::Route => row(sent, &header, out),
            HeaderName::MaxForwards => {
                hops = true;
                row(sent, &header, out);
            }
            HeaderName::To => {
                if let Some((message, to)) = to {
                    row(message, &to, out);
                }
            }
            HeaderName::CSeq => {
                text(out, &[header.name_text, b": "]);
                decimal(out, cseq.number as usize);
                text(out, &[b" ", method, b"\r\n"]);
            }
            HeaderName::ContentLength => {
                length = true;
                text(out, &[header.name_text, b": 0\r\n"]);
            }
            _ => {}
        }
    }
    if !hops {
        out.extend_from_slice(b"Max-Forwards: 70\r\n");
    }
    out.extend_from_slice(rows);
    if !length {
        content_length(0, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn content_length(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, len);
    out.extend_from_slice(b"\r\n");
}

fn row(message: &Message, header: &Header<'_>, out: &mut Vec<u8>) {
    let bytes = message.as_bytes().get(header.row.0 as usize..header.row.1 as usize).unwrap_or_default();
    match bytes.strip_suffix(b"\r\n") {
        Some(_) => out.extend_from_slice(bytes),
        // A bare LF was good enough to read, not to send.
        None => text(out, &[crate::grammar::trim_end(bytes), b"\r\n"]),
    }
}

/// Name, colon and white space of a row, as written.
fn before_value<'a>(message: &'a Message, header: &Header<'_>) -> &'a [u8] {
    let value = message.offset_of(header.value).unwrap_or(header.row.0);
    message.as_bytes().get(header.row.0 as usize..value as usize).unwrap_or_default()
}

fn stamped_row(message: &Message, header: &Header<'_>, stamp: &ViaStamp<'_>, out: &mut Vec<u8>) {
    let edits = Edits::new();
    let mut patches = Patches::new();
    stamp::add_patches(message, &edits, stamp, Place::AtEnd, &mut patches);
    let mut at = header.row.0;
    let slice =
        |start: u32, end: u32| message.as_bytes().get(start as usize..end as usize).unwrap_or_default();
    for &(start, end, patch) in patches.list() {
        out.extend_from_slice(slice(at, start));
        write_patch(patch, out);
        at = end;
    }
    let rest = slice(at, header.row.1);
    let rest = crate::grammar::trim_end(rest);
    text(out, &[rest, b"\r\n"]);
}
