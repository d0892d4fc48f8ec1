//! Iterators over header rows and body lines, four of each per worker, told apart by their names.

use std::sync::Arc;

use message::Message;
use script::pv::Inner;
use script::{Outcome, PseudoVariable, Pv, RouteContext, Value, ksr_module};

use super::TextOpsX;

/// Iterators of one kind that can be open at a time in a worker, as in Kamailio.
const LIMIT: usize = 4;

/// An open iterator: over which message, and where it stands.
#[derive(Debug)]
struct Open {
    name: Box<[u8]>,
    message: Arc<Message>,
    /// 0 before the first, `n` at the n-th, one more than there are: at the end.
    at: usize,
}

#[derive(Debug, Default)]
struct Headers(Vec<Open>);
#[derive(Debug, Default)]
struct Lines(Vec<Open>);

/// What the two kinds share.
trait Kind: Default + Send + 'static {
    fn open(&mut self) -> &mut Vec<Open>;
    fn all(&self) -> &[Open];
    /// Spans of the items in the message.
    fn span(message: &Message, at: usize) -> Option<(u32, u32)>;
    fn count(message: &Message) -> usize;
}

impl Kind for Headers {
    fn open(&mut self) -> &mut Vec<Open> {
        &mut self.0
    }
    fn all(&self) -> &[Open] {
        &self.0
    }
    fn span(message: &Message, at: usize) -> Option<(u32, u32)> {
        message.headers().nth(at.checked_sub(1)?).map(|h| h.row)
    }
    fn count(message: &Message) -> usize {
        message.headers().count()
    }
}

impl Kind for Lines {
    fn open(&mut self) -> &mut Vec<Open> {
        &mut self.0
    }
    fn all(&self) -> &[Open] {
        &self.0
    }
    fn span(message: &Message, at: usize) -> Option<(u32, u32)> {
        let line = message.body().split_inclusive(|b| *b == b'\n').nth(at.checked_sub(1)?)?;
        let start = message.offset_of(line)?;
        Some((start, start + line.len() as u32))
    }
    fn count(message: &Message) -> usize {
        message.body().split_inclusive(|b| *b == b'\n').count()
    }
}

fn start<K: Kind>(ctx: &RouteContext<'_>, name: &[u8]) -> Outcome {
    let mut slots = ctx.worker.slots.borrow_mut();
    let open = slots.slot::<K>().open();
    let message = Arc::clone(&ctx.message);
    let full = open.len() >= LIMIT;
    match open.iter_mut().find(|o| *o.name == *name) {
        Some(known) => (known.message, known.at) = (message, 0),
        None if !full => open.push(Open { name: name.into(), message, at: 0 }),
        None => {
            tracing::error!(target: "textopsx", limit = LIMIT, "too many open iterators; close them with ..._iterator_end");
            return Outcome::FALSE;
        }
    }
    Outcome::TRUE
}

fn end<K: Kind>(ctx: &RouteContext<'_>, name: &[u8]) -> Outcome {
    let mut slots = ctx.worker.slots.borrow_mut();
    let open = slots.slot::<K>().open();
    let before = open.len();
    open.retain(|o| *o.name != *name);
    Outcome::from(open.len() < before)
}

fn advance<K: Kind>(ctx: &RouteContext<'_>, name: &[u8], forward: bool) -> Outcome {
    let mut slots = ctx.worker.slots.borrow_mut();
    let Some(open) = slots.slot::<K>().open().iter_mut().find(|o| *o.name == *name) else {
        return Outcome::FALSE;
    };
    if !forward {
        if open.at == 0 {
            return Outcome::FALSE;
        }
        open.at -= 1;
        return Outcome::TRUE;
    }
    let count = K::count(&open.message);
    open.at = (open.at + 1).min(count + 1);
    Outcome::from(open.at <= count)
}

/// Position and message of an open iterator, if it stands on something.
fn current<K: Kind>(ctx: &RouteContext<'_>, name: &[u8]) -> Option<(Arc<Message>, usize, (u32, u32))> {
    let slots = ctx.worker.slots.borrow();
    let open = slots.peek::<K>()?.all().iter().find(|o| *o.name == *name)?;
    Some((Arc::clone(&open.message), open.at, K::span(&open.message, open.at)?))
}

/// As [`current`], only when the iterator is over the message the route works on.
fn here<K: Kind>(ctx: &RouteContext<'_>, name: &[u8]) -> Option<(u32, u32)> {
    let (message, _, span) = current::<K>(ctx, name)?;
    Arc::ptr_eq(&message, &ctx.message).then_some(span)
}

fn remove<K: Kind>(ctx: &mut RouteContext<'_>, name: &[u8]) -> Outcome {
    let Some((start, end)) = here::<K>(ctx, name) else { return Outcome::FALSE };
    ctx.edits.remove(start, end);
    Outcome::TRUE
}

fn add<K: Kind>(ctx: &mut RouteContext<'_>, name: &[u8], text: &[u8], after: bool) -> Outcome {
    let Some((start, end)) = here::<K>(ctx, name) else { return Outcome::FALSE };
    ctx.edits.insert(if after { end } else { start }, text);
    Outcome::TRUE
}

