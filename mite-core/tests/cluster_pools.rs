//! Data pools in a cluster: items that are handed out once are so on all runners together, and those that come back have one
//! holder at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mite_core::bus::Local;
use mite_core::cluster::{Join, Lead, join};
use mite_core::volume::{SECOND, constant};
use mite_core::{
    Context, DataPool, Error, IterableDataPool, RecyclableIterableDataPool, Report, Result, Row, Run, Scenario,
    SingleRunDataPool,
};

/// Who has had an item, and who has it now.
#[derive(Default)]
struct Seen {
    times: BTreeMap<u64, u32>,
    now: BTreeMap<u64, u32>,
    doubled: Vec<u64>,
}

type Log = Arc<Mutex<Seen>>;

fn scenario<P: DataPool<Item = (u64,)>>(pool: P, rate: u32, length: Duration, log: &Log) -> Scenario {
    let log = Arc::clone(log);
    let visit = async move |_ctx: &mut Context, item: u64| {
        {
            let mut seen = log.lock().unwrap();
            *seen.times.entry(item).or_default() += 1;
            let holders = seen.now.entry(item).or_default();
            *holders += 1;
            if *holders > 1 {
                seen.doubled.push(item);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        *log.lock().unwrap().now.entry(item).or_default() -= 1;
        Ok::<(), Error>(())
    };
    Scenario::new().named("visits").row(Row::new(visit, pool, constant(rate, length)).named("visit"))
}

/// Runs a scenario on so many runners; each makes it anew, as processes would.
async fn on_runners(runners: u32, make: impl Fn() -> Scenario) -> Result<Report> {
    let fabric = Arc::new(Local::new());
    let lead = Lead::new(fabric.clone(), "this build").expect(runners);
    let controller = Run::new(make()).max_start_lag(10 * SECOND).lead(lead)?;
    let mut handles = Vec::new();
    for number in 0..runners {
        let me = Join { name: format!("runner {number}"), binary: "this build".to_owned(), workers: 2 };
        handles.push(join(fabric.clone(), me).await?.start(Run::new(make()))?);
    }
    let report = controller.await?;
    if std::env::var("SHOW").is_ok() {
        println!("{report}");
    }
    for handle in handles {
        handle.await?;
    }
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_come_once_are_used_once_and_all_of_them() -> Result {
    let log = Log::default();
    let report =
        on_runners(3, || scenario(IterableDataPool::new((0..900u64).map(|n| (n,))), 1000, 3 * SECOND, &log)).await?;
    let seen = log.lock().unwrap();
    assert!(seen.times.values().all(|times| *times == 1), "each once");
    assert_eq!(seen.times.len(), 900, "{report}");
    let journey = &report.journeys[0];
    assert_eq!(journey.completed, 900, "{report}");
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_come_back_have_one_holder_at_a_time() -> Result {
    let log = Log::default();
    let pool = || RecyclableIterableDataPool::new((0..60u64).map(|n| (n,)));
    let report = on_runners(3, || scenario(pool(), 600, 2 * SECOND, &log)).await?;
    let seen = log.lock().unwrap();
    assert_eq!(seen.doubled, [0; 0]);
    assert_eq!(seen.times.len(), 60, "all of them are used");
    assert_eq!(report.journeys[0].planned, 1200, "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_happen_once_happens_on_one_runner() -> Result {
    let log = Log::default();
    let report = on_runners(2, || scenario(SingleRunDataPool::new((7,)), 100, SECOND, &log)).await?;
    assert_eq!(log.lock().unwrap().times, BTreeMap::from([(7, 1)]), "{report}");
    Ok(())
}
