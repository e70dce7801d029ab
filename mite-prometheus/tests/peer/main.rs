//! What Prometheus has of a run is what the report has of it: scraped, scraped as native histograms, and written to it.
//! Where it is not installed, its tests say so; with `CI` in the environment they fail.

#[path = "../common/mod.rs"]
mod common;
mod dashboard;
#[path = "../../../mite-http/tests/common/process.rs"]
mod process;
mod prometheus;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use common::{LONG, last_scrape, nasty, ran, server, shopping};
use mite_core::Report;
use mite_prometheus::RemoteWrite;
use prometheus::{Prometheus, check_metrics};

/// Enough for some scrapes.
const A_WHILE: Duration = Duration::from_secs(4);

/// A metric's values by their labels.
type Told = BTreeMap<Vec<(String, String)>, f64>;

/// Labels in their order.
fn labels<const N: usize>(labels: [(&str, &str); N]) -> Vec<(String, String)> {
    let mut labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.sort();
    labels
}

fn rows(report: &Value, table: &str) -> Vec<Value> {
    report[table].as_array().unwrap().clone()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

/// With `__root__`.
fn transaction(row: &Value) -> String {
    match text(row, "transaction") {
        "__root__" => "__root__".to_owned(),
        short => format!("__root__ :: {short}"),
    }
}

/// What a label can hold.
fn cut(label: &str) -> String {
    if label.len() <= 1024 {
        label.to_owned()
    } else {
        label.chars().take_while(|_| true).collect::<String>()[..1021].to_owned() + "…"
    }
}

fn json(report: &Report) -> Value {
    serde_json::from_str(&report.to_json()).unwrap()
}

/// What each counter, and the count of each histogram, must be by the report's JSON.
fn expected(report: &Value) -> BTreeMap<&'static str, Told> {
    let test = text(report, "scenario");
    let mut told: BTreeMap<_, Told> = BTreeMap::new();
    let mut add = |name, labels, count: &Value| {
        *told.entry(name).or_default().entry(labels).or_default() += count.as_f64().unwrap();
    };
    for row in rows(report, "errors") {
        let (transaction, message) = (transaction(&row), cut(text(&row, "message")));
        let labels = labels([
            ("test", test),
            ("journey", text(&row, "journey")),
            ("transaction", &transaction),
            ("location", text(&row, "location")),
            ("ex_type", text(&row, "ex_type")),
            ("message", &message),
        ]);
        add("mite_journey_error_total", labels, &row["count"]);
    }
    for row in rows(report, "transactions") {
        let (journey, transaction) = (text(&row, "journey"), transaction(&row));
        let place = [("test", test), ("journey", journey), ("transaction", &transaction)];
        let [a, b, c] = place;
        let (count, errors) = (row["count"].as_u64().unwrap(), row["errors"].as_u64().unwrap());
        add("mite_transaction_total", labels([a, b, c, ("had_error", "True")]), &errors.into());
        add("mite_transaction_total", labels([a, b, c, ("had_error", "False")]), &(count - errors).into());
        add("mite_transaction_seconds_count", labels(place), &row["time"]["count"]);
    }
    for row in rows(report, "requests") {
        let (journey, transaction, code) = (text(&row, "journey"), transaction(&row), row["code"].to_string());
        let labels_of = labels([
            ("test", test),
            ("journey", journey),
            ("transaction", &transaction),
            ("method", text(&row, "method")),
            ("response_code", &code),
        ]);
        add("mite_http_response_total", labels_of, &row["count"]);
        add("mite_http_response_time_seconds_count", labels([("transaction", &transaction)]), &row["time"]["count"]);
    }
    for row in rows(report, "journeys") {
        let number = row["row"].to_string();
        let place = [("test", test), ("journey", text(&row, "journey")), ("scenario_id", &number)];
        add("mite_journey_response_seconds_count", labels(place), &row["response_time"]["count"]);
        add("mite_journey_start_lag_seconds_count", labels(place), &row["start_lag"]["count"]);
    }
    for row in rows(report, "metrics") {
        let names: Vec<_> = rows(&row, "labels").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        for series in rows(&row, "series") {
            let values = rows(&series, "labels").into_iter().map(|value| value.as_str().unwrap().to_owned());
            // Prometheus has no label that is empty.
            let mut of: Vec<_> = names.iter().cloned().zip(values).filter(|(_, value)| !value.is_empty()).collect();
            of.sort();
            match text(&row, "name") {
                "cart_items_total" => add("cart_items_total", of, &series["value"]),
                "last_cart" => add("last_cart", of, &series["value"]),
                "paid_euro_total" => add("paid_euro_total", of, &series["value"]),
                "cart_value_euro" => {
                    add("cart_value_euro_sum", of.clone(), &series["histogram"]["sum"]);
                    add("cart_value_euro_count", of, &series["histogram"]["count"]);
                }
                other => panic!("{other} was not expected"),
            }
        }
    }
    told
}

