//! The worker threads of a run, which start journeys; what a user says of a run is in [`run`](crate::run).

pub(crate) mod env;
mod slots;
pub(crate) mod timer;
pub(crate) mod visit;
pub(crate) mod watch;
pub(crate) mod worker;
