//! The session is open while the body runs, and closed on whichever way it is left, after what the body holds.

use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, reason = "no case uses all of it")]
mod fake;
use fake::*;

struct Held<'a>(&'a mut Context);

impl Held<'_> {
    fn answer(&self) -> Result {
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        log("body left");
    }
}

#[mite_http(crate = fake)]
async fn to_the_end(ctx: &mut Context) -> Result {
    // What the last expression borrows from the context lives until the body is left, and no longer.
    Held(ctx).answer()
}

#[mite_http(crate = fake)]
async fn by_return(ctx: &mut Context) -> Result {
    let _held = Held(ctx);
    if true {
        return Ok(());
    }
    log("not here");
    Ok(())
}

#[mite_http(crate = fake)]
async fn by_an_error(ctx: &mut Context) -> Result {
    let _held = Held(ctx);
    Err("no")?;
    log("not here");
    Ok(())
}

#[mite_http(crate = fake)]
async fn by_a_panic(ctx: &mut Context) -> Result {
    let _held = Held(ctx);
    std::panic::resume_unwind(Box::new("no"))
}

#[mite_http(crate = fake)]
async fn by_being_cancelled(ctx: &mut Context) -> Result {
    let _held = Held(ctx);
    std::future::pending().await
}

fn main() {
    let closed = ["opened", "body left", "closed"];

    run(to_the_end(&mut Context::default())).unwrap();
    assert_eq!(logged(), closed);

    run(by_return(&mut Context::default())).unwrap();
    assert_eq!(logged(), closed);

    run(by_an_error(&mut Context::default())).unwrap_err();
    assert_eq!(logged(), closed);

    std::panic::catch_unwind(|| run(by_a_panic(&mut Context::default()))).unwrap_err();
    assert_eq!(logged(), closed);

    let mut context = Context::default();
    let mut cancelled = Box::pin(by_being_cancelled(&mut context));
    assert!(poll(cancelled.as_mut()).is_pending());
    assert_eq!(logged(), closed[..1]);
    drop(cancelled);
    assert_eq!(logged(), closed[1..]);
}
