//! The attribute macros of mite.
