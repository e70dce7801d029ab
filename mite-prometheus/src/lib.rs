//! A mite run's figures for Prometheus: [`Prometheus`] is scraped, [`RemoteWrite`] writes where nobody can scrape.
//!
//! Both are sinks, for [`Run::sink`](mite_core::Run::sink). Metrics have the names and labels that Python's mite has, so that
//! dashboards go on working. They go by mite-core's public API only.
//!
//! | metric | labels |
//! |---|---|
//! | `mite_journey_error_total` | `test`, `journey`, `transaction`, `location`, `ex_type`, `message` |
//! | `mite_transaction_total` | `test`, `journey`, `transaction`, `had_error` (`True`, `False`) |
//! | `mite_http_response_total` | `test`, `journey`, `transaction`, `method`, `response_code` |
//! | `mite_http_response_time_seconds` (histogram) | `transaction` |
//! | `mite_dns_time` (histogram, seconds) | `transaction` |
//! | `mite_transaction_seconds` (histogram) | `test`, `journey`, `transaction` |
//! | `mite_journey_response_seconds`, `mite_journey_start_lag_seconds` (histograms) | `test`, `journey`, `scenario_id` |
//! | `mite_actual_count`, `mite_required_count`, `mite_running_count` | `test`, `scenario_id` |
//! | `mite_runner_count` | `test` |
//!
//! [Metrics of a user's own](mite_core::stats) follow, with their own names and labels.
//!
//! A transaction has its whole name here: `__root__ :: Log in`. What is due in a run's warm-up is in no metric but the counts of the
//! last two lines. A bucket's bound is decided within 0.1 %, as [`Histogram::at_most`](mite_core::Histogram::at_most) says.

mod buckets;
mod families;
mod family;
mod format;
mod native;
mod openmetrics;
mod own;
mod prometheus;
mod protobuf;
mod remote_write;
mod server;
mod stage;
mod text;
mod thread;

pub use buckets::{Buckets, BucketsError};
pub use prometheus::{BindError, Prometheus};
pub use remote_write::{RemoteWrite, RemoteWriteError};
