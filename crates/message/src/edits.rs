//! A script's changes to a message, kept apart and applied when it is printed: Kamailio's "lumps".
//!
//! Scripts see the original until `msg_apply_changes`, which prints and parses again. Spans are offsets into the original
//! message. Removing twice is harmless; text inserted inside a removed span survives; insertion order is kept.

/// Changes to one message. Appending is O(1) whatever the number of edits.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    removed: Vec<(u32, u32)>,
    inserted: Vec<Insertion>,
    /// All inserted text and the new body, one after the other.
    text: Vec<u8>,
    body: Option<(usize, usize)>,
    reply_rows: Vec<u8>,
    reply_body: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

/// Text to be put before the byte at `at` of the original.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Insertion {
    pub at: u32,
    /// Among insertions at the same offset the lower comes first; unique.
    pub rank: i32,
    start: usize,
    end: usize,
}

impl Edits {
    /// No changes. Does not allocate.
    pub fn new() -> Edits {
        Edits::default()
    }
    /// Forgets all changes, and keeps the memory unless there was much of it.
    pub fn clear(&mut self) {
        /// Bytes of text, and numbers of changes, for which room is kept.
        const KEPT: (usize, usize) = (4096, 64);
        if self.text.capacity() > KEPT.0
            || self.reply_rows.capacity() > KEPT.0
            || self.removed.capacity().max(self.inserted.capacity()) > KEPT.1
        {
            return *self = Edits::new();
        }
        self.removed.clear();
        self.inserted.clear();
        self.text.clear();
        self.reply_rows.clear();
        (self.body, self.reply_body) = (None, None);
    }
    /// Whether nothing was changed (reply headers do not count).
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.inserted.is_empty() && self.body.is_none()
    }
    /// Deletes a span of the original.
    pub fn remove(&mut self, start: u32, end: u32) {
        if start < end {
            self.removed.push((start, end));
        }
    }
    /// Inserts text at an offset of the original, after what was inserted there before.
    pub fn insert(&mut self, at: u32, text: &[u8]) {
        self.push(at, text, 1);
    }
    /// Inserts text at an offset of the original, before what was inserted there before.
    pub fn insert_front(&mut self, at: u32, text: &[u8]) {
        self.push(at, text, -1);
    }
    /// Replaces a span.
    pub fn replace(&mut self, start: u32, end: u32, text: &[u8]) {
        self.remove(start, end);
        self.insert(start, text);
    }
    /// Replaces a span whose replacement this was called for before: the earlier text at its start is dropped first.
    pub fn rewrite(&mut self, start: u32, end: u32, text: &[u8]) {
        self.inserted.retain(|i| i.at != start);
        self.replace(start, end, text);
    }
    /// What was inserted at an offset last: with [`Edits::rewrite`], what now stands for the span that begins there.
    pub fn inserted_at(&self, at: u32) -> Option<&[u8]> {
        self.inserted.iter().rev().find(|i| i.at == at).map(|i| self.text(i))
    }
    /// Whether the byte at this offset is already removed.
    pub fn is_removed(&self, at: u32) -> bool {
        self.removed.iter().any(|&(start, end)| start <= at && at < end)
    }
    /// Replaces the body (Content-Length is corrected at print, Content-Type is the caller's).
    ///
    /// Edits inside the old body are dropped with it; the last of several new bodies counts.
    pub fn set_body(&mut self, body: &[u8]) {
        self.body = Some(self.store(body));
    }
    /// The new body if one was set.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.map(|(start, end)| self.text.get(start..end).unwrap_or_default())
    }
    /// A header row (with CRLF) for replies that this server generates to the request.
    pub fn append_to_reply(&mut self, row: &[u8]) {
        self.reply_rows.extend_from_slice(row);
    }
    /// Rows added with [`Edits::append_to_reply`].
    pub fn reply_rows(&self) -> &[u8] {
        &self.reply_rows
    }
    /// Content-Type and body of replies that this server generates to the request.
    pub fn set_reply_body(&mut self, content_type: &[u8], body: &[u8]) {
        self.reply_body = Some(Box::new((content_type.to_vec(), body.to_vec())));
    }
    /// What was set with [`Edits::set_reply_body`].
    pub fn reply_body(&self) -> Option<(&[u8], &[u8])> {
        self.reply_body.as_deref().map(|(t, b)| (t.as_slice(), b.as_slice()))
    }
    /// Forgets the rows added with [`Edits::append_to_reply`].
    pub fn clear_reply_rows(&mut self) {
        self.reply_rows.clear();
    }
    /// Adds a second set of changes on top of this one (branch edits over the request's).
    pub fn extend(&mut self, other: &Edits) {
        self.removed.extend_from_slice(&other.removed);
        for insertion in &other.inserted {
            self.push(insertion.at, other.text(insertion), insertion.rank.signum());
        }
        if let Some(body) = other.body() {
            self.set_body(body);
        }
        self.reply_rows.extend_from_slice(&other.reply_rows);
        if other.reply_body.is_some() {
            self.reply_body.clone_from(&other.reply_body);
        }
    }

    pub(crate) fn removed(&self) -> &[(u32, u32)] {
        &self.removed
    }
    pub(crate) fn inserted(&self) -> &[Insertion] {
        &self.inserted
    }
    pub(crate) fn text(&self, insertion: &Insertion) -> &[u8] {
        self.text.get(insertion.start..insertion.end).unwrap_or_default()
    }

    fn push(&mut self, at: u32, text: &[u8], side: i32) {
        if text.is_empty() {
            return;
        }
        let (start, end) = self.store(text);
        // One above the highest so far, not the count: `rewrite` may have taken some out.
        let order = self.inserted.last().map_or(0, |i| i.rank.abs()).saturating_add(1);
        self.inserted.push(Insertion { at, rank: side * order, start, end });
    }
    fn store(&mut self, text: &[u8]) -> (usize, usize) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        (start, self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::print::{self, Forward};

    const TEXT: &[u8] =
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX: 1\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn cleared_changes_leave_nothing() {
        for size in [1, 100_000] {
            let mut edits = Edits::new();
            edits.replace(0, 3, &vec![b'x'; size]);
            edits.set_body(b"new");
            edits.append_to_reply(b"Y: 1\r\n");
            edits.set_reply_body(b"text/plain", b"old");
            edits.clear();
            assert!(edits.is_empty() && edits.reply_rows().is_empty() && edits.reply_body().is_none());
            edits.insert(0, b"a");
            assert_eq!((edits.inserted_at(0), edits.body()), (Some(&b"a"[..]), None));
            assert!(edits.text.capacity() <= 4096, "a big one's memory is given back");
        }
    }

    fn printed(edit: impl FnOnce(&mut Edits, &Message)) -> String {
        let message = Message::parse(TEXT).expect("parses");
        let mut edits = Edits::new();
        edit(&mut edits, &message);
        let mut out = Vec::new();
        print::request(&message, &edits, &Forward::default(), &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn original() -> String {
        String::from_utf8_lossy(TEXT).into_owned()
    }

    #[test]
    fn no_edits_no_change() {
        assert!(Edits::new().is_empty());
        assert_eq!(printed(|_, _| {}), original());
    }

    #[test]
    fn order_at_one_place() {
        let text = printed(|edits, message| {
            let at = message.headers_end();
            edits.insert(at, b"B: 1\r\n");
            edits.insert(at, b"C: 1\r\n");
            edits.insert_front(at, b"A: 1\r\n");
            assert!(!edits.is_empty());
        });
        assert_eq!(text, original().replace("\r\n\r\nhi", "\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\nhi"));
    }

    #[test]
    fn insertions_in_removed_spans_survive_and_removing_twice_is_harmless() {
        let text = printed(|edits, message| {
            let (start, end) = message.header_by_text(b"x").expect("there").row;
            edits.insert(start + 2, b"Y: 2\r\n");
            edits.remove(start, end);
            edits.remove(start, end);
            edits.remove(start + 1, end);
            assert!(edits.is_removed(start) && edits.is_removed(end - 1) && !edits.is_removed(end));
        });
        assert_eq!(text, original().replace("X: 1", "Y: 2"));
    }

    #[test]
    fn body_changes_correct_the_length() {
        assert_eq!(
            printed(|e, _| e.set_body(b"hello world")),
            original().replace("hi", "hello world").replace(": 2", ": 11")
        );
        assert_eq!(printed(|e, _| e.set_body(b"")), original().replace("hi", "").replace(": 2", ": 0"));
        let inside = printed(|e, m| {
            let body = m.body_span();
            e.replace(body.start as u32, body.start as u32 + 1, b"Oho");
            e.insert(body.end as u32, b"!");
        });
        assert_eq!(inside, original().replace("hi", "Ohoi!").replace(": 2", ": 5"));
        let added = printed(|e, m| {
            let (start, end) = m.header(crate::HeaderName::ContentLength).expect("there").row;
            e.remove(start, end);
            e.set_body(b"x");
        });
        assert_eq!(added, original().replace("Content-Length: 2", "Content-Length: 1").replace("hi", "x"));
    }

    #[test]
    fn rewriting_again_supersedes() {
        let text = printed(|edits, message| {
            let (start, end) = message.header_by_text(b"x").expect("there").row;
            edits.insert(end, b"After: 1\r\n");
            edits.rewrite(start, end, b"X: 2\r\n");
            edits.rewrite(start, end, b"X: 3\r\n");
            edits.insert(end, b"After: 2\r\n");
        });
        assert_eq!(text, original().replace("X: 1\r\n", "X: 3\r\nAfter: 1\r\nAfter: 2\r\n"));
    }

    #[test]
    fn extend_goes_on_top() {
        let text = printed(|edits, message| {
            let at = message.headers_end();
            edits.insert(at, b"A: 1\r\n");
            edits.append_to_reply(b"R: 1\r\n");
            edits.set_body(b"12");
            let mut branch = Edits::new();
            branch.insert(at, b"B: 1\r\n");
            branch.insert_front(at, b"Z: 1\r\n");
            branch.append_to_reply(b"S: 1\r\n");
            branch.set_reply_body(b"text/plain", b"hi");
            branch.set_body(b"34");
            edits.extend(&branch);
            assert_eq!(edits.reply_rows(), b"R: 1\r\nS: 1\r\n");
            assert_eq!(edits.body(), Some(&b"34"[..]));
            assert_eq!(edits.reply_body(), Some((&b"text/plain"[..], &b"hi"[..])));
        });
        assert_eq!(text, original().replace("\r\n\r\nhi", "\r\nZ: 1\r\nA: 1\r\nB: 1\r\n\r\n34"));
    }
}
