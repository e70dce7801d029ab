use mite::prelude::*;

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

fn main() {
    let _ = Scenario::new().journey(signin, NoData, constant(10, MINUTE));
}
