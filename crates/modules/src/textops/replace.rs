//! Search and replace by expression or by plain text.

use std::ops::Range;

use message::Message;
use script::{Outcome, RouteContext, ksr_module};

use super::TextOps;
use super::regex_cache::{self, Flags};

/// The part of the message a function works on.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Everything behind the first line.
    AfterFirstLine,
    /// Header rows.
    Headers,
    /// Body.
    Body,
}

impl Part {
    pub(super) fn range(self, message: &Message) -> Range<usize> {
        let body = message.body_span();
        match self {
            Part::AfterFirstLine => {
                message.headers_start() as usize..body.end.max(message.headers_end() as usize)
            }
            Part::Headers => message.headers_start() as usize..message.headers_end() as usize,
            Part::Body => body,
        }
    }
    pub(super) fn bytes(self, message: &Message) -> &[u8] {
        message.as_bytes().get(self.range(message)).unwrap_or_default()
    }
}

/// How often.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    First,
    All,
}

fn times(mode: &[u8]) -> Option<Times> {
    match mode.first()?.to_ascii_lowercase() {
        b'f' => Some(Times::First),
        b'a' => Some(Times::All),
        _ => None,
    }
}

fn matches(ctx: &RouteContext<'_>, expression: &[u8], text: &[u8]) -> Outcome {
    match regex_cache::get(ctx, expression, Flags::USUAL) {
        Ok(re) => Outcome::from(re.is_match(text)),
        Err(_) => Outcome::FALSE,
    }
}

fn replace(
    ctx: &mut RouteContext<'_>,
    part: Part,
    expression: &[u8],
    flags: Flags,
    times: Times,
    text: &[u8],
) -> Outcome {
    let Ok(re) = regex_cache::get(ctx, expression, flags) else { return Outcome::FALSE };
    let message = ctx.message.clone();
    let start = part.range(&message).start as u32;
    let limit = if times == Times::First { 1 } else { usize::MAX };
    let mut found = false;
    for hit in re.find_iter(part.bytes(&message)).filter(|h| !h.is_empty()).take(limit) {
        ctx.edits.replace(start + hit.start() as u32, start + hit.end() as u32, text);
        found = true;
    }
    Outcome::from(found)
}

fn replace_str(ctx: &mut RouteContext<'_>, part: Part, find: &[u8], text: &[u8], mode: &[u8]) -> Outcome {
    let Some(times) = times(mode) else { return Outcome::FALSE };
    if find.is_empty() {
        return Outcome::FALSE;
    }
    let message = ctx.message.clone();
    let start = part.range(&message).start;
    let bytes = part.bytes(&message);
    let mut at = 0;
    while let Some(hit) = bytes.get(at..).and_then(|rest| super::text::find(rest, find, false)) {
        let begin = (start + at + hit) as u32;
        ctx.edits.replace(begin, begin + find.len() as u32, text);
        at += hit + find.len();
        if times == Times::First {
            break;
        }
    }
    // Kamailio answers 1 also when there was nothing to replace.
    Outcome::TRUE
}

fn append_after(ctx: &mut RouteContext<'_>, part: Part, expression: &[u8], text: &[u8]) -> Outcome {
    let Ok(re) = regex_cache::get(ctx, expression, Flags::USUAL) else { return Outcome::FALSE };
    let message = ctx.message.clone();
    let Some(hit) = re.find(part.bytes(&message)) else { return Outcome::FALSE };
    ctx.edits.insert((part.range(&message).start + hit.end()) as u32, text);
    Outcome::TRUE
}

