//! Testing what a load test is made of, before there is any load: journeys by themselves, and plans on a virtual clock.
//!
//! With the feature `testing`, which belongs into `[dev-dependencies]`.
//!
//! # Journeys
//!
//! [`run_journey`] runs a journey once, without a schedule, and tells what came of it: its result, and each transaction, check,
//! error and message. A [`Harness`] has what else a journey may need: config, fixtures, a seed.
//!
//! ```
//! use mite_core::testing::run_journey;
//! use mite_core::{Context, Result};
//!
//! async fn sign_up(ctx: &mut Context, name: String) -> Result {
//!     ctx.transaction("Sign up", async |ctx| ctx.record("users", &name).await).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result {
//! let run = run_journey(sign_up, ("ann".to_owned(),)).await?;
//! run.assert_ok();
//! assert_eq!(run.recorded::<String>("users")?, ["ann"]);
//! assert_eq!(run.transaction("Sign up").map(|transaction| transaction.count), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # Plans
//!
//! [`Run::virtually`](crate::Run::virtually) carries a run out on a virtual clock, which stands while anything can be done and
//! then jumps to the next thing that is waited for: an hour takes a moment, and the same run gives the same report each time.
//!
//! - Starts are made exactly when they are due. `tokio::time`, which journeys sleep by, ticks in whole milliseconds of the
//!   run: a sleep ends with the first of them that is not before its end.
//! - What happens at the same time happens in this order: the closed model wants fewer, journeys end, starts are made,
//!   journeys are cancelled.
//! - All workers, sinks and the recorder are tasks of one thread. They compute, write and wait for disks in no virtual time,
//!   and in the same order each time.
//! - There are no sockets: the clock would not wait for the answer. Journeys that connect fail with an error that says so; run
//!   them by the machine's clock, as any run is by itself. The clock does wait for `tokio::task::spawn_blocking`, and stands
//!   meanwhile.
//! - The wall clock begins with the year 2000, and CPU time and memory are told as zero, since they differ from run to run. So
//!   does what a journey itself draws from elsewhere than [`Context::rng`](crate::Context::rng), such as the order in which
//!   `tokio::select!` looks at its branches unless it is `biased`.

mod harness;
mod journey_run;
#[doc(hidden)]
pub mod records;
mod sent;

pub use harness::{Harness, context, context_blocking, run_journey, run_journey_blocking};
pub use journey_run::JourneyRun;
pub use sent::Sent;
