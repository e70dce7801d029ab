//! What several workers count is what one would have; what there is no room for is counted all the same, and told.

use proptest::prelude::*;

use super::*;
use crate::stats::key::KeyBuffer;
use crate::stats::{Accumulator, Chosen, Counter, Gauge, Histogram, Stats, matcher_by_type};

fn metrics() -> Metrics {
    let of = || matcher_by_type(["order"]);
    let stats = Stats::new("shop")
        .with(Counter::new("counter", of()).labels(["label"]))
        .with(Accumulator::new("accumulator", of()).labels(["label"]).value("value"))
        .with(Gauge::new("gauge", of()).labels(["label"]).value("value"))
        .with(Histogram::new("histogram", of()).labels(["label"]).value("value").buckets([10.0, 100.0]));
    Metrics::of(vec![stats], &Chosen::default()).unwrap()
}

/// What one worker sets, and when.
type Values<'a> = &'a [(f64, f64)];

fn sample(value: f64) -> Sample {
    Sample { value, time: 0.0 }
}

fn key(label: &str) -> Vec<u8> {
    let mut key = KeyBuffer::default();
    key.value(label);
    key.bytes().to_vec()
}

fn named(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut key = KeyBuffer::default();
    for (name, value) in labels {
        key.named(name, value);
    }
    key.bytes().to_vec()
}

type Told = (String, Vec<String>, Vec<(Vec<String>, Amount)>);

/// Each table with its labels and its series.
fn told(tables: &Tables) -> Vec<Told> {
    let series = |table: &Table| table.series().into_iter().map(|(labels, amount)| (labels, amount.clone())).collect();
    tables.tables().map(|table| (table.shape.name.to_string(), table.labels(), series(table))).collect()
}

fn sum(table: &Table) -> f64 {
    let number = |amount: &Amount| match amount {
        Amount::Sum(sum) => *sum,
        Amount::Last { value, .. } => *value,
        Amount::Spread(spread) => spread.sum(),
    };
    table.series.values().map(number).sum()
}

proptest! {
    /// However values are shared out, and however often what is new is told.
    #[test]
    fn workers_count_together_what_one_would(
        values in prop::collection::vec((0..4_usize, 0..5_u8, 0..1000_u32, 0..4_usize, prop::bool::weighted(0.1)), 0..300),
    ) {
        let metrics = metrics();
        let (mut alone, mut run) = (Tables::new(&metrics), Tables::new(&metrics));
        let mut workers: Vec<Tables> = (0..4).map(|_| Tables::new(&metrics)).collect();
        for (time, (metric, label, value, worker, tells)) in values.into_iter().enumerate() {
            let sample = Sample { value: value.into(), time: time as f64 };
            let label = label.to_string();
            let names = [("label", &*label), ("other", "x")];
            let names = &names[..=usize::from(value % 2 == 0)];
            for tables in [&mut alone, &mut workers[worker]] {
                tables.add_declared(metric, &key(&label), sample);
                let kinds = [
                    ("direct_counter", MetricKind::Counter),
                    ("direct_gauge", MetricKind::Gauge),
                    ("direct_histogram", MetricKind::Histogram),
                ];
                let (name, kind) = kinds[metric % 3];
                tables.add_direct(name, kind, &named(names), false, sample);
            }
            if tells {
                let told = workers[worker].tell();
                run.merge(&told);
            }
        }
        for mut worker in workers {
            run.merge(&worker.tell());
            prop_assert!(worker.tell().tables().next().is_none(), "nothing is told twice");
        }
        prop_assert_eq!(told(&run), told(&alone));
        prop_assert_eq!(run.warnings(), Vec::<String>::new());
    }
}

