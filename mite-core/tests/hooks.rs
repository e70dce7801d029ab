//! Setup comes before all journeys and teardown after them, whatever became of them; what goes wrong there is told with its
//! type and place.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Kept, TENTH, checked, failed, forever, noop, ran};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, RunError, Scenario, Sink, SinkError, Verdict, Wants};
use serde_json::json;

#[derive(Debug, Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>);

impl Steps {
    fn note(&self, step: &'static str) {
        let mut steps = self.0.lock().unwrap();
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// A scenario that notes its steps: 20 journeys, all of which `end` as it says.
fn noted(steps: &Steps, end: fn() -> Result) -> Scenario {
    let [setup, journey, teardown] = [(); 3].map(|()| steps.clone());
    let journey = async move |_: &mut Context| {
        journey.note("journey");
        end()
    };
    Scenario::new()
        .setup(async move |_| {
            setup.note("setup");
            Ok(())
        })
        .row(Row::new(journey, NoData, constant(200, TENTH)).named("noted"))
        .teardown(async move |_| {
            teardown.note("teardown");
            Ok(())
        })
}

#[tokio::test]
async fn they_stand_around_the_journeys() {
    for workers in 1..=3 {
        for end in [|| Ok(()), || mite_core::bail!("no"), || panic!("no")] as [fn() -> Result; 3] {
            let steps = Steps::default();
            ran(Run::new(noted(&steps, end)).workers(workers)).await;
            assert_eq!(steps.all(), ["setup", "journey", "teardown"]);
        }
    }
}

#[tokio::test]
async fn a_setup_that_fails_starts_nothing() {
    let steps = Steps::default();
    let scenario = noted(&steps, || Ok(())).setup(async |_| {
        "eighty".parse::<u16>()?;
        Ok(())
    });
    let line = line!() - 3;
    let error = failed(Run::new(scenario)).await;
    let place = format!("(at {}:{line})", file!());
    assert_eq!(error.to_string(), format!("setup failed: ParseIntError: invalid digit found in string {place}"));
    assert!(matches!(error, RunError::Setup { .. }));

    let scenario = noted(&steps, || Ok(())).setup(async |_| panic!("not {}", "today"));
    let line = line!() - 1;
    let error = failed(Run::new(scenario)).await;
    assert_eq!(error.to_string(), format!("setup failed: panic: not today (at {}:{line})", file!()));
    assert_eq!(steps.all(), [""; 0]);
}

#[tokio::test]
async fn a_teardown_that_fails_fails_the_run() {
    let steps = Steps::default();
    let scenario = noted(&steps, || Ok(())).teardown(async |_| mite_core::bail!("still there"));
    let line = line!() - 1;
    let error = failed(Run::new(scenario)).await;
    assert_eq!(error.to_string(), format!("teardown failed: Error: still there (at {}:{line})", file!()));
    assert!(matches!(error, RunError::Teardown { .. }));
    let scenario = noted(&steps, || Ok(())).teardown(async |_| panic!("still there"));
    let line = line!() - 1;
    let error = failed(Run::new(scenario)).await;
    assert_eq!(error.to_string(), format!("teardown failed: panic: still there (at {}:{line})", file!()));
    assert_eq!(steps.all(), ["setup", "journey", "setup", "journey"]);
}

#[tokio::test]
async fn teardown_comes_after_a_run_that_could_not_go_on_too() {
    struct Full;
    impl Sink for Full {
        fn name(&self) -> &'static str {
            "bucket"
        }
        fn wants(&self) -> Wants {
            Wants::Types(&["drop"])
        }
        fn is_essential(&self) -> bool {
            true
        }
        fn message(&mut self, _: &mite_core::Message<'_>) -> Result<(), SinkError> {
            Err("it is full".into())
        }
    }
    let steps = Steps::default();
    let sending = async |ctx: &mut Context| ctx.send("drop", json!({})).await;
    let scenario = noted(&steps, || Ok(()))
        .row(Row::new(sending, NoData, constant(10, 20 * SECOND)).named("sending"))
        .row(Row::new(forever, NoData, constant(10, 20 * SECOND)));
    let ended = tokio::time::timeout(15 * SECOND, failed(Run::new(scenario).sink(Full).workers(2))).await;
    let error = ended.expect("the run ends at once, not with its plan");
    assert_eq!(error.to_string(), "the bucket failed: it is full");
    assert_eq!(steps.all().last(), Some(&"teardown"));
    // Also when it was a plan for the first second that was wrong.
    let steps = Steps::default();
    let scenario = noted(&steps, || Ok(())).row(Row::new(noop, NoData, |_start, _end| -1).named("negative"));
    let error = failed(Run::new(scenario).stop_after(SECOND)).await;
    assert!(matches!(error, RunError::Volume { .. }), "{error}");
    assert_eq!(steps.all(), ["setup", "teardown"]);
}

#[tokio::test]
async fn their_messages_stand_around_those_of_all_workers() {
    for workers in 1..=3 {
        let kept = Kept::types(&["step"]);
        let step = async |ctx: &mut Context, step: &str| ctx.send("step", json!({"step": step})).await;
        let scenario = Scenario::new()
            .setup(async move |ctx| step(ctx, "setup").await)
            .row(
                Row::new(async move |ctx: &mut Context| step(ctx, "journey").await, NoData, constant(500, TENTH))
                    .named("j"),
            )
            .teardown(async move |ctx| step(ctx, "teardown").await);
        ran(Run::new(scenario).sink(kept.clone()).workers(workers)).await;
        let steps = kept.texts("step", "step");
        assert_eq!((&*steps[0], &*steps[51], steps.len()), ("setup", "teardown", 52), "{workers} workers: {steps:?}");
        assert_eq!(kept.of("step")[0]["journey"], "__setup__".into());
    }
}

#[tokio::test]
async fn a_stop_lets_them_finish() {
    let steps = Steps::default();
    let (entered, mut in_setup) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, mut told) = tokio::sync::mpsc::unbounded_channel::<()>();
    let noted_setup = steps.clone();
    let scenario = noted(&steps, || Ok(())).setup(async move |_| {
        entered.send(()).unwrap();
        told.recv().await.unwrap();
        noted_setup.note("setup");
        Ok(())
    });
    let handle = Run::new(scenario).start().unwrap();
    in_setup.recv().await.unwrap();
    handle.stop();
    go_on.send(()).unwrap();
    let report = checked(handle.await.unwrap());
    assert_eq!((report.verdict, report.journeys[0].planned), (Verdict::Aborted, 0));
    assert_eq!(steps.all(), ["setup", "teardown"]);

