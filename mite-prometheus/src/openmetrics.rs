//! OpenMetrics text, version 1.0.0: what Prometheus asks for first.
//!
//! It is apart from the older text format: names of families, escapes in heads and the end of the text differ.

use std::fmt::Write as _;

use crate::family::{Family, Kind};
use crate::text;

/// What it is in HTTP's terms.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Families as text.
///
/// The series are those of the older format to the letter, so that it does not matter which of them was scraped: a counter whose
/// name does not end in `_total`, as it must here, is told as one of an unknown kind.
pub(crate) fn encode(families: &[Family]) -> String {
    let mut written = String::new();
    for family in families {
        let (name, kind) = match (family.kind, family.name.strip_suffix("_total")) {
            (Kind::Counter, Some(name)) => (name, "counter"),
            (Kind::Gauge, _) => (&*family.name, "gauge"),
            (Kind::Histogram, _) => (&*family.name, "histogram"),
            (Kind::Untyped | Kind::Counter, _) => (&*family.name, "unknown"),
        };
        // Text takes what is written to it, here and below.
        let _ = writeln!(written, "# TYPE {name} {kind}");
        if name.ends_with("_seconds") {
            let _ = writeln!(written, "# UNIT {name} seconds");
        }
        let _ = write!(written, "# HELP {name} ");
        text::escape(&mut written, &family.help, true);
        written.push('\n');
        family.samples(|sample| text::line(&mut written, family, &sample));
    }
    written.push_str("# EOF\n");
    written
}
