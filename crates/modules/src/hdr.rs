//! `KSR.hdr`: header rows of the message. Reads see the message as received; changes show after `msg_apply_changes`.

use message::{Header, HeaderName, Message};
use script::{Index, Module, Outcome, RouteContext, Value, ksr_module};

/// Module `hdr`, part of the core.
#[derive(Debug, Default)]
pub struct Hdr {}

impl Module for Hdr {
    fn name(&self) -> &'static str {
        "hdr"
    }
    fn functions(&self) -> &'static [script::Function] {
        Self::FUNCTIONS
    }
}

#[ksr_module("core", object = "hdr")]
impl Hdr {
    /// Adds a header row (`"X-A: b\r\n"`) after the last one.
    #[ksr]
    fn append(&self, ctx: &mut RouteContext<'_>, row: &[u8]) -> Outcome {
        let end = ctx.message.headers_end();
        insert(ctx, end, row)
    }
    /// Adds a header row after the first one named `name`, after the last one when there is none.
    #[ksr]
    fn append_after(&self, ctx: &mut RouteContext<'_>, row: &[u8], name: &[u8]) -> Outcome {
        let at = rows(&ctx.message, name).next().map_or(ctx.message.headers_end(), |h| h.row.1);
        insert(ctx, at, row)
    }
    /// Adds a header row before the first one.
    #[ksr]
    fn insert(&self, ctx: &mut RouteContext<'_>, row: &[u8]) -> Outcome {
        let start = ctx.message.headers_start();
        insert(ctx, start, row)
    }
    /// Adds a header row before the first one named `name`, before all when there is none.
    #[ksr]
    fn insert_before(&self, ctx: &mut RouteContext<'_>, row: &[u8], name: &[u8]) -> Outcome {
        let at = rows(&ctx.message, name).next().map_or(ctx.message.headers_start(), |h| h.row.0);
        insert(ctx, at, row)
    }
    /// Removes all header rows of that name. 1 also when there are none.
    #[ksr]
    fn remove(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        remove_rows(ctx, name);
        Outcome::TRUE
    }
    /// Removes all header rows of that name and adds a row after the last one.
    #[ksr]
    fn rmappend(&self, ctx: &mut RouteContext<'_>, name: &[u8], row: &[u8]) -> Outcome {
        remove_rows(ctx, name);
        let end = ctx.message.headers_end();
        insert(ctx, end, row)
    }
    /// Removes all header rows of that name and adds a row before the first one.
    #[ksr]
    fn rminsert(&self, ctx: &mut RouteContext<'_>, name: &[u8], row: &[u8]) -> Outcome {
        remove_rows(ctx, name);
        let start = ctx.message.headers_start();
        insert(ctx, start, row)
    }
    /// 1 when the message has a header row of that name, else -1.
    #[ksr]
    fn is_present(&self, ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
        rows(&ctx.message, name).next().is_some().into()
    }
    /// Adds a header row to the replies that this server makes to the request.
    #[ksr]
    fn append_to_reply(&self, ctx: &mut RouteContext<'_>, row: &[u8]) -> Outcome {
        ctx.edits.append_to_reply(row);
        if !row.is_empty() && !row.ends_with(b"\n") {
            ctx.edits.append_to_reply(b"\r\n");
        }
        Outcome::TRUE
    }
    /// Value of the first header row of that name, null when there is none.
    #[ksr]
    fn get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::opt(value(ctx, name, 0))
    }
    /// Value of the first header row of that name, an empty text when there is none.
    #[ksr]
    fn gete<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::str(value(ctx, name, 0).unwrap_or_default())
    }
    /// Value of the first header row of that name, `<null>` when there is none.
    #[ksr]
    fn getw<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8]) -> Value<'c> {
        Value::str(value(ctx, name, 0).unwrap_or(b"<null>"))
    }
    /// Value of a header row of that name by position (0 the first, -1 the last), null when there is none.
    #[ksr]
    fn get_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::opt(value(ctx, name, index))
    }
    /// Value of a header row of that name by position (0 the first, -1 the last), an empty text when there is none.
    #[ksr]
    fn gete_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::str(value(ctx, name, index).unwrap_or_default())
    }
    /// Value of a header row of that name by position (0 the first, -1 the last), `<null>` when there is none.
    #[ksr]
    fn getw_idx<'c>(&'c self, ctx: &'c mut RouteContext<'_>, name: &'c [u8], index: i64) -> Value<'c> {
        Value::str(value(ctx, name, index).unwrap_or(b"<null>"))
    }
    /// Compares header values of that name with a text: `operator` is `eq`, `ne`, `sw` (starts with), `in` (contains) or `re` (regular
    /// expression); `which` is `f` the first row, `l` the last, `a` all of them.
    #[ksr]
    fn match_content(
        &self,
        ctx: &mut RouteContext<'_>,
        name: &[u8],
        operator: &[u8],
        text: &[u8],
        which: &[u8],
    ) -> bool {
        let regex;
        let matches: &dyn Fn(&[u8]) -> bool = match operator {
            b"eq" => &|v| v == text,
            b"ne" => &|v| v != text,
            b"sw" => &|v| v.starts_with(text),
            b"in" => &|v| !text.is_empty() && v.windows(text.len()).any(|w| w == text),
            b"re" => match script::regexp::compile(text, b"") {
                Ok(compiled) => {
                    regex = compiled;
                    &|v| regex.is_match(v)
                }
                Err(e) => {
                    tracing::error!(target: "hdr", "match_content: {e}");
                    return false;
                }
            },
            _ => {
                tracing::error!(target: "hdr", operator = %String::from_utf8_lossy(operator), "match_content: unknown operator");
                return false;
            }
        };
        let mut values = rows(&ctx.message, name).map(|h| h.value);
        match which {
            b"f" => values.next().is_some_and(matches),
            b"l" => values.last().is_some_and(matches),
            b"a" => {
                let mut any = false;
                values.all(|v| {
                    any = true;
                    matches(v)
                }) && any
            }
            _ => {
                tracing::error!(target: "hdr", which = %String::from_utf8_lossy(which), "match_content: expected f, l or a");
                false
            }
        }
    }
}

