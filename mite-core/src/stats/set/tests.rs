//! Each mistake that can be made about metrics, and what is said of it.

use super::*;
use crate::stats::{Accumulator, Counter, Gauge, Histogram, every_message, matcher_by_type};

fn orders() -> crate::stats::Matcher {
    matcher_by_type(["order"])
}

fn refused(sets: impl IntoIterator<Item = Stats>, chosen: &Chosen) -> String {
    Metrics::of(sets.into_iter().collect(), chosen).unwrap_err().to_string()
}

#[test]
fn what_makes_no_sense_is_told_with_its_mend() {
    let set = || Stats::new("shop");
    let counter = |name: &str| Counter::new(name, orders());
    let cases = [
        (
            set().with(counter("cart items")),
            "a metric cannot be named \"cart items\": a name is of letters from `a` to `z`, digits, `_` and `:`, and begins \
             with no digit",
        ),
        (
            set().with(counter("mite_transaction_total")),
            "a metric cannot be named \"mite_transaction_total\": mite has one of that name itself",
        ),
        (
            set().with(counter("x").labels(["le"])),
            "the metric \"x\" cannot have a label named \"le\": that is what the bounds of a histogram's buckets go by",
        ),
        (
            set().with(counter("x").labels(["shop", "__name__"])),
            "the metric \"x\" cannot have a label named \"__name__\": names that begin with `__` are Prometheus' own",
        ),
        (
            set().with(counter("x").labels(["shop", "shop"])),
            "the metric \"x\" cannot have a label named \"shop\": there is one of that name",
        ),
        (
            set().with(Counter::new("x", matcher_by_type(Vec::<String>::new()))),
            "the metric \"x\" is of no messages: name their types, as in `matcher_by_type([\"txn\"])`",
        ),
        (
            set().with(Accumulator::new("x", every_message())),
            "the metric \"x\" has no value: say which field it is by `.value(\"…\")`, or give it by `.each(…)`",
        ),
        (
            set().with(Gauge::new("x", orders()).value("a").each(|_| [(["b"], 1.0)])),
            "the metric \"x\" has two values: leave out one of `.value(…)` and `.each(…)`",
        ),
        (
            set().with(Histogram::new("x", orders()).value("a").buckets([1.0, 1.0])),
            "the buckets of the metric \"x\" need bounds that are finite and rise, as in `.buckets([1.0, 5.0, 10.0])`",
        ),
        (
            set().with(Histogram::new("x", orders()).value("a").buckets([])),
            "the buckets of the metric \"x\" need bounds that are finite and rise, as in `.buckets([1.0, 5.0, 10.0])`",
        ),
        (
            set().with(Histogram::new("x", orders()).value("a").buckets([1.0, f64::INFINITY])),
            "the buckets of the metric \"x\" need bounds that are finite and rise, as in `.buckets([1.0, 5.0, 10.0])`",
        ),
        // The first mistake of several.
        (
            set().with(counter("x").labels(["a b"]).labels(["le"])).with(counter("")),
            "the metric \"x\" cannot have a label named \"a b\": a name is of letters from `a` to `z`, digits and `_`, and \
             begins with no digit",
        ),
        (
            set().with(counter("x")).with(Gauge::new("x", orders()).value("a")),
            "two metrics are named \"x\", in the sets \"shop\" and \"shop\": one of them needs another name",
        ),
        // What a histogram's figures go by is taken, whichever comes first.
        (
            set().with(counter("x_count")).with(Histogram::new("x", orders()).value("a")),
            "two metrics are named \"x_count\", in the sets \"shop\" and \"shop\": one of them needs another name",
        ),
    ];
    for (set, told) in cases {
        assert_eq!(refused([set], &Chosen::default()), told);
    }
    let sets = || [set().with(counter("x")), Stats::new("bank").with(counter("y"))];
    assert_eq!(
        refused(sets().into_iter().chain([Stats::new("other").with(counter("y"))]), &Chosen::default()),
        "two metrics are named \"y\", in the sets \"bank\" and \"other\": one of them needs another name"
    );
    assert_eq!(
        refused(sets().into_iter().chain([set()]), &Chosen::default()),
        "two sets of metrics are named \"shop\": one of them needs another name"
    );
    let chosen = Chosen { included: Some(vec!["shops".to_owned()]), excluded: Vec::new() };
    assert_eq!(
        refused(sets(), &chosen),
        "there is no set of metrics named \"shops\" (did you mean \"shop\"?): there is \"shop\", \"bank\""
    );
    let chosen = Chosen { included: None, excluded: vec!["x".to_owned()] };
    assert_eq!(refused([], &chosen), "there is no set of metrics named \"x\": there is none");
}

#[test]
fn sets_are_included_and_excluded() {
    let names = |included: Option<&[&str]>, excluded: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let chosen = Chosen { included: included.map(owned), excluded: owned(excluded) };
        let sets = ["one", "two", "three"].map(|set| Stats::new(set).with(Counter::new(set, orders())));
        let metrics = Metrics::of(sets.into(), &chosen).unwrap();
        metrics.shapes().map(|shape| shape.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, &[]), ["one", "two", "three"]);
    assert_eq!(names(Some(&["two", "one"]), &[]), ["one", "two"]);
    assert_eq!(names(None, &["two"]), ["one", "three"]);
    assert_eq!(names(Some(&["two", "one"]), &["one"]), ["two"]);
    assert_eq!(names(Some(&[]), &[]), [""; 0]);
}

#[test]
fn types_that_are_wanted() {
    let some = Metrics::of(vec![Stats::new("a").with(Counter::new("x", orders()))], &Chosen::default()).unwrap();
    assert!(some.want("order") && !some.want("txn") && !some.want_everything());
    let all = Metrics::of(vec![Stats::new("a").with(Counter::new("x", every_message()))], &Chosen::default()).unwrap();
    assert!(all.want("order") && all.want("txn") && all.want_everything());
    let none = Metrics::default();
    assert!(!none.want("order") && !none.want_everything());
}
