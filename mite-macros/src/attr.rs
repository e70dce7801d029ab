//! What stands in the parentheses of `#[mite_http(…)]`. Each mistake is refused at its own tokens, with the mend.

use proc_macro2::Span;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

use crate::duration;

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) settings: Option<Expr>,
    pub(crate) base: Option<LitStr>,
    /// In nanoseconds, at the place of the text that says so.
    pub(crate) timeout: Option<LitInt>,
    pub(crate) library: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            options.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(
                "expected an option: `base = \"app_url\"`, `timeout = \"5s\"`, `settings = expression` or `crate = path`",
            ));
        }
        let name = input.call(Ident::parse_any)?;
        match name.to_string().as_str() {
            "base" => set(&mut self.base, &name, || base(value(&name, "\"app_url\"", input)?)),
            "timeout" => set(&mut self.timeout, &name, || timeout(value(&name, "\"5s\"", input)?)),
            "settings" => set(&mut self.settings, &name, || settings(value(&name, "my_settings()", input)?)),
            "crate" => set(&mut self.library, &name, || library(value(&name, "mite", input)?)),
            other => Err(Error::new_spanned(
                &name,
                format!("unknown option `{other}`: `#[mite_http]` knows `base`, `timeout`, `settings` and `crate`"),
            )),
        }
    }
}

fn set<T>(option: &mut Option<T>, name: &Ident, parse: impl FnOnce() -> Result<T>) -> Result<()> {
    if option.is_some() {
        return Err(Error::new_spanned(name, format!("`{name}` is given twice: keep one of them")));
    }
    *option = Some(parse()?);
    Ok(())
}

/// What follows the `=` after an option's name.
fn value<'a>(name: &Ident, example: &str, input: ParseStream<'a>) -> Result<ParseStream<'a>> {
    if !input.peek(Token![=]) || input.peek(Token![==]) || input.peek(Token![=>]) {
        return Err(Error::new_spanned(name, format!("`{name}` needs a value: write `{name} = {example}`")));
    }
    input.parse::<Token![=]>()?;
    Ok(input)
}

fn base(input: ParseStream<'_>) -> Result<LitStr> {
    let key = string(input, "`base` is the name of a config key, as a string: `base = \"app_url\"`")?;
    let text = key.value();
    if text.is_empty() || text.contains("://") {
        return Err(Error::new_spanned(
            key,
            "`base` is the name of the config key that holds the URL, not the URL: \
             write `base = \"app_url\"`, and set `app_url` in the run's config",
        ));
    }
    Ok(key)
}

fn timeout(input: ParseStream<'_>) -> Result<LitInt> {
    let text = string(input, "`timeout` is a string with its unit: `timeout = \"5s\"`")?;
    match duration::nanoseconds(&text.value()) {
        Ok(nanoseconds) => Ok(LitInt::new(&nanoseconds.to_string(), Span::mixed_site().located_at(text.span()))),
        Err(refusal) => Err(Error::new_spanned(&text, refusal.message(&text.value()))),
    }
}

fn settings(input: ParseStream<'_>) -> Result<Expr> {
    let value: Expr = input.parse()?;
    match value {
        Expr::Lit(literal) => Err(Error::new_spanned(
            literal,
            "`settings` is an expression that makes `Settings`: `settings = my_settings()`",
        )),
        value => Ok(value),
    }
}

fn library(input: ParseStream<'_>) -> Result<Path> {
    if input.peek(Lit) {
        return Err(input.error("`crate` is a path and stands without quotes: `crate = mite`"));
    }
    input.call(Path::parse_mod_style)
}

fn string(input: ParseStream<'_>, mend: &str) -> Result<LitStr> {
    let mut value: Expr = input.parse()?;
    // A `$key:literal` of a `macro_rules!` comes in a group without delimiters.
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.suffix().is_empty() => Ok(text),
        other => Err(Error::new_spanned(other, mend)),
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;

    #[test]
    fn without_options_nothing_is_set() {
        let options: Options = syn::parse2(quote!()).unwrap();
        assert!(options.base.is_none() && options.timeout.is_none() && options.library.is_none());
        assert!(options.settings.is_none());
    }

    #[test]
    fn options_come_in_any_order() {
        let options: Options = syn::parse2(quote!(
            crate = ::load::mite,
            timeout = "1.5s",
            settings = Settings::new().redirects(a + b, c),
            base = "app_url",
        ))
        .unwrap();
        let settings = options.settings.to_token_stream().to_string();
        assert_eq!(settings, "Settings :: new () . redirects (a + b , c)");
        assert_eq!(options.base.unwrap().value(), "app_url");
        assert_eq!(options.timeout.unwrap().base10_parse::<u64>().unwrap(), 1_500_000_000);
        assert_eq!(options.library.to_token_stream().to_string(), ":: load :: mite");
    }

    #[test]
    fn mistakes_are_refused_with_the_mend() {
        for (options, mend) in [
            (quote!(tiemout = "5s"), "unknown option `tiemout`"),
            (quote!("app_url"), "expected an option"),
            (quote!(base), "write `base = \"app_url\"`"),
            (quote!(base("app_url")), "write `base = \"app_url\"`"),
            (quote!(base == "app_url"), "write `base = \"app_url\"`"),
            (quote!(base = 8080), "as a string"),
            (quote!(base = b"app_url"), "as a string"),
            (quote!(base = "http://localhost"), "not the URL"),
            (quote!(base = ""), "not the URL"),
            (quote!(timeout = 5), "with its unit"),
            (quote!(timeout = "5"), "is no duration"),
            (quote!(timeout = "0s"), "timeout of zero"),
            (quote!(settings), "write `settings = my_settings()`"),
            (quote!(settings = "strict"), "an expression that makes `Settings`"),
            (quote!(settings = a(), settings = b()), "`settings` is given twice"),
            (quote!(crate = "mite"), "without quotes"),
            (quote!(base = "a", timeout = "5s", base = "b"), "`base` is given twice"),
            (quote!(base = "a" timeout = "5s"), "expected `,`"),
        ] {
            let error = syn::parse2::<Options>(options.clone()).err().unwrap().to_string();
            assert!(error.contains(mend), "{options}: {error}");
        }
    }
}
