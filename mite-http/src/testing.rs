//! What tests of journeys ask instead of the system: a server that answers by a script and keeps what it was asked.
//! It is separate from the session because it is the other end: it shares nothing with it but the types of HTTP.

mod reply;
mod stub_request;
mod stub_server;

pub use reply::Reply;
pub use stub_request::StubRequest;
pub use stub_server::{On, StubServer};