#[test]
fn the_last_value_is_the_latest_and_of_two_at_once_the_greater() {
    let metrics = metrics();
    let gauge = |values: Values<'_>| {
        let mut tables = Tables::new(&metrics);
        for (value, time) in values {
            tables.add_declared(2, b"", Sample { value: *value, time: *time });
        }
        tables.tell()
    };
    let cases: [(&[Values<'_>], f64); 4] = [
        (&[&[(5.0, 1.0), (3.0, 2.0)], &[(9.0, 1.5)]], 3.0),
        (&[&[(9.0, 1.5)], &[(5.0, 1.0), (3.0, 2.0)]], 3.0),
        (&[&[(5.0, 1.0)], &[(7.0, 1.0)], &[(6.0, 1.0)]], 7.0),
        // What one thread sets last counts, at the same time too.
        (&[&[(5.0, 1.0), (3.0, 1.0)]], 3.0),
    ];
    for (workers, value) in cases {
        let mut run = Tables::new(&metrics);
        for values in workers {
            run.merge(&gauge(values));
        }
        assert_eq!(("gauge", sum(&run.declared[2])), ("gauge", value), "{workers:?}");
    }
}

/// A million different label values, on a worker and in the run, by what tables weigh themselves.
#[test]
fn a_million_label_values_take_bounded_room() {
    let metrics = metrics();
    let (mut worker, mut run) = (Tables::new(&metrics), Tables::new(&metrics));
    worker.limit(4 << 20);
    run.limit(4 << 20);
    let values = 1_000_000;
    for user in 0..values {
        // As long as they may be.
        let label = format!("{user}").repeat(50);
        worker.add_declared(0, &key(&label), sample(1.0));
        worker.add_declared(3, &key(&label), sample(f64::from(user)));
        worker.add_direct("direct", MetricKind::Counter, &named(&[("user", &label)]), false, sample(1.0));
        if user % 100_000 == 99_999 {
            assert!(worker.room.bytes < 5 << 20, "{}", worker.room.bytes);
            run.merge(&worker.tell());
            assert!(run.room.bytes < 5 << 20, "{}", run.room.bytes);
        }
    }
    for table in [&run.declared[0], &run.declared[3], &run.others["direct"]] {
        let kept = table.series.len();
        assert!((100..=MOST_SERIES + 1).contains(&kept), "{kept} series of {:?}", table.shape.name);
        let overflowed: Vec<_> = table.series().into_iter().filter(|(labels, _)| labels == &["__overflow__"]).collect();
        assert_eq!(overflowed.len(), 1, "of {:?}", table.shape.name);
    }
    assert_eq!((sum(&run.declared[0]), sum(&run.others["direct"])), (f64::from(values), f64::from(values)));
    let Some(Amount::Spread(spread)) = run.declared[3].series.get(OVERFLOW) else { panic!("it has overflowed") };
    assert!(spread.count() > 900_000 && spread.heap_bytes() < 20_000, "{spread:?}");
    let told = run.warnings();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].starts_with("the metric \"counter\" had more sets of label values than there is room for"),
        "{told:?}"
    );
}

#[test]
fn so_many_series_are_told_apart_and_one_more() {
    let mut tables = Tables::default();
    for user in 0..MOST_SERIES + 5 {
        let user = user.to_string();
        tables.add_direct("x", MetricKind::Counter, &named(&[("user", &user)]), false, sample(1.0));
        tables.add_direct("x", MetricKind::Counter, &named(&[("user", &user)]), false, sample(1.0));
    }
    let table = &tables.others["x"];
    assert_eq!((table.series.len(), table.series[OVERFLOW].clone()), (MOST_SERIES + 1, Amount::Sum(10.0)));
}

#[test]
fn so_many_names_are_told_apart() {
    let mut tables = Tables::default();
    for name in 0..MOST_DIRECT + 5 {
        for kind in [MetricKind::Counter, MetricKind::Gauge] {
            tables.add_direct(&format!("{kind}_{name}"), kind, b"", false, sample(1.0));
        }
    }
    let mut run = Tables::default();
    run.merge(&tables.tell());
    assert_eq!(run.others.len(), MOST_DIRECT + 2);
    let overflowed = |kind| sum(&run.others[&*format!("__overflow__{kind}")]);
    // Of a gauge, the last one.
    assert_eq!((overflowed("counter"), overflowed("gauge")), ((MOST_DIRECT / 2 + 5) as f64, 1.0));
    assert_eq!(
        run.warnings(),
        [
            "journeys counted under more than 1000 names of metrics: those that came later are told as one of each kind, named \
          `__overflow__…`. What differs from user to user belongs into a label, or nowhere"
        ]
    );
    // The names of labels, too.
    let mut tables = Tables::default();
    for label in 0..MOST_LABELS + 5 {
        let name = format!("label_{label}");
        tables.add_direct("x", MetricKind::Counter, &named(&[(&name, "v")]), false, sample(1.0));
    }
    let table = &tables.others["x"];
    assert_eq!((table.labels().len(), table.series.len()), (MOST_LABELS, MOST_LABELS + 1));
    assert_eq!(table.series[OVERFLOW], Amount::Sum(5.0));
}