/// What Prometheus has last had of a metric: it marks it as stale once it is scraped no more.
fn last(prometheus: &Prometheus, metric: &str) -> Told {
    prometheus.query(&format!("last_over_time({metric}[1h])")).into_iter().collect()
}

#[track_caller]
fn agree(prometheus: &Prometheus, report: &Report) {
    let expected = expected(&json(report));
    assert_eq!(expected.len(), 12);
    for (metric, told) in expected {
        assert_eq!(last(prometheus, metric), told, "{metric}");
    }
    for gauge in ["mite_actual_count", "mite_required_count", "mite_running_count"] {
        let of = |row: &str| (labels([("test", "shop\\ping"), ("scenario_id", row)]), 0.0);
        assert_eq!(last(prometheus, gauge), ["1", "2", "3"].map(of).into());
    }
    // Whatever its bounds, a histogram's last bucket has all, and none has less than the one before.
    for histogram in ["mite_http_response_time_seconds", "mite_transaction_seconds", "mite_journey_start_lag_seconds"] {
        let mut buckets: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for (mut labels, count) in last(prometheus, &format!("{histogram}_bucket")) {
            let le = labels.remove(labels.iter().position(|(name, _)| name == "le").unwrap()).1;
            buckets.entry(labels).or_default().push((le.parse().unwrap(), count));
        }
        let counts = last(prometheus, &format!("{histogram}_count"));
        assert_eq!(buckets.len(), counts.len());
        for (labels, mut buckets) in buckets {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert_eq!(buckets.len(), 16);
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, counts[&labels])));
        }
    }
}

/// The run's end, as far as Prometheus has heard of it.
const ENDED: &str =
    "last_over_time(mite_runner_count[1h]) == 0 and on(test) last_over_time(mite_transaction_total[1h])";

#[test]
fn what_is_scraped_is_what_the_report_tells() {
    let scraped = mite_prometheus::Prometheus::bind("127.0.0.1:0").unwrap().linger(LONG);
    let Some(prometheus) = Prometheus::start(&[scraped.local_addr()], &[]) else { return };
    let server = server();
    // It takes some seconds before it begins to scrape.
    prometheus.wait_for("up");
    let report = ran(shopping(&server, A_WHILE).sink(scraped));
    assert!(report.errors.iter().any(|row| row.message.contains(&nasty())));
    prometheus.wait_for("last_over_time(mite_runner_count[1h]) == 0");
    agree(&prometheus, &report);
    assert!(!prometheus.query(ENDED).is_empty() || report.transactions.is_empty());
    dashboard::finds_its_series(&prometheus);
    prometheus.end();
}

/// A program of the examples, which cargo has built.
fn example(name: &str) -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let build = ["build", "--quiet", "--manifest-path", manifest, "--example", name];
    let built = Command::new(env!("CARGO")).args(build).status().unwrap();
    assert!(built.success(), "the example does not build");
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples").join(name)
}

