//! The journeys and scenarios: what a user of the signup service does, and how often.

use mite::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// The same for all users: only their names are recorded.
const PASSWORD: &str = "test1234";

/// What is recorded of each user who has signed up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct User {
    username: String,
}

#[mite_http]
async fn create_user(ctx: &mut Context) -> Result {
    let username = Uuid::new_v4().simple().to_string();
    ctx.transaction("Create user", async |ctx| sign_up(ctx, username).await).await
}

#[mite_http]
async fn create_named_user(ctx: &mut Context, username: String) -> Result {
    ctx.transaction("Create named user", async |ctx| sign_up(ctx, username).await).await
}

async fn sign_up(ctx: &mut Context, username: String) -> Result {
    let app = ctx.config().get::<String>("app_url")?;
    ctx.http()
        .post(format!("{app}/users/create"))
        .json(&json!({"username": username, "password": PASSWORD}))
        .await?
        .error_for_status()?;
    ctx.record("users", &User { username }).await
}

#[mite_http]
async fn signin(ctx: &mut Context, username: String) -> Result {
    ctx.transaction("Log in", async |ctx| {
        let app = ctx.config().get::<String>("app_url")?;
        ctx.http()
            .post(format!("{app}/login"))
            .json(&json!({"username": username, "password": PASSWORD}))
            .await?
            .error_for_status()?;
        Ok(())
    })
    .await
}

/// Signs users up for a specific time at a specific rate, and starts their list anew.
pub(crate) fn create_users() -> Scenario {
    Scenario::new().setup(forget_users).journey(create_user, NoData, constant(50, 5 * SECOND))
}

/// Signs the recorded users in, again and again.
pub(crate) fn my_scenario() -> Result<Scenario> {
    let usernames = recorded::<User>("recorder-data/users.msgpack")?.into_iter().map(|user| (user.username,));
    let users = RecyclableIterableDataPool::new(usernames);
    Ok(Scenario::new().journey(signin, users, constant(100, 10 * SECOND)))
}

/// Signs up precisely as many users as `users` in the config says (250 unless told otherwise): the journey runs once for each
/// item of the pool. The names begin with `prefix`, since a service takes each name once.
pub(crate) fn create_exactly(config: &mut Config) -> Result<Scenario> {
    let users: u64 = config.get_or("users", 250)?;
    let prefix = config.get_or("prefix", Uuid::new_v4().simple().to_string())?;
    let names = IterableDataPool::new((1..=users).map(move |n| (format!("{prefix}-{n}"),)));
    Ok(Scenario::new().setup(forget_users).journey(create_named_user, names, constant(100, 10 * SECOND)))
}

async fn forget_users(ctx: &mut Context) -> Result {
    ctx.send("purge_data", json!({"name": "users"})).await
}
