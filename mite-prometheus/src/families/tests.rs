//! Which samples are told of figures: the whole text for a small run, and what is decided for single rows.

use mite_core::Histogram;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::*;
use crate::text;

fn row<T: DeserializeOwned>(json: Json) -> T {
    serde_json::from_value(json).unwrap()
}

fn times(millis: &[u64]) -> Histogram {
    let mut histogram = Histogram::new();
    for millis in millis {
        histogram.record(Duration::from_millis(*millis));
    }
    histogram
}

fn journey(number: u32, name: &str, response_time: &[u64]) -> JourneyReport {
    let none = times(&[]);
    row(json!({
        "row": number, "journey": name, "planned": 3, "started": 3, "completed": 2, "failed": 1, "cancelled": 0, "dropped": 0,
        "starved": 0, "unstarted": 0, "response_time": times(response_time), "service_time": none, "start_lag": times(&[0, 1]),
        "queue_wait": none, "data_wait": none, "failed_time": none,
    }))
}

fn transaction(journey: &str, name: &str, count: u64, errors: u64) -> mite_core::TransactionReport {
    row(json!({"journey": journey, "transaction": name, "count": count, "errors": errors, "time": times(&[10, 100])}))
}

fn request(
    journey: &str,
    transaction: &str,
    name: Option<&str>,
    code: u16,
    millis: &[u64],
) -> mite_core::RequestReport {
    let none = times(&[]);
    let error = (code == 0).then_some("connect");
    row(json!({
        "journey": journey, "transaction": transaction, "method": "GET", "name": name, "code": code, "error": error,
        "count": millis.len(), "bytes": 0, "time": times(millis), "dns": times(&[1]), "connect": none, "tls": none, "first_byte": none,
    }))
}

fn error(message: &str, location: &str, count: u64) -> mite_core::ErrorReport {
    row(json!({
        "journey": "shop:buy", "transaction": "__root__", "ex_type": "StatusError", "message": message, "location": location,
        "count": count,
    }))
}

fn shop() -> Snapshot {
    let mut figures = Snapshot::default();
    figures.scenario = "shopping".to_owned();
    figures.elapsed = Duration::from_secs(2);
    figures.rows = [(1, 10, 9, 3), (2, 4, 4, 4)]
        .map(|(row, wanted, actual, running)| {
            let mut progress = RowProgress::default();
            (progress.row, progress.wanted, progress.actual, progress.running) = (row, wanted, actual, running);
            progress
        })
        .to_vec();
    figures.journeys = vec![journey(1, "shop:buy", &[20, 40]), journey(2, "shop:look", &[])];
    figures.transactions =
        vec![transaction("shop:buy", "__root__", 3, 1), transaction("shop:buy", "Pay :: card", 2, 0)];
    figures.requests = vec![
        request("shop:buy", "Pay :: card", None, 200, &[50]),
        request("shop:buy", "Pay :: card", Some("/pay"), 200, &[100, 900]),
        request("shop:look", "Pay :: card", None, 503, &[1]),
        request("shop:buy", "Pay :: card", None, 0, &[30_000]),
    ];
    figures.errors = vec![error("StatusError: 503", "a.rs:1:buy", 1), error("say \"no\"\\\n", "a.rs:2:buy", 2)];
    figures
}

fn shape() -> Shape {
    Shape { times: "0.05,0.1".parse().unwrap(), dns: "0.001".parse().unwrap(), by_value: false }
}

fn told(figures: &Snapshot) -> String {
    text::encode(&families(figures, &shape()))
}

/// The lines of one metric, heads left out.
fn lines(figures: &Snapshot, name: &str) -> Vec<String> {
    let told = told(figures);
    told.lines().filter(|line| line.starts_with(name)).map(|line| line.replacen(name, "", 1)).collect()
}

