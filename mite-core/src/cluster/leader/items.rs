//! Who has which items of the shared data pools: what is granted, and what becomes of that of runners that have gone.
//!
//! It is apart from the [loop](super), which says when, and from [`Pools`](crate::cluster::pools), which decides.

use super::Leader;
use crate::bus::Delivery;
use crate::cluster::error::ClusterError;
use crate::cluster::pools::{Ask, Noted};
use crate::cluster::protocol::{State, pack, unpack};
use crate::cluster::runner::LAST_STARTS;

impl Leader {
    /// Grants items of data to a runner, once that is written down.
    pub(super) async fn ask(&mut self, asked: Option<Delivery>) -> Result<(), ClusterError> {
        let Some(asked) = asked.filter(Delivery::is_request) else { return Ok(()) };
        let ask = match unpack::<Ask>("a question for data", asked.payload()) {
            Ok(ask) => ask,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(());
            }
        };
        if !self.gathered {
            // Until all are there, nobody's part is known. It is asked again.
            return Ok(());
        }
        let now = self.now();
        self.gone.remove(&ask.rid);
        let share = self.members.is_here(ask.rid).then(|| self.members.share(ask.rid));
        let (grant, is_new) = self.pools.answer(&ask, share, now);
        if is_new {
            self.note(&Noted::Answered { rid: ask.rid, ask: ask.pools, grant: grant.clone() }).await?;
        }
        // One that is lost is asked for again.
        let _ = asked.respond(pack(&grant)).await;
        Ok(())
    }

    /// Writes down who has which items.
    async fn note(&mut self, noted: &Noted) -> Result<(), ClusterError> {
        self.noted += 1;
        let id = format!("{}.{}", self.epoch.term, self.noted);
        self.append(&self.journal, "pool", &id, pack(noted)).await
    }

    /// What runners had that are gone goes to others: of those that are lost with their shares, which they have until then.
    pub(super) async fn pass_on_items(&mut self) -> Result<(), ClusterError> {
        for rid in std::mem::take(&mut self.leaving) {
            let has_share = self.epoch.state == State::Running && self.members.has_share(rid);
            if has_share && !self.members.has_ended(rid) {
                // Nobody is missed who is heard again before others have its share.
                if !self.members.is_here(rid) {
                    self.leaving.push(rid);
                }
            } else if self.gone.insert(rid) {
                self.pass_on_items_of(rid).await?;
            }
        }
        Ok(())
    }

    async fn pass_on_items_of(&mut self, rid: u32) -> Result<(), ClusterError> {
        // Nobody starts anything any more, or the last list is none of its own. It may take so long to start what was due before.
        let last_start = self.members.lists().last().map_or(0, |list| self.epoch.origin + list.at + LAST_STARTS);
        let at = if self.members.has_ended(rid) { self.now() } else { last_start.max(self.now()) };
        self.pools.lost(rid, at);
        self.note(&Noted::Lost { rid, at }).await
    }
}
