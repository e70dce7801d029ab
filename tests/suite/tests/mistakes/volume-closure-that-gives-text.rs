use mite::prelude::*;

async fn visit(_ctx: &mut Context) -> Result {
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, |_start, _end| "50");
}
