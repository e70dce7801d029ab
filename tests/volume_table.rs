//! The guide's chapter on volume says what is run here: each row of its table, and each curve that it draws.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mite::prelude::*;
use mite::volume::{at_once, bell, sine, spike, spread, steps};
use mite::{Mix, Overload, Preview, RunError, VolumeModel, preview};

const GUIDE: &str = include_str!("../docs/src/volume.md");

/// How many journeys run, and the most that ever did.
#[derive(Debug, Clone, Default)]
struct Gauge {
    now: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Gauge {
    fn enter(&self) -> impl Drop + use<> {
        struct Leave(Arc<AtomicU64>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        self.most.fetch_max(self.now.fetch_add(1, Relaxed) + 1, Relaxed);
        Leave(Arc::clone(&self.now))
    }

    /// A row of journeys that are over in a millisecond.
    fn row(&self, model: impl VolumeModel) -> Row {
        let gauge = self.clone();
        let visit = async move |_ctx: &mut Context| {
            let _inside = gauge.enter();
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        };
        Row::new(visit, NoData, model).named("visit")
    }

    /// A row of journeys that never end by themselves.
    fn endless_row(&self, model: impl VolumeModel) -> Row {
        let gauge = self.clone();
        let visit = async move |_ctx: &mut Context| {
            let _inside = gauge.enter();
            std::future::pending().await
        };
        Row::new(visit, NoData, model).named("visit")
    }
}

fn run(row: Row) -> Run {
    Run::new(Scenario::new().row(row))
}

/// What came of an entry: what was previewed, what the run says, and the most journeys that were under way at once.
struct Outcome {
    preview: Preview,
    report: Report,
    most: u64,
}

impl Outcome {
    /// Starts planned and made.
    fn starts(&self) -> (u64, u64) {
        (self.report.journeys[0].planned, self.report.journeys[0].started)
    }

    fn points(&self) -> &[u64] {
        &self.preview.rows[0].points
    }

    /// Of the closed model: the numbers running at the ends of the seconds, and never more than the highest of them.
    #[track_caller]
    fn runs(&self, points: &[u64]) {
        assert_eq!(self.points(), points);
        let highest = self.preview.rows[0].peak;
        assert!((1.0..=highest).contains(&(self.most as f64)), "{} ran at once", self.most);
        assert_eq!(self.report.journeys[0].started, self.report.journeys[0].completed);
    }
}

struct Entry {
    peer: &'static str,
    /// The expression in the source of this file.
    code: &'static str,
    make: Box<dyn Fn(&Gauge) -> Run>,
    check: Box<dyn Fn(&Outcome)>,
}

/// What the peer calls it; mite's expression, and what makes a run of it; what the peer's definition gives.
macro_rules! entry {
    ($peer:literal, $(with $name:ident = $value:expr,)? |$gauge:ident| $make:expr => $code:expr, $check:expr $(,)?) => {
        Entry {
            peer: $peer,
            code: stringify!($code),
            make: Box::new(move |$gauge: &Gauge| {
                $(let $name = $value;)?
                $make($code)
            }),
            check: Box::new($check),
        }
    };
}

/// An expression that is a volume model.
macro_rules! model {
    ($peer:literal, $code:expr, $check:expr $(,)?) => {
        entry!($peer, |gauge| |model| run(gauge.row(model)) => $code, $check)
    };
}

/// The names in the expressions stand for the numbers that the peer is told; here they are small ones.
fn k6() -> Vec<Entry> {
    let (vus, start_vus, max_vus, iterations) = (3, 1, 4, 20);
    let (rate, start_rate, time_unit) = (120.0, 20.0, 2 * SECOND);
    let (duration, max_duration, start_time) = (2 * SECOND, 60 * SECOND, SECOND);
    let (graceful_stop, graceful_ramp_down) = (SECOND / 10, SECOND / 10);
    let falling = || (constant(5, SECOND) + constant(2, SECOND)).running();
    let ((target_1, duration_1), (target_2, duration_2)) = ((5, SECOND), (3, SECOND));
    let controlled = Arc::new(AtomicU64::new(2));
    vec![
        model!("shared-iterations", constant(vus, max_duration).running().iterations(iterations), |of| {
            assert_eq!(of.starts(), (20, 20));
            assert!(of.most <= 3, "{}", of.most);
        }),
        model!("per-vu-iterations", constant(vus, max_duration).running().iterations_each(iterations), |of| {
            assert_eq!(of.starts(), (60, 60));
            assert!(of.most <= 3, "{}", of.most);
        }),
        model!("constant-vus", constant(vus, duration).running(), |of| of.runs(&[3, 3])),
        model!(
            "ramping-vus",
            ramp(duration_1).from(start_vus).to(target_1).ramp_to(target_2, duration_2).running(),
            // In its last nanosecond a falling ramp still has one more than its target.
            |of| of.runs(&[4, 3]),
        ),
        model!("constant-arrival-rate", constant(rate / time_unit.as_secs_f64(), duration), |of| {
            assert_eq!((of.starts(), of.points()), ((120, 120), &[60, 60][..]));
        }),
        model!(
            "ramping-arrival-rate",
            ramp(duration_1).from(start_rate).to(target_1).ramp_to(target_2, duration_2),
            |of| assert_eq!((of.starts(), of.points()), ((17, 17), &[13, 4][..])),
        ),
        entry!(
            "externally-controlled",
            with vus = Arc::clone(&controlled),
            |gauge| |model| {
                // One of its own journeys controls it here: from then on more are wanted.
                let (gauge, control) = (gauge.clone(), Arc::clone(&controlled));
                let visit = async move |_ctx: &mut Context| {
                    let _inside = gauge.enter();
                    control.store(4, Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok(())
                };
                run(Row::new(visit, NoData, model).named("visit")).stop_after(duration)
            } => move |_start, _end| Volume::running(vus.load(Relaxed)),
            |of| {
                assert_eq!(of.points(), [2, 2]);
                assert!((1..=4).contains(&of.most), "{}", of.most);
            },
        ),
        entry!("startTime", |gauge| run => gauge.row(constant(10, SECOND)).starting_at(start_time), |of| {
            assert_eq!((of.starts(), of.points()), ((10, 10), &[0, 10][..]));
        }),
        entry!(
            "gracefulStop",
            |gauge| |run: Run| run => run(gauge.endless_row(constant(10, SECOND))).graceful_stop(graceful_stop),
            |of| assert_eq!((of.starts(), of.report.journeys[0].cancelled), ((10, 10), 10)),
        ),
        entry!(
            "gracefulRampDown",
            |gauge| |row| run(row).graceful_stop(Duration::ZERO)
                => gauge.endless_row(falling()).graceful_ramp_down(graceful_ramp_down),
            |of| assert_eq!((of.starts(), of.points(), of.report.journeys[0].cancelled), ((5, 5), &[5, 2][..], 5)),
        ),
        entry!(
            "maxVUs",
            |gauge| |row| run(row).graceful_stop(Duration::ZERO)
                => gauge.endless_row(constant(10, SECOND)).max_running(max_vus).overload(Overload::Drop),
            |of| assert_eq!((of.starts(), of.report.journeys[0].dropped), ((10, 4), 6)),
        ),
    ]
}

fn gatling() -> Vec<Entry> {
    let (n, rate, rate_1, rate_2, seed) = (50, 30, 10, 90, 7);
    let (first, by, times) = (20.0, 10.0, 3);
    let (d, level, ramp_length) = (SECOND, SECOND, SECOND);
    vec![
        model!("nothingFor(d)", nothing(d), |of| assert_eq!((of.starts(), of.points()), ((0, 0), &[0][..]))),
        model!("atOnceUsers(n)", at_once(n), |of| {
            assert_eq!(of.starts(), (50, 50));
            assert!(of.preview.duration < Duration::from_micros(1), "{:?}", of.preview.duration);
        }),
        model!("rampUsers(n).during(d)", spread(n, d), |of| assert_eq!(of.starts(), (50, 50))),
        model!("constantUsersPerSec(rate).during(d)", constant(rate, d), |of| assert_eq!(of.starts(), (30, 30))),
        model!("constantUsersPerSec(rate).during(d).randomized", constant(rate, d).poisson(seed), |of| {
            // Five standard deviations around the mean.
            let (planned, started) = of.starts();
            assert!(planned == started && planned.abs_diff(30) <= 27, "{planned} planned, {started} started");
        }),
        model!("rampUsersPerSec(rate1).to(rate2).during(d)", ramp(d).from(rate_1).to(rate_2), |of| {
            assert_eq!(of.starts(), (50, 50));
        }),
        model!(
            "rampUsersPerSec(rate1).to(rate2).during(d).randomized",
            ramp(d).from(rate_1).to(rate_2).poisson(seed),
            |of| {
                let (planned, started) = of.starts();
                assert!(planned == started && planned.abs_diff(50) <= 36, "{planned} planned, {started} started");
            },
        ),
        model!("stressPeakUsers(n).during(d)", bell(n, d), |of| {
            assert_eq!(of.starts(), (50, 50));
            assert!((110.0..130.0).contains(&of.preview.rows[0].peak), "{}", of.preview.rows[0].peak);
        }),
        model!("incrementUsersPerSec(by).times(n).eachLevelLasting(d)", steps(0.0, by, times, level), |of| {
            assert_eq!((of.starts(), of.points()), ((30, 30), &[0, 10, 20][..]));
        }),
        model!("….startingFrom(first)", steps(first, by, times, level), |of| {
            assert_eq!((of.starts(), of.points()), ((90, 90), &[20, 30, 40][..]));
        }),
        model!(
            "….separatedByRampsLasting(ramp)",
            ramp(ramp_length).from(0) + steps(by, by, times, level).ramps_between(ramp_length),
            |of| assert_eq!((of.starts(), of.points()), ((105, 105), &[5, 10, 15, 20, 25, 30][..])),
        ),
        model!(
            "….separatedByRampsLasting(ramp).startingFrom(first)",
            steps(first, by, times, level).ramps_between(ramp_length),
            |of| assert_eq!((of.starts(), of.points()), ((150, 150), &[20, 25, 30, 35, 40][..])),
        ),
        model!("constantConcurrentUsers(n).during(d)", constant(n, d).running(), |of| of.runs(&[50])),
        model!("rampConcurrentUsers(n1).to(n2).during(d)", ramp(d).from(rate_1).to(rate_2).running(), |of| {
            of.runs(&[89]);
        }),
        model!(
            "incrementConcurrentUsers(by).times(n).eachLevelLasting(d)",
            steps(0.0, by, times, level).running(),
            |of| of.runs(&[0, 10, 20]),
        ),
        model!(
            "incrementConcurrentUsers(by)….separatedByRampsLasting(ramp).startingFrom(first)",
            steps(first, by, times, level).ramps_between(ramp_length).running(),
            |of| of.runs(&[20, 29, 30, 39, 40]),
        ),
    ]
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The rows of the guide's tables: what the peer calls it, and mite's expression.
fn table() -> Vec<(String, String)> {
    let rows = GUIDE.lines().filter(|line| line.starts_with("| `"));
    let cell = |cell: &str| {
        let code = cell.split('`').nth(1).unwrap_or_else(|| panic!("no code in {cell:?}"));
        without_spaces(&code.replace("\\|", "|"))
    };
    // What is between two bars; a bar within code has a stroke before it.
    rows.map(|row| {
        let row = row.replace("\\|", "\u{0}");
        let mut cells = row.split('|').skip(1).map(|text| text.replace('\u{0}', "\\|"));
        (cell(&cells.next().unwrap()), cell(&cells.next().unwrap()))
    })
    .collect()
}

#[tokio::test]
async fn each_row_of_the_table_is_run() {
    let entries: Vec<Entry> = k6().into_iter().chain(gatling()).collect();
    let run_here: BTreeSet<_> = entries
        .iter()
        .map(|entry| {
            let mut code = without_spaces(entry.code);
            // In the guide a row or a run is there already.
            for (here, there) in [
                ("run(gauge.endless_row(constant(10,SECOND)))", "run"),
                ("gauge.endless_row(constant(10,SECOND))", "row"),
                ("gauge.endless_row(falling())", "row"),
                ("gauge.row(constant(10,SECOND))", "row"),
            ] {
                code = code.replace(here, there);
            }
            (without_spaces(entry.peer), code)
        })
        .collect();
    let told: BTreeSet<_> = table().into_iter().collect();
    assert_eq!(run_here, told);
    assert_eq!((run_here.len(), table().len()), (entries.len(), entries.len()), "a row stands there twice");

    let runs = entries.into_iter().map(|Entry { peer, make, check, .. }| {
        let gauge = Gauge::default();
        let preview = make(&gauge).preview().unwrap_or_else(|error| panic!("{peer}: {error}"));
        let run = make(&gauge).max_start_lag(HOUR);
        let handle: Result<_, RunError> = run.start();
        (peer, gauge, preview, handle.unwrap_or_else(|error| panic!("{peer}: {error}")), check)
    });
    // All at once: none of them is about time.
    for (peer, gauge, preview, handle, check) in runs.collect::<Vec<_>>() {
        let report = handle.await.unwrap_or_else(|error| panic!("{peer}: {error}"));
        println!("{peer}");
        check(&Outcome { preview, report, most: gauge.most.load(Relaxed) });
    }
}

/// A model and its curve.
macro_rules! drawn {
    ($($name:literal: $code:expr;)+) => {
        vec![$(($name, stringify!($code), Gauge::default().row($code).named($name))),+]
    };
}

#[test]
fn each_curve_is_as_it_is_printed() {
    let curves = drawn! {
        "constant": constant(50, MINUTE);
        "ramp": nothing(10 * SECOND) + ramp(20 * SECOND) + constant(50, 20 * SECOND) + ramp(10 * SECOND).to(0);
        "chained": constant(10, MINUTE).ramp_to(50, MINUTE).hold(MINUTE);
        "steps": steps(10.0, 10.0, 4, MINUTE).ramps_between(20 * SECOND);
        "spike": constant(10, MINUTE) + spike(10, 200, 20 * SECOND) + constant(10, MINUTE);
        "sine": sine(100.0, 80.0, MINUTE, 2 * MINUTE);
        "at_once": at_once(200) + constant(5, 20 * SECOND);
        "spread": spread(1000, MINUTE);
        "bell": bell(1000, MINUTE);
        "repeat": (constant(20, 10 * SECOND) + nothing(10 * SECOND)).repeat(3);
        "scale": (ramp(MINUTE).from(0) + constant(50, MINUTE)).scale(2.5);
        "poisson": constant(50, MINUTE).poisson(1);
        "running": (ramp(20 * SECOND).from(0) + constant(8, 40 * SECOND)).running();
        "closure": |start: Duration, _end| (start < MINUTE).then(|| 20 + start.as_secs() % 20);
    };
    let mut drawings = BTreeSet::new();
    for (name, code, row) in curves {
        // The last comma of several arguments is the formatter's.
        let code = without_spaces(code).replace(",)", ")");
        assert!(without_spaces(GUIDE).contains(&code), "the guide does not have {code}");
        let drawing = preview(Scenario::new().row(row)).unwrap_or_else(|error| panic!("{name}: {error}")).to_string();
        drawings.insert(drawing);
    }
    let spawned = Gauge::default().row(constant(600, 2 * MINUTE).running()).named("visit").spawn_rate(10.0);
    drawings.insert(preview(Scenario::new().row(spawned)).unwrap().to_string());
    let later = Gauge::default();
    let [browse, buy] = ["browse", "buy"].map(|name| later.row(nothing(SECOND)).named(name));
    let scenario = Scenario::new()
        .mix(constant(100, MINUTE), Mix::new().row(7, browse).row(3, buy))
        .row(later.row(constant(40, 30 * SECOND)).named("later").starting_at(30 * SECOND));
    drawings.insert(preview(scenario).unwrap().to_string());
    let told: BTreeSet<String> =
        GUIDE.split("```text\n").skip(1).map(|text| text.split("```").next().unwrap().to_owned()).collect();
    for drawing in &drawings {
        assert!(told.contains(drawing), "the guide does not have\n{drawing}");
    }
    assert_eq!(told.len(), drawings.len(), "the guide has a curve that nothing draws");
}
