//! Texts in HTML and XML: whatever a run has brought along is shown as it was, and is no part of the markup.
//!
//! One module escapes for both, by XML's stricter rules: names, URLs and answers of systems hold any characters.

use std::fmt::{self, Write};

/// A text between tags, or in double quotes as the value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\t' | '\n' => f.write_char(c),
            _ if c.is_control() || is_unfit(c) => write!(f, "{}", c.escape_unicode()),
            _ => f.write_char(c),
        })
    }
}

/// What XML has no place for, and what would turn the direction of the text that follows.
fn is_unfit(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_markup() {
        let cases = [
            ("Log in · shop", "Log in · shop"),
            ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("a&lt;b", "a&amp;lt;b"),
            ("]]>", "]]&gt;"),
            ("two\nlines\tand more", "two\nlines\tand more"),
            ("\u{1b}[31m\0\u{85}\u{ffff}", "\\u{1b}[31m\\u{0}\\u{85}\\u{ffff}"),
            ("abc\u{202e}cba", "abc\\u{202e}cba"),
        ];
        for (text, escaped) in cases {
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }
}
