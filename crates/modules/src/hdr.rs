//! `KSR.hdr`: header rows of the message. Changes are edits: reads see the original until `msg_apply_changes`.

use std::borrow::Cow;

use message::{Header, Message};
use script::{Function, Module, Outcome, RouteContext, Value, ksr_module};

/// The functions of `KSR.hdr`.
#[derive(Debug, Default)]
pub struct Hdr {}

/// A row ends with CRLF, whether the script wrote it or not.
fn row(text: &[u8]) -> Cow<'_, [u8]> {
    if text.ends_with(b"\n") { Cow::Borrowed(text) } else { Cow::Owned([text, b"\r\n"].concat()) }
}

fn named<'m>(message: &'m Message, name: &'m [u8]) -> impl Iterator<Item = Header<'m>> + 'm {
    message.headers_by_text(name)
}

fn value_at<'c>(ctx: &'c RouteContext<'_>, name: &'c [u8], index: i64) -> Option<&'c [u8]> {
    if index >= 0 {
        return named(&ctx.message, name).nth(index as usize).map(|h| h.value);
    }
    let count = named(&ctx.message, name).count() as i64;
    let at = usize::try_from(count + index).ok()?;
    named(&ctx.message, name).nth(at).map(|h| h.value)
}

fn remove_all(ctx: &mut RouteContext<'_>, name: &[u8]) -> bool {
    let message = ctx.message.clone();
    let mut any = false;
    for header in named(&message, name) {
        ctx.edits.remove(header.row.0, header.row.1);
        any = true;
    }
    any
}

fn refuse_empty(text: &[u8], what: &str) -> bool {
    let empty = text.is_empty();
    if empty {
        tracing::error!(target: "core", "{what}: the header text is empty");
    }
    empty
}

#[ksr_module("core", object = "hdr", rows = "FUNCTIONS")]
impl Hdr {
    /// Adds a header row after the last one. CRLF is added when the text has none.
    #[ksr(cfg = ["append_hf"])]
    fn append(&self, ctx: &mut RouteContext<'_>, text: &[u8]) -> Outcome {
        if refuse_empty(text, "KSR.hdr.append") {
            return Outcome::FALSE;
        }
        let at = ctx.message.headers_end();
        ctx.edits.insert(at, &row(text));
        Outcome::TRUE
    }
    /// Adds a header row after the last row of this name; after the last row of all when there is none.
    #[ksr(cfg = ["append_hf"])]
    fn append_after(&self, ctx: &mut RouteContext<'_>, text: &[u8], name: &[u8]) -> Outcome {
        if refuse_empty(text, "KSR.hdr.append_after") {
            return Outcome::FALSE;
        }
        let at = named(&ctx.message, name).last().map_or_else(|| ctx.message.headers_end(), |h| h.row.1);
        ctx.edits.insert(at, &row(text));
        Outcome::TRUE
    }
    /// Adds a header row before the first one.
    #[ksr(cfg = ["insert_hf"])]
    fn insert(&self, ctx: &mut RouteContext<'_>, text: &[u8]) -> Outcome {
        if refuse_empty(text, "KSR.hdr.insert") {
            return Outcome::FALSE;
        }
        let at = ctx.message.headers_start();
        ctx.edits.insert(at, &row(text));
        Outcome::TRUE
    }
    /// Adds a header row before the first row of this name; before the first row of all when there is none.
    #[ksr(cfg = ["insert_hf"])]
    fn insert_before(&self, ctx: &mut RouteContext<'_>, text: &[u8], name: &[u8]) -> Outcome {
        if refuse_empty(text, "KSR.hdr.insert_before") {
            return Outcome::FALSE;
        }
        let at = named(&ctx.message, name).next().map_or_else(|| ctx.message.headers_start(), |h| h.row.0);
        ctx.edits.insert(at, &row(text));
        Outcome::TRUE
    }
    /// Removes all rows of this name. 1 also when there is none, as in Kamailio's KEMI.
    #[ksr(cfg = ["remove_hf"])]
    fn remove(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        if name.is_empty() {
            return Outcome::FALSE;
        }
        remove_all(ctx, name);
        Outcome::TRUE
    }
    /// Removes all rows of a name and adds this row after the last one: name, row.
    #[ksr]
    fn rmappend(&self, ctx: &mut RouteContext<'_>, name: &[u8], text: &[u8]) -> Outcome {
        remove_all(ctx, name);
        self.append(ctx, text)
    }
    /// Removes all rows of a name and adds this row before the first one: name, row.
    #[ksr]
    fn rminsert(&self, ctx: &mut RouteContext<'_>, name: &[u8], text: &[u8]) -> Outcome {
        remove_all(ctx, name);
        self.insert(ctx, text)
    }
    /// 1 when there is a row of this name, -1 otherwise.
    #[ksr(cfg = ["is_present_hf"])]
    fn is_present(&self, ctx: &RouteContext<'_>, name: &[u8]) -> Outcome {
        named(&ctx.message, name).next().is_some().into()
    }
    /// Adds a header row to the replies made here for this request.
    #[ksr(cfg = ["append_to_reply"])]
    fn append_to_reply(&self, ctx: &mut RouteContext<'_>, text: &[u8]) -> Outcome {
        if refuse_empty(text, "KSR.hdr.append_to_reply") {
            return Outcome::FALSE;
        }
        ctx.edits.append_to_reply(&row(text));
        Outcome::TRUE
    }
    /// Value of the first row of this name, None when there is none.
    #[ksr]
    fn get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::opt(value_at(ctx, name, 0))
    }
    /// Value of the first row of this name, empty when there is none.
    #[ksr]
    fn gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::str(value_at(ctx, name, 0).unwrap_or_default())
    }
    /// Value of the first row of this name, `<null>` when there is none.
    #[ksr]
    fn getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::str(value_at(ctx, name, 0).unwrap_or(b"<null>"))
    }
    /// Value of a row of this name by index (0 the first, -1 the last), None when there is none.
    #[ksr]
    fn get_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::opt(value_at(ctx, name, index))
    }
    /// Value of a row by index, empty when there is none.
    #[ksr]
    fn gete_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::str(value_at(ctx, name, index).unwrap_or_default())
    }
    /// Value of a row by index, `<null>` when there is none.
    #[ksr]
    fn getw_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::str(value_at(ctx, name, index).unwrap_or(b"<null>"))
    }
    /// Whether rows of a name match: name, operator (`eq`, `ne`, `sw` starts with, `ew` ends with, `in` contains, `re` regular
    /// expression), value, which rows (`f` first, `l` last, `a` all, `o` one of them).
    #[ksr]
    fn match_content(
        &self,
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        operator: &[u8],
        value: &[u8],
        rows: &[u8],
    ) -> bool {
        let message = ctx.message.clone();
        let expression = match operator {
            b"re" => match std::str::from_utf8(value).ok().and_then(|v| regex::bytes::Regex::new(v).ok()) {
                Some(re) => Some(re),
                None => {
                    tracing::error!(target: "core", value = %String::from_utf8_lossy(value), "KSR.hdr.match_content: not a regular expression");
                    return false;
                }
            },
            _ => None,
        };
        let fits = |h: &Header<'_>| match operator {
            b"eq" => h.value == value,
            b"ne" => h.value != value,
            b"sw" => h.value.starts_with(value),
            b"ew" => h.value.ends_with(value),
            b"in" => !value.is_empty() && memchr::memmem::find(h.value, value).is_some(),
            _ => expression.as_ref().is_some_and(|re| re.is_match(h.value)),
        };
        let mut found = named(&message, name).peekable();
        if found.peek().is_none() {
            return false;
        }
        match rows.first() {
            Some(b'l') => found.last().is_some_and(|h| fits(&h)),
            Some(b'a') => found.all(|h| fits(&h)),
            Some(b'o') => found.any(|h| fits(&h)),
            _ => found.next().is_some_and(|h| fits(&h)),
        }
    }
}