#[test]
fn a_running_example_is_scraped() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let url = format!("url={}/", server.url());
    let mut example = Command::new(example("load"));
    example.args(["scenario", "test", "open", "--set", &url, "--set", "rate=50", "--max-start-lag", "1h"]);
    // Long enough for Prometheus to start, and then it is waited for.
    example.args(["--set", "seconds=12", "--web-address", "127.0.0.1:0", "--linger", "2m", "--json", "r.json"]);
    example.args(["--recorder-dir", "records"]).current_dir(folder.path());
    let mut run = example.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut told = told.filter_map(|line| Some(line.strip_prefix("metrics for Prometheus on http://")?.to_owned()));
    let page = told.next().expect("the address is said");
    let address = page.strip_suffix("/metrics").unwrap().parse().unwrap();
    let Some(prometheus) = Prometheus::start(&[address], &[]) else {
        run.kill().unwrap();
        run.wait().unwrap();
        return;
    };
    // The run ends when it has been scraped once more; who reads what it says is not to hold it up.
    assert_eq!(told.next(), None);
    assert!(run.wait().unwrap().success());
    let report = serde_json::from_slice(&std::fs::read(folder.path().join("r.json")).unwrap()).unwrap();
    let expected = expected(&report);
    prometheus.wait_for("last_over_time(mite_runner_count[1h]) == 0");
    for (metric, told) in &expected {
        assert_eq!(&last(&prometheus, metric), told, "{metric}");
    }
    let responses: f64 = expected["mite_http_response_total"].values().sum();
    assert_eq!((responses as u64, server.requests().len()), (600, 600));
    prometheus.end();
}

#[test]
fn promtool_has_nothing_to_say() {
    let scraped = mite_prometheus::Prometheus::bind("127.0.0.1:0").unwrap().linger(LONG);
    let address = scraped.local_addr();
    let server = server();
    let run = std::thread::spawn(move || ran(shopping(&server, Duration::from_millis(500)).sink(scraped)));
    let last = last_scrape(address);
    run.join().unwrap();
    assert!(last.contains("# mite: "), "a label was cut");
    let Some((said, is_content)) = check_metrics(&last) else { return };
    assert_eq!((&*said, is_content), ("", true));
}

#[test]
fn what_is_written_is_what_the_report_tells() {
    let Some(prometheus) = Prometheus::start(&[], &["--web.enable-remote-write-receiver"]) else { return };
    let server = server();
    let written = RemoteWrite::to(&format!("http://{}/api/v1/write", prometheus.address())).unwrap();
    let report = ran(shopping(&server, A_WHILE).sink(written));
    assert_eq!(report.sinks.iter().find_map(|sink| sink.failure.clone()), None);
    // What was taken is there.
    agree(&prometheus, &report);
    let samples = prometheus.query("count_over_time(mite_runner_count[1h])");
    assert!(samples[0].1 >= 4.0, "{samples:?}");
    prometheus.end();
}

#[test]
fn native_histograms_have_the_same_counts() {
    let scraped = mite_prometheus::Prometheus::bind("127.0.0.1:0").unwrap().linger(LONG).native_histograms(true);
    let options = ["--enable-feature=native-histograms"];
    let Some(prometheus) = Prometheus::start(&[scraped.local_addr()], &options) else { return };
    let server = server();
    // It takes some seconds before it begins to scrape.
    prometheus.wait_for("up");
    let report = ran(shopping(&server, A_WHILE).sink(scraped));
    prometheus.wait_for("last_over_time(mite_runner_count[1h]) == 0");
    // What is told of a native histogram is a number, but it is stale once it is scraped no more.
    let last = |expression: &str| -> Told {
        let told = prometheus.range(expression).into_iter();
        told.filter_map(|(labels, values)| Some((labels, *values.last()?))).collect()
    };
    for metric in ["mite_transaction_seconds", "mite_http_response_time_seconds", "mite_journey_start_lag_seconds"] {
        assert_eq!(
            &last(&format!("histogram_count({metric})")),
            &expected(&json(&report))[&*format!("{metric}_count")],
            "{metric}"
        );
    }
    // Half of those that wait did so for 20 ms at least.
    let p50 = last(r#"histogram_quantile(0.5, mite_journey_response_seconds{journey="shop:wait"})"#);
    let p50 = p50.values().next().unwrap();
    let told = report.journey("shop:wait").p50().as_secs_f64();
    assert!((p50 / told - 1.0).abs() < 0.06, "{p50} {told}");
    prometheus.end();
}