#[test]
fn errors_have_a_series_each() {
    let place = r#"test="shopping",journey="shop:buy",transaction="__root__""#;
    assert_eq!(
        lines(&shop(), "mite_journey_error_total"),
        [
            format!(r#"{{{place},location="a.rs:1:buy",ex_type="StatusError",message="StatusError: 503"}} 1"#),
            format!(r#"{{{place},location="a.rs:2:buy",ex_type="StatusError",message="say \"no\"\\\n"}} 2"#),
        ]
    );
}

#[test]
fn transactions_are_told_with_and_without_an_error() {
    let of = |transaction: &str, had_error: &str, count: u64| {
        format!(r#"{{test="shopping",journey="shop:buy",transaction="{transaction}",had_error="{had_error}"}} {count}"#)
    };
    assert_eq!(
        lines(&shop(), "mite_transaction_total"),
        [
            of("__root__", "False", 2),
            of("__root__", "True", 1),
            of("__root__ :: Pay :: card", "False", 2),
            of("__root__ :: Pay :: card", "True", 0),
        ]
    );
}

#[test]
fn requests_of_all_names_are_told_together_and_those_without_a_response_not() {
    let of = |journey: &str, code: u16, count: u64| {
        format!(
            r#"{{test="shopping",journey="shop:{journey}",transaction="__root__ :: Pay :: card",method="GET",response_code="{code}"}} {count}"#
        )
    };
    assert_eq!(lines(&shop(), "mite_http_response_total"), [of("buy", 200, 3), of("look", 503, 1)]);
}

#[test]
fn times_are_buckets_of_all_journeys() {
    let of =
        |suffix: &str, le: &str, told: &str| format!(r#"{suffix}{{transaction="__root__ :: Pay :: card"{le}}} {told}"#);
    assert_eq!(
        lines(&shop(), "mite_http_response_time_seconds"),
        [
            // 50 and 100 ms are exactly on their bounds.
            of("_bucket", r#",le="0.05""#, "2"),
            of("_bucket", r#",le="0.1""#, "3"),
            of("_bucket", r#",le="+Inf""#, "4"),
            of("_sum", "", "1.051"),
            of("_count", "", "4"),
        ]
    );
    // Of all requests, those without a response included.
    assert_eq!(lines(&shop(), "mite_dns_time_count"), [r#"{transaction="__root__ :: Pay :: card"} 4"#]);
    assert_eq!(lines(&shop(), "mite_dns_time_sum"), [r#"{transaction="__root__ :: Pay :: card"} 0.004"#]);
    let row = r#"test="shopping",journey="shop:buy",scenario_id="1""#;
    assert_eq!(lines(&shop(), "mite_journey_response_seconds_sum")[0], format!("{{{row}}} 0.06"));
    assert_eq!(lines(&shop(), "mite_journey_start_lag_seconds_count")[0], format!("{{{row}}} 2"));
    let place = r#"test="shopping",journey="shop:buy",transaction="__root__""#;
    assert_eq!(lines(&shop(), "mite_transaction_seconds_bucket")[0], format!(r#"{{{place},le="0.05"}} 1"#));
}

#[test]
fn rows_do_nothing_before_the_run_and_after_it() {
    let gauges = |figures: &Snapshot| {
        ["mite_actual_count", "mite_required_count", "mite_running_count", "mite_runner_count"]
            .map(|name| lines(figures, name))
    };
    let of = |row: &str, told: u64| format!(r#"{{test="shopping",scenario_id="{row}"}} {told}"#);
    let runner = |told: u64| vec![format!(r#"{{test="shopping"}} {told}"#)];
    assert_eq!(
        gauges(&shop()),
        [vec![of("1", 9), of("2", 4)], vec![of("1", 10), of("2", 4)], vec![of("1", 3), of("2", 4)], runner(1)]
    );
    let nothing = || vec![of("1", 0), of("2", 0)];
    let mut after = shop();
    (after.rows, after.is_last) = (Vec::new(), true);
    assert_eq!(gauges(&after), [nothing(), nothing(), nothing(), runner(0)]);
    let mut before = shop();
    (before.rows, before.elapsed) = (Vec::new(), Duration::ZERO);
    assert_eq!(gauges(&before), [nothing(), nothing(), nothing(), runner(0)]);
}

#[test]
fn a_family_without_series_is_left_out() {
    let told = told(&Snapshot::default());
    assert_eq!(
        told,
        "# HELP mite_runner_count Processes that carry the run out.\n# TYPE mite_runner_count untyped\n\
         mite_runner_count{test=\"\"} 0\n"
    );
}

#[test]
fn what_is_too_long_is_cut_and_told() {
    let mut figures = shop();
    figures.errors =
        vec![error(&("x".repeat(10_240) + "1"), "a.rs:1:buy", 1), error(&"x".repeat(10_240), "a.rs:1:buy", 2)];
    let lines = lines(&figures, "mite_journey_error_total");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with("xxx…\"} 3"), "{lines:?}");
    let comment = "# mite: 2 label values of mite_journey_error_total have over 1024 bytes: they are cut, and end in …";
    assert!(told(&figures).lines().any(|line| line == comment));
}
