//! `cargo run --release --example signup`: fills a service with users and signs them in, the whole way of mite.
//!
//! Without arguments it starts its own service and runs both scenarios against it. With arguments it is a load-testing
//! tool for a service that runs elsewhere: `… -- scenario test create_users --set app_url=http://localhost:8080`.

mod scenarios;
mod service;

use std::process::ExitCode;

use mite::cli;
use mite::prelude::*;
use mite::{IntoScenario, Verdict};
use scenarios::{User, create_exactly, create_users, my_scenario};
use service::Service;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return cli::run(mite::scenarios!(create_users, my_scenario, create_exactly));
    }
    match demonstrate() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn demonstrate() -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let service = Service::start(&folder.path().join("users.db")).await.map_err(Error::from_boxed)?;
    println!("A signup service listens on {}.\n", service.url());

    println!("First, create_users signs up 50 users per second for 5 s and records them:\n");
    let created = run(create_users().named("create_users"), &service).await?;
    println!("{created}");
    if !created.passed() {
        return Ok(code(&created));
    }
    let rows = service.users().map_err(Error::from_boxed)?;
    let records = recorded::<User>("recorder-data/users.msgpack")?.len() as u64;
    let succeeded = created.journey("create_user").completed;
    println!(
        "{rows} rows in the database, {records} records in recorder-data/users.msgpack, {succeeded} journeys that succeeded.\n"
    );
    ensure!(rows == records && records == succeeded, "these three should be the same");

    println!("Then, my_scenario signs 100 of them in per second for 10 s:\n");
    let signed_in = run(my_scenario()?.named("my_scenario"), &service).await?;
    println!("{signed_in}");
    Ok(code(&signed_in))
}

/// Runs a scenario against the service; Ctrl-C stops it.
async fn run(scenario: impl IntoScenario, service: &Service) -> Result<Report> {
    let run = Run::new(scenario.into_scenario()?)
        .config("app_url", service.url())
        .recorder("recorder-data")
        // The service shares this machine, and a debug build of it is slow: that must not fail the demonstration.
        .max_start_lag(SECOND);
    Ok(cli::until_interrupted(run).await?)
}

fn code(report: &Report) -> ExitCode {
    match report.verdict {
        Verdict::Passed => ExitCode::SUCCESS,
        // Only Ctrl-C stops it before its end.
        Verdict::Aborted => ExitCode::from(130),
        _ => ExitCode::FAILURE,
    }
}
