//! What the controller does where runners of a cluster start the journeys: it waits for them, takes in what is told of them, and goes
//! on where another controller has left off.
//!
//! It is apart from the [loop](super), which is the same for a run in one process, and from [`Remote`], which knows how they stand.

use std::time::Duration;

use super::account::Ended;
use super::remote::Remote;
use super::rows::{Numbers, Row, RowPlan, SharedPool, most_workers};
use super::{Control, Controller, SECOND};
use crate::clock::{self, Moment};
use crate::cluster::{ClusterError, News, OfSecond, Order, PlanRecord, Unpacked, unaccounted};
use crate::hooks::Hook;
use crate::run::error::RunError;
use crate::runner::env::RunFacts;
use crate::runner::protocol::{Command, WorkerResult};
use crate::usage::Usage;
use crate::volume::{Segment, Unit};

/// What the runners of a cluster are told of the run.
pub(super) fn plan_of(control: &Control, facts: &RunFacts, rows: &[Row], row_plans: &[RowPlan]) -> PlanRecord {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    PlanRecord {
        test: facts.names.test.clone(),
        config: facts.config.values().clone(),
        rows: rows.iter().map(|row| row.name.clone()).collect(),
        seed: control.seed,
        warm_up: control.warm_up,
        graceful_stop: nanos(control.graceful_stop),
        stop_after: control.stop_after,
        max_series_bytes: control.max_series_bytes,
        max_running: facts.max_running,
        most_workers: most_workers(rows, row_plans, facts.max_running),
        ..PlanRecord::default()
    }
}

/// What is told of the runners of a cluster; without one nothing is.
pub(super) async fn news_of(remote: &mut Option<Remote>) -> News {
    match remote {
        Some(remote) => remote.news.recv().await.unwrap_or_else(|| {
            News::Failed(ClusterError::refused("what leads the runners has ended, which is a bug of mite"))
        }),
        None => std::future::pending().await,
    }
}

impl Controller {
    /// Waits until the runners are so far, where there are any.
    pub(super) async fn wait_for_runners(
        &mut self,
        is_so_far: impl Fn(&News) -> bool,
    ) -> Result<Option<News>, RunError> {
        while self.remote.is_some() && self.crew.stopped.is_none() {
            tokio::select! {
                biased;
                event = self.crew.event() => self.handle(event)?,
                news = news_of(&mut self.remote) => {
                    if is_so_far(&news) {
                        return Ok(Some(news));
                    }
                    self.take(news)?;
                }
            }
        }
        Ok(None)
    }

    /// Goes on with a run that another controller has begun, so many nanoseconds ago.
    pub(super) async fn resume(
        &mut self,
        teardown: Option<Hook>,
        since_start: u64,
        is_stopped: bool,
    ) -> Result<Ended, RunError> {
        let usage = Usage::now();
        let since = Duration::from_nanos(since_start);
        // No process is as old as a clock is.
        self.origin = clock::now().checked_sub(since).unwrap_or_else(clock::now);
        self.crew.tell_all(|| Command::Go(Moment::now()));
        self.crew.driving = true;
        // What is over was not planned: nobody asked, and starts that are told too late would all come at once.
        let second = since_start / SECOND;
        if self.rows.iter().any(Row::asks) && self.asked < second && !is_stopped {
            let first = std::mem::replace(&mut self.asked, second) + 1;
            if let Some(remote) = &mut self.remote {
                remote.warnings.push(format!(
                    "the run had no controller for a while: nothing was planned by closures from second {first} to {second}"
                ));
            }
        }
        if is_stopped {
            self.stop();
        }
        self.drive().await?;
        let duration = clock::now().saturating_duration_since(self.origin);
        let ended = Ended { duration, usage: Usage::now().since(&usage) };
        let last = teardown.map(|hook| (0, hook)).into_iter().collect();
        self.tear_down(Vec::new(), last).await?;
        Ok(ended)
    }

