//! Curves as paths of SVG: of many values as many points as can be seen.
//!
//! What is thinned keeps the least and the most of each stretch, so that no peak is lost.

use std::fmt::Write;

/// The size of the room that is drawn in; the page stretches it.
pub(super) const WIDTH: f64 = 1000.0;
pub(super) const HEIGHT: f64 = 300.0;

/// A point of a curve, both from 0 to 1; `None` is a gap.
pub(super) type Point = Option<(f64, f64)>;

/// At most so many points of values that are there or not, each with its index, in order.
pub(super) fn thinned(values: &[Option<u64>], most: usize) -> Vec<Option<(usize, u64)>> {
    let numbered = |from: usize, values: &[Option<u64>]| -> Vec<Option<(usize, u64)>> {
        values.iter().enumerate().map(|(index, value)| value.map(|value| (from + index, value))).collect()
    };
    if values.len() <= most {
        return numbered(0, values);
    }
    let stretch = values.len().div_ceil((most / 2).max(1));
    let mut points = Vec::with_capacity(most);
    for (number, part) in values.chunks(stretch).enumerate() {
        let part: Vec<_> = numbered(number * stretch, part).into_iter().flatten().collect();
        let least = part.iter().min_by_key(|(_, value)| *value);
        let most = part.iter().max_by_key(|(_, value)| *value);
        match (least, most) {
            (Some(least), Some(most)) if least.1 == most.1 => points.push(Some(*least)),
            (Some(least), Some(most)) => points.extend([least.min(most), least.max(most)].map(|point| Some(*point))),
            _ => points.push(None),
        }
    }
    points
}

/// The points as the `d` of a path, from the lower left corner; what is alone is a dot.
pub(super) fn path(points: &[Point]) -> String {
    let mut path = String::new();
    let mut is_alone = false;
    let mut last = None;
    for point in points {
        let Some((x, y)) = point else {
            end(&mut path, is_alone);
            (last, is_alone) = (None, false);
            continue;
        };
        let at = ((x * WIDTH).round() as i64, ((1.0 - y) * HEIGHT).round() as i64);
        is_alone = last.is_none();
        if last == Some(at) {
            continue;
        }
        let command = if is_alone { 'M' } else { 'L' };
        // Writing to a string does not fail.
        let _ = write!(path, "{command}{} {}", at.0, at.1);
        last = Some(at);
    }
    end(&mut path, is_alone);
    path
}

/// A line of no length has round ends.
fn end(path: &mut String, is_alone: bool) {
    if is_alone {
        path.push_str("h0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_stay_as_they_are() {
        let values = [Some(3), None, Some(5)];
        assert_eq!(thinned(&values, 3), [Some((0, 3)), None, Some((2, 5))]);
        assert_eq!(thinned(&[], 3), []);
    }

    #[test]
    fn peaks_and_gaps_survive_thinning() {
        let mut values = vec![Some(10); 3600];
        values[1234] = Some(99);
        values[2345] = Some(1);
        values[3000..3100].fill(None);
        let points = thinned(&values, 600);
        assert!(points.len() <= 600, "{}", points.len());
        assert!(points.contains(&Some((1234, 99))) && points.contains(&Some((2345, 1))) && points.contains(&None));
        assert!(points.iter().flatten().is_sorted_by_key(|(index, _)| index));
    }

    #[test]
    fn a_path_has_gaps_and_dots() {
        let points = [Some((0.0, 0.0)), Some((0.5, 1.0)), None, Some((0.75, 0.5)), None, None, Some((1.0, 0.5))];
        assert_eq!(path(&points), "M0 300L500 0M750 150h0M1000 150h0");
        assert_eq!(path(&[]), "");
        // What would not be seen is not written.
        assert_eq!(path(&[Some((0.1, 0.0)), Some((0.100_01, 0.0)), Some((0.2, 0.0))]), "M100 300L200 300");
    }
}
