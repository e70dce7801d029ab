use mite::prelude::*;

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |_| {
        ctx.http().get("/").await?.error_for_status()?;
        Ok(())
    })
    .await
}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, constant(10, MINUTE));
}
