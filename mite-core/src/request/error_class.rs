//! Classes of errors, as `timeout`, read back from bytes: in a process they are texts that live as long as it does.
//!
//! They are apart from requests, since only what another process tells of them is read, and what is read must not fill the
//! memory.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer};

use crate::names::OVERFLOW;

/// A class. By this name it is no text that serde would borrow from what it reads.
pub(crate) type ErrorClass = &'static str;

/// How many classes are told apart. An extension has about ten.
const MOST: usize = 1000;
/// The longest one, in bytes.
const LONGEST: usize = 64;

/// The classes that were read in this process. They are the same for all runs: nothing of a run is in them.
static KNOWN: Mutex<Known> = Mutex::new(Known(BTreeSet::new()));

/// Classes that were read, and stay for good.
struct Known(BTreeSet<ErrorClass>);

impl Known {
    /// The class of this text; those that are too many or too long are all one.
    fn class(&mut self, text: &str) -> ErrorClass {
        if let Some(known) = self.0.get(text) {
            return known;
        }
        if self.0.len() >= MOST || text.len() > LONGEST {
            return OVERFLOW;
        }
        let class = Box::leak(Box::from(text));
        self.0.insert(class);
        class
    }
}

/// For `#[serde(deserialize_with = …)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ErrorClass>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(text.map(|text| known.class(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_same_text_once_and_never_too_many() {
        let mut known = Known(BTreeSet::new());
        let timeout = known.class("timeout");
        assert!(std::ptr::eq(timeout, known.class(&format!("time{}", "out"))));
        assert_eq!(known.class(&"x".repeat(LONGEST + 1)), OVERFLOW);
        let classes: BTreeSet<_> = (0..2 * MOST).map(|index| known.class(&format!("class {index}"))).collect();
        assert_eq!((classes.len(), known.0.len()), (MOST, MOST), "one less, and the one of what is too much");
        assert_eq!(known.class("timeout"), "timeout");
    }
}
