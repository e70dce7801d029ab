//! Two runs side by side: what of the figures has changed, and whether by more than the noise.
//!
//! It is apart from the report, since it is made of two of them.

mod hold;
mod noise;
mod plan;
mod rows;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Report;
use super::series::{in_journey, request_label};
use crate::clock::micros;
use crate::names::ROOT;

pub use hold::{HeldToBaseline, Regression};
pub use plan::CompareError;
pub(crate) use plan::Planned;

/// The name of the JSON's format.
const SCHEMA: &str = "mite.comparison/1";

/// A run held beside an earlier one: for each row of both reports what has changed, and by how much more than the noise.
///
/// # The noise
///
/// No two runs have the same figures, also where nothing has changed. How far apart they may be by chance is told by the runs
/// themselves, and the larger one counts of these:
///
/// - **What a run differs from itself by.** Each run has two [`Halves`](crate::Halves) of the same plan. Between the halves of one run a
///   figure differs by *d₁*, between those of the other by *d₂*. A half has half of the run's samples, so that the variance of
///   the whole run's figure is a quarter of d² in the mean, and the difference of two runs has the standard error
///   √(d₁² + d₂²) / 2. It is known from two numbers only, so that Student's *t* of two degrees of freedom says how much of it
///   is still chance: 4.303 times as much in 19 of 20 cases.
/// - **What so few samples can tell.** Three standard errors by the number of samples alone: of a quantile by the ranks that lie
///   three standard deviations beside its own, of a mean by the standard deviation, of a share by the binomial distribution,
///   of a rate by the count's square root. It keeps two halves that happen to agree from being taken for certainty.
/// - **What a histogram can tell apart**: twice 0.1 %, and no less than 2 µs.
///
/// So where nothing has changed, at the most one figure in 20 is told to have changed, and one in 40 to be worse; where the
/// samples are independent of each other far fewer are. A report with many rows has many figures: it takes
/// [`Comparison::regressions`]' limit besides to make a test of it.
///
/// What the halves cannot show is what they have in common: a neighbour that makes the machine slow for a minute, a cache that
/// is warm in one run and cold in the other, another machine. The noise between such runs is more than is said here.
///
/// A figure's noise is not known where a report has no halves (old ones), and where a half has fewer than ten samples beyond
/// the quantile (20 of p50, 100 of p90, 200 of p95, 1000 of p99, 10 000 of p99.9), ten samples of a mean or a share, or two
/// seconds of a rate.
///
/// # As JSON
///
/// `{"schema": "mite.comparison/1", "baseline": {…}, "now": {…}, "warnings": [], "rows": [{"series": {"kind": "transaction",
/// "journey": "…", "transaction": "…"}, "figures": [{"figure": "p99", "baseline": 300000, "now": 410000,
/// "change_percent": 36.7, "noise": 21000, "change": "worse"}]}], "only_in_baseline": [], "only_now": []}`: rates are per second, shares
/// of errors from 0 to 1, times in microseconds, and the noise in the unit of its figure. Where the noise is not known,
/// `noise_unknown` says why.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// `mite.comparison/1`.
    pub schema: String,
    /// The earlier run.
    pub baseline: ComparedRun,
    /// The run that is held against it.
    pub now: ComparedRun,
    /// What makes the runs hard to compare.
    pub warnings: Vec<String>,
    /// One for each row that both reports have: all requests together, then journeys, transactions and requests.
    pub rows: Vec<ComparedRow>,
    /// Rows that only the baseline has.
    pub only_in_baseline: Vec<ComparedSeries>,
    /// Rows that the baseline does not have.
    pub only_now: Vec<ComparedSeries>,
}

/// One of the two runs of a [`Comparison`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ComparedRun {
    /// The scenario's name.
    pub scenario: String,
    /// When the run began, in RFC 3339.
    pub started_at: String,
    /// From the first start to the end of the last journey.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
}

/// A row that both reports have.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ComparedRow {
    /// What it is a row of.
    pub series: ComparedSeries,
    /// Those that at least one of the two has.
    pub figures: Vec<ComparedFigure>,
}

/// What a row of the reports is of; two rows are the same when all of this is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComparedSeries {
    /// All requests together: their rate, and the share of those without an answer or of code 400 or over.
    AllRequests,
    /// A row of the scenario.
    Journey {
        /// The journey's name.
        journey: String,
        /// Which one of the rows with this name it is, from 1.
        nth: u32,
    },
    /// A transaction.
    Transaction {
        /// The journey's name.
        journey: String,
        /// The transaction's name without `__root__ :: `.
        transaction: String,
    },
    /// Requests of one result.
    Request {
        /// The journey's name.
        journey: String,
        /// The transaction's name without `__root__ :: `.
        transaction: String,
        /// `POST`.
        method: String,
        /// What the journey calls it, where it has a name.
        name: Option<String>,
        /// The response's code; 0 when there was none.
        code: u16,
        /// Without a response, the class of its error.
        error: Option<String>,
    },
}

impl ComparedSeries {
    /// Whether the more of them there are, the worse it is.
    fn is_failure(&self) -> bool {
        matches!(self, Self::Request { code, .. } if *code == 0 || *code >= 400)
    }
}

