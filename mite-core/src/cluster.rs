//! One run over many processes: what its runners tell of their figures, and how the controller reads it.
//!
//! It is apart from workers and controller, which in one process hand each other the figures themselves.

mod gather;
mod totals;
mod wire;
