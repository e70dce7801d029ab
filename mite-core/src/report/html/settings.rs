//! What the run was told, how its hooks went, and how the generator did.
//!
//! They stand last: who reads them looks something up.

use std::fmt;
use std::time::Duration;

use super::axis::grouped;
use crate::report::markup::Escaped;
use crate::report::units::counted;
use crate::report::units::{bytes, time};
use crate::report::{Report, RunSettings};

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let generator = &report.generator;
    let mut facts = vec![
        ("workers".to_owned(), generator.workers.to_string()),
        ("CPU".to_owned(), format!("{:.0} % of a core", generator.cpu_percent)),
        ("memory at its peak".to_owned(), memory(generator.peak_rss_bytes)),
        ("start lag, p99".to_owned(), time(Duration::from_micros(generator.start_lag_p99_us))),
    ];
    facts.extend(told(&report.settings));
    if let Some(part) = &report.warm_up {
        let errors = if part.errors > 0 { format!(", {}", counted(part.errors, "error")) } else { String::new() };
        let starts = grouped(part.planned);
        let told = format!("{}, left out of the figures: {starts} starts planned{errors}", time(part.duration));
        facts.push(("warm-up".to_owned(), told));
    }
    for call in &report.hooks {
        facts.push((format!("{}, worker {}", call.hook, call.worker), time(call.duration)));
    }
    for row in &report.journeys {
        if let Some(unused) = row.unused_items {
            facts.push((row.journey.clone(), format!("{} items of its data pool were not used", grouped(unused))));
        }
    }
    writeln!(f, "<section><h2>Run and generator</h2><dl class=\"facts\">")?;
    for (name, value) in facts {
        writeln!(f, "<dt>{}</dt><dd>{}</dd>", Escaped(&name), Escaped(&value))?;
    }
    writeln!(f, "</dl></section>")
}

/// What was said of the run; what was not is as it always is.
fn told(settings: &RunSettings) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("no new starts after", settings.stop_after.map(time));
    fact("graceful stop", Some(time(settings.graceful_stop)));
    fact("delay of the first start", Some(settings.start_delay).filter(|delay| !delay.is_zero()).map(time));
    fact("running at the most", settings.max_running.map(grouped));
    fact("seed", Some(settings.seed).filter(|seed| *seed > 0).map(|seed| seed.to_string()));
    fact("config", Some(settings.config.join(", ")).filter(|keys| !keys.is_empty()));
    facts
}

fn memory(peak: u64) -> String {
    if peak == 0 { "not told by the system".to_owned() } else { bytes(peak) }
}