    // A stop that comes when all journeys have ended stops nothing.
    let (entered, mut in_teardown) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, mut told) = tokio::sync::mpsc::unbounded_channel::<()>();
    let scenario = noted(&steps, || Ok(())).teardown(async move |_| {
        entered.send(()).unwrap();
        told.recv().await.unwrap();
        Ok(())
    });
    let handle = Run::new(scenario).max_start_lag(HOUR).start().unwrap();
    in_teardown.recv().await.unwrap();
    handle.stop();
    go_on.send(()).unwrap();
    assert_eq!(checked(handle.await.unwrap()).verdict, Verdict::Passed);
}

#[tokio::test]
async fn one_that_never_ends_is_cut_off_by_an_abort_and_by_the_graceful_stop() {
    for abort in [true, false] {
        let (entered, mut in_setup) = tokio::sync::mpsc::unbounded_channel();
        let scenario = Scenario::new().journey(noop, NoData, constant(1, SECOND)).setup(async move |_| {
            entered.send(()).unwrap();
            std::future::pending().await
        });
        let handle = Run::new(scenario).graceful_stop(Duration::from_millis(1)).start().unwrap();
        in_setup.recv().await.unwrap();
        if abort {
            handle.abort();
        } else {
            handle.stop();
        }
        let error = handle.await.unwrap_err().to_string();
        assert_eq!(error, "setup failed: it was cut off, since the run was stopped");
    }
}

