//! Metrics of one's own, from a message or a journey to the report and what the run is held to.
#![cfg(feature = "testing")]
#![expect(clippy::float_cmp, reason = "these values are told exactly")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mite_core::stats::{Accumulator, Counter, Gauge, Histogram, Stats, every_message, matcher_by_type};
use mite_core::threshold::{Threshold, count, max, mean, metric, ms, p50, p99, rate, secs, value};
use mite_core::volume::{SECOND, at_once, constant};
use mite_core::{
    Context, Message, MetricKind, MetricReport, NoData, Report, Result, Row, Run, RunError, Scenario, Sink, SinkError,
    Wants,
};
use serde_json::json;

/// Sends an order and counts beside it: totals from 0.5 on, every fourth from nowhere.
async fn buy(ctx: &mut Context) -> Result {
    let start = ctx.start_index();
    let total = start as f64 + 0.5;
    ctx.transaction("Buy", async |ctx| {
        let mut order =
            json!({"total": total, "items": start % 3, "gift": start.is_multiple_of(2), "stock": 1000 - start});
        if !start.is_multiple_of(4) {
            order["country"] = ["DE", "IT"][start as usize % 2].into();
        }
        ctx.send("order", order).await
    })
    .await?;
    ctx.counter("cart_items").label("shop", if start < 10 { "rome" } else { "berlin" }).add(start % 3);
    ctx.gauge("queue_depth").set(start as f64);
    ctx.histogram("basket_value").record(total);
    Ok(())
}

fn orders() -> mite_core::stats::Matcher {
    matcher_by_type(["order"])
}

fn shop() -> Stats {
    Stats::new("shop")
        .with(Counter::new("orders_total", orders()).labels(["journey", "country", "gift"]))
        .with(Accumulator::new("revenue_total", orders()).value("total").labels(["transaction"]))
        .with(Gauge::new("stock", orders()).value("stock").help("How many are left."))
        .with(Histogram::new("order_value", orders()).value("total").buckets([1.0, 10.0, 50.0]))
        .with(Counter::new("gifts_total", orders().only_if(|message| message.number("gift") == Some(1.0))))
}

fn run(journeys_per_second: u32) -> Run {
    let row = Row::new(buy, NoData, constant(journeys_per_second, 10 * SECOND)).named("shop:buy");
    Run::new(Scenario::new().row(row).stats(shop())).virtually()
}

fn named<'a>(report: &'a Report, name: &str) -> &'a MetricReport {
    report.metric(name).metric()
}

fn number(report: &Report, name: &str) -> f64 {
    report.metric(name).number().unwrap()
}

#[test]
fn metrics_are_what_the_messages_add_up_to() {
    for workers in [1, 3] {
        let report = run(10).workers(workers).run_blocking().unwrap();
        assert_eq!(report.warnings, [] as [String; 0]);
        let names: Vec<_> = report.metrics.iter().map(|metric| &*metric.name).collect();
        // Those of the set in its order, then by name what the journey counted.
        let expected = ["orders_total", "revenue_total", "stock", "order_value", "gifts_total"];
        assert_eq!(names, [expected.as_slice(), &["basket_value", "cart_items", "queue_depth"]].concat());

        let metric = named(&report, "orders_total");
        assert_eq!(metric.labels, ["journey", "country", "gift"]);
        let labels: Vec<_> = metric.series.iter().map(|series| series.labels.join("|")).collect();
        assert_eq!(labels, ["shop:buy||True", "shop:buy|DE|True", "shop:buy|IT|False"]);
        assert_eq!(number(&report, "orders_total"), 100.0);
        assert_eq!(report.metric("orders_total").label("country", "DE").number(), Some(25.0));
        assert_eq!(report.metric("orders_total").label("country", "FR").number(), None);
        assert_eq!(number(&report, "gifts_total"), 50.0);

        assert_eq!(named(&report, "revenue_total").series[0].labels, ["__root__ :: Buy"]);
        assert_eq!(number(&report, "revenue_total"), 5000.0);
        // The last order's, whichever worker had it.
        assert_eq!((number(&report, "stock"), number(&report, "queue_depth")), (901.0, 99.0));
        let metric = named(&report, "stock");
        assert_eq!((metric.kind, &*metric.help), (MetricKind::Gauge, "How many are left."));

        let spread = report.metric("order_value").distribution().unwrap();
        assert_eq!((spread.count(), spread.sum(), spread.min(), spread.max()), (100, 5000.0, 0.5, 99.5));
        assert_eq!(spread.buckets().collect::<Vec<_>>(), [(1.0, 1), (10.0, 10), (50.0, 50)]);
        assert_eq!((spread.percentile(50.0), spread.percentile(99.0)), (49.5, 98.5));
        assert_eq!(report.metric("basket_value").distribution().unwrap().percentile(99.0), 98.5);

        let of_starts = |starts: std::ops::Range<u64>| starts.map(|start| start % 3).sum::<u64>() as f64;
        assert_eq!(number(&report, "cart_items"), of_starts(0..100));
        assert_eq!(report.metric("cart_items").label("shop", "rome").number(), Some(of_starts(0..10)));

        let again = Report::from_json(&report.to_json()).unwrap();
        assert_eq!(again.metrics, report.metrics);
        assert_eq!((again.to_string(), again.html()), (report.to_string(), report.html()));
    }
}

