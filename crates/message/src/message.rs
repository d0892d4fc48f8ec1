//! One SIP message: the datagram's bytes and an index of header rows, parsed lazily.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::grammar::{Scan, is_lws, is_token, number, trim, via_len};
use crate::index::{self, Index, MAX_SIZE, Row, Span, Start};
use crate::uri::RememberedUri;
use crate::{Fault, HeaderName, Method, NameAddr, Params, ParseError, Transport, Uri, Via, validate};

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
    remembered: OnceLock<Remembered>,
    request_uri: RememberedUri,
    from_uri: RememberedUri,
    to_uri: RememberedUri,
}

/// The values that every message's handling needs. Whoever asks for one of them asks for all, so they share a cell.
#[derive(Debug)]
struct Remembered {
    via: Result<ViaSpans, Fault>,
    from: Result<AddressSpans, Fault>,
    to: Result<AddressSpans, Fault>,
    cseq: Result<CSeqSpans, Fault>,
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
    /// Indexes a datagram (copied once). Leading CRLFs are skipped (§7.5). Bare LF ends a line as CRLF does.
    ///
    /// ```
    /// use trunkline_message::{Message, Method};
    ///
    /// let message = Message::parse(b"OPTIONS sip:h SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n")?;
    /// assert_eq!(message.method(), Method::Options);
    /// assert_eq!(message.via().map(|via| via.host), Ok(&b"a"[..]));
    /// assert_eq!(message.validate().map_err(|fault| fault.reason), Err("Missing From"));
    /// # Ok::<(), trunkline_message::ParseError>(())
    /// ```
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).ok_or(ParseError::KeepAlive)?;
        let bytes = datagram.get(start..).unwrap_or_default();
        if bytes.first() == Some(&0) && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(ParseError::KeepAlive);
        }
        if bytes.len() > MAX_SIZE {
            return Err(ParseError::TooLarge);
        }
        let mut message = Message {
            buf: bytes.into(),
            index: Index::new(),
            remembered: OnceLock::new(),
            request_uri: RememberedUri::default(),
            from_uri: RememberedUri::default(),
            to_uri: RememberedUri::default(),
        };
        message.index.scan(&message.buf)?;
        Ok(message)
    }

    /// What RFC 3261 asks of every message before it is worked on: start line, Via, From, To, Call-ID, CSeq
    /// (and its method), Max-Forwards, Content-Length, single-value headers. For a request the fault is to be answered;
    /// a reply with a fault is to be dropped.
    ///
    /// Left to higher layers: schemes (416), option tags (420), Max-Forwards 0 (483), credentials (401/407), Contact.
    pub fn validate(&self) -> Result<(), Fault> {
        validate::validate(self, &self.index)
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
    /// Request-URI, parsed (remembered).
    pub fn parse_request_uri(&self) -> Result<Uri<'_>, Fault> {
        self.request_uri.parse(self.request_uri())
    }
    /// URI of From, parsed (remembered).
    pub fn from_uri(&self) -> Result<Uri<'_>, Fault> {
        self.from_uri.parse(self.from()?.uri)
    }
    /// URI of To, parsed (remembered).
    pub fn to_uri(&self) -> Result<Uri<'_>, Fault> {
        self.to_uri.parse(self.to()?.uri)
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
    /// The rows with names that are wanted, in order.
    pub(crate) fn headers_where(
        &self,
        wanted: impl Fn(HeaderName) -> bool,
    ) -> impl Iterator<Item = Header<'_>> {
        self.index.rows.iter().filter(move |row| wanted(row.name)).map(|row| self.row(row))
    }
    /// Whether no row before this one has its name.
    pub(crate) fn is_first(&self, header: &Header<'_>) -> bool {
        self.index.first_row(header.name).is_some_and(|first| first.start == header.row.0)
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
        let spans = &self.remembered().via;
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
        self.address(&self.remembered().from)
    }
    /// To (remembered).
    pub fn to(&self) -> Result<NameAddr<'_>, Fault> {
        self.address(&self.remembered().to)
    }
    /// Call-ID, empty when missing.
    pub fn call_id(&self) -> &[u8] {
        self.header(HeaderName::CallId).map_or(&[], |h| h.value)
    }
    /// CSeq (remembered).
    pub fn cseq(&self) -> Result<CSeq<'_>, Fault> {
        let spans = &self.remembered().cseq;
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
                None => Err(validate::BAD_MAX_FORWARDS),
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

    fn remembered(&self) -> &Remembered {
        self.remembered.get_or_init(|| Remembered {
            via: self.find_via(),
            from: self.find_address(HeaderName::From, validate::NO_FROM, validate::BAD_FROM),
            to: self.find_address(HeaderName::To, validate::NO_TO, validate::BAD_TO),
            cseq: self.find_cseq(),
        })
    }

    fn find_via(&self) -> Result<ViaSpans, Fault> {
        let header = self.header(HeaderName::Via).ok_or(validate::NO_VIA)?;
        let via = Via::parse(header.value.get(..via_len(header.value)).unwrap_or_default())?;
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
    }

    fn find_address(&self, name: HeaderName, missing: Fault, bad: Fault) -> Result<AddressSpans, Fault> {
        // From and To hold one address: a comma does not separate here.
        let address = NameAddr::parse(self.header(name).ok_or(missing)?.value).map_err(|_| bad)?;
        Ok(AddressSpans {
            text: self.span(address.text),
            display: self.span(address.display),
            uri: self.span(address.uri),
            params: self.span(address.params.0),
        })
    }

    fn find_cseq(&self) -> Result<CSeqSpans, Fault> {
        let mut scan = Scan(self.header(HeaderName::CSeq).ok_or(validate::NO_CSEQ)?.value);
        let digits = scan.take_while(|b| b.is_ascii_digit());
        // "The sequence number MUST be expressible as a 32-bit unsigned integer and MUST be less than 2**31"
        let number = number(digits).filter(|&n| n < 1 << 31).ok_or(validate::BAD_CSEQ)? as u32;
        if !scan.peek().is_some_and(is_lws) {
            return Err(validate::BAD_CSEQ);
        }
        let method_text = trim(scan.0);
        if !is_token(method_text) {
            return Err(validate::BAD_CSEQ);
        }
        Ok(CSeqSpans { number, method: Method::parse(method_text), method_text: self.span(method_text) })
    }

    fn address(&self, spans: &Result<AddressSpans, Fault>) -> Result<NameAddr<'_>, Fault> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_ROWS;

    fn parse(text: &str) -> Message {
        Message::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn with_rows(rows: &str) -> Message {
        parse(&format!("OPTIONS sip:a@b SIP/2.0\r\n{rows}\r\n"))
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        for (bytes, error) in [
            (&b""[..], ParseError::KeepAlive),
            (b"\r\n\r\n", ParseError::KeepAlive),
            (b"\0\0\0\0", ParseError::KeepAlive),
            (b"\0\r\n", ParseError::KeepAlive),
            (b"\0\x01\0\x08", ParseError::StartLine),
            (b"hello", ParseError::StartLine),
            (b"GET / HTTP/1.1\r\n\r\n", ParseError::StartLine),
            (b"OPTIONS sip:a SIP/2.0", ParseError::StartLine),
            (b"OPTIONS sip:a SIP/2.0\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a>\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\nSubject\r\nTo: <sip:a>\r\n\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\n: x\r\n\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\n To: x\r\n\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\nTo\r\n : x\r\n\r\n", ParseError::Header),
            (b"OPTIONS sip:a SIP/2.0\r\nTwo Words: x\r\n\r\n", ParseError::Header),
        ] {
            assert_eq!(Message::parse(bytes).err(), Some(error), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn bounds() {
        let rows = |count: usize| format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "A: 1\r\n".repeat(count));
        assert!(Message::parse(rows(MAX_ROWS).as_bytes()).is_ok());
        assert_eq!(Message::parse(rows(MAX_ROWS + 1).as_bytes()).err(), Some(ParseError::TooLarge));
        let body = |len: usize| format!("OPTIONS sip:a SIP/2.0\r\n\r\n{}", "x".repeat(len));
        assert_eq!(parse(&body(100_000)).body().len(), 100_000);
        assert_eq!(Message::parse(body(crate::MAX_SIZE).as_bytes()).err(), Some(ParseError::TooLarge));
    }

    #[test]
    fn headers_are_found_by_either_name_in_any_row() {
        let many = format!(
            "{}v: SIP/2.0/UDP a\r\nX-Own: 1\r\nVIA: SIP/2.0/UDP b\r\nx-own : 2\r\n",
            "Q: 1\r\n".repeat(300)
        );
        let message = with_rows(&many);
        let vias: Vec<_> = message.headers_by_text(b"via").map(|header| header.value).collect();
        assert_eq!(vias, [&b"SIP/2.0/UDP a"[..], b"SIP/2.0/UDP b"]);
        assert!(message.headers_by_text(b"V").eq(message.headers_named(HeaderName::Via)));
        assert_eq!(
            message.headers_by_text(b"X-OWN").map(|header| header.value).collect::<Vec<_>>(),
            [b"1", b"2"]
        );
        assert_eq!(message.header(HeaderName::To), None);
        assert_eq!(message.header(HeaderName::Other).map(|header| header.name_text), Some(&b"Q"[..]));
        assert_eq!(message.headers().next_back().map(|header| header.name_text), Some(&b"x-own"[..]));
        assert_eq!(message.vias().count(), 2);
    }

    #[test]
    fn bare_line_feeds_and_leading_ones() {
        let message = parse(
            "\r\n\nSIP/2.0 180 Ringing\nv: SIP/2.0/UDP a\nTo: <sip:a>;\n tag=1\nCSeq: 7 INVITE\n\nbody",
        );
        assert_eq!((message.status(), message.reason(), message.is_request()), (180, &b"Ringing"[..], false));
        assert_eq!(message.to().map(|to| to.tag()), Ok(Some(&b"1"[..])));
        assert_eq!(
            (message.method(), message.method_text(), message.body()),
            (Method::Invite, &b"INVITE"[..], &b"body"[..])
        );
        assert!(message.as_bytes().starts_with(b"SIP/2.0"));
    }

    #[test]
    fn values_that_are_numbers() {
        for (value, expected) in [
            ("1 INVITE", Some(1)),
            ("2147483647 INVITE", Some(0x7fff_ffff)),
            ("2147483648 INVITE", None),
            ("1INVITE", None),
            ("1", None),
            ("1 IN VITE", None),
            ("-1 INVITE", None),
        ] {
            let message = with_rows(&format!("CSeq: {value}\r\n"));
            assert_eq!(message.cseq().ok().map(|cseq| cseq.number), expected, "{value}");
        }
        let hops = |value: &str| {
            with_rows(&format!("Max-Forwards: {value}\r\n")).max_forwards().map_err(|fault| fault.code)
        };
        assert_eq!(
            (hops("70"), hops("0"), hops("256"), hops("x")),
            (Ok(Some(70)), Ok(Some(0)), Err(400), Err(400))
        );
        assert_eq!(with_rows("").max_forwards(), Ok(None));
        assert_eq!(with_rows("Expires: 3600\r\n").expires(), Some(3600));
        assert_eq!(with_rows("Expires: soon\r\n").expires(), None);
    }

    #[test]
    fn the_body_ends_where_its_length_says() {
        let body = |length: &str| {
            let message = parse(&format!("OPTIONS sip:a SIP/2.0\r\n{length}\r\nabcdef"));
            String::from_utf8_lossy(message.body()).into_owned()
        };
        assert_eq!(
            (body("l: 3\r\n"), body(""), body("l: 9\r\n"), body("l: x\r\n")),
            ("abc".into(), "abcdef".into(), "abcdef".into(), "abcdef".into())
        );
    }

    #[test]
    fn offsets_are_of_this_message_only() {
        let message = with_rows("To: <sip:a>\r\n");
        assert_eq!(message.offset_of(message.request_uri()), Some(8));
        assert_eq!(message.offset_of(b"OPTIONS"), None);
        assert_eq!(message.offset_of(message.as_bytes()), Some(0));
    }

    #[test]
    fn shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Message>();
        shared::<crate::Edits>();
    }
}
