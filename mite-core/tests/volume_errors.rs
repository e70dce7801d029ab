//! A closure that gives a senseless volume ends the run with an error that names the row and the second; what was
//! recorded before is on the disk.

mod common;

use std::time::Duration;

use common::{failed, records};
use mite_core::volume::SECOND;
use mite_core::{Context, NoData, Result, Run, RunError, Scenario, Volume};
use serde_json::json;

async fn recording(ctx: &mut Context) -> Result {
    ctx.record("starts", json!(ctx.start_index())).await
}

/// Runs two rows, the second with `model`, over a recorder; gives the second and message of the error, and the number of
/// records.
async fn wrong<V: Into<Volume> + 'static>(model: impl Fn(u64) -> V + Send + 'static) -> (u64, String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::new()
        .journey(recording, NoData, |_start, _end| 100)
        .journey(common::noop, NoData, move |start: Duration, _end| model(start.as_secs()))
        .teardown(async |_| Ok(()));
    let error = failed(Run::new(scenario).recorder(folder.path()).stop_after(3 * SECOND)).await;
    let text = error.to_string();
    let RunError::Volume { row: 2, journey, second, message } = error else { panic!("{error:?}") };
    assert_eq!(journey, "volume_errors::common:noop");
    assert_eq!(text, format!("row 2 ({journey}): its volume for second {second} makes no sense: {message}"));
    let path = folder.path().join("starts.msgpack");
    (second, message, if path.exists() { records(folder.path(), "starts").len() } else { 0 })
}

#[tokio::test]
async fn in_the_first_second() {
    assert_eq!(wrong(|_| -5).await, (0, "a rate of -5 is negative".to_owned(), 0));
    assert_eq!(wrong(|_| f64::NAN).await, (0, "a rate of NaN is no number of starts per second".to_owned(), 0));
    let (second, message, _) = wrong(|_| -> u32 { panic!("out of {}", "plans") }).await;
    assert_eq!((second, &*message), (0, "the closure panicked: out of plans"));
}

#[tokio::test]
async fn in_a_later_second() {
    let ((second, message, recorded), (of_nan, nan, _), (of_panic, panicked, _), (of_change, changed, _)) = tokio::join!(
        wrong(|second| if second == 1 { -0.5 } else { 10.0 }),
        wrong(|second| if second == 1 { f64::NAN } else { 10.0 }),
        wrong(|second| if second == 1 { panic!("no more") } else { 10 }),
        wrong(|second| if second == 1 { Volume::running(5) } else { Volume::Rate(10.0) }),
    );
    assert_eq!((second, &*message), (1, "a rate of -0.5 is negative"));
    // It was asked half a second ahead: some had been recorded by then, and all of those are there.
    assert!(recorded > 0, "{recorded}");
    assert_eq!((of_nan, &*nan), (1, "a rate of NaN is no number of starts per second"));
    assert_eq!((of_panic, &*panicked), (1, "the closure panicked: no more"));
    assert_eq!(of_change, 1);
    assert!(changed.starts_with("it was a rate before and is a number running now"), "{changed}");
}
