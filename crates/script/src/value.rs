//! Values that cross between a script and a KSR function.

use std::borrow::Cow;

/// What a KSR function or a pseudo-variable yields. Text is bytes: SIP may carry anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// No value: Python `None`, `$null`.
    Null,
    /// Integer.
    Int(i64),
    /// Boolean, for functions declared so.
    Bool(bool),
    /// Text, borrowed from the message where possible.
    Str(Cow<'a, [u8]>),
    /// `xavp_get_keys` and the like.
    List(Vec<Value<'a>>),
    /// `xavp_getd` and the like.
    Map(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    pub fn str(text: &'a [u8]) -> Value<'a> {
        Value::Str(Cow::Borrowed(text))
    }
    /// Owned text.
    pub fn owned(text: impl Into<Vec<u8>>) -> Value<'a> {
        Value::Str(Cow::Owned(text.into()))
    }
    /// Text or null.
    pub fn opt(text: Option<&'a [u8]>) -> Value<'a> {
        text.map_or(Value::Null, Value::str)
    }
    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
    /// As text the way Kamailio prints it inside a string (null is empty here; callers choose `<null>`).
    pub fn to_text(&self) -> Cow<'_, [u8]> {
        match self {
            Value::Null | Value::List(_) | Value::Map(_) => Cow::Borrowed(b""),
            Value::Int(i) => Cow::Owned(i.to_string().into_bytes()),
            Value::Bool(b) => Cow::Borrowed(if *b { b"1" } else { b"0" }),
            Value::Str(s) => Cow::Borrowed(s),
        }
    }
    /// As an integer: numbers, and text that is a decimal number.
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Str(s) => std::str::from_utf8(s).ok()?.trim().parse().ok(),
            _ => None,
        }
    }
    /// Detached from what it borrows.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Int(i) => Value::Int(i),
            Value::Bool(b) => Value::Bool(b),
            Value::Str(s) => Value::Str(Cow::Owned(s.into_owned())),
            Value::List(l) => Value::List(l.into_iter().map(Value::into_owned).collect()),
            Value::Map(m) => {
                Value::Map(m.into_iter().map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect())
            }
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}
impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<()> for Value<'_> {
    fn from((): ()) -> Self {
        Value::Null
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(s: &'a str) -> Self {
        Value::Str(Cow::Borrowed(s.as_bytes()))
    }
}
