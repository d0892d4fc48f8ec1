//! Values of parameters.

use crate::source::Span;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number; `yes on true enable` are 1, `no off false disable` are 0.
    Int(i64),
    /// A string.
    Str(String),
    /// A bare word, such as `LOG_LOCAL0`, or a bare host name or address.
    Ident(String),
    /// Several values, such as the flags of `flags`.
    List(Vec<Value>),
}

impl Value {
    /// The number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// True for numbers other than 0.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_int().map(|n| n != 0)
    }

    /// The text of a string or a bare word.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) | Value::Ident(s) => Some(s),
            _ => None,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Int(n) => write!(f, "{n}"),
            Value::Str(s) => write!(f, "\"{s}\""),
            Value::Ident(s) => f.write_str(s),
            Value::List(list) => {
                for (at, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// `name = value` of a core parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The parameter's proper name, also when an alias of it was written.
    pub name: String,
    /// The value.
    pub value: Value,
    /// The name in the configuration.
    pub span: Span,
    /// The value in the configuration.
    pub value_span: Span,
}

/// `group.name = value desc "..."`: a global that RPC can change and scripts read with `$sel(cfg_get.group.name)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomGlobal {
    /// The part before the dot.
    pub group: String,
    /// The part behind the dot.
    pub name: String,
    /// An integer or a string.
    pub value: Value,
    /// What `desc` says.
    pub description: Option<String>,
    /// The name in the configuration.
    pub span: Span,
}

/// `yes`, `no` and their synonyms.
pub(crate) fn boolean(word: &str) -> Option<bool> {
    match word {
        "yes" | "on" | "true" | "enable" => Some(true),
        "no" | "off" | "false" | "disable" => Some(false),
        _ => None,
    }
}
