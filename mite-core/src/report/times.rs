//! The figures of time that are asked for most, on the rows of a report: short for those of a row's histogram.
//!
//! They are apart from the rows, so that all rows have the same short forms.

use std::time::Duration;

use super::{JourneyReport, RequestReport, TransactionReport};

/// Gives a row short cuts to the figures of one of its histograms.
macro_rules! times {
    ($row:ty, $time:ident, $what:literal) => {
        #[doc = concat!("Short cuts to ", $what, "; zero when there were none, which an assertion should rule out first.")]
        impl $row {
            #[doc = concat!("What half of ", $what, " were not longer than, told within 0.1 %.")]
            pub fn p50(&self) -> Duration {
                self.$time.percentile(50.0)
            }

            #[doc = concat!("What 95 of 100 of ", $what, " were not longer than, told within 0.1 %.")]
            pub fn p95(&self) -> Duration {
                self.$time.percentile(95.0)
            }

            #[doc = concat!("What 99 of 100 of ", $what, " were not longer than, told within 0.1 %.")]
            pub fn p99(&self) -> Duration {
                self.$time.percentile(99.0)
            }

            #[doc = concat!("The longest of ", $what, ", exactly.")]
            pub fn max(&self) -> Duration {
                self.$time.max()
            }

            #[doc = concat!("The mean of ", $what, ", exactly.")]
            pub fn mean(&self) -> Duration {
                self.$time.mean()
            }
        }
    };
}

times!(JourneyReport, response_time, "the response times (due to ended) of the journeys that completed");
times!(TransactionReport, time, "the times of this transaction, with or without an error");
times!(RequestReport, time, "the times of these requests, from their start to the end of the body or to their failure");
