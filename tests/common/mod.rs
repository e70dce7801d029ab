//! What the tests of whole runs share: a run whose starts are all accounted for.

use std::time::Duration;

use mite::{Report, Run};

/// Runs to the end, and checks both sums by which no start is lost.
pub(crate) async fn accounted(run: Run) -> Report {
    let report = tokio::time::timeout(Duration::from_secs(60), run.run()).await.expect("the run ends").unwrap();
    for row in &report.journeys {
        assert_eq!(row.planned, row.started + row.dropped + row.starved + row.unstarted, "{row:?}");
        assert_eq!(row.started, row.completed + row.failed + row.cancelled, "{row:?}");
    }
    report
}
