//! What a run is held to: windows that slide over it, what ends it early, and who decides whether it has passed.
#![cfg(feature = "testing")]

use std::time::Duration;

use mite_core::threshold::{
    Threshold, count, error_rate, error_rate_of, max, ms, p50, p99, percent, rate, secs, transaction,
};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{Context, NoData, Report, Result, Row, Run, RunError, Scenario, Verdict, ensure};

/// Ten starts in each second: those of the seconds from 4 to 6 take 480 ms, and fail; the others take 20 ms.
async fn visit(ctx: &mut Context) -> Result {
    let is_bad = (40..70).contains(&ctx.start_index());
    ctx.transaction("Log in", async |_ctx| {
        tokio::time::sleep(Duration::from_millis(if is_bad { 480 } else { 20 })).await;
        ensure!(!is_bad, "no luck");
        Ok(())
    })
    .await
}

fn run() -> Run {
    let row = Row::new(visit, NoData, constant(10, 10 * SECOND)).named("visit");
    Run::new(Scenario::new().row(row)).virtually()
}

fn held_to(threshold: Threshold) -> Report {
    run().threshold(threshold).run_blocking().unwrap()
}

#[test]
fn a_window_slides_over_the_run_and_its_worst_place_is_told() {
    let cases = [
        (
            p99("Log in").under(ms(300)).in_each(secs(2)),
            "p99 of \"Log in\" in each 2 s is 480 ms at its worst, from 3 s on, and should be under 300 ms",
        ),
        (
            p50("Log in").under(ms(600)).in_each(secs(1)),
            "p50 of \"Log in\" in each 1 s is 480 ms at its worst, from 4 s on, which is under 600 ms",
        ),
        // Of a window of ten seconds half is quick.
        (
            p50("Log in").under(ms(300)).in_each(secs(10)),
            "p50 of \"Log in\" in each 10 s is 20 ms at its worst, from 0 s on, which is under 300 ms",
        ),
        (
            error_rate().under(percent(60.0)).in_each(secs(4)),
            "the error rate in each 4 s is 75 % (30 of 40) at its worst, from 4 s on, and should be under 60 %",
        ),
        (
            error_rate_of("visit").at_most(percent(100.0)).in_each(secs(1)),
            "the error rate of \"visit\" in each 1 s is 100 % (6 of 6) at its worst, from 4 s on, which is at most 100 %",
        ),
        // Of the ten that start in it four end in the next.
        (
            rate("Log in").at_least(10.0).in_each(secs(1)),
            "the rate of \"Log in\" in each 1 s is 6 per second at its worst, from 4 s on, and should be at least 10 per second",
        ),
        (
            count("visit").at_least(1).in_each(secs(1)),
            "the count of \"visit\" in each 1 s is 0 at its worst, from 4 s on, and should be at least 1",
        ),
        (
            max(transaction("Log on")).under(secs(1)).in_each(secs(1)),
            "the maximum of the transaction \"Log on\" in each 1 s should be under 1 s, and the report has no transaction \"Log on\" \
             (did you mean \"Log in\"?): it has \"Log in\"",
        ),
        (
            p99("Log in").under(secs(1)).in_each(secs(11)),
            "p99 of \"Log in\" in each 11 s should be under 1 s, and there was none of 11 s in the run",
        ),
    ];
    for (threshold, told) in cases {
        let passes = told.contains(", which is ");
        let report = held_to(threshold.clone());
        assert_eq!(report.thresholds[0].to_string(), told);
        assert_eq!(report.verdict, if passes { Verdict::Passed } else { Verdict::Failed }, "{report}");
        assert_eq!(threshold.check(&report).to_string(), told, "what the run has found is found again");
    }
}

#[test]
fn a_warm_up_is_in_no_window() {
    let threshold = error_rate().under(percent(1.0)).in_each(secs(2));
    let report = run().warm_up(7 * SECOND).threshold(threshold).run_blocking().unwrap();
    assert_eq!(
        report.thresholds[0].to_string(),
        "the error rate in each 2 s is 0 % (0 of 20) at its worst, from 7 s on, which is under 1 %"
    );
}

#[test]
fn thresholds_say_how_many_errors_are_too_many() {
    assert_eq!(run().run_blocking().unwrap().verdict, Verdict::Failed);
    let report = held_to(error_rate().at_most(percent(30.0)));
    assert_eq!((report.verdict, &report.reasons[..]), (Verdict::Passed, &[][..]));
    let report = held_to(error_rate().under(percent(30.0)));
    assert_eq!(report.reasons, ["the error rate is 30 % (30 of 100), and should be under 30 %"]);
}

#[test]
fn a_condition_ends_the_run_early() {
    let cases = [
        // Of those that have ended by then.
        (error_rate().over(percent(10.0)), 0, 5, "the error rate is 13 % (6 of 46), which is over 10 %"),
        (
            error_rate().over(percent(50.0)).in_each(secs(2)),
            0,
            6,
            "the error rate in each 2 s is 100 % (16 of 16) at its worst, from 4 s on, which is over 50 %",
        ),
        // It is as bad before, and is looked at later.
        (error_rate().over(percent(10.0)), 8, 8, "the error rate is 37.5 % (30 of 80), which is over 10 %"),
    ];
    for (condition, delay, seconds, why) in cases {
        let condition_text = condition.to_string();
        let report = run().abort_when(condition, delay * SECOND).run_blocking().unwrap();
        assert_eq!(report.verdict, Verdict::Aborted, "{condition_text}: {report}");
        assert_eq!(report.reasons[0], format!("aborted, since {why}"));
        assert_eq!(report.duration.as_secs(), seconds, "{condition_text}");
    }
}

#[test]
fn what_does_not_come_about_ends_nothing() {
    let run = run().abort_when(error_rate().over(percent(50.0)), 9 * SECOND).threshold(count("visit").at_least(70));
    assert_eq!(run.run_blocking().unwrap().verdict, Verdict::Passed);
}

/// An hour of windows takes no longer than the hour without.
#[test]
fn windows_of_a_long_run_are_kept_no_longer_than_they_are() {
    let row = Row::new(visit, NoData, constant(2, HOUR)).named("visit");
    let run = Run::new(Scenario::new().row(row)).virtually();
    let report = run.threshold(count("visit").at_least(0).in_each(60 * SECOND)).run_blocking().unwrap();
    assert!(report.thresholds[0].passed());
}

#[test]
fn a_threshold_that_makes_no_sense_is_refused_before_anything_starts() {
    let cases = [
        (
            p99("visit").under(ms(0)),
            "the threshold `p99 of \"visit\" under 0 µs` makes no sense: nothing is: say `at_most`",
        ),
        (
            p99("visit").under(ms(1)).in_each(ms(1500)),
            "the threshold `p99 of \"visit\" under 1 ms in each 1.5 s` makes no sense: a window is of whole seconds from 1 on, \
             not 1.5s",
        ),
    ];
    for (threshold, told) in cases {
        let error = run().threshold(threshold.clone()).run_blocking().unwrap_err();
        assert!(matches!(error, RunError::Threshold { .. }));
        assert_eq!(error.to_string(), told);
        assert_eq!(run().abort_when(threshold, SECOND).run_blocking().unwrap_err().to_string(), told);
    }
}

#[test]
fn a_window_is_not_found_in_a_report_that_was_not_told_of_it() {
    let told = p99("visit").under(ms(1)).in_each(secs(1)).check(&run().run_blocking().unwrap()).to_string();
    assert_eq!(
        told,
        "p99 of \"visit\" in each 1 s should be under 1 ms, and only the run itself can tell: give it to `Run::threshold`"
    );
}
