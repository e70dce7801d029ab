use mite_macros::mite_http;

#[path = "../fake.rs"]
#[expect(dead_code, reason = "no case uses all of it")]
mod fake;
use fake::*;

struct Shop;

impl Shop {
    #[mite_http(crate = fake)]
    async fn visit(&self, ctx: &mut Context) -> Result {
        let _ = ctx;
        Ok(())
    }
}

fn main() {
    let _ = Shop.visit(&mut Context::default());
}
