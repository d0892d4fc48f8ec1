//! SIP on the wire (RFC 3261 §7, §19, §20, §25): parse, edit, print.
//!
//! A [`Message`] owns the bytes of one datagram and an index of its header rows; values are
//! parsed when asked for and remembered. Changes are [`Edits`], kept apart from the message
//! and applied when it is printed. No I/O, no clock.
#![forbid(unsafe_code)]

pub mod edits;
pub mod error;
pub mod grammar;
pub mod header_name;
mod index;
pub mod message;
pub mod method;
pub mod name_addr;
pub mod params;
pub mod print;
mod start_line;
pub mod transport;
pub mod uri;
mod validate;
pub mod via;

pub use edits::Edits;
pub use error::{Fault, ParseError};
pub use header_name::HeaderName;
pub use index::{MAX_ROWS, MAX_SIZE};
pub use message::{CSeq, Header, Message, StartLine};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub use transport::Transport;
pub use uri::{Scheme, Uri};
pub use via::Via;
