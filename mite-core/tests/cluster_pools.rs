//! Data pools in a cluster: items that are handed out once are so on all runners together, and those that come back have one
//! holder at a time.

#[path = "common/through.rs"]
mod through;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mite_core::bus::{Fabric, Local};
use mite_core::cluster::{Join, Lead, LostItems, TookPart, join};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{
    Context, DataPool, Error, FileDataPool, IterableDataPool, NoData, RecyclableIterableDataPool, Report, Result, Row,
    Run, RunHandle, Scenario, SingleRunDataPool,
};
use through::{Connection, Through};
use tokio::sync::watch;

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
async fn what_is_left_of_items_that_come_once_is_told_and_nobody_is_taken_to_be_lost() -> Result {
    let log = Log::default();
    let pool = || IterableDataPool::new((0..9000u64).map(|n| (n,)));
    let report = on_runners(2, || scenario(pool(), 500, SECOND, &log)).await?;
    assert_eq!((report.journeys[0].completed, report.journeys[0].unused_items), (500, Some(8500)), "{report}");
    assert!(report.warnings.iter().all(|warning| !warning.contains("of its data pool")), "{report}");
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

/// Two runners, of which the second can be cut off.
struct Two {
    controller: RunHandle<Report>,
    runners: Vec<RunHandle<TookPart>>,
    connection: watch::Sender<Connection>,
}

impl Two {
    async fn start(policy: LostItems, graceful_stop: Duration, make: impl Fn(u32) -> Scenario) -> Result<Self> {
        let local = Local::new();
        let (connection, connected) = watch::channel(Connection::Up);
        let lead = Lead::new(Arc::new(local.clone()), "this build").expect(2).lost_items(policy);
        let controller = Run::new(make(1)).max_start_lag(HOUR).graceful_stop(graceful_stop).lead(lead)?;
        let cut: Arc<dyn Fabric> = Arc::new(Through { to: local.clone(), connection: connected });
        let mut runners = Vec::new();
        for (number, fabric) in [(1, Arc::new(local) as Arc<dyn Fabric>), (2, cut)] {
            let me = Join { name: format!("runner {number}"), binary: "this build".to_owned(), workers: 1 };
            runners.push(join(fabric, me).await?.start(Run::new(make(number)))?);
        }
        Ok(Self { controller, runners, connection })
    }
}

/// Waits until it is so, which takes no more than seconds.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < 30 * SECOND, "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// When somebody had an account, and who.
type Uses = Arc<Mutex<Vec<(u64, u32, Instant, Option<Instant>)>>>;

/// Notes the end of a use, in whatever way it comes.
struct InUse(Uses, usize);

impl InUse {
    fn begin(uses: &Uses, account: u64, runner: u32) -> Self {
        let mut all = uses.lock().unwrap();
        all.push((account, runner, Instant::now(), None));
        Self(Arc::clone(uses), all.len() - 1)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.lock().unwrap()[self.1].3 = Some(Instant::now());
    }
}

fn overlaps(uses: &Uses) -> Vec<(u64, u32, u32)> {
    let uses = uses.lock().unwrap();
    let mut found = Vec::new();
    for (at, (account, runner, _, end)) in uses.iter().enumerate() {
        let later = uses[at + 1..].iter().filter(|(other, ..)| other == account);
        let meanwhile = later.filter(|(_, _, begun, _)| end.is_none_or(|end| *begun < end));
        found.extend(meanwhile.map(|(_, other, ..)| (*account, *runner, *other)));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_runner_had_waits_until_the_last_of_its_journeys_must_have_ended() -> Result {
    let uses = Uses::default();
    let make = |number| {
        let uses = Arc::clone(&uses);
        // Each has its account for as long as it may, and there are more starts than accounts.
        let hang = async move |_ctx: &mut Context, account: u64| {
            let _in_use = InUse::begin(&uses, account, number);
            std::future::pending::<Result>().await
        };
        let pool = RecyclableIterableDataPool::new((0..100u64).map(|n| (n,)));
        Scenario::new().row(Row::new(hang, pool, constant(200, 7 * SECOND)).named("hang").timeout(SECOND))
    };
    let Two { controller, runners, connection } = Two::start(LostItems::Burn, 5 * SECOND, make).await?;
    until("accounts are in use", || uses.lock().unwrap().len() >= 300).await;
    connection.send_replace(Connection::Cut);
    let cut = Instant::now();
    // The other one is given them.
    let begun_before = |number: u32| {
        let uses = uses.lock().unwrap();
        uses.iter().filter(|of| of.1 == number && of.2 < cut).map(|of| of.0).collect::<Vec<u64>>()
    };
    let (of_first, of_second) = (begun_before(1), begun_before(2));
    assert!(of_first.iter().all(|account| !of_second.contains(account)), "each has its own");
    let is_passed_on = || uses.lock().unwrap().iter().any(|of| of.1 == 1 && of.2 > cut && of_second.contains(&of.0));
    until("others are given what the lost runner had", is_passed_on).await;
    connection.send_replace(Connection::Up);
    let report = controller.await?;
    for runner in runners {
        runner.await?;
    }
    assert_eq!(overlaps(&uses), [], "{report}");
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_was_cut_off_for_too_long_ends_and_tells_all_that_it_had_started() -> Result {
    let uses = Uses::default();
    let make = |number| {
        let uses = Arc::clone(&uses);
        // Without a timeout of its own, so that nothing but the end of its runner ends it.
        let visit = async move |_ctx: &mut Context, account: u64| {
            let _in_use = InUse::begin(&uses, account, number);
            let long = if number == 2 { 20 * SECOND } else { SECOND / 50 };
            tokio::time::sleep(long).await;
            Ok(())
        };
        let pool = RecyclableIterableDataPool::new((0..600u64).map(|n| (n,)));
        Scenario::new().row(Row::new(visit, pool, constant(100, 8 * SECOND)).named("visit"))
    };
    let Two { controller, runners, connection } = Two::start(LostItems::Burn, SECOND, make).await?;
    until("accounts are in use", || uses.lock().unwrap().len() >= 200).await;
    connection.send_replace(Connection::Cut);
    // Its journeys are cancelled, which is when it ends.
    let all_over = || uses.lock().unwrap().iter().filter(|of| of.1 == 2).all(|of| of.3.is_some());
    let cut = Instant::now();
    until("its journeys are cancelled", all_over).await;
    assert!(cut.elapsed() > SECOND, "not before its permit had expired for as long as the graceful stop");
    connection.send_replace(Connection::Up);
    let report = controller.await?;
    assert_eq!(overlaps(&uses), [], "{report}");
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    let row = &report.journeys[0];
    assert_eq!(row.started, uses.lock().unwrap().len() as u64, "{report}");
    assert_eq!(row.started, row.completed + row.failed + row.cancelled, "{report}");
    let [first, second]: [_; 2] = runners.try_into().unwrap_or_else(|_| unreachable!("there are two"));
    first.await?;
    let error = second.await.unwrap_err().to_string();
    assert!(error.contains("cut off from the cluster for so long"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_journeys_have_timeouts_goes_on_however_long_it_was_cut_off() -> Result {
    let uses = Uses::default();
    let make = |number| {
        let uses = Arc::clone(&uses);
        let visit = async move |_ctx: &mut Context, account: u64| {
            let _in_use = InUse::begin(&uses, account, number);
            tokio::time::sleep(SECOND / 50).await;
            Ok(())
        };
        let pool = RecyclableIterableDataPool::new((0..60u64).map(|n| (n,)));
        Scenario::new().row(Row::new(visit, pool, constant(200, 8 * SECOND)).named("visit").timeout(SECOND / 2))
    };
    let Two { controller, runners, connection } = Two::start(LostItems::Burn, 5 * SECOND, make).await?;
    until("accounts are in use", || uses.lock().unwrap().len() >= 200).await;
    connection.send_replace(Connection::Cut);
    let by_first = || uses.lock().unwrap().iter().filter(|of| of.1 == 1).count();
    let before = by_first();
    // More than three seconds of its own share, and more than one and a half of all.
    until("the other one goes on", || by_first() >= before + 300).await;
    connection.send_replace(Connection::Up);
    let mended = Instant::now();
    let report = controller.await?;
    for runner in runners {
        runner.await?;
    }
    assert_eq!(overlaps(&uses), [], "{report}");
    assert!(uses.lock().unwrap().iter().any(|of| of.1 == 2 && of.2 > mended), "it has a share again");
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_come_at_least_once_come_again_where_the_journeys_of_a_lost_runner_had_them() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("items.csv");
    let items: Vec<String> = (0..400).map(|item| item.to_string()).collect();
    std::fs::write(&file, format!("item\n{}\n", items.join("\n")))?;
    let (begun, used) = (Uses::default(), Arc::new(Mutex::new(BTreeMap::<u64, u32>::new())));
    let make = |number| {
        let (begun, used) = (Arc::clone(&begun), Arc::clone(&used));
        let visit = async move |_ctx: &mut Context, item: u64| {
            let _in_use = InUse::begin(&begun, item, number);
            if number == 2 {
                // It uses none, and is lost with all that it has.
                std::future::pending::<()>().await;
            }
            *used.lock().unwrap().entry(item).or_default() += 1;
            Ok(())
        };
        let pool = FileDataPool::csv::<(u64,)>(&file).expect("the file was written");
        Scenario::new().row(Row::new(visit, pool, constant(200, 10 * SECOND)).named("visit"))
    };
    let Two { controller, runners, connection } = Two::start(LostItems::Again, SECOND, make).await?;
    let by = |number| begun.lock().unwrap().iter().filter(|of| of.1 == number).count();
    // It is given 100 at the least.
    until("the second one has items", || by(2) >= 90).await;
    connection.send_replace(Connection::Cut);
    until("all items are used", || used.lock().unwrap().len() == 400).await;
    connection.send_replace(Connection::Up);
    let report = controller.await?;
    assert!(report.warnings.iter().all(|warning| !warning.contains("of its data pool")), "{report}");
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    assert_eq!(report.journeys[0].starved, 0, "{report}");
    // The second one may have been told in time to leave, or too late.
    for runner in runners {
        let _ = runner.await;
    }
    Ok(())
}

/// Of 60 iterations, with a second runner that ends none and is lost.
async fn iterations_with_one_that_is_lost(policy: LostItems) -> Result<(Report, Vec<u64>)> {
    let (begun, ended) = (Uses::default(), Arc::new(Mutex::new(Vec::new())));
    let make = |number| {
        let (begun, ended) = (Arc::clone(&begun), Arc::clone(&ended));
        let visit = async move |ctx: &mut Context| {
            let _in_use = InUse::begin(&begun, ctx.start_index(), number);
            if number == 2 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            ended.lock().unwrap().push(ctx.start_index());
            Ok(())
        };
        Scenario::new().row(Row::new(visit, NoData, constant(4, HOUR).running().iterations(60)).named("visit"))
    };
    let Two { controller, runners, connection } = Two::start(policy, SECOND, make).await?;
    let by = |number| begun.lock().unwrap().iter().filter(|of| of.1 == number).count();
    until("both have begun", || by(1) > 0 && by(2) == 2).await;
    connection.send_replace(Connection::Cut);
    let report = controller.await?;
    connection.send_replace(Connection::Up);
    for runner in runners {
        let _ = runner.await;
    }
    let mut ended = ended.lock().unwrap().clone();
    ended.sort_unstable();
    Ok((report, ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn iterations_of_a_lost_runner_are_told_and_not_made() -> Result {
    let (report, ended) = iterations_with_one_that_is_lost(LostItems::Burn).await?;
    let told = |warning: &String| {
        let rest =
            warning.strip_prefix("visit: ")?.split_once(" of its iterations were with runner 2 when it was lost")?;
        rest.0.parse::<usize>().ok()
    };
    let burned: usize = report.warnings.iter().filter_map(told).sum();
    assert!(burned > 0, "{report}");
    assert_eq!(ended.len() + burned, 60, "{report}");
    assert!(ended.is_sorted_by(|one, next| one < next), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn iterations_of_a_lost_runner_are_made_by_others_where_the_program_says_so() -> Result {
    let (report, ended) = iterations_with_one_that_is_lost(LostItems::Again).await?;
    assert_eq!(ended, (0..60).collect::<Vec<_>>(), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_last_runner_after_the_plans_end_costs_no_report() -> Result {
    let make = |number| {
        let visit = async move |_ctx: &mut Context| {
            if number == 2 {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        Scenario::new().row(Row::new(visit, NoData, constant(20, SECOND)).named("visit"))
    };
    let Two { controller, runners, connection } = Two::start(LostItems::Burn, 60 * SECOND, make).await?;
    let [first, second] = <[_; 2]>::try_from(runners).expect("there are two");
    assert_eq!(first.await?.started, 10);
    connection.send_replace(Connection::Cut);
    let report = controller.await?;
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed, row.started + row.lost, row.failed), (20, 10, 20, 0), "{report}");
    assert!(
        report.warnings.iter().any(|warning| warning.contains("runner 2 (runner 2) is not heard any more")),
        "{report}"
    );
    assert!(report.reasons.iter().all(|reason| !reason.contains("a bug of mite")), "{report}");
    connection.send_replace(Connection::Up);
    // The run is over, and it has something to tell that nobody hears any more.
    let _ = second.await;
    Ok(())
}
