//! What a run itself can fail with; what journeys did wrong is in the report.
//!
//! It is apart from journeys' own errors, which the report counts.

use std::io;
use std::path::PathBuf;

use crate::cluster::ClusterError;
use crate::report::CompareError;
use crate::row::RowError;
use crate::sink::SinkError;
use crate::stats::StatsError;
use crate::volume::VolumeError;

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario has no rows.
    #[error("the scenario has no rows: add a journey with `.journey(…)`")]
    Empty,
    /// A row makes no sense.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The cluster that the run is on cannot be used, or has refused something.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A runner has another scenario by the same name than its controller.
    #[error(
        "the scenario has other rows here than at the controller ({here} and not {there}): what it is made of, such as files and the \
         environment, has to be the same on all machines"
    )]
    OtherScenario {
        /// The journeys of its rows here.
        here: String,
        /// Those at the controller.
        there: String,
    },
    /// The plan is not that of the run that it is to be compared with.
    #[error(transparent)]
    Plan(#[from] CompareError),
    /// `workers` is out of range.
    #[error("a run has from 1 to 1024 workers, not {workers}")]
    Workers {
        /// What was asked for.
        workers: usize,
    },
    /// `record_in_memory` and `recorder` were both asked for.
    #[error(
        "records go either to memory or to {}: leave out `record_in_memory()` or `recorder(…)`", .folder.display()
    )]
    TwoRecorders {
        /// The recorder's folder.
        folder: PathBuf,
    },
    /// There are more sinks than a run can have.
    #[error("a run has at most 63 sinks, not {sinks}")]
    Sinks {
        /// What was asked for.
        sinks: usize,
    },
    /// Its metrics make no sense.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// `max_running` leaves no room.
    #[error(
        "`max_running({max_running})` leaves no room: {closed} journeys run in the closed model, and each of {workers} workers \
         needs room for one more"
    )]
    MaxRunning {
        /// What was asked for.
        max_running: u64,
        /// How many run at once in rows of the closed model.
        closed: u64,
        /// The run's workers.
        workers: usize,
    },
    /// `stop_after` is zero, or centuries.
    #[error("`stop_after` needs a duration from a nanosecond to 500 years")]
    StopAfter,
    /// `start_delay` is over a day.
    #[error("`start_delay` is for a day at the most")]
    StartDelay,
    /// `warm_up` is over a day, or leaves nothing to be measured.
    #[error(
        "`warm_up` is for a day at the most, and must be shorter than `stop_after`, so that there is something to measure"
    )]
    WarmUp,
    /// A threshold makes no sense.
    #[error("the threshold `{threshold}` makes no sense: {why}")]
    Threshold {
        /// The threshold.
        threshold: String,
        /// Why.
        why: String,
    },
    /// `min_achieved` is no part of a whole.
    #[error("`min_achieved` is a part from 0 to 1, not {part}")]
    MinAchieved {
        /// What was asked for.
        part: f64,
    },
    /// `spawn_rate` is out of range.
    #[error(transparent)]
    SpawnRate(VolumeError),
    /// A closure gave a volume that makes no sense.
    #[error("row {row} ({journey}): its volume for second {second} makes no sense: {message}")]
    Volume {
        /// The row's number in its scenario, from 1.
        row: u32,
        /// The journey's name.
        journey: String,
        /// The second that the closure was asked about, from 0.
        second: u64,
        /// What is wrong with its answer.
        message: String,
    },
    /// A row's plan cannot be shown in a preview.
    #[error("row {row} ({journey}): {message}")]
    Preview {
        /// The row's number in its scenario, from 1.
        row: u32,
        /// The journey's name.
        journey: String,
        /// Why, and the mend.
        message: String,
    },
    /// The scenario's setup failed; no journey was started.
    #[error("setup failed: {message}")]
    Setup {
        /// The error, with its type and place.
        message: String,
    },
    /// The setup of a worker failed; no journey was started.
    #[error("setup of worker {worker} failed: {message}")]
    WorkerSetup {
        /// The worker's number, from 0.
        worker: u32,
        /// The error, with its type and place.
        message: String,
    },
    /// The teardown of a worker failed.
    #[error("teardown of worker {worker} failed: {message}")]
    WorkerTeardown {
        /// The worker's number, from 0.
        worker: u32,
        /// The error, with its type and place.
        message: String,
    },
    /// The scenario's teardown failed.
    #[error("teardown failed: {message}")]
    Teardown {
        /// The error, with its type and place.
        message: String,
    },
    /// The recorder or another sink cannot be used, or has failed.
    #[error("the {sink} failed: {cause}")]
    Sink {
        /// The sink's name.
        sink: String,
        /// What it failed with.
        cause: SinkError,
    },
    /// No thread could be started.
    #[error("failed to start a thread: {0}")]
    Thread(#[source] io::Error),
    /// A worker could not be made ready.
    #[error("failed to start a worker: {0}")]
    Worker(#[source] io::Error),
    /// A worker did not end: a journey does not let go of its thread.
    #[error(
        "worker {worker} is blocked by {journey}: it computes or waits without `.await`, so that neither other journeys nor \
         the end of the run get their turn. Move such work to `tokio::task::spawn_blocking`"
    )]
    Blocked {
        /// The worker's number, from 0.
        worker: u32,
        /// The name of the journey that does not let go.
        journey: String,
    },
    /// mite's own code has panicked.
    #[error("a thread of the run has panicked, which is a bug of mite: {message}")]
    Panicked {
        /// The panic's text.
        message: String,
    },
}
