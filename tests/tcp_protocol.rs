//! The example of another protocol against a real redis-server, whose own count of commands must be the report's.

#[expect(dead_code, reason = "the example's `main` is what its users start")]
#[path = "../examples/tcp_protocol.rs"]
mod tcp_protocol;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};

use mite::prelude::*;
use mite::threshold::count;
use tcp_protocol::{RedisContext as _, start_redis, visits};

/// A server that ends with its test.
struct Redis {
    address: String,
    child: Option<Child>,
}

impl Redis {
    /// None where redis is not installed: then the test has nothing to do, and says so; on a CI machine that is a failure.
    fn start() -> Option<Self> {
        let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if is_there {
            let (address, child) = start_redis().expect("redis-server starts");
            return Some(Self { address, child });
        }
        let message = "redis-server is not installed: apt-get install redis-server";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty() || ci == "false"), "{message}");
        // Not by `eprintln!`, which the test harness keeps to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: {message}");
        None
    }

    /// How often redis says that each command was called, and how often one failed.
    async fn counted(&self) -> Result<BTreeMap<String, [u64; 2]>> {
        let asked = async |ctx: &mut Context| {
            let told = ctx.redis().command("INFO", &["commandstats"]).await?.unwrap_or_default();
            ctx.record("told", told).await
        };
        let scenario = Scenario::new().row(Row::new(asked, NoData, mite::volume::at_once(1)).named("info"));
        let report =
            Run::new(scenario).config("redis", &self.address).record_in_memory().max_start_lag(HOUR).run().await?;
        let told: Vec<String> = report.recorded("told")?;
        // `cmdstat_get:calls=2000,usec=…,usec_per_call=…,rejected_calls=0,failed_calls=0`
        let counted = told[0].lines().filter_map(|line| {
            let (command, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let figure = |name| figures.split(',').find_map(|figure| figure.strip_prefix(name)?.parse::<u64>().ok());
            let failed = figure("failed_calls=")? + figure("rejected_calls=")?;
            Some((command.to_uppercase(), [figure("calls=")? + figure("rejected_calls=")?, failed]))
        });
        Ok(counted.collect())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How many requests of a method the report has, and how many of them failed.
fn told(report: &Report, method: &str) -> [u64; 2] {
    let rows = || report.requests.iter().filter(move |row| row.method == method);
    let failed = rows().filter(|row| row.error.is_some() || row.code >= 400);
    [rows().map(|row| row.count).sum(), failed.map(|row| row.count).sum()]
}

#[tokio::test]
async fn redis_has_counted_what_the_report_tells() -> Result {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let report = Run::new(visits()).config("redis", &redis.address).max_start_lag(HOUR).run().await?;
    report.assert_no_errors();
    report.assert(count("remember").at_least(2000));
    let counted = redis.counted().await?;
    for command in ["SET", "GET", "PING"] {
        assert_eq!(told(&report, command), [2000, 0], "{report}");
        assert_eq!(counted[command], [2000, 0], "{counted:?}");
        let metric = report.metric("redis_commands_total").label("command", command);
        assert_eq!(metric.number(), Some(2000.0), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_command_that_redis_refuses_is_a_failed_request_and_the_connection_goes_on() -> Result {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let journey = async |ctx: &mut Context| {
        ctx.redis().command("SET", &["list", "no list"]).await?;
        let refused = ctx.redis().command("LPUSH", &["list", "item"]).await;
        ensure!(refused.is_err_and(|error| error.to_string().contains("WRONGTYPE")));
        ensure!(ctx.redis().command("GET", &["nothing"]).await?.is_none());
        Ok(())
    };
    let scenario = Scenario::new().row(Row::new(journey, NoData, constant(50, SECOND)).named("refused"));
    let report = Run::new(scenario).config("redis", &redis.address).max_start_lag(HOUR).run().await?;
    assert_eq!(report.journey("refused").completed, 50, "{report}");
    let counted = redis.counted().await?;
    assert_eq!((told(&report, "LPUSH"), counted["LPUSH"]), ([50, 50], [50, 50]), "{counted:?}");
    assert_eq!(report.failed_exchanges()[0].request, "LPUSH list item");
    Ok(())
}

#[tokio::test]
async fn where_nobody_listens_each_journey_fails_by_its_connection() -> Result {
    // Port 1 is nobody's on any machine; one that was just freed may be another test's by now.
    let report = Run::new(visits()).config("redis", "127.0.0.1:1").max_start_lag(HOUR).run().await?;
    assert_eq!(report.journey("remember").failed, 2000, "{report}");
    assert!(report.requests.iter().all(|row| row.error.as_deref() == Some("connect")), "{report}");
    Ok(())
}
