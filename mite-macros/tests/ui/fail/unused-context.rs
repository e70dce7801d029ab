#![deny(warnings)]

use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, reason = "no case uses all of it")]
mod fake;
use fake::*;

// As for any function: the warning is on the user's own name.
#[mite_http(crate = fake)]
async fn visit(ctx: &mut Context) -> Result {
    Ok(())
}

fn main() {
    let _ = visit(&mut Context::default());
}
