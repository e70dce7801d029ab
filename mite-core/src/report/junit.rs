//! The report as JUnit XML, which CI systems show as tests.
//!
//! It is apart from the texts for people, since what it says is by case: the run, each threshold, each journey.

use std::fmt;

use super::markup::Escaped;
use super::units::{counted, time};
use super::{ErrorReport, HeldToBaseline, JourneyReport, Report, Verdict};
use crate::histogram::Histogram;
use crate::threshold::Checked;

/// A report's cases.
pub(super) struct Suite<'a> {
    pub(super) report: &'a Report,
}

impl Report {
    /// The report as JUnit XML, for CI systems: a case for the run's verdict, for each threshold, for
    /// the baseline where it was held to one, and for each journey.
    ///
    /// A run that tells nothing of the system, since the generator was limited or the run was aborted, is an `error`. Without
    /// thresholds a journey's case fails by any error of it, and by any start that was not made; with thresholds they judge,
    /// and the journeys' cases only tell their figures.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(10))).run_blocking()?;
    /// assert!(report.junit().contains("<testsuites"));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn junit(&self) -> String {
        Suite { report: self }.to_string()
    }
}

struct Case {
    class: &'static str,
    name: String,
    /// In seconds.
    took: Option<f64>,
    outcome: Outcome,
    /// Figures, for whoever opens the case.
    told: String,
}

enum Outcome {
    Passed,
    /// The system was at fault: why in one line, and all that is known.
    Failed(String, String),
    /// The run itself was.
    Error(String, String),
}

impl fmt::Display for Suite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let cases = self.cases();
        let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
            cases.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(..))),
            count(|outcome| matches!(outcome, Outcome::Error(..))),
            report.duration.as_secs_f64()
        );
        let name = Escaped(&report.scenario);
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mite\" {counts}>")?;
        writeln!(f, "  <testsuite name=\"{name}\" timestamp=\"{}\" {counts}>", Escaped(&report.started_at))?;
        cases.iter().try_for_each(|case| case.write(&report.scenario, f))?;
        writeln!(f, "  </testsuite>\n</testsuites>")
    }
}

impl Suite<'_> {
    fn cases(&self) -> Vec<Case> {
        let mut cases = vec![run(self.report)];
        cases.extend(self.report.thresholds.iter().map(threshold));
        cases.extend(self.report.baseline.iter().map(baseline));
        let mut names: Vec<&str> = Vec::new();
        for row in &self.report.journeys {
            if !names.contains(&row.journey.as_str()) {
                names.push(&row.journey);
            }
        }
        // Where there are thresholds, they say how many errors are too many.
        let is_judged = self.report.thresholds.is_empty();
        cases.extend(names.into_iter().map(|name| journey(self.report, name, is_judged)));
        cases
    }
}

fn run(report: &Report) -> Case {
    let why = || (report.reasons.first().cloned().unwrap_or_default(), report.reasons.join("\n"));
    let outcome = match (report.verdict, why()) {
        (Verdict::Passed, _) => Outcome::Passed,
        (Verdict::Failed, (first, all)) => Outcome::Failed(first, all),
        // What the figures of such a run say of the system is not known.
        (Verdict::GeneratorLimited | Verdict::Aborted, (first, all)) => {
            Outcome::Error(format!("{}: {first}", report.verdict), all)
        }
    };
    let took = Some(report.duration.as_secs_f64());
    Case { class: "run", name: "verdict".to_owned(), took, outcome, told: report.warnings.join("\n") }
}

fn threshold(checked: &Checked) -> Case {
    let told = checked.to_string();
    let name = checked.threshold().to_string();
    let (outcome, told) =
        if checked.passed() { (Outcome::Passed, told) } else { (Outcome::Failed(told.clone(), told), String::new()) };
    Case { class: "thresholds", name, took: None, outcome, told }
}

fn baseline(held: &HeldToBaseline) -> Case {
    let told = held.to_string();
    let (outcome, told) = if held.passed() {
        (Outcome::Passed, told)
    } else {
        (Outcome::Failed(told, held.regressions.join("\n")), String::new())
    };
    Case { class: "baseline", name: held.name(), took: None, outcome, told }
}

/// All rows of the journey of this name.
fn journey(report: &Report, name: &str, is_judged: bool) -> Case {
    let rows: Vec<_> = report.journeys.iter().filter(|row| row.journey == name).collect();
    let errors: Vec<_> = report.errors.iter().filter(|error| error.journey == name).collect();
    let short = shortcomings(&rows, &errors);
    let mut lines = if short.is_empty() { Vec::new() } else { vec![short.clone()] };
    lines.extend(errors.iter().map(|error| {
        format!("{} × {}\n    at {} in {:?}", error.count, error.message, error.location, error.transaction)
    }));
    let mut told = figures(&rows);
    let outcome = if short.is_empty() || !is_judged {
        // What is allowed is told.
        lines.insert(0, told);
        told = lines.join("\n");
        Outcome::Passed
    } else {
        Outcome::Failed(short, lines.join("\n"))
    };
    Case { class: "journeys", name: name.to_owned(), took: None, outcome, told }
}

