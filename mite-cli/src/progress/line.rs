//! A line of a screen: texts with their colours, as wide as a terminal shows them.
//!
//! It is apart from the layout, so that what is measured, cut and coloured is so in one place.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar as _;

use crate::visible::visible;

/// What a text is, which its colour tells besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tint {
    Plain,
    /// What names a figure, and what is between them.
    Dim,
    Bold,
    Good,
    Warning,
    Bad,
    Curve,
}

impl Tint {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Dim => Style::new().dimmed(),
            Self::Bold => Style::new().bold(),
            Self::Good => colour(AnsiColor::Green),
            Self::Warning => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red),
            Self::Curve => colour(AnsiColor::Cyan),
        }
    }
}

/// Texts side by side.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    texts: Vec<(Tint, String)>,
    width: usize,
}

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// With a text at its end. A terminal would obey some characters: these are written as their numbers.
    pub(super) fn and(mut self, tint: Tint, text: impl AsRef<str>) -> Self {
        let text = visible(text.as_ref()).into_owned();
        self.width += width(&text);
        self.texts.push((tint, text));
        self
    }

    /// With another line at its end.
    pub(super) fn then(mut self, other: Self) -> Self {
        self.width += other.width;
        self.texts.extend(other.texts);
        self
    }

    /// As wide as this, at least.
    pub(super) fn padded(self, to: usize) -> Self {
        let gap = to.saturating_sub(self.width);
        self.and(Tint::Plain, " ".repeat(gap))
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// No wider than this; what is left out at the end has an ellipsis.
    pub(super) fn cut(self, to: usize) -> Self {
        if self.width <= to {
            return self;
        }
        let mut cut = Self::new();
        for (tint, text) in self.texts {
            let room = to - cut.width;
            if width(&text) > room {
                return cut.and(tint, head(&text, room));
            }
            cut = cut.and(tint, text);
        }
        cut
    }

    /// As a terminal is told it.
    pub(super) fn painted(&self, has_colour: bool) -> String {
        let mut painted = String::new();
        for (tint, text) in &self.texts {
            let style = if has_colour { tint.style() } else { Style::new() };
            // Writing to a string does not fail.
            let _ = write!(painted, "{style}{text}{style:#}");
        }
        painted.truncate(painted.trim_end_matches(' ').len());
        painted
    }
}

/// Columns that a terminal gives to a text. Of characters that join into one it may give less.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text's beginning, in so many columns.
pub(super) fn head(text: &str, room: usize) -> String {
    let text = visible(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    let mut head = String::new();
    let mut left = room.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        head.push(c);
    }
    if room > 0 { head + "…" } else { String::new() }
}

/// The text's end, in so many columns: of a long name of a journey that is what differs.
pub(super) fn tail(text: &str, room: usize) -> String {
    let text = visible(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    let mut left = room.saturating_sub(1);
    let mut begins = text.len();
    for (index, c) in text.char_indices().rev() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        begins = index;
    }
    // A mark without the letter that it belongs to would go to the ellipsis.
    let end = text[begins..].trim_start_matches(|c: char| c.width() == Some(0));
    if room > 0 { format!("…{end}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_joined_characters_are_measured_as_they_are_shown() {
        assert_eq!(["abc", "日本", "e\u{301}", ""].map(width), [3, 4, 1, 0]);
        assert_eq!(head("日本語", 6), "日本語");
        // Half of a character cannot be shown.
        assert_eq!(head("日本語", 4), "日…");
        assert_eq!(head("abc", 0), "");
        assert_eq!(tail("日本語", 5), "…本語");
        assert_eq!(tail("日本語", 4), "…語");
        assert_eq!(tail("xe\u{301}f", 2), "…f");
        assert_eq!(tail("abc", 0), "");
    }

    #[test]
    fn a_line_is_cut_where_it_ends() {
        let line = || Line::new().and(Tint::Dim, "name ").and(Tint::Bad, "12 errors").padded(20);
        assert_eq!(line().width(), 20);
        assert_eq!(line().cut(20).painted(false), "name 12 errors");
        for room in 0..20 {
            assert!(line().cut(room).width() <= room);
        }
        assert_eq!(line().cut(8).painted(false), "name 12…");
        assert_eq!(line().cut(8).painted(true), "\x1b[2mname \x1b[0m\x1b[31m12…\x1b[0m");
    }

    #[test]
    fn nothing_in_a_name_is_obeyed() {
        assert_eq!(Line::new().and(Tint::Plain, "a\x1b[2J\nb").painted(false), "a\\u{1b}[2J\\nb");
    }
}
