use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, reason = "no case uses all of it")]
mod fake;
use fake::*;

#[mite_http(crate = fake)]
async fn visit(name: String, ctx: &mut Context) -> Result {
    let _ = (name, ctx);
    Ok(())
}

fn main() {}
