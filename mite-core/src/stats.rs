//! Metrics of one's own, worked out of messages or counted by journeys, all the way to the report and to thresholds.
//!
//! They are apart from the figures that each run has, which know their names beforehand.

mod distribution;

pub use distribution::Distribution;
