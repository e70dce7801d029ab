//! The function under the attribute: its signature as a tree, its body as the tokens it was written in. A body that does
//! not parse (someone is typing in it) then still reaches the compiler, and with it the editor.

use proc_macro2::{Delimiter, Group, TokenTree};
use syn::{
    Attribute, Error, LitStr, Result, Signature, Token, Visibility,
    parse::{Parse, ParseStream, Parser},
};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Body,
}

pub(crate) struct Body {
    /// Attributes such as `#![expect(unused)]` may stand in a function's body only, and not in the block inside of it.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) block: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        refuse_other_items(input)?;
        let signature: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(Error::new_spanned(
                &signature.ident,
                "a journey needs a body: `#[mite_http]` goes on the function that has it, not on its declaration",
            ));
        }
        let body = input.parse()?;
        Ok(Function { attrs, vis, signature, body })
    }
}

/// Looks past what may stand before `fn`, and answers with an error when something else comes.
fn refuse_other_items(input: ParseStream<'_>) -> Result<()> {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![const]) || ahead.peek(Token![async]) || ahead.peek(Token![unsafe]) {
            ahead.parse::<TokenTree>()?;
        } else if ahead.peek(Token![extern]) {
            ahead.parse::<TokenTree>()?;
            ahead.parse::<Option<LitStr>>()?;
        } else {
            break;
        }
    }
    if ahead.peek(Token![fn]) {
        return Ok(());
    }
    Err(Error::new(ahead.span(), "`#[mite_http]` goes on a function: write it above the journey's `async fn`"))
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let block = unwrapped(input.parse()?)
            .filter(|group| group.delimiter() == Delimiter::Brace)
            .ok_or_else(|| input.error("expected the function's body"))?;
        let split = |content: ParseStream<'_>| Ok((content.call(Attribute::parse_inner)?, content.parse()?));
        match split.parse2(block.stream()) {
            Ok((attrs, rest)) if !attrs.is_empty() => {
                let mut inner = Group::new(Delimiter::Brace, rest);
                inner.set_span(block.span());
                Ok(Body { attrs, block: inner })
            }
            _ => Ok(Body { attrs: Vec::new(), block }),
        }
    }
}

/// A `$body:block` of a `macro_rules!` comes in a group without delimiters.
fn unwrapped(token: TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    if group.delimiter() != Delimiter::None {
        return Some(group);
    }
    let mut tokens = group.stream().into_iter();
    let only = tokens.next()?;
    tokens.next().is_none().then(|| unwrapped(only)).flatten()
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;

    fn function(tokens: TokenStream) -> Result<Function> {
        syn::parse2(tokens)
    }

    #[test]
    fn a_body_need_not_parse() {
        let parsed = function(quote! { async fn visit(ctx: &mut Context) -> Result { ctx. } }).unwrap();
        assert_eq!(parsed.body.block.to_string(), "{ ctx . }");
    }

    #[test]
    fn inner_attributes_are_taken_out_of_the_body() {
        let parsed = function(quote! { async fn visit() { #![expect(unused)] ; let } }).unwrap();
        assert_eq!(parsed.body.attrs.len(), 1);
        assert_eq!(parsed.body.block.to_string(), "{ ; let }");
    }

    #[test]
    fn a_body_may_come_from_a_macro() {
        let block = Group::new(Delimiter::None, quote! { { Ok(()) } });
        let parsed = function(quote! { async fn visit() #block }).unwrap();
        assert_eq!(parsed.body.block.to_string(), "{ Ok (()) }");
    }

    #[test]
    fn whatever_stands_before_fn_is_part_of_the_function() {
        for before in [quote!(pub), quote!(pub(crate) async), quote!(async unsafe), quote!(unsafe extern "C")] {
            assert!(function(quote! { #before fn visit() {} }).is_ok(), "{before}");
        }
    }

    #[test]
    fn other_items_are_refused_in_words() {
        for item in [
            quote!(
                struct Visit;
            ),
            quote!(
                pub mod visit {}
            ),
            quote!(
                unsafe impl Send for Visit {}
            ),
            quote!(
                const VISIT: u8 = 1;
            ),
            quote!(
                extern crate mite;
            ),
            quote!(),
        ] {
            let error = function(item.clone()).err().unwrap().to_string();
            assert!(error.contains("goes on a function"), "{item}: {error}");
        }
    }
}
