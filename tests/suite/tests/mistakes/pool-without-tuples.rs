use mite::prelude::*;

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

fn main() {
    let usernames = RecyclableIterableDataPool::new(["ann".to_owned(), "bob".to_owned()]);
    let _ = Scenario::new().journey(signin, usernames, constant(10, MINUTE));
}