/// What went wrong, in one line; empty when nothing did.
fn shortcomings(rows: &[&JourneyReport], errors: &[&ErrorReport]) -> String {
    let sum = |of: fn(&JourneyReport) -> u64| rows.iter().map(|row| of(row)).sum::<u64>();
    let journeys = |count, what: &str| (count > 0).then(|| format!("{} {what}", counted(count, "journey")));
    let starts = |count, what: &str| (count > 0).then(|| format!("{} {what}", counted(count, "start")));
    let reported: u64 = errors.iter().map(|error| error.count).sum();
    let parts = [
        journeys(sum(|row| row.failed), "failed"),
        (reported > 0).then(|| counted(reported, "error")),
        journeys(sum(|row| row.cancelled), "cancelled"),
        starts(sum(|row| row.dropped), "dropped"),
        starts(sum(|row| row.starved), "without data"),
        starts(sum(|row| row.unstarted + row.fenced), "not made"),
        starts(sum(|row| row.lost), "lost"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn figures(rows: &[&JourneyReport]) -> String {
    let sum = |of: fn(&JourneyReport) -> u64| rows.iter().map(|row| of(row)).sum::<u64>();
    let mut times = Histogram::new();
    for row in rows {
        times.merge(&row.response_time);
    }
    let counts = format!(
        "planned {}, started {}, completed {}, failed {}",
        sum(|row| row.planned),
        sum(|row| row.started),
        sum(|row| row.completed),
        sum(|row| row.failed)
    );
    if times.count() == 0 {
        return counts;
    }
    let percentile = |percent| time(times.percentile(percent));
    format!(
        "{counts}\nresponse time: p50 {}, p95 {}, p99 {}, max {}",
        percentile(50.0),
        percentile(95.0),
        percentile(99.0),
        time(times.max())
    )
}

impl Case {
    fn write(&self, scenario: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, name, took, outcome, told } = self;
        write!(f, "    <testcase classname=\"{}.{class}\" name=\"{}\"", Escaped(scenario), Attribute(name))?;
        if let Some(took) = took {
            write!(f, " time=\"{took:.3}\"")?;
        }
        writeln!(f, ">")?;
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(first, all) => failure("failure", first, all, f)?,
            Outcome::Error(first, all) => failure("error", first, all, f)?,
        }
        if !told.is_empty() {
            writeln!(f, "      <system-out>{}</system-out>", Escaped(told))?;
        }
        writeln!(f, "    </testcase>")
    }
}

fn failure(element: &str, first: &str, all: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "      <{element} message=\"{}\">{}</{element}>", Attribute(first), Escaped(all))
}

/// An attribute's value: a parser would make spaces of its line breaks.
struct Attribute<'a>(&'a str);

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = Escaped(self.0).to_string();
        f.write_str(&escaped.replace('\n', "&#10;").replace('\t', "&#9;"))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use roxmltree::{Document, Node};

    use super::*;
    use crate::report::fixed;
    use crate::threshold::{error_rate, ms, p99, percent};

    fn cases<'a>(document: &'a Document<'_>) -> Vec<Node<'a, 'a>> {
        document.descendants().filter(|node| node.has_tag_name("testcase")).collect()
    }

    fn has(case: &Node<'_, '_>, element: &str) -> bool {
        case.children().any(|node| node.has_tag_name(element))
    }

    #[test]
    fn the_run_thresholds_and_journeys_are_cases() {
        let report = fixed::held(fixed::shop(), [p99("Log in").under(ms(300)), error_rate().under(percent(5.0))]);
        assert_snapshot!(report.junit());
    }

    #[test]
    fn errors_fail_a_journey_where_no_threshold_judges() {
        let report = fixed::shop();
        let xml = report.junit();
        let document = Document::parse(&xml).unwrap();
        let told: Vec<_> = cases(&document)
            .iter()
            .map(|case| (case.attribute("name").unwrap().to_owned(), has(case, "failure")))
            .collect();
        // The two rows of one journey are one case.
        let expected = [
            ("verdict", true),
            ("shop:signin", true),
            ("shop:browse", false),
            ("admin:browse", false),
            ("Search", false),
        ];
        assert_eq!(told, expected.map(|(name, failed)| (name.to_owned(), failed)));
        let suite = document.root_element().first_element_child().unwrap();
        assert_eq!((suite.attribute("tests"), suite.attribute("failures")), (Some("5"), Some("2")));
    }

    #[test]
    fn a_run_that_tells_nothing_of_the_system_is_an_error() {
        let mut report = fixed::empty();
        report.verdict = Verdict::GeneratorLimited;
        report.reasons = vec!["the generator was late".to_owned()];
        let xml = report.junit();
        let document = Document::parse(&xml).unwrap();
        let case = cases(&document)[0];
        assert!(has(&case, "error") && !has(&case, "failure"), "{xml}");
        assert_eq!(document.root_element().attribute("errors"), Some("1"));
    }

    #[test]
    fn what_a_run_brings_along_is_read_back_as_it_was() {
        let name = "<script>alert(\"1\")</script> & 'more'\nin a second line";
        let mut report = fixed::empty();
        report.scenario = "a < b".to_owned();
        report.journeys = vec![fixed::journey(1, name, &[(1, 1)], 1)];
        report.errors = vec![fixed::error(name, "Log in", "Error: ]]> \u{1b}[31m", 3, 1)];
        let xml = report.junit();
        let document = Document::parse(&xml).unwrap();
        let case = cases(&document)[1];
        assert_eq!((case.attribute("name"), case.attribute("classname")), (Some(name), Some("a < b.journeys")));
        let failure = case.first_element_child().unwrap();
        assert!(failure.text().unwrap().contains("Error: ]]> \\u{1b}[31m"), "{xml}");
    }
}
