#![deny(warnings)]
use mite::prelude::*;

async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |_ctx| Ok(()));
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, constant(10, MINUTE));
}
