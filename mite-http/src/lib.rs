//! HTTP for mite's journeys.
