//! What runners have told of their figures, as it is read from the log of them.
//!
//! It is apart from who reads it, of which there are two: the controller that leads a run, and whoever follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::account::Reported;
use super::error::ClusterError;
use super::news::News;
use super::places::{LOOK, WRITE_WITHIN};
use super::protocol::MembersRecord;
use super::wire::{Unpacked, Unpacker};
use crate::bus::{Item, Log};
use crate::clock;
use crate::names::Names;

/// Where the figures of one runner are read.
struct Told {
    unpacker: Unpacker,
    reported: Reported,
    /// It has told its end.
    has_ended: bool,
}

/// All that runners have told.
pub(super) struct Readings {
    names: Arc<Names>,
    stats: Arc<dyn Log>,
    told: BTreeMap<u32, Told>,
    /// The last item of the log that was taken in.
    read: u64,
    /// Up to which item they are taken in before what is known is told.
    account_at: Option<u64>,
}

impl Readings {
    pub(super) fn new(names: Arc<Names>, stats: Arc<dyn Log>) -> Self {
        Self { names, stats, told: BTreeMap::new(), read: 0, account_at: None }
    }

    /// Takes in an item of the log; `elapsed` is since the start of the run.
    ///
    /// # Errors
    /// It is none that a runner of this version has written.
    pub(super) fn take(&mut self, item: &Item, elapsed: Duration) -> Result<Option<News>, ClusterError> {
        self.read = item.sequence;
        let Some(rid) = item.lane.strip_prefix("stats.").and_then(|rid| rid.parse().ok()) else { return Ok(None) };
        // Clocks are not apart by so much.
        let until = elapsed.as_secs() + 60;
        let names = &self.names;
        let told = self.told.entry(rid).or_insert_with(|| Told {
            unpacker: Unpacker::new(Arc::clone(names)),
            reported: Reported::default(),
            has_ended: false,
        });
        let read = told.unpacker.unpack(&item.payload, until);
        let read = read.map_err(|error| ClusterError::refused(format!("runner {rid}: {error}")))?;
        match &read {
            Unpacked::Part => return Ok(None),
            Unpacked::Second(second) => told.reported.add(&second.figures),
            Unpacked::End { .. } => told.has_ended = true,
        }
        Ok(Some(News::Told { rid, told: Box::new(read) }))
    }

    pub(super) fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn has_ended(&self, rid: u32) -> bool {
        self.told.get(&rid).is_some_and(|told| told.has_ended)
    }

    /// From now on it is waited until all that is in the log by now is taken in.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn await_all(&mut self) -> Result<(), ClusterError> {
        let since = clock::now();
        loop {
            match self.stats.last().await {
                Ok(last) => {
                    self.account_at = Some(last);
                    return Ok(());
                }
                Err(error) if clock::now() - since > WRITE_WITHIN || error.is_not_found() => {
                    return Err(ClusterError::new("read the runners' figures", error));
                }
                Err(error) => tracing::debug!("read again: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether all that was waited for is taken in; once.
    pub(super) fn are_all_there(&mut self) -> bool {
        self.account_at.take_if(|at| *at <= self.read).is_some()
    }

    /// What is known of these runners that have not told their ends.
    pub(super) fn unaccounted(&self, rids: &BTreeSet<u32>, lists: &[MembersRecord]) -> Vec<News> {
        let open = rids.iter().filter(|rid| !self.has_ended(**rid));
        let known = |rid: &u32| {
            let reported = self.told.get(rid).map(|told| told.reported.clone()).unwrap_or_default();
            News::Unaccounted { rid: *rid, reported, lists: lists.to_vec() }
        };
        open.map(known).collect()
    }
}
