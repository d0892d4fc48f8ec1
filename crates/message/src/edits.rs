//! A script's changes to a message, kept apart and applied when it is printed: Kamailio's "lumps".
//!
//! Scripts see the original until `msg_apply_changes`, which prints and parses again. Spans are offsets into the original
//! message. Removing twice is harmless; text inserted inside a removed span survives; insertion order is kept.

/// Changes to one message. Appending is O(1) whatever the number of edits.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    // the implementation chooses
    _todo: (),
}

impl Edits {
    /// No changes. Does not allocate.
    pub fn new() -> Edits {
        Edits::default()
    }
    /// Whether nothing was changed (reply headers do not count).
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Deletes a span of the original.
    pub fn remove(&mut self, start: u32, end: u32) {
        todo!("{start}{end}")
    }
    /// Inserts text at an offset of the original, after what was inserted there before.
    pub fn insert(&mut self, at: u32, text: &[u8]) {
        todo!("{at}{text:?}")
    }
    /// Inserts text at an offset of the original, before what was inserted there before.
    pub fn insert_front(&mut self, at: u32, text: &[u8]) {
        todo!("{at}{text:?}")
    }
    /// Replaces a span.
    pub fn replace(&mut self, start: u32, end: u32, text: &[u8]) {
        self.remove(start, end);
        self.insert(start, text);
    }
    /// Whether the byte at this offset is already removed.
    pub fn is_removed(&self, at: u32) -> bool {
        todo!("{at}")
    }
    /// Replaces the body (Content-Length is corrected at print, Content-Type is the caller's).
    pub fn set_body(&mut self, body: &[u8]) {
        todo!("{body:?}")
    }
    /// The new body if one was set.
    pub fn body(&self) -> Option<&[u8]> {
        todo!()
    }
    /// A header row (with CRLF) for replies that this server generates to the request.
    pub fn append_to_reply(&mut self, row: &[u8]) {
        todo!("{row:?}")
    }
    /// Rows added with [`Edits::append_to_reply`].
    pub fn reply_rows(&self) -> &[u8] {
        todo!()
    }
    /// Adds a second set of changes on top of this one (branch edits over the request's).
    pub fn extend(&mut self, other: &Edits) {
        todo!("{other:?}")
    }
}
