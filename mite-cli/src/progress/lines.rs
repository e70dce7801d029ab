//! One second of a run as a line for a log: words with `=` between name and figure, which stay the same from line to line.
//!
//! They are apart from the screen, which is for eyes: a log is searched.

use std::time::Duration;

use super::seen::{Phase, Seen};
use super::units;

/// The last second; nothing before the first.
pub(super) fn line(seen: &Seen) -> Option<String> {
    let now = seen.now.as_ref()?;
    let mut words = Words(String::new());
    let planned = seen.planned.map(|seconds| format!("/{seconds}s")).unwrap_or_default();
    words.put("time", &format!("{}s{planned}", now.seconds));
    words.put("phase", word(seen.phase()));
    for (is_closed, unit, wanted, achieved) in
        [(false, "/s", "wanted", "achieved"), (true, "", "wanted_at_once", "at_once")]
    {
        let rows = || now.rows.iter().filter(|row| row.is_closed == is_closed);
        if rows().next().is_some() {
            words.put(wanted, &format!("{}{unit}", rows().map(|row| row.wanted).sum::<u64>()));
            words.put(achieved, &format!("{}{unit}", rows().map(|row| row.actual).sum::<u64>()));
        }
    }
    words.put("started", &format!("{}/s", now.rows.iter().map(|row| row.started).sum::<u64>()));
    words.put("running", &now.running.to_string());
    words.put("failed", &now.failed.to_string());
    let time = &now.response_time;
    for (name, micros) in [("p50", time.p50), ("p95", time.p95), ("p99", time.p99), ("max", time.max)] {
        words.put(name, &if time.count == 0 { "-".to_owned() } else { units::time(micros) });
    }
    let requests: u64 = now.requests.iter().map(|of| of.in_last_second).sum();
    words.put("requests", &format!("{requests}/s"));
    words.put("received", &format!("{}/s", units::bytes(now.received)));
    let fresh: u64 = now.errors.iter().map(|of| of.in_last_second).sum();
    words.put("errors", &now.errors.iter().map(|of| of.count).sum::<u64>().to_string());
    words.put("new_errors", &format!("{fresh}/s"));
    words.put("cpu", &format!("{:.0}%", now.cpu_percent));
    words.put("start_lag_p99", &lag(now.start_lag_p99));
    Some(words.0)
}

fn lag(lag: Duration) -> String {
    units::time(lag.as_micros() as u64)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::WarmUp => "warm-up",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
        Phase::Ending => "ending",
    }
}

struct Words(String);

impl Words {
    /// A space within a figure would end its word.
    fn put(&mut self, name: &str, value: &str) {
        let gap = if self.0.is_empty() { "" } else { " " };
        self.0.extend([gap, name, "=", &value.replace(' ', "")]);
    }
}
