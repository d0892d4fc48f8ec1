//! One SIP message: the datagram's bytes and an index of header rows, parsed lazily.

use std::ops::Range;

use crate::{Fault, HeaderName, Method, NameAddr, ParseError, Via};

/// First line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request line. `uri` is as written.
    Request {
        /// Method class.
        method: Method,
        /// Method token as written.
        method_text: &'a [u8],
        /// Request-URI as written.
        uri: &'a [u8],
    },
    /// A status line.
    Reply {
        /// 100..=699 (others are a [`Fault`] in [`Message::validate`]).
        code: u16,
        /// Reason phrase, may be empty or UTF-8.
        reason: &'a [u8],
    },
}

/// One header row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Classified name.
    pub name: HeaderName,
    /// Name as written.
    pub name_text: &'a [u8],
    /// Value, trimmed; folds are still in it.
    pub value: &'a [u8],
    /// The row with its CRLF (and folds), as a span of the message.
    pub row: (u32, u32),
}

/// CSeq value (RFC 3261 §20.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number, below 2**31 (§8.1.1.5).
    pub number: u32,
    /// Method class.
    pub method: Method,
    /// Method token as written.
    pub method_text: &'a [u8],
}

/// A parsed message. Cheap to share as `Arc<Message>`; every accessor borrows from it.
#[derive(Debug)]
pub struct Message {
    buf: Box<[u8]>,
}

impl Message {
    /// Indexes a datagram (copied once). Leading CRLFs are skipped (§7.5).
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        Ok(Message { buf: datagram.into() })
    }
    /// What RFC 3261 asks of every message before it is worked on: start line, Via, From, To, Call-ID, CSeq
    /// (and its method), Max-Forwards, Content-Length, single-value headers. For a request the fault is to be answered;
    /// a reply with a fault is to be dropped.
    pub fn validate(&self) -> Result<(), Fault> {
        todo!()
    }
    /// All bytes as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf
    }
    /// First line.
    pub fn start_line(&self) -> StartLine<'_> {
        todo!()
    }
    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        todo!()
    }
    /// Request: its method. Reply: the method of CSeq.
    pub fn method(&self) -> Method {
        todo!()
    }
    /// Request: method token. Reply: the token of CSeq. Empty when unreadable.
    pub fn method_text(&self) -> &[u8] {
        todo!()
    }
    /// Request-URI as received; empty for a reply.
    pub fn request_uri(&self) -> &[u8] {
        todo!()
    }
    /// Status code; 0 for a request.
    pub fn status(&self) -> u16 {
        todo!()
    }
    /// Reason phrase; empty for a request.
    pub fn reason(&self) -> &[u8] {
        todo!()
    }
    /// All header rows in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + '_ {
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
    /// First row of that name.
    pub fn header(&self, name: HeaderName) -> Option<Header<'_>> {
        todo!("{name:?}")
    }
    /// All rows of that name.
    pub fn headers_named(&self, name: HeaderName) -> impl Iterator<Item = Header<'_>> + '_ {
        self.headers().filter(move |h| h.name == name)
    }
    /// All rows of that name given as text: compact and long forms of known headers match each other, case-insensitively.
    pub fn headers_by_text<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Header<'a>> + 'a {
        let _ = name;
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
    /// Topmost Via (remembered).
    pub fn via(&self) -> Result<Via<'_>, Fault> {
        todo!()
    }
    /// All Via values in order, across rows and commas.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Fault>> + '_ {
        self.headers_named(HeaderName::Via).flat_map(|h| Via::list(h.value))
    }
    /// From (remembered).
    pub fn from(&self) -> Result<NameAddr<'_>, Fault> {
        todo!()
    }
    /// To (remembered).
    pub fn to(&self) -> Result<NameAddr<'_>, Fault> {
        todo!()
    }
    /// Call-ID, empty when missing.
    pub fn call_id(&self) -> &[u8] {
        todo!()
    }
    /// CSeq (remembered).
    pub fn cseq(&self) -> Result<CSeq<'_>, Fault> {
        todo!()
    }
    /// All addresses of a name-addr header (Contact, Route, Record-Route, Path, ...), across rows and commas.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'_>, Fault>> + '_ {
        self.headers_named(name).flat_map(|h| NameAddr::list(h.value))
    }
    /// Max-Forwards; `None` when absent, a fault when not 0..=255.
    pub fn max_forwards(&self) -> Result<Option<u8>, Fault> {
        todo!()
    }
    /// Expires header in seconds; `None` when absent or unreadable.
    pub fn expires(&self) -> Option<u32> {
        todo!()
    }
    /// Body by Content-Length (or to the end of the datagram when there is none).
    pub fn body(&self) -> &[u8] {
        todo!()
    }
    /// Span of the body in the buffer.
    pub fn body_span(&self) -> Range<usize> {
        todo!()
    }
    /// Offset of a slice that was borrowed from this message. Panics never: `None` when it is not part of it.
    pub fn offset_of(&self, part: &[u8]) -> Option<u32> {
        let base = self.buf.as_ptr() as usize;
        let at = (part.as_ptr() as usize).checked_sub(base)?;
        (at + part.len() <= self.buf.len()).then_some(at as u32)
    }
    /// Offset where header rows begin (after the first line).
    pub fn headers_start(&self) -> u32 {
        todo!()
    }
    /// Offset of the empty line that ends the headers: new rows appended go here.
    pub fn headers_end(&self) -> u32 {
        todo!()
    }
}