/// `Log in · shop:signin`, `POST /users · Log in · shop:signin · 200`.
impl fmt::Display for ComparedSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllRequests => f.write_str("all requests"),
            Self::Journey { journey, nth: 1 } => f.write_str(journey),
            Self::Journey { journey, nth } => write!(f, "{journey} (row {nth} of this name)"),
            Self::Transaction { journey, transaction } => f.write_str(&in_journey(transaction, journey)),
            Self::Request { journey, transaction, method, name, code, error } => {
                let place = if transaction == ROOT { journey.clone() } else { in_journey(transaction, journey) };
                write!(f, "{} · ", request_label(method, name.as_deref(), &place))?;
                match error {
                    Some(error) => f.write_str(error),
                    None => write!(f, "{code}"),
                }
            }
        }
    }
}

/// One figure of a row in both runs.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ComparedFigure {
    /// Which one.
    pub figure: Figure,
    /// In the baseline: per second, from 0 to 1, or in microseconds. `None` where nothing was timed.
    pub baseline: Option<f64>,
    /// In the run that is held against it, in the same unit.
    pub now: Option<f64>,
    /// By how much it is more now, in per cent of what it was; `None` where that was nothing.
    pub change_percent: Option<f64>,
    /// How far apart the two may be by chance, in the same unit; `None` where that is not known.
    pub noise: Option<f64>,
    /// Why the noise is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_unknown: Option<NoiseUnknown>,
    /// What it comes to.
    pub change: Change,
}

impl ComparedFigure {
    /// By how much it is worse, in per cent of what it was in the baseline: more than any number where that was nothing. 0
    /// where it is not worse, or no more than the noise.
    pub fn worse_percent(&self) -> f64 {
        match (self.change, self.change_percent) {
            (Change::Worse, Some(percent)) => percent.abs(),
            (Change::Worse, None) => f64::INFINITY,
            _ => 0.0,
        }
    }
}

/// A figure of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Figure {
    /// How many there were per second: of journeys those that started. It is over the time in which the plan had something to
    /// start, since a journey that hangs at the end makes nothing slower. The less the worse, but for requests that failed.
    Rate,
    /// Of journeys the part of those started that failed, of transactions the part that ended with an error.
    ErrorShare,
    /// The mean of the times: of journeys the response time. The longer the worse, as with all that follow.
    Mean,
    /// What half of the times were not longer than.
    P50,
    /// What 90 of 100 were not longer than.
    P90,
    /// What 95 of 100 were not longer than.
    P95,
    /// What 99 of 100 were not longer than.
    P99,
    /// What 999 of 1000 were not longer than.
    P999,
}

impl Figure {
    /// Whether it is a time.
    fn is_time(self) -> bool {
        !matches!(self, Self::Rate | Self::ErrorShare)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "rate",
            Self::ErrorShare => "errors",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        })
    }
}

/// What has become of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// It differs by no more than the noise.
    Same,
    /// It is better by more than the noise: faster, where it is a time.
    Better,
    /// It is worse by more than the noise: slower, where it is a time.
    Worse,
    /// The noise is not known.
    Unknown,
}

/// Why the noise of a figure is not known. Its `Display`, which is its JSON too, is half of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoiseUnknown {
    /// One of the reports was written before reports had halves.
    NoHalves,
    /// A half has too few samples.
    TooFew {
        /// So many it takes.
        needed: u64,
    },
    /// A half has less than two seconds.
    TooShort,
    /// One of the runs has timed nothing.
    NoTimes,
}

impl fmt::Display for NoiseUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHalves => f.write_str("a report has no halves: it was written by an older version"),
            Self::TooFew { needed } => write!(f, "a half of a run has fewer than {needed} samples"),
            Self::TooShort => f.write_str("a half of a run is shorter than 2 s"),
            Self::NoTimes => f.write_str("a run has timed nothing"),
        }
    }
}

impl Serialize for NoiseUnknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Report {
    /// Holds this report's figures beside those of an earlier one.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Report, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # let scenario = || Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let baseline = Run::new(scenario()).run_blocking()?.to_json();
    /// let report = Run::new(scenario()).run_blocking()?;
    /// let comparison = report.compare(&Report::from_json(&baseline)?)?;
    /// assert_eq!(comparison.regressions(50.0).count(), 0);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CompareError`]: the runs had different plans, so that their figures say nothing of each other. It names the first
    /// difference.
    pub fn compare(&self, baseline: &Report) -> Result<Comparison, CompareError> {
        plan::same(baseline, self)?;
        Ok(self.compare_anyway(baseline))
    }

    /// As [`Report::compare`], of different plans too: what they differ by is a warning.
    pub fn compare_anyway(&self, baseline: &Report) -> Comparison {
        let run = |of: &Report| ComparedRun {
            scenario: of.scenario.clone(),
            started_at: of.started_at.clone(),
            duration: of.duration,
        };
        let rows::Found { rows, only_in_baseline, only_now } = rows::compared(baseline, self);
        Comparison {
            schema: SCHEMA.to_owned(),
            baseline: run(baseline),
            now: run(self),
            warnings: plan::warnings(baseline, self),
            rows,
            only_in_baseline,
            only_now,
        }
    }
}

impl Comparison {
    /// The comparison as JSON, indented.
    ///
    /// # Panics
    /// Never: it has only text as keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a comparison has only text as keys")
    }

    fn figures(&self) -> impl Iterator<Item = (&ComparedSeries, &ComparedFigure)> {
        self.rows.iter().flat_map(|row| row.figures.iter().map(|figure| (&row.series, figure)))
    }

    /// How many figures were found to be so.
    pub fn count(&self, change: Change) -> usize {
        self.figures().filter(|(_, figure)| figure.change == change).count()
    }
}
