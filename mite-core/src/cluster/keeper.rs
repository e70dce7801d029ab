//! What keeps a runner's permit: it reads what holds now from the register, several times a second, and tells what has changed.
//!
//! It is apart from the runner's loop, which may be busy or wait, while a permit has to be renewed in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::protocol::{EpochRecord, MembersRecord, State, unpack};
use crate::bus::{BusError, Register};
use crate::runner::permit::{NO_LIMIT, Permit, boot_nanos};

/// How often the register is read.
const EVERY: Duration = Duration::from_millis(200);

/// What has changed, in the order in which it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A list of members, by its epoch. Each is told, in order.
    List(u64, MembersRecord),
    /// How far the run is, and when it starts.
    Epoch(EpochRecord),
    /// The run is not there any more.
    Gone,
}

/// Renews the permit until the run is gone, or nobody listens any more.
pub(super) async fn keep(
    register: Arc<dyn Register>,
    permit: Arc<Permit>,
    lease: u64,
    changes: mpsc::UnboundedSender<Change>,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut is_cut_off) = (None, false);
    while !changes.is_closed() {
        ticks.tick().await;
        // The permit counts from before the question: what the answer says was true then or later.
        let asked = boot_nanos();
        match look(&*register, &mut last, &changes).await {
            Ok(Some(epoch)) => {
                if std::mem::take(&mut is_cut_off) {
                    tracing::info!("the cluster can be reached again");
                }
                if matches!(epoch.state, State::Running | State::Draining) {
                    permit.renew(epoch.epoch, asked + lease, epoch.pending.unwrap_or(NO_LIMIT));
                }
            }
            Ok(None) => {
                let _ = changes.send(Change::Gone);
                return;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_cut_off, true) {
                    tracing::warn!("the cluster cannot be reached, and nothing is started until it is: {error}");
                }
            }
        }
    }
}

/// Reads what holds, tells what is new of it, and gives it; `None` where the run is not there any more.
async fn look(
    register: &dyn Register,
    last: &mut Option<EpochRecord>,
    changes: &mpsc::UnboundedSender<Change>,
) -> Result<Option<EpochRecord>, BusError> {
    let entry = match register.get("epoch").await {
        Ok(Some(entry)) => entry,
        Ok(None) => return Ok(None),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let epoch: EpochRecord = unpack("the run's epoch", &entry.value)?;
    let known = last.map_or(0, |last| last.epoch);
    for number in known + 1..=epoch.epoch {
        // It was written before the epoch that names it.
        let entry = register.get(&members_key(number)).await?;
        let missing = || BusError::other(format_args!("the cluster has no list of members number {number}"));
        let list = unpack("a list of members", &entry.ok_or_else(missing)?.value)?;
        let _ = changes.send(Change::List(number, list));
        // What was told is not told again, should the next one not be read.
        *last = Some(EpochRecord { epoch: number, ..last.unwrap_or(EpochRecord { state: State::Gathering, ..epoch }) });
    }
    if last.replace(epoch) != Some(epoch) {
        let _ = changes.send(Change::Epoch(epoch));
    }
    Ok(Some(epoch))
}

/// The key of what is known of a runner.
pub(super) fn runner_key(rid: u32) -> String {
    format!("runner.{rid}")
}

/// The key of a list of members.
pub(super) fn members_key(epoch: u64) -> String {
    format!("members.{epoch}")
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{MemberRecord, VERSION, pack};
    use super::*;
    use crate::bus::{Fabric, Local};
    use crate::runner::permit::Leave;

    #[tokio::test]
    async fn each_list_is_told_before_the_permit_that_goes_by_it() {
        let register = Local::new().register("run").await.unwrap();
        let permit = Arc::new(Permit::none());
        let (sender, mut changes) = mpsc::unbounded_channel();
        let epoch = |epoch, state| EpochRecord { v: VERSION, epoch, term: 1, state, origin: 5, pending: None };
        let list = |at| MembersRecord { v: VERSION, at, members: vec![MemberRecord { rid: 1, weight: 1 }] };
        let first = register.set_if("epoch", None, pack(&epoch(0, State::Gathering))).await.unwrap();
        let keeper = tokio::spawn(keep(Arc::clone(&register), Arc::clone(&permit), 60_000_000_000, sender));
        assert_eq!(changes.recv().await, Some(Change::Epoch(epoch(0, State::Gathering))));
        assert_eq!(permit.leave(0, 0), Leave::Expired, "the run has not begun");
        for (number, at) in [(1, 0), (2, 17)] {
            register.set_if(&members_key(number), None, pack(&list(at))).await.unwrap();
        }
        register.set_if("epoch", Some(first), pack(&epoch(2, State::Running))).await.unwrap();
        assert_eq!(changes.recv().await, Some(Change::List(1, list(0))));
        assert_eq!(changes.recv().await, Some(Change::List(2, list(17))));
        assert_eq!(changes.recv().await, Some(Change::Epoch(epoch(2, State::Running))));
        register.delete("epoch").await.unwrap();
        assert_eq!(changes.recv().await, Some(Change::Gone));
        keeper.await.unwrap();
        assert_eq!([1, 2].map(|known| permit.leave(known, 0)), [Leave::Behind, Leave::Given]);
    }
}
