//! A chart: curves between two axes, with their names and what is told where the pointer is.
//!
//! Only lines are drawn as SVG, which is stretched to the room that there is; words and figures are text of the page beside
//! it, and keep their size on a narrow screen.

use std::fmt;

use super::axis::Axis;
use super::path::{HEIGHT, Point, WIDTH, path};
use crate::report::markup::Escaped;

/// One line of a chart.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    pub(super) points: Vec<Point>,
}

/// A part of the chart's width and what it says when pointed at.
#[derive(Debug)]
pub(super) struct Band {
    /// From 0 to 1.
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) x_name: &'static str,
    pub(super) y: Axis,
    pub(super) curves: Vec<Curve>,
    pub(super) bands: Vec<Band>,
    /// How much of the width, from the left, was warm-up.
    pub(super) warm_up: f64,
    /// What is said where no curve has a point.
    pub(super) nothing: &'static str,
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<figure class=\"chart\"><figcaption><b>{}</b>", Escaped(&self.title))?;
        if self.curves.iter().all(|curve| curve.points.iter().all(Option::is_none)) {
            return writeln!(f, "</figcaption><p class=\"none\">{}</p></figure>", self.nothing);
        }
        write!(f, " <span class=\"unit\">{}</span>", self.y.unit)?;
        if self.curves.len() > 1 {
            write!(f, "<span class=\"keys\">")?;
            for Curve { name, class, .. } in &self.curves {
                write!(f, "<span class=\"key\"><i class=\"{class}\"></i>{name}</span>")?;
            }
            write!(f, "</span>")?;
        }
        write!(f, "</figcaption>\n<div class=\"plot\"><div class=\"area\">")?;
        self.drawing(f)?;
        for tick in &self.y.ticks {
            write!(f, "<span class=\"y\" style=\"bottom:{:.2}%\">{}</span>", tick.at * 100.0, tick.label)?;
        }
        for tick in &self.x.ticks {
            write!(f, "<span class=\"x\" style=\"left:{:.2}%\">{}</span>", tick.at * 100.0, tick.label)?;
        }
        writeln!(f, "</div><div class=\"x-name\">{}</div></div></figure>", self.x_name)
    }
}

impl Chart {
    fn drawing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            Escaped(&self.title)
        )?;
        if self.warm_up > 0.0 {
            let width = self.warm_up * WIDTH;
            write!(f, "<rect class=\"warm-up\" width=\"{width:.0}\" height=\"{HEIGHT}\"/>")?;
        }
        let mut grid = String::new();
        for tick in &self.y.ticks {
            grid.push_str(&line(&[(0.0, tick.at), (1.0, tick.at)]));
        }
        for tick in &self.x.ticks {
            grid.push_str(&line(&[(tick.at, 0.0), (tick.at, 1.0)]));
        }
        write!(f, "<path class=\"grid\" d=\"{grid}\"/>")?;
        for Curve { class, points, .. } in &self.curves {
            write!(f, "<path class=\"curve {class}\" d=\"{}\"/>", path(points))?;
        }
        write!(f, "<g class=\"bands\">")?;
        for Band { from, to, text } in &self.bands {
            write!(
                f,
                "<rect x=\"{:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\"><title>{}</title></rect>",
                from * WIDTH,
                (to - from) * WIDTH,
                Escaped(text)
            )?;
        }
        write!(f, "</g></svg>")
    }
}

fn line(ends: &[(f64, f64); 2]) -> String {
    path(&ends.map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::axis;

    fn chart(points: Vec<Point>) -> Chart {
        Chart {
            title: "a < b".to_owned(),
            x: axis::seconds(2),
            x_name: "since the start",
            y: axis::counts(2, "per second"),
            curves: vec![Curve { name: "started", class: "started", points }],
            bands: vec![Band { from: 0.0, to: 0.5, text: "0 s: \"1\"".to_owned() }],
            warm_up: 0.25,
            nothing: "nothing was started",
        }
    }

    #[test]
    fn a_chart_has_axes_with_units() {
        let told = chart(vec![Some((0.0, 0.5)), Some((1.0, 1.0))]).to_string();
        for part in [
            "<b>a &lt; b</b> <span class=\"unit\">per second</span>",
            "<path class=\"curve started\" d=\"M0 150L1000 0\"/>",
            "<span class=\"y\" style=\"bottom:50.00%\">1</span>",
            "<span class=\"x\" style=\"left:100.00%\">2 s</span>",
            "<title>0 s: &quot;1&quot;</title>",
            "<rect class=\"warm-up\" width=\"250\"",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn a_chart_without_data_says_so() {
        let told = chart(vec![None, None]).to_string();
        assert!(told.contains("<p class=\"none\">nothing was started</p>") && !told.contains("<svg"), "{told}");
    }
}