/// Stays on its thread: it need not be `Send`.
struct Fixture(std::rc::Rc<std::thread::ThreadId>);

#[tokio::test]
async fn each_worker_sets_up_what_its_journeys_are_given() {
    for workers in 1..=3_usize {
        let steps = Steps::default();
        let [set_up, torn_down, last] = [(); 3].map(|()| steps.clone());
        let kept = Kept::types(&["used"]);
        let used = async |ctx: &mut Context| -> Result {
            let fixture = ctx.fixture::<Fixture>()?;
            mite_core::ensure!(*fixture.0 == std::thread::current().id(), "it is another thread's");
            ctx.send("used", json!({"thread": format!("{:?}", fixture.0)})).await
        };
        let scenario = noted(&steps, || Ok(()))
            .worker_setup(async move |_| {
                set_up.note("worker setup");
                Ok(Fixture(std::rc::Rc::new(std::thread::current().id())))
            })
            .worker_teardown(async move |ctx| {
                ctx.fixture::<Fixture>()?;
                torn_down.note("worker teardown");
                Ok(())
            })
            .teardown(async move |_| {
                last.note("teardown");
                Ok(())
            })
            .row(Row::new(used, NoData, constant(200, TENTH)).named("used"));
        let report = ran(Run::new(scenario).workers(workers).sink(kept.clone())).await;
        assert!(report.passed(), "{report}");
        assert_eq!(steps.all(), ["setup", "worker setup", "journey", "worker teardown", "teardown"]);
        assert_eq!(common::tally(kept.texts("used", "thread")).len(), workers, "one for each worker");
        let mut called: Vec<_> = report.hooks.iter().map(|call| (call.hook.to_string(), call.worker)).collect();
        called[1..].sort();
        let each = |hook: &'static str| (0..workers as u32).map(move |worker| (hook.to_owned(), worker));
        let first = [("setup".to_owned(), 0), ("teardown".to_owned(), 0)];
        let expected: Vec<_> = first.into_iter().chain(each("worker setup")).chain(each("worker teardown")).collect();
        assert_eq!(called, expected);
    }
}

#[tokio::test]
async fn a_worker_setup_that_fails_starts_nothing_and_undoes_the_others() {
    let steps = Steps::default();
    let [undone, last] = [(); 2].map(|()| steps.clone());
    let scenario = noted(&steps, || Ok(()))
        .worker_setup(async |_| {
            mite_core::ensure!(std::thread::current().name() != Some("mite-worker-1"), "not here");
            Ok(1)
        })
        .worker_teardown(async move |ctx| {
            ctx.fixture::<i32>()?;
            undone.note("worker teardown");
            Ok(())
        })
        .teardown(async move |_| {
            last.note("teardown");
            Ok(())
        });
    let error = failed(Run::new(scenario).workers(3)).await;
    assert!(matches!(error, RunError::WorkerSetup { worker: 1, .. }), "{error}");
    assert!(error.to_string().starts_with("setup of worker 1 failed: Error: not here (at "), "{error}");
    assert_eq!(steps.all(), ["setup", "worker teardown", "teardown"]);

    let scenario = noted(&steps, || Ok(())).worker_teardown(async |_| mite_core::bail!("still there"));
    let error = failed(Run::new(scenario).workers(2)).await;
    assert!(error.to_string().starts_with("teardown of worker 0 failed: Error: still there (at "), "{error}");
}

#[tokio::test]
async fn a_fixture_that_nobody_made_is_an_error_in_words() {
    let asks = async |ctx: &mut Context| ctx.fixture::<Fixture>().map(drop);
    let scenario = Scenario::new().row(Row::new(asks, NoData, constant(10, TENTH)).named("asks"));
    let report = ran(Run::new(scenario)).await;
    let message = &report.errors[0].message;
    assert!(message.contains("hooks::Fixture") && message.contains("worker_setup"), "{message}");
}
