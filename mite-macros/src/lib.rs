//! The attribute macros of mite, parsed and expanded. They are a crate of their own because the compiler loads a procedural
//! macro into itself; use them through `mite` or `mite_http`, which export them.

mod ast;
mod attr;
mod duration;
mod expand;
mod library;
mod valid;

use proc_macro::TokenStream;

/// Gives a journey an HTTP session, with the settings that its requests share.
///
/// The session is there before the body runs and is closed when the body is left: by its end, by `return` and `?`, by a
/// panic, or because the journey was cancelled. A journey without the attribute has a session with the default settings,
/// from its first `ctx.http()` on.
///
/// | option | what it says | unless given |
/// |---|---|---|
/// | `base = "app_url"` | the **config key** of the URL that relative URLs stand on | a relative URL is an error |
/// | `timeout = "5s"` | the time that one request may take; units are `us`, `ms`, `s`, `m` and `h` | the session's default |
/// | `settings = expression` | all else: `Settings`, made for each visit; `base` and `timeout` are put on top | the defaults |
/// | `crate = path` | where mite is, when the macro cannot find it by itself | `mite-load`, else `mite-http`, renamed or not |
///
/// The expression of `settings` sees the function's other arguments, such as a jar from a data pool, and not the context.
///
/// The function is an `async fn` whose first argument is a `&mut Context`, under any name. Its other arguments, its
/// attributes and its body are left as they are.
///
/// # Finding mite
///
/// The macro looks into the `Cargo.toml` of the crate that it is used in, first for the package `mite-load`, then for
/// `mite-http`. `crate = path` is needed where neither is named there (mite comes through another crate of yours), and
/// where `mite-load` is a dev-dependency beside `mite-http` as a dependency (the manifest does not say which of them the
/// code in hand is compiled with).
///
/// # Example
///
/// Here mite comes through another module, so that `crate` says where.
///
/// ```
/// # mod load {
/// #     pub type Result<T = (), E = std::convert::Infallible> = std::result::Result<T, E>;
/// #     pub struct Context;
/// #     pub mod __private {
/// #         use std::time::Duration;
/// #         pub struct Settings { pub base: &'static str, pub timeout: Duration }
/// #         impl Settings {
/// #             pub fn new() -> Self { Settings { base: "", timeout: Duration::ZERO } }
/// #             pub fn base(self, base: &'static str) -> Self { Settings { base, ..self } }
/// #             pub fn timeout(self, timeout: Duration) -> Self { Settings { timeout, ..self } }
/// #         }
/// #         pub fn attach(context: &mut super::Context, settings: Settings) -> &mut super::Context {
/// #             assert_eq!(settings.base, "app_url");
/// #             assert_eq!(settings.timeout, Duration::from_millis(1500));
/// #             context
/// #         }
/// #     }
/// #     pub use mite_macros::mite_http;
/// # }
/// use load::{Context, Result, mite_http};
///
/// #[mite_http(base = "app_url", timeout = "1.5s", crate = crate::load)]
/// async fn look_around(ctx: &mut Context) -> Result {
/// #   let _ = ctx;
///     // ctx.http().get("/").await?;
///     Ok(())
/// }
/// #
/// # fn main() {
/// #     use std::{future::Future, pin::pin, task::{Context as Task, Poll, Waker}};
/// #     let mut context = Context;
/// #     let visit = pin!(look_around(&mut context)).poll(&mut Task::from_waker(Waker::noop()));
/// #     assert_eq!(visit, Poll::Ready(Ok(())));
/// # }
/// ```
#[proc_macro_attribute]
pub fn mite_http(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::mite_http(options.into(), item.into()).into()
}
