//! The one scan over a datagram: first line, where each header row is and which header it is, where the body is.

use memchr::memchr;

use crate::grammar::{number, trim};
use crate::header_name::COUNT;
use crate::start_line::{self, FirstLine};
use crate::{Fault, HeaderName, Method, ParseError};

/// Longest message taken: what a stream transport may carry; a datagram ends at 64 KiB anyway.
pub const MAX_SIZE: usize = 256 * 1024;
/// Most header rows of one message.
pub const MAX_ROWS: usize = 1024;

/// A part of the message by offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    fn new(start: usize, len: usize) -> Span {
        // Offsets stay below MAX_SIZE.
        Span { start: start as u32, end: (start + len) as u32 }
    }
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// One header row: from `start` to the next row's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub start: u32,
    pub end: u32,
    pub value: Span,
    pub name_len: u16,
    pub name: HeaderName,
}

/// First line by offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Request { method: Method, method_text: Span, uri: Span },
    Reply { code: u16, reason: Span },
}

/// What the scan found.
#[derive(Debug)]
pub(crate) struct Index {
    pub start: Start,
    pub start_fault: Option<Fault>,
    pub rows: Vec<Row>,
    /// Row number of the first row of each name; [`NO_ROW`] when there is none.
    pub first: [u16; COUNT],
    /// Bit per name: seen, seen more than once.
    pub seen: u64,
    pub repeated: u64,
    pub headers_start: u32,
    pub headers_end: u32,
    pub body: Span,
    /// Content-Length is no number, or more than there is.
    pub bad_length: bool,
}

pub(crate) const NO_ROW: u16 = u16::MAX;
const _: () = assert!(COUNT < 64 && MAX_ROWS < NO_ROW as usize);
/// Room for the rows of nearly every message, so that the index is one allocation.
const USUAL_ROWS: usize = 24;

/// The bit of a name in [`Index::seen`].
pub(crate) const fn bit(name: HeaderName) -> u64 {
    1 << name as u8
}

/// Scans a message that begins with its first line.
pub(crate) fn scan(bytes: &[u8]) -> Result<Index, ParseError> {
    if bytes.len() > MAX_SIZE {
        return Err(ParseError::TooLarge);
    }
    let line_end = memchr(b'\n', bytes).ok_or(ParseError::StartLine)?;
    let line = strip_cr(bytes.get(..line_end).unwrap_or_default());
    let (first_line, start_fault) = start_line::parse(line).ok_or(ParseError::StartLine)?;
    let headers_start = line_end + 1;
    let mut index = Index {
        start: by_offsets(bytes, first_line),
        start_fault,
        rows: Vec::with_capacity(USUAL_ROWS),
        first: [NO_ROW; COUNT],
        seen: 0,
        repeated: 0,
        headers_start: headers_start as u32,
        headers_end: 0,
        body: Span::default(),
        bad_length: false,
    };
    let mut at = headers_start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let empty_line = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => 0,
        };
        if empty_line > 0 {
            index.headers_end = at as u32;
            index.find_body(bytes, at + empty_line);
            return Ok(index);
        }
        let len = row_len(rest).ok_or(ParseError::Header)?;
        index.add_row(bytes, at, len)?;
        at += len;
    }
}

/// Length of the row that `rest` begins with: to the first line end that no white space follows (§7.3.1 folding).
#[inline]
fn row_len(rest: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += memchr(b'\n', rest.get(end..)?)? + 1;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return Some(end);
        }
    }
}

fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn by_offsets(bytes: &[u8], line: FirstLine<'_>) -> Start {
    let span = |part: &[u8]| span_in(bytes, part);
    match line {
        FirstLine::Request { method_text, method, uri } => {
            Start::Request { method, method_text: span(method_text), uri: span(uri) }
        }
        FirstLine::Reply { code, reason } => Start::Reply { code, reason: span(reason) },
    }
}

/// Where `part`, borrowed from `bytes`, is in it; an empty span when it is not.
pub(crate) fn span_in(bytes: &[u8], part: &[u8]) -> Span {
    match (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize) {
        Some(start) if start + part.len() <= bytes.len() => Span::new(start, part.len()),
        _ => Span::default(),
    }
}

impl Index {
    #[inline]
    fn add_row(&mut self, bytes: &[u8], at: usize, len: usize) -> Result<(), ParseError> {
        if self.rows.len() >= MAX_ROWS {
            return Err(ParseError::TooLarge);
        }
        let row = bytes.get(at..at + len).ok_or(ParseError::Header)?;
        let colon = memchr(b':', row).ok_or(ParseError::Header)?;
        // HCOLON = *( SP / HTAB ) ":" SWS: no fold before the colon, and no white space before the name.
        let mut name_text = row.get(..colon).ok_or(ParseError::Header)?;
        while let [rest @ .., b' ' | b'\t'] = name_text {
            name_text = rest;
        }
        let name_len = u16::try_from(name_text.len()).map_err(|_| ParseError::Header)?;
        if name_text.iter().any(|&b| b <= b' ') || name_len == 0 {
            return Err(ParseError::Header);
        }
        let name = HeaderName::parse(name_text);
        if name != HeaderName::Other {
            if let Some(first) = self.first.get_mut(name as usize)
                && *first == NO_ROW
            {
                *first = self.rows.len() as u16;
            }
            self.repeated |= self.seen & bit(name);
            self.seen |= bit(name);
        }
        let value = trim(row.get(colon + 1..).unwrap_or_default());
        // An empty value stands behind its colon, before the line end.
        let value = if value.is_empty() { Span::new(at + colon + 1, 0) } else { span_in(bytes, value) };
        self.rows.push(Row { start: at as u32, end: (at + len) as u32, value, name_len, name });
        Ok(())
    }

    /// §18.3: octets after Content-Length are discarded; without one the body runs to the datagram's end.
    fn find_body(&mut self, bytes: &[u8], start: usize) {
        let available = bytes.len().saturating_sub(start);
        let mut len = available;
        if let Some(row) = self.first_row(HeaderName::ContentLength) {
            match number(row.value.of(bytes)).map(|n| n as usize) {
                Some(wanted) if wanted <= available => len = wanted,
                _ => self.bad_length = true,
            }
        }
        self.body = Span::new(start, len);
    }

    #[inline]
    pub(crate) fn first_row(&self, name: HeaderName) -> Option<&Row> {
        self.rows.get(usize::from(*self.first.get(name as usize)?))
    }
}
