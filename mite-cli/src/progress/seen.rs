//! What has been seen of a run so far: its last second, and what a minute of curves needs.
//!
//! It is apart from what is drawn of it, which is a pure function of this.

use std::collections::VecDeque;

use mite_core::Progress;

/// How many seconds the curves have.
pub(super) const MINUTE: usize = 60;

/// Where a run is in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has been told: setup, and the delay before the first start.
    Starting,
    WarmUp,
    Running,
    /// Nothing more is started, and what runs may finish.
    Stopping,
    /// All journeys are done: teardown, and what is recorded comes to disk.
    Ending,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) title: String,
    /// The last second.
    pub(super) now: Option<Progress>,
    /// In seconds, as long as nothing has been cut off.
    pub(super) planned: Option<u64>,
    /// Journeys started in each second of the last minute, the latest at the end.
    pub(super) rates: VecDeque<u64>,
    /// The response times' p99 likewise, in microseconds; nothing where no journey completed.
    pub(super) p99s: VecDeque<Option<u64>>,
    /// The second of the last line.
    last_line: u64,
}

impl Seen {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            now: None,
            planned: None,
            rates: VecDeque::new(),
            p99s: VecDeque::new(),
            last_line: 0,
        }
    }

    pub(super) fn take(&mut self, progress: Progress) {
        let time = &progress.response_time;
        push(&mut self.rates, progress.rows.iter().map(|row| row.started).sum());
        push(&mut self.p99s, (time.count > 0).then_some(time.p99));
        // A run that is stopped ends its plan there; the one that it had is what people look for.
        if !is_over(&progress) || self.planned.is_none() {
            self.planned = progress.planned_seconds;
        }
        self.now = Some(progress);
    }

    /// Whether a line each so many seconds is due; it is told then.
    pub(super) fn is_due(&mut self, each: u64) -> bool {
        let seconds = self.now.as_ref().map_or(0, |now| now.seconds);
        let is_due = seconds >= self.last_line + each;
        if is_due {
            self.last_line = seconds;
        }
        is_due
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.now {
            None => Phase::Starting,
            Some(now) if is_over(now) => {
                if now.running > 0 {
                    Phase::Stopping
                } else {
                    Phase::Ending
                }
            }
            Some(now) if now.is_warm_up => Phase::WarmUp,
            Some(_) => Phase::Running,
        }
    }
}

/// Whether the plan is over, by its end or because it was cut off.
fn is_over(progress: &Progress) -> bool {
    progress.planned_seconds.is_some_and(|planned| planned <= progress.seconds)
}

fn push<T>(seconds: &mut VecDeque<T>, value: T) {
    if seconds.len() == MINUTE {
        seconds.pop_front();
    }
    seconds.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds: u64, planned: Option<u64>, running: u64) -> Progress {
        let mut progress = Progress::default();
        (progress.seconds, progress.planned_seconds, progress.running) = (seconds, planned, running);
        progress
    }

    #[test]
    fn phases_follow_from_the_plan() {
        let mut seen = Seen::new("shop");
        assert_eq!(seen.phase(), Phase::Starting);
        let mut warm = told(1, Some(60), 3);
        warm.is_warm_up = true;
        let cases = [
            (warm, Phase::WarmUp),
            (told(2, Some(60), 3), Phase::Running),
            (told(3, None, 3), Phase::Running),
            // Stopped in its fourth second.
            (told(4, Some(4), 3), Phase::Stopping),
            (told(5, Some(4), 0), Phase::Ending),
        ];
        for (progress, phase) in cases {
            seen.take(progress);
            assert_eq!(seen.phase(), phase);
        }
    }

    #[test]
    fn the_plan_that_was_cut_off_is_remembered() {
        let mut seen = Seen::new("shop");
        seen.take(told(1, Some(60), 3));
        seen.take(told(2, Some(2), 3));
        assert_eq!(seen.planned, Some(60));
        // One without an end has one once it is stopped.
        let mut seen = Seen::new("shop");
        seen.take(told(1, None, 3));
        seen.take(told(2, Some(2), 3));
        assert_eq!(seen.planned, Some(2));
    }

    #[test]
    fn a_minute_is_kept_and_a_line_is_due_each_so_often() {
        let mut seen = Seen::new("shop");
        let mut lines = Vec::new();
        for second in 1..=100 {
            seen.take(told(second, None, 0));
            // Some seconds are passed over when nobody waited.
            if second % 7 > 2 && seen.is_due(2) {
                lines.push(second);
            }
        }
        assert_eq!((seen.rates.len(), seen.p99s.len()), (MINUTE, MINUTE));
        assert_eq!(lines[..4], [3, 5, 10, 12]);
    }
}
