//! The usual crate: it depends on `mite-load`, whose library is `mite`.

use mite::prelude::*;

#[mite_http(base = "app_url", timeout = "5s")]
pub async fn look_around(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}
