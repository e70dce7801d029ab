//! `goose-peer URL CONNECTIONS SECONDS`: what `cargo bench --bench versus` asks of goose. One user for each connection sends one
//! GET after another and reads the answer.

use std::error::Error;

use goose::config::{GooseConfiguration, GooseDefault};
use goose::metrics::GooseMetrics;
use goose::prelude::*;

async fn get(user: &mut GooseUser) -> TransactionResult {
    let goose = user.get("/").await?;
    if let Ok(response) = goose.response {
        response.bytes().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(connections), Some(seconds)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("goose-peer URL CONNECTIONS SECONDS".into());
    };
    let (connections, seconds): (usize, usize) = (connections.parse()?, seconds.parse()?);
    // goose reads the command line otherwise.
    let configuration = GooseConfiguration::default();
    let metrics: GooseMetrics = GooseAttack::initialize_with_config(configuration)?
        .register_scenario(scenario!("closed").register_transaction(transaction!(get)))
        .set_default(GooseDefault::Host, url.as_str())?
        .set_default(GooseDefault::Users, connections)?
        .set_default(GooseDefault::IncreaseRate, "1000")?
        .set_default(GooseDefault::RunTime, seconds)?
        // What was sent while users were started counts too.
        .set_default(GooseDefault::NoResetMetrics, true)?
        .set_default(GooseDefault::Quiet, 2_usize)?
        .execute()
        .await?;
    let requests = metrics.requests.values();
    let (ok, failed) = requests.fold((0, 0), |(ok, failed), row| (ok + row.success_count, failed + row.fail_count));
    println!("{ok} succeeded, {failed} failed");
    Ok(())
}
