//! What a run is told from outside: keys with values, read as the type that the reader asks for.
//!
//! A value from a command line or the environment is text; it is parsed when it is read, so that whoever sets it need
//! not know its type.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::Value;

/// The configuration of a run; fixed when the run starts.
///
/// ```
/// # use mite_core::Config;
/// let mut config = Config::new();
/// config.set("rate", "50");
/// config.default("rate", 10);
/// assert_eq!(config.get::<u64>("rate")?, 50);
/// assert_eq!(config.get::<String>("rate")?, "50");
/// assert_eq!(config.get_or("seconds", 10)?, 10);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Config {
    values: BTreeMap<String, Value>,
}

impl Config {
    /// An empty configuration.
    pub fn new() -> Self {
        Self { values: BTreeMap::new() }
    }

    /// The value of `key` as a `T`. Text is parsed as the type that is asked for: a number, `true` or `false`, or
    /// JSON where `T` is a list or a map.
    ///
    /// # Errors
    /// [`ConfigError`]: no such key (the error names those that there are), or a value that is no `T`.
    ///
    /// ```
    /// # use mite_core::Config;
    /// let mut config = Config::new();
    /// config.set("users", "[\"ann\", \"bob\"]").set("rate", 50);
    /// assert_eq!(config.get::<Vec<String>>("users")?, ["ann", "bob"]);
    /// assert!(config.get::<bool>("rate").is_err());
    /// let missing = config.get::<u64>("rte").unwrap_err().to_string();
    /// assert!(missing.starts_with("the config has no \"rte\""), "{missing}");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> crate::Result<T> {
        let value = self.values.get(key).ok_or_else(|| ConfigError::Missing {
            key: key.to_owned(),
            known: self.values.keys().cloned().collect(),
        })?;
        Ok(read(key, value)?)
    }

    /// The value of `key` as a `T`, or `default` where there is none.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]: there is a value, but it is no `T`.
    ///
    /// ```
    /// # use mite_core::Config;
    /// let mut config = Config::new();
    /// assert_eq!(config.get_or("rate", 50)?, 50);
    /// config.set("rate", 100);
    /// assert_eq!(config.get_or("rate", 50)?, 100);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn get_or<T: DeserializeOwned>(&self, key: &str, default: T) -> crate::Result<T> {
        match self.values.get(key) {
            Some(value) => Ok(read(key, value)?),
            None => Ok(default),
        }
    }

    /// Sets `key`, whatever it was before.
    ///
    /// # Panics
    /// When serde cannot turn `value` into data, as with a map whose keys are no text.
    ///
    /// ```
    /// # use mite_core::{Config, Scenario};
    /// /// A scenario function that sets a value for the journeys of its run.
    /// fn my_scenario(config: &mut Config) -> Scenario {
    ///     config.set("run_id", 17);
    ///     Scenario::new()
    /// }
    /// ```
    pub fn set(&mut self, key: impl Into<String>, value: impl Serialize) -> &mut Self {
        let key = key.into();
        match serde_json::to_value(value) {
            Ok(value) => self.values.insert(key, value),
            Err(error) => panic!("the value for the config key {key:?} is no data: {error}"),
        };
        self
    }

    /// Sets `key` unless it has a value: what a scenario function gives for runs that say nothing.
    ///
    /// # Panics
    /// As [`Config::set`].
    ///
    /// ```
    /// # use mite_core::{Config, Result, Scenario};
    /// fn my_scenario(config: &mut Config) -> Result<Scenario> {
    ///     config.default("rate", 100);
    ///     let rate: f64 = config.get("rate")?;
    ///     # let _ = rate;
    ///     Ok(Scenario::new())
    /// }
    /// ```
    pub fn default(&mut self, key: impl Into<String>, value: impl Serialize) -> &mut Self {
        let key = key.into();
        if !self.values.contains_key(&key) {
            self.set(key, value);
        }
        self
    }

    /// Whether `key` has a value.
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The keys that have a value, in alphabetical order.
    ///
    /// ```
    /// # use mite_core::Config;
    /// let mut config = Config::new();
    /// config.set("rate", 50).set("app_url", "http://localhost:8080");
    /// assert_eq!(config.keys().collect::<Vec<_>>(), ["app_url", "rate"]);
    /// assert!(config.contains("rate") && !config.contains("rte"));
    /// ```
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// One with these values.
    pub(crate) fn from_values(values: BTreeMap<String, Value>) -> Self {
        Self { values }
    }

    /// All values.
    pub(crate) fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// Takes over what `over` has, in place of what is here.
    pub(crate) fn overlay(&mut self, over: Config) {
        self.values.extend(over.values);
    }
}

