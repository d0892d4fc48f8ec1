//! `#[derive(ModParams)]`: `PARAMS` and `set` of a struct of settings.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, GenericArgument, LitStr, PathArguments, Type};

pub fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(ident.span(), "ModParams is for structs"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(ident.span(), "ModParams is for structs with named fields"));
    };
    let mut rows = Vec::new();
    let mut arms = Vec::new();
    for field in &fields.named {
        let Some(field_ident) = &field.ident else { continue };
        let mut name = field_ident.to_string().trim_start_matches("r#").to_string();
        let mut skip = false;
        for attr in field.attrs.iter().filter(|a| a.path().is_ident("modparam")) {
            attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    name = meta.value()?.parse::<LitStr>()?.value();
                    Ok(())
                } else if meta.path.is_ident("skip") {
                    skip = true;
                    Ok(())
                } else {
                    Err(meta.error("expected `name = \"..\"` or `skip`"))
                }
            })?;
        }
        if skip {
            continue;
        }
        let doc = crate::doc_of(&field.attrs);
        if doc.is_empty() {
            return Err(Error::new(field_ident.span(), format!("parameter `{name}` has no doc comment")));
        }
        let (kind, store) = match type_name(&field.ty).as_deref() {
            Some("i64" | "i32" | "u64" | "u32" | "u16" | "u8" | "usize") => (
                quote!(Int),
                quote! {
                    ::script::ParamValue::Int(value) => {
                        self.#field_ident = value.try_into().map_err(|_| {
                            ::script::SetupError(::std::format!("parameter {name}: {value} is out of range"))
                        })?;
                    }
                },
            ),
            Some("bool") => {
                (quote!(Int), quote!(::script::ParamValue::Int(value) => self.#field_ident = value != 0,))
            }
            Some("String") => {
                (quote!(Str), quote!(::script::ParamValue::Str(value) => self.#field_ident = value,))
            }
            Some("Option<String>") => {
                (quote!(Str), quote!(::script::ParamValue::Str(value) => self.#field_ident = Some(value),))
            }
            _ => {
                return Err(Error::new(
                    field_ident.span(),
                    format!(
                        "parameter `{name}`: integers, bool, String and Option<String> only (or #[modparam(skip)])"
                    ),
                ));
            }
        };
        let wanted = if kind.to_string() == "Int" { "an integer" } else { "a string" };
        rows.push(quote!(::script::ModParam { name: #name, kind: ::script::ParamType::#kind, doc: #doc }));
        arms.push(quote! {
            #name => match value {
                #store
                #[allow(unreachable_patterns)]
                other => return Err(::script::SetupError(::std::format!(
                    "parameter {name} takes {}, not {}", #wanted, other.describe()
                ))),
            },
        });
    }
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics #ident #ty_generics #where_clause {
            /// The module parameters, from the fields.
            pub const PARAMS: &'static [::script::ModParam] = &[#(#rows),*];
            /// Takes one parameter, checking its type and range.
            #[allow(clippy::useless_conversion, irrefutable_let_patterns)]
            pub fn set(&mut self, name: &str, value: ::script::ParamValue) -> Result<(), ::script::SetupError> {
                match name {
                    #(#arms)*
                    _ => return Err(::script::SetupError(::std::format!("there is no parameter {name}"))),
                }
                #[allow(unreachable_code)]
                Ok(())
            }
        }
    })
}

/// `i64`, `String`, `Option<String>`; `None` for shapes that no parameter has.
fn type_name(ty: &Type) -> Option<String> {
    let Type::Path(p) = ty else { return None };
    let last = p.path.segments.last()?;
    match &last.arguments {
        PathArguments::None => Some(last.ident.to_string()),
        PathArguments::AngleBracketed(args) => match args.args.first()? {
            GenericArgument::Type(inner) => Some(format!("{}<{}>", last.ident, type_name(inner)?)),
            _ => None,
        },
        PathArguments::Parenthesized(_) => None,
    }
}
