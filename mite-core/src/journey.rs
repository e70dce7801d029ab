//! What a user of the system does: an async function of a context and of data.
//!
//! It is apart from the row that runs it: any function of the right form is one.

use crate::{Context, Result};

/// An async function `(ctx: &mut Context, data…) -> Result`; one call of it is one user's visit.
///
/// You shouldn't need to implement or name this trait: plain functions, `#[mite_http]` functions and closures
/// `async |ctx: &mut Context, name: String| …` have it, with up to eight data arguments. `Args` is the tuple of the data
/// arguments, which is the item of the data pool that goes with it.
///
/// ```
/// # use mite_core::{Context, Journey, Result};
/// async fn visit(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// async fn signin(_ctx: &mut Context, _name: String) -> Result {
///     Ok(())
/// }
///
/// fn takes_nothing(_: impl Journey<()>) {}
/// fn takes_a_name(_: impl Journey<(String,)>) {}
///
/// takes_nothing(visit);
/// takes_a_name(signin);
/// takes_a_name(async |_ctx: &mut Context, _name: String| Ok(()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no journey for the items of this data pool",
    label = "is no journey, or takes other data than the pool has",
    note = "a journey is `async fn name(ctx: &mut Context, a: A, b: B) -> Result`: mind `async`, `&mut Context` and `-> Result`",
    note = "the items of its pool are tuples of its data arguments: `(A, B)` here, `(A,)` for one, and `NoData` for none"
)]
pub trait Journey<Args>: Clone + Send + 'static {
    /// Calls the function once.
    #[doc(hidden)]
    fn call(&self, ctx: &mut Context, args: Args) -> impl Future<Output = Result>;
}

macro_rules! arity {
    ($($arg:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<F, $($arg),*> Journey<($($arg,)*)> for F
        where
            F: AsyncFn(&mut Context, $($arg),*) -> Result + Clone + Send + 'static,
        {
            fn call(&self, ctx: &mut Context, args: ($($arg,)*)) -> impl Future<Output = Result> {
                #[expect(non_snake_case, reason = "the arguments go by the names of their types")]
                let ($($arg,)*) = args;
                self(ctx, $($arg),*)
            }
        }
    };
}

impl<F> Journey<()> for F
where
    F: AsyncFn(&mut Context) -> Result + Clone + Send + 'static,
{
    fn call(&self, ctx: &mut Context, (): ()) -> impl Future<Output = Result> {
        self(ctx)
    }
}
arity!(A);
arity!(A B);
arity!(A B C);
arity!(A B C D);
arity!(A B C D E);
arity!(A B C D E G);
arity!(A B C D E G H);
arity!(A B C D E G H I);

/// A journey's name, `module:function`, from its type's: generics and enclosing functions are left out. `None` for a
/// closure, which has no name.
pub(crate) fn name_of(type_name: &str) -> Option<String> {
    let bare = type_name.split('<').next().unwrap_or(type_name);
    if bare.ends_with("{{closure}}") {
        return None;
    }
    let segments: Vec<&str> = bare.split("::").filter(|segment| *segment != "{{closure}}").collect();
    let (function, modules) = segments.split_last()?;
    Some(format!("{}:{function}", modules.join("::")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_module_and_function() {
        let named = |name| name_of(name).unwrap();
        assert_eq!(named("signup::signin"), "signup:signin");
        assert_eq!(named("signup::journeys::signin"), "signup::journeys:signin");
        assert_eq!(named("shop::buy<alloc::string::String>"), "shop:buy");
        // A function within a test's body.
        assert_eq!(named("suite::everybody_can_sign_in::{{closure}}::signin"), "suite::everybody_can_sign_in:signin");
        assert_eq!(name_of("suite::main::{{closure}}"), None);
    }
}
