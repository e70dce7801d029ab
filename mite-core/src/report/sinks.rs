//! What became of the messages for each receiver.
//!
//! It is apart from the sinks themselves, since a report is read again long after they are gone.

use serde::{Deserialize, Serialize};

use super::units::counted;

/// One receiver of messages: see [`Sink`](crate::Sink).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SinkReport {
    /// Its name: `recorder`, `collector`, …
    pub sink: String,
    /// The messages that it took.
    pub taken: u64,
    /// Those that were meant for it and that it did not take: it did not keep up, or had failed.
    pub dropped: u64,
    /// What it failed with.
    pub failure: Option<String>,
}

impl SinkReport {
    /// What the reader should know of it.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { sink, taken, dropped, failure } = self;
        let sent = counted(taken + dropped, "message");
        match failure {
            // It had none to take: it tells figures.
            Some(failure) if taken + dropped == 0 => Some(format!("the {sink} failed: {failure}")),
            Some(failure) => Some(format!("the {sink} failed ({failure}): {dropped} of {sent} for it were not taken")),
            None if *dropped > 0 => Some(format!("{dropped} of {sent} were dropped, since the {sink} did not keep up")),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_told_with_its_cause() {
        let told = |taken, dropped, failure: Option<&str>| {
            SinkReport { sink: "collector".to_owned(), taken, dropped, failure: failure.map(str::to_owned) }.warning()
        };
        assert_eq!(told(7, 0, None), None);
        assert_eq!(told(0, 0, Some("connection refused")).as_deref(), Some("the collector failed: connection refused"));
        assert_eq!(
            told(6, 1, None).as_deref(),
            Some("1 of 7 messages were dropped, since the collector did not keep up")
        );
        assert_eq!(
            told(0, 1, Some("no space left on device")).as_deref(),
            Some("the collector failed (no space left on device): 1 of 1 message for it were not taken")
        );
    }
}
