use mite::prelude::*;

async fn visit(_ctx: &mut Context) -> Result {
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(visit, NoData, |start, _end| start.as_secs() + 1);
}
