#![deny(warnings)]
use mite::prelude::*;

async fn create_user(ctx: &mut Context) -> Result {
    ctx.record("users", "ann");
    ctx.send("purge_data", "users");
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(create_user, NoData, constant(10, MINUTE));
}
