//! Going on where another controller has left off: with what it has ordered and granted, and with all that runners have told.
//!
//! It is apart from the [loop](super), which then goes on as if it had led from the start, and from
//! [`takeover`](crate::cluster::takeover), which finds what there is.

use super::Leader;
use crate::bus::Reader;
use crate::cluster::error::ClusterError;
use crate::cluster::news::News;
use crate::cluster::protocol::{EpochRecord, State, unpack};
use crate::cluster::recall::{first_shares, recall_orders};
use crate::cluster::takeover::Left;
use crate::runner::permit::boot_nanos;

impl Leader {
    /// Goes on where another controller has left off: with what it has ordered, and with all that runners have told.
    pub(super) async fn take_over(
        &mut self,
        left: Left,
        figures: &mut dyn Reader,
        last: u64,
    ) -> Result<(), ClusterError> {
        let now = boot_nanos();
        self.register = left.register;
        self.members.take_over(left.lists, left.runners, now);
        (self.epoch, self.revision, self.clock) = (left.epoch, left.revision, left.clock);
        (self.gathered, self.prepared) = (true, true);
        self.write_epoch(EpochRecord { term: left.epoch.term + 1, pending: None, ..left.epoch }).await?;
        let failed = |cause| ClusterError::new("read the run's orders", cause);
        let end = self.orders.last().await.map_err(failed)?;
        let mut orders = self.orders.read("orders", 0).await.map_err(failed)?;
        recall_orders(&mut *orders, end, |order| self.tell(News::Ordered(order))).await.map_err(failed)?;
        let failed = |cause| ClusterError::new("read who has which data", cause);
        let end = self.journal.last().await.map_err(failed)?;
        let mut journal = self.journal.read("pool", 0).await.map_err(failed)?;
        let mut at = 0;
        while at < end {
            let item = journal.next().await.map_err(failed)?;
            at = item.sequence;
            self.pools.recall(&unpack("who has which data", &item.payload).map_err(failed)?);
        }
        // Others have their shares, and may not have their items yet.
        self.leaving = self.members.lost().map(|(rid, _)| rid).filter(|rid| self.pools.has_any(*rid)).collect();
        for (rid, from) in first_shares(self.members.lists()) {
            self.joined.insert(rid);
            self.tell(News::Joined { rid, from });
        }
        while self.readings.read() < last {
            let item = figures.next().await.map_err(|cause| ClusterError::new("read the runners' figures", cause))?;
            self.figures(&item)?;
        }
        // Others have their shares by now; who has not told its end is not waited for until it is heard.
        for (rid, name) in self.members.lost() {
            if !self.readings.has_ended(rid) {
                self.tell(News::Lost { rid, why: format!("{name} (runner {rid}) was not heard any more") });
            }
        }
        let (origin, state) = (self.epoch.origin, self.epoch.state);
        let since_start = self.now().saturating_sub(origin);
        self.tell(News::Resumed { since_start, is_stopped: state != State::Running });
        Ok(())
    }
}
