//! The text exposition format, version 0.0.4.
//!
//! It is apart from OpenMetrics, which has most lines in common with it, since each has rules of its own for heads and ends.

use std::fmt::Write as _;

use crate::family::{Family, Kind, LONGEST_LABEL, Sample};

/// What it is in HTTP's terms.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families as text. Label values that were cut are told in a comment.
pub(crate) fn encode(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
        };
        // Text takes what is written to it, here and below.
        let _ = write!(text, "# HELP {} ", family.name);
        escape(&mut text, &family.help, false);
        let _ = writeln!(text, "\n# TYPE {} {kind}", family.name);
        if family.cut > 0 {
            let _ = writeln!(
                text,
                "# mite: {} label values of {} have over {LONGEST_LABEL} bytes: they are cut, and end in …",
                family.cut, family.name
            );
        }
        family.samples(|sample| line(&mut text, family, &sample));
    }
    text
}

/// One sample.
pub(crate) fn line(text: &mut String, family: &Family, sample: &Sample<'_>) {
    let _ = write!(text, "{}{}", family.name, sample.suffix);
    let labels = family.labels.iter().map(|name| &**name).zip(sample.labels.iter().map(String::as_str));
    let labels = labels.chain(sample.le.as_deref().map(|le| ("le", le)));
    let mut before = '{';
    for (name, value) in labels {
        let _ = write!(text, "{before}{name}=\"");
        escape(text, value, true);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {}", sample.value);
}

/// A label's value, or what is said of a family, in which quotes may stand.
pub(crate) fn escape(text: &mut String, value: &str, quotes: bool) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests;
