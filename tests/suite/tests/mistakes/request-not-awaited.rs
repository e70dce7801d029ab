#![deny(warnings)]
use mite::prelude::*;

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.http().get("/");
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, constant(10, MINUTE));
}
