//! One SIP message: the datagram's bytes and an index of header rows, parsed lazily.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::grammar::{Scan, element_len, is_lws, number, trim};
use crate::index::{self, Index, Row, Span, Start};
use crate::{Fault, HeaderName, Method, NameAddr, Params, ParseError, Transport, Uri, Via};

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
pub struct Message {
    buf: Box<[u8]>,
    index: Index,
    via: OnceLock<Result<ViaSpans, Fault>>,
    from: OnceLock<Result<AddressSpans, Fault>>,
    to: OnceLock<Result<AddressSpans, Fault>>,
    cseq: OnceLock<Result<CSeqSpans, Fault>>,
}

/// A remembered [`Via`].
#[derive(Debug, Clone, Copy)]
struct ViaSpans {
    text: Span,
    transport_text: Span,
    host: Span,
    params: Span,
    branch: Option<Span>,
    received: Option<Span>,
    rport: Option<Option<u16>>,
    port: Option<u16>,
    transport: Option<Transport>,
}

/// A remembered [`NameAddr`].
#[derive(Debug, Clone, Copy)]
struct AddressSpans {
    text: Span,
    display: Span,
    uri: Span,
    params: Span,
}

/// A remembered [`CSeq`].
#[derive(Debug, Clone, Copy)]
struct CSeqSpans {
    number: u32,
    method: Method,
    method_text: Span,
}

