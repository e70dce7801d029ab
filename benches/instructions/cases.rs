//! The steps whose instructions are counted: each does one thing so many times, by the public API alone.
//!
//! All but one run under a single journey or slot, without timers: what happens does not depend on the time that it takes.

use std::hint::black_box;
use std::time::Duration;

use mite::http::{Http1, Settings};
use mite::prelude::*;
use mite::volume::at_once;
use mite::{Checkout, Histogram, Journey, RequestSample};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// It is done so many times, and eleven times as many: the cheaper it is, the more.
    pub(crate) times: u64,
    /// How often, and the address of a server.
    pub(crate) run: fn(u64, &str) -> Result,
}

pub(crate) const CASES: [Case; 11] = [
    Case { name: "journey", times: 1_000, run: journey },
    // No more than are made in the second after a row's end, under valgrind.
    Case { name: "start", times: 300, run: start },
    Case { name: "transaction", times: 1_000, run: transaction },
    Case { name: "check", times: 10_000, run: check },
    Case { name: "sample", times: 10_000, run: sample },
    Case { name: "histogram", times: 100_000, run: histogram },
    Case { name: "record", times: 10_000, run: record },
    Case { name: "checkout", times: 10_000, run: checkout },
    Case { name: "request", times: 10_000, run: request },
    Case { name: "get", times: 1_000, run: get },
    Case { name: "get-on-hyper", times: 1_000, run: get_on_hyper },
];

async fn noop(_ctx: &mut Context) -> Result {
    Ok(())
}

fn finished(row: Row) -> Result<Report> {
    let run = Run::new(Scenario::new().row(row)).record_in_memory().graceful_stop(600 * SECOND);
    let report = run.run_blocking()?;
    ensure!(report.errors.is_empty(), "the run has failed: {report}");
    Ok(report)
}

/// Runs one journey, which does something many times.
fn once(journey: impl Journey<()>) -> Result<Report> {
    finished(Row::new(journey, NoData, at_once(1)).named("once"))
}

/// An empty journey that follows another in its slot.
fn journey(times: u64, _address: &str) -> Result {
    let row = Row::new(noop, NoData, constant(Volume::running(1), 600 * SECOND).iterations(times));
    ensure!(finished(row)?.journeys[0].completed == times);
    Ok(())
}

/// An empty journey that has a task of its own.
fn start(times: u64, _address: &str) -> Result {
    ensure!(finished(Row::new(noop, NoData, at_once(times)))?.journeys[0].completed == times);
    Ok(())
}

fn transaction(times: u64, _address: &str) -> Result {
    let report = once(async move |ctx: &mut Context| {
        for _ in 0..times {
            ctx.transaction("step", async |_| Ok(())).await?;
        }
        Ok(())
    })?;
    ensure!(report.transactions.iter().any(|transaction| transaction.count == times));
    Ok(())
}

fn check(times: u64, _address: &str) -> Result {
    once(async move |ctx: &mut Context| {
        for _ in 0..times {
            ctx.check("it holds", black_box(true));
        }
        Ok(())
    })?;
    Ok(())
}

/// A request's figures, counted with the worker's.
fn sample(times: u64, _address: &str) -> Result {
    let report = once(async move |ctx: &mut Context| {
        let scope = ctx.scope();
        for number in 0..times {
            let total = Duration::from_micros(1_000 + number % 1_000);
            scope.request(&RequestSample { method: "GET", code: 200, bytes: 5, total, ..RequestSample::default() });
        }
        Ok(())
    })?;
    ensure!(report.requests.iter().map(|row| row.count).sum::<u64>() == times);
    Ok(())
}

fn histogram(times: u64, _address: &str) -> Result {
    let mut histogram = Histogram::new();
    for number in 0..times {
        histogram.record(black_box(Duration::from_micros(1_000 + number % 10_000)));
    }
    ensure!(histogram.count() == times);
    Ok(())
}

/// A map of 40 bytes, and what the recorder does with it.
fn record(times: u64, _address: &str) -> Result {
    #[derive(serde::Serialize)]
    struct User {
        n: u64,
        username: &'static str,
    }
    let report = once(async move |ctx: &mut Context| {
        for n in 0..times {
            ctx.record("users", User { n, username: "78af93af262f4c9dbe09bd73c1b2" }).await?;
        }
        Ok(())
    })?;
    ensure!(report.records.get("users") == Some(&times));
    Ok(())
}

fn checkout(times: u64, _address: &str) -> Result {
    once(async move |ctx: &mut Context| {
        let pool = RecyclableIterableDataPool::new((0..100_u64).map(|number| (number,)));
        for _ in 0..times {
            let Checkout::Item { id, item } = pool.checkout(ctx.config()).await? else { bail!("the pool is empty") };
            black_box(item);
            pool.checkin(id);
        }
        Ok(())
    })?;
    Ok(())
}

/// One that is made and not sent.
fn request(times: u64, _address: &str) -> Result {
    once(async move |ctx: &mut Context| {
        let http = ctx.http();
        for _ in 0..times {
            drop(black_box(http.get("http://localhost:8080/users?page=2").header("accept", "application/json")));
        }
        Ok(())
    })?;
    Ok(())
}

/// A plain GET over a kept connection.
fn get(times: u64, address: &str) -> Result {
    get_with(Settings::new(), times, address)
}

fn get_on_hyper(times: u64, address: &str) -> Result {
    get_with(Settings::new().http1(Http1::Hyper), times, address)
}

fn get_with(settings: Settings, times: u64, address: &str) -> Result {
    let url = format!("http://{address}/");
    let report = once(async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        let http = ctx.http();
        for _ in 0..times {
            http.get(&url).await?.error_for_status()?;
        }
        Ok(())
    })?;
    ensure!(report.requests.iter().map(|row| row.count).sum::<u64>() == times);
    Ok(())
}
