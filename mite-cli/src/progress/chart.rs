//! Bars and curves made of characters.
//!
//! They are apart from the layout, which decides where they stand and how wide they are.

/// From empty to full, in eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Columns of these heights, from nothing to `top`, in so many rows, the upper ones first. What is there at all is seen; where
/// there is nothing, nothing is.
pub(super) fn columns(values: &[Option<u64>], top: u64, rows: usize) -> Vec<String> {
    let full = rows * 8;
    let eighths = |value: u64| {
        let part = value as f64 / top.max(1) as f64 * full as f64;
        (part.round() as usize).clamp(1, full)
    };
    let cell =
        |value: &Option<u64>, below| value.map_or(' ', |value| EIGHTHS[eighths(value).saturating_sub(below).min(8)]);
    let row = |row: usize| values.iter().map(|value| cell(value, row * 8)).collect();
    (0..rows).rev().map(row).collect()
}

/// A bar of which a part is done: that, and the rest.
pub(super) fn bar(part: f64, width: usize) -> (String, String) {
    let done = (part.clamp(0.0, 1.0) * (width * 2) as f64).floor() as usize;
    let half = if done % 2 == 1 { "╸" } else { "" };
    ("━".repeat(done / 2) + half, "─".repeat(width - done.div_ceil(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_high_as_their_values() {
        let values = [Some(0), None, Some(1), Some(50), Some(100), Some(200)];
        assert_eq!(columns(&values, 100, 1), ["▁ ▁▄██"]);
        assert_eq!(columns(&values, 100, 2), ["    ██", "▁ ▁███"]);
        assert_eq!(columns(&values, 0, 1), ["▁ ████"]);
        assert_eq!(columns(&[], 0, 1), [""]);
    }

    #[test]
    fn a_bar_has_halves() {
        let drawn = |part, width| {
            let (done, rest) = bar(part, width);
            done + &rest
        };
        assert_eq!([0.0, 0.125, 0.5, 1.0, 7.0].map(|part| drawn(part, 4)), ["────", "╸───", "━━──", "━━━━", "━━━━"]);
        assert_eq!(drawn(0.5, 0), "");
    }
}
