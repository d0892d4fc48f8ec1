//! `#[ksr_module]`: one row and one shim per `#[ksr]` method.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, PathArguments};
use syn::{ReturnType, Type};

struct ModuleArgs {
    module: LitStr,
    object: LitStr,
    rows: Ident,
}

impl syn::parse::Parse for ModuleArgs {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let module: LitStr = input.parse()?;
        let mut args = ModuleArgs { object: module.clone(), module, rows: format_ident!("FUNCTIONS") };
        while input.parse::<Option<syn::Token![,]>>()?.is_some() && !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<syn::Token![=]>()?;
            let value: LitStr = input.parse()?;
            match key.to_string().as_str() {
                "object" => args.object = value,
                "rows" => args.rows = Ident::new(&value.value(), value.span()),
                _ => return Err(Error::new(key.span(), "expected `object` or `rows`")),
            }
        }
        Ok(args)
    }
}

#[derive(Default)]
struct KsrArgs {
    cfg: Vec<LitStr>,
    routes: Vec<Ident>,
    name: Option<LitStr>,
    blocking: bool,
    no_message: bool,
}

impl KsrArgs {
    fn parse(attr: &syn::Attribute) -> syn::Result<KsrArgs> {
        let mut args = KsrArgs::default();
        if matches!(attr.meta, syn::Meta::Path(_)) {
            return Ok(args);
        }
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("cfg") {
                let list: syn::ExprArray = meta.value()?.parse()?;
                for item in list.elems {
                    match item {
                        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(s), .. }) => args.cfg.push(s),
                        other => return Err(Error::new(other.span(), "expected a string")),
                    }
                }
                Ok(())
            } else if meta.path.is_ident("routes") {
                meta.parse_nested_meta(|route| {
                    args.routes.push(route.path.require_ident()?.clone());
                    Ok(())
                })
            } else if meta.path.is_ident("name") {
                args.name = Some(meta.value()?.parse()?);
                Ok(())
            } else if meta.path.is_ident("blocking") {
                args.blocking = true;
                Ok(())
            } else if meta.path.is_ident("no_message") {
                args.no_message = true;
                Ok(())
            } else {
                Err(meta.error(
                    "expected `cfg = [..]`, `routes(..)`, `name = \"..\"`, `blocking` or `no_message`",
                ))
            }
        })?;
        Ok(args)
    }
}

