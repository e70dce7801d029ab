//! What a load test run is, without HTTP.
//!
//! A *journey* is an async function of a [`Context`]; a [`Scenario`] says which journeys run, on which data
//! ([`DataPool`]) and at what volume ([`volume`]); a [`Run`] carries it out and gives a [`Report`].
//!
//! Most users depend on `mite-load`, which puts this crate, HTTP and the command line together. Whoever brings another
//! protocol to mite builds on this crate alone, as `mite-http` does: see [`Context::scope`], [`Context::set_extension`] and
//! [`Context::worker_extension`].
//!
//! A journey's panic is caught, counted and told with its place. That needs unwinding: with `panic = "abort"` in a profile,
//! a panic ends the process, and what the recorder had not yet written is lost.

pub mod bus;
pub mod cluster;
pub mod json_lines;
/// For the command line.
#[doc(hidden)]
pub mod nearest;
pub mod pack;
pub mod schedule;
pub mod stats;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threshold;
pub mod volume;

mod assertions;
mod clock;
mod collector;
mod config;
mod context;
mod controller;
mod datapool;
mod error;
mod exchange;
mod extensions;
mod figures;
mod histogram;
mod hooks;
mod journey;
mod limits;
mod live_figures;
mod message;
mod mix;
mod names;
mod panics;
mod part;
mod plain;
mod pool_of;
mod preview;
mod recorded;
mod recorder;
mod recordings;
mod report;
mod request;
mod row;
mod run;
mod runner;
mod scan;
mod scenario;
mod scenario_function;
mod seconds;
mod sink;
mod snapshot;
mod usage;

pub use collector::{Collector, CollectorError};
pub use config::{Config, ConfigError};
pub use context::{Context, Rng, Scope};
pub use datapool::{
    Checkout, Csv, DataPool, FileDataPool, FileRows, FileRowsError, IterableDataPool, NoData, Numbered,
    RecyclableIterableDataPool, SingleRunDataPool,
};
pub use error::{Error, Result};
pub use exchange::{Exchange, ExchangeText, FailedExchange};
pub use histogram::Histogram;
pub use hooks::{HookKind, HookReport};
pub use journey::Journey;
pub use message::{Message, MessageError, RESERVED};
pub use mix::Mix;
pub use pool_of::PoolOf;
pub use preview::{Preview, RowPreview};
pub use recorded::{RecordedError, RecordedRows, recorded, recorded_rows};
pub use recorder::{NameError, Recorder, RecorderError};
pub use report::{
    Change, CheckReport, CompareError, ComparedFigure, ComparedRow, ComparedRun, ComparedSeries, Comparison,
    ErrorReport, Figure, Generator, HalfFigures, HalfTimes, Halves, HeldToBaseline, JourneyReport, MetricReport,
    MetricRows, MetricSeries, MetricValue, NoiseUnknown, PerSecond, Regression, Report, RequestReport, Requests,
    RowSettings, RunSettings, SecondQuantiles, SecondRow, SinkReport, StoredError, TransactionReport, Verdict, WarmUp,
};

pub use live_figures::LiveFigures;
pub use report::units;
pub use request::RequestSample;
pub use row::{Row, RowError};
pub use run::{
    ErrorProgress, Follow, Progress, RequestProgress, RowProgress, Run, RunError, RunHandle, Stopper, preview, run,
};
pub use runner::options::Overload;
pub use scenario::{IntoScenario, Scenario};
pub use scenario_function::ScenarioFunction;
pub use sink::{Sink, SinkError, Wants, WhenFull};
pub use snapshot::Snapshot;
pub use stats::MetricKind;
pub use volume::{Volume, VolumeError, VolumeModel};
