//! What must hold for any message: parse, print, parse is the same; edits do what a naive model of them does.

use proptest::prelude::*;
use trunkline_message::print::{self, Forward};
use trunkline_message::{Edits, HeaderName, Message};

fn printed(message: &Message, edits: &Edits) -> Vec<u8> {
    let mut out = Vec::new();
    print::request(message, edits, &Forward::default(), &mut out);
    out
}

fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("Via".to_owned()),
        Just("v".to_owned()),
        Just("CONTACT".to_owned()),
        Just("t".to_owned()),
        Just("Call-ID".to_owned()),
        "[A-Za-z][A-Za-z0-9.!%*_+`'~-]{0,24}".prop_filter("would cut the body", |name| {
            HeaderName::parse(name.as_bytes()) != HeaderName::ContentLength
        }),
    ];
    let value = prop_oneof![
        Just(String::new()),
        "[ -~]{0,60}",
        Just("\"a,\\\" b\" <sip:x@[::1]:5060;lr>;tag=1, sip:y@z;q=0.1".to_owned()),
        Just("SIP/2.0/UDP h:5060;branch=z9hG4bKx;rport, SIP / 2.0 / TCP [::1]".to_owned()),
        "[a-z]{1,9}\r\n[ \t]{1,3}[a-zäöü]{1,9}",
    ];
    (name, "[ \t]{0,2}:[ \t]{0,2}", value, prop_oneof![9 => Just("\r\n"), 1 => Just("\n")])
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

