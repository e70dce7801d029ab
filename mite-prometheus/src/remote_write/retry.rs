//! What comes of a write that was answered, and how long one waits before it is tried again.
//!
//! It is apart from the sender, since it is pure.

use std::time::Duration;

use http::StatusCode;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken,
    /// It may be taken later: the receiver is not well, or has too much to do.
    Later,
    /// It will never be taken.
    Refused,
}

impl Answer {
    pub(crate) fn of(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Self::Taken,
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Self::Later,
            _ => Self::Refused,
        }
    }
}

/// The wait after so many failures in a row: a tenth of a second, twice as long each time, five seconds at the most.
pub(crate) fn wait(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.clamp(1, 7)).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_taken_later_is_tried_again() {
        let rows = [
            (200, Answer::Taken),
            (204, Answer::Taken),
            (302, Answer::Refused),
            (400, Answer::Refused),
            (404, Answer::Refused),
            (429, Answer::Later),
            (500, Answer::Later),
            (503, Answer::Later),
        ];
        for (status, answer) in rows {
            assert_eq!(Answer::of(StatusCode::from_u16(status).unwrap()), answer, "{status}");
        }
    }

    #[test]
    fn waits_double_up_to_five_seconds() {
        let millis = [1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| wait(failures).as_millis());
        assert_eq!(millis, [100, 200, 400, 3200, 5000, 5000, 5000]);
    }
}
