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
mod error;
mod follow;
mod follower;
mod gather;
mod join;
mod keeper;
mod lead;
mod leader;
mod leasing;
mod members;
mod pools;
mod protocol;
mod readings;
mod record;
mod recording;
pub(crate) mod records;
mod reporter;
mod runner;
mod status;
mod takeover;
mod totals;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use account::unaccounted;
pub use error::ClusterError;
pub use follow::{Follow, Following, follow};
pub(crate) use gather::OfSecond;
pub use join::{Join, Joined, join};
pub use lead::{Lead, OnRunnerLoss};
pub(crate) use leader::{News, Usage};
pub use pools::LostItems;
pub(crate) use pools::PoolKind;
pub(crate) use protocol::{Order, PlanRecord};
pub use record::{Recorded, record};
pub use runner::TookPart;
pub use status::{RunnerStatus, Status, status, stop};
pub(crate) use wire::Unpacked;

use crate::bus::{Discard, Kept};
use crate::names::Names;
use crate::runner::protocol::Command;
use crate::sink::queue::SinkQueue;

/// What this process is to a run that runners carry out.
#[derive(Debug)]
pub(crate) enum Part {
    Leads(Lead),
    Follows(Box<Following>),
}

/// What the loop of a run tells runners, what it is told of them, and the task in between.
pub(crate) type Begun = (mpsc::UnboundedSender<Command>, mpsc::UnboundedReceiver<News>, JoinHandle<()>);

impl Part {
    /// Begins it. The plan and its pools are those of the run that is led.
    pub(crate) fn begin(
        self,
        plan: PlanRecord,
        names: Arc<Names>,
        pools: Vec<PoolKind>,
        queues: &[SinkQueue],
    ) -> Begun {
        let following = match self {
            Self::Leads(lead) => return lead.begin(plan, names, pools),
            Self::Follows(following) => following,
        };
        let (commands, commanded) = mpsc::unbounded_channel();
        let (news, told) = mpsc::unbounded_channel();
        (commands, told, tokio::spawn(follower::follow(*following, names, queues.to_vec(), commanded, news)))
    }
}

/// The register that says which run is under way, and its key for that.
const DIRECTORY: &str = "mite";
const CURRENT: &str = "run";

/// How often it is looked for what was not there, and tried again what could not be done.
const LOOK: Duration = Duration::from_millis(50);
/// For how long that is done before the run is given up.
const WRITE_WITHIN: Duration = Duration::from_secs(60);

/// A number that no other process has drawn: what the system seeds the standard library's maps with.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// What the logs of a run keep, but for that of records. Figures and orders stay until the run is over, so that a controller that takes over knows all of
/// them.
fn kept() -> Kept {
    let dedupe = Duration::from_secs(600);
    Kept { dedupe, most_bytes: None, discard: Discard::New, age: None }
}
