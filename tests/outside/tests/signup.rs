//! The two scenarios of data creation and use, against the service in the test's own runtime.

use mite::prelude::*;
use outside::spawn_app;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct User {
    username: String,
}

#[mite_http(base = "app_url")]
async fn create_user(ctx: &mut Context) -> Result {
    let username = Uuid::new_v4().simple().to_string();
    ctx.transaction("Create user", async |ctx| {
        let user = json!({"username": username, "password": "test1234"});
        ctx.http().post("/users/create").json(&user).await?.error_for_status()?;
        ctx.record("users", &User { username }).await
    })
    .await
}

#[mite_http(base = "app_url")]
async fn signin(ctx: &mut Context, username: String) -> Result {
    ctx.transaction("Log in", async |ctx| {
        let user = json!({"username": username, "password": "test1234"});
        ctx.http().post("/login").json(&user).await?.error_for_status()?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn users_sign_up_and_then_in() -> Result {
    let app = spawn_app().await;

    let create_users = Scenario::new().journey(create_user, NoData, constant(50, 2 * SECOND));
    let report = Run::new(create_users).config("app_url", app.url()).record_in_memory().run().await?;
    report.assert_no_errors();
    assert_eq!(report.records["users"], 100);
    assert_eq!(app.users(), 100);

    let users = report.recorded::<User>("users")?;
    let usernames = RecyclableIterableDataPool::new(users.into_iter().map(|user| (user.username,)));
    let my_scenario = Scenario::new().journey(signin, usernames, |_start, _end| 100);
    let report = Run::new(my_scenario).config("app_url", app.url()).stop_after(2 * SECOND).run().await?;
    report.assert_no_errors();
    assert_eq!(report.journey("signin").planned, 200);
    assert_eq!(report.journey("signin").completed, 200);
    assert_eq!(report.transaction("Log in").count, 200);
    Ok(())
}
