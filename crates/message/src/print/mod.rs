//! Messages back to bytes: forwarded requests and replies, locally generated replies, CANCEL and ACK.
//!
//! Everything is appended to a caller's buffer so that one buffer serves a whole batch.

mod generate;
mod merge;
mod stamp;

use merge::{Merge, Scratch, edited_len};
use stamp::{decimal, text};

pub use generate::{LocalReply, ack, cancel, local_reply};
pub use stamp::{ViaStamp, via_stamp};

use crate::grammar::{trim_start, via_len};
use crate::{Edits, HeaderName, Message};

/// How a request leaves (RFC 3261 §16.6).
#[derive(Debug, Clone, Copy, Default)]
pub struct Forward<'a> {
    /// New Request-URI; `None` keeps the received one.
    pub uri: Option<&'a [u8]>,
    /// Our Via value, without `Via: ` and CRLF; `None` for none (a request made by ourselves).
    pub via: Option<&'a [u8]>,
    /// `;received=1.2.3.4;rport=5060`-like text for the previous topmost Via, see [`via_stamp`].
    pub via_stamp: Option<ViaStamp<'a>>,
}

/// Appends the request with its edits. Content-Length is corrected when the body changed.
///
/// Our Via becomes a row of its own before the first Via row, after what the edits insert at that place; a request
/// without Via gets it before its first header.
pub fn request(message: &Message, edits: &Edits, how: &Forward<'_>, out: &mut Vec<u8>) {
    let mut scratch = Scratch::new();
    let mut patches = Patches::new();
    if let Some(uri) = how.uri
        && !message.request_uri().is_empty()
        && let Some(start) = message.offset_of(message.request_uri())
    {
        patches.add(start, start + message.request_uri().len() as u32, Patch::Text(uri));
    }
    if let Some(via) = how.via {
        let at = message.header(HeaderName::Via).map_or(message.headers_start(), |header| header.row.0);
        patches.add(at, at, Patch::Via(via));
    }
    if let Some(stamp) = how.via_stamp {
        stamp::add_patches(message, edits, &stamp, stamp::Place::BehindSentBy, &mut patches);
    }
    print(message, edits, patches, &mut scratch, out);
}

/// Appends a reply without its topmost Via value (RFC 3261 §16.7 step 3), with edits.
pub fn forwarded_reply(message: &Message, edits: &Edits, out: &mut Vec<u8>) {
    let mut scratch = Scratch::new();
    let mut patches = Patches::new();
    if let Some(header) = message.header(HeaderName::Via) {
        let first = via_len(header.value);
        match header.value.get(first + 1..).map(trim_start) {
            Some(next) if !next.is_empty() => {
                if let (Some(start), Some(end)) = (message.offset_of(header.value), message.offset_of(next)) {
                    patches.add(start, end, Patch::Nothing);
                }
            }
            _ => patches.add(header.row.0, header.row.1, Patch::Nothing),
        }
    }
    print(message, edits, patches, &mut scratch, out);
}

/// A change that printing itself makes.
#[derive(Debug, Clone, Copy, Default)]
enum Patch<'a> {
    #[default]
    Nothing,
    Text(&'a [u8]),
    Via(&'a [u8]),
    /// `;rport=`, or what of it is missing, and the port.
    Rport(&'static [u8], u16),
    /// `;received=`, or nothing where only the value is replaced, and the address.
    Received(&'static [u8], std::net::IpAddr),
    Length(usize),
    LengthRow(usize),
}

/// The few patches of one message, in order of their place.
struct Patches<'a> {
    list: [(u32, u32, Patch<'a>); 8],
    count: usize,
}

impl<'a> Patches<'a> {
    fn new() -> Patches<'a> {
        Patches { list: [(0, 0, Patch::Nothing); 8], count: 0 }
    }
    /// Replaces `start..end`, behind patches at the same place.
    fn add(&mut self, start: u32, end: u32, patch: Patch<'a>) {
        let place = self.list().iter().position(|&(at, ..)| at > start).unwrap_or(self.count);
        if let Some(tail) = self.list.get_mut(place..=self.count) {
            tail.rotate_right(1);
            if let Some(slot) = tail.first_mut() {
                *slot = (start, end, patch);
                self.count += 1;
            }
        }
    }
    fn list(&self) -> &[(u32, u32, Patch<'a>)] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

fn print<'a>(
    message: &Message,
    edits: &Edits,
    mut patches: Patches<'a>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let body = message.body_span();
    let (body_start, body_end) = (body.start as u32, body.end as u32);
    let new_len = match edits.body() {
        Some(body) => Some(body.len()),
        None => edited_len(edits, body_start, body_end, scratch),
    };
    if let Some(len) = new_len {
        match message.header(HeaderName::ContentLength).filter(|header| !edits.is_removed(header.row.0)) {
            Some(header) => {
                let start = message.offset_of(header.value).unwrap_or(header.row.0);
                patches.add(start, start + header.value.len() as u32, Patch::Length(len));
            }
            None => patches.add(message.headers_end(), message.headers_end(), Patch::LengthRow(len)),
        }
    }
    out.reserve(body.end + 256);
    let mut merge = Merge::new(message.as_bytes(), edits, scratch, out);
    for &(start, end, patch) in patches.list() {
        merge.copy_to(start);
        merge.insertions_to(start);
        write_patch(patch, merge.out);
        merge.skip_to(end);
    }
    merge.copy_to(body_start);
    match edits.body() {
        Some(body) => merge.out.extend_from_slice(body),
        None => {
            merge.copy_to(body_end);
            merge.insertions_to(u32::MAX);
        }
    }
}

fn write_patch(patch: Patch<'_>, out: &mut Vec<u8>) {
    match patch {
        Patch::Nothing => {}
        Patch::Text(text) => out.extend_from_slice(text),
        Patch::Via(via) => text(out, &[b"Via: ", via, b"\r\n"]),
        Patch::Rport(name, port) => {
            out.extend_from_slice(name);
            decimal(out, port.into());
        }
        Patch::Received(name, address) => {
            out.extend_from_slice(name);
            stamp::address(out, address);
        }
        Patch::Length(len) => decimal(out, len),
        Patch::LengthRow(len) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, len);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests;
