//! What stands around the journeys of a run: setup and teardown, once for the run and once for each worker, and how long each
//! of them took.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{micros, whole_micros};
use crate::{Context, Result};

/// A hook that is under way.
type Called<'a> = Pin<Box<dyn Future<Output = Result> + 'a>>;
/// One call of a hook.
pub(crate) type Hook = Box<dyn for<'a> FnOnce(&'a mut Context) -> Called<'a> + Send>;
/// Makes one call for each worker.
pub(crate) type WorkerHook = Box<dyn Fn() -> Hook + Send>;

/// The hooks of a scenario.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) setup: Option<Hook>,
    pub(crate) worker_setup: Option<WorkerHook>,
    pub(crate) worker_teardown: Option<WorkerHook>,
    pub(crate) teardown: Option<Hook>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// A hook that is called once.
pub(crate) fn once(hook: impl AsyncFnOnce(&mut Context) -> Result + Send + 'static) -> Hook {
    Box::new(move |ctx| Box::pin(async move { hook(ctx).await }))
}

/// A hook that is called once on each worker.
pub(crate) fn on_each_worker(hook: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static) -> WorkerHook {
    Box::new(move || {
        let hook = hook.clone();
        once(async move |ctx: &mut Context| hook(ctx).await)
    })
}

/// Which hook it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookKind {
    /// [`Scenario::setup`](crate::Scenario::setup).
    Setup,
    /// [`Scenario::worker_setup`](crate::Scenario::worker_setup).
    WorkerSetup,
    /// [`Scenario::worker_teardown`](crate::Scenario::worker_teardown).
    WorkerTeardown,
    /// [`Scenario::teardown`](crate::Scenario::teardown).
    Teardown,
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::WorkerSetup => "worker setup",
            Self::WorkerTeardown => "worker teardown",
            Self::Teardown => "teardown",
        })
    }
}

/// One call of setup or teardown; its time is in no other figure of the report but those of its own transactions.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookReport {
    /// Which one it was.
    pub hook: HookKind,
    /// The worker that called it, from 0.
    pub worker: u32,
    /// How long it took.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
}

impl HookReport {
    pub(crate) fn new(hook: HookKind, worker: u32, duration: Duration) -> Self {
        Self { hook, worker, duration: whole_micros(duration) }
    }
}
