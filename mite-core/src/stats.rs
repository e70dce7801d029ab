//! Metrics of one's own, worked out of messages or counted by journeys, all the way to the report and to thresholds.
//!
//! They are apart from the figures that each run has, which know their names beforehand. A [`Counter`], [`Accumulator`],
//! [`Gauge`] or [`Histogram`] is made of messages, as in Python's `mite.stats`: of those that [match](matcher_by_type), by the
//! fields that are its labels and its value. [`Stats`] is a set of them, which a [scenario](crate::Scenario::stats) or a
//! [run](crate::Run::stats) has. Where there is no message, a journey counts by
//! [`ctx.counter("cart_items").add(3)`](crate::Context::counter).
//!
//! Each worker works them out where a message is made, without a queue in between. What is due in the
//! [warm-up](crate::Run::warm_up) is left out.
//!
//! ```
//! use mite_core::stats::{Counter, Histogram, Stats, matcher_by_type};
//! use mite_core::threshold::{count, metric, p99};
//! use mite_core::volume::at_once;
//! use mite_core::{Context, NoData, Result, Run, Scenario};
//! use serde_json::json;
//!
//! async fn buy(ctx: &mut Context) -> Result {
//!     let total = 20.0 + ctx.start_index() as f64;
//!     ctx.send("order", json!({"country": "DE", "total": total})).await
//! }
//!
//! let orders = || matcher_by_type(["order"]);
//! let stats = Stats::new("shop")
//!     .with(Counter::new("shop_orders_total", orders()).labels(["country"]))
//!     .with(Histogram::new("shop_basket_value", orders()).value("total").buckets([20.0, 25.0, 50.0]));
//! let scenario = Scenario::new().journey(buy, NoData, at_once(10)).stats(stats);
//! let report = Run::new(scenario).run_blocking()?;
//! assert_eq!(report.metric("shop_orders_total").label("country", "DE").number(), Some(10.0));
//! report.assert_all([
//!     count("shop_orders_total").at_least(10),
//!     p99(metric("shop_basket_value")).under(30.0),
//! ]);
//! # Ok::<(), mite_core::Error>(())
//! ```

mod distribution;
mod handle;
mod key;
mod kind;
mod matcher;
mod meter;
mod metric;
mod name;
mod set;
mod shape;
mod table;

pub use distribution::Distribution;
pub(crate) use distribution::added;
pub use handle::Handle;
pub use kind::{Adding, Counting, Kind, MetricKind, OfValues, Setting, Spreading};
pub use matcher::{Matcher, every_message, matcher_by_type};
pub(crate) use meter::Meter;
pub use metric::{Accumulator, Counter, Gauge, Histogram, Metric};
pub(crate) use set::{Chosen, Metrics};
pub use set::{Stats, StatsError};
pub(crate) use table::{Amount, Table, Tables, ToldTables};
