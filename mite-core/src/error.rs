//! What user code fails with: one opaque error that any other becomes by `?`.
//!
//! It is separate from [`RunError`](crate::RunError), which says why a run could not be carried out at all.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::panic::Location;

use serde::Serialize;

use crate::pack;

/// What journeys return; `Result` alone is `Result<(), Error>`.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error of a journey, a data pool or a scenario function.
///
/// Any `std::error::Error` becomes one by `?`. It remembers the last name of the error's type and the place of the `?`, which
/// is where the report points; of an expression over several lines that is the line where it begins. As with `anyhow`, it
/// does not implement `std::error::Error` itself.
///
/// ```
/// fn port(text: &str) -> mite_core::Result<u16> {
///     Ok(text.parse()?)
/// }
/// let error = port("eighty").unwrap_err();
/// assert_eq!(error.type_name(), "ParseIntError");
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// assert!(error.location().file().ends_with(".rs"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    type_name: Cow<'static, str>,
    location: &'static Location<'static>,
    cause: Box<dyn StdError + Send + Sync>,
    /// Own fields of the `error` message: packed at once, so that the value need not be kept.
    fields: Vec<(String, Vec<u8>)>,
    reported: bool,
}

impl Error {
    /// An error that is only a sentence; its type is told as `Error`.
    ///
    /// ```
    /// # use mite_core::Error;
    /// let error = Error::msg(format_args!("no user {}", 7));
    /// assert_eq!((error.to_string().as_str(), error.type_name()), ("no user 7", "Error"));
    /// ```
    #[track_caller]
    pub fn msg(message: impl Display) -> Self {
        Self::build("Error".into(), message.to_string().into())
    }

    /// The same as [`Error::msg`], by the name that Rust's types usually have.
    ///
    /// ```
    /// # use mite_core::{Error, Result};
    /// fn check(total: u32) -> Result {
    ///     if total == 0 {
    ///         return Err(Error::new("the cart is empty").field("total", total));
    ///     }
    ///     Ok(())
    /// }
    /// assert_eq!(check(0).unwrap_err().to_string(), "the cart is empty");
    /// ```
    #[track_caller]
    pub fn new(message: impl Display) -> Self {
        Self::msg(message)
    }

    /// From an error that is boxed already, and whose type's name is therefore lost: it is told as `Error`.
    ///
    /// ```
    /// # use mite_core::Error;
    /// let boxed: Box<dyn std::error::Error + Send + Sync> = "no connection".into();
    /// assert_eq!(Error::from_boxed(boxed).to_string(), "no connection");
    /// ```
    #[track_caller]
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self::build("Error".into(), error)
    }

    #[track_caller]
    fn build(type_name: Cow<'static, str>, cause: Box<dyn StdError + Send + Sync>) -> Self {
        Self(Box::new(Inner { type_name, location: Location::caller(), cause, fields: Vec::new(), reported: false }))
    }

    /// Adds a field to the `error` message that reports this error.
    ///
    /// A value that serde cannot turn into data is told as the text of that failure.
    ///
    /// ```
    /// # use mite_core::Error;
    /// let error = Error::new("the cart is empty").field("cart", 17);
    /// assert_eq!(error.to_string(), "the cart is empty");
    /// ```
    #[must_use]
    pub fn field(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let packed = pack::to_vec(&value).unwrap_or_else(|error| {
            let mut text = Vec::new();
            pack::write_str(&mut text, &error.to_string());
            text
        });
        self.0.fields.push((key.into(), packed));
        self
    }

    /// The last name of the error's type, without its generics: `ParseIntError`.
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// Where the error entered user code: the place of the `?`, `bail!`, `ensure!` or constructor.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// The error that this one was made from.
    ///
    /// ```
    /// # use mite_core::Result;
    /// fn port(text: &str) -> Result<u16> {
    ///     Ok(text.parse()?)
    /// }
    /// let error = port("eighty").unwrap_err();
    /// assert!(error.cause().is::<std::num::ParseIntError>());
    /// ```
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0.cause
    }

    /// The error and all of its sources in one line, joined by `: `; a source whose text the line has already is
    /// left out.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.0.cause.to_string();
        let mut source = self.0.cause.source();
        while let Some(error) = source {
            let next = error.to_string();
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            source = error.source();
        }
        text
    }

    /// The same error, told as coming from `place`.
    pub(crate) fn located(mut self, place: &'static Location<'static>) -> Self {
        self.0.location = place;
        self
    }

    pub(crate) fn fields(&self) -> &[(String, Vec<u8>)] {
        &self.0.fields
    }

    /// Whether a transaction has reported this error already: only the innermost does.
    pub(crate) fn is_reported(&self) -> bool {
        self.0.reported
    }

    pub(crate) fn set_reported(&mut self) {
        self.0.reported = true;
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::build(last_name(std::any::type_name::<E>()).into(), Box::new(error))
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        error.0.cause
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        error.0.cause
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0.cause, f)
    }
}

