use mite::prelude::*;

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

fn main() {
    let ids = RecyclableIterableDataPool::new([(1_u64,), (2,)]);
    let _ = Scenario::new().journey(signin, ids, constant(10, MINUTE));
}
