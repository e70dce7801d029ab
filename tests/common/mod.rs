//! What the tests of whole runs share: a run whose starts are all accounted for.

use std::time::Duration;

use mite::{Report, RunError};

/// Awaits a run's end, and checks both sums by which no start is lost.
pub(crate) async fn accounted(run: impl Future<Output = Result<Report, RunError>>) -> Report {
    let report = tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends").unwrap();
    for row in &report.journeys {
        assert_eq!(row.planned, row.started + row.dropped + row.starved + row.unstarted, "{row:?}");
        assert_eq!(row.started, row.completed + row.failed + row.cancelled, "{row:?}");
    }
    report
}
