//! One run over many processes: a controller that plans and adds up, and runners that start journeys.
//!
//! The same program runs everywhere. [`Run::lead`](crate::Run::lead) makes it the controller of a run, [`join`] a runner. What they
//! say to each other goes through a [`Fabric`](crate::bus::Fabric): NATS, by the crate `mite-nats`, or within one process
//! [`bus::Local`](crate::bus::Local).
//!
//! There is no dispatch: each runner works out its own share of the plan from the plan and the list of members, and goes on by
//! itself for as long as its permit holds. A runner that cannot be sure of that starts nothing, so that no start is made twice.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use mite_core::bus::Local;
//! use mite_core::cluster::{Join, Lead, join};
//! use mite_core::volume::{SECOND, constant};
//! use mite_core::{Context, NoData, Result, Run, Scenario};
//!
//! async fn browse(_ctx: &mut Context) -> Result {
//!     Ok(())
//! }
//!
//! fn browsing() -> Scenario {
//!     Scenario::new().named("browsing").journey(browse, NoData, constant(100, SECOND))
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result {
//! let fabric = Arc::new(Local::new());
//! let lead = Lead::new(fabric.clone(), "build 7").expect(2);
//! let controller = Run::new(browsing()).max_start_lag(SECOND).lead(lead)?;
//! let mut runners = Vec::new();
//! for name in ["one", "two"] {
//!     let me = Join { name: name.to_owned(), binary: "build 7".to_owned(), workers: 1 };
//!     let joined = join(fabric.clone(), me).await?;
//!     runners.push(joined.start(Run::new(browsing()))?);
//! }
//! let report = controller.await?;
//! assert_eq!(report.journeys[0].completed, 100);
//! for runner in runners {
//!     assert_eq!(runner.await?.started, 50);
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod attendance;
mod clock;
mod clock_reading;
mod error;
mod follow;
mod follower;
mod gather;
mod join;
mod joined;
mod keeper;
mod lead;
mod leader;
mod leasing;
mod members;
mod news;
mod places;
mod pools;
mod protocol;
mod readings;
mod recall;
mod record;
mod recording;
pub(crate) mod records;
mod reporter;
mod runner;
mod status;
mod takeover;
mod totals;
mod wire;

pub(crate) use account::unaccounted;
pub use error::ClusterError;
pub use follow::{Follow, Following, follow};
pub(crate) use gather::OfSecond;
pub use join::{Join, join};
pub use joined::Joined;
pub use lead::{Lead, OnRunnerLoss};
pub(crate) use news::{Begun, News, Part, Usage};
pub use pools::LostItems;
pub(crate) use pools::PoolKind;
pub(crate) use protocol::{Order, PlanRecord};
pub use record::{Recorded, record};
pub use runner::TookPart;
pub use status::{RunnerStatus, Status, status, stop};
pub(crate) use wire::Unpacked;
