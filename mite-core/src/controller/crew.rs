//! The worker threads of this process: made, told what to do, called for setup and teardown, and joined.
//!
//! They are apart from whoever plans for them: the controller of a run in one process, or, in a cluster, the runner that they
//! belong to.

use std::any::Any;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::rows::{Row, RowPlan};
use crate::hooks::{Hook, HookKind, HookReport};
use crate::report::Stopped;
use crate::run::error::RunError;
use crate::runner::env::RunFacts;
use crate::runner::protocol::{Command, Event, WorkerResult};
use crate::runner::state::{WorkerPlan, WorkerRowPlan};
use crate::runner::strand::{Lost, Strand, StrandKind};
use crate::runner::watch::{Calling, Watch};
use crate::runner::worker;
use crate::schedule::Stripe;
use crate::sink::queue::SinkQueue;
use crate::snapshot::Snapshot;
use crate::{clock, panics};

/// How long after it should have ended a worker is taken to be blocked.
pub(crate) const BLOCKED_AFTER: Duration = Duration::from_secs(3);

pub(crate) struct Worker {
    pub(crate) number: u32,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    strand: Strand<Option<WorkerResult>>,
    pub(crate) finished: bool,
}

/// Answers who asks for the run's figures while nothing is under way.
pub(crate) type Answer<'a> = &'a dyn Fn() -> Snapshot;

/// The workers of this process, and what was seen of them.
pub(crate) struct Crew {
    pub(crate) facts: Arc<RunFacts>,
    pub(crate) workers: Vec<Worker>,
    received: mpsc::UnboundedReceiver<Event>,
    /// How the run was told to end before its time.
    pub(crate) stopped: Option<Stopped>,
    /// Whether the workers have been told to go.
    pub(crate) driving: bool,
    pub(crate) hooks: Vec<HookReport>,
    pub(crate) watch: Watch,
    calling: Vec<Arc<Calling>>,
}

/// How a process makes its workers.
#[derive(Debug, Clone)]
pub(crate) struct Making {
    pub(crate) strands: StrandKind,
    pub(crate) span: Span,
    pub(crate) max_running: Option<u64>,
    pub(crate) queues: Vec<SinkQueue>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

impl Crew {
    /// One that has no workers yet.
    pub(crate) fn new(facts: Arc<RunFacts>, received: mpsc::UnboundedReceiver<Event>) -> Self {
        let calling: Vec<Arc<Calling>> = (0..facts.workers).map(|_| Arc::default()).collect();
        let watch = Watch::new(calling.clone());
        let workers = Vec::new();
        Self { facts, workers, received, stopped: None, driving: false, hooks: Vec::new(), watch, calling }
    }

    /// Starts the workers.
    pub(crate) fn start(&mut self, rows: &[Row], row_plans: &[RowPlan], making: &Making) -> Result<(), RunError> {
        let Making { strands, span, max_running, queues, events } = making;
        let stripes = Stripe::by_weights(&vec![1; self.facts.workers as usize]);
        for ((number, stripe), calling) in stripes.into_iter().enumerate().zip(&self.calling) {
            let (commands, receiver) = mpsc::unbounded_channel();
            let rows = rows.iter().zip(row_plans).map(|(row, (iterations_each, options))| WorkerRowPlan {
                spec: row.pool.for_worker(),
                schedule: row.schedule.clone(),
                iterations_each: *iterations_each,
                turns: row.turns.clone(),
                unit: row.unit,
                complete: row.complete,
                options: *options,
            });
            let plan = WorkerPlan {
                number: number as u32,
                facts: Arc::clone(&self.facts),
                rows: rows.collect(),
                max_running: *max_running,
                calling: Arc::clone(calling),
                stripe,
                queues: queues.clone(),
                commands: receiver,
                events: events.clone(),
            };
            let events = events.clone();
            let died = move |payload: Box<dyn Any + Send>| {
                let _ = events.send(Event::Died(panics::text(&*payload)));
                None
            };
            let strand = match strands {
                StrandKind::Thread => {
                    let span = tracing::info_span!(parent: span, "worker", number);
                    Strand::thread(format!("mite-worker-{number}"), span, move || {
                        catch_unwind(AssertUnwindSafe(|| worker::run(plan))).unwrap_or_else(died)
                    })
                }
                #[cfg(feature = "testing")]
                StrandKind::Task => {
                    Ok(Strand::task(async move { panics::caught_in(worker::work(plan)).await.unwrap_or_else(died) }))
                }
            };
            let strand = strand.map_err(RunError::Thread)?;
            self.workers.push(Worker { number: number as u32, commands, strand, finished: false });
        }
        Ok(())
    }

