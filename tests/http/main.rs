//! What a journey's requests are promised: they are counted, their errors are told, their session is the visit's own, and
//! their messages have the format that other programs read.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod exchanges;
mod followed;
#[cfg(feature = "tls")]
mod https;
mod messages;
mod requests;
mod server;
mod sessions;
