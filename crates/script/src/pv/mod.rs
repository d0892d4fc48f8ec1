//! Pseudo-variables: `$ru`, `$(hdr(Via)[0]{s.len})`, `$xavp(a[0]=>b)`; parsed once, evaluated often.
//!
//! The rows live with their modules; this folder has the syntax ([`Pv`], [`Format`]) and the transformations.

mod format;
mod parse;
pub mod transformations;

use std::borrow::Cow;

use message::HeaderName;

pub use format::Format;
pub use transformations::TransformationRow;

use crate::{RouteContext, Value};
use transformations::Transformation;

/// One row per pseudo-variable name.
#[derive(Clone, Copy)]
pub struct PseudoVariable {
    /// Module that must be loaded (`core` and `pv` are always there for KEMI).
    pub module: &'static str,
    /// Name without `$`.
    pub name: &'static str,
    /// Documentation.
    pub doc: &'static str,
    /// Whether `(inner)` must follow.
    pub inner: Inner,
    /// Reads it.
    pub get: Get,
    /// Writes it; `None`: read-only. `Value::Null` unsets. False: refused.
    pub set: Option<Set>,
}

/// Rows of pseudo-variables: `pseudo_variables! { "pv"; "ru" None "doc" get, set; "rm" None "doc" get; }`.
#[macro_export]
macro_rules! pseudo_variables {
    ($module:literal; $($name:literal $inner:ident $(($keywords:expr))? $doc:literal $get:expr $(, $set:expr)?;)*) => {
        &[$($crate::PseudoVariable {
            module: $module,
            name: $name,
            doc: $doc,
            inner: $crate::Inner::$inner $(($keywords))?,
            get: $get,
            set: $crate::pseudo_variables!(@set $($set)?),
        }),*]
    };
    (@set) => { None };
    (@set $set:expr) => { Some($set) };
}

/// Reads a pseudo-variable.
pub type Get = for<'c, 's> fn(&'c RouteContext<'s>, &'c Pv) -> Value<'c>;
/// Writes a pseudo-variable.
pub type Set = fn(&mut RouteContext<'_>, &Pv, Value<'_>) -> bool;

impl std::fmt::Debug for PseudoVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.name)
    }
}

/// What stands in the parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// Nothing.
    None,
    /// Free text (names), may hold pseudo-variables.
    Text,
    /// One of these keywords; others are an error at load time.
    Keyword(&'static [&'static str]),
    /// Another pseudo-variable (`$T_req($ru)`, `$cnt($avp(x))`).
    Pv,
}

/// A parsed pseudo-variable: the row, its inner name, index and transformations.
pub struct Pv {
    /// The row.
    pub class: &'static PseudoVariable,
    inner: InnerName,
    index: IndexSource,
    transformations: Box<[Transformation]>,
    text: Box<[u8]>,
}

/// What stood in the parentheses.
enum InnerName {
    None,
    /// Constant text, classified as a header name for `$hdr` and its like.
    Text(Box<[u8]>, HeaderName),
    Keyword(usize),
    Pv(Box<Pv>),
    Format(Box<Format>),
}

/// What stood in the brackets.
enum IndexSource {
    None,
    At(i64),
    All,
    Pv(Box<Pv>),
}

/// The index of one evaluation: `$(avp(x)[1])`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// None was written.
    None,
    /// A position; negative counts from the end, -1 is the last.
    At(i64),
    /// `[*]`
    All,
}

impl Index {
    /// The position in a list of this length; no index means the first. `None` outside the list and for `[*]`.
    pub fn position(self, len: usize) -> Option<usize> {
        let at = match self {
            Index::None => 0,
            Index::At(i) if i < 0 => (len as i64).checked_add(i)?,
            Index::At(i) => i,
            Index::All => return None,
        };
        usize::try_from(at).ok().filter(|i| *i < len)
    }
}

/// Stands for a pseudo-variable that does not exist.
static UNKNOWN: PseudoVariable = PseudoVariable {
    module: "core",
    name: "",
    doc: "A pseudo-variable that does not exist: null, and refuses to be written.",
    inner: Inner::None,
    get: |_, _| Value::Null,
    set: None,
};

impl Pv {
    /// What an engine passes to a function when the text does not parse (and logs why): null, and assigning fails, as in Kamailio.
    pub fn unknown(text: &[u8]) -> Pv {
        Pv {
            class: &UNKNOWN,
            inner: InnerName::None,
            index: IndexSource::None,
            transformations: Box::default(),
            text: text.into(),
        }
    }
    /// Whether this is [`Pv::unknown`].
    pub fn is_unknown(&self) -> bool {
        std::ptr::eq(self.class, &UNKNOWN)
    }
    /// Evaluates with index and transformations.
    #[inline]
    pub fn get<'c>(&'c self, ctx: &'c RouteContext<'_>) -> Value<'c> {
        let value = (self.class.get)(ctx, self);
        if self.transformations.is_empty() {
            return value;
        }
        self.transformations.iter().fold(value, |v, t| t.apply(ctx, v))
    }
    /// Assigns. False when it is read-only or refused.
    pub fn set(&self, ctx: &mut RouteContext<'_>, value: Value<'_>) -> bool {
        self.class.set.is_some_and(|set| set(ctx, self, value))
    }
    /// Whether scripts may assign to it: the row is writable and no transformation stands behind it.
    pub fn is_writable(&self) -> bool {
        self.class.set.is_some() && self.transformations.is_empty()
    }
    /// The text in the parentheses, with the pseudo-variables in it replaced; empty when there is none.
    pub fn inner_text<'c>(&'c self, ctx: &'c RouteContext<'_>) -> Cow<'c, [u8]> {
        match &self.inner {
            InnerName::Text(text, _) => Cow::Borrowed(text),
            InnerName::Format(format) => format.text(ctx),
            InnerName::Pv(pv) => match pv.get(ctx) {
                Value::Str(s) => s,
                other => Cow::Owned(other.to_text().into_owned()),
            },
            InnerName::Keyword(k) => match self.class.inner {
                Inner::Keyword(words) => Cow::Borrowed(words.get(*k).map_or(b"", |w| w.as_bytes())),
                _ => Cow::Borrowed(b""),
            },
            InnerName::None => Cow::Borrowed(b""),
        }
    }
    /// The text in the parentheses when no pseudo-variable is in it.
    pub fn constant_text(&self) -> Option<&[u8]> {
        match &self.inner {
            InnerName::Text(text, _) => Some(text),
            _ => None,
        }
    }
    /// The header that constant inner text names; `None` when it names no known header or has pseudo-variables in it.
    pub fn header_name(&self) -> Option<HeaderName> {
        match self.inner {
            InnerName::Text(_, name) if name != HeaderName::Other => Some(name),
            _ => None,
        }
    }
    /// Which of the row's keywords stood in the parentheses.
    pub fn keyword(&self) -> usize {
        match self.inner {
            InnerName::Keyword(k) => k,
            _ => 0,
        }
    }
    /// The pseudo-variable in the parentheses.
    pub fn inner_pv(&self) -> Option<&Pv> {
        match &self.inner {
            InnerName::Pv(pv) => Some(pv),
            _ => None,
        }
    }
    /// The index for this evaluation. An index variable without a number is 0.
    pub fn index(&self, ctx: &RouteContext<'_>) -> Index {
        match &self.index {
            IndexSource::None => Index::None,
            IndexSource::At(i) => Index::At(*i),
            IndexSource::All => Index::All,
            IndexSource::Pv(pv) => Index::At(pv.get(ctx).to_int().unwrap_or(0)),
        }
    }
    /// As it was written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl std::fmt::Debug for Pv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}