fn header_name(ctx: &RouteContext<'_>, name: &[u8]) -> Value<'static> {
    let found = current::<Headers>(ctx, name);
    let text = found.and_then(|(m, at, _)| m.headers().nth(at - 1).map(|h| h.name_text.to_vec()));
    text.map_or(Value::Null, Value::owned)
}

fn header_body(ctx: &RouteContext<'_>, name: &[u8]) -> Value<'static> {
    let found = current::<Headers>(ctx, name);
    let text = found.and_then(|(m, at, _)| m.headers().nth(at - 1).map(|h| h.value.to_vec()));
    text.map_or(Value::Null, Value::owned)
}

fn line(ctx: &RouteContext<'_>, name: &[u8]) -> Value<'static> {
    let found = current::<Lines>(ctx, name);
    let text = found.and_then(|(m, _, (s, e))| m.as_bytes().get(s as usize..e as usize).map(<[u8]>::to_vec));
    text.map_or(Value::Null, Value::owned)
}

#[ksr_module("textopsx", rows = "ITERATORS")]
impl TextOpsX {
    /// Opens an iterator over the header rows, before the first one. Four can be open in a worker. Returns 1, or -1 when there are too many.
    #[ksr(cfg = ["hf_iterator_start"])]
    fn hf_iterator_start(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        start::<Headers>(ctx, iname)
    }
    /// Closes a header iterator. Returns 1, or -1 when it is not open.
    #[ksr(cfg = ["hf_iterator_end"])]
    fn hf_iterator_end(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        end::<Headers>(ctx, iname)
    }
    /// Moves to the next header row; to the first one right after the start. Returns 1, or -1 at the end.
    #[ksr(cfg = ["hf_iterator_next"])]
    fn hf_iterator_next(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        advance::<Headers>(ctx, iname, true)
    }
    /// Moves to the header row before. Returns 1, or -1 when the iterator stands before the first one.
    #[ksr(cfg = ["hf_iterator_prev"])]
    fn hf_iterator_prev(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        advance::<Headers>(ctx, iname, false)
    }
    /// Removes the header row the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["hf_iterator_rm"])]
    fn hf_iterator_rm(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        remove::<Headers>(ctx, iname)
    }
    /// Adds rows (with CRLF) behind the one the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["hf_iterator_append"])]
    fn hf_iterator_append(&self, ctx: &mut RouteContext<'_>, iname: &[u8], htext: &[u8]) -> Outcome {
        add::<Headers>(ctx, iname, htext, true)
    }
    /// Adds rows (with CRLF) before the one the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["hf_iterator_insert"])]
    fn hf_iterator_insert(&self, ctx: &mut RouteContext<'_>, iname: &[u8], htext: &[u8]) -> Outcome {
        add::<Headers>(ctx, iname, htext, false)
    }
    /// Name of the header row the iterator stands on; null when it stands on none.
    #[ksr]
    fn hf_iterator_hname<'c>(&'c self, ctx: &'c mut RouteContext<'_>, iname: &'c [u8]) -> Value<'c> {
        header_name(ctx, iname)
    }
    /// Value of the header row the iterator stands on; null when it stands on none.
    #[ksr]
    fn hf_iterator_hbody<'c>(&'c self, ctx: &'c mut RouteContext<'_>, iname: &'c [u8]) -> Value<'c> {
        header_body(ctx, iname)
    }
    /// Opens an iterator over the lines of the body, before the first one. Four can be open in a worker. Returns 1, or -1 when there are too
    /// many.
    #[ksr(cfg = ["bl_iterator_start"])]
    fn bl_iterator_start(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        start::<Lines>(ctx, iname)
    }
    /// Closes a body line iterator. Returns 1, or -1 when it is not open.
    #[ksr(cfg = ["bl_iterator_end"])]
    fn bl_iterator_end(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        end::<Lines>(ctx, iname)
    }
    /// Moves to the next line; to the first one right after the start. Returns 1, or -1 at the end.
    #[ksr(cfg = ["bl_iterator_next"])]
    fn bl_iterator_next(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        advance::<Lines>(ctx, iname, true)
    }
    /// Removes the line the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["bl_iterator_rm"])]
    fn bl_iterator_rm(&self, ctx: &mut RouteContext<'_>, iname: &[u8]) -> Outcome {
        remove::<Lines>(ctx, iname)
    }
    /// Adds text behind the line the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["bl_iterator_append"])]
    fn bl_iterator_append(&self, ctx: &mut RouteContext<'_>, iname: &[u8], text: &[u8]) -> Outcome {
        add::<Lines>(ctx, iname, text, true)
    }
    /// Adds text before the line the iterator stands on. Returns 1, or -1 when it stands on none.
    #[ksr(cfg = ["bl_iterator_insert"])]
    fn bl_iterator_insert(&self, ctx: &mut RouteContext<'_>, iname: &[u8], text: &[u8]) -> Outcome {
        add::<Lines>(ctx, iname, text, false)
    }
    /// The line the iterator stands on, with its line end; null when it stands on none.
    #[ksr]
    fn bl_iterator_value<'c>(&'c self, ctx: &'c mut RouteContext<'_>, iname: &'c [u8]) -> Value<'c> {
        line(ctx, iname)
    }
}

pub(super) const PSEUDO_VARIABLES: &[PseudoVariable] = &[
    PseudoVariable {
        module: "textopsx",
        name: "hfitname",
        doc: "Name of the header row an iterator stands on: `$hfitname(iterator)`.",
        inner: Inner::Text,
        get: |ctx, pv: &Pv| header_name(ctx, &pv.inner_text(ctx)),
        set: None,
    },
    PseudoVariable {
        module: "textopsx",
        name: "hfitbody",
        doc: "Value of the header row an iterator stands on: `$hfitbody(iterator)`.",
        inner: Inner::Text,
        get: |ctx, pv: &Pv| header_body(ctx, &pv.inner_text(ctx)),
        set: None,
    },
    PseudoVariable {
        module: "textopsx",
        name: "blitval",
        doc: "The body line an iterator stands on, with its line end: `$blitval(iterator)`.",
        inner: Inner::Text,
        get: |ctx, pv: &Pv| line(ctx, &pv.inner_text(ctx)),
        set: None,
    },
];
