//! What is written is read back: any labels survive both text formats, by a reader that knows only the formats' rules.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::family::{Distribution, Series, Value};
use crate::openmetrics;

/// A sample as a reader of the format has it: name, labels in their order, value.
type Read = (String, Vec<(String, String)>, f64);

fn read(text: &str) -> Vec<Read> {
    text.split_inclusive('\n')
        .map(|line| line.strip_suffix('\n').expect("each line ends"))
        .filter(|line| !line.starts_with('#'))
        .map(read_line)
        .collect()
}

fn read_line(line: &str) -> Read {
    let name_ends = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(name_ends);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"").unwrap();
            let (mut value, mut characters) = (String::new(), after.char_indices());
            let end = loop {
                match characters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        quoted @ ('\\' | '"') => quoted,
                        other => panic!("\\{other} is no escape"),
                    }),
                    (_, character) => value.push(character),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap();
    (name.to_owned(), labels, if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() })
}

fn family(kind: Kind, labels: Vec<String>, value: Value) -> Family {
    let names = (0..labels.len()).map(|number| Cow::Owned(format!("label_{number}"))).collect();
    let series = vec![Series { labels, value }];
    Family { name: "a_total".into(), help: "Of \"this\"\\\nand that".into(), kind, labels: names, series, cut: 0 }
}

#[test]
fn heads_are_of_their_format() {
    let labels = || vec!["x".to_owned()];
    let counter = family(Kind::Counter, labels(), Value::Count(1));
    let unlabelled = Family { name: "rows".into(), ..family(Kind::Counter, vec![], Value::Count(2)) };
    let gauge = Family { name: "of_seconds".into(), ..family(Kind::Gauge, labels(), Value::Number(0.5)) };
    let untyped = Family { name: "runner_count".into(), ..family(Kind::Untyped, vec![], Value::Count(0)) };
    let of = Distribution { classic: vec![(0.5, 1)], sum: 1.5, count: 2, ..Distribution::default() };
    let histogram = Family { name: "of_time".into(), ..family(Kind::Histogram, labels(), Value::Histogram(of)) };
    let families = [counter, unlabelled, gauge, untyped, histogram];
    assert_eq!(
        encode(&families),
        r#"# HELP a_total Of "this"\\\nand that
# TYPE a_total counter
a_total{label_0="x"} 1
# HELP rows Of "this"\\\nand that
# TYPE rows counter
rows 2
# HELP of_seconds Of "this"\\\nand that
# TYPE of_seconds gauge
of_seconds{label_0="x"} 0.5
# HELP runner_count Of "this"\\\nand that
# TYPE runner_count untyped
runner_count 0
# HELP of_time Of "this"\\\nand that
# TYPE of_time histogram
of_time_bucket{label_0="x",le="0.5"} 1
of_time_bucket{label_0="x",le="+Inf"} 2
of_time_sum{label_0="x"} 1.5
of_time_count{label_0="x"} 2
"#
    );
    assert_eq!(
        openmetrics::encode(&families),
        r#"# TYPE a counter
# HELP a Of \"this\"\\\nand that
a_total{label_0="x"} 1
# TYPE rows unknown
# HELP rows Of \"this\"\\\nand that
rows 2
# TYPE of_seconds gauge
# UNIT of_seconds seconds
# HELP of_seconds Of \"this\"\\\nand that
of_seconds{label_0="x"} 0.5
# TYPE runner_count unknown
# HELP runner_count Of \"this\"\\\nand that
runner_count 0
# TYPE of_time histogram
# HELP of_time Of \"this\"\\\nand that
of_time_bucket{label_0="x",le="0.5"} 1
of_time_bucket{label_0="x",le="+Inf"} 2
of_time_sum{label_0="x"} 1.5
of_time_count{label_0="x"} 2
# EOF
"#
    );
}

proptest! {
    #[test]
    fn any_labels_are_read_back(labels in prop::collection::vec("(?s:.|\\\\|\"|\n|,|\\}){0,20}", 0..5), count in 0u64..1 << 53) {
        let families = [family(Kind::Counter, labels.clone(), Value::Count(count))];
        let expected: Vec<_> = (0..).zip(labels).map(|(number, value): (u32, _)| (format!("label_{number}"), value)).collect();
        let expected = vec![("a_total".to_owned(), expected, count as f64)];
        prop_assert_eq!(&read(&encode(&families)), &expected);
        prop_assert_eq!(&read(&openmetrics::encode(&families)), &expected);
    }

    #[test]
    fn any_number_is_read_back(number in any::<f64>().prop_filter("it is not equal to itself", |number| !number.is_nan())) {
        let families = [family(Kind::Gauge, vec![], Value::Number(number))];
        prop_assert_eq!(read(&encode(&families))[0].2.to_bits(), number.to_bits());
    }
}