/// What a `main` or a test that returns `Err` prints: the type, the whole chain and the place.
impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (at {}:{})", self.0.type_name, self.chain(), self.0.location.file(), self.0.location.line())
    }
}

/// The last name of a type's path, generics stripped: `a::b::C<d::E>` is `C`.
pub(crate) fn last_name(type_name: &'static str) -> &'static str {
    let bare = type_name.split('<').next().unwrap_or(type_name);
    bare.rsplit("::").next().unwrap_or(bare)
}

/// Returns from a journey with an [`Error`] made from a format string.
///
/// ```
/// # use mite_core::{bail, Result};
/// fn check(total: u32) -> Result {
///     if total == 0 {
///         bail!("the cart is empty after {} items", 3);
///     }
///     Ok(())
/// }
/// assert_eq!(check(0).unwrap_err().to_string(), "the cart is empty after 3 items");
/// ```
#[macro_export]
macro_rules! bail {
    ($($arg:tt)*) => {
        return ::std::result::Result::Err($crate::Error::msg(::std::format_args!($($arg)*)))
    };
}

/// Returns from a journey with an [`Error`] when a condition does not hold.
///
/// ```
/// # use mite_core::{ensure, Result};
/// fn check(total: u32) -> Result {
///     ensure!(total > 0, "the cart is empty");
///     ensure!(total < 10);
///     Ok(())
/// }
/// assert_eq!(check(0).unwrap_err().to_string(), "the cart is empty");
/// assert_eq!(check(10).unwrap_err().to_string(), "condition does not hold: `total < 10`");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(,)?) => {
        $crate::ensure!($condition, "condition does not hold: `{}`", ::std::stringify!($condition))
    };
    ($condition:expr, $($arg:tt)+) => {
        if !$condition {
            $crate::bail!($($arg)+);
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_the_question_mark() {
        fn inner() -> Result<i32> {
            Ok("x".parse::<i32>()?)
        }
        let line = line!() - 2;
        let error = inner().unwrap_err();
        assert_eq!((error.location().file(), error.location().line()), (file!(), line));
    }

    #[test]
    fn a_chain_names_each_source_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to log in")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = Error::from(Outer("x".parse::<i32>().unwrap_err()));
        assert_eq!(error.chain(), "failed to log in: invalid digit found in string");
        assert_eq!(error.type_name(), "Outer");
    }

    #[test]
    fn names_lose_their_path_and_generics() {
        // The generic argument has a path of its own, which must not be taken for the type's.
        assert_eq!(last_name("alloc::vec::Vec<core::num::X>"), "Vec");
        assert_eq!(last_name("Plain"), "Plain");
    }

    #[test]
    fn it_becomes_a_boxed_error_again() {
        fn outer() -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
            Err(Error::msg("no"))?;
            Ok(())
        }
        assert_eq!(outer().unwrap_err().to_string(), "no");
    }
}
