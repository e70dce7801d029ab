//! What is told of two reports whose figures are known, and how often chance alone is told to be a change.

use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use rand::SeedableRng as _;
use serde_json::Value;

use super::*;
use crate::Rng;
use crate::figures::Half;
use crate::histogram::Histogram;
use crate::report::fixed::{self, times};
use crate::report::settings::RowSettings;
use crate::report::{Halves, Verdict, WarmUp};
use crate::volume::Unit;

/// How often each duration came in a half, in milliseconds.
type Took<'a> = &'a [(u64, u64)];

fn row_settings(row: u32, journey: &str, per_second: u64) -> RowSettings {
    RowSettings {
        row,
        journey: journey.to_owned(),
        unit: Unit::Rate,
        duration: Duration::from_secs(60),
        plan: (1..=60).map(|second| second * per_second).collect(),
    }
}

/// A run of one journey for a minute, of which so many failed in each half.
fn run_of(even: &Histogram, odd: &Histogram, failed: [u64; 2]) -> Report {
    let mut report = fixed::empty();
    report.duration = Duration::from_secs(60);
    let mut row = fixed::journey(1, "shop:signin", &[], 0);
    row.response_time = even.clone();
    row.response_time.merge(odd);
    row.completed = row.response_time.count();
    row.failed = failed[0] + failed[1];
    row.started = row.completed + row.failed;
    let half = Half { count: even.count() + failed[0], errors: failed[0], time: even.clone() };
    row.halves = Some(Halves::of(row.started, row.failed, &row.response_time, &half));
    report.settings.rows = vec![row_settings(1, &row.journey, 100)];
    report.journeys = vec![row];
    report
}

fn run(even: Took<'_>, odd: Took<'_>, failed: [u64; 2]) -> Report {
    run_of(&times(even), &times(odd), failed)
}

fn found(comparison: &Comparison, figure: Figure) -> &ComparedFigure {
    comparison.rows[0].figures.iter().find(|of| of.figure == figure).unwrap()
}

#[test]
fn a_change_counts_where_it_is_more_than_the_noise() {
    let steady = || run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    let scattered = |more: u64| run(&[(20 + more, 1500)], &[(23 + more, 1500)], [0, 0]);
    let cases = vec![
        // The halves agree, and so do the runs.
        (steady(), steady(), Figure::P99, Change::Same),
        (steady(), run(&[(25, 1500)], &[(25, 1500)], [0, 0]), Figure::P99, Change::Worse),
        (steady(), run(&[(15, 1500)], &[(15, 1500)], [0, 0]), Figure::Mean, Change::Better),
        // Within what a histogram tells apart.
        (
            run(&[(1000, 1500)], &[(1000, 1500)], [0, 0]),
            run(&[(1001, 1500)], &[(1001, 1500)], [0, 0]),
            Figure::P50,
            Change::Same,
        ),
        // Halves 3 ms apart: 4.303 · √(3² + 3²) / 2 = 9.1 ms.
        (scattered(0), scattered(9), Figure::Mean, Change::Same),
        (scattered(0), scattered(10), Figure::Mean, Change::Worse),
        // Fewer starts are worse: √3000 / 60 · √2 · 3 = 3.9 of 50 per second.
        (steady(), run(&[(20, 1350)], &[(20, 1350)], [0, 0]), Figure::Rate, Change::Worse),
        (steady(), run(&[(20, 1450)], &[(20, 1450)], [0, 0]), Figure::Rate, Change::Same),
        (steady(), run(&[(20, 1650)], &[(20, 1650)], [0, 0]), Figure::Rate, Change::Better),
        // One error in 3000 may be chance, thirty are not.
        (steady(), run(&[(20, 1499)], &[(20, 1500)], [1, 0]), Figure::ErrorShare, Change::Same),
        (steady(), run(&[(20, 1485)], &[(20, 1485)], [15, 15]), Figure::ErrorShare, Change::Worse),
        (run(&[(20, 1485)], &[(20, 1485)], [15, 15]), steady(), Figure::ErrorShare, Change::Better),
        // 1500 in each half are enough for p99, and too few for p99.9.
        (steady(), steady(), Figure::P999, Change::Unknown),
        (steady(), run(&[(20, 999)], &[(20, 1500)], [0, 0]), Figure::P99, Change::Unknown),
        (run(&[], &[], [100, 100]), run(&[(20, 99)], &[], [1, 0]), Figure::Mean, Change::Unknown),
    ];
    for (index, (baseline, now, figure, change)) in cases.into_iter().enumerate() {
        let comparison = now.compare(&baseline).unwrap();
        let told = found(&comparison, figure);
        assert_eq!(told.change, change, "case {index}: {told:?}");
        assert_eq!(told.noise.is_none(), change == Change::Unknown, "case {index}: {told:?}");
        assert_eq!(told.noise.is_none(), told.noise_unknown.is_some());
    }
}