#[test]
fn the_text_and_the_page_show_them() {
    let report = run(10).run_blocking().unwrap();
    let (text, page) = (report.to_string(), report.html());
    let line = |text: &str, begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in {text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(&text, "cart_items{shop=\"rome\"}"), "cart_items{shop=\"rome\"} counter 9 0.9");
    assert_eq!(line(&text, "stock"), "stock gauge 901");
    assert_eq!(line(&text, "order_value"), "order_value 100 50 49.5 94.5 98.5 99.5 5000");
    assert!(page.contains("<h2>Metrics</h2>") && page.contains("cart_items{shop=&quot;rome&quot;}"), "{page}");
}

#[test]
fn nothing_of_the_warm_up_is_counted() {
    let report = run(10).warm_up(5 * SECOND).run_blocking().unwrap();
    assert_eq!((number(&report, "orders_total"), number(&report, "revenue_total")), (50.0, 3750.0));
    let values = report.metric("basket_value").distribution().unwrap();
    assert_eq!((values.count(), values.min()), (50, 50.5));
}

/// A sink that takes all there is, to count it independently.
struct Seen(Arc<Mutex<Vec<String>>>, Wants);

impl Sink for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn wants(&self) -> Wants {
        self.1.clone()
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(message.kind().to_string());
        Ok(())
    }
}

#[test]
fn sinks_and_metrics_count_the_same() {
    let (seen, orders_seen) = (Arc::default(), Arc::default());
    let all = Stats::new("all")
        .with(Counter::new("messages_total", every_message()).labels(["type"]))
        .with(Counter::new("transactions_total", matcher_by_type(["txn"])).labels(["transaction", "had_error"]));
    let report = run(10)
        .stats(all)
        .sink(Seen(Arc::clone(&seen), Wants::Everything))
        .sink(Seen(Arc::clone(&orders_seen), Wants::Types(&["order"])))
        .run_blocking()
        .unwrap();
    let seen = seen.lock().unwrap();
    for kind in ["txn", "order", "controller_report"] {
        let of_sink = seen.iter().filter(|seen| *seen == kind).count();
        let of_metric = report.metric("messages_total").label("type", kind).number().unwrap_or_default();
        assert!(of_sink > 0 && (of_sink as f64 - of_metric).abs() < 0.5, "{of_sink} and {of_metric} of {kind}");
    }
    assert_eq!(orders_seen.lock().unwrap().len(), 100);
    let buys = report.metric("transactions_total").label("transaction", "__root__ :: Buy").number();
    assert_eq!(buys, Some(report.transaction("Buy").count as f64));
}

