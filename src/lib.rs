//! mite.
