use mite::prelude::*;

async fn visit(_ctx: &mut Context) {}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, constant(10, MINUTE));
}
