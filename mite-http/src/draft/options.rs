//! What few requests say: a name, fields, timeouts of their own. They stand apart from the draft, in a box that a plain
//! request does not have.

use std::{sync::Arc, time::Duration};

use crate::{fields::Fields, redirect::Redirects};

/// The longest name, in bytes: names are kept for the whole run.
pub(crate) const LONGEST_NAME: usize = 200;

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

/// What a journey calls a request.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    /// A redirect has led to another URL than the one that the name was given to.
    pub(crate) redirected: bool,
}
