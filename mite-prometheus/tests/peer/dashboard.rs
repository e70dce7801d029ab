//! The dashboard in `docs/grafana`: each of its queries finds its series.
//!
//! It is apart from the other tests, as the one that reads Grafana's JSON.

use serde_json::Value;

use super::prometheus::Prometheus;

const DASHBOARD: &str = include_str!("../../../docs/grafana/mite.json");

/// The expressions of all panels, with the panels' names.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    panels.flat_map(of_panel).collect()
}

pub(crate) fn finds_its_series(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let expressions = expressions(&dashboard);
    assert!(expressions.len() >= 12, "{expressions:?}");
    for (panel, expression) in expressions {
        // As Grafana puts the value of a variable into a regular expression within quotes.
        let asked = expression.replace("$test", r"shop\\\\ping").replace("$__rate_interval", "4s");
        assert!(!asked.contains('$'), "{panel}: {expression}");
        let found = prometheus.range(&asked);
        assert!(
            found.iter().any(|(_, values)| values.iter().any(|value| value.is_finite())),
            "{panel}: {asked}: {found:?}"
        );
    }
    // What the variable is chosen from.
    let variable = &dashboard["templating"]["list"];
    let query = variable.as_array().unwrap().iter().find_map(|variable| variable["definition"].as_str()).unwrap();
    let metric = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(", test)")).unwrap();
    assert!(!prometheus.range(metric).is_empty());
}
