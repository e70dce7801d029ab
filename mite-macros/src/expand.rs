//! The function with a session around its body. The user's tokens come back as they were; what is added calls one public
//! function, and the guard that it answers closes the session on whichever way the body is left.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{FnArg, Ident, Lifetime, Pat, PatIdent, PatType, Path, Result, parse_quote, spanned::Spanned};

use crate::{
    ast::{Body, Function},
    attr::Options,
    library, valid,
};

/// The expansion, or what is wrong followed by the item as it was: what else uses it then finds it still.
pub(crate) fn mite_http(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item.clone()).unwrap_or_else(|error| {
        let mut tokens = error.into_compile_error();
        tokens.extend(item);
        tokens
    })
}

fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut function: Function = syn::parse2(item)?;
    let context = valid::context(&function.signature)?;
    let mut options: Options = syn::parse2(options)?;
    let library = options.library.take().map_or_else(library::path, Ok)?;

    let argument = argument(context);
    let session = session(context, &argument, &options, &library);
    let Body { attrs: body_attrs, block } = &function.body;
    // Without a label, the braces of a body on one line are superfluous to the compiler.
    let label = Lifetime::new("'__mite_body", block.span());
    let mut body = Group::new(Delimiter::Brace, quote! { #(#body_attrs)* #session #label: #block });
    body.set_span(added_at(block.span()));

    if let Some(FnArg::Typed(first)) = function.signature.inputs.first_mut() {
        first.attrs.clear();
        *first.pat = parse_quote!(#argument);
    }
    let Function { attrs, vis, signature, .. } = &function;
    Ok(quote! { #(#attrs)* #vis #signature #body })
}

/// The argument's new name, which the body cannot see. It is the user's own where there is one: documentation shows it.
fn argument(context: &PatType) -> Ident {
    let mut name = match &*context.pat {
        // `_ctx` says that the body does not use it; the expansion does.
        Pat::Ident(PatIdent { ident, .. }) if !ident.to_string().starts_with('_') => ident.clone(),
        _ => Ident::new("ctx", Span::call_site()),
    };
    // A context of a wrong type is then told at the type.
    name.set_span(added_at(context.ty.span()));
    name
}

/// The two statements before the body: the guard, and the user's pattern bound to the context in it.
fn session(context: &PatType, argument: &Ident, options: &Options, library: &Path) -> TokenStream {
    let PatType { attrs, pat, .. } = context;
    let base = options.base.as_ref().map(|key| quote! { .base(#key) });
    let timeout = options
        .timeout
        .as_ref()
        .map(|nanoseconds| quote! { .timeout(::core::time::Duration::from_nanos(#nanoseconds)) });
    let place = added_at(options.settings.as_ref().map_or_else(|| pat.span(), Spanned::span));
    let own = Ident::new("__mite_settings", place);
    // In a statement of its own, so that an expression of another type is told where it stands.
    let given = options.settings.as_ref().map(|expression| {
        quote_spanned! {place=> let #own: #library::__private::Settings = #expression; }
    });
    let settings = if given.is_some() {
        own.to_token_stream()
    } else {
        quote_spanned! {place=> #library::__private::Settings::new() }
    };
    quote_spanned! {added_at(pat.span())=>
        #given
        let mut __mite_session = #library::__private::attach(#argument, #settings #base #timeout);
        #(#attrs)*
        let #pat = &mut *__mite_session;
    }
}

/// Where the user reads about it, under names that only the expansion sees.
fn added_at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        mite_http(options, item).to_string()
    }

    #[test]
    fn the_session_is_a_guard_before_the_body() {
        let expansion = expanded(
            quote!(base = "app_url", timeout = "5s", crate = mite),
            quote! {
                async fn visit(ctx: &mut Context) -> Result { ctx.http().get("/").await?; Ok(()) }
            },
        );
        let expected = quote! {
            async fn visit(ctx: &mut Context) -> Result {
                let mut __mite_session = mite::__private::attach(
                    ctx,
                    mite::__private::Settings::new()
                        .base("app_url")
                        .timeout(::core::time::Duration::from_nanos(5000000000))
                );
                let ctx = &mut *__mite_session;
                '__mite_body: { ctx.http().get("/").await?; Ok(()) }
            }
        };
        assert_eq!(expansion, expected.to_string());
    }

    #[test]
    fn settings_are_made_before_the_guard_and_the_other_options_put_on_top() {
        let expansion = expanded(
            quote!(settings = strict(name), timeout = "1s", crate = mite),
            quote! { async fn visit(ctx: &mut Context, name: &str) -> Result { Ok(()) } },
        );
        let expected = quote! {
            async fn visit(ctx: &mut Context, name: &str) -> Result {
                let __mite_settings: mite::__private::Settings = strict(name);
                let mut __mite_session = mite::__private::attach(
                    ctx,
                    __mite_settings.timeout(::core::time::Duration::from_nanos(1000000000))
                );
                let ctx = &mut *__mite_session;
                '__mite_body: { Ok(()) }
            }
        };
        assert_eq!(expansion, expected.to_string());
    }

    #[test]
    fn everything_else_stays_where_it_is() {
        let expansion = expanded(
            quote!(crate = mite),
            quote! {
                /// Signs in.
                #[must_use]
                pub(crate) async fn signin<'a, T>(
                    #[expect(unused_mut)] mut _visit: &'a mut mite::Context,
                    mut name: String,
                    #[expect(unused)] (a, b): (T, T),
                ) -> Result<()> where T: Clone { #![expect(unused_labels)] Ok(()) }
            },
        );
        let expected = quote! {
            /// Signs in.
            #[must_use]
            pub(crate) async fn signin<'a, T>(
                ctx: &'a mut mite::Context,
                mut name: String,
                #[expect(unused)] (a, b): (T, T),
            ) -> Result<()> where T: Clone {
                #![expect(unused_labels)]
                let mut __mite_session = mite::__private::attach(ctx, mite::__private::Settings::new());
                #[expect(unused_mut)]
                let mut _visit = &mut *__mite_session;
                '__mite_body: { Ok(()) }
            }
        };
        assert_eq!(expansion, expected.to_string());
    }

    #[test]
    fn after_a_mistake_the_item_is_still_there() {
        for item in [
            quote!(fn visit(ctx: &mut Context) -> Result { ctx. }),
            quote!(async fn visit(ctx: &mut) -> Result {}),
            quote!(
                struct Visit;
            ),
        ] {
            let expansion = expanded(quote!(crate = mite), item.clone());
            assert!(expansion.contains("compile_error"), "{expansion}");
            assert!(expansion.ends_with(&item.to_string()), "{expansion}");
        }
    }
}
