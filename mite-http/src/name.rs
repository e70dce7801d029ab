//! What a journey calls a request whose URLs have ids in them.
//! It is separate from what else a request says because errors and reports show it in the place of a URL.

use std::sync::Arc;

/// The longest name, in bytes: names are kept for the whole run.
pub(crate) const LONGEST_NAME: usize = 200;

/// What a journey calls a request.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    /// A redirect has led to another URL than the one that the name was given to.
    pub(crate) redirected: bool,
}
