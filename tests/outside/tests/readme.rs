//! The README's example, word for word: see `tests/readme.rs` of mite.

use outside::spawn_app;

// README
use mite::prelude::*;

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |ctx| {
        ctx.http().get("/").await?.error_for_status()?;
        Ok(())
    })
    .await
}

fn visitors() -> Scenario {
    Scenario::new().journey(visit, NoData, constant(100, 2 * SECOND))
}

#[tokio::test]
async fn the_front_page_holds_a_hundred_visitors_per_second() -> Result {
    let app = spawn_app().await; // the service under test, in the same process
    let report = Run::new(visitors()).config("app_url", app.url()).run().await?;
    report.assert_no_errors();
    assert_eq!(report.journey("visit").completed, 200);
    Ok(())
}
// README
