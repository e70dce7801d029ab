//! Requests that differ by what their journey calls them are told apart, on however many workers they were made.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{TENTH, ran, tally};
use mite_core::threshold::{count, error_rate_of, percent, request};
use mite_core::volume::constant;
use mite_core::{Context, NoData, Report, RequestSample, Result, Row, Run, Scenario};

/// A request's name and code.
type Kind = (Option<String>, u16);
type Tally = BTreeMap<Kind, u64>;

/// Two rows of one journey, each request of which has one of two names or none, by a draw of its own.
fn scenario(made: &Arc<Mutex<Vec<Kind>>>) -> Scenario {
    let row = || {
        let made = Arc::clone(made);
        let journey = async move |ctx: &mut Context| -> Result {
            ctx.transaction("Look", async |ctx| {
                let start = ctx.start_index() as usize;
                let name = [None, Some("/users/{id}"), Some("/carts/{id}")][start / 3 % 3];
                let code = if start.is_multiple_of(7) { 404 } else { 200 };
                let total = Duration::from_millis(3);
                ctx.scope().request(&RequestSample { method: "GET", name, code, total, ..RequestSample::default() });
                made.lock().unwrap().push((name.map(str::to_owned), code));
                Ok(())
            })
            .await
        };
        Row::new(journey, NoData, constant(1000, 2 * TENTH)).named("shop:browse")
    };
    Scenario::new().row(row()).row(row())
}

fn told(report: &Report) -> Tally {
    let rows = report.requests.iter().map(|row| ((row.name.clone(), row.code), row.count));
    let told: Tally = rows.clone().collect();
    assert_eq!(rows.count(), told.len(), "each has one row: {report}");
    told
}

#[tokio::test]
async fn workers_requests_are_merged_by_name() {
    for workers in 1..=3 {
        let made = Arc::<Mutex<Vec<Kind>>>::default();
        let report = ran(Run::new(scenario(&made)).workers(workers)).await;
        let made = tally(made.lock().unwrap().clone());
        assert_eq!((made.len(), made.values().sum::<u64>()), (6, 400));
        assert_eq!(told(&report), made, "{report}");
        assert!(report.requests.iter().all(|row| row.time.count() == row.count));
        let all = report.request("GET", "Look");
        let of = |name: Option<&str>, code: u16| made[&(name.map(str::to_owned), code)];
        let users = all.named("/users/{id}");
        let (answered, missing) = (of(Some("/users/{id}"), 200), of(Some("/users/{id}"), 404));
        assert_eq!((all.count(), users.count(), users.errors()), (400, answered + missing, missing));
        report.assert_all([
            count(request("GET", "Look")).at_least(400),
            count(request("GET", "Look").named("/users/{id}")).at_most(answered + missing),
            count("GET /users/{id} · Look").at_least(answered + missing),
            error_rate_of(request("GET", "Look").named("/carts/{id}")).under(percent(50.0)),
        ]);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let rows = json["requests"].as_array().unwrap();
        let named = |row: &serde_json::Value| row.as_object().is_some_and(|row| row.contains_key("name"));
        assert!(rows.iter().all(named), "{rows:?}");
        let names = tally(rows.iter().map(|row| row["name"].as_str()));
        assert_eq!(names, [(None, 2), (Some("/carts/{id}"), 2), (Some("/users/{id}"), 2)].into());
        let text = report.to_string();
        assert!(text.contains("\nGET /users/{id} · Look") && text.contains("\nGET · Look"), "{text}");
    }
}

/// A name that is made from a user's id ends where all others are counted that there is no room for.
#[tokio::test]
async fn too_many_names_are_counted_together() {
    for workers in 1..=2 {
        let journey = async |ctx: &mut Context| -> Result {
            let name = format!("/users/{}", ctx.start_index());
            let sample = RequestSample { method: "GET", name: Some(&name), code: 200, ..RequestSample::default() };
            ctx.scope().request(&sample);
            Ok(())
        };
        let row = Row::new(journey, NoData, constant(2000, TENTH)).named("each its own");
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers)).await;
        assert_eq!(report.requests.iter().map(|row| row.count).sum::<u64>(), 200, "{report}");
        let of_own = report.requests.iter().filter(|row| row.name.is_some());
        assert!(of_own.clone().all(|row| row.count == 1 && row.method == "GET"));
        assert_eq!(of_own.count(), 64);
        let rest = report.requests.iter().find(|row| row.method == "__overflow__").expect("a row for the rest");
        assert_eq!((&rest.name, rest.count), (&None, 136));
        let [warning] = &report.warnings[..] else { panic!("one warning: {:?}", report.warnings) };
        assert!(warning.contains("Methods and names of requests should be few"), "{warning}");
    }
}