prop_compose! {
    fn text()(headers in prop::collection::vec(header(), 0..12), body in "[ -~\r\n]{0,40}", length in any::<bool>(), reply in any::<bool>()) -> String {
        let first = if reply { "SIP/2.0 200 OK" } else { "INVITE sip:a@b;lr SIP/2.0" };
        let length = if length { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        format!("{first}\r\n{}{length}\r\n{body}", headers.concat())
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Remove(u32, u32),
    Insert(u32, String),
    InsertFront(u32, String),
    Replace(u32, u32, String),
}

fn edit() -> impl Strategy<Value = Edit> {
    // Few places, so that edits meet.
    let at = || (0u32..24).prop_map(|n| n * 7);
    prop_oneof![
        (at(), 0u32..40).prop_map(|(start, len)| Edit::Remove(start, start + len)),
        (at(), "[a-z]{0,3}").prop_map(|(at, text)| Edit::Insert(at, text)),
        (at(), "[A-Z]{0,3}").prop_map(|(at, text)| Edit::InsertFront(at, text)),
        (at(), 0u32..20, "[0-9]{0,3}").prop_map(|(start, len, text)| Edit::Replace(start, start + len, text)),
    ]
}

/// One slot per byte of the original: what stands before it, and whether it is still there.
fn model(original: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut slots: Vec<(String, bool)> = vec![(String::new(), true); original.len() + 1];
    for edit in edits {
        let (remove, insert) = match edit {
            Edit::Remove(start, end) => (Some((*start, *end)), None),
            Edit::Insert(at, text) => (None, Some((*at, text, false))),
            Edit::InsertFront(at, text) => (None, Some((*at, text, true))),
            Edit::Replace(start, end, text) => (Some((*start, *end)), Some((*start, text, false))),
        };
        if let Some((start, end)) = remove {
            for slot in slots.iter_mut().take(original.len().min(end as usize)).skip(start as usize) {
                slot.1 = false;
            }
        }
        if let Some((at, text, front)) = insert {
            let before = &mut slots[at as usize].0;
            before.insert_str(if front { 0 } else { before.len() }, text);
        }
    }
    let mut out = Vec::new();
    for (index, (before, kept)) in slots.iter().enumerate() {
        out.extend_from_slice(before.as_bytes());
        if *kept {
            out.extend(original.get(index));
        }
    }
    out
}

fn apply(edits: &mut Edits, list: &[Edit]) {
    for edit in list {
        match edit {
            Edit::Remove(start, end) => edits.remove(*start, *end),
            Edit::Insert(at, text) => edits.insert(*at, text.as_bytes()),
            Edit::InsertFront(at, text) => edits.insert_front(*at, text.as_bytes()),
            Edit::Replace(start, end, text) => edits.replace(*start, *end, text.as_bytes()),
        }
    }
}

/// A message whose header part has room for every place that [`edit`] names, and no body.
fn plain() -> Message {
    let rows: String = (0..20).map(|n| format!("X-Row-{n:02}: value\r\n")).collect();
    Message::parse(format!("OPTIONS sip:a@b SIP/2.0\r\n{rows}\r\n").as_bytes()).expect("parses")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn unedited_messages_are_printed_as_they_came(text in text()) {
        let message = Message::parse(text.as_bytes()).expect("well formed");
        let out = printed(&message, &Edits::new());
        prop_assert_eq!(&out, &text.as_bytes()[..message.body_span().end]);
        let again = Message::parse(&out).expect("well formed");
        prop_assert!(message.headers().eq(again.headers()));
        prop_assert_eq!(message.start_line(), again.start_line());
        prop_assert_eq!(message.body(), again.body());
    }

    #[test]
    fn rows_cover_the_header_part(text in text()) {
        let message = Message::parse(text.as_bytes()).expect("well formed");
        let mut at = message.headers_start();
        for header in message.headers() {
            prop_assert_eq!(header.row.0, at);
            at = header.row.1;
            prop_assert_eq!(message.offset_of(header.name_text), Some(header.row.0));
            let value = message.offset_of(header.value).expect("inside");
            prop_assert!(value > header.row.0 && value as usize + header.value.len() < at as usize);
            prop_assert!(message.headers_by_text(header.name_text).any(|found| found == header));
        }
        prop_assert_eq!(at, message.headers_end());
    }

    #[test]
    fn edits_are_what_the_model_says(list in prop::collection::vec(edit(), 0..20)) {
        let message = plain();
        let mut edits = Edits::new();
        apply(&mut edits, &list);
        prop_assert_eq!(
            String::from_utf8_lossy(&printed(&message, &edits)).into_owned(),
            String::from_utf8_lossy(&model(message.as_bytes(), &list)).into_owned()
        );
        for at in 0..200 {
            let gone = list.iter().any(|edit| matches!(edit, Edit::Remove(s, e) | Edit::Replace(s, e, _) if (*s..*e).contains(&at)));
            prop_assert_eq!(edits.is_removed(at), gone);
        }
    }

    #[test]
    fn many_edits_are_sorted_like_few(list in prop::collection::vec(edit(), 100..300)) {
        let message = plain();
        let mut edits = Edits::new();
        apply(&mut edits, &list);
        prop_assert_eq!(printed(&message, &edits), model(message.as_bytes(), &list));
    }

    #[test]
    fn extending_is_editing_on(first in prop::collection::vec(edit(), 0..10), second in prop::collection::vec(edit(), 0..10)) {
        let message = plain();
        let mut edits = Edits::new();
        apply(&mut edits, &first);
        let mut branch = Edits::new();
        apply(&mut branch, &second);
        edits.extend(&branch);
        let all: Vec<Edit> = first.into_iter().chain(second).collect();
        prop_assert_eq!(printed(&message, &edits), model(message.as_bytes(), &all));
    }

    #[test]
    fn content_length_follows_the_body(body in "[a-z]{0,30}", edits_in_body in prop::collection::vec((0u32..10, 0u32..6, "[A-Z]{0,4}"), 0..6)) {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\nl: {}\r\nTo: <sip:a@b>\r\n\r\n{body}", body.len());
        let message = Message::parse(text.as_bytes()).expect("well formed");
        let start = message.body_span().start as u32;
        let mut edits = Edits::new();
        for (at, len, text) in &edits_in_body {
            edits.replace(start + at.min(&(body.len() as u32)), start + at + len, text.as_bytes());
        }
        let out = printed(&message, &edits);
        let again = Message::parse(&out).expect("well formed");
        let length = again.header(HeaderName::ContentLength).map(|header| header.value.to_vec()).unwrap_or_default();
        prop_assert_eq!(length, (out.len() - again.body_span().start).to_string().into_bytes());
    }
}
