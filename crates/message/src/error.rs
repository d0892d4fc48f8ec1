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
    /// More than 64 KiB, or more header rows than the parser's bound.
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
