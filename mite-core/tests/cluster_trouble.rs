//! A run over several runners goes on whole when its controller is cut off, another takes over, or the bus stands still.

mod common;
#[path = "common/through.rs"]
mod through;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::checked;
use mite_core::bus::{Fabric, Local};
use mite_core::cluster::{Join, Lead, join};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, Scenario};
use through::{Connection, Through};
use tokio::sync::watch;

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