#[test]
fn a_regression_is_worse_by_more_than_it_may_be() {
    let baseline = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    let slower = run(&[(22, 1500)], &[(22, 1500)], [0, 0]).compare(&baseline).unwrap();
    let told: Vec<String> = slower.regressions(9.0).map(|regression| regression.to_string()).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], "shop:signin: mean is 22.0 ms and was 20.0 ms, 10.0 % worse; the noise is 44 µs");
    assert_eq!(slower.regressions(10.5).count(), 0);
    // Better is no regression, however much it is.
    assert_eq!(baseline.compare(&run(&[(22, 1500)], &[(22, 1500)], [0, 0])).unwrap().regressions(0.0).count(), 0);
    // There were no errors: any that are more than the noise are too many.
    let failing = run(&[(20, 1485)], &[(20, 1485)], [15, 15]).compare(&baseline).unwrap();
    let told: Vec<Figure> = failing.regressions(1000.0).map(|regression| regression.figure.figure).collect();
    assert_eq!(told, [Figure::ErrorShare]);
}

#[test]
fn the_verdict_and_junit_tell_a_regression() {
    let baseline = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    let mut report = run(&[(30, 1500)], &[(30, 1500)], [0, 0]);
    let comparison = report.compare(&baseline).unwrap();
    let mut kept = report.clone();
    kept.hold_to_baseline(&comparison, 60.0);
    assert!(kept.passed() && kept.baseline.as_ref().unwrap().passed(), "{kept}");
    report.hold_to_baseline(&comparison, 5.0);
    assert_eq!(report.verdict, Verdict::Failed);
    let reason =
        "5 figures are worse than in the baseline by more than 5 %: shop:signin: mean is 30.0 ms and was 20.0 ms";
    assert!(report.reasons[0].starts_with(reason), "{:?}", report.reasons);
    assert!(report.to_string().contains("\n✗ no figure is worse than in the baseline by more than 5 %\n"), "{report}");
    let cases = |report: &Report| {
        let xml = report.junit();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let case =
            document.descendants().find(|node| node.attribute("classname") == Some("shopping.baseline")).unwrap();
        case.children()
            .filter(roxmltree::Node::is_element)
            .map(|node| node.tag_name().name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((cases(&report), cases(&kept)), (vec!["failure".to_owned()], vec!["system-out".to_owned()]));
    let page = report.html();
    assert!(page.contains("Held to the run of 2026-01-01T00:00:00Z") && page.contains("shop:signin: p99 is 30.0 ms"));
    let again = Report::from_json(&report.to_json()).unwrap();
    assert_eq!((again.to_json(), again.junit(), again.baseline), (report.to_json(), report.junit(), report.baseline));
    let mut limited = run(&[(30, 1500)], &[(30, 1500)], [0, 0]);
    limited.verdict = Verdict::GeneratorLimited;
    limited.hold_to_baseline(&comparison, 5.0);
    assert_eq!(limited.verdict, Verdict::GeneratorLimited);
    assert_eq!(limited.reasons.len(), 1);
}

#[test]
fn without_noise_nothing_passes() {
    let mut old = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    old.journeys[0].halves = None;
    let mut report = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    let comparison = report.compare(&old).unwrap();
    assert!(!old.has_halves() && report.has_halves());
    let told = "the baseline has no halves, so that the noise is not known: make it anew with this version";
    assert_eq!(comparison.warnings, [told]);
    assert!(comparison.rows[0].figures.iter().all(|of| of.noise_unknown == Some(NoiseUnknown::NoHalves)));
    report.hold_to_baseline(&comparison, 5.0);
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.reasons[0].starts_with("nothing could be held against the baseline: "), "{:?}", report.reasons);
}

#[test]
fn different_plans_are_refused_with_the_first_difference() {
    let baseline = || {
        let mut report = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
        report.settings.rows.push(row_settings(2, "shop:browse", 100));
        report
    };
    let with = |change: &dyn Fn(&mut Report)| {
        let mut report = baseline();
        change(&mut report);
        report
    };
    let closed = |report: &mut Report| report.settings.rows[1].unit = Unit::Running;
    let cases = [
        (with(&|_| ()), None),
        (
            with(&|report| report.settings.rows[1] = row_settings(2, "shop:browse", 50)),
            Some("row 2, shop:browse: 100 starts by 1.00 s in the baseline, 50 starts by 1.00 s now"),
        ),
        (
            with(&|report| report.settings.rows[1].plan[59] = 3),
            Some("row 2, shop:browse: 6000 starts by 60.0 s in the baseline, 3 starts by 60.0 s now"),
        ),
        (
            with(&|report| report.settings.rows[0].duration = Duration::from_secs(30)),
            Some("row 1, shop:signin: 60.0 s long in the baseline, 30.0 s now"),
        ),
        (
            with(&|report| report.settings.rows[1].journey = "shop:search".to_owned()),
            Some("row 2, shop:search: it was shop:browse in the baseline"),
        ),
        (with(&|report| _ = report.settings.rows.pop()), Some("2 rows in the baseline, 1 now")),
        (with(&closed), Some("row 2, shop:browse: starts at a rate in the baseline, a number running at once now")),
        (
            with(&|report| {
                report.warm_up = Some(WarmUp { duration: Duration::from_secs(5), ..WarmUp::default() });
            }),
            Some("a warm-up of 0 µs in the baseline, 5.00 s now"),
        ),
    ];
    for (now, difference) in cases {
        let told = now.compare(&baseline()).err().map(|error| error.to_string());
        assert_eq!(told, difference.map(|difference| format!("the runs had different plans: {difference}")));
        // Told otherwise, it is a warning.
        assert_eq!(now.compare_anyway(&baseline()).warnings, Vec::from_iter(told));
    }
}

#[test]
fn what_is_not_alike_is_warned_of() {
    let mut baseline = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    baseline.verdict = Verdict::GeneratorLimited;
    baseline.settings.config = vec!["host".to_owned(), "port".to_owned()];
    baseline.settings.workers = 2;
    let mut now = run(&[(20, 1500)], &[(20, 1500)], [0, 0]);
    now.settings.config = vec!["port".to_owned(), "url".to_owned()];
    now.settings.workers = 1;
    now.verdict = Verdict::Aborted;
    now.scenario = "shop".to_owned();
    now.settings.max_running = Some(7);
    let expected = [
        "the baseline is of the scenario shopping, this run of shop",
        "the baseline was limited by the generator: its figures are not those of the system",
        "this run was stopped before its end: its figures are not those of the system",
        "the baseline had 2 workers, this run 1",
        "the baseline had no limit of journeys running at once, this run 7",
        "only the baseline has these keys in its config: host",
        "only the run that is compared has these keys in its config: url",
    ];
    assert_eq!(now.compare(&baseline).unwrap().warnings, expected);
}

/// The shop, halved.
fn shop(slower: u64, lost: u64) -> Report {
    let mut report = fixed::named();
    let base = run(&[(20 + slower, 1500)], &[(20 + slower, 1499)], [0, 1]);
    (report.duration, report.journeys, report.settings) = (base.duration, base.journeys, base.settings);
    report.journeys.push(report.journeys[0].clone());
    for row in &mut report.transactions {
        let half = Half { count: row.count / 2, errors: 0, time: times(&[(1, row.count / 2)]) };
        row.halves = Some(Halves::of(row.count, 0, &row.time, &half));
    }
    report.requests.push(fixed::request("shop:signin", "Look", "GET", 0, &[(5000, lost)]));
    for row in &mut report.requests {
        let half = Half { count: row.count / 2, errors: 0, time: Histogram::new() };
        row.halves = Some(Halves::of(row.count, 0, &row.time, &half));
    }
    report
}

#[test]
fn it_is_told_in_a_table() {
    let mut baseline = shop(0, 1);
    baseline.requests.remove(0);
    let mut now = shop(5, 90);
    now.transactions.clear();
    assert_snapshot!(now.compare(&baseline).unwrap());
}

#[test]
fn it_is_told_as_json() {
    let comparison = shop(5, 90).compare(&shop(0, 1)).unwrap();
    let told: Value = serde_json::from_str(&comparison.to_json()).unwrap();
    assert_eq!(told["schema"], "mite.comparison/1");
    assert_eq!(told["rows"][0]["series"]["kind"], "all_requests");
    let journey = &told["rows"][1];
    assert_eq!(journey["series"], serde_json::json!({"kind": "journey", "journey": "shop:signin", "nth": 1}));
    assert_eq!(told["rows"][2]["series"]["nth"], 2);
    let p50 = &journey["figures"][3];
    let expected = serde_json::json!({"figure": "p50", "baseline": 20000.0, "now": 25000.0, "change_percent": 25.0,
        "noise": 50.0, "change": "worse"});
    assert_eq!(p50, &expected);
    let p999 = &journey["figures"][7];
    assert_eq!((&p999["figure"], &p999["noise"], &p999["change"]), (&"p999".into(), &Value::Null, &"unknown".into()));
    assert_eq!(p999["noise_unknown"], "a half of a run has fewer than 10000 samples");
    let failed = told["rows"].as_array().unwrap().iter().find(|row| row["series"]["code"] == 0).unwrap();
    assert_eq!((&failed["figures"][0]["figure"], &failed["figures"][0]["change"]), (&"rate".into(), &"worse".into()));
}

/// Samples of an exponential distribution, whose tail is as long as that of a server under load.
fn drawn(random: &mut Rng, count: u64, micros: f64, times: &mut Histogram) {
    for _ in 0..count {
        let part: f64 = random.random();
        times.record_micros((-micros * (1.0 - part).ln()) as u64, 1);
    }
}

/// A run of 60 seconds; each second has a level of its own, of so large a standard deviation.
fn simulated(random: &mut Rng, per_second: u64, wander: f64, slower: f64) -> Report {
    let (mut even, mut odd) = (Histogram::new(), Histogram::new());
    for second in 0..60 {
        // Nearly normal: the sum of twelve.
        let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let level = 20_000.0 * (wander * normal).exp() * slower;
        drawn(random, per_second, level, if second % 2 == 0 { &mut even } else { &mut odd });
    }
    run_of(&even, &odd, [0, 0])
}

/// The parts of the figures of 200 pairs that are told to be worse and better.
fn parts_found(wander: f64, slower: f64) -> [f64; 2] {
    let (mut found, mut judged) = ([0, 0], 0);
    for seed in 0..200 {
        let random = &mut Rng::seed_from_u64(seed);
        let baseline = simulated(random, 10, wander, 1.0);
        let comparison = simulated(random, 10, wander, slower).compare(&baseline).unwrap();
        let times = comparison.rows[0].figures.iter().filter(|of| of.figure.is_time());
        for of in times.filter(|of| of.change != Change::Unknown) {
            judged += 1;
            found[0] += u32::from(of.change == Change::Worse);
            found[1] += u32::from(of.change == Change::Better);
        }
    }
    assert_eq!(judged, 800, "the mean, p50, p90 and p95 of each pair");
    found.map(|found| f64::from(found) / f64::from(judged))
}

/// One in 40 is promised for each direction where the halves alone tell the noise; where the samples do, it is far less.
#[test]
fn equal_runs_are_seldom_told_to_differ() {
    let of_samples = parts_found(0.0, 1.0);
    assert!(of_samples.iter().all(|part| *part <= 0.005), "{of_samples:?}");
    let of_seconds = parts_found(1.0, 1.0);
    assert!(of_seconds.iter().all(|part| *part <= 0.035), "{of_seconds:?}");
}

/// Otherwise the test above would be passed by what never finds anything.
#[test]
fn a_slower_run_is_found_out() {
    let [worse, better] = parts_found(0.0, 1.5);
    assert!(worse >= 0.6 && better <= 0.001, "{worse} {better}");
}

proptest! {
    /// One place in one of the two reports is something else.
    #[test]
    fn what_can_be_read_can_be_compared(at in 0.0..1.0_f64, what in "[0-9.e-]{0,12}", length in 0..20_usize) {
        let mut bytes = shop(0, 1).to_json().into_bytes();
        let start = (at * bytes.len() as f64) as usize;
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, what.bytes());
        if let Ok(other) = Report::from_json(&String::from_utf8_lossy(&bytes)) {
            let same = shop(0, 1);
            for (baseline, now) in [(&other, &same), (&same, &other)] {
                let _ = now.compare(baseline);
                let comparison = now.compare_anyway(baseline);
                let _ = (comparison.to_string(), comparison.to_json(), comparison.held(5.0).to_string());
            }
        }
    }
}
