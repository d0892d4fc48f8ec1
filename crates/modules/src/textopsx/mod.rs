//! More text operations: applied changes, header values in lists, iterators.

use message::{Edits, Message};
use script::Module;

/// Module `textopsx`.
#[derive(Debug, Default)]
pub struct TextOpsX {}

/// Replaces the code, the reason or both of a status line.
pub(crate) fn rewrite_status(message: &Message, edits: &mut Edits, code: Option<u16>, reason: Option<&[u8]>) {
    let text = message.reason();
    let Some(start) = message.offset_of(text).or(message.headers_start().checked_sub(2)) else { return };
    if let Some(code) = code {
        // "SIP/2.0 404 Not Found": the code stands before one space and the reason.
        let Some(digits) = start.checked_sub(4) else { return };
        edits.rewrite(digits, digits + 3, format!("{code:03}").as_bytes());
    }
    if let Some(reason) = reason {
        edits.rewrite(start, start + text.len() as u32, reason);
    }
}

impl Module for TextOpsX {
    fn name(&self) -> &'static str {
        "textopsx"
    }
}
