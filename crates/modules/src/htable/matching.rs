//! Which items are meant: the operators of `sht_rm_name` and its like, and the expressions in `$shtcn(..)` and `$shtcv(..)`.

use regex::bytes::Regex;
use script::RouteContext;

use super::table::{Item, Stored};
use crate::textops::regex_cache::{Flags, get};

/// What a text is compared with.
#[derive(Debug)]
pub enum Test {
    /// Every text.
    All,
    /// This text.
    Equal(Vec<u8>),
    /// Any other text.
    Differs(Vec<u8>),
    /// Texts that this expression is found in, without case.
    Regex(Regex),
    /// Texts that begin so.
    StartsWith(Vec<u8>),
    /// Texts that end so.
    EndsWith(Vec<u8>),
    /// Texts with this in them.
    Includes(Vec<u8>),
    /// This integer.
    Integer(i64),
}

impl Test {
    /// `eq`, `ne`, `re`, `sw`, `ew`, `in` with a text. `None` for another operator or a bad expression, which is logged.
    pub fn operator(ctx: &RouteContext<'_>, operator: &[u8], text: &[u8]) -> Option<Test> {
        Some(match operator {
            b"eq" => Test::Equal(text.into()),
            b"ne" => Test::Differs(text.into()),
            b"sw" => Test::StartsWith(text.into()),
            b"ew" => Test::EndsWith(text.into()),
            b"in" => Test::Includes(text.into()),
            b"re" => Test::Regex(get(ctx, text, Flags::USUAL).ok()?),
            _ => {
                tracing::error!(target: "htable", operator = %String::from_utf8_lossy(operator), "unknown operator");
                return None;
            }
        })
    }
    /// `~~regex`, `~%end`, `%~start`, `==text`, `eqnumber`, `**`, or a regular expression.
    pub fn expression(ctx: &RouteContext<'_>, text: &[u8]) -> Option<Test> {
        let (mark, rest) = text.split_at(text.len().min(2));
        let number = || std::str::from_utf8(rest).ok()?.trim().parse().ok();
        Some(match mark {
            b"**" => Test::All,
            b"==" => Test::Equal(rest.into()),
            b"~%" => Test::EndsWith(rest.into()),
            b"%~" => Test::StartsWith(rest.into()),
            b"~~" => Test::Regex(get(ctx, rest, Flags::USUAL).ok()?),
            b"eq" if number().is_some() => Test::Integer(number()?),
            _ => Test::Regex(get(ctx, text, Flags::USUAL).ok()?),
        })
    }
    /// Whether a text passes.
    pub fn text(&self, text: &[u8]) -> bool {
        match self {
            Test::All => true,
            Test::Equal(t) => **t == *text,
            Test::Differs(t) => **t != *text,
            Test::Regex(re) => re.is_match(text),
            Test::StartsWith(t) => text.starts_with(t),
            Test::EndsWith(t) => text.ends_with(t),
            Test::Includes(t) => memchr::memmem::find(text, t).is_some(),
            Test::Integer(_) => false,
        }
    }
    /// Whether an item's value passes: texts, and for [`Test::Integer`] and [`Test::All`] integers.
    pub fn value(&self, item: &Item) -> bool {
        match (&item.value, self) {
            (Stored::Str(s), _) => self.text(s),
            (Stored::Int(_), Test::All) => true,
            (Stored::Int(n), Test::Integer(wanted)) => n == wanted,
            (Stored::Int(_), _) => false,
        }
    }
}
