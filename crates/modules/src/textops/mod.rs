//! Text operations on messages: search, replace, headers, bodies.
//!
//! Everything works on the message as it was received; changes become edits. Expressions are POSIX extended ones over bytes.

mod body;
pub(crate) mod headers;
mod hold;
pub(crate) mod multipart;
pub(crate) mod regex_cache;
mod replace;
mod subst;
#[cfg(test)]
mod tests;
mod text;

use script::{Function, Module};

/// Module `textops`.
#[derive(Debug, Default)]
pub struct TextOps {}

const FUNCTIONS: &[Function] = &script::function::join::<
    {
        TextOps::SEARCH.len()
            + TextOps::REPLACE.len()
            + TextOps::SUBST.len()
            + TextOps::HEADERS.len()
            + TextOps::BODY.len()
            + TextOps::MULTIPART.len()
            + TextOps::TEXT.len()
    },
>(&[
    TextOps::SEARCH,
    TextOps::REPLACE,
    TextOps::SUBST,
    TextOps::HEADERS,
    TextOps::BODY,
    TextOps::MULTIPART,
    TextOps::TEXT,
]);

impl Module for TextOps {
    fn name(&self) -> &'static str {
        "textops"
    }
    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }
}
