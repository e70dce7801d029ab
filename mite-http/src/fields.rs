//! Fields that a journey adds to the `http_metrics` of its requests.
//! They are separate from the metrics because they are made before there is a response, and only if somebody wants them.

use std::borrow::Cow;

use mite_core::RESERVED;
use serde::Serialize;
use serde_json::Value;

/// The names of the format.
const FORMAT: [&str; 13] = [
    "start_time",
    "effective_url",
    "response_code",
    "dns_time",
    "connect_time",
    "tls_time",
    "transfer_start_time",
    "first_byte_time",
    "total_time",
    "primary_ip",
    "method",
    "download_size",
    "name",
];

/// What is added to the `http_metrics` message of a response, after the format's own fields.
///
/// It is handed to what [`Settings::on_response`](crate::Settings::on_response) calls.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    pairs: Vec<(Cow<'static, str>, Value)>,
    /// Nobody reads the message: nothing is kept.
    unwanted: bool,
}

impl Fields {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { pairs: Vec::new(), unwanted: !wanted }
    }

    /// Adds a field, in the place of one of the same name. A value is not even serialised if no sink wants `http_metrics`.
    ///
    /// # Panics
    ///
    /// If the name is one of the format's own, or the value cannot be a field; the panic is the journey's.
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// let settings = Settings::new().on_response(|hop, fields| fields.add("path", hop.url().path()));
    /// ```
    #[track_caller]
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Serialize) {
        if let Err(mistake) = self.try_add(name.into(), &value) {
            panic!("on_response: {mistake}");
        }
    }

    pub(crate) fn try_add(&mut self, name: Cow<'static, str>, value: &impl Serialize) -> Result<(), String> {
        if FORMAT.into_iter().chain(RESERVED).any(|taken| taken == &*name) {
            return Err(format!("a field cannot be called `{name}`: `http_metrics` has one of that name"));
        }
        if self.unwanted {
            return Ok(());
        }
        let value = serde_json::to_value(value).map_err(|error| format!("its field `{name}`: {error}"))?;
        match self.pairs.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((name, value)),
        }
        Ok(())
    }

    /// All of these, in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs.iter().map(|(name, value)| (&**name, value))
    }

    /// Puts these before those that are there; of the same name, those that are there stay.
    pub(crate) fn begin_with(&mut self, first: &Self) {
        let rest = std::mem::replace(&mut self.pairs, first.pairs.clone());
        for (name, value) in rest {
            match self.pairs.iter_mut().find(|(key, _)| *key == name) {
                Some((_, old)) => *old = value,
                None => self.pairs.push((name, value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &Fields) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn fields_keep_their_order_and_the_last_of_a_name() {
        let mut own = Fields::new(true);
        own.try_add("page".into(), &2).unwrap();
        own.try_add("kind".into(), &"list").unwrap();
        own.try_add("page".into(), &3).unwrap();
        assert_eq!(shown(&own), ["page=3", "kind=\"list\""]);

        let mut added = Fields::new(true);
        added.add("cache", Some("hit"));
        added.add("kind", "other");
        added.begin_with(&own);
        assert_eq!(shown(&added), ["page=3", "kind=\"other\"", "cache=\"hit\""]);
    }

    #[test]
    fn a_name_of_the_format_is_refused_and_so_is_what_is_no_value() {
        let mut fields = Fields::new(true);
        for name in FORMAT.into_iter().chain(RESERVED) {
            let mistake = fields.try_add(name.into(), &1).unwrap_err();
            assert!(mistake.contains(name) && mistake.contains("has one of that name"), "{mistake}");
        }
        let unkeyed = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(fields.try_add("map".into(), &unkeyed).unwrap_err().contains("its field `map`"));
        assert!(shown(&fields).is_empty());
    }

    #[test]
    fn what_nobody_wants_is_not_even_serialised() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("it is serialised")
            }
        }
        let mut fields = Fields::new(false);
        fields.add("never", Never);
        assert!(shown(&fields).is_empty());
    }

    #[test]
    #[should_panic(expected = "a field cannot be called `method`")]
    fn a_callback_that_takes_a_name_of_the_format_panics() {
        Fields::new(true).add("method", 1);
    }
}
