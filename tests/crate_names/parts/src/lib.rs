//! A crate without the facade, on the parts alone, and on the edition before.

use mite_core::{Context, Result};
use mite_http::mite_http;
use mite_http::*;

#[mite_http(base = "app_url", timeout = "5s")]
pub async fn look_around(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}

struct Note<'a>(#[expect(dead_code, reason = "held, not used")] &'a mut Context);

impl Note<'_> {
    fn done(&self) -> Result {
        Ok(())
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {}
}

/// Until edition 2024, what the last expression borrows outlives the locals of its block: the session must outlive it too.
#[mite_http(base = "app_url", timeout = "5s")]
pub async fn borrows_to_the_end(ctx: &mut Context) -> Result {
    Note(ctx).done()
}