impl Module for Hdr {
    fn name(&self) -> &'static str {
        "hdr"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use message::print;
    use script::Value;
    use script::testing::Bench;

    use super::*;

    const REQUEST: &str = "OPTIONS sip:b@c SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nX-A: 1\nFrom: <sip:a@b>;tag=1\nTo: <sip:b@c>\n\
        x-a: 2\nCall-ID: c\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n";

    fn printed(ctx: &RouteContext<'_>) -> String {
        let mut out = Vec::new();
        print::request(&ctx.message, &ctx.edits, &print::Forward::default(), &mut out);
        String::from_utf8_lossy(&out).replace("\r\n", "\n")
    }

    #[test]
    fn reads_see_the_original() {
        let bench = Bench::new(vec![Arc::new(Hdr::default())]);
        let mut ctx = bench.request(REQUEST);
        let h = Hdr::default();
        assert_eq!(h.get(&mut ctx, b"X-A"), Value::str(b"1"));
        assert_eq!(h.get_idx(&mut ctx, b"x-a", -1), Value::str(b"2"));
        assert_eq!(h.getw(&mut ctx, b"X-B"), Value::str(b"<null>"));
        assert_eq!(h.remove(&mut ctx, b"X-A"), Outcome::TRUE);
        assert_eq!(h.is_present(&ctx, b"X-A"), Outcome::TRUE);
        assert!(!printed(&ctx).to_ascii_lowercase().contains("x-a"));
        assert!(h.match_content(&mut ctx, b"X-A", b"eq", b"2", b"o"));
        assert!(!h.match_content(&mut ctx, b"X-A", b"eq", b"2", b"a"));
    }

    #[test]
    fn rows_go_where_they_are_asked_to() {
        let bench = Bench::new(vec![]);
        let mut ctx = bench.request(REQUEST);
        let h = Hdr::default();
        h.append(&mut ctx, b"X-Last: 1");
        h.insert(&mut ctx, b"X-First: 1\r\n");
        h.append_after(&mut ctx, b"X-B: 3\r\n", b"X-A");
        h.insert_before(&mut ctx, b"X-0: 0\r\n", b"X-A");
        let text = printed(&ctx);
        let names: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split(':').next()).collect();
        assert_eq!(names[..3], ["X-First", "Via", "X-0"], "{text}");
        assert!(
            text.contains("x-a: 2\nX-B: 3\n") && text.contains("Content-Length: 0\nX-Last: 1\n\n"),
            "{text}"
        );
        assert_eq!(h.append(&mut ctx, b""), Outcome::FALSE);
    }
}
