//! Pseudo-variables: `$ru`, `$(hdr(Via)[0]{s.len})`, `$xavp(a[0]=>b)`; parsed once, evaluated often.

use crate::{RouteContext, Value};

/// One row per pseudo-variable name.
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
    pub get: for<'c, 's> fn(&'c RouteContext<'s>, &'c Pv) -> Value<'c>,
    /// Writes it; `None`: read-only. `Value::Null` unsets. False: refused.
    pub set: Option<fn(&mut RouteContext<'_>, &Pv, Value<'_>) -> bool>,
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
    // (inner, index, transformations: see the implementation)
}

impl Pv {
    /// Evaluates with index and transformations.
    pub fn get<'c>(&'c self, ctx: &'c RouteContext<'_>) -> Value<'c> {
        (self.class.get)(ctx, self)
    }
    /// Assigns. False when it is read-only or refused.
    pub fn set(&self, ctx: &mut RouteContext<'_>, value: Value<'_>) -> bool {
        self.class.set.is_some_and(|set| set(ctx, self, value))
    }
}

impl std::fmt::Debug for Pv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.class.name)
    }
}

/// Text with pseudo-variables, parsed.
#[derive(Debug, Default)]
pub struct Format {
    // parts: see the implementation
}

impl Format {
    /// Appends the text with every pseudo-variable replaced; null prints as `<null>`.
    pub fn write(&self, ctx: &RouteContext<'_>, out: &mut Vec<u8>) {
        let _ = (ctx, out);
    }
}
