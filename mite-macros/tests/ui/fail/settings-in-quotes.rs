use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, reason = "no case uses all of it")]
mod fake;
use fake::*;

#[mite_http(settings = "strict", crate = fake)]
async fn visit(ctx: &mut Context) -> Result {
    let _ = ctx;
    Ok(())
}

fn main() {}
