//! Merging and bounds.
