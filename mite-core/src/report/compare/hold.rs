//! Whether a run is worse than an earlier one by more than it may be, and its report's verdict by that.
//!
//! It is apart from the comparison, which only tells what there is: how much is too much is said by whoever runs it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::value;
use super::{Change, ComparedFigure, ComparedSeries, Comparison};
use crate::report::units::counted;
use crate::report::{Report, Verdict};

/// A figure that is worse by more than it may be. Its `Display` is a sentence:
/// `Log in · shop:signin: p99 is 410 ms and was 300 ms, 36.7 % worse`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Regression<'a> {
    /// Whose figure it is.
    pub series: &'a ComparedSeries,
    /// The figure.
    pub figure: &'a ComparedFigure,
}

impl fmt::Display for Regression<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { series, figure } = self;
        let told = |of: Option<f64>| value(figure.figure, of);
        write!(f, "{series}: {} is {} and was {}", figure.figure, told(figure.now), told(figure.baseline))?;
        match figure.change_percent {
            Some(percent) => write!(f, ", {:.1} % worse; ", percent.abs())?,
            None => f.write_str("; ")?,
        }
        write!(f, "the noise is {}", told(figure.noise))
    }
}

/// What came of holding a run against an earlier one: see [`Report::hold_to_baseline`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldToBaseline {
    /// When the earlier run began, in RFC 3339.
    pub started_at: String,
    /// By how much a figure had to be worse, in per cent, besides being worse by more than the noise.
    pub percent: f64,
    /// How many figures could be judged, since their noise is known.
    pub judged: u64,
    /// The figures that are worse, one sentence each.
    pub regressions: Vec<String>,
}

impl HeldToBaseline {
    /// Whether something could be judged, and none of it is a regression.
    pub fn passed(&self) -> bool {
        self.judged > 0 && self.regressions.is_empty()
    }

    /// What was asked: `no figure is worse than in the baseline by more than 5 %`.
    pub(crate) fn name(&self) -> String {
        format!("no figure is worse than in the baseline by more than {} %", self.percent)
    }
}

/// Why it has not passed, or that it has.
impl fmt::Display for HeldToBaseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.regressions[..] {
            [] if self.judged == 0 => f.write_str(
                "nothing could be held against the baseline: the noise of no figure is known. Let the run be longer, or the \
                 baseline be of this version",
            ),
            [] => write!(f, "{}, of {} that could be judged", self.name(), self.judged),
            [first, others @ ..] => {
                let are = if others.is_empty() { "is" } else { "are" };
                let figures = counted(self.regressions.len() as u64, "figure");
                write!(f, "{figures} {are} worse than in the baseline by more than {} %: {first}", self.percent)?;
                if others.is_empty() { Ok(()) } else { write!(f, "; and {} more", others.len()) }
            }
        }
    }
}

impl Comparison {
    /// What is worse by more than so many per cent of what it was, and by more than the noise.
    ///
    /// It is so for each figure, [the share of errors](super::Figure::ErrorShare) among them: where there were none, any that are more
    /// than the noise are a regression; 2 % of errors that become 2.05 % are not, at 5 %. A figure whose noise is not known is
    /// none.
    pub fn regressions(&self, percent: f64) -> impl Iterator<Item = Regression<'_>> {
        self.figures()
            .filter(move |(_, figure)| figure.change == Change::Worse && figure.worse_percent() > percent)
            .map(|(series, figure)| Regression { series, figure })
    }

    /// What comes of it when figures may be worse by so many per cent.
    pub fn held(&self, percent: f64) -> HeldToBaseline {
        HeldToBaseline {
            started_at: self.baseline.started_at.clone(),
            percent,
            judged: self.figures().filter(|(_, figure)| figure.change != Change::Unknown).count() as u64,
            regressions: self.regressions(percent).map(|regression| regression.to_string()).collect(),
        }
    }
}

impl Report {
    /// Makes a regression a reason to fail: see [`Comparison::regressions`] for what is one. The report tells it from then on
    /// as [`Report::baseline`], in its JSON and JUnit too.
    ///
    /// Where nothing could be judged, since the noise of no figure is known, it has failed as well: a test that cannot fail is
    /// none. A run that was limited by the generator or aborted stays that.
    pub fn hold_to_baseline(&mut self, comparison: &Comparison, percent: f64) {
        let held = comparison.held(percent);
        if !held.passed() {
            self.fail(held.to_string());
        }
        self.baseline = Some(held);
    }

    /// Makes it a failed run, unless it is worse already.
    pub(super) fn fail(&mut self, reason: String) {
        if self.verdict == Verdict::Passed {
            self.verdict = Verdict::Failed;
        }
        self.reasons.push(reason);
    }
}
