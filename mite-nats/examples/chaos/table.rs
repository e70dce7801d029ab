//! What was measured, held against what it has to be, as a table.
//!
//! It is apart from the tests, so that all of them are told in the same words.

use std::fmt::Display;

/// What one test has found.
#[derive(Debug)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    /// What a machine misses that does other things besides is told, and not judged.
    counts_alone: bool,
}

#[derive(Debug)]
struct Finding {
    what: String,
    measured: String,
    bar: String,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// It goes by time, and the machine may have been busy.
    Late,
}

#[expect(clippy::needless_pass_by_value, reason = "numbers, which cost no more than a look at them")]
impl Findings {
    /// None yet; `counts_alone` judges what is counted, and tells what goes by time.
    pub(crate) fn new(counts_alone: bool) -> Self {
        Self { all: Vec::new(), counts_alone }
    }

    fn add(&mut self, what: &str, measured: impl Display, bar: impl Display, verdict: Verdict) {
        let (measured, bar) = (measured.to_string(), bar.to_string());
        self.all.push(Finding { what: what.to_owned(), measured, bar, verdict });
    }

    fn counted(is_met: bool) -> Verdict {
        if is_met { Verdict::Met } else { Verdict::Missed }
    }

    fn timed(&self, is_met: bool) -> Verdict {
        match (is_met, self.counts_alone) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::Late,
            (false, false) => Verdict::Missed,
        }
    }

    pub(crate) fn equal<T: PartialEq + Display>(&mut self, what: &str, measured: T, expected: T) {
        let verdict = Self::counted(measured == expected);
        self.add(what, measured, format!("= {expected}"), verdict);
    }

    /// The same of what is so unless the machine stands still.
    pub(crate) fn equal_in_time<T: PartialEq + Display>(&mut self, what: &str, measured: T, expected: T) {
        let verdict = self.timed(measured == expected);
        self.add(what, measured, format!("= {expected}"), verdict);
    }

    /// Goes by time, as does [`Findings::at_least`].
    pub(crate) fn at_most<T: PartialOrd + Display>(&mut self, what: &str, measured: T, most: T, unit: &str) {
        let verdict = self.timed(measured <= most);
        self.add(what, format!("{measured:.4} {unit}"), format!("<= {most} {unit}"), verdict);
    }

    pub(crate) fn at_least<T: PartialOrd + Display>(&mut self, what: &str, measured: T, least: T, unit: &str) {
        let verdict = self.timed(measured >= least);
        self.add(what, format!("{measured:.4} {unit}"), format!(">= {least} {unit}"), verdict);
    }

    pub(crate) fn holds(&mut self, what: &str, measured: impl Display, is_met: bool) {
        self.add(what, measured, "yes", Self::counted(is_met));
    }

    /// The same of what is so unless the machine stands still.
    pub(crate) fn holds_in_time(&mut self, what: &str, measured: impl Display, is_met: bool) {
        let verdict = self.timed(is_met);
        self.add(what, measured, "yes", verdict);
    }

    /// Something that is told and not judged.
    pub(crate) fn note(&mut self, what: &str, measured: impl Display) {
        self.add(what, measured, "-", Verdict::Met);
    }

    pub(crate) fn failed(&mut self, why: &str) {
        self.add("could not be carried out", why, "no", Verdict::Missed);
    }

    pub(crate) fn are_met(&self) -> bool {
        self.all.iter().all(|finding| finding.verdict != Verdict::Missed)
    }

    pub(crate) fn print(&self, test: &str) {
        for Finding { what, measured, bar, verdict } in &self.all {
            let verdict = match verdict {
                Verdict::Met => "ok",
                Verdict::Missed => "MISSED",
                Verdict::Late => "missed, and not judged",
            };
            println!("{test:<4} {what:<58} {measured:>26}  {bar:<16} {verdict}");
        }
    }
}
