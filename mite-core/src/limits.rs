//! What the system lets one process have: open files, and the ports of its connections.
//!
//! It is apart from the run, which asks before it starts, and from errors, which ask what they came of.

use std::error::Error as StdError;
use std::io;

use serde::{Deserialize, Serialize};

/// What the process ran out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RanOut {
    /// Open files of the process or of the machine.
    Files,
    /// Local ports for connections to one address.
    Ports,
}

impl RanOut {
    /// Whether an error, or what it comes from, is that the system had no more to give.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                let inner = io.get_ref().and_then(|inner| Self::of(inner));
                if let Some(ran_out) = Self::of_io(io).or(inner) {
                    return Some(ran_out);
                }
            }
            next = error.source();
        }
        None
    }

    #[cfg(unix)]
    fn of_io(error: &io::Error) -> Option<Self> {
        match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error)? {
            rustix::io::Errno::MFILE | rustix::io::Errno::NFILE => Some(Self::Files),
            rustix::io::Errno::ADDRNOTAVAIL => Some(Self::Ports),
            _ => None,
        }
    }

    #[cfg(not(unix))]
    fn of_io(error: &io::Error) -> Option<Self> {
        (error.kind() == io::ErrorKind::AddrNotAvailable).then_some(Self::Ports)
    }

    /// In words, with what to do about it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Files => {
                "the generator ran out of open files: raise the limit with `ulimit -n`, or use another machine"
            }
            Self::Ports => {
                "the generator ran out of local ports: keep connections alive, widen net.ipv4.ip_local_port_range, or use \
                 another machine"
            }
        }
    }
}

/// Raises the soft limit on open files to the hard one, and gives it; `None` where there is no such limit.
#[cfg(unix)]
pub(crate) fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Some systems refuse more than a maximum of their own: then it stays as it is.
        Err(_) => limit.current,
    }
}

#[cfg(not(unix))]
pub(crate) fn raise_open_files() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to connect")]
    struct Outer(#[source] io::Error);

    #[test]
    fn what_ran_out_is_found_below_other_errors() {
        let outer = |code| Outer(io::Error::other(io::Error::from_raw_os_error(code)));
        assert_eq!(RanOut::of(&outer(rustix::io::Errno::MFILE.raw_os_error())), Some(RanOut::Files));
        assert_eq!(RanOut::of(&outer(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())), Some(RanOut::Ports));
        assert_eq!(RanOut::of(&outer(rustix::io::Errno::CONNREFUSED.raw_os_error())), None);
    }

    #[test]
    fn the_soft_limit_is_raised() {
        let limit = raise_open_files();
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Nofile).current, limit);
    }
}
