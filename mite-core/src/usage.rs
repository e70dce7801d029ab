//! What the process itself has used: CPU time and memory, as the system counts them.
//!
//! It is apart from what is counted of journeys: it speaks of the generator alone.

use std::time::Duration;

/// The process's CPU time and peak memory at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    cpu: Duration,
    peak_rss: u64,
}

impl Usage {
    /// Zeros where the system does not tell, and on a virtual clock.
    pub(crate) fn now() -> Self {
        if crate::clock::is_virtual() {
            // What the machine spent has nothing to do with virtual time, and differs from run to run.
            return Self::default();
        }
        Self { cpu: cpu_time(), peak_rss: peak_rss() }
    }

    /// What was used since `earlier`; the peak is that of the whole process.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), peak_rss: self.peak_rss }
    }

    /// CPU time in per cent of one core.
    pub(crate) fn cpu_percent(&self, over: Duration) -> f64 {
        if over.is_zero() { 0.0 } else { (self.cpu.as_secs_f64() / over.as_secs_f64() * 1000.0).round() / 10.0 }
    }

    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        self.peak_rss
    }
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}

/// `VmHWM` of Linux; other systems do not tell it without unsafe code.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_what_was_used() {
        let before = Usage::now();
        let sum = (0..5_000_000u64).fold(0u64, |sum, n| sum.wrapping_mul(31) ^ n);
        let used = Usage::now().since(&before);
        assert!(used.cpu_percent(Duration::from_nanos(1)) > 0.0, "{sum}");
        assert!(used.peak_rss_bytes() > 1 << 20);
    }
}
