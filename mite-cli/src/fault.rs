//! Why a verb could not do what it was asked for, with the exit code that tells it.
//!
//! It is apart from the verbs, so that each kind of failure has one exit code.

use crate::{FAILED, USAGE};

/// A sentence for standard error, and its kind.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Wrong usage or configuration: nothing was started.
    Usage(String),
    /// It was asked for rightly, and went wrong.
    Failed(String),
}

impl Fault {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Failed(_) => FAILED,
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Failed(message) => message,
        }
    }
}

/// What is wrong before anything is done.
impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Usage(message)
    }
}