    /// Takes in what is told of the runners of a cluster, each of which is a worker to what adds up.
    pub(super) fn take(&mut self, news: News) -> Result<(), RunError> {
        let Some(remote) = &mut self.remote else { return Ok(()) };
        match news {
            News::Joined { rid, from } => {
                remote.joined(rid);
                self.seconds.joined(rid, from);
                // Those of this process have no journeys, and nothing to tell of any second: until a runner has a share, seconds
                // wait for it.
                for worker in &self.crew.workers {
                    self.seconds.finished(worker.number);
                }
            }
            News::Told { rid, told } => match *told {
                Unpacked::Part => {}
                Unpacked::Second(OfSecond { second, figures }) => {
                    remote.heard(rid);
                    self.seconds.count(second.index, figures.measured.requests(), figures.measured.errors());
                    self.tally.add(second.index, figures);
                    self.seconds.add(rid, vec![second]);
                }
                Unpacked::End { result, differences, warnings } => {
                    remote.ended(rid, result, differences, warnings);
                    self.seconds.finished(rid);
                }
            },
            News::Lost { rid, why } => {
                remote.lost(rid, why);
                self.seconds.finished(rid);
            }
            News::Back { rid } => remote.heard(rid),
            News::Unaccounted { rid, reported, lists } => {
                let rows: Vec<_> = self.rows.iter().map(|row| (row.unit, &row.schedule)).collect();
                remote.results.push(unaccounted(rid, &reported, &lists, &rows, self.facts.warm_up));
            }
            News::Burned { pool, rid, range } => {
                let Some(SharedPool { rows, of, .. }) = self.pools.get(pool) else { return Ok(()) };
                let row = &self.rows[rows.first().copied().unwrap_or_default()].name;
                let (first, last) = (range.start + 1, range.end);
                remote.warnings.push(match of {
                    Numbers::Items => format!(
                        "{row}: items {first} to {last} of its data pool were with runner {rid} when it was lost, and nobody else was \
                         given them: those that it had not used yet were not used"
                    ),
                    Numbers::Turns => format!(
                        "{row}: {} of its iterations were with runner {rid} when it was lost, and nobody else made them: those that it \
                         had not begun yet were not made",
                        range.end - range.start
                    ),
                });
            }
            News::NotUsed { pool, items } => {
                if let Some(SharedPool { rows, of: Numbers::Items, .. }) = self.pools.get(pool) {
                    for row in rows {
                        self.rows[*row].not_used = Some(items);
                    }
                }
            }
            News::Recording { records, warnings } => {
                self.records = Some(records);
                remote.recorder_warnings = Some(warnings);
            }
            News::Warned(warning) => remote.warnings.push(warning),
            News::Relayed { sent_messages } => {
                remote.results.push(WorkerResult { sent_messages, ..WorkerResult::default() });
            }
            News::Accounted { generator } => remote.used = generator,
            News::Failed(error) => return Err(error.into()),
            News::Ordered(order) => self.recall(&order),
            News::Asked { now: false } => self.stop(),
            News::Asked { now: true } => self.abort(),
            News::Gathered | News::Prepared | News::Resumed { .. } => {}
        }
        Ok(())
    }

    /// Takes over what the controller before has planned as it went.
    fn recall(&mut self, order: &Order) {
        let row = |row: u32| row as usize - 1;
        match *order {
            Order::Extend { row: number, running, segment } => {
                let row = &mut self.rows[row(number)];
                row.unit = if running { Unit::Running } else { Unit::Rate };
                row.schedule.push(Segment::from_parts(segment));
            }
            Order::Complete { row: number } => self.rows[row(number)].complete = true,
            Order::Exhausted { row: number } => self.rows[row(number)].exhausted = true,
            Order::Asked { second } => self.asked = second,
        }
    }

    /// Asks what is known of the runners that have not told their ends.
    pub(super) async fn account_for_runners(&mut self) -> Result<(), RunError> {
        if let Some(remote) = &self.remote {
            remote.tell(Command::Account);
        }
        while self.remote.is_some() {
            tokio::select! {
                biased;
                event = self.crew.event() => self.handle(event)?,
                news = news_of(&mut self.remote) => {
                    let is_last = matches!(news, News::Accounted { .. });
                    self.take(news)?;
                    if is_last {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