#[test]
fn what_the_controller_reports_is_a_message_too() {
    let of_rows = |message: &Message<'_>| {
        let rows = message.numbers("required").into_iter();
        rows.map(|(row, required)| ([message.text("test").unwrap_or_default().into_owned(), row], required))
            .collect::<Vec<_>>()
    };
    let reports = || matcher_by_type(["controller_report"]);
    let stats = Stats::new("controller")
        .with(Gauge::new("required_count", reports()).labels(["test", "scenario_id"]).each(of_rows))
        .with(Counter::new("reports_total", reports()).labels(["test", "journey"]));
    let report = run(7).stats(stats).warm_up(3 * SECOND).run_blocking().unwrap();
    let required = named(&report, "required_count");
    assert_eq!(required.series[0].labels, ["scenario", "1"]);
    assert_eq!(report.metric("reports_total").label("journey", "").number(), Some(7.0), "{:?}", report.metrics);
}

#[test]
fn one_message_may_give_several_values() {
    let items = |message: &Message<'_>| {
        let items = message.number("items").unwrap_or_default() as usize;
        ["first", "second"][..items].iter().map(|place| [*place]).collect::<Vec<_>>()
    };
    let values = |message: &Message<'_>| {
        message
            .number("total")
            .into_iter()
            .flat_map(|total| [(["net"], total / 2.0), (["gross"], total)])
            .collect::<Vec<_>>()
    };
    let wrong = |_: &Message<'_>| [(vec!["a", "b"], 1.0), (vec!["a"], -1.0), (vec!["a"], 2.0)];
    let stats = Stats::new("several")
        .with(Counter::new("items_total", orders()).labels(["place"]).each(items))
        .with(Accumulator::new("sums_total", orders()).labels(["of"]).each(values))
        .with(Accumulator::new("wrong_total", orders()).labels(["a"]).each(wrong));
    let report = run(1).stats(stats).run_blocking().unwrap();
    // Starts 0 to 9 have 0, 1, 2, 0, … items.
    let of = |metric, label, value| report.metric(metric).label(label, value).number();
    assert_eq!((of("items_total", "place", "first"), of("items_total", "place", "second")), (Some(6.0), Some(3.0)));
    assert_eq!((of("sums_total", "of", "net"), of("sums_total", "of", "gross")), (Some(25.0), Some(50.0)));
    assert_eq!(number(&report, "wrong_total"), 20.0);
    assert_eq!(
        report.warnings,
        [
            "the metric \"wrong_total\" has left out 20 values, of which the first was one with 2 label values instead of 1"
        ]
    );
}

#[test]
fn labels_of_any_text_survive_or_are_cut() {
    let texts = ["say \"so\"", "back\\slash", "two\nlines", "", "日本", "tab\t\u{7}"];
    let journey = async move |ctx: &mut Context| {
        for text in texts {
            ctx.counter("direct").label("text", text).add(1);
            ctx.send("text", json!({"text": text})).await?;
        }
        ctx.send("text", json!({"text": "x".repeat(10 * 1024)})).await?;
        // What is no UTF-8, as bytes.
        let bytes = bytes::Bytes::from_static(b"\xff\xfe");
        ctx.send("text", std::collections::BTreeMap::from([("text", bytes)])).await?;
        ctx.send("text", json!({"text": ["a", "list"]})).await
    };
    let stats = Stats::new("texts").with(Counter::new("texts_total", matcher_by_type(["text"])).labels(["text"]));
    let row = Row::new(journey, NoData, at_once(1)).named("texts");
    let report = Run::new(Scenario::new().row(row).stats(stats)).virtually().run_blocking().unwrap();
    for text in texts {
        for metric in ["texts_total", "direct"] {
            assert_eq!(report.metric(metric).label("text", text).number(), Some(1.0), "{text:?} of {metric}");
        }
    }
    let cut = format!("{}…", "x".repeat(253));
    for text in [&*cut, "\u{fffd}\u{fffd}"] {
        assert_eq!(report.metric("texts_total").label("text", text).number(), Some(1.0), "{text:?}");
    }
    assert_eq!(
        report.warnings,
        [
            "the metric \"texts_total\" had label values of over 256 bytes: they are told cut, with a `…`",
            "the metric \"texts_total\" has left out 1 value, of which the first was one whose label \"text\" is a list or a map",
        ]
    );
    assert!(report.to_string().contains("texts_total{text=\"two\\nlines\"}"), "{report}");
    assert_eq!(Report::from_json(&report.to_json()).unwrap().metrics, report.metrics);
}

