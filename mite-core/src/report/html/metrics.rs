//! Metrics of one's own as tables: those that are a number, and those that are spread.
//!
//! They are apart from the figures that each run has, since nothing is known about them but what they are called.

use std::fmt;

use super::axis::grouped;
use super::table::{Cell, Table};
use crate::report::units::number;
use crate::report::{MetricReport, MetricValue, Report};
use crate::stats::Distribution;

/// So many series of each are shown; the JSON has all.
const MOST_SERIES: usize = 200;

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if report.metrics.is_empty() {
        return Ok(());
    }
    let (mut numbers, mut spreads) = (Table::new(&["Metric", "Kind", "Value"]), Table::new(&SPREAD));
    let mut left_out = 0;
    for metric in &report.metrics {
        if metric.series.is_empty() {
            let cells = [metric.name.clone(), metric.kind.to_string(), "never occurred".to_owned()];
            numbers.row(cells.map(Cell::from));
        }
        left_out += metric.series.len().saturating_sub(MOST_SERIES);
        for series in metric.series.iter().take(MOST_SERIES) {
            let name = metric.label_of(series);
            match &series.value {
                MetricValue::Number(value) => numbers.row(cells(metric, name, *value).map(Cell::from)),
                MetricValue::Distribution(spread) => spreads.row(spread_cells(name, spread).map(Cell::from)),
            }
        }
    }
    writeln!(f, "<section><h2>Metrics</h2>")?;
    for table in [numbers, spreads].iter().filter(|table| !table.is_empty()) {
        write!(f, "{table}")?;
    }
    if left_out > 0 {
        writeln!(f, "<p class=\"note\">And {} series more: the JSON has all.</p>", grouped(left_out as u64))?;
    }
    writeln!(f, "</section>")
}

const SPREAD: [&str; 8] = ["Histogram", "Count", "Mean", "p50", "p95", "p99", "Max", "Sum"];

fn cells(metric: &MetricReport, name: String, value: f64) -> [String; 3] {
    [name, metric.kind.to_string(), number(value)]
}

fn spread_cells(name: String, spread: &Distribution) -> [String; 8] {
    let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| number(spread.percentile(percent)));
    let [mean, max, sum] = [spread.mean(), spread.max(), spread.sum()].map(number);
    [name, grouped(spread.count()), mean, p50, p95, p99, max, sum]
}
