//! Label values as one string of bytes, by which a metric's tables find what belongs to them.
//!
//! It is apart from the tables: a key is built for each value, in a buffer that is used again, and only taken apart for a report.

use std::borrow::Cow;

/// The most bytes of a label's value; what is longer is cut.
const MOST_BYTES: usize = 256;
/// What a value that was cut ends with.
const CUT: &str = "…";
/// Between two labels. Neither byte is in any UTF-8 text.
const NEXT: u8 = 0xff;
/// Between a label's name and its value, where labels bring their names.
const IS: u8 = 0xfe;
/// The key of what came after too many others.
pub(super) const OVERFLOW: &[u8] = &[0xfd];

/// Builds a key.
#[derive(Debug, Default)]
pub(super) struct KeyBuffer {
    bytes: Vec<u8>,
    labels: usize,
    pub(super) cut: bool,
}

impl KeyBuffer {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.labels, self.cut) = (0, false);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The next label's value.
    pub(super) fn value(&mut self, value: &str) {
        if self.labels > 0 {
            self.bytes.push(NEXT);
        }
        self.labels += 1;
        self.text(value);
    }

    /// The next label, with its name.
    pub(super) fn named(&mut self, name: &str, value: &str) {
        if self.labels > 0 {
            self.bytes.push(NEXT);
        }
        self.labels += 1;
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(IS);
        self.text(value);
    }

    fn text(&mut self, text: &str) {
        if text.len() <= MOST_BYTES {
            return self.bytes.extend_from_slice(text.as_bytes());
        }
        let end = text.floor_char_boundary(MOST_BYTES - CUT.len());
        self.bytes.extend_from_slice(&text.as_bytes()[..end]);
        self.bytes.extend_from_slice(CUT.as_bytes());
        self.cut = true;
    }
}

/// The values of a key that was built of so many.
pub(super) fn values(key: &[u8], labels: usize) -> Vec<String> {
    // One that is empty and none at all are the same bytes.
    key.split(|byte| *byte == NEXT).take(labels).map(text).collect()
}

/// The names and values of a key that was built of named ones.
pub(super) fn named(key: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    key.split(|byte| *byte == NEXT).filter_map(|label| {
        let at = label.iter().position(|byte| *byte == IS)?;
        Some((String::from_utf8_lossy(&label[..at]), String::from_utf8_lossy(&label[at + 1..])))
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_values_are_cut_where_a_character_ends() {
        // So many bytes of a character of so many, and what is left.
        let cases =
            [("a", 256, 256), ("a", 257, 253), ("ä", 128, 128), ("ä", 129, 126), ("日", 86, 84), ("🎈", 10_000, 63)];
        for (character, count, left) in cases {
            let mut key = KeyBuffer::default();
            key.value(&character.repeat(count));
            let told = values(key.bytes(), 1).remove(0);
            assert_eq!(told, character.repeat(left) + if left < count { CUT } else { "" });
            assert_eq!(key.cut, left < count, "{count} of {character}");
            assert!(told.len() <= MOST_BYTES);
        }
    }

    #[test]
    fn no_label_and_one_that_is_empty() {
        assert_eq!(values(b"", 0), [""; 0]);
        assert_eq!(values(b"", 1), [""]);
        assert_eq!(named(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(labels in prop::collection::vec(("[a-z_]{1,5}", "\\PC{0,60}|[\"\\\\\n\0]{0,5}"), 0..5)) {
            let (mut key, mut with_names) = (KeyBuffer::default(), KeyBuffer::default());
            for (name, value) in &labels {
                key.value(value);
                with_names.named(name, value);
            }
            let only: Vec<String> = labels.iter().map(|(_, value)| value.clone()).collect();
            prop_assert_eq!(values(key.bytes(), labels.len()), only);
            let told: Vec<_> = named(with_names.bytes()).map(|(name, value)| (name.into(), value.into())).collect();
            prop_assert_eq!(told, labels);
            prop_assert!(key.bytes() != OVERFLOW && !key.cut);
        }
    }
}
