//! A figure beside the bar that it is held to and the aim beyond it.
//! It is separate because a table of them is what the comparison comes to.

use serde::Serialize;

use crate::spread::Spread;

/// What is wanted of a figure: the bar first, then the aim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Bar {
    AtMost(f64, f64),
    AtLeast(f64, f64),
}

/// One line of what was wanted and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Held {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) bar: Bar,
    /// `None` where it could not be measured.
    pub(crate) found: Option<Spread>,
}

impl Bar {
    fn bounds(self) -> (&'static str, f64, f64) {
        match self {
            Self::AtMost(bar, aim) => ("≤", bar, aim),
            Self::AtLeast(bar, aim) => ("≥", bar, aim),
        }
    }

    fn verdict(self, figure: f64) -> &'static str {
        let holds = |bound: f64| match self {
            Self::AtMost(..) => figure <= bound,
            Self::AtLeast(..) => figure >= bound,
        };
        match self.bounds() {
            (_, _, aim) if holds(aim) => "aim reached",
            (_, bar, _) if holds(bar) => "bar reached",
            _ => "MISSED",
        }
    }
}

impl Held {
    pub(crate) fn cells(&self) -> Vec<String> {
        let (sign, bar, aim) = self.bar.bounds();
        let unit = self.unit;
        let found = self.found.map_or_else(|| "not measured".to_owned(), |found| format!("{found:.3}{unit}"));
        let verdict = self.found.map_or("", |found| self.bar.verdict(found.median));
        vec![self.what.clone(), found, format!("{sign} {bar}{unit}"), format!("{sign} {aim}{unit}"), verdict.to_owned()]
    }

    pub(crate) const HEAD: [&'static str; 5] = ["what", "found", "bar", "aim", ""];
}
