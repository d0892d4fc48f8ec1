//! More text operations: changes applied at once, status lines, values in header lists, iterators.

mod iterators;
mod message_buffer;
#[cfg(test)]
mod tests;
mod values;

use message::{Edits, HeaderName, Message};
use script::{Function, Module, Outcome, PseudoVariable, RouteContext, ksr_module};

use crate::textops::regex_cache::{self, Flags};

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

/// Headers `keep_hf` never removes.
const KEPT: [HeaderName; 11] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::MaxForwards,
    HeaderName::Contact,
    HeaderName::Route,
    HeaderName::RecordRoute,
];

/// Kamailio gives scripts the C library's answer for a match: 0.
fn matches(yes: bool) -> Outcome {
    if yes { Outcome(0) } else { Outcome::FALSE }
}

/// Shell patterns: `* ? [a-z] [!a-z]` and `\` before a character that stands for itself.
fn glob(text: &[u8], pattern: &[u8], any_case: bool) -> bool {
    let same = |a: u8, b: u8| if any_case { a.eq_ignore_ascii_case(&b) } else { a == b };
    let (mut t, mut p) = (0, 0);
    // Where to go on after the last `*`: linear in the text for each star, never exponential.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                retry = Some((t, p + 1));
                p += 1;
                continue;
            }
            (None, None) => return true,
            (Some(b'?'), Some(_)) => Some(p + 1),
            (Some(b'['), Some(c)) => match class(pattern, p, *c, any_case) {
                Some((true, next)) => Some(next),
                Some((false, _)) => None,
                // No closing bracket: the bracket is a character.
                None => same(b'[', *c).then_some(p + 1),
            },
            (Some(b'\\'), Some(c)) if pattern.get(p + 1).is_some() => {
                pattern.get(p + 1).is_some_and(|e| same(*e, *c)).then_some(p + 2)
            }
            (Some(e), Some(c)) => same(*e, *c).then_some(p + 1),
            _ => None,
        };
        match (step, retry) {
            (Some(next), _) => (t, p) = (t + 1, next),
            (None, Some((from, after))) if from < text.len() => {
                retry = Some((from + 1, after));
                (t, p) = (from + 1, after);
            }
            _ => return false,
        }
    }
}

/// Whether a bracket expression at `p` has the character, and where it ends.
fn class(pattern: &[u8], p: usize, c: u8, any_case: bool) -> Option<(bool, usize)> {
    let mut at = p + 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let first = at;
    let mut found = false;
    let fold = |b: u8| if any_case { b.to_ascii_lowercase() } else { b };
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((found != negated, at + 1));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                found |= (fold(low)..=fold(*high)).contains(&fold(c));
                at += 3;
            }
            _ => {
                found |= fold(low) == fold(c);
                at += 1;
            }
        }
    }
}

/// A change of class would change what the reply means to transactions on the way.
fn change_allowed(old: u16, new: i64) -> Option<u16> {
    let new = u16::try_from(new).ok().filter(|n| (100..700).contains(n))?;
    let final_negative = |c: u16| c >= 300;
    (old / 100 == new / 100 || (final_negative(old) && final_negative(new))).then_some(new)
}

fn change_status(ctx: &mut RouteContext<'_>, code: i64, reason: Option<&[u8]>) -> Outcome {
    let message = ctx.message.clone();
    if message.is_request() {
        return Outcome::FALSE;
    }
    let Some(code) = change_allowed(message.status(), code) else {
        tracing::error!(target: "textopsx", from = message.status(), to = code,
            "the class of a provisional or positive reply cannot be changed");
        return Outcome::FALSE;
    };
    rewrite_status(&message, &mut ctx.edits, Some(code), reason);
    Outcome::TRUE
}

