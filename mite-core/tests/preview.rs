//! A preview says what a run will plan, without running anything.

mod common;

use std::time::Duration;

use common::{TENTH, failed, noop};
use mite_core::volume::{HOUR, MINUTE, SECOND, Unit, constant, nothing, ramp, sine, steps};
use mite_core::{Mix, NoData, Preview, Row, Run, RunError, Scenario, Volume, VolumeModel, preview};

fn row(name: &str, model: impl VolumeModel) -> Row {
    Row::new(noop, NoData, model).named(name)
}

fn of(row: Row) -> Preview {
    preview(Scenario::new().row(row)).unwrap()
}

#[test]
fn a_rate_is_drawn_as_it_rises() {
    let drawn = of(row("ramp", ramp(20 * SECOND).from(0) + constant(50, 40 * SECOND))).to_string();
    let expected = "\
ramp: 2500 starts, peak 50/s, 60 s
50/s ┤                 ▂▄▆▇███████████████████████████████████████████
     │             ▂▄▆████████████████████████████████████████████████
     │        ▁▃▅▇████████████████████████████████████████████████████
     │    ▁▃▅▇████████████████████████████████████████████████████████
     │▂▄▆█████████████████████████████████████████████████████████████
   0 └────────────────────────────────┬───────────────────────────────
      0                               30 s                        60 s
";
    assert_eq!(drawn, expected);
}

#[test]
fn waves_reach_their_crests() {
    let drawn = of(row("wave", sine(100.0, 80.0, MINUTE, 2 * MINUTE))).to_string();
    let expected = "\
wave: 12000 starts, peak 180/s, 2 min
180/s ┤   ▃▅▇████▇▅▃                      ▃▅▇████▇▅▃
      │▂▅████████████▅▂                ▂▅████████████▅▂
      │████████████████▆▃            ▃▆████████████████▆▃            ▃▆
      │██████████████████▇▄▂      ▂▄▇████████████████████▇▄▂      ▂▄▇██
      │█████████████████████▇▆▅▅▆▇██████████████████████████▇▆▅▅▆▇█████
    0 └────────────────────────────────┬───────────────────────────────
       0                               60 s                       2 min
";
    assert_eq!(drawn, expected, "{drawn}");
}

