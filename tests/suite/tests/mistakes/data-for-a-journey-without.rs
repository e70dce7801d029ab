use mite::prelude::*;

async fn visit(_ctx: &mut Context) -> Result {
    Ok(())
}

fn main() {
    let usernames = RecyclableIterableDataPool::new([("ann".to_owned(),)]);
    let _ = Scenario::new().journey(visit, usernames, constant(10, MINUTE));
}
