//! The bounds of a histogram's buckets, as they are given and as they are written.
//!
//! They are apart from the families that use them, since a user gives them as text too.

use std::str::FromStr;
use std::time::Duration;

/// What Python's mite has.
const DEFAULT: [f64; 15] = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
/// More would be a series each, for each transaction.
const MOST: usize = 200;

/// The bounds of a histogram's classic buckets, in seconds, from 1 µs to an hour; that of all (`+Inf`) comes by itself.
///
/// ```
/// use mite_prometheus::Buckets;
///
/// let buckets: Buckets = "0.005, 0.05, 0.5".parse()?;
/// assert_eq!(buckets.bounds(), [0.005, 0.05, 0.5]);
/// let wrong = "0.005, fast".parse::<Buckets>().unwrap_err();
/// assert_eq!(wrong.to_string(), "bucket 2, `fast`, is no number: write seconds, from 0.000001 to 3600");
/// # Ok::<(), mite_prometheus::BucketsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    seconds: Vec<f64>,
    durations: Vec<Duration>,
}

/// Bounds that make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketsError {
    /// Not a number at all.
    #[error("bucket {place}, `{text}`, is no number: write seconds, from 0.000001 to 3600")]
    NoNumber {
        /// Which one, from 1.
        place: usize,
        /// What there is.
        text: String,
    },
    /// A bound that nothing could be told by.
    #[error(
        "bucket {place} is {seconds} s: write seconds from 0.000001 to 3600, and leave out `+Inf`, which comes by itself"
    )]
    Range {
        /// Which one, from 1.
        place: usize,
        /// The bound.
        seconds: f64,
    },
    /// A bound that is not above the one before.
    #[error("bucket {place}, {seconds} s, is not over the one before it: write them in rising order, each once")]
    Order {
        /// Which one, from 1.
        place: usize,
        /// The bound.
        seconds: f64,
    },
    /// None, or very many.
    #[error("there are {count} buckets: write from 1 to {MOST}")]
    Count {
        /// How many there are.
        count: usize,
    },
}

impl Default for Buckets {
    fn default() -> Self {
        Self { seconds: DEFAULT.to_vec(), durations: DEFAULT.map(Duration::from_secs_f64).to_vec() }
    }
}

impl Buckets {
    /// Buckets with these bounds, in seconds and in rising order.
    ///
    /// # Errors
    /// [`BucketsError`]: a bound that is not from 1 µs to an hour, or not over the one before it; none, or over 200 of them.
    pub fn new(seconds: impl IntoIterator<Item = f64>) -> Result<Self, BucketsError> {
        let seconds: Vec<f64> = seconds.into_iter().collect();
        if seconds.is_empty() || seconds.len() > MOST {
            return Err(BucketsError::Count { count: seconds.len() });
        }
        let mut durations: Vec<Duration> = Vec::new();
        for (place, seconds) in (1..).zip(seconds.iter().copied()) {
            if !(0.000_001..=3600.0).contains(&seconds) {
                return Err(BucketsError::Range { place, seconds });
            }
            let duration = Duration::from_secs_f64(seconds);
            // By whole microseconds, which is what can be told apart.
            if durations.last().is_some_and(|last| last.as_micros() >= duration.as_micros()) {
                return Err(BucketsError::Order { place, seconds });
            }
            durations.push(duration);
        }
        Ok(Self { seconds, durations })
    }

    /// The bounds, in seconds.
    pub fn bounds(&self) -> &[f64] {
        &self.seconds
    }

    pub(crate) fn durations(&self) -> &[Duration] {
        &self.durations
    }
}

/// Seconds with commas between them, as `MITE_HTTP_HISTOGRAM_BUCKETS` has them.
impl FromStr for Buckets {
    type Err = BucketsError;

    fn from_str(text: &str) -> Result<Self, BucketsError> {
        let number = |(place, text): (usize, &str)| {
            let text = text.trim();
            text.parse().map_err(|_| BucketsError::NoNumber { place, text: text.to_owned() })
        };
        Self::new((1..).zip(text.split(',')).map(number).collect::<Result<Vec<f64>, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_pythons_mite() {
        let text = "0.0001,0.001,0.01,0.05,0.1,0.2,0.4,0.8,1,2,4,8,16,32,64";
        assert_eq!(text.parse(), Ok(Buckets::default()));
        assert_eq!(Buckets::default().durations()[0], Duration::from_micros(100));
    }

    #[test]
    fn a_wrong_one_is_told_with_its_place() {
        let rows = [
            // Nothing, or nothing between two commas.
            ("", "bucket 1, ``, is no number: write seconds, from 0.000001 to 3600"),
            ("1,,2", "bucket 2, ``, is no number: write seconds, from 0.000001 to 3600"),
            ("1s", "bucket 1, `1s`, is no number: write seconds, from 0.000001 to 3600"),
            (
                "1,inf",
                "bucket 2 is inf s: write seconds from 0.000001 to 3600, and leave out `+Inf`, which comes by itself",
            ),
            (
                "NaN",
                "bucket 1 is NaN s: write seconds from 0.000001 to 3600, and leave out `+Inf`, which comes by itself",
            ),
            ("0", "bucket 1 is 0 s: write seconds from 0.000001 to 3600, and leave out `+Inf`, which comes by itself"),
            (
                "-1",
                "bucket 1 is -1 s: write seconds from 0.000001 to 3600, and leave out `+Inf`, which comes by itself",
            ),
            ("2,1", "bucket 2, 1 s, is not over the one before it: write them in rising order, each once"),
            ("1,1", "bucket 2, 1 s, is not over the one before it: write them in rising order, each once"),
            // No duration is told apart by these.
            (
                "1,1.0000001",
                "bucket 2, 1.0000001 s, is not over the one before it: write them in rising order, each once",
            ),
        ];
        for (text, told) in rows {
            assert_eq!(text.parse::<Buckets>().unwrap_err().to_string(), told, "{text}");
        }
        assert_eq!(Buckets::new([]).unwrap_err(), BucketsError::Count { count: 0 });
        assert_eq!(Buckets::new((1..=201).map(f64::from)).unwrap_err(), BucketsError::Count { count: 201 });
    }
}
