//! Which format a scraper is answered in, by its `Accept` header.
//!
//! It is apart from the server, so that what clients may ask for is a table of texts.

use bytes::Bytes;

use crate::family::Family;
use crate::{native, openmetrics, text};

/// A format of exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    OpenMetrics,
    /// Protocol buffers, the only one that native histograms have.
    Protobuf,
}

impl Format {
    /// What is asked for most; the text, which anything can read, where nothing is said or nothing of it is there. Protocol buffers are
    /// given only where native histograms are wanted.
    pub(crate) fn accepted(accept: &str, native_histograms: bool) -> Self {
        let mut best = (0, Self::Text);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "application/vnd.google.protobuf" if native_histograms => Self::Protobuf,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _ => continue,
            };
            let (quality, fits) = parameters(parts, format);
            if fits && quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => text::CONTENT_TYPE,
            Self::OpenMetrics => openmetrics::CONTENT_TYPE,
            Self::Protobuf => native::CONTENT_TYPE,
        }
    }

    pub(crate) fn encode(self, families: &[Family]) -> Bytes {
        match self {
            Self::Text => text::encode(families).into(),
            Self::OpenMetrics => openmetrics::encode(families).into(),
            Self::Protobuf => native::encode(families).into(),
        }
    }
}

/// How much a range is wanted, in thousandths, and whether a format is what its other parameters ask for.
fn parameters<'a>(parts: impl Iterator<Item = &'a str>, format: Format) -> (u32, bool) {
    let (mut quality, mut fits) = (1000, true);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = value.parse().map_or(0, |q: f64| (q.clamp(0.0, 1.0) * 1000.0) as u32),
            // 0.0.1 is a draft that does not differ in what is written here; what comes after 1 may.
            "version" if format == Format::OpenMetrics => fits &= value == "0.0.1" || value.starts_with("1."),
            "encoding" if format == Format::Protobuf => fits &= value == "delimited",
            "proto" if format == Format::Protobuf => fits &= value == "io.prometheus.client.MetricFamily",
            _ => {}
        }
    }
    (quality, fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_is_asked_for_most() {
        use Format::{OpenMetrics, Protobuf, Text};
        let of_prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let of_native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
            application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5";
        let rows = [
            // Nothing, and what is no format.
            ("", false, Text),
            ("text/html", false, Text),
            ("*/*", false, Text),
            (of_prometheus_2, false, OpenMetrics),
            (of_prometheus_2, true, OpenMetrics),
            // Only where native histograms were asked for.
            (of_native, true, Protobuf),
            (of_native, false, OpenMetrics),
            // By weight, not by order; 0 is no.
            ("application/openmetrics-text;q=0.2, text/plain;q=0.3", false, Text),
            ("text/plain;q=0.2, Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.3", false, OpenMetrics),
            ("application/openmetrics-text;q=0", false, Text),
            ("application/openmetrics-text;q=x", false, Text),
            // A version that is not there yet.
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", false, Text),
            ("application/vnd.google.protobuf;encoding=text", true, Text),
            (";;,=,;q=,", true, Text),
        ];
        for (accept, native, format) in rows {
            assert_eq!(Format::accepted(accept, native), format, "{accept}");
        }
    }
}