#[test]
fn labels_that_are_absent_are_empty() {
    let mut tables = Tables::default();
    let counts: [(&[(&str, &str)], f64); 3] =
        [(&[], 1.0), (&[("shop", "rome")], 2.0), (&[("country", "DE"), ("shop", "berlin")], 4.0)];
    for (labels, count) in counts {
        tables.add_direct("x", MetricKind::Counter, &named(labels), false, sample(count));
    }
    let series = |labels: [&str; 2], sum| (labels.map(str::to_owned).to_vec(), Amount::Sum(sum));
    let expected = vec![series(["", ""], 1.0), series(["", "rome"], 2.0), series(["DE", "berlin"], 4.0)];
    assert_eq!(told(&tables), [("x".to_owned(), vec!["country".to_owned(), "shop".to_owned()], expected)]);
}

#[test]
fn what_a_metric_does_not_take_is_counted_and_told() {
    let metrics = metrics();
    let mut tables = Tables::new(&metrics);
    for value in [-1.0, f64::NAN, f64::INFINITY, 2.0] {
        (0..4).for_each(|metric| tables.add_declared(metric, b"", sample(value)));
    }
    tables.declared(3).cut();
    let mut run = Tables::new(&metrics);
    run.merge(&tables.tell());
    assert_eq!(run.declared.iter().map(sum).collect::<Vec<_>>(), [2.0, 2.0, 2.0, 1.0]);
    let left_out = |metric: &str, values: u64, first: &str| {
        format!("the metric {metric:?} has left out {values} values, of which the first was {first}")
    };
    assert_eq!(
        run.warnings(),
        [
            left_out("counter", 3, "-1, which is negative"),
            left_out("accumulator", 3, "-1, which is negative"),
            left_out("gauge", 2, "NaN, which is no number"),
            "the metric \"histogram\" had label values of over 256 bytes: they are told cut, with a `…`".to_owned(),
            left_out("histogram", 2, "NaN, which is no number"),
        ]
    );
}

/// On one worker, and on two.
#[test]
fn a_name_of_two_kinds_is_told() {
    let metrics = metrics();
    let (mut one, mut other, mut run) = (Tables::new(&metrics), Tables::new(&metrics), Tables::new(&metrics));
    one.add_direct("x", MetricKind::Counter, b"", false, sample(1.0));
    other.add_direct("x", MetricKind::Gauge, b"", false, sample(7.0));
    other.add_direct("gauge", MetricKind::Gauge, b"", false, sample(7.0));
    run.merge(&one.tell());
    run.merge(&other.tell());
    assert_eq!((sum(&run.others["x"]), sum(&run.declared[2])), (1.0, 0.0));
    let expected = [
        "journeys counted under the name \"gauge\", which is that of a metric of messages: what they counted is left out. Use \
         another name",
        "journeys counted under the name \"x\" as a counter and as a gauge: one of them is left out. Give each a name of its own",
    ];
    assert_eq!(run.warnings(), expected);
    let mut alone = Tables::new(&metrics);
    alone.add_direct("x", MetricKind::Gauge, b"", false, sample(7.0));
    alone.add_direct("x", MetricKind::Counter, b"", false, sample(1.0));
    assert_eq!((sum(&alone.others["x"]), alone.warnings()), (7.0, vec![expected[1].to_owned()]));
}