#[ksr_module("textopsx")]
impl TextOpsX {
    /// Applies all changes to the message, so that what follows sees them. Before a transaction is made, in request and reply routes.
    ///
    /// Returns 1; -1 in other routes, after `record_route`, or when the result would be no SIP message: then nothing is changed.
    #[ksr(cfg = ["msg_apply_changes"])]
    fn msg_apply_changes(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        message_buffer::apply(ctx)
    }
    /// Replaces the whole message by this text; a request by a request, a reply by a reply. Changes made so far are dropped.
    ///
    /// Returns 1; -1 in other than request and reply routes or when the text is no SIP message.
    #[ksr(cfg = ["msg_set_buffer"])]
    fn msg_set_buffer(&self, ctx: &mut RouteContext<'_>, obuf: &[u8]) -> Outcome {
        message_buffer::set(ctx, obuf)
    }
    /// Changes code and reason of the reply before it is forwarded. The class of 1xx and 2xx stays. Returns 1 or -1.
    #[ksr(cfg = ["change_reply_status"], routes(REPLY))]
    fn change_reply_status(&self, ctx: &mut RouteContext<'_>, code: i64, reason: &[u8]) -> Outcome {
        change_status(ctx, code, Some(reason))
    }
    /// Removes the body and Content-Type. Returns 1, or -1 when there is no body.
    #[ksr(cfg = ["remove_body"])]
    fn remove_body(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let message = ctx.message.clone();
        if message.body().is_empty() {
            return Outcome::FALSE;
        }
        for header in message.headers_named(HeaderName::ContentType) {
            ctx.edits.remove(header.row.0, header.row.1);
        }
        ctx.edits.set_body(b"");
        Outcome::TRUE
    }
    /// As `change_reply_status`, for the code only. Returns 1 or -1.
    #[ksr(cfg = ["change_reply_status_code"], routes(REPLY))]
    fn change_reply_status_code(&self, ctx: &mut RouteContext<'_>, code: i64) -> Outcome {
        change_status(ctx, code, None)
    }
    /// Removes all headers but Via, From, To, Call-ID, CSeq, Content-Length, Content-Type, Max-Forwards, Contact, Route and Record-Route.
    /// Returns -1, as Kamailio does although it was done.
    #[ksr(cfg = ["keep_hf"])]
    fn keep_hf(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let message = ctx.message.clone();
        for header in message.headers().filter(|h| !KEPT.contains(&h.name)) {
            ctx.edits.remove(header.row.0, header.row.1);
        }
        Outcome::FALSE
    }
    /// As `keep_hf`, and headers whose name matches the regular expression stay as well. Returns -1.
    #[ksr(cfg = ["keep_hf"])]
    fn keep_hf_re(&self, ctx: &mut RouteContext<'_>, sre: &[u8]) -> Outcome {
        let Ok(re) = regex_cache::get(ctx, sre, Flags::USUAL) else { return Outcome::FALSE };
        let message = ctx.message.clone();
        for header in message.headers().filter(|h| !KEPT.contains(&h.name) && !re.is_match(h.name_text)) {
            ctx.edits.remove(header.row.0, header.row.1);
        }
        Outcome::FALSE
    }
    /// Whether a text matches a shell pattern (`* ? [a-z]`). Returns 0 when it does, else -1: test with `>= 0`.
    #[ksr(cfg = ["fnmatch"], no_message)]
    fn fnmatch(&self, val: &[u8], matchex: &[u8]) -> Outcome {
        matches(glob(val, matchex, false))
    }
    /// As `fnmatch`; with `i` in `flags` letters match in either case.
    #[ksr(cfg = ["fnmatch"], no_message)]
    fn fnmatch_ex(&self, val: &[u8], matchex: &[u8], flags: &[u8]) -> Outcome {
        matches(glob(val, matchex, flags.iter().any(|f| matches!(f, b'i' | b'I'))))
    }
}

const FUNCTIONS: &[Function] = &script::function::join::<
    { TextOpsX::FUNCTIONS.len() + TextOpsX::VALUES.len() + TextOpsX::ITERATORS.len() },
>(&[TextOpsX::FUNCTIONS, TextOpsX::VALUES, TextOpsX::ITERATORS]);

impl Module for TextOpsX {
    fn name(&self) -> &'static str {
        "textopsx"
    }
    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        iterators::PSEUDO_VARIABLES
    }
}
