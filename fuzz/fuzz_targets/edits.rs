//! Any edits of a message: what is printed is what a naive model makes of them, and Content-Length is right.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trunkline_message::print::{self, Forward};
use trunkline_message::{Edits, HeaderName, Message};

const TEXT: &[u8] =
    b"INVITE sip:bob@h SIP/2.0\r\nv: SIP/2.0/UDP a:1;rport;branch=b, SIP/2.0/UDP c\r\nf: <sip:a@b>;tag=1\r\n\
l: 12\r\nTo : <sip:b@c>\r\ni: 1\r\nCSeq: 1 INVITE\r\nX-Fold: a\r\n b\r\n\r\nhello, world and more";

#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Remove(u8, u8),
    Insert(u8, &'a [u8]),
    InsertFront(u8, &'a [u8]),
    Replace(u8, u8, &'a [u8]),
    RemoveRow(u8),
    AppendRow(u8),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    edits: Vec<Edit<'a>>,
    branch: Vec<Edit<'a>>,
    body: Option<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    let message = Message::parse(TEXT).expect("parses");
    let end = message.body_span().end;
    let mut model = Model { slots: vec![(Vec::new(), true); end + 1] };
    let mut edits = Edits::new();
    for edit in &input.edits {
        apply(&message, &mut edits, &mut model, edit);
    }
    let mut branch = Edits::new();
    for edit in &input.branch {
        apply(&message, &mut branch, &mut model, edit);
    }
    edits.extend(&branch);
    for at in 0..end {
        assert_eq!(edits.is_removed(at as u32), !model.slots[at].1);
    }
    let mut out = Vec::new();
    let body_start = message.body_span().start;
    let body_changed = model.slots[body_start..].iter().take(end - body_start).any(|slot| !slot.1)
        || model.slots[body_start..].iter().any(|slot| !slot.0.is_empty());
    print::request(&message, &edits, &Forward::default(), &mut out);
    if !body_changed {
        assert_eq!(out, model.printed(0, end + 1));
    } else {
        let body = model.printed(body_start, end + 1);
        assert!(out.ends_with(&body));
        let length = message.header(HeaderName::ContentLength).expect("there");
        let value = message.offset_of(length.value).expect("inside") as usize;
        if !edits.is_removed(length.row.0) {
            let mut expected = model.printed(0, value);
            expected.extend(&model.slots[value].0);
            expected.extend(body.len().to_string().as_bytes());
            // What was inserted inside the number stands behind it.
            expected.extend(&model.slots[value + 1].0);
            expected.extend(model.printed(value + 2, end + 1));
            assert_eq!(out, expected);
        }
    }

    // With everything at once: no panic, and both ends are right.
    let how = Forward {
        uri: Some(b"sip:new"),
        via: Some(b"SIP/2.0/UDP p"),
        via_stamp: print::via_stamp(&message, std::net::SocketAddr::from(([192, 0, 2, 1], 7)), true),
    };
    if let Some(body) = input.body {
        edits.set_body(body);
    }
    out.clear();
    print::request(&message, &edits, &how, &mut out);
    assert!(find(&out, b"sip:new") && find(&out, b"Via: SIP/2.0/UDP p\r\n"));
    assert!(out.ends_with(input.body.unwrap_or_default()));
    out.clear();
    print::forwarded_reply(&message, &edits, &mut out);
    assert!(out.ends_with(input.body.unwrap_or_default()));
});

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// What stands before each byte of the original, and whether the byte is still there.
struct Model {
    slots: Vec<(Vec<u8>, bool)>,
}

impl Model {
    fn remove(&mut self, start: usize, end: usize) {
        let last = self.slots.len() - 1;
        self.slots.iter_mut().take(end.min(last)).skip(start).for_each(|slot| slot.1 = false);
    }
    fn insert(&mut self, at: usize, text: &[u8], front: bool) {
        let before = &mut self.slots[at].0;
        let place = if front { 0 } else { before.len() };
        before.splice(place..place, text.iter().copied());
    }
    fn printed(&self, start: usize, end: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, (before, kept)) in self.slots.iter().enumerate().take(end).skip(start) {
            out.extend(before);
            if *kept && index + 1 < self.slots.len() {
                out.push(TEXT[index]);
            }
        }
        out
    }
}

fn apply(message: &Message, edits: &mut Edits, model: &mut Model, edit: &Edit<'_>) {
    let last = model.slots.len() as u32 - 1;
    let place = |at: u8| u32::from(at).min(last);
    let row = |number: u8| {
        let rows: Vec<_> = message.headers().map(|header| header.row).collect();
        rows[usize::from(number) % rows.len()]
    };
    match *edit {
        Edit::Remove(start, len) => {
            let start = place(start);
            edits.remove(start, start + u32::from(len));
            model.remove(start as usize, start as usize + usize::from(len));
        }
        Edit::Insert(at, text) => {
            edits.insert(place(at), text);
            model.insert(place(at) as usize, text, false);
        }
        Edit::InsertFront(at, text) => {
            edits.insert_front(place(at), text);
            model.insert(place(at) as usize, text, true);
        }
        Edit::Replace(start, len, text) => {
            let start = place(start);
            edits.replace(start, start + u32::from(len), text);
            model.remove(start as usize, start as usize + usize::from(len));
            model.insert(start as usize, text, false);
        }
        Edit::RemoveRow(number) => {
            let (start, end) = row(number);
            edits.remove(start, end);
            model.remove(start as usize, end as usize);
        }
        Edit::AppendRow(number) => {
            let at = message.headers_end();
            let text = format!("X-{number}: 1\r\n");
            edits.insert(at, text.as_bytes());
            model.insert(at as usize, text.as_bytes(), false);
        }
    }
}
