//! A figure beside the bar that it is held to.

use std::fmt;

/// At most so much of a figure is wanted; it says where there is more.
pub(crate) struct AtMost(pub(crate) f64, pub(crate) &'static str);

impl AtMost {
    pub(crate) fn told(&self, figure: f64) -> impl fmt::Display {
        let Self(most, unit) = self;
        let missed = if figure > *most { ": MISSED" } else { "" };
        format!("{figure:.1} {unit} (bar {most} {unit}{missed})")
    }
}