#[test]
fn a_function_that_panics_leaves_its_metric_out() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let fourth = move |message: &Message<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert!(message.number("total") < Some(3.0), "too dear");
        true
    };
    let stats = Stats::new("shaky")
        .with(Counter::new("shaky_total", orders().only_if(fourth)))
        .with(Gauge::new("shaky", orders()).each(|_| -> Vec<([&str; 0], f64)> { panic!("never {}", "well") }));
    let report = run(10).stats(stats).run_blocking().unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!((number(&report, "shaky_total"), calls.load(Ordering::Relaxed)), (3.0, 4));
    assert_eq!(number(&report, "orders_total"), 100.0);
    let [gauge, counter] = &report.warnings[..] else { panic!("two warnings: {:?}", report.warnings) };
    let told = |warning: &str, name: &str, text: &str| {
        let begin = format!("the metric {name:?} was left out from then on when its function panicked: {text} (at ");
        assert!(warning.starts_with(&begin) && warning.contains("stats.rs:"), "{warning}");
    };
    told(gauge, "shaky", "never well");
    told(counter, "shaky_total", "too dear");
}

/// It looks at the message of a transaction that a panic of the journey cuts off.
#[test]
fn a_panic_beside_a_panic() {
    let journey = async |ctx: &mut Context| {
        ctx.transaction("Break", async |_ctx| -> Result { panic!("the journey's own") }).await
    };
    let stats = Stats::new("shaky")
        .with(Counter::new("shaky_total", matcher_by_type(["txn"]).only_if(|_| panic!("the metric's own"))))
        .with(Counter::new("steady_total", matcher_by_type(["txn", "exception"])).labels(["type"]));
    let row = Row::new(journey, NoData, at_once(3)).named("broken");
    let report = Run::new(Scenario::new().row(row).stats(stats)).virtually().run_blocking().unwrap();
    assert_eq!(
        report.errors.iter().map(|error| (&*error.message, error.count)).collect::<Vec<_>>(),
        [("panic: the journey's own", 3)]
    );
    assert!(report.errors[0].location.contains("stats.rs"), "{:?}", report.errors);
    let of_type = |kind| report.metric("steady_total").label("type", kind).number();
    assert_eq!((of_type("txn"), of_type("exception")), (Some(6.0), Some(3.0)));
    assert_eq!(report.metric("shaky_total").number(), None);
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
}

#[test]
fn names_that_cannot_be_are_told_and_left_out() {
    let journey = async |ctx: &mut Context| {
        ctx.counter("cart items").add(1);
        ctx.counter("mite_transaction_total").add(1);
        ctx.counter("items").label("le", "1").add(1);
        ctx.counter("items").label("a", "1").label("a", "2").add(1);
        ctx.gauge("depth").set(f64::NAN);
        ctx.gauge("stock").set(1.0);
        ctx.counter("items").add(1);
        Ok(())
    };
    let row = Row::new(journey, NoData, at_once(2)).named("wrong");
    let report = Run::new(Scenario::new().row(row).stats(shop())).virtually().run_blocking().unwrap();
    assert_eq!((number(&report, "items"), report.metric("depth").number()), (2.0, None));
    let begins = [
        "the metric \"depth\" has left out 2 values, of which the first was NaN, which is no number",
        "journeys counted under the name \"cart items\", which is left out: a name is of letters",
        "journeys counted under the name \"items\" with a label named \"a\", which is left out: there is one",
        "journeys counted under the name \"items\" with a label named \"le\", which is left out: that is what",
        "journeys counted under the name \"mite_transaction_total\", which is left out: mite has one",
        "journeys counted under the name \"stock\", which is that of a metric of messages",
    ];
    assert_eq!(report.warnings.len(), begins.len(), "{:#?}", report.warnings);
    for (warning, begin) in report.warnings.iter().zip(begins) {
        assert!(warning.starts_with(begin), "{warning}, and should begin with {begin}");
    }
}

