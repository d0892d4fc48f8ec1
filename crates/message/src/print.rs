//! Messages back to bytes: forwarded requests and replies, locally generated replies, CANCEL and ACK.
//!
//! Everything is appended to a caller's buffer so that one buffer serves a whole batch.

use crate::{Edits, Fault, Message};

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

/// Parameters the receiving server adds to the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
#[derive(Debug, Clone, Copy)]
pub struct ViaStamp<'a> {
    /// Source address to write as `received`, `None` to leave it.
    pub received: Option<std::net::IpAddr>,
    /// Source port to write as the value of `rport`, `None` to leave it.
    pub rport: Option<u16>,
    /// Marker of the borrowed message.
    pub _message: std::marker::PhantomData<&'a ()>,
}

/// What a request from `source` needs in its topmost Via: `received` when sent-by differs (or rport is asked, RFC 3581 §4), `rport`
/// when the client asked or the script called `force_rport`.
pub fn via_stamp(request: &Message, source: std::net::SocketAddr, force_rport: bool) -> Option<ViaStamp<'_>> {
    todo!("{request:?}{source}{force_rport}")
}

/// Appends the request with its edits. Content-Length is corrected when the body changed.
pub fn request(message: &Message, edits: &Edits, how: &Forward<'_>, out: &mut Vec<u8>) {
    todo!("{message:?}{edits:?}{how:?}{out:?}")
}

/// Appends a reply without its topmost Via value (RFC 3261 §16.7 step 3), with edits.
pub fn forwarded_reply(message: &Message, edits: &Edits, out: &mut Vec<u8>) {
    todo!("{message:?}{edits:?}{out:?}")
}

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
    todo!("{request:?}{reply:?}{out:?}")
}

/// Appends the CANCEL for a request that was sent (`sent`: its bytes), §9.1: same Request-URI, topmost Via, From, To, Call-ID, Route,
/// CSeq number. `rows`: extra header rows (Reason, RFC 3326).
pub fn cancel(sent: &[u8], rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    todo!("{sent:?}{rows:?}{out:?}")
}

/// Appends the ACK for a non-2xx final reply to an INVITE that was sent, §17.1.1.3: To from the reply.
pub fn ack(sent: &[u8], reply: &Message, out: &mut Vec<u8>) -> Result<(), Fault> {
    todo!("{sent:?}{reply:?}{out:?}")
}
