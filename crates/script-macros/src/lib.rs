//! `#[ksr_module]` and `#[derive(ModParams)]`: rows of the KSR API from the functions and settings themselves.
//!
//! What a user can name is declared once, where it is implemented; a function or parameter without documentation, or with a type no
//! script could pass, does not compile.

use proc_macro::TokenStream;

mod ksr_module;
mod mod_params;

/// Turns an impl block's `#[ksr]` methods into rows: `pub const FUNCTIONS: &'static [script::Function]`.
///
/// `#[ksr_module("kemix", object = "kx", rows = "KX")]`: the module that must be loaded, the object under `KSR` (default: the module's
/// name) and the constant's name (default `FUNCTIONS`).
///
/// Methods take `&self`, optionally `ctx: &mut RouteContext<'_>` (or `&RouteContext<'_>`), then `i64`, `&[u8]`, `&Pv` or `&Format`; they
/// return nothing, `Outcome` or `i64`, `bool`, `Value<'_>` or `Option<&[u8]>`.
///
/// `#[ksr(cfg = ["names", "in", "the cfg language"], routes(REQUEST, FAILURE), name = "yield", blocking, no_message)]`. Methods without
/// `#[ksr]` are left alone.
#[proc_macro_attribute]
pub fn ksr_module(attr: TokenStream, item: TokenStream) -> TokenStream {
    ksr_module::expand(attr.into(), item.into()).unwrap_or_else(|e| e.to_compile_error()).into()
}

/// Declares module parameters from a struct of settings.
///
/// Fields are integers, `bool` (an int, 0 is false), `String` or `Option<String>`; the doc comment is the parameter's documentation.
/// `#[modparam(name = "x")]` gives another name, `#[modparam(skip)]` leaves a field out. Makes `Self::PARAMS` and `Self::set`.
#[proc_macro_derive(ModParams, attributes(modparam))]
pub fn mod_params(item: TokenStream) -> TokenStream {
    mod_params::expand(item.into()).unwrap_or_else(|e| e.to_compile_error()).into()
}

/// The doc comment of an item: lines joined, the one space after `///` taken off.
fn doc_of(attrs: &[syn::Attribute]) -> String {
    let mut lines = Vec::new();
    for attr in attrs {
        if let syn::Meta::NameValue(meta) = &attr.meta
            && meta.path.is_ident("doc")
            && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &meta.value
        {
            let text = text.value();
            lines.extend(text.split('\n').map(|l| l.strip_prefix(' ').unwrap_or(l).trim_end().to_string()));
        }
    }
    lines.join("\n").trim().to_string()
}