#[test]
fn a_run_is_held_to_its_metrics() {
    let wrong = "should be under 3 ms, and \"order_value\" is a histogram: its values are no times, so say \
                 `metric(\"order_value\")`, and a limit without a unit";
    let cases: [(Threshold, &str); 19] = [
        (count("orders_total").at_least(100), "the count of \"orders_total\" is 100, which is at least 100"),
        (
            count(metric("orders_total").label("country", "DE")).over(25),
            "the count of the metric \"orders_total\"{country=\"DE\"} is 25, and should be over 25",
        ),
        (
            rate("cart_items").at_least(9.0),
            "the rate of \"cart_items\" is 9.9 per second, which is at least 9 per second",
        ),
        (rate(metric("revenue_total")).under(500.0), "is 500 per second, and should be under 500 per second"),
        (rate("basket_value").at_most(10.0), "is 10 per second, which is at most 10 per second"),
        (p99(metric("basket_value")).under(98.0), "p99 of the metric \"basket_value\" is 98.5, and should be under 98"),
        (p50(metric("order_value")).at_most(49.5), "is 49.5, which is at most 49.5"),
        (max(metric("order_value")).over(99.0), "the maximum of the metric \"order_value\" is 99.5, which is over 99"),
        (mean(metric("order_value")).at_most(50.0), "is 50, which is at most 50"),
        (value(metric("stock")).at_least(901.0), "the value of the metric \"stock\" is 901, which is at least 901"),
        (value(metric("revenue_total")).under(-1.0), "is 5000, and should be under -1"),
        // In each second there are so many.
        (
            count("orders_total").at_least(11).in_each(secs(1)),
            "the count of \"orders_total\" in each 1 s is 10 at its worst, from 0 s on, and should be at least 11",
        ),
        (
            max(metric("basket_value")).under(90.0).in_each(secs(2)),
            "the maximum of the metric \"basket_value\" in each 2 s is 99.5 at its worst, from 8 s on, and should be under 90",
        ),
        // What there is no figure of.
        (
            count(metric("orders")).at_least(1),
            "and the report has no metric \"orders\" (did you mean \"orders_total\"?): it has \"orders_total\", ",
        ),
        (
            count(metric("orders_total").label("land", "DE")).at_least(0),
            "and the metric \"orders_total\" has no label \"land\": it has \"journey\", \"country\", \"gift\"",
        ),
        (
            count(metric("orders_total").label("country", "FR")).at_most(0),
            "and the metric \"orders_total\"{country=\"FR\"} never occurred",
        ),
        (p99("order_value").under(ms(3)), wrong),
        (
            p99(metric("stock")).under(1.0),
            "and \"stock\" is a gauge: only of a histogram's values there is more than one",
        ),
        (count("stock").at_least(1), "and \"stock\" is a gauge: ask for its last value, by `value(metric(\"stock\"))`"),
    ];
    let mut run = run(10);
    for (threshold, _) in &cases {
        run = run.threshold(threshold.clone());
    }
    let report = run.run_blocking().unwrap();
    for (checked, (threshold, words)) in report.thresholds.iter().zip(&cases) {
        let told = checked.to_string();
        assert!(
            told.ends_with(words) || told.contains("it has") && told.contains(words),
            "{told}, and should be {words}"
        );
        assert_eq!(checked.passed(), words.contains("which is "), "{told}");
        assert_eq!(&threshold.check(&report), checked);
        assert_eq!(checked.threshold().to_string().parse::<Threshold>().unwrap(), *threshold);
    }
    let again = Report::from_json(&report.to_json()).unwrap();
    assert_eq!(again.thresholds, report.thresholds);
}

#[test]
fn a_metric_may_end_a_run() {
    let report = run(10).abort_when(value(metric("revenue_total")).over(100.0), SECOND).run_blocking().unwrap();
    assert!(
        report.reasons[0].contains("the value of the metric \"revenue_total\" is 200, which is over 100"),
        "{report}"
    );
}

