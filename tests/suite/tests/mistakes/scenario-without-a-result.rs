use mite::prelude::*;

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

fn my_scenario() -> Scenario {
    let usernames = recorded::<(String,)>("recorder-data/users.msgpack")?;
    Scenario::new().journey(signin, RecyclableIterableDataPool::new(usernames), constant(10, MINUTE))
}

mite::main!(my_scenario);
