//! The worker threads of a run, which start journeys; what a user says of a run is in [`run`](crate::run).
//!
//! It is apart from the controller, which plans and adds up, and never calls a journey.

mod carrier;
pub(crate) mod env;
pub(crate) mod options;
pub(crate) mod permit;
pub(crate) mod protocol;
mod room;
mod slots;
pub(crate) mod state;
pub(crate) mod strand;
pub(crate) mod timer;
pub(crate) mod visit;
pub(crate) mod watch;
pub(crate) mod worker;
