//! Whether a function can be a journey with a session. What is wrong is said at the tokens that are wrong, all of it at once.

use syn::{Error, FnArg, PatType, Result, Signature, Type, TypeReference};

/// The argument that is the journey's context.
pub(crate) fn context(signature: &Signature) -> Result<&PatType> {
    match (asynchronous(signature), context_argument(signature)) {
        (Ok(()), argument) => argument,
        (Err(error), Ok(_)) => Err(error),
        (Err(mut error), Err(other)) => {
            error.combine(other);
            Err(error)
        }
    }
}

fn asynchronous(signature: &Signature) -> Result<()> {
    if signature.asyncness.is_some() {
        return Ok(());
    }
    Err(Error::new(signature.fn_token.span, format!("a journey is asynchronous: write `async fn {}`", signature.ident)))
}

fn context_argument(signature: &Signature) -> Result<&PatType> {
    let name = &signature.ident;
    match signature.inputs.first() {
        None => {
            Err(Error::new_spanned(name, format!("a journey is handed its context: write `{name}(ctx: &mut Context)`")))
        }
        Some(FnArg::Receiver(receiver)) => Err(Error::new_spanned(
            receiver,
            "a journey has no `self`: its first argument is the context, `ctx: &mut Context`",
        )),
        Some(FnArg::Typed(argument)) if is_exclusive_reference(&argument.ty) => Ok(argument),
        Some(FnArg::Typed(argument)) => Err(Error::new_spanned(
            &argument.ty,
            "the first argument of a journey is its context, by `&mut` reference: write `&mut Context`",
        )),
    }
}

fn is_exclusive_reference(ty: &Type) -> bool {
    match ty {
        Type::Reference(TypeReference { mutability, .. }) => mutability.is_some(),
        Type::Group(group) => is_exclusive_reference(&group.elem),
        Type::Paren(paren) => is_exclusive_reference(&paren.elem),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn any_pattern_and_any_path_will_do() {
        for signature in [
            parse_quote!(async fn visit(ctx: &mut Context) -> Result),
            parse_quote!(async fn visit(mut context: &mut mite::Context, name: String) -> Result),
            parse_quote!(async fn visit<'a, T>(_: &'a mut Context, data: T) -> Result where T: Send),
            parse_quote!(async fn visit(ctx: (&mut Context)) -> Result),
        ] {
            assert!(context(&signature).is_ok());
        }
    }

    #[test]
    fn all_mistakes_are_told() {
        for (signature, mends) in [
            (parse_quote!(fn visit(ctx: &mut Context) -> Result), vec!["write `async fn visit`"]),
            (parse_quote!(async fn visit() -> Result), vec!["write `visit(ctx: &mut Context)`"]),
            (parse_quote!(async fn visit(&mut self) -> Result), vec!["has no `self`"]),
            (parse_quote!(async fn visit(ctx: &Context) -> Result), vec!["write `&mut Context`"]),
            (parse_quote!(async fn visit(name: String) -> Result), vec!["write `&mut Context`"]),
            (parse_quote!(fn visit() -> Result), vec!["write `async fn", "write `visit(ctx"]),
        ] {
            let errors: Vec<_> =
                context(&signature).err().unwrap().into_iter().map(|error| error.to_string()).collect();
            assert_eq!(errors.len(), mends.len(), "{errors:?}");
            for (error, mend) in errors.iter().zip(mends) {
                assert!(error.contains(mend), "{error}");
            }
        }
    }
}