impl Message {
    /// Indexes a datagram (copied once). Leading CRLFs are skipped (§7.5).
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).ok_or(ParseError::KeepAlive)?;
        let bytes = datagram.get(start..).unwrap_or_default();
        if bytes.first() == Some(&0) && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(ParseError::KeepAlive);
        }
        let index = index::scan(bytes)?;
        Ok(Message {
            buf: bytes.into(),
            index,
            via: OnceLock::new(),
            from: OnceLock::new(),
            to: OnceLock::new(),
            cseq: OnceLock::new(),
        })
    }

    /// What RFC 3261 asks of every message before it is worked on: start line, Via, From, To, Call-ID, CSeq
    /// (and its method), Max-Forwards, Content-Length, single-value headers. For a request the fault is to be answered;
    /// a reply with a fault is to be dropped.
    ///
    /// Left to higher layers: schemes (416), option tags (420), Max-Forwards 0 (483), credentials (401/407), Contact.
    pub fn validate(&self) -> Result<(), Fault> {
        crate::validate::validate(self, &self.index)
    }

    /// All bytes as received, but for leading CRLFs; what follows the body is still there.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf
    }
    /// First line.
    pub fn start_line(&self) -> StartLine<'_> {
        match self.index.start {
            Start::Request { method, method_text, uri } => {
                StartLine::Request { method, method_text: self.slice(method_text), uri: self.slice(uri) }
            }
            Start::Reply { code, reason } => StartLine::Reply { code, reason: self.slice(reason) },
        }
    }
    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }
    /// Request: its method. Reply: the method of CSeq.
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Reply { .. } => self.cseq().map_or(Method::Other, |cseq| cseq.method),
        }
    }
    /// Request: method token. Reply: the token of CSeq. Empty when unreadable.
    pub fn method_text(&self) -> &[u8] {
        match self.index.start {
            Start::Request { method_text, .. } => self.slice(method_text),
            Start::Reply { .. } => self.cseq().map_or(&[], |cseq| cseq.method_text),
        }
    }
    /// Request-URI as received; empty for a reply.
    pub fn request_uri(&self) -> &[u8] {
        match self.index.start {
            Start::Request { uri, .. } => self.slice(uri),
            Start::Reply { .. } => &[],
        }
    }
    /// Request-URI, parsed.
    pub fn parse_request_uri(&self) -> Result<Uri<'_>, Fault> {
        Uri::parse(self.request_uri())
    }
    /// Status code; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.index.start {
            Start::Request { .. } => 0,
            Start::Reply { code, .. } => code,
        }
    }
    /// Reason phrase; empty for a request.
    pub fn reason(&self) -> &[u8] {
        match self.index.start {
            Start::Request { .. } => &[],
            Start::Reply { reason, .. } => self.slice(reason),
        }
    }
    /// All header rows in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + '_ {
        self.index.rows.iter().map(|row| self.row(row))
    }
    /// First row of that name.
    pub fn header(&self, name: HeaderName) -> Option<Header<'_>> {
        self.index.first_row(name).map(|row| self.row(row))
    }
    /// All rows of that name.
    pub fn headers_named(&self, name: HeaderName) -> impl Iterator<Item = Header<'_>> + '_ {
        self.rows_from(name).iter().filter(move |row| row.name == name).map(|row| self.row(row))
    }
    /// All rows of that name given as text: compact and long forms of known headers match each other, case-insensitively.
    pub fn headers_by_text<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Header<'a>> + 'a {
        let known = HeaderName::parse(name);
        self.rows_from(known)
            .iter()
            .filter(move |row| row.name == known)
            .map(|row| self.row(row))
            .filter(move |header| known != HeaderName::Other || header.name_text.eq_ignore_ascii_case(name))
    }
    /// First row of that name given as text, see [`Message::headers_by_text`].
    pub fn header_by_text<'a>(&'a self, name: &'a [u8]) -> Option<Header<'a>> {
        self.headers_by_text(name).next()
    }
    /// Topmost Via (remembered).
    pub fn via(&self) -> Result<Via<'_>, Fault> {
        let spans = self.via.get_or_init(|| {
            let header = self.header(HeaderName::Via).ok_or(crate::validate::NO_VIA)?;
            let via = Via::parse(header.value.get(..element_len(header.value)).unwrap_or_default())?;
            Ok(ViaSpans {
                text: self.span(via.text),
                transport_text: self.span(via.transport_text),
                host: self.span(via.host),
                params: self.span(via.params.0),
                branch: via.branch.map(|part| self.span(part)),
                received: via.received.map(|part| self.span(part)),
                rport: via.rport,
                port: via.port,
                transport: via.transport,
            })
        });
        let spans = spans.as_ref().map_err(|fault| *fault)?;
        Ok(Via {
            text: self.slice(spans.text),
            transport_text: self.slice(spans.transport_text),
            transport: spans.transport,
            host: self.slice(spans.host),
            port: spans.port,
            params: Params(self.slice(spans.params)),
            branch: spans.branch.map(|span| self.slice(span)),
            received: spans.received.map(|span| self.slice(span)),
            rport: spans.rport,
        })
    }
    /// All Via values in order, across rows and commas.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Fault>> + '_ {
        self.headers_named(HeaderName::Via).flat_map(|h| Via::list(h.value))
    }
    /// From (remembered).
    pub fn from(&self) -> Result<NameAddr<'_>, Fault> {
        self.address(&self.from, HeaderName::From, crate::validate::NO_FROM, crate::validate::BAD_FROM)
    }
    /// To (remembered).
    pub fn to(&self) -> Result<NameAddr<'_>, Fault> {
        self.address(&self.to, HeaderName::To, crate::validate::NO_TO, crate::validate::BAD_TO)
    }
    /// Call-ID, empty when missing.
    pub fn call_id(&self) -> &[u8] {
        self.header(HeaderName::CallId).map_or(&[], |h| h.value)
    }
    /// CSeq (remembered).
    pub fn cseq(&self) -> Result<CSeq<'_>, Fault> {
        let spans = self.cseq.get_or_init(|| {
            let header = self.header(HeaderName::CSeq).ok_or(crate::validate::NO_CSEQ)?;
            let mut scan = Scan(header.value);
            let digits = scan.take_while(|b| b.is_ascii_digit());
            // "The sequence number MUST be expressible as a 32-bit unsigned integer and MUST be less than 2**31"
            let number = number(digits).filter(|&n| n < 1 << 31).ok_or(crate::validate::BAD_CSEQ)? as u32;
            if !scan.peek().is_some_and(is_lws) {
                return Err(crate::validate::BAD_CSEQ);
            }
            let method_text = trim(scan.0);
            if !crate::grammar::is_token(method_text) {
                return Err(crate::validate::BAD_CSEQ);
            }
            Ok(CSeqSpans { number, method: Method::parse(method_text), method_text: self.span(method_text) })
        });
        let spans = spans.as_ref().map_err(|fault| *fault)?;
        Ok(CSeq { number: spans.number, method: spans.method, method_text: self.slice(spans.method_text) })
    }
    /// All addresses of a name-addr header (Contact, Route, Record-Route, Path, ...), across rows and commas.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'_>, Fault>> + '_ {
        self.headers_named(name).flat_map(|h| NameAddr::list(h.value))
    }
    /// Max-Forwards; `None` when absent, a fault when not 0..=255.
    pub fn max_forwards(&self) -> Result<Option<u8>, Fault> {
        match self.header(HeaderName::MaxForwards) {
            None => Ok(None),
            Some(header) => match number(header.value).and_then(|n| u8::try_from(n).ok()) {
                Some(hops) => Ok(Some(hops)),
                None => Err(crate::validate::BAD_MAX_FORWARDS),
            },
        }
    }
    /// Expires header in seconds; `None` when absent or unreadable.
    pub fn expires(&self) -> Option<u32> {
        self.header(HeaderName::Expires).and_then(|h| number(h.value)).and_then(|n| u32::try_from(n).ok())
    }
    /// Body by Content-Length (or to the end of the datagram when there is none).
    pub fn body(&self) -> &[u8] {
        self.slice(self.index.body)
    }
    /// Span of the body in the buffer.
    pub fn body_span(&self) -> Range<usize> {
        self.index.body.start as usize..self.index.body.end as usize
    }
    /// Offset of a slice that was borrowed from this message. Panics never: `None` when it is not part of it.
    pub fn offset_of(&self, part: &[u8]) -> Option<u32> {
        let base = self.buf.as_ptr() as usize;
        let at = (part.as_ptr() as usize).checked_sub(base)?;
        (at.checked_add(part.len())? <= self.buf.len()).then_some(at as u32)
    }
    /// Offset where header rows begin (after the first line).
    pub fn headers_start(&self) -> u32 {
        self.index.headers_start
    }
    /// Offset of the empty line that ends the headers: new rows appended go here.
    pub fn headers_end(&self) -> u32 {
        self.index.headers_end
    }

    fn address(
        &self,
        cell: &OnceLock<Result<AddressSpans, Fault>>,
        name: HeaderName,
        missing: Fault,
        bad: Fault,
    ) -> Result<NameAddr<'_>, Fault> {
        let spans = cell.get_or_init(|| {
            // From and To hold one address: a comma does not separate here.
            let address = NameAddr::parse(self.header(name).ok_or(missing)?.value).map_err(|_| bad)?;
            Ok(AddressSpans {
                text: self.span(address.text),
                display: self.span(address.display),
                uri: self.span(address.uri),
                params: self.span(address.params.0),
            })
        });
        let spans = spans.as_ref().map_err(|fault| *fault)?;
        Ok(NameAddr {
            text: self.slice(spans.text),
            display: self.slice(spans.display),
            uri: self.slice(spans.uri),
            params: Params(self.slice(spans.params)),
        })
    }

    fn slice(&self, span: Span) -> &[u8] {
        span.of(&self.buf)
    }
    fn span(&self, part: &[u8]) -> Span {
        index::span_in(&self.buf, part)
    }
    fn row(&self, row: &Row) -> Header<'_> {
        Header {
            name: row.name,
            name_text: Span { start: row.start, end: row.start + u32::from(row.name_len) }.of(&self.buf),
            value: self.slice(row.value),
            row: (row.start, row.end),
        }
    }
    /// The rows from the first of that name on.
    fn rows_from(&self, name: HeaderName) -> &[Row] {
        self.index.rows.get(self.index.first_number(name)..).unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&String::from_utf8_lossy(&self.buf)).finish()
    }
}
