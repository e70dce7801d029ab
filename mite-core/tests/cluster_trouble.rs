//! A run over several runners goes on whole when its controller is cut off, another takes over, or the bus stands still.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::checked;
use mite_core::bus::{
    Bus, BusError, Entry, Fabric, Item, Kept, Later, Local, Log, Reader, Register, Subscription, Watch,
};
use mite_core::cluster::{Join, Lead, join};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, Scenario};
use tokio::sync::watch;

/// How a process is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Up,
    /// Nothing gets through, and what is asked for waits.
    Stands,
    /// Nothing gets through any more, and what is asked for fails.
    Cut,
}

/// A process's connection to a fabric that is shared: it can stand still, and break.
#[derive(Debug, Clone)]
struct Through<T> {
    to: T,
    connection: watch::Receiver<Connection>,
}

impl<T> Through<T> {
    /// What is asked for, once it gets through.
    async fn pass<R>(&self, asked: impl Future<Output = Result<R, BusError>>) -> Result<R, BusError> {
        up(&mut self.connection.clone()).await?;
        asked.await
    }

    fn to<U>(&self, to: U) -> Through<U> {
        Through { to, connection: self.connection.clone() }
    }
}

async fn up(connection: &mut watch::Receiver<Connection>) -> Result<(), BusError> {
    let found = connection.wait_for(|connection| *connection != Connection::Stands).await.map(|found| *found);
    match found {
        Ok(Connection::Up) => Ok(()),
        Ok(_) | Err(_) => Err(BusError::disconnected("the connection is cut")),
    }
}

impl Fabric for Through<Local> {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.to(self.to.bus()))
    }

    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>> {
        let name = name.to_owned();
        Box::pin(async move {
            let register = self.pass(self.to.register(&name)).await?;
            Ok(Arc::new(self.to(register)) as Arc<dyn Register>)
        })
    }

    fn delete_register(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move { self.pass(self.to.delete_register(&name)).await })
    }

    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>> {
        let name = name.to_owned();
        Box::pin(async move {
            let log = self.pass(self.to.log(&name, kept)).await?;
            Ok(Arc::new(self.to(log)) as Arc<dyn Log>)
        })
    }

    fn delete_log(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move { self.pass(self.to.delete_log(&name)).await })
    }

    fn description(&self) -> String {
        self.to.description()
    }
}

impl Bus for Through<Arc<dyn Bus>> {
    fn publish(&self, subject: &str, payload: Vec<u8>) -> Later<'_, ()> {
        let subject = subject.to_owned();
        Box::pin(async move { self.pass(self.to.publish(&subject, payload)).await })
    }

    fn subscribe(&self, pattern: &str) -> Later<'_, Box<dyn Subscription>> {
        let pattern = pattern.to_owned();
        Box::pin(async move {
            let subscription = self.pass(self.to.subscribe(&pattern)).await?;
            Ok(Box::new(self.to(subscription)) as Box<dyn Subscription>)
        })
    }

    fn request(&self, subject: &str, payload: Vec<u8>, within: Duration) -> Later<'_, Vec<u8>> {
        let subject = subject.to_owned();
        Box::pin(async move { self.pass(self.to.request(&subject, payload, within)).await })
    }
}

impl Subscription for Through<Box<dyn Subscription>> {
    fn next(&mut self) -> Later<'_, Option<mite_core::bus::Delivery>> {
        Box::pin(async {
            if up(&mut self.connection).await.is_err() {
                std::future::pending::<()>().await;
            }
            self.to.next().await
        })
    }
}

impl Register for Through<Arc<dyn Register>> {
    fn get(&self, key: &str) -> Later<'_, Option<Entry>> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.get(&key)).await })
    }

    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Later<'_, u64> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.set_if(&key, expected, value)).await })
    }

    fn keys(&self, pattern: &str) -> Later<'_, Vec<String>> {
        let pattern = pattern.to_owned();
        Box::pin(async move { self.pass(self.to.keys(&pattern)).await })
    }

    fn watch(&self, key: &str) -> Later<'_, Box<dyn Watch>> {
        // Nothing of what is tested here follows a key.
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.watch(&key)).await })
    }

    fn delete(&self, key: &str) -> Later<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.delete(&key)).await })
    }
}

impl Log for Through<Arc<dyn Log>> {
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64> {
        let (lane, id) = (lane.to_owned(), id.to_owned());
        Box::pin(async move { self.pass(self.to.append(&lane, &id, payload)).await })
    }

    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>> {
        let lanes = lanes.to_owned();
        Box::pin(async move {
            let reader = self.pass(self.to.read(&lanes, from)).await?;
            Ok(Box::new(self.to(reader)) as Box<dyn Reader>)
        })
    }

    fn last(&self) -> Later<'_, u64> {
        Box::pin(async { self.pass(self.to.last()).await })
    }

    fn purge_to(&self, sequence: u64) -> Later<'_, ()> {
        Box::pin(async move { self.pass(self.to.purge_to(sequence)).await })
    }
}

impl Reader for Through<Box<dyn Reader>> {
    fn next(&mut self) -> Later<'_, Item> {
        Box::pin(async {
            if up(&mut self.connection).await.is_err() {
                std::future::pending::<()>().await;
            }
            self.to.next().await
        })
    }
}

/// The starts that were made.
#[derive(Debug, Clone, Default)]
struct Made(Arc<Mutex<Vec<u64>>>);