pub fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let args: ModuleArgs = syn::parse2(attr)?;
    let mut block: ItemImpl = syn::parse2(item)?;
    let this = block.self_ty.clone();
    let mut rows = Vec::new();
    let mut errors: Option<Error> = None;
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let Some(at) = method.attrs.iter().position(|a| a.path().is_ident("ksr")) else { continue };
        let attr = method.attrs.remove(at);
        // How many there are is Kamailio's choice.
        method.attrs.push(syn::parse_quote!(#[allow(clippy::too_many_arguments)]));
        match row(&args, &this, method, &attr) {
            Ok(row) => rows.push(row),
            Err(e) => match &mut errors {
                Some(all) => all.combine(e),
                None => errors = Some(e),
            },
        }
    }
    if let Some(e) = errors {
        return Err(e);
    }
    let name = &args.rows;
    let object = &args.object;
    let doc = format!("Rows of `KSR.{}`, from the methods marked `#[ksr]`.", object.value());
    let items = &mut block.items;
    items.push(syn::parse_quote! {
        #[doc = #doc]
        pub const #name: &'static [::script::Function] = &[#(#rows),*];
    });
    Ok(quote!(#block))
}

fn row(
    args: &ModuleArgs,
    this: &Type,
    method: &ImplItemFn,
    attr: &syn::Attribute,
) -> syn::Result<TokenStream> {
    let ksr = KsrArgs::parse(attr)?;
    let ident = &method.sig.ident;
    let doc = crate::doc_of(&method.attrs);
    if doc.is_empty() {
        return Err(Error::new(ident.span(), format!("KSR function `{ident}` has no doc comment")));
    }
    let name = match &ksr.name {
        Some(name) => name.value(),
        None => ident.to_string().trim_start_matches("r#").to_string(),
    };
    let mut params = Vec::new();
    let mut patterns = Vec::new();
    let mut call = vec![quote!(this)];
    let mut inputs = method.sig.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(r)) if r.reference.is_some() && r.mutability.is_none() => {}
        _ => return Err(Error::new(ident.span(), format!("KSR function `{ident}` must take `&self`"))),
    }
    for (i, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let ty = &*input.ty;
        if i == 0 && is_context(ty) {
            call.push(quote!(ctx));
            continue;
        }
        let Pat::Ident(pat) = &*input.pat else {
            return Err(Error::new(input.span(), format!("KSR function `{ident}`: name this parameter")));
        };
        let param = pat.ident.to_string();
        let param = param.trim_start_matches("r#").trim_start_matches('_').to_string();
        if is_rest(ty) {
            patterns.push(quote!(rest @ ..));
            call.push(quote!(rest));
            params.push(quote!(::script::Param { name: #param, kind: ::script::ParamKind::Rest }));
            continue;
        }
        let Some(kind) = kind_of(ty) else {
            return Err(Error::new(
                ty.span(),
                format!(
                    "KSR function `{ident}`, parameter `{param}`: a script can pass i64, &[u8], &Pv and &Format only (and &[Arg] for the rest)"
                ),
            ));
        };
        let var = format_ident!("a{}", params.len());
        patterns.push(quote!(::script::Arg::#kind(#var)));
        call.push(if kind == "Int" || kind == "Str" { quote!(*#var) } else { quote!(#var) });
        params.push(quote!(::script::Param { name: #param, kind: ::script::ParamKind::#kind }));
    }
    let (returns, convert) = returns_of(&method.sig.output, ident)?;
    let routes = ksr.routes.iter().map(|r| quote!(::script::RouteKinds::#r));
    let routes = routes.reduce(|a, b| quote!(#a.or(#b))).unwrap_or(quote!(::script::RouteKinds::ANY));
    let (cfg, blocking, needs_message) = (&ksr.cfg, ksr.blocking, !ksr.no_message);
    let (module, object) = (&args.module, &args.object);
    let invoke = quote!(<#this>::#ident(#(#call),*));
    let value = convert(invoke);
    Ok(quote! {
        ::script::Function {
            module: #module,
            object: #object,
            name: #name,
            cfg: &[#(#cfg),*],
            doc: #doc,
            params: &[#(#params),*],
            returns: ::script::Returns::#returns,
            routes: #routes,
            needs_message: #needs_message,
            blocking: #blocking,
            call: {
                #[allow(unused_variables, clippy::unit_arg)]
                fn shim<'c, 's>(
                    module: &'c dyn ::script::Module,
                    ctx: &'c mut ::script::RouteContext<'s>,
                    args: &'c [::script::Arg<'c>],
                ) -> ::script::Value<'c> {
                    // The registry pairs a row with the instance it came from and the engine converts arguments by the
                    // row, so neither arm of refusal is reached in a consistent build.
                    let Some(this) = (module as &dyn ::std::any::Any).downcast_ref::<#this>() else {
                        return ::script::Value::Null;
                    };
                    match args {
                        [#(#patterns),*] => #value,
                        #[allow(unreachable_patterns)]
                        _ => ::script::Value::Null,
                    }
                }
                shim
            },
        }
    })
}

/// `&mut RouteContext<'_>` or `&RouteContext<'_>`.
fn is_context(ty: &Type) -> bool {
    matches!(ty, Type::Reference(r) if last_ident(&r.elem).is_some_and(|i| i == "RouteContext"))
}

fn last_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(p) => p.path.segments.last().map(|s| &s.ident),
        _ => None,
    }
}

/// `&[Arg<'_>]`: all further arguments.
fn is_rest(ty: &Type) -> bool {
    let Type::Reference(r) = ty else { return false };
    matches!(&*r.elem, Type::Slice(s) if last_ident(&s.elem).is_some_and(|i| i == "Arg"))
}

fn kind_of(ty: &Type) -> Option<Ident> {
    let kind = match ty {
        Type::Path(_) if last_ident(ty)? == "i64" => "Int",
        Type::Reference(r) if r.mutability.is_none() => match &*r.elem {
            Type::Slice(s) if last_ident(&s.elem)? == "u8" => "Str",
            other if last_ident(other)? == "Pv" => "Pv",
            other if last_ident(other)? == "Format" => "Format",
            _ => return None,
        },
        _ => return None,
    };
    Some(format_ident!("{kind}"))
}

type Convert = fn(TokenStream) -> TokenStream;

fn returns_of(output: &ReturnType, ident: &Ident) -> syn::Result<(Ident, Convert)> {
    // Kamailio's functions without a result give scripts 0.
    let void: Convert = |call| quote!({ #call; ::script::Value::Int(0) });
    let into: Convert = |call| quote!(::script::Value::from(#call));
    let plain: Convert = |call| call;
    let opt: Convert = |call| quote!(::script::Value::opt(#call));
    let (kind, convert) = match output {
        ReturnType::Default => ("None", void),
        ReturnType::Type(_, ty) => match &**ty {
            Type::Tuple(t) if t.elems.is_empty() => ("None", void),
            ty => match last_ident(ty).map(Ident::to_string).as_deref() {
                Some("Outcome" | "i64") => ("Int", into),
                Some("bool") => ("Bool", into),
                Some("Value") => ("Xval", plain),
                Some("Option") if is_option_of_bytes(ty) => ("Xval", opt),
                _ => {
                    return Err(Error::new(
                        ty.span(),
                        format!(
                            "KSR function `{ident}` can return (), Outcome, i64, bool, Value<'_> or Option<&[u8]> only"
                        ),
                    ));
                }
            },
        },
    };
    Ok((format_ident!("{kind}"), convert))
}

fn is_option_of_bytes(ty: &Type) -> bool {
    let Type::Path(p) = ty else { return false };
    let Some(last) = p.path.segments.last() else { return false };
    let PathArguments::AngleBracketed(args) = &last.arguments else { return false };
    matches!(args.args.first(), Some(GenericArgument::Type(inner)) if kind_of(inner).is_some_and(|k| k == "Str"))
}
