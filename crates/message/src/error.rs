//! What can be wrong with a message, and what RFC 3261 wants answered.

/// The bytes are not a SIP message at all: nothing can be answered, only counted and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// Nothing but CR, LF or NUL: a keep-alive (RFC 5626 §3.5.1).
    KeepAlive,
    /// No request line or status line could be recognised.
    StartLine,
    /// A header row without a colon, or no end of headers.
    Header,
    /// More than [`crate::MAX_SIZE`] bytes, or more than [`crate::MAX_ROWS`] header rows.
    TooLarge,
}

/// A message that was understood well enough to be answered, and the answer it deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// 400, 416, 505, ... For a reply: the reply is discarded, the code is for the log.
    pub code: u16,
    /// Reason phrase that names the header at fault, for example `Bad CSeq`.
    pub reason: &'static str,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ParseError::KeepAlive => "a keep-alive",
            ParseError::StartLine => "no SIP request line or status line",
            ParseError::Header => "a header row without a colon, or no end of headers",
            ParseError::TooLarge => "too many bytes or header rows",
        })
    }
}

impl std::error::Error for ParseError {}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

impl std::error::Error for Fault {}
