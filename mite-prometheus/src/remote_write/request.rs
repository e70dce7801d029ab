//! What is written: all samples of one moment, as remote write 1.0 has them (protocol buffers within a block of snappy).
//!
//! It is apart from how it is sent, since it is pure.

use std::borrow::Cow;

use crate::family::Family;
use crate::protobuf::Message;

/// The body of a request. `time` is in milliseconds of Unix time.
///
/// Labels stand in the order of their names, as receivers ask for, and one that is empty is left out, as it is to Prometheus.
pub(crate) fn body(families: &[Family], time: i64) -> Result<Vec<u8>, snap::Error> {
    let mut request = Message::default();
    for family in families {
        family.samples(|sample| {
            let name = format!("{}{}", family.name, sample.suffix);
            let mut labels: Vec<(Cow<'_, str>, &str)> = vec![("__name__".into(), &name)];
            labels.extend(family.labels.iter().cloned().zip(sample.labels.iter().map(String::as_str)));
            labels.extend(sample.le.as_deref().map(|le| ("le".into(), le)));
            labels.retain(|(_, value)| !value.is_empty());
            labels.sort();
            request.message(1, |series| {
                for (name, value) in labels {
                    series.message(1, |label| {
                        label.text(1, &*name);
                        label.text(2, value);
                    });
                }
                series.message(2, |told| {
                    told.double(1, sample.value.as_f64());
                    told.uint(2, time.cast_unsigned());
                });
            });
        });
    }
    snap::raw::Encoder::new().compress_vec(&request.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{Kind, Series, Value};

    #[test]
    fn a_sample_is_a_series_with_its_labels_in_order() {
        let series =
            vec![Series { labels: vec!["z".to_owned(), String::new(), "a".to_owned()], value: Value::Count(1) }];
        let family = Family {
            name: "n".into(),
            help: "".into(),
            kind: Kind::Counter,
            labels: ["b", "c", "_"].map(Into::into).to_vec(),
            series,
            cut: 0,
        };
        let body = body(&[family], 5).unwrap();
        let written = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let mut expected = vec![0x0a, 42];
        // Upper case, then `_`, then lower case: by bytes.
        for (name, value) in [("_", "a"), ("__name__", "n"), ("b", "z")] {
            expected.extend([0x0a, (name.len() + value.len() + 4) as u8, 0x0a, name.len() as u8]);
            expected.extend(name.bytes());
            expected.extend([0x12, value.len() as u8]);
            expected.extend(value.bytes());
        }
        expected.extend([0x12, 11, 9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 16, 5]);
        expected[1] = (expected.len() - 2) as u8;
        assert_eq!(written, expected);
    }
}
