//! A crate that calls the facade by a name of its own.

use load::prelude::*;

#[mite_http(base = "app_url", timeout = "5s")]
pub async fn look_around(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}