#[test]
fn rows_share_one_axis_of_time() {
    let scenario = Scenario::new()
        .row(row("closed", constant(1500, 30 * SECOND).running()).starting_at(10 * SECOND).spawn_rate(100.0))
        .row(row("asked", |start: Duration, _end| (start < 40 * SECOND).then_some(5)));
    let expected = "\
closed: at most 1500 running, 40 s
1500 ┤                                   ▁▃▅▆█████████████████████████
";
    let drawn = preview(scenario).unwrap().to_string();
    assert!(drawn.starts_with(expected), "{drawn}");
    assert!(drawn.contains("\n\nasked: 200 starts, peak 5/s, 40 s\n 5/s ┤████████"), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    assert_eq!(drawn.lines().count(), 17);
}

#[test]
fn nothing_is_drawn_where_nothing_is_planned() {
    let drawn = of(row("none", nothing(SECOND))).to_string();
    assert!(drawn.starts_with("none: 0 starts, peak 0/s, 1 s\n0/s ┤\n    │\n"), "{drawn}");
    let little = of(row("little", constant(1000, MINUTE) + constant(1, MINUTE))).to_string();
    assert!(little.contains(&"▁".repeat(32)), "{little}");
}

#[test]
fn points_sum_up_to_what_is_planned() {
    let models = [
        constant(33.3, 10 * SECOND),
        ramp(7 * TENTH).from(3).to(900),
        sine(50.0, 50.0, 10 * SECOND, 34 * SECOND),
        steps(0.5, 0.25, 20, MINUTE),
        constant(1000, HOUR).iterations(1234),
        nothing(HOUR) + constant(1, 30 * HOUR),
    ];
    for model in models {
        for model in [model.clone(), model.clone().jitter(0.9, 4), model.poisson(4)] {
            let preview = of(row("points", model.clone()));
            let row = &preview.rows[0];
            assert_eq!(Some(row.points.iter().sum()), row.planned, "{model:?}");
            assert_eq!(row.points.len() as u64, row.duration.as_nanos().div_ceil(preview.step.as_nanos()) as u64);
            assert!(row.points.len() <= 3600, "{model:?}");
        }
    }
}

#[tokio::test]
async fn a_run_plans_what_its_preview_says() {
    let scenario = || {
        let mix = Mix::new().row(2, row("two", nothing(SECOND))).row(1, row("one", nothing(SECOND)));
        Scenario::new()
            .row(row("even", ramp(5 * TENTH).from(0).to(300)))
            .row(row("drawn", constant(300, 5 * TENTH).poisson(8)).starting_at(TENTH))
            .row(row("limited", constant(500, 100 * SECOND).iterations(50)))
            .mix(constant(200, 5 * TENTH).poisson(8), mix)
            .row(row("asked", |start: Duration, _end| start.is_zero().then_some(30)))
    };
    let previewed = Run::new(scenario()).stop_after(2 * SECOND).preview().unwrap();
    let report = common::ran(Run::new(scenario()).stop_after(2 * SECOND).workers(2)).await;
    let planned: Vec<_> = report.journeys.iter().map(|row| Some(row.planned)).collect();
    assert_eq!(previewed.rows.iter().map(|row| row.planned).collect::<Vec<_>>(), planned);
    let first_second: u64 = previewed.rows.iter().map(|row| row.points[0]).sum();
    assert_eq!(report.per_second[0].planned, first_second);
    // The row with iterations has ended with the last of them, long before its model does.
    assert!(report.duration < 60 * SECOND, "{report}");
}

#[test]
fn the_number_running_is_that_at_the_end_of_each_second() {
    let preview = of(row("closed", ramp(4 * SECOND).from(0).to(8).running()));
    let row = &preview.rows[0];
    assert_eq!((row.unit, row.planned, &*row.points), (Unit::Running, None, &[1, 3, 5, 7][..]));
    // The eighth would be there at the end, when all of them go.
    assert_eq!(row.peak.to_string(), "7");
    let mix = Mix::new().row(2, self::row("two", nothing(SECOND))).row(1, self::row("one", nothing(SECOND)));
    let preview = mite_core::preview(Scenario::new().mix(constant(9, 2 * SECOND).running(), mix.spawn_rate(3.0)));
    let points: Vec<_> = preview.unwrap().rows.into_iter().map(|row| row.points).collect();
    // Two, five and three altogether: limited as a whole, and then shared out.
    assert_eq!(points, [[1, 3], [1, 2]]);
}

#[test]
fn stop_after_and_spawn_rate_are_those_of_the_run() {
    let scenario = Scenario::new()
        .row(row("closed", constant(9, HOUR).running()))
        .row(row("own", constant(9, HOUR).running()).spawn_rate(9.0))
        .row(row("asked", |_start, _end| Volume::running(9)))
        .row(row("open", |_start, _end| 9));
    let preview = Run::new(scenario).spawn_rate(2.0).stop_after(3 * SECOND).preview().unwrap();
    let points: Vec<_> = preview.rows.iter().map(|row| &*row.points).collect();
    assert_eq!(points, [[1, 3, 5], [8, 9, 9], [1, 3, 5], [9, 9, 9]]);
    assert_eq!((preview.duration, preview.step), (3 * SECOND, SECOND));
}

#[test]
fn long_plans_have_longer_steps() {
    let century = of(row("century", constant(1, 36_500 * 24 * HOUR)));
    assert_eq!((century.rows[0].points.len(), century.rows[0].planned), (3600, Some(36_500 * 86_400)));
    assert_eq!(century.step, 876_000 * SECOND);
    let hour = of(row("hour", constant(100_000, HOUR)));
    assert_eq!((hour.rows[0].points.len(), hour.rows[0].points[77], hour.step), (3600, 100_000, SECOND));
}

#[test]
fn what_cannot_be_shown_is_refused_in_words() {
    let refused = |row: Row| preview(Scenario::new().row(row)).unwrap_err().to_string();
    assert_eq!(
        refused(row("endless", |_start, _end| 5)),
        "row 1 (endless): its volume model is a closure that does not answer `Volume::Stop` within a week, which is as far \
         as a preview asks: give the run an end with `.stop_after(…)`"
    );
    assert_eq!(
        refused(row("drawn", constant(1e9, HOUR).poisson(1))),
        "row 1 (drawn): a plan of over 4000000000 starts drawn at random takes too long to count: give the run an earlier \
         end with `.stop_after(…)`"
    );
    let panics = |start: Duration, _end| -> u32 { if start == 2 * SECOND { panic!("no more") } else { 1 } };
    assert_eq!(
        refused(row("panics", panics)),
        "row 1 (panics): its volume for second 2 makes no sense: the closure panicked: no more"
    );
    assert!(matches!(preview(Scenario::new()), Err(RunError::Empty)));
    let error = preview(Scenario::new().row(row("negative", constant(-1, SECOND)))).unwrap_err();
    assert!(matches!(&error, RunError::Row(row) if row.message == "a rate of -1 is negative"), "{error}");
}

#[tokio::test]
async fn a_run_says_the_same_of_a_closure() {
    let scenario = || Scenario::new().row(row("senseless", |_start, _end| -3));
    let told = failed(Run::new(scenario()).stop_after(SECOND)).await.to_string();
    assert_eq!(Run::new(scenario()).preview().unwrap_err().to_string(), told);
}

#[test]
fn the_json_has_whole_numbers() {
    let preview = of(row("open", constant(4, 1500 * Duration::from_millis(1))));
    let json = serde_json::json!({
        "scenario": "scenario",
        "duration_us": 1_500_000,
        "step_s": 1,
        "rows": [{
            "row": 1, "journey": "open", "unit": "rate", "planned": 6, "duration_us": 1_500_000, "peak": 4.0, "points": [4, 2],
        }],
    });
    assert_eq!(serde_json::to_value(&preview).unwrap(), json);
}
