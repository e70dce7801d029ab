//! The report's JSON is what `docs/report.schema.json` says, and the schema knows all of it.

use std::time::Duration;

use jsonschema::Validator;
use mite_core::threshold::{error_rate, ms, p99, percent};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, Error, ExchangeText, NoData, Report, RequestSample, Result, Row, Run, Scenario};
use serde_json::{Value, json};

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The schema as it would be if no field might be added.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            for value in map.values_mut() {
                *value = closed(value.take());
            }
            if map.get("properties").is_some_and(Value::is_object) {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        _ => {}
    }
    schema
}

fn mistakes(validator: &Validator, report: &Value) -> Vec<String> {
    validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn assert_told(report: &Report) {
    let report: Value = serde_json::from_str(&report.to_json()).unwrap();
    for schema in [schema(), closed(schema())] {
        assert_eq!(mistakes(&jsonschema::validator_for(&schema).unwrap(), &report), [] as [String; 0]);
    }
}

async fn quiet(_ctx: &mut Context) -> Result {
    Ok(())
}

/// Does all that a report tells of: requests with and without answers, checks, records and errors.
async fn busy(ctx: &mut Context) -> Result {
    let start = ctx.start_index();
    ctx.check("is even", start.is_multiple_of(2));
    ctx.counter("cart_items").label("shop", "rome").add(3);
    ctx.histogram("basket_value").record(12.5);
    ctx.record("starts", json!({"start": start})).await?;
    ctx.transaction("Log in", async |ctx| {
        let total = Duration::from_millis(2);
        let answered = RequestSample { method: "POST", code: 200, total, ..RequestSample::default() };
        let lost = RequestSample { method: "GET", error: Some("timeout"), name: Some("/x/{id}"), ..answered };
        let scope = ctx.scope();
        scope.request(&answered);
        let lost = RequestSample { code: 0, ..lost };
        scope.request(&lost);
        scope.failed_exchange(&lost, || ExchangeText { message: Some("late".to_owned()), ..ExchangeText::default() });
        if start.is_multiple_of(3) { Err(Error::msg("no luck")) } else { Ok(()) }
    })
    .await
}

#[test]
fn a_quiet_run() {
    let scenario = Scenario::new().journey(quiet, NoData, constant(100, SECOND / 10));
    assert_told(&Run::new(scenario).run_blocking().unwrap());
}

#[test]
fn a_run_with_all_that_can_be_told() {
    let row = |name: &str| Row::new(busy, NoData, constant(100, SECOND / 5)).named(name);
    let scenario = Scenario::new()
        .row(row("one"))
        .row(row("two"))
        .setup(async |_ctx: &mut Context| Ok(()))
        .worker_setup(async |_ctx: &mut Context| Ok(()));
    let mut report = Run::new(scenario)
        .record_in_memory()
        .warm_up(SECOND / 10)
        .threshold(error_rate().under(percent(50.0)))
        .threshold(p99("Log on").under(ms(1)))
        .run_blocking()
        .unwrap();
    let comparison = report.compare(&report).unwrap();
    report.hold_to_baseline(&comparison, 5.0);
    let told: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert!(told["baseline"]["regressions"].is_array(), "{}", told["baseline"]);
    for list in ["journeys", "transactions", "requests"] {
        assert!(told[list][0]["halves"]["odd"]["time"]["p999"].is_u64(), "{list}");
    }
    // Else the schema would be held against nothing.
    for list in [
        "thresholds",
        "journeys",
        "transactions",
        "requests",
        "errors",
        "failed_exchanges",
        "checks",
        "metrics",
        "per_second",
        "hooks",
    ] {
        assert!(!told[list].as_array().unwrap().is_empty(), "{list}");
    }
    assert!(told["warm_up"].is_object() && told["per_second"][0]["rows"].is_array(), "{told}");
    assert_eq!(told["records"]["starts"], 40);
    assert_told(&report);
}

#[test]
fn what_is_missing_or_wrong_is_found() {
    let scenario = Scenario::new().journey(quiet, NoData, constant(100, SECOND / 10));
    let report = Run::new(scenario).run_blocking().unwrap();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let right: Value = serde_json::from_str(&report.to_json()).unwrap();
    let mut wrong = right.clone();
    wrong["journeys"][0].as_object_mut().unwrap().remove("planned");
    wrong["generator"]["workers"] = json!("two");
    wrong["verdict"] = json!("well");
    assert_eq!(mistakes(&validator, &wrong).len(), 3);
    // Fields may be added.
    let mut more = right;
    more["journeys"][0]["new"] = json!(1);
    assert!(validator.is_valid(&more));
}
