//! What was measured, held against what it has to be, as a table.
//!
//! It is apart from the tests, so that all of them are told in the same words.

use std::fmt::Display;

/// What one test has found.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    what: String,
    measured: String,
    bar: String,
    is_met: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "numbers, which cost no more than a look at them")]
impl Findings {
    fn add(&mut self, what: &str, measured: impl Display, bar: impl Display, is_met: bool) {
        let (measured, bar) = (measured.to_string(), bar.to_string());
        self.0.push(Finding { what: what.to_owned(), measured, bar, is_met });
    }

    pub(crate) fn equal<T: PartialEq + Display>(&mut self, what: &str, measured: T, expected: T) {
        let is_met = measured == expected;
        self.add(what, measured, format!("= {expected}"), is_met);
    }

    pub(crate) fn at_most<T: PartialOrd + Display>(&mut self, what: &str, measured: T, most: T, unit: &str) {
        let is_met = measured <= most;
        self.add(what, format!("{measured:.4} {unit}"), format!("<= {most} {unit}"), is_met);
    }

    pub(crate) fn at_least<T: PartialOrd + Display>(&mut self, what: &str, measured: T, least: T, unit: &str) {
        let is_met = measured >= least;
        self.add(what, format!("{measured:.4} {unit}"), format!(">= {least} {unit}"), is_met);
    }

    pub(crate) fn holds(&mut self, what: &str, measured: impl Display, is_met: bool) {
        self.add(what, measured, "yes", is_met);
    }

    /// Something that is told and not judged.
    pub(crate) fn note(&mut self, what: &str, measured: impl Display) {
        self.add(what, measured, "-", true);
    }

    pub(crate) fn failed(&mut self, why: &str) {
        self.add("could not be carried out", why, "no", false);
    }

    pub(crate) fn are_met(&self) -> bool {
        self.0.iter().all(|finding| finding.is_met)
    }

    pub(crate) fn print(&self, test: &str) {
        for Finding { what, measured, bar, is_met } in &self.0 {
            let verdict = if *is_met { "ok" } else { "MISSED" };
            println!("{test:<4} {what:<58} {measured:>26}  {bar:<16} {verdict}");
        }
    }
}
