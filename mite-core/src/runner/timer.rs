//! A worker's timer: wakes within tens of microseconds where the system lets it, without burning a core.
//!
//! tokio's own timer ticks in whole milliseconds. On Linux a `timerfd` watched by the runtime's reactor does better; on
//! other systems tokio's timer stands in, and starts are up to 2 ms late. A virtual clock has waits of its own.

#[cfg(not(target_os = "linux"))]
use elsewhere::Timer as System;
#[cfg(target_os = "linux")]
use linux::Timer as System;

use std::io;

use crate::clock::Moment;

/// The timer of one worker.
#[derive(Debug)]
pub(crate) enum Timer {
    System(System),
    #[cfg(feature = "testing")]
    Virtual,
}

impl Timer {
    /// Must be called within the worker's runtime.
    pub(crate) fn new() -> io::Result<Self> {
        #[cfg(feature = "testing")]
        if crate::clock::is_virtual() {
            return Ok(Self::Virtual);
        }
        System::new().map(Self::System)
    }

    /// Waits until `at`; at once when that is past. Can be dropped and called again at any time.
    pub(crate) async fn sleep_until(&self, at: Moment) -> io::Result<()> {
        match self {
            Self::System(timer) => timer.sleep_until(at).await,
            #[cfg(feature = "testing")]
            Self::Virtual => {
                crate::clock::virtual_clock::sleep_until(at.nanos()).await;
                Ok(())
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::Cell;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use tokio::io::unix::AsyncFd;

    use crate::clock::Moment;

    #[derive(Debug)]
    pub(crate) struct Timer {
        fd: AsyncFd<OwnedFd>,
        /// What it was last set to: it is not set again to the same, which would cost a call of the system at each wake.
        set_to: Cell<Option<Moment>>,
    }

    impl Timer {
        /// Must be called within a runtime that has I/O.
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe; an `OwnedFd` is the same descriptor until it is dropped"
            )]
            let fd = AsyncFd::new(fd)?;
            Ok(Self { fd, set_to: Cell::new(None) })
        }

        pub(crate) async fn sleep_until(&self, at: Moment) -> io::Result<()> {
            loop {
                if at <= Moment::now() {
                    return Ok(());
                }
                if self.set_to.replace(Some(at)) != Some(at) {
                    // A moment is what the timer's own clock says.
                    let time = Duration::from_nanos(at.nanos());
                    let value = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
                    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
                    // Setting it also takes back an expiry that nobody has read.
                    rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once)?;
                }
                self.fd.readable().await?.clear_ready();
                self.set_to.set(None);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::time::Duration;

    use crate::clock::Moment;

    #[derive(Debug)]
    pub(crate) struct Timer;

    impl Timer {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn sleep_until(&self, at: Moment) -> io::Result<()> {
            tokio::time::sleep(Duration::from_nanos(at.since(Moment::now()))).await;
            Ok(())
        }
    }
}
