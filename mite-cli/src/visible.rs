//! Text of others as a terminal may be told it.
//!
//! It is apart from who prints it, so that no name and no body moves a cursor anywhere.

use std::borrow::Cow;

/// The text with spaces for tabs, and with what a terminal would obey as its number.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => told.push(' '),
            _ if c.is_control() => told.extend(c.escape_default()),
            _ => told.push(c),
        }
    }
    Cow::Owned(told)
}
