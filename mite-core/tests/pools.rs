//! Each item that a pool hands out comes back once, whatever becomes of its journey; a pool that has none, fails or panics is
//! accounted for.

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::{TENTH, checked, errors, ran, tally};
use mite_core::volume::{SECOND, constant};
use mite_core::{
    Checkout, Config, Context, DataPool, IterableDataPool, RecyclableIterableDataPool, Result, Row, Run, Scenario,
    SingleRunDataPool, bail, recorded,
};

async fn use_up(ctx: &mut Context, item: u64) -> Result {
    ctx.record("items", item).await
}

async fn briefly(_ctx: &mut Context, _item: u64) -> Result {
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

async fn long(_ctx: &mut Context, _item: u64) -> Result {
    std::future::pending().await
}

#[tokio::test]
async fn used_up_items_end_the_row() {
    for workers in 1..=3 {
        for closed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let model = constant(1000, 20 * SECOND);
            let model = if closed { constant(5, 20 * SECOND).running() } else { model };
            let pool = IterableDataPool::new((0..100u64).map(|n| (n,)));
            let scenario = Scenario::new().journey(use_up, pool, model);
            let report = ran(Run::new(scenario).workers(workers).recorder(folder.path())).await;
            let row = &report.journeys[0];
            assert_eq!((row.planned, row.completed, row.unused_items), (100, 100, None), "{report}");
            let items = tally(recorded::<u64>(folder.path().join("items.msgpack")).unwrap());
            assert_eq!(items, (0..100).map(|n| (n, 1)).collect());
            assert!(report.passed() && report.duration < 10 * SECOND, "{report}");
        }
    }
}

#[tokio::test]
async fn items_that_were_not_used_are_told() {
    let pool = IterableDataPool::new((0..100u64).map(|n| (n,)).collect::<Vec<_>>());
    let report = ran(Run::new(Scenario::new().journey(briefly, pool, constant(100, TENTH)))).await;
    assert_eq!((report.journeys[0].completed, report.journeys[0].unused_items), (10, Some(90)));
    let told = report.to_string();
    assert!(told.contains("pools:briefly: 90 items of its data pool were not used"), "{told}");
}

#[tokio::test]
async fn a_single_item_is_run_once() {
    for workers in 1..=3 {
        let scenario = Scenario::new()
            .journey(briefly, SingleRunDataPool::new((7u64,)), constant(100, 20 * SECOND))
            .journey(briefly, SingleRunDataPool::new((7u64,)), constant(20, 20 * SECOND).running());
        let report = ran(Run::new(scenario).workers(workers)).await;
        for row in &report.journeys {
            assert_eq!((row.planned, row.completed), (1, 1), "{report}");
        }
    }
}

#[tokio::test]
async fn the_open_model_starves_where_the_pool_is_too_small() {
    let pool = RecyclableIterableDataPool::new([(1u64,), (2,)]);
    let scenario = Scenario::new().journey(long, pool.clone(), constant(100, TENTH));
    // Time enough for a late start to be made: one that is cancelled before is not starved but unstarted.
    let report = ran(Run::new(scenario).graceful_stop(SECOND)).await;
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started, row.starved, row.cancelled), (10, 2, 8, 2));
    assert_eq!(report.reasons[0], "pools:long: its data pool had no item for 8 starts");
    // They were cancelled, and came back.
    for _ in 0..2 {
        assert!(matches!(pool.checkout(&Config::new()).await.unwrap(), Checkout::Item { .. }));
    }
}

/// Counts what it is asked and what is out.
#[derive(Default)]
struct Counting {
    asked: AtomicU64,
    out: AtomicI64,
    most: AtomicI64,
    free: AtomicI64,
    wait: Duration,
}

impl DataPool for Counting {
    type Item = (u64,);

    async fn checkout(&self, _config: &Config) -> Result<Checkout<(u64,)>> {
        let id = self.asked.fetch_add(1, Relaxed);
        tokio::time::sleep(self.wait).await;
        let out = self.out.fetch_add(1, Relaxed) + 1;
        if out > self.free.load(Relaxed) {
            self.out.fetch_sub(1, Relaxed);
            return Ok(Checkout::NoneFree);
        }
        self.most.fetch_max(out, Relaxed);
        Ok(Checkout::Item { id, item: (id,) })
    }

    fn checkin(&self, _id: u64) {
        self.out.fetch_sub(1, Relaxed);
    }
}

#[tokio::test]
async fn the_closed_model_waits_for_items_and_does_not_spin() {
    // Nobody comes back with an item: each slot asks every 10 ms, which is what the trait says unless a pool knows better.
    let pool = Arc::new(Counting { free: 1.into(), ..Counting::default() });
    let scenario = Scenario::new().journey(long, Arc::clone(&pool), constant(5, 3 * TENTH).running());
    let report = ran(Run::new(scenario).graceful_stop(SECOND)).await;
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started, row.unstarted, row.starved), (5, 1, 4, 0));
    assert!(pool.asked.load(Relaxed) <= 5 + 4 * 31, "asked {} times", pool.asked.load(Relaxed));
    assert_eq!(pool.out.load(Relaxed), 0);

    // A recyclable pool wakes who waits: with one item all of 300 ms is spent in journeys of 1 ms and more.
    for workers in 1..=3 {
        let pool = RecyclableIterableDataPool::new([(1u64,)]);
        let scenario = Scenario::new().journey(briefly, pool, constant(6, 3 * TENTH).running());
        let report = ran(Run::new(scenario).workers(workers)).await;
        let row = &report.journeys[0];
        assert!(row.completed > 5 && row.starved == 0, "{report}");
        assert!(row.data_wait.count() == row.started && row.unstarted <= 6, "{report}");
    }
}

