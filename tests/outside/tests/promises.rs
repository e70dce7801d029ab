//! What the service promises, as a suite of its own would hold it to: logins are quick, and do not fail.
//!
//! `SERVICE_FAULT=slow-query` or `no-connection` in the environment starts it with a fault, and the suite finds it.

use mite::prelude::*;
use mite::threshold::{count, error_rate, ms, p95, percent, request};
use outside::{App, Fault, spawn_app_with};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
struct User {
    username: String,
}

#[mite_http(base = "app_url")]
async fn create_user(ctx: &mut Context) -> Result {
    let username = format!("user{}", ctx.start_index());
    let user = json!({"username": username, "password": "test1234"});
    ctx.http().post("/users/create").json(&user).await?.error_for_status()?;
    ctx.record("users", &User { username }).await
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

/// The service, with the fault that the environment asks for.
async fn service() -> Result<App> {
    let fault = match std::env::var("SERVICE_FAULT").as_deref() {
        Err(_) => None,
        Ok("slow-query") => Some(Fault::SlowQuery),
        Ok("no-connection") => Some(Fault::NoConnection),
        Ok(other) => bail!("SERVICE_FAULT is slow-query or no-connection, not {other:?}"),
    };
    Ok(spawn_app_with(fault).await)
}

/// Signs a hundred users up, then in, a hundred per second for 2 s.
async fn logins(app: &App) -> Result<Report> {
    let sign_up = Scenario::new().journey(create_user, NoData, constant(200, SECOND / 2));
    let report = Run::new(sign_up).config("app_url", app.url()).record_in_memory().run().await?;
    report.assert_no_errors();
    let usernames = report.recorded::<User>("users")?.into_iter().map(|user| (user.username,));
    let pool = RecyclableIterableDataPool::new(usernames);
    let sign_in = Scenario::new().journey(signin, pool, constant(100, 2 * SECOND));
    Ok(Run::new(sign_in).config("app_url", app.url()).run().await?)
}

#[tokio::test]
async fn logins_are_quick() -> Result {
    let app = service().await?;
    let report = logins(&app).await?;
    report.assert(p95("Log in").under(ms(300)));
    assert!(report.journey("signin").p50() < ms(300));
    Ok(())
}

#[tokio::test]
async fn logins_do_not_fail() -> Result {
    let app = service().await?;
    let report = logins(&app).await?;
    report.assert_all([
        error_rate().under(percent(1.0)),
        count("signin").at_least(200),
        count(request("POST", "Log in")).at_least(200),
    ]);
    report.assert_no_errors();
    Ok(())
}
