//! Header rows: whether they are there, and off with them.

use message::{Header, HeaderName, Message, Params};
use script::{Outcome, RouteContext, ksr_module};

use super::TextOps;
use super::regex_cache::{self, Flags};

/// Rows of a header: `a` all, `f` the first, `l` the last.
pub(super) fn rows<'m>(message: &'m Message, name: &'m [u8], which: &[u8]) -> Vec<Header<'m>> {
    let mut all: Vec<Header<'m>> = message.headers_by_text(name).collect();
    match which.first() {
        Some(b'f' | b'F') => all.truncate(1),
        Some(b'l' | b'L') => all = all.split_off(all.len().saturating_sub(1)),
        _ => {}
    }
    all
}

/// Removes the rows that pass; how many.
fn remove(ctx: &mut RouteContext<'_>, passes: impl Fn(&Header<'_>) -> bool) -> usize {
    let message = ctx.message.clone();
    let mut count = 0;
    for header in message.headers().filter(passes) {
        ctx.edits.remove(header.row.0, header.row.1);
        count += 1;
    }
    count
}

fn same_name<'n>(name: &'n [u8]) -> impl Fn(&Header<'_>) -> bool + 'n {
    let known = HeaderName::parse(name);
    move |h| match known {
        HeaderName::Other => h.name_text.eq_ignore_ascii_case(name),
        known => h.name == known,
    }
}

/// RFC 3323 §4.2 and its registry.
const PRIVACY: &[&str] = &["header", "session", "user", "none", "critical", "id", "history"];

#[ksr_module("textops", rows = "HEADERS")]
impl TextOps {
    /// Whether the message has a header of this name, compact forms included. Returns 1 or -1.
    #[ksr(cfg = ["is_present_hf", "is_present_hf_pv"])]
    fn is_present_hf(&self, ctx: &mut RouteContext<'_>, hname: &[u8]) -> Outcome {
        Outcome::from(ctx.message.header_by_text(hname).is_some())
    }
    /// Whether the name of a header matches a regular expression. Returns 1 or -1.
    #[ksr(cfg = ["is_present_hf_re", "is_present_hf_re_pv"])]
    fn is_present_hf_re(&self, ctx: &mut RouteContext<'_>, ematch: &[u8]) -> Outcome {
        match regex_cache::get(ctx, ematch, Flags::USUAL) {
            Ok(re) => Outcome::from(ctx.message.headers().any(|h| re.is_match(h.name_text))),
            Err(_) => Outcome::FALSE,
        }
    }
    /// Removes all rows of a header, compact forms included. Returns 1, also when there was none.
    #[ksr(cfg = ["remove_hf", "remove_hf_pv"])]
    fn remove_hf(&self, ctx: &mut RouteContext<'_>, hname: &[u8]) -> Outcome {
        remove(ctx, same_name(hname));
        Outcome::TRUE
    }
    /// Removes all rows whose name matches a regular expression. Returns 1, or -1 when there is none.
    #[ksr(cfg = ["remove_hf_re", "remove_hf_re_pv"])]
    fn remove_hf_re(&self, ctx: &mut RouteContext<'_>, regex: &[u8]) -> Outcome {
        match regex_cache::get(ctx, regex, Flags::USUAL) {
            Ok(re) => Outcome::from(remove(ctx, |h| re.is_match(h.name_text)) > 0),
            Err(_) => Outcome::FALSE,
        }
    }
    /// Removes the row of a header at an index: 0 is the first, -1 the last. Returns 1, or 2 when there is no such row.
    #[ksr(cfg = ["remove_hf_idx"])]
    fn remove_hf_idx(&self, ctx: &mut RouteContext<'_>, hname: &[u8], idx: i64) -> Outcome {
        let message = ctx.message.clone();
        let all = rows(&message, hname, b"a");
        let at = if idx < 0 { (all.len() as i64).checked_add(idx) } else { Some(idx) };
        match at.and_then(|at| usize::try_from(at).ok()).and_then(|at| all.get(at)) {
            Some(header) => {
                ctx.edits.remove(header.row.0, header.row.1);
                Outcome::TRUE
            }
            None => Outcome(2),
        }
    }
    /// Removes all rows whose name matches the first regular expression and not the second. Returns 1, or -1 when there is none.
    #[ksr(cfg = ["remove_hf_exp", "remove_hf_exp_pv"])]
    fn remove_hf_exp(&self, ctx: &mut RouteContext<'_>, ematch: &[u8], eskip: &[u8]) -> Outcome {
        let (Ok(wanted), Ok(kept)) =
            (regex_cache::get(ctx, ematch, Flags::USUAL), regex_cache::get(ctx, eskip, Flags::USUAL))
        else {
            return Outcome::FALSE;
        };
        Outcome::from(remove(ctx, |h| wanted.is_match(h.name_text) && !kept.is_match(h.name_text)) > 0)
    }
    /// Removes the rows of a header whose value fits: `op` is `eq` equal, `ne` not equal, `in` contains, `re` matches a regular
    /// expression. Returns 1; -2 when there is none, -1 for an unknown operator.
    #[ksr(cfg = ["remove_hf_match"])]
    fn remove_hf_match(&self, ctx: &mut RouteContext<'_>, hname: &[u8], op: &[u8], expr: &[u8]) -> Outcome {
        let named = same_name(hname);
        let removed = match op {
            b"eq" => remove(ctx, |h| named(h) && h.value == expr),
            b"ne" => remove(ctx, |h| named(h) && h.value != expr),
            b"in" => remove(ctx, |h| named(h) && super::text::find(h.value, expr, false).is_some()),
            b"re" => match regex_cache::get(ctx, expr, Flags::USUAL) {
                Ok(re) => remove(ctx, |h| named(h) && re.is_match(h.value)),
                Err(_) => return Outcome::FALSE,
            },
            _ => {
                tracing::error!(target: "textops", "remove_hf_match: the operator is eq, ne, in or re");
                return Outcome::FALSE;
            }
        };
        if removed > 0 { Outcome::TRUE } else { Outcome(-2) }
    }
    /// Whether Privacy asks for this: `header session user none critical id history` (RFC 3323, RFC 3325). Returns 1 or -1.
    #[ksr(cfg = ["is_privacy"])]
    fn is_privacy(&self, ctx: &mut RouteContext<'_>, privacy: &[u8]) -> Outcome {
        let known = PRIVACY.iter().any(|p| p.as_bytes().eq_ignore_ascii_case(privacy));
        let mut values = ctx
            .message
            .headers_named(HeaderName::Privacy)
            .flat_map(|h| h.value.split(|b| *b == b';' || *b == b',').map(<[u8]>::trim_ascii));
        Outcome::from(known && values.any(|v| v.eq_ignore_ascii_case(privacy)))
    }
}

/// The media type of the message, without parameters.
pub(crate) fn media_type(message: &Message) -> Option<&[u8]> {
    let value = message.header(HeaderName::ContentType)?.value;
    Some(value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii())
}

/// A parameter of Content-Type, without quotes.
pub(crate) fn media_param<'m>(message: &'m Message, name: &str) -> Option<&'m [u8]> {
    let value = message.header(HeaderName::ContentType)?.value;
    let semicolon = value.iter().position(|b| *b == b';')?;
    Params(value.get(semicolon + 1..)?).get(name).map(|p| p.unquoted())
}
