//! The report as one HTML page for people, which needs nothing besides: no network, no fonts, no script.
//!
//! It is written by hand and not from a template: what it consists of are loops over tables and curves, with few words between.

mod axis;
mod chart;
mod distribution;
mod failures;
mod figures;
mod metrics;
mod over_time;
mod path;
mod settings;
mod summary;
mod table;

use std::fmt;

use super::Report;
use super::markup::Escaped;

/// What the page is of.
pub(super) struct Page<'a> {
    pub(super) report: &'a Report,
}

impl Report {
    /// The report as one HTML page for people: the verdict, curves over time, distributions, tables and errors.
    ///
    /// It needs nothing else, asks no network for anything and runs no script, so that it can be kept and mailed. The
    /// Curves of runs over ten minutes are thinned, which the page says, so that it stays small.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # let report = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10))).run_blocking()?;
    /// let page = report.html();
    /// assert!(page.starts_with("<!doctype html>"));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn html(&self) -> String {
        Page { report: self }.to_string()
    }
}

/// Even if something were to get past the escaping, no browser would run or fetch it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report } = self;
        writeln!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{}: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>",
            Escaped(&report.scenario),
            report.verdict,
            include_str!("html/style.css")
        )?;
        summary::write(report, f)?;
        over_time::write(report, f)?;
        figures::write(report, f)?;
        distribution::write(report, f)?;
        metrics::write(report, f)?;
        failures::write(report, f)?;
        settings::write(report, f)?;
        writeln!(
            f,
            "<footer>{} · mite {}</footer>\n</main>\n</body>\n</html>",
            report.schema,
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// As many rows, and as many series of each kind, have charts of their own.
const MOST_CHARTS: usize = 60;

/// That of so many things not all have a chart, and who has their figures.
fn left_out(all: usize, who_has: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match all.saturating_sub(MOST_CHARTS) {
        0 => Ok(()),
        more => writeln!(f, "<p class=\"note\">{more} more without a chart: {who_has}.</p>"),
    }
}

#[cfg(test)]
mod tests;
