//! A crate that calls the parts by names of its own.

use load_core::{Context, Result};
use load_http::mite_http;
use load_http::*;

#[mite_http(base = "app_url", timeout = "5s")]
pub async fn look_around(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}
