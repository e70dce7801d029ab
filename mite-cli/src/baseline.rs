//! An earlier report that others are compared with: read before a run, so that an hour's figures are not made for a file that is
//! none.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use mite_core::{CompareError, Comparison, HeldToBaseline, Report, Run, RunError, Verdict};

use crate::fault::Fault;
use crate::{colour, stored};

/// The report, and how others are held against it.
#[derive(Debug)]
pub(crate) struct Baseline {
    path: PathBuf,
    report: Report,
    /// By how much a figure may be worse.
    percent: Option<f64>,
    anyway: bool,
}

/// What `--compare-anyway` is for.
const MEND: &str = "`--compare-anyway` compares them all the same";

impl Baseline {
    /// What `--baseline` names, if it was given.
    pub(crate) fn of(arguments: &ArgMatches) -> Result<Option<Self>, Fault> {
        arguments.get_one::<PathBuf>("baseline").map(|path| Self::read(path, arguments)).transpose()
    }

    pub(crate) fn read(path: &Path, arguments: &ArgMatches) -> Result<Self, Fault> {
        let report = stored::read(path)?;
        let percent = arguments.get_one::<f64>("fail-on-regression").copied();
        if percent.is_some() && !report.has_halves() {
            return Err(Fault::Usage(format!(
                "{}: nothing can be held against it, since an older version has written it, without the halves that tell the \
                 noise: make it anew",
                path.display()
            )));
        }
        Ok(Self { path: path.to_owned(), report, percent, anyway: arguments.get_flag("compare-anyway") })
    }

    /// The run, which does not start where its plan is known to be another one.
    pub(crate) fn planned(&self, run: Run) -> Run {
        if self.anyway { run } else { run.planned_as(&self.report) }
    }

    /// Why the run did not start.
    pub(crate) fn told_of_start(&self, error: &RunError) -> String {
        match error {
            RunError::Plan(error) => refusal(&self.path, error),
            error => error.to_string(),
        }
    }

    /// Compares a report with this one.
    pub(crate) fn compare(&self, report: &Report) -> Result<Comparison, CompareError> {
        if self.anyway { Ok(report.compare_anyway(&self.report)) } else { report.compare(&self.report) }
    }

    /// What comes of holding a report to this one, where that was asked for.
    pub(crate) fn held(&self, comparison: &Comparison) -> Option<HeldToBaseline> {
        self.percent.map(|percent| comparison.held(percent))
    }

    /// Holds the report of a run that is over to this one. It is told in any case: what cannot be compared is a warning, and a
    /// failure where it should have been judged.
    pub(crate) fn hold(&self, report: &mut Report) -> Option<Comparison> {
        match (self.compare(report), self.percent) {
            (Ok(comparison), Some(percent)) => {
                report.hold_to_baseline(&comparison, percent);
                Some(comparison)
            }
            (Ok(comparison), None) => Some(comparison),
            (Err(error), Some(_)) => {
                if report.verdict == Verdict::Passed {
                    report.verdict = Verdict::Failed;
                }
                report.reasons.push(not_compared(&error));
                None
            }
            (Err(error), None) => {
                report.warnings.push(not_compared(&error));
                None
            }
        }
    }

    /// A comparison as standard output takes it, with what came of holding the run to it.
    pub(crate) fn told(&self, comparison: &Comparison) -> String {
        let lines = self.held(comparison).map_or_else(Vec::new, |held| match &held.regressions[..] {
            [] => vec![format!("{} {held}", if held.passed() { '✓' } else { '✗' })],
            regressions => regressions.iter().map(|regression| format!("✗ {regression}")).collect(),
        });
        let mut text = comparison.to_string();
        for (index, line) in lines.iter().enumerate() {
            text.extend([if index == 0 { "\n" } else { "" }, line, "\n"]);
        }
        colour::comparison_for_stdout(&text)
    }
}

fn not_compared(error: &CompareError) -> String {
    format!("not compared with the baseline: {error}; {MEND}")
}

/// A refusal as the user is told it.
pub(crate) fn refusal(path: &Path, error: &CompareError) -> String {
    format!("{}: {error}; {MEND}", path.display())
}
