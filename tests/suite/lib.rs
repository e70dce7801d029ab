//! Nothing: this package has tests and a benchmark alone.