#[tokio::test]
async fn two_rows_share_one_pool() {
    let pool = IterableDataPool::new((0..50u64).map(|n| (n,)));
    let scenario = Scenario::new()
        .journey(briefly, pool.clone(), constant(1000, 20 * SECOND))
        .row(Row::new(briefly, pool, constant(5, 20 * SECOND).running()).named("closed"));
    let report = ran(Run::new(scenario).workers(2)).await;
    assert_eq!(report.journeys.iter().map(|row| row.completed).sum::<u64>(), 50);
    let pool = Arc::new(Counting { free: 3.into(), ..Counting::default() });
    let scenario = Scenario::new().journey(briefly, Arc::clone(&pool), constant(1000, TENTH)).journey(
        briefly,
        Arc::clone(&pool),
        constant(4, TENTH).running(),
    );
    checked(Run::new(scenario).workers(2).run().await.unwrap());
    assert_eq!((pool.out.load(Relaxed), pool.most.load(Relaxed) <= 3), (0, true));
}

#[tokio::test]
async fn what_a_checkout_takes_is_data_wait() {
    let wait = Duration::from_millis(30);
    let pool = || Arc::new(Counting { free: 1000.into(), wait, ..Counting::default() });
    let scenario = Scenario::new()
        .journey(briefly, pool(), constant(100, TENTH))
        .row(Row::new(briefly, pool(), constant(2, TENTH).running()).named("closed"));
    let report = ran(Run::new(scenario)).await;
    for row in &report.journeys {
        assert_eq!(row.data_wait.count(), row.started);
        assert!(row.data_wait.min() >= wait && row.response_time.min() >= wait, "{report}");
        assert!(row.service_time.min() < wait, "{report}");
    }
}

/// Goes wrong as it is told.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Fails,
    Panics,
    PanicsBeforeItsFuture,
    PanicsAtCheckin,
    PanicsWhileWaiting,
}

impl DataPool for Broken {
    type Item = (u64,);

    fn checkout(&self, _config: &Config) -> impl Future<Output = Result<Checkout<(u64,)>>> {
        assert!(*self != Self::PanicsBeforeItsFuture, "no future");
        async move {
            match self {
                Self::Fails => bail!("the database is away"),
                Self::PanicsAtCheckin => Ok(Checkout::Item { id: 7, item: (7,) }),
                Self::PanicsWhileWaiting => Ok(Checkout::NoneFree),
                _ => panic!("the pool is broken"),
            }
        }
    }

    fn checkin(&self, id: u64) {
        panic!("item {id} does not fit")
    }

    async fn available(&self) {
        panic!("no patience")
    }
}

#[tokio::test]
async fn pools_that_fail_or_panic_are_told_with_their_place() {
    let of_kind = |broken: Broken| {
        let open = Row::new(briefly, broken, constant(100, TENTH)).named("pools:open");
        let closed = Row::new(briefly, broken, constant(2, TENTH).running()).named("pools:closed");
        ran(Run::new(Scenario::new().row(open).row(closed)))
    };
    for (broken, ex_type, message) in [
        (Broken::Fails, "Error", "Error: the database is away"),
        (Broken::Panics, "panic", "panic: the pool is broken"),
        (Broken::PanicsBeforeItsFuture, "panic", "panic: no future"),
    ] {
        let report = of_kind(broken).await;
        let (open, closed) = (&report.journeys[0], &report.journeys[1]);
        assert_eq!((open.planned, open.starved, open.started), (10, 10, 0), "{report}");
        assert_eq!((closed.planned, closed.started), (closed.starved, 0), "{report}");
        assert!((2..=6).contains(&closed.starved), "a pool that fails is not asked without a pause: {report}");
        let mut told = errors(&report);
        told.sort_unstable_by_key(|error| error.4);
        for (transaction, told_type, told, location, _) in errors(&report) {
            assert_eq!((transaction, told_type, told), ("__root__", ex_type, message));
            assert!(location.starts_with(concat!(file!(), ":")), "{location}");
        }
        assert_eq!(errors(&report).iter().map(|error| error.4).sum::<u64>(), 10 + closed.starved);
    }

    let report = of_kind(Broken::PanicsAtCheckin).await;
    let (open, closed) = (&report.journeys[0], &report.journeys[1]);
    assert_eq!((open.completed, closed.completed), (open.planned, closed.planned), "{report}");
    for error in errors(&report) {
        assert_eq!((error.1, error.2), ("panic", "panic: item 7 does not fit"));
        assert!(error.3.starts_with(concat!(file!(), ":")), "{}", error.3);
    }
    assert_eq!(errors(&report).iter().map(|error| error.4).sum::<u64>(), 10 + closed.completed);

    let report = of_kind(Broken::PanicsWhileWaiting).await;
    assert_eq!(report.journey("open").starved, 10);
    assert_eq!(report.journey("closed").planned, report.journey("closed").starved, "{report}");
    assert_eq!(errors(&report)[0].2, "panic: no patience");
}

#[tokio::test]
async fn cancelled_while_it_waits_for_data() {
    let pool = Arc::new(Counting { free: 1.into(), wait: 100 * SECOND, ..Counting::default() });
    let scenario = Scenario::new()
        .journey(briefly, Arc::clone(&pool), constant(100, TENTH))
        .row(Row::new(briefly, pool, constant(3, TENTH).running()).named("closed"));
    let report = ran(Run::new(scenario).graceful_stop(SECOND)).await;
    assert_eq!((report.journeys[0].unstarted, report.journeys[1].unstarted), (10, 3), "{report}");
}
