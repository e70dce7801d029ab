//! The command line behind mite's `main!`.
