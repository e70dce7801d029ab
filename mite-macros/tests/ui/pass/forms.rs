//! Every form of a journey that plain Rust has, without a warning that the plain function would not have.
#![deny(warnings, clippy::pedantic)]

use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, clippy::pedantic, reason = "no case uses all of it")]
mod fake;
use fake::{Context, Result};

#[mite_http(crate = fake)]
async fn plain(ctx: &mut Context) -> Result {
    assert!(ctx.base.is_none() && ctx.timeout.is_none());
    Ok(())
}

#[mite_http(crate = crate::fake, timeout = "1.5s", base = "app_url",)]
async fn options(ctx: &mut Context) -> Result {
    assert_eq!(ctx.base, Some("app_url"));
    assert_eq!(ctx.timeout, Some(std::time::Duration::from_millis(1500)));
    Ok(())
}

#[mite_http(crate = fake, settings = fake::__private::Settings::new().base(base).timeout(std::time::Duration::ZERO), timeout = "1s")]
async fn settings(ctx: &mut Context, base: &'static str) -> Result {
    assert_eq!(ctx.base, Some(base));
    assert_eq!(ctx.timeout, Some(std::time::Duration::from_secs(1)));
    Ok(())
}

#[mite_http(crate = self::fake)]
async fn unused(_ctx: &mut Context) -> Result {
    Ok(())
}

#[mite_http(crate = fake)]
async fn nameless(_: &mut Context) -> Result {
    Ok(())
}

#[mite_http(crate = fake)]
async fn another_name(r#type: &mut fake::Context) -> Result {
    r#type.base = None;
    Ok(())
}

#[mite_http(crate = fake)]
async fn moved(mut ctx: &mut Context) -> Result {
    let mut other = Context::default();
    if ctx.base.is_none() {
        ctx = &mut other;
    }
    ctx.base = Some("other");
    Ok(())
}

#[mite_http(crate = fake)]
async fn lifetimes<'a>(ctx: &'a mut Context, name: &'a str) -> Result<&'a str> {
    let _: &mut Context = ctx;
    Ok(name)
}

#[mite_http(crate = fake)]
async fn with_data<T>(ctx: &mut Context, mut name: String, #[expect(unused_variables)] age: u8, (left, right): (T, T)) -> Result
where
    T: PartialEq + Copy,
{
    let _ = ctx;
    name.push('!');
    assert!(name == "Ada!" && left == right);
    Ok(())
}

#[mite_http(crate = fake)]
async fn attributes_on_the_context(#[expect(unused_variables, reason = "for the test")] ctx: &mut Context) -> Result {
    Ok(())
}

#[mite_http(crate = fake)]
async fn attributes_in_the_body(_: &mut Context) -> Result {
    #![expect(unused_variables, reason = "for the test")]
    let unused = 1;
    Ok(())
}

/// Documented.
#[mite_http(crate = fake)]
#[must_use]
pub(crate) async fn documented(ctx: &mut Context) -> bool {
    let ctx = &*ctx;
    ctx.base.is_none()
}

#[rustfmt::skip]
#[mite_http(crate = fake)]
async fn in_one_line(_: &mut Context) -> Result { Ok(()) }

#[mite_http(crate = fake)]
async fn never_ends(_: &mut Context) -> Result {
    panic!("ended")
}

#[mite_http(crate = fake)]
#[expect(unused_variables, reason = "for the test")]
async fn expectation_on_the_function(ctx: &mut Context) -> Result {
    Ok(())
}

struct Shop;

impl Shop {
    #[mite_http(crate = fake)]
    async fn associated(ctx: &mut Context) -> Result {
        let _ = ctx;
        Ok(())
    }
}

macro_rules! journey {
    ($name:ident, $context:ty, $base:literal, $library:path, $body:block) => {
        #[mite_http(base = $base, crate = $library)]
        async fn $name(_ctx: $context) -> Result $body
    };
}

journey!(from_a_macro, &mut Context, "app_url", fake, { Ok(()) });

fn main() -> Result {
    let ctx = &mut Context::default();
    fake::run(plain(ctx))?;
    fake::run(options(ctx))?;
    fake::run(settings(ctx, "other_url"))?;
    fake::run(unused(ctx))?;
    fake::run(nameless(ctx))?;
    fake::run(another_name(ctx))?;
    fake::run(moved(ctx))?;
    assert_eq!(fake::run(lifetimes(ctx, "Ada"))?, "Ada");
    fake::run(with_data(ctx, "Ada".to_owned(), 36, (1, 1)))?;
    fake::run(attributes_on_the_context(ctx))?;
    fake::run(attributes_in_the_body(ctx))?;
    assert!(fake::run(documented(ctx)));
    drop(never_ends(ctx));
    fake::run(in_one_line(ctx))?;
    fake::run(expectation_on_the_function(ctx))?;
    fake::run(Shop::associated(ctx))?;
    fake::run(from_a_macro(ctx))?;
    Ok(())
}