impl Made {
    fn scenario(&self, seconds: u32) -> Scenario {
        let made = self.clone();
        let journey = async move |ctx: &mut Context| -> Result {
            made.0.lock().unwrap().push(ctx.start_index());
            Ok(())
        };
        Scenario::new().row(Row::new(journey, NoData, constant(400, seconds * SECOND)).named("all"))
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// In rising order.
    fn sorted(&self) -> Vec<u64> {
        let mut made = self.0.lock().unwrap().clone();
        made.sort_unstable();
        made
    }
}

const BUILD: &str = "this build";

async fn runners(
    fabric: &Local,
    scenario: impl Fn() -> Scenario,
) -> Vec<mite_core::RunHandle<mite_core::cluster::TookPart>> {
    let mut runners = Vec::new();
    for name in ["one", "two", "three"] {
        let me = Join { name: name.to_owned(), binary: BUILD.to_owned(), workers: 1 };
        let joined = join(Arc::new(fabric.clone()), me).await.unwrap();
        runners.push(joined.start(Run::new(scenario())).unwrap());
    }
    runners
}

#[tokio::test]
async fn a_controller_that_takes_over_tells_all_of_the_run() {
    let (fabric, made) = (Local::new(), Made::default());
    let (connection, connected) = watch::channel(Connection::Up);
    let first = Arc::new(Through { to: fabric.clone(), connection: connected });
    let lead = |fabric: Arc<dyn Fabric>| Lead::new(fabric, BUILD).expect(3).lease(20 * SECOND);
    let controller = Run::new(made.scenario(8)).max_start_lag(HOUR).lead(lead(first)).unwrap();
    let runners = runners(&fabric, || made.scenario(8)).await;
    let mut follow = controller.follow();
    while follow.next().await.expect("the run goes on").started == 0 {}
    connection.send_replace(Connection::Cut);
    let before = made.count();
    // Nobody leads, and the runners do not mind. One that stands by takes over when nobody answers for the run any more.
    let lead = lead(Arc::new(fabric.clone())).standby(true);
    let second = Run::new(made.scenario(8)).max_start_lag(HOUR).lead(lead).unwrap();
    let report = checked(second.await.unwrap());
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started, row.completed), (3200, 3200, 3200), "{report}");
    assert_eq!(made.sorted(), (0..3200).collect::<Vec<_>>());
    assert!(before < 3000, "it was cut off in the middle: {before}");
    for runner in runners {
        runner.await.unwrap();
    }
    // It tells itself that it is cut off, or that another one leads.
    connection.send_replace(Connection::Up);
    assert!(controller.await.is_err());
}

#[tokio::test]
async fn a_controller_that_stood_still_ends_when_another_has_taken_over() {
    let (fabric, made) = (Local::new(), Made::default());
    let (connection, connected) = watch::channel(Connection::Up);
    let first = Arc::new(Through { to: fabric.clone(), connection: connected });
    let lead = |fabric: Arc<dyn Fabric>| Lead::new(fabric, BUILD).expect(3).lease(20 * SECOND);
    let controller = Run::new(made.scenario(8)).max_start_lag(HOUR).lead(lead(first)).unwrap();
    let runners = runners(&fabric, || made.scenario(8)).await;
    let mut follow = controller.follow();
    while follow.next().await.expect("the run goes on").started == 0 {}
    connection.send_replace(Connection::Stands);
    let second =
        Run::new(made.scenario(8)).max_start_lag(HOUR).lead(lead(Arc::new(fabric.clone())).standby(true)).unwrap();
    let mut follow = second.follow();
    assert!(follow.next().await.is_some(), "it leads");
    connection.send_replace(Connection::Up);
    let error = controller.await.unwrap_err();
    assert!(error.to_string().contains("another controller has taken over the run"), "{error}");
    let report = checked(second.await.unwrap());
    assert_eq!(report.journeys[0].completed, 3200, "{report}");
    assert_eq!(made.sorted(), (0..3200).collect::<Vec<_>>());
    for runner in runners {
        runner.await.unwrap();
    }
}

#[tokio::test]
async fn a_bus_that_stands_still_for_less_than_the_lease_shows_nowhere() {
    let (fabric, made) = (Local::new(), Made::default());
    let (connection, connected) = watch::channel(Connection::Up);
    let through = || Arc::new(Through { to: fabric.clone(), connection: connected.clone() });
    let lead = Lead::new(through(), BUILD).expect(2).lease(20 * SECOND);
    let controller = Run::new(made.scenario(6)).max_start_lag(HOUR).lead(lead).unwrap();
    let mut runners = Vec::new();
    for name in ["one", "two"] {
        let me = Join { name: name.to_owned(), binary: BUILD.to_owned(), workers: 1 };
        runners.push(join(through(), me).await.unwrap().start(Run::new(made.scenario(6))).unwrap());
    }
    let mut follow = controller.follow();
    while follow.next().await.expect("the run goes on").started == 0 {}
    connection.send_replace(Connection::Stands);
    // 1000 starts are more than two seconds of the plan.
    let so_far = made.count();
    while made.count() < so_far + 1000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    connection.send_replace(Connection::Up);
    let report = checked(controller.await.unwrap());
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed, row.fenced, row.lost), (2400, 2400, 0, 0), "{report}");
    assert_eq!(made.sorted(), (0..2400).collect::<Vec<_>>());
    for runner in runners {
        runner.await.unwrap();
    }
}
