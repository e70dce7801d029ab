//! What is planned is the integral of the volume model, and all of it is started, each start once.

mod common;

use std::time::Duration;

use common::{Starts, TENTH, noop, ran};
use mite_core::volume::{SECOND, Stages, constant, nothing, ramp};
use mite_core::{Context, Mix, NoData, Row, Run, Scenario, Volume};

fn noting(starts: &Starts) -> impl AsyncFn(&mut Context) -> mite_core::Result + Clone + Send + 'static {
    let starts = starts.clone();
    async move |ctx: &mut Context| {
        starts.note(ctx);
        Ok(())
    }
}

#[tokio::test]
async fn stages_are_carried_out_to_the_last_unit() {
    let models: Vec<(Stages, u64)> = vec![
        (constant(500, 3 * TENTH), 150),
        // Start k is due at k/rate, so that the last one before the end is number ⌈rate × length⌉ − 1.
        (constant(333.3, 3 * TENTH), 100),
        (ramp(4 * TENTH).from(0).to(1000), 200),
        (ramp(4 * TENTH).from(1000).to(0), 200),
        (nothing(TENTH) + constant(100, 2 * TENTH), 20),
        (constant(100, TENTH) + nothing(TENTH) + ramp(TENTH).to(200) + constant(200, TENTH), 40),
        (nothing(TENTH), 0),
        (constant(0.5, TENTH), 1),
    ];
    for workers in 1..=3 {
        let mut scenario = Scenario::new();
        let mut all = Vec::new();
        for (model, _) in &models {
            let starts = Starts::default();
            scenario = scenario.row(Row::new(noting(&starts), NoData, model.clone()).named("noting"));
            all.push(starts);
        }
        let report = ran(Run::new(scenario).workers(workers)).await;
        for (((model, planned), row), starts) in models.iter().zip(&report.journeys).zip(&all) {
            assert_eq!(row.planned, *planned, "{workers} workers, {model:?}");
            assert_eq!(row.completed, *planned, "{workers} workers, {model:?}");
            assert_eq!(starts.sorted(), (0..*planned).collect::<Vec<_>>(), "{workers} workers, {model:?}");
        }
        assert!(report.passed(), "{report}");
        assert_eq!(
            report.per_second.iter().map(|second| second.planned).sum::<u64>(),
            models.iter().map(|model| model.1).sum::<u64>()
        );
    }
}

#[tokio::test]
async fn closures_are_carried_out_second_by_second() {
    for workers in 1..=3 {
        let (endless, ending, rising) = (Starts::default(), Starts::default(), Starts::default());
        let scenario = Scenario::new()
            .row(Row::new(noting(&endless), NoData, |_start, _end| 100).named("endless"))
            .row(
                Row::new(noting(&ending), NoData, |start: Duration, _end| (start < SECOND).then_some(40))
                    .named("ending"),
            )
            .row(Row::new(noting(&rising), NoData, |start: Duration, _end| start.as_secs() * 30).named("rising"));
        let report = ran(Run::new(scenario).workers(workers).stop_after(SECOND + 5 * TENTH)).await;
        for (starts, (row, planned)) in [endless, ending, rising].iter().zip(report.journeys.iter().zip([150, 40, 15]))
        {
            assert_eq!((row.planned, row.started), (planned, planned), "{workers} workers, {}", row.journey);
            assert_eq!(starts.sorted(), (0..planned).collect::<Vec<_>>(), "{workers} workers, {}", row.journey);
        }
    }
}

#[tokio::test]
async fn a_closure_that_stops_at_once_plans_nothing() {
    let scenario = Scenario::new()
        .row(Row::new(common::noop, NoData, |_start, _end| Volume::Stop).named("never"))
        .row(Row::new(common::noop, NoData, constant(100, TENTH)).named("some"));
    let report = ran(Run::new(scenario).stop_after(5 * SECOND)).await;
    assert_eq!((report.journey("never").planned, report.journey("some").planned), (0, 10));
    assert!(report.duration < 4 * SECOND, "{report}");
}

