//! What the controller writes for runners to read: lists of members, the epoch that holds, orders. All of it goes by what is there
//! already, so that whoever has been replaced writes nothing any more.
//!
//! It is apart from the [loop](super) that decides what to write.

use std::sync::Arc;

use super::Leader;
use crate::bus::{BusError, Log};
use crate::clock;
use crate::cluster::error::ClusterError;
use crate::cluster::keeper::members_key;
use crate::cluster::members::Times;
use crate::cluster::news::News;
use crate::cluster::places::{LOOK, WRITE_WITHIN};
use crate::cluster::protocol::{EpochRecord, MembersRecord, Order, pack};

impl Leader {
    /// Writes a new list of members, then the epoch that names it.
    ///
    /// Nobody may go by the new list while somebody still may by the one before. So it is said first from when on there may be
    /// another one: who reads that waits from then on, and who does not read it has no permit then. Only if that was written in time
    /// the list is; otherwise a later time is said. However long a write takes, or this process stands still, no start is two
    /// runners'.
    pub(super) async fn write_list(&mut self, mut list: MembersRecord) -> Result<(), ClusterError> {
        while self.epoch.epoch > 0 {
            self.write_epoch(EpochRecord { pending: Some(list.at), ..self.epoch }).await?;
            let now = self.now().saturating_sub(self.epoch.origin);
            let Times { lease, margin, .. } = self.members.times();
            // What clocks are wrong by, on both sides.
            let apart = self.beats.values().map(|beat| beat.clock_error).max().unwrap_or_default();
            let last_permit = now + lease + 2 * apart + self.clock.error();
            if list.at >= last_permit {
                break;
            }
            list.at = last_permit + margin;
            self.members.put_off(list.at);
        }
        let epoch = self.epoch.epoch + 1;
        self.set_list(&members_key(epoch), pack(&list)).await?;
        self.write_epoch(EpochRecord { epoch, pending: None, ..self.epoch }).await?;
        for member in &list.members {
            if self.joined.insert(member.rid) {
                self.tell(News::Joined { rid: member.rid, from: list.at / 1_000_000_000 });
            }
        }
        Ok(())
    }

    pub(super) async fn write_epoch(&mut self, epoch: EpochRecord) -> Result<(), ClusterError> {
        self.revision = self.set("epoch", Some(self.revision), pack(&epoch)).await?;
        self.epoch = epoch;
        Ok(())
    }

    /// As [`Leader::set_list`], once; says whether this one still leads.
    async fn try_list(&self, key: &str, value: &[u8]) -> Result<bool, BusError> {
        let before = self.register.get(key).await?;
        if before.as_ref().is_some_and(|entry| entry.value == value) {
            return Ok(true);
        }
        // Looked at after the list: whoever takes over later writes that anew, and this one is not written over it.
        let is_leading = self.register.get("epoch").await?.is_some_and(|entry| entry.revision == self.revision);
        if is_leading {
            self.register.set_if(key, before.map(|entry| entry.revision), value.to_vec()).await?;
        }
        Ok(is_leading)
    }

    /// Sets a list that no epoch names yet. A controller before may have left another one under its number.
    async fn set_list(&self, key: &str, value: Vec<u8>) -> Result<(), ClusterError> {
        let since = clock::now();
        loop {
            match self.try_list(key, &value).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(ClusterError::taken_over()),
                Err(error) if error.is_conflict() => tracing::debug!("written again: {error}"),
                Err(error) if clock::now() - since > WRITE_WITHIN || error.is_not_found() => {
                    return Err(ClusterError::new("write who takes part", error));
                }
                Err(error) => {
                    tracing::debug!("written again: {error}");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Sets a key until it is set, or somebody else has.
    pub(super) async fn set(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, ClusterError> {
        let since = clock::now();
        loop {
            let error = match self.register.set_if(key, expected, value.clone()).await {
                Ok(revision) => return Ok(revision),
                Err(error) => error,
            };
            if error.is_conflict() {
                match self.register.get(key).await {
                    // The answer to an earlier try was lost.
                    Ok(Some(entry)) if entry.value == value => return Ok(entry.revision),
                    Ok(_) => {
                        return Err(ClusterError::taken_over());
                    }
                    Err(error) => tracing::debug!("read again: {error}"),
                }
            } else if clock::now() - since > WRITE_WITHIN || error.is_not_found() {
                return Err(ClusterError::new("write what the runners should do", error));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn order(&mut self, order: Order) -> Result<(), ClusterError> {
        self.order += 1;
        let id = format!("{}.{}", self.epoch.term, self.order);
        self.append(&self.orders, "orders", &id, pack(&order)).await
    }

    /// Appends to a log until it is there.
    pub(super) async fn append(
        &self,
        log: &Arc<dyn Log>,
        lane: &str,
        id: &str,
        payload: Vec<u8>,
    ) -> Result<(), ClusterError> {
        let since = clock::now();
        loop {
            match log.append(lane, id, payload.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if clock::now() - since > WRITE_WITHIN || error.is_not_found() || error.is_invalid() => {
                    return Err(ClusterError::new("write down what the runners should do", error));
                }
                Err(error) => tracing::debug!("told again: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