#[test]
fn a_metric_of_several_sets_has_no_one_value() {
    let journey = async |ctx: &mut Context| {
        for (shop, depth) in [("rome", 3.0), ("berlin", 4.0)] {
            ctx.gauge("depth").label("shop", shop).set(depth);
        }
        ctx.transaction("cart_items", async |ctx| {
            ctx.counter("cart_items").add(2);
            Ok(())
        })
        .await
    };
    let row = Row::new(journey, NoData, at_once(2)).named("shops");
    let report = Run::new(Scenario::new().row(row)).virtually().run_blocking().unwrap();
    let told = value(metric("depth")).under(9.0).check(&report).to_string();
    let mend = "\"depth\" is a gauge: it has 2 sets of label values, so say which, by `metric(\"depth\").label(…, …)`";
    assert!(told.ends_with(mend), "{told}");
    report.assert(value(metric("depth").label("shop", "rome")).at_most(3.0));
    // A name that two kinds have.
    let told = count("cart_items").at_least(1).check(&report).to_string();
    let mend = "\"cart_items\" is a transaction and a metric: say which, by `transaction(\"cart_items\")` or \
                `metric(\"cart_items\")`";
    assert!(told.ends_with(mend), "{told}");
    report.assert_all([count(metric("cart_items")).at_least(4), count("cart_items · shops").at_most(2)]);
}

#[test]
fn a_declared_metric_that_never_occurred_is_there_without_series() {
    let row = Row::new(async |_ctx: &mut Context| Ok(()), NoData, at_once(1)).named("idle");
    let report = Run::new(Scenario::new().row(row).stats(shop())).virtually().run_blocking().unwrap();
    assert_eq!((report.metrics.len(), report.metric("stock").number()), (5, None));
    assert!(report.to_string().contains("stock: it never occurred"), "{report}");
    let told = count("orders_total").at_most(0).check(&report);
    assert!(!told.passed() && told.to_string().ends_with("and the metric \"orders_total\" never occurred"), "{told}");
}

#[test]
fn sets_are_chosen_by_name() {
    let bank = || Stats::new("bank").with(Counter::new("transfers_total", orders()));
    let names = |run: Run| -> Vec<String> {
        let report = run.stats(bank()).run_blocking().unwrap();
        let declared = report.metrics.into_iter().filter(|metric| metric.name.ends_with("_total"));
        declared.map(|metric| metric.name).collect()
    };
    let shop = ["orders_total", "revenue_total", "gifts_total"];
    assert_eq!(names(run(1)), [&shop[..], &["transfers_total"]].concat());
    assert_eq!(names(run(1).include_stats(["bank"])), ["transfers_total"]);
    assert_eq!(names(run(1).exclude_stats(["bank"])), shop);
    assert_eq!(names(run(1).include_stats(["bank", "shop"]).exclude_stats(["shop"])), ["transfers_total"]);
}

#[test]
fn mistakes_are_refused_before_anything_starts() {
    let refused = |run: Run| match run.start() {
        Err(error @ RunError::Stats(_)) => error.to_string(),
        other => panic!("it should be refused, and is {other:?}"),
    };
    let wrong = Stats::new("wrong").with(Counter::new("orders total", orders()));
    assert!(refused(run(1).stats(wrong)).starts_with("a metric cannot be named \"orders total\": "));
    let told = refused(run(1).include_stats(["shops"]));
    assert_eq!(told, "there is no set of metrics named \"shops\" (did you mean \"shop\"?): there is \"shop\"");
    assert!(refused(run(1).stats(shop())).starts_with("two sets of metrics are named \"shop\""));
}

#[test]
#[should_panic(
    expected = "the report has no metric \"cart_item\" (did you mean \"cart_items\"?): it has \"orders_total\""
)]
fn a_metric_that_is_not_there_is_told_with_those_that_are() {
    run(1).run_blocking().unwrap().metric("cart_item");
}

#[test]
fn an_assertion_that_fails_shows_the_metric() {
    let report = run(10).run_blocking().unwrap();
    let payload = std::panic::catch_unwind(|| report.assert(p99(metric("order_value")).under(50.0))).unwrap_err();
    let told = payload.downcast_ref::<String>().unwrap();
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("p99 of the metric \"order_value\" is 98.5, and should be under 50"));
    assert!(told.contains("\norder_value") && !told.contains("\nstock"), "{told}");
}