    pub(crate) fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            // A worker that has gone has told why.
            let _ = worker.commands.send(command());
        }
    }

    /// The workers that have not ended.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| !worker.finished)
    }

    /// Cancels the journeys of a run that cannot go on, hands on what workers tell meanwhile, and says whether all journeys have let
    /// go.
    pub(crate) async fn cut_off(&mut self, mut take: impl FnMut(Event)) -> bool {
        if !self.driving {
            return true;
        }
        self.tell_all(|| Command::Abort);
        let deadline = clock::now() + BLOCKED_AFTER;
        while self.workers.iter().any(|worker| !worker.finished) {
            match tokio::time::timeout_at(deadline.into(), self.event()).await {
                Err(_) | Ok(Event::Died(_)) => return false,
                Ok(Event::Finished(number)) => self.workers[number as usize].finished = true,
                Ok(event) => take(event),
            }
        }
        true
    }

    pub(crate) async fn event(&mut self) -> Event {
        // The controller keeps no sender itself, but each worker and the handle do.
        self.received.recv().await.unwrap_or(Event::Abort)
    }

    /// Hears nobody any more, once nothing is under way: who asks for figures is told that the run is over, however long the rest
    /// takes. What it gives ends when somebody does not want to wait for the rest.
    pub(crate) fn hang_up(&mut self) -> impl Future<Output = ()> + use<> {
        let (abort, aborted) = oneshot::channel();
        let mut received = std::mem::replace(&mut self.received, mpsc::unbounded_channel().1);
        tokio::spawn(async move {
            while let Some(event) = received.recv().await {
                if matches!(event, Event::Abort) {
                    // Where there is nothing to wait for, nobody does.
                    let _ = abort.send(());
                    break;
                }
            }
        });
        async {
            if aborted.await.is_err() {
                // Nobody is left who could.
                pending::<()>().await;
            }
        }
    }

    /// Waits until all workers are ready.
    pub(crate) async fn wait_ready(&mut self, answer: Answer<'_>) -> Result<(), RunError> {
        let mut waiting = self.workers.len();
        while waiting > 0 {
            match self.event().await {
                Event::Ready(outcome) => {
                    outcome.map_err(RunError::Worker)?;
                    waiting -= 1;
                }
                Event::Died(message) => return Err(RunError::Panicked { message }),
                Event::Stop => self.stopped = self.stopped.or(Some(Stopped::Gracefully)),
                Event::Abort => self.stopped = Some(Stopped::AtOnce),
                Event::SinkFailed => return Err(sink_failed()),
                Event::Snapshot(asked) => tell(asked, answer),
                Event::HookDone(..)
                | Event::Seconds(..)
                | Event::Told(..)
                | Event::Exhausted(_)
                | Event::Finished(_) => {}
            }
        }
        Ok(())
    }

    /// Calls hooks on their workers, all at once, and gives those that failed with their errors.
    ///
    /// A stop lets them finish within the graceful stop, an abort cuts them off.
    pub(crate) async fn call(
        &mut self,
        kind: HookKind,
        hooks: Vec<(u32, Hook)>,
        answer: Answer<'_>,
    ) -> Result<Vec<(u32, String)>, RunError> {
        let mut called: Vec<u32> = Vec::new();
        for (worker, hook) in hooks {
            let _ = self.workers[worker as usize].commands.send(Command::Hook(hook));
            called.push(worker);
        }
        let mut failed = Vec::new();
        // When they are cut off, and when their workers are taken to be blocked.
        let (mut cut_off_at, mut give_up) = (None, None);
        if self.stopped == Some(Stopped::AtOnce) {
            cut_off_at = clock::now().checked_add(self.facts.graceful_stop);
        }
        while let Some(first) = called.first().copied() {
            let event = match give_up.or(cut_off_at) {
                Some(wake) => tokio::time::timeout_at(wake.into(), self.event()).await,
                None => Ok(self.event().await),
            };
            match event {
                Ok(Event::HookDone(worker, took, outcome)) => {
                    called.retain(|called| *called != worker);
                    self.hooks.push(HookReport::new(kind, worker, took));
                    failed.extend(outcome.err().map(|message| (worker, message)));
                }
                Ok(Event::Died(message)) => return Err(RunError::Panicked { message }),
                Ok(Event::SinkFailed) => return Err(sink_failed()),
                Ok(Event::Stop) => {
                    self.stopped = self.stopped.or(Some(Stopped::Gracefully));
                    cut_off_at = cut_off_at.or(clock::now().checked_add(self.facts.graceful_stop));
                }
                Ok(Event::Snapshot(asked)) => tell(asked, answer),
                Ok(
                    Event::Ready(_) | Event::Seconds(..) | Event::Told(..) | Event::Exhausted(_) | Event::Finished(_),
                ) => {}
                Err(_) if give_up.is_some() => return Err(self.blocked(first)),
                Ok(Event::Abort) | Err(_) => {
                    self.stopped = Some(Stopped::AtOnce);
                    give_up = give_up.or(Some(clock::now() + BLOCKED_AFTER));
                    for worker in &called {
                        let _ = self.workers[*worker as usize].commands.send(Command::Abort);
                    }
                }
            }
        }
        failed.sort_by_key(|(worker, _)| *worker);
        Ok(failed)
    }

    /// The error that tells which worker is blocked, and by what.
    pub(crate) fn blocked(&self, worker: u32) -> RunError {
        let journey = match self.watch.calling(worker) {
            Some(0) => "setup or teardown".to_owned(),
            Some(row) => self.facts.names.journey(row).to_owned(),
            None => "a task that a journey has spawned".to_owned(),
        };
        RunError::Blocked { worker, journey }
    }

    /// Tells the workers to exit and takes their figures; a worker that does not answer is left behind.
    pub(crate) async fn join(&mut self, failed: bool) -> (Vec<WorkerResult>, Result<(), RunError>) {
        let mut results = Vec::new();
        let mut outcome = Ok(());
        for worker in &self.workers {
            if failed {
                let _ = worker.commands.send(Command::Abort);
            }
            let _ = worker.commands.send(Command::Exit);
        }
        for worker in std::mem::take(&mut self.workers) {
            // A worker whose journeys have ended is not blocked: it may have to wait for a slow disk to take its last messages,
            // however long that is.
            let wait = if worker.finished { Duration::MAX } else { BLOCKED_AFTER };
            match worker.strand.join(wait).await {
                Ok(Some(result)) => results.push(result),
                Ok(None) => {}
                Err(Lost::Blocked) => {
                    tracing::warn!(worker = worker.number, "the worker is blocked and was left behind");
                    outcome = Err(self.blocked(worker.number));
                }
                Err(Lost::Panicked(payload)) => {
                    outcome = Err(RunError::Panicked { message: panics::text(&*payload) });
                }
            }
        }
        (results, outcome)
    }
}

/// Answers who asks for figures.
fn tell(asked: oneshot::Sender<Arc<Snapshot>>, answer: Answer<'_>) {
    // Who does not wait any longer has asked in vain.
    let _ = asked.send(Arc::new(answer()));
}

/// Ends the run; the cause is told by the sink's thread when it is joined.
pub(crate) fn sink_failed() -> RunError {
    RunError::Sink { sink: "sink".to_owned(), cause: "it has stopped".into() }
}
