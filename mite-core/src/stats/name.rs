//! Which names metrics and labels may have: those that Prometheus takes, and that mite does not use itself.
//!
//! It is apart from the metrics, since those of direct handles are only known when they are used.

/// The metrics that mite has by itself.
const BUILT_IN: [&str; 12] = [
    "mite_journey_error_total",
    "mite_transaction_total",
    "mite_actual_count",
    "mite_required_count",
    "mite_runner_count",
    "mite_running_count",
    "mite_http_response_total",
    "mite_http_response_time_seconds",
    "mite_dns_time",
    "mite_transaction_seconds",
    "mite_journey_response_seconds",
    "mite_journey_start_lag_seconds",
];

/// What a histogram's figures are called besides its name.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Why a metric cannot have this name, as a sentence's second half.
pub(super) fn metric_mistake(name: &str) -> Option<&'static str> {
    let base = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    if BUILT_IN.contains(&name) || base.is_some_and(|base| BUILT_IN.contains(&base)) {
        return Some("mite has one of that name itself");
    }
    (!is_name(name, ":"))
        .then_some("a name is of letters from `a` to `z`, digits, `_` and `:`, and begins with no digit")
}

/// Why a label cannot have this name, as a sentence's second half.
pub(super) fn label_mistake(name: &str) -> Option<&'static str> {
    if name == "le" {
        return Some("that is what the bounds of a histogram's buckets go by");
    }
    if name.starts_with("__") {
        return Some("names that begin with `__` are Prometheus' own");
    }
    (!is_name(name, "")).then_some("a name is of letters from `a` to `z`, digits and `_`, and begins with no digit")
}

/// The names that two metrics must not both have: their own, and of a histogram those of its figures.
pub(super) fn taken(name: &str, is_histogram: bool) -> Vec<String> {
    let suffixes = SUFFIXES.iter().filter(|_| is_histogram);
    std::iter::once(name.to_owned()).chain(suffixes.map(|suffix| format!("{name}{suffix}"))).collect()
}

fn is_name(name: &str, besides: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || besides.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_takes() {
        let names = [
            // The name, whether a metric may have it, and whether a label may.
            ("cart_items", true, true),
            ("_private", true, true),
            ("Cart9", true, true),
            ("shop:cart", true, false),
            ("le", true, false),
            ("__name__", true, false),
            ("", false, false),
            ("9lives", false, false),
            ("cart items", false, false),
            ("cart-items", false, false),
            ("größe", false, false),
            ("cart\n", false, false),
            ("mite_transaction_total", false, true),
            ("mite_dns_time_count", false, true),
        ];
        for (name, of_metric, of_label) in names {
            assert_eq!(metric_mistake(name).is_none(), of_metric, "{name:?}");
            assert_eq!(label_mistake(name).is_none(), of_label, "{name:?}");
        }
    }
}
