use mite::prelude::*;

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

fn main() {
    let usernames = RecyclableIterableDataPool::new([("ann".to_owned(),)]);
    let _ = Scenario::new().journey(|ctx, name| signin(ctx, name), usernames, constant(10, MINUTE));
}