fn rows<'m>(message: &'m Message, name: &'m [u8]) -> impl Iterator<Item = Header<'m>> + 'm {
    // `Name:` and white space around the name are let pass, as in Kamailio.
    let name = name.trim_ascii();
    let name = name.strip_suffix(b":").unwrap_or(name).trim_ascii_end();
    message.headers_by_text(name)
}

fn value<'c>(ctx: &'c RouteContext<'_>, name: &'c [u8], index: i64) -> Option<&'c [u8]> {
    let at = match usize::try_from(index) {
        Ok(at) => at,
        Err(_) => Index::At(index).position(rows(&ctx.message, name).count())?,
    };
    rows(&ctx.message, name).nth(at).map(|h| h.value)
}

/// Inserts a row, ended with CRLF if the script forgot to: a row without an end would swallow the next one.
fn insert(ctx: &mut RouteContext<'_>, at: u32, row: &[u8]) -> Outcome {
    if row.is_empty() {
        return Outcome::TRUE;
    }
    if row.ends_with(b"\r\n") {
        ctx.edits.insert(at, row);
    } else {
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        ctx.edits.insert(at, &[row, b"\r\n"].concat());
    }
    Outcome::TRUE
}

fn remove_rows(ctx: &mut RouteContext<'_>, name: &[u8]) {
    let message = ctx.message.clone();
    for header in rows(&message, name) {
        // Content-Length stays: the printer keeps it right.
        if header.name != HeaderName::ContentLength {
            ctx.edits.remove(header.row.0, header.row.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use script::testing::Bench;

    use super::*;

    const BYE: &str = "BYE sip:10.1.2.3 SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\n\
        Call-ID: i\nCSeq: 7 BYE\nX-M: one\nX-M: two, three\nx-m: four\nMax-Forwards: 5\nContent-Length: 0\n";

    fn bench() -> Bench {
        Bench::new(vec![Arc::new(Hdr::default())])
    }

    #[test]
    fn rows_are_added_where_asked() {
        let bench = bench();
        let mut ctx = bench.request(BYE);
        for (f, args) in [
            ("hdr.append", &["X-A: 1\r\n"][..]),
            ("hdr.append", &["X-B: 2"]),
            ("hdr.insert", &["X-C: 3\r\n"]),
            ("hdr.append_after", &["X-D: 4\r\n", "From"]),
            ("hdr.append_after", &["X-E: 5\r\n", "Nope"]),
            ("hdr.insert_before", &["X-F: 6\r\n", "CSeq"]),
            ("hdr.rmappend", &["X-M", "X-M: new\r\n"]),
            ("hdr.remove", &["nope"]),
        ] {
            let args: Vec<Value<'_>> = args.iter().map(|a| Value::from(*a)).collect();
            assert_eq!(bench.call(&mut ctx, f, &args), Value::Int(1), "{f}");
        }
        let names: Vec<String> = bench
            .printed(&ctx)
            .lines()
            .skip(1)
            .filter_map(|l| {
                l.split_once(':')
                    .map(|(n, v)| format!("{n}={}", v.trim().split(['<', ' ']).next().unwrap_or("")))
            })
            .collect();
        let names: Vec<&str> = names.iter().map(|n| n.split('=').next().unwrap_or("")).collect();
        assert_eq!(
            names,
            [
                "X-C",
                "Via",
                "From",
                "X-D",
                "To",
                "Call-ID",
                "X-F",
                "CSeq",
                "Max-Forwards",
                "Content-Length",
                "X-A",
                "X-B",
                "X-E",
                "X-M"
            ]
        );
        // The message itself is as received.
        assert_eq!(bench.call(&mut ctx, "hdr.get", &["X-M".into()]), Value::from("one"));
    }

    #[test]
    fn values_are_found_by_name_and_position() {
        let bench = bench();
        let mut ctx = bench.request(BYE);
        let mut get = |f: &str, args: &[Value<'_>]| bench.call(&mut ctx, f, args);
        assert_eq!(get("hdr.get", &["v".into()]), Value::from("SIP/2.0/UDP h;branch=z9hG4bKa"));
        assert_eq!(get("hdr.get", &["nope".into()]), Value::Null);
        assert_eq!(get("hdr.gete", &["nope".into()]), Value::from(""));
        assert_eq!(get("hdr.getw", &["nope".into()]), Value::from("<null>"));
        assert_eq!(get("hdr.get_idx", &["X-M".into(), 1.into()]), Value::from("two, three"));
        assert_eq!(get("hdr.get_idx", &["X-M".into(), (-1).into()]), Value::from("four"));
        assert_eq!(get("hdr.get_idx", &["X-M".into(), 9.into()]), Value::Null);
        assert_eq!(get("hdr.gete_idx", &["X-M".into(), (-9).into()]), Value::from(""));
        assert_eq!(get("hdr.is_present", &["X-M".into()]), Value::Int(1));
        assert_eq!(get("hdr.is_present", &["nope".into()]), Value::Int(-1));
    }

    #[test]
    fn contents_match() {
        let bench = bench();
        let mut ctx = bench.request(BYE);
        let mut matches = |op: &str, text: &str, which: &str| {
            let args = ["X-M".into(), op.into(), text.into(), which.into()];
            bench.call(&mut ctx, "hdr.match_content", &args) == Value::Bool(true)
        };
        assert!(matches("eq", "one", "f") && !matches("eq", "two", "f"));
        assert!(matches("in", "ou", "l") && matches("sw", "fo", "l"));
        assert!(!matches("in", "o", "z") && !matches("bogus", "x", "a"));
        assert!(matches("in", "o", "a") && !matches("eq", "one", "a"));
        assert!(matches("re", "^t?(wo|one|four)", "a") && !matches("re", "(", "a"));
    }

    #[test]
    fn replies_get_their_own_rows() {
        let bench = bench();
        let mut ctx = bench.request(BYE);
        bench.call(&mut ctx, "hdr.append_to_reply", &["X-R: 1".into()]);
        bench.call(&mut ctx, "hdr.append_to_reply", &["X-S: 2\r\n".into()]);
        assert_eq!(ctx.edits.reply_rows(), b"X-R: 1\r\nX-S: 2\r\n");
        assert!(!bench.printed(&ctx).contains("X-R"));
    }
}