#[tokio::test]
async fn stop_after_cuts_any_plan() {
    for workers in 1..=3 {
        let starts = Starts::default();
        let scenario = Scenario::new().row(Row::new(noting(&starts), NoData, constant(100, 100 * SECOND)).named("cut"));
        let report = ran(Run::new(scenario).workers(workers).stop_after(2 * TENTH)).await;
        assert_eq!(report.journeys[0].planned, 20);
        assert_eq!(starts.sorted(), (0..20).collect::<Vec<_>>());
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn rows_start_when_they_should() {
    let [now, later, asked] = std::array::from_fn(|_| Starts::default());
    let scenario = Scenario::new()
        .row(Row::new(noting(&now), NoData, constant(100, TENTH)).named("now"))
        .row(Row::new(noting(&later), NoData, constant(100, TENTH)).named("later").starting_at(3 * TENTH))
        .row(
            // Asked about its own time: nothing of it is lost to the delay.
            Row::new(noting(&asked), NoData, |start: Duration, _end| start.is_zero().then_some(20))
                .named("asked")
                .starting_at(SECOND),
        );
    let report = ran(Run::new(scenario).start_delay(2 * TENTH).stop_after(5 * SECOND)).await;
    let planned: Vec<u64> = report.journeys.iter().map(|row| row.planned).collect();
    assert_eq!(planned, [10, 10, 20]);
    assert_eq!(report.per_second[1].planned, 20, "{:?}", report.per_second);
    assert_eq!(asked.sorted(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mix_shares_one_model_by_weight() {
    for workers in 1..=3 {
        let [browse, buy] = std::array::from_fn(|_| Starts::default());
        let mix = Mix::new()
            .row(7, Row::new(noting(&browse), NoData, nothing(SECOND)).named("browse"))
            .row(3, Row::new(noting(&buy), NoData, nothing(SECOND)).named("buy"));
        let scenario = Scenario::new().mix(constant(1000, 2 * TENTH).poisson(3), mix);
        let report = ran(Run::new(scenario).workers(workers)).await;
        let (browsed, bought) = (report.journey("browse").started, report.journey("buy").started);
        // Seven of each ten, and in the last ten as many as have come.
        assert!((bought * 7).abs_diff(browsed * 3) <= 21, "{browsed} and {bought}");
        assert_eq!(browse.sorted(), (0..browsed).collect::<Vec<_>>());
        assert_eq!(buy.sorted(), (0..bought).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn iterations_end_a_row() {
    for workers in 1..=3 {
        let [all, each, open] = std::array::from_fn(|_| Starts::default());
        let long = 100 * SECOND;
        let scenario = Scenario::new()
            .row(Row::new(noting(&all), NoData, constant(5, long).running().iterations(23)).named("all"))
            .row(Row::new(noting(&each), NoData, constant(5, long).running().iterations_each(4)).named("each"))
            .row(Row::new(noting(&open), NoData, constant(1000, SECOND).iterations(17)).named("open"));
        let report = ran(Run::new(scenario).workers(workers)).await;
        let completed: Vec<u64> = report.journeys.iter().map(|row| row.completed).collect();
        assert_eq!(completed, [23, 20, 17], "{workers} workers");
        assert!(report.duration < 10 * SECOND, "{report}");
    }
}

#[tokio::test]
async fn iterations_of_a_mix_are_those_of_all_its_rows() {
    let mix = || {
        Mix::new()
            .row(2, Row::new(noop, NoData, |_, _| 0).named("two"))
            .row(1, Row::new(noop, NoData, |_, _| 0).named("one"))
    };
    for workers in 1..=2 {
        for model in [constant(6, 100 * SECOND).running(), constant(1000, SECOND)] {
            let scenario = Scenario::new().mix(model.iterations(30), mix());
            let report = ran(Run::new(scenario).workers(workers)).await;
            assert_eq!((report.journey("two").completed, report.journey("one").completed), (20, 10), "{report}");
        }
    }
}
