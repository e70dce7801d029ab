//! What few requests say: a name, fields, timeouts of their own. They stand apart from the draft, in a box that a plain
//! request does not have.

use std::time::Duration;

use crate::{fields::Fields, name::Name, redirect::Redirects};

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Name>,
    pub(crate) fields: Fields,
    /// In the place of what the session says.
    pub(crate) redirects: Option<Redirects>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) first_byte_timeout: Option<Duration>,
    /// How many bytes the response's body may have.
    pub(crate) max_body: Option<u64>,
    pub(crate) compression: Option<bool>,
    /// The server is asked before the body is sent.
    pub(crate) expect_continue: bool,
    /// The response's body is read and forgotten.
    pub(crate) discard: bool,
    /// A redirect has led to another origin: what the session says in confidence is not said there.
    pub(crate) left_origin: bool,
}
