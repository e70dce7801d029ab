//! What hands a runner's figures on: entries become items of the run's log, in order and each once, however long that cannot be
//! reached.
//!
//! It is apart from the runner's loop, which never waits for the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::gather::Entry;
use super::wire::Packer;
use crate::bus::{BusError, Log};

/// How many entries wait before the oldest are put together: two minutes of them.
const MOST_WAITING: usize = 120;
/// How long after a failure it is tried again, at first and at the most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where a runner's items go, and by what ids.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) log: Arc<dyn Log>,
    pub(super) subject: String,
    /// The runner and its boot, which no other has.
    pub(super) producer: String,
}

impl Lane {
    /// Appends an item, and tries again until it is there or the log is not.
    ///
    /// # Errors
    /// The log takes it never: it was deleted, or the item is none that it could take.
    pub(super) async fn append(&self, number: u64, payload: Vec<u8>) -> Result<u64, BusError> {
        let id = format!("{}.{number}", self.producer);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.log.append(&self.subject, &id, payload.clone()).await {
                Ok(sequence) => return Ok(sequence),
                Err(error) if error.is_not_found() || error.is_invalid() => return Err(error),
                Err(error) => tracing::debug!("an item is tried again: {error}"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Hands entries on until there are no more.
///
/// # Errors
/// As [`Lane::append`].
pub(super) async fn report(
    mut entries: mpsc::UnboundedReceiver<Entry>,
    mut packer: Packer,
    lane: Lane,
) -> Result<(), BusError> {
    let (mut waiting, mut number) = (VecDeque::new(), 0);
    let mut open = true;
    while open || !waiting.is_empty() {
        let Some(entry) = waiting.pop_front() else {
            match entries.recv().await {
                Some(entry) => waiting.push_back(entry),
                None => open = false,
            }
            continue;
        };
        let pieces =
            packer.pack(entry).map_err(|error| BusError::invalid(format_args!("figures cannot be told: {error}")))?;
        for payload in pieces {
            number += 1;
            let mut append = std::pin::pin!(lane.append(number, payload));
            // What comes meanwhile waits, in no more room than there is.
            loop {
                tokio::select! {
                    biased;
                    appended = &mut append => {
                        appended?;
                        break;
                    }
                    entry = entries.recv(), if open => match entry {
                        Some(entry) => push(&mut waiting, entry),
                        None => open = false,
                    },
                }
            }
        }
    }
    Ok(())
}

fn push(waiting: &mut VecDeque<Entry>, entry: Entry) {
    waiting.push_back(entry);
    if waiting.len() > MOST_WAITING
        && let Some(Entry::Second(mut first)) = waiting.pop_front()
    {
        match waiting.pop_front() {
            Some(Entry::Second(second)) => {
                first.merge(second);
                waiting.push_front(Entry::Second(first));
            }
            Some(end) => {
                waiting.push_front(end);
                waiting.push_front(Entry::Second(first));
            }
            None => waiting.push_front(Entry::Second(first)),
        }
    }
}
