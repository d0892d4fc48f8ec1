//! The one scan over a datagram: first line, where each header row is and which header it is, where the body is.

use memchr::memchr;

use crate::grammar::{number, trim_end, trim_start};
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
    /// Row number of the first row of each name; [`NO_ROW`] when there is none among the first rows.
    pub first: [u8; COUNT],
    /// Bit per name: seen, seen more than once.
    pub seen: u64,
    pub repeated: u64,
    pub headers_start: u32,
    pub headers_end: u32,
    pub body: Span,
    /// Content-Length is no number, or more than there is.
    pub bad_length: bool,
}

const NO_ROW: u8 = u8::MAX;
const _: () = assert!(COUNT < 64);
/// Room for the rows of nearly every message, so that the index is one allocation.
const USUAL_ROWS: usize = 16;

/// The bit of a name in [`Index::seen`].
pub(crate) const fn bit(name: HeaderName) -> u64 {
    1 << name as u8
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

/// Classifies what stands before the colon, and says how long the name itself is.
#[inline]
fn name_of(text: &[u8]) -> Result<(HeaderName, u16), ParseError> {
    let name = HeaderName::parse(text);
    if name != HeaderName::Other {
        return Ok((name, text.len() as u16));
    }
    // HCOLON = *( SP / HTAB ) ":" SWS: no fold before the colon, and no white space before the name or in it.
    let mut trimmed = text;
    while let [rest @ .., b' ' | b'\t'] = trimmed {
        trimmed = rest;
    }
    if trimmed.is_empty() || trimmed.iter().any(|&b| b <= b' ') {
        return Err(ParseError::Header);
    }
    let name_len = u16::try_from(trimmed.len()).map_err(|_| ParseError::Header)?;
    Ok((if trimmed.len() < text.len() { HeaderName::parse(trimmed) } else { name }, name_len))
}

impl Index {
    /// The index of nothing, to be filled in place by [`Index::scan`]: an index is large enough that moving it shows.
    pub(crate) fn new() -> Index {
        Index {
            start: Start::Reply { code: 0, reason: Span::default() },
            start_fault: None,
            rows: Vec::new(),
            first: [NO_ROW; COUNT],
            seen: 0,
            repeated: 0,
            headers_start: 0,
            headers_end: 0,
            body: Span::default(),
            bad_length: false,
        }
    }

    /// Scans a message that begins with its first line.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        let line_end = memchr(b'\n', bytes).ok_or(ParseError::StartLine)?;
        let line = strip_cr(bytes.get(..line_end).unwrap_or_default());
        let (first_line, start_fault) = start_line::parse(line).ok_or(ParseError::StartLine)?;
        self.start = by_offsets(bytes, first_line);
        self.start_fault = start_fault;
        self.rows = Vec::with_capacity(USUAL_ROWS);
        let mut at = line_end + 1;
        self.headers_start = at as u32;
        loop {
            let empty_line = match bytes.get(at..).unwrap_or_default() {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => 0,
            };
            if empty_line > 0 {
                self.headers_end = at as u32;
                self.find_body(bytes, at + empty_line);
                return Ok(());
            }
            at += self.add_row(bytes, at)?;
        }
    }

    /// Indexes the row at `at` and returns its length.
    #[inline]
    fn add_row(&mut self, bytes: &[u8], at: usize) -> Result<usize, ParseError> {
        if self.rows.len() >= MAX_ROWS {
            return Err(ParseError::TooLarge);
        }
        let row = bytes.get(at..).ok_or(ParseError::Header)?;
        let (name, name_len, colon) = match row.first_chunk().and_then(HeaderName::usual) {
            Some((name, colon)) => (name, colon as u16, colon),
            None => {
                // Names are too short for memchr to earn its call.
                let colon = row.iter().position(|&b| b == b':').ok_or(ParseError::Header)?;
                let (name, name_len) = name_of(row.get(..colon).unwrap_or_default())?;
                (name, name_len, colon)
            }
        };
        if name != HeaderName::Other {
            let bit = bit(name);
            if self.seen & bit != 0 {
                self.repeated |= bit;
            } else if let Some(first) = self.first.get_mut(name as usize) {
                *first = u8::try_from(self.rows.len()).unwrap_or(NO_ROW);
            }
            self.seen |= bit;
        }
        // The row goes to the first line end that no white space follows (§7.3.1 folding).
        let mut end = colon + 1;
        loop {
            end += memchr(b'\n', row.get(end..).unwrap_or_default()).ok_or(ParseError::Header)? + 1;
            if !matches!(row.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let with_lws = row.get(colon + 1..end).unwrap_or_default();
        let started = trim_start(with_lws);
        let value = trim_end(started);
        // An empty value stands behind its colon, before the line end.
        let value_at = if value.is_empty() { colon + 1 } else { end - started.len() };
        let value = Span::new(at + value_at, value.len());
        self.rows.push(Row { start: at as u32, end: (at + end) as u32, value, name_len, name });
        Ok(end)
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

    /// Where the first row of that name is; the number of rows when there is none.
    #[inline]
    pub(crate) fn first_number(&self, name: HeaderName) -> usize {
        if name != HeaderName::Other && self.seen & bit(name) == 0 {
            return self.rows.len();
        }
        match self.first.get(name as usize) {
            Some(&number) if number != NO_ROW => usize::from(number),
            _ => self.rows.iter().position(|row| row.name == name).unwrap_or(self.rows.len()),
        }
    }

    #[inline]
    pub(crate) fn first_row(&self, name: HeaderName) -> Option<&Row> {
        self.rows.get(self.first_number(name))
    }
}