#[ksr_module("textops", rows = "SEARCH")]
impl TextOps {
    /// Whether a regular expression matches in the message behind its first line. Letters in either case, line by line. Returns 1 or -1.
    #[ksr(cfg = ["search"])]
    fn search(&self, ctx: &mut RouteContext<'_>, regex: &[u8]) -> Outcome {
        matches(
            ctx,
            regex,
            ctx.message.as_bytes().get(ctx.message.headers_start() as usize..).unwrap_or_default(),
        )
    }
    /// Whether a regular expression matches in the body. Returns 1 or -1.
    #[ksr(cfg = ["search_body"])]
    fn search_body(&self, ctx: &mut RouteContext<'_>, regex: &[u8]) -> Outcome {
        matches(ctx, regex, ctx.message.body())
    }
    /// Whether a regular expression matches in the values of a header: `flags` is `a` all rows, `f` the first, `l` the last. Returns 1 or -1.
    #[ksr(cfg = ["search_hf"])]
    fn search_hf(&self, ctx: &mut RouteContext<'_>, hname: &[u8], regex: &[u8], flags: &[u8]) -> Outcome {
        let rows = super::headers::rows(&ctx.message, hname, flags);
        Outcome::from(rows.iter().any(|h| matches(ctx, regex, h.value) == Outcome::TRUE))
    }
    /// Whether a regular expression matches in a text. Returns 1, -1 when not, -2 for an empty text.
    #[ksr(cfg = ["search_str"], no_message)]
    fn search_str(&self, ctx: &mut RouteContext<'_>, stext: &[u8], regex: &[u8]) -> Outcome {
        if stext.is_empty() {
            return Outcome(-2);
        }
        matches(ctx, regex, stext)
    }
    /// Puts text behind the first match of a regular expression in the message. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["search_append"])]
    fn search_append(&self, ctx: &mut RouteContext<'_>, regex: &[u8], text: &[u8]) -> Outcome {
        append_after(ctx, Part::AfterFirstLine, regex, text)
    }
    /// Puts text behind the first match of a regular expression in the body. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["search_append_body"])]
    fn search_append_body(&self, ctx: &mut RouteContext<'_>, regex: &[u8], text: &[u8]) -> Outcome {
        append_after(ctx, Part::Body, regex, text)
    }
}

#[ksr_module("textops", rows = "REPLACE")]
impl TextOps {
    /// Replaces the first match of a regular expression behind the first line. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace"])]
    fn replace(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::AfterFirstLine, sre, Flags::USUAL, Times::First, sval)
    }
    /// Replaces every match of a regular expression behind the first line. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace_all"])]
    fn replace_all(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::AfterFirstLine, sre, Flags::USUAL, Times::All, sval)
    }
    /// Replaces the first match of a regular expression in the body. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace_body"])]
    fn replace_body(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::Body, sre, Flags::USUAL, Times::First, sval)
    }
    /// Replaces every match of a regular expression in the body, line by line. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace_body_all"])]
    fn replace_body_all(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::Body, sre, Flags::USUAL, Times::All, sval)
    }
    /// Replaces every match of a regular expression in the body, over line ends. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace_body_atonce"])]
    fn replace_body_atonce(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::Body, sre, Flags::AT_ONCE, Times::All, sval)
    }
    /// Replaces the first match of a regular expression in the headers. Returns 1, or -1 when nothing matches.
    #[ksr(cfg = ["replace_hdrs"])]
    fn replace_hdrs(&self, ctx: &mut RouteContext<'_>, sre: &[u8], sval: &[u8]) -> Outcome {
        replace(ctx, Part::Headers, sre, Flags::USUAL, Times::First, sval)
    }
    /// Replaces a text behind the first line: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode.
    #[ksr(cfg = ["replace_str"])]
    fn replace_str(&self, ctx: &mut RouteContext<'_>, mkey: &[u8], rval: &[u8], mode: &[u8]) -> Outcome {
        replace_str(ctx, Part::AfterFirstLine, mkey, rval, mode)
    }
    /// Replaces a text in the body: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode.
    #[ksr(cfg = ["replace_body_str"])]
    fn replace_body_str(&self, ctx: &mut RouteContext<'_>, mkey: &[u8], rval: &[u8], mode: &[u8]) -> Outcome {
        replace_str(ctx, Part::Body, mkey, rval, mode)
    }
    /// Replaces a text in the headers: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode.
    #[ksr(cfg = ["replace_hdrs_str"])]
    fn replace_hdrs_str(&self, ctx: &mut RouteContext<'_>, mkey: &[u8], rval: &[u8], mode: &[u8]) -> Outcome {
        replace_str(ctx, Part::Headers, mkey, rval, mode)
    }
}
