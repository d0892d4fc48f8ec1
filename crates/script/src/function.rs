//! One row per KSR function, made by `#[ksr_module]` from the function itself.

use crate::{Format, Module, Pv, RouteContext, RouteKinds, Value};

/// A function of the KSR API.
#[derive(Clone, Copy)]
pub struct Function {
    /// Module that must be loaded, for example `maxfwd`; `core` for what is always there.
    pub module: &'static str,
    /// Object under `KSR`, for example `maxfwd` or `kx`; empty for `KSR` itself.
    pub object: &'static str,
    /// Name under that object.
    pub name: &'static str,
    /// Names in the native route language, often several.
    pub cfg: &'static [&'static str],
    /// Documentation, Markdown, the first paragraph is the summary.
    pub doc: &'static str,
    /// Parameters in order.
    pub params: &'static [Param],
    /// Return type as declared to scripts.
    pub returns: Returns,
    /// Routes in which it may be called.
    pub routes: RouteKinds,
    /// Whether it makes sense without a SIP message (threads, timers, `mod_init`).
    pub needs_message: bool,
    /// Whether it may wait (files, sleep, locks): an engine releases its interpreter around the call.
    pub blocking: bool,
    /// The call. `module` is the instance the row came from; `args` has exactly `params.len()` entries of the declared kinds, where
    /// [`ParamKind::Rest`] stands for any number of entries.
    pub call: Call,
}

/// The call of a row.
pub type Call = for<'c, 's> fn(&'c dyn Module, &'c mut RouteContext<'s>, &'c [Arg<'c>]) -> Value<'c>;

impl Function {
    /// What a call yields that could not be made: wrong arguments, a pseudo-variable that does not exist.
    pub fn refused(&self) -> Value<'static> {
        match self.returns {
            Returns::None | Returns::Xval => Value::Null,
            Returns::Int => Value::Int(-1),
            Returns::Bool => Value::Bool(false),
        }
    }
    /// `KSR.maxfwd.process_maxfwd`.
    pub fn path(&self) -> String {
        if self.object.is_empty() {
            format!("KSR.{}", self.name)
        } else {
            format!("KSR.{}.{}", self.object, self.name)
        }
    }
}

/// How many rows there are in all groups.
pub const fn count(groups: &[&'static [Function]]) -> usize {
    let (mut sum, mut group) = (0, 0);
    while group < groups.len() {
        sum += groups[group].len();
        group += 1;
    }
    sum
}

/// Joins the rows of several impl blocks of one module, at compile time: `N` is the sum of their lengths.
pub const fn join<const N: usize>(groups: &[&'static [Function]]) -> [Function; N] {
    let mut all = [groups[0][0]; N];
    let (mut group, mut at) = (0, 0);
    while group < groups.len() {
        let mut i = 0;
        while i < groups[group].len() {
            all[at] = groups[group][i];
            i += 1;
            at += 1;
        }
        group += 1;
    }
    // A constant that is too long or too short stops the build here.
    assert!(at == N);
    all
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}

/// A declared parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: ParamKind,
}

/// What a parameter takes. `Pv` and `Format` come as text from the script; the engine parses them once and keeps the result by the
/// identity of the script's string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Integer (a bool is accepted).
    Int,
    /// Text.
    Str,
    /// Name of a pseudo-variable, `$ru`. When it does not parse the engine logs why and passes [`Pv::unknown`]: functions see null.
    Pv,
    /// Text with pseudo-variables, `call from $fu`. When it does not parse the engine logs why and the call is
    /// [`refused`](Function::refused).
    Format,
    /// Last only: all further arguments, each [`Arg::Int`] or [`Arg::Str`] as the script gave it (`KSR.x.modf`).
    Rest,
}

/// An argument of the declared kind.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// Integer.
    Int(i64),
    /// Text.
    Str(&'a [u8]),
    /// Parsed pseudo-variable.
    Pv(&'a Pv),
    /// Parsed format.
    Format(&'a Format),
}

/// Declared return types of `kemi_exports.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// Nothing: Python `None`.
    None,
    /// 1 true, -1 (or other negative) false, more by function.
    Int,
    /// True or False.
    Bool,
    /// Any value, null included.
    Xval,
}

/// Kamailio's integer result: above zero is true, below is false; 0 ends the route in the native language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome(pub i64);

impl Outcome {
    /// 1
    pub const TRUE: Outcome = Outcome(1);
    /// -1
    pub const FALSE: Outcome = Outcome(-1);
    /// 0: stop.
    pub const STOP: Outcome = Outcome(0);
}

impl From<bool> for Outcome {
    fn from(b: bool) -> Outcome {
        if b { Outcome::TRUE } else { Outcome::FALSE }
    }
}
impl From<Outcome> for Value<'_> {
    fn from(o: Outcome) -> Self {
        Value::Int(o.0)
    }
}