/// Shows the keys only: values may be secrets.
impl Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Why a key of the configuration could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing has set the key.
    Missing {
        /// The key that was asked for.
        key: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The value is not of the type that was asked for.
    Invalid {
        /// The key that was asked for.
        key: String,
        /// What does not fit, in serde's words.
        message: String,
    },
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key, known } if known.is_empty() => {
                write!(f, "the config has no {key:?} (it is empty): set it with `--set {key}=…` or `Run::config`")
            }
            Self::Missing { key, known } => {
                write!(f, "the config has no {key:?}, only {}: ", known.join(", "))?;
                write!(f, "set it with `--set {key}=…` or `Run::config`")
            }
            Self::Invalid { key, message } => write!(f, "the config's {key:?} does not fit: {message}"),
        }
    }
}

impl std::error::Error for ConfigError {}

fn read<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, ConfigError> {
    let invalid = |error: serde_json::Error| ConfigError::Invalid { key: key.to_owned(), message: error.to_string() };
    match value {
        Value::String(text) => T::deserialize(Text(text)).map_err(invalid),
        Value::Number(number) => T::deserialize(value).or_else(|error| {
            // A number where text is asked for: its digits.
            T::deserialize(Text(&number.to_string())).map_err(|_| invalid(error))
        }),
        other => T::deserialize(other).map_err(invalid),
    }
}

/// Text that becomes what the visitor hopes for.
struct Text<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $ty:ty, $what:literal;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let parsed: $ty = self.0.trim().parse().map_err(|error| {
                de::Error::custom(format_args!("{:?} is no {}: {error}", self.0, $what))
            })?;
            visitor.$visit(parsed)
        }
    )* };
}

macro_rules! as_json {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => { $(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Self::Error> {
            let value: Value = serde_json::from_str(self.0)?;
            value.$method($($arg,)* visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = serde_json::Error;

    parsed! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i8 visit_i8 i8, "whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "whole number of 32 bits";
        deserialize_i64 visit_i64 i64, "whole number of 64 bits";
        deserialize_i128 visit_i128 i128, "whole number of 128 bits";
        deserialize_u8 visit_u8 u8, "whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "whole number of 32 bits that is not negative";
        deserialize_u64 visit_u64 u64, "whole number of 64 bits that is not negative";
        deserialize_u128 visit_u128 u128, "whole number of 128 bits that is not negative";
        deserialize_f32 visit_f32 f32, "number";
        deserialize_f64 visit_f64 f64, "number";
    }

    as_json! {
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let plain: de::value::StrDeserializer<'_, Self::Error> = self.0.into_deserializer();
        plain.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! { char str string bytes byte_buf identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn config(value: impl Serialize) -> Config {
        let mut config = Config::new();
        config.set("key", value);
        config
    }

    #[test]
    fn text_becomes_the_type_that_is_asked_for() {
        assert_eq!(config("50").get::<u64>("key").unwrap(), 50);
        assert_eq!(config("0.5").get::<f64>("key").unwrap().to_string(), "0.5");
        assert!(config("true").get::<bool>("key").unwrap());
        assert_eq!(config("[1, 2]").get::<Vec<u8>>("key").unwrap(), [1, 2]);
        assert_eq!(config("7").get::<Option<u8>>("key").unwrap(), Some(7));
        assert_eq!(config("127.0.0.1").get::<IpAddr>("key").unwrap(), IpAddr::from([127, 0, 0, 1]));
        // A number may be asked for as text: `--set` and `Run::config` then mean the same.
        assert_eq!(config(8080).get::<String>("key").unwrap(), "8080");
        assert_eq!(config("8080").get::<String>("key").unwrap(), "8080");
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_key() {
        let error = config("fifty").get::<u64>("key").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the config's \"key\" does not fit: \"fifty\" is no whole number of 64 bits that is not negative: \
             invalid digit found in string"
        );
        assert_eq!(error.type_name(), "ConfigError");
    }

    #[test]
    fn a_missing_key_names_those_that_there_are() {
        let mut config = config(1);
        config.set("app_url", "http://localhost");
        let error = config.get::<String>("app_ulr").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the config has no \"app_ulr\", only app_url, key: set it with `--set app_ulr=…` or `Run::config`"
        );
    }

    #[test]
    fn a_default_gives_way_and_a_later_value_wins() {
        let mut config = config(1);
        config.default("key", 2).default("other", 3).set("key", 4);
        assert_eq!(config.get::<u8>("key").unwrap(), 4);
        assert_eq!(config.get::<u8>("other").unwrap(), 3);
    }
}
