//! The recorder of a test suite: it keeps what journeys create in memory, and writes no files.
//!
//! It is apart from the one that writes files, with which it shares names and messages only.

use super::{Record, check_name, record};
use crate::message::Message;
use crate::recordings::Records;
use crate::sink::{Sink, SinkError, Wants, WhenFull};

/// Keeps `data_created` messages in memory; see [`Run::record_in_memory`](crate::Run::record_in_memory).
#[derive(Debug, Default)]
pub(crate) struct MemoryRecorder {
    records: Records,
}

impl MemoryRecorder {
    pub(crate) fn records(&self) -> Records {
        self.records.clone()
    }
}

impl Sink for MemoryRecorder {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn wants(&self) -> Wants {
        super::WANTS
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let (name, record) = record(message)?;
        // The names are those that files may have, so that a suite can go from one recorder to the other.
        check_name(name)?;
        match record {
            Record::Created(data) => self.records.keep(name, data),
            Record::Purged => self.records.forget(name),
        }
        Ok(())
    }
}
